"""A bare repository as libgit2 sees it: commits, refs, who changed what when. Synchronous; with a loop, go through
``on_git_thread``.

Used by ``Mirror``, by snapshots, and by the command line for the repository a person stands in. It reads no settings of
the person or the machine, and writes nothing but the refs that ``set_ref`` is told.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import ParamSpec, TypeVar

import pygit2
from pygit2.enums import ConfigLevel

from windlass.adapters.git.compare import DEEPEST, changed_paths, differences, read_folder
from windlass.adapters.git.errors import GitRefused, GitUnavailable

P = ParamSpec("P")
R = TypeVar("R")

# How many commits back the last change of a file is looked for.
FURTHEST = 2000
_REMEMBERED_PATHS = 100_000
# Trees are named by what is in them: what differs between two is so for ever.
_REMEMBERED_DIFFERENCES = 64
_differences: dict[tuple[bytes, bytes], list[str]] = {}

# Only what callers say counts: no settings of the person or the machine, and whose folder it is was decided by who
# named it.
for _level in (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL, ConfigLevel.PROGRAMDATA):
    pygit2.settings.search_path[_level] = ""
pygit2.settings.owner_validation = False
# A mirror has a pack for each fetch, up to some fifty: of a thousand mirrors they would be more files than a process
# may have open. What is over this is closed, the oldest first, and opened again where it is needed.
pygit2.settings.mwindow_file_limit = 256


class Move(StrEnum):
    """How a branch went from one commit to another."""

    SAME = "same"
    FORWARD = "forward"
    REWRITTEN = "rewritten"


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """One commit. ``subject`` is the first line of its message, as it was written; ``time`` is the committer's, with
    its zone."""

    id: str
    subject: str
    author: str
    email: str
    time: datetime
    committer: str
    message: str
    parents: tuple[str, ...]


@functools.lru_cache(maxsize=1)
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="git")


async def on_git_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``work`` on the one thread that libgit2 has in a process with a loop."""
    return await asyncio.get_running_loop().run_in_executor(_thread(), functools.partial(work, *args, **kwargs))


