"""The two ways of ``windlass plan``: against a cluster as its controller would, and between two commits.

``plan`` calls it. It makes the plan with the same functions as the SYNC flow, from what the person may read, and stops
there. Values of Secrets are not read; where the cluster's digest key may not be read either, that their values were not
compared is told.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from windlass import ports
from windlass.adapters.render import render_folder
from windlass.cli import fetching, living
from windlass.cli.inputs import with_inputs
from windlass.cli.reaching import Found, Reach, find, reach, repository_of
from windlass.cli.render import tell_problems
from windlass.cli.tags import WHOLE
from windlass.cli.telling import DIFFERS, emit, say, width_of
from windlass.cli.trees import Place, local, of_application, render_for, request_of
from windlass.core.kinds.application import Application
from windlass.core.model import Action, Change, Desired, LiveObject, ObjectRef, Plan, Rendered, Resource
from windlass.core.plan.changes import FieldChange, changes_between, changes_to_live
from windlass.core.plan.examine import MASK, DriftRules
from windlass.core.plan.ignore import left_to_others
from windlass.core.plan.intact import is_intact
from windlass.core.plan.make import make_plan, unknown_to_us
from windlass.core.plan.ownership import APPLIED, LEAVING
from windlass.core.plan.secret import examine_secret
from windlass.core.plan.settings import PlanSettings
from windlass.core.words.plain import count, plain
from windlass.core.words.plans import RESULTS, plan_text
from windlass.flows.inventory import Inventory
from windlass.flows.outcomes import keep_invalid
from windlass.flows.planner import plan_settings

IDLE = frozenset({Action.UNCHANGED, Action.KEEP, Action.SKIP})
Details = dict[ObjectRef, Sequence[FieldChange]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed."""

    app: str
    namespace: str
    path: Path | None
    commit: str
    everything: bool
    output: str


# --- between two commits ----------------------------------------------------------------------------------------------


def between_commits(path: Path, commit: str, base: str, *, everything: bool, output: str) -> int:
    """Without a cluster: what goes from one commit to another, or to the work tree."""
    new = local(path, commit)
    old = local(path, base or "HEAD")
    before, after = render_folder(request_of(old)), render_folder(request_of(new))
    for rendered, place, then in ((before, old, "there is nothing to compare with"), (after, new, "")):
        if rendered.problems:
            return tell_problems(rendered, place.commit, place.repository, then)
    code = tell_problems(after, new.commit, new.repository)
    plan, details = compared(before, after, new.path or new.folder)
    show(plan, details, budget=PlanSettings().budget_count, everything=everything, output=output, base=old.commit)
    return code or result_code(plan)


def compared(before: Rendered, after: Rendered, name: str) -> tuple[Plan, Details]:
    """The plan from one render to another, in the order in which it would be applied, prunes behind."""
    old = {one.ref: one for one in before.objects}
    kept = {problem.ref for problem in after.invalid}
    changes: list[Change] = []
    details: Details = {}
    for one in sorted(after.objects, key=lambda each: (each.wave, each.tier, each.ref)):
        was = old.pop(one.ref, None)
        if was is None:
            changes.append(Change(Action.CREATE, one.ref, one))
            continue
        fields = changes_between(msgspec.json.decode(was.body), msgspec.json.decode(one.body))
        same = was.digest == one.digest or (not fields and was.body == one.body)
        changes.append(Change(Action.UNCHANGED if same else Action.CONFIGURE, one.ref, one))
        if not same:
            details[one.ref] = fields
    for ref in sorted(old, reverse=True):
        change = Change(Action.PRUNE, ref)
        changes.append(keep_invalid(change) if ref in kept else change)
    return Plan(name, after.commit, changes), details


# --- against a cluster ------------------------------------------------------------------------------------------------


