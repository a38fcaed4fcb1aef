"""The registry itself: an ASGI application that speaks the OCI distribution protocol over a ``Store``.

``OciServer.serve`` runs it by uvicorn. What a client may ask: blobs (whole and by range), uploads (at once, in pieces,
by mounting), manifests by tag and digest, tags by pages, referrers, the catalog, deleting each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from windlass.adapters.host.files import DiskFull, FileNotWritable, explain
from windlass.devstack.asgi import Receive, Scope, Send, answer, body_of, headers_of, serving
from windlass.devstack.ociserver import login
from windlass.devstack.ociserver.login import Login
from windlass.devstack.ociserver.names import (
    TAG,
    RegistryError,
    checked_digest,
    checked_name,
    digest_of,
    unknown_manifest,
)
from windlass.devstack.ociserver.notify import Notifier, Pushed
from windlass.devstack.ociserver.store import INDEXES, LARGEST_MANIFEST, PIECE, Store

_ROUTE = re.compile(
    r"/v2/(?P<name>.+)/(?:(?P<kind>blobs|manifests|referrers)/(?P<reference>[^/]+)"
    r"|blobs/uploads/(?P<upload>[^/]*)|tags/(?P<tags>list))"
)
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PIECE = re.compile(r"(?:bytes[ =])?(\d+)-(\d+)")
_JSON = (b"content-type", b"application/json")
_VERSION = (b"docker-distribution-api-version", b"registry/2.0")
MOST_TAGS = 1000
"""Tags of one page, where the client asks for no number or for more."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request about one repository."""

    method: str
    name: str
    reference: str
    query: dict[str, str]
    headers: dict[str, str]
    base: str
    receive: Receive
    send: Send


