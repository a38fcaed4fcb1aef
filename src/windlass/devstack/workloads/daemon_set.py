"""The DaemonSet controller for a cluster of one node: one Pod on it, if the template may run there."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api, selectors
from windlass.devstack.workloads.api import NODE_NAME, ApiError
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.owners import is_going
from windlass.devstack.workloads.pods import is_ended, is_ready, pod_of, seconds_to_available
from windlass.devstack.workloads.revisions import HASH_LABEL, current_revision, forget_revisions
from windlass.devstack.workloads.scheduler import has_affinity

Object = dict[str, Any]

_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


class DaemonSets(Controller):
    """See the module."""

    name = "daemonset"
    kind = "DaemonSet"
    resource = api.DAEMON_SETS
    children = (api.PODS, api.REVISIONS)
    watched = (api.NODES,)
    component = "daemonset-controller"

    @override
    def keys(self, change: api.Change) -> list[Key]:
        if change.resource == api.NODES:
            return [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in self.view.every(self.resource)]
        return list(super().keys(change))

    @override
    async def reconcile(self, key: Key) -> float | None:
        owner = self.view.get(self.resource, *key)
        if owner is None or is_going(owner):
            return None
        revision, old = await current_revision(self.cluster, owner)
        mark = revision["metadata"]["labels"][HASH_LABEL]
        wanted = self._is_wanted(owner)
        pods = self.view.owned(owner["metadata"]["uid"], api.PODS)
        failure = await self._act(owner, pods, mark, wanted)
        pods = self.view.owned(owner["metadata"]["uid"], api.PODS)
        again = await self._report(owner, pods, mark, wanted)
        used = {(pod["metadata"].get("labels") or {}).get(HASH_LABEL, "") for pod in pods}
        await forget_revisions(self.cluster, owner, old, used)
        if failure is not None:
            raise failure
        return again

    def _is_wanted(self, owner: Object) -> bool:
        node = self.view.get(api.NODES, "", NODE_NAME)
        if node is None:
            return False
        spec = owner["spec"]["template"].get("spec") or {}
        labels = node["metadata"].get("labels") or {}
        return selectors.matches_map(spec.get("nodeSelector") or {}, labels) and has_affinity(spec, node)

    async def _act(self, owner: Object, pods: list[Object], mark: str, wanted: bool) -> ApiError | None:
        alive = [pod for pod in pods if not is_going(pod)]
        for pod in alive:
            outdated = (pod["metadata"].get("labels") or {}).get(HASH_LABEL) != mark
            rolling = (owner["spec"].get("updateStrategy") or {}).get("type") == "RollingUpdate"
            if is_ended(pod) or not wanted or (outdated and rolling):
                await self.cluster.delete(api.PODS, pod)
                self.event(owner, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
        if pods or not wanted:
            return None
        pod = pod_of(owner["spec"]["template"], owner)
        count = (owner["metadata"].get("annotations") or {}).get("deprecated.daemonset.template.generation", "1")
        marks = {HASH_LABEL: mark, "pod-template-generation": count}
        pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), **marks}
        pod["spec"] = _pinned(pod["spec"])
        try:
            made = await self.cluster.create(api.PODS, pod)
        except ApiError as error:
            self.event(owner, "FailedCreate", f"Error creating: {error.message}", "Warning")
            return error
        self.event(owner, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
        return None

    async def _report(self, owner: Object, pods: list[Object], mark: str, wanted: bool) -> float | None:
        spec, now = owner["spec"], self.cluster.clock.now()
        mine = [pod for pod in pods if not is_going(pod) and not is_ended(pod)][:1] if wanted else []
        waits = [seconds_to_available(pod, spec.get("minReadySeconds") or 0, now) for pod in mine]
        available = sum(wait == 0.0 for wait in waits)
        updated = sum((pod["metadata"].get("labels") or {}).get(HASH_LABEL) == mark for pod in mine)
        counts = {
            "updatedNumberScheduled": updated,
            "numberAvailable": available,
            "numberUnavailable": int(wanted) - available,
        }
        status: Object = {
            "currentNumberScheduled": len(mine),
            "desiredNumberScheduled": int(wanted),
            "numberMisscheduled": 0,
            "numberReady": sum(map(is_ready, mine)),
            "observedGeneration": owner["metadata"].get("generation", 1),
            **{name: count for name, count in counts.items() if count},
        }
        await self.cluster.write_status(self.resource, owner, status)
        pending = [wait for wait in waits if wait]
        return min(pending) if pending else None


def _pinned(spec: Object) -> Object:
    """The Pod's spec with the affinity to its node and the tolerations that every daemon Pod gets."""
    affinity = dict(spec.get("affinity") or {})
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [NODE_NAME]}]}
    affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    tolerations = list(spec.get("tolerations") or [])
    for key, effect in _TOLERATED:
        tolerations.append({"effect": effect, "key": key, "operator": "Exists"})
    if spec.get("hostNetwork"):
        key = "node.kubernetes.io/network-unavailable"
        tolerations.append({"effect": "NoSchedule", "key": key, "operator": "Exists"})
    return {**spec, "affinity": affinity, "tolerations": tolerations}
