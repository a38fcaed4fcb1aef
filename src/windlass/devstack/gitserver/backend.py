"""One request to the ``git http-backend`` program as a CGI child: the body streamed in, the answer streamed out,
neither held in memory.

Used by ``server.py``, which decides who may ask for what. This module only carries bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence

from windlass.adapters.host.children import DEVNULL, Finished, Limits, find_program, open_child, run_child, search_path
from windlass.errors import NeedsHuman

_CHUNK = 64 * 1024
_HEADERS_AT_MOST = 64 * 1024
# The child is as mute and as independent of this machine's settings as it can be made.
_SETTINGS = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
}
_CONFIG = {
    "http.receivepack": "true",
    "http.uploadpack": "true",
    "core.hooksPath": "/dev/null",
    "receive.fsckObjects": "true",
    "receive.autogc": "false",
    "gc.auto": "0",
    "uploadpack.allowFilter": "true",
    "uploadpack.allowReachableSHA1InWant": "true",
}


class Answer:
    """What the child said so far: status and headers; the body comes by ``body``."""

    def __init__(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: AsyncIterator[bytes]) -> None:
        self.status = status
        self.headers = list(headers)
        self.body = body


def environment(git: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a child of this server."""
    config = {"GIT_CONFIG_COUNT": str(len(_CONFIG))}
    for index, (key, value) in enumerate(_CONFIG.items()):
        config[f"GIT_CONFIG_KEY_{index}"] = key
        config[f"GIT_CONFIG_VALUE_{index}"] = value
    return {"PATH": search_path(git), **_SETTINGS, **config, **(extra or {})}


async def git(*arguments: str, cwd: str, timeout: float = 30.0) -> Finished:
    """A short ``git`` command on one of the server's repositories."""
    program = find_program("git")
    return await run_child([program, *arguments], env=environment(program), cwd=cwd, limits=Limits(timeout=timeout))


async def check() -> None:
    """Raise with a clear word where ``git http-backend`` is not there, before anything is served."""
    program = find_program("git")
    where = (await run_child([program, "--exec-path"], env=environment(program))).stdout.decode().strip()
    done = await run_child([program, "http-backend"], env=environment(program), limits=Limits(timeout=10))
    # Without a request it answers with an error of its own; a git without it says that there is no such command.
    if done.code != 0 and b"not a git command" in done.stderr:
        raise NeedsHuman(
            f"this git has no http-backend (looked in {where})",
            hint="install the whole of Git, on Debian and Ubuntu the package git, on Alpine git-daemon",
        )


@contextlib.asynccontextmanager
async def respond(
    root: str, variables: Mapping[str, str], body: AsyncIterator[bytes], gzipped: bool
) -> AsyncIterator[Answer]:
    """The answer of ``git http-backend`` to one request. ``variables`` are the CGI variables of the request."""
    program = find_program("git")
    env = environment(program, {"GIT_PROJECT_ROOT": root, "GIT_HTTP_EXPORT_ALL": "1", **variables})
    async with (
        open_child([program, "http-backend"], env=env, cwd=root, limits=Limits(), stderr=DEVNULL) as child,
        asyncio.TaskGroup() as tasks,
    ):
        feeding = tasks.create_task(_feed(child, _unzipped(body) if gzipped else body))
        try:
            status, headers = await _headers(child)
            yield Answer(status, headers, _rest(child))
        finally:
            feeding.cancel()


async def _feed(child: Process, body: AsyncIterator[bytes]) -> None:
    if child.stdin is None:
        raise AssertionError("the pipe was asked for")
    # A child that has what it needs may end early: of a GET it reads nothing, and on a busy machine it has ended before
    # it is fed. Its pipe is closed then, and uvloop calls a write, of nothing too, a mistake of ours.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        async for part in body:
            if child.stdin.is_closing():
                return
            child.stdin.write(part)
            await child.stdin.drain()
        child.stdin.close()
        await child.stdin.wait_closed()


async def _unzipped(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Git clients compress large negotiations. Unpacked piece by piece, so that a bomb fills no memory."""
    unpack = zlib.decompressobj(wbits=31)
    async for part in body:
        waiting = part
        while waiting:
            yield unpack.decompress(waiting, _CHUNK)
            waiting = unpack.unconsumed_tail
    yield unpack.flush()


async def _headers(child: Process) -> tuple[int, list[tuple[bytes, bytes]]]:
    if child.stdout is None:
        raise AssertionError("the pipe was asked for")
    status, size = 200, 0
    headers: list[tuple[bytes, bytes]] = []
    while line := (await child.stdout.readline()).rstrip(b"\r\n"):
        size += len(line)
        name, separator, value = line.partition(b":")
        if not separator or size > _HEADERS_AT_MOST:
            return 500, []
        if name.lower() == b"status":
            status = int(value.split()[0])
        else:
            headers.append((name.lower(), value.strip()))
    return (status, headers) if headers else (500, [])


async def _rest(child: Process) -> AsyncIterator[bytes]:
    if child.stdout is None:
        raise AssertionError("the pipe was asked for")
    while part := await child.stdout.read(_CHUNK):
        yield part
