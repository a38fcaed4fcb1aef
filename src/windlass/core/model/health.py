"""Health of one object and of a whole Application."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from windlass.core.model.references import ObjectRef


class HealthStatus(StrEnum):
    """From best to worst in the order that a roll-up takes the worst of."""

    HEALTHY = "Healthy"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    MISSING = "Missing"
    UNKNOWN = "Unknown"
    DEGRADED = "Degraded"


class Health(msgspec.Struct, frozen=True):
    """``look_again`` is seconds from the time passed in, when time alone may change the answer; 0.0: never."""

    status: HealthStatus
    message: str = ""
    look_again: float = 0.0


class ObjectHealth(msgspec.Struct, frozen=True):
    """The health of one object of an Application, with the details a person needs, a line each."""

    ref: ObjectRef
    health: Health
    details: tuple[str, ...] = ()
