"""The state of an Application as text: what runs, how it is, why, and what to do next.

``windlass status`` calls it with what it read from the cluster. Unhealthy objects come with the reasons below them;
healthy ones are counted, but for those that the shown commit changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from windlass.core.model import Health, HealthStatus, ObjectHealth, ObjectRef
from windlass.core.words.plain import ago, columns, count, fit, pad, plain, short, span

_WORST = {status: rank for rank, status in enumerate(reversed(HealthStatus))}
_NAME_MOST = 44
_STATUS_WIDE = 11


class StatusView(msgspec.Struct, frozen=True):
    """What is told of an Application. ``subject``, ``author``, ``committed`` (ISO) and ``tags`` are the commit's;
    ``since`` (ISO) is that of its health; ``pending`` a newer commit with ``pending_why``; ``messages`` what a person
    needs to know; ``notes`` a remark for an object; ``following`` the lines behind ``next``; ``chart`` its chart from
    elsewhere, as name, version and digest."""

    name: str
    sync: str
    commit: str
    health: Health
    subject: str = ""
    author: str = ""
    committed: str = ""
    tags: Sequence[str] = ()
    since: datetime | None = None
    pending: str = ""
    pending_why: str = ""
    drift: int = 0
    objects: Sequence[ObjectHealth] = ()
    messages: Sequence[str] = ()
    notes: Mapping[ObjectRef, str] = {}
    following: Sequence[str] = ()
    chart: str = ""


def status_text(view: StatusView, now: datetime, *, everything: bool = False, width: int = 0) -> str:
    """The tree of one Application: its own line, its objects from worst to best, what comes next."""
    lines = [_head(view, now)]
    if view.chart:
        name, _, rest = plain(view.chart).partition(" ")
        version, _, digest = rest.partition(" ")
        lines.append(f"  chart   {name} {version}" + (f" ({digest[:19]})" if digest else ""))
    if view.pending:
        why = f": {plain(view.pending_why)}" if view.pending_why else ""
        lines.append(f"  pending {short(view.pending)}{why}")
    lines += [f"  {plain(message)}" for message in view.messages]
    lines += _tree(view, everything)
    if view.drift:
        lines.append(f"  {count(view.drift, 'difference')} from Git   windlass diff {plain(view.name)}")
    for place, line in enumerate(view.following):
        lines.append(f"{'next' if place == 0 else '    '}  {plain(line)}")
    return "\n".join(fit(line, width) for line in lines) + "\n"


def _head(view: StatusView, now: datetime) -> str:
    parts = [plain(view.sync)]
    if view.commit:
        parts.append(short(view.commit))
    parts += [plain(tag) for tag in view.tags]
    if view.subject:
        parts.append(f'"{fit(plain(view.subject), 50)}"')
    notes = [plain(view.author), ago(view.committed, now) if view.committed else ""]
    if any(notes):
        parts.append(f"({', '.join(note for note in notes if note)})")
    lasting = f" for {span((now - view.since).total_seconds())}" if view.since is not None else ""
    return f"{plain(view.name)}   {' '.join(parts)}   {view.health.status.value}{lasting}"


def _tree(view: StatusView, everything: bool) -> list[str]:
    ordered = sorted(view.objects, key=lambda each: (_WORST[each.health.status], each.ref))
    shown = [
        each
        for each in ordered
        if everything or each.health.status is not HealthStatus.HEALTHY or each.ref in view.notes
    ]
    details = [(each, [_split(line) for line in each.details]) for each in shown]
    names = [columns(_name(each, view)) for each in shown]
    names += [columns(head) + 2 for _, lines in details for head, label, _ in lines if not label]
    wide = min(_NAME_MOST, max(names, default=0))
    lines: list[str] = []
    for each, below in details:
        words = "   ".join(part for part in (plain(each.health.message), plain(view.notes.get(each.ref, ""))) if part)
        lines.append(
            f"  {pad(_name(each, view), wide)}   {pad(f'{each.health.status.value}   ', _STATUS_WIDE)}{words}".rstrip()
        )
        for head, label, told in below:
            start = f"    {pad(head, wide - 2)}" if not label else " " * (wide + 2)
            lines.append(f"{start}   {pad(label, 5) + '  ' if label else ''}{told}".rstrip())
    rest = len(ordered) - len(shown)
    if rest:
        lines.append(
            f"  {pad(f'{rest} more' if shown else count(rest, 'object'), wide)}   {HealthStatus.HEALTHY.value}"
        )
    return lines


def _split(line: str) -> tuple[str, str, str]:
    """(head, label, words) of a detail line: ``Pod/web  words`` or, indented, ``  log  words``."""
    if line.startswith("  "):
        label, _, told = line.strip().partition("  ")
        return "", plain(label), plain(told)
    head, _, told = line.partition("  ")
    return plain(head), "", plain(told)


def _name(each: ObjectHealth, view: StatusView) -> str:
    twice = sum(str(other.ref) == str(each.ref) for other in view.objects) > 1
    return plain(each.ref.full if twice else str(each.ref))


def applications_text(views: Sequence[StatusView], now: datetime, *, width: int = 0) -> str:
    """A line for each Application, those that need a person first."""
    ordered = sorted(views, key=lambda view: (_WORST[view.health.status], view.name))
    if not ordered:
        return "no Applications\n"
    wide = max(columns(plain(view.name)) for view in ordered)
    lines = []
    for view in ordered:
        lasting = f" for {span((now - view.since).total_seconds())}" if view.since is not None else ""
        health = f"{view.health.status.value}{lasting}"
        told = view.messages[0] if view.messages else view.health.message
        if view.health.status is HealthStatus.HEALTHY and not view.messages:
            told = ""
        drift = f"{count(view.drift, 'difference')}   " if view.drift else ""
        head = f"{pad(plain(view.name), wide)}   {pad(plain(view.sync), 9)} {pad(short(view.commit), 7)}"
        lines.append(f"{head}   {pad(health, 18)} {drift}{plain(told)}".rstrip())
    return "\n".join(fit(line, width) for line in lines) + "\n"
