"""The plan of one Application now: what the cluster has of it looked up, Git's wish held against it.

``sync`` calls it before anything is written. It writes one thing only, the kinds in use (by ``inventory``), which has
to happen before the first object of a kind. What can't be looked up is not known, and costs its own kind alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from windlass.core.kinds.application import KIND, Application
from windlass.core.model import Action, Change, Desired, LiveObject, ObjectRef, Outcome, Plan, Rendered
from windlass.core.model.references import split_api_version
from windlass.core.plan.intact import is_intact
from windlass.core.plan.make import make_plan, unknown_to_us
from windlass.core.plan.ownership import APPLIED, LABEL, LEAVING
from windlass.core.plan.settings import Adopt, Conflicts, PlanSettings
from windlass.errors import WindlassError
from windlass.flows.desires import Desires
from windlass.flows.effects import failed
from windlass.flows.fleet import ApplicationState, Fleet, Key
from windlass.flows.inventory import Inventory
from windlass.flows.outcomes import keep_invalid, moved, standing
from windlass.flows.queue import WorkQueue
from windlass.ports import Cluster, KindUnknown


class Planned(msgspec.Struct, frozen=True):
    """``blind``: (group, kind) to why its objects could not be looked up."""

    plan: Plan
    blind: Mapping[tuple[str, str], WindlassError]

    def standing(self, change: Change) -> Outcome:
        """The outcome of a change that writes nothing: where that is because nothing could be seen, with its reason."""
        error = self.blind.get((change.ref.group, change.ref.kind))
        if change.action is Action.REFUSE and change.live is None and error is not None:
            return failed(change, error)
        return standing(change)


class Planner:
    """Asks, in this order: how the kinds are served, what of them is live, whose that is, what moved."""

    def __init__(
        self, fleet: Fleet, cluster: Cluster, desires: Desires, inventory: Inventory, queue: WorkQueue[Key]
    ) -> None:
        self._fleet = fleet
        self._cluster = cluster
        self._desires = desires
        self._inventory = inventory
        self._queue = queue

    async def plan(self, state: ApplicationState, written: Application, rendered: Rendered) -> Planned:
        resources, unserved = await self._inventory.resources(rendered.objects)
        blind = dict(await self._inventory.record_and_watch(resources))
        # Applications that start together share their lists; a later change looks for itself.
        since = None if state.applied_commit else self._queue.asked_at(state.key)
        owned = dict(self._cluster.live.of(state.claim.label))
        unknown = [ref for ref in unknown_to_us(rendered.objects, owned) if (ref.group, ref.kind) not in blind]
        found, unseen = await self._inventory.look_up(unknown, resources, since=since)
        blind.update(unseen)
        partial = {(split_api_version(word)[0], kind) for (word, kind), why in unserved.items() if is_partial(why)}
        state.unseen = frozenset({*blind, *partial})
        for ref, live in found.items():
            # Labelled in the meantime: the lookup is newer than the index.
            if live is not None and live.labels.get(LABEL) == state.claim.label:
                owned.setdefault(ref, live)
        plan = make_plan(
            state.claim,
            commit=rendered.commit,
            settings=self._confirmed(plan_settings(written), owned),
            desired=rendered.objects,
            owned=owned,
            found=found,
            intact=lambda desired, live: self._intact(state, desired, live),
            dead=lambda label: label not in self._fleet.by_label,
        )
        changes = plan.changes
        if any(change.action is Action.PRUNE for change in changes):
            others = await self._neighbours(state)
            changes = [moved(change, others) for change in changes]
        if left_alone := {problem.ref for problem in rendered.invalid if problem.ref is not None}:
            changes = [keep_invalid(change) if change.ref in left_alone else change for change in changes]
        return Planned(msgspec.structs.replace(plan, changes=changes), blind)

    def _confirmed(self, settings: PlanSettings, owned: Mapping[ObjectRef, LiveObject]) -> PlanSettings:
        """With the Applications whose end was written in Git beforehand: that they go is confirmed by it."""
        apps = [self._fleet.applications.get(Key(ref.namespace, ref.name)) for ref in owned if ref.kind == KIND]
        ended = {f"{KIND}/{one.key}" for one in apps if one is not None and one.ended}
        return msgspec.structs.replace(settings, confirmed=settings.confirmed | ended) if ended else settings

    async def _neighbours(self, state: ApplicationState) -> dict[str, frozenset[ObjectRef]]:
        """What the other Applications of the namespace want by the newest commit, also those that did not look at it
        yet. Of this namespace only: nobody keeps what another team wants to be gone by naming it."""
        near = [one for one in self._fleet.applications.values() if one.key.namespace == state.key.namespace]
        return {one.name: await self._desires.named(one) for one in near if one is not state and not one.leaving}

    def _intact(self, state: ApplicationState, desired: Desired, live: LiveObject) -> bool:
        entry = live.applied_by(state.claim.manager)
        if entry is None or LEAVING in live.annotations:
            return False
        # The same entry was held against the same body before: nothing can have changed.
        if state.intact.get(desired.ref) == (desired.digest, entry.fields):
            return True
        if not is_intact(desired, entry):
            return only_told(state, desired, live)
        state.intact[desired.ref] = (desired.digest, entry.fields)
        return True


def only_told(state: ApplicationState, desired: Desired, live: LiveObject) -> bool:
    """Whether an object that somebody changed is left so: Git says to tell of it alone (``drift.action: alert``), says
    nothing new of it, and nobody has asked for a sync. ``flows/drift`` has it open."""
    written = state.written
    action = desired.drift or (written.spec.drift.action if written is not None else "")
    unasked = state.request == state.request_done
    return action == "alert" and unasked and live.annotations.get(APPLIED) == desired.digest


def is_partial(error: WindlassError) -> bool:
    """Whether a kind may be served although discovery does not name it: its objects may be there."""
    return isinstance(error, KindUnknown) and error.partial


def plan_settings(written: Application) -> PlanSettings:
    """What the Application's ``spec.sync`` says, in the plan's form."""
    sync = written.spec.sync
    return PlanSettings(
        prune=sync.prune,
        adopt=Adopt(sync.adopt),
        conflicts=Conflicts(sync.conflicts),
        budget_count=sync.prune_budget.count,
        budget_share=sync.prune_budget.fraction,
        confirmed=frozenset(sync.confirm),
        allow_empty=sync.allow_empty,
    )
