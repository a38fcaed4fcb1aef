"""Notices on their way: signed, taken by a real receiver, kept while nobody takes them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from windlass.adapters.host.clock import SystemClock
from windlass.adapters.host.http import Http, RemoteRefused, RemoteUnavailable
from windlass.adapters.notify import HttpNotifier, Outbox
from windlass.core.alerts import Notice, Open, State
from windlass.errors import NeedsHuman
from windlass.ports import Destination

NOTICE = Notice(
    id="n1",
    topic="shop/shop drift Deployment.apps/shop/web spec.replicas",
    state=State.FIRING,
    subject="shop/shop",
    kind="drift",
    severe=False,
    line="drift Deployment/web spec.replicas 3 -> 7",
    since="2026-11-28T14:00:00.000Z",
    time="2026-11-28T14:00:00.000Z",
    cluster="prod-eu",
    team="shop",
    next="windlass diff shop/shop",
)
LATER = datetime.now(UTC) + timedelta(days=1)


@asynccontextmanager
async def receiver(*answers: web.Response) -> AsyncIterator[tuple[str, list[tuple[Any, bytes]]]]:
    heard: list[tuple[Any, bytes]] = []
    left = list(answers)

    async def hear(request: web.Request) -> web.Response:
        heard.append((request.headers, await request.read()))
        given = left.pop(0) if left else web.Response()
        return web.Response(status=given.status, headers=given.headers)

    app = web.Application()
    app.router.add_post("/{path:.*}", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/hook", heard
    finally:
        await runner.cleanup()


async def send(to: Destination, notice: Notice = NOTICE) -> None:
    async with Http(local=True) as http:
        await HttpNotifier(http, SystemClock()).send(to, notice, LATER)


@pytest.mark.parametrize("token", [b"a long random text", b"whsec_" + base64.b64encode(b"k" * 24)])
async def test_a_webhook_is_signed_so_that_its_receiver_can_tell(token: bytes) -> None:
    async with receiver() as (url, heard):
        await send(Destination("webhook", url, {"token": token}))
    headers, body = heard[0]
    key = base64.b64decode(token[6:]) if token.startswith(b"whsec_") else token
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    told = json.loads(body)
    assert (told["state"], told["line"], told["next"]) == ("firing", NOTICE.line, "windlass diff shop/shop")
    assert headers["webhook-id"] == told["id"] == "n1"


async def test_without_a_key_nothing_is_sent() -> None:
    async with receiver() as (url, heard):
        for secret in ({}, {"token": b"  "}, {"token": b"whsec_!!!"}):
            with pytest.raises(NeedsHuman, match="no key to sign with"):
                await send(Destination("webhook", url, secret))
    assert heard == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (web.Response(status=503), RemoteUnavailable),
        (web.Response(status=429, headers={"Retry-After": "7"}), RemoteUnavailable),
        (web.Response(status=401), RemoteRefused),
        (web.Response(status=400), RemoteRefused),
        (web.Response(status=302, headers={"Location": "/elsewhere"}), RemoteRefused),
    ],
)
async def test_an_answer_says_whether_to_try_again(answer: web.Response, error: type[Exception]) -> None:
    async with receiver(answer) as (url, heard):
        with pytest.raises(error) as caught:
            await send(Destination("webhook", url, {"token": b"k"}))
    assert len(heard) == 1, "no redirect is followed"
    if answer.status == 429:
        assert caught.value.after == 7  # type: ignore[attr-defined]


async def test_this_machine_and_the_metadata_of_clouds_are_not_told_anything() -> None:
    async with receiver() as (url, heard), Http() as http:
        for target in (url, "http://169.254.169.254/latest"):
            with pytest.raises(RemoteRefused, match="not asked from here"):
                await HttpNotifier(http, SystemClock()).send(
                    Destination("webhook", target, {"token": b"k"}), NOTICE, LATER
                )
    assert heard == []


async def _tells(destination: str) -> RemoteUnavailable:
    with pytest.raises(RemoteUnavailable) as caught:
        await send(Destination("webhook", f"{destination}/s3cret/T0?key=s3cret", {"token": b"k"}))
    return caught.value


async def test_a_receiver_that_cannot_be_connected_to_is_told_in_a_sentence_and_without_what_lets_one_in() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        refused = await _tells(f"https://{address}")
    port = address.partition(":")[2]
    assert str(refused) == f"https://{address} can't be reached: nothing listens on port {port} (spec.webhook.url)"
    assert refused.hint == "does it run, and is that its port?"
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for scheme in ("http", "https"):
            told = await _tells(f"{scheme}://{address}")
            assert told.what == f"{scheme}://{address} can't be reached: it ended the connection without an answer"
    async with receiver() as (url, heard):
        plain = await _tells(url.replace("http:", "https:").removesuffix("/hook"))
    assert "speaks no TLS that fits" in plain.what
    assert heard == []
    async with receiver(web.Response(status=503)) as (url, _):
        busy = await _tells(url)
    assert busy.what == f"{url.removesuffix('/hook')} answers 503"
    assert "s3cret" not in f"{refused} {told} {plain} {busy}"


def test_the_text_of_a_destination_shows_nothing() -> None:
    told = repr(Destination("webhook", "https://hooks.example.com/s3cret", {"token": b"s3cret"}))
    assert "s3cret" not in told


# --- on disk ---------------------------------------------------------------------------------------------------------


def test_notices_wait_in_order_over_a_restart(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    for number in range(3):
        box.add("shop/on-call", Notice(**{**_fields(NOTICE), "id": str(number)}), f"2026-11-28T14:00:0{number}.000Z")
    again = Outbox(tmp_path)
    assert again.channels() == ["shop/on-call"]
    seen = []
    while (waiting := again.first("shop/on-call")) is not None:
        seen.append(waiting.notice.id)
        again.done(waiting)
    assert seen == ["0", "1", "2"]
    assert again.channels() == []


def test_of_too_many_the_oldest_go_and_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("windlass.adapters.notify.outbox.MOST", 3)
    box = Outbox(tmp_path)
    gone = [box.add("a/b", NOTICE, f"2026-11-28T14:00:0{number}.000Z") for number in range(5)]
    assert gone == [0, 0, 0, 1, 1]


def test_half_a_file_stops_nobody(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    box.add("a/b", NOTICE, "2026-11-28T14:00:01.000Z")
    (tmp_path / "a/b/0.json").write_text('{"id": "ha')
    found = box.first("a/b")
    assert found is not None
    assert found.notice == NOTICE
    (tmp_path / "open.json").write_text("{")
    assert box.load() == {}
    box.save({"shop/shop": {"x": Open("2026", 2)}})
    assert Outbox(tmp_path).load()["shop/shop"]["x"].count == 2


def _fields(notice: Notice) -> dict[str, Any]:
    return {name: getattr(notice, name) for name in notice.__struct_fields__}


# --- a real Alertmanager ---------------------------------------------------------------------------------------------


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        pytest.skip("prometheus-alertmanager is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    command = [program, f"--config.file={config}", f"--storage.path={tmp_path / 'data'}", "--cluster.listen-address="]
    child = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(10)


@pytest.mark.real
async def test_alertmanager_has_it_open_and_then_not(alertmanager: str) -> None:
    async def active() -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.get(f"{alertmanager}/api/v2/alerts") as answer:
            return [one for one in await answer.json() if one["status"]["state"] != "suppressed"]

    for _ in range(100):
        try:
            await send(Destination("alertmanager", alertmanager))
            break
        except RemoteUnavailable:
            await asyncio.sleep(0.1)
    found = await active()
    assert len(found) == 1
    labels = found[0]["labels"]
    assert labels["alertname"] == "WindlassDrift"
    assert (labels["namespace"], labels["application"], labels["cluster"]) == ("shop", "shop", "prod-eu")
    assert found[0]["annotations"]["summary"] == NOTICE.line
    # Told again it is the same alert, and its end ends it.
    await send(Destination("alertmanager", alertmanager), Notice(**{**_fields(NOTICE), "count": 2}))
    assert len(await active()) == 1
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    ended = Notice(**{**_fields(NOTICE), "state": State.RESOLVED, "kind": "drift-closed", "time": now})
    await send(Destination("alertmanager", alertmanager), ended)
    assert await active() == []
