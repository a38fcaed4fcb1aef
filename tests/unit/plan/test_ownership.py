"""Whose an object is: names within their limits, and labels that are not taken at their word."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_world import OTHER, SHOP, desired, entry, live

from windlass.core.model import LiveObject, Owner
from windlass.core.plan.ownership import (
    LABEL,
    RELEASED_MANAGER,
    is_application_manager,
    is_ours,
    label_value,
    manager_name,
    owner_of,
    owns_label,
    takeover_managers,
)

NAMESPACES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
NAMES = st.from_regex(r"[a-z0-9]([-.a-z0-9]{0,120}[a-z0-9])?", fullmatch=True)
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


@given(NAMESPACES, NAMES)
def test_names_are_legal_and_plain_where_they_fit(namespace: str, name: str) -> None:
    value, manager = label_value(namespace, name), manager_name(namespace, name)
    assert LABEL_VALUE.fullmatch(value)
    assert len(manager) <= 128
    assert is_application_manager(manager)
    if len(f"{namespace}.{name}") <= 63:
        assert value == f"{namespace}.{name}"


@given(st.tuples(NAMESPACES, NAMES), st.tuples(NAMESPACES, NAMES))
def test_two_applications_never_share_a_label_or_a_manager(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (label_value(*one) == label_value(*other)) == (one == other)
    assert (manager_name(*one) == manager_name(*other)) == (one == other)


def ours(found: LiveObject) -> bool:
    return is_ours(found, SHOP.label, SHOP.manager)


def test_an_object_is_ours_by_label_and_entry_and_without_a_controller() -> None:
    assert ours(live(desired()))
    assert not ours(live(desired(), controller=Owner("v1", "EndpointSlice", "x", "u")))
    assert not ours(live(desired(), claim=None, labels={LABEL: SHOP.label}))
    assert not ours(live(desired(), labels={LABEL: OTHER.label}))
    assert not ours(live(desired(), claim=OTHER, labels={LABEL: SHOP.label}))


@pytest.mark.parametrize(
    "fields",
    [
        {"f:metadata": {"f:annotations": {f"f:{LABEL}": {}}}},
        {"f:spec": {"f:labels": {f"f:{LABEL}": {}}}},
        {"f:metadata": {"f:labels": {'k:{"a":"\\"f:windlass.dev/application\\""}': {}}}},
    ],
)
def test_the_name_of_the_label_in_another_place_is_not_the_label(fields: dict[str, object]) -> None:
    assert not owns_label(entry(SHOP.manager, fields))


def test_an_entry_that_cannot_be_read_owns_nothing() -> None:
    broken = entry(SHOP.manager, {})
    assert not owns_label(type(broken)("m", "Apply", "", "", "v1", b'{"f:windlass.dev/application":'))


def test_what_is_ours_stays_ours_whatever_marks_it_still_carries() -> None:
    marks = {"kustomize.toolkit.fluxcd.io/name": "shop"}
    assert str(owner_of(live(desired(), labels=marks), SHOP.label, SHOP.manager)) == "this Application"


@pytest.mark.parametrize(
    ("labels", "annotations", "others", "words"),
    [
        ({}, {}, (), "nobody"),
        ({"app.kubernetes.io/managed-by": "Helm"}, {}, (), "nobody"),
        (
            {"app.kubernetes.io/managed-by": "Helm"},
            {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "apps"},
            (),
            "Helm release apps/shop",
        ),
        ({"app.kubernetes.io/instance": "shop"}, {}, (), "nobody"),
        (
            {"app.kubernetes.io/instance": "shop"},
            {},
            (entry("argocd-controller", {}, operation="Update"),),
            "Argo CD (shop)",
        ),
        (
            {"helm.toolkit.fluxcd.io/name": "shop", "helm.toolkit.fluxcd.io/namespace": "apps"},
            {"meta.helm.sh/release-name": "shop"},
            (),
            "Flux (apps/shop)",
        ),
        ({}, {"configmanagement.gke.io/managed": "enabled"}, (), "Config Sync"),
    ],
)
def test_the_marks_of_other_owners(
    labels: dict[str, str], annotations: dict[str, str], others: tuple[object, ...], words: str
) -> None:
    found = live(desired(), claim=None, labels=labels, annotations=annotations, others=others)  # type: ignore[arg-type]
    assert str(owner_of(found, SHOP.label, SHOP.manager)) == words


def test_whole_manifests_are_taken_over_and_single_edits_and_statuses_are_not() -> None:
    entries = [
        entry("helm", {}, operation="Update"),
        entry("helm", {}, operation="Update", subresource="status"),
        entry("kubectl", {}, operation="Update", subresource="scale"),
        entry("kubectl-edit", {}, operation="Update"),
        entry("kubectl-create", {}, operation="Update"),
        entry(RELEASED_MANAGER, {}),
        entry("my-operator", {}),
    ]
    assert takeover_managers(entries, adopting=False) == ("helm",)
    assert takeover_managers(entries, adopting=True) == ("helm", "kubectl-create", RELEASED_MANAGER)
