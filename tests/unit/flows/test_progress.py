"""Liveness is by progress: a large item may take as long as it goes on, and one that hangs is named."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from windlass.adapters.host.tracing import NoTracer
from windlass.flows.queue import WorkQueue
from windlass.flows.supervise import Supervisor


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.at


async def test_an_item_is_stuck_when_nothing_of_it_comes_forward_for_its_bound() -> None:
    clock, queue = Hands(), WorkQueue[str]()
    begun, end = asyncio.Event(), asyncio.Event()
    async with Supervisor(clock, NoTracer()) as supervisor:

        async def work(key: str) -> None:
            async def step() -> None:
                supervisor.progressed()

            begun.set()
            while not end.is_set():
                await asyncio.gather(step(), step())  # tasks of its own inherit whose work they do
                await asyncio.sleep(0)
                if clock.at > 900:
                    await end.wait()

        supervisor.workers(queue, work, "sync", count=1, bound=180.0)
        queue.add("large")
        await begun.wait()
        while clock.at < 900:
            clock.at += 100
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert supervisor.stuck() == [], "it goes on"
        clock.at += 300
        await asyncio.sleep(0.01)
        clock.at += 200
        assert supervisor.stuck() == ["sync-0"]
        end.set()
        await asyncio.sleep(0.01)
        assert supervisor.stuck() == []
