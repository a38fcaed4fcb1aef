"""One simulated container: what state it is in, and what it does next. Pure: time is an argument.

``kubelet`` holds a `Container` per container of a Pod and calls ``advance``; ``pod_status`` writes what it says into
the Pod's status. How it
behaves is a matter of its image (``images``) and of its role: ``service`` runs on, ``task`` ends, ``init`` ends
quickly, ``sidecar`` runs on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from windlass.devstack.workloads.images import Behaviour, full_name

Object = dict[str, Any]
Role = Literal["service", "task", "init", "sidecar"]

CREATING_SECONDS = 0.02
"""From the decision to start to running."""
CRASH_SECONDS = 0.5
TASK_SECONDS = 0.3
INIT_SECONDS = 0.02
SLOW_SECONDS = 5.0
_BACKOFF_FIRST, _BACKOFF_LAST = 10.0, 300.0
_PULL_GAP = 1.0
"""From a failed pull to the back-off being shown."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An Event about one container."""

    kind: str
    reason: str
    message: str


@dataclass(slots=True)
class Container:
    """A container's life so far. ``since`` is when ``state`` began (monotonic seconds), the stamps are what the status
    shows.
    """

    name: str
    image: str
    role: Role
    behaviour: Behaviour
    restart_policy: str
    ready_delay: float = 0.0
    has_readiness: bool = False
    pull_policy: str = "IfNotPresent"
    is_present: bool = False
    """Whether the node has the image already."""
    pod_label: str = ""
    identity: str = ""
    state: Literal["new", "waiting", "creating", "running", "ended"] = "new"
    reason: str = "ContainerCreating"
    message: str = ""
    since: float = 0.0
    started_at: str = ""
    finished_at: str = ""
    exit_code: int = 0
    exit_reason: str = ""
    restarts: int = 0
    pull_failures: int = 0
    probe_failures: int = 0
    ready: bool = False
    last: Object | None = None
    happenings: list[Happening] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether it ended for good."""
        return self.state == "ended" and not self._restarts_again()

    @property
    def has_succeeded(self) -> bool:
        """Whether it ended well."""
        return self.state == "ended" and self.exit_code == 0

    @property
    def container_id(self) -> str:
        return f"containerd://{self.identity}{self.restarts:04x}" if self.started_at else ""

    def _restarts_again(self) -> bool:
        if self.role in ("init", "task") and self.exit_code == 0 and self.restart_policy != "Always":
            return False
        if self.role == "init" and self.exit_code == 0:
            return False
        return self.restart_policy == "Always" or (self.restart_policy == "OnFailure" and self.exit_code != 0)

    def _enter(self, state: Literal["waiting", "creating", "running", "ended"], since: float) -> None:
        self.state = state
        self.since = since

    def _say(self, kind: str, reason: str, message: str) -> None:
        self.happenings.append(Happening(kind, reason, message))

    def hold(self, reason: str, message: str, now: float) -> None:
        """It can't be made yet: a ConfigMap or Secret that it needs is missing."""
        if self.state in ("new", "waiting") and (self.reason, self.message) != (reason, message):
            self._enter("waiting", now)
            self.reason, self.message = reason, message
            self._say("Warning", "Failed", f"Error: {message}")

    def advance(self, now: float, stamp: str) -> float | None:
        """Do everything that is due at ``now``. Gives the time of the next thing that it does by itself."""
        for _ in range(16):  # a step that is due at once follows at once
            due = self._step(now, stamp)
            if due is None or due > now:
                return due
        return now

    def _step(self, now: float, stamp: str) -> float | None:
        if self.state == "new" or (self.state == "waiting" and self.reason == "CreateContainerConfigError"):
            return self._begin(now)
        if self.state == "waiting":
            return self._wait(now)
        if self.state == "creating":
            return self._start(now, stamp)
        if self.state == "running":
            return self._run(now, stamp)
        return self._after_end(now)

    def _begin(self, now: float) -> float:
        if self.behaviour == "pullfail":
            return self._pull_fails(now)
        image = full_name(self.image)
        if self.pull_policy == "Never" or (self.is_present and self.pull_policy != "Always"):
            words = f'Container image "{self.image}" already present on machine and can be accessed by the pod'
            self._say("Normal", "Pulled", words)
        else:
            self._say("Normal", "Pulling", f'Pulling image "{self.image}"')
            size = 8_000_000 + len(image) * 131_072
            took = "20ms (20ms including waiting)"
            words = f'Successfully pulled image "{self.image}" in {took}. Image size: {size} bytes.'
            self._say("Normal", "Pulled", words)
        self._enter("creating", now)
        self.reason, self.message = "ContainerCreating", ""
        return now if self.restarts else now + CREATING_SECONDS

    def _pull_fails(self, now: float) -> float:
        self.pull_failures += 1
        self._enter("waiting", now)
        image = full_name(self.image)
        why = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'
        self.reason = "ErrImagePull"
        self.message = f"rpc error: code = NotFound desc = {why}"
        self._say("Normal", "Pulling", f'Pulling image "{self.image}"')
        self._say("Warning", "Failed", f'Failed to pull image "{self.image}": {self.message}')
        self._say("Warning", "Failed", "Error: ErrImagePull")
        return now + _PULL_GAP

    def _backoff(self, count: int) -> float:
        return float(min(_BACKOFF_FIRST * 2 ** max(0, count - 1), _BACKOFF_LAST))

    def _wait(self, now: float) -> float | None:
        if self.reason == "ErrImagePull":
            if now < self.since + _PULL_GAP:
                return self.since + _PULL_GAP
            self.reason = "ImagePullBackOff"
            self.message = f'Back-off pulling image "{self.image}": ErrImagePull: {self.message}'
            self._enter("waiting", now)
            self._say("Normal", "BackOff", f'Back-off pulling image "{self.image}"')
            self._say("Warning", "Failed", "Error: ImagePullBackOff")
        if self.reason == "ImagePullBackOff":
            due = self.since + self._backoff(self.pull_failures)
            return due if now < due else self._begin(now)
        if self.reason == "CrashLoopBackOff":
            due = self.since + self._backoff(self.restarts)
            return due if now < due else self._restart(now)
        return None

    def _restart(self, now: float) -> float:
        self.restarts += 1
        self.ready = False
        return self._begin(now)

    def _start(self, now: float, stamp: str) -> float:
        due = self.since if self.restarts else self.since + CREATING_SECONDS
        if now < due:
            return due
        self._enter("running", now)
        self.started_at = stamp
        self.is_present = True
        self._say("Normal", "Created", "Container created")
        self._say("Normal", "Started", "Container started")
        return now

    def _run(self, now: float, stamp: str) -> float | None:
        if self.behaviour in ("crash", "oom"):
            due = self.since + CRASH_SECONDS
            if now >= due:
                code, reason = (1, "Error") if self.behaviour == "crash" else (137, "OOMKilled")
                self._end(code, reason, now, stamp)
                return now
            self.ready = not self.has_readiness and self.role in ("service", "sidecar")
            return due
        if self.role == "init" or (self.role == "task" and self.behaviour in ("well", "slow")):
            seconds = INIT_SECONDS if self.role == "init" else TASK_SECONDS
            due = self.since + (SLOW_SECONDS if self.behaviour == "slow" else seconds)
            if now < due:
                self.ready = self.role == "task"
                return due
            self._end(0, "Completed", now, stamp)
            return None
        return self._probe(now)

    def _probe(self, now: float) -> float | None:
        if self.behaviour == "unready":
            # A kubelet tells each failed probe; here the gaps grow, so that a Pod that never gets ready costs nothing
            # in the end.
            due = self.since + self._backoff(self.probe_failures) if self.probe_failures else self.since
            if now < due:
                return due
            self.probe_failures += 1
            self._say("Warning", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
            return self.since + self._backoff(self.probe_failures)
        due = self.since + max(self.ready_delay, SLOW_SECONDS if self.behaviour == "slow" else 0.0)
        self.ready = now >= due
        return None if self.ready else due

    def _end(self, code: int, reason: str, now: float, stamp: str) -> None:
        self._enter("ended", now)
        self.ready = False
        self.exit_code, self.exit_reason, self.finished_at = code, reason, stamp

    def ended(self) -> Object:
        """The `terminated` state that the status shows."""
        return {
            "containerID": self.container_id,
            "exitCode": self.exit_code,
            "finishedAt": self.finished_at,
            "reason": self.exit_reason,
            "startedAt": self.started_at,
        }

    def _after_end(self, now: float) -> float | None:
        if not self._restarts_again():
            return None
        self.last = self.ended()
        if self.restarts == 0:
            # The first restart comes at once; the back-off begins with the second crash.
            return self._restart(now)
        self._enter("waiting", now)
        seconds = self._backoff(self.restarts)
        words = f"{int(seconds)}s" if seconds < _BACKOFF_LAST else "5m0s"
        if 60 <= seconds < _BACKOFF_LAST:
            words = f"{int(seconds) // 60}m{int(seconds) % 60}s"
        self.reason = "CrashLoopBackOff"
        self.message = f"back-off {words} restarting failed container={self.name} pod={self.pod_label}"
        self._say("Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {self.pod_label}")
        return now + seconds

    def change_image(self, image: str, behaviour: Behaviour, now: float, stamp: str) -> None:
        """The Pod was given another image for this container: it is stopped and comes again with that."""
        self.image, self.behaviour, self.is_present, self.probe_failures = image, behaviour, False, 0
        if self.state == "running":
            self._say("Normal", "Killing", f"Container {self.name} definition changed, will be restarted")
            self._end(0, "Completed", now, stamp)
            self.last = self.ended()
            self.restarts += 1
        if not self.is_done or self.last:
            self.state, self.reason, self.message = "new", "ContainerCreating", ""

    def kill(self, stamp: str) -> None:
        """The Pod goes: what runs ends by its signal."""
        if self.state == "running":
            self._end(143, "Error", self.since, stamp)
