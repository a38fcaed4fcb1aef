"""Which fields a write can't own, because the resource throws them away: status by the main resource, spec by status.

Asked once per resource and subresource by ``verbs``. The few resources that differ from the rule are named here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from windlass.core.manifests.fields import Fields

_LEAF: dict[str, Any] = {}
_STATUS: Fields = {"f:status": _LEAF}
_SPEC: Fields = {"f:spec": _LEAF}
_SPEC_AND_METADATA: Fields = {"f:metadata": _LEAF, "f:spec": _LEAF}
_OF_STATUS: dict[tuple[str, str], Fields] = {
    ("", "pods"): {"f:metadata": {"f:deletionTimestamp": _LEAF, "f:ownerReferences": _LEAF}, "f:spec": _LEAF},
    ("apps", "deployments"): {"f:metadata": {"f:labels": _LEAF}, "f:spec": _LEAF},
    ("certificates.k8s.io", "certificatesigningrequests"): {"f:spec": _LEAF, "f:status": {"f:conditions": _LEAF}},
    ("apiextensions.k8s.io", "customresourcedefinitions"): _SPEC,
}
_KEEP_METADATA = frozenset({"", "apps", "autoscaling", "batch", "policy", "certificates.k8s.io"})


@cache
def reset_fields(
    group: str, plural: str, subresource: str = "", *, has_status: bool = True, custom: bool = False
) -> Fields:
    """The set for one resource. ``has_status`` says whether it has a status subresource."""
    if subresource in ("", "finalize"):
        if (group, plural) == ("certificates.k8s.io", "certificatesigningrequests"):
            return {"f:spec": _LEAF, "f:status": _LEAF}
        return _STATUS if has_status else _LEAF
    if subresource == "approval":
        return {"f:spec": _LEAF, "f:status": {"f:certificate": _LEAF}}
    if subresource != "status":
        return _LEAF
    if (group, plural) in _OF_STATUS:
        return _OF_STATUS[group, plural]
    if custom or (group not in _KEEP_METADATA and (group, plural) != ("networking.k8s.io", "ingresses")):
        return _SPEC_AND_METADATA
    return _SPEC
