"""The health of an Application from that of its objects, and when progress has taken too long.

The flows call it at each change of health. Time is an argument; who remembers since when is the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from windlass.core.model import Health, HealthStatus, ObjectHealth, ObjectRef

TIMEOUT = 300.0
"""Seconds that an object may be Progressing before it counts as Degraded, unless the Application says otherwise."""

_ORDER = {status: rank for rank, status in enumerate(HealthStatus)}


def overdue(ref: ObjectRef, health: Health, since: datetime, now: datetime, timeout: float = TIMEOUT) -> Health:
    """The same health, or Degraded where the object has been Progressing, Missing or Unknown since longer than
    ``timeout`` seconds; with ``look_again`` no later than that moment.

    A Job is let run: its ``backoffLimit`` and ``activeDeadlineSeconds`` say when it has failed.
    """
    waits = health.status in (HealthStatus.PROGRESSING, HealthStatus.MISSING, HealthStatus.UNKNOWN)
    if not waits or (ref.group, ref.kind) == ("batch", "Job"):
        return health
    left = timeout - (now - since).total_seconds()
    if left <= 0:
        told = f": {health.message}" if health.message else ""
        return Health(HealthStatus.DEGRADED, f"not healthy within {_words(timeout)}{told}")
    return Health(health.status, health.message, min(left, health.look_again) if health.look_again else left)


def worst(objects: Iterable[ObjectHealth]) -> Health:
    """The worst health of all, told by the first object that has it (by reference), and how many have it.

    Of no objects it is Healthy. ``look_again`` is the soonest of all objects.
    """
    top, having, count, again = -1, [], 0, 0.0
    for each in objects:
        count += 1
        if each.health.look_again and (not again or each.health.look_again < again):
            again = each.health.look_again
        rank = _ORDER[each.health.status]
        if rank > top:
            top, having = rank, [each]
        elif rank == top:
            having.append(each)
    if not having:
        return Health(HealthStatus.HEALTHY, "no objects")
    status = having[0].health.status
    if status is HealthStatus.HEALTHY:
        return Health(status, f"{count} healthy", again)
    first = min(having, key=lambda each: each.ref)
    told = f"{first.ref}: {first.health.message}" if first.health.message else str(first.ref)
    more = f" (and {len(having) - 1} more)" if len(having) > 1 else ""
    return Health(status, f"{told}{more}", again)


def _words(seconds: float) -> str:
    return f"{seconds / 60:g}m" if seconds >= 60 else f"{seconds:g}s"
