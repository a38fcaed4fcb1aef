"""The work queue: repeats fold, a key is never worked on twice at once, backoff grows to its cap."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from windlass.flows.queue import WorkQueue


async def test_a_repeat_while_it_waits_is_folded() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert [await queue.take(), await queue.take()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_repeat_while_it_is_worked_on_comes_round_once_more_and_never_at_the_same_time() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    key = await queue.take()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0, "nobody else may get it now"
    queue.done(key)
    assert await queue.take() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_a_timer_that_is_due_earlier_stays_and_work_now_cancels_it() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 0.01)
    queue.add_after("a", 600)
    assert await asyncio.wait_for(queue.take(), 60) == "a"
    queue.done("a")
    queue.add_after("b", 0.01)
    queue.add("b")
    assert await queue.take() == "b"
    queue.done("b")
    await asyncio.sleep(0.03)
    assert len(queue) == 0


async def test_a_key_that_is_dropped_never_comes() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add_after("b", 0.01)
    queue.drop("a")
    queue.drop("b")
    await asyncio.sleep(0.03)
    assert len(queue) == 0


async def test_backoff_doubles_to_its_cap_without_an_end_and_starts_again_after_a_success() -> None:
    queue: WorkQueue[str] = WorkQueue(base=1.0, cap=8.0, jitter=lambda: 0.0)
    waits = [queue.retry("a") for _ in range(6)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert all(queue.retry("a") == 8.0 for _ in range(200)), "failures go on for ever, floats do not overflow"
    queue.forget("a")
    assert queue.retry("a") == 1.0
    queue.close()


async def test_a_server_that_says_when_is_waited_for() -> None:
    queue: WorkQueue[str] = WorkQueue(base=1.0, cap=8.0, jitter=lambda: 1.0)
    assert queue.retry("a", at_least=30.0) == 30.0
    queue.close()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["add", "take", "done"])), max_size=60))
def test_whatever_happens_no_key_is_out_twice_and_none_is_lost(steps: list[tuple[str, str]]) -> None:
    async def play() -> None:
        queue: WorkQueue[str] = WorkQueue()
        out: set[str] = set()
        owed: set[str] = set()
        for key, step in steps:
            if step == "add":
                queue.add(key)
                owed.add(key)
            elif step == "take" and len(queue):
                taken = await queue.take()
                assert taken not in out
                out.add(taken)
                owed.discard(taken)
            elif step == "done" and key in out:
                out.discard(key)
                queue.done(key)
        for key in sorted(out):
            queue.done(key)
        left = {await queue.take() for _ in range(len(queue))}
        assert left == owed

    asyncio.run(play())
