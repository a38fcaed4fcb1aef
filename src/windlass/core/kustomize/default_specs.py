"""The fields that names, labels, images and the rest are written to where a kustomization says nothing else.

Facts of the original, in a short form: a line is a path and the kinds that have it, as ``Kind``, ``Kind.group`` or
``Kind.group.version`` (core kinds: ``Kind..v1``). Used by ``configurations``.
"""

from __future__ import annotations

from typing import Final

from windlass.core.kustomize.fieldspecs import FieldSpec
from windlass.core.kustomize.ids import Gvk

# How a pod template is reached in the kinds that have one.
_POD: Final = {
    "Pod": "spec",
    "PodTemplate": "template/spec",
    "Deployment": "spec/template/spec",
    "ReplicaSet": "spec/template/spec",
    "ReplicationController": "spec/template/spec",
    "DaemonSet": "spec/template/spec",
    "StatefulSet": "spec/template/spec",
    "Job": "spec/template/spec",
    "CronJob": "spec/jobTemplate/spec/template/spec",
}
_CONTAINERS: Final = ("containers", "initContainers")


def gvk(word: str) -> Gvk:
    """A kind in the short form of this module. A group may have dots; a version is a ``v`` and a digit at the end."""
    kind, _, rest = word.partition(".")
    head, _, last = rest.rpartition(".")
    if len(last) > 1 and last[0] == "v" and last[1].isdigit():
        return Gvk(head, last, kind)
    return Gvk(rest, "", kind)


def _specs(text: str, *, create: bool) -> tuple[FieldSpec, ...]:
    out = []
    for line in text.strip().splitlines():
        path, *kinds = line.split()
        out += [FieldSpec(gvk(kind) if kind != "*" else Gvk(), path, create) for kind in kinds]
    return tuple(out)


