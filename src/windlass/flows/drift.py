"""DRIFT: a watch event on a managed object -> compare -> tell -> revert, alert or report.

``DriftFlow.on_change`` sees every step of the live index. Most cost nothing: status writes, foreign labels, our own
answers. What looks like somebody's hand is read once (one GET) and compared with what Git wants; only then is anything
said or done. An object that a sync is writing at this moment is looked at when its answer is in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

from windlass.core.kinds.application import Application
from windlass.core.kinds.fields import seconds
from windlass.core.model import (
    Action,
    Change,
    Desired,
    Drift,
    DriftCause,
    DriftResponse,
    LiveObject,
    ObjectRef,
    Resource,
    Result,
)
from windlass.core.plan.drift import DriftRules, Fights, examine, removal_patch, suspicious
from windlass.core.plan.ignore import is_left
from windlass.core.plan.ownership import LABEL, ORIGIN, is_ours
from windlass.core.plan.secret import examine_secret
from windlass.core.words.alerts import drift_line
from windlass.errors import WindlassError
from windlass.flows.effects import Acting, Effects, metadata_content
from windlass.flows.fleet import ApplicationState, Fleet, Key
from windlass.flows.health import HealthWatch
from windlass.flows.metrics import Metrics
from windlass.flows.queue import WorkQueue
from windlass.flows.record import Recorder
from windlass.flows.report import Reporter
from windlass.ports import ApplyAnswer, Clock, Cluster, LiveChange

log = structlog.get_logger("windlass")

Item = tuple[Key, ObjectRef]
CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")


class DriftFlow:
    """Also ``effects.Track``: it knows which writes are our own. ``wake`` asks for a sync of an Application."""

    def __init__(
        self,
        fleet: Fleet,
        cluster: Cluster,
        clock: Clock,
        health: HealthWatch,
        reporter: Reporter,
        metrics: Metrics,
        *,
        wake: Callable[[Key], None],
        record: Recorder,
    ) -> None:
        self._fleet = fleet
        self._cluster = cluster
        self._clock = clock
        self._health = health
        self._reporter = reporter
        self._metrics = metrics
        self._wake = wake
        self._record = record
        self._effects: Effects | None = None
        self._acting: Callable[[ApplicationState, Application], Acting] | None = None
        self._fights: dict[Key, Fights] = {}
        self._seen: dict[Item, float] = {}
        self._counted: dict[Item, str] = {}
        self._putting: set[Item] = set()
        self.queue: WorkQueue[Item] = WorkQueue(base=1.0, cap=300.0)

    def attach(self, effects: Effects, acting: Callable[[ApplicationState, Application], Acting]) -> None:
        """The second half of the wiring: effects tell this flow of writes, and this flow writes through them."""
        self._effects = effects
        self._acting = acting

    # --- what the live index tells -----------------------------------------------------------------------------------

    def on_change(self, change: LiveChange) -> None:
        """One step of one object. Synchronous, and cheap for all but what looks like drift."""
        labels = {live.labels.get(LABEL, "") for live in (change.old, change.new) if live is not None}
        for label in labels:
            state = self._fleet.by_label.get(label)
            if state is not None:
                self._step(state, change)
        if (change.ref.group, change.ref.kind) == CRD:
            self._kinds_changed()

    def _step(self, state: ApplicationState, change: LiveChange) -> None:
        ref = change.ref
        if ref not in state.desired:
            if change.new is None:
                if ref in state.waiting_for:
                    self._wake(state.key)
            elif change.old is None and state.seen and is_ours(change.new, state.claim.label, state.claim.manager):
                # Of ours, and not seen when the plan was made (its kind could not be listed then).
                self._wake(state.key)
            return
        self._health.assess(state, ref)
        if ref in state.in_flight:
            state.parked.add(ref)
            return
        suspicion = suspicious(
            change.old,
            change.new,
            manager=state.claim.manager,
            label=state.claim.label,
            expected=state.answered.get(ref, ""),
        )
        if suspicion is not None:
            self._suspect(state.key, ref)

    def _suspect(self, key: Key, ref: ObjectRef) -> None:
        self._seen.setdefault((key, ref), self._clock.monotonic())
        self.queue.add((key, ref))

    def _kinds_changed(self) -> None:
        """A CRD came or changed: who waits for its kind need not wait for a retry."""
        for state in self._fleet.applications.values():
            if state.waiting is not None and state.waiting.reason in ("PartlyApplied", "KindUnknown"):
                self._wake(state.key)

    def compare(self, state: ApplicationState) -> None:
        """After a start or a new desired state: what was added while nobody looked shows in the field entries."""
        for ref in state.desired:
            live = self._cluster.live.get(ref)
            if live is None or ref in state.in_flight:
                continue
            if state.compared.get(ref) == live.resource_version:
                continue
            state.compared[ref] = live.resource_version
            if foreign_content(live, state):
                self._suspect(state.key, ref)
        for ref in self._record.told_before(state):
            self._suspect(state.key, ref)

    def forget(self, state: ApplicationState) -> None:
        """The Application is gone."""
        self._fights.pop(state.key, None)
        for ref in state.desired:
            self._drop((state.key, ref))

    def _drop(self, item: Item) -> None:
        self._seen.pop(item, None)
        self._counted.pop(item, None)
        self.queue.drop(item)

    # --- our own writes ----------------------------------------------------------------------------------------------

    def begin(self, label: str, ref: ObjectRef) -> None:
        state = self._fleet.by_label.get(label)
        if state is not None:
            state.in_flight.add(ref)

    def settled(self, acting: Acting, desired: Desired, answer: ApplyAnswer, altered: list[Drift]) -> None:
        """An apply was answered: what was seen in the meantime is ours, unless it is newer than the answer and not."""
        state = self._fleet.by_label.get(acting.label)
        if state is None:
            return
        ref, live = desired.ref, answer.live
        state.in_flight.discard(ref)
        state.answered[ref] = live.resource_version
        entry = live.applied_by(state.claim.manager)
        if entry is not None:
            state.intact[ref] = (desired.digest, entry.fields)
        self._cluster.live.observed(live)
        if ref in state.parked:
            state.parked.discard(ref)
            now = self._cluster.live.get(ref)
            if now is None or suspicious(
                live, now, manager=state.claim.manager, label=state.claim.label, expected=live.resource_version
            ):
                self._suspect(state.key, ref)
        self._note_admission(state, ref, altered)
        wanted = state.desired.get(ref)
        if wanted is None or wanted.digest != desired.digest:
            # Git moved on while this was on its way: what was written is not wanted any more.
            self._wake(state.key)
        # What Git names is as Git says now; what others added is still there.
        left = [one for one in state.drift.get(ref, ()) if one.cause is DriftCause.ADDED]
        if len(left) != len(state.drift.get(ref, ())):
            if (state.key, ref) not in self._putting:
                self._record.put_back(state, [one for one in state.drift[ref] if one not in left])
            self._open(state, ref, left)
        for warning in answer.warnings:
            log.warning("server warns", application=state.name, object=str(ref), warning=warning)
        self._health.assess(state, ref)

    def ended(self, label: str, ref: ObjectRef) -> None:
        """The write is over, however it ended."""
        state = self._fleet.by_label.get(label)
        if state is None:
            return
        state.in_flight.discard(ref)
        if ref in state.parked:
            state.parked.discard(ref)
            if ref in state.desired:
                self._suspect(state.key, ref)

    def _note_admission(self, state: ApplicationState, ref: ObjectRef, altered: list[Drift]) -> None:
        """What the cluster made of our apply: told once, not fought."""
        if not altered:
            if state.admission.pop(ref, None):
                self._note_open(state, ref)
            return
        known = {(one.field, repr(one.live)) for one in state.admission.get(ref, ())}
        state.admission[ref] = altered
        fresh = [one for one in altered if (one.field, repr(one.live)) not in known]
        if fresh:
            self._tell(state, fresh)
        self._note_open(state, ref)

    # --- a closer look -----------------------------------------------------------------------------------------------

    async def examine(self, item: Item) -> None:
        """A worker's step: one GET, the comparison, and what follows from it."""
        key, ref = item
        state = self._fleet.applications.get(key)
        desired = state.desired.get(ref) if state is not None else None
        if state is None or state.written is None or desired is None or state.leaving:
            self._drop(item)
            return
        if ref in state.in_flight:
            state.parked.add(ref)
            return
        resource = await self._cluster.resource(desired.api_version, ref.kind)
        found, content = await self._look(state, state.written, desired, resource)
        if ref in state.in_flight or state.desired.get(ref) is not desired:
            # A sync took the object up while we looked.
            self.queue.add(item)
            return
        if content is not None and not applied(content, state.claim.manager):
            # Not what we applied: made anew by somebody, or its entries were taken away. Whose it is a plan has to say.
            self._close(state, ref)
            self._seen.pop(item, None)
            self.queue.forget(item)
            self._wake(state.key)
            return
        if not found and self._suspected_secret(state, ref):
            found = [Drift(ref, DriftCause.OWN_MANAGER, "data", DriftResponse.REVERT, manager=state.claim.manager)]
        if not found:
            self._close(state, ref)
            self._seen.pop(item, None)
            self.queue.forget(item)
            return
        wait = self._patience(state.written, item, found)
        if wait > 0:
            self._open(state, ref, found)
            self.queue.add_after(item, wait)
            return
        await self._respond(state, state.written, desired, content, found)

    async def _look(
        self, state: ApplicationState, written: Application, desired: Desired, resource: Resource
    ) -> tuple[list[Drift], dict[str, Any] | None]:
        """The differences, and the object as it is now: one GET. Values of Secrets are not asked for."""
        ref, manager = desired.ref, state.claim.manager
        rules = DriftRules.of(desired.drift or written.spec.drift.action, written.spec.drift.additions)
        body = msgspec.json.decode(desired.body)
        if resource.kind == "Secret" and not resource.group:
            live = await self._cluster.look(resource, ref)
            if live is None:
                return [deletion(ref, rules)], None
            told = examine_secret(body, live, manager=manager, label=state.claim.label, rules=rules)
            return [self._fought(state, one) for one in told], metadata_content(live)
        content = await self._cluster.read(resource, ref)
        if content is None:
            return [deletion(ref, rules)], None
        admitted = {one.field for one in state.admission.get(ref, ())}
        told = examine(ref, body, content, manager=manager, rules=rules, admitted=admitted)
        told = [
            one
            for one in told
            if one.cause is not DriftCause.ADMISSION and not _is_old_origin(one) and not is_left(desired, one)
        ]
        return [self._fought(state, one) for one in told], content

    def _fought(self, state: ApplicationState, one: Drift) -> Drift:
        fights = self._fights.get(state.key)
        if (
            fights is not None
            and one.response is DriftResponse.REVERT
            and fights.given_up(one.ref, one.field, one.manager, self._clock.monotonic())
        ):
            return msgspec.structs.replace(one, response=DriftResponse.GIVE_UP)
        return one

    def _patience(self, written: Application, item: Item, found: Sequence[Drift]) -> float:
        """Seconds that a difference may still stand (``drift.after``)."""
        after = seconds(written.spec.drift.after)
        if not after or not any(one.response is DriftResponse.REVERT for one in found):
            return 0.0
        return self._seen.setdefault(item, self._clock.monotonic()) + after - self._clock.monotonic()

    async def _respond(
        self,
        state: ApplicationState,
        written: Application,
        desired: Desired,
        content: dict[str, Any] | None,
        found: list[Drift],
    ) -> None:
        item = (state.key, desired.ref)
        suspended = written.spec.suspend is not None and written.spec.suspend.active(self._clock.now())
        if suspended or self._fleet.installation is None:
            found = [self._only_told(one) for one in found]
        found = self._count_fights(state, desired.ref, content, found)
        revert = [one for one in found if one.response is DriftResponse.REVERT]
        left = [one for one in found if one.response is not DriftResponse.REVERT]
        self._putting.add(item)
        try:
            done = not revert or await self._revert(state, written, desired, content, revert)
        finally:
            self._putting.discard(item)
        if not done:
            # It could not be put back: it stays open, and is tried again.
            self._open(state, desired.ref, found)
            self.queue.retry(item)
            if content is None:
                # Its namespace may be gone with it, which only a sync makes again.
                self._wake(state.key)
            return
        was = state.outcomes.get(desired.ref)
        if content is None and revert and was is not None and was.result is Result.SKIPPED:
            del state.outcomes[desired.ref]  # the last sync found it being deleted, and that has ended
        self._open(state, desired.ref, left)
        self._seen.pop(item, None)
        self.queue.forget(item)

    def _count_fights(
        self, state: ApplicationState, ref: ObjectRef, content: dict[str, Any] | None, found: list[Drift]
    ) -> list[Drift]:
        """Counts each time that somebody took a field; from the third time in a row on it is theirs."""
        version = content["metadata"]["resourceVersion"] if content is not None else ""
        if not version or self._counted.get((state.key, ref)) == version:
            return found
        self._counted[(state.key, ref)] = version
        fights = self._fights.setdefault(state.key, Fights())
        now = self._clock.monotonic()
        return [
            msgspec.structs.replace(one, response=DriftResponse.GIVE_UP)
            if one.response is DriftResponse.REVERT and one.manager and fights.record(ref, one.field, one.manager, now)
            else one
            for one in found
        ]

    @staticmethod
    def _only_told(one: Drift) -> Drift:
        return (
            msgspec.structs.replace(one, response=DriftResponse.ALERT) if one.response is DriftResponse.REVERT else one
        )

    async def _revert(
        self,
        state: ApplicationState,
        written: Application,
        desired: Desired,
        content: dict[str, Any] | None,
        revert: list[Drift],
    ) -> bool:
        assert self._effects is not None
        assert self._acting is not None
        acting = self._acting(state, written)
        changed = [one for one in revert if one.cause is not DriftCause.ADDED]
        added = [one for one in revert if one.cause is DriftCause.ADDED]
        seen = self._seen.get((state.key, desired.ref), self._clock.monotonic())
        if added:
            try:
                await self._take_away(acting, desired, added)
            except WindlassError as error:
                log.warning("not put back", application=state.name, object=str(desired.ref), error=error.what)
                return False
        if changed:
            action = Action.CREATE if content is None else Action.CONFIGURE
            change = Change(action, desired.ref, desired, self._cluster.live.get(desired.ref), force=True)
            # Who has the field now is known from the look: no conflict has to tell first, unless it is another
            # Application's, from which nothing is taken.
            free = not any(one.manager.startswith("windlass-") for one in changed)
            outcome = await self._effects.one(acting, change, at_once=free)
            if outcome.result in (Result.FAILED, Result.REFUSED):
                log.warning("not put back", application=state.name, object=str(desired.ref), error=outcome.message)
                return False
        now = self._clock.monotonic()
        self._metrics.revert_seconds.observe(now - seen)
        self._tell(state, revert, seconds=now - seen)
        self._record.put_back(state, revert)
        return True

    def _suspected_secret(self, state: ApplicationState, ref: ObjectRef) -> bool:
        """A Secret that changed while its entries did not: written under our own name. Its values are not read, so
        what Git says is applied again; where they were equal, nothing happens."""
        live = self._cluster.live.get(ref)
        return (
            ref.kind == "Secret"
            and not ref.group
            and live is not None
            and live.resource_version != state.answered.get(ref, live.resource_version)
        )

    async def _take_away(self, acting: Acting, desired: Desired, added: list[Drift]) -> None:
        resource = await self._cluster.resource(desired.api_version, desired.ref.kind)
        content = await self._cluster.read(resource, desired.ref, user=acting.user)
        patch = removal_patch(msgspec.json.decode(desired.body), content, added) if content is not None else []
        if patch:
            await self._cluster.patch(
                resource, desired.ref, patch, form="json", manager=acting.manager, user=acting.user
            )

    # --- open items --------------------------------------------------------------------------------------------------

    def _open(self, state: ApplicationState, ref: ObjectRef, found: list[Drift]) -> None:
        """Notes what stands open, and tells what is new about it."""
        if not found and self._suspected_secret(state, ref):
            found = [Drift(ref, DriftCause.OWN_MANAGER, "data", DriftResponse.REVERT, manager=state.claim.manager)]
        if not found:
            self._close(state, ref)
            return
        known = {(one.field, repr(one.live), one.response) for one in state.drift.get(ref, ())}
        state.drift[ref] = found
        fresh = [one for one in found if (one.field, repr(one.live), one.response) not in known]
        if fresh:
            self._tell(state, fresh)
        self._note_open(state, ref)
        self._reporter.changed(state)

    def _close(self, state: ApplicationState, ref: ObjectRef) -> None:
        closed = state.drift.pop(ref, None)
        self._note_open(state, ref)
        if closed:
            log.info("drift closed", application=state.name, object=str(ref))
            self._reporter.changed(state)

    def _note_open(self, state: ApplicationState, ref: ObjectRef) -> None:
        """For the ledger. While something is being put back, how that ends is told as one thing."""
        if (state.key, ref) not in self._putting:
            self._record.drift(state, ref)

    def _tell(self, state: ApplicationState, found: Sequence[Drift], *, seconds: float | None = None) -> None:
        """One line a difference: the same words in the log, the Event and the command line."""
        for one in found:
            self._metrics.drift.labels(one.cause.value, one.response.value).inc()
            line = drift_line(one, self._clock.now(), seconds=seconds)
            log.warning(
                "drift",
                application=state.name,
                object=one.ref.full,
                field=one.field,
                manager=one.manager,
                operation=one.operation,
                response=one.response.value,
                severe=one.severe,
                text=line,
            )
            self._reporter.event(state, "Drift", line, warning=True)


def foreign_content(live: LiveObject, state: ApplicationState) -> bool:
    """Whether somebody besides us owns content of the object, by its field entries alone."""
    ours = live.applied_by(state.claim.manager)
    if ours is None or len(live.managed) == 1:
        return False
    alone = msgspec.structs.replace(live, managed=(ours,), resource_version="0")
    return suspicious(alone, live, manager=state.claim.manager, label=state.claim.label) is not None


def _is_old_origin(one: Drift) -> bool:
    """The file changed beside an object that did not: its live origin is that of its own last change, and right."""
    return one.cause is DriftCause.OWN_MANAGER and ORIGIN in one.field


def applied(content: dict[str, Any], manager: str) -> bool:
    """Whether anything of an object was applied under this manager."""
    entries = content["metadata"].get("managedFields", ())
    return any(one.get("manager") == manager and one.get("operation") == "Apply" for one in entries)


def deletion(ref: ObjectRef, rules: DriftRules) -> Drift:
    """An object that Git wants and that is gone."""
    return Drift(ref, DriftCause.DELETED, "", rules.action)
