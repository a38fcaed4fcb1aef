"""The work of ``windlass rollback --revert``, and of ``forward`` after it: the content itself put back, by a commit on
the branch that the Application follows.

Of the files that its render reads, those that differ are put back as they were; whoever else reads them is told first,
and it is asked. It is also the way for an Application that is in no file in Git. A file that somebody changed since is
never overwritten: such a revert is refused.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from windlass.adapters.git import CommitSnapshot, Store
from windlass.cli import fetching, living
from windlass.cli.homes import new_id
from windlass.cli.planning import place_of as render_place
from windlass.cli.pushing import Person, PersonUpstream
from windlass.cli.reaching import Found, Reach, every, repository_of
from windlass.cli.trees import render_for
from windlass.core.edits import Intent, Restore
from windlass.core.kinds.application import Application
from windlass.core.kinds.repository import Repository
from windlass.core.words.commits import ACTION, trailers_of
from windlass.errors import NeedsHuman, Where, WindlassError
from windlass.flows.inventory import Inventory
from windlass.flows.upstreams import branch_of
from windlass.flows.write import Writer, Written

LOOKED_AT = 25
"""So many other Applications of the repository are rendered to see whether they read the same files."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a revert does: the files, each as it is now and as it was, and who else reads them."""

    source: Repository
    commit: str
    files: dict[str, tuple[bytes | None, bytes | None]]
    others: list[str]


async def change_to(to: Reach, found: Found, app: Application, target: str) -> Change:
    """What differs between the newest commit and ``target`` in what this Application reads at either of them."""
    source = await repository_of(to, app)
    fetched = await fetching.fetch(source.spec.url, source.spec.ref)
    reads = await _reads(to, found, app, fetched.commit) | await _reads(to, found, app, target)
    files = await asyncio.to_thread(_differing, fetched.folder, fetched.commit, target, reads)
    others = await _others(to, found, source, set(files), fetched.commit)
    return Change(source, fetched.commit, files, others)


async def undoing(to: Reach, found: Found, app: Application) -> Change:
    """What undoes the last revert of this Application that is not undone yet. Raises NeedsHuman where there is none."""
    source = await repository_of(to, app)
    fetched = await fetching.fetch(source.spec.url, source.spec.ref)

    def look() -> dict[str, tuple[bytes | None, bytes | None]]:
        store = Store(fetched.folder)
        name, undone = f"{found.namespace}/{found.name}", 0
        for commit in store.log(None, fetched.commit, limit=2000):
            said = trailers_of(commit.message)
            if (ACTION, f"unrevert {name}") in said:
                undone += 1
            elif (ACTION, f"revert {name}") in said and undone:
                undone -= 1
            elif (ACTION, f"revert {name}") in said and commit.parents:
                paths = store.changed_paths(commit.parents[0], commit.id)
                pairs = _differing(fetched.folder, commit.id, commit.parents[0], set(paths))
                tip = CommitSnapshot(store, fetched.commit)
                # What is as it was already needs nothing.
                return {path: pair for path, pair in pairs.items() if _get(tip, path) != pair[1]}
        raise NeedsHuman(
            f"{found.word} is not pinned, and no revert of it on its branch stands: nothing to go forward from",
            hint="windlass status " + found.word,
        )

    files = await asyncio.to_thread(look)
    return Change(source, fetched.commit, files, await _others(to, found, source, set(files), fetched.commit))


async def carry_out(
    to: Reach, found: Found, change: Change, who: Person, *, verb: str, summary: str, reason: str, facts: Any
) -> Written:
    """The revert as one commit on the followed branch. Raises the error of what was refused."""
    steps = tuple(Restore(file=path, now=now, was=was) for path, (now, was) in sorted(change.files.items()))
    intent = Intent(
        id=new_id(), verb=verb, about=f"{found.namespace}/{found.name}", summary=summary, reason=reason,
        facts=facts, steps=steps,
    )  # fmt: skip
    upstream = PersonUpstream(change.source.spec.url, branch_of(change.source), who)
    name = f"{change.source.metadata.namespace}/{change.source.metadata.name}"
    (written,) = await Writer(upstream, to.clock, repository=name).write([intent])
    if written.error is not None:
        raise written.error.at(Where(repository=name))
    return written


def told(change: Change, word: str, most: int = 20) -> str:
    """What would be put back, and whom it touches."""
    lines = [f"puts back {len(change.files)} file{'s' if len(change.files) != 1 else ''} that {word} reads"]
    marks: dict[tuple[bool, bool], str] = {(False, True): "-", (True, False): "+"}
    for path, (now, was) in sorted(change.files.items())[:most]:
        lines.append(f"  {marks.get((now is None, was is None), '~')} {path}")
    if len(change.files) > most:
        lines.append(f"  and {len(change.files) - most} more")
    if change.others:
        lines.append(f"touches too: {', '.join(change.others)}")
    return "".join(f"{line}\n" for line in lines)


async def _reads(to: Reach, found: Found, app: Application, commit: str) -> set[str]:
    """The files that the render of an Application reads at a commit."""
    place = await render_place(to, app, None, commit)
    key = await living.digest_key(to)
    rendered = await render_for(app, found.claim, place, Inventory(to.cluster), key or b"")
    return {path for path, blob in rendered.read.items() if blob and not path.endswith("/")}


def _differing(folder: str, now: str, was: str, paths: set[str]) -> dict[str, tuple[bytes | None, bytes | None]]:
    store = Store(folder)
    here, then = CommitSnapshot(store, now), CommitSnapshot(store, was)
    pairs = {path: (_get(here, path), _get(then, path)) for path in paths}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def _get(files: CommitSnapshot, path: str) -> bytes | None:
    try:
        return files[path]
    except KeyError:
        return None


async def _others(to: Reach, found: Found, source: Repository, files: set[str], commit: str) -> list[str]:
    """The other Applications of this repository that read one of the files, as far as the person may see them."""
    contents, _ = await every(to, "")
    told_of: list[str] = []
    looked = 0
    for content in contents:
        metadata = content["metadata"]
        other = Found(content, f"{metadata['namespace']}/{metadata['name']}")
        if (other.namespace, other.name) == (found.namespace, found.name):
            continue
        app = _decoded(other)
        if app is None or app.spec.source.repository != source.metadata.name or other.namespace != found.namespace:
            continue
        folder = app.spec.source.folder
        near = any(not folder or path.startswith(folder + "/") for path in files)
        looked += 1
        try:
            if near or (looked <= LOOKED_AT and await _reads(to, other, app, commit) & files):
                told_of.append(other.word)
        except WindlassError:
            continue
    return sorted(told_of)


def _decoded(other: Found) -> Application | None:
    try:
        return other.decoded()
    except NeedsHuman:
        return None
