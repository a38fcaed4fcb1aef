"""HTTP to addresses that others chose: which are asked, what is followed, how much is read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from aiohttp import web
from sites import Site

from windlass.adapters.host.http import Ask, Http, Reach, RemoteRefused, RemoteUnavailable, reach_of, retry_after


@pytest.mark.parametrize(("address", "reach"), [
    ("1.1.1.1", Reach.PUBLIC),
    ("2606:4700::1111", Reach.PUBLIC),
    ("10.1.2.3", Reach.PRIVATE),
    ("192.168.0.1", Reach.PRIVATE),
    ("100.64.0.1", Reach.PRIVATE),
    ("fd00::1", Reach.PRIVATE),
    ("127.0.0.1", Reach.LOCAL),
    ("169.254.169.254", Reach.LOCAL),
    ("0.0.0.0", Reach.LOCAL),
    ("::1", Reach.LOCAL),
    ("fe80::1%eth0", Reach.LOCAL),
    ("::ffff:127.0.0.1", Reach.LOCAL),
    ("::ffff:10.0.0.1", Reach.PRIVATE),
    ("64:ff9b::a9fe:a9fe", Reach.LOCAL),
    ("2002:7f00:1::", Reach.LOCAL),
    ("224.0.0.1", Reach.LOCAL),
])  # fmt: skip
def test_how_near_an_address_is(address: str, reach: Reach) -> None:
    assert reach_of(address) is reach


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0.0.0.0", "[::ffff:127.0.0.1]"]
)
async def test_this_machine_is_not_asked(host: str, site: Site) -> None:
    port = site.url.rpartition(":")[2]
    async with Http() as http:
        with pytest.raises(RemoteRefused, match="is an address that is not asked"):
            await http.ask(Ask(f"http://{host}:{port}/"))
    assert site.asked == []


async def test_a_far_answer_may_not_lead_near(site: Site, http: Http) -> None:
    with pytest.raises(RemoteRefused, match="is an address that is not asked"):
        await http.ask(Ask(site.url, within=Reach.PUBLIC))
    assert (await http.ask(Ask(site.url + "/"))).reach is Reach.LOCAL


async def test_a_redirect_keeps_the_credentials_on_its_host_only(site: Site, other: Site, http: Http) -> None:
    site.answer = lambda request: (
        web.Response(status=307, headers={"Location": "/there"}) if request.path == "/here" else
        web.Response(status=302, headers={"Location": f"{other.url}/last"}) if request.path == "/there" else None
    )  # fmt: skip
    other.files["/last"] = b"got it"
    answer = await http.ask(Ask(site.url + "/here", authorization="Basic secret"))
    assert answer.body == b"got it"
    assert answer.url == f"{other.url}/last"
    assert [one.headers.get("Authorization") for one in site.asked] == ["Basic secret", "Basic secret"]
    assert other.asked[0].headers.get("Authorization") is None


async def test_redirects_without_an_end_and_to_what_is_no_http_are_refused(site: Site, http: Http) -> None:
    site.answer = lambda request: web.Response(status=302, headers={"Location": request.query.get("to", "/again")})
    with pytest.raises(RemoteRefused, match="leads on and on"):
        await http.ask(Ask(site.url + "/"))
    assert len(site.asked) == 6
    for target in ("file:///etc/passwd", "ftp://a.example/x", "gopher://a.example"):
        with pytest.raises(RemoteRefused):
            await http.ask(Ask(f"{site.url}/?to={target}"))


@pytest.mark.parametrize(
    "target", ["//u]@[@/x", "https://[x/a", "https://aut[.example/a", "http://a:99999999/", "//[::1"]
)
async def test_a_redirect_to_what_is_no_address_is_refused(target: str, site: Site, http: Http) -> None:
    site.answer = lambda request: web.Response(status=302, headers={"Location": target})
    with pytest.raises(RemoteRefused):
        await http.ask(Ask(site.url))
    with pytest.raises(RemoteRefused):
        await http.ask(Ask(target))


async def test_no_more_is_read_than_was_said(site: Site, http: Http) -> None:
    site.files["/large"] = b"x" * 5000
    with pytest.raises(RemoteRefused, match="more than 4999 bytes"):
        await http.ask(Ask(site.url + "/large", most=4999))
    assert len((await http.ask(Ask(site.url + "/large", most=5000))).body) == 5000


async def test_a_body_that_is_small_on_the_way_and_large_here_is_refused(site: Site, http: Http) -> None:
    def zipped(request: web.Request) -> web.StreamResponse:
        response = web.Response(body=b"\0" * 20_000_000)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    site.answer = zipped
    with pytest.raises(RemoteRefused, match="more than 1000000 bytes"):
        await http.ask(Ask(site.url + "/", most=1_000_000))


async def test_a_busy_server_says_when_to_come_back(site: Site, http: Http) -> None:
    site.answer = lambda request: web.Response(status=429, headers={"Retry-After": "17"})
    with pytest.raises(RemoteUnavailable) as caught:
        await http.ask(Ask(site.url + "/"))
    assert caught.value.after == 17.0
    site.answer = lambda request: web.Response(status=503)
    with pytest.raises(RemoteUnavailable) as caught:
        await http.ask(Ask(site.url + "/"))
    assert caught.value.after == 0.0


def test_a_time_to_come_back_is_bounded() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert retry_after("Sun, 22 Nov 2026 12:01:00 GMT", now) == 60.0
    assert retry_after("Sun, 22 Nov 2020 12:01:00 GMT", now) == 0.0
    assert retry_after("99999999999999999999") == 3600.0
    assert retry_after("soon") == 0.0


async def test_a_server_that_says_nothing_is_not_waited_for(site: Site) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Http(local=True, timeout=0.2) as http:
        with pytest.raises(RemoteUnavailable, match=r"did not answer within 0.2 s"):
            await http.ask(Ask(f"http://127.0.0.1:{port}/"))


async def test_credentials_in_an_address_are_refused_and_not_shown(http: Http) -> None:
    with pytest.raises(RemoteRefused) as caught:
        await http.ask(Ask("https://ada:hunter2@charts.example.com/"))
    assert "hunter2" not in str(caught.value) + caught.value.hint


async def test_what_may_be_secret_in_a_query_is_not_shown(http: Http) -> None:
    with pytest.raises(RemoteUnavailable) as caught:
        await http.ask(Ask("http://127.0.0.1:1/x?token=hunter2"))
    assert "hunter2" not in str(caught.value)
