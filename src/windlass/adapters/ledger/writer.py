"""``ports.Ledger``: events into the queue on disk, once each.

``app.py`` makes one for each cluster's ledger. ``record`` returns when the line is with the operating system; an id
that was seen lately is not kept again, and what finds no room is counted and told by the next event that does.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from windlass.adapters.ledger.journal import LIMIT, Journal
from windlass.core.model import events
from windlass.core.model.events import Applied, Event, Lost, Planned
from windlass.errors import WindlassError
from windlass.ports import Clock

REMEMBERED = 50_000
"""Ids of the newest events, against telling them twice."""


class LedgerWriter:
    """The queue in ``folder``, which belongs to this process. Raises DiskFull, FileNotWritable where it can't be
    opened."""

    def __init__(self, cluster: str, folder: Path, clock: Clock, *, limit: int = LIMIT) -> None:
        self._cluster = cluster
        self._clock = clock
        self._journal = Journal(folder / "queue", limit=limit)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lost: list[Event] = []
        self._lost_counts: dict[str, int] = {}
        self.unfinished: dict[str, str] = {}
        for line in self._journal.lines():
            self._remember(line)

    @property
    def trouble(self) -> WindlassError | None:
        return self._journal.trouble

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._journal.size

    def record(self, event: Event) -> None:
        if event.id in self._known:
            return
        if self._lost and not self._tell_lost():
            self._lose(event)
            return
        if self._journal.append(events.encode(event)):
            self._know(event.id)
        else:
            self._lose(event)

    def close(self) -> None:
        self._journal.close()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _remember(self, line: bytes) -> None:
        """Takes in what an earlier process recorded."""
        try:
            event = events.decode(line)
        except ValueError:
            return
        self._know(event.id)
        if isinstance(event.data, Planned):
            self.unfinished[event.subject] = event.data.commit
        elif isinstance(event.data, Applied) and event.data.result == "applied":
            self.unfinished.pop(event.subject, None)

    def _know(self, identity: str) -> None:
        self._known[identity] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

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
