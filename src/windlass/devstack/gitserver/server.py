"""The server itself: an ASGI application in front of ``git http-backend``, the repositories it serves, and what a push
sets off.

``GitServer.serve`` runs it by uvicorn; ``GitServer.app`` can be mounted elsewhere, where the caller runs ``background``
beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from typing import Any

from windlass.devstack.asgi import Receive, Scope, Send, body_of, given_token, headers_of, plain, same, serving
from windlass.devstack.gitserver import backend
from windlass.devstack.gitserver.notify import Notifier, Push
from windlass.errors import NeedsHuman

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
        async with serving(self.app, self.background, host=host, port=port, certificate=certificate, key=key) as url:
            yield url

    async def background(self) -> None:
        """Tell pushes to the listener until cancelled."""
        while True:
            pushes = await self._told.get()
            if self.notify is not None:
                await self.notify.tell(pushes)

    # --- requests -------------------------------------------------------------------------------------------------

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        headers = headers_of(scope)
        if not self._allowed(headers.get("authorization", "")):
            await plain(
                send, 401, "this server needs a token", (b"www-authenticate", b'Basic realm="git", charset="UTF-8"')
            )
            return
        found = _SERVICES.fullmatch(str(scope["path"]).lstrip("/"))
        try:
            folder = self.folder(found["name"]) if found else ""
        except NeedsHuman:
            folder = ""
        if not found or not await asyncio.to_thread(os.path.isdir, folder):
            await plain(send, 404, "no such repository")
            return
        if scope["method"] not in ("GET", "POST"):
            await plain(send, 405, "only GET and POST")
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
        return self.token is None or same(given_token(authorization), self.token)

    async def _answer(self, scope: Scope, headers: dict[str, str], path: str, receive: Receive, send: Send) -> None:
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
        async with backend.respond(self.root, variables, body_of(receive), gzipped) as answer:
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


def _clone_url(scope: Scope, headers: dict[str, str], name: str) -> str:
    return f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}/{name}.git"
