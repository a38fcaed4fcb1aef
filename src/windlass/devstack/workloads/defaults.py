"""The built-in defaulting of Kubernetes 1.36 for the common kinds: ``apply_defaults(resource, obj)``.

Called by the API server after an object is decoded and before it is admitted, on create and on update. It gives a new
object and leaves
the given one alone. Nulls, empty lists and zero values that the real server's types omit are dropped on the way. It
checks nothing, and it
leaves custom resources, CustomResourceDefinitions and unknown kinds as they are.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from windlass.devstack.workloads import api
from windlass.devstack.workloads.quantity import canonical
from windlass.devstack.workloads.workload_defaults import (
    default_claim,
    default_cron_job,
    default_daemon_set,
    default_deployment,
    default_job,
    default_pod,
    default_pod_template,
    default_replica_set,
    default_replication_controller,
    default_stateful_set,
    dicts,
    fill,
    section,
    spec_of,
)

Object = dict[str, Any]

# Booleans that the real types hold without a pointer: `false` and absent are one, and absent is what is shown.
_OMIT_FALSE = frozenset(
    {
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "stdin",
        "stdinOnce",
        "tty",
        "readOnly",
        "paused",
        "publishNotReadyAddresses",
        "unschedulable",
        "globalDefault",
    }
)
_KEEP_EMPTY = frozenset({"rules", "subsets", "endpoints", "items"})
_UNTYPED = frozenset({"apiextensions.k8s.io/v1/customresourcedefinitions", api.REVISIONS})


def typed_copy(value: Any) -> Any:
    """A deep copy, without what the server's own types would not keep: nulls, empty lists, ``false`` where absent
    means the same.
    """
    if isinstance(value, dict):
        copy: Object = {}
        for key, item in value.items():
            if item is None or (item is False and key in _OMIT_FALSE):
                continue
            if item.__class__ is list and not item and key not in _KEEP_EMPTY:
                continue
            if key == "matchLabels" and not item:
                continue
            copy[key] = typed_copy(item) if item.__class__ is dict or item.__class__ is list else item
        return copy
    if isinstance(value, list):
        return [typed_copy(item) if item.__class__ is dict or item.__class__ is list else item for item in value]
    return value


def _quantities(holder: Any) -> None:
    if isinstance(holder, dict):
        for name, value in holder.items():
            holder[name] = canonical(value)


def _service(obj: Object) -> None:
    spec = spec_of(obj)
    if not spec.get("sessionAffinity"):
        spec["sessionAffinity"] = "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP" and not (
        (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    ).get("timeoutSeconds"):
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800}}
    kind = spec.get("type") or "ClusterIP"
    spec["type"] = kind
    for port in dicts(spec.get("ports")):
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port")
        if port.get("name") == "":
            del port["name"]
    external = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs"))
    if external and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        fill(spec, internalTrafficPolicy="Cluster")
    if kind == "LoadBalancer":
        fill(spec, allocateLoadBalancerNodePorts=True)
    balancer = section(section(obj, "status"), "loadBalancer")
    if kind == "LoadBalancer":
        for ingress in dicts(balancer.get("ingress")):
            if ingress.get("ip"):
                fill(ingress, ipMode="VIP")
    if spec.get("selector") == {}:
        del spec["selector"]


def _endpoints(obj: Object) -> None:
    for subset in dicts(obj.get("subsets")):
        for port in dicts(subset.get("ports")):
            fill(port, protocol="TCP")


def _slice(obj: Object) -> None:
    for port in dicts(obj.get("ports")):
        fill(port, name="", protocol="TCP")
    obj["endpoints"] = obj.get("endpoints") or None
    obj.setdefault("ports", None)
    for endpoint in dicts(obj["endpoints"]):
        fill(endpoint, conditions={})


def _ingress(obj: Object) -> None:
    section(section(obj, "status"), "loadBalancer")


def _network_policy(obj: Object) -> None:
    spec = spec_of(obj)
    spec.setdefault("podSelector", {})
    for direction in ("ingress", "egress"):
        for rule in dicts(spec.get(direction)):
            for port in dicts(rule.get("ports")):
                fill(port, protocol="TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


_SCALE_UP = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_SCALE_DOWN = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def _autoscaler(obj: Object) -> None:
    spec = spec_of(obj)
    fill(spec, minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    for metric in dicts(spec["metrics"]):
        for source in metric.values():
            if isinstance(source, dict) and isinstance(source.get("target"), dict):
                for field in ("value", "averageValue"):
                    if field in source["target"]:
                        source["target"][field] = canonical(source["target"][field])
    behaviour = spec.get("behavior")
    if isinstance(behaviour, dict):
        behaviour["scaleUp"] = {**typed_copy(_SCALE_UP), **(behaviour.get("scaleUp") or {})}
        behaviour["scaleDown"] = {**typed_copy(_SCALE_DOWN), **(behaviour.get("scaleDown") or {})}
    obj.setdefault("status", {"desiredReplicas": 0, "currentMetrics": None})


def _volume(obj: Object) -> None:
    spec = spec_of(obj)
    fill(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    _quantities(spec.get("capacity"))
    if isinstance(spec.get("hostPath"), dict):
        spec["hostPath"].setdefault("type", "")
    fill(section(obj, "status"), phase="Pending")


def _storage_class(obj: Object) -> None:
    fill(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _binding(obj: Object) -> None:
    reference = obj.get("roleRef")
    if isinstance(reference, dict) and not reference.get("apiGroup"):
        reference["apiGroup"] = "rbac.authorization.k8s.io"
    for subject in dicts(obj.get("subjects")):
        if subject.get("apiGroup"):
            continue
        if subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = "rbac.authorization.k8s.io"
        else:
            subject.pop("apiGroup", None)


def _role(obj: Object) -> None:
    obj["rules"] = obj.get("rules") or None


def _secret(obj: Object) -> None:
    if not obj.get("type"):
        obj["type"] = "Opaque"
    plain = obj.pop("stringData", None)
    if isinstance(plain, dict) and plain:
        encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}
    if obj.get("data") == {}:
        del obj["data"]


def _config_map(obj: Object) -> None:
    for part in ("data", "binaryData"):
        if obj.get(part) == {}:
            del obj[part]


def _namespace(obj: Object) -> None:
    metadata = section(obj, "metadata")
    if metadata.get("name"):
        metadata["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
    section(obj, "spec")
    fill(section(obj, "status"), phase="Active")


def _webhooks(obj: Object) -> None:
    mutating = obj.get("kind") == "MutatingWebhookConfiguration"
    for hook in dicts(obj.get("webhooks")):
        fill(
            hook,
            failurePolicy="Fail",
            matchPolicy="Equivalent",
            namespaceSelector={},
            objectSelector={},
            timeoutSeconds=10,
        )
        if mutating:
            fill(hook, reinvocationPolicy="Never")
        for rule in dicts(hook.get("rules")):
            fill(rule, scope="*")
        service = (hook.get("clientConfig") or {}).get("service")
        if isinstance(service, dict):
            fill(service, port=443)


def _admission_policy(obj: Object) -> None:
    spec = spec_of(obj)
    fill(spec, failurePolicy="Fail")
    _match(spec.get("matchConstraints"))
    obj.setdefault("status", {})


def _admission_binding(obj: Object) -> None:
    _match(spec_of(obj).get("matchResources"))


def _match(resources: Any) -> None:
    if isinstance(resources, dict):
        fill(resources, matchPolicy="Equivalent", namespaceSelector={}, objectSelector={})
        for part in ("resourceRules", "excludeResourceRules"):
            for rule in dicts(resources.get(part)):
                fill(rule, scope="*")


def _priority_class(obj: Object) -> None:
    fill(obj, value=0, preemptionPolicy="PreemptLowerPriority")


def _budget(obj: Object) -> None:
    spec_of(obj)
    obj.setdefault("status", {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0})


def _event(obj: Object) -> None:
    for field in ("metadata", "involvedObject", "source"):
        section(obj, field)
    for field in ("firstTimestamp", "lastTimestamp", "eventTime"):
        obj.setdefault(field, None)
    fill(obj, reportingComponent="", reportingInstance="")


def _quota(obj: Object) -> None:
    _quantities(spec_of(obj).get("hard"))
    obj.setdefault("status", {})


def _limit_range(obj: Object) -> None:
    for item in dicts(spec_of(obj).get("limits")):
        for part in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            _quantities(item.get(part))
        if item.get("type") == "Container":
            item["default"] = {**(item.get("max") or {}), **(item.get("default") or {})}
            item["defaultRequest"] = {
                **(item.get("min") or {}),
                **item["default"],
                **(item.get("defaultRequest") or {}),
            }
            for part in ("default", "defaultRequest"):
                if not item[part]:
                    del item[part]


def _node(obj: Object) -> None:
    status = section(obj, "status")
    _quantities(status.get("capacity"))
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def _ingress_class(obj: Object) -> None:
    parameters = spec_of(obj).get("parameters")
    if isinstance(parameters, dict):
        fill(parameters, scope="Cluster")


def _csi_driver(obj: Object) -> None:
    spec = spec_of(obj)
    fill(
        spec, attachRequired=True, podInfoOnMount=False, storageCapacity=False, fsGroupPolicy="ReadWriteOnceWithFSType"
    )
    fill(spec, requiresRepublish=False, seLinuxMount=False, volumeLifecycleModes=["Persistent"])


_RBAC = "rbac.authorization.k8s.io/v1/"
_ADMISSION = "admissionregistration.k8s.io/v1/"
_DEFAULTS: dict[str, Callable[[Object], None]] = {
    api.DEPLOYMENTS: default_deployment,
    api.REPLICA_SETS: default_replica_set,
    api.REPLICATION_CONTROLLERS: default_replication_controller,
    api.STATEFUL_SETS: default_stateful_set,
    api.DAEMON_SETS: default_daemon_set,
    api.JOBS: default_job,
    api.CRON_JOBS: default_cron_job,
    api.PODS: default_pod,
    "v1/podtemplates": default_pod_template,
    api.SERVICES: _service,
    api.ENDPOINTS: _endpoints,
    api.SLICES: _slice,
    "networking.k8s.io/v1/ingresses": _ingress,
    "networking.k8s.io/v1/ingressclasses": _ingress_class,
    "networking.k8s.io/v1/networkpolicies": _network_policy,
    api.AUTOSCALERS: _autoscaler,
    api.CLAIMS: default_claim,
    api.VOLUMES: _volume,
    api.STORAGE_CLASSES: _storage_class,
    "storage.k8s.io/v1/csidrivers": _csi_driver,
    _RBAC + "rolebindings": _binding,
    _RBAC + "clusterrolebindings": _binding,
    _RBAC + "roles": _role,
    _RBAC + "clusterroles": _role,
    api.SECRETS: _secret,
    api.CONFIG_MAPS: _config_map,
    api.NAMESPACES: _namespace,
    api.NODES: _node,
    api.BUDGETS: _budget,
    api.EVENTS: _event,
    "v1/resourcequotas": _quota,
    "v1/limitranges": _limit_range,
    "scheduling.k8s.io/v1/priorityclasses": _priority_class,
    _ADMISSION + "validatingwebhookconfigurations": _webhooks,
    _ADMISSION + "mutatingwebhookconfigurations": _webhooks,
    _ADMISSION + "validatingadmissionpolicies": _admission_policy,
    _ADMISSION + "validatingadmissionpolicybindings": _admission_binding,
}
_BUILT_IN_GROUPS = frozenset(
    {
        "apps",
        "batch",
        "autoscaling",
        "policy",
        "networking.k8s.io",
        "rbac.authorization.k8s.io",
        "storage.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "scheduling.k8s.io",
        "admissionregistration.k8s.io",
    }
)


def is_built_in(resource: str) -> bool:
    """Whether this resource has a type of the server's own, and is not custom."""
    group, _, rest = resource.partition("/")
    return "/" not in rest or group in _BUILT_IN_GROUPS


def plain_copy(value: Any) -> Any:
    """A deep copy of a JSON value, nothing left out."""
    if isinstance(value, dict):
        return {key: plain_copy(item) for key, item in value.items()}
    return [plain_copy(item) for item in value] if isinstance(value, list) else value


def apply_defaults(resource: str, obj: Object) -> Object:
    """A new object with every default of its kind filled in. Idempotent."""
    if not is_built_in(resource) or resource in _UNTYPED:
        return obj
    filled: Object = typed_copy(obj)
    metadata = filled.get("metadata")
    if isinstance(metadata, dict):
        for part in ("labels", "annotations"):
            if metadata.get(part) == {}:
                del metadata[part]
    fill = _DEFAULTS.get(resource)
    if fill:
        fill(filled)
    return filled
