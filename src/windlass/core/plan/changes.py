"""What an apply is going to change, field by field, for the text of a plan. Decides nothing.

``windlass plan`` calls it: against a live object, or between two commits without a cluster. What leaves Git is told
only where it is ours to take away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from windlass.core.manifests.schemas import Schema
from windlass.core.plan.compare import compare, is_absent, resolve
from windlass.core.plan.examine import MASK
from windlass.core.plan.ownership import PREFIX
from windlass.core.plan.project import project

_NONE: Mapping[str, Any] = {}


class FieldChange(msgspec.Struct, frozen=True):
    """One field of an object: ``old`` and ``new`` are None where there is none, and masked in Secrets."""

    field: str
    old: object = None
    new: object = None


def changes_between(
    old: Mapping[str, Any], new: Mapping[str, Any], *, schema: Schema | None = None
) -> list[FieldChange]:
    """From one body to another, in order of the fields. Windlass' own marks are left out."""
    return _told(new, compare(new, old, schema=schema), compare(old, new, schema=schema))


def changes_to_live(
    desired: Mapping[str, Any], content: Mapping[str, Any], manager: str, *, schema: Schema | None = None
) -> list[FieldChange]:
    """What an apply of ``desired`` by ``manager`` changes on the live object, in order of the fields.

    A field that only others own stays, though Git does not name it.
    """
    entries = content.get("metadata", {}).get("managedFields") or []
    own: Mapping[str, Any] = next(
        (
            entry.get("fieldsV1") or {}
            for entry in entries
            if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")
        ),
        {},
    )
    applied = project(content, own) if own else {}
    before = {key: content.get(key) for key in ("apiVersion", "kind")} | applied
    return _told(
        desired,
        compare(desired, content, schema=schema, owned=own),
        compare(before, desired, schema=schema, owned=own),
    )


def _told(new: Mapping[str, Any], forth: list[Any], back: list[Any]) -> list[FieldChange]:
    found = {each.field: FieldChange(each.field, each.live, each.desired) for each in forth if not each.more}
    for each in back:
        gone = each.live is None and not _named(new, each.path)
        if gone and each.field not in found:
            found[each.field] = FieldChange(each.field, each.desired, None)
        elif each.more and each.field not in found:
            found[each.field] = FieldChange(each.field, each.desired, each.live)
    secret = new.get("kind") == "Secret" and new.get("apiVersion") == "v1"
    return [
        FieldChange(
            each.field,
            MASK if secret and each.old is not None and each.field.startswith("data") else each.old,
            MASK if secret and each.new is not None and each.field.startswith("data") else each.new,
        )
        for each in sorted(found.values(), key=lambda each: each.field)
        if PREFIX not in each.field
    ]


def _named(body: Any, path: tuple[str, ...]) -> bool:
    for element in path:
        body = resolve(body, element)
        if is_absent(body):
            return False
    return True
