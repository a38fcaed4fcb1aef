"""What an apply changes, field by field: between two commits, and against a live object."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from plan_world import SHOP, owned_fields

from windlass.core.plan.changes import changes_between, changes_to_live
from windlass.core.plan.ownership import APPLIED, LABEL

CONTAINER = {
    "name": "web",
    "image": "acme/shop:1.4.1",
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
}
OLD: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {LABEL: SHOP.label, "tier": "x"}, "annotations": {APPLIED: "d1"}},
    "spec": {"replicas": 3, "template": {"spec": {"containers": [CONTAINER]}}},
}


def new() -> dict[str, Any]:
    made = copy.deepcopy(OLD)
    made["metadata"]["annotations"][APPLIED] = "d2"
    del made["metadata"]["labels"]["tier"], made["spec"]["replicas"]
    web = made["spec"]["template"]["spec"]["containers"][0]
    web["image"] = "acme/shop:1.4.2"
    web["env"] = [{"name": "B", "value": "2"}, {"name": "C", "value": "3"}]
    return made


EXPECTED = [
    ("metadata.labels.tier", "x", None),
    ("spec.replicas", 3, None),
    ("spec.template.spec.containers[name=web].env[name=A]", {"name": "A", "value": "1"}, None),
    ("spec.template.spec.containers[name=web].env[name=C]", None, {"name": "C", "value": "3"}),
    ("spec.template.spec.containers[name=web].image", "acme/shop:1.4.1", "acme/shop:1.4.2"),
]


def test_between_two_commits_each_field_is_told_once_without_our_own_marks() -> None:
    assert [(each.field, each.old, each.new) for each in changes_between(OLD, new())] == EXPECTED
    assert changes_between(OLD, OLD) == []


def live(*others: dict[str, Any]) -> dict[str, Any]:
    made = copy.deepcopy(OLD)
    own = {"manager": SHOP.manager, "operation": "Apply", "fieldsV1": owned_fields(OLD)}
    made["metadata"]["managedFields"] = [own, *others]
    made["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Always"
    return made


def test_against_a_live_object_the_same_and_no_default_of_the_server() -> None:
    assert [(each.field, each.old, each.new) for each in changes_to_live(new(), live(), SHOP.manager)] == EXPECTED
    assert changes_to_live(OLD, live(), SHOP.manager) == []


def test_what_only_others_own_stays_though_git_does_not_name_it() -> None:
    other = {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}}
    found = live(other)
    found["spec"]["paused"] = True
    assert changes_to_live(OLD, found, SHOP.manager) == []


def test_an_object_that_nobody_applied_loses_nothing() -> None:
    found = live()
    found["metadata"]["managedFields"] = []
    assert [each.field for each in changes_to_live(new(), found, SHOP.manager)] == [
        "spec.template.spec.containers[name=web].env[name=C]",
        "spec.template.spec.containers[name=web].image",
    ]


def test_values_of_secrets_do_not_show() -> None:
    def secret(**data: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data}

    found = changes_between(secret(a="aaa", b="bbb"), secret(a="ccc", c="ddd"))
    assert [(each.field, each.old, each.new) for each in found] == [
        ("data.a", "***", "***"),
        ("data.b", "***", None),
        ("data.c", None, "***"),
    ]


VALUES = st.recursive(
    st.one_of(st.integers(0, 3), st.sampled_from(["", "a", "b"]), st.booleans()),
    lambda below: st.one_of(st.dictionaries(st.sampled_from("abc"), below, max_size=3), st.lists(below, max_size=3)),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3))
def test_nothing_changes_from_a_body_to_itself(data: dict[str, Any]) -> None:
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": data}
    assert changes_between(body, copy.deepcopy(body)) == []