_TEMPLATE_LABELS = _specs(
    """
    metadata/labels *
    spec/template/metadata/labels ReplicationController..v1 Deployment ReplicaSet DaemonSet StatefulSet.apps Job.batch
    spec/jobTemplate/metadata/labels CronJob.batch
    spec/jobTemplate/spec/template/metadata/labels CronJob.batch
    """,
    create=True,
)
_VOLUME_CLAIM_LABELS = _specs("spec/volumeClaimTemplates[]/metadata/labels StatefulSet.apps", create=True)
_AFFINITY = tuple(
    f"spec/template/spec/affinity/{kind}/{rule}/labelSelector/matchLabels"
    for kind in ("podAffinity", "podAntiAffinity")
    for rule in (
        "preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm",
        "requiredDuringSchedulingIgnoredDuringExecution",
    )
)
_SELECTORS_MADE = _specs(
    """
    spec/selector Service..v1 ReplicationController..v1
    spec/selector/matchLabels Deployment ReplicaSet DaemonSet StatefulSet.apps
    """,
    create=True,
)
_SELECTORS = _specs(
    "\n".join(
        [f"{path} Deployment.apps StatefulSet.apps" for path in _AFFINITY]
        + [
            "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels Deployment.apps StatefulSet.apps",
            "spec/selector/matchLabels Job.batch PodDisruptionBudget.policy",
            "spec/jobTemplate/spec/selector/matchLabels CronJob.batch",
            "spec/podSelector/matchLabels NetworkPolicy.networking.k8s.io",
            "spec/ingress/from/podSelector/matchLabels NetworkPolicy.networking.k8s.io",
            "spec/egress/to/podSelector/matchLabels NetworkPolicy.networking.k8s.io",
        ]
    ),
    create=False,
)
_ANNOTATIONS = _specs(
    """
    metadata/annotations *
    spec/template/metadata/annotations ReplicationController..v1 Deployment ReplicaSet DaemonSet StatefulSet Job.batch
    spec/jobTemplate/metadata/annotations CronJob.batch
    spec/jobTemplate/spec/template/metadata/annotations CronJob.batch
    """,
    create=True,
)
_NAMESPACES = (
    *_specs(
        """
        metadata/name Namespace
        spec/service/namespace APIService.apiregistration.k8s.io
        """,
        create=True,
    ),
    *_specs(
        "spec/conversion/webhook/clientConfig/service/namespace CustomResourceDefinition.apiextensions.k8s.io",
        create=False,
    ),
)
_IMAGES = _specs(
    """
    spec/containers[]/image *
    spec/initContainers[]/image *
    spec/volumes[]/image/reference *
    spec/template/spec/containers[]/image *
    spec/template/spec/initContainers[]/image *
    spec/template/spec/volumes[]/image/reference *
    spec/jobTemplate/spec/template/spec/volumes[]/image/reference *
    """,
    create=True,
)
_REPLICAS = _specs("spec/replicas Deployment ReplicationController ReplicaSet StatefulSet", create=True)
_VARIABLE_KINDS = ("CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "StatefulSet")
_VARIABLES = _specs(
    "\n".join(
        [
            f"{_POD[kind]}/{containers}/{field} {kind}"
            for kind in _VARIABLE_KINDS
            for containers in _CONTAINERS
            for field in ("args", "command", "env/value", "volumeMounts/mountPath")
        ]
        + [
            f"{_POD[kind]}/volumes/nfs/server {kind}"
            for kind in _VARIABLE_KINDS
            if kind not in ("CronJob", "StatefulSet")
        ]
        + [
            "spec/jobTemplate/spec/template/volumes/nfs/server CronJob",
            "spec/volumeClaimTemplates/spec/nfs/server StatefulSet",
            "spec/template/metadata/annotations Deployment",
            "spec/rules/host Ingress",
            "spec/tls/hosts Ingress",
            "spec/tls/secretName Ingress",
            "spec/ports/port Service",
            "spec/ports/targetPort Service",
            "spec/nfs/server PersistentVolume",
            "metadata/labels *",
            "metadata/annotations *",
        ]
    ),
    create=False,
)


def _in_pods(kinds: str, fields: tuple[str, ...]) -> list[str]:
    return [f"{_POD[kind.partition('.')[0]]}/{field} {kind}" for kind in kinds.split() for field in fields]


def _sources(config: str, volume: str) -> tuple[str, ...]:
    """Where pods name a ConfigMap or a Secret."""
    return (
        f"volumes/{volume}",
        f"volumes/projected/sources/{config}/name",
        *(f"{containers}/env/valueFrom/{config}KeyRef/name" for containers in _CONTAINERS),
        *(f"{containers}/envFrom/{config}Ref/name" for containers in _CONTAINERS),
    )


_SOURCE_KINDS = "Pod..v1 PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob"
_ACCOUNT_KINDS = "Pod StatefulSet Deployment ReplicationController CronJob Job DaemonSet"
_WEBHOOKS = (
    "ValidatingWebhookConfiguration.admissionregistration.k8s.io "
    "MutatingWebhookConfiguration.admissionregistration.k8s.io"
)
_RBAC = "rbac.authorization.k8s.io"
_SCALED = ["spec/scaleTargetRef/name HorizontalPodAutoscaler"]
_NAMES: dict[str, list[str]] = {
    **dict.fromkeys(("Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"), _SCALED),
    "ConfigMap..v1": [
        *_in_pods(_SOURCE_KINDS, _sources("configMap", "configMap/name")),
        "spec/configSource/configMap Node",
        "rules/resourceNames Role ClusterRole",
        r"metadata/annotations/nginx.ingress.kubernetes.io\/fastcgi-params-configmap Ingress",
    ],
    "Secret..v1": [
        *_in_pods(_SOURCE_KINDS, (*_sources("secret", "secret/secretName"), "imagePullSecrets/name")),
        "spec/tls/secretName Ingress",
        r"metadata/annotations/ingress.kubernetes.io\/auth-secret Ingress",
        r"metadata/annotations/nginx.ingress.kubernetes.io\/auth-secret Ingress",
        r"metadata/annotations/nginx.ingress.kubernetes.io\/auth-tls-secret Ingress",
        "imagePullSecrets/name ServiceAccount",
        "parameters/secretName StorageClass",
        "parameters/adminSecretName StorageClass",
        "parameters/userSecretName StorageClass",
        "parameters/secretRef StorageClass",
        "rules/resourceNames Role ClusterRole",
        "spec/template/spec/containers/env/valueFrom/secretKeyRef/name Service.serving.knative.dev.v1",
        "spec/azureFile/secretName PersistentVolume",
    ],
    "Service..v1": [
        "spec/serviceName StatefulSet.apps",
        "spec/rules/http/paths/backend/serviceName Ingress",
        "spec/backend/serviceName Ingress",
        "spec/rules/http/paths/backend/service/name Ingress",
        "spec/defaultBackend/service/name Ingress",
        "spec/service/name APIService.apiregistration.k8s.io",
        f"webhooks/clientConfig/service {_WEBHOOKS}",
    ],
    f"Role.{_RBAC}": [f"roleRef/name RoleBinding.{_RBAC}"],
    f"ClusterRole.{_RBAC}": [f"roleRef/name RoleBinding.{_RBAC} ClusterRoleBinding.{_RBAC}"],
    "ServiceAccount..v1": [
        f"subjects RoleBinding.{_RBAC} ClusterRoleBinding.{_RBAC}",
        *_in_pods(_ACCOUNT_KINDS, ("serviceAccountName",)),
    ],
    "PersistentVolumeClaim..v1": _in_pods(_ACCOUNT_KINDS, ("volumes/persistentVolumeClaim/claimName",)),
    "PersistentVolume..v1": ["spec/volumeName PersistentVolumeClaim", "rules/resourceNames ClusterRole"],
    "StorageClass.storage.k8s.io.v1": [
        "spec/storageClassName PersistentVolume PersistentVolumeClaim",
        "spec/volumeClaimTemplates/spec/storageClassName StatefulSet",
    ],
    "PriorityClass.scheduling.k8s.io.v1": _in_pods(_ACCOUNT_KINDS, ("priorityClassName",)),
    "ValidatingAdmissionPolicy.admissionregistration.k8s.io": [
        "spec/policyName ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io"
    ],
}

NAME: Final = (FieldSpec(Gvk(), "metadata/name"),)
FIELDS: Final[dict[str, tuple[FieldSpec, ...]]] = {
    "namePrefix": NAME,
    "nameSuffix": NAME,
    "namespace": _NAMESPACES,
    "commonLabels": (*_SELECTORS_MADE, *_SELECTORS, *_TEMPLATE_LABELS, *_VOLUME_CLAIM_LABELS),
    "labels": (),
    "templateLabels": _TEMPLATE_LABELS,
    "volumeClaimTemplateLabels": _VOLUME_CLAIM_LABELS,
    "commonAnnotations": _ANNOTATIONS,
    "varReference": _VARIABLES,
    "images": _IMAGES,
    "replicas": _REPLICAS,
}
"""By the names that a file of ``configurations`` has for them."""

REFERENCES: Final[dict[Gvk, tuple[FieldSpec, ...]]] = {
    **{gvk(kind): _specs("\n".join(lines), create=False) for kind, lines in _NAMES.items()},
    # Its group is written with a version in it in the original, so that it never matches. Kept as it is.
    Gvk("networking.k8s.io/v1", "v1", "IngressClass"): (FieldSpec(Gvk("", "", "Ingress"), "spec/ingressClassName"),),
}
"""Whose names are written where: the kind that is named, and the fields that name it."""
