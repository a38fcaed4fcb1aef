"""When a commit is rolled back by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from windlass.core.health.probation import Verdict, judge
from windlass.core.model import HealthStatus

APPLIED = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
END = APPLIED + timedelta(minutes=15)


@pytest.mark.parametrize(
    ("health", "degraded", "minutes", "verdict"),
    [
        (HealthStatus.DEGRADED, True, 1, Verdict(at=END)),
        (HealthStatus.PROGRESSING, True, 14, Verdict(at=END)),
        (HealthStatus.DEGRADED, True, 15, Verdict(due=True)),
        (HealthStatus.PROGRESSING, True, 16, Verdict(due=True)),
        (HealthStatus.PROGRESSING, False, 15, Verdict()),
        (HealthStatus.HEALTHY, True, 15, Verdict()),
        (HealthStatus.SUSPENDED, True, 15, Verdict()),
        (HealthStatus.DEGRADED, True, 18, Verdict()),
    ],
)
def test_a_commit_has_until_its_time_is_over(
    health: HealthStatus, degraded: bool, minutes: int, verdict: Verdict
) -> None:
    now = APPLIED + timedelta(minutes=minutes)
    assert judge(APPLIED, 900.0, health, degraded=degraded, now=now) == verdict
