"""What a cluster has from the start: system namespaces, one node with its lease, a default storage class.

Called once by ``run`` before the controllers; what is there already is left alone.
"""

from __future__ import annotations

from typing import Any

from windlass.devstack.workloads import api
from windlass.devstack.workloads.api import (
    CONTROLLER_MANAGER,
    KUBELET,
    NODE_NAME,
    Api,
    ApiError,
    Clock,
    micro_timestamp,
    timestamp,
)
from windlass.devstack.workloads.pod_status import HOST_ADDRESS
from windlass.devstack.workloads.volumes import PROVISIONER

Object = dict[str, Any]

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
VERSION = "v1.36.3"
_CAPACITY = {"cpu": "64", "ephemeral-storage": "1Ti", "memory": "256Gi", "pods": "100k"}


def _node(now: str) -> Object:
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": NODE_NAME,
        "kubernetes.io/os": "linux",
        "node-role.kubernetes.io/control-plane": "",
    }
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    conditions = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE_NAME, "labels": labels},
        "spec": {"podCIDR": "10.244.0.0/16", "podCIDRs": ["10.244.0.0/16"]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": HOST_ADDRESS},
                {"type": "Hostname", "address": NODE_NAME},
            ],
            "allocatable": _CAPACITY,
            "capacity": _CAPACITY,
            "conditions": [
                {"type": kind, "status": status, "reason": reason, "message": message, **times}
                for kind, status, reason, message in conditions
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "containerd://2.1.0",
                "kernelVersion": "simulated",
                "kubeProxyVersion": "",
                "kubeletVersion": VERSION,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "Windlass devcluster (no containers)",
                "systemUUID": "",
            },
        },
    }


async def bootstrap(server: Api, clock: Clock) -> None:
    """Make what is missing."""
    now = clock.now()
    for name in NAMESPACES:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await _ensure(server, api.NAMESPACES, namespace, CONTROLLER_MANAGER)
    made = await _ensure(server, api.NODES, _node(timestamp(now)), KUBELET)
    if made is not None and not (made.get("status") or {}).get("conditions"):
        await server.update(api.NODES, {**made, **_status_of(timestamp(now))}, manager=KUBELET, subresource="status")
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": PROVISIONER,
    }
    await _ensure(server, api.STORAGE_CLASSES, storage, CONTROLLER_MANAGER)
    # The lease is not renewed: nothing here judges a node by its heartbeat, and a cluster at rest writes nothing.
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NODE_NAME, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": NODE_NAME, "leaseDurationSeconds": 40, "renewTime": micro_timestamp(now)},
    }
    await _ensure(server, api.LEASES, lease, KUBELET)


def _status_of(now: str) -> Object:
    return {"status": _node(now)["status"]}


async def _ensure(server: Api, resource: str, obj: Object, manager: str) -> Object | None:
    metadata = obj["metadata"]
    if await server.get(resource, metadata.get("namespace"), metadata["name"]) is not None:
        return None
    try:
        return await server.create(resource, obj, manager=manager)
    except ApiError as error:
        if error.code != 409:
            raise
        return None
