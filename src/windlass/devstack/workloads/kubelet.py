"""The kubelet of `devnode`: shows each Pod that is assigned to the node as running, or as failing, without containers.

How a container behaves is told by its image (``images``); its life is stepped by ``containers``; the status is written
by ``pod_status``. Here is
what joins them: volumes and environment that must be there first, one container after the other, restarts, and the end
of a deleted Pod.
It keeps nothing that the Pod's status does not tell: a restart of the process goes on from there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api
from windlass.devstack.workloads.api import KUBELET, NODE_NAME, ApiError, moment_of
from windlass.devstack.workloads.containers import CREATING_SECONDS, Container
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.images import behaviour_of
from windlass.devstack.workloads.owners import is_going
from windlass.devstack.workloads.pod_needs import env_problem, mount_problem, needed_objects
from windlass.devstack.workloads.pod_status import PodRun, container_role, digest_hex, pod_status
from windlass.devstack.workloads.pods import is_ended
from windlass.devstack.workloads.recorder import Note

Object = dict[str, Any]

GRACE_SECONDS = 0.05
"""From the deletion of a running Pod to its being gone."""
_LONGEST_READY_DELAY = 1.0
_MANY = 20


class Kubelet(Controller):
    """See the module."""

    name = "kubelet"
    kind = "Pod"
    resource = api.PODS
    watched = (api.CONFIG_MAPS, api.SECRETS, api.CLAIMS)
    urgent = watched
    component = "kubelet"

    def __init__(self, cluster: Any) -> None:
        super().__init__(cluster)
        self._runs: dict[Key, PodRun] = {}
        self._addresses: dict[str, str] = {}
        self._ends: dict[str, float] = {}
        self._images: set[str] = set()
        self._waiting: dict[tuple[str, str, str], set[Key]] = {}

    @override
    def keys(self, change: api.Change) -> Iterable[Key]:
        metadata = change.object["metadata"]
        key = (metadata.get("namespace") or "", metadata["name"])
        if change.resource == api.PODS:
            return (key,)
        return self._waiting.pop((change.resource, *key), ())

    @override
    async def reconcile(self, key: Key) -> float | None:
        pod = self.view.get(api.PODS, *key)
        run = self._runs.get(key)
        if run is not None and (pod is None or pod["metadata"]["uid"] != run.uid):
            self._release(key, run)
            run = None
        if pod is None or pod["spec"].get("nodeName") != NODE_NAME:
            return None
        if is_going(pod):
            return await self._terminate(key, pod, run)
        if is_ended(pod):
            if run is not None:
                self._release(key, run)
            return None
        if run is None:
            run = self._runs[key] = self._admit(pod)
        self._follow_images(pod, run)
        due = self._advance(key, pod, run)
        now = self.cluster.clock.monotonic()
        # With many Pods at once the moment between "creating" and "running" is not worth a write.
        if due is None or due - now > CREATING_SECONDS or len(self.queue) < _MANY:
            await self._write(pod, run)
            now = self.cluster.clock.monotonic()
        return None if due is None else max(0.0, due - now)

    def _admit(self, pod: Object) -> PodRun:
        """Take a Pod over: a new one, or one that was there before this process."""
        status, uid = pod.get("status") or {}, pod["metadata"]["uid"]
        run = PodRun(uid, self._address(pod), status.get("startTime") or self.cluster.stamp())
        run.has_sandbox = bool(status.get("podIP"))
        policy = pod["spec"].get("restartPolicy", "Always")
        for part, statuses, containers in (
            ("initContainers", "initContainerStatuses", run.init),
            ("containers", "containerStatuses", run.main),
        ):
            before = {one["name"]: one for one in status.get(statuses) or []}
            for spec in pod["spec"].get(part) or []:
                container = self._container(pod, spec, part == "initContainers", policy)
                self._restore(container, before.get(spec["name"]))
                containers.append(container)
        return run

    def _follow_images(self, pod: Object, run: PodRun) -> None:
        """The only thing of a running Pod's containers that may change."""
        for part, containers in (("initContainers", run.init), ("containers", run.main)):
            for spec, container in zip(pod["spec"].get(part) or [], containers, strict=True):
                image = spec.get("image", "")
                if image != container.image:
                    now, stamp = self.cluster.clock.monotonic(), self.cluster.stamp()
                    container.change_image(image, behaviour_of(image), now, stamp)

    def _container(self, pod: Object, spec: Object, is_init: bool, policy: str) -> Container:
        metadata = pod["metadata"]
        probe = spec.get("readinessProbe") or {}
        startup = spec.get("startupProbe") or {}
        delay = probe.get("initialDelaySeconds", 0) + startup.get("initialDelaySeconds", 0)
        return Container(
            name=spec["name"],
            image=spec.get("image", ""),
            role=container_role(spec, is_init, policy),
            behaviour=behaviour_of(spec.get("image", "")),
            restart_policy="Always" if spec.get("restartPolicy") == "Always" else policy,
            ready_delay=min(float(delay), _LONGEST_READY_DELAY),
            has_readiness=bool(probe),
            pull_policy=spec.get("imagePullPolicy", "IfNotPresent"),
            is_present=spec.get("image", "") in self._images,
            pod_label=f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})",
            identity=digest_hex(f"{metadata['uid']}/{spec['name']}")[:60],
        )

    def _restore(self, container: Container, status: Object | None) -> None:
        if status is None:
            return
        container.restarts = status.get("restartCount", 0)
        container.last = (status.get("lastState") or {}).get("terminated")
        state, now = status.get("state") or {}, self.cluster.clock.monotonic()
        if state.get("running"):
            container.state = "running"
            container.started_at = state["running"].get("startedAt") or self.cluster.stamp()
            age = (self.cluster.clock.now() - moment_of(container.started_at)).total_seconds()
            container.since = now - max(0.0, age)
            container.ready = status.get("ready", False)
            container.probe_failures = 0 if container.ready else 1
        elif state.get("terminated"):
            ended = state["terminated"]
            container.state, container.since = "ended", now
            container.exit_code, container.exit_reason = ended.get("exitCode", 0), ended.get("reason", "")
            container.started_at, container.finished_at = ended.get("startedAt", ""), ended.get("finishedAt", "")
        elif (state.get("waiting") or {}).get("reason") in ("CrashLoopBackOff", "ImagePullBackOff"):
            container.state, container.since = "waiting", now
            container.reason, container.message = state["waiting"]["reason"], state["waiting"].get("message", "")
            container.pull_failures = 1
            container.started_at = (container.last or {}).get("startedAt", "")

    def _address(self, pod: Object) -> str:
        uid = pod["metadata"]["uid"]
        known = (pod.get("status") or {}).get("podIP")
        if known and known.startswith("10.244.") and known not in self._addresses:
            self._addresses[known] = uid
            return str(known)
        start = zlib.crc32(uid.encode()) % 65_000
        for step in range(65_000):
            number = (start + step) % 65_000 + 10
            address = f"10.244.{number >> 8}.{number & 255}"
            if address not in self._addresses:
                self._addresses[address] = uid
                return address
        return "10.244.255.254"  # more Pods than addresses: they share the last one

    def _release(self, key: Key, run: PodRun) -> None:
        self._runs.pop(key, None)
        self._addresses.pop(run.address, None)
        self._ends.pop(run.uid, None)

    def _advance(self, key: Key, pod: Object, run: PodRun) -> float | None:
        """Let the Pod do what is due. Gives when the next thing is."""
        now, stamp = self.cluster.clock.monotonic(), self.cluster.stamp()
        problem = mount_problem(pod, self.view)
        if problem and not run.has_sandbox:
            self._wait_for(key, pod)
            if problem != run.mount_problem:
                self._note(pod, "Warning", "FailedMount", problem)
            run.mount_problem = problem
            return None
        run.mount_problem = ""
        run.has_sandbox = True
        dues = [self._step(key, pod, one, now, stamp) for one in run.init if one.role == "sidecar" and one.started_at]
        container = run.next_init()
        while container is not None:
            due = self._step(key, pod, container, now, stamp)
            following = run.next_init()
            if following is container:
                return min((one for one in (due, *dues) if one is not None), default=None)
            container = following
        dues.extend(self._step(key, pod, one, now, stamp) for one in run.main)
        return min((one for one in dues if one is not None), default=None)

    def _step(self, key: Key, pod: Object, container: Container, now: float, stamp: str) -> float | None:
        if container.state in ("new", "waiting") and container.behaviour != "pullfail":
            problem = env_problem(pod, container.name, self.view)
            if problem:
                container.hold("CreateContainerConfigError", problem, now)
                self._wait_for(key, pod)
                self._tell(pod, container)
                return None
        due = container.advance(now, stamp)
        if container.started_at:
            self._images.add(container.image)
        self._tell(pod, container)
        return due

    def _wait_for(self, key: Key, pod: Object) -> None:
        for place in needed_objects(pod):
            self._waiting.setdefault(place, set()).add(key)

    def _tell(self, pod: Object, container: Container) -> None:
        part = "initContainers" if container.role in ("init", "sidecar") else "containers"
        for one in container.happenings:
            self._note(pod, one.kind, one.reason, one.message, f"spec.{part}{{{container.name}}}")
        container.happenings.clear()

    def _note(self, pod: Object, kind: str, reason: str, message: str, part: str = "") -> None:
        self.cluster.events.record(Note(pod, kind, reason, message, self.component, KUBELET, NODE_NAME, part))

    async def _write(self, pod: Object, run: PodRun) -> None:
        status = pod_status(pod, run, self.cluster.stamp())
        # What others wrote into the status (custom conditions) is in it already; the rest is the kubelet's alone.
        await self.cluster.write_status(api.PODS, pod, {**(pod.get("status") or {}), **status}, KUBELET)

    async def _terminate(self, key: Key, pod: Object, run: PodRun | None) -> float | None:
        uid, now = pod["metadata"]["uid"], self.cluster.clock.monotonic()
        end = self._ends.get(uid)
        if end is None:
            self._ends[uid] = end = now + min(GRACE_SECONDS, pod["metadata"].get("deletionGracePeriodSeconds", 30))
            for container in run.main if run else ():
                if container.state == "running":
                    part = f"spec.containers{{{container.name}}}"
                    self._note(pod, "Normal", "Killing", f"Stopping container {container.name}", part)
        if now < end:
            return end - now
        if not is_ended(pod):
            run = run or self._admit(pod)
            run.is_killed = True
            for container in (*run.init, *run.main):
                container.kill(self.cluster.stamp())
            await self._write(pod, run)
            pod = self.view.get(api.PODS, *key) or pod
        try:
            await self.cluster.delete(api.PODS, pod)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        if run is not None:
            self._release(key, run)
        return None
