"""A proxy between a controller and its API server: it counts what passes, and delays, breaks, alters or answers it.

A test gives it a `rule`: a function of a request that says what is done with it, None for "passes". It speaks HTTP/1.1
over TLS with an authority of its own, on a port of 127.0.0.1, in a thread of its own, and knows nothing of Windlass: it
works for any client that has its kubeconfig. What it forwarded is carried out to the end, also when the client is gone,
as a network would.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import yaml

from real import certificates
from real.cluster import Cluster

LARGEST = 64 << 20


@dataclass(eq=False)
class Request:
    """One request, and, once it is known, what the API server answered. `answer` of a watch stays empty."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    code: int = 0
    answer: bytes = b""

    def __post_init__(self) -> None:
        parts = urlsplit(self.target)
        self.path = parts.path
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}

    @property
    def watch(self) -> bool:
        return self.query.get("watch") == "true"

    @property
    def writes(self) -> bool:
        """Whether it changes something outside, but for the Lease, whose renewals come by the clock."""
        return self.method != "GET" and "/leases" not in self.path

    @property
    def user(self) -> str:
        return self.headers.get("impersonate-user", "")

    @property
    def applies(self) -> bool:
        return "apply-patch" in self.headers.get("content-type", "")

    @property
    def version(self) -> str:
        """The resourceVersion in the answer, "" where there is none."""
        try:
            return str(json.loads(self.answer)["metadata"]["resourceVersion"])
        except (ValueError, KeyError, TypeError):
            return ""

    def __str__(self) -> str:
        return f"{self.method} {self.target} -> {self.code or '(no answer)'}"


