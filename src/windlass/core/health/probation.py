"""Whether a commit that was applied is to be rolled back by itself: a question of times, asked by ``flows/rollback``.

A commit has until ``within`` after its apply to become Healthy. Until then nothing is done but told; at that moment it
is rolled back if the Application has been Degraded with it and is not Healthy. After it, what breaks is not taken for
the commit's doing any more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from windlass.core.model import HealthStatus

SLACK = timedelta(minutes=2)
"""So long after its moment a rollback is still made: a controller may have been away just then."""


class Verdict(msgspec.Struct, frozen=True):
    """``due``: roll back now. Else ``at`` is when that will be decided, None where it will not be."""

    due: bool = False
    at: datetime | None = None


def judge(applied: datetime, within: float, health: HealthStatus, *, degraded: bool, now: datetime) -> Verdict:
    """``degraded``: it is, or has been since it was applied."""
    end = applied + timedelta(seconds=within)
    if health in (HealthStatus.HEALTHY, HealthStatus.SUSPENDED) or not degraded or now > end + SLACK:
        return Verdict()
    return Verdict(due=True) if now >= end else Verdict(at=end)
