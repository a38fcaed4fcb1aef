"""A TLS server that answers with whatever bytes a test wants, when it wants: what no HTTP library can be told to do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from windlass.adapters.cluster.access import Access, FixedToken
from windlass.adapters.cluster.client import Client

Turn = Callable[["Line"], Awaitable[None]]


class Line:
    """One connection, from the server's side. `number` counts the requests on it, from 1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.number = 0
        self.head = ""
        self.body = b""

    @property
    def path(self) -> str:
        return self.head.split(" ")[1]

    async def send(self, data: bytes) -> None:
        if self.writer.is_closing():
            raise ConnectionError("the client left")
        self.writer.write(data)
        await self.writer.drain()

    def drop(self) -> None:
        self.writer.transport.abort()

    async def hear(self, *, body: bool = True) -> None:
        """Reads one request."""
        self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lengths = [line.split(": ")[1] for line in self.head.split("\r\n") if line.startswith("Content-Length")]
        self.body = await self.reader.readexactly(int(lengths[0])) if lengths and body else b""
        self.number += 1


class Rude:
    """Lets in whom the authority `clients` signed, or everybody. Set `turn`: it is called for each request. `lines` are
    the connections so far, `heads` the requests.
    """

    def __init__(self, folder: Path, *, clients: Path | None = None) -> None:
        self.folder = folder
        self.turn: Turn | None = None
        self.greeting: Turn | None = None  # in place of hearing a request first
        self.lines: list[Line] = []
        self.heads: list[str] = []
        self.reads_body = True
        self.port = 0
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(folder / "server.crt", folder / "server.key")
        if clients is not None:
            self._tls.verify_mode = ssl.CERT_REQUIRED
            self._tls.load_verify_locations(clients)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        self.lines.append(line)
        try:
            if self.greeting is not None:
                await self.greeting(line)
            while not writer.is_closing():
                await line.hear(body=self.reads_body)
                self.heads.append(line.head)
                assert self.turn is not None
                await self.turn(line)
        except (OSError, asyncio.IncompleteReadError):
            line.drop()  # the client left
        finally:
            writer.close()

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "ca.crt"))

    def access(self, tls: ssl.SSLContext | None = None, **more: str) -> Access:
        credentials = FixedToken(more.pop("token", "secret-token"))
        return Access(f"https://127.0.0.1:{self.port}", tls or self.trusting(), credentials, **more)  # type: ignore[arg-type]

    @asynccontextmanager
    async def client(self, tls: ssl.SSLContext | None = None, **more: str) -> AsyncIterator[Client]:
        async with Client(self.access(tls, **more)) as client:
            yield client

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Rude]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, limit=1 << 22)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for line in self.lines:
                line.drop()
            await asyncio.sleep(0.01)


def answer(body: bytes, *, code: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {code}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def chunked(*parts: bytes, trailers: str = "") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nAudit-Id: 1\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + f"0\r\n{trailers}\r\n".encode()


def says(data: bytes) -> Turn:
    """Answers each request with these bytes."""

    async def turn(line: Line) -> None:
        await line.send(data)

    return turn


def client_certificate(folder: Path) -> Path:
    """Writes client.crt and client.key; returns the certificate of the authority that signed them."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("clients", "ada")]
    now = datetime.now(UTC)
    for key, name, file in zip(keys, names, ("clients.crt", "client.crt"), strict=True):
        built = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=file == "clients.crt", path_length=None), critical=True)
        )
        if file == "client.crt":
            built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        (folder / file).write_bytes(built.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "client.key").write_bytes(keys[1].private_bytes(pem, form, serialization.NoEncryption()))
    return folder / "clients.crt"
