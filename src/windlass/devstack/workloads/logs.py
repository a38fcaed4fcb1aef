"""What `pods/log` answers: a simulated line or two, since nothing runs. Pure; called by the API server."""

from __future__ import annotations

from typing import Any

from windlass.devstack.workloads.images import behaviour_of

Object = dict[str, Any]


class NoLog(Exception):
    """There is no log: the container is unknown, has not started, or never ended before. The message is the real
    server's.
    """


def pod_log(pod: Object, container: str = "", previous: bool = False) -> str:
    """The log of one container, ending with a newline. Raises NoLog (a 400 of the API server)."""
    spec, status = pod["spec"], pod.get("status") or {}
    known = {one["name"]: one for part in ("containers", "initContainers") for one in spec.get(part) or []}
    name = container or spec["containers"][0]["name"]
    pod_name = pod["metadata"]["name"]
    if name not in known:
        raise NoLog(f"container {name} is not valid for pod {pod_name}")
    states = [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]
    state: Object = next((one for one in states if one["name"] == name), {})
    waiting = (state.get("state") or {}).get("waiting") or {}
    last = (state.get("lastState") or {}).get("terminated")
    if previous and not last:
        raise NoLog(f'previous terminated container "{name}" in pod "{pod_name}" not found')
    if not state or (waiting and not last):
        reason = waiting.get("message") or waiting.get("reason") or "ContainerCreating"
        words = "trying and failing to pull image" if "Pull" in waiting.get("reason", "") else reason
        raise NoLog(f'container "{name}" in pod "{pod_name}" is waiting to start: {words}')
    lines = [f"simulated: {name} of image {known[name].get('image', '')} started (no container runs here)"]
    ended = last if (previous or waiting) else (state.get("state") or {}).get("terminated")
    behaviour = behaviour_of(known[name].get("image", ""))
    if behaviour == "crash":
        lines.append("simulated: fatal: could not start: the image name asks for a crash")
    elif behaviour == "oom":
        lines.append("simulated: allocating memory past the limit")
    elif behaviour == "unready":
        lines.append("simulated: readiness probe: answering 503")
    if ended:
        lines.append(f"simulated: exited with code {ended.get('exitCode', 0)}")
    return "\n".join(lines) + "\n"
