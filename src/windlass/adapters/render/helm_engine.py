"""Helm's library from the render worker's side: a child that is started at the first chart and kept, with limits.

``engine()`` is the one of this process. A render that takes too long or too much memory ends the child and that render
alone; the next one starts another. Called by ``helm``, in a render worker and, over a person's own files, in the
command line. It reads no chart and decides nothing about one.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import ClassVar

import msgspec

from windlass.adapters.host.children import Limits, limit
from windlass.adapters.render.frames import HEADER, LARGEST, READY, REQUEST, frame
from windlass.adapters.render.helm_child import ANSWER, ChartAnswer, ChartJob
from windlass.errors import NeedsHuman, TryLater

MEMORY = 640 * 1024 * 1024
"""What the child may write to: 130 MB are the library's own before it does anything."""

SECONDS = 30
START = 20.0
_CHUNK = 1 << 20


class HelmMissing(NeedsHuman):
    """Nothing is installed that renders Helm charts."""

    slug: ClassVar[str] = "helm-missing"


class HelmStopped(NeedsHuman):
    """The templates of a chart needed more time, memory or room than they may."""

    slug: ClassVar[str] = "render-stopped"


class HelmLost(TryLater):
    """The child could not be started, or ended for no reason of the chart's."""

    slug: ClassVar[str] = "render-lost"


class Engine:
    """One child at a time, and which charts it keeps."""

    def __init__(self, *, seconds: int = SECONDS, memory: int = MEMORY) -> None:
        self.seconds = seconds
        self.memory = memory
        self._child: subprocess.Popen[bytes] | None = None
        self._has: set[str] = set()

    def render(self, job: ChartJob, archive: Callable[[], bytes]) -> ChartAnswer:
        """One render; ``archive`` is asked for where the child does not keep the chart under ``job.key``.

        Raises HelmMissing, HelmStopped, HelmLost, and what ``archive`` raises.
        """
        child = self._running()
        if job.key not in self._has:
            job = msgspec.structs.replace(job, archive=archive())
        answer = self._ask(child, job)
        if answer.step == "forgotten":
            answer = self._ask(child, msgspec.structs.replace(job, archive=archive()))
        self._has.add(job.key)
        return answer

    def close(self) -> None:
        """Ends the child, if there is one."""
        child, self._child, self._has = self._child, None, set()
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self.close()
        if importlib.util.find_spec("helm_python") is None:
            raise HelmMissing(
                "this is a Helm chart, and what renders charts is not installed",
                hint="pip install 'windlass[helm]', or let --helm of the controller name a helm program",
            )
        flags = ["-I", "-B"] if sys.dont_write_bytecode else ["-I"]
        child = subprocess.Popen(
            [sys.executable, *flags, "-m", "windlass.adapters.render.helm_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # One thread that computes and one pool of memory, so that the limits mean the same on every machine.
            env={"GOMAXPROCS": "1", "MALLOC_ARENA_MAX": "1", "GOMEMLIMIT": str(self.memory // 2)},
            bufsize=0,
        )
        limit(child.pid, Limits(data=self.memory, file_size=0))
        self._child = child
        letter, words = self._read(child, START)
        if letter != READY:
            self.close()
            raise HelmLost("the process that renders charts could not be started", hint="is the machine out of memory?")
        if words:
            self.close()
            what = words.decode(errors="replace")
            raise HelmMissing(f"what renders Helm charts can't be loaded: {what}", hint="pip install 'windlass[helm]'")
        return child

    def _ask(self, child: subprocess.Popen[bytes], job: ChartJob) -> ChartAnswer:
        try:
            self._write(child, frame(REQUEST, msgspec.msgpack.encode(job)))
            letter, payload = self._read(child, float(self.seconds))
        except BrokenPipeError:
            letter, payload = 0, b""
        if letter == ANSWER:
            return msgspec.msgpack.decode(payload, type=ChartAnswer)
        late = child.poll() is None
        code = None if late else child.wait()
        self.close()
        if late or code == -signal.SIGXCPU:
            raise HelmStopped(
                f"the templates did not end within {self.seconds} s and were stopped",
                hint="look for a range, an include or a tpl that goes on and on",
            )
        raise HelmStopped(
            f"the templates needed more than {self.memory >> 20} MB of memory, or made more than 64 MB of output",
            hint="look for a loop that makes its own input longer",
        )

    def _write(self, child: subprocess.Popen[bytes], data: bytes) -> None:
        # The child reads a whole frame before it writes anything: this can't wait for ever but on a dead child.
        if child.stdin is None:
            raise AssertionError("the pipe was asked for")
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(child.stdin.fileno(), rest) :]

    def _read(self, child: subprocess.Popen[bytes], seconds: float) -> tuple[int, bytes]:
        """One frame: its letter, 0 where none came in time or the child ended, and its payload."""
        end = time.monotonic() + seconds
        head = self._exactly(child, HEADER.size, end)
        if len(head) < HEADER.size:
            return 0, b""
        length, letter = HEADER.unpack(head)
        if length > LARGEST:
            child.kill()
            return 0, b""
        payload = self._exactly(child, length, end)
        return (letter, payload) if len(payload) == length else (0, b"")

    @staticmethod
    def _exactly(child: subprocess.Popen[bytes], length: int, end: float) -> bytes:
        if child.stdout is None:
            raise AssertionError("the pipe was asked for")
        handle, parts = child.stdout.fileno(), bytearray()
        while len(parts) < length:
            ready, _, _ = select.select([handle], [], [], max(0.0, end - time.monotonic()))
            part = os.read(handle, min(_CHUNK, length - len(parts))) if ready else b""
            if not part:
                break
            parts += part
        return bytes(parts)


@functools.cache
def engine() -> Engine:
    """The engine of this process."""
    return Engine()
