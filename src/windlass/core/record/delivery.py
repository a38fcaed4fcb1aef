"""Delivery metrics: how often, how fast, and how well changes reach the cluster. Counted from facts, in their order.

The command line asks it about the ledger, ``flows/metrics.py`` about what the controller records. The words:

- a *deployment* is a sync that came to its end (``applied``) and brought another commit than the last one, or changed
  objects because somebody asked for it;
- its *lead time* is from the commit (its newest one that touches the Application) to the first moment Healthy after
  the apply, and going back to an older commit by a pin has none; its *time to deployment* is from when the commit was
  first seen to the same moment;
- it *failed* where the Application was Degraded before the next deployment and within an hour, where it was rolled
  back, or where the sync was refused or partly applied at that commit;
- *recovery* is from Degraded to Healthy again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

import msgspec

from windlass.core.record.facts import Fact, deployed
from windlass.core.record.order import goes_back, is_of_last

BLAME = 3600_000
"""Milliseconds after a deployment in which Degraded counts against it."""


class Numbers(msgspec.Struct, frozen=True, rename="camel"):
    """The metrics of one Application, one team, or all. Times in seconds; None where there is nothing to take it of.
    Means are of all that came to an end in the time that is asked about; ``drift`` counts what was opened in it, and
    ``openDrift`` what stands open at its end, ``openDriftAge`` the oldest of that."""

    deployments: int = 0
    per_day: float = 0.0
    lead_time: float | None = None
    lead_time_median: float | None = None
    time_to_deployment: float | None = None
    recoveries: int = 0
    time_to_recovery: float | None = None
    failed_deployments: int = 0
    change_failure_rate: float | None = None
    drift: int = 0
    open_drift: int = 0
    open_drift_age: float | None = None


class Deployment(msgspec.Struct, rename="camel"):
    """One deployment as an auditor sees it. Times in milliseconds, 0 where it has not come to that."""

    application: str
    time: int
    commit: str
    previous: str = ""
    committed: int = 0
    fetched: int = 0
    healthy: int = 0
    failed: str = ""
    actor: str = ""
    pinned: bool = False


@dataclass(slots=True)
class _Application:
    deployments: list[Deployment] = field(default_factory=list)
    recoveries: list[tuple[int, int]] = field(default_factory=list)
    """When each ended, and how long it took."""
    degraded: int = 0
    troubled: str = ""
    """What went wrong with the commit that is not deployed yet."""
    troubled_commit: str = ""
    drift: list[int] = field(default_factory=list)
    """When each difference was opened."""
    open: dict[str, int] = field(default_factory=dict)
    commit: str = ""


class Step(msgspec.Struct, frozen=True):
    """What one fact came to: a deployment that was made, that is healthy now, that failed now; a recovery's time."""

    application: str
    made: Deployment | None = None
    healthy: Deployment | None = None
    failed: Deployment | None = None
    recovered: int = 0


