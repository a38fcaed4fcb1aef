"""The pure parts: rollouts keep their bounds, containers follow their image, labels are selected, times are read
back.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.devstack.workloads.api import moment_of, timestamp
from windlass.devstack.workloads.containers import CRASH_SECONDS, Container
from windlass.devstack.workloads.images import behaviour_of, full_name, split_image
from windlass.devstack.workloads.job import ranges
from windlass.devstack.workloads.rollout import Part, bounds, roll, spread
from windlass.devstack.workloads.selectors import matches


@given(
    replicas=st.integers(1, 20),
    surge=st.integers(0, 5),
    unavailable=st.integers(0, 5),
    old=st.integers(0, 20),
    steps=st.lists(st.integers(0, 3), min_size=1, max_size=200),
)
def test_a_rolling_update_ends_and_keeps_its_bounds(
    replicas: int, surge: int, unavailable: int, old: int, steps: list[int]
) -> None:
    if surge == 0 and unavailable == 0:
        unavailable = 1
    new = Part("new", 0, 0, 0, "2")
    before = Part("old", old, old, old, "1")
    least = min(old, replicas - unavailable)
    for step in [*steps, *([3] * 400)]:
        changes = roll(new, [before], replicas, surge, unavailable)
        wanted_new, wanted_old = changes.get("new", new.wanted), changes.get("old", before.wanted)
        if wanted_new > new.wanted:
            assert wanted_new + wanted_old <= max(replicas + surge, new.wanted + before.wanted)
        before = Part("old", wanted_old, wanted_old, min(before.available, wanted_old), "1")
        ready = min(wanted_new, new.available + step)
        new = Part("new", wanted_new, wanted_new, ready, "2")
        assert new.available + before.available >= min(least, replicas - unavailable)
        if (new.available, before.wanted) == (replicas, 0):
            break
    assert (new.wanted, new.available, before.wanted) == (replicas, replicas, 0)


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 30), st.integers(0, 4))
def test_scaling_in_the_middle_of_a_rollout_reaches_the_new_size(
    first: int, second: int, replicas: int, surge: int
) -> None:
    total = first + second
    parts = [Part("a", first, first, first, "1", total), Part("b", second, second, second, "2", total)]
    changes = spread(parts, replicas, surge)
    wanted = {part.name: changes.get(part.name, part.wanted) for part in parts}
    assert all(count >= 0 for count in wanted.values())
    assert sum(wanted.values()) == (replicas + surge if replicas else 0)


def test_percentages_are_rounded_up_for_surge_and_down_for_unavailable() -> None:
    assert bounds({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}, 5) == (2, 1)
    assert bounds({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}, 5) == (0, 1)
    assert bounds({"type": "Recreate"}, 5) == (0, 0)


@pytest.mark.parametrize(
    ("image", "behaviour"),
    [
        ("nginx", "well"),
        ("example.com/crash:1", "crash"),
        ("example.com/crash/web:1", "well"),
        ("web:crash-on-start", "crash"),
        ("registry:5000/web:does-not-exist", "pullfail"),
        ("team/pullfail", "pullfail"),
        ("web:neverready", "unready"),
        ("slow-web:1@sha256:ab", "slow"),
        ("oom:2", "oom"),
    ],
)
def test_an_image_says_how_its_container_behaves(image: str, behaviour: str) -> None:
    assert behaviour_of(image) == behaviour


def test_image_references_are_taken_apart() -> None:
    assert split_image("localhost:5000/a/b:1") == ("localhost:5000/a/b", "1", "")
    assert split_image("a@sha256:00") == ("a", "", "sha256:00")
    assert full_name("nginx") == "docker.io/library/nginx:latest"
    assert full_name("team/web:1") == "docker.io/team/web:1"
    assert full_name("ghcr.io/team/web:1") == "ghcr.io/team/web:1"


def container(image: str, **fields: Any) -> Container:
    settings = {"role": "service", "restart_policy": "Always", **fields}
    return Container("main", image, behaviour=behaviour_of(image), **settings)


def lived(one: Container, until: float) -> list[tuple[float, str, str]]:
    """The states of a container until a time, stepped exactly when it asks for it."""
    now, seen = 0.0, []
    while now <= until:
        due = one.advance(now, "T")
        seen.append((now, one.state, one.reason if one.state == "waiting" else ""))
        if due is None:
            break
        assert due > now
        now = due
    return seen


def test_a_crashing_container_restarts_with_growing_gaps() -> None:
    one = container("crash:1")
    starts = [now for now, state, _ in lived(one, 200) if state == "running"]
    gaps = [round(later - earlier - CRASH_SECONDS, 2) for earlier, later in pairwise(starts)]
    assert gaps[:5] == [0.0, 10.0, 20.0, 40.0, 80.0]
    assert one.last
    assert (one.last["exitCode"], one.last["reason"]) == (1, "Error")
    assert "Back-off restarting failed container main in pod " in {
        e.message for e in one.happenings if e.reason == "BackOff"
    }


def test_a_pull_that_fails_backs_off_and_tries_again() -> None:
    one = container("web:does-not-exist")
    reasons = [reason for _, _, reason in lived(one, 12)]
    assert reasons[:3] == ["ErrImagePull", "ImagePullBackOff", "ErrImagePull"]


def test_a_task_ends_well_and_stays_ended() -> None:
    one = container("task:1", role="task", restart_policy="Never")
    assert lived(one, 100)[-1][1] == "ended"
    assert one.is_done
    assert one.has_succeeded


def test_a_container_that_is_never_ready_stays_so() -> None:
    one = container("web:unready", has_readiness=True)
    lived(one, 60)
    assert one.state == "running"
    assert not one.ready


def test_a_slow_container_is_ready_after_five_seconds() -> None:
    one = container("slow:1")
    ready = [now for now in (one.advance(0, "T"), one.advance(0.02, "T"), one.advance(4.9, "T")) if one.ready]
    assert ready == []
    one.advance(5.1, "T")
    assert one.ready


@given(st.sets(st.integers(0, 30)))
def test_indexes_are_written_as_ranges(indexes: set[int]) -> None:
    found: set[int] = set()
    for part in filter(None, ranges(indexes).split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    assert found == indexes


def test_selectors() -> None:
    labels = {"app": "web", "tier": "front"}
    assert matches({"matchLabels": {"app": "web"}}, labels)
    assert not matches({"matchLabels": {"app": "db"}}, labels)
    assert matches({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front"]}]}, labels)
    assert matches({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["x"]}]}, labels)
    assert not matches({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, labels)
    assert matches({}, labels)
    assert not matches(None, labels)


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001
def test_times_are_read_back(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    assert moment_of(timestamp(moment)) == moment
