"""The HorizontalPodAutoscaler: it keeps a workload inside its bounds. As in a cluster without a metrics server it says
that it can measure nothing; where ``measured`` is asked for, that every Pod is just as busy as is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api
from windlass.devstack.workloads.api import ApiError
from windlass.devstack.workloads.cluster import Cluster
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.owners import is_going, set_condition

Object = dict[str, Any]

_TARGETS = {
    ("apps/v1", "Deployment"): api.DEPLOYMENTS,
    ("apps/v1", "StatefulSet"): api.STATEFUL_SETS,
    ("apps/v1", "ReplicaSet"): api.REPLICA_SETS,
}
_NO_METRICS = (
    "unable to get metrics for resource {name}: unable to fetch metrics from resource metrics API: "
    "the server could not find the requested resource (get pods.metrics.k8s.io)"
)


class Autoscalers(Controller):
    """See the module."""

    name = "horizontalpodautoscaler"
    kind = "HorizontalPodAutoscaler"
    resource = api.AUTOSCALERS
    watched = tuple(_TARGETS.values())
    component = "horizontal-pod-autoscaler"

    def __init__(self, cluster: Cluster, *, measured: bool = False) -> None:
        super().__init__(cluster)
        self._measured = measured

    @override
    def keys(self, change: api.Change) -> Iterable[Key]:
        if change.resource == self.resource:
            return super().keys(change)
        obj = change.object
        if change.old is not None and (change.old.get("spec") or {}).get("replicas") == (obj.get("spec") or {}).get(
            "replicas"
        ):
            same = (change.old.get("status") or {}).get("replicas") == (obj.get("status") or {}).get("replicas")
            if same and change.type == "MODIFIED":
                return ()
        namespace, kind, name = obj["metadata"]["namespace"], obj.get("kind"), obj["metadata"]["name"]
        return [
            (namespace, one["metadata"]["name"])
            for one in self.view.every(self.resource, namespace)
            if (one["spec"]["scaleTargetRef"].get("kind"), one["spec"]["scaleTargetRef"].get("name")) == (kind, name)
        ]

    @override
    async def reconcile(self, key: Key) -> float | None:
        scaler = self.view.get(self.resource, *key)
        if scaler is None or is_going(scaler):
            return None
        spec, status = scaler["spec"], dict(scaler.get("status") or {})
        conditions = list(status.get("conditions") or [])
        reference = spec["scaleTargetRef"]
        resource = _TARGETS.get((reference.get("apiVersion", ""), reference.get("kind", "")))
        target = self.view.get(resource, key[0], reference["name"]) if resource else None
        if resource is None or target is None:
            why = self._no_scale(reference, resource)
            conditions = self._with(conditions, "AbleToScale", "False", "FailedGetScale", why)
            await self.cluster.write_status(self.resource, scaler, {**status, "conditions": conditions})
            if conditions != (scaler.get("status") or {}).get("conditions"):
                self.event(
                    scaler,
                    "FailedGetScale",
                    why.removeprefix("the HPA controller was unable to get the target's current scale: "),
                    "Warning",
                )
            return None
        current = target["spec"].get("replicas", 1)
        wanted, reason = self._bounded(spec, current)
        words = "the HPA controller was able to get the target's current scale"
        conditions = self._with(conditions, "AbleToScale", "True", "SucceededGetScale", words)
        if current == 0:
            words = "scaling is disabled since the replica count of the target is zero"
            conditions = self._with(conditions, "ScalingActive", "False", "ScalingDisabled", words)
        elif wanted != current:
            words = f"the HPA controller was able to update the target scale to {wanted}"
            conditions = self._with(conditions, "AbleToScale", "True", "SucceededRescale", words)
            await self._rescale(scaler, resource, target, wanted, reason)
            status["lastScaleTime"] = self.cluster.stamp()
        elif self._measured:
            words = f"the HPA was able to successfully calculate a replica count from {self._metric(spec)} resource "
            words += "utilization (percentage of request)"
            conditions = self._with(conditions, "ScalingActive", "True", "ValidMetricFound", words)
        else:
            why = _NO_METRICS.format(name=self._metric(spec))
            start = f"the HPA was unable to compute the replica count: failed to get {self._metric(spec)} utilization"
            words = f"{start}: {why}"
            conditions = self._with(conditions, "ScalingActive", "False", "FailedGetResourceMetric", words)
        status.update(currentReplicas=(target.get("status") or {}).get("replicas", 0), desiredReplicas=wanted)
        status.update(conditions=conditions, currentMetrics=[{"type": ""}])
        status.pop("observedGeneration", None)
        written = await self.cluster.write_status(self.resource, scaler, status)
        if written is not scaler and current == wanted and current and not self._measured:
            self._complain(scaler)
        return None

    def _complain(self, scaler: Object) -> None:
        name = self._metric(scaler["spec"])
        words = f"failed to get {name} utilization: {_NO_METRICS.format(name=name)}"
        start = f"invalid metrics (1 invalid out of 1), first error is: failed to get {name} resource metric value"
        self.event(scaler, "FailedGetResourceMetric", words, "Warning")
        self.event(scaler, "FailedComputeMetricsReplicas", f"{start}: {words}", "Warning")

    @staticmethod
    def _metric(spec: Object) -> str:
        for metric in spec.get("metrics") or []:
            name = (metric.get("resource") or {}).get("name")
            if name:
                return str(name)
        return "cpu"

    @staticmethod
    def _bounded(spec: Object, current: int) -> tuple[int, str]:
        low, high = spec.get("minReplicas", 1), spec["maxReplicas"]
        if current == 0:
            return 0, ""
        if current > high:
            return high, "Current number of replicas above Spec.MaxReplicas"
        if current < low:
            return low, "Current number of replicas below Spec.MinReplicas"
        return current, ""

    @staticmethod
    def _no_scale(reference: Object, resource: str | None) -> str:
        start = "the HPA controller was unable to get the target's current scale: "
        if resource is None:
            group = reference.get("apiVersion", "").rpartition("/")[0]
            return f'{start}no matches for kind "{reference.get("kind")}" in group "{group}"'
        return f'{start}{resource.rpartition("/")[2]}.apps "{reference["name"]}" not found'

    def _with(self, conditions: list[Object], kind: str, status: str, reason: str, message: str) -> list[Object]:
        condition = {"type": kind, "status": status, "reason": reason, "message": message}
        return set_condition(conditions, condition, self.cluster.stamp())

    async def _rescale(self, scaler: Object, resource: str, target: Object, wanted: int, reason: str) -> None:
        metadata = target["metadata"]
        scale = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "spec": {"replicas": wanted},
        }
        words = f"New size: {wanted}; reason: {reason}"
        try:
            await self.cluster.api.update(resource, scale, manager=api.CONTROLLER_MANAGER, subresource="scale")
        except ApiError as error:
            self.event(scaler, "FailedRescale", f"{words}; error: {error.message}", "Warning")
            raise
        await self.cluster.refresh(resource, target)
        self.event(scaler, "SuccessfulRescale", words)
