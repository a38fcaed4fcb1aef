"""One look at an Application for ``windlass status``: its status, its live objects with their health, what comes next.

``watching`` calls it, again and again where it watches. Health is computed here from live objects by the same rules as
in the controller; the controller's own word counts too where it is worse, because it knows since when, and what is
missing. Nothing is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from windlass.cli import fetching, living
from windlass.cli.behind import pods_behind
from windlass.cli.planning import reference
from windlass.cli.reaching import Found, Reach, repository_of
from windlass.cli.tags import tags_by_commit
from windlass.core.health import facts_of, health_of, worst
from windlass.core.kinds.application import Application
from windlass.core.kinds.application_status import ApplicationStatus
from windlass.core.kinds.conditions import Condition, condition
from windlass.core.kinds.kind import read_status
from windlass.core.kinds.reasons import Reason
from windlass.core.model import (
    DriftCause,
    DriftResponse,
    Health,
    HealthStatus,
    LiveObject,
    ObjectHealth,
    ObjectRef,
    Resource,
)
from windlass.core.plan.ownership import ORIGIN
from windlass.core.words.plain import count, plain, short
from windlass.core.words.status import StatusView
from windlass.errors import NeedsHuman, WindlassError

_RANK = {status: rank for rank, status in enumerate(HealthStatus)}
_NOTED = 6
"""So many objects that the commit changed are named; of more, naming them would be the whole list."""
_HEALTH_REASONS = frozenset({Reason.UNHEALTHY.value, Reason.PROGRESSING.value, Reason.SYNCED.value})
ROLLS_BACK = "rolls back to "
"""How the controller begins to tell of a rollback that is due."""
_DETAILED = 8
"""So many unhealthy objects are looked behind."""


async def view_of(to: Reach, found: Found, resources: list[Resource] | None = None) -> StatusView:
    """All that ``windlass status APP`` tells. ``resources`` are the kinds to look at, where they are known already."""
    status = read_status(found.content, ApplicationStatus)
    now = to.clock.now()
    app, invalid = _spec(found)
    namespaces = {found.namespace, *([app.namespace] if app is not None else [])}
    if resources is None:
        resources = await kinds_of(to, status)
    live = await living.living(to, found.claim, resources, namespaces, whole=True)
    objects = [*await _healths(to, live.objects.values(), now), *_deleted(status, live.objects)]
    messages = list(_messages(status, live, objects))
    if invalid:
        messages.insert(0, invalid)
    messages += exceptions_of(app, now)
    info = await _commit(to, app, status.commit)
    computed = worst(objects) if objects else Health(HealthStatus.HEALTHY)
    told = HealthStatus(status.health)
    health = Health(max((computed.status, told), key=_RANK.__getitem__), computed.message)
    return StatusView(
        name=found.word,
        sync=status.sync,
        commit=status.commit,
        health=health,
        subject=info[0],
        author=info[1],
        committed=info[2],
        tags=info[3],
        since=_since(status, health, told),
        pending=status.pending.commit if status.pending is not None else "",
        pending_why=_pending_why(status),
        drift=status.drift.count,
        objects=objects,
        messages=messages,
        notes=_notes(status.commit, live.objects),
        following=list(following(found, app, status, health)),
        chart=status.chart,
    )


async def kinds_of(to: Reach, status: ApplicationStatus) -> list[Resource]:
    """The kinds to look at: those that the status counts."""
    if not status.objects:
        return []
    return (await living.kinds_in_use(to, only=status.objects)).resources


def line_of(content: dict[str, Any], *, with_namespace: bool) -> StatusView:
    """What the table of all Applications tells of one, from its status alone."""
    status = read_status(content, ApplicationStatus)
    metadata = content["metadata"]
    told = HealthStatus(status.health)
    ready = condition(status.conditions, "Ready")
    message = ready.message if ready is not None and ready.status != "True" else ""
    broken = status.break_glass
    if broken is not None and broken.result == "holds" and not message:
        message = f"break-glass until {broken.until} by {broken.by}: {broken.reason}"
    if ready is not None and ready.reason == Reason.PINNED.value and not message:
        message = f"pinned at {short(status.commit)}: it does not follow its branch"
    name = f"{metadata['namespace']}/{metadata['name']}" if with_namespace else str(metadata["name"])
    return StatusView(
        name=name,
        sync=status.sync,
        commit=status.commit,
        health=Health(told, message),
        since=_since(status, Health(told), told),
        drift=status.drift.count,
        messages=[message] if message else [],
        pending=status.pending.commit if status.pending is not None else "",
        pending_why=_pending_why(status),
    )


def well(view: StatusView) -> bool:
    """Whether nothing needs anybody: the exit code is 0."""
    return (
        view.sync == "Synced"
        and not view.pending
        and view.health.status in (HealthStatus.HEALTHY, HealthStatus.SUSPENDED)
    )


# --- parts ------------------------------------------------------------------------------------------------------------


def _spec(found: Found) -> tuple[Application | None, str]:
    """The spec, and what is wrong with it where it can't be read: the status is told all the same."""
    try:
        return found.decoded(), ""
    except NeedsHuman as error:
        return None, f"its spec can't be read: {error}"


