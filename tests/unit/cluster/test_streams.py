"""The body of a watch as it comes, from a TLS server that drops, floods and falls silent."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from windlass import ports
from windlass.adapters.cluster.answers import Asked
from windlass.adapters.cluster.client import Call

from .rude import Line, Rude, answer, chunked, says

READ = Call("get", "/api/v1/x", Asked("read", "x"))


async def test_a_stream_is_whole_up_to_where_it_broke(rude: Rude) -> None:
    """What came counts; then it is told that it broke. One that ends well ends without a word."""

    async def turn(line: Line) -> None:
        await line.send(chunked(b"one\n", b"two\n")[: None if line.path == "/well" else -5])
        await asyncio.sleep(0.02)
        line.drop()

    rude.turn = turn

    async def read(path: str) -> bytes:
        found = b""
        async with client.stream(replace(READ, path=path), 5.0) as content:
            while data := await content.readany():
                found += data
                got.append(found)
        return found

    async with rude.client() as client:
        got: list[bytes] = []
        assert await read("/well") == b"one\ntwo\n"
        with pytest.raises(ports.ClusterUnavailable, match="ended in the middle"):
            await read("/broken")
        assert got[-1] == b"one\ntwo\n"


async def test_a_stream_waits_for_its_reader(rude: Rude) -> None:
    """A watch that tells faster than it is read fills the server's memory, not ours."""
    sent = 0

    async def turn(line: Line) -> None:
        nonlocal sent
        await line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(640):
            await line.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent += 65536
        await line.send(b"0\r\n\r\n")

    rude.turn = turn
    async with rude.client() as client, client.stream(READ, 5.0) as content:
        await asyncio.sleep(0.5)
        stuck = sent
        assert stuck < 30_000_000
        assert content._waiting < (1 << 20) + (1 << 19)
        found = 0
        while data := await content.readany():
            found += len(data)
        assert found == 640 * 65536


async def test_a_silent_stream_is_left(rude: Rude) -> None:
    """Half-open connections are found by their silence; each byte is a sign of life."""

    async def turn(line: Line) -> None:
        await line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(4):
            await asyncio.sleep(0.3)
            await line.send(b"1\r\nx\r\n")
        await asyncio.sleep(600)

    rude.turn = turn
    found = b""
    async with rude.client() as client:
        begun = time.monotonic()
        with pytest.raises(ports.ClusterUnavailable, match="no answer in time"):  # noqa: PT012 - the block is read
            async with client.stream(READ, 1.0) as content:
                while data := await content.readany():
                    found += data
        assert found == b"xxxx"
        assert 2.0 < time.monotonic() - begun < 60


async def test_a_stream_that_is_refused_says_why(rude: Rude) -> None:
    """As any other request would."""
    rude.turn = says(answer(b"{}", code="410 Gone"))
    async with rude.client() as client:
        with pytest.raises(ports.ClusterUnavailable, match="history"):
            async with client.stream(READ, 5.0):
                pass


async def test_a_busy_stream_is_taken_in_pieces_and_loses_nothing(rude: Rude) -> None:
    """Hundreds of events a second cost a hundred turns of the loop; what comes alone does not wait for company."""

    async def turn(line: Line) -> None:
        await line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(400):
            await line.send(b"4\r\n%03d\n\r\n" % number)
            await asyncio.sleep(0.001)
        await line.send(b"0\r\n\r\n")

    rude.turn = turn
    async with rude.client() as client, client.stream(READ, 5.0) as content:
        found, reads = b"", 0
        while data := await content.readany():
            found, reads = found + data, reads + 1
    assert found == b"".join(b"%03d\n" % number for number in range(400))
    assert reads < 200
