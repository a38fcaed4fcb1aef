"""Lists that are the beginning of a watch: one request in place of two, and what happens where it goes wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from windlass import ports
from windlass.adapters.cluster import source
from windlass.core.model import ObjectRef, Resource

from .scripted import Scripted, Stream, event, listing, obj, status, until
from .test_watch import MAPS, WIDGETS, Play, following

ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True)
END = {"k8s.io/initial-events-end": "true"}


def mark(version: int, annotations: dict[str, str] | None = None) -> bytes:
    """A bookmark; with `END` the one that ends the list."""
    content: dict[str, Any] = obj("", version, label=None)
    content["metadata"]["annotations"] = annotations
    return event("BOOKMARK", content)


async def test_one_request_is_list_and_watch(server: Scripted) -> None:
    """What is there comes first and is told as replayed, in order of names and not of versions; the bookmark ends it;
    what comes with the bookmark in one piece is told as an event."""
    play = Play(server, streams=True)
    first, second = Stream(), Stream()
    play.watches = [first, second]
    async with following(server) as followed:
        first.send(event("ADDED", obj("a", 9)) + event("ADDED", obj("b", 2)))
        first.send(mark(12, END) + event("MODIFIED", obj("b", 13)))
        await followed.cluster.watch(MAPS)
        assert followed.cluster.live.synced("", "ConfigMap")
        await until(lambda: followed.versions == {"a": "9", "b": "13"})
        first.send(mark(20))
        first.end()
        await until(second.opened.is_set)
    assert [change.replayed for change in followed.told] == [True, True, False]
    begin, again = server.requests
    assert "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true" in begin
    assert "resourceVersion=20&" in again


async def test_what_changes_within_the_list_counts(server: Scripted) -> None:
    """Changed and deleted before the list's end: the last state is what is held, and the deleted one is not."""
    play = Play(server, streams=True)
    stream = Stream()
    play.watches = [stream]
    async with following(server) as followed:
        stream.send(event("ADDED", obj("a", 1)), event("ADDED", obj("b", 2)), event("MODIFIED", obj("a", 8)))
        stream.send(event("DELETED", obj("b", 9)), event("ADDED", obj("c", 10)), mark(10, END))
        await followed.cluster.watch(MAPS)
        assert followed.versions == {"a": "8", "c": "10"}


async def test_a_list_that_breaks_off_takes_nothing_out(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the list is no list: what it did not name stays until one is whole, and is taken out then."""
    monkeypatch.setattr(source, "STEADY", 0.0)
    play = Play(server, streams=True)
    first, half, whole = Stream(), Stream(), Stream()
    play.watches = [first, half, whole]
    async with following(server) as followed:
        first.send(event("ADDED", obj("a", 1)), event("ADDED", obj("b", 2)), mark(5, END))
        await followed.cluster.watch(MAPS)
        first.send(event("ERROR", json.loads(status(410, "too old", "Expired").text or "")))
        half.send(event("ADDED", obj("a", 1)))
        half.end()
        await until(whole.opened.is_set)
        assert followed.versions == {"a": "1", "b": "2"}
        whole.send(event("ADDED", obj("a", 1)), mark(30, END))
        await until(lambda: followed.versions == {"a": "1"})
    assert all("sendInitialEvents" in path for path in server.requests)
    lost = followed.told[-1]
    assert (lost.ref.name, lost.new, lost.replayed) == ("b", None, True)


async def test_a_server_that_refuses_is_asked_once(server: Scripted) -> None:
    """An API server before 1.27 knows no such list: it is asked for in pages, this kind and every other."""
    play = Play(server)
    play.lists = [listing(5, obj("a", 1)), listing(6)]
    play.watches = [Stream(), Stream()]
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        await followed.cluster.watch(ACCOUNTS)
        assert followed.versions == {"a": "1"}
        assert followed.troubles == []
    assert len([path for path in server.requests if "sendInitialEvents" in path]) == 1


async def test_one_kind_that_refuses_costs_itself_alone(server: Scripted) -> None:
    """Another API behind the API server may be older than it is."""
    play = Play(server, streams=True)
    stream = Stream()
    refusal = status(422, "sendInitialEvents is forbidden")
    play.watches, play.lists = [refusal, Stream(), stream], [listing(5)]
    async with following(server) as followed:
        await followed.cluster.watch(WIDGETS)
        stream.send(event("ADDED", obj("a", 1)), mark(3, END))
        await followed.cluster.watch(MAPS)
        assert followed.versions == {"a": "1"}
    assert [path.partition("?")[0].rpartition("/")[2] for path in server.requests] == ["widgets"] * 3 + ["configmaps"]


async def test_a_kind_that_is_new_to_the_server_is_listed_at_once(server: Scripted) -> None:
    """Until its cache is filled the API server answers 429 to a watch, and serves the list."""
    play = Play(server, streams=True)
    busy = status(429, "storage is (re)initializing", "TooManyRequests", retryAfterSeconds=1)
    play.watches, play.lists = [busy, Stream()], [listing(5)]
    async with following(server) as followed:
        await followed.cluster.watch(WIDGETS)
        assert followed.troubles == []


async def test_who_may_list_and_not_watch_gets_the_list(server: Scripted) -> None:
    """403 for the watch is told as that, after the list."""
    play = Play(server, streams=True)
    denied = 'configmaps is forbidden: User "a" cannot watch resource "configmaps"'
    play.watches = [status(403, denied, "Forbidden"), status(403, denied, "Forbidden")]
    play.lists = [listing(5, obj("a", 1))]
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        assert followed.versions == {"a": "1"}
        await until(lambda: bool(followed.troubles))
    assert isinstance(followed.troubles[0], ports.NotAllowed)


@pytest.mark.parametrize("sends", [True, False])
async def test_a_server_that_never_ends_the_list_is_asked_by_pages(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, sends: bool
) -> None:
    """One that does not know the option and passes over it sends what is there, and no end."""
    monkeypatch.setattr(source, "QUIET", 0.2)
    play = Play(server, streams=True)
    deaf = Stream()
    play.watches, play.lists = [deaf, Stream()], [listing(5, obj("a", 1), obj("b", 2))]
    if sends:
        deaf.send(event("ADDED", obj("a", 1)), mark(4))
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        assert followed.versions == {"a": "1", "b": "2"}
        assert followed.troubles == []
    assert "resourceVersion=5&" in server.requests[-1] or "limit=" in server.requests[-1]


async def test_failures_lead_to_pages(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that fails at such lists and at nothing else is not asked for them for ever."""
    monkeypatch.setattr(source, "SLOWEST", 0.05)

    async def handler(request: web.Request) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            return status(500, "panic")
        return listing(5, obj("a", 1)) if "watch" not in request.query else await Stream().serve(request)

    server.handler = handler
    async with following(server) as followed:
        with pytest.raises(ports.ClusterUnavailable):
            await followed.cluster.watch(MAPS)
        await until(lambda: followed.versions == {"a": "1"})
        assert followed.cluster.live.get(ObjectRef("", "ConfigMap", "default", "a")) is not None
