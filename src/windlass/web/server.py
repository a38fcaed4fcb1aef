"""A raw ASGI application: ``/healthz``, ``/readyz``, ``/metrics``, ``/hooks/git/<namespace>/<repository>``,
``/hooks/registry/<namespace>/<image policy>``, ``/hooks/alertmanager``.

``app.py`` gives it what it looks at. Bodies are bounded before they are read, everything unknown is 404, and nothing
in an answer comes from a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from windlass.flows.fleet import Key
from windlass.flows.hooks import LIMIT, HookAnswer

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
HookReceiver = Callable[[str, Key, dict[str, str], str, bytes], Awaitable[HookAnswer]]
"""Called with the kind of hook ("git", "registry"), whom it is for, headers, the query and the body."""
HOOKS = ("git", "registry")
AlertReceiver = Callable[[dict[str, str], bytes], Awaitable[HookAnswer]]

TEXT = "text/plain; charset=utf-8"


class Pages:
    """``alive`` and ``ready`` return what is wrong, "" when nothing is; ``metrics`` the exposition and its type."""

    def __init__(
        self,
        *,
        alive: Callable[[], str],
        ready: Callable[[], str],
        metrics: Callable[[], tuple[bytes, str]],
        hook: HookReceiver,
        alerts: AlertReceiver,
    ) -> None:
        self._alive = alive
        self._ready = ready
        self._metrics = metrics
        self._hook = hook
        self._alerts = alerts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        status, kind, body = await self._answer(scope, receive)
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, str, bytes]:
        path: str = scope["path"]
        if path == "/hooks/alertmanager":
            return await self._receive_alerts(scope, receive)
        if path.startswith("/hooks/"):
            return await self._receive_hook(path, scope, receive)
        if scope["method"] not in ("GET", "HEAD"):
            return 405, TEXT, b"only GET\n"
        match path:
            case "/healthz":
                wrong = self._alive()
            case "/readyz":
                wrong = self._ready()
            case "/metrics":
                text, kind = await asyncio.to_thread(self._metrics)
                return 200, kind, text
            case _:
                return 404, TEXT, b"not found\n"
        return (503 if wrong else 200), TEXT, (wrong or "ok").encode() + b"\n"

    async def _receive_hook(self, path: str, scope: Scope, receive: Receive) -> tuple[int, str, bytes]:
        parts = path.removeprefix("/hooks/").split("/")
        if scope["method"] != "POST" or len(parts) != 3 or parts[0] not in HOOKS:
            return 404, TEXT, b"not found\n"
        body = await _body(receive)
        if isinstance(body, tuple):
            return body
        query = scope["query_string"].decode("latin-1")
        answer = await self._hook(parts[0], Key(parts[1], parts[2]), _headers(scope), query, body)
        return answer.status, TEXT, answer.text.encode()

    async def _receive_alerts(self, scope: Scope, receive: Receive) -> tuple[int, str, bytes]:
        if scope["method"] != "POST":
            return 404, TEXT, b"not found\n"
        body = await _body(receive)
        if isinstance(body, tuple):
            return body
        answer = await self._alerts(_headers(scope), body)
        return answer.status, TEXT, answer.text.encode()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


async def _body(receive: Receive) -> bytes | tuple[int, str, bytes]:
    """A request's body, or the answer to one that is too large or cut off."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return 400, TEXT, b"half a request\n"
        body += message.get("body", b"")
        if len(body) > LIMIT:
            return 413, TEXT, f"a hook is at most {LIMIT} bytes\n".encode()
        if not message.get("more_body"):
            return bytes(body)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