async def _healths(to: Reach, live: Any, now: datetime) -> list[ObjectHealth]:
    objects: list[LiveObject] = list(live)
    plain_health = {one.ref: health_of(facts_of(one), now) for one in objects}
    sick = [
        one for one in objects if plain_health[one.ref].status not in (HealthStatus.HEALTHY, HealthStatus.SUSPENDED)
    ]
    sick.sort(key=lambda one: (-_RANK[plain_health[one.ref].status], one.ref))
    looked = sick[:_DETAILED]
    behind = await asyncio.gather(*(pods_behind(to, one, now) for one in looked))
    pods = {one.ref: facts for one, facts in zip(looked, behind, strict=True) if facts is not None}
    told = []
    for one in objects:
        facts = pods.get(one.ref)
        if facts is None:
            told.append(ObjectHealth(one.ref, plain_health[one.ref]))
            continue
        # With the pod's own trouble in its message only where no line below says the same.
        health = health_of(facts_of(one), now, facts)
        message = plain_health[one.ref].message if facts.lines else health.message
        told.append(ObjectHealth(one.ref, msgspec.structs.replace(health, message=message), facts.lines))
    return told


def _pending_why(status: ApplicationStatus) -> str:
    """Why the newest commit is not applied, with the place where the Ready condition knows it."""
    if status.pending is None:
        return ""
    wrong = sum(one.result in ("failed", "refused") for one in status.outcomes)
    ready = condition(status.conditions, "Ready")
    if wrong and ready is not None and ready.reason in (Reason.PARTLY_APPLIED.value, Reason.RETRYING.value):
        return f"{count(wrong, 'object')} of {sum(status.counts.values())} went wrong"
    return ready.message if ready is not None and status.pending.why in ready.message else status.pending.why


def _deleted(status: ApplicationStatus, live: Mapping[ObjectRef, LiveObject]) -> Iterator[ObjectHealth]:
    """What somebody deleted, as the drift of the status names it: it stands in the tree as missing."""
    groups = {kind: group for word in status.objects for kind, _, group in [word.partition(".")]}
    for one in status.drift.items:
        parts = one.object.split("/")
        if one.cause != DriftCause.DELETED.value or len(parts) not in (2, 3) or parts[0] not in groups:
            continue
        ref = ObjectRef(groups[parts[0]], parts[0], parts[1] if len(parts) == 3 else "", parts[-1])
        if ref not in live:
            yield ObjectHealth(ref, Health(HealthStatus.MISSING, "was deleted"))


