"""What a person sees of an Application or a Repository: status, conditions, Kubernetes Events, a log line per decision.

The flows change state and call ``changed``; this writes the status once per change of what it says, all in it, and
never a heartbeat. It decides nothing and no flow waits for it: a status that can't be written now is written later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import structlog

from windlass.core.kinds import application, conditions, installation, repository
from windlass.core.kinds.application_status import (
    ApplicationStatus,
    BreakGlassStatus,
    OutcomeLine,
    Pending,
    content_of,
    drift_status,
    history_of,
    outcome_lines,
    outside_status,
)
from windlass.core.kinds.fields import stamp
from windlass.core.kinds.kind import API_VERSION, GROUP, VERSION
from windlass.core.kinds.reasons import Reason
from windlass.core.kinds.repository import RepositoryStatus
from windlass.core.model import HealthStatus, ObjectRef, Resource, Result
from windlass.errors import TryLater, WindlassError
from windlass.flows.fleet import ApplicationState, Fleet, Key, SourceState
from windlass.flows.ledger import LedgerKeeper
from windlass.flows.outcomes import WRONG
from windlass.flows.queue import WorkQueue
from windlass.flows.waiting import Manual, PartlyApplied, StageWaits
from windlass.ports import Clock, Cluster, ClusterUnavailable, ObjectMissing

log = structlog.get_logger("windlass")

APPLICATIONS = Resource(GROUP, VERSION, "applications", application.KIND, True)
REPOSITORIES = Resource(GROUP, VERSION, "repositories", repository.KIND, True)
INSTALLATIONS = Resource(GROUP, VERSION, "installations", installation.KIND, False)
EVENTS = Resource("", "v1", "events", "Event", True)
MANAGER = "windlass"
SETTLE = 0.3
"""Seconds in which changes of one status are folded into one write."""
LOOKING = 3.0
"""Seconds for which the end of a look is waited for, so that a sync is one write and not one for each of its steps."""
MOST_EVENTS = 1000
REPEAT = 300.0
LONGEST = 1000


class Reporter:
    """``statuses`` and ``events`` are served by workers of ``app``; ``write_status`` and ``write_event`` do the
    work.
    """

    def __init__(self, fleet: Fleet, cluster: Cluster, clock: Clock, identity: str) -> None:
        self._fleet = fleet
        self._cluster = cluster
        self._clock = clock
        self._identity = identity
        self.listeners: list[Callable[[ApplicationState], None]] = []
        """Hear of an Application after its status was brought up to date: flows that decide by what it says."""
        self.cluster_listeners: list[Callable[[], None]] = []
        """The same of the Installation."""
        self.statuses: WorkQueue[tuple[str, Key]] = WorkQueue(base=0.5, cap=60.0)
        self.event_queue: WorkQueue[int] = WorkQueue(base=1.0, cap=60.0)
        self._events: dict[int, dict[str, Any]] = {}
        self._order: deque[int] = deque()
        self._number = 0
        self._told: dict[tuple[str, Key, str, str], float] = {}
        self.ledger: LedgerKeeper | None = None
        self.status_writes = 0
        self.events_written = 0
        self.events_dropped = 0

    # --- what flows call ---------------------------------------------------------------------------------------------

    def changed(self, state: ApplicationState) -> None:
        """Something about the Application may read differently now."""
        self.statuses.add_after((application.KIND, state.key), SETTLE)

    def installation_changed(self, after: float | None = None) -> None:
        """The Installation may read differently now, or in so many seconds."""
        self.statuses.add_after((installation.KIND, Key("", installation.NAME)), SETTLE if after is None else after)

    def source_changed(self, state: SourceState) -> None:
        self.statuses.add_after((repository.KIND, state.key), SETTLE)

    def event(self, state: ApplicationState, reason: str, message: str, *, warning: bool = False) -> None:
        """A Kubernetes Event on the Application. The same one within five minutes is told once."""
        self._queue_event(application.KIND, state.key, state.uid, reason, message, warning)

    def cluster_event(self, reason: str, message: str) -> None:
        """The same on the Installation."""
        found = self._fleet.installation
        if found is not None:
            key = Key("", installation.NAME)
            self._queue_event(installation.KIND, key, found.metadata.uid, reason, message, warning=False)

    def _queue_event(self, kind: str, key: Key, uid: str, reason: str, message: str, warning: bool) -> None:
        now = self._clock.monotonic()
        told = (kind, key, reason, message)
        if now - self._told.get(told, float("-inf")) < REPEAT:
            return
        if len(self._told) > 10 * MOST_EVENTS:
            self._told = {one: at for one, at in self._told.items() if now - at < REPEAT}
        self._told[told] = now
        if len(self._order) >= MOST_EVENTS:
            dropped = self._order.popleft()
            self._events.pop(dropped, None)
            self.event_queue.drop(dropped)
            self.events_dropped += 1
        self._number += 1
        self._events[self._number] = self._event(kind, key, uid, reason, message, warning)
        self._order.append(self._number)
        self.event_queue.add(self._number)

    # --- what workers call -------------------------------------------------------------------------------------------

    async def write_event(self, number: int) -> None:
        content = self._events.get(number)
        if content is None:
            return
        namespace = content["metadata"]["namespace"]
        try:
            await self._cluster.create(EVENTS, namespace, content, manager=MANAGER)
        except ClusterUnavailable:
            raise
        except WindlassError as error:
            # Events are help, not state: one that is refused (its namespace went away) must not stop anything.
            log.debug("event refused", reason=content["reason"], error=error.what)
        else:
            self.events_written += 1
        self._events.pop(number, None)
        self.event_queue.forget(number)
        if number in self._order:
            self._order.remove(number)

    async def write_status(self, item: tuple[str, Key]) -> None:
        kind, key = item
        try:
            if kind == application.KIND:
                state = self._fleet.applications.get(key)
                if state is not None and state.generation and not self._early(item, state):
                    await self._write_application(state)
                    for listener in self.listeners:
                        listener(state)
            elif kind == installation.KIND:
                await self._write_installation()
                for hears in self.cluster_listeners:
                    hears()
            else:
                source = self._fleet.sources.get(key)
                if source is not None and source.generation:
                    await self._write_source(source)
        except ObjectMissing:
            # Deleted a moment ago; its watch event is on the way.
            log.debug("status of what is gone", kind=kind, key=str(key))
        self.statuses.forget(item)

    def _early(self, item: tuple[str, Key], state: ApplicationState) -> bool:
        """Whether there will be more to tell in a moment."""
        if state.looking is not None:
            left = state.looking + LOOKING - self._clock.monotonic()
            if left > 0:
                self.statuses.add_after(item, left)
                return True
        return not state.decided and state.invalid is None

    async def _write_application(self, state: ApplicationState) -> None:
        old = state.status or ApplicationStatus()
        new = application_status(state, old, self._clock.now())
        if conditions.same(old, new):
            return
        self._tell(state, old, new)
        state.status = new
        try:
            await self._patch(APPLICATIONS, ObjectRef(GROUP, application.KIND, *state.key), old, new)
        except WindlassError:
            state.status = old
            raise

    async def _write_source(self, state: SourceState) -> None:
        old = state.status or RepositoryStatus()
        new = source_status(state, old, self._clock.now())
        if conditions.same(old, new):
            return
        state.status = new
        try:
            await self._patch(REPOSITORIES, ObjectRef(GROUP, repository.KIND, *state.key), old, new)
        except WindlassError:
            state.status = old
            raise

    async def _write_installation(self) -> None:
        """The Installation is read. Its recorded kinds are written by ``inventory``, before they are needed."""
        found = self._fleet.installation
        if found is None:
            return
        old = found.status
        generation = found.metadata.generation
        text = f"this cluster is {found.spec.name}"
        made = conditions.ready(
            old.conditions, Reason.RECORDED.value, text, now=self._clock.now(), generation=generation
        )
        ledger = old.ledger
        if self.ledger is not None:
            made = self.ledger.conditions(made, self._clock.now(), generation)
            ledger = self.ledger.status(old.ledger)
        new = msgspec.structs.replace(old, ledger=ledger, conditions=made, observed_generation=generation)
        if not conditions.same(old, new):
            await self._patch(INSTALLATIONS, ObjectRef(GROUP, installation.KIND, "", installation.NAME), old, new)

    async def _patch(self, resource: Resource, ref: ObjectRef, old: object, new: object) -> None:
        # Where nothing was written yet, what reads like nothing ("Unknown") is an answer too and stands in the columns.
        before = msgspec.to_builtins(old) if old != type(old)() else {}
        patch = difference(before, msgspec.to_builtins(new))
        self.status_writes += 1
        await self._cluster.patch(resource, ref, {"status": patch}, form="merge", manager=MANAGER, subresource="status")

    def _tell(self, state: ApplicationState, old: ApplicationStatus, new: ApplicationStatus) -> None:
        """The log line and the Event of what is different from the last status."""
        was, now = conditions.condition(old.conditions, "Ready"), conditions.condition(new.conditions, "Ready")
        if now is not None and (was is None or (was.reason, was.message) != (now.reason, now.message)):
            stalled = conditions.condition(new.conditions, "Stalled") is not None
            log.info(
                "application",
                application=state.name,
                reason=now.reason,
                message=now.message,
                sync=new.sync,
                health=new.health,
                commit=new.commit[:12],
            )
            if stalled or (
                now.status == "True" and was is not None and was.status == "False" and old.health == "Degraded"
            ):
                self.event(state, now.reason, now.message, warning=stalled)
        if new.commit and new.commit != old.commit:
            told = ", ".join(f"{number} {word}" for word, number in new.counts.items())
            self.event(state, Reason.SYNCED.value, f"{new.commit[:7]} applied: {told}")

    def _event(self, kind: str, key: Key, uid: str, reason: str, message: str, warning: bool) -> dict[str, Any]:
        now = self._clock.now()
        at = stamp(now)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{key.name[:220]}.{int(now.timestamp() * 1e6):x}{self._number & 0xFFF:03x}",
                # The API server takes Events about what has no namespace in this one only.
                "namespace": key.namespace or "default",
            },
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": kind,
                **({"namespace": key.namespace} if key.namespace else {}),
                "name": key.name,
                "uid": uid,
            },
            "reason": reason,
            "message": message[:LONGEST],
            "type": "Warning" if warning else "Normal",
            "source": {"component": "windlass"},
            "reportingComponent": "windlass.dev/controller",
            "reportingInstance": self._identity,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }


def application_status(state: ApplicationState, old: ApplicationStatus, now: datetime) -> ApplicationStatus:
    """The status that the state comes to. ``old`` keeps the times of conditions that did not change."""
    reason, message, tone = summary(state)
    pending = None
    if state.pending_commit and state.pending_commit != state.applied_commit and state.waiting is not None:
        pending = Pending(state.pending_commit, state.waiting.what[:LONGEST])
    kinds: dict[str, int] = {}
    for ref in state.desired:
        word = f"{ref.kind}.{ref.group}" if ref.group else ref.kind
        kinds[word] = kinds.get(word, 0) + 1
    drift = [item for items in state.drift.values() for item in items]
    drift += [item for items in state.admission.values() for item in items]
    set_ = {"ready": conditions.ready, "going": conditions.reconciling, "stalled": conditions.stalled}[tone]
    return ApplicationStatus(
        commit=state.applied_commit,
        chart=chart_words(state, old.chart),
        outside=outside_status(state.outside) or old.outside,
        pending=pending,
        sync=state.sync,
        health=state.health.status.value,
        counts=state.counts,
        objects=dict(sorted(kinds.items())),
        outcomes=told_outcomes(state, old),
        drift=drift_status(drift),
        history=history_of(
            old.history,
            state.applied_commit,
            well=is_well(state),
            degraded=state.health.status is HealthStatus.DEGRADED,
            changed=bool(state.counts.keys() - {Result.UNCHANGED.value, Result.KEPT.value, Result.SKIPPED.value}),
            content=content_of(state.rendered) if state.rendered is not None and is_rendered(state) else "",
            chart=chart_words(state, old.chart),
            outside=outside_status(state.outside) if is_rendered(state) else None,
            now=now,
        ),
        break_glass=state.glass,
        messages=message_lines(state),
        synced_at=stamp(state.synced_at) if state.synced_at is not None else old.synced_at,
        last_sync_request=state.request_done,
        conditions=set_(old.conditions, reason, message[:LONGEST], now=now, generation=state.generation),
        observed_generation=state.generation,
    )


def told_outcomes(state: ApplicationState, old: ApplicationStatus) -> list[OutcomeLine]:
    """What became of the objects. What went wrong by an earlier commit than the one that waits is not why it waits."""
    outcomes = list(state.outcomes.values())
    of = state.noted_commit if state.noted else old.pending.commit if old.pending is not None else ""
    if not state.pending_commit or state.pending_commit == of:
        return outcome_lines(outcomes) if state.noted else old.outcomes
    if state.noted:
        return outcome_lines([one for one in outcomes if one.result not in WRONG])
    return [one for one in old.outcomes if one.result not in WRONG]


def chart_words(state: ApplicationState, old: str) -> str:
    """The chart of the last render, as the status tells it."""
    if state.rendered_for is None:
        return old if state.written is not None and state.written.spec.source.chart is not None else ""
    chart = state.rendered_for.chart
    if chart is None:
        return ""
    return f"{chart.name} {chart.version} {chart.digest}" + (f" signed by {chart.signer}" if chart.signer else "")


def is_rendered(state: ApplicationState) -> bool:
    """Whether the last render is of the commit that is applied: what it got is what runs."""
    return state.rendered is not None and state.rendered.commit == state.applied_commit


def is_well(state: ApplicationState) -> bool:
    """Whether what is applied is all that Git wants, and Healthy."""
    return state.sync == "Synced" and state.health.status is HealthStatus.HEALTHY and state.waiting is None


def summary(state: ApplicationState) -> tuple[str, str, str]:
    """Reason, message and tone ("ready", "going", "stalled") of an Application as it stands."""
    error = state.invalid or state.waiting
    health = state.health
    if error is not None and not (isinstance(error, Manual) and state.sync == "Synced"):
        place = str(error)
        if isinstance(error, StageWaits):
            return Reason.PROGRESSING.value, place, "going"
        if isinstance(error, PartlyApplied) and error.passing:
            return Reason.RETRYING.value, place, "going"
        return error.reason, place, "going" if isinstance(error, TryLater) else "stalled"
    if state.sync != "Synced":
        return Reason.PENDING.value, "not looked at yet", "going"
    if health.status is HealthStatus.DEGRADED:
        return Reason.UNHEALTHY.value, health.message, "stalled"
    if health.status in (HealthStatus.PROGRESSING, HealthStatus.MISSING, HealthStatus.UNKNOWN):
        return Reason.PROGRESSING.value, health.message, "going"
    kept = sum(1 for one in state.outcomes.values() if one.result is Result.KEPT)
    more = f", {kept} kept that left Git" if kept else ""
    if state.glass is not None and state.glass_holds:
        text = f"{state.applied_commit[:7]} is applied and pinned in the cluster until {state.glass.until}{more}"
        return Reason.BREAK_GLASS.value, text, "ready"
    if state.written is not None and state.written.spec.source.at:
        text = f"{state.applied_commit[:7]} is applied and pinned, {health.message or 'Healthy'}{more}"
        return Reason.PINNED.value, text, "ready"
    return Reason.SYNCED.value, f"{state.applied_commit[:7]} is applied, {health.message or 'Healthy'}{more}", "ready"


def glass_line(glass: BreakGlassStatus) -> str:
    """The pin in the cluster, for a person."""
    recorded = f"in Git by {glass.committed[:7]}" if glass.committed else glass.message or "not in Git yet"
    return f'break-glass: {glass.commit[:7]} until {glass.until} by {glass.by}: "{glass.reason}"; {recorded}'


def message_lines(state: ApplicationState) -> list[str]:
    """What a person needs to know now: the mend first, then each bad manifest, then what objects say."""
    lines: list[str] = []
    error = state.invalid or state.waiting
    if error is not None and error.hint:
        lines.append(f"mend: {error.hint}")
    if state.glass is not None and state.glass_holds:
        lines.append(glass_line(state.glass))
    if state.rolls_back:
        lines.append(state.rolls_back)
    for problem in getattr(error, "problems", ())[1:10]:
        place = f"{problem.file}:{problem.line}: " if problem.file else ""
        lines.append(f"{place}{problem.what}")
    if state.chart_error is not None and state.chart is not None:
        lines.append(f"no newer version of the chart could be looked for: {state.chart_error.what}")
    if state.rendered is not None:
        lines += [f"{one.file}{f':{one.line}' if one.line else ''}: {one.what}" for one in state.rendered.warnings[:5]]
    for told in sorted(state.objects.values(), key=lambda one: one.ref):
        if told.details and len(lines) < 20:
            lines.append(f"{told.ref}: {told.health.message}")
            lines += [f"  {line}" for line in told.details]
    return [line[:LONGEST] for line in lines[:30]]


def source_status(state: SourceState, old: RepositoryStatus, now: datetime) -> RepositoryStatus:
    """The status that a Repository comes to."""
    error = state.invalid or state.error
    generation = state.generation
    if error is not None:
        set_ = conditions.reconciling if isinstance(error, TryLater) else conditions.stalled
        made = set_(old.conditions, error.reason, str(error)[:LONGEST], now=now, generation=generation)
    elif state.ledger_only:
        made = conditions.ready(
            old.conditions, Reason.LEDGER_ONLY.value, "holds the ledger", now=now, generation=generation
        )
    elif state.commit:
        text = f"{state.commit[:7]} is here"
        made = conditions.ready(old.conditions, Reason.FETCHED.value, text, now=now, generation=generation)
    else:
        text = "not asked yet"
        made = conditions.reconciling(old.conditions, Reason.FETCHING.value, text, now=now, generation=generation)
    # Seen again after a start is not seen first.
    fetched = old.fetched_at
    if state.fetched_at is not None and (state.commit != old.commit or not fetched):
        fetched = stamp(state.fetched_at)
    # Before the first look of a process, what the one before it found still says who it was.
    signature = state.signature if state.judged is not None or state.commit != old.commit else old.signature
    if state.written is not None and state.written.spec.verify is None:
        signature = ""
    return RepositoryStatus(state.commit, fetched, signature, made, generation)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch from one status to the next: what changed, and null for what is gone."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if before == value:
            continue
        if isinstance(before, dict) and isinstance(value, dict):
            patch[key] = difference(before, value)
        else:
            patch[key] = value
    return patch
