"""One image from its push to Healthy: what the ledger tells of it, put together from its events.

An ``image`` event names the commit that an image policy made. An Application that reads what the commit changed tells
that commit in its ``applied``, by itself or among those that led there, and its health after it. ``windlass log
--trace`` asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from windlass.core.model import events
from windlass.core.model.events import Event
from windlass.core.record.facts import milliseconds

EARLY = 60_000
"""Milliseconds by which an apply may be told before the commit that it is of: the push hook can be quicker."""
LATE = 3600_000
"""Milliseconds for which an apply may come after the policy's next commit and still be of this one."""
_DONE = "applied"


class Delivered(msgspec.Struct, rename="camel"):
    """One Application that the image reached. ISO times, "" where it has not come to that. ``commit`` is what was
    applied: the image's own commit, or one with more in it. ``result`` and ``counts`` are those of the apply."""

    application: str
    commit: str
    fetched: str = ""
    applied: str = ""
    result: str = ""
    counts: dict[str, int] = {}
    degraded: str = ""
    why: str = ""
    healthy: str = ""
    rolled_back: str = ""


class Trace(msgspec.Struct, rename="camel"):
    """One image's way. ``id`` is the commit's Intent-Id. ISO times: ``built`` and ``pushed`` may be "" (not known).
    ``by`` says how the push was seen. ``seconds`` is from the push (or where that is not known, from the commit) to
    Healthy in the last Application; None while one is not."""

    id: str
    policy: str
    image: str
    tag: str
    digest: str
    was: list[str]
    built: str
    revision: str
    pushed: str
    by: str
    decided: str
    verified: bool
    committed: str
    commit: str
    repository: str
    files: list[str]
    applications: list[Delivered] = []
    held: str = ""
    seconds: float | None = None


def matches(event: Event, word: str) -> bool:
    """Whether a person means this image by a word: an image, a tag, ``image:tag``, a policy, or the beginning of a
    commit, of a digest, of the code's revision or of a trace's id."""
    data = event.data
    if not isinstance(data, events.ImageMoved):
        return False
    if not word:
        return True
    image, _, tag = word.rpartition(":")
    named = {data.tag, data.policy, data.policy.rpartition("/")[2], data.image}
    ids = (data.commit, data.intent, data.revision, data.digest, data.digest.removeprefix("sha256:"))
    return (
        word in named
        or data.image.endswith(f"/{word}")
        or (bool(image) and tag == data.tag and f"/{data.image}".endswith(f"/{image}"))
        or (len(word) >= 4 and any(one.startswith(word) for one in ids))
    )


def traced(taken: Event, told: Iterable[Event], following: Event | None) -> Trace:
    """The way of one image that was taken. ``told`` are the events since (oldest first, others are passed over);
    ``following`` is the policy's next ``image`` event that took another."""
    data = taken.data
    assert isinstance(data, events.ImageMoved)
    trace = Trace(
        id=data.intent,
        policy=data.policy,
        image=data.image,
        tag=data.tag,
        digest=data.digest,
        was=list(data.was),
        built=data.built,
        revision=data.revision,
        pushed=data.seen,
        by=data.by,
        decided=data.decided,
        verified=data.verified,
        committed=taken.time,
        commit=data.commit,
        repository=data.repository,
        files=list(data.files),
    )
    nexts = following.data.commit if following is not None and isinstance(following.data, events.ImageMoved) else ""
    reached: dict[str, Delivered] = {}
    closed: set[str] = set()
    for event in told:
        _take(trace, event, nexts, reached, closed)
    trace.applications = [reached[name] for name in sorted(reached)]
    if reached and all(one.healthy for one in reached.values()):
        last = max(milliseconds(one.healthy) for one in reached.values())
        trace.seconds = round((last - milliseconds(trace.pushed or trace.committed)) / 1000, 3)
    return trace


def _take(trace: Trace, event: Event, nexts: str, reached: dict[str, Delivered], closed: set[str]) -> None:
    data, one = event.data, reached.get(event.subject)
    match data:
        case events.Applied():
            led = {data.commit, *(each.id for each in data.commits)}
            if trace.commit in led and (nexts not in led or nexts == trace.commit) and (not data.pinned or one is None):
                if one is None or (one.result != _DONE and event.subject not in closed):
                    reached[event.subject] = Delivered(
                        application=event.subject,
                        commit=data.commit,
                        fetched=data.fetched,
                        applied=event.time,
                        result=data.result,
                        counts=dict(data.counts),
                        healthy=event.time if data.result == _DONE and data.health == "Healthy" else "",
                    )
            elif one is not None and data.commit != one.commit:
                closed.add(event.subject)  # what is told from here on is of another commit
        case events.HealthChanged() if one is not None and event.subject not in closed:
            if data.health == "Healthy" and not one.healthy:
                one.healthy = event.time
            elif data.health == "Degraded" and not one.degraded:
                one.degraded, one.why = event.time, data.message
        case events.RolledBack() if one is not None and event.subject not in closed and data.was == one.commit:
            one.rolled_back = event.time
            closed.add(event.subject)
        case events.ImageMoved() if data.result == "held" and data.policy == trace.policy and data.tag == trace.tag:
            trace.held = trace.held or event.time


def following(moves: Sequence[Event]) -> list[tuple[Event, Event | None]]:
    """Each ``image`` event that took something with the policy's next one, oldest first as they are given."""
    later: dict[str, Event] = {}
    found: list[tuple[Event, Event | None]] = []
    for event in reversed(moves):
        data = event.data
        if isinstance(data, events.ImageMoved) and data.result == "taken":
            found.append((event, later.get(data.policy)))
            later[data.policy] = event
    return found[::-1]
