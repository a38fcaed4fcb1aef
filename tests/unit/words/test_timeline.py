"""The timeline as a person reads it: a golden page, harmless whatever stands in an event, cut to a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from windlass.core.model import events
from windlass.core.record.private import DIGEST
from windlass.core.words.timeline import timeline, words

START = datetime(2026, 11, 28, 14, 21, 2, tzinfo=UTC)
A, B = "3f2c1ab0c7d64ab2a1f0a4b5c6d7e8f901234567", "8e1f0c2000000000000000000000000000000000"
WEB = "Deployment.apps/shop/web"


def event(data: events.Data, minutes: float, subject: str = "shop/shop") -> events.Event:
    return events.make("prod", subject, data, START + timedelta(minutes=minutes))


def test_a_day_reads_as_the_docs_say() -> None:
    commit = events.Commit(
        A, "Raise cache size", "ada", "ada@acme.example", events.stamp(START - timedelta(seconds=41))
    )
    told = [
        event(events.RolledBack(pins=B, was=A, commit="b51c9d0" + "0" * 33, automatic=True, reason="Degraded"), 11),
        event(events.HealthChanged(health="Degraded", was="Progressing", message="web is down", seconds=90), 10),
        event(
            events.DriftOpened(
                object=WEB, field="spec.replicas", cause="changed", response="revert", desired=3, live=7,
                manager="kubectl", operation="scale",
            ), 5,
        ),
        event(events.DriftOpened(object=WEB, field="spec.x", cause="added", response="report", live=DIGEST + "ab"), 4),
        event(
            events.Applied(
                commit=A, previous=B, result="applied", counts={"unchanged": 12, "configured": 1}, commits=[commit]
            ), 0,
        ),
        event(events.Refused(commit=A, reason="BadManifest", message="replicas must be an integer"), -60 * 24),
    ]  # fmt: skip
    assert timeline(told, START).splitlines() == [
        '14:32:02  rolled back  b51c9d0 pins 8e1f0c2 (was 3f2c1ab)   by itself: "Degraded"',
        "14:31:02  degraded     web is down   after 90s Progressing",
        "14:26:02  drift        Deployment/web spec.replicas 3 -> 7 by kubectl (scale)   revert",
        "14:25:02  drift        Deployment/web + spec.x = (text)   report",
        '14:21:02  applied      3f2c1ab   "Raise cache size" (ada)   1 configured, 12 unchanged   41s after its commit',
        "11-27 14:21:02  refused      3f2c1ab   BadManifest: replicas must be an integer",
    ]


def test_the_words_of_a_commit_stand_beside_its_own_id() -> None:
    """The branch went on by commits that touch nothing of the Application: what was applied is at another commit."""
    brought = events.Commit(B, "Shop 1.4.1", "ada", time=events.stamp(START - timedelta(seconds=90)))
    applied = events.Applied(commit=A, result="applied", counts={"pruned": 1}, commits=[brought])
    assert words(event(applied, 0)) == ("applied", '3f2c1ab   with 8e1f0c2 "Shop 1.4.1" (ada)   1 pruned')


def test_what_waits_for_a_freeze_has_not_failed_and_a_fork_ends_in_plain_words() -> None:
    frozen = events.Refused(commit=A, reason="Frozen", message="frozen by bob", passing=True)
    assert words(event(frozen, 0)) == ("waits", "3f2c1ab   Frozen: frozen by bob")
    away = events.Refused(commit=A, reason="Unreachable", message="no answer", passing=True)
    assert words(event(away, 0))[0] == "failed"
    assert words(event(events.ExceptionEnded(what="expires", until="x"), 0)) == (
        "exception", "its time is over: it is taken out of Git (spec.expires)"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (
            events.RolledBack(pins=B, was=A, commit=A, actor="ada", reason="crash"),
            '3f2c1ab pins 8e1f0c2 (was 3f2c1ab)   by ada: "crash"',
        ),
        (events.RolledBack(pins=B, was=A), "pins 8e1f0c2 (was 3f2c1ab)"),
        (
            events.RolledForward(was=B, commit=A, actor="ada"),
            "3f2c1ab follows its branch again (was pinned at 8e1f0c2)   by ada",
        ),
    ],
)
def test_a_pin_tells_whose_word_it_is_as_far_as_is_known(data: events.Data, line: str) -> None:
    assert words(event(data, 0))[1] == line


def test_names_stand_in_a_column_and_lines_fit() -> None:
    told = [event(events.HealthChanged(health="Healthy"), 0, name) for name in ("a/b", "team/application", "")]
    lines = timeline(told, START, names=True, width=40).splitlines()
    assert [line[10:26].rstrip() for line in lines] == ["a/b", "team/application", "(cluster)"]
    assert all(len(line) <= 40 for line in lines)


@pytest.mark.parametrize("kind", list(events.KINDS.values()), ids=list(events.KINDS))
def test_no_event_moves_a_terminal(kind: type[events.Data]) -> None:
    bad = "\x1b[31mred\nline\x07\u202e"
    values: dict[str, object] = {}
    for one in msgspec.structs.fields(kind):
        if one.type is str:
            values[one.name] = bad
        elif one.required:
            values[one.name] = 1 if one.type is int else events.Commit(bad, bad, bad, bad)
    verb, text = words(event(kind(**values), 0))
    assert not set("\x1b\n\x07\u202e") & set(verb + text)
