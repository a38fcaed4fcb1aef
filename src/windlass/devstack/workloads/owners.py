"""Owner references and small things about objects that every controller needs. Pure."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

Object = dict[str, Any]

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def controller_reference(owner: Object, blocking: bool = True) -> Object:
    """The owner reference by which ``owner`` controls what it makes."""
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": blocking,
    }


def controller_of(obj: Object) -> Object | None:
    """The reference to the object's controller, if it has one."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return dict(owner)
    return None


def is_going(obj: Object) -> bool:
    """Whether the object is being deleted."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def digest(value: Any, length: int = 10) -> str:
    """Letters made of a JSON value: equal values have equal letters, on every run."""
    encoded = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    raw = hashlib.sha256(encoded).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in raw[:length])


def random_letters(length: int = 5) -> str:
    """Letters for a generated name."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def condition_of(obj: Object, kind: str) -> Object | None:
    """One condition of the object's status."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == kind:
            return dict(condition)
    return None


def is_true(obj: Object, kind: str) -> bool:
    """Whether a condition of the object's status is True."""
    condition = condition_of(obj, kind)
    return condition is not None and condition.get("status") == "True"


def set_condition(conditions: list[Object], new: Object, now: str, stamp: str = "lastTransitionTime") -> list[Object]:
    """The conditions with ``new`` in its place; its ``stamp`` moves only when its status does."""
    kept: list[Object] = []
    placed = False
    for condition in conditions:
        if condition.get("type") != new["type"]:
            kept.append(condition)
            continue
        moment = condition.get(stamp) if condition.get("status") == new["status"] else now
        kept.append({**condition, **new, stamp: moment})
        placed = True
    return kept if placed else [*kept, {**new, stamp: now}]