class OciServer:
    """A registry in the folder ``root``. ``login``: who may use it; ``notify``: who hears of pushes."""

    def __init__(self, root: str, *, login: Login | None = None, notify: Notifier | None = None) -> None:
        self.store = Store(Path(root))
        self.login = login or Login()
        self.notify = notify
        self._told: asyncio.Queue[Pushed] = asyncio.Queue(maxsize=1000)

    @contextlib.asynccontextmanager
    async def serve(
        self, *, host: str = "127.0.0.1", port: int = 0, certificate: str | None = None, key: str | None = None
    ) -> AsyncIterator[str]:
        """Serves until the block ends; gives the registry's URL. ``certificate`` and ``key`` (files) turn TLS on."""
        async with serving(self.app, self.background, host=host, port=port, certificate=certificate, key=key) as url:
            yield url

    async def background(self) -> None:
        """Tells pushes to the listener until cancelled."""
        while True:
            pushed = await self._told.get()
            if self.notify is not None:
                await self.notify.tell(pushed)

    # --- requests -------------------------------------------------------------------------------------------------

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        try:
            await self._answer(scope, receive, send)
        except RegistryError as error:
            await answer(send, error.status, error.body if scope["method"] != "HEAD" else b"", _JSON, _VERSION)
        except (DiskFull, FileNotWritable) as error:
            full = RegistryError(507, "UNKNOWN", str(error))
            await answer(send, full.status, full.body, _JSON, _VERSION)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, path, method = headers_of(scope), str(scope["path"]), str(scope["method"])
        base = f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}"
        authorization = headers.get("authorization", "")
        query_string = scope["query_string"].decode("latin-1")
        if path == login.REALM and self.login.service:
            granted = self.login.grant(authorization, query_string)
            if granted is None:
                raise RegistryError(401, "UNAUTHORIZED", "this user name and password are not known")
            await answer(send, 200, granted, _JSON)
            return
        found = _ROUTE.fullmatch(path)
        actions = "pull" if method in ("GET", "HEAD") else "delete" if method == "DELETE" else "pull,push"
        wanted = f"repository:{found['name']}:{actions}" if found else ""
        if not self.login.allowed(authorization, wanted):
            refused = RegistryError(401, "UNAUTHORIZED", "this registry asks for a login")
            challenge = (b"www-authenticate", self.login.challenge(base, wanted))
            await answer(send, 401, refused.body, _JSON, _VERSION, challenge)
            return
        query = {name: values[-1] for name, values in urllib.parse.parse_qs(query_string).items()}
        if found is None:
            await self._top(path, method, query, send)
            return
        name = checked_name(found["name"])
        kind = "tags" if found["tags"] else "uploads" if found["kind"] is None else found["kind"]
        reference = found["reference"] or found["upload"] or ""
        asked = _Asked(method, name, reference, query, headers, base, receive, send)
        serve = self._routes().get((kind, "GET" if method == "HEAD" else method))
        if serve is None:
            raise RegistryError(405, "UNSUPPORTED", f"{method} is not for {kind}")
        await serve(asked)

    def _routes(self) -> dict[tuple[str, str], Callable[[_Asked], Awaitable[None]]]:
        return {
            ("blobs", "GET"): self._blob,
            ("blobs", "DELETE"): self._remove_blob,
            ("uploads", "POST"): self._begin,
            ("uploads", "PATCH"): self._piece,
            ("uploads", "PUT"): self._finish,
            ("uploads", "GET"): self._progress,
            ("uploads", "DELETE"): self._cancel,
            ("manifests", "GET"): self._manifest,
            ("manifests", "PUT"): self._put_manifest,
            ("manifests", "DELETE"): self._remove_manifest,
            ("referrers", "GET"): self._referrers,
            ("tags", "GET"): self._tags,
        }

    async def _top(self, path: str, method: str, query: dict[str, str], send: Send) -> None:
        if path in ("/v2/", "/v2") and method in ("GET", "HEAD"):
            await answer(send, 200, b"{}" if method == "GET" else b"", _JSON, _VERSION)
        elif path == "/v2/_catalog" and method == "GET":
            names = await asyncio.to_thread(self.store.repositories)
            shown, link = _page(names, query, "/v2/_catalog")
            await answer(send, 200, json.dumps({"repositories": shown}).encode(), _JSON, _VERSION, *link)
        else:
            raise RegistryError(404, "NAME_UNKNOWN", "there is nothing at this address")

    # --- blobs ----------------------------------------------------------------------------------------------------

    async def _blob(self, asked: _Asked) -> None:
        digest = checked_digest(asked.reference)
        path = await asyncio.to_thread(self.store.blob, asked.name, digest)
        size = (await asyncio.to_thread(path.stat)).st_size
        start, end, status = 0, size, 200
        head = [(b"content-type", b"application/octet-stream"), (b"docker-content-digest", digest.encode())]
        head += [(b"etag", f'"{digest}"'.encode()), (b"accept-ranges", b"bytes"), _VERSION]
        if _unchanged(asked.headers, digest):
            await answer(asked.send, 304, b"", *head)
            return
        if piece := _RANGE.fullmatch(asked.headers.get("range", "")):
            start = int(piece[1])
            end = min(int(piece[2]) + 1, size) if piece[2] else size
            if start >= end:
                raise RegistryError(416, "UNKNOWN", f"the blob has {size} bytes")
            status = 206
            head.append((b"content-range", f"bytes {start}-{end - 1}/{size}".encode()))
        head.append((b"content-length", str(end - start).encode()))
        if asked.method == "HEAD":
            await answer(asked.send, status, b"", *head)
            return
        await asked.send({"type": "http.response.start", "status": status, "headers": head})
        file = await asyncio.to_thread(path.open, "rb")
        try:
            file.seek(start)
            while start < end:
                part = await asyncio.to_thread(file.read, min(PIECE, end - start))
                start += len(part)
                await asked.send({"type": "http.response.body", "body": part, "more_body": start < end})
            if not size:
                await asked.send({"type": "http.response.body", "body": b""})
        finally:
            file.close()

    async def _remove_blob(self, asked: _Asked) -> None:
        await asyncio.to_thread(self.store.remove_blob, asked.name, checked_digest(asked.reference))
        await answer(asked.send, 202, b"", _VERSION)

    # --- uploads --------------------------------------------------------------------------------------------------

    async def _begin(self, asked: _Asked) -> None:
        mount, source = asked.query.get("mount"), asked.query.get("from")
        if mount and source:
            digest = checked_digest(mount)
            if await asyncio.to_thread(self.store.mount, asked.name, digest, checked_name(source)):
                await self._made(asked, digest)
                return
        upload = await asyncio.to_thread(self.store.begin)
        if "digest" in asked.query:
            await self._receive(asked, upload)
            await self._end(asked, upload)
            return
        await self._under_way(asked, upload, 202)

    async def _piece(self, asked: _Asked) -> None:
        path = await asyncio.to_thread(self.store.upload, asked.reference)
        size = (await asyncio.to_thread(path.stat)).st_size
        piece = _PIECE.fullmatch(asked.headers.get("content-range", ""))
        if piece and int(piece[1]) != size:
            raise RegistryError(416, "BLOB_UPLOAD_INVALID", f"the next byte is number {size}")
        await self._receive(asked, asked.reference)
        await self._under_way(asked, asked.reference, 202)

    async def _finish(self, asked: _Asked) -> None:
        await asyncio.to_thread(self.store.upload, asked.reference)
        await self._receive(asked, asked.reference)
        await self._end(asked, asked.reference)

    async def _end(self, asked: _Asked, upload: str) -> None:
        digest = checked_digest(asked.query.get("digest", ""))
        await asyncio.to_thread(self.store.finish, asked.name, upload, digest)
        await self._made(asked, digest)

    async def _receive(self, asked: _Asked, upload: str) -> None:
        """Adds the request's body to an upload. A broken request leaves what had come."""
        path = self.store.upload(upload)
        try:
            with await asyncio.to_thread(path.open, "ab") as file:
                async for part in body_of(asked.receive):
                    await asyncio.to_thread(file.write, part)
        except OSError as error:
            raise explain(error, path) from error

    async def _progress(self, asked: _Asked) -> None:
        await self._under_way(asked, asked.reference, 204)

    async def _cancel(self, asked: _Asked) -> None:
        await asyncio.to_thread(self.store.cancel, asked.reference)
        await answer(asked.send, 204, b"", _VERSION)

    async def _under_way(self, asked: _Asked, upload: str, status: int) -> None:
        path = await asyncio.to_thread(self.store.upload, upload)
        size = await asyncio.to_thread(os.path.getsize, path)
        location = f"/v2/{asked.name}/blobs/uploads/{upload}".encode()
        ends = f"0-{max(size - 1, 0)}".encode()
        head = [(b"location", location), (b"range", ends), (b"docker-upload-uuid", upload.encode()), _VERSION]
        await answer(asked.send, status, b"", *head)

    async def _made(self, asked: _Asked, digest: str) -> None:
        location = (b"location", f"/v2/{asked.name}/blobs/{digest}".encode())
        await answer(asked.send, 201, b"", location, (b"docker-content-digest", digest.encode()), _VERSION)

    # --- manifests ------------------------------------------------------------------------------------------------

    async def _manifest(self, asked: _Asked) -> None:
        found = await asyncio.to_thread(self.store.manifest, asked.name, _reference(asked.reference))
        head = [(b"content-type", found.media_type.encode()), (b"docker-content-digest", found.digest.encode())]
        head += [(b"etag", f'"{found.digest}"'.encode()), _VERSION]
        if _unchanged(asked.headers, found.digest):
            await answer(asked.send, 304, b"", *head)
            return
        head.append((b"content-length", str(len(found.content)).encode()))
        await answer(asked.send, 200, b"" if asked.method == "HEAD" else found.content, *head)

    async def _put_manifest(self, asked: _Asked) -> None:
        reference = _reference(asked.reference)
        content = b""
        async for part in body_of(asked.receive):
            content += part
            if len(content) > LARGEST_MANIFEST:
                raise RegistryError(413, "SIZE_INVALID", f"a manifest is at most {LARGEST_MANIFEST} bytes")
        media_type = asked.headers.get("content-type", "").partition(";")[0].strip()
        if not media_type:
            raise RegistryError(400, "MANIFEST_INVALID", "Content-Type tells what a manifest is")
        put = await asyncio.to_thread(self.store.put, asked.name, reference, media_type, content)
        location = f"/v2/{asked.name}/manifests/{put.digest}"
        head = [(b"location", location.encode()), (b"docker-content-digest", put.digest.encode()), _VERSION]
        if put.subject:
            head.append((b"oci-subject", put.subject.encode()))
        await answer(asked.send, 201, b"", *head)
        if self.notify is not None and not self._told.full():
            tag = "" if ":" in reference else reference
            host = asked.headers.get("host", "localhost")
            self._told.put_nowait(Pushed(asked.name, tag, put.media_type, content, asked.base + location, host))

    async def _remove_manifest(self, asked: _Asked) -> None:
        await asyncio.to_thread(self.store.remove, asked.name, _reference(asked.reference))
        await answer(asked.send, 202, b"", _VERSION)

    # --- lists ----------------------------------------------------------------------------------------------------

    async def _tags(self, asked: _Asked) -> None:
        tags = await asyncio.to_thread(self.store.tags, asked.name)
        shown, link = _page(tags, asked.query, f"/v2/{asked.name}/tags/list")
        body = json.dumps({"name": asked.name, "tags": shown}).encode()
        mark = digest_of(body)
        head = [_JSON, _VERSION, (b"etag", f'"{mark}"'.encode()), *link]
        if _unchanged(asked.headers, mark):
            await answer(asked.send, 304, b"", *head)
        else:
            await answer(asked.send, 200, body, *head)

    async def _referrers(self, asked: _Asked) -> None:
        digest = checked_digest(asked.reference)
        found = await asyncio.to_thread(self.store.referrers, asked.name, digest)
        head = [(b"content-type", INDEXES[0].encode()), _VERSION]
        if kind := asked.query.get("artifactType"):
            found = [one for one in found if one.get("artifactType") == kind]
            head.append((b"oci-filters-applied", b"artifactType"))
        index = {"schemaVersion": 2, "mediaType": INDEXES[0], "manifests": found}
        await answer(asked.send, 200, json.dumps(index).encode(), *head)


def _reference(reference: str) -> str:
    """A tag or a digest, as it is. Raises RegistryError."""
    if ":" in reference:
        return checked_digest(reference)
    if not TAG.fullmatch(reference):
        raise unknown_manifest(reference)
    return reference


def _unchanged(headers: dict[str, str], digest: str) -> bool:
    given = headers.get("if-none-match", "")
    return digest in (one.strip().removeprefix("W/").strip('"') for one in given.split(","))


def _page(names: list[str], query: dict[str, str], path: str) -> tuple[list[str], list[tuple[bytes, bytes]]]:
    """The names after ``last``, at most ``n``, and the Link to the next page where there is one. Raises
    RegistryError."""
    asked = query.get("n", str(MOST_TAGS))
    if not asked.isdecimal():
        raise RegistryError(400, "PAGINATION_NUMBER_INVALID", "n is a number from 0 on")
    most = min(int(asked), MOST_TAGS)
    rest = [name for name in names if name > query.get("last", "")]
    shown = rest[:most]
    if not shown or len(shown) == len(rest):
        return shown, []
    link = f'<{path}?n={most}&last={urllib.parse.quote(shown[-1])}>; rel="next"'
    return shown, [(b"link", link.encode())]
