"""Requests to the Kubernetes API: time-outs, retries where they are safe, errors by name.

The other modules of this room call it; `pool.py` keeps the connections. It retries reads and server-side applies (they
may be repeated), and anything that surely did not arrive (429, no connection); nothing else. Every write asks as it is
sent whether it still may. It follows no redirect, uses no proxy, and keeps no cookie.
"""

from __future__ import annotations

import asyncio
import random
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urlsplit

from windlass import __version__, ports
from windlass.adapters.cluster.access import Access
from windlass.adapters.cluster.answers import Asked, HistoryGone, Passing, bounded, to_error
from windlass.adapters.cluster.limiter import WriteLimiter
from windlass.adapters.host.pool import CONNECT, Place, Pool, Unconnected
from windlass.adapters.host.wire import Ended, Malformed, Reply, Stream
from windlass.errors import WindlassError

JSON = "application/json"
ATTEMPTS = 4
LONGEST_WAIT = 15.0  # seconds of Retry-After that are waited out here; a longer one is the caller's to wait for
READS = 32  # lists and gets at one time; watches are not counted
TIMEOUT = 40.0  # seconds for one request; the API server itself gives up on a write after 34 and a read after 60
LIST_TIMEOUT = 75.0
_TARGET = re.compile(r"/[!-~]*")
_UNFIT = re.compile(r"[^\t -~\x80-\xff]")  # what no value of a header may hold, a line's end above all

