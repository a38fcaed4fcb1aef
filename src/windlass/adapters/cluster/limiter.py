"""How many writes are in flight: as many as the API server takes gladly, fewer as soon as it throttles or slows down.

`client.py` asks for a place before each write. Additive increase, multiplicative decrease; first come, first served,
but for what only tells (Events): it goes when others leave room, so that a burst delays nothing of what it tells of.
Reads are not limited here, and nothing is thrown away: a write waits for its place as long as its caller does.
"""

from __future__ import annotations

import asyncio
from collections import deque

LOWEST = 1.0
START = 24.0
HIGHEST = 32.0
LEAST_FOR_LATENCY = 8.0  # one slow webhook makes its own objects slow; it is no reason to stop all others
SLOW = 0.5  # seconds; below it nothing is called slow, whatever the best was
ROOM = 0.25  # of the places, taken at most, when what can wait may go
SLOWER = 4.0  # times the best that was seen


class WriteLimiter:
    """The places of writes in flight. For one event loop."""

    def __init__(self) -> None:
        self.limit = START
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._later: deque[asyncio.Future[None]] = deque()
        self._best = SLOW
        self._usual = 0.0
        self._lowered = float("-inf")

    def answered(self, seconds: float, now: float) -> None:
        """A write was answered (well or with a refusal of its own) after so many seconds."""
        self._best = min(self._best * 1.001, seconds)  # forgets an exceptional best slowly
        self._usual = seconds if not self._usual else 0.9 * self._usual + 0.1 * seconds
        if self._usual > max(SLOW, SLOWER * self._best):
            self._lower(0.9, max(self.limit * 0.9, LEAST_FOR_LATENCY), now)
        elif self.in_flight >= int(self.limit):  # only a limit that is used says that more would be taken
            self.limit = min(HIGHEST, self.limit + 1.0 / self.limit)

    def throttled(self, now: float) -> None:
        """The API server said 429 or 503, or gave no answer in time."""
        self._lower(0.5, self.limit * 0.5, now)

    def _lower(self, factor: float, to: float, now: float) -> None:
        # What is in flight was sent under the old limit: its answers are one sign, not many.
        if now - self._lowered < max(1.0 - factor, self._usual):
            return
        self._lowered = now
        self.limit = min(self.limit, max(LOWEST, to))

    async def enter(self, *, later: bool = False) -> None:
        """Takes a place; waits where there is none. Who has one gives it back by `leave`, whatever happens. ``later``
        is for what can wait for all others."""
        line = self._later if later else self._waiting
        if not line and not self._waiting and self._free(later=later):
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # the place was given just before: it goes to the next
            elif turn in line:  # a place that came free since the cancelling has taken it out already
                line.remove(turn)
            raise

    def leave(self) -> None:
        """Gives a place back: to whom has waited longest, where there is room."""
        self.in_flight -= 1
        for line, later in ((self._waiting, False), (self._later, True)):
            while line and self._free(later=later):
                turn = line.popleft()
                if not turn.done():
                    self.in_flight += 1
                    turn.set_result(None)

    def _free(self, *, later: bool) -> bool:
        return self.in_flight < max(1, int(self.limit * (ROOM if later else 1.0)))
