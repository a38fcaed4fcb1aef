"""Health: what became of what was applied, from watch events; and why it is not well, while it is not.

``DriftWatch`` of the live index and the answers to our own applies call ``assess`` per object. Nothing here polls: time
alone is looked at again only when the answer itself said when. The pods behind a workload are followed only while it is
not Healthy, a bounded number of workloads at once; the others wait in line and their own status is enough until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import structlog

from windlass.core.health.facts import facts_of
from windlass.core.health.objects import health_of
from windlass.core.health.pods import PodFacts, pod_facts
from windlass.core.health.rollup import overdue, worst
from windlass.core.kinds.fields import seconds
from windlass.core.model import Health, HealthStatus, LiveObject, ObjectHealth, ObjectRef, Resource
from windlass.core.plan.ownership import LABEL
from windlass.errors import WindlassError
from windlass.flows.fleet import ApplicationState, Fleet, Key
from windlass.flows.queue import WorkQueue
from windlass.flows.record import Recorder
from windlass.flows.supervise import Supervisor
from windlass.ports import Clock, Cluster

log = structlog.get_logger("windlass")

PODS = Resource("", "v1", "pods", "Pod", True)
EVENTS = Resource("", "v1", "events", "Event", True)
WORKLOADS = frozenset(
    {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("apps", "ReplicaSet"), ("batch", "Job")}
)
PATIENCE = 1.0
"""Seconds a workload may be on its way before its pods are looked at: most rollouts need no look."""
AT_ONCE = 40
GATHER = 0.15
ROLL_UP = 0.02


class HealthWatch:
    """``woken`` is called for a key whose wait may be over, ``report`` when what a person sees may have changed."""

    def __init__(
        self,
        fleet: Fleet,
        cluster: Cluster,
        clock: Clock,
        supervisor: Supervisor,
        *,
        wake: Callable[[Key], None],
        report: Callable[[ApplicationState], None],
        record: Recorder,
    ) -> None:
        self._fleet = fleet
        self._cluster = cluster
        self._clock = clock
        self._supervisor = supervisor
        self._wake = wake
        self._report = report
        self._record = record
        self._following: dict[tuple[Key, ObjectRef], asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._behind: dict[tuple[Key, ObjectRef], tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}
        self._dirty: set[Key] = set()
        self.again: WorkQueue[tuple[Key, ObjectRef]] = WorkQueue(base=1.0, cap=60.0)

    def assess(self, state: ApplicationState, ref: ObjectRef) -> None:
        """Looks at one object of an Application as it is in the live index. Synchronous and cheap."""
        if ref not in state.desired:
            self._forget(state, ref)
            return
        live = self._cluster.live.get(ref)
        now = self._clock.now()
        if live is not None and live.labels.get(LABEL) != state.claim.label:
            # Another Application's, seen with rights that this one may not have: how it does is not told here.
            told = ObjectHealth(ref, Health(HealthStatus.UNKNOWN, "is not managed by this Application"))
            self._look_behind(state, ref, None, told.health)
            if state.objects.get(ref) != told:
                state.objects[ref] = told
                self._mark(state)
            return
        health = self._health(state, ref, live, now)
        pods = state.pods.get(ref)  # as looked at a moment ago: time alone changes what they say
        details = pods.lines if pods is not None and health.status is not HealthStatus.HEALTHY else ()
        before = state.objects.get(ref)
        if health.look_again:
            self.again.add_after((state.key, ref), health.look_again + 0.05)
        told = ObjectHealth(ref, msgspec.structs.replace(health, look_again=0.0), details)
        self._look_behind(state, ref, live, health)
        if before == told:
            return
        state.objects[ref] = told
        if ref in state.waiting_for and health.status in (HealthStatus.HEALTHY, HealthStatus.SUSPENDED):
            self._wake(state.key)
        self._mark(state)

    async def look_again(self, item: tuple[Key, ObjectRef]) -> None:
        """A worker's step: the time has come that an answer named."""
        key, ref = item
        state = self._fleet.applications.get(key)
        if state is not None:
            self.assess(state, ref)
        self.again.forget(item)

    def assess_all(self, state: ApplicationState) -> None:
        """After the desired state changed: every object of it, and nothing that is no longer of it."""
        for ref in [ref for ref in state.objects if ref not in state.desired]:
            self._forget(state, ref)
        for ref in state.desired:
            self.assess(state, ref)
        # At once, not in a moment: a status that is written now must not say Unknown of what has just been seen.
        self.roll_up(state.key)

    def forget_all(self, state: ApplicationState) -> None:
        for ref in list(state.objects):
            self._forget(state, ref)

    def _health(self, state: ApplicationState, ref: ObjectRef, live: LiveObject | None, now: datetime) -> Health:
        if live is None and (ref.group, ref.kind) in state.unseen:
            return Health(HealthStatus.UNKNOWN, f"{ref.kind} objects can't be seen now")
        if live is None:
            health = Health(HealthStatus.MISSING, "is not in the cluster")
        else:
            behind = self._behind.get((state.key, ref))
            facts = pod_facts(*behind, now) if behind is not None else None
            if facts is not None:
                state.pods[ref] = facts
            health = health_of(facts_of(live), now, facts)
        if health.status in (HealthStatus.HEALTHY, HealthStatus.SUSPENDED):
            state.since.pop(ref, None)
            return health
        timeout = seconds(state.written.spec.health.timeout) if state.written is not None else 300.0
        return overdue(ref, health, state.since.setdefault(ref, now), now, timeout)

    # --- roll-up -----------------------------------------------------------------------------------------------------

    def _mark(self, state: ApplicationState) -> None:
        if state.key not in self._dirty:
            self._dirty.add(state.key)
            asyncio.get_running_loop().call_later(ROLL_UP, self.roll_up, state.key)

    def roll_up(self, key: Key) -> None:
        """The Application's health from its objects'; wakes who waits for it."""
        self._dirty.discard(key)
        state = self._fleet.applications.get(key)
        if state is None:
            return
        before = state.health.status
        # Before anything was ever wanted there is nothing to be healthy; a folder that is empty on purpose is Healthy.
        known = bool(state.objects or state.desired_commit)
        state.health = worst(state.objects.values()) if known else Health(HealthStatus.UNKNOWN)
        if before is not state.health.status:
            self._record.health(state)
            log.info("health", application=state.name, health=state.health.status.value, message=state.health.message)
        if state.ready():
            for dependent in self._fleet.dependents.get(key, ()):
                other = self._fleet.applications.get(dependent)
                if other is not None and other.waiting is not None:
                    self._wake(dependent)
        self._report(state)

    def _forget(self, state: ApplicationState, ref: ObjectRef) -> None:
        state.objects.pop(ref, None)
        state.since.pop(ref, None)
        state.pods.pop(ref, None)
        self.again.drop((state.key, ref))
        self._stop_following(state.key, ref)
        if ref in state.waiting_for:
            self._wake(state.key)

    # --- the pods behind a workload ----------------------------------------------------------------------------------

    def _look_behind(self, state: ApplicationState, ref: ObjectRef, live: LiveObject | None, health: Health) -> None:
        if (ref.group, ref.kind) not in WORKLOADS:
            return
        well = health.status in (HealthStatus.HEALTHY, HealthStatus.SUSPENDED, HealthStatus.MISSING)
        if well or live is None:
            self._stop_following(state.key, ref)
            state.pods.pop(ref, None)
        elif (state.key, ref) not in self._following:
            name = f"pods of {state.name} {ref}"
            self._following[(state.key, ref)] = self._supervisor.spawn(self._follow(state.key, ref), name)

    def _stop_following(self, key: Key, ref: ObjectRef) -> None:
        self._behind.pop((key, ref), None)
        task = self._following.pop((key, ref), None)
        if task is not None:
            task.cancel()

    async def _follow(self, key: Key, ref: ObjectRef) -> None:
        await asyncio.sleep(PATIENCE)
        async with self._turns:
            live = self._cluster.live.get(ref)
            selector = pod_selector(live)
            if not selector:
                return
            try:
                await self._gather(key, ref, selector)
            except WindlassError as error:
                log.warning("pods not seen", application=str(key), object=str(ref), error=error.what)
                self._following.pop((key, ref), None)

    async def _gather(self, key: Key, ref: ObjectRef, selector: str) -> None:
        pods: dict[str, dict[str, Any]] = {}
        due: asyncio.TimerHandle | None = None
        wanted = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def look() -> None:
            while True:
                await wanted.wait()
                wanted.clear()
                await self._examine(key, ref, list(pods.values()))

        task = self._supervisor.spawn(look(), f"look at pods of {key} {ref}")
        try:
            async for kind, pod in self._cluster.follow(PODS, ref.namespace, labels=selector):
                if kind == "DELETED":
                    pods.pop(pod["metadata"]["name"], None)
                elif kind != "SYNCED":
                    pods[pod["metadata"]["name"]] = pod
                if due is None or loop.time() >= due.when():
                    due = loop.call_later(GATHER, wanted.set)
        finally:
            task.cancel()
            if due is not None:
                due.cancel()

    async def _examine(self, key: Key, ref: ObjectRef, pods: list[dict[str, Any]]) -> None:
        state = self._fleet.applications.get(key)
        if state is None:
            return
        facts = pod_facts(pods, [], self._clock.now())
        events = await self._events(ref, facts) if facts.troubles else []
        if (key, ref) in self._following:
            self._behind[(key, ref)] = (pods, events)
            self.assess(state, ref)

    async def _events(self, ref: ObjectRef, facts: PodFacts) -> list[dict[str, Any]]:
        """The Events of the first pod in trouble: one request while somebody needs the reason."""
        name = facts.troubles[0].pod
        try:
            return await self._cluster.select(
                EVENTS, ref.namespace, fields=f"involvedObject.kind=Pod,involvedObject.name={name}", limit=50
            )
        except WindlassError as error:
            log.warning("events not seen", object=str(ref), error=error.what)
            return []


def pod_selector(live: LiveObject | None) -> str:
    """The label selector of a workload's pods in its text form, "" where it has none that can be written so."""
    if live is None or live.spec is None:
        return ""
    spec = msgspec.json.decode(live.spec)
    selector = spec.get("selector") if isinstance(spec, dict) else None
    if not isinstance(selector, dict):
        return ""
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for rule in selector.get("matchExpressions") or []:
        key, values = rule.get("key", ""), ",".join(rule.get("values") or [])
        match rule.get("operator"):
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":
                parts.append(f"{key} notin ({values})")
            case "Exists":
                parts.append(key)
            case "DoesNotExist":
                parts.append(f"!{key}")
            case _:
                return ""
    return ",".join(parts)
