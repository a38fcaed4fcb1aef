"""One HTTP/1.1 connection as a client: a request goes out in one write, its answer comes back whole or not at all.

`pool.py` makes, keeps and ends connections; nobody else sees them. One request at a time (no pipelining); bodies come
with a Content-Length or in chunks, all else is refused. It never sends HEAD, CONNECT, Expect or an upgrade, and reads
every byte as something that an attacker may have sent: heads, bodies and interim answers are bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import httptools
from typing_extensions import override

LARGEST_HEAD = 1 << 16  # bytes of status line and headers, trailers counted
LARGEST_BODY = 1 << 28  # bytes of an answer: a page of 500 large objects is a tenth of it
LARGEST_REFUSAL = 1 << 20  # bytes of an answer of 400 and above: it may come from something that is no API server
LARGE = 1 << 16  # bytes of a request that a server may refuse without having read them
MOST_INTERIM = 16  # answers of 1xx before the real one
AHEAD = 1 << 20  # bytes of a stream that wait for their reader before the server has to
BUSY = 0.01  # seconds from a read of a stream, or from the end of a gathering, to the next: below it more is gathered
GATHER = 0.008  # seconds: each turn of the loop costs more than what one small event in it does
GATHER_LONG = 0.024  # the same once a stream has been busy for `SUSTAINED` pieces in a row: nobody waits for one event
SUSTAINED = 8


class Ended(Exception):
    """The connection ended before the answer was whole: whether the request had an effect is not known."""


class Malformed(Exception):
    """What came is no HTTP answer, or one that is not taken: its words say why."""


class Headers(Mapping[str, str]):
    """Headers of an answer, as they came. Names are compared without regard to case; the first of a name counts."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs

    @override
    def __getitem__(self, name: str) -> str:
        for value in self.all(name):
            return value
        raise KeyError(name)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1").lower() for name, _ in self._pairs))

    @override
    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._pairs})

    def all(self, name: str) -> list[str]:
        """The values of every header of this name, in order."""
        wanted = name.lower().encode("latin-1")
        return [value.decode("latin-1") for each, value in self._pairs if each.lower() == wanted]


class Reply(NamedTuple):
    """A whole answer; of one that streams, its head."""

    code: int
    headers: Headers
    body: bytes


