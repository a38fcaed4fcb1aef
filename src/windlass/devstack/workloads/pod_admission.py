"""What admission adds to a new Pod before it is stored: service account and its token, priority, tolerations, quality
of service.

Called by ``strategy`` on a copy of its own. A service account or priority class that is not there is refused as the
real server does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from windlass.devstack.apiserver.errors import forbidden
from windlass.devstack.workloads.quantity import BadQuantity, amount

Object = dict[str, Any]
Find = Callable[[str, str | None, str], Object | None]
"""Looks a live object up: resource, namespace, name."""

_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105  a path, not a secret
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SYSTEM_PRIORITIES = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}


def short_name(seed: str, length: int = 5) -> str:
    """Letters as generated names have them, made of ``seed``: the same for the same seed."""
    digest = hashlib.sha256(seed.encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:length])


def admit_pod(pod: Object, find: Find | None) -> None:
    """Fill in a Pod that is being created, in place."""
    spec = pod["spec"]
    metadata = pod.get("metadata") or {}
    _service_account(pod, find)
    _priority(pod, find)
    spec["tolerations"] = with_default_tolerations(spec.get("tolerations"))
    pod["metadata"] = {**metadata, "generation": 1}
    pod["status"] = {"phase": "Pending", "qosClass": quality_of_service(spec)}
    if spec.get("schedulingGates"):
        message = "Scheduling is blocked due to non-empty scheduling gates"
        condition = {"lastProbeTime": None, "lastTransitionTime": None, "message": message, "reason": "SchedulingGated"}
        pod["status"]["conditions"] = [{**condition, "status": "False", "type": "PodScheduled"}]


def with_default_tolerations(tolerations: list[Object] | None) -> list[Object]:
    """The tolerations that every Pod has beside its own, for a node that is gone for five minutes."""
    tolerations = list(tolerations or [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(one.get("key") in (key, None) and one.get("effect") in ("NoExecute", None) for one in tolerations):
            tolerations.append({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300})
    return tolerations


def _service_account(pod: Object, find: Find | None) -> None:
    spec, metadata = pod["spec"], pod.get("metadata") or {}
    namespace = metadata.get("namespace")
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = find("v1/serviceaccounts", namespace, name) if find else None
    # A namespace's `default` account is made a moment after the namespace; a Pod that is that quick is let in.
    if find and account is None and name != "default":
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise forbidden("", "pods", _asked_name(metadata), why)
    if account and not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account["imagePullSecrets"]
    mounted = spec.get("automountServiceAccountToken")
    if mounted is None and account:
        mounted = account.get("automountServiceAccountToken")
    if mounted is not False:
        _mount_token(pod)


def _asked_name(metadata: Object) -> str:
    """The name as it was asked for: of a generated one only its beginning, since it is generated after admission."""
    name, start = metadata.get("name") or "", metadata.get("generateName") or ""
    return start if start and name.startswith(start) and len(name) == len(start) + 5 else name


def _mount_token(pod: Object) -> None:
    spec, metadata = pod["spec"], pod.get("metadata") or {}
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    without = [
        container
        for container in containers
        if not any(mount.get("mountPath") == _TOKEN_PATH for mount in container.get("volumeMounts") or [])
    ]
    if not without:
        return
    volumes = spec.setdefault("volumes", [])
    name = next((volume["name"] for volume in volumes if str(volume.get("name")).startswith("kube-api-access-")), "")
    if not name:
        name = f"kube-api-access-{short_name(str(metadata.get('uid') or metadata.get('name')))}"
        field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
        sources = [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
            {"downwardAPI": {"items": [{"fieldRef": field, "path": "namespace"}]}},
        ]
        volumes.append({"name": name, "projected": {"defaultMode": 420, "sources": sources}})
    for container in without:
        container.setdefault("volumeMounts", []).append({"mountPath": _TOKEN_PATH, "name": name, "readOnly": True})


def _priority(pod: Object, find: Find | None) -> None:
    spec = pod["spec"]
    name = spec.get("priorityClassName")
    value, preemption = _SYSTEM_PRIORITIES.get(name, 0), "PreemptLowerPriority"
    if name and name not in _SYSTEM_PRIORITIES and find:
        found = find("scheduling.k8s.io/v1/priorityclasses", None, name)
        if found is None:
            why = f"no PriorityClass with name {name} was found"
            raise forbidden("", "pods", _asked_name(pod.get("metadata") or {}), why)
        value, preemption = found.get("value", 0), found.get("preemptionPolicy") or preemption
    spec.setdefault("priority", value)
    spec.setdefault("preemptionPolicy", preemption)


def quality_of_service(spec: Object) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``."""
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    some, guaranteed = False, True
    for container in containers:
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name in ("cpu", "memory"):
            limit, request = _positive(limits.get(name)), _positive(requests.get(name))
            some = some or bool(limit or request)
            if not limit or (request and request != limit):
                guaranteed = False
    if not some:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _positive(value: Any) -> Any:
    try:
        return amount(value) if value is not None else 0
    except BadQuantity:
        return 0
