"""``ports.Ledger``: events into the queue on disk, once each, and from there to the ref in Git.

``app.py`` makes one for the cluster's ledger and keeps ``run`` running. ``record`` returns when the line is with the
operating system, or in memory while the disk takes none; an id that was seen lately is not kept again, and what finds
no room is counted and told by the next event that does. Batches are pushed in order, one at a time, by whoever holds
the Lease: a batch leaves the disk when it is known to be on the remote. Where nothing happens nothing is pushed and
nothing is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import structlog

from windlass.adapters.host.files import explain
from windlass.adapters.ledger.journal import LIMIT, Batch, Journal
from windlass.adapters.ledger.remote import LedgerRemote
from windlass.core.model import events
from windlass.core.model.events import Applied, Event, Lost, Planned, Rewritten
from windlass.errors import WindlassError
from windlass.ports import Clock, LedgerPlace

log = structlog.get_logger("windlass")

REMEMBERED = 50_000
"""Ids of the newest events, against telling them twice."""
SOON = 1.0
"""Seconds in which what is severe is gathered before it is pushed."""
SYNC = 0.5
"""Seconds after which what was appended outlasts a power cut too."""
AGAIN = 5.0
"""Seconds between two tries to write what the disk did not take."""
LONGEST = 60.0
"""Seconds between two tries while the remote is away."""


class LedgerWriter:
    """The queue in ``folder``, which belongs to this process. ``may`` says whether this process is the one writer;
    ``report`` hears when the tip or the trouble is another. Raises FileNotWritable where what waits can't be read."""

    def __init__(
        self,
        cluster: str,
        folder: Path,
        clock: Clock,
        *,
        may: Callable[[], bool] = lambda: True,
        report: Callable[[], None] = lambda: None,
        local: bool = False,
        limit: int = LIMIT,
    ) -> None:
        self._cluster = cluster
        self._folder = folder
        self._clock = clock
        self._may = may
        self._report = report
        self._local = local
        self._journal = Journal(folder / "queue", limit=limit)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lost: list[Event] = []
        self._lost_counts: dict[str, int] = {}
        self._place: LedgerPlace | None = None
        self._remote: LedgerRemote | None = None
        self._refused: WindlassError | None = None
        self._interval = 30.0
        self._due: float | None = None
        self._not_before = 0.0
        self._failures = 0
        self._changed = asyncio.Event()
        self._appended = asyncio.Event()
        self._pushing = asyncio.Lock()
        self._told = False
        self.pushes = 0
        self.recorded = 0
        self.unfinished: dict[str, str] = {}
        for event in filter(None, map(readable, self._journal.lines())):
            self._remember(event)
        if self._journal.size:
            self._due = clock.monotonic()
        self._tell_disk()

    @property
    def trouble(self) -> WindlassError | None:
        return self._journal.trouble or self._refused

    @property
    def tip(self) -> tuple[str, str]:
        tip = self._remote.tip if self._remote is not None else None
        return (tip.ref, tip.commit) if tip is not None else ("", "")

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._journal.size

    @property
    def held(self) -> int:
        """Bytes of those that are in memory only."""
        return self._journal.held

    def record(self, event: Event) -> None:
        if event.id in self._known:
            return
        if self._lost and not self._tell_lost():
            self._lose(event)
        elif self._journal.append(events.encode(event)):
            self._know(event.id)
            self.recorded += 1
        else:
            self._lose(event)
        self._tell_disk()
        self._appended.set()
        due = self._clock.monotonic() + (min(SOON, self._interval) if event.severe else self._interval)
        if self._due is None or due < self._due:
            self._due = due
            self._changed.set()

    def aim(self, place: LedgerPlace | None, interval: float, last: tuple[str, str] = ("", "")) -> None:
        self._interval = interval
        if place == self._place:
            return
        self._place, self._remote, self._refused = place, None, None
        if place is not None:
            try:
                self._remote = LedgerRemote(
                    self._cluster,
                    self._folder / "git",
                    place,
                    self._clock,
                    may=self._may,
                    rewritten=self._tell_rewritten,
                    local=self._local,
                    last=last,
                )
            except WindlassError as error:
                self._refused = error
        self._failures, self._not_before = 0, 0.0
        if self._journal.size:
            self._due = self._clock.monotonic()
        self._changed.set()

    # --- work --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Pushes when it is time, and syncs the disk. Runs until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sync_often())
            tasks.create_task(self._push_often())

    async def recall(self) -> None:
        if self._remote is None:
            return
        waiting = list(filter(None, map(readable, self._journal.lines())))
        try:
            told = await self._remote.recall(str(self._clock.now().year))
        except WindlassError as error:
            log.warning("ledger not read", error=str(error))
            return
        for event in [*told, *waiting]:
            self._remember(event)

    async def push(self) -> None:
        """Brings everything that waits to the remote. Raises GitUnavailable, GitRefused, LeadershipLost."""
        async with self._pushing:
            while self._remote is not None and self._may():
                if self._lost:
                    self._tell_lost()
                batch = self._journal.finish()
                if batch is None:
                    return
                remote, before = self._remote, self.tip
                content = await asyncio.to_thread(self._content, batch)
                if content:
                    await remote.push(content)
                self._journal.drop(batch)
                self.pushes += 1
                if self.tip != before:
                    self._report()

    async def close(self, timeout: float = 10.0) -> None:
        """The last push of a process that ends, as far as there is time. What is left, and what is told after it, waits
        on disk: the queue stays open."""
        try:
            async with asyncio.timeout(timeout):
                await self.push()
        except (WindlassError, TimeoutError) as error:
            log.warning("ledger not pushed at the end", waiting=self.size, error=str(error))
        self._journal.sync()

    async def _push_often(self) -> None:
        while True:
            await self._until_due()
            before = self._refused
            self._due = None
            disk: WindlassError | None = None
            try:
                await self.push()
            except WindlassError as error:
                self._refused = error
                self._failures += 1
                wait = min(max(self._interval, 1.0) * 2.0 ** min(self._failures - 1, 10), LONGEST)
                self._due = self._not_before = self._clock.monotonic() + wait
                log.warning("ledger not pushed", error=str(error), waiting=self.size, seconds=round(wait, 1))
            else:
                self._refused, self._failures, disk = None, 0, self._journal.trouble
            self._tell_disk()
            if disk is not None:
                # Of what waits, nothing may be new: nobody else would wake it.
                self._due = self._not_before = self._clock.monotonic() + AGAIN
            if (before is None) != (self._refused is None):
                self._report()

    async def _until_due(self) -> None:
        while True:
            self._changed.clear()
            left: float | None = None
            if self._due is not None and self._remote is not None:
                left = max(self._due, self._not_before) - self._clock.monotonic()
                if left <= 0:
                    return
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _sync_often(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN if self._journal.trouble is not None else None):
                    await self._appended.wait()
            await asyncio.sleep(SYNC)
            self._appended.clear()
            if self._lost:
                self._tell_lost()
            self._journal.settle()
            await asyncio.to_thread(self._journal.sync)
            self._tell_disk()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _tell_disk(self) -> None:
        """That the disk takes nothing, and that it does again: once each."""
        trouble = self._journal.trouble
        if (trouble is not None) == self._told:
            return
        self._told = trouble is not None
        if trouble is not None:
            log.warning("ledger not on disk", error=str(trouble), hint=trouble.hint, held=self.held)
        else:
            log.info("ledger on disk again", waiting=self.size)
            # What failed for the disk's sake need not wait as long as for a remote that is away.
            self._failures, self._not_before, self._due = 0, 0.0, self._clock.monotonic()
            self._changed.set()
        self._report()

    def _content(self, batch: Batch) -> bytes:
        """The lines of a batch, safe on disk. What a power cut made of one is left out: it can't be read."""
        self._journal.sync()
        try:
            lines = batch.path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise explain(error, batch.path) from error
        return b"".join(line for line in lines if readable(line) is not None)

    def _remember(self, event: Event) -> None:
        """Takes in what an earlier process recorded."""
        self._know(event.id)
        if isinstance(event.data, Planned):
            self.unfinished[event.subject] = event.data.commit
        elif isinstance(event.data, Applied) and event.data.result == "applied":
            self.unfinished.pop(event.subject, None)

    def _know(self, identity: str) -> None:
        self._known[identity] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _tell_rewritten(self, data: Rewritten) -> None:
        log.warning("ledger rewritten", ref=data.ref, tip=data.tip, found=data.found, kept=data.kept)
        self.record(events.make(self._cluster, "", data, self._clock.now(), key=f"rewritten {data.ref} {data.tip}"))

    def _lose(self, event: Event) -> None:
        self._lost = [self._lost[0], event] if self._lost else [event]
        self._lost_counts[event.kind] = self._lost_counts.get(event.kind, 0) + 1

    def _tell_lost(self) -> bool:
        data = Lost(
            count=sum(self._lost_counts.values()),
            first=self._lost[0].time,
            last=self._lost[-1].time,
            counts=dict(self._lost_counts),
            why=self.trouble.what if self.trouble is not None else "the queue was full",
        )
        if not self._journal.append(events.encode(events.make(self._cluster, "", data, self._clock.now()))):
            return False
        self._lost, self._lost_counts = [], {}
        return True


def readable(line: bytes) -> Event | None:
    try:
        return events.decode(line)
    except ValueError:
        return None
