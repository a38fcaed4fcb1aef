"""Kubernetes Warning events: whose they are by name, and which repeats are told."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.core.model import ObjectRef
from windlass.core.record.warnings import owner, read, worth

WEB = ObjectRef("apps", "Deployment", "shop", "web")
API = ObjectRef("apps", "Deployment", "shop", "web-api")
DB = ObjectRef("apps", "StatefulSet", "shop", "db")
NIGHT = ObjectRef("batch", "CronJob", "shop", "night")
MANAGED = {WEB, API, DB, NIGHT}


def pod(name: str, namespace: str = "shop") -> ObjectRef:
    return ObjectRef("", "Pod", namespace, name)


@pytest.mark.parametrize(
    ("about", "found"),
    [
        (WEB, WEB),
        (pod("web-7d9c8b6f5d-x2x9q"), WEB),
        (pod("web-api-7d9c8b6f5d-x2x9q"), API),
        (ObjectRef("apps", "ReplicaSet", "shop", "web-7d9c8b6f5d"), WEB),
        (pod("db-0"), DB),
        (pod("night-29000000-abcde"), NIGHT),
        (ObjectRef("batch", "Job", "shop", "night-29000000"), NIGHT),
        (pod("web-7d9c8b6f5d-x2x9q", "other"), None),
        (pod("webby-7d9c8b6f5d-x2x9q"), None),
        (ObjectRef("", "Node", "", "node-1"), None),
    ],
)
def test_an_event_belongs_to_the_managed_object_behind_it(about: ObjectRef, found: ObjectRef | None) -> None:
    assert owner(about, MANAGED.__contains__) == found


def test_repeats_are_told_at_growing_distances() -> None:
    assert [count for count in range(1, 1001) if worth(count)] == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


@pytest.mark.parametrize(
    ("content", "count"),
    [({"count": 7}, 7), ({"series": {"count": 3}, "count": 1}, 3), ({}, 1), ({"count": "many"}, 1), ({"count": -1}, 1)],
)
def test_the_count_is_what_the_event_says(content: dict[str, Any], count: int) -> None:
    told = read(
        {"type": "Warning", "metadata": {"uid": "u"}, "involvedObject": {"kind": "Pod", "name": "a"}, **content}
    )
    assert told is not None
    assert told.count == count


@pytest.mark.parametrize("content", [{}, {"type": "Normal", "metadata": {}, "involvedObject": {}}, {"metadata": []}])
def test_what_is_no_warning_is_passed_over(content: dict[str, Any]) -> None:
    assert read(content) is None
