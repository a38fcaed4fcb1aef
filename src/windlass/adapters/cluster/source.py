"""List, then watch, for ever: the objects of one resource as a stream of steps, whatever happens to the connection.

`watch.py` feeds the live index from it, `follow.py` those who want whole objects. It decodes no object (its consumers
do, in slices), decides nothing about absence, and ends only when it is cancelled. The list is the beginning of the
watch itself (`sendInitialEvents`), one request for both; of a server that refuses that, or never says where the list
ends, it is asked for by itself, in pages.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import msgspec

from windlass import ports
from windlass.adapters.cluster.answers import Asked, HistoryGone, Status, bounded
from windlass.adapters.cluster.client import LIST_TIMEOUT, Call, Client, Unsent
from windlass.adapters.cluster.decode import built_in, version_of
from windlass.adapters.cluster.live import SILENCE
from windlass.adapters.host.wire import Stream
from windlass.core.model import Resource
from windlass.core.model.foreign import UNREADABLE
from windlass.errors import WindlassError

PAGE = 1000  # objects of the first page of a list; of the next as many as PAGE_BYTES hold, at most LARGEST_PAGE
PAGE_BYTES = 1 << 23
LARGEST_PAGE = 10_000
WATCH_SECONDS = (300, 600)  # how long one watch lasts: spread, so that not all are opened anew at once
SLOWEST = 10.0  # seconds between attempts at most: a server that comes back is seen soon
SLOWEST_REFUSED = 60.0  # the same for 403 and 404, which pass only when somebody does something
STEADY = 5.0  # a watch that lived so long ended well; one that ends sooner is a failure, or it would spin
QUIET = 10.0  # seconds without an event, in a list that is a watch, after which its end is taken not to come
LARGEST_EVENT = 1 << 26  # bytes of one line of a watch; the API server itself takes objects of some megabytes

_METADATA = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list begins: what comes until Listed is all there is."""


@dataclass(frozen=True, slots=True)
class Items:
    """A page of the list. The objects are views of the page: decode them, or copy what is kept."""

    objects: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Listed:
    """The list is complete at this version."""

    version: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The watch is open: a sign of life."""


@dataclass(frozen=True, slots=True)
class Events:
    """What the watch told in one go, in order; after it the stream stands at `version` (empty: where it was)."""

    events: list[tuple[str, msgspec.Raw]]
    version: str
    listed: tuple[int, str] | None = None
    """Where a list that is a watch ends: after so many of the events, at this version."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not work, and is tried again in `delay` seconds."""

    error: WindlassError
    delay: float


Step: TypeAlias = Listing | Items | Listed | Opened | Events | Failed


class _ListMeta(msgspec.Struct):
    resourceVersion: str = ""  # noqa: N815 - the API's word
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Marked(msgspec.Struct):
    resourceVersion: str = ""  # noqa: N815
    annotations: dict[str, str] | None = None


class _Mark(msgspec.Struct):
    metadata: _Marked


class _NoEnd(ports.ClusterUnavailable):
    """A server that takes a list by watch for an ordinary watch: it never says where the list ends."""


_LIST = msgspec.json.Decoder(_List)
_EVENT = msgspec.json.Decoder(_Event)
_STATUS = msgspec.json.Decoder(Status)
_MARK = msgspec.json.Decoder(_Mark)
_INITIAL_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects: a resource, a namespace (empty: all), selectors, and whether metadata is enough."""

    resource: Resource
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    metadata_only: bool = False

    @property
    def kind(self) -> str:
        group = self.resource.group
        return f"{self.resource.plural}.{group}" if group else self.resource.plural

    @property
    def secret(self) -> bool:
        return self.resource.kind == "Secret" and not self.resource.group

    def call(self, verb: str, query: dict[str, str]) -> Call:
        """The request of a list or a watch."""
        if self.labels:
            query["labelSelector"] = self.labels
        if self.fields:
            query["fieldSelector"] = self.fields
        accept = "application/json"
        if self.metadata_only:
            accept = _METADATA.format("" if verb == "watch" else "List")
            # For Kubernetes' own kinds no second choice: a server that can't leave values out must not send them.
            accept = accept if built_in(self.resource.group) else f"{accept},application/json"
        target = f"{self.resource.plural} in {self.namespace}" if self.namespace else self.resource.plural
        return Call(
            verb,
            self.resource.path(self.namespace),
            Asked(verb, target, secret=self.secret),
            kind=self.kind,
            query=query,
            accept=accept,
            timeout=LIST_TIMEOUT,
        )


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `next` is how many objects the next one may have, by the size of those here."""

    objects: list[msgspec.Raw]
    version: str
    token: str
    next: int = PAGE


