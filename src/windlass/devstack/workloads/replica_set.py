"""The ReplicaSet controller (and its forerunner, the ReplicationController): as many Pods as asked for, of one
template.

It makes and takes away Pods and counts them in the status; orphans that its selector takes are adopted.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api, selectors
from windlass.devstack.workloads.api import ApiError
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.owners import controller_of, controller_reference, is_going, set_condition
from windlass.devstack.workloads.pods import is_active, is_ended, is_ready, pod_of, removal_rank, seconds_to_available

Object = dict[str, Any]

_BURST = 50
"""Pods made or taken away per look, so that one big ReplicaSet does not hold up the others."""


class ReplicaSets(Controller):
    """See the module."""

    name = "replicaset"
    kind = "ReplicaSet"
    resource = api.REPLICA_SETS
    children = (api.PODS,)
    watched = (api.SERVICE_ACCOUNTS,)
    component = "replicaset-controller"

    def __init__(self, cluster: Any) -> None:
        super().__init__(cluster)
        self._refused: set[Key] = set()

    def selector(self, owner: Object) -> Object | None:
        """The owner's label selector."""
        selector: Object | None = owner["spec"].get("selector")
        return selector

    @override
    async def reconcile(self, key: Key) -> float | None:
        owner = self.view.get(self.resource, *key)
        self._refused.discard(key)
        if owner is None:
            return None
        pods = await self._pods(owner)
        failure = ""
        again: float | None = None
        active = [pod for pod in pods if is_active(pod)]
        if not is_going(owner):
            missing = owner["spec"].get("replicas", 1) - len(active)
            try:
                if missing > 0:
                    await self._make(owner, min(missing, _BURST))
                elif missing < 0:
                    await self._take(owner, active, min(-missing, _BURST))
            except ApiError as error:
                failure = error.message
                again = 1.0
                self._refused.add(key)
            if abs(missing) > _BURST:
                again = 0.0
        later = await self._report(owner, failure)
        return again if again is not None else later

    async def _pods(self, owner: Object) -> list[Object]:
        pods = self.view.owned(owner["metadata"]["uid"], api.PODS)
        for pod in self.view.orphans(api.PODS, owner["metadata"]["namespace"]):
            taken = selectors.matches(self.selector(owner), pod["metadata"].get("labels") or {})
            if not taken or not is_active(pod) or is_going(owner):
                continue
            references = [*(pod["metadata"].get("ownerReferences") or []), controller_reference(owner)]
            metadata = {**pod["metadata"], "ownerReferences": references}
            pods.append(await self.cluster.update(api.PODS, {**pod, "metadata": metadata}))
        return pods

    async def _make(self, owner: Object, count: int) -> None:
        for _ in range(count):
            try:
                pod = await self.cluster.create(api.PODS, pod_of(owner["spec"]["template"], owner))
            except ApiError as error:
                self.event(owner, "FailedCreate", f"Error creating: {error.message}", "Warning")
                raise
            self.event(owner, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")

    async def _take(self, owner: Object, active: list[Object], count: int) -> None:
        for pod in sorted(active, key=removal_rank)[:count]:
            await self.cluster.delete(api.PODS, pod)
            self.event(owner, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")

    async def _report(self, owner: Object, failure: str) -> float | None:
        pods = self.view.owned(owner["metadata"]["uid"], api.PODS)
        active = [pod for pod in pods if is_active(pod)]
        spec = owner["spec"]
        labels = (spec["template"].get("metadata") or {}).get("labels") or {}
        fully = [pod for pod in active if selectors.matches_map(labels, pod["metadata"].get("labels") or {})]
        now = self.cluster.clock.now()
        waits = [seconds_to_available(pod, spec.get("minReadySeconds") or 0, now) for pod in active]
        before = owner.get("status") or {}
        status: Object = {"observedGeneration": owner["metadata"].get("generation", 1), "replicas": len(active)}
        counts = {
            "fullyLabeledReplicas": len(fully),
            "readyReplicas": sum(map(is_ready, active)),
            "availableReplicas": sum(wait == 0.0 for wait in waits),
        }
        status.update({field: number for field, number in counts.items() if number})
        status["terminatingReplicas"] = sum(is_going(pod) and not is_ended(pod) for pod in pods)
        conditions = [one for one in before.get("conditions") or [] if one.get("type") != "ReplicaFailure" or failure]
        if failure:
            failed = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": failure}
            conditions = set_condition(conditions, failed, self.cluster.stamp())
        if conditions:
            status["conditions"] = conditions
        await self.cluster.write_status(self.resource, owner, status)
        pending = [wait for wait in waits if wait]
        return min(pending) if pending else None

    @override
    def keys(self, change: api.Change) -> list[Key]:
        if change.resource == api.SERVICE_ACCOUNTS:  # the one that a refused Pod waits for may have come
            namespace = change.object["metadata"]["namespace"]
            return [key for key in self._refused if key[0] == namespace]
        found = list(super().keys(change))
        if change.resource == api.PODS and not found and controller_of(change.object) is None:
            # An orphan: whoever's selector takes it may adopt it.
            namespace = change.object["metadata"]["namespace"]
            labels = change.object["metadata"].get("labels") or {}
            found.extend(
                (namespace, owner["metadata"]["name"])
                for owner in self.view.every(self.resource, namespace)
                if selectors.matches(self.selector(owner), labels)
            )
        return found


class ReplicationControllers(ReplicaSets):
    """The same for ReplicationControllers, whose selector is a plain map."""

    name = "replicationcontroller"
    kind = "ReplicationController"
    resource = api.REPLICATION_CONTROLLERS
    component = "replication-controller"

    @override
    def selector(self, owner: Object) -> Object | None:
        return {"matchLabels": owner["spec"].get("selector") or {}} if owner["spec"].get("selector") else None