class Store:
    """The repository in ``folder``. Raises GitRefused (cause "store") where there is none."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        try:
            self.repository = pygit2.Repository(folder)
        except pygit2.GitError:
            raise GitRefused(
                f"{folder} is not a Git repository", cause="store", hint="name the folder that git init made"
            ) from None
        # Per path: a commit that was asked for, the blob there, and the answer.
        self._known: dict[str, tuple[str, str]] = {}

    def has(self, commit: str) -> bool:
        """Whether the commit is here, and a commit."""
        try:
            return isinstance(self.repository.get(commit), pygit2.Commit)
        except (ValueError, pygit2.GitError):
            return False

    def commit(self, commit: str) -> pygit2.Commit:
        """Raises GitRefused (cause "commit") where it is not here."""
        try:
            found = self.repository.get(commit)
        except (ValueError, pygit2.GitError):
            found = None
        if not isinstance(found, pygit2.Commit):
            raise GitRefused(
                f"there is no commit {commit[:40]!r} here", cause="commit", hint="fetch it first, or name another"
            )
        return found

    def resolve(self, ref: str) -> str | None:
        """The commit that a full ref name, ``HEAD`` or a commit id stands for; None where there is none."""
        try:
            found = self.repository.revparse_single(ref)
            return str(found.peel(pygit2.Commit).id)
        except (KeyError, ValueError, pygit2.GitError):
            return None

    def set_ref(self, ref: str, commit: str) -> None:
        """Point a ref of our own somewhere, wherever it was. Raises GitUnavailable (cause "disk")."""
        try:
            self.repository.references.create(ref, commit, force=True)
        except pygit2.GitError as error:
            raise GitUnavailable(f"a ref can't be written in {self.folder}", cause="disk", hint=str(error)) from error

    def tips(self, most: int) -> list[str]:
        """Commits that refs of ours lead to, at most so many."""
        found: dict[str, None] = {}
        for name in self.repository.references:
            if len(found) < most and (commit := self.resolve(name)) is not None:
                found[commit] = None
        return list(found)

    def whole(self, commit: str, most: int = 50_000) -> bool:
        """Whether all is here that leads to a commit, but for what refs of ours lead to already: every commit, folder
        and file. False too where that can't be told by looking at ``most`` entries."""
        left = most
        try:
            walker = self.repository.walk(self.commit(commit).id)
            for tip in self.tips(1000):
                walker.hide(pygit2.Oid(hex=tip))
            for each in walker:
                parent = self._first_parent(each)
                left = self._whole(parent.tree.id.raw if parent is not None else None, each.tree.id.raw, left, 0)
                if left <= 0:
                    return False
        except (KeyError, ValueError, pygit2.GitError, GitRefused):
            return False
        return True

    def _whole(self, known: bytes | None, folder: bytes, left: int, depth: int) -> int:
        """Looks at what is in a folder and not in the one before. Raises KeyError where something is missing. Returns
        how many entries may still be looked at."""
        before, after = differences(read_folder(self.repository, known), read_folder(self.repository, folder))
        left -= len(after) + 1
        for name, entry in after.items():
            if left <= 0 or depth > DEEPEST:
                return 0
            if entry.is_module:
                continue
            if pygit2.Oid(raw=entry.id) not in self.repository.odb:
                raise KeyError(entry.id.hex())
            if entry.is_folder:
                other = before.get(name)
                left = self._whole(
                    other.id if other is not None and other.is_folder else None, entry.id, left, depth + 1
                )
        return left

    def describe(self, commit: str) -> CommitInfo:
        """Who wrote a commit, when, and what it says. Raises GitRefused."""
        return _info(self.commit(commit))

    def moved(self, old: str, new: str) -> Move:
        """How a branch that was at ``old`` got to ``new``. An ``old`` that is not here any more is a rewritten
        history."""
        if old == new:
            return Move.SAME
        self.commit(new)
        if not self.has(old):
            return Move.REWRITTEN
        return Move.FORWARD if self.repository.descendant_of(new, old) else Move.REWRITTEN

    def log(self, old: str | None, new: str, *, limit: int = 100) -> list[CommitInfo]:
        """The commits in ``new`` that are not in ``old``, newest first, at most ``limit``."""
        walker = self.repository.walk(self.commit(new).id, pygit2.enums.SortMode.TOPOLOGICAL)
        if old is not None and self.has(old):
            walker.hide(pygit2.Oid(hex=old))
        found: list[CommitInfo] = []
        for commit in walker:
            if len(found) >= limit:
                break
            found.append(_info(commit))
        return found

    def changed_paths(self, old: str | None, new: str) -> list[str]:
        """The paths whose content or mode differs between two commits, sorted. Without ``old``, all of ``new``. Raises
        GitRefused (cause "commit", "store") where one is not here."""
        before = self.commit(old).tree.id.raw if old is not None else None
        key = (before or b"", self.commit(new).tree.id.raw)
        if key not in _differences:
            try:
                _differences[key] = sorted(changed_paths(self.repository, before, key[1]))
            except KeyError as error:
                raise GitRefused(
                    f"the folder {str(error.args[0])[:40]} of the commit {new[:7]} is missing here",
                    cause="store",
                    hint="fetch it again; if that does not help, git fsck at its origin",
                ) from None
            while len(_differences) > _REMEMBERED_DIFFERENCES:
                del _differences[next(iter(_differences))]
        return _differences[key]

    def last_changed(self, commit: str, paths: Iterable[str]) -> dict[str, str]:
        """Per path that is a file there, the commit on the first-parent line that made it what it is.

        Looked for at most 2,000 commits back; what is older is told as changed by the oldest commit looked at.
        """
        here = self.commit(commit)
        start = str(here.id)
        waiting: set[str] = set()
        found: dict[str, str] = {}
        for path in paths:
            if _blob(here.tree, path) is not None:
                waiting.add(path)
        # Answers known at a commit stand from there on, so a new tip costs the commits since the last one.
        known: dict[str, dict[str, str]] = {}
        for path in waiting:
            if path in self._known:
                at, answer = self._known[path]
                known.setdefault(at, {})[path] = answer
        for _ in range(FURTHEST):
            for path, answer in known.get(str(here.id), {}).items():
                if path in waiting:
                    found[path] = answer
                    waiting.discard(path)
            parent = self._first_parent(here)
            if not waiting or parent is None:
                break
            for path in waiting & changed_paths(self.repository, here.tree.id.raw, parent.tree.id.raw):
                found[path] = str(here.id)
                waiting.discard(path)
            here = parent
        found.update(dict.fromkeys(waiting, str(here.id)))
        if len(self._known) + len(found) > _REMEMBERED_PATHS:
            self._known.clear()
        self._known.update((path, (start, answer)) for path, answer in found.items())
        return found

    def _first_parent(self, commit: pygit2.Commit) -> pygit2.Commit | None:
        parents = commit.parent_ids
        found = self.repository.get(parents[0]) if parents else None
        return found if isinstance(found, pygit2.Commit) else None


def _blob(tree: pygit2.Tree, path: str) -> str | None:
    try:
        found = tree[path]
    except KeyError:
        return None
    return str(found.id) if not isinstance(found, pygit2.Tree) else None


def _info(commit: pygit2.Commit) -> CommitInfo:
    message = _text(commit.raw_message)
    zone = timezone(timedelta(minutes=commit.commit_time_offset)) if abs(commit.commit_time_offset) < 24 * 60 else UTC
    try:
        when = datetime.fromtimestamp(commit.commit_time, zone)
    except (OverflowError, ValueError, OSError):
        when = datetime.fromtimestamp(0, UTC)
    return CommitInfo(
        id=str(commit.id),
        subject=message.strip().split("\n", 1)[0].strip(),
        author=_text(commit.author.raw_name),
        email=_text(commit.author.raw_email),
        time=when,
        committer=_text(commit.committer.raw_name),
        message=message,
        parents=tuple(str(parent) for parent in commit.parent_ids),
    )


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="replace")
