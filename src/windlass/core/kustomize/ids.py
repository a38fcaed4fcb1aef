"""How an object is told apart: group, version, kind, name, namespace; and which kinds have no namespace.

Used by collections, selectors and references. The table of scopes is the original's own (Kubernetes 1.21 and a few
kinds since): a kind that is not in it counts as namespaced, whatever a cluster would say.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

NOT_NAMESPACED: Final = "_non_namespaceable_"
DEFAULT_NAMESPACE: Final = "default"

_CLUSTER_SCOPED = {
    "admissionregistration.k8s.io/v1": (
        "MutatingWebhookConfiguration ValidatingWebhookConfiguration "
        "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"
    ),
    "admissionregistration.k8s.io/v1beta1": "MutatingWebhookConfiguration ValidatingWebhookConfiguration",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "apiextensions.k8s.io/v1beta1": "CustomResourceDefinition",
    "apiregistration.k8s.io/v1": "APIService",
    "apiregistration.k8s.io/v1beta1": "APIService",
    "certificates.k8s.io/v1": "CertificateSigningRequest",
    "certificates.k8s.io/v1beta1": "CertificateSigningRequest",
    "flowcontrol.apiserver.k8s.io/v1beta1": "FlowSchema PriorityLevelConfiguration",
    "networking.k8s.io/v1": "IngressClass",
    "networking.k8s.io/v1beta1": "IngressClass",
    "node.k8s.io/v1": "RuntimeClass",
    "node.k8s.io/v1beta1": "RuntimeClass",
    "policy/v1beta1": "PodSecurityPolicy",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding",
    "rbac.authorization.k8s.io/v1beta1": "ClusterRole ClusterRoleBinding",
    "scheduling.k8s.io/v1": "PriorityClass",
    "scheduling.k8s.io/v1beta1": "PriorityClass",
    "storage.k8s.io/v1": "CSIDriver CSINode StorageClass VolumeAttachment",
    "storage.k8s.io/v1beta1": "CSIDriver CSINode StorageClass VolumeAttachment",
    "v1": "ComponentStatus Namespace Node NodeProxyOptions PersistentVolume",
}
CLUSTER_SCOPED = frozenset(
    (api_version, kind) for api_version, kinds in _CLUSTER_SCOPED.items() for kind in kinds.split()
)
_NAMESPACED = {
    "apps/v1": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "autoscaling/v1": "HorizontalPodAutoscaler Scale",
    "autoscaling/v2beta1": "HorizontalPodAutoscaler",
    "autoscaling/v2beta2": "HorizontalPodAutoscaler",
    "batch/v1": "CronJob Job",
    "batch/v1beta1": "CronJob",
    "coordination.k8s.io/v1": "Lease",
    "coordination.k8s.io/v1beta1": "Lease",
    "discovery.k8s.io/v1": "EndpointSlice",
    "discovery.k8s.io/v1beta1": "EndpointSlice",
    "events.k8s.io/v1": "Event",
    "events.k8s.io/v1beta1": "Event",
    "extensions/v1beta1": "Ingress",
    "networking.k8s.io/v1": "Ingress NetworkPolicy",
    "networking.k8s.io/v1beta1": "Ingress",
    "policy/v1": "PodDisruptionBudget",
    "policy/v1beta1": "PodDisruptionBudget",
    "rbac.authorization.k8s.io/v1": "Role RoleBinding",
    "rbac.authorization.k8s.io/v1beta1": "Role RoleBinding",
    "storage.k8s.io/v1beta1": "CSIStorageCapacity",
    "v1": (
        "ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod PodAttachOptions PodExecOptions "
        "PodPortForwardOptions PodProxyOptions PodTemplate ReplicationController ResourceQuota Secret Service "
        "ServiceAccount ServiceProxyOptions"
    ),
}
KNOWN_SCOPES = CLUSTER_SCOPED | frozenset(
    (api_version, kind) for api_version, kinds in _NAMESPACED.items() for kind in kinds.split()
)


class Gvk(NamedTuple):
    """Group, version and kind; each empty where a selector leaves it open."""

    group: str = ""
    version: str = ""
    kind: str = ""

    def selected_by(self, other: Gvk) -> bool:
        """Whether every part that ``other`` names is the same here."""
        return (
            (not other.kind or other.kind == self.kind)
            and (not other.group or other.group == self.group)
            and (not other.version or other.version == self.version)
        )

    @property
    def api_version(self) -> str:
        """As an object writes it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def words(self) -> str:
        """For messages and for the order of output."""
        return f"{self.kind or '[noKind]'}.{self.version or '[noVer]'}.{self.group or '[noGrp]'}"


class Id(NamedTuple):
    """An object's identity. ``scope`` is its namespace as it counts: a word of its own for kinds without one, and
    ``default`` where none is given."""

    gvk: Gvk
    name: str
    namespace: str
    scope: str

    @staticmethod
    def of(gvk: Gvk, name: str, namespace: str, *, cluster_scoped: bool = False) -> Id:
        """The identity with its scope worked out."""
        scope = NOT_NAMESPACED if cluster_scoped else namespace or DEFAULT_NAMESPACE
        return Id(gvk, name, namespace, scope)

    @property
    def cluster_scoped(self) -> bool:
        """Whether the kind has no namespace."""
        return self.scope == NOT_NAMESPACED

    def same(self, other: Id) -> bool:
        """Whether both mean one object."""
        return self.name == other.name and self.gvk == other.gvk and self.scope == other.scope

    @property
    def key(self) -> tuple[Gvk, str, str]:
        """What is equal where ``same`` holds."""
        return self.gvk, self.name, self.scope

    def words(self) -> str:
        """For messages."""
        place = f" in {self.namespace}" if self.namespace and not self.cluster_scoped else ""
        return f"{self.gvk.kind or 'object'} {self.name or '(no name)'}{place}"


@lru_cache(1024)
def gvk_of(api_version: str, kind: str) -> Gvk:
    """Group, version and kind of an object."""
    group, slash, version = api_version.partition("/")
    return Gvk(group, version, kind) if slash else Gvk("", api_version, kind)
