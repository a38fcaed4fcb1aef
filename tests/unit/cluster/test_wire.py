"""The client's own HTTP against a TLS server that misbehaves at each byte, on both event loops that are run on."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from dataclasses import replace
from pathlib import Path

import pytest

from windlass import ports
from windlass.adapters.cluster.answers import Asked
from windlass.adapters.cluster.client import Call, Client
from windlass.adapters.host import pool, wire
from windlass.adapters.host.pool import Wheel
from windlass.adapters.host.wire import Connection, Headers

from .rude import Line, Rude, answer, chunked, client_certificate, says
from .scripted import until

READ = Call("get", "/api/v1/x", Asked("read", "x"))
PATCH = Call("patch", "/api/v1/x", Asked("patch", "x"), method="PATCH", body=b'{"a":1}')
BODY = b'{"kind":"ConfigMap"}'


# --- at each byte ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "whole", [answer(BODY), chunked(BODY[:7], BODY[7:], trailers="Checksum: 1\r\n")], ids=["length", "chunks"]
)
async def test_an_answer_that_is_cut_off_at_any_byte_is_none(rude: Rude, whole: bytes) -> None:
    """Whether a write had an effect is not known then; it is told, not repeated, and never half an object."""
    lengths = iter(range(len(whole) + 1))

    async def turn(line: Line) -> None:
        await line.send(whole[: next(lengths)])
        line.writer.close()

    rude.turn = turn
    async with rude.client() as client:
        for _ in range(len(whole)):
            with pytest.raises(ports.ClusterUnavailable, match="ended in the middle"):
                await client.send(PATCH)
        assert (await client.send(PATCH)).body == BODY
    assert len(rude.heads) == len(whole) + 1


@pytest.mark.parametrize(
    "whole", [answer(BODY), chunked(BODY[:7], BODY[7:], trailers="Checksum: 1\r\n")], ids=["length", "chunks"]
)
async def test_an_answer_may_come_in_any_two_pieces(rude: Rude, whole: bytes) -> None:
    """On one connection all the time, which a wrong end of an answer would spoil for the next one."""
    cuts = iter(range(1, len(whole)))

    async def turn(line: Line) -> None:
        cut = next(cuts)
        await line.send(whole[:cut])
        await asyncio.sleep(0.001)
        await line.send(whole[cut:])

    rude.turn = turn
    async with rude.client() as client:
        for _ in range(1, len(whole)):
            assert (await client.send(PATCH)).body == BODY
    assert len(rude.lines) == 1


async def test_an_answer_may_come_byte_by_byte(rude: Rude) -> None:
    """Whatever the network does to it."""
    whole = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + chunked(BODY, BODY)

    async def turn(line: Line) -> None:
        for at in range(len(whole)):
            await line.send(whole[at : at + 1])
            await asyncio.sleep(0)

    rude.turn = turn
    async with rude.client() as client:
        reply = await client.send(PATCH)
    assert reply.body == BODY + BODY
    assert reply.headers["audit-id"] == "1"
    assert "Link" not in reply.headers


# --- what is no answer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"<html>it works</html>",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nA\x00B: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 40,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"Content-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400_000,
    ],
    ids=lambda data: repr(data[:40]),
)
async def test_what_is_no_answer_is_told_as_none(rude: Rude, data: bytes) -> None:
    """Not taken for one, not waited for, and its connection is not used again."""
    rude.turn = says(data)
    async with rude.client() as client:
        begun = time.monotonic()
        with pytest.raises(ports.ClusterUnavailable, match=r"what .* answered is not taken"):
            await client.send(PATCH)
        assert time.monotonic() - begun < 5
        rude.turn = says(answer(BODY))
        assert (await client.send(PATCH)).body == BODY
    assert len(rude.lines) == 2


async def test_an_answer_too_large_is_not_kept(rude: Rude, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless body costs no more memory than the bound."""
    monkeypatch.setattr(wire, "LARGEST_BODY", 1 << 20)

    async def turn(line: Line) -> None:
        await line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            await line.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await asyncio.sleep(0)

    rude.turn = turn
    async with rude.client() as client:
        with pytest.raises(ports.ClusterUnavailable, match="larger than 1 MiB"):
            await client.send(PATCH)


