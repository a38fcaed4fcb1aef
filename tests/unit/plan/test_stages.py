"""Stages: what may be written at the same time, what waits for what, and prunes last, in reverse."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from plan_world import desired, live

from windlass.core.model import Action, Change, Plan
from windlass.core.plan.ownership import WAVE
from windlass.core.plan.stages import stages, waits_for


def change(name: str, wave: int, tier: int, action: Action = Action.CREATE) -> Change:
    made = desired(name=name, wave=wave, tier=tier)
    return Change(action, made.ref, made)


def prune(kind: str, name: str, wave: str = "") -> Change:
    found = live(desired(kind, name), annotations={WAVE: wave} if wave else {})
    return Change(Action.PRUNE, found.ref, live=found)


def told(plan: Plan) -> list[str]:
    lines = []
    for stage in stages(plan):
        names = " ".join(each.ref.name for each in stage.changes)
        lines.append(f"{'prune ' if stage.prunes else ''}{stage.wave}.{stage.tier}: {names}")
    return lines


def test_waves_ascend_with_tiers_inside_and_prunes_come_last_in_reverse() -> None:
    plan = Plan(
        "a/b",
        "c",
        [
            prune("Namespace", "space"),
            prune("Deployment", "old"),
            prune("ConfigMap", "late", wave="7"),
            change("z", 1, 0),
            change("b", 0, 5),
            change("a", 0, 5),
            change("crd", 0, 0),
            change("first", -1, 9),
            change("same", 0, 5, Action.UNCHANGED),
            change("kept", 0, 5, Action.KEEP),
        ],
    )
    assert told(plan) == [
        "-1.9: first",
        "0.0: crd",
        "0.5: a b",
        "1.0: z",
        "prune 7.3: late",
        "prune 0.5: old",
        "prune 0.0: space",
    ]


def test_a_blocked_plan_has_no_stages() -> None:
    assert stages(Plan("a/b", "c", [change("a", 0, 0)], blocked="no")) == []


def test_a_wave_waits_for_all_objects_of_earlier_waves_changed_or_not() -> None:
    plan = Plan("a/b", "c", [change("a", 0, 0), change("b", 1, 0, Action.UNCHANGED), change("s", 0, 0, Action.SKIP)])
    assert [each.name for each in waits_for(plan, 2)] == ["a", "b"]
    assert [each.name for each in waits_for(plan, 1)] == ["a"]


def test_a_live_wave_that_is_no_number_counts_as_none() -> None:
    assert told(Plan("a/b", "c", [prune("ConfigMap", "x", wave="soon")])) == ["prune 0.3: x"]


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 7)), max_size=15), st.randoms(use_true_random=False))
def test_the_order_of_changes_does_not_matter(places: list[tuple[int, int]], shuffle: random.Random) -> None:
    changes = [change(f"n{number}", *place) for number, place in enumerate(places)]
    mixed = shuffle.sample(changes, len(changes))
    assert stages(Plan("a/b", "c", mixed)) == stages(Plan("a/b", "c", changes))
