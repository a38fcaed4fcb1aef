"""What a Pod's status says, and what a new Pod of a template is. Pure; used by all controllers that make or count
Pods.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from windlass.devstack.workloads.api import moment_of
from windlass.devstack.workloads.owners import condition_of, controller_reference, is_going, is_true

Object = dict[str, Any]


def is_ended(pod: Object) -> bool:
    """Whether all its containers ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    """Whether it counts as a replica: neither ended nor going."""
    return not is_ended(pod) and not is_going(pod)


def is_ready(pod: Object) -> bool:
    """Whether it takes traffic."""
    return is_true(pod, "Ready")


def seconds_to_available(pod: Object, min_ready: int, now: datetime) -> float | None:
    """0.0 when it is available; the seconds until then when it is ready; None when it is not ready."""
    condition = condition_of(pod, "Ready")
    if condition is None or condition.get("status") != "True":
        return None
    if not min_ready:
        return 0.0
    return max(0.0, min_ready - (now - moment_of(condition["lastTransitionTime"])).total_seconds())


def pod_of(template: Object, owner: Object, name: str = "") -> Object:
    """A new Pod of a template, controlled by ``owner``; without a name, one is generated from the owner's."""
    wanted = template.get("metadata") or {}
    metadata: Object = {
        "namespace": owner["metadata"]["namespace"],
        "ownerReferences": [controller_reference(owner)],
    }
    if name:
        metadata["name"] = name
    else:
        metadata["generateName"] = f"{owner['metadata']['name']}-"
    for field in ("labels", "annotations", "finalizers"):
        if wanted.get(field):
            metadata[field] = wanted[field]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.get("spec") or {}}


def removal_rank(pod: Object) -> tuple[Any, ...]:
    """The order in which Pods are taken when there are too many: unassigned, pending, not ready and young ones
    first.
    """
    status = pod.get("status") or {}
    restarts = sum(container.get("restartCount", 0) for container in status.get("containerStatuses") or ())
    cost = int((pod["metadata"].get("annotations") or {}).get("controller.kubernetes.io/pod-deletion-cost") or 0)
    phase = {"Pending": 0, "Unknown": 1, "Running": 2}.get(status.get("phase", ""), 0)
    created = moment_of(pod["metadata"]["creationTimestamp"]).timestamp()
    return bool((pod.get("spec") or {}).get("nodeName")), phase, is_ready(pod), cost, -restarts, -created
