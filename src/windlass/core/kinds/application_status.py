"""The status of kind ``Application``: what runs, what is pending and why, the last outcomes, open drift."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec

from windlass.core.kinds.conditions import Condition
from windlass.core.kinds.fields import moment, stamp
from windlass.core.kinds.shape import Keyed, Part, Says
from windlass.core.model import Drift, Outcome, Outside, Rendered, Result

FIRST = 50
"""So many outcomes and drift items are listed; the counts tell of all."""
PROVEN = timedelta(minutes=15)
"""A commit that is Degraded within this time of its apply does not count as one that was Healthy."""
TAGS = 20
DEPLOYMENTS = 10
"""So many commits are kept in the status; the ledger has them all."""


def _unknown() -> Literal["Unknown"]:
    """The default of words that are shown in columns. A factory, so that it is written and not left out."""
    return "Unknown"


def _refused() -> Literal["holds", "refused", "ended"]:
    """What has no result never held."""
    return "refused"


def _nothing() -> int:
    """Zero, written for the same reason."""
    return 0


class Pending(Part, frozen=True):
    """A newer commit that is not applied."""

    commit: Annotated[str, Says("The commit.")] = ""
    why: Annotated[str, Says("Why it is not applied yet.")] = ""


class OutcomeLine(Part, frozen=True):
    """What became of one object in the last sync."""

    object: Annotated[str, Says("`Kind/namespace/name`, or `Kind/name`.")]
    result: Annotated[str, Says("created, adopted, configured, pruned, released, kept, skipped, refused or failed.")]
    message: Annotated[str, Says("Why, for a person.")] = ""
    mend: Annotated[str, Says("What to write or do instead.")] = ""
    file: Annotated[str, Says("The file it stands in.")] = ""
    line: Annotated[int, Says("The line in it.")] = 0


class DriftLine(Part, frozen=True):
    """One open difference. Values are shown as text; those of Secrets are masked."""

    object: Annotated[str, Says("`Kind/namespace/name`, or `Kind/name`.")]
    cause: Annotated[str, Says("changed, added, own-manager, admission, deleted or relabelled.")]
    field: Annotated[str, Says("Which field.")] = ""
    desired: Annotated[str, Says("What Git says.")] = ""
    live: Annotated[str, Says("What the cluster has.")] = ""
    manager: Annotated[str, Says("The field manager that wrote it. A manager is not a person.")] = ""
    operation: Annotated[str, Says("How it wrote: Update, Apply, or a subresource such as scale.")] = ""
    since: Annotated[str, Says("When, as the API server tells.")] = ""
    response: Annotated[str, Says("What is done about it: revert, alert, report or give-up.")] = ""
    severe: Annotated[bool, Says("Whether it touches a security field.")] = False


class DriftStatus(Part, frozen=True):
    """Open drift."""

    count: Annotated[int, Says("How many differences there are.")] = msgspec.field(default_factory=_nothing)
    items: Annotated[list[DriftLine], Says("The first 50.")] = msgspec.field(default_factory=list)


class OutsideStatus(Part, frozen=True):
    """What went into a deployment and is not in its commit."""

    charts: Annotated[dict[str, str], Says("Charts from repositories and registries, by name: version and digest.")] = (
        msgspec.field(default_factory=dict)
    )
    values: Annotated[
        dict[str, str], Says("Values of the cluster (`ConfigMap/<name>`, `Secret/<name>`), each by a keyed digest.")
    ] = msgspec.field(default_factory=dict)
    sources: Annotated[dict[str, str], Says("Further repositories, by their names, and their commits.")] = (
        msgspec.field(default_factory=dict)
    )
    images: Annotated[
        list[str], Says("Images that are named by a tag without a digest, which may be moved; the first 20.")
    ] = msgspec.field(default_factory=list)


class Deployed(Part, frozen=True):
    """One commit that was applied."""

    commit: Annotated[str, Says("The commit.")]
    at: Annotated[str, Says("When it was applied.")] = ""
    healthy: Annotated[
        str,
        Says(
            "Since when everything is Healthy with it. Taken back where it is Degraded within 15 minutes of its apply: "
            "what crashes in a loop is Healthy for a moment."
        ),
    ] = ""
    content: Annotated[
        str, Says("A digest of all objects that it came to last: two commits with the same one deploy the same.")
    ] = ""
    chart: Annotated[str, Says("The chart from elsewhere that ran with it last: name, version, digest, signer.")] = ""
    outside: Annotated[
        OutsideStatus | None, Says("What it got last that is not in the commit. Not there where that was not noted.")
    ] = None


class BreakGlassStatus(Part, frozen=True):
    """The last pin by break-glass: made in the cluster, without Git, by a person who may."""

    result: Annotated[
        Literal["holds", "refused", "ended"], Says("`holds` while it pins; `refused` where it never did.")
    ] = msgspec.field(default_factory=_refused)
    commit: Annotated[str, Says("The commit that it pins.")] = ""
    by: Annotated[str, Says("Who, as the API server knows them.")] = ""
    reason: Annotated[str, Says("Why.")] = ""
    until: Annotated[str, Says("When it ends by itself.")] = ""
    was: Annotated[str, Says("What `source.at` said before.")] = ""
    committed: Annotated[str, Says("The commit that says the same in Git.")] = ""
    message: Annotated[str, Says("Why it was refused, how it ended, or what is to be done.")] = ""
    request: Annotated[str, Says("Which request it was: a digest of the annotation.")] = ""


class ApplicationStatus(Part, frozen=True):
    """The status of an Application."""

    commit: Annotated[str, Says("The commit that is applied.")] = ""
    chart: Annotated[
        str, Says("The chart of `source.chart` that was rendered last: name, version, digest, signer.")
    ] = ""
    outside: Annotated[OutsideStatus | None, Says("What the last render got that is not in its commit.")] = None
    pending: Annotated[Pending | None, Says("A newer commit that is not applied, and why not yet.")] = None
    sync: Annotated[
        Literal["Synced", "OutOfSync", "Unknown"],
        Says("Whether the cluster has what Git says. `Unknown` where Git could not be read."),
    ] = msgspec.field(default_factory=_unknown)
    health: Annotated[
        Literal["Healthy", "Suspended", "Progressing", "Missing", "Unknown", "Degraded"],
        Says("The worst health of its objects."),
    ] = msgspec.field(default_factory=_unknown)
    counts: Annotated[dict[str, int], Says("How many objects had which result in the last sync.")] = msgspec.field(
        default_factory=dict
    )
    objects: Annotated[
        dict[str, int],
        Says("How many objects of which kind there are (`Kind` or `Kind.group`). The list itself is the label index."),
    ] = msgspec.field(default_factory=dict)
    outcomes: Annotated[list[OutcomeLine], Says("The last sync's outcomes that are not `unchanged`, the first 50.")] = (
        msgspec.field(default_factory=list)
    )
    drift: Annotated[DriftStatus, Says("What somebody changed on live objects.")] = msgspec.field(
        default_factory=DriftStatus
    )
    history: Annotated[
        list[Deployed],
        Says("The commits that were applied last, the newest first, at most 10. `windlass rollback` goes back in it."),
    ] = msgspec.field(default_factory=list)
    break_glass: Annotated[BreakGlassStatus | None, Says("The last pin in the cluster, without Git.")] = None
    messages: Annotated[list[str], Says("What a person needs to know now, a line each.")] = msgspec.field(
        default_factory=list
    )
    synced_at: Annotated[str, Says("When the last sync ended.")] = ""
    last_sync_request: Annotated[str, Says("The last request of `windlass sync` that was answered.")] = ""
    conditions: Annotated[
        list[Condition], Says("`Ready`, and `Reconciling` or `Stalled` while so."), Keyed(("type",))
    ] = msgspec.field(default_factory=list)
    observed_generation: Annotated[int, Says("The generation of the spec that this status is about.")] = 0


def outcome_lines(outcomes: list[Outcome]) -> list[OutcomeLine]:
    """The first 50 that are not ``unchanged``, those that need a person first."""
    told = [one for one in outcomes if one.result is not Result.UNCHANGED]
    told.sort(key=lambda one: one.result not in (Result.FAILED, Result.REFUSED))
    return [
        OutcomeLine(one.ref.full, one.result.value, one.message, one.mend, one.file, one.line) for one in told[:FIRST]
    ]


def counts(outcomes: list[Outcome]) -> dict[str, int]:
    """How many outcomes there are of each result, results in their own order."""
    counted: dict[str, int] = {}
    for result in Result:
        number = sum(1 for one in outcomes if one.result is result)
        if number:
            counted[result.value] = number
    return counted


def history_of(
    old: list[Deployed],
    commit: str,
    *,
    well: bool,
    degraded: bool,
    changed: bool,
    now: datetime,
    content: str = "",
    chart: str = "",
    outside: OutsideStatus | None = None,
) -> list[Deployed]:
    """The history with what is applied now; ``well``: it is, and everything is Healthy; ``changed``: it made a
    difference. A commit that made none is the same deployment under a newer name."""
    if not commit:
        return old
    if old and old[0].commit != commit and not changed:
        old = [msgspec.structs.replace(old[0], commit=commit), *old[1:]]
    elif not old or old[0].commit != commit:
        old = [Deployed(commit, stamp(now)), *old]
    if content and old[0].content != content:
        old = [msgspec.structs.replace(old[0], content=content), *old[1:]]
    if old[0].chart != chart:
        old = [msgspec.structs.replace(old[0], chart=chart), *old[1:]]
    if outside is not None and old[0].outside != outside:
        old = [msgspec.structs.replace(old[0], outside=outside), *old[1:]]
    top = old[0]
    if well and not top.healthy:
        old = [msgspec.structs.replace(top, healthy=stamp(now)), *old[1:]]
    elif degraded and top.healthy and top.at and now - moment(top.at) <= PROVEN:
        old = [msgspec.structs.replace(top, healthy=""), *old[1:]]
    return old[:DEPLOYMENTS]


def outside_status(outside: Outside | None) -> OutsideStatus | None:
    """What came from outside Git, as the status tells it."""
    if outside is None:
        return None
    tags = [image for image in outside.images if "@" not in image][:TAGS]
    return OutsideStatus(dict(outside.charts), dict(outside.values), dict(outside.sources), tags)


def outside_of(told: OutsideStatus) -> Outside:
    """Read back."""
    return Outside(dict(told.charts), dict(told.values), dict(told.sources), list(told.images))


def content_of(rendered: Rendered) -> str:
    """A digest of all that a render came to, wherever it is written."""
    digests = sorted(one.digest for one in rendered.objects)
    return hashlib.sha256("\0".join(digests).encode()).hexdigest()[:16]


def others(history: list[Deployed], running: str) -> list[Deployed]:
    """What deployed something else than the commit that runs, the newest first, each once. Where the content is not
    known (it was applied by a version that did not note it), each commit is another."""
    seen = {one.content for one in history if one.commit == running} - {""}
    found: dict[str, Deployed] = {}
    for one in history:
        if one.commit != running and one.commit not in found and one.content not in seen:
            found[one.commit] = one
            seen.update({one.content} - {""})
    return list(found.values())


def last_healthy(history: list[Deployed], but: str) -> str:
    """The newest commit that was Healthy, but for one and what deployed the same; "" where none is known."""
    same = {one.content for one in history if one.commit == but} - {""}
    return next((one.commit for one in history if one.healthy and one.commit != but and one.content not in same), "")


def drift_status(items: list[Drift]) -> DriftStatus:
    """The first 50, severe ones first, and the count of all."""
    ordered = sorted(items, key=lambda one: (not one.severe, one.ref, one.field))
    lines = [
        DriftLine(
            one.ref.full,
            one.cause.value,
            one.field,
            _text(one.desired),
            _text(one.live),
            one.manager,
            one.operation,
            one.since,
            one.response.value,
            one.severe,
        )
        for one in ordered[:FIRST]
    ]
    return DriftStatus(len(items), lines)


def _text(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else text[:197] + "..."
