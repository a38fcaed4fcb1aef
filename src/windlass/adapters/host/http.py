"""HTTP to addresses that other people chose: which machines may be asked, how much is read, how long is waited.

    public    the internet
    private   the networks of a company or a cluster (10.0.0.0/8, fc00::/7, ...)
    local     this machine, and what only machines ask (127.0.0.0/8, 169.254.0.0/16: the metadata of clouds)

A URL that a person wrote may lead to a public or a private address. Where an answer leads next (a redirect, a token
realm) may be no nearer than the one who gave it was. Addresses are looked at when the connection is made, so that a
name that changes its address meanwhile gains nothing. Redirects are followed here, a few, without the credentials where
they leave the host, and never from HTTPS to HTTP. Called by ``adapters/registry``; it knows nothing of what is fetched.
"""

from __future__ import annotations

import asyncio
import email.utils
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from typing_extensions import override
from yarl import URL

from windlass.errors import NeedsHuman, TryLater

REDIRECTS = 5
IDENTITY = {"Accept-Encoding": "identity"}
"""For archives: some servers call a ``.tgz`` content that is compressed on the way, and another file arrives."""

TIMEOUT = 60.0
_CHUNK = 64 * 1024
_LONGEST_WAIT = 3600.0


if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver, ResolveResult
else:
    # A tenth of a second of every start, for what most controllers ask for seldom or never: see `_load`.
    AbstractResolver = object


class Reach(IntEnum):
    """How near an address is."""

    PUBLIC = 0
    PRIVATE = 1
    LOCAL = 2


class RemoteUnavailable(TryLater):
    """The other side did not answer, answered that it can't now, or asked to be left alone for a while."""

    slug: ClassVar[str] = "remote-unavailable"
    reason: ClassVar[str] = "RemoteUnavailable"


class RemoteRefused(NeedsHuman):
    """The other side is not asked, or what it says is not taken: its address, certificate, redirect or size."""

    slug: ClassVar[str] = "remote-refused"
    reason: ClassVar[str] = "RemoteRefused"


NO_ADDRESS = (ValueError, IndexError)
"""What ``URL`` raises for what is none: an IndexError where brackets are in the user's name and no host comes after."""


class Answer(NamedTuple):
    """What came back. ``url`` is where it came from after redirects; ``reach`` how near that was."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    reach: Reach


class Ask(NamedTuple):
    """One request. ``authorization`` goes to the URL's own host and to no other; ``most`` is in bytes; ``within`` is
    how near the address may be, None for what a person may write; ``ca`` is PEM, b"" for the usual authorities;
    ``body`` is sent to the first address only: no redirect is followed with one; ``discreet``: the path is a secret, as
    that of many webhooks, and no error shows it."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    authorization: str = ""
    most: int = 4 * 1024 * 1024
    within: Reach | None = None
    ca: bytes = b""
    body: bytes | None = None
    discreet: bool = False


def reach_of(address: str) -> Reach:
    """How near an address is. What is in doubt counts as near."""
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address):
        inner = one.ipv4_mapped or one.sixtofour or (one.teredo[1] if one.teredo else None)
        if inner is None and one in _NAT64:
            inner = ipaddress.IPv4Address(int(one) & 0xFFFFFFFF)
        if inner is not None:
            return reach_of(str(inner))
    if one.is_loopback or one.is_link_local or one.is_unspecified or one.is_multicast:
        return Reach.LOCAL
    return Reach.PUBLIC if one.is_global else Reach.PRIVATE


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class _Resolver(AbstractResolver):
    """Gives only addresses that are far enough, and remembers how near the farthest of them was."""

    def __init__(self, within: Reach) -> None:
        self.within = within
        self.found: dict[str, Reach] = {}

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        from aiohttp.abc import ResolveResult

        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        allowed = [(info[0], str(info[4][0])) for info in infos if reach_of(str(info[4][0])) <= self.within]
        if not allowed:
            raise _too_near(host)
        self.found[host] = min(reach_of(address) for _, address in allowed)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in allowed
        ]

    @override
    async def close(self) -> None:
        self.found.clear()


