"""What of a manifest is applied: without what the cluster writes, without nulls, Secrets in one form. Changes nothing.

Called by ``objects``. It returns what it left out in words, and never a value.
"""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

import msgspec

from windlass.adapters.render.notes import WRITTEN
from windlass.core.model import ObjectRef

# The server writes these; in Git they are left-overs of `kubectl get -o yaml`.
SERVER_SET = (
    "managedFields",
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "generation",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


# Annotations that programs write into live objects; in Git they would speak for a state that is gone.
COPIED = WRITTEN | {"kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"}


class Applied(NamedTuple):
    """A part of an object as it is applied, and what was left out: words, and the field."""

    value: dict[str, Any]
    left_out: list[tuple[str, str]]


def content(manifest: dict[str, Any], ref: ObjectRef, *, builtin: bool) -> Applied:
    """All but the metadata. Nulls of custom kinds stay: there they may mean something, and the server knows."""
    made = {key: value for key, value in manifest.items() if key not in ("metadata", "status")}
    left: list[tuple[str, str]] = []
    if manifest.get("status"):
        left.append(("status is written by the cluster and is left out", "status"))
    if builtin and b"null" in msgspec.json.encode(made):
        left += _empty_values(made, ref)
        made = _without_nulls(made)
    if ref.kind == "Secret" and not ref.group and "stringData" in made:
        plain = made.pop("stringData")
        coded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        made["data"] = {**(made.get("data") or {}), **coded}
    return Applied(made, left)


def clean_metadata(metadata: dict[str, Any], ref: ObjectRef) -> Applied:
    """The metadata, with the namespace that the object is applied in."""
    made = {key: value for key, value in metadata.items() if value is not None and key not in SERVER_SET}
    left: list[tuple[str, str]] = []
    found = [key for key in SERVER_SET if metadata.get(key) is not None]
    if found:
        verb = "is" if len(found) == 1 else "are"
        left.append((f"metadata.{' and '.join(found)} {verb} written by the cluster and left out", "metadata"))
    copied = [key for key in metadata.get("annotations") or () if key in COPIED]
    if copied:
        verb = "is" if len(copied) == 1 else "are"
        left.append((f"{' and '.join(copied)} came from a cluster and {verb} left out", "metadata.annotations"))
    for word in ("labels", "annotations"):
        if word in made:
            made[word] = {key: value for key, value in made[word].items() if value is not None and key not in copied}
    made.pop("namespace", None)
    if ref.namespace:
        made["namespace"] = ref.namespace
    return Applied(made, left)


def _empty_values(made: dict[str, Any], ref: ObjectRef) -> list[tuple[str, str]]:
    """`KEY:` without a value in a ConfigMap is often meant as empty text: told, because it is left out."""
    if ref.group or ref.kind not in ("ConfigMap", "Secret"):
        return []
    return [
        (f'{key} has no value and is left out; write {key}: "" for an empty one', word)
        for word in ("data", "stringData")
        for key, value in (made.get(word) or {}).items()
        if value is None
    ]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
