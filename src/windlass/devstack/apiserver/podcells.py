"""What the cells of a Pod show: ready containers, the one word that says most, restarts. Called by ``cells.py``; pure.

Follows the real server's printer: init containers that restart always (sidecars) count as containers once they
started, and while a Pod initializes its restarts are those of its init containers.
"""

from __future__ import annotations

import datetime
from typing import Any

from windlass.devstack.apiserver.cellwork import NONE, Object, age, age_of, at, name


def pod(obj: Object, now: datetime.datetime) -> list[Any]:
    """The cells of a Pod."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    sidecars = {each["name"] for each in spec.get("initContainers") or [] if each.get("restartPolicy") == "Always"}
    inits, mains = status.get("initContainerStatuses") or [], status.get("containerStatuses") or []
    reason, initializing = _initializing(obj, inits, sidecars)
    helpers = [each for each in inits if each.get("name") in sidecars]
    counted = inits if initializing else [*helpers, *mains]
    if not initializing:
        reason = _running(status, mains, reason)
    total = len(spec.get("containers") or []) + len(sidecars)
    ready = sum(1 for each in helpers if each.get("started") and each.get("ready")) + sum(
        1 for each in mains if each.get("ready") and at(each, "state", "running") is not None
    )
    restarts = sum(each.get("restartCount", 0) for each in counted)
    last = max((end for each in counted if (end := at(each, "lastState", "terminated", "finishedAt"))), default=None)
    shown = f"{restarts} ({age(last, now)} ago)" if restarts and last else str(restarts)
    if obj["metadata"].get("deletionTimestamp"):
        reason = "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    wide = [status.get("podIP") or NONE, spec.get("nodeName") or NONE, status.get("nominatedNodeName") or NONE]
    return [name(obj), f"{ready}/{total}", reason, shown, age_of(obj, now), *wide, _gates(obj)]


def _initializing(obj: Object, inits: list[Object], sidecars: set[str]) -> tuple[str, bool]:
    """The status word so far, and whether init containers still hold the Pod."""
    status = obj.get("status") or {}
    for index, each in enumerate(inits):
        ended = at(each, "state", "terminated")
        waiting = at(each, "state", "waiting", "reason")
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if each.get("name") in sidecars and each.get("started"):
            continue
        if ended is not None:
            return f"Init:{_ended(ended)}", True
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}", True
        return f"Init:{index}/{len(at(obj, 'spec', 'initContainers') or [])}", True
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    gated = any(
        each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated"
        for each in status.get("conditions") or []
    )
    return "SchedulingGated" if gated else reason, False


def _ended(ended: Object) -> str:
    signal = ended.get("signal")
    return str(ended.get("reason") or (f"Signal:{signal}" if signal else f"ExitCode:{ended.get('exitCode', 0)}"))


def _running(status: Object, mains: list[Object], reason: str) -> str:
    running = False
    for each in reversed(mains):
        waiting, ended = at(each, "state", "waiting", "reason"), at(each, "state", "terminated")
        if waiting:
            reason = waiting
        elif ended is not None:
            reason = _ended(ended)
        elif each.get("ready") and at(each, "state", "running") is not None:
            running = True
    if reason == "Completed" and running:
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])
        return "Running" if ready else "NotReady"
    return reason


def _gates(obj: Object) -> str:
    gates = at(obj, "spec", "readinessGates") or []
    if not gates:
        return NONE
    conditions = {each["type"]: each["status"] for each in at(obj, "status", "conditions") or []}
    return f"{sum(1 for each in gates if conditions.get(each['conditionType']) == 'True')}/{len(gates)}"
