"""The work of ``windlass image``: policies as the cluster has them, and a selection made here with the person's rights.

``check`` asks the registry from this machine, with the credentials that the policy names, and decides by the same code
as the controller. ``update`` writes the one annotation that asks the controller for a look.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from windlass import ports
from windlass.adapters.host.http import Http
from windlass.adapters.registry.charts import ChartStore
from windlass.adapters.registry.images import ImageStore
from windlass.cli.reaching import Reach, reach
from windlass.cli.requesting import MANAGER, request_value
from windlass.cli.telling import DIFFERS, emit, say
from windlass.core.kinds import image_policy
from windlass.core.kinds.conditions import condition
from windlass.core.kinds.image_policy import ImagePolicy
from windlass.core.model import ObjectRef
from windlass.core.words.images import image_of, policy_lines, selection_text
from windlass.core.words.plain import plain
from windlass.errors import NeedsHuman, Where
from windlass.flows.image_search import Credentials, ImageSearch, credentials_of
from windlass.flows.images import POLICIES, REQUEST
from windlass.flows.secrets import RESOURCES, contents


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed."""

    policy: str
    namespace: str
    current: str
    output: str
    every: bool = False


async def list_policies(namespace: str, output: str, kubeconfig: Path | None, context: str | None) -> int:
    """All policies (of one namespace) that the person may see."""
    async with reach(kubeconfig, context) as to:
        try:
            found = await _select(to, namespace)
        except ports.NotAllowed:
            if namespace:
                raise
            namespace = to.access.namespace
            found = await _select(to, namespace)
        read = [(name_of(one), image_policy.decode(one)) for one in found]
        read.sort(key=lambda one: one[0])
        if output != "human":
            emit([policy_data(name, one) for name, one in read], output)
        elif read:
            say(policy_lines(read))
        else:
            say(
                f"no image policies in {namespace or 'this cluster'}   (docs/kinds/imagepolicy.md says how one looks)\n"
            )
        return 0


async def check_policy(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """The verdicts of one policy."""
    async with reach(kubeconfig, context) as to, _search() as search:
        name, content = await find_policy(to, asked.policy, asked.namespace)
        policy = image_policy.decode(content)
        credentials = await _credentials(to, policy)
        current = asked.current or policy.status.tag
        tags = await search.tags(policy.spec, credentials.pull, fresh=0.0)
        chosen = await search.choose(policy.spec, tags, credentials, to.clock.now(), current=current)
        differs = bool(chosen.tag) and chosen.tag != current
        if asked.output == "human":
            say(selection_text(name, policy, chosen, current, every=asked.every))
            if differs and not asked.current:
                say(f"next  windlass image update {plain(name)}\n")
        else:
            emit(
                {"policy": name, "image": image_of(policy), "current": current, **msgspec.to_builtins(chosen)},
                asked.output,
            )
        return DIFFERS if differs else 0


async def ask_for_look(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """Writes the request."""
    async with reach(kubeconfig, context) as to:
        name, content = await find_policy(to, asked.policy, asked.namespace)
        metadata = content["metadata"]
        value = await request_value(to, "")
        patch = {"metadata": {"annotations": {REQUEST: value}}}
        ref = ObjectRef(POLICIES.group, image_policy.KIND, metadata["namespace"], metadata["name"])
        await to.cluster.patch(POLICIES, ref, patch, form="merge", manager=MANAGER)
        if asked.output == "human":
            say(f"asked for a look at {plain(name)}\nnext  windlass image list -n {plain(metadata['namespace'])}\n")
        else:
            emit({"policy": name, "request": value}, asked.output)
        return 0


@asynccontextmanager
async def _search() -> AsyncIterator[ImageSearch]:
    from windlass.adapters.host.clock import SystemClock

    clock = SystemClock()
    with TemporaryDirectory(prefix="windlass-charts-") as folder:
        async with Http(local=True) as http:
            yield ImageSearch(ImageStore(http, clock), ChartStore(Path(folder), http, clock))


async def _select(to: Reach, namespace: str) -> list[dict[str, Any]]:
    try:
        return await to.cluster.select(POLICIES, namespace)
    except (ports.ObjectMissing, ports.KindUnknown) as error:
        raise NeedsHuman(
            "this cluster knows no image policies: the kinds of Windlass are not installed in it",
            hint="windlass install --export | kubectl apply --server-side -f -",
        ) from error


async def find_policy(to: Reach, word: str, given: str) -> tuple[str, dict[str, Any]]:
    """The policy that a person means by ``name`` or ``namespace/name``. Raises NeedsHuman."""
    before, slash, name = word.rpartition("/")
    if slash and given and before != given:
        raise NeedsHuman(f"{word} is in namespace {before}, and -n says {given}", hint="leave one of the two out")
    namespace = before or given or to.access.namespace
    content = await to.cluster.read(POLICIES, ObjectRef(POLICIES.group, image_policy.KIND, namespace, name))
    if content is None:
        raise NeedsHuman(
            f"there is no ImagePolicy {name} in namespace {namespace}", hint="windlass image list shows those there are"
        )
    return f"{namespace}/{name}", content


async def _credentials(to: Reach, policy: ImagePolicy) -> Credentials:
    namespace = policy.metadata.namespace

    async def read(kind: str, name: str) -> Mapping[str, bytes]:
        content = await to.cluster.read(RESOURCES[kind], ObjectRef("", kind, namespace, name))
        if content is None:
            raise NeedsHuman(
                f"{kind} {name} is not in namespace {namespace}",
                where=Where(field=f"ImagePolicy {policy.metadata.name}"),
                hint="make it there, or mend the name",
            )
        return contents(kind, content, name)

    return await credentials_of(policy.spec, read)


def name_of(content: dict[str, Any]) -> str:
    return f"{content['metadata']['namespace']}/{content['metadata']['name']}"


def policy_data(name: str, policy: ImagePolicy) -> dict[str, Any]:
    """One policy, for programs."""
    ready = condition(policy.status.conditions, "Ready")
    return {
        "policy": name,
        "image": image_of(policy),
        "tag": policy.status.tag,
        "digest": policy.status.digest,
        "commit": policy.status.commit,
        "places": policy.status.places,
        "ready": ready.status if ready is not None else "Unknown",
        "reason": ready.reason if ready is not None else "",
        "message": ready.message if ready is not None else "",
    }
