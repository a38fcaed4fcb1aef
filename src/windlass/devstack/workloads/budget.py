"""The PodDisruptionBudget controller: how many Pods of a budget may go right now."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api, selectors
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.owners import controller_of, is_going, set_condition
from windlass.devstack.workloads.pods import is_active, is_ready

Object = dict[str, Any]


def _resolve(value: Any, total: int) -> int:
    if isinstance(value, str):
        return math.ceil(int(value.rstrip("%")) * total / 100)
    return int(value)


class Budgets(Controller):
    """See the module."""

    name = "poddisruptionbudget"
    kind = "PodDisruptionBudget"
    resource = api.BUDGETS
    watched = (api.PODS,)
    component = "controllermanager"

    @override
    def keys(self, change: api.Change) -> Iterable[Key]:
        if change.resource == self.resource:
            return super().keys(change)
        namespace = change.object["metadata"]["namespace"]
        labels = change.object["metadata"].get("labels") or {}
        return [
            (namespace, one["metadata"]["name"])
            for one in self.view.every(self.resource, namespace)
            if selectors.matches(one["spec"].get("selector"), labels)
        ]

    @override
    async def reconcile(self, key: Key) -> float | None:
        budget = self.view.get(self.resource, *key)
        if budget is None or is_going(budget):
            return None
        spec = budget["spec"]
        pods = [
            pod
            for pod in self.view.every(api.PODS, key[0])
            if is_active(pod) and selectors.matches(spec.get("selector"), pod["metadata"].get("labels") or {})
        ]
        healthy = sum(map(is_ready, pods))
        expected = len(pods)
        if spec.get("maxUnavailable") is not None:
            expected = self._expected(pods)
            least = max(0, expected - _resolve(spec["maxUnavailable"], expected))
        elif spec.get("minAvailable") is not None:
            if isinstance(spec["minAvailable"], str):
                expected = self._expected(pods)
            least = _resolve(spec["minAvailable"], expected)
        else:
            least = 1
        allowed = max(0, healthy - least) if expected else 0
        reason = "SufficientPods" if allowed > 0 else "InsufficientPods"
        generation = budget["metadata"].get("generation", 1)
        condition = {
            "type": "DisruptionAllowed",
            "status": "True" if allowed > 0 else "False",
            "reason": reason,
            "message": "",
            "observedGeneration": generation,
        }
        before = (budget.get("status") or {}).get("conditions") or []
        status = {
            **(budget.get("status") or {}),
            "conditions": set_condition(before, condition, self.cluster.stamp()),
            "currentHealthy": healthy,
            "desiredHealthy": least,
            "disruptionsAllowed": allowed,
            "expectedPods": expected,
            "observedGeneration": generation,
        }
        await self.cluster.write_status(self.resource, budget, status)
        return None

    def _expected(self, pods: list[Object]) -> int:
        """The replicas that the Pods' controllers ask for; a Pod without one counts as itself."""
        owners: dict[str, int] = {}
        alone = 0
        for pod in pods:
            reference = controller_of(pod)
            place = self.view.by_uid(reference["uid"]) if reference else None
            owner = self.view.at(place) if place else None
            if reference is None or owner is None:
                alone += 1
            else:
                owners[reference["uid"]] = (owner.get("spec") or {}).get("replicas", 1)
        return alone + sum(owners.values())