async def list_page(client: Client, scope: Scope, *, limit: int = PAGE, token: str = "") -> Page:
    """One page. Raises the errors of `ports.py`; HistoryGone when the token is too old."""
    query = {"limit": str(limit)} if limit else {}
    if token:
        query["continue"] = token
    answer = await client.send(scope.call("list", query))
    try:
        found = _LIST.decode(answer.body)
    except UNREADABLE as error:
        raise ports.ClusterUnavailable(f"the answer to a list of {scope.kind} is no list: cut off?") from error
    items = found.items or []
    fit = PAGE_BYTES * len(items) // max(1, len(answer.body))
    return Page(items, found.metadata.resourceVersion, found.metadata.continue_, max(100, min(fit, LARGEST_PAGE)))


async def pages(client: Client, scope: Scope) -> AsyncGenerator[Page, None]:
    """All pages of one list. A list whose history goes away in the middle raises HistoryGone: it begins anew."""
    token, first, limit = "", True, PAGE
    while token or first:
        page = await list_page(client, scope, limit=limit, token=token)
        token, first, limit = page.token, False, page.next
        yield page


class Source:
    """The steps of one scope. `resource` may be changed between steps, when the cluster serves another version."""

    def __init__(self, client: Client, scope: Scope, *, silence: float = SILENCE) -> None:
        self.scope = scope
        self._client = client
        self._silence = silence
        self._version = ""
        self._list_due = True
        self._expired = 0  # in a row; after two the list is asked for in one answer, which can't run out in the middle
        self._failures = 0
        self._pages = False  # the list is asked for by itself

    async def steps(self) -> AsyncGenerator[Step, None]:
        """Never ends. Use `contextlib.aclosing`, so that its connection ends with the one who reads."""
        clock = asyncio.get_running_loop().time
        while True:
            failure: WindlassError | None = None
            begun = clock()
            streamed = self._list_due and self._streams()
            try:
                if self._list_due:
                    yield Listing()
                if self._list_due and not streamed:
                    token, first = "", True
                    limit = 0 if self._expired > 1 else PAGE
                    while token or first:
                        page = await list_page(self._client, self.scope, limit=limit, token=token)
                        token, first, limit = page.token, False, page.next
                        yield Items(page.objects)
                        self._version = page.version
                    yield Listed(self._version)
                    self._list_due, self._expired, begun = False, 0, clock()
                async with self._watch(listing=streamed) as stream:
                    if streamed:
                        async with aclosing(self._initial(stream)) as initial:
                            async for step in initial:
                                yield step
                        self._list_due, self._expired, begun = False, 0, clock()
                    yield Opened()
                    async for batch in stream:
                        self._version = batch.version or self._version
                        yield batch
                if clock() - begun < STEADY:
                    failure = ports.ClusterUnavailable(f"the watch of {self.scope.kind} was ended as soon as it began")
            except HistoryGone as error:
                self._list_due = True
                self._expired += 1
                failure = error if self._expired > 1 else None  # the first is all in a day's work
            except (_NoEnd, Unsent, ports.ObjectRejected, ports.NotAllowed) as error:
                failure = None if streamed else error
                if streamed:
                    self._without_streams(error)
            except WindlassError as error:
                failure = error
            if clock() - begun >= STEADY and not self._list_due:
                self._failures = 0
            if failure is not None:
                delay = self._delay(failure)
                yield Failed(failure, delay)
                await asyncio.sleep(delay)

    async def _initial(self, stream: AsyncGenerator[Events, None]) -> AsyncGenerator[Step, None]:
        """The list at the beginning of a watch. What changes while it is sent comes between: a state is a state, and
        only a deletion is an event. Raises _NoEnd where the end does not come."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LIST_TIMEOUT
        while True:
            try:
                async with asyncio.timeout(min(QUIET, until - loop.time())):
                    batch = await anext(stream, None)
            except TimeoutError:
                raise _NoEnd(f"the API server does not say where the list of {self.scope.kind} ends") from None
            if batch is None:
                raise ports.ClusterUnavailable(f"the watch of {self.scope.kind} was ended in its list")
            count, version = batch.listed or (len(batch.events), "")
            for step in _states(batch.events[:count]):
                yield step
            if batch.listed is not None:
                self._version = version
                yield Listed(version)
                self._version = batch.version or version
                if rest := batch.events[count:]:
                    yield Events(rest, batch.version)
                return

    def _streams(self) -> bool:
        """Whether to ask for the list as a watch. Not where it was refused, nor after failures that may come of it."""
        return not self._pages and self._expired < 2 and self._failures < 2 and self._client.streams_lists

    def _without_streams(self, error: WindlassError) -> None:
        """From now on by pages; all kinds where it is the API server itself that does not know it. It answers 429 to
        the watch of a kind that is new to it (its cache is not filled yet), and a list of it at once."""
        self._pages = True
        if isinstance(error, ports.ObjectRejected) and built_in(self.scope.resource.group):
            self._client.streams_lists = False

    def restart(self) -> None:
        """Begins with a list again before the next watch."""
        self._list_due = True

    def _delay(self, error: WindlassError) -> float:
        self._failures += 1
        passing = isinstance(error, ports.ClusterUnavailable)
        slowest = SLOWEST if passing else SLOWEST_REFUSED
        backoff = min(slowest, (0.1 if passing else 1.0) * 2.0 ** min(self._failures - 1, 12))
        after = error.after if isinstance(error, ports.ClusterUnavailable) else 0.0
        return max(after, backoff * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing

    @asynccontextmanager
    async def _watch(self, *, listing: bool = False) -> AsyncIterator[AsyncGenerator[Events, None]]:
        seconds = random.randint(*WATCH_SECONDS)  # noqa: S311 - spreads load, guards nothing
        begin = (
            {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
            if listing
            else {"resourceVersion": self._version}
        )
        query = {"watch": "true"} | begin | {"allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        async with self._client.stream(self.scope.call("watch", query), self._silence) as content:
            stream = self._events(content)
            try:
                yield stream
            finally:
                await stream.aclose()

    async def _events(self, content: Stream) -> AsyncGenerator[Events, None]:
        """Whole lines as they come. What is cut off at the end is sent again by the next watch."""
        rest: list[bytes] = []
        waiting = 0
        while chunk := await content.readany():
            head, newline, tail = chunk.rpartition(b"\n")
            if not newline:
                rest.append(chunk)  # a large object comes in many chunks: joined once
                waiting += len(chunk)
                if waiting > LARGEST_EVENT:
                    raise ports.ClusterUnavailable(f"the watch of {self.scope.kind} sent an event without an end")
                continue
            waiting = len(tail)
            lines = b"".join([*rest, head])
            rest = [tail] if tail else []
            batch, error = self._batch(lines)
            yield batch
            if error is not None:
                raise error

    def _batch(self, lines: bytes) -> tuple[Events, WindlassError | None]:
        """The events up to the end or the first that is none: what was whole counts."""
        events: list[tuple[str, msgspec.Raw]] = []
        last: msgspec.Raw | None = None
        listed: tuple[int, str] | None = None
        error: WindlassError | None = None
        try:
            for line in lines.split(b"\n"):
                if not line:
                    continue
                event = _EVENT.decode(line)
                if event.type == "ERROR":
                    error = self._error(event.object)
                    break
                last = event.object
                if event.type != "BOOKMARK":
                    events.append((event.type, event.object))
                elif ((mark := _MARK.decode(last).metadata).annotations or {}).get(_INITIAL_END) == "true":
                    listed = (len(events), mark.resourceVersion)
        except UNREADABLE:
            error = ports.ClusterUnavailable(f"the watch of {self.scope.kind} sent what is no event")
        try:
            version = version_of(last) if last is not None else ""
        except UNREADABLE:
            return Events([], ""), ports.ClusterUnavailable(f"the watch of {self.scope.kind} sent what is no object")
        return Events(events, version, listed), error

    def _error(self, raw: msgspec.Raw) -> WindlassError:
        status = _STATUS.decode(raw)
        if status.code == 410 or status.reason in ("Expired", "Gone"):
            return HistoryGone(f"the history of {self.scope.kind} that the watch asks for is gone")
        words = status.reason if self.scope.secret else bounded(status.message, 300)
        return ports.ClusterUnavailable(f"the watch of {self.scope.kind} ended with an error: {words}")


def _states(events: list[tuple[str, msgspec.Raw]]) -> Iterator[Step]:
    """Events within a list, in order: runs of states as a page of it, deletions by themselves."""
    for gone, run in groupby(events, key=lambda event: event[0] == "DELETED"):
        found = list(run)
        yield Events(found, "") if gone else Items([raw for _, raw in found])
