"""What is new in a branch, by Git's protocol v2 over HTTP(S): asking is one request, fetching one more.

``Mirror`` asks so first for what it followed before, because the ``git`` program needs four processes and three
requests for the same. It only reads answers and gives back an id or the bytes of a pack; checking the pack is Git's own
business (``git index-pack``, as a limited child). It says nothing to people: whatever is not as usual (another
protocol, a login that is refused, a redirect, a proxy, an answer that is large) is ``Unusual``, and the ``git`` program
does it and says what is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from urllib.parse import urlsplit

from windlass.adapters.git.program import Remote
from windlass.adapters.git.refs import COMMIT
from windlass.adapters.host.pool import Place, Pool, Unconnected
from windlass.adapters.host.wire import Ended, Malformed, Reply

TIMEOUT = 10.0  # seconds for one request; what takes longer is the program's, which has more patience
LARGEST_PACK = 1 << 25  # bytes that are held in memory; a larger pack is the program's, which streams it to the disk
LARGEST_ANSWER = 1 << 20
MOST_HAVES = 64
REST = 60.0  # seconds without a try after something unusual
_PATH = re.compile(r"/[!-~]*")
_FLUSH, _DELIMITER = b"0000", b"0001"


class Unusual(Exception):
    """The program is to do it."""


class Smart:
    """One remote. It remembers that the remote speaks protocol v2, and rests for a while where it does not."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._speaks = False
        self._rests_until = 0.0
        self._place: Place | None = None

    @property
    def usable(self) -> bool:
        """Whether it is worth a try now."""
        remote = self._remote
        return (
            remote.url.scheme in ("http", "https")
            and not remote.transport.proxy
            and asyncio.get_running_loop().time() >= self._rests_until
        )

    def rest(self) -> None:
        """It did not work: leave it to the program for some time."""
        self._speaks = False
        self._rests_until = asyncio.get_running_loop().time() + REST

    @contextlib.asynccontextmanager
    async def talk(self) -> AsyncIterator[Talk]:
        """One conversation, on connections that end with it. Raises Unusual."""
        place = self._place
        if place is None:
            # Reading the machine's authorities takes some milliseconds.
            place = self._place = await asyncio.to_thread(self._where)
        pool = Pool(place)
        try:
            talk = Talk(pool, self._remote, place)
            if not self._speaks:
                await talk.greet()
                self._speaks = True
            yield talk
        except (Unconnected, Ended, Malformed, TimeoutError) as error:
            raise Unusual from error
        finally:
            await pool.close()

    def _where(self) -> Place:
        url = urlsplit(self._remote.url.text)
        host = url.hostname or ""
        tls: ssl.SSLContext | None = None
        if url.scheme == "https":
            try:
                tls = ssl.create_default_context(cadata=self._remote.credentials.ca.decode() or None)
            except (ssl.SSLError, ValueError) as error:
                raise Unusual from error
        return Place(host, url.port or (443 if tls else 80), tls, host)


class Talk:
    """The three requests. Each raises Unusual, or what a ``Pool`` raises."""

    def __init__(self, pool: Pool, remote: Remote, place: Place) -> None:
        self._pool = pool
        url = urlsplit(remote.url.text)
        self._path = url.path.rstrip("/")
        if not _PATH.fullmatch(self._path):
            raise Unusual
        self._head = f"Host: {url.netloc}\r\nUser-Agent: windlass\r\nGit-Protocol: version=2\r\n"
        if header := remote.credentials.authorization():
            if re.search(r"[^ -~]", header):
                raise Unusual
            self._head += f"Authorization: {header}\r\n"

    async def greet(self) -> None:
        """Whether the remote speaks protocol v2 and names objects by SHA-1."""
        target = f"{self._path}/info/refs?service=git-upload-pack"
        request = f"GET {target} HTTP/1.1\r\n{self._head}Accept: */*\r\n\r\n".encode()
        reply = await self._reply(request, "application/x-git-upload-pack-advertisement", LARGEST_ANSWER)
        said = [line.rstrip(b"\n") for line in packets(reply.body) if line is not None]
        said = [line for line in said if not line.startswith(b"# service=")]
        commands = {line.partition(b"=")[0] for line in said}
        formats = [line for line in said if line.startswith(b"object-format=")]
        if not said or said[0] != b"version 2" or not {b"ls-refs", b"fetch"} <= commands:
            raise Unusual
        if formats and formats != [b"object-format=sha1"]:
            raise Unusual

    async def tip(self, ref: str) -> str:
        """The commit that a branch is at."""
        body = [packet(b"command=ls-refs\n"), _DELIMITER, packet(f"ref-prefix {ref}\n".encode()), _FLUSH]
        reply = await self._ask(body, LARGEST_ANSWER)
        for line in packets(reply.body):
            identity, _, name = (line or b"").decode(errors="replace").rstrip("\n").partition(" ")
            if name == ref and COMMIT.fullmatch(identity):
                return identity
        raise Unusual

    async def pack(self, want: str, haves: Sequence[str]) -> bytes:
        """A thin pack of what leads to ``want`` and not to ``haves``."""
        words = ["thin-pack", "ofs-delta", "no-progress", f"want {want}", *[f"have {one}" for one in haves], "done"]
        body = [packet(b"command=fetch\n"), _DELIMITER, *[packet(f"{word}\n".encode()) for word in words], _FLUSH]
        reply = await self._ask(body, LARGEST_PACK)
        lines = packets(reply.body)
        if next(lines, None) != b"packfile\n":
            raise Unusual  # a shallow remote, a pack elsewhere, or an error
        parts: list[bytes] = []
        for line in lines:
            if line is None:
                return b"".join(parts)
            if line[:1] == b"\x01":
                parts.append(line[1:])
            elif line[:1] != b"\x02":
                raise Unusual
        raise Unusual  # the end is missing

    async def _ask(self, body: Sequence[bytes], most: int) -> Reply:
        content = b"".join(body)
        kind = "application/x-git-upload-pack"
        head = (
            f"POST {self._path}/git-upload-pack HTTP/1.1\r\n{self._head}Accept: {kind}-result\r\n"
            f"Content-Type: {kind}-request\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return await self._reply(head.encode() + content, f"{kind}-result", most)

    async def _reply(self, request: bytes, kind: str, most: int) -> Reply:
        until = asyncio.get_running_loop().time() + TIMEOUT
        reply = await self._pool.exchange(request, until, largest=most)
        if reply.code != 200 or reply.headers.get("Content-Type", "") != kind:
            raise Unusual
        if reply.headers.get("Content-Encoding", "identity") != "identity":
            raise Unusual
        return reply


def packet(content: bytes) -> bytes:
    """One pkt-line."""
    return b"%04x%s" % (len(content) + 4, content)


def packets(data: bytes) -> Iterator[bytes | None]:
    """The pkt-lines of an answer; None where one stands that only parts them. Raises Unusual where they are none."""
    at = 0
    while at < len(data):
        head = data[at : at + 4]
        if not re.fullmatch(rb"[0-9a-fA-F]{4}", head):
            raise Unusual
        size = int(head, 16)
        if size < 4:
            if size == 3:
                raise Unusual
            at += 4
            yield None
            continue
        if at + size > len(data):
            raise Unusual
        yield data[at + 4 : at + size]
        at += size
