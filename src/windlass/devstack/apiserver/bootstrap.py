"""What a cluster has before anybody uses it: system namespaces, the default RBAC roles and bindings, system priority
classes, its own Service.

Called once at start by ``server.py``; what is there already is left alone. Nodes, storage classes and service accounts
are the workloads'.
"""

from __future__ import annotations

from typing import Any

from windlass.devstack.apiserver.crds import SERVER
from windlass.devstack.apiserver.default_roles import bindings, cluster_roles
from windlass.devstack.apiserver.errors import ApiError
from windlass.devstack.apiserver.machine import Machine
from windlass.devstack.apiserver.writing import Write

Object = dict[str, Any]
NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_RBAC = "rbac.authorization.k8s.io/v1"
SERVICE_ADDRESS = "10.96.0.1"


async def bootstrap(machine: Machine, port: int) -> None:
    """Make what is missing. ``port`` is the server's own."""
    for name in NAMESPACES:
        await _ensure(
            machine, "v1/namespaces", {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}}
        )
    for role in cluster_roles():
        await _ensure(machine, f"{_RBAC}/clusterroles", role)
    for binding in bindings():
        await _ensure(machine, f"{_RBAC}/clusterrolebindings", binding)
    for name, value in (("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)):
        note = "Used for system critical pods that must " + (
            "run in the cluster, but can be moved to another node if necessary."
            if name == "system-cluster-critical"
            else "not be moved from their current node."
        )
        priority = {
            "metadata": {"name": name},
            "value": value,
            "description": note,
            "preemptionPolicy": "PreemptLowerPriority",
        }
        await _ensure(machine, "scheduling.k8s.io/v1/priorityclasses", priority)
    await _ensure(machine, "v1/services", _service(port))


def _service(port: int) -> Object:
    metadata = {
        "name": "kubernetes",
        "namespace": "default",
        "labels": {"component": "apiserver", "provider": "kubernetes"},
    }
    spec = {
        "clusterIP": SERVICE_ADDRESS,
        "clusterIPs": [SERVICE_ADDRESS],
        "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
    }
    return {"metadata": metadata, "spec": spec}


async def _ensure(machine: Machine, resource: str, obj: Object) -> None:
    found = machine.registry.by_id(resource)
    assert found is not None
    metadata = obj["metadata"]
    namespace = metadata.get("namespace") or ""
    if machine.store.get(found.storage, namespace, metadata["name"]) is not None:
        return
    try:
        await machine.writer.create(Write(found, namespace, "", "kube-apiserver", SERVER), obj)
    except ApiError as error:
        if error.code != 409:
            raise
