"""The pods behind a workload that is not well: their state, their newest Event, the last line of their log.

``viewing`` calls it, for a handful of workloads at most: it costs a LIST, and two requests a troubled pod. What may not
be read is left out; a reason is help, and its absence no error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from windlass.cli.reaching import Reach
from windlass.core.health import PodFacts, PodTrouble, pod_facts
from windlass.core.model import LiveObject
from windlass.core.words.plain import plain
from windlass.errors import WindlassError
from windlass.flows.health import EVENTS, PODS, WORKLOADS, pod_selector

POD = ("", "Pod")
_SHOWN = 3
_LINES = 5
_UNSTARTED = frozenset({"ErrImagePull", "ImagePullBackOff", "ContainerCreating", "PodInitializing", "InvalidImageName"})


async def pods_behind(to: Reach, live: LiveObject, now: datetime) -> PodFacts | None:
    """What the pods of a workload (or the pod itself) are stuck on; None for other kinds, and where nobody may look."""
    ref = live.ref
    try:
        pods = await _pods(to, live)
    except WindlassError:
        return None
    if pods is None:
        return None
    facts = pod_facts(pods, [], now)
    if not facts.troubles:
        return facts
    shown = {one.pod for one in facts.troubles[:_SHOWN]}
    concerned = [pod for pod in pods if pod["metadata"]["name"] in shown]
    lists, lines = await asyncio.gather(
        asyncio.gather(*(_events(to, ref.namespace, pod) for pod in concerned)),
        asyncio.gather(*(_last_line(to, ref.namespace, pod) for pod in concerned)),
    )
    logs = {pod["metadata"]["name"]: line for pod, line in zip(concerned, lines, strict=True) if line}
    facts = pod_facts(pods, [event for events in lists for event in events], now)
    return msgspec.structs.replace(facts, troubles=tuple(_with_log(one, logs) for one in facts.troubles))


def _with_log(trouble: PodTrouble, logs: dict[str, str]) -> PodTrouble:
    log = trouble.log or logs.get(trouble.pod, "")
    return msgspec.structs.replace(trouble, log=log)


async def _pods(to: Reach, live: LiveObject) -> list[dict[str, Any]] | None:
    ref = live.ref
    if (ref.group, ref.kind) == POD:
        content = await to.cluster.read(PODS, ref)
        return [content] if content is not None else None
    if (ref.group, ref.kind) not in WORKLOADS:
        return None
    selector = pod_selector(live)
    return await to.cluster.select(PODS, ref.namespace, labels=selector) if selector else None


async def _events(to: Reach, namespace: str, pod: dict[str, Any]) -> list[dict[str, Any]]:
    name = pod["metadata"]["name"]
    try:
        fields = f"involvedObject.kind=Pod,involvedObject.name={name}"
        return await to.cluster.select(EVENTS, namespace, fields=fields, limit=50)
    except WindlassError:
        return []


async def _last_line(to: Reach, namespace: str, pod: dict[str, Any]) -> str:
    """The last line of the run that failed, else of the one that is; "" where there is none."""
    container, failed = troubled(pod)
    if not container:
        return ""
    for previous in (True, False) if failed else (False,):
        try:
            text = await to.cluster.pod_log(
                namespace, pod["metadata"]["name"], container, previous=previous, lines=_LINES
            )
        except WindlassError:
            continue
        lines = [line for part in text.splitlines() if (line := plain(part).strip())]
        if lines:
            return lines[-1]
    return ""


def troubled(pod: dict[str, Any]) -> tuple[str, bool]:
    """The container whose log tells most, and whether a run of it before failed; ("", False) where none has begun."""
    status = pod.get("status") or {}
    states: Sequence[dict[str, Any]] = [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]
    for one in states:
        state, last = one.get("state") or {}, one.get("lastState") or {}
        if last.get("terminated") and (state.get("waiting") or state.get("running")):
            return str(one.get("name", "")), True
        if (state.get("terminated") or {}).get("exitCode"):
            return str(one.get("name", "")), False
    for one in states:
        waiting = ((one.get("state") or {}).get("waiting") or {}).get("reason", "")
        if not one.get("ready") and waiting not in _UNSTARTED and (one.get("state") or {}).get("running"):
            return str(one.get("name", "")), False
    return "", False
