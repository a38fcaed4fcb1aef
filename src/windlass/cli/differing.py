"""The work of ``windlass diff``: every object of the applied commit against the live one, as the DRIFT flow does.

What the controller remembers (fields that admission changed, fights that it gave up) is taken from the Application's
status. Nothing is written, and nobody is asked but Git and the API server.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from windlass import ports
from windlass.cli import living
from windlass.cli.planning import place_of, reference
from windlass.cli.reaching import Found, Reach, find, reach
from windlass.cli.render import tell_problems
from windlass.cli.telling import DIFFERS, emit, say, width_of
from windlass.cli.trees import Place, render_for
from windlass.core.kinds.application import Application
from windlass.core.model import Desired, Drift, DriftCause, DriftResponse, ObjectRef, Rendered, Resource
from windlass.core.plan.examine import DriftRules, examine
from windlass.core.plan.ignore import is_left, left_to_others
from windlass.core.plan.ownership import APPLIED, PREFIX
from windlass.core.plan.secret import examine_secret
from windlass.core.words.drifts import diff_text
from windlass.core.words.plain import count, plain, short
from windlass.errors import NeedsHuman
from windlass.flows.desires import wanted
from windlass.flows.inventory import Inventory
from windlass.flows.waiting import HistoryRewritten

_MARKS = f"metadata.annotations[{PREFIX}"

Remembered = dict[tuple[str, str], tuple[str, str]]
"""(object, field) to (cause, response), as the Application's status has it."""


async def differences(word: str, namespace: str, kubeconfig: Path | None, context: str | None, output: str) -> int:
    """The command, from the cluster to the exit code."""
    async with reach(kubeconfig, context) as to:
        found = await find(to, word, namespace)
        app = found.decoded()
        newest = await place_of(to, app, None, "")
        applied = app.status.commit or newest.commit
        place = _at(newest, applied)
        key = await living.digest_key(to)
        inventory = Inventory(to.cluster)
        again = partial(render_for, app, found.claim, newest, inventory, key or b"")
        rendered = await render_for(app, found.claim, place, inventory, key or b"")
        if rendered.problems:
            return tell_problems(rendered, place.commit, place.repository)
        desired = wanted(left_to_others(rendered, app.spec.ignore, app.namespace, to.clock.now()))
        served, _ = await inventory.resources(desired.values())
        told, unseen = await _examined(to, found, app, desired, served)
        pending = newest.commit if await _is_pending(app, newest, applied, rendered, again) else ""
        if output == "human":
            places = {ref: f"{one.origin.file}:{one.origin.line}" for ref, one in desired.items()}
            say(
                diff_text(found.word, applied, told, to.clock.now(), places=places, width=width_of(sys.stdout))
                + (
                    f"pending {short(pending)} is not applied yet   windlass plan {plain(found.word)}\n"
                    if pending
                    else ""
                )
            )
        else:
            emit(diff_data(found, applied, pending, told), output)
        for what, refs in sorted(unseen.items()):
            say(f"note: {count(refs, 'object')} could not be read: {plain(what)}\n", sys.stderr)
        return DIFFERS if told or pending else 0


def _at(newest: Place, applied: str) -> Place:
    """What runs. A fresh clone has no commit that the branch was moved away from."""
    try:
        return newest.at(applied)
    except NeedsHuman:
        raise HistoryRewritten(applied, newest.commit) from None


async def _is_pending(
    app: Application, newest: Place, applied: str, rendered: Rendered, again: Callable[[], Awaitable[Rendered]]
) -> bool:
    """Whether the newest commit would change something here: the status stays at the commit that last did, and one that
    touches only others is nothing to wait for. ``again`` renders the newest."""
    if newest.commit == applied:
        return False
    if app.status.pending is not None:
        return True
    return _digests(await again()) != _digests(rendered)


def _digests(rendered: Rendered) -> object:
    return rendered.problems, {one.ref: (one.digest, one.hook, one.release) for one in rendered.objects}