Hook = Callable[[str, str, int, float], None]


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `verb` is Kubernetes' word (get, list, watch, apply, patch, create, update, delete); `kind` like
    `deployments.apps`, for counting; `asked` the words for errors. `fenced` writes need the leadership; `urgent` calls
    wait for no place behind others, `later` ones behind all others.
    """

    verb: str
    path: str
    asked: Asked
    kind: str = ""
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = JSON
    accept: str = JSON
    user: str = ""
    timeout: float = TIMEOUT
    fenced: bool = True
    urgent: bool = False
    later: bool = False
    etag: str = ""

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def repeatable(self) -> bool:
        return self.method == "GET" or self.verb == "apply"


class Unsent(ports.ClusterUnavailable):
    """The request surely had no effect: no connection, or 429."""


class _Dropped(Passing):
    """A connection ended in the middle: often an old one of the pool that the server closed. Tried again at once."""


class Client:
    """Talks to one API server. An async context manager; for one event loop.

    `on_request` is called with verb, kind, code (0 without an answer) and seconds after each request. `fence` tells at
    the moment of sending whether a write may go out; without one (the command line) every write may.
    """

    def __init__(self, access: Access, *, on_request: Hook | None = None) -> None:
        self.access = access
        self.on_request = on_request
        self.fence: Callable[[], bool] | None = None
        self.streams_lists = True  # until the API server refuses a list that is the beginning of a watch
        self.writes = WriteLimiter()
        self._reads = asyncio.Semaphore(READS)
        self._pool: Pool | None = None
        server = urlsplit(access.server)
        host, tls = server.hostname or "", access.tls if server.scheme == "https" else None
        self._place = Place(host, server.port or (443 if tls else 80), tls, access.server_name or host)
        self._prefix = server.path
        # A compressed page costs both sides more than the network between them.
        self._always = (
            f"Host: {server.netloc.rpartition('@')[2]}\r\nUser-Agent: windlass/{__version__}\r\n"
            "Accept-Encoding: identity\r\n"
        )

    async def __aenter__(self) -> Self:
        self._pool = Pool(self._place)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def send(self, call: Call) -> Reply:
        """One request and its retries. Raises the errors of `ports.py`, HistoryGone for 410."""
        loop = asyncio.get_running_loop()
        until = loop.time() + call.timeout
        attempt = 1
        while True:
            try:
                return await self._turn(call)
            except ports.ClusterUnavailable as error:
                wait = self._wait(call, error, attempt)
                if wait is None or loop.time() + wait > until:
                    raise
            attempt += 1
            await asyncio.sleep(wait)

    @asynccontextmanager
    async def stream(self, call: Call, silence: float) -> AsyncIterator[Stream]:
        """The body of a watch as it comes. Raises ClusterUnavailable when it drops or is silent for too long."""
        renewed = False
        while True:
            request = await self._request(call)
            loop = asyncio.get_running_loop()
            begun, code = loop.time(), 0
            try:
                async with self._opened().stream(request, silence) as (reply, content):
                    code = reply.code
                    self._tell(call, code, begun)
                    if content is not None:
                        yield content
                        return
                    if not self._renew(reply, again=not renewed):
                        self._check(call, reply)
                        raise ports.ClusterUnavailable(f"can't {call.asked}: it was answered {code}, without a stream")
                    renewed = True
            except (Unconnected, Ended, Malformed, TimeoutError) as error:
                if not code:
                    self._tell(call, code, begun)
                raise self._unreachable(call, error) from error

    async def _turn(self, call: Call) -> Reply:
        if call.urgent:
            return await self._once(call)
        if not call.writes:
            async with self._reads:
                return await self._once(call)
        await self.writes.enter(later=call.later)
        try:
            self._fenced(call)
            loop = asyncio.get_running_loop()
            begun = loop.time()
            try:
                answer = await self._once(call)
            except ports.ClusterUnavailable:
                self.writes.throttled(loop.time())
                raise
            except WindlassError:
                self.writes.answered(loop.time() - begun, loop.time())
                raise
            self.writes.answered(loop.time() - begun, loop.time())
            return answer
        finally:
            self.writes.leave()

    async def _once(self, call: Call) -> Reply:
        """An answer below 400. One 401 is asked again where the credentials can be renewed."""
        reply = await self._exchange(call)
        if self._renew(reply, again=True):
            reply = await self._exchange(call)
        self._check(call, reply)
        return reply

    async def _exchange(self, call: Call) -> Reply:
        request = await self._request(call)
        loop = asyncio.get_running_loop()
        begun, code = loop.time(), 0
        try:
            reply = await self._opened().exchange(request, begun + call.timeout, lambda: self._fenced(call))
            code = reply.code
        except (Unconnected, Ended, Malformed, TimeoutError) as error:
            raise self._unreachable(call, error) from error
        finally:
            self._tell(call, code, begun)
        return reply

    def _opened(self) -> Pool:
        if self._pool is None:
            raise RuntimeError("the client is used outside of its `async with`")
        return self._pool

    def _fenced(self, call: Call) -> None:
        if call.writes and call.fenced and self.fence is not None and not self.fence():
            raise ports.LeadershipLost(f"did not {call.asked}: this controller may no longer lead")

    def _renew(self, reply: Reply, *, again: bool) -> bool:
        """Whether to ask again with other credentials."""
        if reply.code != 401 or not again or not self.access.credentials.renewable:
            return False
        self.access.credentials.refused()
        return True

    def _check(self, call: Call, reply: Reply) -> None:
        if reply.code >= 400:
            error = to_error(reply.code, reply.headers, reply.body, call.asked)
            if reply.code == 429 and isinstance(error, ports.ClusterUnavailable):
                raise Unsent(error.what, after=error.after)
            raise error
        if reply.code >= 300 and reply.code != 304:
            raise ports.ClusterUnavailable(f"can't {call.asked}: {self.access.server} sends elsewhere: no API server?")

    def _tell(self, call: Call, code: int, begun: float) -> None:
        if self.on_request is not None:
            self.on_request(call.verb, call.kind, code, asyncio.get_running_loop().time() - begun)

    async def _request(self, call: Call) -> bytes:
        """The request's bytes, head and body. Nothing in it can end a line but what this function writes."""
        authorization = await self.access.credentials.header()
        target = f"{self._prefix}{call.path}?{urlencode(call.query)}" if call.query else f"{self._prefix}{call.path}"
        lines = [f"{call.method} {target} HTTP/1.1\r\n{self._always}Accept: {call.accept}\r\n"]
        if user := call.user or self.access.impersonate:
            lines.append(f"Impersonate-User: {user}\r\n")
        if call.etag:
            lines.append(f"If-None-Match: {call.etag}\r\n")
        if not _TARGET.fullmatch(target) or _UNFIT.search(user) or _UNFIT.search(call.etag):
            raise ports.ObjectRejected(f"can't {call.asked}: a name in it can't be part of a request")
        if authorization:
            if _UNFIT.search(authorization):
                raise ports.NotAllowed(f"can't {call.asked}: the token holds what no token may", hint="log in again")
            lines.append(f"Authorization: {authorization}\r\n")
        if call.body is not None:
            lines.append(f"Content-Type: {call.content_type}\r\nContent-Length: {len(call.body)}\r\n\r\n")
            return "".join(lines).encode("latin-1") + call.body
        lines.append("Content-Length: 0\r\n\r\n" if call.writes else "\r\n")
        return "".join(lines).encode("latin-1")

    def _wait(self, call: Call, error: ports.ClusterUnavailable, attempt: int) -> float | None:
        """Seconds until the next attempt, None for none."""
        if attempt >= ATTEMPTS or isinstance(error, HistoryGone) or error.after > LONGEST_WAIT:
            return None
        if not isinstance(error, Unsent) and not (call.repeatable and isinstance(error, Passing)):
            return None
        if isinstance(error, _Dropped) and attempt == 1:
            return 0.0
        backoff = min(4.0, 0.1 * 4.0 ** (attempt - 1))
        return error.after + random.uniform(0.5, 1.0) * backoff  # noqa: S311 - spreads load, guards nothing

    def _unreachable(self, call: Call, error: Exception) -> ports.ClusterUnavailable:
        where = f"the API server at {self.access.server}"
        if isinstance(error, Unconnected):
            cause = error.__cause__
            if isinstance(cause, ssl.SSLCertVerificationError):
                words = bounded(cause.verify_message or str(cause), 200)
                told = ports.ClusterUnavailable(
                    f"can't {call.asked}: the certificate of {where} is not trusted: {words}"
                )
                told.hint = "the kubeconfig's certificate-authority has to be the one that signed it"
                return told
            return Unsent(f"can't {call.asked}: can't reach {where}: {_reason(cause)}")
        if isinstance(error, TimeoutError):
            return ports.ClusterUnavailable(f"can't {call.asked}: {where} gave no answer in time")
        if isinstance(error, Malformed):
            return ports.ClusterUnavailable(f"can't {call.asked}: what {where} answered is not taken: {error}")
        return _Dropped(f"can't {call.asked}: the connection to {where} ended in the middle")


def _reason(cause: BaseException | None) -> str:
    if cause is None:
        return "it ended the connection as soon as there was one"
    if isinstance(cause, TimeoutError) and not cause.strerror:
        return f"no connection within {CONNECT:.0f} s"
    if isinstance(cause, OSError) and cause.strerror:
        return bounded(cause.strerror, 200)
    return bounded(str(cause) or type(cause).__name__, 200)
