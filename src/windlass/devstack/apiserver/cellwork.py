"""What the cells of the common built-in kinds show: one small function a kind, after the real server's printers.

Called by ``cells.py``; pure, the present is an argument.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

Object = dict[str, Any]
Cells = Callable[[Object, datetime.datetime], list[Any]]

NONE = "<none>"


def age(stamp: str | None, now: datetime.datetime) -> str:
    """How long ago a timestamp is, as ``kubectl get`` shows it."""
    if not stamp:
        return "<unknown>"
    try:
        then = datetime.datetime.fromisoformat(stamp)
    except ValueError:
        return "<invalid>"
    return duration((now - then).total_seconds())


def duration(value: float) -> str:
    """Seconds in at most two units, coarser the longer they are."""
    seconds = int(value)
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    return f"{days // 365}y{days % 365}d" if days < 2920 and days % 365 else f"{days // 365}y"


def at(obj: Any, *path: str) -> Any:
    """The value under a path of keys, None where it is not."""
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def name(obj: Object) -> str:
    """The object's name."""
    return str(obj["metadata"]["name"])


def age_of(obj: Object, now: datetime.datetime) -> str:
    """How old an object is."""
    return age(obj["metadata"].get("creationTimestamp"), now)


def pairs(labels: Any) -> str:
    """A map as ``a=b,c=d``."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def _selector(selector: Any) -> str:
    found = [f"{key}={value}" for key, value in sorted((at(selector, "matchLabels") or {}).items())]
    for each in at(selector, "matchExpressions") or []:
        words = {"In": "in", "NotIn": "notin"}.get(each["operator"])
        values = ",".join(sorted(each.get("values") or []))
        plain = each["key"] if each["operator"] == "Exists" else f"!{each['key']}"
        found.append(f"{each['key']} {words} ({values})" if words else plain)
    return ",".join(found) or NONE


def containers(obj: Object, *path: str) -> list[str]:
    """The names and the images of a pod template's containers."""
    found = at(obj, *(path or ("spec", "template", "spec")), "containers") or []
    return [",".join(each.get("name", "") for each in found), ",".join(each.get("image", "") for each in found)]


def _deployment(obj: Object, now: datetime.datetime) -> list[Any]:
    status = obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{at(obj, 'spec', 'replicas') or 0}"
    counts = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    return [name(obj), ready, *counts, age_of(obj, now), *containers(obj), _selector(at(obj, "spec", "selector"))]


def _replica_set(obj: Object, now: datetime.datetime) -> list[Any]:
    status = obj.get("status") or {}
    counts = [at(obj, "spec", "replicas") or 0, status.get("replicas", 0), status.get("readyReplicas", 0)]
    selector = at(obj, "spec", "selector")
    shown = pairs(selector) if obj.get("kind") == "ReplicationController" else _selector(selector)
    return [name(obj), *counts, age_of(obj, now), *containers(obj), shown]


def _stateful_set(obj: Object, now: datetime.datetime) -> list[Any]:
    ready = f"{at(obj, 'status', 'readyReplicas') or 0}/{at(obj, 'spec', 'replicas') or 0}"
    return [name(obj), ready, age_of(obj, now), *containers(obj)]


def _daemon_set(obj: Object, now: datetime.datetime) -> list[Any]:
    names = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    counts = [at(obj, "status", name) or 0 for name in names]
    nodes = pairs(at(obj, "spec", "template", "spec", "nodeSelector"))
    return [name(obj), *counts, nodes, age_of(obj, now), *containers(obj), _selector(at(obj, "spec", "selector"))]


def _job(obj: Object, now: datetime.datetime) -> list[Any]:
    status = obj.get("status") or {}
    completions = at(obj, "spec", "completions")
    parallelism = at(obj, "spec", "parallelism") or 0
    wanted = str(completions) if completions is not None else (f"1 of {parallelism}" if parallelism > 1 else "1")
    true = {each["type"] for each in status.get("conditions") or [] if each["status"] == "True"}
    words = {"Complete": "Complete", "Failed": "Failed", "Suspended": "Suspended", "FailureTarget": "FailureTarget"}
    state = next((word for kind, word in words.items() if kind in true), "Running")
    if obj["metadata"].get("deletionTimestamp"):
        state = "Terminating"
    took = ""
    if status.get("startTime"):
        end = status.get("completionTime")
        until = datetime.datetime.fromisoformat(end) if end else now
        took = age(status["startTime"], until)
    done = f"{status.get('succeeded', 0)}/{wanted}"
    return [name(obj), state, done, took, age_of(obj, now), *containers(obj), _selector(at(obj, "spec", "selector"))]


