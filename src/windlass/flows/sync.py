"""SYNC: git commit -> render -> plan -> apply -> health -> status, for one Application at a time.

``Synchronizer.reconcile`` is called for a key whenever something about it may have changed: a commit, its own spec, a
dependency, the health it waits for, a person's request, a retry. It looks at the present state, does what can be done
now and returns; waiting holds no worker. Desired state that can't be read is unknown, never empty: then what was
applied stays what is wanted.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from windlass.core.kinds.application import Application
from windlass.core.kinds.fields import seconds
from windlass.core.model import (
    Action,
    HealthStatus,
    ObjectRef,
    Outcome,
    Plan,
    Rendered,
    Resource,
    Result,
)
from windlass.core.plan.ignore import left_to_others
from windlass.core.plan.make import make_plan
from windlass.core.plan.stages import Stage, stages, waits_for
from windlass.errors import NeedsHuman, TryLater, Where, WindlassError
from windlass.flows.desires import Desires, wanted
from windlass.flows.effects import Acting, Effects
from windlass.flows.fleet import ApplicationState, Fleet, Key
from windlass.flows.holding import check_holds, is_frozen, looks_again
from windlass.flows.inventory import Inventory
from windlass.flows.outcomes import WRITES, WRONG, idle, invalid, standing, tells_of_others
from windlass.flows.planner import Planned, Planner, plan_settings
from windlass.flows.queue import WorkQueue
from windlass.flows.record import DONE, IN_PART, Recorder
from windlass.flows.waiting import (
    BadManifest,
    DependencyNotReady,
    Frozen,
    GlassJudged,
    Manual,
    NoInstallation,
    PartlyApplied,
    RepositoryMissing,
    SourceNotReady,
    StageWaits,
    Suspended,
    TimedOut,
    named,
)
from windlass.ports import Clock, Cluster

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", False)
GATES = (("apiextensions.k8s.io", "CustomResourceDefinition"), ("", "Namespace"))
"""Kinds that others in the same commit may need: nothing later begins before they are Healthy."""


class Looks(Protocol):
    """Who is told of what: ``changed`` when a person may see something new, ``wanted`` when what Git wants is new."""

    def changed(self, state: ApplicationState) -> None: ...

    def wanted(self, state: ApplicationState) -> None: ...


class Synchronizer:
    """The flow itself. Its parts each know one step; it knows their order."""

    def __init__(
        self,
        fleet: Fleet,
        cluster: Cluster,
        desires: Desires,
        effects: Effects,
        inventory: Inventory,
        clock: Clock,
        queue: WorkQueue[Key],
        looks: Looks,
        record: Recorder,
    ) -> None:
        self._fleet = fleet
        self._cluster = cluster
        self._desires = desires
        self._effects = effects
        self._inventory = inventory
        self._planner = Planner(fleet, cluster, desires, inventory, queue)
        self._clock = clock
        self._queue = queue
        self._looks = looks
        self._record = record

    async def reconcile(self, key: Key) -> None:
        """One look at one Application. Raises nothing of the two families: they become its status."""
        state = self._fleet.applications.get(key)
        if state is None or state.written is None:
            if state is not None:
                state.decided = True
                self._looks.changed(state)
            return
        retry = state.written.spec.sync.retry
        state.looking = self._clock.monotonic()
        try:
            await self._sync(state, state.written)
        except WindlassError as error:
            # Right after a start no Repository has been asked: that is no news, and passes in a moment.
            state.decided = state.decided or not (isinstance(error, SourceNotReady) and error.unasked)
            self._record.refused(state, error)
            state.waiting = error.at(Where(application=state.name))
            state.waiting_for = error.refs if isinstance(error, (StageWaits, TimedOut)) else frozenset()
            if not isinstance(error, (StageWaits, TimedOut, PartlyApplied)):
                # It does not wait for health now; when it does again, that is a new wait.
                state.began = None
            # A namespace that was deleted is not remembered as there: the next look makes it again.
            self._inventory.namespaces.discard(state.written.namespace)
            if any(self._arrived(state, ref) for ref in state.waiting_for):
                # It came while we looked, before anybody knew that it is waited for.
                self._queue.add(key)
            wakes = isinstance(
                error, (StageWaits, SourceNotReady, DependencyNotReady, Manual, Suspended, Frozen, GlassJudged)
            )
            if not wakes:
                after = error.after if isinstance(error, (TryLater, PartlyApplied)) else 0.0
                self._queue.retry(key, base=seconds(retry.backoff), cap=seconds(retry.max), at_least=after)
        else:
            state.waiting = None
            state.waiting_for = frozenset()
            state.began = None
            state.decided = True
            self._queue.forget(key)
            self._record.well(state)
        finally:
            state.looking = None
            self._record.health(state)
            self._looks.changed(state)
            self._wake_dependents(state)

    def _wake_dependents(self, state: ApplicationState) -> None:
        """Health may have come before the end of the sync: then nothing else tells those who wait for both."""
        if not state.ready():
            return
        for key in self._fleet.dependents.get(state.key, ()):
            other = self._fleet.applications.get(key)
            if other is not None and isinstance(other.waiting, DependencyNotReady):
                self._queue.add(key)

    def _wake_takers(self, state: ApplicationState, released: list[ObjectRef]) -> None:
        """Who has in Git what was let go of need not wait for a retry."""
        for other in self._fleet.applications.values() if released else ():
            if other is not state and any(ref in other.desired for ref in released):
                self._queue.add(other.key)

    # --- what to do --------------------------------------------------------------------------------------------------

    async def _sync(self, state: ApplicationState, written: Application) -> None:
        if self._fleet.installation is None:
            raise self._fleet.installation_error or NoInstallation()
        if state.leaving:
            await self._leave(state, written)
            return
        if state.glass_open:
            raise GlassJudged()
        source = self._fleet.source_of(state)
        if source is None:
            raise RepositoryMissing(written.spec.source.repository, state.key.namespace)
        commit = written.spec.source.at or source.commit
        if not commit or not source.folder:
            # After a start the commit is known from the status before the mirror is: nothing can be read yet.
            raise SourceNotReady(source.error)
        request, asked = state.request, state.request != state.request_done
        now = self._clock.now()
        again = looks_again(written, self._fleet.installation, now)
        if again is not None:
            self._queue.add_after(state.key, again)
        try:
            rendered = await self._desires.render(state, source, written, commit)
            if rendered.problems or (rendered.invalid and not rendered.objects):
                # Where every object is wrong by itself, the rest of the commit is not "nothing".
                raise BadManifest(rendered, source.key.name)
            rendered = left_to_others(rendered, written.spec.ignore, written.namespace, now)
        except WindlassError:
            # What Git wants cannot be read: whether the cluster has it is not known.
            state.pending_commit, state.sync = commit, "Unknown"
            state.request_done = request
            await self._desires.keep_basis(state, source, written, now)
            self._looks.wanted(state)
            raise
        state.pending_commit = commit if commit != state.applied_commit else ""
        try:
            if is_frozen(written, self._fleet.installation, now):
                await self._desires.keep_basis(state, source, written, now)
            check_holds(written, self._fleet.installation, wanted(rendered), state.desired, now)
            self._pass_gates(state, written, asked=asked)
        except WindlassError:
            await self._desires.keep_basis(state, source, written, now)
            self._looks.wanted(state)
            await self._compare_only(state, written, rendered)
            raise
        state.desired, state.desired_commit = wanted(rendered), commit
        planned = await self._planner.plan(state, written, rendered)
        self._looks.wanted(state)
        await self._record.planned(state, planned.plan, source.fetched_at if commit == source.commit else None)
        try:
            await self._carry_out(state, written, planned, rendered, only=requested_object(request) if asked else "")
        finally:
            # Answered, however it came out; what waits for a wave goes on by itself.
            state.request_done = request

    def _pass_gates(self, state: ApplicationState, written: Application, *, asked: bool) -> None:
        """Raises what stands between a good render and its apply."""
        for namespace, name in written.dependencies:
            other = self._fleet.applications.get(Key(namespace, name))
            if other is None:
                raise DependencyNotReady(f"{namespace}/{name}", "there is no such Application")
            if self._circle(state.key, other.key):
                raise NeedsHuman(
                    f"{state.name} and {other.name} wait for each other",
                    hint="take one of the two out of dependsOn",
                )
            if not other.ready():
                raise DependencyNotReady(other.name, f"it is {other.sync} and {other.health.status.value}")
        if written.spec.sync.mode == "manual" and not (asked or state.glass_holds):
            raise Manual(state.pending_commit or state.applied_commit, state.key)

    def _circle(self, start: Key, at: Key) -> bool:
        seen: set[Key] = set()
        ahead = [at]
        while ahead:
            key = ahead.pop()
            if key == start:
                return True
            state = self._fleet.applications.get(key)
            if key not in seen and state is not None:
                seen.add(key)
                ahead.extend(state.linked.dependencies)
        return False

    # --- plan --------------------------------------------------------------------------------------------------------

    async def _compare_only(self, state: ApplicationState, written: Application, rendered: Rendered) -> None:
        """What the plan would do, for a status that tells it while a gate is shut."""
        plan = (await self._planner.plan(state, written, rendered)).plan
        idle = {Action.UNCHANGED, Action.SKIP, Action.KEEP}
        state.sync = "OutOfSync" if plan.blocked or any(one.action not in idle for one in plan.changes) else "Synced"

    # --- apply -------------------------------------------------------------------------------------------------------

    async def _carry_out(
        self, state: ApplicationState, written: Application, planned: Planned, rendered: Rendered, *, only: str
    ) -> None:
        plan = planned.plan
        if plan.blocked:
            state.sync = "OutOfSync"
            raise NeedsHuman(plan.blocked, hint=plan.mend, where=Where(commit=plan.commit))
        acting = self.acting(state, written)
        state.sync = "OutOfSync" if any(stages(plan)) else state.sync
        outcomes = {change.ref: planned.standing(change) for change in plan.changes if change.action not in WRITES}
        foreign = [change for change in plan.changes if tells_of_others(change, state.key.namespace)]
        hidden = {one.ref: one for one in await self._effects.permitted(acting, foreign)}
        outcomes.update(hidden)
        outcomes.update({problem.ref: invalid(problem) for problem in rendered.invalid if problem.ref is not None})
        try:
            if written.spec.destination.create_namespace:
                await self._inventory.ensure_namespace(written.namespace, acting.user)
            for stage in stages(plan):
                chosen = [change for change in stage.changes if not only or str(change.ref) == only]
                chosen = [change for change in chosen if change.ref not in hidden]
                self._check_turn(state, plan, stage, outcomes)
                for outcome in await self._effects.carry_out(acting, chosen):
                    outcomes[outcome.ref] = outcome
                self._wake_takers(state, [ref for ref, one in outcomes.items() if one.result is Result.RELEASED])
                self._check_gates(state, plan, stage, outcomes)
        except StageWaits as waits:
            self._note(state, plan, outcomes, "waits")
            left = seconds(written.spec.sync.timeout) - self._waited(state)
            if left <= 0:
                raise TimedOut(written.spec.sync.timeout, waits) from waits
            self._queue.add_after(state.key, left + 0.1)
            raise
        # A process before this one may have carried the commit out and died before it could tell.
        untold = not state.seen and await self._desires.differs(state, rendered)
        wrong = any(one.result in WRONG for one in outcomes.values())
        self._note(state, plan, outcomes, "partly applied" if wrong else IN_PART if only else DONE, untold=untold)
        self._conclude(state, plan, outcomes, only=only, untold=untold)

    def _waited(self, state: ApplicationState) -> float:
        """Seconds since it began to wait for the health of just this: what Git wants, as its spec and people say."""
        now = self._clock.monotonic()
        mark = (state.generation, state.request, hash(frozenset(one.digest for one in state.desired.values())))
        if state.began is None or state.began_for != mark:
            state.began, state.began_for = now, mark
        return now - state.began

    def _conclude(
        self, state: ApplicationState, plan: Plan, outcomes: dict[ObjectRef, Outcome], *, only: str, untold: bool
    ) -> None:
        wrong = [one for one in outcomes.values() if one.result in WRONG]
        if state.synced_at is None or state.seen or not idle(outcomes):
            state.synced_at = self._clock.now()
        if wrong:
            state.sync = "OutOfSync"
            raise PartlyApplied(wrong, len(outcomes), plan.commit)
        if only and any(str(change.ref) != only for stage in stages(plan) for change in stage.changes):
            # One object was asked for, and nothing else was touched: the rest is still to be done.
            state.sync = "OutOfSync"
            return
        news = any(one.result is not Result.UNCHANGED for one in outcomes.values())
        if news or untold or state.seen or not state.applied_commit:
            # After a restart that finds everything as it was, the status goes on to say what it said: no write.
            state.applied_commit = plan.commit
        state.seen = True
        state.pending_commit = ""
        state.sync = "Synced"

    def acting(self, state: ApplicationState, written: Application) -> Acting:
        """In whose name. The account is one of the Application's own namespace: nobody borrows another's rights."""
        return Acting(state.name, state.claim.label, state.claim.manager, self._fleet.user_of(state, written))

    def _check_turn(
        self, state: ApplicationState, plan: Plan, stage: Stage, outcomes: dict[ObjectRef, Outcome]
    ) -> None:
        """Raises where the stage has to wait: a wave for the health of the earlier ones, prunes for every apply."""
        wrong = [one for one in outcomes.values() if one.result in WRONG]
        waves = {change.ref: change.desired.wave for change in plan.changes if change.desired is not None}
        if wrong and (stage.prunes or any(waves.get(one.ref, stage.wave) < stage.wave for one in wrong)):
            raise self._partly(state, plan, outcomes, wrong)
        waiting = (
            [ref for ref in waits_for(plan, stage.wave) if not self._healthy(state, ref)] if not stage.prunes else []
        )
        if waiting:
            raise StageWaits(f"wave {stage.wave} waits for {named(waiting)}", frozenset(waiting))

    def _check_gates(
        self, state: ApplicationState, plan: Plan, stage: Stage, outcomes: dict[ObjectRef, Outcome]
    ) -> None:
        """After CRDs and Namespaces: what uses them waits until they are established; one that was refused is told."""
        if stage.prunes:
            return
        waiting = [
            change.ref
            for change in stage.changes
            if (change.ref.group, change.ref.kind) in GATES and not self._healthy(state, change.ref)
        ]
        wrong = [one for one in outcomes.values() if one.result in WRONG]
        if any(one.ref in waiting and not one.retry for one in wrong):
            raise self._partly(state, plan, outcomes, wrong)
        if waiting:
            raise StageWaits(f"waits for {named(waiting)}", frozenset(waiting))

    def _partly(
        self, state: ApplicationState, plan: Plan, outcomes: dict[ObjectRef, Outcome], wrong: list[Outcome]
    ) -> PartlyApplied:
        """What ends a sync before its later stages, noted."""
        self._note(state, plan, outcomes, "partly applied")
        return PartlyApplied(wrong, len(outcomes), plan.commit)

    def _arrived(self, state: ApplicationState, ref: ObjectRef) -> bool:
        if state.leaving:
            return self._cluster.live.get(ref) is None
        return self._healthy(state, ref)

    def _healthy(self, state: ApplicationState, ref: ObjectRef) -> bool:
        told = state.objects.get(ref)
        # What is suspended on purpose (a CronJob) never gets healthier: later waves need not wait for it.
        return told is not None and told.health.status in (HealthStatus.HEALTHY, HealthStatus.SUSPENDED)

    def _note(
        self,
        state: ApplicationState,
        plan: Plan,
        outcomes: dict[ObjectRef, Outcome],
        result: str,
        *,
        untold: bool = False,
    ) -> None:
        self._record.applied(state, plan, outcomes, result, untold=untold)
        counts: dict[str, int] = {}
        for outcome in outcomes.values():
            counts[outcome.result.value] = counts.get(outcome.result.value, 0) + 1
        # A later look at the same commit that had nothing to do is no news: what the sync did stays told. Nor is the
        # first look after a start, whatever commits came and went in between.
        well = state.noted or not {Result.FAILED.value, Result.REFUSED.value} & set(state.counts)
        known = plan.commit == state.applied_commit or not (state.seen or untold)
        if idle(outcomes) and state.counts and well and known:
            kept = {ref: one for ref, one in state.outcomes.items() if one.result not in WRONG}
            state.outcomes = {
                **kept,
                **{ref: one for ref, one in outcomes.items() if one.result is not Result.UNCHANGED},
            }
            return
        state.outcomes, state.noted_commit = outcomes, plan.commit
        state.counts = counts
        state.noted = True

    # --- leave -------------------------------------------------------------------------------------------------------

    async def _leave(self, state: ApplicationState, written: Application) -> None:
        """The Application has left Git (its parent says so on it): its objects go, or stay, as ``deletion`` says."""
        acting = self.acting(state, written)
        if written.spec.deletion == "delete":
            settings = msgspec.structs.replace(
                plan_settings(written), allow_empty=True, budget_count=1 << 30, prune=True
            )
            plan = make_plan(
                state.claim,
                commit=state.applied_commit,
                settings=settings,
                desired=[],
                owned=dict(self._cluster.live.of(state.claim.label)),
                found={},
                intact=lambda desired, live: True,
            )
            state.desired = {}
            outcomes = {change.ref: standing(change) for change in plan.changes if change.action not in WRITES}
            for stage in stages(plan):
                for outcome in await self._effects.carry_out(acting, stage.changes):
                    outcomes[outcome.ref] = outcome
            wrong = [one for one in outcomes.values() if one.result in WRONG]
            self._note(state, plan, outcomes, "partly applied" if wrong else DONE)
            if wrong:
                raise PartlyApplied(wrong, len(outcomes), plan.commit)
            going = [one.ref for one in plan.changes if one.action is Action.PRUNE or (one.live and one.live.deleting)]
            if going:
                raise StageWaits(f"waits until {named(going)} is gone", frozenset(going))
            # What can't be seen may still be there; without this Application nobody would ever find it.
            await self._inventory.all_seen()
        await self._inventory.remove_application(state.key, state.uid)


def requested_object(request: str) -> str:
    """``Kind/name`` of a request for one object, "" for the whole Application."""
    return next((word.removeprefix("only=") for word in request.split() if word.startswith("only=")), "")
