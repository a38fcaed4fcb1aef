"""What the health of an object is read from, and the small readings that all rules are made of.

Everything a cluster says may be missing or of another type than expected (a CRD's status is what its author made it),
so all reading goes through the small functions here, which answer with an empty value instead of failing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from windlass.core.model import LiveObject, ObjectRef
from windlass.core.model.foreign import UNREADABLE


class Facts(msgspec.Struct, frozen=True):
    """One object as health sees it. ``created`` is an ISO time; ``spec`` and ``status`` None where not watched."""

    ref: ObjectRef
    generation: int = 0
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None
    created: str = ""
    deleting: bool = False
    finalizers: tuple[str, ...] = ()


def facts_of(live: LiveObject) -> Facts:
    """The facts of a watched object."""
    return Facts(
        live.ref,
        live.generation,
        _decoded(live.spec),
        _decoded(live.status),
        live.created,
        live.deleting,
        live.finalizers,
    )


def _decoded(raw: bytes | None) -> dict[str, Any] | None:
    if raw is None:
        return None
    try:
        value = msgspec.json.decode(raw)
    except UNREADABLE:
        return None
    return value if isinstance(value, dict) else None


def mapping(value: object, key: str) -> dict[str, Any]:
    """``value[key]`` where both are mappings, else an empty one."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def items(value: object, key: str) -> list[dict[str, Any]]:
    """The mappings in the list ``value[key]``."""
    found = value.get(key) if isinstance(value, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def number(value: object, key: str, default: int = 0) -> int:
    """The whole number ``value[key]``."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def text(value: object, key: str) -> str:
    """The text ``value[key]``."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def moment(value: str) -> datetime | None:
    """An ISO time as the API server writes it, or None."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def seconds_since(value: str, now: datetime) -> float | None:
    """Seconds from an ISO time to ``now``, at least 0.0 (clocks differ); None where there is no time."""
    found = moment(value)
    return max(0.0, (now - found).total_seconds()) if found else None


def condition(status: object, kind: str) -> dict[str, Any] | None:
    """The condition of that type, or None."""
    return next((each for each in items(status, "conditions") if each.get("type") == kind), None)


def is_true(found: dict[str, Any] | None) -> bool:
    """True where there is such a condition and it is True."""
    return found is not None and found.get("status") == "True"


def is_false(found: dict[str, Any] | None) -> bool:
    """True where there is such a condition and it is False."""
    return found is not None and found.get("status") == "False"


def says(found: dict[str, Any] | None, otherwise: str = "") -> str:
    """What a condition says, on one line: its message, else its reason."""
    return one_line(text(found, "message") or text(found, "reason")) or otherwise


def one_line(words: str, most: int = 300) -> str:
    """Foreign words on one line, and not endless."""
    line = " ".join(words.split())
    return line if len(line) <= most else line[: most - 3] + "..."
