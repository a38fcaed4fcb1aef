"""``ports.Renderer`` by child processes: one kept warm, a second while there is work for two, each one bounded.

Called by the flows. A render that takes too long, or a worker that dies, costs that one render; the others go on in
other workers. Nothing is parsed in this process but answers, a slice at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Iterable
from types import TracebackType
from typing import ClassVar, Self

import msgspec
from typing_extensions import override

from windlass.adapters.host.children import Limits, open_child
from windlass.adapters.render.frames import FAILURE, HEADER, LARGEST, REQUEST, Answer, Failure, frame
from windlass.adapters.render.trace import touches
from windlass.adapters.render.worker import Job
from windlass.core.model import Rendered
from windlass.errors import NeedsHuman, TryLater, Where
from windlass.ports import Renderer, RenderRequest

START = 30.0
"""Seconds that a worker may take to start."""

_CHUNK = 64 * 1024

_RESERVED = 3 << 30

MOST = 256 * 1024 * 1024
"""Bytes that a worker may answer with, whatever it says of itself."""

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
    """One child, and the task that has it: it is started and ended there, so that no caller that is cancelled leaves
    half of one. ``started`` is None once it said its first word, else why it did not; ``reading`` is held by whoever
    reads what it says.
    """

    def __init__(self) -> None:
        self.process: Process | None = None
        self.started: asyncio.Future[RenderLost | None] = asyncio.get_running_loop().create_future()
        self.reading = asyncio.Lock()
        self._stop = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    async def live(self, limits: Limits) -> None:
        """The whole life of the child. Raises nothing that its start or its death may bring."""
        flags = ["-I", "-B"] if sys.dont_write_bytecode else ["-I"]
        argv = [sys.executable, *flags, "-m", "windlass.adapters.render.worker"]
        lost = RenderLost("no render worker could be started", hint="is the machine out of memory?")
        try:
            async with open_child(argv, env={}, limits=limits, stderr=DEVNULL) as process:
                self.process = process
                await self._serve(process, lost)
        except (OSError, NeedsHuman):
            # Told by ``started``, to whoever wants to render.
            pass
        finally:
            self._begun(lost)
            self._stop.set()

    async def _serve(self, process: Process, lost: RenderLost) -> None:
        source = process.stdout
        if source is None:
            raise AssertionError("the pipes were asked for")
        try:
            async with asyncio.timeout(START):
                await source.readexactly(HEADER.size)
            self._begun(None)
            await self._stop.wait()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            self._begun(lost)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # What nobody wants any more is read to its end: asyncio holds a process for running while its pipe is full.
        async with self.reading:
            with contextlib.suppress(ConnectionError):
                while await source.read(_CHUNK):
                    pass

    def _begun(self, error: RenderLost | None) -> None:
        if not self.started.done():
            self.started.set_result(error)

    def rest(self, after: float) -> None:
        """Ends after this many seconds, unless it is woken."""
        self._timer = asyncio.get_running_loop().call_later(after, self.stop)

    def wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self) -> None:
        """Its task kills it. Does not wait for that."""
        self.wake()
        self._stop.set()

    @property
    def alive(self) -> bool:
        gone = self.process is not None and self.process.returncode is not None
        return not gone and not self._stop.is_set()


class Workers(Renderer):
    """Up to ``count`` workers; a render may take ``timeout`` seconds and its process ``memory`` bytes to write to;
    ``helm`` is the program that renders charts, "" for the library.

    Use it as ``async with Workers() as workers``; at the end every worker is dead, and renders under way are lost.
    """

    def __init__(self, *, count: int = 2, timeout: float = 60.0, memory: int = 1 << 30, helm: str = "") -> None:
        self._turns = asyncio.Semaphore(count)
        self._timeout = timeout
        self._helm = helm
        # A worker starts Helm's library as a child, which inherits this and reserves 1.4 GB of addresses at its start.
        self._limits = Limits(memory=memory + _RESERVED, data=memory)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._group = asyncio.TaskGroup()
        self._closed = False

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._idle.append(self._start())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for worker in self._all:
            worker.stop()
        # Not told of an error outside: it would cancel what ends by itself.
        await self._group.__aexit__(None, None, None)

    @override
    async def render(self, request: RenderRequest) -> Rendered:
        """Raises RenderStopped, RenderFailed, RenderLost. What is wrong with manifests is in ``Rendered.problems``."""
        async with self._turns:
            worker = self._take()
            well = False
            try:
                lost = await asyncio.shield(worker.started)
                if lost is not None:
                    raise lost
                async with asyncio.timeout(self._timeout), worker.reading:
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
                    worker.stop()
        if isinstance(answer, Failure):
            raise _error(answer, request)
        return answer

    @override
    def touches(self, changed: Iterable[str]) -> set[str]:
        """``changed`` is every path that differs between the commit that the traces hold at and another, both sides of
        a rename."""
        return touches(changed)

    def _take(self) -> _Worker:
        if self._closed:
            raise RenderLost("the render workers are stopped")
        while self._idle:
            worker = self._idle.pop()
            worker.wake()
            if worker.alive:
                return worker
            worker.stop()
        return self._start()

    def _give_back(self, worker: _Worker) -> None:
        if self._closed:
            worker.stop()
            return
        # The first in the list is the warm one; whoever comes after it rests, and ends.
        if self._idle:
            worker.rest(LINGER)
        self._idle.append(worker)

    def _start(self) -> _Worker:
        worker = _Worker()
        self._all.add(worker)
        task = self._group.create_task(worker.live(self._limits))
        task.add_done_callback(lambda _: self._all.discard(worker))
        return worker

    async def _ask(self, worker: _Worker, request: RenderRequest) -> Rendered | Failure:
        job = Job(msgspec.structs.replace(request, helm=self._helm), max(1, round(self._timeout)))
        process = worker.process
        if process is None or process.stdout is None or process.stdin is None:
            raise AssertionError("a started worker has its pipes")
        source, sink = process.stdout, process.stdin
        answer, size = Answer(), 0
        if sink.is_closing():
            # It was stopped between its turn and the request: the end of the program.
            raise RenderLost("the render worker is stopped")
        try:
            sink.write(frame(REQUEST, msgspec.msgpack.encode(job)))
            await sink.drain()
            while True:
                length, letter = HEADER.unpack(await source.readexactly(HEADER.size))
                if length > LARGEST:
                    raise RenderStopped("a rendered object is larger than 64 MB", hint="no cluster takes it")
                size += length
                if size > MOST:
                    raise RenderStopped(f"the render is larger than {MOST >> 20} MB", hint="split the source")
                payload = await source.readexactly(length)
                if letter == FAILURE:
                    return msgspec.msgpack.decode(payload, type=Failure)
                if answer.take(letter, payload):
                    return answer.rendered()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise await _death(process) from error


async def _death(process: Process) -> RenderLost | RenderStopped:
    """Why a worker died: what its input did to it happens again, what the machine did may not."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await process.wait()
    how = -(process.returncode or 0)
    if how == signal.SIGXCPU:
        return RenderStopped("rendering took more computing time than it may", hint="split the source")
    if how in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT):
        return RenderStopped(
            "the renderer crashed on this source", hint="something in it is nested far too deeply, or far too large"
        )
    return RenderLost("the render worker died under this render")


def _error(failure: Failure, request: RenderRequest) -> NeedsHuman | TryLater:
    where = Where(file=request.path, commit=request.commit)
    if failure.family == "later":
        return RenderLost(failure.what, where=where, hint=failure.hint)
    if failure.family == "memory":
        return RenderStopped(failure.what, where=where, hint=failure.hint)
    return RenderFailed(failure.what, where=where, hint=failure.hint)
