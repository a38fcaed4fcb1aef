"""What became of each deployment, and the first that was not Healthy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from windlass.core.model import events
from windlass.core.record.verdicts import bisected, verdicts

START = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


def told(words: str) -> list[events.Event]:
    """``a+ b- b+``: commit a was applied and Healthy, b applied and Degraded, then Healthy; ``c`` alone: applied."""
    found = []
    last = ""
    for number, word in enumerate(words.split()):
        when = START + timedelta(minutes=number)
        commit, mark = word.rstrip("+-"), word[-1]
        if commit != last:
            found.append(events.make("c", "shop/shop", events.Applied(commit=commit, result="applied"), when))
            last = commit
        if mark in "+-":
            health = {"+": "Healthy", "-": "Degraded"}[mark]
            data = events.HealthChanged(health=health, commit=commit, message=word)
            found.append(events.make("c", "shop/shop", data, when + timedelta(seconds=5)))
    return found


@pytest.mark.parametrize(
    ("words", "good", "bad"),
    [
        ("a+ b+ c- d-", "b", "c"),
        ("a+ b- c+", "a", "b"),
        ("a+ b- b+ c", "b", "c"),
        ("a-", None, "a"),
        ("a+ b+", None, None),
        ("a+ b- c- d+ e+", "a", "b"),
        ("", None, None),
    ],
)
def test_the_first_commit_that_was_not_healthy(words: str, good: str | None, bad: str | None) -> None:
    found = bisected(verdicts(told(words)))
    assert (found.good and found.good.commit, found.bad and found.bad.commit) == (good, bad)


def test_what_crashes_in_a_loop_was_not_healthy_and_what_breaks_late_was() -> None:
    assert [one.health for one in verdicts(told("a- a+ a-"))] == ["Degraded"]
    late = ["a+"] * 20 + ["a-"]
    assert [one.health for one in verdicts(told(" ".join(late)))] == ["Healthy"]
