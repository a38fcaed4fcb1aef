"""What became of each deployment, by the ledger's events: the ground for `windlass bisect`.

Pure: events in, one verdict for each commit that was applied out. What counts is what it came to within 15 minutes:
what crashes in a loop is Healthy for a moment, and what breaks later is not its doing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from windlass.core.kinds.application_status import PROVEN
from windlass.core.model import HealthStatus, events

_TELLING = (HealthStatus.HEALTHY.value, HealthStatus.DEGRADED.value)


class Verdict(msgspec.Struct, frozen=True):
    """One deployment. ``health``: Healthy, Degraded, or what it was last; ``commits`` are those that came with it."""

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
    """The deployments of one Application, oldest first, from its events of kinds ``applied`` and ``health``, oldest
    first."""
    found: list[Verdict] = []
    for one in told:
        data = one.data
        if isinstance(data, events.Applied) and data.result in ("applied", "waits"):
            if not found or found[-1].commit != data.commit:
                found.append(Verdict(data.commit, one.time, data.health, "", tuple(data.commits)))
        elif isinstance(data, events.HealthChanged) and found:
            last = found[-1]
            if (data.commit and data.commit != last.commit) or data.health not in _TELLING:
                continue
            late = datetime.fromisoformat(one.time) - datetime.fromisoformat(last.at) > PROVEN
            if late and last.health == HealthStatus.HEALTHY.value:
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
