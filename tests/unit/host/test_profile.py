"""A profile of a running process: what is busy shows, what waits does not, and what holds the loop is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from windlass.adapters.host import profile
from windlass.adapters.host.profile import Profiler, stack_of


def hold_the_loop(profiler: Profiler, seconds: float) -> float:
    """For so long, and until the profiler has had its turns. Returns how long that was."""
    begun, taken = time.monotonic(), profiler.taken
    while time.monotonic() < begun + seconds or profiler.taken < taken + 8:
        sum(range(1000))
    return time.monotonic() - begun


@contextmanager
def profiling(path: Path) -> Iterator[tuple[Profiler, list[tuple[float, str]]]]:
    told: list[tuple[float, str]] = []
    with Profiler(path, lambda seconds, stack: told.append((seconds, stack))) as profiler:
        yield profiler, told


async def test_the_busy_function_is_named_and_the_stall_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With how long it held the loop, and who called it; the file is what flame graph programs read."""
    monkeypatch.setattr(profile, "SELDOM", 0.0)  # a busy machine may hold the loop for itself before
    with profiling(tmp_path / "profile.txt") as (profiler, told):
        beating = asyncio.ensure_future(profiler.beat())
        await asyncio.sleep(0.1)
        held = hold_the_loop(profiler, 0.4)
        async with asyncio.timeout(60):
            while not any("hold_the_loop" in stack for _, stack in told):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        beating.cancel()
    ((seconds, stack),) = [one for one in told if "hold_the_loop" in one[1]]
    assert 0.2 < seconds < held + 1.6
    assert "test_profile.hold_the_loop < " in stack
    lines = (tmp_path / "profile.txt").read_text().splitlines()
    counts = {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in lines}
    busy = sum(count for stack, count in counts.items() if "hold_the_loop" in stack)
    assert busy >= 5
    assert all(stack.startswith("MainThread;") for stack in counts if "hold_the_loop" in stack)


async def test_what_waits_is_not_counted(tmp_path: Path) -> None:
    """A loop without work, and threads of a pool without any, are no time spent."""
    # The test runner's own threads may read from a pipe, which no stack tells from work.
    runner = {"thread", *(thread.name for thread in threading.enumerate())} - {threading.current_thread().name}
    await asyncio.to_thread(time.sleep, 0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with profiling(tmp_path / "profile.txt") as (profiler, told):
        beating = asyncio.ensure_future(profiler.beat())
        await asyncio.sleep(0.5)
        beating.cancel()
        taken = profiler.taken
        counted = sum(count for line, count in profiler.samples.items() if line.partition(";")[0] not in runner)
    server.shutdown()
    server.server_close()
    assert taken > 10
    assert counted <= taken / 4, profiler.samples
    assert told == []


def test_a_profile_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither endless different stacks nor an endless one fill the memory."""
    monkeypatch.setattr(profile, "MOST", 3)
    profiler = Profiler(tmp_path / "profile.txt", lambda seconds, stack: None)

    def deep(depth: int) -> None:
        if depth:
            deep(depth - 1)
        else:
            other = threading.Thread(target=profiler.sample)
            other.start()
            other.join()

    for depth in (1, 2, 3, 4, 5, 6, 200):
        deep(depth)
    assert len(profiler.samples) <= 4
    assert profiler.samples["(other)"] > 0
    assert max(line.count(";") for line in profiler.samples) <= profile.DEEPEST


def test_a_disk_that_takes_no_file_costs_the_file_alone(tmp_path: Path) -> None:
    """It is said, and the controller goes on."""
    with profiling(tmp_path / "missing" / "profile.txt") as (profiler, _):
        profiler.write()
    assert stack_of(None) == []
