"""The scheduler of a cluster with one node: a Pod goes to `devnode` when it may, or its PodScheduled condition says
why not.

It honours node selectors, required node affinity, scheduling gates, taints of the node and the claims that a Pod
needs. It counts no resources:
the node is as big as it needs to be.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api, selectors
from windlass.devstack.workloads.api import NODE_NAME, SCHEDULER
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.owners import condition_of, is_going, set_condition
from windlass.devstack.workloads.pods import is_ended
from windlass.devstack.workloads.recorder import Note

Object = dict[str, Any]


class Scheduler(Controller):
    """See the module."""

    name = "scheduler"
    kind = "Pod"
    resource = api.PODS
    watched = (api.CLAIMS, api.NODES)
    urgent = watched
    component = "default-scheduler"

    def __init__(self, cluster: Any) -> None:
        super().__init__(cluster)
        self._waiting: set[Key] = set()

    @override
    def keys(self, change: api.Change) -> list[Key]:
        if change.resource == api.PODS:
            pod = change.object
            key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
            if (pod.get("spec") or {}).get("nodeName") or change.type == "DELETED":
                self._waiting.discard(key)
                return []
            return [key]
        return [*self._waiting]

    @override
    async def reconcile(self, key: Key) -> float | None:
        pod = self.view.get(api.PODS, *key)
        if pod is None or pod["spec"].get("nodeName") or is_going(pod) or is_ended(pod):
            self._waiting.discard(key)
            return None
        if pod["spec"].get("schedulerName", "default-scheduler") != "default-scheduler" or pod["spec"].get(
            "schedulingGates"
        ):
            return None
        why = self._obstacle(pod)
        if why:
            self._waiting.add(key)
            await self._refuse(pod, why)
            return None
        status = dict(pod.get("status") or {})
        bound = {"lastProbeTime": None, "status": "True", "type": "PodScheduled"}
        conditions = [one for one in status.get("conditions") or [] if one["type"] != "PodScheduled"]
        status["conditions"] = set_condition(conditions, bound, self.cluster.stamp())
        spec = {**pod["spec"], "nodeName": NODE_NAME}
        await self.cluster.update(api.PODS, {**pod, "spec": spec, "status": status}, SCHEDULER, "binding")
        self._waiting.discard(key)
        namespace, name = key
        self._note(pod, "Normal", "Scheduled", f"Successfully assigned {namespace}/{name} to {NODE_NAME}")
        return None

    def _obstacle(self, pod: Object) -> str:
        """Why the Pod can't go to the node; empty when it can."""
        node = self.view.get(api.NODES, "", NODE_NAME)
        if node is None:
            return "no nodes available to schedule pods"
        spec = pod["spec"]
        for volume in spec.get("volumes") or []:
            claim_name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if not claim_name:
                continue
            claim = self.view.get(api.CLAIMS, pod["metadata"]["namespace"], claim_name)
            if claim is None or is_going(claim):
                return f'0/1 nodes are available: persistentvolumeclaim "{claim_name}" not found. {_NO_PREEMPTION}'
            if (claim.get("status") or {}).get("phase") != "Bound":
                return f"0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. {_NO_PREEMPTION}"
        labels = node["metadata"].get("labels") or {}
        if not selectors.matches_map(spec.get("nodeSelector") or {}, labels) or not has_affinity(spec, node):
            return f"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. {_NO_PREEMPTION}"
        for taint in (node.get("spec") or {}).get("taints") or []:
            if taint.get("effect") != "PreferNoSchedule" and not any(
                _tolerates(one, taint) for one in spec.get("tolerations") or []
            ):
                if taint.get("key") == "node.kubernetes.io/unschedulable":
                    return f"0/1 nodes are available: 1 node(s) were unschedulable. {_NO_PREEMPTION}"
                words = f"1 node(s) had untolerated taint(s) {{{taint.get('key')}: {taint.get('value', '')}}}"
                return f"0/1 nodes are available: {words}. {_NO_PREEMPTION}"
        if (node.get("spec") or {}).get("unschedulable"):
            return f"0/1 nodes are available: 1 node(s) were unschedulable. {_NO_PREEMPTION}"
        return ""

    async def _refuse(self, pod: Object, why: str) -> None:
        before = condition_of(pod, "PodScheduled")
        if before and before.get("message") == why:
            return
        refused = {
            "lastProbeTime": None,
            "message": why,
            "reason": "Unschedulable",
            "status": "False",
            "type": "PodScheduled",
        }
        status = dict(pod.get("status") or {})
        status["conditions"] = set_condition(status.get("conditions") or [], refused, self.cluster.stamp())
        await self.cluster.update(api.PODS, {**pod, "status": status}, SCHEDULER, "status")
        self._note(pod, "Warning", "FailedScheduling", why)

    def _note(self, pod: Object, kind: str, reason: str, message: str) -> None:
        self.cluster.events.record(Note(pod, kind, reason, message, self.component, SCHEDULER))


_NO_PREEMPTION = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint.get("key"):
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def has_affinity(spec: Object, node: Object) -> bool:
    """Required node affinity: any of the terms, each with all its expressions."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(may_run(term, node) for term in required.get("nodeSelectorTerms") or [])


def may_run(term: Object, node: Object) -> bool:
    """Whether a node selector term takes the node."""
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    return all(
        _expression(expression, values)
        for part, values in (("matchExpressions", labels), ("matchFields", fields))
        for expression in term.get(part) or []
    )


def _expression(expression: Object, values: dict[str, str]) -> bool:
    operator = expression.get("operator")
    if operator in ("Gt", "Lt"):
        value, limit = values.get(expression["key"], ""), (expression.get("values") or [""])[0]
        if not value.lstrip("-").isdigit() or not limit.lstrip("-").isdigit():
            return False
        return int(value) > int(limit) if operator == "Gt" else int(value) < int(limit)
    return selectors.matches({"matchExpressions": [expression]}, values)
