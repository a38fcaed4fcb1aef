"""Repositories: what their ref says now, who has to look again because of it, and what is not followed.

``Sources.look`` is called for a Repository at its interval, at once after a push hook, and after a change of its spec.
A remote that does not answer, whose history was rewritten, or whose commit is not signed as asked, changes nothing:
the last good commit stays. Of the Applications only those are woken whose render read something that the new commit
touched.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog

from windlass.adapters.git import CommitInfo, Credentials, Mirror, Move, RefSpec, Transport
from windlass.adapters.git.mirror import mirror_folder, mirror_folders, remove_folder
from windlass.core.kinds.fields import seconds
from windlass.core.kinds.repository import Repository
from windlass.core.model.events import Commit, stamp
from windlass.core.words.commits import approvals_of
from windlass.errors import NeedsHuman, TryLater, Where, WindlassError
from windlass.flows.fleet import ApplicationState, Fleet, Key, SourceState, roles
from windlass.flows.metrics import Metrics
from windlass.flows.queue import WorkQueue
from windlass.flows.readers import Readers
from windlass.flows.record import Recorder
from windlass.flows.secrets import SecretReader
from windlass.flows.signed import Signed
from windlass.flows.waiting import HistoryRewritten, NotSigned
from windlass.ports import Clock, Renderer

log = structlog.get_logger("windlass")
JITTER = 0.1
PIECE = 250
"""Applications that are woken between two turns of the loop."""
LEAST = 5.0
"""Seconds between two looks at a remote that refused."""
STORY = 50
STORIES = 32


class MirrorPlace(NamedTuple):
    """``folder`` holds a bare mirror for each Repository; it may be lost at any time. ``local`` allows ``file:``
    URLs."""

    folder: Path
    local: bool


class Sources:
    """``look`` is served by workers of ``app``; ``wake`` hears of an Application that a commit touches."""

    def __init__(
        self,
        fleet: Fleet,
        secrets: SecretReader,
        renderer: Renderer,
        clock: Clock,
        queue: WorkQueue[Key],
        place: MirrorPlace,
        *,
        wake: Callable[[Key], None],
        report: Callable[[SourceState], None],
        metrics: Metrics,
        record: Recorder,
    ) -> None:
        self._fleet = fleet
        self._secrets = secrets
        self._renderer = renderer
        self._clock = clock
        self._queue = queue
        self._place = place
        self._wake = wake
        self._report = report
        self._metrics = metrics
        self._record = record
        self._stories: dict[tuple[Key, str, str], list[tuple[CommitInfo, list[str]]]] = {}
        self._telling = asyncio.Lock()
        self._mirrors: dict[Key, tuple[tuple[str, Credentials | None], Mirror]] = {}
        self._signed = Signed()

    async def look(self, key: Key) -> None:
        """One look at one Repository. Raises nothing of the two families: they become its status."""
        state = self._fleet.sources.get(key)
        if state is None:
            await self._remove(key)
            return
        state.ledger_only = key == self._fleet.ledger and not any(self._fleet.users_of(key))
        if state.written is None or state.invalid is not None or state.ledger_only:
            self._report(state)
            return
        try:
            await self._look(state, state.written)
        except WindlassError as error:
            self._metrics.fetches.labels("failed").inc()
            news = state.error is None or state.error.what != error.what
            state.error = error.at(Where(repository=str(key)))
            if news:
                log.warning("repository", repository=str(key), error=str(error))
                if state.held:
                    self._record.held(state, error)
                self._wake_waiting(state)
            interval = seconds(state.written.spec.interval)
            if isinstance(error, TryLater):
                self._queue.retry(key, cap=max(30.0, interval))
            else:
                # A person must act; the remote does not say when somebody did. No login is tried by the second.
                self._queue.add_after(key, max(interval, LEAST))
        else:
            if state.error is not None:
                log.info("repository", repository=str(key), commit=state.commit, text="reached again")
                state.error = None
            self._queue.forget(key)
            interval = seconds(state.written.spec.interval)
            self._queue.add_after(key, interval * (1.0 + JITTER * random.random()))  # noqa: S311 - spreads load
        self._report(state)

    def gone(self, key: Key) -> None:
        """The Repository was deleted. Its Applications keep what runs; nothing new comes."""
        self._queue.drop(key)
        self._queue.add(key)  # its mirror goes, once nobody works on it
        for application in self._fleet.users_of(key):
            self._wake(application.key)

    async def sweep(self) -> None:
        """Once, at a start: mirrors of Repositories that were deleted or moved while nobody looked go."""
        if any(state.written is None for state in self._fleet.sources.values()):
            return  # whose mirror is whose can't be told
        root = str(self._place.folder)
        kept = {
            mirror_folder(root, f"{key}{use}", state.written.spec.url)
            for key, state in self._fleet.sources.items()
            for use in ("", "#write")
            if state.written is not None
        }
        for folder in await asyncio.to_thread(mirror_folders, root):
            if folder not in kept:
                log.info("mirror removed", folder=folder)
                await asyncio.to_thread(remove_folder, folder)

    async def _remove(self, key: Key) -> None:
        known = self._mirrors.pop(key, None)
        if known is not None:
            log.info("mirror removed", repository=str(key))
            await known[1].remove()

    async def _look(self, state: SourceState, written: Repository) -> None:
        began = self._clock.monotonic()
        mirror = await self._mirror(state, written)
        ref = written.spec.ref
        spec = RefSpec(branch=ref.branch, tag=ref.tag, semver=ref.semver, commit=ref.commit)
        if not state.commit:
            # The process before this one may have died before it told: its mirror knows what it had followed, or what
            # it did not follow.
            state.commit = await self._signed.acceptable(mirror, written.spec.verify, await mirror.last(spec))
        if not state.folder and state.commit and await mirror.has(state.commit):
            # Git may be away at a start: what was fetched before it says what is wanted.
            state.folder = str(mirror.folder)
        fetched = await mirror.fetch(spec)
        self._metrics.fetches.labels("ok").inc()
        if state.written is not written:
            # Another spec came while this was fetched (and another look with it): the answer is to an old question.
            return
        state.folder = str(mirror.folder)
        verify = written.spec.verify
        if fetched.commit == state.commit and state.fetched_at is not None and state.judged == verify:
            state.held, state.followed = "", written.spec.ref
            return
        if state.commit and fetched.commit != state.commit:
            await self._check_history(state, written, mirror, fetched.commit)
        try:
            state.signature = await self._signed.check(mirror, verify, state.commit, fetched.commit)
        except NotSigned:
            state.held = fetched.commit
            raise
        state.judged = verify
        state.followed = written.spec.ref
        await self._advance(state, written, mirror, fetched.commit, began)

    async def _check_history(self, state: SourceState, written: Repository, mirror: Mirror, commit: str) -> None:
        """Raises where the ref moved backwards or sideways and Git does not say that this is meant."""
        # Only a branch promises to move forward; a tag, a range or a commit is named anew by a person in the spec.
        follows = not (written.spec.ref.tag or written.spec.ref.semver or written.spec.ref.commit)
        if not follows or written.spec.history.rewritten == "accept":
            return
        if state.followed is not None and state.followed != written.spec.ref:
            return  # a person named another branch: it need not come from the one before
        if await mirror.moved(state.commit, commit) is not Move.FORWARD:
            state.held = commit
            raise HistoryRewritten(state.commit, commit)

    async def _advance(
        self, state: SourceState, written: Repository, mirror: Mirror, commit: str, began: float
    ) -> None:
        old = state.commit
        if state.fetched_at is None or old != commit:
            info = await mirror.describe(commit)
            state.subject, state.author = info.subject, info.author
        else:
            info = None
        changed = await mirror.changed_paths(old, commit) if old and old != commit else None
        if state.written is not written:
            return  # another spec came, and with it perhaps another remote: its own look goes on from there
        state.commit, state.held = commit, ""
        if old != commit or state.fetched_at is None:
            state.fetched_at = self._clock.now()
        if info is not None:
            self._record.fetched(state, told(info, state.signature), old, len(changed or ()))
        woken = await self._spread(state, old, commit, changed)
        log.info(
            "fetched",
            repository=str(state.key),
            commit=commit,
            subject=state.subject,
            changed=None if changed is None else len(changed),
            applications=woken,
            seconds=round(self._clock.monotonic() - began, 4),
        )

    async def _spread(self, state: SourceState, old: str, commit: str, changed: list[str] | None) -> int:
        """Wakes whom the commit touches, and of whom that is not known. Returns how many they are.

        The others stand at the new commit from here on: nobody looks between that and the list of those to wake.
        """
        readers = self._fleet.readers.setdefault(state.key, Readers())
        if changed is None or readers.commit != old:
            readers.reset(commit)
        else:
            _ = readers.move(commit, self._renderer.touches(changed))
        unsettled = readers.others(self._fleet.users.get(state.key, set()))
        users = [user for key in unsettled if (user := self._fleet.applications.get(key)) is not None]
        woken = 0
        for first in range(0, len(users), PIECE):
            for user in users[first : first + PIECE]:
                if user.written is not None and roles(user.written, state.key):
                    woken += 1
                    self._wake(user.key)
            await asyncio.sleep(0)
        return woken

    def _wake_waiting(self, state: SourceState) -> None:
        """Applications that have nothing yet tell why: their Repository's error is their own."""
        for user in self._fleet.users_of(state.key):
            if user.rendered is None:
                self._wake(user.key)

    # --- who wrote what is deployed ----------------------------------------------------------------------------------

    async def story(self, state: ApplicationState, old: str, new: str) -> list[Commit]:
        """The commits that led from one to another and touch what the Application reads, newest first, at most
        ``STORY``; the new one alone where nothing can be told. Raises GitRefused, GitUnavailable."""
        source = state.linked.source
        known = self._mirrors.get(source) if source is not None else None
        if known is None or source is None:
            return []
        mirror, key = known[1], (source, old, new)
        async with self._telling:  # those that a commit touches ask all at once
            if key not in self._stories:
                while len(self._stories) >= STORIES:
                    del self._stories[next(iter(self._stories))]
                self._stories[key] = await self._between(mirror, old, new)
            between = self._stories[key]
        read = state.rendered.read if state.rendered is not None and old else {}
        touching = [info for info, changed in between if not self._renderer.touches(changed).isdisjoint(read)]
        # Where none of them touches it (a pin, another path, the first time) the commit itself is what can be told.
        chosen = touching or [between[0][0]]
        asked = self._fleet.sources.get(key[0])
        verify = asked.written.spec.verify if asked is not None and asked.written is not None else None
        names = await self._signed.names(mirror, verify, [info.id for info in chosen])
        return [told(info, names.get(info.id, "")) for info in chosen]

    async def _between(self, mirror: Mirror, old: str, new: str) -> list[tuple[CommitInfo, list[str]]]:
        """The commits from one to another with the paths they change, newest first, and the newest in any case."""
        infos = await mirror.log(old, new, limit=STORY) if old else []
        return [
            (info, await mirror.changed_paths(info.parents[0] if info.parents else None, info.id)) for info in infos
        ] or [(await mirror.describe(new), [])]

    async def _mirror(self, state: SourceState, written: Repository) -> Mirror:
        """The mirror, made anew when the URL or the credentials changed."""
        spec = written.spec
        credentials: Credentials | None = None
        if spec.read is not None:
            fresh = state.error is not None
            secret = await self._secrets.read(state.key.namespace, spec.read.secret, fresh=fresh)
            credentials = Credentials.from_secret(secret)
        known = self._mirrors.get(state.key)
        mark = (spec.url, credentials)
        if known is not None and known[0] == mark:
            return known[1]
        folder = mirror_folder(str(self._place.folder), str(state.key), spec.url)
        try:
            mirror = Mirror(folder, spec.url, credentials, Transport(allow_local=self._place.local))
        except NeedsHuman as error:
            raise error.at(Where(field="spec.url")) from error
        self._mirrors[state.key] = (mark, mirror)
        if known is not None and known[1].folder != mirror.folder:
            await known[1].remove()  # of another address: nothing of it can be reached any more
        return mirror


def told(info: CommitInfo, signer: str = "") -> Commit:
    """A commit as evidence."""
    return Commit(
        id=info.id,
        subject=info.subject[:200],
        author=info.author[:100],
        email=info.email[:100],
        time=stamp(info.time),
        signer=signer,
        approvals=tuple(approvals_of(info.message)),
    )
