"""Over a real OpenSSH server: a pinned host key, right and wrong, and the key of the repository, right and wrong."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from unit.git.conftest import ADA, Origin
from windlass.adapters.git import Credentials, GitRefused, Mirror, RefSpec, Store, commit_files, push

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(
    SSHD is None or not shutil.which("ssh-keygen"), reason="OpenSSH's server is not installed (Debian: openssh-server)"
)


@dataclass
class SshServer:
    port: int
    identity: bytes
    other_identity: bytes
    known_hosts: bytes
    other_known_hosts: bytes

    def url(self, folder: str) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{folder}"


def keygen(path: Path, *, passphrase: str = "") -> tuple[bytes, str]:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(path)], check=True)
    return path.read_bytes(), path.with_suffix(".pub").read_text().strip()


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    folder = tmp_path_factory.mktemp("sshd")
    _, host_public = keygen(folder / "host")
    _, other_public = keygen(folder / "other_host")
    identity, public = keygen(folder / "user")
    other_identity, _ = keygen(folder / "other_user")
    (folder / "authorized_keys").write_text(public + "\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n"
        "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin yes\nLogLevel ERROR\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    assert SSHD is not None
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "config")], stdout=log, stderr=log)
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None:
                pytest.skip(f"sshd does not start here: {(folder / 'log').read_text()[:200]}")
            server_wait(server)
        name = f"[127.0.0.1]:{port}"
        yield SshServer(
            port, identity, other_identity, f"{name} {host_public}\n".encode(), f"{name} {other_public}\n".encode()
        )
    finally:
        server.terminate()
        server.wait(10)


def server_wait(server: subprocess.Popen[bytes]) -> None:
    try:
        server.wait(0.01)
    except subprocess.TimeoutExpired:
        return


async def test_with_the_pinned_host_key_a_branch_is_fetched_and_pushed(
    tmp_path: Path, origin: Origin, ssh: SshServer
) -> None:
    credentials = Credentials(identity=ssh.identity.strip(), known_hosts=ssh.known_hosts)
    mirror = Mirror(str(tmp_path / "m"), ssh.url(origin.folder), credentials)
    fetched = await mirror.fetch(RefSpec(branch="main"))
    assert fetched.commit == origin.tip
    store = Store(mirror.folder)
    commit = commit_files(store, fetched.commit, {"a": b"1"}, "x", ADA)
    await push(store, ssh.url(origin.folder), {"refs/heads/main": commit}, credentials)
    assert origin.tip == commit


async def test_another_host_key_another_key_and_nonsense_are_told_apart(
    tmp_path: Path, origin: Origin, ssh: SshServer
) -> None:
    keygen(tmp_path / "locked", passphrase="a passphrase")
    locked = (tmp_path / "locked").read_bytes()
    wrong = [
        (
            Credentials(identity=ssh.identity, known_hosts=ssh.other_known_hosts),
            "host-key",
            "not the one in known_hosts",
        ),
        (Credentials(identity=ssh.identity, known_hosts=b"elsewhere ssh-ed25519 AAAA\n"), "host-key", "no key of"),
        (
            Credentials(identity=ssh.other_identity, known_hosts=ssh.known_hosts),
            "authentication",
            "does not accept the key",
        ),
        (Credentials(identity=b"nonsense", known_hosts=ssh.known_hosts), "credentials", "not a private key"),
        (Credentials(identity=locked, known_hosts=ssh.known_hosts), "authentication", "does not accept the key"),
    ]
    for credentials, cause, words in wrong:
        with pytest.raises(GitRefused, match=words) as caught:
            await Mirror(str(tmp_path / "m"), ssh.url(origin.folder), credentials).fetch(RefSpec(branch="main"))
        assert caught.value.cause == cause
        assert caught.value.hint
    good = Credentials(identity=ssh.identity, known_hosts=ssh.known_hosts)
    with pytest.raises(GitRefused) as caught:
        await Mirror(str(tmp_path / "m"), ssh.url("/nowhere.git"), good).fetch(RefSpec(branch="main"))
    assert caught.value.cause == "repository-missing"


async def test_neither_a_key_nor_an_agent_of_this_machine_is_used(
    tmp_path: Path, origin: Origin, ssh: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id_ed25519").write_bytes(ssh.identity)
    (home / ".ssh/id_ed25519").chmod(0o600)
    (home / ".ssh/config").write_text(f"Host *\n  ProxyCommand touch {tmp_path}/ran\n")
    monkeypatch.setenv("HOME", str(home))
    for credentials in (None, Credentials(identity=ssh.identity), Credentials(known_hosts=ssh.known_hosts)):
        with pytest.raises(GitRefused, match="needs a key"):
            Mirror(str(tmp_path / "m"), ssh.url(origin.folder), credentials)
    wrong = Credentials(identity=ssh.other_identity, known_hosts=ssh.known_hosts)
    with pytest.raises(GitRefused):
        await Mirror(str(tmp_path / "m"), ssh.url(origin.folder), wrong).fetch(RefSpec(branch="main"))
    await asyncio.sleep(0)
    assert not (tmp_path / "ran").exists()
