"""A server of faults: it answers each request as the test's script says. What a real API server can't be told to do."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from windlass.adapters.cluster.access import Access, Credentials, FixedToken
from windlass.adapters.cluster.client import Client

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Scripted:
    """Set `handler`; look at `requests` (method, path with query) and `headers` afterwards."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.handler: Handler | None = None
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Scripted:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        self.headers.append(dict(request.headers))
        assert self.handler is not None
        return await self.handler(request)

    def access(self, credentials: Credentials | None = None) -> Access:
        return Access(self.url, ssl.create_default_context(), credentials or FixedToken("secret-token"))

    @asynccontextmanager
    async def client(self, credentials: Credentials | None = None) -> AsyncIterator[Client]:
        async with Client(self.access(credentials)) as client:
            yield client


def status(code: int, message: str = "", reason: str = "", **details: Any) -> web.Response:
    """A Status as the API server sends it."""
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    if reason:
        body["reason"] = reason
    if details:
        body["details"] = details
    return web.json_response(body, status=code)


def answers(*each: web.StreamResponse | Callable[[], web.StreamResponse]) -> Handler:
    """One answer after the other; the last one again and again."""
    left = list(each)

    async def handler(_: web.Request) -> web.StreamResponse:
        answer = left.pop(0) if len(left) > 1 else left[0]
        return answer() if callable(answer) else answer

    return handler


async def drop(request: web.Request) -> web.StreamResponse:
    """Closes the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    await asyncio.sleep(0)
    return web.Response()


def obj(name: str, version: int, *, label: str | None = "ns.app", uid: str = "", **more: Any) -> dict[str, Any]:
    """A ConfigMap's metadata as a watch sends it."""
    labels = {} if label is None else {"windlass.dev/application": label}
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            "labels": labels,
        },
        **more,
    }


def listing(version: int, *items: dict[str, Any], token: str = "") -> web.Response:
    """A list's page."""
    meta = {"resourceVersion": str(version)} | ({"continue": token} if token else {})
    return web.json_response({"kind": "PartialObjectMetadataList", "metadata": meta, "items": list(items)})


def event(kind: str, content: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": content}).encode() + b"\n"


class Stream:
    """A watch whose bytes the test sends by hand."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def send(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self._queue.put_nowait(chunk)

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        self.opened.set()
        while (chunk := await self._queue.get()) is not None:
            await response.write(chunk)
        return response


async def until(check: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits until something is so, or fails."""
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.005)
