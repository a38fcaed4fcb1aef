"""Signed commits: what we sign, the real Git accepts; what is changed or signed for something else, is nobody's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pygit2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from unit.git.conftest import ADA, Origin
from windlass.adapters.git import BadPath, GitRefused, SigningKey, add_files, fingerprint, signer

KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ecdsa": lambda: ec.generate_private_key(ec.SECP384R1()),
}
SSH_KEYGEN = shutil.which("ssh-keygen")


def written(kind: str) -> bytes:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    made: bytes = KEYS[kind]().private_bytes(*form)
    return made


@pytest.mark.parametrize("kind", KEYS)
def test_a_signature_tells_its_key_and_holds_only_for_its_content(kind: str) -> None:
    key = SigningKey.read(written(kind))
    made = key.sign(b"tree 1\n")
    assert signer(b"tree 1\n", made) == key.public
    assert signer(b"tree 2\n", made) == ""
    assert signer(b"tree 1\n", made.replace("A", "B", 3)) == ""
    assert signer(b"tree 1\n", "-----BEGIN PGP SIGNATURE-----\nAAAA\n-----END PGP SIGNATURE-----") == ""


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.skipif(SSH_KEYGEN is None, reason="ssh-keygen is not installed")
def test_git_itself_accepts_a_commit_that_we_signed(kind: str, origin: Origin, tmp_path: Path) -> None:
    key = SigningKey.read(written(kind))
    commit = add_files(origin.store, origin.tip, {"new/file": b"x"}, "Signed\n", ADA, key=key)
    (tmp_path / "allowed").write_text(f"ada@acme.example {key.public}\n")
    command = ["git", "-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={tmp_path}/allowed"]
    done = subprocess.run(
        [*command, f"--git-dir={origin.folder}", "verify-commit", commit], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"key {fingerprint(key.public)}" in done.stderr
    found = pygit2.Repository(origin.folder)[commit]
    assert isinstance(found, pygit2.Commit)
    signature, payload = found.gpg_signature
    assert signature
    assert payload
    assert signer(payload, signature.decode()) == key.public


@pytest.mark.skipif(SSH_KEYGEN is None, reason="ssh-keygen is not installed")
def test_a_signature_of_the_program_is_read_and_one_for_mail_is_not(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(written("ed25519"))
    (tmp_path / "key").chmod(0o600)
    key = SigningKey.read((tmp_path / "key").read_bytes())
    made = {}
    for namespace in ("git", "email"):
        command = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(tmp_path / "key")]
        made[namespace] = subprocess.run(command, input=b"content", capture_output=True, check=True).stdout.decode()
    assert signer(b"content", made["git"]) == key.public
    assert signer(b"content", made["email"]) == ""


@pytest.mark.skipif(SSH_KEYGEN is None, reason="ssh-keygen is not installed")
def test_a_key_with_a_passphrase_is_refused(tmp_path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "passphrase", "-f", str(tmp_path / "key")]
    subprocess.run(command, check=True)
    with pytest.raises(GitRefused):
        SigningKey.read((tmp_path / "key").read_bytes())


@pytest.mark.parametrize("content", [b"", b"not a key"])
def test_a_key_that_can_not_be_used_is_refused_with_the_mend(content: bytes) -> None:
    with pytest.raises(GitRefused) as refused:
        SigningKey.read(content)
    assert refused.value.cause == "signing-key"
    assert "ssh-keygen" in refused.value.hint


def test_a_key_is_never_printed() -> None:
    content = written("ed25519")
    shown = f"{SigningKey.read(content)!r}"
    assert shown.startswith("SigningKey(SHA256:")
    assert not any(line.decode() in shown for line in content.splitlines()[1:-1])


def test_new_files_are_added_beside_the_others_and_never_over_them(origin: Origin) -> None:
    one = add_files(origin.store, None, {"2026/11/a": b"1", "ledger.json": b"{}"}, "One", ADA)
    two = add_files(origin.store, one, {"2026/11/b": b"2"}, "Two", ADA)
    assert origin.store.changed_paths(None, two) == ["2026/11/a", "2026/11/b", "ledger.json"]
    assert origin.store.changed_paths(one, two) == ["2026/11/b"]
    for path in ("2026/11/a", "ledger.json/x", "2026", "../out", "2026/.git/x"):
        with pytest.raises(BadPath):
            add_files(origin.store, two, {path: b"other"}, "Three", ADA)
