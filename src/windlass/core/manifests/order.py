"""In which order kinds are applied, and (backwards) pruned: what others need comes first.

Asked by the plan for every object. Tiers are small ints: all of one tier goes in parallel, the next waits for it. Only
the kind decides; waves, which people write, come before it. An unknown kind goes where workloads go, after what they
need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

_RBAC = "rbac.authorization.k8s.io"
_NETWORK = "networking.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"

# (group, kind) by tier; an empty group is core.
_TIERS: tuple[frozenset[tuple[str, str]], ...] = (
    # 0: what names and kinds stand on
    frozenset({("", "Namespace"), ("apiextensions.k8s.io", "CustomResourceDefinition")}),
    # 1: what the whole cluster shares
    frozenset(
        {
            (_RBAC, "ClusterRole"),
            ("scheduling.k8s.io", "PriorityClass"),
            ("storage.k8s.io", "StorageClass"),
            ("storage.k8s.io", "CSIDriver"),
            ("storage.k8s.io", "VolumeAttributesClass"),
            ("node.k8s.io", "RuntimeClass"),
            (_NETWORK, "IngressClass"),
            ("", "PersistentVolume"),
            ("resource.k8s.io", "DeviceClass"),
            ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        }
    ),
    # 2: what workloads are and may do
    frozenset(
        {
            ("", "ServiceAccount"),
            ("", "ResourceQuota"),
            ("", "LimitRange"),
            (_RBAC, "Role"),
            (_RBAC, "ClusterRoleBinding"),
            ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        }
    ),
    # 3: what workloads read and mount, and rules that must hold before they start
    frozenset(
        {
            (_RBAC, "RoleBinding"),
            ("", "ConfigMap"),
            ("", "Secret"),
            ("", "PersistentVolumeClaim"),
            ("", "PodTemplate"),
            (_NETWORK, "NetworkPolicy"),
            ("resource.k8s.io", "ResourceClaim"),
            ("resource.k8s.io", "ResourceClaimTemplate"),
        }
    ),
    # 4: names that workloads look up as they start
    frozenset({("", "Service"), ("", "Endpoints"), ("discovery.k8s.io", "EndpointSlice")}),
    # 5: workloads, and every kind that is not named here
    frozenset(
        {
            ("", "Pod"),
            ("", "ReplicationController"),
            ("apps", "Deployment"),
            ("apps", "StatefulSet"),
            ("apps", "DaemonSet"),
            ("apps", "ReplicaSet"),
            ("batch", "Job"),
            ("batch", "CronJob"),
        }
    ),
    # 6: what acts on workloads or leads to them
    frozenset(
        {
            ("autoscaling", "HorizontalPodAutoscaler"),
            ("policy", "PodDisruptionBudget"),
            (_NETWORK, "Ingress"),
            ("apiregistration.k8s.io", "APIService"),
        }
    ),
    # 7: what judges every later write: a webhook whose server is not up refuses everything
    frozenset(
        {
            (_ADMISSION, "ValidatingWebhookConfiguration"),
            (_ADMISSION, "MutatingWebhookConfiguration"),
            (_ADMISSION, "ValidatingAdmissionPolicy"),
            (_ADMISSION, "ValidatingAdmissionPolicyBinding"),
            (_ADMISSION, "MutatingAdmissionPolicy"),
            (_ADMISSION, "MutatingAdmissionPolicyBinding"),
        }
    ),
)

WORKLOADS = 5
LAST = len(_TIERS) - 1
_OF: Mapping[tuple[str, str], int] = {key: tier for tier, keys in enumerate(_TIERS) for key in keys}


class Named(Protocol):
    """Whatever has a group and a kind, such as an ``ObjectRef``."""

    @property
    def group(self) -> str: ...
    @property
    def kind(self) -> str: ...


def tier(group: str, kind: str) -> int:
    """The tier of a kind, 0 (first) to ``LAST``."""
    return _OF.get((group, kind), WORKLOADS)


def tier_of(named: Named) -> int:
    """The tier of an object by its reference."""
    return _OF.get((named.group, named.kind), WORKLOADS)
