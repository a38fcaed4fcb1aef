"""What a Deployment's status says: counts, Available, Progressing and its deadline. Pure; called by ``deployment``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from windlass.devstack.workloads.api import moment_of, timestamp
from windlass.devstack.workloads.owners import condition_of

Object = dict[str, Any]

_NO_DEADLINE = 2147483647


@dataclass(slots=True)
class Progress:
    """What this look did: a ReplicaSet was ``created`` for the template, or one was ``found``."""

    found: bool = False
    created: bool = False


def deployment_status(
    deployment: Object, new: Object | None, old: list[Object], unavailable: int, progress: Progress, now: datetime
) -> Object:
    """The status of a Deployment with these ReplicaSets."""
    before = deployment.get("status") or {}
    sets = [one for one in (new, *old) if one is not None]
    replicas = deployment["spec"].get("replicas", 1)
    there = _sum(sets, "replicas")
    available = _sum(sets, "availableReplicas")
    counts = {
        "replicas": there,
        "updatedReplicas": _sum([new] if new else [], "replicas"),
        "readyReplicas": _sum(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(one["spec"].get("replicas", 1) for one in sets) - available),
    }
    status: Object = {"observedGeneration": deployment["metadata"].get("generation", 1)}
    status.update({name: count for name, count in counts.items() if count})
    status["terminatingReplicas"] = _sum(sets, "terminatingReplicas")
    if before.get("collisionCount"):
        status["collisionCount"] = before["collisionCount"]
    conditions = [_available(deployment, available >= replicas - unavailable, now)]
    moving = _progressing(deployment, new, counts, progress, now)
    if moving:
        conditions.append(moving)
    conditions.extend(_failures(sets))
    status["conditions"] = _in_order(before.get("conditions") or [], conditions)
    return status


def _sum(sets: list[Object], field: str) -> int:
    return sum((one.get("status") or {}).get(field, 0) for one in sets)


def _in_order(before: list[Object], conditions: list[Object]) -> list[Object]:
    """Conditions that are as they were keep their place; those that changed come last."""
    same = [one for one in before if one in conditions]
    return same + [one for one in conditions if one not in same]


def _condition(deployment: Object, kind: str, status: str, reason: str, message: str, now: datetime) -> Object:
    """A condition; an equal one is left as it is, so that nothing is written for nothing."""
    before = condition_of(deployment, kind)
    if before and before["status"] == status and before["reason"] == reason and before.get("message") == message:
        return before
    moment = timestamp(now)
    moved = before["lastTransitionTime"] if before and before["status"] == status else moment
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": moment,
        "lastTransitionTime": moved,
        "reason": reason,
        "message": message,
    }


def _available(deployment: Object, enough: bool, now: datetime) -> Object:
    before = condition_of(deployment, "Available")
    status = "True" if enough else "False"
    if before and before["status"] == status:
        return before
    if enough:
        words = ("MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        words = ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    return _condition(deployment, "Available", status, *words, now)


def _failures(sets: list[Object]) -> list[Object]:
    for one in sets:
        failure = condition_of(one, "ReplicaFailure")
        if failure and failure["status"] == "True":
            moment = failure["lastTransitionTime"]
            return [{**failure, "lastUpdateTime": moment}]
    return []


def _progressing(
    deployment: Object, new: Object | None, counts: dict[str, int], progress: Progress, now: datetime
) -> Object | None:
    spec, before = deployment["spec"], condition_of(deployment, "Progressing")
    if spec.get("progressDeadlineSeconds", 600) == _NO_DEADLINE:
        return None
    name = new["metadata"]["name"] if new else ""
    if spec.get("paused"):
        if before and before["reason"] == "ProgressDeadlineExceeded":
            return before
        return _condition(deployment, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now)
    if before and before["reason"] == "DeploymentPaused":
        return _condition(deployment, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now)
    if progress.created:
        return _condition(
            deployment, "Progressing", "True", "NewReplicaSetCreated", f'Created new replica set "{name}"', now
        )
    if _is_complete(deployment, counts):
        if before and before["reason"] == "NewReplicaSetAvailable" and f'"{name}"' in before.get("message", ""):
            return before
        words = f'ReplicaSet "{name}" has successfully progressed.'
        return _condition(deployment, "Progressing", "True", "NewReplicaSetAvailable", words, now)
    if _has_moved(deployment, counts):
        words = f'ReplicaSet "{name}" is progressing.'
        condition = _condition(deployment, "Progressing", "True", "ReplicaSetUpdated", words, now)
        return {**condition, "lastUpdateTime": timestamp(now)}
    if before is None:
        return _condition(
            deployment, "Progressing", "True", "FoundNewReplicaSet", f'Found new replica set "{name}"', now
        )
    if _is_late(deployment, before, now):
        words = f'ReplicaSet "{name}" has timed out progressing.'
        return _condition(deployment, "Progressing", "False", "ProgressDeadlineExceeded", words, now)
    return before


def _is_complete(deployment: Object, counts: dict[str, int]) -> bool:
    replicas = deployment["spec"].get("replicas", 1)
    return bool(
        counts["updatedReplicas"] == replicas
        and counts["replicas"] == replicas
        and counts["availableReplicas"] == replicas
    )


def _has_moved(deployment: Object, counts: dict[str, int]) -> bool:
    """More updated, ready or available replicas than before, or fewer old ones."""
    before = deployment.get("status") or {}
    old, old_before = (one.get("replicas", 0) - one.get("updatedReplicas", 0) for one in (counts, before))
    grown = any(
        counts[field] > before.get(field, 0) for field in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return grown or old < old_before


def _is_late(deployment: Object, condition: Object, now: datetime) -> bool:
    if condition["reason"] in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return False
    passed = (now - moment_of(condition["lastUpdateTime"])).total_seconds()
    return bool(passed >= deployment["spec"].get("progressDeadlineSeconds", 600))


def seconds_to_deadline(deployment: Object, status: Object, now: datetime) -> float | None:
    """When to look again for a rollout that makes no progress; None when nothing is under way."""
    condition = next((one for one in status["conditions"] if one["type"] == "Progressing"), None)
    if condition is None or condition["reason"] in (
        "NewReplicaSetAvailable",
        "ProgressDeadlineExceeded",
        "DeploymentPaused",
    ):
        return None
    passed = (now - moment_of(condition["lastUpdateTime"])).total_seconds()
    return float(max(0.5, deployment["spec"].get("progressDeadlineSeconds", 600) - passed + 0.5))
