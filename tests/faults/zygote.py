"""Starts `windlass` by fork from a process that has everything imported: a start costs 50 ms in place of a second.

`python zygote.py` reads a JSON line a start from its standard input: the arguments of `windlass`, the file for its
output, limits, and at which change of a file it ends itself; or, of a command that a person types, their environment
and folder, a second file, and where the exit code goes. It answers each with the process id. What runs in the child is
the program itself, by the same entry as a person's; only its imports were made before. It needs no reaping: the kernel
takes ended children away.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import importlib
import json
import mmap
import os
import pkgutil
import resource
import signal
import struct
import sys
import time
from datetime import datetime, timedelta
from typing import Any

import uvloop

from windlass import app, cli
from windlass.adapters.host.clock import SystemClock
from windlass.cli import main

_PR_SET_PDEATHSIG = 1
_CHANGES = frozenset({"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class DiskCounter:
    """Counts what the process is about to change on the disk, and ends it in front of the Nth change (N from 1).

    It hears of changes by Python itself (an audit hook), so that the program need not know of it.
    """

    def __init__(self, last: int, told: str) -> None:
        self.count = 0
        self._last = last
        self._told = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            changes = isinstance(arguments[2], int) and bool(arguments[2] & _WRITING)
            changes = changes and str(arguments[0]) != "/dev/null"
        else:
            changes = event in _CHANGES
        if not changes:
            return
        self.count += 1
        os.write(self._told, f"{self.count} {event} {arguments[0]}\n".encode())
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def jumping(file: str) -> None:
    """Has the wall clock of this process stand so many seconds beside the machine's as the file says (a double).

    A name space of time, which Linux has, moves the other clocks only: they are those that must not jump.
    """
    with open(file, "r+b") as opened:
        seconds = mmap.mmap(opened.fileno(), 8)
    true = SystemClock.now

    def now(self: SystemClock) -> datetime:
        return true(self) + timedelta(seconds=struct.unpack("<d", seconds[:8])[0])

    SystemClock.now = now  # type: ignore[method-assign]


def breaking(folder: str) -> None:
    """Has handles of this process that are open in a folder refuse what is written once the folder is read-only.

    A disk that breaks does that. The kernel turns no file system read-only by hand while somebody writes to it, and a
    read-only mount over it leaves older handles as they are.
    """
    write, cut = os.write, os.ftruncate

    def check(handle: int) -> None:
        if os.statvfs(folder).f_flag & os.ST_RDONLY and os.readlink(f"/proc/self/fd/{handle}").startswith(folder):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def refusing(handle: int, data: bytes) -> int:
        check(handle)
        return write(handle, data)

    def cutting(handle: int, length: int) -> None:
        check(handle)
        cut(handle, length)

    os.write, os.ftruncate = refusing, cutting  # type: ignore[assignment]


def child(wish: dict[str, Any]) -> None:
    """The life of one controller. Never returns."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    answer = os.open(wish["answer"], os.O_WRONLY) if wish.get("answer") else None
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    for number, file in ((1, wish.get("out", wish["log"])), (2, wish["log"])):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    for name, most in wish.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (most, most))
    if wish.get("own"):
        os.environ.clear()
        os.environ.update(wish["own"])
        time.tzset()
    os.environ.update(wish.get("environment", {}))
    os.chdir(wish.get("folder", "."))
    if wish.get("count"):
        sys.addaudithook(DiskCounter(wish.get("disk", 0), wish["count"]))
    if wish.get("clock"):
        jumping(wish["clock"])
    if wish.get("breaking"):
        breaking(wish["breaking"])
    code = 70
    try:
        main(wish["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        if answer is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(answer, b"%d" % code)
        os._exit(code)


def serve() -> None:
    """Forks a child for each line, until its input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


MODULES = [one.name for one in pkgutil.iter_modules(cli.__path__) if not one.name.startswith("_")]
AHEAD = (app, uvloop, *(importlib.import_module(f"windlass.cli.{name}") for name in MODULES))
"""Imported for every child: the command line would import them when it is called."""
if __name__ == "__main__":
    serve()
