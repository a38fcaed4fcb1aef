"""The deployments that the status remembers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from windlass.core.kinds.application_status import DEPLOYMENTS, Deployed, history_of, last_healthy, others

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


def deployed(*pairs: str) -> list[Deployed]:
    """``a=1``: commit a came to the content 1; ``a``: nobody knows to what."""
    return [
        Deployed(commit, healthy="then", content=content)
        for commit, _, content in (one.partition("=") for one in pairs)
    ]


def test_back_are_commits_that_deployed_something_else_each_content_once() -> None:
    # Rolled back from b to a, and forward again: d has what b had, a is there twice.
    history = deployed("d=2", "a=1", "b=2", "a=1", "z=0")
    assert [one.commit for one in others(history, "d")] == ["a", "z"]
    assert last_healthy(history[:1] + history[2:], "d") == "a", "b deployed the same as d"
    unknown = deployed("d", "c", "b", "c")
    assert [one.commit for one in others(unknown, "d")] == ["c", "b"]


def test_a_deployment_notes_what_it_came_to_and_keeps_it_where_that_is_not_known() -> None:
    found = history_of([], "a", well=True, degraded=False, changed=True, now=START, content="1")
    found = history_of(found, "a", well=True, degraded=False, changed=True, now=START)
    assert [one.content for one in found] == ["1"]
