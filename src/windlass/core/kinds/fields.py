"""Forms that fields of several kinds share: durations, times, names, commits; and how flows read their values.

Refuses to guess: a duration without a unit or a short commit id is a mistake that is told, not completed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from windlass.core.kinds.shape import Form, Part, Says

DURATION = Form("(?:[0-9]{1,9}(?:ms|s|m|h))+", "a duration such as 30s, 5m or 2h", "30s", 40)
TIME = Form(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2}))?",
    "a date or a time with its zone, such as 2026-12-01 or 2026-12-01T08:00:00Z",
    "2026-12-01T08:00:00Z",
    40,
)
NAME = Form("[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?", "a name of lower-case letters, digits, - and .", "config", 253)
LABEL_NAME = Form("[a-z0-9](?:[-a-z0-9]*[a-z0-9])?", "a name of lower-case letters, digits and -", "shop", 63)
COMMIT = Form(
    "[0-9a-f]{40}|[0-9a-f]{64}",
    "a whole commit id (40 hexadecimal digits; `git rev-parse <commit>` prints it)",
    "3f2c1ab0c7d64ab2a1f0a4b5c6d7e8f901234567",
    64,
)
SHARE = Form("(?:100|[1-9]?[0-9])%", "a share from 0% to 100%", "30%", 4)
WORDS = Form(r"[^\x00-\x1f\x7f]+", "words on one line", "load test", 1024)

Duration = Annotated[str, DURATION]
Name = Annotated[str, NAME]
LabelName = Annotated[str, LABEL_NAME]
Commit = Annotated[str, COMMIT]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(duration: str) -> float:
    """``1h30m`` to 5400.0. The text was checked when its kind was read; anything else is a ValueError."""
    if re.fullmatch(DURATION.pattern, duration) is None:
        raise ValueError(f"{duration!r} is not a duration")
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall("([0-9]+)(ms|s|m|h)", duration))


def moment(text: str) -> datetime:
    """A TIME as an aware datetime; a date alone is its first instant in UTC. ValueError for a day that is none."""
    made = datetime.fromisoformat(text)
    return made.astimezone(UTC) if made.tzinfo else made.replace(tzinfo=UTC)


def stamp(now: datetime) -> str:
    """A time as Kubernetes writes it: UTC, whole seconds, ``Z``."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class SecretRef(Part, frozen=True):
    """A Secret in the namespace of the object that names it."""

    secret: Annotated[Name, Says("Name of a Secret in the same namespace.", "config-read")]
