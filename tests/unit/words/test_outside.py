"""What came from outside Git, then and now: each difference is a line with its mend, and nothing is told of what is."""

from __future__ import annotations

import msgspec
import pytest

from windlass.core.images.running import MOST, images_of
from windlass.core.kinds.application_status import TAGS, history_of, outside_of, outside_status
from windlass.core.model import Outside, events
from windlass.core.words.outside import compared, movable, told

A, B = "a" * 40, "b" * 40
THEN = Outside(
    {"redis": "18.1.0 sha256:11", "web": "1.0.0 sha256:22"},
    {"ConfigMap/vars": "hmac-sha256:1", "Secret/keys": "hmac-sha256:2"},
    {"base": A},
    ["acme/shop:1.4.1", "acme/web@sha256:00", "acme/job"],
)


def test_nothing_is_told_of_what_is_as_it_was() -> None:
    assert compared(THEN, THEN) == []
    assert compared(Outside(), Outside()) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"charts": {**THEN.charts, "redis": "18.2.0 sha256:33"}},
         "chart redis was 18.1.0, is 18.2.0 now: write 18.1.0 as its version to have that back"),
        ({"charts": {**THEN.charts, "redis": "18.1.0 sha256:33"}},
         "chart redis 18.1.0 is another archive now (sha256:33, was sha256:11)"),
        ({"charts": {"redis": "18.1.0 sha256:11"}}, "chart web was 1.0.0, and is not used now"),
        ({"charts": {**THEN.charts, "new": "1 sha256:4"}}, "chart new is 1, and was not used then"),
        ({"values": {**THEN.values, "Secret/keys": "hmac-sha256:3"}},
         "Secret/keys of the cluster holds something else now"),
        ({"values": {"Secret/keys": "hmac-sha256:2"}}, "ConfigMap/vars is not used now"),
        ({"values": {**THEN.values, "Secret/b": "hmac-sha256:3"}}, "Secret/b was not used then"),
        ({"sources": {"base": B}}, "repository base was at aaaaaaa, is at bbbbbbb now: pin it by sources[].at"),
        ({"sources": {}}, "repository base is not used now"),
        ({"sources": {"base": A, "more": B}}, "repository more was not used then"),
    ],
)  # fmt: skip
def test_each_difference_is_a_line_of_its_own(change: dict[str, dict[str, str]], line: str) -> None:
    assert compared(THEN, msgspec.structs.replace(THEN, **change)) == [line]


def test_images_by_tag_may_have_been_moved() -> None:
    assert movable(THEN) == ["acme/job", "acme/shop:1.4.1"]


def test_what_was_not_noted_is_told_as_it_is_now() -> None:
    assert told(THEN) == [
        "chart redis 18.1.0",
        "chart web 1.0.0",
        "repository base at aaaaaaa",
        "ConfigMap/vars",
        "Secret/keys",
    ]
    assert told(Outside(images=["a"])) == []


def test_an_event_of_a_version_that_did_not_note_it_is_read() -> None:
    line = (
        b'{"specversion":"1.0","id":"1","source":"/clusters/prod","type":"dev.windlass.applied","subject":"shop/shop",'
        b'"time":"2026-11-28T14:21:02.123Z","severity":"normal","data":{"commit":"a","result":"applied"}}'
    )
    old = events.decode(line)
    assert isinstance(old.data, events.Applied)
    assert old.data.outside is None
    now = events.make("prod", "shop/shop", events.Applied(commit=A, result="applied", outside=THEN), old.when)
    assert events.decode(events.encode(now)) == now


def test_the_status_keeps_it_with_the_deployment_that_runs_and_the_tags_alone() -> None:
    many = Outside(images=[f"a:{number:03}" for number in range(50)] + ["b@sha256:0"])
    kept = outside_status(many)
    assert kept is not None
    assert len(kept.images) == TAGS
    from datetime import UTC, datetime

    now = datetime(2026, 11, 28, tzinfo=UTC)
    history = history_of([], A, well=True, degraded=False, changed=True, now=now, outside=outside_status(THEN))
    later = history_of(history, B, well=True, degraded=False, changed=True, now=now, outside=kept)
    assert [one.outside for one in later] == [kept, outside_status(THEN)]
    unknown = history_of(later, B, well=True, degraded=False, changed=False, now=now, outside=None)
    assert unknown[0].outside == kept, "what is not known now takes nothing away"
    assert history[0].outside is not None
    assert outside_of(history[0].outside).values == THEN.values


def test_images_are_those_of_containers_at_any_depth_and_of_no_config_map() -> None:
    pod = {"containers": [{"image": "b:1"}, {"image": "a:1"}, {"name": "none"}], "initContainers": [{"image": "c:1"}]}
    cron = {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}}
    own = {"kind": "Odd", "spec": {"parts": [{"template": {"spec": {"containers": [{"image": "d:1"}]}}}]}}
    config = {"kind": "ConfigMap", "data": {"containers": [{"image": "no"}]}}
    assert images_of([cron, own, config, None, {"containers": "x"}]) == ["a:1", "b:1", "c:1", "d:1"]
    many = {"kind": "Pod", "spec": {"containers": [{"image": f"x:{number}"} for number in range(MOST + 9)]}}
    assert len(images_of([many])) == MOST
