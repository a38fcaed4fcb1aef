"""A work queue that folds repeats of a key, never runs a key twice at once, and backs off without an end.

The flows put keys in, their workers take them out. It holds no work itself, only which key wants attention: whoever
takes a key looks at the present state (level-triggered), so a repeat while it waits costs nothing, and a repeat while
it is worked on makes it come round once more. It starts no task and catches nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class WorkQueue(Generic[Key]):
    """Keys in order of arrival. ``base`` and ``cap`` bound the backoff in seconds; jitter is up to a quarter of it."""

    def __init__(self, *, base: float = 1.0, cap: float = 300.0, jitter: Callable[[], float] = random.random) -> None:
        self._base = base
        self._cap = cap
        self._jitter = jitter
        self._ready: deque[Key] = deque()
        self._queued: set[Key] = set()
        self._working: set[Key] = set()
        self._dirty: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._asked: dict[Key, float] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def busy(self) -> int:
        """How many keys are being worked on."""
        return len(self._working)

    def add(self, key: Key) -> None:
        """Asks for attention now, whatever backoff or timer the key has."""
        self._cancel(key)
        if key in self._working:
            self._dirty.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._asked[key] = asyncio.get_running_loop().time()
            self._ready.append(key)
            self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Asks for attention later; a timer that is due earlier stays."""
        loop = asyncio.get_running_loop()
        due = loop.time() + max(0.0, seconds)
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= due:
            return
        self._cancel(key)
        self._timers[key] = loop.call_at(due, self._fire, key)

    def retry(self, key: Key, *, base: float = 0.0, cap: float = 0.0, at_least: float = 0.0) -> float:
        """After a failure: asks for attention after the key's own backoff. Returns the seconds it will wait."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # The exponent is bounded, because failures go on without an end and floats do not.
        wait = min((base or self._base) * 2.0 ** min(failures, 40), cap or self._cap)
        wait = max(wait * (1.0 - 0.25 * self._jitter()), at_least)
        self.add_after(key, wait)
        return wait

    def forget(self, key: Key) -> None:
        """After a success: the next failure starts from the smallest backoff again."""
        self._failures.pop(key, None)

    def failures(self, key: Key) -> int:
        return self._failures.get(key, 0)

    def asked_at(self, key: Key) -> float:
        """Loop time at which the key that is being worked on was asked for: what was read since is news to it."""
        return self._asked.get(key, asyncio.get_running_loop().time())

    def drop(self, key: Key) -> None:
        """The key is gone for good: no timer, no backoff, no repeat."""
        self._cancel(key)
        self._failures.pop(key, None)
        self._asked.pop(key, None)
        self._dirty.discard(key)
        if key in self._queued:
            self._queued.discard(key)
            self._ready.remove(key)

    async def take(self) -> Key:
        """The next key. It is not given to anybody else before ``done``."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = self._ready.popleft()
        self._queued.discard(key)
        self._working.add(key)
        return key

    def done(self, key: Key) -> None:
        self._working.discard(key)
        self._asked.pop(key, None)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)

    def close(self) -> None:
        """Cancels the timers, so that a loop can end."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _fire(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _cancel(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
