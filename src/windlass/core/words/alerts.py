"""One line for what happens: drift, health, a sync that went wrong. The same line in the log, the Event and an alert.

The flows call it. A line says what is so, who did it as far as an API server tells (a manager is not a person), and
what is done about it.
"""

from __future__ import annotations

from datetime import datetime

from windlass.core.model import Drift, DriftCause, DriftResponse, Health
from windlass.core.words import fields
from windlass.core.words.plain import ago, fit, plain, took, value
from windlass.errors import WindlassError

EVENT_WIDTH = 1000
"""An Event's message may have 1024 bytes."""

_PLAIN_WAYS = ("", "Apply", "Update")


def who(drift: Drift) -> str:
    """``kubectl (scale)``, or "" where the entries tell nobody."""
    if not drift.manager:
        return ""
    way = drift.operation
    return plain(drift.manager if way in _PLAIN_WAYS else f"{drift.manager} ({way})")


def what(drift: Drift) -> str:
    """The difference without its object: ``spec.replicas 3 -> 7``, ``deleted``, ``+ spec.hostPID = true``."""
    match drift.cause:
        case DriftCause.DELETED:
            return "deleted"
        case DriftCause.RELABELLED:
            return "our label taken off"
        case DriftCause.ADDED:
            return f"added {plain(drift.field)} = {value(fields.beside(drift.field, drift.live))}"
        case _ if drift.live is None and drift.desired is None:
            return plain(drift.field)
        case _ if drift.live is None:
            return f"{plain(drift.field)} taken away (was {value(fields.beside(drift.field, drift.desired))})"
        case _:
            return f"{plain(drift.field)} {fields.arrow(drift.desired, drift.live)}"


def response(drift: Drift, *, seconds: float | None = None) -> str:
    """What is done about it: ``put back after 19 ms``, ``addition, reported only``."""
    match drift.response:
        case DriftResponse.REVERT:
            verb = "taken away" if drift.cause is DriftCause.ADDED else "put back"
            verb = "created again" if drift.cause is DriftCause.DELETED else verb
            return f"{verb} after {took(seconds)}" if seconds is not None else f"is {verb}"
        case DriftResponse.ALERT:
            return "alert only (drift.action)"
        case DriftResponse.ADOPT:
            return "is written to Git"
        case DriftResponse.GIVE_UP:
            mend = "; if it has its own controller, take it out of Git" if drift.desired is not None else ""
            return f"taken back a third time within 5 minutes, no longer fought over{mend}"
        case _ if drift.cause is DriftCause.ADMISSION:
            return "changed by admission, not fought over"
        case _:
            return "addition, reported only"


def drift_line(drift: Drift, now: datetime, *, seconds: float | None = None) -> str:
    """``Deployment/web: spec.replicas 3 -> 7 by kubectl (scale), 8m ago; put back after 19 ms``.

    ``seconds`` from being seen to being put back, where it was. Severe ones say so first.
    """
    parts = [f"{drift.ref}: {what(drift)}"]
    if name := who(drift):
        parts.append(f" {'by' if drift.cause is not DriftCause.OWN_MANAGER else 'under our own manager'} {name}")
    if since := ago(drift.since, now):
        parts.append(f", {since}")
    line = f"{''.join(parts)}; {response(drift, seconds=seconds)}"
    return fit(f"severe: {plain(line)}" if drift.severe else plain(line), EVENT_WIDTH)


def health_line(name: str, health: Health) -> str:
    """``shop is Degraded: Deployment/web: CrashLoopBackOff``, for an Event."""
    told = f": {health.message}" if health.message else ""
    return fit(plain(f"{name} is {health.status.value}{told}"), EVENT_WIDTH)


def error_line(error: WindlassError) -> str:
    """An error on one line, with its place and mend, for an Event and a condition's message."""
    parts = [str(error)]
    if error.then:
        parts.append(error.then)
    if error.hint:
        parts.append(f"mend: {error.hint}")
    return fit(plain("; ".join(parts)), EVENT_WIDTH)
