"""An image's way from its push to Healthy by example: which events are of it, and how it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from windlass.core.model import events
from windlass.core.record.traces import Trace, following, matches, traced
from windlass.core.words.traces import trace_text

START = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
A, B, C = "a" * 40, "b" * 40, "c" * 40
DIGEST = "sha256:" + "d" * 64


def at(seconds: float) -> str:
    return events.stamp(START + timedelta(seconds=seconds))


def event(data: events.Data, seconds: float, subject: str = "shop/shop") -> events.Event:
    return events.make("prod", subject, data, START + timedelta(seconds=seconds))


def image(commit: str, seconds: float, tag: str = "1.4.2", **more: Any) -> events.Event:
    told: dict[str, Any] = {
        "policy": "shop/shop",
        "image": "registry.example.com/acme/shop",
        "tag": tag,
        "result": "taken",
        "digest": DIGEST,
        "was": ["1.4.1"],
        "commit": commit,
        "files": ["apps/shop/web.yaml"],
        "repository": "shop/config",
        "revision": "9c1f0e2",
        "verified": True,
        "intent": "1914c28d4df4251d49db203c",
        "built": at(-600),
        "seen": at(0),
        "by": "push hook",
        "decided": at(0.5),
    }
    return event(events.ImageMoved(**told | more), seconds)


def applied(
    commit: str, seconds: float, subject: str = "shop/shop", *also: str, result: str = "applied", health: str = ""
) -> events.Event:
    data = events.Applied(
        commit=commit,
        result=result,
        commits=[events.Commit(one) for one in (commit, *also)],
        health=health,
        fetched=at(seconds - 0.1),
        counts={"configured": 1, "unchanged": 3},
    )
    return event(data, seconds, subject)


def health(word: str, seconds: float, subject: str = "shop/shop", message: str = "") -> events.Event:
    return event(events.HealthChanged(health=word, message=message), seconds, subject)


def trace(taken: events.Event, *told: events.Event, later: events.Event | None = None) -> Trace:
    return traced(taken, [taken, *told], later)


def test_each_step_of_an_image_has_its_time() -> None:
    found = trace(image(A, 1), applied(A, 1.5), health("Progressing", 1.6), health("Healthy", 4))
    assert (found.built, found.pushed, found.decided, found.committed) == (at(-600), at(0), at(0.5), at(1))
    (one,) = found.applications
    assert (one.fetched, one.applied, one.healthy) == (at(1.4), at(1.5), at(4))
    assert found.seconds == 4.0


def test_one_commit_reaches_several_applications_each_in_its_own_time() -> None:
    told = (applied(A, 2, "shop/web"), applied(A, 3, "shop/job", health="Healthy"), health("Healthy", 9, "shop/web"))
    found = trace(image(A, 1), *told)
    assert [(one.application, one.healthy) for one in found.applications] == [("shop/job", at(3)), ("shop/web", at(9))]
    assert found.seconds == 9.0
    assert trace(image(A, 1), *told[:2]).seconds is None, "one of them is not Healthy yet"


def test_a_commit_that_was_applied_together_with_later_ones_is_found_in_them() -> None:
    (one,) = trace(image(A, 1), applied(C, 5, "shop/shop", B, A, health="Healthy")).applications
    assert (one.commit, one.healthy) == (C, at(5))


def test_what_was_overtaken_by_the_next_image_is_not_told_as_applied() -> None:
    later = image(B, 2, "1.4.3")
    assert trace(image(A, 1), applied(B, 5, "shop/shop", A, health="Healthy"), later=later).applications == []


def test_the_health_of_a_later_commit_is_not_that_of_the_image() -> None:
    told = (applied(A, 2), health("Degraded", 3, message="crash"), applied(B, 4), health("Healthy", 5))
    (one,) = trace(image(A, 1), *told).applications
    assert (one.degraded, one.why, one.healthy) == (at(3), "crash", "")


def test_a_sync_that_failed_first_is_told_by_its_last_end() -> None:
    told = (applied(A, 2, result="partly applied"), applied(A, 7, health="Healthy"))
    (one,) = trace(image(A, 1), *told).applications
    assert (one.result, one.applied) == ("applied", at(7))


def test_a_rollback_and_a_revert_end_the_way() -> None:
    back = event(events.RolledBack(pins=B, was=A), 6)
    held = image(C, 9, result="held")
    found = trace(image(A, 1), applied(A, 2), health("Degraded", 3), back, health("Healthy", 8), held)
    assert (found.applications[0].rolled_back, found.applications[0].healthy) == (at(6), "")
    assert found.held == at(9)


@pytest.mark.parametrize(
    "word",
    ["", "1.4.2", "acme/shop", "shop", "acme/shop:1.4.2", "shop:1.4.2", "registry.example.com/acme/shop", "shop/shop",
     "aaaaaaa", "9c1f0e2", "1914c28d", DIGEST, "dddd"],
)  # fmt: skip
def test_a_person_names_an_image_by_any_of_its_words(word: str) -> None:
    assert matches(image(A, 1), word)


@pytest.mark.parametrize("word", ["1.4", "acme/shop:1.4.3", "other", "aaa", "op", "cme/shop:1.4.2"])
def test_what_only_looks_like_it_is_another_image(word: str) -> None:
    assert not matches(image(A, 1), word)


def test_each_image_is_followed_by_the_next_of_its_own_policy() -> None:
    first, other, held, second = image(A, 1), image(B, 2, policy="shop/db"), image(C, 3, result="held"), image(C, 4)
    pairs = following([first, other, held, second])
    assert [(one, later) for one, later in pairs] == [(first, second), (other, None), (second, None)]


def test_it_is_told_a_line_a_step_with_the_time_since_the_one_before() -> None:
    told = (applied(A, 1.5, "shop/shop"), health("Degraded", 3, message="crash\x1b[31m loop"))
    text = trace_text([trace(image(A, 1), *told)], START)
    assert text == (
        "registry.example.com/acme/shop 1.4.1 -> 1.4.2   by ImagePolicy/shop   code 9c1f0e2   "
        "trace 1914c28d4df4251d49db203c\n"
        "  built        11:50:00.000               as the image says\n"
        "  pushed       12:00:00.000               a push hook told of it\n"
        "  verified     12:00:00.500     +500 ms   signature good   sha256:dddddddddddd...\n"
        "  committed    12:00:01.000     +500 ms   aaaaaaa in Repository/shop/config, 1 file\n"
        "  Application shop/shop\n"
        "  fetched      12:00:01.400     +400 ms\n"
        "  applied      12:00:01.500     +100 ms   1 configured, 3 unchanged\n"
        "  Degraded     12:00:03.000      +1.5 s   crash loop\n"
    )


def test_what_an_older_controller_recorded_is_told_as_far_as_it_is_known() -> None:
    old = image(A, 1, seen="", by="", decided="", built="", intent="", revision="", verified=False)
    text = trace_text([trace(old, applied(A, 2, health="Healthy"))], START)
    assert "pushed" not in text
    assert "  committed    12:00:01.000               aaaaaaa in Repository/shop/config, 1 file\n" in text
    assert text.endswith("1.0 s after the commit\n")
    assert trace_text([trace(old)], START).endswith("  not applied anywhere yet, as far as the ledger tells\n")
