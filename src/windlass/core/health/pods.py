"""The reason a person needs: what the pods behind a workload are stuck on, from their status and Events.

The flows fetch pods and Events only while a workload is not Healthy, and pass them in. It names the worst first and
never says of a pod that it is well because it could not be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from windlass.core.health.facts import (
    condition,
    is_false,
    is_true,
    items,
    mapping,
    number,
    one_line,
    seconds_since,
    text,
)

PATIENCE = 30.0
"""Seconds that a crash loop or an image that can't be pulled may last before the workload counts as Degraded."""

_SHOWN = 3
_PULL = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
_START = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError", "PreStartHookError"}
)
_LOOP = "CrashLoopBackOff"
_RESTARTS_OF_A_LOOP = 3


class PodTrouble(msgspec.Struct, frozen=True):
    """What one pod is stuck on. ``words``: "CrashLoopBackOff, 5 restarts, exit code 1". ``severe`` troubles do not go
    away by waiting; ``lasting`` is how many seconds it has been so. ``log`` and ``event`` are one line each or empty.
    """

    pod: str
    words: str
    severe: bool = False
    lasting: float = 0.0
    log: str = ""
    event: str = ""


class PodFacts(msgspec.Struct, frozen=True):
    """``degraded`` is the sentence of the worst trouble that lasted past PATIENCE, else empty; ``look_again`` seconds
    until one will have (0.0: none). ``lines`` are the details for a person, in the shape that words lays out:
    ``Pod/<name>`` and two spaces, then lines that begin with two spaces and a label."""

    total: int = 0
    ready: int = 0
    troubles: tuple[PodTrouble, ...] = ()
    degraded: str = ""
    look_again: float = 0.0

    @property
    def lines(self) -> tuple[str, ...]:
        lines: list[str] = []
        for trouble in self.troubles[:_SHOWN]:
            lines.append(f"Pod/{trouble.pod}  {trouble.words}")
            if trouble.log:
                lines.append(f"  log  {trouble.log}")
            if trouble.event:
                lines.append(f"  event  {trouble.event}")
        more = len(self.troubles) - _SHOWN
        if more > 0:
            lines.append(f"{more} more {'pod' if more == 1 else 'pods'}  not ready")
        return tuple(lines)


def pod_facts(pods: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]], now: datetime) -> PodFacts:
    """What keeps these pods (whole objects) from being ready, worst first. ``events`` may be of other objects too."""
    living = [pod for pod in pods if not mapping(pod, "metadata").get("deletionTimestamp")]
    troubles = [trouble for pod in living if (trouble := _trouble(pod, _events_of(pod, events, now), now))]
    troubles.sort(key=lambda each: (not each.severe, -each.lasting, each.pod))
    severe = [each for each in troubles if each.severe]
    worst = next((each for each in severe if each.lasting >= PATIENCE), None)
    waiting = [PATIENCE - each.lasting for each in severe if each.lasting < PATIENCE]
    return PodFacts(
        total=len(living),
        ready=sum(is_true(condition(mapping(pod, "status"), "Ready")) for pod in living),
        troubles=tuple(troubles),
        degraded=f"{worst.words} in Pod/{worst.pod}" if worst else "",
        look_again=max(0.1, min(waiting)) if waiting and not worst else 0.0,
    )


def _trouble(pod: dict[str, Any], event: str, now: datetime) -> PodTrouble | None:
    name, status = text(mapping(pod, "metadata"), "name"), mapping(pod, "status")
    phase = text(status, "phase")
    if phase == "Succeeded" or (is_true(condition(status, "Ready")) and not _looping(status, now)):
        return None
    lasting = _not_ready_for(pod, now)
    if phase == "Failed":
        words = ", ".join(
            part for part in ("Failed", text(status, "reason"), one_line(text(status, "message"))) if part
        )
        return PodTrouble(name, _with_exit(words, status), lasting=lasting, log=_last_words(status), event=event)
    for container in _containers(status):
        words = _container_trouble(container, now)
        if words:
            return PodTrouble(name, words, True, _lasting(container, lasting, now), _log_of(container), event)
    scheduled = condition(status, "PodScheduled")
    if is_false(scheduled):
        message = one_line(text(scheduled, "message"))
        reason = text(scheduled, "reason") or "not scheduled"
        return PodTrouble(name, f"{reason}: {message}" if message else reason, lasting=lasting, event=event)
    return PodTrouble(name, _waiting_words(status), lasting=lasting, event=event)


def _looping(status: dict[str, Any], now: datetime) -> bool:
    """A container that crashes is Ready for moments; it is still in its loop."""
    return any(_container_trouble(container, now) for container in _containers(status))


def _containers(status: dict[str, Any]) -> list[dict[str, Any]]:
    return items(status, "initContainerStatuses") + items(status, "containerStatuses")