class Http:
    """Use it as ``async with Http() as http``. ``local`` lets people name this machine: for the devstack and tests."""

    def __init__(self, *, local: bool = False, timeout: float = TIMEOUT, agent: str = "windlass") -> None:
        self._local = local
        self._timeout = timeout
        self._agent = agent
        self._sessions: dict[Reach, tuple[aiohttp.ClientSession, _Resolver]] = {}
        self._contexts: dict[bytes, ssl.SSLContext] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends all connections."""
        sessions, self._sessions = self._sessions, {}
        for session, _ in sessions.values():
            await session.close()

    async def ask(self, ask: Ask) -> Answer:
        """The answer after redirects, whatever its status but 429 and 5xx.

        Raises RemoteUnavailable (with the time that the other side asks for) and RemoteRefused.
        """
        if not self._sessions:
            await asyncio.to_thread(_load)
        widest = Reach.LOCAL if self._local else Reach.PRIVATE
        within = widest if ask.within is None else min(widest, ask.within)
        url, authorization = _checked(ask.url, discreet=ask.discreet), ask.authorization
        for _ in range(REDIRECTS + 1):
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await self._once(ask, url, authorization, within)
            except TimeoutError:
                shown = _shown(url, discreet=ask.discreet)
                raise RemoteUnavailable(f"{shown} did not answer within {self._timeout:g} s") from None
            target = answer.headers.get("Location", "")
            if answer.status not in (301, 302, 303, 307, 308) or not target or ask.body is not None:
                return answer
            after = _redirected(url, target)
            if after.origin() != url.origin():
                authorization = ""
            url, within = after, min(within, answer.reach)
        raise RemoteRefused(f"{_shown(url)} leads on and on", hint="name the last address itself")

    async def _once(self, ask: Ask, url: URL, authorization: str, within: Reach) -> Answer:
        import aiohttp

        session, resolver = self._session(within)
        host, shown = url.host or "", _shown(url, discreet=ask.discreet)
        literal = _literal(host)
        if literal is not None and literal > within:
            raise _too_near(host)
        headers = {**ask.headers, **({"Authorization": authorization} if authorization else {})}
        context: ssl.SSLContext | bool = self._context(ask.ca) if ask.ca else True
        try:
            async with session.request(
                ask.method,
                url,
                headers=headers,
                data=ask.body,
                allow_redirects=False,
                ssl=context,
                auto_decompress=True,
            ) as response:
                reach = literal if literal is not None else resolver.found.get(host, Reach.PUBLIC)
                _check_status(response, shown)
                body = await _body(response, ask.most, shown)
                return Answer(response.status, response.headers, body, str(url), reach)
        except aiohttp.ClientConnectorCertificateError as error:
            hint = "the Secret's key ca.crt takes the certificate of its authority"
            raise RemoteRefused(
                f"the certificate of {host} is not believed: {error.certificate_error}", hint=hint
            ) from error
        except aiohttp.ClientError as error:
            refused = error.__cause__
            if isinstance(refused, RemoteRefused):
                raise refused from None
            raise _unreached(error, url, shown) from error
        except (OSError, ValueError) as error:
            raise _unreached(error, url, shown) from error

    def _session(self, within: Reach) -> tuple[aiohttp.ClientSession, _Resolver]:
        import aiohttp

        if within not in self._sessions:
            resolver = _Resolver(within)
            connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=32, limit_per_host=8)
            session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._agent},
                timeout=aiohttp.ClientTimeout(total=None, connect=15, sock_read=30),
                trust_env=False,
                max_line_size=16 * 1024,
                max_field_size=16 * 1024,
            )
            self._sessions[within] = session, resolver
        return self._sessions[within]

    def _context(self, ca: bytes) -> ssl.SSLContext:
        if ca not in self._contexts:
            try:
                # Besides the usual authorities: where a registry has its own, its token service may have another.
                context = ssl.create_default_context()
                context.load_verify_locations(cadata=ca.decode())
                self._contexts[ca] = context
            except (ssl.SSLError, ValueError) as error:
                raise RemoteRefused(
                    "ca.crt is no certificate in PEM", hint="it begins with -----BEGIN CERTIFICATE-----"
                ) from error
        return self._contexts[ca]


def _load() -> None:
    """Imports what asks, in a thread at the first question, so that no loop stands for it."""
    import aiohttp  # noqa: F401


def _checked(text: str, *, discreet: bool = False) -> URL:
    try:
        url = URL(text)
        host = url.host  # read when it is asked for, and a wrong port or bracket is found then
    except NO_ADDRESS:
        raise RemoteRefused("the address can't be read", hint="https://charts.example.com") from None
    if url.scheme not in ("http", "https") or not host:
        what = "what is written" if discreet else repr(text[:200])
        raise RemoteRefused(f"{what} is no address of HTTP", hint="https://charts.example.com")
    if url.user or url.password:
        raise RemoteRefused("the address holds credentials", hint="put them into a Secret (keys username and password)")
    return url


def _redirected(url: URL, target: str) -> URL:
    try:
        after = url.join(URL(target))
        shown, plain = _shown(after), str(after.with_user(None) if after.host else after)
    except NO_ADDRESS:
        raise RemoteRefused(f"{_shown(url)} leads to what is no address") from None
    if url.scheme == "https" and after.scheme != "https":
        raise RemoteRefused(f"{_shown(url)} leads from HTTPS to {shown}", hint="ask who runs it to mend that")
    return _checked(plain)


def _literal(host: str) -> Reach | None:
    try:
        return reach_of(host)
    except ValueError:
        return None


def _too_near(host: str) -> RemoteRefused:
    return RemoteRefused(
        f"{host} is an address that is not asked from here",
        hint="a public answer may not lead to a private address, and nobody to this machine or a cloud's metadata",
    )


def _unreached(error: BaseException, url: URL, shown: str) -> RemoteUnavailable:
    from windlass.adapters.host.unreached import why

    what, mend = why(error, url)
    return RemoteUnavailable(f"{shown} can't be reached: {what}", hint=mend)


def _check_status(response: aiohttp.ClientResponse, shown: str) -> None:
    status = response.status
    if status == 429 or status >= 500:
        words = "asks to be left alone for a while" if status == 429 else f"answers {status}"
        raise RemoteUnavailable(f"{shown} {words}", after=retry_after(response.headers.get("Retry-After", "")))


def retry_after(text: str, now: datetime | None = None) -> float:
    """Seconds that a ``Retry-After`` asks for: 0.0 for none, an hour at most."""
    if text.strip().isdecimal():
        return min(float(text.strip()[:9]), _LONGEST_WAIT)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):  # a day, year or offset of ten digits is no number of the calendar
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max(0.0, (when - (now or datetime.now(UTC))).total_seconds()), _LONGEST_WAIT)


async def _body(response: aiohttp.ClientResponse, most: int, shown: str) -> bytes:
    if (response.content_length or 0) > most and response.method != "HEAD":
        raise _too_large(shown, most)
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(_CHUNK):
        size += len(part)
        if size > most:
            raise _too_large(shown, most)
        parts.append(part)
    return b"".join(parts)


def _too_large(shown: str, most: int) -> RemoteRefused:
    return RemoteRefused(f"{shown} answers with more than {most} bytes", hint="is it the right address?")


def _shown(url: URL, *, discreet: bool = False) -> str:
    """An address without what may be secret in it."""
    host = f"[{url.host}]" if url.host and ":" in url.host else url.host
    origin = f"{url.scheme}://{host}{f':{url.explicit_port}' if url.explicit_port else ''}"
    return origin if discreet else origin + url.path[:200]
