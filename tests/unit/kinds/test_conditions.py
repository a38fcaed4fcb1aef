"""Conditions by the kstatus convention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from windlass.core.kinds import Condition, condition, ready, reconciling, set_condition, stalled
from windlass.core.kinds.application_status import ApplicationStatus, counts, drift_status, outcome_lines
from windlass.core.model import Drift, DriftCause, DriftResponse, ObjectRef, Outcome, Result

START = datetime(2026, 11, 23, 8, tzinfo=UTC)


def test_the_time_stays_while_the_status_stays() -> None:
    first = set_condition([], "Ready", "False", "Applying", "1 of 2", now=START, generation=1)
    second = set_condition(
        first, "Ready", "False", "Progressing", "waits", now=START + timedelta(hours=1), generation=2
    )
    assert second[0].last_transition_time == first[0].last_transition_time == "2026-11-23T08:00:00Z"
    assert (second[0].reason, second[0].observed_generation) == ("Progressing", 2)
    third = set_condition(second, "Ready", "True", "Synced", "", now=START + timedelta(hours=2), generation=2)
    assert third[0].last_transition_time == "2026-11-23T10:00:00Z"


@given(st.lists(st.sampled_from([ready, reconciling, stalled]), min_size=1))
def test_whatever_comes_after_what_ready_is_there_and_the_others_only_while_true(steps: list) -> None:
    conditions: list[Condition] = []
    for number, step in enumerate(steps):
        before = list(conditions)
        after = step(conditions, "Reason", "words", now=START + timedelta(seconds=number), generation=number)
        assert conditions == before
        conditions = after
    types = [one.type for one in conditions]
    assert types == sorted(set(types))
    ready_now = condition(conditions, "Ready")
    assert ready_now is not None
    assert (ready_now.status == "True") == (types == ["Ready"])
    assert not {"Reconciling", "Stalled"} <= set(types)


def test_a_status_is_written_in_the_words_of_kubernetes() -> None:
    status = ApplicationStatus(commit="c", conditions=stalled([], "BadSpec", "x", now=START, generation=3))
    written = msgspec.to_builtins(status)
    assert set(written) == {"commit", "sync", "health", "drift", "conditions"}
    assert written["drift"] == {"count": 0}
    assert set(written["conditions"][0]) == {
        "type",
        "status",
        "reason",
        "message",
        "lastTransitionTime",
        "observedGeneration",
    }


def test_outcomes_and_drift_are_bounded_and_the_worst_come_first() -> None:
    refs = [ObjectRef("", "ConfigMap", "a", f"c{number:03}") for number in range(80)]
    outcomes = [Outcome(ref, Result.CONFIGURED) for ref in refs]
    outcomes += [Outcome(refs[0], Result.UNCHANGED), Outcome(refs[1], Result.FAILED, "no")]
    lines = outcome_lines(outcomes)
    assert (len(lines), lines[0].result) == (50, "failed")
    assert counts(outcomes) == {"configured": 80, "unchanged": 1, "failed": 1}
    items = [Drift(ref, DriftCause.CHANGED, "data.x", DriftResponse.ALERT, "1", 2) for ref in refs]
    items.append(Drift(refs[70], DriftCause.ADDED, "spec.hostPID", DriftResponse.REPORT, severe=True))
    told = drift_status(items)
    assert (told.count, len(told.items), told.items[0].field) == (81, 50, "spec.hostPID")
    assert (told.items[1].desired, told.items[1].live) == ("1", "2")
