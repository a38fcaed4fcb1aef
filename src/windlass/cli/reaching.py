"""Whom a command talks to: the cluster with the person's own rights, and the Application that is meant.

Commands over a running cluster begin here. It reads; the one thing that is written (``sync``) is written there. The
controller is never asked for anything: what a command tells is what the API server lets this person see.
"""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass import ports, settings
from windlass.adapters.cluster import Access, KubeCluster, connect
from windlass.adapters.host.clock import SystemClock
from windlass.cli.running import access
from windlass.core.kinds import application, repository
from windlass.core.kinds.application import Application
from windlass.core.kinds.repository import Repository
from windlass.core.model import ObjectRef
from windlass.core.plan.ownership import Claim
from windlass.errors import NeedsHuman, Where
from windlass.flows.informers import APPLICATIONS, REPOSITORIES

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Reach:
    """An open cluster, how it is reached, and the time."""

    cluster: KubeCluster
    access: Access
    clock: SystemClock

    @property
    def system(self) -> str:
        """The namespace that the controller is in."""
        return settings.variable("WINDLASS_NAMESPACE", "windlass-system")


@dataclass(frozen=True, slots=True)
class Found:
    """One Application as it is in the cluster. ``word`` is how a person gets at it in the next command."""

    content: dict[str, Any]
    word: str

    @property
    def namespace(self) -> str:
        return str(self.content["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.content["metadata"]["name"])

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef(APPLICATIONS.group, application.KIND, self.namespace, self.name)

    @property
    def claim(self) -> Claim:
        return Claim.of(self.namespace, self.name)

    def decoded(self) -> Application:
        """Raises BadSpec."""
        try:
            return application.decode(self.content)
        except NeedsHuman as error:
            error.at(Where(application=self.word))
            raise


@asynccontextmanager
async def reach(kubeconfig: Path | None, context: str | None) -> AsyncIterator[Reach]:
    """The cluster that the options mean. Raises AccessUnusable, and what ``ports`` lists."""
    found = access(kubeconfig, context)
    clock = SystemClock()
    async with connect(found, clock) as cluster:
        yield Reach(cluster, found, clock)


async def find(to: Reach, word: str, namespace: str) -> Found:
    """The Application that a person means by ``name`` or ``namespace/name``.

    With a name alone it is the one in the context's namespace, else the only one of that name in the cluster. Raises
    NeedsHuman, which lists candidates.
    """
    before, slash, name = word.rpartition("/")
    if slash and namespace and before != namespace:
        raise NeedsHuman(f"{word} is in namespace {before}, and -n says {namespace}", hint="leave one of the two out")
    named = before or namespace
    if not name or "/" in before:
        raise NeedsHuman(f"{word!r} names no Application", hint="write its name, or <namespace>/<name>")
    content = await _read(to, named or to.access.namespace, name)
    if content is not None:
        return Found(content, f"{named}/{name}" if named else name)
    if named:
        raise await _missing(to, f"{named}/{name}", name, named)
    return await _elsewhere(to, name)


async def every(to: Reach, namespace: str) -> tuple[list[dict[str, Any]], str]:
    """All Applications (of one namespace), and a remark where fewer could be seen than were asked for."""
    if namespace:
        return await _list(to, namespace), ""
    try:
        return await _list(to, ""), ""
    except ports.NotAllowed:
        here = to.access.namespace
        return await _list(to, here), f"only those in namespace {here}: you may not list those of all namespaces"


async def repository_of(to: Reach, app: Application) -> Repository:
    """The Repository that an Application renders from. Raises NeedsHuman where there is none."""
    return await repository_named(to, app, app.spec.source.repository, "spec.source.repository")


async def repository_named(to: Reach, app: Application, name: str, field: str) -> Repository:
    """A Repository of an Application's namespace, named in one of its fields."""
    namespace = app.metadata.namespace
    content = await to.cluster.read(REPOSITORIES, ObjectRef(REPOSITORIES.group, repository.KIND, namespace, name))
    if content is None:
        raise NeedsHuman(
            f"there is no Repository {name} in namespace {namespace}",
            where=Where(field=field, application=app.metadata.name),
            hint="put the Repository into the Application's own namespace, or mend the name",
        )
    return repository.decode(content)


async def _elsewhere(to: Reach, name: str) -> Found:
    here = to.access.namespace
    try:
        same = await _list(to, "", fields=f"metadata.name={name}")
    except ports.NotAllowed as error:
        raise NeedsHuman(
            f"there is no Application {name} in namespace {here}, and you may not list those of all namespaces",
            hint=f"name its namespace: <namespace>/{name}, or -n <namespace>",
        ) from error
    if len(same) == 1:
        return Found(same[0], name)
    if not same:
        raise await _missing(to, name, name, "")
    places = ", ".join(sorted(f"{each['metadata']['namespace']}/{name}" for each in same)[:_SHOWN])
    raise NeedsHuman(
        f"there are {len(same)} Applications {name}, and none in namespace {here}", hint=f"name one: {places}"
    )


async def _missing(to: Reach, word: str, name: str, namespace: str) -> NeedsHuman:
    """There is none; with those that may have been meant."""
    try:
        names = [_word(each) for each in await _list(to, "")]
    except ports.NotAllowed:
        try:
            names = [_word(each) for each in await _list(to, namespace or to.access.namespace)]
        except ports.NotAllowed:
            names = []
    last = {each.rpartition("/")[2]: each for each in names}
    near = [last[each] for each in difflib.get_close_matches(name, last, n=3)]
    hint = f"did you mean {' or '.join(near)}?" if near else ""
    if not near and names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        hint = f"those that you may see: {', '.join(sorted(names)[:_SHOWN])}{more}"
    if not names:
        hint = "windlass status lists those that you may see"
    return NeedsHuman(f"there is no Application {word}", hint=hint)


async def _read(to: Reach, namespace: str, name: str) -> dict[str, Any] | None:
    return await to.cluster.read(APPLICATIONS, ObjectRef(APPLICATIONS.group, application.KIND, namespace, name))


async def _list(to: Reach, namespace: str, *, fields: str = "") -> list[dict[str, Any]]:
    try:
        return await to.cluster.select(APPLICATIONS, namespace, fields=fields)
    except (ports.ObjectMissing, ports.KindUnknown) as error:
        raise NeedsHuman(
            "this cluster knows no Applications: the kinds of Windlass are not installed in it",
            hint="windlass install --export | kubectl apply --server-side -f -",
        ) from error


def _word(content: dict[str, Any]) -> str:
    return f"{content['metadata']['namespace']}/{content['metadata']['name']}"
