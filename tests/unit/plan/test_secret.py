"""Drift of a Secret is told from its field entries alone, and no value of it appears anywhere."""

from __future__ import annotations

import msgspec
from plan_world import SHOP, desired, entry, live

from windlass.core.plan.examine import DriftRules
from windlass.core.plan.ownership import LABEL
from windlass.core.plan.secret import examine_secret

DATA = {"data": {"token": "aHVudGVyMg==", "user": "YWRh"}, "type": "Opaque"}


def told(*others: object, shrunk: bool = False, labels: dict[str, str] | None = None) -> list[tuple[str, str, str]]:
    wanted = desired("Secret", "token", content=DATA)
    applied = desired("Secret", "token", content={"data": {"user": "YWRh"}, "type": "Opaque"}) if shrunk else wanted
    found = msgspec.structs.replace(live(applied, labels=labels), managed=(*live(applied).managed, *others))
    body = msgspec.json.decode(wanted.body)
    drifts = examine_secret(body, found, manager=SHOP.manager, label=SHOP.label, rules=DriftRules())
    text = msgspec.json.encode(drifts).decode()
    assert "aHVudGVyMg" not in text
    assert "YWRh" not in text
    return [(each.cause.value, each.field, each.manager) for each in drifts]


def test_a_secret_as_applied_is_no_drift() -> None:
    assert told() == []


def test_a_key_that_was_taken_and_one_that_was_added_are_told_with_their_manager() -> None:
    edited = entry("kubectl-edit", {"f:data": {"f:token": {}, "f:more": {}}}, operation="Update")
    assert told(edited, shrunk=True) == [
        ("changed", "data[token]", "kubectl-edit"),
        ("added", "data[more]", "kubectl-edit"),
    ]


def test_a_label_that_was_taken_off_a_secret_is_told() -> None:
    assert told(labels={LABEL: "apps.other"}) == [("relabelled", f"metadata.labels[{LABEL}]", "")]
