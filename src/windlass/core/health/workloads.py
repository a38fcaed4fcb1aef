"""The health of what runs pods: Deployment, StatefulSet, DaemonSet, ReplicaSet. ``objects.py`` calls it.

Counts are the status' own; the pods behind them are read elsewhere, so nothing here says why a pod is not ready.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from windlass.core.health.facts import Facts, condition, is_true, mapping, number, says, text
from windlass.core.model import Health, HealthStatus

_HEALTHY = HealthStatus.HEALTHY
_PROGRESSING = HealthStatus.PROGRESSING
_DEGRADED = HealthStatus.DEGRADED


def deployment(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    """Healthy when the newest template runs everywhere, is available, and nothing older is left."""
    spec = facts.spec or {}
    wanted = number(spec, "replicas", 1)
    total, updated = number(status, "replicas"), number(status, "updatedReplicas")
    available, ready = number(status, "availableReplicas"), number(status, "readyReplicas")
    progress = condition(status, "Progressing")
    if spec.get("paused") is True:
        return Health(HealthStatus.SUSPENDED, "spec.paused is true")
    if progress is not None and text(progress, "reason") == "ProgressDeadlineExceeded":
        return Health(_DEGRADED, f"{ready} of {wanted} ready, {says(progress)}")
    failure = condition(status, "ReplicaFailure")
    if is_true(failure):
        return Health(_DEGRADED, f"{ready} of {wanted} ready, {says(failure)}")
    if updated < wanted:
        return Health(_PROGRESSING, f"{updated} of {wanted} updated, {ready} ready")
    if total > updated:
        old = total - updated
        return Health(_PROGRESSING, f"{old} old {'replica' if old == 1 else 'replicas'} still to go")
    if available < wanted:
        word = "available" if ready >= wanted else "ready"
        return Health(_PROGRESSING, f"{available if word == 'available' else ready} of {wanted} {word}")
    return Health(_HEALTHY, f"{ready} ready")


def stateful_set(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    """As a Deployment; with a partition only the pods above it are updated, with OnDelete none by itself."""
    spec = facts.spec or {}
    wanted = number(spec, "replicas", 1)
    strategy = mapping(spec, "updateStrategy")
    total, ready, updated = (number(status, key) for key in ("replicas", "readyReplicas", "updatedReplicas"))
    partition = number(mapping(strategy, "rollingUpdate"), "partition")
    if ready < wanted:
        return Health(_PROGRESSING, f"{ready} of {wanted} ready")
    if number(spec, "minReadySeconds") and number(status, "availableReplicas") < wanted:
        return Health(_PROGRESSING, f"{number(status, 'availableReplicas')} of {wanted} available")
    if total > wanted:
        return Health(_PROGRESSING, f"{total - wanted} more than wanted still to go")
    if text(strategy, "type") == "OnDelete":
        behind = wanted - updated if text(status, "currentRevision") != text(status, "updateRevision") else 0
        return Health(_HEALTHY, f"{ready} ready" + (f", {behind} updated when deleted" if behind > 0 else ""))
    if partition > 0:
        due = max(0, wanted - partition)
        if updated < due:
            return Health(_PROGRESSING, f"{updated} of {due} above partition {partition} updated")
        return Health(_HEALTHY, f"{ready} ready, partition {partition}")
    if text(status, "currentRevision") != text(status, "updateRevision"):
        return Health(_PROGRESSING, f"{updated} of {wanted} updated")
    return Health(_HEALTHY, f"{ready} ready")


def daemon_set(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    """Healthy when each node that wants one has one of the newest template, available."""
    wanted = number(status, "desiredNumberScheduled")
    scheduled, updated = number(status, "currentNumberScheduled"), number(status, "updatedNumberScheduled")
    available = number(status, "numberAvailable")
    if scheduled < wanted:
        return Health(_PROGRESSING, f"on {scheduled} of {wanted} nodes")
    if updated < wanted and text(mapping(facts.spec, "updateStrategy"), "type") != "OnDelete":
        return Health(_PROGRESSING, f"{updated} of {wanted} updated")
    if available < wanted:
        return Health(_PROGRESSING, f"{available} of {wanted} available")
    return Health(_HEALTHY, f"{available} ready" if wanted else "no node wants one")


def replica_set(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    """Healthy when as many as wanted are available; of a ReplicationController too."""
    wanted = number(facts.spec, "replicas", 1)
    failure = condition(status, "ReplicaFailure")
    if is_true(failure):
        return Health(_DEGRADED, says(failure, "pods can't be made"))
    available, total = number(status, "availableReplicas"), number(status, "replicas")
    if total > wanted:
        return Health(_PROGRESSING, f"{total - wanted} more than wanted still to go")
    if available < wanted:
        return Health(_PROGRESSING, f"{available} of {wanted} available")
    return Health(_HEALTHY, f"{available} ready")
