"""What an apply is refused with, in the real server's words. Raised by this package, answered by ``http``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windlass.devstack.apiserver.errors import ApiError


class TypedPatchError(ApiError):
    """500 without a reason, as the real server answers a body that does not fit its schema: a person must act."""

    def __init__(self, message: str) -> None:
        super().__init__(500, "", message)


class ApplyConflict(ApiError):
    """409: fields that other managers own. ``conflicts`` are (manager in the server's words, field path)."""

    def __init__(self, conflicts: Iterable[tuple[str, str]]) -> None:
        found = list(conflicts)
        causes = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": field}
            for who, field in found
        ]
        super().__init__(409, "Conflict", _message(found), {"causes": causes})
        self.conflicts = found


def _message(found: list[tuple[str, str]]) -> str:
    if len(found) == 1:
        who, field = found[0]
        return f"Apply failed with 1 conflict: conflict with {who}: {field}"
    by_manager: dict[str, list[str]] = {}
    for who, field in found:
        by_manager.setdefault(who, []).append(field)
    lines: list[str] = []
    for who in sorted(by_manager):
        lines.append(f"conflicts with {who}:")
        lines.extend(f"- {field}" for field in by_manager[who])
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)


def described(body: dict[str, Any]) -> str:
    """An object as such messages name it: ``default/web; apps/v1, Kind=Deployment``."""
    metadata = body.get("metadata") or {}
    place = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
    return f"{place}; {group_version_kind(body)}"


def group_version_kind(body: dict[str, Any]) -> str:
    """``apps/v1, Kind=Deployment``; the core group has an empty name: ``/v1, Kind=Service``."""
    group, _, version = str(body.get("apiVersion") or "").rpartition("/")
    return f"{group}/{version}, Kind={body.get('kind') or ''}"