def _messages(status: ApplicationStatus, live: living.Living, objects: list[ObjectHealth]) -> Iterator[str]:
    """What the tree does not tell: why it is not synced, what was refused, what is missing or could not be seen."""
    ready = condition(status.conditions, "Ready")
    if ready is not None and ready.status != "True" and ready.reason not in _HEALTH_REASONS and status.pending is None:
        yield f"{ready.reason}: {ready.message}"
    elif ready is not None and ready.reason == Reason.PROGRESSING.value and status.sync != "Synced":
        yield ready.message
    shown = [one for one in status.outcomes if one.result in ("failed", "refused", "kept", "skipped")]
    for place, one in enumerate(shown):
        where = f" ({one.file}:{one.line})" if one.file and one.line else ""
        yield f"{one.object}   {one.result}: {one.message}{where}"
        # One mend for all that follow each other is told once, and not where it stands behind "next" anyway.
        last = place + 1 == len(shown) or shown[place + 1].mend != one.mend
        if one.mend and last and f"mend: {one.mend}" not in status.messages:
            yield f"  mend  {one.mend}"
    wrong = {one.object.partition("/")[0] for one in shown if one.result in ("failed", "refused")}
    there: dict[str, int] = {}
    for each in objects:
        word = f"{each.ref.kind}.{each.ref.group}" if each.ref.group else each.ref.kind
        there[word] = there.get(word, 0) + 1
    for word, wanted in sorted(status.objects.items()):
        kind = word.partition(".")[0]
        less = wanted - there.get(word, 0)
        if kind in live.unseen:
            yield f"{count(wanted, kind)} not shown: {live.unseen[kind]}"
        elif less > 0 and kind not in wrong:
            yield f"{less} of {wanted} {kind} {'is' if less == 1 else 'are'} not in the cluster"
    # Details of objects are computed anew; the rest of what the controller says (warnings, bad manifests) is told here.
    names = tuple(str(each.ref) + ":" for each in objects)
    for line in status.messages:
        if not line.startswith(("mend: ", "  ", ROLLS_BACK, *names)):
            yield line


async def _commit(to: Reach, app: Application | None, commit: str) -> tuple[str, str, str, tuple[str, ...]]:
    """Subject, author and time of a commit, where it is on this machine already, and its tags as they are now."""
    if app is None or not commit:
        return "", "", "", ()
    try:
        repository = await repository_of(to, app)
    except WindlassError:
        return "", "", "", ()
    url = repository.spec.url
    tags = tuple((await tags_by_commit(url)).get(commit, ())[:3])
    info = await asyncio.to_thread(fetching.known, url, commit)
    if info is None:
        return "", "", "", tags
    return info.subject, info.author, info.time.isoformat(), tags


def _since(status: ApplicationStatus, health: Health, told: HealthStatus) -> datetime | None:
    """Since when its health is so, where a condition says it. Being well needs no clock."""
    if health.status is HealthStatus.HEALTHY or health.status is not told:
        return None
    kind = "Stalled" if health.status is HealthStatus.DEGRADED else "Ready"
    found = condition(status.conditions, kind)
    if found is None or found.reason not in _HEALTH_REASONS or not found.last_transition_time:
        return None
    try:
        return datetime.fromisoformat(found.last_transition_time)
    except ValueError:
        return None


def _notes(commit: str, live: Mapping[ObjectRef, LiveObject]) -> dict[ObjectRef, str]:
    """Which objects the shown commit changed, with their files."""
    notes: dict[ObjectRef, str] = {}
    for ref, one in live.items():
        at, _, file = one.annotations.get(ORIGIN, "").rpartition("@")[2].partition(":")
        if commit and at == commit:
            notes[ref] = f"changed in {short(commit)}" + (f" ({file})" if file else "")
    return notes if len(notes) < len(live) and len(notes) <= _NOTED else {}


def exceptions_of(app: Application | None, now: datetime) -> list[str]:
    """The exceptions that hold, but for those that the condition tells already."""
    if app is None:
        return []
    lines = []
    for one in app.spec.ignore:
        if one.active(now):
            fields = ", ".join(one.fields)
            lines.append(f'ignores {fields} of {one.kind}/{one.name} until {one.until}: "{one.reason}" ({one.by})')
    freeze = app.spec.freeze
    if freeze is not None and freeze.active(now):
        lines.append(f'frozen until {freeze.until}: "{freeze.reason}" ({freeze.by})')
    return lines


# --- what comes next --------------------------------------------------------------------------------------------------


