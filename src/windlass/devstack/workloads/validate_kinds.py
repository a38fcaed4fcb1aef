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
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError

from windlass.devstack.workloads import api, names
from windlass.devstack.workloads.api import moment_of
from windlass.devstack.workloads.causes import Causes
from windlass.devstack.workloads.quantity import BadQuantity, amount
from windlass.devstack.workloads.validate_pods import (
    check_pod_spec,
    check_port_number,
    check_quantities,
    check_template,
)

Object = dict[str, Any]
_MEGABYTE = 1024 * 1024
_EPOCH = moment_of("2000-01-01T00:00:00Z")


def _workload(causes: Causes, spec: Object, kind: str, extra_volumes: set[str] | None = None) -> None:
    causes.not_negative("spec.replicas", spec.get("replicas"))
    causes.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    causes.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    selector = spec.get("selector")
    if selector is None:
        causes.required("spec.selector")
    else:
        causes.selector("spec.selector", selector)
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            causes.invalid("spec.selector", selector, f"empty selector is invalid for {kind}")
    template = spec.get("template") or {}
    check_template(causes, "spec.template", template, selector, extra_volumes)
    pod = template.get("spec") or {}
    if pod.get("restartPolicy") not in (None, "Always"):
        causes.unsupported("spec.template.spec.restartPolicy", pod["restartPolicy"], ("Always",))
    if pod.get("activeDeadlineSeconds") is not None:
        word = {"deployment": "ReplicaSet", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}[kind]
        where = "spec.template.spec.activeDeadlineSeconds"
        causes.forbidden(where, f"activeDeadlineSeconds in {word} is not Supported")


def _int_or_percent(causes: Causes, at: str, value: Any) -> None:
    if isinstance(value, str):
        causes.invalids(at, value, names.percent(value))
    else:
        causes.not_negative(at, value)


def _number(value: Any) -> int:
    """The number of an int or a percentage, as the check for "both zero" reads it."""
    if isinstance(value, str):
        return int(value[:-1]) if value.endswith("%") and value[:-1].isdigit() else 0
    return value if isinstance(value, int) else 0


