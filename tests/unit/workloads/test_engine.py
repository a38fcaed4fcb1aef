"""The engine and the recorder: keys come once, failures come back, restarts and lost subscriptions lose nothing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest
from memory_api import MemoryApi
from simulated import World, deployment

from windlass.adapters.host.clock import SystemClock
from windlass.devstack.workloads import run
from windlass.devstack.workloads.api import CONFIG_MAPS, DEPLOYMENTS, EVENTS, PODS, ApiError, Change
from windlass.devstack.workloads.engine import Queue
from windlass.devstack.workloads.recorder import Note, Recorder

Object = dict[str, Any]


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    task = asyncio.ensure_future(run(world.api, clock=SystemClock()))
    try:
        await world.until(lambda: world.get("v1/serviceaccounts", "default"))
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def is_available(world: World, name: str = "web") -> bool:
    live = world.get(DEPLOYMENTS, name)
    return bool(live and live["status"].get("availableReplicas") == live["spec"]["replicas"])


async def test_a_key_is_in_the_queue_once_and_comes_back_when_it_changed_meanwhile() -> None:
    queue = Queue()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert len(queue) == 2
    assert await queue.get() == "a"
    queue.add("a")
    assert await queue.get() == "b"
    queue.done("b")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"


async def test_of_two_timers_the_earlier_counts() -> None:
    queue = Queue()
    began = time.monotonic()
    queue.add_after("a", 600)
    queue.add_after("a", 0.02)
    queue.add_after("a", 600)
    assert await queue.get() == "a"
    assert time.monotonic() - began < 60
    queue.close()


async def test_a_restart_goes_on_from_what_is_there() -> None:
    world = World()
    async with running(world):
        await world.make(DEPLOYMENTS, deployment(replicas=3))
        await world.make(DEPLOYMENTS, deployment("bad", image="crash:1"))
        await world.until(lambda: is_available(world))
        await world.until(lambda: any("CrashLoop" in str(pod["status"]) for pod in world.pods(app="bad")))
    before = {pod["metadata"]["name"]: pod["status"] for pod in world.pods(app="web")}
    async with running(world):
        assert await world.quiet(0.4) == 0
    assert {pod["metadata"]["name"]: pod["status"] for pod in world.pods(app="web")} == before


async def test_what_happened_while_it_was_down_is_done_afterwards() -> None:
    world = World()
    async with running(world):
        await world.make(DEPLOYMENTS, deployment(replicas=2))
        await world.until(lambda: is_available(world))
    await world.edit(DEPLOYMENTS, "web", lambda obj: {**obj, "spec": {**obj["spec"], "replicas": 4}})
    await world.api.delete(PODS, "default", world.pods(app="web")[0]["metadata"]["name"])
    async with running(world):
        await world.until(lambda: is_available(world) and len(world.pods(app="web")) == 4)


class Faulty(MemoryApi):
    """Refuses some writes, and ends subscriptions now and then."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.dice = random.Random(seed)

    def _stumble(self) -> None:
        if self.dice.random() < 0.2:
            code = self.dice.choice([409, 500, 429])
            raise ApiError(code, "made to fail", "Test")

    async def create(self, resource: str, obj: Object, *, manager: str) -> Object:
        if manager != "test":
            self._stumble()
        return await super().create(resource, obj, manager=manager)

    async def update(self, resource: str, obj: Object, *, manager: str, subresource: str = "") -> Object:
        if manager != "test":
            self._stumble()
        return await super().update(resource, obj, manager=manager, subresource=subresource)

    async def subscribe(self, resources: Collection[str] | None) -> AsyncIterator[Change]:
        left = 40 + sum(map(len, self.shelves.values()))  # a subscription first gives what is there
        async for change in super().subscribe(resources):
            yield change
            left -= 1
            if left <= 0:
                return


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_failing_writes_and_lost_subscriptions_only_delay(seed: int) -> None:
    world = World()
    async with running(world):
        pass  # what a cluster has from the start, without faults
    faulty = Faulty(seed)
    faulty.shelves, faulty.version = world.api.shelves, world.api.version
    faulty.strategies = world.api.strategies
    world.api = faulty
    async with running(world):
        for number in range(5):
            await world.make(DEPLOYMENTS, deployment(f"web{number}", replicas=2))
        await world.until(lambda: all(is_available(world, f"web{number}") for number in range(5)), 20)
        assert all(len(world.pods(app=f"web{number}")) == 2 for number in range(5))
        await world.api.delete(DEPLOYMENTS, "default", "web0")
        await world.until(lambda: not world.pods(app="web0"), 20)


async def test_repeated_events_are_counted() -> None:
    api = MemoryApi()
    recorder = Recorder(api, SystemClock())
    about = await api.create(
        CONFIG_MAPS,
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "default"}},
        manager="t",
    )
    task = asyncio.ensure_future(recorder.run())
    for _ in range(3):
        recorder.record(Note(about, "Warning", "Odd", "It is odd", "tester", "t"))
    while not any(event["count"] == 3 for event in api.shelves.get(EVENTS, {}).values()):
        await asyncio.sleep(0.001)
    [event] = api.shelves[EVENTS].values()
    assert (event["reason"], event["source"], event["involvedObject"]["uid"]) == (
        "Odd",
        {"component": "tester"},
        about["metadata"]["uid"],
    )
    task.cancel()