async def test_half_a_refusal_is_a_refusal(rude: Rude) -> None:
    """Its status code says enough, and says that the write had no effect."""

    async def turn(line: Line) -> None:
        await line.send(b'HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\n{"kind":')
        line.drop()

    rude.turn = turn
    async with rude.client() as client:
        with pytest.raises(ports.NotAllowed):
            await client.send(PATCH)


async def test_a_refusal_without_a_length_ends_with_its_connection(rude: Rude) -> None:
    """Old proxies do so; of a success it would hide that half is missing."""

    async def turn(line: Line) -> None:
        await line.send(b"HTTP/1.0 404 Not Found\r\n\r\nnobody here")
        line.writer.close()

    rude.turn = turn
    async with rude.client() as client:
        with pytest.raises(ports.ObjectMissing):
            await client.send(PATCH)


# --- the life of connections -----------------------------------------------------------------------------------------


async def test_connections_are_used_again_and_never_shared(rude: Rude) -> None:
    """Each of many requests at once gets its own answer, however they come in; no more connections than were needed."""
    dice = random.Random(7)

    async def turn(line: Line) -> None:
        data = answer(line.path.encode() + line.body)
        cut = dice.randrange(len(data))
        await line.send(data[:cut])
        await asyncio.sleep(dice.random() * 0.004)
        await line.send(data[cut:])

    rude.turn = turn

    async def ask(number: int) -> None:
        call = replace(PATCH, path=f"/{number}", body=b"x" * dice.randrange(2000))
        reply = await client.send(call)
        assert reply.body == f"/{number}".encode() + (call.body or b"")

    async with rude.client() as client:
        await asyncio.gather(*map(ask, range(300)))
        await asyncio.gather(*map(ask, range(300)))
    assert len(rude.lines) <= 32


async def test_a_cancelled_request_leaves_no_answer_to_the_next(rude: Rude) -> None:
    """Its connection ends: an answer that comes late finds nobody."""
    heard = asyncio.Event()

    async def turn(line: Line) -> None:
        if line.path == "/slow":
            heard.set()
            await asyncio.sleep(0.05)
        await line.send(answer(line.path.encode()))

    rude.turn = turn
    async with rude.client() as client:
        assert (await client.send(replace(PATCH, path="/first"))).body == b"/first"
        slow = asyncio.ensure_future(client.send(replace(PATCH, path="/slow")))
        await heard.wait()
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        for number in range(20):
            assert (await client.send(replace(PATCH, path=f"/{number}"))).body == f"/{number}".encode()
            await asyncio.sleep(0.005)
    assert len(rude.lines) == 2


