"""The one way into Git: intents become a commit on the branch's tip, pushed by compare-and-swap, never by force.

Commands and flows call ``Writer.write``. Each try begins at the tip as it is now: what others pushed meanwhile is
read, and the edits are computed again from it, never rebased. An answer that was lost is looked up first: a commit
carries its intents' ``Intent-Id``, so no intent is committed twice. Several intents for one branch make one commit; one
that can't be carried out is told with its error and stops no other. With ``allowed`` (the controller's own writes) a
path outside of it is refused.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from typing_extensions import override

from windlass.adapters.git import BranchMoved, GitUnavailable, PushUnknown, Upstream
from windlass.core.edits import Intent, apply, check_fence
from windlass.core.words.commits import intents_of, message_of
from windlass.errors import NeedsHuman, Where, WindlassError
from windlass.ports import Clock

log = structlog.get_logger("windlass")
TRIES = 60
"""A push that comes second means that another one landed: twenty writers at once need at most twenty tries each."""
FIRST, LONGEST = 0.05, 2.0
"""Seconds between two tries: the first, and the most."""
LOOKED_BACK = 2000
"""So many commits back an intent is looked for that may have been carried out before."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one intent. ``result``: "written" (by this commit), "already" (an earlier commit carries it),
    "unchanged" (all was so), "refused" (``error`` says why)."""

    intent: Intent
    result: str
    commit: str = ""
    files: tuple[str, ...] = ()
    error: NeedsHuman | None = None


@dataclass(slots=True)
class _Work:
    """One call of ``write``: what is left to do, and what became of the rest."""

    waiting: list[Intent]
    done: dict[str, Written] = field(default_factory=dict)

    def settle(self, intent: Intent, written: Written) -> None:
        self.done[intent.id] = written
        self.waiting = [one for one in self.waiting if one.id != intent.id]


class Overlay(Mapping[str, bytes]):
    """The files of a commit with edits over them."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self.edits: dict[str, bytes | None] = {}

    @override
    def __getitem__(self, path: str) -> bytes:
        if path not in self.edits:
            return self._files[path]
        data = self.edits[path]
        if data is None:
            raise KeyError(path)
        return data

    @override
    def __iter__(self) -> Iterator[str]:
        taken = {path for path, data in self.edits.items() if data is None}
        added = [path for path, data in self.edits.items() if data is not None and path not in self._files]
        return iter([*(path for path in self._files if path not in taken), *added])

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)


class Writer:
    """Writes to one branch of one repository. ``allowed`` None: a person's own commit, which has no fence."""

    def __init__(
        self, upstream: Upstream, clock: Clock, *, repository: str, allowed: Sequence[str] | None = None
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        self._repository = repository
        self._allowed = allowed

    async def write(self, intents: Sequence[Intent], *, once: bool = False) -> list[Written]:
        """Carries the intents out and says what became of each, in their order. ``once``: they may have been carried
        out before this process, so the history is asked first.

        Raises GitRefused (a right, a protected branch) and GitUnavailable; then none of the intents that are not told
        as done by a later call was carried out, but for one whose push's answer never came: ask again with ``once``.
        """
        work = _Work(list(intents))
        base: str | None = None
        last: GitUnavailable | None = None
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(min(LONGEST, FIRST * 2.0 ** min(attempt, 8)) * random.uniform(0.2, 1.0))  # noqa: S311
            tip = await self._upstream.tip()
            if base is not None or once:
                await self._look_up(work, base, tip)
            base = tip
            files, edits = await self._edits(work, tip)
            if not edits:
                break
            try:
                await self._push(work, tip, files, edits)
                break
            except (BranchMoved, PushUnknown) as error:
                log.info("push again", repository=self._repository, attempt=attempt + 1, why=error.reason)
                last = error
        else:
            assert last is not None
            raise last
        return [work.done[one.id] for one in intents]

    async def _look_up(self, work: _Work, base: str | None, tip: str) -> None:
        """Settles what the commits since ``base`` carry already."""
        for commit in await self._upstream.log(base, tip, LOOKED_BACK):
            carried = intents_of(commit.message)
            for intent in [one for one in work.waiting if one.id in carried]:
                # Ours, from a push whose answer was lost, or an earlier process'.
                work.settle(intent, Written(intent, "written" if base is not None else "already", commit.id))

    async def _edits(self, work: _Work, tip: str) -> tuple[dict[str, tuple[str, ...]], dict[str, bytes | None]]:
        """What the intents come to at this tip: the files of each, and all edits together."""
        over = Overlay(await self._upstream.files(tip))
        files: dict[str, tuple[str, ...]] = {}
        for intent in list(work.waiting):
            try:
                edits = apply(intent, over)
                if self._allowed is not None:
                    check_fence(edits, self._allowed, self._repository)
            except NeedsHuman as error:
                error.at(Where(commit=tip, repository=self._repository))
                work.settle(intent, Written(intent, "refused", error=error))
                continue
            if edits:
                over.edits.update(edits)
                files[intent.id] = tuple(sorted(edits))
            else:
                work.settle(intent, Written(intent, "unchanged", tip))
        return files, over.edits

    async def _push(
        self, work: _Work, tip: str, files: Mapping[str, tuple[str, ...]], edits: Mapping[str, bytes | None]
    ) -> None:
        message = message_of(work.waiting)
        made = await self._upstream.commit(tip, edits, message, self._clock.now())
        try:
            await self._upstream.push(made)
        except WindlassError as error:
            error.at(Where(repository=self._repository))
            raise
        log.info("pushed", repository=self._repository, commit=made, intents=[one.id for one in work.waiting])
        for intent in list(work.waiting):
            work.settle(intent, Written(intent, "written", made, files[intent.id]))
