"""Who hears of what: told once, folded while it repeats, told when it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.core.alerts import AlertRule, BadAlert, Desk, Notice, Open, Quiet, Reader, State, is_quiet, topic
from windlass.core.model import events

START = datetime(2026, 11, 28, 14, 0, tzinfo=UTC)


def event(data: events.Data, *, subject: str = "shop/shop", after: float = 0, severe: bool = False) -> events.Event:
    return events.make("prod-eu", subject, data, START + timedelta(seconds=after), severe=severe)


def drift(field: str = "spec.replicas", **more: Any) -> events.DriftOpened:
    return events.DriftOpened(
        object="Deployment.apps/shop/web", field=field, cause="changed", response="revert", desired=3, live=7, **more
    )


def closed(field: str = "spec.replicas") -> events.DriftClosed:
    return events.DriftClosed(object="Deployment.apps/shop/web", field=field, how="put back")


class Day:
    """A desk, and what it told."""

    def __init__(self, repeat: timedelta | None = None) -> None:
        self.desk = Desk({}, repeat)
        self.told: list[Notice] = []

    def take(self, data: events.Data, after: float = 0, *, quiet: bool = False, severe: bool = False) -> Notice | None:
        notice = self.desk.take(event(data, after=after, severe=severe), START + timedelta(seconds=after), quiet=quiet)
        if notice is not None:
            self.told.append(notice)
        return notice


def test_what_begins_is_told_once_and_its_end_too() -> None:
    day = Day()
    first = day.take(drift(manager="kubectl", operation="scale"))
    assert first is not None
    assert first.line == "drift Deployment/web spec.replicas 3 -> 7 by kubectl (scale)   revert"
    assert (first.state, first.cluster, first.next) == (State.FIRING, "prod-eu", "windlass diff shop/shop")
    assert day.take(drift(), 5) is None
    last = day.take(closed(), 60)
    assert last is not None
    assert (last.state, last.count, last.since) == (State.RESOLVED, 2, "2026-11-28T14:00:00.000Z")
    assert day.desk.open == {}
    assert day.take(drift(), 70) is not None, "the next one is another one"


def test_two_fields_are_two_occurrences() -> None:
    day = Day()
    day.take(drift("spec.replicas"))
    day.take(drift("spec.paused"), 1)
    day.take(closed("spec.paused"), 2)
    assert [one.state for one in day.told] == [State.FIRING, State.FIRING, State.RESOLVED]
    assert list(day.desk.open) == ["shop/shop drift Deployment.apps/shop/web spec.replicas"]


def test_what_stays_open_is_told_again_after_its_time_with_the_count() -> None:
    day = Day(timedelta(hours=1))
    day.take(drift())
    assert day.take(drift(), 3599) is None
    again = day.take(drift(), 3600)
    assert again is not None
    assert again.count == 3
    now = START + timedelta(seconds=7200)
    assert day.desk.next_due(now) == now
    assert [one.count for one in day.desk.after_quiet(now)] == [3]
    assert list(day.desk.after_quiet(now)) == []


def test_in_quiet_hours_only_what_is_severe_is_told_and_the_rest_afterwards() -> None:
    day = Day()
    assert day.take(drift(), quiet=True) is None
    assert day.take(drift("spec.hostPID"), 1, quiet=True, severe=True) is not None
    image = events.ImageMoved(policy="shop/shop", image="acme/shop", tag="1.4.2", result="held")
    assert day.take(image, 2, quiet=True) is None
    told = list(day.desk.after_quiet(START + timedelta(hours=8)))
    assert [one.kind for one in told] == ["drift", "image"]
    assert list(day.desk.after_quiet(START + timedelta(hours=9))) == []


def test_what_began_and_ended_in_quiet_hours_is_not_told_at_all() -> None:
    day = Day()
    day.take(drift(), quiet=True)
    day.take(closed(), 60, quiet=True)
    assert day.told == list(day.desk.after_quiet(START)) == []


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        (
            events.HealthChanged(health="Degraded", was="Healthy"),
            events.HealthChanged(health="Healthy", was="Degraded"),
        ),
        (events.Refused(reason="BadManifest", message="no"), events.Applied(commit="a", result="applied")),
        (events.Applied(commit="a", result="partly applied"), events.Applied(commit="b", result="applied")),
        (events.Held(commit="a", held="b"), events.Fetched(commit=events.Commit(id="c"))),
    ],
)
def test_what_ends_closes_what_began(begins: events.Data, ends: events.Data) -> None:
    day = Day()
    day.take(begins)
    day.take(ends, 9)
    assert [one.state for one in day.told] == [State.FIRING, State.RESOLVED]


@pytest.mark.parametrize(
    "data",
    [
        events.Planned(commit="a"),
        events.HealthChanged(health="Progressing"),
        events.Refused(reason="DependencyNotReady", passing=True),
        events.Requested(verb="sync"),
    ],
)
def test_what_nobody_waits_for_is_for_the_record_alone(data: events.Data) -> None:
    assert topic(event(data)) is None


def test_an_end_without_a_beginning_is_not_told() -> None:
    assert Day().take(closed()) is None


def test_the_memory_is_plain_data_that_a_restart_reads_back() -> None:
    day = Day()
    day.take(drift())
    again = Day()
    again.desk.open = msgspec.json.decode(msgspec.json.encode(day.desk.open), type=dict[str, Open])
    assert again.take(drift(), 1) is None
    assert again.take(closed(), 2) is not None


@given(st.lists(st.tuples(st.sampled_from(["begin", "end"]), st.booleans()), max_size=40))
def test_told_beginnings_and_ends_alternate_whatever_comes(steps: list[tuple[str, bool]]) -> None:
    day = Day()
    for number, (step, quiet) in enumerate(steps):
        day.take(drift() if step == "begin" else closed(), number, quiet=quiet)
    states = [one.state for one in day.told]
    assert states == [State.FIRING, State.RESOLVED] * (len(states) // 2) + [State.FIRING] * (len(states) % 2)


# --- which events ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (AlertRule(""), True),
        (AlertRule("shop"), True),
        (AlertRule("other"), False),
        (AlertRule("", kinds=("drift", "health")), True),
        (AlertRule("", kinds=("health",)), False),
        (AlertRule("", applications=("sh*",)), True),
        (AlertRule("", applications=("shop/*",)), True),
        (AlertRule("", applications=("other/*", "web")), False),
        (AlertRule("", severe=True), False),
        (AlertRule("", when='event.data.manager == "kubectl"'), True),
        (AlertRule("", when='event.kind == "health" || event.severe'), False),
    ],
)
def test_an_alert_is_about_what_its_rule_says(rule: AlertRule, matches: bool) -> None:
    assert Reader(rule).matches(event(drift(manager="kubectl"))) is matches


def test_an_expression_that_fails_matches_nothing_and_says_so() -> None:
    reader = Reader(AlertRule("", when="event.data.nothing.here == 1"))
    assert reader.matches(event(drift())) is False
    assert reader.trouble != ""
    reader = Reader(AlertRule("", when="event.data.field"))
    assert reader.matches(event(drift())) is False
    assert "not a yes or no" in reader.trouble


def test_an_expression_that_can_not_be_read_is_refused() -> None:
    with pytest.raises(BadAlert, match="can't be read"):
        Reader(AlertRule("", when="event.kind =="))


# --- quiet hours -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "now", "end"),
    [
        (Quiet("22:00", "07:00"), "2026-11-28T23:00", "2026-11-29T07:00"),
        (Quiet("22:00", "07:00"), "2026-11-28T06:59", "2026-11-28T07:00"),
        (Quiet("22:00", "07:00"), "2026-11-28T07:00", None),
        (Quiet("22:00", "07:00"), "2026-11-28T21:59", None),
        (Quiet("12:00", "13:00", ("Sat",)), "2026-11-28T12:30", "2026-11-28T13:00"),
        (Quiet("12:00", "13:00", ("Sun",)), "2026-11-28T12:30", None),
        (Quiet("22:00", "07:00", ("Fri",)), "2026-11-28T03:00", "2026-11-28T07:00"),
        (Quiet("22:00", "07:00", ("Sat",)), "2026-11-28T03:00", None),
        (Quiet("00:00", "00:00"), "2026-11-28T12:00", "2026-11-29T00:00"),
        (Quiet("22:00", "07:00", zone="Europe/Berlin"), "2026-11-28T21:30", "2026-11-29T06:00"),
    ],
)
def test_quiet_hours_go_over_midnight_by_their_own_zone(hours: Quiet, now: str, end: str | None) -> None:
    found = is_quiet([hours], datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == (datetime.fromisoformat(end).replace(tzinfo=UTC) if end else None)
