"""Where a running controller spends its time, without a tool beside it: samples of its stacks, and what held the loop.

``app.py`` opens one for ``windlass controller --profile``. A thread looks at the stacks a hundred times a second and
counts them; every minute, and at the end, the counts replace one file in the form that flame graph programs read
(``flamegraph.pl``, speedscope, inferno): ``thread;outermost;...;innermost count``. It keeps names of functions and
nothing of what they work on. How many stacks it keeps, how deep they are, and how often it tells of a stall is bounded.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self, TypeAlias

import structlog

from windlass.adapters.host.files import write_atomic
from windlass.errors import WindlassError

Stalled: TypeAlias = Callable[[float, str], None]

EVERY = 0.01  # seconds between two samples
BEAT = 0.02  # seconds between two signs of life of the loop
STALL = 0.05  # seconds without one, after which the loop is held by something
WRITE = 60.0  # seconds between two writes of the file
MOST = 5000  # different stacks; what comes after counts as `(other)`
DEEPEST = 80
SELDOM = 5.0  # seconds between two stalls that are told

# Where a thread is that waits: the loop for events, a thread of a pool for work.
_WAITS = frozenset(
    {
        ("asyncio.runners", "Runner.run"),
        ("selectors", "EpollSelector.select"),
        ("selectors", "SelectSelector.select"),
        ("selectors", "_PollLikeSelector.select"),
        ("concurrent.futures.thread", "_worker"),
        ("threading", "Condition.wait"),
        ("threading", "Event.wait"),
    }
)
log = structlog.get_logger("windlass")


class Profiler:
    """A context manager for the thread of the event loop. ``beat`` is to be kept running on the loop; ``stalled`` is
    called in the profiler's own thread with seconds and the innermost functions of what held the loop.
    """

    def __init__(self, path: Path, stalled: Stalled) -> None:
        self.path = path
        self.samples: Counter[str] = Counter()
        self.taken = 0
        self._stalled = stalled
        self._beaten = 0.0
        self._loop_thread = threading.get_ident()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="profile", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join(5.0)
        self.write()

    async def beat(self) -> None:
        """Tells that the loop turns. Never ends by itself."""
        while True:
            self._beaten = time.monotonic()
            await asyncio.sleep(BEAT)

    def write(self) -> None:
        """The counts so far, the most frequent first. A disk that takes no file costs the file, not the controller."""
        lines = [f"{stack} {count}\n" for stack, count in self.samples.most_common()]
        try:
            write_atomic(self.path, "".join(lines).encode(), mode=0o644)
        except WindlassError as error:
            log.warning("profile not written", error=error.what)

    # --- the thread ---

    def _run(self) -> None:
        due = time.monotonic() + WRITE
        told = held = 0.0
        stack = ""
        while not self._end.wait(EVERY):
            now = time.monotonic()
            found = self.sample()
            since = now - self._beaten if self._beaten else 0.0
            if since > STALL and found:
                held, stack = since, found  # still going on: told when it is over, with how long it was
            elif held and since <= STALL:
                if now - told > SELDOM:
                    told = now
                    self._stalled(held, stack)
                held = 0.0
            if now >= due:
                due = now + WRITE
                self.write()

    def sample(self) -> str:
        """Counts the stacks of all threads but its own. Returns the innermost functions of the loop's, empty where it
        waits."""
        self.taken += 1
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        loop = ""
        for identity, frame in sys._current_frames().items():
            if identity == self._thread.ident or (frame.f_globals.get("__name__"), frame.f_code.co_qualname) in _WAITS:
                continue
            functions = stack_of(frame)
            if identity == self._loop_thread:
                loop = " < ".join(reversed(functions[-6:]))
            line = ";".join([names.get(identity, "thread"), *functions])
            self.samples[line if line in self.samples or len(self.samples) < MOST else "(other)"] += 1
        return loop


def stack_of(frame: FrameType | None) -> list[str]:
    """``module.Class.function`` of each frame, the outermost first; of a deep stack the innermost part."""
    found: list[str] = []
    while frame is not None and len(found) < DEEPEST:
        found.append(f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}".replace(";", ","))
        frame = frame.f_back
    return found[::-1]
