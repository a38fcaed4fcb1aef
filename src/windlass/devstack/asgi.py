"""What the devstack's small HTTP servers share: running an ASGI application on uvicorn, a token's check, plain answers.

``gitserver`` and ``ociserver`` use it; the API server has an HTTP layer of its own.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, MutableMapping
from typing import Any

import uvicorn
from typing_extensions import override

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def serving(
    app: App,
    beside: Callable[[], Coroutine[Any, Any, None]],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    certificate: str | None = None,
    key: str | None = None,
) -> AsyncIterator[str]:
    """Serves until the block ends, with ``beside`` running beside it; gives the server's URL. ``certificate`` and
    ``key`` (files) turn TLS on. Port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol's number asyncio knows that it is TCP, and turns Nagle's algorithm off: 40 ms an answer otherwise.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    config = uvicorn.Config(
        app,
        interface="asgi3",
        log_level="warning",
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=2,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    server = _Server(config)
    scheme = "https" if certificate else "http"
    trouble: Exception | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]))
            other = tasks.create_task(beside())
            try:
                await server.ready.wait()
                yield f"{scheme}://{host}:{listener.getsockname()[1]}"
            except Exception as error:  # noqa: BLE001 - handed on below, outside of the group that would wrap it
                trouble = error
            finally:
                server.should_exit = True
                other.cancel()
    finally:
        listener.close()
    if trouble is not None:
        raise trouble


class _Server(uvicorn.Server):
    """uvicorn without its hold on the signals of the process: whoever starts the server decides when it stops."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def headers_of(scope: Scope) -> dict[str, str]:
    """A request's headers by name in small letters; of a repeated one the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def given_token(authorization: str) -> str:
    """What a client shows: the bearer token, or the password of any user name; "" where it shows nothing."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip()).decode().partition(":")[2]
        except ValueError:
            return ""
    return rest.strip() if scheme.lower() == "bearer" else ""


def same(given: str, token: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing."""
    return hmac.compare_digest(given.encode(), token.encode())


async def body_of(receive: Receive) -> AsyncIterator[bytes]:
    """A request's body in the pieces it comes in."""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def answer(send: Send, status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> None:
    """One answer with its length. ``headers`` may name another ``content-length`` (for HEAD)."""
    head = list(headers)
    if not any(name == b"content-length" for name, _ in head) and status not in (204, 304):
        head.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def plain(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    """A line of text as the answer."""
    kind = (b"content-type", b"text/plain; charset=utf-8")
    await answer(send, status, text.encode() + b"\n", kind, *headers)