async def _examined(
    to: Reach,
    found: Found,
    app: Application,
    desired: Mapping[ObjectRef, Desired],
    served: Mapping[tuple[str, str], Resource],
) -> tuple[list[Drift], dict[str, int]]:
    """All differences, and how many objects could not be read, by reason."""
    suspend = app.spec.suspend
    suspended = suspend is not None and suspend.active(to.clock.now())
    remembered = {(one.object, one.field): (one.cause, one.response) for one in app.status.drift.items}
    unseen: dict[str, int] = {}

    async def look(one: Desired) -> Iterable[Drift]:
        resource = served.get((one.api_version, one.ref.kind))
        rules = DriftRules.of(one.drift or app.spec.drift.action, app.spec.drift.additions)
        if resource is None:
            return [Drift(one.ref, DriftCause.DELETED, "", rules.action)]
        try:
            return await _look(to, found, one, resource, rules, remembered)
        except ports.NotAllowed:
            # The words name the object; the reason is the same for all of its kind.
            why = f"not allowed to read {one.ref.kind}"
            unseen[why] = unseen.get(why, 0) + 1
            return []

    every = await asyncio.gather(*(look(one) for one in desired.values()))
    told = [_responded(one, remembered, suspended=suspended) for drifts in every for one in drifts]
    return told, unseen


async def _look(
    to: Reach, found: Found, one: Desired, resource: Resource, rules: DriftRules, remembered: Remembered
) -> list[Drift]:
    body = msgspec.json.decode(one.body)
    claim = found.claim
    gone = [Drift(one.ref, DriftCause.DELETED, "", rules.action)]
    if (one.ref.group, one.ref.kind) == ("", "Secret"):
        live = await to.cluster.look(resource, one.ref)
        if live is None:
            return gone
        return examine_secret(body, live, manager=claim.manager, label=claim.label, rules=rules)
    content = await to.cluster.read(resource, one.ref)
    if content is None:
        return gone
    full = one.ref.full
    admitted = {field for (ref, field), (cause, _) in remembered.items() if ref == full and cause == "admission"}
    # The digest of what was applied is known: another one is a sync that is on its way, and nobody's hand.
    applied = (content["metadata"].get("annotations") or {}).get(APPLIED)
    drifts = examine(one.ref, body, content, manager=claim.manager, rules=rules, admitted=admitted)
    if applied != one.digest:
        drifts = [drift for drift in drifts if drift.cause is not DriftCause.OWN_MANAGER]
    # Where a file has changed beside an object, Git's newer origin of it is no difference of the object.
    return [drift for drift in drifts if not drift.field.startswith(_MARKS) and not is_left(one, drift)]


def _responded(drift: Drift, remembered: Remembered, *, suspended: bool) -> Drift:
    """With what is really done about it: a fight that was given up is not reverted, nor is anything while suspended."""
    known = remembered.get((drift.ref.full, drift.field))
    if known is not None and known[1] == DriftResponse.GIVE_UP.value:
        return msgspec.structs.replace(drift, response=DriftResponse.GIVE_UP)
    if suspended and drift.response is DriftResponse.REVERT:
        return msgspec.structs.replace(drift, response=DriftResponse.ALERT)
    return drift


def diff_data(found: Found, applied: str, pending: str, drifts: Iterable[Drift]) -> dict[str, Any]:
    """The differences for programs."""
    return {
        "application": f"{found.namespace}/{found.name}",
        "commit": applied,
        "pending": pending,
        "differences": [
            {
                **reference(one.ref),
                "cause": one.cause.value,
                "field": one.field,
                "desired": one.desired,
                "live": one.live,
                "manager": one.manager,
                "operation": one.operation,
                "since": one.since,
                "response": one.response.value,
                "severe": one.severe,
            }
            for one in sorted(drifts, key=lambda each: (each.ref, not each.severe, each.field))
        ],
    }
