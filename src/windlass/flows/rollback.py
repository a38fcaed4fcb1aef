"""ROLLBACK by the controller itself: a commit that stays Degraded is pinned away, where Git asks for it.

``look`` is called whenever an Application or its health looks different; ``decide`` is a worker's step when the moment
has come that ``core/health/probation`` named. The pin is a commit of the controller's own, inside ``write.paths``. It
never rolls back what is pinned, and never the same commit twice: whoever went forward again meant it. It only pins:
content is put right by people.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import structlog

from windlass.core.edits.intents import pin
from windlass.core.health.probation import judge
from windlass.core.kinds.application_status import Deployed, last_healthy
from windlass.core.kinds.fields import moment, seconds, stamp
from windlass.core.kinds.reasons import Reason
from windlass.core.model import HealthStatus, events
from windlass.flows.commits import Commits
from windlass.flows.fleet import ApplicationState, Fleet, Key
from windlass.flows.queue import WorkQueue
from windlass.flows.record import Recorder
from windlass.flows.report import Reporter
from windlass.flows.write import Written
from windlass.ports import Clock

log = structlog.get_logger("windlass")


class AutoRollback:
    """``queue`` holds when each Application is to be decided about."""

    def __init__(self, fleet: Fleet, commits: Commits, reporter: Reporter, clock: Clock, record: Recorder) -> None:
        self._fleet = fleet
        self._commits = commits
        self._reporter = reporter
        self._clock = clock
        self._record = record
        self._degraded: dict[Key, str] = {}
        self._decided: dict[Key, str] = {}
        self.queue: WorkQueue[Key] = WorkQueue(base=1.0, cap=60.0)

    def look(self, state: ApplicationState) -> None:
        """Notes that a commit is Degraded, and when that is decided about. Costs nothing where Git asks for none."""
        written = state.written
        if written is None or written.spec.rollback.on_degraded != "pin":
            return
        commit = state.applied_commit
        if state.health.status is HealthStatus.DEGRADED:
            self._degraded[state.key] = commit
        at = self._moment(state)
        if at is None:
            if self._decided.get(state.key) != commit:
                self._say(state, "")
            return
        self.queue.add_after(state.key, max(0.0, (at - self._clock.now()).total_seconds()) + 0.05)
        target = last_healthy(self._history(state), commit)
        if target and self._decided.get(state.key) != commit:
            self._say(state, f"rolls back to {target[:7]} at {stamp(at)} unless Healthy (rollback.onDegraded)")

    def gone(self, state: ApplicationState) -> None:
        """The Application is no more."""
        self.queue.drop(state.key)
        self._degraded.pop(state.key, None)
        self._decided.pop(state.key, None)

    async def decide(self, key: Key) -> None:
        """A worker's step: the moment has come."""
        state = self._fleet.applications.get(key)
        self.queue.forget(key)
        if state is None or not self._due(state) or self._decided.get(key) == state.applied_commit:
            return
        commit = self._decided[key] = state.applied_commit
        target = last_healthy(self._history(state), commit)
        home = self._commits.home(state)
        if not target:
            self._stop(state, f"{commit[:7]} is not rolled back: no commit is known with which it was Healthy")
        elif home is None:
            self._stop(state, f"{commit[:7]} is not rolled back: the Application is in no file in Git")
        elif not self._commits.may_write(home[0]):
            self._stop(state, f"{commit[:7]} is not rolled back: Repository {home[0]} has no credentials for writing")
        else:
            identity = hashlib.sha256(f"rollback {state.uid} {commit}".encode()).hexdigest()[:32]
            within = state.written.spec.rollback.within if state.written is not None else ""
            reason = f"Degraded with {commit[:7]}, and not Healthy within {within}: {state.health.message}"
            intent = pin(home[1], target, identity=identity, reason=reason, was=commit)
            log.info("rolls back", application=state.name, commit=commit, to=target)
            state.pinning = target  # seen in the spec before the answer of the push, it is known for our own
            self._commits.want(home[0], intent, lambda done: self._done(state, commit, target, reason, done))

    def _done(self, state: ApplicationState, commit: str, target: str, reason: str, done: Written) -> None:
        if done.error is not None:
            state.pinning = ""
            self._stop(state, f"{commit[:7]} is not rolled back: {done.error}")
        elif done.result == "already":
            state.pinning = ""
            did = f"{done.commit[:7]} did, and somebody went forward again"
            self._stop(state, f"{commit[:7]} is not rolled back a second time: {did}")
        else:
            self._say(state, "")
            text = f"{done.commit[:7]} pins {target[:7]} (was {commit[:7]}): {reason}"
            self._reporter.event(state, Reason.ROLLED_BACK.value, text, warning=True)
            data = events.RolledBack(
                pins=target,
                was=commit,
                commit=done.commit,
                automatic=True,
                reason=reason.partition(":")[0],
                actor="windlass",
            )
            self._record.tell(state.name, data, key=f"rollback {state.uid} {done.commit}")

    def _stop(self, state: ApplicationState, text: str) -> None:
        self._say(state, text)
        self._reporter.event(state, Reason.ROLLBACK_STOPPED.value, text, warning=True)

    def _say(self, state: ApplicationState, text: str) -> None:
        if state.rolls_back != text:
            state.rolls_back = text
            self._reporter.changed(state)

    def _due(self, state: ApplicationState) -> bool:
        return self._judged(state, due=True) is not None

    def _moment(self, state: ApplicationState) -> datetime | None:
        return self._judged(state, due=False)

    def _judged(self, state: ApplicationState, *, due: bool) -> datetime | None:
        """The moment at which it is decided (``due``: now); None where nothing is to be decided."""
        written, now = state.written, self._clock.now()
        history = self._history(state)
        if written is None or written.spec.source.at or not history or history[0].commit != state.applied_commit:
            return None
        if written.spec.rollback.on_degraded != "pin" or not history[0].at:
            return None
        if written.spec.suspend is not None and written.spec.suspend.active(now):
            return None
        verdict = judge(
            moment(history[0].at),
            seconds(written.spec.rollback.within),
            state.health.status,
            degraded=self._degraded.get(state.key) == state.applied_commit,
            now=now,
        )
        return now if verdict.due else (None if due else verdict.at)

    @staticmethod
    def _history(state: ApplicationState) -> list[Deployed]:
        return state.status.history if state.status is not None else []
