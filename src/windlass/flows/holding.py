"""What holds an Application back by a word in Git: suspended, or frozen; and when it ends.

``sync`` asks before it applies. An exception ends by its own clock, whatever Git still says; ``flows/expiry`` takes the
text out afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from windlass.core.kinds.application import Application
from windlass.core.kinds.exceptions import next_end
from windlass.core.kinds.installation import Installation
from windlass.core.kinds.kind import GROUP
from windlass.core.model import Desired, ObjectRef
from windlass.flows.waiting import WHOLE, Frozen, Suspended

LONGEST = 86_400.0
"""Seconds after which it is looked again, however far away the end is: clocks are set."""


def check_holds(
    written: Application,
    installation: Installation | None,
    wanted: Mapping[ObjectRef, Desired],
    now: Mapping[ObjectRef, Desired],
    at: datetime,
) -> None:
    """Raises Suspended or Frozen where one of them stands between what is ``wanted`` by the newest commit and what was
    applied (``now``)."""
    suspend = written.spec.suspend
    if suspend is not None and suspend.active(at):
        raise Suspended(suspend.until, suspend.reason, suspend.by)
    if written.spec.source.at:
        return  # a pin is a person's word about just this; a rollback has to work in a freeze too
    changed = _differing(wanted, now)
    own, whole = written.spec.freeze, installation.spec.freeze if installation is not None else None
    if own is not None and own.active(at) and changed:
        raise Frozen("", own.until, own.reason, own.by)
    if whole is not None and whole.active(at) and any(ref.group != GROUP for ref in changed):
        raise Frozen(WHOLE, whole.until, whole.reason, whole.by)


def is_frozen(written: Application, installation: Installation | None, at: datetime) -> bool:
    """Whether a freeze holds for it: then what was applied last has to be known."""
    freezes = [written.spec.freeze, installation.spec.freeze if installation is not None else None]
    return any(one is not None and one.active(at) for one in freezes)


def looks_again(written: Application | None, installation: Installation | None, at: datetime) -> float | None:
    """Seconds until the first exception ends that holds now, and a bit; None where none does. Without an Application:
    those of the cluster alone."""
    own = [*written.exceptions, written.spec.expires] if written is not None else []
    ends = [*own, installation.spec.freeze if installation is not None else None]
    left = next_end(ends, at)
    return None if left is None else min(left + 0.1, LONGEST)


def _differing(wanted: Mapping[ObjectRef, Desired], now: Mapping[ObjectRef, Desired]) -> list[ObjectRef]:
    """The objects that an apply would touch. What is let go of by an exception is none of the freeze's business."""
    return [
        ref
        for ref in {*wanted, *now}
        if (ref in wanted) != (ref in now)
        or (wanted[ref].digest != now[ref].digest and wanted[ref].left == now[ref].left)
    ]
