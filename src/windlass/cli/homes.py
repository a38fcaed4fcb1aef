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
    parent = await _parent(to, label)
    repository = await repository_of(to, parent.decoded())
    name = source.rpartition("@")[0]
    if repository.metadata.name != name:
        raise NeedsHuman(
            f"{found.word} came from Repository {name}, and {parent.word} follows {repository.metadata.name} now",
            hint=f"windlass sync {parent.word}",
        )
    namespace = str(metadata.get("namespace", ""))
    target = Target(GROUP, str(found.content["kind"]), namespace, str(metadata["name"]))
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


async def _parent(to: Reach, label: str) -> Found:
    try:
        contents, _ = await every(to, "")
    except ports.NotAllowed:
        contents = []
    for content in contents:
        metadata: dict[str, Any] = content["metadata"]
        if Claim.of(metadata["namespace"], metadata["name"]).label == label:
            return Found(content, f"{metadata['namespace']}/{metadata['name']}")
    raise NeedsHuman(
        f"the Application {label} that applied it is not there, or you may not see it",
        hint="who may see it can do this; or change the file in Git by hand",
    )
