"""What is wrong with an object of a built-in kind other than its metadata: the common part of what the real server
checks.

Called by ``validate``, a function per kind. What may not change on an update is in ``immutable``.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable
from typing import Any

from windlass.devstack.workloads import api, names
from windlass.devstack.workloads.causes import Causes
from windlass.devstack.workloads.validate_pods import check_port_number, check_quantities
from windlass.devstack.workloads.validate_workloads import (
    check_claim_spec,
    check_cron_job,
    check_daemon_set,
    check_deployment,
    check_int_or_percent,
    check_job,
    check_pod,
    check_pod_template,
    check_replica_set,
    check_stateful_set,
)

Object = dict[str, Any]
_MEGABYTE = 1024 * 1024


def _service_ports(causes: Causes, spec: Object) -> None:
    ports = spec.get("ports") or []
    headless = spec.get("clusterIP") == "None"
    kind = spec.get("type")
    if not ports and not headless and kind != "ExternalName":
        causes.required("spec.ports")
    seen_names: set[str] = set()
    seen_ports: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        where = f"spec.ports[{index}]"
        name = port.get("name")
        if not name and len(ports) > 1:
            causes.required(f"{where}.name")
        elif name:
            causes.invalids(f"{where}.name", name, names.label_1123(name))
            if name in seen_names:
                causes.duplicate(f"{where}.name", name)
            seen_names.add(name)
        check_port_number(causes, f"{where}.port", port.get("port") or 0)
        target = port.get("targetPort")
        if isinstance(target, str):
            causes.invalids(f"{where}.targetPort", target, names.port_name(target))
        else:
            check_port_number(causes, f"{where}.targetPort", target)
        causes.one_of(f"{where}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))
        key = (port.get("protocol"), port.get("port"))
        if key in seen_ports:
            shown = {
                "Name": "",
                "Protocol": key[0],
                "AppProtocol": None,
                "Port": key[1],
                "TargetPort": 0,
                "NodePort": 0,
            }
            causes.duplicate(where, shown)
        seen_ports.add(key)
        if port.get("nodePort") and kind not in ("NodePort", "LoadBalancer"):
            causes.forbidden(f"{where}.nodePort", f"may not be used when `type` is '{kind}'")


def _has_address(causes: Causes, address: str | None) -> bool:
    """Whether the asked cluster IP is one (or none is asked); nothing else is looked at when it is not."""
    if not address or address == "None":
        return True
    try:
        ipaddress.ip_address(address)
    except ValueError:
        words = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        causes.invalid("spec.clusterIPs[0]", address, words)
        return False
    return True


def _service(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    kind = spec.get("type")
    if not _has_address(causes, spec.get("clusterIP")):
        return
    _service_ports(causes, spec)
    causes.one_of("spec.type", kind, ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"))
    causes.one_of("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    if spec.get("clusterIP") == "None" and kind in ("LoadBalancer", "NodePort"):
        causes.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        target = (spec.get("externalName") or "").removesuffix(".")
        if not target:
            causes.required("spec.externalName")
        else:
            causes.invalids("spec.externalName", target, names.subdomain_1123(target))
        if spec.get("clusterIPs"):
            causes.forbidden("spec.clusterIPs", "may not be set for ExternalName services")
    causes.labels("spec.selector", spec.get("selector"))
    traffic = spec.get("externalTrafficPolicy")
    if traffic and kind == "ClusterIP" and not spec.get("externalIPs"):
        words = "may only be set for externally-accessible services"
        causes.invalid("spec.externalTrafficPolicy", traffic, words)
    causes.one_of("spec.internalTrafficPolicy", spec.get("internalTrafficPolicy"), ("Cluster", "Local"))


def _config_map(causes: Causes, obj: Object) -> None:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    for part, entries in (("data", data), ("binaryData", binary)):
        for key in entries:
            causes.invalids(f"{part}[{key}]", key, names.config_key(key))
    for key in data.keys() & binary.keys():
        causes.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    if sum(len(str(value)) for value in (*data.values(), *binary.values())) > _MEGABYTE:
        causes.too_long("", _MEGABYTE)


_SECRET_KEYS: dict[str, tuple[str, ...]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def _secret(causes: Causes, obj: Object) -> None:
    data = obj.get("data") or {}
    total = 0
    for key, value in data.items():
        causes.invalids(f"data[{key}]", key, names.config_key(key))
        try:
            total += len(base64.b64decode(value or "", validate=True))
        except (binascii.Error, ValueError):
            causes.invalid(f"data[{key}]", "<secret contents redacted>", "illegal base64 data")
    if total > _MEGABYTE:
        causes.too_long("data", _MEGABYTE)
    for key in _SECRET_KEYS.get(obj.get("type") or "", ()):
        if key not in data:
            causes.required(f"data[{key}]")
    if obj.get("type") == "kubernetes.io/service-account-token":
        account = ((obj.get("metadata") or {}).get("annotations") or {}).get("kubernetes.io/service-account.name")
        if not account:
            causes.required("metadata.annotations[kubernetes.io/service-account.name]")


def _claim(causes: Causes, obj: Object) -> None:
    check_claim_spec(causes, "spec", obj.get("spec") or {})


_NOT_SOURCES = ("capacity", "claimRef", "nodeAffinity")


def _volume(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    if not spec.get("accessModes"):
        causes.required("spec.accessModes")
    if not spec.get("capacity"):
        causes.required("spec.capacity")
    if not any(isinstance(value, dict) for field, value in spec.items() if field not in _NOT_SOURCES):
        causes.required("spec", "must specify a volume type")
    check_quantities(causes, "spec.capacity", {k: v for k, v in (spec.get("capacity") or {}).items() if k != "storage"})


def _backend(causes: Causes, at: str, backend: Object) -> None:
    service = backend.get("service")
    if service is None:
        return  # nothing, or a resource
    if not service.get("name"):
        causes.required(f"{at}.service.name")
    port = service.get("port") or {}
    if not port.get("name") and not port.get("number"):
        causes.required(at, "port name or number is required")
    elif port.get("number"):
        check_port_number(causes, f"{at}.service.port.number", port["number"])


def _ingress(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        causes.invalid("spec", None, "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend") is not None:
        _backend(causes, "spec.defaultBackend", spec["defaultBackend"])
    for index, rule in enumerate(spec.get("rules") or []):
        where = f"spec.rules[{index}]"
        host = rule.get("host")
        if host:
            causes.invalids(f"{where}.host", host, names.subdomain_1123(host.removeprefix("*.")))
        for position, path in enumerate((rule.get("http") or {}).get("paths") or []):
            at = f"{where}.http.paths[{position}]"
            kind, text = path.get("pathType"), path.get("path") or ""
            if kind is None:
                causes.required(f"{at}.pathType", "pathType must be specified")
            elif kind not in ("Exact", "ImplementationSpecific", "Prefix"):
                causes.unsupported(f"{at}.pathType", kind, ("Exact", "ImplementationSpecific", "Prefix"))
            elif kind != "ImplementationSpecific" and not text.startswith("/"):
                causes.invalid(f"{at}.path", text, "must be an absolute path")
            _backend(causes, f"{at}.backend", path.get("backend") or {})


def _autoscaler(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if low is not None and low < 1:
        causes.invalid("spec.minReplicas", low, "must be greater than or equal to 1")
    if high < 1:
        causes.required("spec.maxReplicas", "must be set and greater than 0")
    if low is not None and high < low:
        causes.invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    for field in ("kind", "name"):
        if not target.get(field):
            causes.required(f"spec.scaleTargetRef.{field}")
    if not target.get("apiVersion"):
        causes.invalid("spec.scaleTargetRef.apiVersion", "", "apiVersion must specify API group")


def _rules(causes: Causes, obj: Object) -> None:
    for index, rule in enumerate(obj.get("rules") or []):
        where = f"rules[{index}]"
        if not rule.get("verbs"):
            causes.required(f"{where}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            if obj.get("kind") == "Role":
                words = "namespaced rules cannot apply to non-resource URLs"
                causes.invalid(f"{where}.nonResourceURLs", rule["nonResourceURLs"], words)
            continue
        if not rule.get("apiGroups"):
            causes.required(f"{where}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            causes.required(f"{where}.resources", "resource rules must supply at least one resource")


def _binding(causes: Causes, obj: Object) -> None:
    reference = obj.get("roleRef") or {}
    kinds = ("ClusterRole",) if obj.get("kind") == "ClusterRoleBinding" else ("Role", "ClusterRole")
    if reference.get("kind") not in kinds:
        causes.unsupported("roleRef.kind", reference.get("kind") or "", kinds)
    if not reference.get("name"):
        causes.required("roleRef.name")
    for index, subject in enumerate(obj.get("subjects") or []):
        where = f"subjects[{index}]"
        if not subject.get("name"):
            causes.required(f"{where}.name")
        kind = subject.get("kind") or ""
        if kind not in ("ServiceAccount", "User", "Group"):
            causes.unsupported(f"{where}.kind", kind, ("ServiceAccount", "User", "Group"))
        elif kind == "ServiceAccount" and not subject.get("namespace") and obj.get("kind") == "ClusterRoleBinding":
            causes.required(f"{where}.namespace")


def _budget(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        shown = {
            "MinAvailable": spec["minAvailable"],
            "Selector": spec.get("selector"),
            "MaxUnavailable": spec["maxUnavailable"],
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }
        causes.invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        if spec.get(field) is not None:
            check_int_or_percent(causes, f"spec.{field}", spec[field])
    causes.selector("spec.selector", spec.get("selector"))


def _network_policy(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    causes.selector("spec.podSelector", spec.get("podSelector"))
    for index, kind in enumerate(spec.get("policyTypes") or []):
        causes.one_of(f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress"))


def _priority_class(causes: Causes, obj: Object) -> None:
    name = (obj.get("metadata") or {}).get("name", "")
    if name.startswith("system-") and name not in ("system-cluster-critical", "system-node-critical"):
        start = "priority class names with 'system-' prefix are reserved for system use only. error: "
        causes.forbidden("metadata.name", f"{start}{name} is not a known system priority class")


def _storage_class(causes: Causes, obj: Object) -> None:
    if not obj.get("provisioner"):
        causes.required("provisioner")
    causes.one_of("reclaimPolicy", obj.get("reclaimPolicy"), ("Delete", "Retain"))
    causes.one_of("volumeBindingMode", obj.get("volumeBindingMode"), ("Immediate", "WaitForFirstConsumer"))


def _lease(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        causes.invalid("spec.leaseDurationSeconds", seconds, names.POSITIVE)
    causes.not_negative("spec.leaseTransitions", spec.get("leaseTransitions"))


_RBAC = "rbac.authorization.k8s.io/v1/"
CHECKS: dict[str, Callable[[Causes, Object], None]] = {
    api.DEPLOYMENTS: check_deployment,
    api.REPLICA_SETS: check_replica_set,
    api.STATEFUL_SETS: check_stateful_set,
    api.DAEMON_SETS: check_daemon_set,
    api.JOBS: check_job,
    api.CRON_JOBS: check_cron_job,
    api.PODS: check_pod,
    "v1/podtemplates": check_pod_template,
    api.SERVICES: _service,
    api.CONFIG_MAPS: _config_map,
    api.SECRETS: _secret,
    api.CLAIMS: _claim,
    api.VOLUMES: _volume,
    api.STORAGE_CLASSES: _storage_class,
    "scheduling.k8s.io/v1/priorityclasses": _priority_class,
    api.AUTOSCALERS: _autoscaler,
    api.BUDGETS: _budget,
    api.LEASES: _lease,
    "networking.k8s.io/v1/ingresses": _ingress,
    "networking.k8s.io/v1/networkpolicies": _network_policy,
    _RBAC + "roles": _rules,
    _RBAC + "clusterroles": _rules,
    _RBAC + "rolebindings": _binding,
    _RBAC + "clusterrolebindings": _binding,
}