def following(found: Found, app: Application | None, status: ApplicationStatus, health: Health) -> Iterator[str]:
    """What happens next by itself, and what a person can do."""
    name = plain(found.word)
    generation = found.content["metadata"].get("generation", 0)
    ready = condition(status.conditions, "Ready")
    if ready is None or status.observed_generation < generation:
        yield "the controller looks at it; if this stays so, see whether one runs: kubectl get pods -n windlass-system"
        return
    mend = next((line.removeprefix("mend: ") for line in status.messages if line.startswith("mend: ")), "")
    if ready.reason == Reason.MANUAL.value:
        yield f"windlass plan {name} shows what it would change; windlass sync {name} applies it"
    elif ready.reason == Reason.SUSPENDED.value and app is not None and app.spec.suspend is not None:
        yield f"goes on by itself at {app.spec.suspend.until}, or when spec.suspend leaves Git"
    elif ready.reason == Reason.FROZEN.value:
        ends = f"windlass resume{f' {name}' if app is not None and app.spec.freeze is not None else ''}"
        yield f"what runs is kept; windlass rollback {name} works; {ends} ends the freeze before its time"
    elif mend:
        yield _mended(mend, ready, status)
    elif condition(status.conditions, "Stalled") is not None and status.sync != "Synced":
        yield f"mend it in Git, or try again: windlass sync {name}"
    elif condition(status.conditions, "Reconciling") is not None and status.sync != "Synced":
        yield "is tried again by itself"
    for line in status.messages:
        if line.startswith(ROLLS_BACK):
            yield f'{line}; now: windlass rollback {name} --reason "..."'
            return
    broken = status.break_glass
    if broken is not None and broken.result == "holds":
        yield f"pinned at {short(broken.commit)} without Git: windlass forward {name} --break-glass ends it"
    elif app is not None and app.spec.source.at:
        pinned = short(app.spec.source.at)
        yield f"pinned at {pinned} (source.at): windlass forward {name} follows the branch again"
    told = {one.cause for one in status.drift.items if one.response == DriftResponse.ALERT.value}
    if DriftCause.DELETED.value in told:
        yield f"windlass sync {name} puts back what was deleted (drift.action: alert)"
    elif status.sync == "Synced":
        yield from _for_health(app, health, name)


def _mended(mend: str, ready: Condition, status: ApplicationStatus) -> str:
    keeps = f"; {short(status.commit)} keeps running until then" if status.commit and status.pending else ""
    again = " (is tried again by itself)" if ready.status != "True" and not keeps else ""
    return f"mend: {mend}{keeps}{again}"


def _for_health(app: Application | None, health: Health, name: str) -> Iterator[str]:
    if health.status is HealthStatus.DEGRADED:
        back = f'windlass rollback {name} --reason "..."'
        yield f"mend the cause in Git: the next commit is applied by itself; what ran before comes back with {back}"
    elif health.status in (HealthStatus.PROGRESSING, HealthStatus.MISSING):
        timeout = app.spec.health.timeout if app is not None else "5m"
        yield f"counts as Degraded where it is not Healthy within {timeout} (health.timeout)"


# --- for programs -----------------------------------------------------------------------------------------------------


def view_data(view: StatusView, namespace: str, name: str) -> dict[str, Any]:
    """A view for programs: times as ISO."""
    return {
        "namespace": namespace,
        "name": name,
        "sync": view.sync,
        "commit": view.commit,
        "subject": view.subject,
        "author": view.author,
        "committed": view.committed,
        "tags": list(view.tags),
        "chart": view.chart,
        "pending": {"commit": view.pending, "why": view.pending_why} if view.pending else None,
        "health": view.health.status.value,
        "message": view.health.message,
        "since": view.since.isoformat() if view.since is not None else "",
        "drift": view.drift,
        "messages": list(view.messages),
        "next": list(view.following),
        "objects": [
            {
                **reference(each.ref),
                "health": each.health.status.value,
                "message": each.health.message,
                "details": list(each.details),
                "note": view.notes.get(each.ref, ""),
            }
            for each in sorted(view.objects, key=lambda one: one.ref)
        ],
    }


def shortened(view: StatusView) -> StatusView:
    """Without what changes by the clock alone, to compare two looks."""
    objects = tuple(
        ObjectHealth(each.ref, msgspec.structs.replace(each.health, look_again=0.0)) for each in view.objects
    )
    return msgspec.structs.replace(view, objects=objects, since=None)
