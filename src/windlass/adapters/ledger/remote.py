"""The ledger's ref on a remote: one commit with one new file per batch, by compare-and-swap, never forced.

``writer.py`` pushes batches through it, one after another. A push whose answer was lost is looked up before it is made
again: the file's name is made from its content, so it is found where it arrived. A ref that somebody moved back or took
away is not fought over: the history that was there before is put under a ref beside it, told, and the new tip gone on
from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pygit2

from windlass.adapters.git import (
    Author,
    BranchMoved,
    Credentials,
    GitRefused,
    GitUnavailable,
    Mirror,
    Move,
    RefMissing,
    RefSpec,
    SigningKey,
    Store,
    Transport,
    add_files,
    mirror_folder,
    on_git_thread,
    push,
)
from windlass.core.model.events import Event, Rewritten
from windlass.core.record import layout
from windlass.errors import Where
from windlass.ports import Clock, LeadershipLost, LedgerPlace

TRIES = 5
TIDY = 200
"""Pushes after which the loose objects become a pack."""
TAIL = 300
"""Commits whose events are remembered after a start."""


@dataclass(frozen=True, slots=True)
class Tip:
    """Where a ref is."""

    ref: str
    commit: str


class LedgerRemote:
    """``may`` says whether this process is the one writer now; ``rewritten`` hears of a ref that somebody moved. Raises
    GitRefused for a place that can't be used."""

    def __init__(
        self,
        cluster: str,
        folder: Path,
        place: LedgerPlace,
        clock: Clock,
        *,
        may: Callable[[], bool],
        rewritten: Callable[[Rewritten], None],
        local: bool,
        last: tuple[str, str] = ("", ""),
    ) -> None:
        self._cluster = cluster
        self._place = place
        self._clock = clock
        self._may = may
        self._rewritten = rewritten
        self._last = last
        self._transport = Transport(timeout=120.0, allow_local=local)
        try:
            self._credentials = Credentials.from_secret(place.secret) if place.secret else None
            self._key = SigningKey.read(place.signing) if place.signing else None
        except GitRefused as error:
            raise error.at(Where(repository=place.repository, field="spec.write")) from error
        self._mirror = Mirror(
            mirror_folder(str(folder), "ledger", place.url), place.url, self._credentials, self._transport
        )
        self._tips: dict[str, str] = {}
        self._pushes = 0
        self.tip: Tip | None = None

    async def push(self, content: bytes) -> Tip:
        """Brings a batch there and returns the tip that holds it. Raises GitUnavailable and GitRefused; then it may
        have arrived or not, and the next call with the same content finds out."""
        path, shard = layout.path_of(content), layout.shard_of(content)
        spec = RefSpec(name=layout.ref_of(self._cluster, shard))
        for _ in range(TRIES):
            known = spec.name in self._tips
            tip = self._tips.get(spec.name) if known else await self._look(spec)
            store = await self._mirror.store()
            if not known and tip and await on_git_thread(_has, store, tip, path):
                return await self._landed(spec, tip)
            previous = await self._previous(spec, shard) if not tip else None
            commit = await on_git_thread(self._commit, store, tip, path, content, previous)
            if not self._may():
                raise LeadershipLost("another controller writes the ledger now")
            self._tips.pop(spec.name, None)  # until it is known how this ends
            try:
                await push(store, self._place.url, {spec.name: commit}, self._credentials, self._transport)
            except BranchMoved:
                continue
            return await self._landed(spec, commit)
        raise BranchMoved(f"{spec.name} goes on moving: others write it too", cause="moved")

    async def recall(self, shard: str) -> list[Event]:
        """The newest events of a shard, oldest first: from what is here, or else from the remote."""
        spec = RefSpec(name=layout.ref_of(self._cluster, shard))
        tip = await self._mirror.known(spec) or await self._look(spec)
        return await on_git_thread(_tail, await self._mirror.store(), tip) if tip else []

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _look(self, spec: RefSpec) -> str:
        """The tip of the ref on the remote, fetched here; "" where it begins. Keeps what somebody took out of it."""
        before = await self._mirror.known(spec)
        if not before and spec.name == self._last[0]:
            before = self._last[1]
        try:
            found = (await self._mirror.fetch(spec)).commit
        except RefMissing:
            found = ""
        store = await self._mirror.store()
        have = bool(before) and await on_git_thread(store.has, before)
        if not before or (found and have and await on_git_thread(store.moved, before, found) is not Move.REWRITTEN):
            return found
        if have and (not found or await on_git_thread(store.moved, found, before) is Move.FORWARD):
            # Taken away, or moved back: the next push goes on from what was there, and so brings all of it back.
            self._rewritten(Rewritten(ref=spec.name, tip=before, found=found))
            return before
        kept = f"{spec.name}-was-{before[:12]}" if have else ""
        if kept:
            await push(store, self._place.url, {kept: before}, self._credentials, self._transport)
        self._rewritten(Rewritten(ref=spec.name, tip=before, found=found, kept=kept))
        return found

    async def _landed(self, spec: RefSpec, commit: str) -> Tip:
        await self._mirror.pushed(spec, commit)
        self._tips[spec.name] = commit  # not before: where the disk takes no ref, the next push looks where it is
        self._pushes += 1
        if self._pushes % TIDY == 0:
            await self._mirror.tidy()
        self.tip = Tip(spec.name, commit)
        return self.tip

    async def _previous(self, spec: RefSpec, shard: str) -> layout.Previous | None:
        listed = await self._mirror.listed(layout.ref_of(self._cluster, "*"))
        ref = layout.older(list(listed), self._cluster, shard)
        return layout.Previous(ref, listed[ref]) if ref else None

    def _commit(
        self, store: Store, tip: str | None, path: str, content: bytes, previous: layout.Previous | None
    ) -> str:
        files, total = {path: content}, 0
        if tip:
            told = layout.trailers(store.describe(tip).message)
            total = told.total if told is not None else 0
        else:
            shard = layout.shard_of(content)
            files[layout.DESCRIPTOR] = layout.descriptor(self._cluster, shard, previous)
        author = Author(self._place.name, self._place.email, self._clock.now())
        text = layout.message(self._cluster, content, total, previous)
        try:
            return add_files(store, tip or None, files, text, author, key=self._key)
        except (pygit2.GitError, OSError) as error:
            # A full disk, mostly; libgit2 does not say it in a way that could be told apart.
            raise GitUnavailable(f"a commit can't be written into {store.folder}", cause="store") from error


def _has(store: Store, commit: str, path: str) -> bool:
    return path in store.commit(commit).tree


def _tail(store: Store, tip: str) -> list[Event]:
    batches: list[list[Event]] = []
    here: pygit2.Commit | None = store.commit(tip)
    while here is not None and len(batches) < TAIL:
        told = layout.trailers(here.message)
        if told is not None:
            try:
                batches.append(layout.events_of(here.tree[told.file].read_raw()))
            except (KeyError, ValueError):
                batches.append([])  # `windlass ledger verify` is who tells of it
        found = store.repository.get(here.parent_ids[0]) if here.parent_ids else None
        here = found if isinstance(found, pygit2.Commit) else None
    return [event for batch in reversed(batches) for event in batch]