def _cron_job(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    last = at(obj, "status", "lastScheduleTime")
    active = len(at(obj, "status", "active") or [])
    head = [name(obj), spec.get("schedule", ""), spec.get("timeZone") or NONE, bool(spec.get("suspend")), active]
    template = containers(obj, "spec", "jobTemplate", "spec", "template", "spec")
    selector = _selector(at(spec, "jobTemplate", "spec", "selector"))
    return [*head, age(last, now) if last else NONE, age_of(obj, now), *template, selector]


def _service(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    ports = []
    for each in spec.get("ports") or []:
        node = f":{each['nodePort']}" if each.get("nodePort") else ""
        ports.append(f"{each.get('port')}{node}/{each.get('protocol', 'TCP')}")
    kind = spec.get("type", "ClusterIP")
    balancer = at(obj, "status", "loadBalancer", "ingress") or []
    outside = [each.get("ip") or each.get("hostname") for each in balancer] if kind == "LoadBalancer" else []
    outside += spec.get("externalIPs") or []
    if kind == "ExternalName":
        outside = [spec.get("externalName", "")]
    shown = ",".join(outside) or ("<pending>" if kind == "LoadBalancer" else NONE)
    address = spec.get("clusterIP") or NONE
    return [name(obj), kind, address, shown, ",".join(ports) or NONE, age_of(obj, now), pairs(spec.get("selector"))]


def _node(obj: Object, now: datetime.datetime) -> list[Any]:
    status = obj.get("status") or {}
    ready = next((each["status"] for each in status.get("conditions") or [] if each["type"] == "Ready"), "Unknown")
    state = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")
    if at(obj, "spec", "unschedulable"):
        state += ",SchedulingDisabled"
    prefix = "node-role.kubernetes.io/"
    roles = sorted(key.removeprefix(prefix) for key in obj["metadata"].get("labels") or {} if key.startswith(prefix))
    addresses = {each["type"]: each["address"] for each in reversed(status.get("addresses") or [])}
    info = status.get("nodeInfo") or {}
    wide = [info.get(name) or "<unknown>" for name in ("osImage", "kernelVersion", "containerRuntimeVersion")]
    places = [addresses.get("InternalIP", NONE), addresses.get("ExternalIP", NONE)]
    return [name(obj), state, ",".join(roles) or NONE, age_of(obj, now), info.get("kubeletVersion", ""), *places, *wide]


def _event(obj: Object, now: datetime.datetime) -> list[Any]:
    about = obj.get("involvedObject") or {}
    created = obj["metadata"].get("creationTimestamp")
    begin = obj.get("firstTimestamp") or obj.get("eventTime") or created
    series = obj.get("series") or {}
    end = series.get("lastObservedTime") or obj.get("lastTimestamp") or begin
    target = f"{about.get('kind', '').lower()}/{about.get('name', '')}"
    source = obj.get("source") or {}
    where = ", ".join(
        part for part in (source.get("component") or obj.get("reportingComponent"), source.get("host")) if part
    )
    count = series.get("count") or obj.get("count") or 1
    head = [age(end, now), obj.get("type", ""), obj.get("reason", ""), target, about.get("fieldPath", ""), where]
    return [*head, str(obj.get("message", "")).strip(), age(begin, now), count, name(obj)]


def _claim(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    state = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    capacity = at(status, "capacity", "storage") or "" if spec.get("volumeName") else ""
    modes = _modes(status.get("accessModes")) if spec.get("volumeName") else ""
    attributes = spec.get("volumeAttributesClassName") or "<unset>"
    head = [name(obj), state, spec.get("volumeName", ""), capacity, modes, spec.get("storageClassName") or ""]
    return [*head, attributes, age_of(obj, now), spec.get("volumeMode") or "<unset>"]


def _volume(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    claim = spec.get("claimRef")
    state = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    bound = f"{claim.get('namespace')}/{claim.get('name')}" if claim else ""
    head = [name(obj), at(spec, "capacity", "storage") or "", _modes(spec.get("accessModes"))]
    rest = [spec.get("persistentVolumeReclaimPolicy", ""), state, bound, spec.get("storageClassName") or "", "<unset>"]
    return [*head, *rest, status.get("reason", ""), age_of(obj, now), spec.get("volumeMode") or "<unset>"]


def _modes(modes: Any) -> str:
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    return ",".join(short.get(mode, mode) for mode in dict.fromkeys(modes or []))


def _autoscaler(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    shown = []
    for metric in spec.get("metrics") or []:
        wanted = at(metric, "resource", "target") or {}
        goal = wanted.get("averageUtilization")
        of = at(metric, "resource", "name")
        value = f"{goal}%" if goal is not None else wanted.get("averageValue") or wanted.get("value") or "<auto>"
        shown.append(f"{of}: <unknown>/{value}" if of else "<unknown>")
    head = [name(obj), f"{target.get('kind')}/{target.get('name')}", ", ".join(shown) or NONE]
    counts = [
        str(spec.get("minReplicas", "<unset>")),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
    ]
    return [*head, *counts, age_of(obj, now)]


def _ingress(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    hosts = ",".join(each["host"] for each in spec.get("rules") or [] if each.get("host")) or "*"
    where = at(obj, "status", "loadBalancer", "ingress") or []
    address = ",".join(each.get("ip") or each.get("hostname") or "" for each in where)
    ports = "80, 443" if spec.get("tls") else "80"
    return [name(obj), spec.get("ingressClassName") or NONE, hosts, address, ports, age_of(obj, now)]


def _endpoints(obj: Object, now: datetime.datetime) -> list[Any]:
    found = []
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or [{}]:
            suffix = f":{port['port']}" if "port" in port else ""
            found += [each["ip"] + suffix for each in subset.get("addresses") or []]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return [name(obj), ",".join(found[:3]) + more or NONE, age_of(obj, now)]


def _slice(obj: Object, now: datetime.datetime) -> list[Any]:
    ports = ",".join(str(each.get("port", "*")) for each in obj.get("ports") or []) or "<unset>"
    found = [address for each in obj.get("endpoints") or [] for address in each.get("addresses") or []]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return [name(obj), obj.get("addressType", ""), ports, ",".join(found[:3]) + more or "<unset>", age_of(obj, now)]


def _binding(obj: Object, now: datetime.datetime) -> list[Any]:
    role = obj.get("roleRef") or {}
    subjects = obj.get("subjects") or []
    users = ", ".join(each["name"] for each in subjects if each.get("kind") == "User")
    groups = ", ".join(each["name"] for each in subjects if each.get("kind") == "Group")
    accounts = ", ".join(
        f"{each.get('namespace')}/{each['name']}" for each in subjects if each.get("kind") == "ServiceAccount"
    )
    return [name(obj), f"{role.get('kind')}/{role.get('name')}", age_of(obj, now), users, groups, accounts]


def _budget(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    bounds = ["N/A" if bound is None else str(bound) for bound in (least, most)]
    return [name(obj), *bounds, at(obj, "status", "disruptionsAllowed") or 0, age_of(obj, now)]


def _class(obj: Object, now: datetime.datetime) -> list[Any]:
    default = (obj["metadata"].get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true"
    shown = name(obj) + (" (default)" if default else "")
    policy, mode = obj.get("reclaimPolicy", "Delete"), obj.get("volumeBindingMode", "Immediate")
    return [shown, obj.get("provisioner"), policy, mode, bool(obj.get("allowVolumeExpansion")), age_of(obj, now)]


def _priority(obj: Object, now: datetime.datetime) -> list[Any]:
    policy = obj.get("preemptionPolicy") or "PreemptLowerPriority"
    return [name(obj), obj.get("value", 0), bool(obj.get("globalDefault")), age_of(obj, now), policy]


def fields(*paths: tuple[str, ...]) -> Cells:
    """Cells that are a name, some fields as text, and the age."""

    def make(obj: Object, now: datetime.datetime) -> list[Any]:
        found = [at(obj, *path) for path in paths]
        return [name(obj), *("" if value is None else value for value in found), age_of(obj, now)]

    return make


def count(field: str, *others: str) -> Cells:
    """Cells that are a name, the length of a list, ``<unset>`` for each other column, and the age."""
    return lambda obj, now: [
        name(obj),
        len(at(obj, *field.split(".")) or []),
        *("<unset>" for _ in others),
        age_of(obj, now),
    ]


def _data(obj: Object) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


def _policy(obj: Object, now: datetime.datetime) -> list[Any]:
    return [name(obj), _selector(at(obj, "spec", "podSelector")), age_of(obj, now)]


CELLS: dict[str, Cells] = {
    "deployments.apps": _deployment,
    "replicasets.apps": _replica_set,
    "replicationcontrollers": _replica_set,
    "statefulsets.apps": _stateful_set,
    "daemonsets.apps": _daemon_set,
    "jobs.batch": _job,
    "cronjobs.batch": _cron_job,
    "services": _service,
    "nodes": _node,
    "events": _event,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "horizontalpodautoscalers.autoscaling": _autoscaler,
    "ingresses.networking.k8s.io": _ingress,
    "endpoints": _endpoints,
    "endpointslices.discovery.k8s.io": _slice,
    "clusterrolebindings.rbac.authorization.k8s.io": _binding,
    "rolebindings.rbac.authorization.k8s.io": _binding,
    "poddisruptionbudgets.policy": _budget,
    "storageclasses.storage.k8s.io": _class,
    "priorityclasses.scheduling.k8s.io": _priority,
    "networkpolicies.networking.k8s.io": _policy,
    "configmaps": lambda obj, now: [name(obj), _data(obj), age_of(obj, now)],
    "secrets": lambda obj, now: [name(obj), obj.get("type", ""), _data(obj), age_of(obj, now)],
    "namespaces": lambda obj, now: [name(obj), at(obj, "status", "phase") or "", age_of(obj, now)],
    "leases.coordination.k8s.io": fields(("spec", "holderIdentity")),
    "runtimeclasses.node.k8s.io": fields(("handler",)),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": count("webhooks"),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": count("webhooks"),
    "validatingadmissionpolicies.admissionregistration.k8s.io": count("spec.validations", "param"),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": count("spec.mutations", "param"),
}
