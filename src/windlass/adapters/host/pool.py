"""The connections to one server: kept alive between requests, bounded in number and age, timed by one wheel.

`adapters/cluster` sends its requests through one, `adapters/git` asks remotes by a short-lived one. A request goes out
on an idle connection or on a new one, never behind another; a stream has one of its own, which is not used again.
Nothing is repeated here, no redirect followed, no proxy used: what a failure means is the caller's to say.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from windlass.adapters.host.wire import LARGEST_BODY, Connection, Ended, Reply, Stream

CONNECT = 10.0  # seconds for the connection and its TLS, after which nobody is taken to be there
IDLE = 75.0  # seconds that an idle connection is kept; an API server closes them after 90
MOST_IDLE = 32
GRAIN = 0.05  # seconds; a time-out comes so much late at most


class Unconnected(Exception):
    """No connection came about: nothing was sent. The cause is an OSError (an ssl.SSLError or a TimeoutError among
    them), a UnicodeError, or none where the connection ended as soon as it began."""


class Wheel:
    """Time-outs of many connections with one timer of the loop. Each connection has one at most; most never run out,
    which is why setting and dropping one costs next to nothing.
    """

    def __init__(self, due: Callable[[Connection], None]) -> None:
        self._due = due
        self._ticks: dict[int, set[Connection]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0  # the tick that the timer is set to

    def put(self, connection: Connection, when: float) -> None:
        """`due` is called with the connection at a loop time, in place of any time before that was set for it."""
        self.drop(connection)
        tick = connection.tick = int(when / GRAIN) + 1
        held = self._ticks.get(tick)
        if held is None:
            self._ticks[tick] = {connection}
        else:
            held.add(connection)
        if self._timer is None or tick < self._next:
            self._set(tick)

    def drop(self, connection: Connection) -> None:
        """Nothing is due for it any more."""
        held = self._ticks.get(connection.tick)
        if held is not None:
            held.discard(connection)
            if not held:
                del self._ticks[connection.tick]
        connection.tick = 0

    def stop(self) -> None:
        """For good."""
        self._ticks.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = tick
        self._timer = asyncio.get_running_loop().call_at(tick * GRAIN, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        late = [connection for tick, held in self._ticks.items() if tick * GRAIN <= now for connection in held]
        for connection in late:
            self.drop(connection)
            self._due(connection)
        if self._timer is None and self._ticks:
            self._set(min(self._ticks))


class Place(NamedTuple):
    """Where a server listens. `tls` is None for plain HTTP; `server_name` what its certificate has to say."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    server_name: str


class Pool:
    """For one event loop."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._idle: list[Connection] = []  # the one that was used last is taken first, so that the others grow old
        self._all: set[Connection] = set()
        self._silences: dict[Connection, float] = {}
        self._wheel = Wheel(self._due)

    async def exchange(
        self, request: bytes, until: float, may: Callable[[], None] | None = None, *, largest: int = LARGEST_BODY
    ) -> Reply:
        """Sends a request and returns its whole answer, of so many bytes at most. `may` is called as it is sent, and
        raises where it must not be.

        Raises Unconnected where nothing was sent, Ended or Malformed where that is not known, TimeoutError at `until`.
        """
        connection = self._idle.pop() if self._idle else await self._connect(until)
        try:
            if may is not None:
                may()
            self._wheel.put(connection, until)
            reply = await connection.send(request, largest=largest)
        except BaseException:
            connection.close()
            raise
        if connection.usable:
            self._keep(connection)
        return reply

    @asynccontextmanager
    async def stream(self, request: bytes, silence: float) -> AsyncIterator[tuple[Reply, Stream | None]]:
        """The same on a connection of its own, with the body of a success as it comes. TimeoutError after so many
        seconds without a byte."""
        loop = asyncio.get_running_loop()
        connection = await self._connect(loop.time() + silence)
        try:
            connection.heard = loop.time()
            self._silences[connection] = silence
            self._wheel.put(connection, connection.heard + silence)
            reply = await connection.send(request, streams=True)
            yield reply, connection.stream
        finally:
            connection.close()

    async def close(self) -> None:
        """Ends every connection. Whoever still waits for an answer hears that there is none."""
        for connection in list(self._all):
            connection.fail(Ended())
        self._wheel.stop()
        await asyncio.sleep(0)  # the transports end in the loop's next turn

    # --- inside ---

    async def _connect(self, until: float) -> Connection:
        loop, place = asyncio.get_running_loop(), self._place
        seconds = min(CONNECT, until - loop.time())
        try:
            async with asyncio.timeout(seconds):
                if place.tls is None:
                    _, connection = await loop.create_connection(self._made, place.host, place.port)
                else:
                    _, connection = await loop.create_connection(
                        self._made,
                        place.host,
                        place.port,
                        ssl=place.tls,
                        server_hostname=place.server_name,
                        ssl_handshake_timeout=CONNECT,
                    )
        except (OSError, UnicodeError) as error:  # UnicodeError: of a host that can't be a name
            raise Unconnected from error
        if not connection.usable:
            raise Unconnected
        self._all.add(connection)
        return connection

    def _made(self) -> Connection:
        return Connection(self._ended)

    def _keep(self, connection: Connection) -> None:
        if len(self._idle) >= MOST_IDLE:
            connection.close()
            return
        self._idle.append(connection)
        self._wheel.put(connection, asyncio.get_running_loop().time() + IDLE)

    def _ended(self, connection: Connection) -> None:
        self._wheel.drop(connection)
        self._all.discard(connection)
        self._silences.pop(connection, None)
        if connection in self._idle:
            self._idle.remove(connection)

    def _due(self, connection: Connection) -> None:
        silence = self._silences.get(connection)
        if silence is not None and connection.heard + silence > asyncio.get_running_loop().time():
            self._wheel.put(connection, connection.heard + silence)
        else:
            connection.fail(TimeoutError())
