"""An image's way from its push to Healthy as text: the words of ``windlass log --trace``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from windlass.core.record.facts import milliseconds
from windlass.core.record.traces import Delivered, Trace
from windlass.core.words.plain import count, fit, plain, short, span, took
from windlass.core.words.timeline import counted

_SEEN = {
    "push hook": "a push hook told of it",
    "request": "found when somebody asked for a look",
    "poll": "found by a poll; it may have been there before",
    "start": "there when the controller began to look",
}


def trace_text(traces: Sequence[Trace], now: datetime, *, width: int = 0) -> str:
    """One after another, each with a line per step: when, how long after the step before, and what."""
    blocks = []
    for trace in traces:
        lines = [*_head(trace), *_steps(trace, now)]
        for one in trace.applications:
            lines.append(f"  Application {plain(one.application)}")
            lines += _delivered(trace, one, now)
        if not trace.applications:
            lines.append("  not applied anywhere yet, as far as the ledger tells")
        blocks.append("".join(f"{fit(line.rstrip(), width)}\n" for line in lines))
    return "\n".join(blocks)


def _head(trace: Trace) -> list[str]:
    was = f"{', '.join(map(plain, trace.was))} -> " if trace.was and trace.was != [trace.tag] else ""
    name = plain(trace.policy).rpartition("/")[2]
    code = f"   code {plain(trace.revision)[:12]}" if trace.revision else ""
    found = f"   trace {plain(trace.id)}" if trace.id else ""
    return [f"{plain(trace.image)} {was}{plain(trace.tag)}   by ImagePolicy/{name}{code}{found}"]


def _steps(trace: Trace, now: datetime) -> list[str]:
    digest = plain(trace.digest)[:19] + "..." if trace.digest else ""
    checked = "signature good" if trace.verified else "chosen; no signature is asked for"
    files = count(len(trace.files), "file")
    repository = plain(trace.repository)
    rows = [
        ("built", trace.built, "", "as the image says"),
        ("pushed", trace.pushed, "", _SEEN.get(trace.by, plain(trace.by))),
        ("verified" if trace.verified else "chosen", trace.decided, trace.pushed, f"{checked}   {digest}"),
        (
            "committed",
            trace.committed,
            trace.decided or trace.pushed,
            f"{short(trace.commit)} in Repository/{repository}, {files}",
        ),
    ]
    lines = [_line(*row, now) for row in rows if row[1]]
    if trace.held:
        lines.append(_line("held", trace.held, "", "somebody put it back: it is not taken again", now))
    return lines


def _delivered(trace: Trace, one: Delivered, now: datetime) -> list[str]:
    with_more = "" if one.commit == trace.commit else f"{short(one.commit)}, which holds it   "
    lines = [_line("fetched", one.fetched, trace.committed, "", now)] if one.fetched else []
    result = "" if one.result == "applied" else f"{plain(one.result)}: "
    words = f"{with_more}{result}{counted(one.counts)}"
    lines.append(_line("applied", one.applied, one.fetched or trace.committed, words, now))
    before = one.applied
    since, what = (trace.pushed, "push") if trace.pushed else (trace.committed, "commit")
    rest = [("Degraded", one.degraded, plain(one.why)), ("rolled back", one.rolled_back, "")]
    rest.append(("Healthy", one.healthy, f"{_took(since, one.healthy)} after the {what}" if one.healthy else ""))
    for word, time, words in sorted(rest, key=lambda row: row[1]):
        if time:
            lines.append(_line(word, time, before, words, now))
            before = time
    if not (one.healthy or one.degraded or one.rolled_back):
        lines.append("  not Healthy yet, as far as the ledger tells")
    return lines


def _line(word: str, time: str, before: str, words: str, now: datetime) -> str:
    later = f"+{_took(before, time)}" if before else ""
    return f"  {word:<12} {_when(time, now):<14} {later:>9}   {words}"


def _when(time: str, now: datetime) -> str:
    """To the millisecond where it is of today; a day before that."""
    local = datetime.fromisoformat(time).astimezone(now.tzinfo)
    if local.date() == now.date():
        return local.strftime("%H:%M:%S.") + f"{local.microsecond // 1000:03d}"
    return local.strftime("%m-%d %H:%M:%S" if local.year == now.year else "%Y-%m-%d %H:%M")


def _took(before: str, after: str) -> str:
    seconds = max(0.0, (milliseconds(after) - milliseconds(before)) / 1000)
    return took(seconds) if seconds < 120 else span(seconds)
