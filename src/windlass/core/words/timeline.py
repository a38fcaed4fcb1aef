"""Events as a person reads them: ``14:21:02  applied   3f2c1ab   1 configured, 12 unchanged   41s after its commit``.

``windlass log`` prints these. A line says when, what in one word, and the rest; newest first, as the caller gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from windlass.core.kinds.reasons import Reason
from windlass.core.model import events
from windlass.core.model.events import Event
from windlass.core.record.facts import milliseconds
from windlass.core.record.private import DIGEST
from windlass.core.words.plain import columns, count, fit, pad, plain, short, span, value

_WIDE = 12
_WAITING = frozenset({Reason.FROZEN.value, Reason.SUSPENDED.value})
"""Why a sync did not come to an apply where nothing is wrong: a person asked for that."""
_ORDER = (
    "created", "adopted", "configured", "released", "pruned", "unchanged", "kept", "skipped", "refused", "failed"
)  # fmt: skip


Tags = Mapping[str, Sequence[str]]
"""Commits to the tags at them."""


def timeline(
    told: Iterable[Event], now: datetime, *, width: int = 0, names: bool = False, tags: Tags | None = None
) -> str:
    """Many events, a line each. Times are in the zone of ``now``; ``names`` says whose they are; ``tags`` are told
    beside the commits that are deployed, fetched or pinned."""
    found = list(told)
    wide = min(32, max((columns(_whose(one)) for one in found), default=0)) if names else 0
    lines = []
    for event in found:
        verb, text = words(event, tags or {})
        whose = pad(fit(_whose(event), wide), wide) + "  " if names else ""
        lines.append(fit(f"{when(event, now)}  {whose}{pad(verb, _WIDE)} {text}".rstrip(), width))
    return "".join(f"{line}\n" for line in lines)


def when(event: Event, now: datetime) -> str:
    """``14:21:02`` of today, ``11-27 14:21:02`` of this year, else with the year."""
    local = event.when.astimezone(now.tzinfo)
    if local.date() == now.date():
        return local.strftime("%H:%M:%S")
    return local.strftime("%m-%d %H:%M:%S" if local.year == now.year else "%Y-%m-%d %H:%M:%S")


def words(event: Event, tags: Tags | None = None) -> tuple[str, str]:
    """The verb and the rest of an event's line."""
    data = event.data
    match data:
        case events.Applied():
            verb = "applying" if data.result == "waits" else plain(data.result)
            return verb, "   ".join(part for part in _applied(event, data, tags or {}) if part)
        case events.Planned():
            changes = [f"{one.action} {_object(one.object)}" for one in data.changes[:3]]
            more = f" and {len(data.changes) - 3} more" if len(data.changes) > 3 else ""
            return "planned", f"{short(data.commit)}   {plain(', '.join(changes))}{more}"
        case events.Refused():
            commit = f"{short(data.commit)}   " if data.commit else ""
            verb = "waits" if data.reason in _WAITING else "failed" if data.passing else "refused"
            return verb, f"{commit}{plain(data.reason)}: {plain(data.message)}"
        case events.HealthChanged():
            was = f"   after {span(data.seconds)} {plain(data.was)}" if data.was and data.seconds >= 1 else ""
            return plain(data.health).lower(), f"{plain(data.message)}{was}"
        case events.DriftOpened():
            return "drift", _drift(data)
        case events.DriftClosed():
            return (
                "put back" if data.how == "put back" else "drift ended",
                f"{_object(data.object)} {plain(data.field)}",
            )
        case events.Warned():
            times = f" (x{data.count})" if data.count > 1 else ""
            behind = f" {plain(data.about)}" if data.about else ""
            return "warning", f"{_object(data.object)}{behind}: {plain(data.reason)} {plain(data.message)}{times}"
        case events.Alerted():
            return "alert", f"{plain(data.name)} {plain(data.status)}: {plain(data.summary)}".rstrip(": ")
        case _:
            return _rare(event, tags or {})


