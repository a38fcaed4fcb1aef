"""Differences of live objects from Git as text, for ``windlass diff`` and ``windlass drift``.

Values of Secrets come masked. It decides nothing: what is done about a difference is in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

from windlass.core.model import Drift, DriftCause, DriftResponse, ObjectRef
from windlass.core.words import fields
from windlass.core.words.alerts import response, who
from windlass.core.words.plain import ago, columns, count, pad, plain, short, wrap

_LEFT_MOST = 64
_WHO_MOST = 32


def diff_text(
    application: str,
    commit: str,
    drifts: Sequence[Drift],
    now: datetime,
    *,
    places: Mapping[ObjectRef, str] | None = None,
    width: int = 0,
) -> str:
    """Every difference with who made it when, and what is done about it; then the count.

    ``places`` are ``file:line`` of the objects in Git. Severe ones are marked with ``!`` and come first in an object.
    """
    places = places or {}
    ordered = sorted(drifts, key=lambda each: (each.ref, not each.severe, each.field))
    rows = [(each, _difference(each), _whose(each, now)) for each in ordered]
    left = min(_LEFT_MOST, max((columns(words) for _, words, _ in rows), default=0))
    middle = min(_WHO_MOST, max((columns(whose) for _, _, whose in rows), default=0))
    lines: list[str] = []
    for ref, group in groupby(rows, key=lambda row: row[0].ref):
        place = places.get(ref, "")
        lines.append(f"{plain(ref.full)}   {plain(place)}" if place else plain(ref.full))
        for drift, words, whose in group:
            mark = "!" if drift.severe else " "
            lines.append(f"{mark} {pad(words, left)}   {pad(whose, middle)}   {_next(drift, application)}".rstrip())
    if not ordered:
        return f"{plain(application)} is as {short(commit)} says\n"
    severe = sum(each.severe for each in ordered)
    lines.append(f"{count(len(ordered), 'difference')} from {short(commit)}" + (f", {severe} severe" if severe else ""))
    return "\n".join(part for line in lines for part in wrap(line, width)) + "\n"


def _difference(drift: Drift) -> str:
    match drift.cause:
        case DriftCause.DELETED:
            return "deleted"
        case DriftCause.RELABELLED:
            return f"- {plain(drift.field or 'metadata.labels')}   our label"
        case DriftCause.ADDED:
            return fields.change(drift.field, None, drift.live)
        case _ if drift.desired is None and drift.live is None:
            return plain(drift.field)
        case _:
            return fields.change(drift.field, drift.desired, drift.live)


def _whose(drift: Drift, now: datetime) -> str:
    return ", ".join(part for part in (who(drift), ago(drift.since or drift.seen, now)) if part)


def _next(drift: Drift, application: str) -> str:
    told = response(drift)
    if drift.response is DriftResponse.ALERT:
        return f"{told}; windlass sync {plain(application)} puts it back"
    return told
