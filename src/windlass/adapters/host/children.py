"""Programs that run as limited children: an environment of their own, a process group that dies as a whole, a deadline,
bounds on memory, CPU, files and output. No shell ever sees an argument.

Called by ``adapters/git`` (the ``git`` program), renderers that are programs, and the development Git server. It does
not know what it runs, and puts neither arguments nor output into its errors: they may hold secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from windlass.errors import NeedsHuman, TryLater

_CHUNK = 64 * 1024


class ProgramMissing(NeedsHuman):
    """The program is not installed, or not on the PATH that Windlass was started with."""

    slug: ClassVar[str] = "program-missing"
    reason: ClassVar[str] = "ProgramMissing"


class ChildTimeout(TryLater):
    """The child was killed at its deadline."""

    slug: ClassVar[str] = "child-timeout"
    reason: ClassVar[str] = "ChildTimeout"


class ChildOutput(NeedsHuman):
    """The child was killed because it printed more than it may."""

    slug: ClassVar[str] = "child-output"
    reason: ClassVar[str] = "ChildOutput"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use. ``timeout`` and ``cpu`` in seconds, the rest in bytes; None is no limit of its own.

    ``output`` bounds stdout and stderr each; ``memory`` the address space of each process, ``data`` what it may write
    to (a Go program reserves more than a gigabyte of addresses and uses a fraction of it); ``file_size`` each file that
    it writes (the child gets SIGXFSZ beyond it).
    """

    timeout: float = 60.0
    output: int = 8 * 1024 * 1024
    memory: int | None = None
    data: int | None = None
    file_size: int | None = None
    cpu: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended: its exit code (negative: the signal that ended it) and what it printed."""

    code: int
    stdout: bytes
    stderr: bytes


_DEFAULT = Limits()


def find_program(name: str) -> str:
    """The absolute path of a program. Raises :class:`ProgramMissing`."""
    found = shutil.which(name)
    if found is None:
        raise ProgramMissing(f"the program {name} is not installed", hint=f"install {name}, or put it on the PATH")
    return os.path.abspath(found)


def search_path(*programs: str) -> str:
    """A PATH for a child: the system's folders, and those of the programs given by absolute path."""
    folders = [os.path.dirname(program) for program in programs]
    return os.pathsep.join(dict.fromkeys([*folders, "/usr/local/bin", "/usr/bin", "/bin"]))


async def run_child(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: bytes = b"",
    limits: Limits = _DEFAULT,
) -> Finished:
    """Run a program to its end. A failed child is a :class:`Finished` with its code, not an error.

    Raises :class:`ProgramMissing`, :class:`ChildTimeout`, :class:`ChildOutput`. When cancelled, the whole group is
    killed first.
    """
    name = os.path.basename(argv[0])
    try:
        async with asyncio.timeout(limits.timeout), open_child(argv, env=env, cwd=cwd, limits=limits) as child:
            return await _talk(child, stdin, limits.output, name)
    except TimeoutError:
        raise ChildTimeout(f"{name} took longer than {limits.timeout:g} s and was stopped") from None


@contextlib.asynccontextmanager
async def open_child(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    limits: Limits = _DEFAULT,
    stderr: int = PIPE,
) -> AsyncIterator[Process]:
    """A running child with pipes to talk to, for callers that stream. Its group is dead when the block ends, however it
    ends.

    Only the limits of the kernel are set here; deadline and output are the caller's. Raises :class:`ProgramMissing`.
    """
    try:
        process = await _start(
            asyncio.create_subprocess_exec(
                *argv,
                stdin=PIPE,
                stdout=PIPE,
                stderr=stderr,
                env=dict(env or {}),
                cwd=cwd,
                start_new_session=True,
                limit=_CHUNK,
            )
        )
    except FileNotFoundError:
        if os.access(argv[0], os.X_OK):
            raise
        raise ProgramMissing(f"the program {os.path.basename(argv[0])} is not installed") from None
    try:
        limit(process.pid, limits)
        yield process
    finally:
        await _end(process)


async def _start(start: Coroutine[Any, Any, Process]) -> Process:
    """Starts to the end, also when cancelled: asyncio would kill the child alone, and wait for as long as its own
    children hold the pipes.
    """
    starting = asyncio.ensure_future(start)
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            await _end(await starting)
        raise


async def _talk(child: Process, stdin: bytes, most: int, name: str) -> Finished:
    if child.stdin is None or child.stdout is None or child.stderr is None:
        raise AssertionError("the pipes were asked for")
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_feed(child.stdin, stdin))
            stdout = tasks.create_task(_collect(child.stdout, most, name))
            stderr = tasks.create_task(_collect(child.stderr, most, name))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    # Only now: whoever the child left behind with its pipes is waited for, up to the deadline.
    return Finished(await child.wait(), stdout.result(), stderr.result())


async def _feed(pipe: asyncio.StreamWriter, data: bytes) -> None:
    # A child that does not want all of its input is no error: its exit code tells.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        # One that ended before it was fed has closed the pipe: uvloop calls a write then a mistake of ours.
        if data and not pipe.is_closing():
            pipe.write(data)
            await pipe.drain()
        pipe.close()
        await pipe.wait_closed()


async def _collect(pipe: asyncio.StreamReader, most: int, name: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await pipe.read(_CHUNK):
        size += len(part)
        if size > most:
            raise ChildOutput(f"{name} printed more than {most} bytes and was stopped")
        parts.append(part)
    return b"".join(parts)


def limit(pid: int, limits: Limits) -> None:
    """Sets what the kernel bounds on a process that was just started. Deadline and output are the caller's."""
    wanted = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 1024)]
    wanted += [
        (kind, most)
        for kind, most in (
            (resource.RLIMIT_AS, limits.memory),
            (resource.RLIMIT_DATA, limits.data),
            (resource.RLIMIT_FSIZE, limits.file_size),
            (resource.RLIMIT_CPU, limits.cpu),
        )
        if most is not None
    ]
    for kind, most in wanted:
        # The child may be gone already; a limit above the hard one of this process is not ours to raise.
        with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
            _, hard = resource.prlimit(pid, kind)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.prlimit(pid, kind, (most, most))


async def _end(process: Process) -> None:
    # Also when the child itself is gone: its own children may not be.
    _kill_group(process.pid)
    if process.stdin is not None:
        process.stdin.close()
    # Shielded, so that a cancelled caller leaves no child behind that nobody waits for.
    await asyncio.shield(_reap(process))


async def _reap(process: Process) -> None:
    """Waits for the end. asyncio waits for the pipes too, and a pipe that is full and unread never ends."""
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                while await pipe.read(_CHUNK):
                    continue
    await process.wait()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


__all__ = [
    "DEVNULL",
    "ChildOutput",
    "ChildTimeout",
    "Finished",
    "Limits",
    "ProgramMissing",
    "find_program",
    "limit",
    "open_child",
    "run_child",
    "search_path",
]
