"""What became of each deployment, by the ledger's events: the ground for `windlass bisect`.

Pure: events in, one verdict for each commit that was applied out. What counts is what it came to within 15 minutes:
what crashes in a loop is Healthy for a moment, and what breaks later is not its doing. What somebody went back from was
not well, however short it ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from windlass.core.kinds.application_status import PROVEN
from windlass.core.model import HealthStatus, events
from windlass.core.record.order import goes_back, is_of_last

_TELLING = (HealthStatus.HEALTHY.value, HealthStatus.DEGRADED.value)
KINDS = ("applied", "health", "rolled-back")
"""The events that tell of it."""
_PARTLY, _BACK = "partly applied", "rolled back"


class Verdict(msgspec.Struct, frozen=True):
    """One deployment. ``health``: Healthy, Degraded, or what it was last; "partly applied" where some of it never was,
    "rolled back" where somebody went back from it. ``commits`` are those that came with it."""

    commit: str
    at: str
    health: str
    message: str = ""
    commits: Sequence[events.Commit] = ()


class Bisected(msgspec.Struct, frozen=True):
    """``bad``: the first deployment after ``good`` that was not Healthy; each None where there is none."""

    good: Verdict | None
    bad: Verdict | None
    newest: Verdict | None


def verdicts(told: Iterable[events.Event]) -> list[Verdict]:
    """The deployments of one Application, oldest first, from its events of ``KINDS``, oldest first."""
    found: list[Verdict] = []
    for one in told:
        data, last = one.data, found[-1] if found else None
        if isinstance(data, events.Applied) and data.result in ("applied", "waits", _PARTLY):
            health = _PARTLY if data.result == _PARTLY else data.health
            if last is None or last.commit != data.commit:
                found.append(Verdict(data.commit, one.time, health, "", tuple(data.commits)))
            elif last.health == _PARTLY:
                found[-1] = msgspec.structs.replace(last, health=health)
        elif last is None:
            continue
        elif isinstance(data, events.RolledBack) and goes_back(found, data.pins):
            found[-1] = msgspec.structs.replace(last, health=_BACK, message=data.reason)
        elif isinstance(data, events.HealthChanged) and data.health in _TELLING:
            if data.commit and not is_of_last(found, data.commit):
                continue
            late = datetime.fromisoformat(one.time) - datetime.fromisoformat(last.at) > PROVEN
            if last.health in (_PARTLY, _BACK) or (late and last.health == HealthStatus.HEALTHY.value):
                continue  # what breaks later is not its doing
            found[-1] = msgspec.structs.replace(last, health=data.health, message=data.message)
    return found


def bisected(found: Sequence[Verdict]) -> Bisected:
    """The first commit that was not Healthy since the last one that was."""
    well = HealthStatus.HEALTHY.value
    newest = found[-1] if found else None
    last_good = max((place for place, one in enumerate(found) if one.health == well), default=-1)
    if newest is None or last_good == len(found) - 1:
        # All is well now: the last time that it was not.
        bad = max((place for place, one in enumerate(found) if one.health != well), default=-1)
        while bad > 0 and found[bad - 1].health != well:
            bad -= 1
        return Bisected(found[bad - 1] if bad > 0 else None, found[bad] if bad >= 0 else None, newest)
    return Bisected(found[last_good] if last_good >= 0 else None, found[last_good + 1], newest)
