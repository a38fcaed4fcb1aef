"""Where an Application (or the Installation) is written in Git, and who may write there: what commands that change Git
start from.

The object's own annotation ``windlass.dev/origin`` names the file, its label the Application that applied it, whose
Repository is the one to write to. What has no origin was applied by hand: it is in no file that could be edited.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from windlass import ports
from windlass.cli.pushing import Person, PersonUpstream
from windlass.cli.reaching import Found, Reach, every, repository_of
from windlass.core.edits import Intent, Target
from windlass.core.edits.intents import Home
from windlass.core.kinds import application
from windlass.core.kinds.kind import GROUP
from windlass.core.kinds.repository import Repository
from windlass.core.plan.ownership import LABEL, ORIGIN, Claim
from windlass.errors import NeedsHuman, Where
from windlass.flows.upstreams import branch_of
from windlass.flows.write import Writer, Written


@dataclass(frozen=True, slots=True)
class Place:
    """An object's own file: in which Repository, and the Application that applies it."""

    home: Home
    repository: Repository
    parent: Found


async def place_of(to: Reach, found: Found, *, instead: str = "") -> Place:
    """Where an object of our kinds is written. Raises NeedsHuman where it is in no file; ``instead`` is what to do
    then."""
    metadata = found.content["metadata"]
    annotations = metadata.get("annotations") or {}
    source, _, file = str(annotations.get(ORIGIN, "")).partition(":")
    label = (metadata.get("labels") or {}).get(LABEL, "")
    if not file or not label:
        raise NeedsHuman(
            f"{found.word} is in no file in Git: it was applied by hand",
            hint=instead or "put its file into a folder that an Application of yours applies",
        )
    everyone = await _everyone(to)
    parent = _parent(everyone, label)
    repository = await repository_of(to, parent.decoded())
    name = source.rpartition("@")[0]
    if repository.metadata.name != name:
        raise NeedsHuman(
            f"{found.word} came from Repository {name}, and {parent.word} follows {repository.metadata.name} now",
            hint=f"windlass sync {parent.word}",
        )
    namespace = str(metadata.get("namespace", ""))
    kind, own = str(found.content["kind"]), str(metadata["name"])
    others = await _others(to, everyone, (namespace, own), file, repository) if kind == application.KIND else ()
    target = Target(GROUP, kind, namespace, own, others)
    return Place(Home(file, target), repository, parent)


async def write(to: Reach, place: Place, who: Person, intents: Sequence[Intent]) -> list[Written]:
    """Carries intents out with the person's own Git. Raises the error of the first that was refused."""
    spec = place.repository.spec
    upstream = PersonUpstream(spec.url, branch_of(place.repository), who)
    name = f"{place.repository.metadata.namespace}/{place.repository.metadata.name}"
    done = await Writer(upstream, to.clock, repository=name).write(intents)
    for one in done:
        if one.error is not None:
            raise one.error.at(Where(repository=name))
    return done


def new_id() -> str:
    """The id of one command that a person gave."""
    return uuid.uuid4().hex


async def _everyone(to: Reach) -> list[dict[str, Any]]:
    try:
        contents, _ = await every(to, "")
    except ports.NotAllowed:
        return []
    return contents


def _parent(everyone: Sequence[dict[str, Any]], label: str) -> Found:
    for content in everyone:
        metadata: dict[str, Any] = content["metadata"]
        if Claim.of(metadata["namespace"], metadata["name"]).label == label:
            return Found(content, f"{metadata['namespace']}/{metadata['name']}")
    raise NeedsHuman(
        f"the Application {label} that applied it is not there, or you may not see it",
        hint="who may see it can do this; or change the file in Git by hand",
    )


async def _others(
    to: Reach, everyone: Sequence[dict[str, Any]], own: tuple[str, str], file: str, repository: Repository
) -> tuple[Target, ...]:
    """The Applications that come of the same file of the same branch and may be ours under another name: in another
    namespace, or with more around the name."""
    found = []
    for content in everyone:
        metadata = content["metadata"]
        namespace, name = str(metadata["namespace"]), str(metadata["name"])
        origin = str((metadata.get("annotations") or {}).get(ORIGIN, ""))
        if (namespace, name) == own or own[1] not in name or origin.partition(":")[2] != file:
            continue
        try:
            parent = _parent(everyone, (metadata.get("labels") or {}).get(LABEL, ""))
            its = await repository_of(to, parent.decoded())
        except (NeedsHuman, ports.NotAllowed):
            its = repository  # who can't be asked is taken for one of this file
        if (its.spec.url, its.spec.ref) == (repository.spec.url, repository.spec.ref):
            found.append(Target(GROUP, application.KIND, namespace, name))
    return tuple(found)
