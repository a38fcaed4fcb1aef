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


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _age(obj: Object, now: datetime.datetime) -> str:
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


def _containers(obj: Object, *path: str) -> list[str]:
    found = at(obj, *(path or ("spec", "template", "spec")), "containers") or []
    return [",".join(each.get("name", "") for each in found), ",".join(each.get("image", "") for each in found)]


def _pod(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    statuses = status.get("containerStatuses") or []
    total = len(spec.get("containers") or [])
    ready = sum(1 for each in statuses if each.get("ready"))
    restarts = sum(each.get("restartCount", 0) for each in statuses)
    ends = [at(each, "lastState", "terminated", "finishedAt") for each in statuses]
    last = max((end for end in ends if end), default=None)
    shown = f"{restarts} ({age(last, now)} ago)" if restarts and last else str(restarts)
    ips = status.get("podIP") or NONE
    node, nominated = spec.get("nodeName") or NONE, status.get("nominatedNodeName") or NONE
    return [_name(obj), f"{ready}/{total}", pod_status(obj), shown, _age(obj, now), ips, node, nominated, _gates(obj)]


def _gates(obj: Object) -> str:
    gates = at(obj, "spec", "readinessGates") or []
    if not gates:
        return NONE
    conditions = {each["type"]: each["status"] for each in at(obj, "status", "conditions") or []}
    return f"{sum(1 for each in gates if conditions.get(each['conditionType']) == 'True')}/{len(gates)}"


def pod_status(obj: Object) -> str:
    """The STATUS word of a Pod: its phase, or the reason that says more."""
    status = obj.get("status") or {}
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    initializing = False
    for index, each in enumerate(status.get("initContainerStatuses") or []):
        ended = at(each, "state", "terminated")
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        waiting = at(each, "state", "waiting", "reason")
        if ended is not None:
            reason = f"Init:{_ended(ended)}"
        elif waiting and waiting != "PodInitializing":
            reason = f"Init:{waiting}"
        else:
            reason = f"Init:{index}/{len(at(obj, 'spec', 'initContainers') or [])}"
        initializing = True
        break
    if not initializing:
        reason = _running(status, reason)
    if obj["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return reason


def _ended(ended: Object) -> str:
    signal = ended.get("signal")
    return ended.get("reason") or (f"Signal:{signal}" if signal else f"ExitCode:{ended.get('exitCode', 0)}")


def _running(status: Object, reason: str) -> str:
    running = False
    for each in reversed(status.get("containerStatuses") or []):
        waiting, ended = at(each, "state", "waiting", "reason"), at(each, "state", "terminated")
        if waiting:
            reason = waiting
        elif ended is not None:
            reason = _ended(ended)
        elif each.get("ready") and at(each, "state", "running") is not None:
            running = True
    if reason == "Completed" and running:
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])
        return "Running" if ready else "NotReady"
    return reason


def _deployment(obj: Object, now: datetime.datetime) -> list[Any]:
    status = obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{at(obj, 'spec', 'replicas') or 0}"
    counts = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    return [_name(obj), ready, *counts, _age(obj, now), *_containers(obj), _selector(at(obj, "spec", "selector"))]


def _replica_set(obj: Object, now: datetime.datetime) -> list[Any]:
    status = obj.get("status") or {}
    counts = [at(obj, "spec", "replicas") or 0, status.get("replicas", 0), status.get("readyReplicas", 0)]
    selector = at(obj, "spec", "selector")
    shown = pairs(selector) if obj.get("kind") == "ReplicationController" else _selector(selector)
    return [_name(obj), *counts, _age(obj, now), *_containers(obj), shown]


def _stateful_set(obj: Object, now: datetime.datetime) -> list[Any]:
    ready = f"{at(obj, 'status', 'readyReplicas') or 0}/{at(obj, 'spec', 'replicas') or 0}"
    return [_name(obj), ready, _age(obj, now), *_containers(obj)]


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
    return [_name(obj), *counts, nodes, _age(obj, now), *_containers(obj), _selector(at(obj, "spec", "selector"))]


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
    return [_name(obj), state, done, took, _age(obj, now), *_containers(obj), _selector(at(obj, "spec", "selector"))]


