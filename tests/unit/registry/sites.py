"""An HTTP server whose answers a test writes, a clock that it moves, and charts as archives."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC)


class Site:
    """Serves what is in ``files`` with ETags; ``answer`` is asked first. ``asked`` are the requests, and ``bodies``."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.answer: Callable[[web.Request], web.StreamResponse | None] = lambda request: None
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        told = self.answer(request)
        if told is not None:
            return told
        data = self.files.get(request.path)
        if data is None:
            return web.Response(status=404)
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        return web.Response(body=data, headers={"ETag": tag})

    def paths(self) -> list[str]:
        return [one.path for one in self.asked]


async def served(site: Site) -> web.AppRunner:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", site.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return runner


def chart_archive(name: str, version: str, text: str = "") -> bytes:
    made = io.BytesIO()
    files = {
        "Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n",
        "templates/a.yaml": text
        or f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{v: '{version}'}}\n",
    }
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))
    return made.getvalue()