def _deployment(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    _workload(causes, spec, "deployment")
    strategy = spec.get("strategy") or {}
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate" and rolling is not None:
        words = "may not be specified when strategy `type` is 'Recreate'"
        causes.forbidden("spec.strategy.rollingUpdate", words)
    elif kind == "RollingUpdate" and rolling is not None:
        for field in ("maxUnavailable", "maxSurge"):
            _int_or_percent(causes, f"spec.strategy.rollingUpdate.{field}", rolling.get(field))
        unavailable = rolling.get("maxUnavailable")
        if _number(unavailable) == 0 and _number(rolling.get("maxSurge")) == 0:
            words = "may not be 0 when `maxSurge` is 0"
            causes.invalid("spec.strategy.rollingUpdate.maxUnavailable", unavailable, words)
        if isinstance(unavailable, str) and _number(unavailable) > 100:
            words = "must not be greater than 100%"
            causes.invalid("spec.strategy.rollingUpdate.maxUnavailable", unavailable, words)
    elif kind not in (None, "Recreate", "RollingUpdate"):
        causes.unsupported("spec.strategy", {"type": kind}, ("Recreate", "RollingUpdate"))
    deadline = spec.get("progressDeadlineSeconds")
    causes.not_negative("spec.progressDeadlineSeconds", deadline)
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        causes.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _replica_set(causes: Causes, obj: Object) -> None:
    _workload(causes, obj.get("spec") or {}, "deployment")


def _stateful_set(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    policy = spec.get("podManagementPolicy")
    if policy not in (None, "OrderedReady", "Parallel"):
        causes.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    update = spec.get("updateStrategy") or {}
    if update.get("type") not in (None, "RollingUpdate", "OnDelete"):
        causes.invalid("spec.updateStrategy", update, "must be 'RollingUpdate' or 'OnDelete'")
    elif update.get("type") == "OnDelete" and update.get("rollingUpdate") is not None:
        words = "only allowed for updateStrategy 'RollingUpdate'"
        causes.invalid("spec.updateStrategy.rollingUpdate", update["rollingUpdate"], words)
    causes.not_negative(
        "spec.updateStrategy.rollingUpdate.partition", (update.get("rollingUpdate") or {}).get("partition")
    )
    claims = spec.get("volumeClaimTemplates") or []
    for index, claim in enumerate(claims):
        _claim_spec(causes, f"spec.volumeClaimTemplates[{index}].spec", claim.get("spec") or {})
    if spec.get("serviceName"):
        causes.invalids("spec.serviceName", spec["serviceName"], names.label_1123(spec["serviceName"]))
    _workload(causes, spec, "statefulset", {(claim.get("metadata") or {}).get("name", "") for claim in claims})


def _daemon_set(causes: Causes, obj: Object) -> None:
    _workload(causes, obj.get("spec") or {}, "daemonset")


def _job_spec(causes: Causes, at: str, spec: Object, selector: Object | None) -> None:
    for field in ("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished"):
        causes.not_negative(f"{at}.{field}", spec.get(field))
    causes.not_negative(f"{at}.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"))
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        causes.required(f"{at}.completions", "when completion mode is Indexed")
    template = spec.get("template") or {}
    check_template(causes, f"{at}.template", template, selector)
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy in ("Always", None):
        causes.required(f"{at}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')


def _job(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    if spec.get("selector") is None:
        causes.required("spec.selector")
    _job_spec(causes, "spec", spec, spec.get("selector"))


def _cron_job(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    name = (obj.get("metadata") or {}).get("name", "")
    if len(name) > 52:
        causes.invalid("metadata.name", name, names.too_long(52))
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        causes.required("spec.schedule")
    elif "TZ" in schedule:
        causes.invalid("spec.schedule", schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
    else:
        try:
            CronSim(cron_expression(schedule), _EPOCH)
        except CronSimError as error:
            causes.invalid("spec.schedule", schedule, str(error))
    if zone is not None:
        if not zone:
            causes.invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string")
        elif zone not in available_timezones():
            causes.invalid("spec.timeZone", zone, f"unknown time zone {zone}")
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit", "startingDeadlineSeconds"):
        causes.not_negative(f"spec.{field}", spec.get(field))
    causes.one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace"))
    template = (spec.get("jobTemplate") or {}).get("spec") or {}
    _job_spec(causes, "spec.jobTemplate.spec", template, None)


_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def cron_expression(schedule: str) -> str:
    """The five fields that a schedule stands for: macros written out, ``?`` read as ``*``."""
    schedule = schedule.strip()
    return _MACROS.get(schedule.lower(), schedule.replace("?", "*"))


def _pod(causes: Causes, obj: Object) -> None:
    check_pod_spec(causes, "spec", obj.get("spec") or {})


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
            causes.duplicate(where, {"port": port.get("port"), "protocol": port.get("protocol")})
        seen_ports.add(key)
        if port.get("nodePort") and kind not in ("NodePort", "LoadBalancer"):
            causes.forbidden(f"{where}.nodePort", f"may not be used when `type` is '{kind}'")


def _service(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    kind = spec.get("type")
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
    address = spec.get("clusterIP")
    if address and address != "None":
        try:
            ipaddress.ip_address(address)
        except ValueError:
            words = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            causes.invalid("spec.clusterIPs[0]", address, words)
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


_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def _claim_spec(causes: Causes, at: str, spec: Object) -> None:
    modes = spec.get("accessModes") or []
    if not modes:
        causes.required(f"{at}.accessModes", "at least 1 access mode is required")
    for mode in modes:
        causes.one_of(f"{at}.accessModes", mode, _ACCESS_MODES)
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        causes.required(f"{at}.resources[storage]")
    else:
        try:
            if amount(storage) <= 0:
                causes.invalid(f"{at}.resources[storage]", str(storage), names.POSITIVE)
        except BadQuantity as error:
            causes.invalid(f"{at}.resources[storage]", storage, str(error))
    name = spec.get("storageClassName")
    if name:
        causes.invalids(f"{at}.storageClassName", name, names.subdomain_1123(name))
    causes.one_of(f"{at}.volumeMode", spec.get("volumeMode"), ("Block", "Filesystem"))


def _claim(causes: Causes, obj: Object) -> None:
    _claim_spec(causes, "spec", obj.get("spec") or {})


def _volume(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    if not spec.get("accessModes"):
        causes.required("spec.accessModes")
    if not spec.get("capacity"):
        causes.required("spec.capacity")
    check_quantities(causes, "spec.capacity", {k: v for k, v in (spec.get("capacity") or {}).items() if k != "storage"})


def _backend(causes: Causes, at: str, backend: Object) -> None:
    service = backend.get("service")
    if service is None:
        if backend.get("resource") is None:
            causes.required(at, "resource or service backend is required")
        return
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
        causes.invalid("spec", spec.get("rules") or [], "either `defaultBackend` or `rules` must be specified")
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
        causes.invalid("spec.maxReplicas", high, names.POSITIVE)
    if low is not None and high < low:
        causes.invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    for field in ("kind", "name"):
        if not target.get(field):
            causes.required(f"spec.scaleTargetRef.{field}")


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
        causes.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        if spec.get(field) is not None:
            _int_or_percent(causes, f"spec.{field}", spec[field])
    causes.selector("spec.selector", spec.get("selector"))


def _network_policy(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    causes.selector("spec.podSelector", spec.get("podSelector"))
    for kind in spec.get("policyTypes") or []:
        causes.one_of("spec.policyTypes", kind, ("Egress", "Ingress"))


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
    api.DEPLOYMENTS: _deployment,
    api.REPLICA_SETS: _replica_set,
    api.STATEFUL_SETS: _stateful_set,
    api.DAEMON_SETS: _daemon_set,
    api.JOBS: _job,
    api.CRON_JOBS: _cron_job,
    api.PODS: _pod,
    api.SERVICES: _service,
    api.CONFIG_MAPS: _config_map,
    api.SECRETS: _secret,
    api.CLAIMS: _claim,
    api.VOLUMES: _volume,
    api.STORAGE_CLASSES: _storage_class,
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
