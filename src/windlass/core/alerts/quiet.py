"""Quiet hours: times of the week in which only what is severe is sent at once; the rest waits for their end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MINUTES = 24 * 60


class Quiet(msgspec.Struct, frozen=True):
    """From one time of the day to another, over midnight where the end is the smaller. ``days`` are those on which it
    begins; none are all of them."""

    start: str
    end: str
    days: tuple[str, ...] = ()
    zone: str = "UTC"


def is_quiet(hours: Iterable[Quiet], now: datetime) -> datetime | None:
    """When the quiet ends that it is in now; None where it is in none."""
    ends = [end for one in hours if (end := _end(one, now)) is not None]
    return max(ends) if ends else None


def _end(one: Quiet, now: datetime) -> datetime | None:
    local = now.astimezone(ZoneInfo(one.zone))
    start, end = _minute(one.start), _minute(one.end)
    length = (end - start) % MINUTES or MINUTES
    for back in (0, 1):
        day = local - timedelta(days=back)
        if one.days and DAYS[day.weekday()] not in one.days:
            continue
        began = day.replace(hour=start // 60, minute=start % 60, second=0, microsecond=0)
        finish = began + timedelta(minutes=length)
        if began <= local < finish:
            return finish.astimezone(now.tzinfo)
    return None


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)
