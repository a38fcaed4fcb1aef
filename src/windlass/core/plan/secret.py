"""Drift of a Secret, from its field entries alone: its values are never asked for.

The drift flow calls it in place of ``examine``. It tells which keys were taken from us or added, by whom and when; a
value that was written under our own manager does not show here, and is put right by applying again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from windlass.core.model import Drift, DriftCause, LiveObject, ManagedEntry
from windlass.core.model.foreign import UNREADABLE
from windlass.core.plan.examine import MASK, DriftRules
from windlass.core.plan.ownership import LABEL

_PARTS = ("data", "type", "immutable")


def examine_secret(
    desired: Mapping[str, Any], live: LiveObject, *, manager: str, label: str, rules: DriftRules
) -> list[Drift]:
    """Every difference that the field entries tell, in order of the fields. ``desired`` is the applied body."""
    ours = live.applied_by(manager)
    owned = _owned(ours)
    foreign = [entry for entry in live.managed if entry is not ours and entry.subresource != "status"]
    found: list[Drift] = []
    if live.labels.get(LABEL) != label:
        field = f"metadata.labels[{LABEL}]"
        found.append(
            Drift(live.ref, DriftCause.RELABELLED, field, rules.action, desired=label, live=live.labels.get(LABEL))
        )
    wanted = _named(desired)
    found += [_told(live, DriftCause.CHANGED, field, foreign, rules) for field in sorted(wanted - owned)]
    taken = set().union(*(_owned(entry) for entry in foreign)) if foreign else set()
    found += [_told(live, DriftCause.ADDED, field, foreign, rules) for field in sorted(taken - wanted)]
    return found


def _told(live: LiveObject, cause: DriftCause, field: str, foreign: list[ManagedEntry], rules: DriftRules) -> Drift:
    who = next((entry for entry in reversed(foreign) if field in _owned(entry)), None)
    added = cause is DriftCause.ADDED
    return Drift(
        live.ref,
        cause,
        field,
        rules.additions if added else rules.action,
        desired=None if added else MASK,
        live=MASK if who is not None else None,
        manager=who.manager if who else "",
        operation=who.operation if who else "",
        since=who.time if who else "",
    )


def _named(desired: Mapping[str, Any]) -> set[str]:
    fields = {part for part in _PARTS if part != "data" and desired.get(part) is not None}
    return fields | {f"data[{key}]" for key in desired.get("data") or {}}


def _owned(entry: ManagedEntry | None) -> set[str]:
    """The parts of a Secret that an entry owns. An entry that can't be read owns nothing."""
    if entry is None:
        return set()
    try:
        fields = msgspec.json.decode(entry.fields, type=dict[str, Any])
    except UNREADABLE:
        return set()
    data = fields.get("f:data")
    keys = {f"data[{key[2:]}]" for key in data if key.startswith("f:")} if isinstance(data, dict) else set()
    return keys | {part for part in _PARTS if part != "data" and f"f:{part}" in fields}
