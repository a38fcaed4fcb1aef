"""What the flows tell the ledger, one line each: plans, outcomes, health, drift, sources, requests.

Every flow calls it at the place where the thing happens. It decides what is news: a repeat of what was told is not told
again, neither within this process nor after a start, where the status of each object says what was told before. It does
no I/O that waits, but for ``planned``, which asks the mirror for the commits behind a deployment before it begins.

Where the Installation names no ledger nothing is recorded; ``flows/ledger.py`` says so on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import structlog

from windlass.core.health.rollup import worst
from windlass.core.kinds import conditions
from windlass.core.model import Action, Change, Drift, HealthStatus, ObjectRef, Outcome, Outside, Plan, Result, events
from windlass.core.record.delivery import Delivery
from windlass.core.record.facts import fact
from windlass.core.record.private import Private
from windlass.errors import TryLater, WindlassError
from windlass.flows.fleet import ApplicationState, Key, SourceState
from windlass.flows.metrics import Metrics
from windlass.flows.outcomes import WRONG
from windlass.ports import Clock, Ledger

log = structlog.get_logger("windlass")

TEAM = "windlass.dev/team"
"""Label of an Application: whose it is, for metrics and alerts by team."""
DONE, IN_PART = "applied", "applied in part"
"""How a sync ended well: of everything, or of the one object that somebody asked for."""
IDLE = frozenset({Action.UNCHANGED, Action.KEEP, Action.SKIP})
STILL = frozenset({Result.UNCHANGED, Result.KEPT, Result.SKIPPED})
GATES = frozenset({"SourceNotReady", "DependencyNotReady", "Manual", "Suspended", "StageWaits", "PartlyApplied"})
"""Errors of a sync that are told elsewhere, or are no failure: they wait for what somebody wrote."""
MOST = 200
"""Lines of a plan, and outcomes, that one event lists; the counts are of all."""

Place = tuple[str, str]
Story = Callable[[ApplicationState, str, str], Awaitable[list[events.Commit]]]
"""The commits that led from one to another and touch what an Application reads, newest first."""


@dataclass(slots=True)
class _Told:
    """What was told of one Application, so that it is not told twice."""

    health: str = ""
    since: float = 0.0
    refusal: tuple[str, str, str] = ("", "", "")
    looked: bool = False
    """Whether a look of this process came to anything: before, the status says what the last one told."""
    planned: tuple[str, int] = ("", 0)
    outcome: tuple[str, int] = ("", 0)
    began: float = 0.0
    open_commit: str = ""
    """The commit of a plan that has no outcome yet."""
    resumed: bool = False
    commits: list[events.Commit] = field(default_factory=list)
    fetched: str = ""
    drift: dict[Place, str] = field(default_factory=dict)
    """What stands open, by object and field, and a mark of how; "" where a process before this one told it."""


class Recorder:
    """``attach`` names the ledger to write to, None for nowhere; ``story`` is asked for the commits behind a plan."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._ledger: Ledger | None = None
        self._listeners: list[tuple[Callable[[events.Event], None], Callable[[], bool]]] = []
        self._private = Private(b"")
        self._cluster = ""
        self._told: dict[Key, _Told] = {}
        self._held: dict[Key, str] = {}
        self.story: Story | None = None
        self.attached = asyncio.Event()
        self.delivery = Delivery(history=2)
        self._metrics = metrics

    @property
    def private(self) -> Private:
        """What may be told of values and sentences."""
        return self._private

    def attach(self, ledger: Ledger | None, cluster: str, private: Private) -> None:
        self._ledger, self._cluster, self._private = ledger, cluster, private
        if ledger is not None:
            self.attached.set()

    def listen(self, callback: Callable[[events.Event], None], wanted: Callable[[], bool]) -> None:
        """Calls back with each event as it is told, whether a ledger keeps it or not. Must not block. ``wanted``: where
        nobody listens and no ledger is named, events are not made at all."""
        self._listeners.append((callback, wanted))

    @property
    def _idle(self) -> bool:
        """Whether nobody would hear."""
        return self._ledger is None and not any(wanted() for _, wanted in self._listeners)

    def tell(self, subject: str, data: events.Data, *, key: str = "", severe: bool = False) -> None:
        """Any event. ``key`` names an occurrence that others may tell again (see ``events.make``)."""
        if self._idle:
            return
        event = events.make(self._cluster, subject, data, self._clock.now(), key=key, severe=severe)
        if self._ledger is not None:
            self._ledger.record(event)
            self._metrics.delivered(self.delivery.take(fact(event)))
        for callback, _ in self._listeners:
            callback(event)

    # --- SYNC --------------------------------------------------------------------------------------------------------

    async def planned(self, state: ApplicationState, plan: Plan, fetched: datetime | None) -> None:
        """Before anything is touched. A plan that does nothing is no news. ``fetched``: when its commit came."""
        if self._ledger is None:
            return
        changes = [one for one in plan.changes if one.action not in IDLE]
        told = self._of(state)
        resumes = told.resumed and told.open_commit == plan.commit
        if not changes and not plan.blocked and not resumes:
            return
        told.began = self._clock.monotonic()
        mark = (plan.commit, hash(tuple((one.action, one.ref, one.why) for one in changes)))
        if told.planned == mark:
            return
        if plan.commit != told.open_commit or (resumes and not told.commits):
            told.commits = await self._story(state, plan.commit)
        told.planned, told.open_commit, told.resumed = mark, plan.commit, resumes
        if not changes and not plan.blocked:
            return
        told.fetched = events.stamp(fetched) if fetched is not None else ""
        data = events.Planned(
            commit=plan.commit,
            repository=repository_of(state),
            counts={action.value: number for action, number in plan.counted().items()},
            changes=[self._change(one) for one in changes[:MOST]],
            actor=told.commits[0].author if told.commits else "",
            team=team_of(state),
        )
        self.tell(state.name, data)

    async def _story(self, state: ApplicationState, commit: str) -> list[events.Commit]:
        """The commits behind a deployment. It is what matters; who wrote them is told where Git can be asked."""
        try:
            return await self.story(state, state.applied_commit, commit) if self.story is not None else []
        except WindlassError as error:
            log.warning("commits not told", application=state.name, error=error.what)
            return []

    def applied(
        self,
        state: ApplicationState,
        plan: Plan,
        outcomes: Mapping[ObjectRef, Outcome],
        result: str,
        *,
        untold: bool = False,
    ) -> None:
        """What a sync came to, or one pass of it. Nothing done is news only where a plan stood open, or where a process
        before this one did it and could not tell (``untold``)."""
        if self._idle:
            return
        told = self._of(state)
        done = [one for one in outcomes.values() if one.result not in STILL]
        if not done and not ((told.open_commit or untold) and result == DONE):
            return
        mark = (plan.commit, hash(tuple(sorted((one.ref, one.result, one.message) for one in done))))
        if told.outcome == mark and all(one.result in WRONG for one in done) and result != DONE:
            return  # tried again, and the same came of it
        told.outcome = mark
        counts: dict[str, int] = {}
        for one in outcomes.values():
            counts[one.result.value] = counts.get(one.result.value, 0) + 1
        source = state.written.spec.source if state.written is not None else None
        # Of another commit, whose plan was refused or given up, the commits behind it are not what led here.
        commits = told.commits if told.open_commit == plan.commit else []
        asked = state.request if state.request != state.request_done else ""
        data = events.Applied(
            commit=plan.commit,
            result=result,
            previous=state.applied_commit,
            repository=repository_of(state),
            path=source.path if source is not None else "",
            pinned=source is not None and bool(source.at),
            request=asked,
            counts=counts,
            outcomes=[self._outcome(one) for one in done[:MOST]],
            commits=commits,
            health=worst(state.objects.values()).status.value if state.objects else HealthStatus.HEALTHY.value,
            seconds=round(self._clock.monotonic() - told.began, 3) if told.began else 0.0,
            resumed=told.resumed or untold,
            fetched=told.fetched,
            outside=bounded(state.outside),
            actor=requester(asked) or (commits[0].author if commits else ""),
            team=team_of(state),
        )
        if result == DONE:
            told.open_commit, told.commits, told.began, told.resumed = "", [], 0.0, False
        self.tell(state.name, data)

    def refused(self, state: ApplicationState, error: WindlassError) -> None:
        """A sync that did not come to an apply. The same error is told once, until it is over."""
        if self._idle or type(error).__name__ in GATES:
            return
        told = self._of(state)
        commit = state.pending_commit or error.where.commit
        mark = (commit, error.reason, error.what)
        if told.refusal == mark:
            return
        first, told.refusal, told.looked = not told.looked, mark, True
        before = conditions.condition(state.status.conditions, "Ready") if state.status is not None else None
        if first and before is not None and before.reason == error.reason and before.message.startswith(error.what):
            return  # told by the process before this one
        data = events.Refused(
            commit=commit,
            reason=error.reason,
            message=self._private.sentence(str(error)),
            mend=self._private.sentence(error.hint),
            passing=isinstance(error, TryLater),
            team=team_of(state),
        )
        self.tell(state.name, data)

    def well(self, state: ApplicationState) -> None:
        """A look that came to its end: what was refused before is over."""
        if self._ledger is not None:
            told = self._of(state)
            told.refusal, told.looked = ("", "", ""), True

    def requested(self, state: ApplicationState, request: str) -> None:
        """A person asked, by the annotation on the Application. The text is its own id: a restart tells it once."""
        data = events.Requested(
            verb="sync", request=self._private.sentence(request), actor=requester(request), team=team_of(state)
        )
        self.tell(state.name, data, key=f"request {state.uid} {request}")

    def gone(self, state: ApplicationState) -> None:
        """The Application is no more."""
        self._told.pop(state.key, None)

    # --- health ------------------------------------------------------------------------------------------------------

    def health(self, state: ApplicationState) -> None:
        """The Application's health was rolled up. What it was before a start is in its status."""
        if self._idle:
            return
        told, now = self._of(state), state.health.status
        if now.value == told.health or now is HealthStatus.UNKNOWN:
            return
        if now is HealthStatus.MISSING and (state.looking is not None or not state.applied_commit):
            return  # it is being applied
        clock = self._clock.monotonic()
        data = events.HealthChanged(
            health=now.value,
            was=told.health,
            message=self._private.sentence(state.health.message),
            commit=state.applied_commit or state.desired_commit,
            seconds=round(clock - told.since, 3) if told.since else 0.0,
            team=team_of(state),
        )
        told.health, told.since = now.value, clock
        self.tell(state.name, data, severe=now is HealthStatus.DEGRADED)

    # --- DRIFT -------------------------------------------------------------------------------------------------------

    def drift(self, state: ApplicationState, seen: ObjectRef | None = None) -> None:
        """What stands open on the Application's objects now: what is new is opened, what is gone is closed. ``seen`` is
        the object that was looked at: of the others, what an earlier process told is not known to be gone."""
        if self._idle:
            return
        told = self._of(state).drift
        standing: set[Place] = set()
        for table in (state.drift, state.admission):
            for items in table.values():
                for one in items:
                    standing.add((one.ref.full, one.field))
                    self._opened(state, told, one)
        looked = {seen.full} if seen is not None else set()
        for place in [place for place, mark in told.items() if place not in standing and (mark or place[0] in looked)]:
            self._closed(state, told, place, "gone")

    def told_before(self, state: ApplicationState) -> list[ObjectRef]:
        """Objects on which an earlier process told of something open, and this one has not looked at yet."""
        if self._idle:
            return []
        open_ = {place[0] for place, mark in self._of(state).drift.items() if not mark}
        return [ref for ref in state.desired if ref.full in open_] if open_ else []

    def put_back(self, state: ApplicationState, found: Iterable[Drift]) -> None:
        """Differences that were put right a moment ago."""
        if self._idle:
            return
        told = self._of(state).drift
        for one in found:
            self._opened(state, told, one)
            self._closed(state, told, (one.ref.full, one.field), "put back")

    def _opened(self, state: ApplicationState, told: dict[Place, str], one: Drift) -> None:
        place = (one.ref.full, one.field)
        mark = f"{one.response.value} {one.manager} {hash(repr(one.live))}"
        before = told.get(place)
        told[place] = mark
        if before in (mark, ""):
            return
        data = events.DriftOpened(
            object=events.object_word(one.ref),
            field=one.field,
            cause=one.cause.value,
            response=one.response.value,
            desired=self._private.value(one.ref, one.field, one.desired),
            live=self._private.value(one.ref, one.field, one.live),
            manager=one.manager,
            operation=one.operation,
            since=one.since,
            actor=one.manager,
            team=team_of(state),
        )
        self.tell(state.name, data, severe=one.severe)

    def _closed(self, state: ApplicationState, told: dict[Place, str], place: Place, how: str) -> None:
        del told[place]
        ref = next((one for one in state.desired if one.full == place[0]), None)
        word = events.object_word(ref) if ref is not None else place[0]
        self.tell(state.name, events.DriftClosed(object=word, field=place[1], how=how, team=team_of(state)))

    # --- sources -----------------------------------------------------------------------------------------------------

    def fetched(self, source: SourceState, commit: events.Commit, previous: str, changed: int) -> None:
        """A ref came to another commit. The commit is its own id: what a restart sees again is told once."""
        if previous == commit.id:
            return
        data = events.Fetched(commit=commit, previous=previous, changed=changed, actor=commit.author)
        self.tell(source_word(source), data, key=f"fetched {previous} {commit.id}")

    def held(self, source: SourceState, error: WindlassError) -> None:
        """A ref came to a commit that is not followed."""
        if self._held.get(source.key) == source.held:
            return
        self._held[source.key] = source.held
        data = events.Held(commit=source.commit, held=source.held, message=self._private.sentence(error.what))
        self.tell(source_word(source), data, key=f"held {source.commit} {source.held}")

    # --- inside ------------------------------------------------------------------------------------------------------

    def _of(self, state: ApplicationState) -> _Told:
        told = self._told.get(state.key)
        if told is None:
            told = self._told[state.key] = _Told()
            status = state.status
            if status is not None:
                told.health = status.health if status.health != HealthStatus.UNKNOWN.value else ""
                told.drift = {(line.object, line.field): "" for line in status.drift.items}
            if self._ledger is not None and state.name in self._ledger.unfinished:
                told.open_commit, told.resumed = self._ledger.unfinished.pop(state.name), True
        return told

    def _change(self, change: Change) -> events.PlannedChange:
        origin = change.desired.origin if change.desired is not None else None
        return events.PlannedChange(
            action=change.action.value,
            object=events.object_word(change.ref),
            why=self._private.sentence(change.why),
            file=origin.file if origin else "",
            line=origin.line if origin else 0,
        )

    def _outcome(self, outcome: Outcome) -> events.RecordedOutcome:
        return events.RecordedOutcome(
            object=events.object_word(outcome.ref),
            result=outcome.result.value,
            message=self._private.sentence(outcome.message),
            mend=self._private.sentence(outcome.mend),
            file=outcome.file,
            line=outcome.line,
        )


def bounded(outside: Outside | None) -> Outside | None:
    """As much of it as one event tells."""
    if outside is None or len(outside.images) <= MOST:
        return outside
    return msgspec.structs.replace(outside, images=outside.images[:MOST])


def repository_of(state: ApplicationState) -> str:
    return str(state.linked.source) if state.linked.source is not None else ""


def team_of(state: ApplicationState) -> str:
    return state.written.metadata.labels.get(TEAM, "") if state.written is not None else ""


def requester(request: str) -> str:
    """Whom a request names: ``<time> <who> [only=Kind/name]``."""
    words = request.split()
    return words[1] if len(words) > 1 else ""


def source_word(source: SourceState) -> str:
    return f"Repository/{source.key}"
