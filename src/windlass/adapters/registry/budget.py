"""How much one registry is asked at once, and by whom: a few requests in flight, and turns between those who wait.

A policy that has to look at ten thousand tags waits behind itself and not in front of the others. A registry that asks
to be left alone (429, Retry-After) is left alone by all. Used by ``images``.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from windlass.adapters.host.http import RemoteUnavailable
from windlass.ports import Clock

AT_ONCE = 6
PAUSE = 5.0
"""Seconds for which a registry is left alone that says 429 and not for how long."""


class Budget:
    """The requests to one registry."""

    def __init__(self, clock: Clock, host: str, at_once: int = AT_ONCE) -> None:
        self._clock = clock
        self._host = host
        self._free = at_once
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        self._until = float("-inf")

    @asynccontextmanager
    async def turn(self, who: Hashable) -> AsyncIterator[None]:
        """One request. Raises RemoteUnavailable at once while the registry is left alone."""
        self._check()
        if self._free > 0:
            self._free -= 1
        else:
            await self._wait(who)
        try:
            self._check()
            yield
        except RemoteUnavailable as error:
            if error.after or "left alone" in error.what:
                self._until = max(self._until, self._clock.monotonic() + (error.after or PAUSE))
            raise
        finally:
            self._hand_on()

    def _check(self) -> None:
        left = self._until - self._clock.monotonic()
        if left > 0:
            raise RemoteUnavailable(f"{self._host} asked to be left alone for a while", after=left)

    async def _wait(self, who: Hashable) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                # The turn came in the same moment: it goes to the next one.
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        """The next turn goes to whoever has waited without one for the longest."""
        while self._waiting:
            who, line = next(iter(self._waiting.items()))
            one = line.popleft()
            del self._waiting[who]
            if line:
                self._waiting[who] = line
            if not one.done():
                one.set_result(None)
                return
        self._free += 1
