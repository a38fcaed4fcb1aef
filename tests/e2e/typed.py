"""Commands as a person types them: `windlass` with their environment, in their folder, by fork from a process that has
the program's imports made.

A start from nothing costs a second of CPU, and the tests of a person's words make some two hundred. What runs is the
program by its own entry; that it starts from nothing too is for the tests that start a controller, `up` or a watch.
"""

from __future__ import annotations

import atexit
import functools
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from faults.ground import Zygote


@functools.cache
def _zygote() -> Zygote:
    made = Zygote()
    atexit.register(made.close)
    return made


def typed(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path | str, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end, without a terminal. Past `timeout` seconds it is killed, and AssertionError."""
    with tempfile.TemporaryDirectory(prefix="typed-") as own:
        out, err, answer = (Path(own) / name for name in ("out", "err", "answer"))
        os.mkfifo(answer)
        # Open before the child is there; it ends when the child does, however that ends.
        handle = os.open(answer, os.O_RDONLY | os.O_NONBLOCK)
        try:
            pid = _zygote().fork(
                {
                    "arguments": list(arguments),
                    "log": str(err),
                    "out": str(out),
                    "answer": str(answer),
                    "own": dict(environment),
                    "folder": str(folder),
                }
            )
            waiting = select.poll()
            waiting.register(handle, select.POLLIN)
            if not waiting.poll(timeout * 1000):
                os.killpg(pid, signal.SIGKILL)
                raise AssertionError(f"windlass {' '.join(arguments)}: not done within {timeout:.0f} s")
            code = os.read(handle, 16)
        finally:
            os.close(handle)
        said = err.read_text()
        assert code, f"windlass {' '.join(arguments)} was killed: {said}"
        return subprocess.CompletedProcess(["windlass", *arguments], int(code), out.read_text(), said)
