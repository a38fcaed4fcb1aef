"""From events to notices, for one Alert: what is open is told once, folded while it repeats, and told when it ends.

    begins            -> a notice, firing
    again while open  -> counted; told again only after ``repeat``
    ends              -> a notice, resolved, if it was told
    ends, not told    -> nothing (it began and ended in quiet hours)

``open`` is its whole memory and plain data, kept by the caller, so that a restart neither repeats nor forgets.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from windlass.core.alerts.notices import Notice, State, topic
from windlass.core.model.events import Event, stamp
from windlass.core.words.timeline import words

MOST = 1000
"""Occurrences that one Alert remembers as open; of more the oldest are forgotten, and their end is not told."""
_NEXT = {"drift": "windlass diff", "health": "windlass status", "sync": "windlass status"}


class Open(msgspec.Struct):
    """One occurrence that has not ended: since when, how often, when it was told last ("" never)."""

    since: str
    count: int = 0
    told: str = ""
    last: Notice | None = None


class Desk:
    """``open`` by the name of the occurrence. ``repeat`` None: what stays open is not told again."""

    def __init__(self, open_: dict[str, Open], repeat: timedelta | None) -> None:
        self.open = open_
        self._repeat = repeat

    def take(self, event: Event, now: datetime, *, quiet: bool) -> Notice | None:
        """The notice that an event leads to now. ``quiet``: only what is severe is told now, see ``after_quiet``."""
        found = topic(event)
        if found is None:
            return None
        if found.state is State.TOLD:
            notice = _notice(found.name, State.TOLD, event, event.time, 1)
            if not quiet or event.severe:
                return notice
            self.open[found.name] = Open(event.time, 1, "", notice)
            return None
        if found.state is State.RESOLVED:
            return self._end(found.name, event)
        one = self.open.setdefault(found.name, Open(event.time))
        one.count += 1
        one.last = _notice(found.name, State.FIRING, event, one.since, one.count)
        while len(self.open) > MOST:
            self.open.pop(next(iter(self.open)))
        return self._tell(one, now) if self._is_due(one, now) and (event.severe or not quiet) else None

    def after_quiet(self, now: datetime) -> Iterator[Notice]:
        """What began in quiet hours and is open still; and what is open for longer than ``repeat``."""
        for name, one in list(self.open.items()):
            if one.last is None or not self._is_due(one, now):
                continue
            if one.last.state is State.TOLD:
                del self.open[name]
                yield one.last
            else:
                yield self._tell(one, now)

    def next_due(self, now: datetime) -> datetime | None:
        """When something open is to be told again, None where nothing is."""
        if self._repeat is None:
            return None
        times = [datetime.fromisoformat(one.told) + self._repeat for one in self.open.values() if one.told]
        return max(min(times), now) if times else None

    def _is_due(self, one: Open, now: datetime) -> bool:
        if not one.told:
            return True
        return self._repeat is not None and now - datetime.fromisoformat(one.told) >= self._repeat

    def _tell(self, one: Open, now: datetime) -> Notice:
        one.told = stamp(now)
        assert one.last is not None
        return msgspec.structs.replace(one.last, count=one.count, id=f"{one.last.id}-{one.count}")

    def _end(self, name: str, event: Event) -> Notice | None:
        one = self.open.pop(name, None)
        if one is None or not one.told:
            return None
        return _notice(name, State.RESOLVED, event, one.since, one.count)


def _notice(name: str, state: State, event: Event, since: str, count: int) -> Notice:
    verb, text = words(event)
    word = name.removeprefix(event.subject).split(" ")[1] if " " in name else ""
    return Notice(
        id=event.id,
        topic=name,
        state=state,
        subject=event.subject,
        kind=event.kind,
        severe=event.severe,
        line=f"{verb} {text}".strip(),
        since=since,
        time=event.time,
        cluster=event.source.rpartition("/")[2],
        team=event.data.team,
        count=count,
        next=f"{_NEXT[word]} {event.subject}" if word in _NEXT else f"windlass log {event.subject}",
    )
