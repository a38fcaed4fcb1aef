"""Events as CloudEvents: written and read back, one id for one occurrence, newer ones kept as they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.core.model import ObjectRef, events

NOW = datetime(2026, 11, 28, 14, 21, 2, 123456, tzinfo=UTC)


@pytest.mark.parametrize("kind", list(events.KINDS.values()), ids=list(events.KINDS))
@given(content=st.data())
def test_every_kind_comes_back_as_it_was_written(kind: type[events.Data], content: st.DataObject) -> None:
    data = content.draw(st.builds(kind))
    event = events.make("prod", "shop/shop", data, NOW)
    line = events.encode(event)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert events.decode(line) == event


def test_the_line_is_a_cloud_event() -> None:
    line = events.encode(events.make("prod", "shop/shop", events.HealthChanged(health="Degraded"), NOW, severe=True))
    told = msgspec.json.decode(line)
    assert told.pop("id")
    assert told == {
        "specversion": "1.0",
        "source": "/clusters/prod",
        "type": "dev.windlass.health",
        "subject": "shop/shop",
        "time": "2026-11-28T14:21:02.123Z",
        "datacontenttype": "application/json",
        "severity": "severe",
        "data": {"health": "Degraded"},
    }


def test_an_id_is_that_of_the_occurrence() -> None:
    data, other = events.Requested(verb="sync", actor="ada"), events.Requested(verb="sync", actor="bo")
    later = NOW + timedelta(hours=1)
    assert events.make("prod", "s/s", data, NOW).id == events.make("prod", "s/s", data, NOW).id
    assert events.make("prod", "s/s", data, NOW, key="k").id == events.make("prod", "s/s", other, later, key="k").id
    told = [
        events.make("prod", "s/s", data, NOW),
        events.make("prod", "s/s", other, NOW),
        events.make("prod", "s/s", data, later),
        events.make("prod", "s/t", data, NOW),
        events.make("test", "s/s", data, NOW),
        events.make("prod", "s/s", data, NOW, key="k"),
        events.make("prod", "s/s", data, NOW, key="l"),
    ]
    assert len({one.id for one in told}) == len(told)


@pytest.mark.parametrize(
    "line",
    [
        b'{"specversion":"1.0","id":"a","source":"/x","type":"dev.windlass.teleported","data":{"to":["mars"]}}\n',
        b'{"specversion":"1.0","id":"a","source":"/x","type":"com.example.other","subject":"q","data":{"to":["mars"]}}\n',
        b'{"specversion":"1.0","id":"a","source":"/x","type":"dev.windlass.health","data":{"health":["Healthy"]}}\n',
    ],
)
def test_what_is_not_known_is_kept_as_it_is(line: bytes) -> None:
    event = events.decode(line)
    assert isinstance(event.data, events.Other)
    assert msgspec.json.decode(events.encode(event))["data"] == msgspec.json.decode(line)["data"]


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b'{"specversion":"0.3","id":"a","source":"x","type":"y"}', b"\xff"]
)
def test_what_is_no_cloud_event_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        events.decode(line)


@pytest.mark.parametrize(
    ("ref", "word"),
    [
        (ObjectRef("apps", "Deployment", "shop", "web"), "Deployment.apps/shop/web"),
        (ObjectRef("", "Namespace", "", "shop"), "Namespace/shop"),
        (
            ObjectRef("rbac.authorization.k8s.io", "ClusterRole", "", "a:b"),
            "ClusterRole.rbac.authorization.k8s.io/a:b",
        ),
    ],
)
def test_an_object_is_one_word(ref: ObjectRef, word: str) -> None:
    assert events.object_word(ref) == word
    assert events.object_of(word) == ref