class Stream:
    """The body of an answer as it comes. Its connection reads no further while `AHEAD` bytes wait, and takes a busy
    stream in pieces of some milliseconds; what comes alone is there at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._chunks: list[bytes] = []
        self._waiting = 0
        self._waiter: asyncio.Future[None] | None = None
        self._over = False
        self._error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._free = 0.0  # since when something might have been read
        self._gathers = False
        self._pieces = 0  # gathered in a row

    async def readany(self) -> bytes:
        """What is there, at least one byte of it; empty at the end. Raises Ended, Malformed or TimeoutError, after all
        that came before."""
        if not self._chunks and not self._over:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._chunks:
            data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks.clear()
            full, self._waiting = self._waiting > AHEAD, 0
            now = self._loop.time()
            busy, self._free = now - self._free < BUSY, now
            if busy and not self._gathers and not self._over:
                self._pieces += 1
                self._gathers = True
                self._connection.flow(going=False)
                self._loop.call_later(GATHER_LONG if self._pieces > SUSTAINED else GATHER, self._gathered)
                return data
            if not busy:
                self._pieces = 0
            if full and not self._gathers:
                self._connection.flow(going=True)
            return data
        if self._error is not None:
            raise self._error
        return b""

    def fed(self, data: bytes) -> None:
        self._chunks.append(data)
        before, self._waiting = self._waiting, self._waiting + len(data)
        if before <= AHEAD < self._waiting:
            self._connection.flow(going=False)
        self._wake()

    def _gathered(self) -> None:
        self._gathers = False
        self._free = self._loop.time()
        if self._waiting <= AHEAD:
            self._connection.flow(going=True)

    def ended(self, error: Exception | None) -> None:
        """The last of it; `error` says why it is not whole."""
        if not self._over:
            self._over, self._error = True, error
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """`on_end` hears once that the connection is of no use any more. `heard` is the loop's time of the last byte."""

    def __init__(self, on_end: Callable[[Connection], None]) -> None:
        self.stream: Stream | None = None
        self.heard = 0.0
        self.tick = 0  # where the pool's wheel holds it
        self.usable = False  # connected, idle, and fit for another request
        self._loop = asyncio.get_running_loop()
        self._on_end: Callable[[Connection], None] | None = on_end
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._streams = False
        self._large = False
        self._largest = LARGEST_BODY
        self._code = 0
        self._pairs: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._received = 0  # bytes of this answer so far
        self._interim = 0
        self._headed = False  # the head of the answer is whole

    # --- what the pool calls ---

    def send(self, request: bytes, *, streams: bool = False, largest: int = LARGEST_BODY) -> asyncio.Future[Reply]:
        """The request in one write; `largest` bounds the answer. The future fails with Ended, Malformed, or what `fail`
        is given."""
        transport = self._transport
        assert transport is not None, "the connection has ended"
        assert self.usable, "one request at a time"
        self.usable = False
        self._streams = streams
        self._large = len(request) > LARGE
        self._largest = min(largest, LARGEST_BODY)
        self._interim = 0
        self._begin()
        self._waiter = self._loop.create_future()
        transport.write(request)
        return self._waiter

    def flow(self, *, going: bool) -> None:
        """Has the transport read on, or not."""
        if self._transport is not None and not self._transport.is_closing():
            if going:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def fail(self, error: Exception) -> None:
        """Ends the connection; whoever waits for its answer hears why."""
        waiter, self._waiter = self._waiter, None
        self.close()
        if waiter is not None and not waiter.done():
            if self._headed and self._code >= 400:
                # Half a refusal is one: its status code says enough.
                waiter.set_result(Reply(self._code, Headers(self._pairs), b""))
            else:
                waiter.set_exception(error)
        if self.stream is not None:
            self.stream.ended(error)

    def close(self) -> None:
        """At once: what was not answered by now is of no interest to anybody."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self._parser = None
        told, self._on_end = self._on_end, None
        if told is not None:
            told(self)

    # --- asyncio.Protocol ---

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's are none of asyncio's by inheritance
        self._parser = httptools.HttpResponseParser(self)
        self.usable = True

    @override
    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self.fail(Ended())

    @override
    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            return  # given up already
        if self._waiter is None and self.stream is None:
            self.close()  # nobody asked: a farewell of a proxy, or worse
            return
        self.heard = self._loop.time()
        self._received += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(Malformed("it wants to speak another protocol"))
        except httptools.HttpParserError:
            self.fail(Malformed("it is no HTTP"))
        else:
            self._bound()

    # --- httptools: what it finds in the bytes ---

    def on_message_begin(self) -> None:
        if self._waiter is None:  # a second answer to one request
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._headed:
            return  # a trailer: nothing here needs one
        self._pairs.append((name, value))

    def on_headers_complete(self) -> None:
        if self._parser is None or self._headed:
            return
        self._code = self._parser.get_status_code()
        if self._code < 200:
            return
        self._headed = True
        if sum(len(name) + len(value) + 4 for name, value in self._pairs) > LARGEST_HEAD:
            self.fail(Malformed("its head is too large"))
        elif self._code < 400 and self._code not in (204, 304) and not _measured(self._pairs):
            # It would end with the connection, and nobody could tell the end from half.
            self.fail(Malformed("its body has no length"))
        elif self._streams and self._code < 300 and self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            if not waiter.done():  # else whoever asked is gone, and closes it
                self.stream = Stream(self)
                waiter.set_result(Reply(self._code, Headers(self._pairs), b""))

    def on_body(self, data: bytes) -> None:
        if self.stream is not None:
            self.stream.fed(data)
            return
        self._chunks.append(data)

    def on_message_complete(self) -> None:
        parser = self._parser
        if parser is None:
            return
        if not self._headed:  # 1xx: the answer is still to come
            self._interim += 1
            if self._interim > MOST_INTERIM:
                self.fail(Malformed("it says only that there will be an answer"))
            self._begin()
            return
        if self.stream is not None:
            self.stream.ended(None)
            self.close()
            return
        waiter, self._waiter = self._waiter, None
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        # A refusal may come before all of a large request was read, and the rest be taken for the next one.
        early = self._large and self._code >= 400
        if early or not parser.should_keep_alive() or (self._code >= 400 and not _measured(self._pairs)):
            self.close()
        else:
            self.usable = True
        if waiter is not None and not waiter.done():
            waiter.set_result(Reply(self._code, Headers(self._pairs), body))

    # --- inside ---

    def _bound(self) -> None:
        """Ends what is longer than it may be: what is counted is what came, head, chunks and trailers together."""
        if self._waiter is None:
            return
        if not self._headed and self._received > LARGEST_HEAD:
            self.fail(Malformed("its head is too large"))
        elif self._received > LARGEST_REFUSAL and self._code >= 400:
            self.fail(Ended())
        elif self._received > self._largest:
            self.fail(Malformed(f"it is larger than {self._largest >> 20} MiB"))

    def _begin(self) -> None:
        self._headed = False
        self._code = 0
        self._pairs = []
        self._chunks = []
        self._received = 0


def _measured(pairs: list[tuple[bytes, bytes]]) -> bool:
    """Whether the end of the body shows in the body."""
    for name, value in pairs:
        lower = name.lower()
        if lower == b"content-length" or (lower == b"transfer-encoding" and value.lower().endswith(b"chunked")):
            return True
    return False
