"""Watches under faults: gaps, 410, silence, cut lines, refusals, a kind that goes. The scripted server plays them."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from windlass import ports
from windlass.adapters.cluster import source, watch
from windlass.adapters.cluster.kube import KubeCluster, connect
from windlass.adapters.host.clock import SystemClock
from windlass.core.model import ObjectRef, Resource
from windlass.errors import WindlassError

from .scripted import Scripted, Stream, event, listing, obj, status, until

MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
SECRETS = Resource("", "v1", "secrets", "Secret", namespaced=True)
WIDGETS = Resource("example.com", "v1", "widgets", "Widget", namespaced=True)


def ref(name: str) -> ObjectRef:
    return ObjectRef("", "ConfigMap", "default", name)


class Play:
    """A server that answers lists from `lists` and serves each watch by the next of `watches`. Lists that are the
    beginning of a watch are refused, as by servers before 1.27, or served by the next of `watches` where it `streams`.
    """

    def __init__(self, server: Scripted, *, streams: bool = False) -> None:
        self.server = server
        self.streams = streams
        self.lists: list[web.Response] = []
        self.watches: list[Stream | web.Response] = []
        self.discovery: dict[str, Any] = {}
        self.served: list[Stream] = []
        server.handler = self.handle

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path in ("/api", "/apis"):
            return web.json_response(self.discovery.get(request.path, {"kind": "APIGroupDiscoveryList", "items": []}))
        if "watch" not in request.query:
            return self.lists.pop(0) if self.lists else status(500, "the test gave no list")
        if "sendInitialEvents" in request.query and not self.streams:
            return status(422, "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
        if not self.watches:
            await asyncio.sleep(60)
        found = self.watches.pop(0)
        if isinstance(found, web.Response):
            return found
        self.served.append(found)
        return await found.serve(request)

    def asked(self, what: str) -> list[str]:
        taken = [path for path in self.server.requests if self.streams or "sendInitialEvents" not in path]
        return [path for path in taken if what in path]


class Followed:
    """A cluster, with what it told."""

    def __init__(self, cluster: KubeCluster) -> None:
        self.cluster = cluster
        self.told: list[ports.LiveChange] = []
        self.troubles: list[WindlassError | None] = []
        cluster.live.listen(self.told.append)

    @property
    def versions(self) -> dict[str, str]:
        return {key.name: held.resource_version for key, held in self.cluster.live.of("ns.app").items()}


@asynccontextmanager
async def following(server: Scripted) -> AsyncIterator[Followed]:
    troubles: list[WindlassError | None] = []
    async with connect(
        server.access(), SystemClock(), on_trouble=lambda resource, error: troubles.append(error)
    ) as cluster:
        followed = Followed(cluster)
        followed.troubles = troubles
        yield followed


async def test_list_then_watch(server: Scripted) -> None:
    """Pages, then events from the list's version, metadata only, by our label; `watch` returns after the list."""
    play = Play(server)
    stream = Stream()
    play.lists = [listing(0, obj("a", 1), token="next"), listing(5, obj("b", 2))]
    play.watches = [stream]
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        assert followed.versions == {"a": "1", "b": "2"}
        assert followed.cluster.live.synced("", "ConfigMap")
        stream.send(event("MODIFIED", obj("a", 6)) + event("ADDED", obj("c", 7)), event("DELETED", obj("b", 8)))
        await until(lambda: followed.versions == {"a": "6", "c": "7"})
        await followed.cluster.watch(MAPS)
    refused, first, second, third = server.requests
    assert "sendInitialEvents=true" in refused
    assert "limit=1000" in first
    assert "labelSelector=windlass.dev%2Fapplication" in first
    assert "continue=next" in second
    assert "resourceVersion=5&allowWatchBookmarks=true&timeoutSeconds=" in third
    assert server.headers[1]["Accept"] == "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    assert server.headers[3]["Accept"] == "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    assert [change.replayed for change in followed.told] == [True, True, False, False, False]


