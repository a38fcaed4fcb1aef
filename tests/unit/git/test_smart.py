"""Fetching without the program: what it costs, and that what is unusual is left to the program and loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unit.git.conftest import Origin, serving
from windlass.adapters.git import Credentials, Mirror, Move, RefMissing, RefSpec, Store
from windlass.adapters.git.program import Remote
from windlass.adapters.git.smart import Unusual, packet, packets

MAIN = RefSpec(branch="main")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The git commands that are run from now on."""
    ran: list[str] = []
    run = Remote.git

    async def git(self: Remote, *arguments: str, **more: Any) -> Any:
        ran.append(arguments[0])
        return await run(self, *arguments, **more)

    monkeypatch.setattr(Remote, "git", git)
    return ran


async def test_a_look_is_no_process_and_a_commit_is_one(
    tmp_path: Path, origin: Origin, url: str, commands: list[str]
) -> None:
    """The first fetch is the program's. Then asking is a request, and fetching one more and the check of the pack."""
    mirror = Mirror(str(tmp_path / "mirror"), url)
    first = await mirror.fetch(MAIN)
    assert commands == ["fetch"]
    commands.clear()
    assert not (await mirror.fetch(MAIN)).changed
    assert commands == []
    for turn in range(3):
        tip = origin.commit({"apps/web.yaml": f"kind: {turn}\n".encode(), f"new/{turn}/a": b"x"})
        moved = await mirror.fetch(MAIN)
        assert (moved.commit, moved.move) == (tip, Move.FORWARD)
        assert (await mirror.snapshot(tip))[f"new/{turn}/a"] == b"x"
    assert commands == ["index-pack"] * 3
    assert (await mirror.fetch(RefSpec(commit=first.commit))).commit == first.commit


async def test_a_rewritten_branch_is_fetched_and_told(
    tmp_path: Path, origin: Origin, url: str, commands: list[str]
) -> None:
    """Backwards to what is here, and sideways to what is not."""
    mirror = Mirror(str(tmp_path / "mirror"), url)
    start = origin.tip
    assert start
    origin.commit({"a": b"1"})
    await mirror.fetch(MAIN)
    origin.force(start)
    assert (await mirror.fetch(MAIN)).move is Move.REWRITTEN
    origin.commit({"b": b"2"})
    assert (await mirror.fetch(MAIN)).move is Move.FORWARD
    assert commands == ["fetch", "index-pack"]


async def test_over_tls_with_a_token(tmp_path: Path, origin: Origin, tls: dict[str, str], commands: list[str]) -> None:
    """The Secret's authority is the one that counts; a token that is taken back is told by the program."""
    async with serving(origin, "s3cret", tls) as url:
        good = Credentials(username="git", password="s3cret", ca=tls["ca"].encode())
        mirror = Mirror(str(tmp_path / "mirror"), url, good)
        await mirror.fetch(MAIN)
        tip = origin.commit({"a": b"1"})
        assert (await mirror.fetch(MAIN)).commit == tip
        assert commands == ["fetch", "index-pack"]


async def test_a_branch_that_is_gone_is_told_as_ever(tmp_path: Path, origin: Origin, url: str) -> None:
    """By the program, which knows what there is in its place."""
    mirror = Mirror(str(tmp_path / "mirror"), url)
    tip = (await mirror.fetch(MAIN)).commit
    origin.store.repository.references.delete("refs/heads/main")
    with pytest.raises(RefMissing):
        await mirror.fetch(MAIN)
    assert await mirror.has(tip)


Change = Callable[[bytes, bytes], bytes]


@contextlib.asynccontextmanager
async def lying(url: str, change: Change) -> AsyncIterator[str]:
    """In front of a Git server: changes answers to whoever does not take compressed ones, which the program does."""
    host, _, port = url.partition("//")[2].partition("/")[0].partition(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
                body = await reader.readexactly(size[0]) if size else b""
                there, back = await asyncio.open_connection(host, int(port))
                back.write(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + body)
                answer = await there.read()
                back.close()
                if b"accept-encoding: " not in head.lower():
                    answer = change(head + body, answer)
                writer.write(answer)
                await writer.drain()
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield url.replace(f":{port}", f":{server.sockets[0].getsockname()[1]}")
    server.close()


def half(request: bytes, answer: bytes) -> bytes:
    return answer[: len(answer) // 2] if b"command=fetch" in request else answer


def no_pack(request: bytes, answer: bytes) -> bytes:
    return answer.replace(b"PACK", b"KCAP") if b"command=fetch" in request else answer


def another_protocol(request: bytes, answer: bytes) -> bytes:
    return answer.replace(b"version 2", b"version 1")


def elsewhere(request: bytes, answer: bytes) -> bytes:
    return b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"


def a_forged_tip(request: bytes, answer: bytes) -> bytes:
    if b"command=ls-refs" not in request:
        return answer
    line = packet(b"f" * 40 + b" refs/heads/main\n") + b"0000"
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\nContent-Length: %d\r\n\r\n%s" % (
        len(line),
        line,
    )


def garbage(request: bytes, answer: bytes) -> bytes:
    return b"\x00" * 100


@pytest.mark.parametrize("change", [half, no_pack, another_protocol, elsewhere, a_forged_tip, garbage])
async def test_whatever_is_unusual_is_left_to_the_program(
    tmp_path: Path, origin: Origin, url: str, commands: list[str], change: Change
) -> None:
    """Which finds the right commit; and it is left alone with it for a while."""
    async with lying(url, change) as lied:
        mirror = Mirror(str(tmp_path / "mirror"), lied)
        await mirror.fetch(MAIN)
        tip = origin.commit({"a": b"1", "b/c": b"2"})
        moved = await mirror.fetch(MAIN)
        assert (moved.commit, moved.move) == (tip, Move.FORWARD)
        assert (await mirror.snapshot(tip))["b/c"] == b"2"
        assert [command for command in commands if command != "index-pack"] == ["fetch", "fetch"]
        commands.clear()
        await mirror.fetch(MAIN)
        assert commands == ["fetch"]


def test_what_is_missing_is_found(origin: Origin) -> None:
    """A file, a folder or a commit that a pack left out; and more than may be looked at counts as missing."""
    store = Store(origin.folder)
    start = origin.tip
    assert start
    tip = origin.commit({"apps/web.yaml": b"kind: B\n", "deep/er/file": b"x"})
    origin.commit({"later": b"y"})
    for name in list(origin.store.repository.references):
        origin.store.repository.references.delete(name)
    origin.store.set_ref("refs/heads/known", start)
    assert store.whole(tip)
    assert not store.whole(tip, most=3)
    commit = store.commit(tip)
    tree = commit.tree["deep"]
    for identity in (commit.tree["apps/web.yaml"].id, tree.id, commit.tree.id):
        path = Path(origin.folder) / "objects" / str(identity)[:2] / str(identity)[2:]
        aside = path.with_suffix(".aside")
        shutil.move(path, aside)
        assert not Store(origin.folder).whole(tip)
        shutil.move(aside, path)
    assert Store(origin.folder).whole(tip)


@given(st.lists(st.binary(min_size=1, max_size=200)))
def test_lines_come_out_as_they_went_in(lines: list[bytes]) -> None:
    """With what parts them."""
    assert list(packets(b"".join(map(packet, lines)) + b"0000")) == [*lines, None]


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_unusual(data: bytes) -> None:
    """Whatever a remote sends."""
    with contextlib.suppress(Unusual):
        assert sum(len(line or b"") + 4 for line in packets(data)) == len(data)
