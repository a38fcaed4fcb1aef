"""The server itself: an ASGI application in front of ``git http-backend``, the repositories it serves, and what a push
sets off.

``GitServer.serve`` runs it by uvicorn; ``GitServer.app`` can be mounted elsewhere, where the caller runs ``background``
beside it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import os
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import uvicorn
from typing_extensions import override

from windlass.devstack.gitserver import backend
from windlass.devstack.gitserver.notify import Notifier, Push
from windlass.errors import NeedsHuman

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# A name has no parts that begin with a dot, so no way up and nothing hidden.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){0,4}")
_SERVICES = re.compile(
    r"(?P<name>.+?)\.git/(?P<what>info/refs|HEAD|git-upload-pack|git-receive-pack"
    r"|objects/(?:info/[a-z-]+|pack/pack-[0-9a-f]+\.(?:pack|idx)|[0-9a-f]{2}/[0-9a-f]{38,62}))"
)
_ZERO = "0" * 40


class GitServer:
    """Bare repositories under the folder ``root``, served to ``git`` clients.

    ``token``: when set, every request needs it, as a bearer token or as the password of any user name. ``notify``: who
    hears of pushes.
    """

    def __init__(self, root: str, *, token: str | None = None, notify: Notifier | None = None) -> None:
        self.root = os.path.abspath(root)
        self.token = token
        self.notify = notify
        # Told after the client has its answer, one push after the other.
        self._told: asyncio.Queue[list[Push]] = asyncio.Queue(maxsize=1000)
        # What the refs of each folder were when pushes were last looked for.
        self._seen: dict[str, dict[str, str]] = {}
        self._looking = asyncio.Lock()

    # --- repositories ---------------------------------------------------------------------------------------------

    def folder(self, name: str) -> str:
        """The folder of a repository, there or not. Raises NeedsHuman for a name that could lead elsewhere."""
        name = name.removesuffix(".git")
        if not _NAME.fullmatch(name) or ".." in name or name.endswith((".", ".lock")):
            raise NeedsHuman(
                f"{name!r} can't be the name of a repository",
                hint="use letters, digits, dashes, dots and at most four slashes",
            )
        return os.path.join(self.root, name + ".git")

    async def create(self, name: str, *, branch: str = "main") -> str:
        """Make the bare repository ``name`` unless it is there. Returns its folder. Raises NeedsHuman."""
        folder = self.folder(name)
        await asyncio.to_thread(os.makedirs, self.root, exist_ok=True)
        done = await backend.git("init", "--quiet", "--bare", f"--initial-branch={branch}", "--", folder, cwd=self.root)
        if done.code != 0:
            raise NeedsHuman(f"the repository {name} could not be made: {done.stderr.decode(errors='replace').strip()}")
        return folder

    # --- running --------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def serve(
        self, *, host: str = "127.0.0.1", port: int = 0, certificate: str | None = None, key: str | None = None
    ) -> AsyncIterator[str]:
        """Serve until the block ends; gives the URL that repositories stand under. ``certificate`` and ``key`` (files)
        turn TLS on."""
        await backend.check()
        await asyncio.to_thread(os.makedirs, self.root, exist_ok=True)
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        config = uvicorn.Config(
            self.app,
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
                telling = tasks.create_task(self.background())
                try:
                    await server.ready.wait()
                    yield f"{scheme}://{host}:{listener.getsockname()[1]}"
                except Exception as error:  # noqa: BLE001 - handed on below, outside of the group that would wrap it
                    trouble = error
                finally:
                    server.should_exit = True
                    telling.cancel()
        finally:
            listener.close()
        if trouble is not None:
            raise trouble

    async def background(self) -> None:
        """Tell pushes to the listener until cancelled."""
        while True:
            pushes = await self._told.get()
            if self.notify is not None:
                await self.notify.tell(pushes)

    # --- requests -------------------------------------------------------------------------------------------------

    async def app(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        headers: dict[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        if not self._allowed(headers.get("authorization", "")):
            await _plain(
                send, 401, "this server needs a token", (b"www-authenticate", b'Basic realm="git", charset="UTF-8"')
            )
            return
        found = _SERVICES.fullmatch(str(scope["path"]).lstrip("/"))
        try:
            folder = self.folder(found["name"]) if found else ""
        except NeedsHuman:
            folder = ""
        if not found or not await asyncio.to_thread(os.path.isdir, folder):
            await _plain(send, 404, "no such repository")
            return
        if scope["method"] not in ("GET", "POST"):
            await _plain(send, 405, "only GET and POST")
            return
        name = found["name"]
        pushing = scope["method"] == "POST" and found["what"] == "git-receive-pack"
        if pushing and folder not in self._seen:
            seen = await _refs(folder)
            self._seen.setdefault(folder, seen)
        await self._answer(scope, headers, f"/{name}.git/{found['what']}", receive, send)
        if pushing:
            await self._pushed(name, folder, _clone_url(scope, headers, name))

    def _allowed(self, authorization: str) -> bool:
        if self.token is None:
            return True
        scheme, _, rest = authorization.partition(" ")
        given = rest.strip()
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given).decode().partition(":")[2]
            except ValueError:
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.encode(), self.token.encode())

    async def _answer(
        self, scope: MutableMapping[str, Any], headers: dict[str, str], path: str, receive: Receive, send: Send
    ) -> None:
        gzipped = headers.get("content-encoding", "") in ("gzip", "x-gzip")
        variables = {
            "REQUEST_METHOD": str(scope["method"]),
            "PATH_INFO": path,
            "QUERY_STRING": scope["query_string"].decode("latin-1"),
            "CONTENT_TYPE": headers.get("content-type", ""),
            "REMOTE_ADDR": "127.0.0.1",
            # Pushes need a user; whether somebody may push was decided above.
            "REMOTE_USER": "git",
            "SERVER_PROTOCOL": "HTTP/1.1",
        }
        if "content-length" in headers and not gzipped:
            variables["CONTENT_LENGTH"] = headers["content-length"]
        if protocol := headers.get("git-protocol"):
            variables["GIT_PROTOCOL"] = variables["HTTP_GIT_PROTOCOL"] = protocol
        async with backend.respond(self.root, variables, _body(receive), gzipped) as answer:
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            async for part in answer.body:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def _pushed(self, name: str, folder: str, url: str) -> None:
        if self.notify is None:
            return
        # One after the other, so that of pushes at the same time each moved ref is told once.
        async with self._looking:
            before, after = self._seen[folder], await _refs(folder)
            self._seen[folder] = after
        pushes = [
            Push(
                ref=ref,
                before=before.get(ref, _ZERO),
                after=after.get(ref, _ZERO),
                repository=name,
                clone_url=url,
                head=await _head(folder, after[ref]) if ref in after else None,
            )
            for ref in sorted({*before, *after})
            if before.get(ref) != after.get(ref)
        ]
        if pushes and not self._told.full():
            self._told.put_nowait(pushes)


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


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _plain(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    body = text.encode() + b"\n"
    head = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def _refs(folder: str) -> dict[str, str]:
    done = await backend.git("for-each-ref", "--format=%(objectname) %(refname)", cwd=folder)
    pairs = (line.split(" ", 1) for line in done.stdout.decode(errors="replace").splitlines())
    return {ref: commit for commit, ref in pairs}


async def _head(folder: str, commit: str) -> dict[str, Any] | None:
    form = "--format=%H%x00%T%x00%cI%x00%an%x00%ae%x00%cn%x00%ce%x00%B"
    done = await backend.git("show", "--no-patch", form, commit, "--", cwd=folder)
    parts = done.stdout.decode(errors="replace").split("\0", 7)
    if done.code != 0 or len(parts) != 8:
        return None
    identity, tree, when, author, author_email, committer, committer_email, message = parts
    return {
        "id": identity,
        "tree_id": tree,
        "timestamp": when,
        "message": message.strip(),
        "author": {"name": author, "email": author_email},
        "committer": {"name": committer, "email": committer_email},
    }


def _clone_url(scope: MutableMapping[str, Any], headers: dict[str, str], name: str) -> str:
    return f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}/{name}.git"
