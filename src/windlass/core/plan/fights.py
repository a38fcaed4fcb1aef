"""Who takes a field back again and again: after the third time within five minutes it is no longer fought over.

The drift flow keeps one ``Fights`` per Application and tells it of each revert. Without it, an autoscaler and a
``replicas`` in Git would write against each other for ever. Time is an argument, monotonic seconds.
"""

from __future__ import annotations

from windlass.core.model import ObjectRef

TIMES = 3
WINDOW = 300.0

Corner = tuple[ObjectRef, str, str]


class Fights:
    """Remembers the last reverts by object, field and manager, and the fields that were given up."""

    def __init__(self, times: int = TIMES, window: float = WINDOW) -> None:
        self._times = times
        self._window = window
        self._taken: dict[Corner, list[float]] = {}

    def record(self, ref: ObjectRef, field: str, manager: str, now: float) -> bool:
        """Told each time that ``manager`` took ``field`` back. True: give up, this was the third time in the window.

        Once given up it stays so, and each further time prolongs it, until the window passes without one.
        """
        corner = (ref, field, manager)
        recent = [at for at in self._taken.get(corner, ()) if now - at < self._window]
        recent.append(now)
        self._taken[corner] = recent[-self._times :]
        return len(recent) >= self._times

    def given_up(self, ref: ObjectRef, field: str, manager: str, now: float) -> bool:
        """Whether the field is left to that manager at this time."""
        recent = [at for at in self._taken.get((ref, field, manager), ()) if now - at < self._window]
        return len(recent) >= self._times
