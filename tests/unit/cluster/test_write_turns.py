"""Turns of writes: whoever is cancelled while it waits is cancelled, and takes nobody's place."""

from __future__ import annotations

import asyncio

from windlass.adapters.cluster.limiter import WriteLimiter


async def test_writes_that_wait_and_are_cancelled_together_with_those_in_flight_all_end() -> None:
    limiter = WriteLimiter()
    inside = asyncio.Event()

    async def write(*, later: bool) -> None:
        await limiter.enter(later=later)
        try:
            inside.set()
            await asyncio.Event().wait()
        finally:
            limiter.leave()

    tasks = [asyncio.ensure_future(write(later=number % 3 == 0)) for number in range(100)]
    await inside.wait()
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(one) for one in ended} == {asyncio.CancelledError}
    assert limiter.in_flight == 0
    await limiter.enter()
    assert limiter.in_flight == 1
