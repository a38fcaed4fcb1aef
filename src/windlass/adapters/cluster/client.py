"""Requests to the Kubernetes API: one keep-alive pool, time-outs, retries where they are safe, errors by name.

The other modules of this room call it. It retries reads and server-side applies (they may be repeated), and anything
that surely did not arrive (429, no connection); nothing else. Every write asks as it is sent whether it still may.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlencode

import aiohttp
import yarl

from windlass import __version__, ports
from windlass.adapters.cluster.access import Access
from windlass.adapters.cluster.answers import Asked, HistoryGone, Passing, bounded, to_error
from windlass.adapters.cluster.limiter import WriteLimiter
from windlass.errors import WindlassError

JSON = "application/json"
ATTEMPTS = 4
LONGEST_WAIT = 15.0  # seconds of Retry-After that are waited out here; a longer one is the caller's to wait for
READS = 32  # lists and gets at one time; watches are not counted
TIMEOUT = 40.0  # seconds for one request; the API server itself gives up on a write after 34 and a read after 60
LIST_TIMEOUT = 75.0

Hook = Callable[[str, str, int, float], None]


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `verb` is Kubernetes' word (get, list, watch, apply, patch, create, update, delete); `kind` like
    `deployments.apps`, for counting; `asked` the words for errors. `fenced` writes need the leadership; `urgent` calls
    wait for no place behind others.
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
    etag: str = ""

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def repeatable(self) -> bool:
        return self.method == "GET" or self.verb == "apply"


class Answer(NamedTuple):
    """An answer below 400."""

    code: int
    body: bytes
    headers: Mapping[str, str]


class _Unsent(ports.ClusterUnavailable):
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
        self.writes = WriteLimiter()
        self._reads = asyncio.Semaphore(READS)
        self._session: aiohttp.ClientSession | None = None
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self.access.tls, limit=0, keepalive_timeout=75.0, ttl_dns_cache=30)
        self._session = aiohttp.ClientSession(
            connector=connector,
            # A compressed page costs both sides more than the network between them.
            headers={"User-Agent": f"windlass/{__version__}", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=1 << 18,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, call: Call) -> Answer:
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
    async def stream(self, call: Call, silence: float) -> AsyncIterator[aiohttp.StreamReader]:
        """The body of a watch as it comes. Raises ClusterUnavailable when it drops or is silent for too long."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=silence)
        async with self._response(call, timeout) as response:
            try:
                yield response.content
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self._unreachable(call, error) from error

    async def _turn(self, call: Call) -> Answer:
        if call.urgent:
            return await self._once(call)
        if not call.writes:
            async with self._reads:
                return await self._once(call)
        async with self.writes.place():
            if call.fenced and self.fence is not None and not self.fence():
                raise ports.LeadershipLost(f"did not {call.asked}: this controller may no longer lead")
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

    async def _once(self, call: Call) -> Answer:
        timeout = self._timeouts.get(call.timeout)
        if timeout is None:
            timeout = self._timeouts[call.timeout] = aiohttp.ClientTimeout(total=call.timeout, sock_connect=10.0)
        async with self._response(call, timeout) as response:
            try:
                body = await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self._unreachable(call, error) from error
            return Answer(response.status, body, response.headers)

    @asynccontextmanager
    async def _response(self, call: Call, timeout: aiohttp.ClientTimeout) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer below 400, its body not yet read. One 401 is asked again where the credentials can be renewed."""
        response = await self._answer(call, timeout)
        try:
            if response.status == 401 and self.access.credentials.renewable:
                self.access.credentials.refused()
                response.close()
                response = await self._answer(call, timeout)
            if response.status >= 400:
                body = await self._refusal(response)
                error = to_error(response.status, response.headers, body, call.asked)
                if response.status == 429 and isinstance(error, ports.ClusterUnavailable):
                    raise _Unsent(error.what, after=error.after)
                raise error
            if response.status >= 300 and response.status != 304:
                raise ports.ClusterUnavailable(
                    f"can't {call.asked}: {self.access.server} sends elsewhere: no API server?"
                )
            yield response
        finally:
            response.release()

    async def _answer(self, call: Call, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        session = self._session
        if session is None:
            raise RuntimeError("the client is used outside of its `async with`")
        url = f"{self.access.server}{call.path}"
        if call.query:
            url = f"{url}?{urlencode(call.query)}"
        loop = asyncio.get_running_loop()
        begun, code = loop.time(), 0
        headers = await self._headers(call)
        try:
            response = await session.request(
                call.method,
                yarl.URL(url, encoded=True),
                data=call.body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                server_hostname=self.access.server_name or None,
            )
            code = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(call, error) from error
        finally:
            if self.on_request is not None:
                self.on_request(call.verb, call.kind, code, loop.time() - begun)
        return response

    async def _headers(self, call: Call) -> dict[str, str]:
        headers = {"Accept": call.accept}
        if authorization := await self.access.credentials.header():
            headers["Authorization"] = authorization
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        if call.etag:
            headers["If-None-Match"] = call.etag
        if user := call.user or self.access.impersonate:
            headers["Impersonate-User"] = user
        return headers

    async def _refusal(self, response: aiohttp.ClientResponse) -> bytes:
        """The body of a refusal, of bounded size: it may come from something that is no API server."""
        body = b""
        try:
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > 1 << 20:
                    break
        except (aiohttp.ClientError, TimeoutError, OSError):
            return b""  # the status code says enough
        return body

    def _wait(self, call: Call, error: ports.ClusterUnavailable, attempt: int) -> float | None:
        """Seconds until the next attempt, None for none."""
        if attempt >= ATTEMPTS or isinstance(error, HistoryGone) or error.after > LONGEST_WAIT:
            return None
        if not isinstance(error, _Unsent) and not (call.repeatable and isinstance(error, Passing)):
            return None
        if isinstance(error, _Dropped) and attempt == 1:
            return 0.0
        backoff = min(4.0, 0.1 * 4.0 ** (attempt - 1))
        return error.after + random.uniform(0.5, 1.0) * backoff  # noqa: S311 - spreads load, guards nothing

    def _unreachable(self, call: Call, error: Exception) -> ports.ClusterUnavailable:
        where = f"the API server at {self.access.server}"
        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
            told = _Unsent(f"can't {call.asked}: the certificate of {where} is not trusted: {bounded(str(error), 200)}")
            told.hint = "the kubeconfig's certificate-authority has to be the one that signed it"
            return told
        if isinstance(error, aiohttp.ClientConnectorError):
            return _Unsent(f"can't {call.asked}: can't reach {where}: {error.strerror or bounded(str(error), 200)}")
        if isinstance(error, TimeoutError):
            return ports.ClusterUnavailable(f"can't {call.asked}: {where} gave no answer in time")
        return _Dropped(f"can't {call.asked}: the connection to {where} ended in the middle")
