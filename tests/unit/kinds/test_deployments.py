"""The deployments that the status remembers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from windlass.core.kinds.application_status import DEPLOYMENTS, Deployed, history_of, last_healthy

START = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


def step(old: list[Deployed], commit: str, health: str, minutes: float, *, changed: bool = True) -> list[Deployed]:
    now = START + timedelta(minutes=minutes)
    return history_of(old, commit, well=health == "+", degraded=health == "-", changed=changed, now=now)


def test_a_crash_loop_that_was_healthy_for_a_moment_is_nothing_to_go_back_to() -> None:
    found = step([], "a", "+", 0)
    for health, minutes in (("", 20), ("+", 21), ("-", 22), ("+", 23), ("-", 24)):
        found = step(found, "b", health, minutes)
    assert [(one.commit, bool(one.healthy)) for one in found] == [("b", False), ("a", True)]
    found = step(found, "c", "", 30)
    assert last_healthy(found, "c") == "a"


def test_what_breaks_long_after_was_healthy() -> None:
    found = step(step([], "a", "+", 0), "a", "-", 60)
    assert last_healthy(found, "b") == "a"


def test_a_commit_that_changed_nothing_is_the_same_deployment() -> None:
    found = step(step([], "a", "+", 0), "b", "+", 5, changed=False)
    assert [(one.commit, one.at) for one in found] == [("b", "2026-11-22T14:00:00Z")]


def test_only_the_last_are_kept() -> None:
    found: list[Deployed] = []
    for number in range(20):
        found = step(found, str(number), "+", number)
    assert [one.commit for one in found] == [str(number) for number in range(19, 19 - DEPLOYMENTS, -1)]
