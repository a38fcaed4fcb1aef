"""A Pod's status as the kubelet writes it: container states, conditions, phase, addresses. Pure; called by
``kubelet``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from windlass.devstack.workloads.containers import Container
from windlass.devstack.workloads.images import full_name
from windlass.devstack.workloads.owners import digest, set_condition

Object = dict[str, Any]

HOST_ADDRESS = "10.0.0.2"


@dataclass(slots=True)
class PodRun:
    """A Pod on the node: its containers in order, its address, whether its volumes are there."""

    uid: str
    address: str
    started_at: str
    init: list[Container] = field(default_factory=list)
    main: list[Container] = field(default_factory=list)
    has_sandbox: bool = False
    mount_problem: str = ""
    is_killed: bool = False

    @property
    def is_initialized(self) -> bool:
        """Whether every init container did its part."""
        return all(_has_initialized(one) for one in self.init)

    def next_init(self) -> Container | None:
        """The init container whose turn it is."""
        return next((one for one in self.init if not _has_initialized(one)), None)

    @property
    def phase(self) -> str:
        """Pending, Running, Succeeded or Failed."""
        if any(one.role == "init" and one.is_done and not one.has_succeeded for one in self.init):
            return "Failed"
        if not self.is_initialized or not any(one.started_at for one in self.main):
            return "Pending"
        if all(one.is_done for one in self.main):
            return "Succeeded" if all(one.has_succeeded for one in self.main) else "Failed"
        return "Running"


def _has_initialized(container: Container) -> bool:
    if container.role == "sidecar":
        return container.state == "running"
    return container.is_done and container.has_succeeded


def container_role(container: Object, is_init: bool, restart_policy: str) -> Any:
    """What part a container plays in its Pod."""
    if is_init:
        return "sidecar" if container.get("restartPolicy") == "Always" else "init"
    return "service" if restart_policy == "Always" else "task"


def _state(container: Container, waits_for_init: bool) -> Object:
    if container.state == "running":
        return {"running": {"startedAt": container.started_at}}
    if container.state == "ended":
        return {"terminated": container.ended()}
    if container.state == "new":
        return {"waiting": {"reason": "PodInitializing" if waits_for_init else "ContainerCreating"}}
    waiting = {"reason": container.reason}
    if container.message:
        waiting["message"] = container.message
    return {"waiting": waiting}


def _container_status(container: Container, spec: Object, waits_for_init: bool) -> Object:
    has_started = bool(container.started_at)
    state = _state(container, waits_for_init)
    status: Object = {
        "image": full_name(container.image) if has_started else container.image,
        "imageID": _image_id(container.image) if has_started else "",
        "lastState": {"terminated": container.last} if container.last else {},
        "name": container.name,
        "ready": container.ready or (container.role == "init" and container.has_succeeded),
        "restartCount": container.restarts,
        "started": container.state == "running",
        "state": state,
    }
    if has_started:
        status["containerID"] = container.container_id
        status["resources"] = spec.get("resources") or {}
        requests = (spec.get("resources") or {}).get("requests")
        if requests:
            status["allocatedResources"] = requests
    mounts = [
        {
            "mountPath": mount["mountPath"],
            "name": mount["name"],
            **({"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {}),
        }
        for mount in spec.get("volumeMounts") or []
    ]
    if mounts:
        status["volumeMounts"] = mounts
    return status


def _image_id(image: str) -> str:
    repository = full_name(image).partition("@")[0].rpartition(":")[0]
    return f"{repository}@sha256:{digest_hex(image)}"


def digest_hex(text: str) -> str:
    """64 hex digits made of a text, as a digest has them."""
    letters = digest(text, 32)
    return letters.encode().hex()


def _conditions(pod: Object, run: PodRun, phase: str, stamp: str) -> list[Object]:
    ended = phase in ("Succeeded", "Failed")
    not_ready = [one.name for one in run.main if not one.ready]
    not_ready += [one.name for one in run.init if one.role == "sidecar" and not one.ready]
    not_initialized = [one.name for one in run.init if not _has_initialized(one)]
    generation = pod["metadata"].get("generation")

    def condition(kind: str, good: bool, reason: str = "", message: str = "") -> Object:
        made: Object = {"type": kind, "status": "True" if good else "False", "lastProbeTime": None}
        if generation:
            made["observedGeneration"] = generation
        if reason:
            made["reason"] = reason
        if message:
            made["message"] = message
        return made

    unready: tuple[str, ...] = ()
    if phase == "Succeeded":
        unready = ("PodCompleted",)
    elif phase == "Failed":
        unready = ("PodFailed",)
    elif not_ready:
        unready = ("ContainersNotReady", f"containers with unready status: [{' '.join(not_ready)}]")
    uninitialized: tuple[str, ...] = ()
    if phase == "Succeeded":
        uninitialized = ("PodCompleted",)
    elif not_initialized:
        words = f"containers with incomplete status: [{' '.join(not_initialized)}]"
        uninitialized = ("ContainersNotInitialized", words)
    gates = _gates(pod)
    ready = not unready and not gates
    wanted = [
        condition("PodReadyToStartContainers", run.has_sandbox and not ended),
        condition("Initialized", phase == "Succeeded" or not not_initialized, *uninitialized),
        condition("Ready", ready, *(unready or gates)),
        condition("ContainersReady", not unready, *unready),
    ]
    conditions = list((pod.get("status") or {}).get("conditions") or [])
    scheduled = [one for one in conditions if one["type"] not in {new["type"] for new in wanted}]
    kept = [one for one in conditions if one not in scheduled]
    for new in wanted:
        before: Object = next((one for one in kept if one["type"] == new["type"]), {})
        for field_name in ("reason", "message"):
            if field_name in before and field_name not in new:
                kept = [{k: v for k, v in one.items() if k != field_name} if one is before else one for one in kept]
                before = next(one for one in kept if one["type"] == new["type"])
        kept = set_condition(kept, new, stamp)
    return [*kept, *scheduled]


def _gates(pod: Object) -> tuple[str, ...]:
    """Readiness gates whose condition is not True yet."""
    wanted = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or []]
    conditions = (pod.get("status") or {}).get("conditions") or []
    true = {one["type"] for one in conditions if one.get("status") == "True"}
    missing = [kind for kind in wanted if kind not in true]
    if not missing:
        return ()
    return "ReadinessGatesNotReady", f'corresponding condition of pod readiness gate "{missing[0]}" does not exist.'


def pod_status(pod: Object, run: PodRun, stamp: str) -> Object:
    """The whole status of a Pod at this moment."""
    spec, before = pod["spec"], pod.get("status") or {}
    phase = "Failed" if run.is_killed and run.phase in ("Pending", "Running") else run.phase
    status: Object = {
        "phase": phase,
        "conditions": _conditions(pod, run, phase, stamp),
        "hostIP": HOST_ADDRESS,
        "hostIPs": [{"ip": HOST_ADDRESS}],
        "startTime": run.started_at,
    }
    if pod["metadata"].get("generation"):
        status["observedGeneration"] = pod["metadata"]["generation"]
    if before.get("qosClass"):
        status["qosClass"] = before["qosClass"]
    if run.has_sandbox:
        address = HOST_ADDRESS if spec.get("hostNetwork") else run.address
        status["podIP"] = address
        status["podIPs"] = [{"ip": address}]
    waits = not run.is_initialized or bool(run.init and not run.has_sandbox)
    specs = {one["name"]: one for part in ("initContainers", "containers") for one in spec.get(part) or []}
    if run.init:
        statuses = [_container_status(one, specs[one.name], waits and one is not run.init[0]) for one in run.init]
        status["initContainerStatuses"] = statuses
    status["containerStatuses"] = [_container_status(one, specs[one.name], waits) for one in run.main]
    return status