async def test_a_watch_that_ends_goes_on_where_it_was(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bookmark counts; nothing is listed again, and a repeated event is told once."""
    monkeypatch.setattr(source, "STEADY", 0.0)
    play = Play(server)
    first, second = Stream(), Stream()
    play.lists, play.watches = [listing(5, obj("a", 1))], [first, second]
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        first.send(event("MODIFIED", obj("a", 6)), event("BOOKMARK", obj("", 9, label=None)))
        first.end()
        await until(second.opened.is_set)
        second.send(event("MODIFIED", obj("a", 6)), event("MODIFIED", obj("a", 10)))
        await until(lambda: followed.versions == {"a": "10"})
    assert "resourceVersion=9&" in play.asked("watch")[1]
    assert len(play.asked("limit=")) == 1
    assert len(followed.told) == 3


@pytest.mark.parametrize("how", ["event", "answer"])
async def test_a_gap_is_closed_by_a_list_that_tells_what_differs(server: Scripted, how: str) -> None:
    """410, in the stream or at its beginning: changed, new and lost objects are told as replayed, equal ones not."""
    play = Play(server)
    first, second = Stream(), Stream()
    gone = status(410, "too old resource version: 5 (90)", "Expired")
    play.lists = [
        listing(5, obj("same", 1), obj("changed", 2), obj("lost", 3)),
        listing(90, obj("same", 1), obj("changed", 50), obj("new", 60)),
    ]
    play.watches = [first, second] if how == "event" else [gone, second]
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        if how == "event":
            first.send(event("ERROR", json.loads(gone.text or "")))
        await until(second.opened.is_set)
        assert followed.versions == {"same": "1", "changed": "50", "new": "60"}
    changes = {(change.ref.name, change.old is None, change.new is None) for change in followed.told[3:]}
    assert changes == {("changed", False, False), ("new", True, False), ("lost", False, True)}
    assert all(change.replayed for change in followed.told[3:])
    assert "resourceVersion=90&" in play.asked("watch")[1]


async def test_a_list_does_not_take_out_what_was_written_after_it(server: Scripted) -> None:
    """Our own write is answered while an older list is on its way: it is not gone, it is newer."""
    play = Play(server)
    first, second = Stream(), Stream()
    gone = status(410, "too old", "Expired")
    play.lists, play.watches = [listing(5, obj("a", 1)), listing(90, obj("a", 1))], [first, second]
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        held = followed.cluster.live.get(ref("a"))
        assert held is not None
        mine = msgspec.structs.replace(held, ref=ref("mine"), uid="m", resource_version="95")
        followed.cluster.live.observed(mine)
        first.send(event("ERROR", json.loads(gone.text or "")))
        await until(second.opened.is_set)
        assert followed.versions == {"a": "1", "mine": "95"}
        assert len(followed.told) == 1


async def test_a_token_that_runs_out_in_the_middle_of_a_list_takes_nothing_out(server: Scripted) -> None:
    """Half a list says nothing about what is not there; the list begins anew, at last in one answer."""
    play = Play(server)
    stream = Stream()
    expired = [status(410, "the provided continue parameter is too old", "Expired") for _ in range(2)]
    play.lists = [
        listing(0, obj("a", 1), token="t1"),
        expired[0],
        listing(0, obj("a", 1), token="t2"),
        expired[1],
        listing(9, obj("a", 1), obj("b", 2)),
    ]
    play.watches = [stream]
    async with following(server) as followed:
        with pytest.raises(WindlassError):
            await followed.cluster.watch(MAPS)
        await until(stream.opened.is_set)
        assert followed.versions == {"a": "1", "b": "2"}
        assert followed.cluster.live.synced("", "ConfigMap")
    assert "limit" not in server.requests[5]


async def test_a_silent_watch_is_dropped_and_opened_anew(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection half dead sends nothing for ever: after the bound it is left, and the next one goes on."""
    monkeypatch.setattr(source.Source.__init__, "__kwdefaults__", {"silence": 0.2})
    play = Play(server)
    first, second = Stream(), Stream()
    play.lists, play.watches = [listing(5, obj("a", 1))], [first, second]
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        await until(second.opened.is_set)
        second.send(event("MODIFIED", obj("a", 6)))
        await until(lambda: followed.versions == {"a": "6"})
        assert isinstance(followed.troubles[0], ports.ClusterUnavailable)
        assert followed.troubles[1] is None
    assert "resourceVersion=5&" in play.asked("watch")[1]


@pytest.mark.parametrize(
    "tail",
    [
        b'{"type":"MODIFIED","object":{"metada',
        b"not json\n",
        b'{"type":"MODIFIED"}\n',
        b'{"type":"ERROR","object":3}\n',
    ],
)
async def test_half_a_line_or_nonsense_loses_nothing(server: Scripted, tail: bytes) -> None:
    """What was whole counts; the next watch begins after it."""
    play = Play(server)
    first, second = Stream(), Stream()
    play.lists, play.watches = [listing(5, obj("a", 1))], [first, second]
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        first.send(event("MODIFIED", obj("a", 6)))
        await until(lambda: followed.versions == {"a": "6"})
        first.send(tail)
        first.end()
        await until(second.opened.is_set)
        second.send(event("MODIFIED", obj("a", 7)))
        await until(lambda: followed.versions == {"a": "7"})
    assert "resourceVersion=6&" in play.asked("watch")[1]


async def test_an_event_in_many_pieces_is_one_event(server: Scripted) -> None:
    """Chunks end anywhere, also inside a character."""
    play = Play(server)
    stream = Stream()
    play.lists, play.watches = [listing(5)], [stream]
    whole = event("ADDED", obj("a", 6)) + event("ADDED", obj("b", 7))
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        for at in range(0, len(whole), 7):
            stream.send(whole[at : at + 7])
        await until(lambda: followed.versions == {"a": "6", "b": "7"})


async def test_one_kind_that_is_forbidden_keeps_no_other_waiting(server: Scripted) -> None:
    """It is told, tried again later, and the others go on."""
    play = Play(server)
    stream, later = Stream(), Stream()

    async def handle(request: web.Request) -> web.StreamResponse:
        if "secrets" in request.path and "watch" not in request.query and not allowed:
            return status(403, 'secrets is forbidden: User "u" cannot list resource "secrets"', "Forbidden")
        return await play.handle(request)

    allowed: list[bool] = []
    server.handler = handle
    play.lists, play.watches = [listing(5, obj("a", 1)), listing(6)], [stream, later]
    async with following(server) as followed:
        with pytest.raises(ports.NotAllowed, match="cannot list"):
            await followed.cluster.watch(SECRETS)
        await followed.cluster.watch(MAPS)
        assert followed.versions == {"a": "1"}
        assert not followed.cluster.live.synced("", "Secret")
        assert isinstance(followed.cluster.live.trouble("", "Secret"), ports.NotAllowed)
        assert followed.cluster.live.trouble("", "ConfigMap") is None
        allowed.append(True)
        await until(lambda: followed.cluster.live.synced("", "Secret"))
        await followed.cluster.watch(SECRETS)
        assert followed.troubles[-1] is None


def discovered(*kinds: tuple[str, str], freshness: str = "Current") -> dict[str, Any]:
    resources = [
        {"resource": plural, "responseKind": {"kind": kind}, "scope": "Namespaced", "verbs": ["list", "watch"]}
        for plural, kind in kinds
    ]
    version = {"version": "v1", "freshness": freshness, "resources": resources}
    group = {"metadata": {"name": "example.com"}, "versions": [version]}
    return {"kind": "APIGroupDiscoveryList", "items": [group] if kinds or freshness != "Current" else []}


@pytest.mark.parametrize("truly", [True, False])
async def test_a_kind_is_gone_only_when_discovery_says_so(server: Scripted, truly: bool) -> None:
    """404 of its path alone may be a server that is not ready, or a group that is down: its objects stay."""
    play = Play(server)
    first = Stream()
    play.lists = [listing(5, obj("a", 1)), *[status(404, "404 page not found") for _ in range(5)]]
    play.watches = [first, status(404, "404 page not found")]
    play.discovery = {"/apis": discovered(("widgets", "Widget"))}
    async with following(server) as followed:
        widgets = await followed.cluster.resource("example.com/v1", "Widget")
        followed.cluster.discovery._looked = float("-inf")
        await followed.cluster.watch(widgets)
        play.discovery = {"/apis": discovered() if truly else discovered(freshness="Stale")}
        first.send(event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"}))
        await until(lambda: followed.cluster.live.trouble("example.com", "Widget") is not None)
        trouble = followed.cluster.live.trouble("example.com", "Widget")
        if truly:
            assert isinstance(trouble, ports.KindUnknown)
            assert followed.versions == {}
            assert not followed.cluster.live.synced("example.com", "Widget")
            with pytest.raises(ports.KindUnknown):
                await followed.cluster.watch(widgets)
        else:
            assert isinstance(trouble, ports.ObjectMissing)
            assert followed.versions == {"a": "1"}


async def test_whole_objects_are_followed_and_gaps_told_as_differences(server: Scripted) -> None:
    """ADDED, SYNCED, then events; after 410 only what differs, also an object that took another's name."""
    play = Play(server)
    first, second = Stream(), Stream()

    def whole(name: str, version: int, uid: str = "") -> dict[str, Any]:
        found = obj(name, version, uid=uid, spec={"n": version})
        return {"metadata": found["metadata"], "spec": found["spec"]}

    play.lists = [
        listing(5, whole("a", 1), whole("b", 2), whole("c", 3)),
        listing(90, whole("a", 1), whole("b", 50), whole("c", 60, uid="another")),
    ]
    play.watches = [first, second]
    told: list[tuple[str, str]] = []

    async def listen(cluster: KubeCluster) -> None:
        async for kind, content in cluster.follow(WIDGETS, "default", labels="x=y"):
            told.append(
                (kind, f"{content['kind']}/{content['metadata']['name']}/{content['spec']['n']}" if content else "")
            )

    async with following(server) as followed, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(listen(followed.cluster))
        await first.opened.wait()
        assert told == [("ADDED", "Widget/a/1"), ("ADDED", "Widget/b/2"), ("ADDED", "Widget/c/3"), ("SYNCED", "")]
        del told[:]
        first.send(event("MODIFIED", whole("a", 6) | {"kind": "Widget"}), event("DELETED", whole("a", 7)))
        first.send(event("ADDED", whole("a", 8)))
        first.send(event("ERROR", {"kind": "Status", "code": 410}))
        await second.opened.wait()
        assert told == [
            ("MODIFIED", "Widget/a/6"),
            ("DELETED", "Widget/a/7"),
            ("ADDED", "Widget/a/8"),
            ("MODIFIED", "Widget/a/1"),
            ("MODIFIED", "Widget/b/50"),
            ("DELETED", "Widget/c/3"),
            ("ADDED", "Widget/c/60"),
        ]
        task.cancel()
    assert "/namespaces/default/widgets" in server.requests[0]
    assert "labelSelector=x%3Dy" in server.requests[0]


async def test_surveys_that_overlap_share_one_list(server: Scripted) -> None:
    """A caller that goes away does not take it from the others; the next survey is a new one."""
    release = asyncio.Event()

    async def handle(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return listing(5, obj("a", 1, label=None), obj("b", 2))

    server.handler = handle
    async with following(server) as followed, asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(followed.cluster.survey(MAPS)) for _ in range(3)]
        await until(lambda: len(server.requests) == 1)
        asked[0].cancel()
        release.set()
        assert set(await asked[1]) == set(await asked[2]) == {ref("a"), ref("b")}
        assert len(server.requests) == 1
        await followed.cluster.survey(MAPS)
        assert len(server.requests) == 2


async def test_a_survey_that_fails_fails_for_all_and_stops_nothing(server: Scripted) -> None:
    """The error is the callers'; the watches go on."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return status(403, 'x is forbidden: User "u" cannot list resource "x"', "Forbidden")

    server.handler = handle
    async with following(server) as followed:
        found = await asyncio.gather(*(followed.cluster.survey(MAPS) for _ in range(2)), return_exceptions=True)
        assert [type(each) for each in found] == [ports.NotAllowed, ports.NotAllowed]
        assert len(server.requests) == 1


async def test_a_page_is_decoded_in_slices(server: Scripted) -> None:
    """Five thousand objects come in; the loop never works on them for long without a turn for others."""
    body = listing(9000, *[obj(f"a{number}", number, more="x" * 500) for number in range(5000)]).body
    assert isinstance(body, bytes)
    found = msgspec.json.decode(body, type=source._List).items
    assert found is not None
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()  # its own work alone: other programs of the machine do not count
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    async with following(server) as followed, asyncio.TaskGroup() as tasks:
        cluster = followed.cluster
        parts = (cluster.client, cluster.discovery, cluster._index, cluster._decoder)
        live_watch = watch.LiveWatch(*parts, MAPS)
        gc.collect()
        gc.disable()
        beating = tasks.create_task(beat())
        await asyncio.sleep(0)
        await live_watch._items(found, whole=False)
        beating.cancel()
        gc.enable()
    assert len(followed.told) == 5000
    assert longest < 0.010


async def test_an_event_without_an_end_is_not_kept(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that never ends is no event: the watch begins anew, and what came before it counts."""
    monkeypatch.setattr(source, "LARGEST_EVENT", 100_000)
    play = Play(server)
    first, second = Stream(), Stream()
    play.lists, play.watches = [listing(5, obj("a", 1))], [first, second]
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        first.send(event("MODIFIED", obj("a", 6)))
        await until(lambda: followed.versions == {"a": "6"})
        first.send(b'{"type":"MODIFIED","object":"', *[b"x" * 10_000] * 30)
        await until(second.opened.is_set)
        assert "resourceVersion=6&" in play.asked("watch")[1]


async def test_pages_grow_with_what_fits(server: Scripted) -> None:
    """Six thousand small objects are two requests, not thirteen; large ones come in smaller pages."""
    play = Play(server)
    small = [obj(f"a{number}", number) for number in range(1000)]
    large = [obj(f"b{number}", number, more="x" * 100_000) for number in range(10)]
    play.lists = [listing(5, *small, token="1"), listing(5, *large, token="2"), listing(5, obj("c", 1))]
    play.watches = [Stream()]
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        limits = [int(path.partition("limit=")[2].partition("&")[0]) for path in play.asked("limit=")]
        assert limits[0] == 1000
        assert limits[1] == 10_000
        assert limits[2] == 100
        assert len(followed.versions) == 1011


async def test_an_echo_of_our_own_write_is_told_to_nobody(server: Scripted) -> None:
    """The answer to a write is in the index before its event comes; another state of the same object is told."""
    play = Play(server)
    stream = Stream()
    play.lists, play.watches = [listing(5, obj("a", 1))], [stream]
    async with following(server) as followed:
        await followed.cluster.watch(MAPS)
        stream.send(event("MODIFIED", obj("a", 1)), event("MODIFIED", obj("a", 1, uid="another")))
        await until(lambda: len(followed.told) == 2)
        stream.send(event("MODIFIED", obj("a", 7, uid="another")), event("DELETED", obj("a", 7, uid="another")))
        await until(lambda: len(followed.told) == 4)
        assert [change.new.uid if change.new else "" for change in followed.told] == ["uid-a", "another", "another", ""]