def _cron_job(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    last = at(obj, "status", "lastScheduleTime")
    active = len(at(obj, "status", "active") or [])
    head = [_name(obj), spec.get("schedule", ""), spec.get("timeZone") or NONE, bool(spec.get("suspend")), active]
    template = _containers(obj, "spec", "jobTemplate", "spec", "template", "spec")
    selector = _selector(at(spec, "jobTemplate", "spec", "selector"))
    return [*head, age(last, now) if last else NONE, _age(obj, now), *template, selector]


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
    return [_name(obj), kind, address, shown, ",".join(ports) or NONE, _age(obj, now), pairs(spec.get("selector"))]


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
    return [_name(obj), state, ",".join(roles) or NONE, _age(obj, now), info.get("kubeletVersion", ""), *places, *wide]


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
    return [*head, str(obj.get("message", "")).strip(), age(begin, now), count, _name(obj)]


def _claim(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    state = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    capacity = at(status, "capacity", "storage") or "" if spec.get("volumeName") else ""
    modes = _modes(status.get("accessModes")) if spec.get("volumeName") else ""
    attributes = spec.get("volumeAttributesClassName") or "<unset>"
    head = [_name(obj), state, spec.get("volumeName", ""), capacity, modes, spec.get("storageClassName") or ""]
    return [*head, attributes, _age(obj, now), spec.get("volumeMode") or "<unset>"]


def _volume(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    claim = spec.get("claimRef")
    state = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    bound = f"{claim.get('namespace')}/{claim.get('name')}" if claim else ""
    head = [_name(obj), at(spec, "capacity", "storage") or "", _modes(spec.get("accessModes"))]
    rest = [spec.get("persistentVolumeReclaimPolicy", ""), state, bound, spec.get("storageClassName") or "", "<unset>"]
    return [*head, *rest, status.get("reason", ""), _age(obj, now), spec.get("volumeMode") or "<unset>"]


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
        name = at(metric, "resource", "name")
        value = f"{goal}%" if goal is not None else wanted.get("averageValue") or wanted.get("value") or "<auto>"
        shown.append(f"{name}: <unknown>/{value}" if name else "<unknown>")
    head = [_name(obj), f"{target.get('kind')}/{target.get('name')}", ", ".join(shown) or NONE]
    counts = [
        str(spec.get("minReplicas", "<unset>")),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
    ]
    return [*head, *counts, _age(obj, now)]


def _ingress(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    hosts = ",".join(each["host"] for each in spec.get("rules") or [] if each.get("host")) or "*"
    where = at(obj, "status", "loadBalancer", "ingress") or []
    address = ",".join(each.get("ip") or each.get("hostname") or "" for each in where)
    ports = "80, 443" if spec.get("tls") else "80"
    return [_name(obj), spec.get("ingressClassName") or NONE, hosts, address, ports, _age(obj, now)]


def _endpoints(obj: Object, now: datetime.datetime) -> list[Any]:
    found = []
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or [{}]:
            suffix = f":{port['port']}" if "port" in port else ""
            found += [each["ip"] + suffix for each in subset.get("addresses") or []]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return [_name(obj), ",".join(found[:3]) + more or NONE, _age(obj, now)]


def _slice(obj: Object, now: datetime.datetime) -> list[Any]:
    ports = ",".join(str(each.get("port", "*")) for each in obj.get("ports") or []) or "<unset>"
    found = [address for each in obj.get("endpoints") or [] for address in each.get("addresses") or []]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return [_name(obj), obj.get("addressType", ""), ports, ",".join(found[:3]) + more or "<unset>", _age(obj, now)]


def _binding(obj: Object, now: datetime.datetime) -> list[Any]:
    role = obj.get("roleRef") or {}
    subjects = obj.get("subjects") or []
    users = ", ".join(each["name"] for each in subjects if each.get("kind") == "User")
    groups = ", ".join(each["name"] for each in subjects if each.get("kind") == "Group")
    accounts = ", ".join(
        f"{each.get('namespace')}/{each['name']}" for each in subjects if each.get("kind") == "ServiceAccount"
    )
    return [_name(obj), f"{role.get('kind')}/{role.get('name')}", _age(obj, now), users, groups, accounts]


def _budget(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    bounds = ["N/A" if bound is None else str(bound) for bound in (least, most)]
    return [_name(obj), *bounds, at(obj, "status", "disruptionsAllowed") or 0, _age(obj, now)]


def _class(obj: Object, now: datetime.datetime) -> list[Any]:
    default = (obj["metadata"].get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true"
    name = _name(obj) + (" (default)" if default else "")
    policy, mode = obj.get("reclaimPolicy", "Delete"), obj.get("volumeBindingMode", "Immediate")
    return [name, obj.get("provisioner"), policy, mode, bool(obj.get("allowVolumeExpansion")), _age(obj, now)]


def _priority(obj: Object, now: datetime.datetime) -> list[Any]:
    policy = obj.get("preemptionPolicy") or "PreemptLowerPriority"
    return [_name(obj), obj.get("value", 0), bool(obj.get("globalDefault")), _age(obj, now), policy]


def _fields(*paths: tuple[str, ...]) -> Cells:
    """Cells that are a name, some fields as text, and the age."""

    def make(obj: Object, now: datetime.datetime) -> list[Any]:
        found = [at(obj, *path) for path in paths]
        return [_name(obj), *("" if value is None else value for value in found), _age(obj, now)]

    return make


def _count(field: str, *others: str) -> Cells:
    """Cells that are a name, the length of a list, ``<unset>`` for each other column, and the age."""
    return lambda obj, now: [
        _name(obj),
        len(at(obj, *field.split(".")) or []),
        *("<unset>" for _ in others),
        _age(obj, now),
    ]


def _data(obj: Object) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


def _policy(obj: Object, now: datetime.datetime) -> list[Any]:
    return [_name(obj), _selector(at(obj, "spec", "podSelector")), _age(obj, now)]


CELLS: dict[str, Cells] = {
    "pods": _pod,
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
    "configmaps": lambda obj, now: [_name(obj), _data(obj), _age(obj, now)],
    "secrets": lambda obj, now: [_name(obj), obj.get("type", ""), _data(obj), _age(obj, now)],
    "namespaces": lambda obj, now: [_name(obj), at(obj, "status", "phase") or "", _age(obj, now)],
    "leases.coordination.k8s.io": _fields(("spec", "holderIdentity")),
    "runtimeclasses.node.k8s.io": _fields(("handler",)),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": _count("webhooks"),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": _count("webhooks"),
    "validatingadmissionpolicies.admissionregistration.k8s.io": _count("spec.validations", "param"),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": _count("spec.mutations", "param"),
}


def _pod_template(obj: Object, now: datetime.datetime) -> list[Any]:
    labels = at(obj, "template", "metadata", "labels")
    return [_name(obj), *_containers(obj, "template", "spec"), pairs(labels)]


def _revision(obj: Object, now: datetime.datetime) -> list[Any]:
    owner = next((each for each in obj["metadata"].get("ownerReferences") or [] if each.get("controller")), None)
    shown = NONE
    if owner is not None:
        group = owner["apiVersion"].rpartition("/")[0]
        shown = (
            f"{owner['kind'].lower()}.{group}/{owner['name']}" if group else f"{owner['kind'].lower()}/{owner['name']}"
        )
    return [_name(obj), shown, obj.get("revision", 0), _age(obj, now)]


def _api_service(obj: Object, now: datetime.datetime) -> list[Any]:
    service = at(obj, "spec", "service")
    conditions = {each["type"]: each for each in at(obj, "status", "conditions") or []}
    found = conditions.get("Available", {"status": "Unknown"})
    shown = found["status"] if found["status"] == "True" else f"{found['status']} ({found.get('reason', '')})"
    return [_name(obj), f"{service['namespace']}/{service['name']}" if service else "Local", shown, _age(obj, now)]


def _signing_request(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    conditions = [each["type"] for each in at(obj, "status", "conditions") or []]
    if at(obj, "status", "certificate"):
        conditions.append("Issued")
    head = [_name(obj), _age(obj, now), spec.get("signerName") or NONE, spec.get("username", "")]
    return [*head, duration(seconds) if seconds is not None else NONE, ",".join(conditions) or "Pending"]


def _ingress_class(obj: Object, now: datetime.datetime) -> list[Any]:
    parameters = at(obj, "spec", "parameters")
    shown = NONE
    if parameters:
        group = parameters.get("apiGroup")
        shown = (
            f"{parameters['kind']}.{group}/{parameters['name']}"
            if group
            else f"{parameters['kind']}/{parameters['name']}"
        )
    return [_name(obj), at(obj, "spec", "controller"), shown, _age(obj, now)]


def _policy_binding(obj: Object, now: datetime.datetime) -> list[Any]:
    reference = at(obj, "spec", "paramRef")
    shown = "<unset>"
    if reference:
        name = reference.get("name") or "*"
        shown = f"{reference['namespace']}/{name}" if reference.get("namespace") else name
    return [_name(obj), at(obj, "spec", "policyName"), shown, _age(obj, now)]


def _quota(obj: Object, now: datetime.datetime) -> list[Any]:
    hard, used = at(obj, "status", "hard") or {}, at(obj, "status", "used") or {}
    shown = [f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)]
    limits = [each for each in shown if each.startswith("limits")]
    return [_name(obj), ", ".join(each for each in shown if each not in limits), ", ".join(limits), _age(obj, now)]


def _attachment(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    volume = at(spec, "source", "persistentVolumeName") or ""
    attached = bool(at(obj, "status", "attached"))
    return [_name(obj), spec.get("attacher"), volume, spec.get("nodeName"), attached, _age(obj, now)]


def _driver(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    tokens = ",".join(each.get("audience", "") for each in spec.get("tokenRequests") or []) or "<unset>"
    flags = [
        bool(spec.get("attachRequired", True)),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
    ]
    modes = ",".join(spec.get("volumeLifecycleModes") or [])
    return [_name(obj), *flags, tokens, bool(spec.get("requiresRepublish")), modes, _age(obj, now)]


CELLS |= {
    "podtemplates": _pod_template,
    "controllerrevisions.apps": _revision,
    "apiservices.apiregistration.k8s.io": _api_service,
    "certificatesigningrequests.certificates.k8s.io": _signing_request,
    "ingressclasses.networking.k8s.io": _ingress_class,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": _policy_binding,
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": _policy_binding,
    "resourcequotas": _quota,
    "volumeattachments.storage.k8s.io": _attachment,
    "csidrivers.storage.k8s.io": _driver,
    "csinodes.storage.k8s.io": _count("spec.drivers"),
    "volumeattributesclasses.storage.k8s.io": _fields(("driverName",)),
    "servicecidrs.networking.k8s.io": lambda obj, now: [
        _name(obj),
        ",".join(at(obj, "spec", "cidrs") or []),
        _age(obj, now),
    ],
    "ipaddresses.networking.k8s.io": lambda obj, now: [
        _name(obj),
        "/".join(str(at(obj, "spec", "parentRef", part) or "") for part in ("resource", "namespace", "name")),
    ],
}
