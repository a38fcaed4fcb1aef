"""``ports.Renderer`` by child processes: one kept warm, a second while there is work for two, each one bounded.

Called by the flows. A render that takes too long, or a worker that dies, costs that one render; the others go on in
other workers. Nothing is parsed in this process but answers, a slice at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import ClassVar, Self

import msgspec
from typing_extensions import override

from windlass.adapters.host.children import Limits, open_child
from windlass.adapters.render.frames import FAILURE, HEADER, LARGEST, REQUEST, Answer, Failure, frame
from windlass.adapters.render.trace import Changes
from windlass.adapters.render.worker import Job
from windlass.core.model import Rendered
from windlass.errors import NeedsHuman, TryLater, Where
from windlass.ports import Renderer, RenderRequest

START = 30.0
"""Seconds that a worker may take to start."""

LINGER = 30.0
"""Seconds that a second worker stays without work."""


class RenderStopped(NeedsHuman):
    """A render needed more time or memory than it may."""

    slug: ClassVar[str] = "render-stopped"
    reason: ClassVar[str] = "RenderStopped"


class RenderFailed(NeedsHuman):
    """The source could not be rendered: the commit can't be read, or the renderer itself failed on it."""

    slug: ClassVar[str] = "render-failed"
    reason: ClassVar[str] = "RenderFailed"


class RenderLost(TryLater):
    """The worker died under the render, or could not be started."""

    slug: ClassVar[str] = "render-lost"
    reason: ClassVar[str] = "RenderLost"


class _Worker:
    """One child. ``ended`` when its input was closed: it ends by itself, and is reaped later."""

    def __init__(self, process: Process, stack: contextlib.AsyncExitStack) -> None:
        self.process = process
        self.stack = stack
        self.timer: asyncio.TimerHandle | None = None
        self._greeted = False

    def rest(self, after: float) -> None:
        """Ends after this many seconds, unless it is woken."""
        self.timer = asyncio.get_running_loop().call_later(after, self.end)

    def wake(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    async def ready(self) -> None:
        """Waits for its first word, once: its start is no part of anybody's render. Raises IncompleteReadError."""
        if not self._greeted and self.process.stdout is not None:
            await self.process.stdout.readexactly(HEADER.size)
            self._greeted = True

    def end(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()

    @property
    def alive(self) -> bool:
        pipe = self.process.stdin
        return self.process.returncode is None and pipe is not None and not pipe.is_closing()


class Workers(Renderer):
    """Up to ``count`` workers; a render may take ``timeout`` seconds and its process ``memory`` bytes of addresses.

    Use it as ``async with Workers() as workers``; at the end every worker is dead.
    """

    def __init__(self, *, count: int = 2, timeout: float = 60.0, memory: int = 1 << 30) -> None:
        self._turns = asyncio.Semaphore(count)
        self._timeout = timeout
        self._limits = Limits(memory=memory)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    async def __aenter__(self) -> Self:
        self._idle.append(await self._start())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in list(self._all):
            worker.wake()
            await self._drop(worker)
        self._idle.clear()

    @override
    async def render(self, request: RenderRequest) -> Rendered:
        """Raises RenderStopped, RenderFailed, RenderLost. What is wrong with manifests is in ``Rendered.problems``."""
        async with self._turns:
            worker = await self._take()
            well = False
            try:
                await self._ready(worker)
                async with asyncio.timeout(self._timeout):
                    answer = await self._ask(worker, request)
                well = isinstance(answer, Rendered) or answer.family != "memory"
            except TimeoutError:
                raise RenderStopped(
                    f"rendering took longer than {self._timeout:g} s and was stopped",
                    where=Where(file=request.path, commit=request.commit),
                    hint="split the folder, or leave files out with source.exclude",
                ) from None
            finally:
                if well:
                    self._give_back(worker)
                else:
                    # Also when the caller was cancelled: a worker in the middle of something is of no use.
                    await self._drop(worker)
        if isinstance(answer, Failure):
            raise _error(answer, request)
        return answer

    @override
    def touched(self, changed: Iterable[str], reads: Mapping[str, Mapping[str, str]]) -> set[str]:
        """Of the renders with these traces, by any name, those that a change of these paths may touch.

        ``changed`` is every path that differs between the commit that the traces hold at and another, both sides of a
        rename. A thousand traces take a few milliseconds.
        """
        changes = Changes(changed)
        return {name for name, read in reads.items() if changes.touch(read)}

    async def _take(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            worker.wake()
            if worker.alive:
                return worker
            await self._drop(worker)
        return await self._start()

    def _give_back(self, worker: _Worker) -> None:
        # The first in the list is the warm one; whoever comes after it rests, and ends.
        if self._idle:
            worker.rest(LINGER)
        self._idle.append(worker)

    async def _start(self) -> _Worker:
        stack = contextlib.AsyncExitStack()
        flags = ["-I", "-B"] if sys.dont_write_bytecode else ["-I"]
        argv = [sys.executable, *flags, "-m", "windlass.adapters.render.worker"]
        try:
            process = await stack.enter_async_context(open_child(argv, env={}, limits=self._limits, stderr=DEVNULL))
        except OSError as error:
            raise RenderLost("no render worker could be started", hint="is the machine out of memory?") from error
        worker = _Worker(process, stack)
        self._all.add(worker)
        return worker

    async def _ready(self, worker: _Worker) -> None:
        try:
            async with asyncio.timeout(START):
                await worker.ready()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
            raise RenderLost("a render worker did not start", hint="is the machine out of memory?") from error

    async def _drop(self, worker: _Worker) -> None:
        self._all.discard(worker)
        await worker.stack.aclose()

    async def _ask(self, worker: _Worker, request: RenderRequest) -> Rendered | Failure:
        job = Job(request, max(1, round(self._timeout)))
        source, sink = worker.process.stdout, worker.process.stdin
        if source is None or sink is None:
            raise AssertionError("the pipes were asked for")
        answer = Answer()
        try:
            sink.write(frame(REQUEST, msgspec.msgpack.encode(job)))
            await sink.drain()
            while True:
                length, letter = HEADER.unpack(await source.readexactly(HEADER.size))
                if length > LARGEST:
                    raise RenderStopped("a rendered object is larger than 64 MB", hint="no cluster takes it")
                payload = await source.readexactly(length)
                if letter == FAILURE:
                    return msgspec.msgpack.decode(payload, type=Failure)
                if answer.take(letter, payload):
                    return answer.rendered()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise RenderLost("the render worker died under this render") from error


def _error(failure: Failure, request: RenderRequest) -> NeedsHuman | TryLater:
    where = Where(file=request.path, commit=request.commit)
    if failure.family == "later":
        return RenderLost(failure.what, where=where, hint=failure.hint)
    if failure.family == "memory":
        return RenderStopped(failure.what, where=where, hint=failure.hint)
    return RenderFailed(failure.what, where=where, hint=failure.hint)
