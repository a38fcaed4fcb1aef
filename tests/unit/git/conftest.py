"""A repository with some history, and a Git server that serves it, with and without TLS and a token."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from windlass.adapters.git import Author, Store, commit_files, init_repository
from windlass.devstack.gitserver import GitServer

WHEN = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ADA = Author("Ada", "ada@acme.example", WHEN)


@dataclass
class Origin:
    """A bare repository that tests change as its owner."""

    store: Store
    branch: str = "main"

    @property
    def folder(self) -> str:
        return self.store.folder

    @property
    def tip(self) -> str | None:
        return self.store.resolve(f"refs/heads/{self.branch}")

    def commit(self, edits: Mapping[str, bytes | None], message: str = "Change") -> str:
        return commit_files(self.store, self.tip, edits, message, ADA, branch=self.branch)

    def force(self, commit: str) -> None:
        self.store.set_ref(f"refs/heads/{self.branch}", commit)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    found = Origin(init_repository(str(tmp_path / "served/config.git")))
    found.commit({"apps/web.yaml": b"kind: A\n", "README": b"x\n"}, "Start\n\nbody\n")
    return found


@contextlib.asynccontextmanager
async def serving(origin: Origin, token: str | None = None, tls: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """The URL of the origin, while it is served."""
    server = GitServer(str(Path(origin.folder).parent), token=token)
    async with server.serve(certificate=tls and tls["certificate"], key=tls and tls["key"]) as url:
        yield f"{url}/config.git"


@pytest.fixture
async def url(origin: Origin) -> AsyncIterator[str]:
    async with serving(origin) as found:
        yield found


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A private CA and a server's certificate signed by it: file names, and the CA's PEM."""
    folder = tmp_path_factory.mktemp("tls")
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    start, end = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)

    def builder(subject: str, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name("Test CA"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
        )

    ca = (
        builder("Test CA", ca_key.public_key())
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(ca_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    server = builder("localhost", key.public_key()).add_extension(names, False).sign(ca_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / "server.crt").write_bytes(server.public_bytes(pem))
    (folder / "server.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {
        "certificate": str(folder / "server.crt"),
        "key": str(folder / "server.key"),
        "ca": ca.public_bytes(pem).decode(),
    }
