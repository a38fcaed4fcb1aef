"""The API server as a running thing: certificates, kubeconfig, uvicorn over TLS, and the tasks beside it.

``devstack/serve.py`` uses it. Everything that has to survive a restart is in the data folder, where one is given.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import ipaddress
import secrets
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from typing_extensions import override

from windlass.adapters.host.files import write_atomic
from windlass.devstack.apiserver.auth import AUTHENTICATED
from windlass.devstack.apiserver.bootstrap import bootstrap
from windlass.devstack.apiserver.http import App
from windlass.devstack.apiserver.journal import SqliteJournal
from windlass.devstack.apiserver.machine import Machine
from windlass.devstack.apiserver.rbac import MASTERS
from windlass.devstack.apiserver.request import User
from windlass.devstack.apiserver.store import Store
from windlass.devstack.apiserver.subresources import Logs, no_logs
from windlass.devstack.apiserver.watching import bookmarks
from windlass.devstack.apiserver.writing import Strategies

ADMIN = User("kubernetes-admin", (MASTERS, AUTHENTICATED), "kubernetes-admin")
_YEARS = datetime.timedelta(days=3650)
_CLOSE_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Certificates:
    """A CA, and a server certificate that it signed. PEM; ``key`` signs tokens too."""

    ca: bytes
    certificate: bytes
    key: bytes

    def private(self) -> ec.EllipticCurvePrivateKey:
        """The server's private key."""
        found = serialization.load_pem_private_key(self.key, None)
        assert isinstance(found, ec.EllipticCurvePrivateKey)
        return found


def certificates(folder: Path | None) -> Certificates:
    """Those of the data folder, made there (or in memory only) where there are none."""
    names = ("ca.crt", "server.crt", "server.key")
    if folder is not None and all((folder / name).exists() for name in names):
        return Certificates(*((folder / name).read_bytes() for name in names))
    made = _make_certificates()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in zip(names, (made.ca, made.certificate, made.key), strict=True):
            write_atomic(folder / name, content)
    return made


def _make_certificates() -> Certificates:
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "windlass-devcluster-ca")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    usage = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
    )
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_encipherment=True, key_cert_sign=True, crl_sign=True, **usage),
            critical=True,
        )
        .sign(ca_key, hashes.SHA256())
    )
    hosts = (
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    )
    addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1", "10.96.0.1")]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    certificate = (
        _builder(name, ca_name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, hosts), *addresses]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    raw = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certificates(ca.public_bytes(pem), certificate.public_bytes(pem), raw)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + _YEARS)
    )


def kubeconfig(url: str, ca: bytes, token: str) -> bytes:
    """A kubeconfig for the administrator."""
    name = "windlass-devcluster"
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(ca).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return yaml.safe_dump(config, sort_keys=False).encode()


class ApiServer:
    """One API server on 127.0.0.1. `start`, then `run` until `stop`."""

    def __init__(self, *, port: int = 0, data: Path | None = None, token: str = "") -> None:
        self._port = port
        self._data = data
        self.token = token or _kept_token(data)
        self.certificates = certificates(data)
        self._journal: SqliteJournal | None = None
        self._server: _Quiet | None = None
        self._socket: socket.socket | None = None
        self.machine: Machine | None = None
        self.url = ""
        self.answering = asyncio.Event()
        """Set when requests are answered."""

    async def start(self, strategies: Callable[[Callable[[], Machine]], Strategies], logs: Logs = no_logs) -> Machine:
        """Load the state, bind the port, make what every cluster has. ``strategies`` gets a way to the machine they
        will serve.
        """
        if self._data is None:
            store = Store()
        else:
            self._journal = SqliteJournal(self._data)
            revision, rows = self._journal.read()
            store = Store(revision=revision, journal=self._journal)
            store.load(rows)
            self._journal.open()
        self._socket = socket.socket(proto=socket.IPPROTO_TCP)  # without Nagle's algorithm: see devstack/asgi
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self._port))
        port = self._socket.getsockname()[1]
        self.url = f"https://127.0.0.1:{port}"
        machines: list[Machine] = []
        found = strategies(lambda: machines[0])
        machine = Machine(store, found, self.certificates.private(), {self.token: ADMIN}, f"127.0.0.1:{port}", logs)
        machines.append(machine)
        self.machine = machine
        await bootstrap(machine, port)
        config = uvicorn.Config(
            App(machine),
            log_config=None,
            access_log=False,
            lifespan="off",
            http="httptools",
            loop="none",
            ws="none",
            server_header=False,
            timeout_keep_alive=300,
            timeout_graceful_shutdown=_CLOSE_SECONDS,
            backlog=2048,
        )
        config.load()
        config.ssl = self._context()
        self._server = _Quiet(config, self.answering)
        return machine

    async def run(self) -> None:
        """Serve until `stop`."""
        assert self._server is not None
        assert self._socket is not None
        assert self.machine is not None
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(self.machine.definitions.run()),
                group.create_task(bookmarks(self.machine.store)),
            ]
            await self._server.serve(sockets=[self._socket])
            for task in beside:
                task.cancel()

    def stop(self) -> None:
        """End: open watches are closed, requests under way are answered."""
        if self._server is not None:
            self._server.should_exit = True
        if self.machine is not None:
            for watch in self.machine.store.watches():
                watch.close()

    async def close(self) -> None:
        """After `run`: write what is left to write."""
        if self.machine is not None:
            await self.machine.webhooks.close()
        if self._socket is not None:
            self._socket.close()
        if self._journal is not None:
            await self._journal.close()

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with tempfile.TemporaryDirectory() as folder:
            chain, key = Path(folder) / "chain", Path(folder) / "key"
            write_atomic(chain, self.certificates.certificate)
            write_atomic(key, self.certificates.key)
            context.load_cert_chain(chain, key)
        return context


class _Quiet(uvicorn.Server):
    """uvicorn without its signal handlers (whoever starts the process has them), that says when it answers."""

    def __init__(self, config: uvicorn.Config, answering: asyncio.Event) -> None:
        super().__init__(config)
        self._answering = answering

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._answering.set()

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _kept_token(data: Path | None) -> str:
    """The administrator's token: that of the data folder, so that a kubeconfig outlives a restart, or a new one."""
    path = data / "token" if data is not None else None
    if path is not None and path.exists():
        return path.read_text().strip()
    token = secrets.token_urlsafe(32)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, token.encode())
    return token
