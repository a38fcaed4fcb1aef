"""The only place that makes tasks and the only one that catches everything.

A loop that dies is a bug; it is logged with its traceback and started again with backoff, so that one flow's bug does
not stop the others. Cancelling is never swallowed. Liveness is by progress: ``stuck`` names the work that has been at
one item for longer than its bound with nothing of it coming forward.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog

from windlass.errors import WindlassError
from windlass.flows.queue import Key, WorkQueue
from windlass.ports import Clock, Tracer

log = structlog.get_logger("windlass")
T = TypeVar("T")


@dataclass(slots=True)
class _Item:
    """One item of work, and until when something of it has to come forward."""

    until: float
    bound: float


_at: ContextVar[_Item | None] = ContextVar("windlass-item", default=None)


class Supervisor:
    """Owns every task of the process. Used as an async context manager; leaving it cancels what still runs."""

    def __init__(self, clock: Clock, tracer: Tracer) -> None:
        self._clock = clock
        self._tracer = tracer
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._started: dict[str, _Item] = {}
        self.bugs = 0

    async def __aenter__(self) -> Supervisor:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *exception: Any) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(*exception)

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Runs once. An exception in it is logged as a bug and stops nothing else."""
        task = self._group.create_task(self._guarded(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Cancelled before its first step the work was never begun; Python would complain of it as forgotten.
        task.add_done_callback(lambda _: work.close())
        return task  # type: ignore[return-value]  # a guarded task gives None where the work failed

    def keep(self, make: Callable[[], Awaitable[None]], name: str) -> None:
        """Runs until the end; starts again with backoff when it dies or returns."""
        _ = self.spawn(self._forever(make, name), name)

    def workers(
        self, queue: WorkQueue[Key], work: Callable[[Key], Awaitable[None]], name: str, *, count: int, bound: float
    ) -> None:
        """``count`` workers on a queue. ``bound`` is the seconds without progress after which one item counts as
        stuck."""
        for number in range(count):
            label = f"{name}-{number}"
            self.keep(partial(self._serve, queue, work, label, bound), label)

    def stuck(self) -> list[str]:
        """The names of the work that is over its bound. Empty: alive."""
        now = self._clock.monotonic()
        return [name for name, item in self._started.items() if now > item.until]

    def progressed(self) -> None:
        """Something was done for the item that the calling task works for: a large one may take as long as it goes
        on."""
        item = _at.get()
        if item is not None:
            item.until = self._clock.monotonic() + item.bound

    async def _guarded(self, work: Coroutine[Any, Any, T], name: str) -> T | None:
        try:
            return await work
        except asyncio.CancelledError:
            raise
        except Exception:
            self.bugs += 1
            log.exception("bug", task=name)
            return None

    async def _forever(self, make: Callable[[], Awaitable[None]], name: str) -> None:
        wait = 0.5
        while True:
            began = self._clock.monotonic()
            try:
                await make()
            except asyncio.CancelledError:
                raise
            except WindlassError as error:
                log.warning("loop stopped", task=name, error=str(error))
            except Exception:
                self.bugs += 1
                log.exception("bug", task=name)
            wait = 0.5 if self._clock.monotonic() - began > 60.0 else min(wait * 2, 30.0)
            await asyncio.sleep(wait)

    async def _serve(
        self, queue: WorkQueue[Key], work: Callable[[Key], Awaitable[None]], name: str, bound: float
    ) -> None:
        while True:
            key = await queue.take()
            # Tasks that are made for this item inherit it, and what they get done counts for it alone.
            item = self._started[name] = _Item(self._clock.monotonic() + bound, bound)
            _at.set(item)
            try:
                with self._tracer.span(name.rpartition("-")[0], key=str(key)):
                    await work(key)
            except asyncio.CancelledError:
                raise
            except WindlassError as error:
                wait = queue.retry(key)
                log.warning("try again", task=name, key=str(key), error=str(error), seconds=round(wait, 1))
            except Exception:
                self.bugs += 1
                wait = queue.retry(key, base=5.0)
                log.exception("bug", task=name, key=str(key), seconds=round(wait, 1))
            finally:
                self._started.pop(name, None)
                queue.done(key)
