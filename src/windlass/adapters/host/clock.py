"""The time of this machine. `app.py` hands it to whoever needs `ports.Clock`; nobody else reads a clock to decide."""

from __future__ import annotations

import time
from datetime import UTC, datetime

# CLOCK_MONOTONIC stands still while a machine is suspended; a lease goes on running out. Linux has a clock that counts.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """`ports.Clock` by the system's clocks."""

    def now(self) -> datetime:
        """UTC, aware. May jump when somebody sets the machine's time: never measure with it."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start. Never goes back, and counts the time that the machine was suspended."""
        return time.clock_gettime(_STEADY)
