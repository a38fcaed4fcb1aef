"""What others add to our objects because it is their work: no drift. One table, each line with its reason.

``examine`` and ``suspicious`` ask it about additions only; a field that Git names is never excused here.
"""

from __future__ import annotations

import msgspec

from windlass.core.plan.ownership import RELEASED_MANAGER

_ANY = "*"
_CONTROL_PLANE = ("kube-controller-manager", "kube-scheduler", "kube-apiserver", "cloud-controller-manager")
_INJECTORS = ("cainjector", "cert-manager", "service-ca-operator")


class Expected(msgspec.Struct, frozen=True):
    """One line: at ``path`` or below (``*`` is any one element) of ``kind`` (empty: any), written by a manager whose
    name contains one of ``managers`` (none: any), through ``subresource`` (empty: any)."""

    path: tuple[str, ...]
    why: str
    kind: str = ""
    managers: tuple[str, ...] = ()
    subresource: str = ""


_SPEC = "f:spec"
_TEMPLATE_NOTES = (_SPEC, "f:template", "f:metadata", "f:annotations")

TABLE: tuple[Expected, ...] = (
    Expected((), "let go by Windlass itself", managers=(RELEASED_MANAGER,)),
    Expected((_SPEC, "f:replicas"), "scaled, and Git names no replicas", subresource="scale"),
    Expected((*_TEMPLATE_NOTES, "f:kubectl.kubernetes.io/restartedAt"), "a restart that was asked for"),
    Expected((_SPEC, "f:volumeName"), "bound", kind="PersistentVolumeClaim", managers=_CONTROL_PLANE),
    Expected((_SPEC, "f:claimRef"), "bound", kind="PersistentVolume", managers=_CONTROL_PLANE),
    Expected((_SPEC, "f:nodeName"), "scheduled", kind="Pod", managers=_CONTROL_PLANE),
    Expected((_SPEC, "f:clusterIP"), "allocated", kind="Service", managers=_CONTROL_PLANE),
    Expected((_SPEC, "f:clusterIPs"), "allocated", kind="Service", managers=_CONTROL_PLANE),
    Expected((_SPEC, "f:ipFamilies"), "allocated", kind="Service", managers=_CONTROL_PLANE),
    Expected((_SPEC, "f:ipFamilyPolicy"), "allocated", kind="Service", managers=_CONTROL_PLANE),
    Expected((_SPEC, "f:healthCheckNodePort"), "allocated", kind="Service", managers=_CONTROL_PLANE),
    Expected((_SPEC, "f:ports", _ANY, "f:nodePort"), "allocated", kind="Service", managers=_CONTROL_PLANE),
    Expected((_SPEC, "f:finalizers"), "held until its content is gone", kind="Namespace"),
    Expected((_SPEC, "f:selector"), "made with the Job", kind="Job"),
    Expected((_SPEC, "f:template", "f:metadata", "f:labels"), "made with the Job", kind="Job"),
    Expected(("f:secrets",), "tokens of the account", kind="ServiceAccount", managers=_CONTROL_PLANE),
    Expected(("f:rules",), "aggregated", kind="ClusterRole", managers=("clusterrole-aggregation-controller",)),
    Expected(("f:webhooks", _ANY, "f:clientConfig", "f:caBundle"), "certificate injected", managers=_INJECTORS),
    Expected(
        (_SPEC, "f:conversion", "f:webhook", "f:clientConfig", "f:caBundle"),
        "certificate injected",
        kind="CustomResourceDefinition",
        managers=_INJECTORS,
    ),
    Expected((_SPEC, "f:caBundle"), "certificate injected", kind="APIService", managers=_INJECTORS),
)


def why_expected(kind: str, path: tuple[str, ...], manager: str, subresource: str) -> str:
    """The reason why an addition at this path by this manager is none, or ""."""
    for line in TABLE:
        if (
            (not line.kind or line.kind == kind)
            and (not line.subresource or line.subresource == subresource)
            and (not line.managers or any(name in manager for name in line.managers))
            and len(path) >= len(line.path)
            and all(want in (_ANY, have) for want, have in zip(line.path, path, strict=False))
        ):
            return line.why
    return ""
