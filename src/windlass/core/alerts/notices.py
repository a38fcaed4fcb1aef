"""What an event means to people who are not looking: something began, something ended, or something simply happened.

``topic`` is the whole table: it gives the occurrence that an event belongs to, so that what ends closes what began. An
event that nobody waits for outside the ledger has none.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from windlass.core.model import events
from windlass.core.model.events import Event


class State(StrEnum):
    """What a notice says of its occurrence."""

    FIRING = "firing"
    RESOLVED = "resolved"
    TOLD = "told"  # it has no end: a rollback, an image that is held


class Topic(NamedTuple):
    """An occurrence: whose, what, and whether this event begins it, ends it or is all of it. ``whole`` ends every
    occurrence whose name begins with this one's."""

    name: str
    state: State
    whole: bool = False


class Notice(msgspec.Struct, frozen=True):
    """What is sent. ``count`` is how often it was told since ``since``; ``line`` is the log's sentence; ``next`` the
    command that tells more. ``id`` is the same when the same notice is sent again."""

    id: str
    topic: str
    state: State
    subject: str
    kind: str
    severe: bool
    line: str
    since: str
    time: str
    cluster: str
    team: str = ""
    count: int = 1
    next: str = ""


def topic(event: Event) -> Topic | None:
    """The occurrence of an event, None where it is for the record alone."""
    data, whose = event.data, event.subject
    match data:
        case events.DriftOpened():
            return Topic(f"{whose} drift {data.object} {data.field}", State.FIRING)
        case events.DriftClosed():
            return Topic(f"{whose} drift {data.object} {data.field}", State.RESOLVED)
        case events.HealthChanged():
            if data.health == "Degraded":
                return Topic(f"{whose} health", State.FIRING)
            return Topic(f"{whose} health", State.RESOLVED) if data.health == "Healthy" else None
        case events.Refused():
            return Topic(f"{whose} sync", State.FIRING) if not data.passing else None
        case events.Applied():
            if data.result == "partly applied":
                return Topic(f"{whose} sync", State.FIRING)
            return Topic(f"{whose} sync", State.RESOLVED) if data.result == "applied" else None
        case events.Held():
            return Topic(f"{whose} history", State.FIRING)
        case events.Fetched():
            return Topic(f"{whose} history", State.RESOLVED)
        case events.ImageMoved():
            return Topic(f"{whose} image {event.id}", State.TOLD)
        case events.RolledBack() | events.RolledForward():
            return Topic(f"{whose} rollback {event.id}", State.TOLD)
        case events.GlassBroken():
            return _glass(event, data.what)
        case events.ExceptionHeld() | events.ExceptionEnded():
            return Topic(f"{whose} exception {event.id}", State.TOLD)
        case events.Lost() | events.Rewritten():
            return Topic(f"ledger {event.id}", State.TOLD)
        case _:
            return None


def _glass(event: Event, what: str) -> Topic:
    """A pin in the cluster is open until it has ended, whoever put it into Git meanwhile."""
    if what == "refused":
        return Topic(f"{event.subject} break-glass {event.id}", State.TOLD)
    firing = what in ("pinned", "committed", "unrecorded")
    return Topic(f"{event.subject} break-glass", State.FIRING if firing else State.RESOLVED)