@dataclass(frozen=True)
class Answer:
    """Answered by the proxy itself, as an API server would; nothing is forwarded."""

    code: int
    reason: str = ""
    message: str = "by the test"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def bytes(self) -> bytes:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.code}
        told = json.dumps(status | {"reason": self.reason, "message": self.message}).encode()
        body = told if self.body is None else self.body
        lines = [f"HTTP/1.1 {self.code} Told", f"Content-Length: {len(body)}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class Drop:
    """The connection ends without an answer; nothing is forwarded."""


@dataclass(frozen=True)
class Stall:
    """Nothing is answered for so long, and then the connection ends."""

    seconds: float = 600.0


@dataclass(frozen=True)
class Later:
    """Forwarded after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class After:
    """Forwarded and carried out; then this is done in place of passing the answer on."""

    then: Answer | Drop | Stall | Kill


@dataclass(frozen=True)
class Kill:
    """The controller is ended at once, by SIGKILL; nothing is forwarded."""


@dataclass(frozen=True)
class Alter:
    """The answer's body is another one: of a watch each event's line becomes these lines, and None ends the stream."""

    change: Callable[[bytes], Iterable[bytes] | None]


Verdict: TypeAlias = Answer | Drop | Stall | Later | After | Kill | Alter | None
Rule: TypeAlias = Callable[[Request], Verdict]


class Proxy:
    """A context manager. `kubeconfig(source, target)` writes one that leads through it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        certificates.write_all(folder)
        self._folder = folder
        self._upstream = urlsplit(cluster.server)
        self._upstream_tls = cluster.tls
        self._serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._serving.load_cert_chain(folder / "server.crt", folder / "server.key")
        self.rule: Rule | None = None
        self.kill: Callable[[], None] = lambda: None
        self.seen: list[Request] = []
        self.down = False
        self.busy = 0
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._started = threading.Event()
        self._connections: set[asyncio.StreamWriter] = set()
        self._watching: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    def kubeconfig(self, source: Path, target: Path) -> None:
        config = yaml.safe_load(source.read_text())
        for one in config["clusters"]:
            named = {"server": self.url, "certificate-authority": str(self._folder / "ca.crt")}
            one["cluster"] = named
        target.write_text(yaml.safe_dump(config))
        target.chmod(0o600)

    # --- what tests do with it ---

    def writes(self, since: int = 0) -> list[Request]:
        """The writes of the API from the `since`th request on, in the order in which they came."""
        return [one for one in self.seen[since:] if one.writes]

    def settle(self, seconds: float = 10.0) -> None:
        """Returns when nothing is on its way any more, watches apart."""
        end = time.monotonic() + seconds
        while self.busy and time.monotonic() < end:
            time.sleep(0.005)
        assert not self.busy, [str(one) for one in self.seen[-20:]]

    def cut(self, *, watches_only: bool = False) -> None:
        """Ends connections that are open: of watches, or all."""

        def close() -> None:
            for writer in list(self._watching if watches_only else self._connections):
                writer.transport.abort()

        self._loop.call_soon_threadsafe(close)

    def hold_watches(self, hold: bool) -> None:
        """While held, no event passes; none is lost."""
        self._loop.call_soon_threadsafe(self._flowing.clear if hold else self._flowing.set)

    # --- inside ---

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, ssl=self._serving, limit=LARGEST)
        self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        await self._ended.wait()
        server.close()
        for writer in list(self._connections):
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        upstream = _Upstream(self._upstream.hostname or "", self._upstream.port or 443, self._upstream_tls)
        try:
            while not self.down and await self._exchange(reader, writer, upstream):
                pass
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # one of the two went away
        finally:
            self._connections.discard(writer)
            writer.transport.abort()
            upstream.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: _Upstream) -> bool:
        """One request and its answer. False ends the connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in fields if one)}
        if "chunked" in headers.get("transfer-encoding", ""):
            body = await _chunked(reader)
        else:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, target, headers, body, time.monotonic())
        self.seen.append(request)
        verdict = self.rule(request) if self.rule is not None else None
        if request.watch and not isinstance(verdict, Answer | Drop | Stall):
            return await self._watch(request, reader, writer, upstream, verdict)
        self.busy += 1
        try:
            return await self._pass(request, writer, upstream, verdict)
        finally:
            self.busy -= 1

    async def _pass(
        self, request: Request, writer: asyncio.StreamWriter, upstream: _Upstream, verdict: Verdict
    ) -> bool:
        then: Verdict = None
        match verdict:
            case Later(seconds):
                await asyncio.sleep(seconds)
            case After(instead):
                then = instead
            case Alter():
                then = verdict
            case Answer() | Drop() | Stall() | Kill():
                return await self._instead(request, writer, verdict)
            case None:
                pass
        head, body = await upstream.ask(request)
        request.code, request.answer = int(head.split(b" ", 2)[1]), body
        if isinstance(then, Answer | Drop | Stall | Kill):
            return await self._instead(request, writer, then)
        if isinstance(then, Alter):
            body = b"".join(then.change(body) or ())
            head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"etag:"))
        writer.write(_with_length(head, body) + body)
        await writer.drain()
        return True

    async def _instead(
        self, request: Request, writer: asyncio.StreamWriter, verdict: Answer | Drop | Stall | Kill
    ) -> bool:
        match verdict:
            case Answer():
                writer.write(verdict.bytes())
                await writer.drain()
                return True
            case Stall(seconds):
                self.busy -= 1  # it is on its way for longer than anybody waits
                try:
                    await asyncio.sleep(seconds)
                finally:
                    self.busy += 1
            case Kill():
                self.kill()
            case Drop():
                pass
        return False

    async def _watch(
        self,
        request: Request,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream: _Upstream,
        verdict: Verdict,
    ) -> bool:
        source, head = await upstream.begin(request)
        request.code = int(head.split(b" ", 2)[1])
        if request.code != 200:
            body = await _body(source, head)
            writer.write(_with_length(head, body) + body)
            return True
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._watching.add(writer)
        gone = asyncio.ensure_future(reader.read(1))
        flow = asyncio.ensure_future(
            self._events(source, writer, verdict.change if isinstance(verdict, Alter) else None)
        )
        try:
            await asyncio.wait([gone, flow], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._watching.discard(writer)
            for task in (gone, flow):
                task.cancel()
            await asyncio.gather(gone, flow, return_exceptions=True)
        return False

    async def _events(
        self,
        source: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        change: Callable[[bytes], Iterable[bytes] | None] | None,
    ) -> None:
        rest = b""
        while chunk := await _chunk(source):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                await self._flowing.wait()
                told = [line] if change is None else change(line)
                if told is None:
                    return
                for one in told:
                    data = one + b"\n"
                    writer.write(b"%x\r\n%s\r\n" % (len(data), data))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


class _Upstream:
    """The connection to the API server that stands behind one of a client."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Request) -> tuple[bytes, bytes]:
        source, head = await self.begin(request)
        body = b"" if request.method == "HEAD" else await _body(source, head)
        if b"\r\nconnection: close" in head.lower():
            self.close()
        return head, body

    async def begin(self, request: Request) -> tuple[asyncio.StreamReader, bytes]:
        kept = self._streams is not None
        for attempt in range(2):
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port, ssl=self._tls, limit=LARGEST)
            reader, writer = self._streams
            headers = {**request.headers, "host": f"{self._host}:{self._port}"}
            headers.pop("transfer-encoding", None)
            if request.body or request.method != "GET":
                headers["content-length"] = str(len(request.body))
            lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
            try:
                writer.write("\r\n".join(lines).encode("latin-1") + request.body)
                await writer.drain()
                return reader, await reader.readuntil(b"\r\n\r\n")
            except (ConnectionError, asyncio.IncompleteReadError):
                self.close()
                if not kept or attempt:  # a kept connection may have been closed by the server meanwhile
                    raise
        raise AssertionError("the loop above returns or raises")

    def close(self) -> None:
        if self._streams is not None:
            with contextlib.suppress(OSError):
                self._streams[1].transport.abort()
            self._streams = None


async def _body(source: asyncio.StreamReader, head: bytes) -> bytes:
    code = int(head.split(b" ", 2)[1])
    if code in (204, 304):
        return b""
    fields: dict[str, Any] = {}
    for line in head.decode("latin-1").lower().split("\r\n")[1:]:
        name, _, value = line.partition(":")
        fields[name] = value.strip()
    if "chunked" in fields.get("transfer-encoding", ""):
        return await _chunked(source)
    if "content-length" in fields:
        return await source.readexactly(int(fields["content-length"]))
    return await source.read()


async def _chunk(source: asyncio.StreamReader) -> bytes:
    size = int((await source.readuntil(b"\r\n")).split(b";")[0], 16)
    data = await source.readexactly(size)
    await source.readexactly(2)
    return data


async def _chunked(source: asyncio.StreamReader) -> bytes:
    parts = []
    while part := await _chunk(source):
        parts.append(part)
    return b"".join(parts)


def _with_length(head: bytes, body: bytes) -> bytes:
    """The head of an answer, for a body of known length."""
    first, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    kept = [one for one in fields if one.partition(":")[0].lower() not in ("content-length", "transfer-encoding")]
    if first.split(" ")[1] not in ("204", "304"):
        kept.append(f"Content-Length: {len(body)}")
    return "\r\n".join([first, *kept, "", ""]).encode("latin-1")