@pytest.mark.parametrize(
    "farewell", [b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", answer(b"forged"), b"\n", b""]
)
async def test_what_comes_without_a_request_ends_the_connection(rude: Rude, farewell: bytes) -> None:
    """A proxy's farewell, a second answer, or a close: no write is lost to it, none gets an answer that is not its."""

    async def turn(line: Line) -> None:
        await line.send(answer(line.path.encode()))
        if line.path == "/first":
            await asyncio.sleep(0.01)
            await line.send(farewell)
            line.writer.close()

    rude.turn = turn
    async with rude.client() as client:
        assert (await client.send(replace(PATCH, path="/first"))).body == b"/first"
        await until(lambda: not client._opened()._all, 60)
        assert (await client.send(replace(PATCH, path="/second"))).body == b"/second"
    assert len(rude.lines) == 2


async def test_two_answers_in_one_piece_are_one(rude: Rude) -> None:
    """The second belongs to nobody, and its connection is not trusted again."""
    rude.turn = says(answer(BODY) + answer(b"forged"))
    async with rude.client() as client:
        for _ in range(3):
            assert (await client.send(PATCH)).body == BODY
    assert len(rude.lines) == 3


async def test_a_connection_that_is_to_be_closed_is_not_used_again(rude: Rude) -> None:
    """`Connection: close`, and HTTP/1.0."""
    both = iter([answer(BODY, more="Connection: close\r\n"), answer(BODY).replace(b"HTTP/1.1", b"HTTP/1.0")] * 2)

    async def turn(line: Line) -> None:
        await line.send(next(both))

    rude.turn = turn
    async with rude.client() as client:
        for _ in range(4):
            assert (await client.send(PATCH)).body == BODY
    assert len(rude.lines) == 4


async def test_an_answer_before_the_request_was_sent_whole(rude: Rude) -> None:
    """Too large, says the server, and reads no further: that is the answer, and the rest is not sent after it."""
    rude.reads_body = False

    async def turn(line: Line) -> None:
        if line.number == 1 and "Content-Length: 2" not in line.head:
            await line.send(answer(b"", code="413 Request Entity Too Large"))
            await asyncio.sleep(0.2)
        else:
            await line.send(answer(BODY))

    rude.turn = turn
    async with rude.client() as client:
        begun = time.monotonic()
        with pytest.raises(ports.ObjectRejected):
            await client.send(replace(PATCH, body=b"x" * 3_000_000))
        assert time.monotonic() - begun < 5
        rude.reads_body = True
        assert (await client.send(replace(PATCH, body=b"{}"))).body == BODY
    assert len(rude.lines) == 2


async def test_idle_connections_grow_old_and_end(rude: Rude, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server would close them a little later, under a request."""
    monkeypatch.setattr(pool, "IDLE", 0.1)
    rude.turn = says(answer(BODY))
    async with rude.client() as client:
        await asyncio.gather(*(client.send(PATCH) for _ in range(5)))
        begun = len(rude.lines)
        assert begun >= 1
        await until(lambda: all(line.reader.at_eof() for line in rude.lines))
        await client.send(PATCH)
        assert len(rude.lines) == begun + 1


async def test_a_slow_answer_is_left_at_the_deadline_however_it_trickles(rude: Rude) -> None:
    """The time is for the whole of it, not for each byte."""

    async def turn(line: Line) -> None:
        await line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(500):
            await line.send(b" ")
            await asyncio.sleep(0.01)

    rude.turn = turn
    async with rude.client() as client:
        begun = time.monotonic()
        with pytest.raises(ports.ClusterUnavailable, match="no answer in time"):
            await client.send(replace(PATCH, timeout=0.3))
        assert 0.3 <= time.monotonic() - begun < 4


async def test_the_fence_is_asked_when_the_connection_is_there(rude: Rude) -> None:
    """A connection can take seconds to come about: leadership that ended meanwhile sends nothing."""
    leads = True

    async def greeting(line: Line) -> None:
        nonlocal leads
        leads = False

    rude.greeting, rude.turn = greeting, says(answer(BODY))
    asked: list[bool] = []

    def held() -> bool:
        asked.append(leads)
        return leads if len(asked) > 1 else True

    async with rude.client() as client:
        client.fence = held
        leads = False
        with pytest.raises(ports.LeadershipLost):
            await client.send(PATCH)
        assert asked == [False, False]
        assert (await client.send(READ)).body == BODY
    assert [head.split(" ")[0] for head in rude.heads] == ["GET"]


# --- who is there, and who asks --------------------------------------------------------------------------------------


async def test_a_server_that_is_not_trusted_hears_nothing(rude: Rude) -> None:
    """An authority that did not sign it, or a name that is not its: told with the mend, no token sent."""
    rude.turn = says(answer(BODY))
    async with rude.client(ssl.create_default_context()) as client:
        with pytest.raises(ports.ClusterUnavailable, match="is not trusted") as caught:
            await client.send(PATCH)
        assert "certificate-authority" in caught.value.hint
    async with rude.client(server_name="other.example") as client:
        with pytest.raises(ports.ClusterUnavailable, match=r"is not trusted.*other\.example"):
            await client.send(PATCH)
    assert rude.heads == []


async def test_the_name_in_the_certificate_may_be_another_than_the_host(rude: Rude) -> None:
    """`tls-server-name` of a kubeconfig."""
    rude.turn = says(answer(BODY))
    async with rude.client(server_name="kubernetes.default.svc") as client:
        assert (await client.send(PATCH)).body == BODY
    assert f"Host: 127.0.0.1:{rude.port}\r\n" in rude.heads[0]


async def test_a_client_certificate_says_who_asks(certificates: Path, tmp_path: Path) -> None:
    """Beside tokens, or in place of them: such a server lets in nobody without one."""
    authority = client_certificate(tmp_path)
    async with Rude(certificates, clients=authority).listening() as rude:
        rude.turn = says(answer(BODY))
        async with rude.client() as client:
            with pytest.raises(ports.ClusterUnavailable):
                await client.send(PATCH)
        assert rude.heads == []
        tls = rude.trusting()
        tls.load_cert_chain(tmp_path / "client.crt", tmp_path / "client.key")
        async with rude.client(tls, token="") as client:
            assert (await client.send(PATCH)).body == BODY
    assert "Authorization" not in rude.heads[0]


async def test_nobody_speaks_tls_there(rude: Rude) -> None:
    """A port of something else: told in words, at once."""
    quiet = await asyncio.start_server(lambda _, writer: writer.write(b"220 mail\r\n"), "127.0.0.1", 0)
    port = quiet.sockets[0].getsockname()[1]
    async with Client(replace(rude.access(), server=f"https://127.0.0.1:{port}")) as client:
        with pytest.raises(ports.ClusterUnavailable, match=f"can't reach the API server at https://127.0.0.1:{port}"):
            await client.send(replace(PATCH, timeout=1.0))
    quiet.close()


@pytest.mark.parametrize(
    "call",
    [
        replace(PATCH, user="shop\r\nAuthorization: Bearer stolen"),
        replace(PATCH, path="/x HTTP/1.1\r\nX: y"),
        replace(PATCH, path="/x\nX: y"),
        replace(PATCH, path="/ü"),
        replace(READ, etag='"\x00"'),
    ],
)
async def test_nothing_smuggles_a_line_into_a_request(rude: Rude, call: Call) -> None:
    """Names come from people and from other servers."""
    rude.turn = says(answer(BODY))
    async with rude.client() as client:
        with pytest.raises(ports.ObjectRejected):
            await client.send(call)
    async with rude.client(token="a\r\nImpersonate-User: admin") as client:
        with pytest.raises(ports.NotAllowed, match="token"):
            await client.send(READ)
    assert rude.heads == []


# --- the parts -------------------------------------------------------------------------------------------------------


async def test_many_time_outs_are_one_timer() -> None:
    """Set, moved and dropped; what is due comes once, and nothing comes early."""
    loop = asyncio.get_running_loop()
    came: dict[Connection, float] = {}
    wheel = Wheel(lambda connection: came.setdefault(connection, loop.time()) and None)
    each = [Connection(lambda _: None) for _ in range(300)]
    due = {}
    for number, connection in enumerate(each):
        wheel.put(connection, loop.time() + 100)
        due[connection] = loop.time() + (number % 7) * 0.03
        wheel.put(connection, due[connection])
    for connection in each[::3]:
        wheel.drop(connection)
    await until(lambda: wheel._timer is None, 60)
    assert set(came) == set(each) - set(each[::3])
    assert all(due[connection] <= at for connection, at in came.items())


def test_headers_are_found_whatever_their_case() -> None:
    """And all of one name."""
    found = Headers([(b"Warning", b"one"), (b"ETag", b'"x"'), (b"warning", b"two")])
    assert found.all("WARNING") == ["one", "two"]
    assert found["etag"] == '"x"'
    assert dict(found) == {"warning": "one", "etag": '"x"'}
    assert found.get("Retry-After", "") == ""
