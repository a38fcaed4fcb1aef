"""Tags as releases: which tags a repository has and what they name, asked with the person's own Git rights.

``status`` and ``log`` show them beside commits, whatever takes a commit of an Application takes a tag as well. What a
tag names is asked of the repository itself, so that one that was moved or deleted is told as it is now; an answer holds
for a minute. Where it can't be asked, what was known last is shown, and a command that acts says so instead.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import msgspec
import pygit2

from windlass.adapters.git import CommitInfo, Move, Store
from windlass.adapters.host.clock import SystemClock
from windlass.cli import fetching
from windlass.core.words.plain import plain, short
from windlass.errors import NeedsHuman, Where, WindlassError

FRESH = 60.0
"""Seconds for which an answer holds."""
PATIENCE = 5.0
"""Seconds that a view waits for a repository."""
_ID = re.compile(r"[0-9a-f]{4,64}")
WHOLE = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""A whole id, which is never taken for a tag."""
_PEELED = "^{}"


async def tags_by_commit(url: str) -> dict[str, list[str]]:
    """Commits to the names of the tags at them, sorted. Raises nothing: what can't be asked is as it was known last."""
    path = Path(fetching.cache(url)).with_suffix(".tags.json")
    known, age = await asyncio.to_thread(_remembered, path)
    if age > FRESH:
        try:
            async with asyncio.timeout(PATIENCE):
                known = await named(url)
        except (WindlassError, TimeoutError):
            pass  # not asked again for a minute either: a view does not wait for it each time
        await asyncio.to_thread(_remember, path, known)
    found: dict[str, list[str]] = {}
    for name, commit in sorted(known.items()):
        found.setdefault(commit, []).append(name)
    return found


async def named(url: str) -> dict[str, str]:
    """Tags to the commits that they name now: of an annotated one, what it is about. Raises as ``fetching.fetch``."""
    found: dict[str, str] = {}
    for line in (await fetching.ask_tags(url)).splitlines():
        commit, _, ref = line.partition("\t")
        name = ref.removeprefix("refs/tags/")
        if name.endswith(_PEELED) or name not in found:
            found[name.removesuffix(_PEELED)] = commit
    return found


async def commit_named(url: str, fetched: fetching.Fetch, wanted: str, repository: str) -> CommitInfo:
    """The commit that a person names by its id, the beginning of it, or a tag, and that the followed ref leads to.

    Raises NeedsHuman: nothing of that name, a name that is both a tag and the beginning of another commit's id, or a
    commit off the followed branch; and what fetching the tags raises.
    """
    if not WHOLE.fullmatch(wanted):
        await fetching.fetch_tags(url)
    return await asyncio.to_thread(_resolved, fetched, wanted, repository)


def _resolved(fetched: fetching.Fetch, wanted: str, repository: str) -> CommitInfo:
    store = Store(fetched.folder)
    where = Where(repository=repository)
    by_id = _beginning(store, wanted) if _ID.fullmatch(wanted) else None
    by_tag = None if WHOLE.fullmatch(wanted) else store.resolve(f"refs/tags/{wanted}")
    if by_id and by_tag and by_id != by_tag:
        raise NeedsHuman(
            f"{wanted} is a tag, at {short(by_tag)}, and the beginning of commit {by_id[:12]}",
            where=where,
            hint=f"name the whole id: {by_tag} for the tag, {by_id} for the other",
        )
    commit = by_id or by_tag
    if commit is None:
        raise NeedsHuman(
            f"{plain(wanted)!r} is no commit or tag of repository {repository}",
            where=where,
            hint="git log --oneline shows its commits, git tag its tags; a commit needs at least four characters",
        )
    if store.moved(commit, fetched.commit) is Move.REWRITTEN:
        raise NeedsHuman(
            f"{short(commit)} does not lead to {short(fetched.commit)}, which is followed",
            where=where,
            hint="name a commit of the followed branch",
        )
    return store.describe(commit)


def _beginning(store: Store, wanted: str) -> str | None:
    """The commit whose id begins so, whatever refs are called so too; None for none, or for several."""
    try:
        found = store.repository.get(wanted)
    except (KeyError, ValueError, pygit2.GitError):
        return None
    return str(found.id) if isinstance(found, pygit2.Commit) else None


def _remembered(path: Path) -> tuple[dict[str, str], float]:
    """What was known last, and how many seconds ago that was."""
    try:
        age = max(0.0, SystemClock().now().timestamp() - path.stat().st_mtime)
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str]), age
    except (OSError, ValueError, msgspec.MsgspecError):
        return {}, float("inf")


def _remember(path: Path, known: dict[str, str]) -> None:
    """Written beside and moved there, for two commands may run at once. A cache that can't be written is none."""
    beside = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.write_bytes(msgspec.json.encode(known))
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