def _container_trouble(container: dict[str, Any], now: datetime) -> str:
    """The words of a trouble that waiting does not end, or ""."""
    state = mapping(container, "state")
    waiting = mapping(state, "waiting")
    reason = text(waiting, "reason")
    if reason in _PULL or reason in _START:
        message = one_line(text(waiting, "message"))
        return f"{reason}: {message}" if message else reason
    ended = mapping(mapping(container, "lastState"), "terminated") or mapping(state, "terminated")
    failed = number(ended, "exitCode") != 0
    restarts = number(container, "restartCount")
    looping = reason == _LOOP
    if not looping and failed and restarts >= _RESTARTS_OF_A_LOOP:
        running = mapping(state, "running")
        up = seconds_since(text(running, "startedAt"), now)
        looping = "terminated" in state or (up is not None and up < PATIENCE)
    if not looping:
        return ""
    parts = [_LOOP, f"{restarts} restart" + ("" if restarts == 1 else "s")]
    why = text(ended, "reason")
    if why not in ("", "Error", "Completed"):
        parts.append(why)
    if ended:
        parts.append(f"exit code {number(ended, 'exitCode')}")
    return ", ".join(parts)


def _lasting(container: dict[str, Any], not_ready: float, now: datetime) -> float:
    """For how long. A container without a readiness probe is ready for moments between its crashes, so in a proven
    loop the start of the run before counts, if that is longer ago."""
    if number(container, "restartCount") < _RESTARTS_OF_A_LOOP:
        return not_ready
    before = text(mapping(mapping(container, "lastState"), "terminated"), "startedAt")
    return max(not_ready, seconds_since(before, now) or 0.0)


def _not_ready_for(pod: dict[str, Any], now: datetime) -> float:
    status = mapping(pod, "status")
    for kind in ("Ready", "ContainersReady"):
        found = condition(status, kind)
        if is_false(found) and (since := seconds_since(text(found, "lastTransitionTime"), now)) is not None:
            return since
    created = text(status, "startTime") or text(mapping(pod, "metadata"), "creationTimestamp")
    return seconds_since(created, now) or 0.0


def _with_exit(words: str, status: dict[str, Any]) -> str:
    codes = [
        number(mapping(mapping(container, "state"), "terminated"), "exitCode") for container in _containers(status)
    ]
    failed = next((code for code in codes if code), 0)
    return f"{words}, exit code {failed}" if failed else words


def _last_words(status: dict[str, Any]) -> str:
    return next((words for container in _containers(status) if (words := _log_of(container))), "")


def _log_of(container: dict[str, Any]) -> str:
    """The last line of the termination message, which holds the end of the log where the pod asks for it."""
    for state in (mapping(container, "lastState"), mapping(container, "state")):
        message = text(mapping(state, "terminated"), "message").strip()
        if message:
            return one_line(message.splitlines()[-1])
    return ""


def _waiting_words(status: dict[str, Any]) -> str:
    """What a pod without a severe trouble waits for."""
    for container in _containers(status):
        waiting = mapping(mapping(container, "state"), "waiting")
        reason = text(waiting, "reason")
        if reason:
            message = one_line(text(waiting, "message"))
            return f"{reason}: {message}" if message else reason
    ready = condition(status, "Ready")
    running = [
        container for container in items(status, "containerStatuses") if mapping(container, "state").get("running")
    ]
    unready = sorted(text(container, "name") for container in running if container.get("ready") is False)
    if unready:
        return f"running, not ready ({', '.join(unready)})"
    message = one_line(text(ready, "message"))
    return message or text(status, "phase") or "not started yet"


def _events_of(pod: dict[str, Any], events: Sequence[dict[str, Any]], now: datetime) -> str:
    """The newest Warning of the pod: "Back-off restarting failed container (x5, 20s ago)", or ""."""
    meta = mapping(pod, "metadata")
    found: list[tuple[float, str]] = []
    for event in events:
        about = mapping(event, "involvedObject") or mapping(event, "regarding")
        same = about.get("uid") == meta.get("uid") if about.get("uid") else about.get("name") == meta.get("name")
        if not same or about.get("kind", "Pod") != "Pod" or event.get("type") != "Warning":
            continue
        series = mapping(event, "series")
        at = text(series, "lastObservedTime") or text(event, "lastTimestamp") or text(event, "eventTime")
        age = seconds_since(at or text(event, "deprecatedLastTimestamp"), now)
        count = number(series, "count") or number(event, "count") or number(event, "deprecatedCount")
        notes = [f"x{count}" if count > 1 else "", f"{_short(age)} ago" if age is not None else ""]
        message = one_line(text(event, "message") or text(event, "note") or text(event, "reason"))
        noted = ", ".join(note for note in notes if note)
        found.append((age if age is not None else float("inf"), f"{message} ({noted})" if noted else message))
    return min(found)[1] if found else ""


def _short(age: float) -> str:
    if age < 120:
        return f"{int(age)}s"
    return f"{int(age // 60)}m" if age < 7200 else f"{int(age // 3600)}h"
