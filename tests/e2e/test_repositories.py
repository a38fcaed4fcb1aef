"""Where a Repository is read from, on both clusters: https with a token and a private CA, ssh with a pinned key."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from e2e.team import Team, config_map, free_port, git
from real.processes import Child
from windlass.devstack.gitserver import GitServer

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/sbin")
TOKEN = "token-of-the-tests"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A server certificate for 127.0.0.1 that signs itself, and its key: a private CA of one."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "private CA")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    authority, private = folder / "ca.crt", folder / "tls.key"
    authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return authority, private


@pytest.fixture
def private_host(team: Team, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The team's repository over https with a token: (its URL, the CA)."""
    authority, private = certificate(tmp_path)
    loop, ended, started, found = asyncio.new_event_loop(), asyncio.Event(), threading.Event(), []

    async def serve() -> None:
        server = GitServer(str(team.windlass.git.root), token=TOKEN)
        async with server.serve(certificate=str(authority), key=str(private)) as url:
            found.append(url)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(10)
    yield f"{found[0]}/{team.namespace}.git", authority.read_text()
    loop.call_soon_threadsafe(ended.set)
    thread.join(10)
    loop.close()


def reason(team: Team) -> str:
    found = team.get("windlass.dev/v1alpha1/repositories/config") or {}
    conditions = found.get("status", {}).get("conditions", [])
    return next((f"{one['reason']}: {one['message']}" for one in conditions if one["type"] == "Ready"), "")


def test_https_with_a_token_and_a_private_ca(team: Team, private_host: tuple[str, str]) -> None:
    url, authority = private_host
    team.put("v1", "Secret", "read", stringData={"bearerToken": TOKEN, "ca.crt": authority})
    team.repository(url=url, read={"secret": "read"})
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a")}))
    assert TOKEN not in team.windlass.log.read_text()


def test_a_certificate_of_nobody_we_know_is_refused_with_the_mend(team: Team, private_host: tuple[str, str]) -> None:
    url, _ = private_host
    team.put("v1", "Secret", "read", stringData={"bearerToken": TOKEN})
    team.commit({"shop/a.yaml": config_map("a")})
    team.repository(url=url, read={"secret": "read"})
    team.until(lambda: "certificate" in reason(team).lower(), "the certificate is refused")
    assert TOKEN not in reason(team)


def test_a_wrong_token_is_refused_and_the_right_one_is_taken_up_without_a_restart(
    team: Team, private_host: tuple[str, str]
) -> None:
    url, authority = private_host
    team.put("v1", "Secret", "read", stringData={"bearerToken": "wrong", "ca.crt": authority})
    commit = team.commit({"shop/a.yaml": config_map("a")})
    team.repository(url=url, read={"secret": "read"}, interval="1s")
    team.application()
    team.until(lambda: "credentials" in reason(team), "the token is refused")
    team.put("v1", "Secret", "read", stringData={"bearerToken": TOKEN, "ca.crt": authority})
    team.until_synced(commit)


@pytest.mark.skipif(
    SSHD is None or shutil.which("ssh-keygen") is None, reason="OpenSSH (sshd, ssh-keygen) is not installed"
)
def test_ssh_with_a_pinned_host_key_and_not_with_another(team: Team, tmp_path: Path) -> None:
    def key(name: str) -> Path:
        path = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        return path

    host, other, mine = key("host"), key("other"), key("mine")
    port = free_port()
    authorized = tmp_path / "authorized"
    authorized.write_text(mine.with_suffix(".pub").read_text())
    config = tmp_path / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nAuthorizedKeysFile {authorized}\n"
        f"PidFile {tmp_path}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    assert SSHD is not None
    child = Child("sshd", [SSHD, "-D", "-e", "-f", str(config)], tmp_path / "sshd.log")
    try:
        time.sleep(0.5)
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{team.bare}"

        def known(path: Path) -> str:
            return f"[127.0.0.1]:{port} {path.with_suffix('.pub').read_text()}"

        team.put("v1", "Secret", "read", stringData={"identity": mine.read_text(), "known_hosts": known(other)})
        (team.work / "shop").mkdir()
        (team.work / "shop" / "a.yaml").write_text(config_map("a"))
        git(team.work, "add", "-A")
        git(team.work, "commit", "-q", "-m", "First")
        git(team.work, "push", "-q", "origin", "HEAD:main")
        team.repository(url=url, read={"secret": "read"}, interval="1s")
        team.application()
        team.until(lambda: "host key" in reason(team).lower(), "another host key is refused")
        assert team.get("v1/configmaps/a") is None
        team.put("v1", "Secret", "read", stringData={"identity": mine.read_text(), "known_hosts": known(host)})
        team.until_synced(team.head())
    finally:
        child.ask_to_end()
        child.wait(5)