def _rare(event: Event, tags: Tags) -> tuple[str, str]:
    data = event.data
    match data:
        case events.Fetched():
            by = plain(data.commit.author)
            return "fetched", f"{_tagged(data.commit.id, tags)} {_quoted(data.commit.subject)} ({by})"
        case events.Held():
            return "held", f"{short(data.held)} is not followed: {plain(data.message)}"
        case events.ImageMoved():
            was = f"{', '.join(plain(one) for one in data.was)} -> " if data.was and data.result == "taken" else ""
            signed = ", signature verified" if data.verified and data.result == "taken" else ""
            after = " is held: it was reverted" if data.result == "held" else ""
            name = plain(data.policy).rpartition("/")[2]
            return "image", f"{plain(data.image)} {was}{plain(data.tag)}{after} by ImagePolicy/{name}{signed}"
        case events.Requested():
            return "requested", f"{plain(data.verb)} by {plain(data.actor) or 'somebody'}"
        case events.RolledBack():
            own = f"{short(data.commit)} " if data.commit else ""
            by = _by("itself" if data.automatic else data.actor, data.reason)
            return "rolled back", f"{own}pins {_tagged(data.pins, tags)} (was {short(data.was)}){by}"
        case events.RolledForward():
            own = f"{short(data.commit)} " if data.commit else ""
            by = _by(data.actor, data.reason)
            return "forward", f"{own}follows its branch again (was pinned at {short(data.was)}){by}"
        case events.GlassBroken():
            return "break-glass", _glass(data)
        case events.ExceptionHeld():
            by = f"   {plain(data.actor)}" if data.actor else ""
            return "exception", f"{plain(data.what)} until {plain(data.until)}{by}: {_quoted(data.reason)}"
        case events.ExceptionEnded():
            if data.what == "expires":
                return "exception", "its time is over: it is taken out of Git (spec.expires)"
            return "exception", f"{plain(data.what)} ended{', taken out before its time' if data.early else ''}"
        case events.Lost():
            return (
                "lost",
                f"{count(data.count, 'event')} from {plain(data.first)} to {plain(data.last)}: {plain(data.why)}",
            )
        case events.Rewritten():
            kept = f"; the history before is kept at {plain(data.kept)}" if data.kept else ""
            return "rewritten", f"{plain(data.ref)} does not hold {plain(data.tip)[:12]} any more{kept}"
        case _:
            return plain(event.kind), f"by {plain(data.actor)}" if data.actor else ""


def _by(who: str, why: str) -> str:
    """``   by ada: "crash loop"``, as far as is known."""
    text = ": ".join(part for part in (f"by {plain(who)}" if who else "", _quoted(why) if why else "") if part)
    return f"   {text}" if text else ""


def _glass(data: events.GlassBroken) -> str:
    commit, why = short(data.commit), f": {plain(data.why)}" if data.why else ""
    match data.what:
        case "pinned":
            by = f"by {plain(data.actor)}: {_quoted(data.reason)}"
            return f"{commit} pinned in the cluster until {plain(data.until)} (was {short(data.was)})   {by}"
        case "committed":
            return f"{short(data.revision)} says in Git that {commit} is pinned"
        case "unrecorded":
            return f"{commit} is pinned and not in Git{why}"
        case "refused":
            return f"refused to {plain(data.actor) or 'somebody'}{why}"
        case _:
            return f"the pin at {commit} has ended: {plain(data.what)}{why}"


def counted(counts: Mapping[str, int]) -> str:
    """``1 configured, 12 unchanged``."""
    named = [word for word in _ORDER if word in counts] + sorted(word for word in counts if word not in _ORDER)
    return ", ".join(f"{counts[word]} {plain(word)}" for word in named)


def _tagged(commit: str, tags: Tags) -> str:
    """``3f2c1ab``, or ``3f2c1ab v1.4.2``."""
    return " ".join([short(commit), *(plain(tag) for tag in list(tags.get(commit, ()))[:3])])


def _applied(event: Event, data: events.Applied, tags: Tags) -> Sequence[str]:
    pinned = " (pinned)" if data.pinned else ""
    after = ""
    if data.commits and data.previous not in ("", data.commit) and not data.pinned:
        seconds = (milliseconds(event.time) - milliseconds(data.commits[0].time)) / 1000
        after = f"{span(seconds)} after its commit" if 0 <= seconds < 86400 * 14 else ""
    subject = ""
    if data.commits:
        newest = data.commits[0]
        # The branch may have gone on by commits that are none of its own: the words are of the commit they came with.
        own = "" if newest.id in ("", data.commit) else f"with {_tagged(newest.id, tags)} "
        subject = f"{own}{_quoted(newest.subject)} ({plain(newest.author)})"
    wrong = [one for one in data.outcomes if one.result in ("failed", "refused")]
    first = f"{_object(wrong[0].object)}: {plain(wrong[0].message)}" if wrong else ""
    resumed = "begun by a controller that was ended" if data.resumed else ""
    return [f"{_tagged(data.commit, tags)}{pinned}", subject, counted(data.counts), after, resumed, first]


def _drift(data: events.DriftOpened) -> str:
    if data.cause == "deleted":
        change = "deleted"
    else:
        live = "nothing" if data.live is None else _value(data.live)
        change = f"{plain(data.field)} {_value(data.desired)} -> {live}" if data.desired is not None else (
            f"+ {plain(data.field)} = {live}"
        )  # fmt: skip
    way = f" ({plain(data.operation)})" if data.operation not in ("", "Apply", "Update") else ""
    by = f" by {plain(data.manager)}{way}" if data.manager else ""
    return f"{_object(data.object)} {change}{by}   {plain(data.response)}"


def _value(told: object) -> str:
    """A value, or that it may not be told: a digest says no more than that something is there."""
    return "(text)" if isinstance(told, str) and told.startswith(DIGEST) else value(told)


def _object(word: str) -> str:
    """``Deployment.apps/shop/web`` as people say it: ``Deployment/web``."""
    try:
        return plain(str(events.object_of(word)))
    except ValueError:
        return plain(word)


def _quoted(text: str) -> str:
    return f'"{plain(text)}"'


def _whose(event: Event) -> str:
    return plain(event.subject) or "(cluster)"
