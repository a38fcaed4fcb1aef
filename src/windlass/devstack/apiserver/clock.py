"""The wall clock of the API server, as the timestamps of objects need it. Everything else in the room gets time from
here.
"""

from __future__ import annotations

import datetime


def now() -> datetime.datetime:
    """The present in UTC."""
    return datetime.datetime.now(datetime.UTC)


def stamp(moment: datetime.datetime | None = None) -> str:
    """A moment (default: the present) as Kubernetes writes `metav1.Time`: whole seconds, UTC, ``Z``."""
    return (moment or now()).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds() -> float:
    """Seconds since the epoch."""
    return now().timestamp()


def at(moment: float) -> datetime.datetime:
    """The moment that is so many seconds after the epoch."""
    return datetime.datetime.fromtimestamp(moment, datetime.UTC)
