"""``windlass log --trace``: the way of images from the push to Healthy, from the ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import msgspec

from windlass.adapters.ledger.index import Index, Wish, on_index_thread
from windlass.cli.ledgers import Which, opened
from windlass.cli.telling import emit, say, width_of
from windlass.cli.timelines import Asked, local_now, milliseconds_of, subjects_of
from windlass.core.model.events import Event
from windlass.core.record.facts import milliseconds
from windlass.core.record.traces import EARLY, LATE, Trace, following, matches, traced
from windlass.core.words.traces import trace_text

KINDS = ("applied", "health", "rolled-back", "image")


async def trace(which: Which, asked: Asked, word: str) -> int:
    """The newest images that fit, the newest first; those of one Application where one was named."""
    async with opened(which) as index:
        found = await on_index_thread(traces, index, asked, word)
    if asked.output != "human":
        emit([msgspec.to_builtins(one) for one in found], asked.output)
        return 0
    say(trace_text(found, local_now(), width=width_of(sys.stdout)))
    if not found:
        say("no image that fits was taken, as far as the ledger tells\n", sys.stderr)
    elif len(found) == asked.limit:
        say(f"only the newest {asked.limit} are told: --limit tells more\n", sys.stderr)
    return 0


def traces(index: Index, asked: Asked, word: str) -> list[Trace]:
    """At most ``asked.limit``, newest first."""
    subjects = subjects_of(index, asked) if asked.app else ()
    moves = index.events(Wish(kinds=("image",)))[::-1]
    since, until = milliseconds_of(asked.since), milliseconds_of(asked.until)
    found: list[Trace] = []
    for taken, later in following(moves)[::-1]:
        at = milliseconds(taken.time)
        if len(found) >= asked.limit or at < since:
            break
        outside = bool(until) and at > until
        elsewhere = bool(asked.namespace) and not asked.app and not taken.subject.startswith(f"{asked.namespace}/")
        if outside or elsewhere or not matches(taken, word):
            continue
        made = traced(taken, _since(index, at, later), later)
        if subjects:
            made.applications = [one for one in made.applications if one.application in subjects]
        if made.applications or not subjects:
            found.append(made)
    return found


def _since(index: Index, at: int, later: Event | None) -> Iterable[Event]:
    """What was told since, oldest first, as far as it can be of this image."""
    end = milliseconds(later.time) + LATE if later is not None else 0
    return index.events(Wish(kinds=KINDS, since=max(0, at - EARLY), until=end))[::-1]
