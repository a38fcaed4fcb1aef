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
        commit, mark = word.rstrip("+-<"), word[-1]
        if mark == "<":
            found.append(events.make("c", "shop/shop", events.RolledBack(pins=commit, was=last), when))
            continue
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
        # <: somebody goes back from what runs to the commit named.
        ("a+ b+ a< a+", "a", "b"),
        ("a+ b+ c+ b< b+ a< a+ b< b+", "b", "c"),
        ("a+ b+ c+ d+ c< c+", "c", "d"),
    ],
)
def test_the_first_commit_that_was_not_healthy(words: str, good: str | None, bad: str | None) -> None:
    found = bisected(verdicts(told(words)))
    assert (found.good and found.good.commit, found.bad and found.bad.commit) == (good, bad)


def test_what_crashes_in_a_loop_was_not_healthy_and_what_breaks_late_was() -> None:
    assert [one.health for one in verdicts(told("a- a+ a-"))] == ["Degraded"]
    late = ["a+"] * 20 + ["a-"]
    assert [one.health for one in verdicts(told(" ".join(late)))] == ["Healthy"]


def test_a_commit_that_changed_nothing_does_not_hide_what_became_of_the_one_before() -> None:
    found = told("a+ b+")
    data = events.HealthChanged(health="Degraded", commit="somebody-elses", message="crashes")
    found.append(events.make("c", "shop/shop", data, START + timedelta(minutes=2)))
    assert [(one.commit, one.health) for one in verdicts(found)] == [("a", "Healthy"), ("b", "Degraded")]


def test_a_commit_of_which_only_a_part_was_applied_was_not_healthy_until_all_of_it_was() -> None:
    found = told("a+")
    partly = events.Applied(commit="b", result="partly applied", health="Healthy")
    found.append(events.make("c", "shop/shop", partly, START + timedelta(minutes=2)))
    well = events.HealthChanged(health="Healthy", commit="b")
    found.append(events.make("c", "shop/shop", well, START + timedelta(minutes=3)))
    assert verdicts(found)[-1].health == "partly applied"
    whole = events.Applied(commit="b", result="applied", health="Healthy")
    found.append(events.make("c", "shop/shop", whole, START + timedelta(minutes=4)))
    assert [one.health for one in verdicts(found)] == ["Healthy", "Healthy"]
