"""Controllers and what wakes them: level-triggered, key-deduplicated, one subscription for all, no ticks at rest.

A controller says which resources it watches and which keys a change concerns, and reconciles one key at a time; what
it returns is when to
look again if nothing happens. The engine runs them in one task group. A failed reconcile is tried again with a growing
delay; what
somebody else wrote in between (409) or took away (404) is tried again at once, with what is known by then.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import structlog

from windlass.devstack.workloads.api import CONTROLLER_MANAGER, EVENTS, ApiError, Change
from windlass.devstack.workloads.cluster import Cluster
from windlass.devstack.workloads.recorder import Note

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace (empty for cluster scope) and name."""

_WORKERS = 4
_AT_ONCE = 6
"""Reconciles between two turns of the event loop, so that requests are answered in between."""
_SETTLE_SECONDS = 0.015
"""What depends on several changes (counts in a status) waits so long for the next one, and is then written once."""
_FIRST_DELAY, _LAST_DELAY = 0.02, 30.0
log = structlog.get_logger(__name__)


class Queue:
    """Keys to look at. A key is in it once; one that is being looked at comes back when it is done."""

    def __init__(self) -> None:
        self._order: deque[Any] = deque()
        self._dirty: set[Any] = set()
        self._busy: set[Any] = set()
        self._timers: dict[Any, asyncio.TimerHandle] = {}
        self._wake = asyncio.Semaphore(0)

    def add(self, key: Any) -> None:
        """Look at this key as soon as possible."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._busy:
            self._push(key)

    def add_after(self, key: Any, seconds: float) -> None:
        """Look at this key in a while; of two such wishes the earlier counts."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._ring, key)

    def _ring(self, key: Any) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _push(self, key: Any) -> None:
        self._order.append(key)
        self._wake.release()

    async def get(self) -> Any:
        """The next key; it is the caller's until ``done``."""
        await self._wake.acquire()
        key = self._order.popleft()
        self._dirty.discard(key)
        self._busy.add(key)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        return key

    def done(self, key: Any) -> None:
        """The key was looked at."""
        self._busy.discard(key)
        if key in self._dirty:
            self._push(key)

    def __len__(self) -> int:
        return len(self._order)

    def close(self) -> None:
        """Forget all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()


class Controller(ABC):
    """The base of all controllers. ``resource`` is what its keys name, ``children`` what it makes; ``watched`` adds
    others.
    """

    name = ""
    kind = ""
    resource = ""
    children: Sequence[str] = ()
    watched: Sequence[str] = ()
    urgent: Sequence[str] = ()
    """Watched resources whose changes are looked at without waiting for more of them."""
    component = ""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.view = cluster.view
        self.queue = Queue()

    def keys(self, change: Change) -> Iterable[Any]:
        """The keys that a change concerns: the object itself, or the controller that owns it."""
        metadata = change.object["metadata"]
        if change.resource == self.resource:
            return ((metadata.get("namespace") or "", metadata["name"]),)
        return self.owner_keys(change)

    def owner_keys(self, change: Change) -> list[Key]:
        """The key of the object of this controller's kind that controls (or did control) the changed one."""
        found: list[Key] = []
        for obj in (change.object, change.old):
            for owner in (obj or {}).get("metadata", {}).get("ownerReferences") or ():
                if owner.get("controller") and owner.get("kind") == self.kind:
                    key = (change.object["metadata"].get("namespace") or "", owner["name"])
                    if key not in found:
                        found.append(key)
        return found

    @abstractmethod
    async def reconcile(self, key: Any) -> float | None:
        """Bring one key to what it should be. Gives the seconds after which to look again, None for "when something
        changes".
        """

    def event(self, about: Object, reason: str, message: str, kind: str = "Normal") -> None:
        """Record an Event about an object."""
        self.cluster.events.record(Note(about, kind, reason, message, self.component, CONTROLLER_MANAGER))


class Engine:
    """Runs controllers over one cluster."""

    def __init__(self, cluster: Cluster, controllers: Sequence[Controller]) -> None:
        self.cluster = cluster
        self.controllers = controllers
        self._watchers: dict[str, list[Controller]] = {}
        self._all: list[Controller] = []
        self._failures: dict[tuple[str, Any], int] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        for controller in controllers:
            resources = {controller.resource, *controller.children, *controller.watched}
            if "*" in resources:
                self._all.append(controller)
                continue
            for resource in resources:
                self._watchers.setdefault(resource, []).append(controller)

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(), name="workloads-view")
                group.create_task(self.cluster.events.run(), name="workloads-events")
                for controller in self.controllers:
                    for number in range(_WORKERS):
                        group.create_task(self._work(controller), name=f"workloads-{controller.name}-{number}")
        finally:
            for controller in self.controllers:
                controller.queue.close()

    async def _follow(self) -> None:
        while True:
            async for change in self.cluster.api.subscribe(None):
                self.feed(change)
            # The subscription ended (we fell behind): what went away meanwhile is found by looking.
            await self._sweep()

    async def _sweep(self) -> None:
        for resource in self.cluster.api.resources():
            for obj in self.cluster.view.every(resource):
                if await self.cluster.refresh(resource, obj) is None:
                    self._wake(Change("DELETED", resource, obj, obj))
            await asyncio.sleep(0)

    def feed(self, change: Change) -> None:
        """Take one change into the view and wake whom it concerns."""
        if change.type == "DELETED":
            self.cluster.view.drop(change.resource, change.object)
        else:
            self.cluster.view.put(change.resource, change.object)
            if change.resource == EVENTS and change.type == "ADDED":
                self.cluster.events.remember(change.object)
        self._wake(change)

    def _wake(self, change: Change) -> None:
        for controller in (*self._watchers.get(change.resource, ()), *self._all):
            urgent = controller.urgent
            at_once = change.resource == controller.resource or change.resource in urgent or "*" in urgent
            for key in controller.keys(change):
                if at_once:
                    controller.queue.add(key)
                else:
                    controller.queue.add_after(key, _SETTLE_SECONDS)

    async def _work(self, controller: Controller) -> None:
        while True:
            key = await controller.queue.get()
            try:
                async with self._slots:
                    after = await controller.reconcile(key)
                    await asyncio.sleep(0)
                self._failures.pop((controller.name, key), None)
            except ApiError as error:
                after = self._delay(controller, key, error)
            except Exception:
                log.exception("workload controller failed", controller=controller.name, key=key)
                after = self._delay(controller, key, None)
            finally:
                controller.queue.done(key)
            if after is not None:
                controller.queue.add_after(key, after)

    def _delay(self, controller: Controller, key: Any, error: ApiError | None) -> float:
        mark = (controller.name, key)
        count = self._failures.get(mark, 0)
        self._failures[mark] = count + 1
        if error is not None and error.code not in (404, 409):
            log.debug("workload controller refused", controller=controller.name, key=key, error=str(error))
        delay: float = min(_FIRST_DELAY * 2 ** min(count, 20), _LAST_DELAY)
        return delay