class Delivery:
    """Takes facts one after another, and says what they come to. ``history`` bounds what is kept of one Application,
    for a process that runs for months (0: all is kept)."""

    def __init__(self, *, history: int = 0) -> None:
        self._history = history
        self._applications: dict[str, _Application] = {}

    def take(self, fact: Fact) -> Step | None:
        """One more fact, no older than those before."""
        if fact.kind not in _TAKEN:
            return None
        of = self._applications.get(fact.subject)
        if of is None:
            of = self._applications[fact.subject] = _Application()
        match fact.kind:
            case "applied":
                return self._applied(of, fact)
            case "health":
                return self._health(of, fact)
            case "rolled-back" | "break-glass":
                # ``about`` is what is pinned; without Git it is no commit, and always back.
                last = of.deployments[-1] if fact.word and of.deployments else None
                if last is None or last.failed or not is_of_last(of.deployments, fact.word):
                    return None
                if goes_back(of.deployments, fact.about):
                    last.failed = "rolled back"
                    return Step(fact.subject, failed=last)
            case "refused":
                of.troubled, of.troubled_commit = fact.word, fact.about
            case "drift" if fact.word != "admission":
                if fact.about not in of.open:
                    of.open[fact.about] = fact.time
                    if not self._history:
                        of.drift.append(fact.time)
            case "drift-closed":
                of.open.pop(fact.about, None)
        return None

    def take_all(self, facts: Iterable[Fact]) -> Delivery:
        for fact in facts:
            self.take(fact)
        return self

    def deployments(self, since: int = 0) -> list[Deployment]:
        """All since a time, oldest first."""
        found = [one for of in self._applications.values() for one in of.deployments if one.time >= since]
        return sorted(found, key=lambda one: (one.time, one.application))

    def applications(self) -> list[str]:
        return sorted(self._applications)

    def numbers(self, applications: Iterable[str], since: int, now: int) -> Numbers:
        """The metrics of some Applications together, from ``since`` to ``now``."""
        chosen = [of for name in applications if (of := self._applications.get(name)) is not None]
        made = [one for of in chosen for one in of.deployments if one.time >= since]
        leads = sorted(
            (one.healthy - one.committed) / 1000 for one in made if one.healthy and one.committed and not one.pinned
        )
        waits = [(one.healthy - one.fetched) / 1000 for one in made if one.healthy and one.fetched]
        recoveries = [took / 1000 for of in chosen for ended, took in of.recoveries if ended >= since]
        failed = sum(1 for one in made if one.failed)
        opened = [time for of in chosen for time in of.open.values()]
        days = max((now - since) / 86_400_000, 1 / 24)
        return Numbers(
            deployments=len(made),
            per_day=round(len(made) / days, 3),
            lead_time=_mean(leads),
            lead_time_median=round(median(leads), 3) if leads else None,
            time_to_deployment=_mean(waits),
            recoveries=len(recoveries),
            time_to_recovery=_mean(recoveries),
            failed_deployments=failed,
            change_failure_rate=round(failed / len(made), 4) if made else None,
            drift=sum(1 for of in chosen for time in of.drift if time >= since),
            open_drift=len(opened),
            open_drift_age=round((now - min(opened)) / 1000, 3) if opened else None,
        )

    # --- inside ------------------------------------------------------------------------------------------------------

    def _applied(self, of: _Application, fact: Fact) -> Step | None:
        told = deployed(fact.about)
        if fact.word == "partly applied":
            of.troubled, of.troubled_commit = fact.word, told.commit
            return None
        if fact.word != "applied" or told.commit == (of.commit or told.previous):
            of.commit = told.commit if fact.word == "applied" else of.commit
            return None
        made = Deployment(
            application=fact.subject,
            time=fact.time,
            commit=told.commit,
            previous=told.previous or of.commit,
            committed=told.committed,
            fetched=told.fetched,
            healthy=fact.time if told.health == "Healthy" else 0,
            failed=of.troubled if of.troubled_commit == told.commit else "",
            actor=told.actor,
            pinned=told.pinned,
        )
        of.commit, of.troubled, of.troubled_commit = told.commit, "", ""
        of.deployments.append(made)
        if self._history:
            del of.deployments[: -self._history]
        return Step(fact.subject, made, healthy=made if made.healthy else None, failed=made if made.failed else None)

    def _health(self, of: _Application, fact: Fact) -> Step | None:
        last = of.deployments[-1] if of.deployments else None
        if fact.word == "Degraded":
            of.degraded = of.degraded or fact.time
            if last is not None and not last.failed and fact.time - last.time <= BLAME:
                last.failed = "Degraded"
                return Step(fact.subject, failed=last)
        elif fact.word == "Healthy":
            recovered = fact.time - of.degraded if of.degraded else 0
            if recovered and not self._history:
                of.recoveries.append((fact.time, recovered))
            of.degraded = 0
            healthy = last if last is not None and not last.healthy else None
            if healthy is not None:
                healthy.healthy = fact.time
            return Step(fact.subject, healthy=healthy, recovered=recovered)
        return None


_TAKEN = frozenset({"applied", "rolled-back", "break-glass", "health", "refused", "drift", "drift-closed"})


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None