async def against_cluster(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """As the controller would plan it, from what this person may read."""
    async with reach(kubeconfig, context) as to:
        found = await find(to, asked.app, asked.namespace)
        app = found.decoded()
        place = await place_of(to, app, asked.path, asked.commit)
        key = await living.digest_key(to)
        inventory = Inventory(to.cluster)
        rendered = await render_for(app, found.claim, place, inventory, key or b"")
        rendered = left_to_others(rendered, app.spec.ignore, app.namespace, to.clock.now())
        if rendered.problems:
            applied = app.status.commit[:7]
            then = f"nothing of it would be applied; {applied} keeps running" if applied else "nothing would be applied"
            return tell_problems(rendered, place.commit, place.repository, then)
        code = tell_problems(rendered, place.commit, place.repository)
        plan, details, notes = await _planned(to, found, app, rendered, inventory, keyed=key is not None)
        for note in notes:
            say(f"note: {plain(note)}\n", sys.stderr)
        budget = app.spec.sync.prune_budget.count
        show(plan, details, budget=budget, everything=asked.everything, output=asked.output)
        return code or result_code(plan)


async def place_of(to: Reach, app: Application, path: Path | None, commit: str) -> Place:
    """Where the files of an Application are: its Repository fetched, or a folder of this machine."""
    if path is not None:
        return await with_inputs(to, app, of_application(app, local(path, commit)))
    repository = await repository_of(to, app)
    fetched = await fetching.fetch(repository.spec.url, repository.spec.ref)
    if commit and not WHOLE.fullmatch(commit):
        await fetching.fetch_tags(repository.spec.url)  # it may be one, and may have been moved
    place = Place(
        fetched.folder,
        app.spec.source.folder,
        commit=app.spec.source.at or fetched.commit,
        repository=repository.metadata.name,
        own=False,
    )
    return await with_inputs(to, app, of_application(app, place.at(commit) if commit else place))


async def _planned(
    to: Reach, found: Found, app: Application, rendered: Rendered, inventory: Inventory, *, keyed: bool
) -> tuple[Plan, Details, list[str]]:
    claim = found.claim
    served, unknown = await inventory.resources(rendered.objects)
    recorded = await living.kinds_in_use(to, otherwise=app.status.objects)
    resources = {(one.group, one.kind): one for one in [*recorded.resources, *served.values()]}
    namespaces = {app.namespace, found.namespace, *(one.ref.namespace for one in rendered.objects if one.ref.namespace)}
    live = await living.living(to, claim, resources.values(), namespaces, whole=False)
    desired = rendered.objects
    notes = [f"what of kind {kind} is pruned is not shown: {why}" for kind, why in sorted(live.unseen.items())]
    if not recorded.complete:
        notes.append("what of other kinds is pruned is not shown: not allowed to read the Installation")
    notes += sorted({error.what for error in unknown.values()})
    if not keyed:
        desired, uncompared = _without_digests(desired, live.objects)
        if uncompared:
            notes.append(
                f"values of {uncompared} Secret{'s' if uncompared > 1 else ''} were not compared: you may not read the "
                f"digest key in namespace {to.system}"
            )
    unknown_refs = unknown_to_us(desired, live.objects)
    looked = await living.looked_up(to, unknown_refs, served)
    hidden = set(unknown_refs) - looked.keys()
    if hidden:
        names = ", ".join(str(ref) for ref in sorted(hidden)[:3]) + (" and more" if len(hidden) > 3 else "")
        notes.append(f"{count(len(hidden), 'object')} may not be read, and not shown: {names}")
        desired = [one for one in desired if one.ref not in hidden]
    plan = make_plan(
        claim,
        commit=rendered.commit,
        settings=plan_settings(app),
        desired=desired,
        owned=live.objects,
        found=looked,
        intact=lambda one, there: _intact(one, there, claim.manager),
    )
    # What is in Git but may not be looked at, or is wrong by itself, is not pruned for that.
    wrong = {problem.ref for problem in rendered.invalid} | hidden
    plan = msgspec.structs.replace(
        plan, changes=[keep_invalid(one) if one.ref in wrong else one for one in plan.changes]
    )
    return plan, await _details(to, plan, claim.manager, resources), notes


def _intact(desired: Desired, live: LiveObject, manager: str) -> bool:
    entry = live.applied_by(manager)
    return entry is not None and LEAVING not in live.annotations and is_intact(desired, entry)


def _without_digests(desired: Sequence[Desired], live: Mapping[ObjectRef, LiveObject]) -> tuple[list[Desired], int]:
    """Secrets with the digest that is live, since theirs can't be made; and how many they are."""
    made: list[Desired] = []
    number = 0
    for one in desired:
        there = live.get(one.ref)
        if (one.ref.group, one.ref.kind) == ("", "Secret") and there is not None:
            one = msgspec.structs.replace(one, digest=there.annotations.get(APPLIED, one.digest))
            number += 1
        made.append(one)
    return made, number


async def _details(to: Reach, plan: Plan, manager: str, resources: Mapping[tuple[str, str], Resource]) -> Details:
    """The fields of what is configured or adopted: one GET an object, none for Secrets."""

    async def look(change: Change) -> tuple[ObjectRef, Sequence[FieldChange]]:
        resource = resources.get((change.ref.group, change.ref.kind))
        if change.desired is None or resource is None:
            return change.ref, ()
        body = msgspec.json.decode(change.desired.body)
        if (change.ref.group, change.ref.kind) == ("", "Secret"):
            return change.ref, secret_changes(body, change.live, manager)
        try:
            content = await to.cluster.read(resource, change.ref)
        except ports.NotAllowed:
            return change.ref, ()
        return change.ref, changes_to_live(body, content, manager) if content is not None else ()

    looked = (one for one in plan.changes if one.action in (Action.CONFIGURE, Action.ADOPT))
    return dict(await asyncio.gather(*(look(one) for one in looked)))


def secret_changes(body: Mapping[str, Any], live: LiveObject | None, manager: str) -> list[FieldChange]:
    """Which keys of a Secret come and go, by its field entries; never a value."""
    if live is None:
        return []
    rules = DriftRules()
    label = live.labels.get("windlass.dev/application", "")
    told = [
        FieldChange(one.field, one.live, MASK)
        for one in examine_secret(body, live, manager=manager, label=label, rules=rules)
        if one.desired == MASK
    ]
    entry = live.applied_by(manager)
    fields: Any = msgspec.json.decode(entry.fields) if entry is not None else {}
    owned = {key.removeprefix("f:") for key in (fields.get("f:data") or {}) if key.startswith("f:")}
    told += [FieldChange(f"data[{key}]", MASK, None) for key in sorted(owned - set(body.get("data") or {}))]
    return told or [FieldChange("data", MASK, MASK)]


# --- telling ----------------------------------------------------------------------------------------------------------


def result_code(plan: Plan) -> int:
    """2 where something would change, or be refused."""
    return DIFFERS if plan.blocked or any(one.action not in IDLE for one in plan.changes) else 0


def show(plan: Plan, details: Details, *, budget: int, everything: bool, output: str, base: str = "") -> None:
    """The plan as text or as data."""
    if output != "human":
        emit(plan_data(plan, details, base), output)
        return
    say(plan_text(plan, details, budget=budget, everything=everything, width=width_of(sys.stdout)))


def plan_data(plan: Plan, details: Details, base: str = "") -> dict[str, Any]:
    """The plan for programs."""
    counts: dict[str, int] = {}
    for change in plan.changes:
        word = RESULTS[change.action].value
        counts[word] = counts.get(word, 0) + 1
    data: dict[str, Any] = {"application": plan.application, "commit": plan.commit}
    if base:
        data["base"] = base
    if plan.blocked:
        data |= {"blocked": plan.blocked, "mend": plan.mend}
    return data | {"counts": counts, "changes": [_change_data(one, details.get(one.ref, ())) for one in plan.changes]}


def _change_data(change: Change, fields: Sequence[FieldChange]) -> dict[str, Any]:
    origin = change.desired.origin if change.desired is not None else None
    return {
        "action": change.action.value,
        **reference(change.ref),
        "file": origin.file if origin else "",
        "line": origin.line if origin else 0,
        "why": change.why,
        "mend": change.mend,
        "fields": [{"field": one.field, "old": one.old, "new": one.new} for one in fields],
    }


def reference(ref: ObjectRef) -> dict[str, str]:
    """An object's name for programs."""
    return {"group": ref.group, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
