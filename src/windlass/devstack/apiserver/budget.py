"""Whether an eviction would break a PodDisruptionBudget. Called by the eviction subresource."""

from __future__ import annotations

from windlass.core.manifests.selectors import LabelSelector
from windlass.devstack.apiserver.errors import ApiError
from windlass.devstack.apiserver.store import Item, Store

_SHELF = "poddisruptionbudgets.policy"


def check_budget(store: Store, pod: Item) -> None:
    """429 where a budget that selects the Pod allows no disruption now. Pods that do not run are always free to go."""
    if (pod.obj.get("status") or {}).get("phase") in ("Succeeded", "Failed", "Pending"):
        return
    labels = pod.obj["metadata"].get("labels") or {}
    for item in store.items(_SHELF, pod.namespace):
        if not LabelSelector.of((item.obj.get("spec") or {}).get("selector")).matches(labels):
            continue
        allowed = (item.obj.get("status") or {}).get("disruptionsAllowed", 0)
        if allowed <= 0:
            cause = {
                "reason": "DisruptionBudget",
                "message": f"The disruption budget {item.name} needs more healthy pods than there are now",
            }
            words = "Cannot evict pod as it would violate the pod's disruption budget."
            raise ApiError(429, "TooManyRequests", words, {"causes": [cause]})
