"""The generic part of what kinds ask of their objects: a generation that counts changes of content, a status of its
own.

`PlainStrategies` stands in where no workloads are wired (tests of this room); the built-in kinds' own rules are in the
workloads.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
_BESIDE = ("metadata", "status", "apiVersion", "kind")
STATUS_KEEPS = (
    "labels",
    "ownerReferences",
    "finalizers",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def without_status(obj: Object) -> Object:
    """The object as its main resource creates it."""
    return {key: value for key, value in obj.items() if key != "status"}


def keep_status(old: Object, new: Object) -> Object:
    """``new`` with the status of ``old``."""
    kept = without_status(new)
    if "status" in old:
        kept["status"] = old["status"]
    return kept


def status_only(old: Object, new: Object, *, keep_metadata: bool = False) -> Object:
    """``old`` with the status (and, unless kept, the annotations and managers) of ``new``."""
    metadata = {**old["metadata"], "managedFields": new["metadata"].get("managedFields")}
    if not keep_metadata:
        metadata = {key: value for key, value in new["metadata"].items() if key not in STATUS_KEEPS}
        metadata.update({key: old["metadata"][key] for key in STATUS_KEEPS if key in old["metadata"]})
    if metadata.get("managedFields") is None:
        metadata.pop("managedFields", None)
    merged = {**old, "metadata": metadata}
    merged.pop("status", None)
    if new.get("status") is not None:
        merged["status"] = new["status"]
    return merged


def content_differs(old: Object, new: Object) -> bool:
    """Whether something besides metadata and status changed."""
    return any(old.get(key) != new.get(key) for key in {*old, *new} if key not in _BESIDE)


class PlainStrategies:
    """Strategies that know no kind: status apart from the rest, no defaults, nothing refused, deletions at once."""

    def apply_defaults(self, resource: str, obj: Object) -> Object:
        return obj

    def prepare_for_create(self, resource: str, obj: Object) -> Object:
        if resource == "v1/namespaces":
            return {**obj, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        return obj

    def prepare_for_update(self, resource: str, old: Object, new: Object, subresource: str = "") -> Object:
        if subresource == "status":
            return status_only(old, new)
        return keep_status(old, new) if "spec" in new and not subresource else new

    def validate(self, resource: str, obj: Object, old: Object | None, subresource: str = "") -> list[Any]:
        return []

    def deletion_grace(self, resource: str, obj: Object, requested: int | None = None) -> int:
        return 0
