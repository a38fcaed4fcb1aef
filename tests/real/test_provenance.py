"""Provenance of charts beside `helm verify`: what Helm and GnuPG sign, and every way it goes wrong."""

from __future__ import annotations

import asyncio
import hashlib
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from real.programs import find
from real.test_charts import CHART, helm, store
from windlass.adapters.registry.provenance import Claim, Job, judged
from windlass.devstack.ociserver import OciServer
from windlass.ports import ChartUnverified, ChartWanted

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(find("helm") is None, reason="Helm is not built: make real"),
    pytest.mark.skipif(shutil.which("gpg") is None, reason="GnuPG is not installed"),
]

OLD = ("--faked-system-time", "20240101T000000!")


class Keys:
    """GnuPG in a folder of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700)

    def gpg(self, *arguments: str, stdin: bytes = b"") -> bytes:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--quiet", "--no-tty", "--pinentry-mode"]
        done = subprocess.run([*argv, "loopback", "--passphrase", "", *arguments], input=stdin, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def make(self, name: str, *more: str, algorithm: str = "rsa3072", ends: str = "never") -> str:
        """A key that signs; its user's name."""
        self.gpg(*more, "--quick-generate-key", f"{name} <{name}@acme.example>", algorithm, "sign", ends)
        return name

    def fingerprint(self, name: str) -> str:
        lines = self.gpg("--with-colons", "--list-keys", name).decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr"))

    def revoke(self, name: str) -> None:
        text = (self.home / "openpgp-revocs.d" / f"{self.fingerprint(name)}.rev").read_bytes()
        self.gpg("--import", stdin=text[text.index(b":-----BEGIN") + 1 :])

    def public(self, *names: str, armor: bool = False) -> bytes:
        return self.gpg(*(["--armor"] if armor else []), "--export", *names)

    def sign(self, name: str, text: bytes, *more: str) -> bytes:
        return self.gpg(*more, "--local-user", name, "--clearsign", stdin=text)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    made = Keys(tmp_path_factory.mktemp("keys") / "home")
    for name, algorithm in (("ada", "rsa3072"), ("ben", "ed25519"), ("cara", "ed25519")):
        made.make(name, algorithm=algorithm)
    made.make("expired", *OLD, algorithm="ed25519", ends="2024-06-01")
    for name in ("sub", "subgone", "subold"):
        made.make(name, *OLD, algorithm="ed25519")
        ends = "2024-06-01" if name == "subold" else "never"
        made.gpg(*OLD, "--quick-add-key", made.fingerprint(name), "ed25519", "sign", ends)
    yield made
    subprocess.run(["gpgconf", "--homedir", str(made.home), "--kill", "all"], capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    """A chart that helm packaged and signed as ada."""
    made = tmp_path_factory.mktemp("signed")
    (made / "secring.gpg").write_bytes(keys.gpg("--export-secret-keys", "ada"))
    sign = ["--sign", "--key", "ada", "--keyring", str(made / "secring.gpg")]
    for version in ("1.4.0", "1.4.1"):
        helm("package", str(CHART), "--version", version, "-d", str(made), *sign, home=made)
    return made


def body(folder: Path, version: str = "1.4.0") -> bytes:
    """What helm signs."""
    text = (folder / f"shop-{version}.tgz.prov").read_bytes()
    return text.partition(b"\n\n")[2].partition(b"\n-----BEGIN PGP SIGNATURE")[0].replace(b"\n- -", b"\n-")


def both(where: Path, proof: bytes, ring: bytes, archive: bytes, name: str = "shop-1.4.0.tgz") -> tuple[bool, bool]:
    """Whether helm takes it, and whether we do."""
    (where / name).write_bytes(archive)
    (where / f"{name}.prov").write_bytes(proof)
    (where / "ring").write_bytes(ring)
    argv = [str(find("helm")), "verify", str(where / name), "--keyring", str(where / "ring")]
    theirs = subprocess.run(argv, capture_output=True, env={"HOME": str(where), "PATH": "/usr/bin:/bin"})
    claim = Claim("shop", "1.4.0", name, hashlib.sha256(archive).hexdigest())
    try:
        ours = bool(judged(Job(proof, [ring], claim, datetime.now(UTC).timestamp())).signer)
    except ChartUnverified:
        ours = False
    return theirs.returncode == 0, ours


def test_what_helm_signed_is_taken_by_both_by_every_form_of_a_keyring(keys: Keys, folder: Path, tmp_path: Path) -> None:
    archive, proof = (folder / "shop-1.4.0.tgz").read_bytes(), (folder / "shop-1.4.0.tgz.prov").read_bytes()
    rings = {
        "packets": keys.public("ada"),
        "many": keys.public(),
        "armored": keys.public("ada", armor=True),
        "keybox": (keys.home / "pubring.kbx").read_bytes(),
        "secret": keys.gpg("--export-secret-keys", "ada"),
    }
    assert {name: both(tmp_path, proof, ring, archive) for name, ring in rings.items()} == dict.fromkeys(
        rings, (True, True)
    )
    # Helm means to read several armored blocks as well, and stops after the first.
    blocks = keys.public("ben", armor=True) + keys.public("ada", armor=True)
    assert both(tmp_path, proof, blocks, archive)[1]
    refused = {"another key": keys.public("ben"), "nothing": b"", "no keyring": b"hello", "a proof": proof}
    assert {name: both(tmp_path, proof, ring, archive) for name, ring in refused.items()} == dict.fromkeys(
        refused, (False, False)
    )


def test_keys_that_may_not_sign_now_are_refused_by_both(keys: Keys, folder: Path, tmp_path: Path) -> None:
    archive, text = (folder / "shop-1.4.0.tgz").read_bytes(), body(folder)
    proofs = {name: keys.sign(name, text) for name in ("ada", "ben", "cara", "sub", "subgone")}
    proofs |= {name: keys.sign(name, text, *OLD) for name in ("expired", "subold")}
    proofs["sha1"] = keys.sign("ada", text, "--digest-algo", "SHA1")
    proofs["ends"] = keys.sign("sub", text, OLD[0], "20240301T000000!", "--default-sig-expire", "1d")
    found = {name: both(tmp_path, one, keys.public(), archive) for name, one in proofs.items()}
    assert found.pop("sha1") == (True, False), "what SHA-1 holds together is not taken here, on purpose"
    del proofs["sha1"]
    good = ["ada", "ben", "cara", "sub", "subgone"]
    assert found == {name: (name in good, name in good) for name in proofs}
    # From here on a key and a subkey are revoked: what they signed before is good no more.
    keys.revoke("cara")
    subkey = keys.gpg("--with-colons", "--list-keys", "subgone").decode()
    assert "sub:" in subkey
    script = b"key 1\nrevkey\ny\n0\n\ny\nsave\n"
    keys.gpg("--command-fd", "0", "--edit-key", "subgone", stdin=script)
    found = {name: both(tmp_path, one, keys.public(), archive) for name, one in proofs.items()}
    good = ["ada", "ben", "sub"]
    assert found == {name: (name in good, name in good) for name in proofs}


def test_files_that_are_not_what_was_signed_are_refused_by_both(keys: Keys, folder: Path, tmp_path: Path) -> None:
    archive, proof = (folder / "shop-1.4.0.tgz").read_bytes(), (folder / "shop-1.4.0.tgz.prov").read_bytes()
    text, ring = body(folder), keys.public("ada", "ben")
    other = (folder / "shop-1.4.1.tgz").read_bytes()

    def signed(one: bytes) -> bytes:
        return keys.sign("ben", one)

    at = proof.index(b"-----BEGIN PGP SIGNATURE")
    digest = hashlib.sha256(archive).hexdigest().encode()
    proofs = {
        "itself": proof,
        "signed anew": signed(text),
        "other line ends": proof.replace(b"\n", b"\r\n"),
        "blanks at the end of a line": proof.replace(b"name: shop\n", b"name: shop  \n"),
        "a word changed": proof.replace(b"name: shop\n", b"name: show\n"),
        "a digest changed": proof.replace(digest, hashlib.sha256(other).hexdigest().encode()),
        "a line more": proof.replace(b"\n...\n", b"\n...\nmore: true\n"),
        "a signature of something else": proof[:at] + keys.sign("ben", b"x\n").partition(b"\n\nx\n")[2],
        "no signature": proof[:at],
        "a signature cut": proof[: at + 200] + proof[at + 220 :],
        "another hash promised": proof.replace(b"Hash: SHA512", b"Hash: SHA256"),
        "another header": proof.replace(b"Hash: SHA512", b"Comment: x"),
        "no text about files": signed(b"name: shop\nversion: 1.4.0\n"),
        "no files": signed(b"name: shop\nversion: 1.4.0\n\n...\nimages: {}\n"),
        "files are a list": signed(b"name: shop\nversion: 1.4.0\n\n...\nfiles: [a]\n"),
        "another file": signed(text.replace(b"shop-1.4.0.tgz", b"shop-1.4.1.tgz")),
        "no kind of digest": signed(text.replace(b"sha256:", b"")),
        "another digest": signed(text.replace(digest, digest[::-1])),
        "nothing": b"",
        "no message": b"hello\n",
        "not in clear text": keys.gpg("--local-user", "ben", "--armor", "--sign", stdin=text),
        "detached": keys.gpg("--local-user", "ben", "--armor", "--detach-sign", stdin=text),
    }
    good = ["itself", "signed anew", "other line ends", "blanks at the end of a line", "another hash promised"]
    found = {name: both(tmp_path, one, ring, archive) for name, one in proofs.items()}
    assert found == {name: (name in good, name in good) for name in proofs}
    assert both(tmp_path, proof, ring, other) == (False, False)
    assert both(tmp_path, proof, ring, archive, "shop-1.4.1.tgz") == (False, False)
    # Stricter here: what stands around the block, a second block, another chart's name or version.
    strict = {
        "a word before": b"hello\n" + proof,
        "a word behind": proof + b"hello\n",
        "twice": proof + proof,
        "two blocks": proof + signed(b"x\n"),
        "another name": signed(text.replace(b"name: shop\n", b"name: shoe\n")),
        "another version": signed(text.replace(b"version: 1.4.0\n", b"version: 1.5.0\n")),
    }
    found = {name: both(tmp_path, one, ring, archive) for name, one in strict.items()}
    assert found == dict.fromkeys(strict, (True, False))


async def test_signed_charts_come_from_a_registry_and_a_repository(keys: Keys, folder: Path, tmp_path: Path) -> None:
    ring, wrong = [keys.public("ada")], [keys.public("ben")]
    signer = keys.fingerprint("ada")
    server = OciServer(str(tmp_path / "oci"))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    helm("package", str(CHART), "--version", "1.5.0", "-d", str(folder), home=tmp_path)
    helm("repo", "index", str(folder), home=tmp_path)
    try:
        async with server.serve() as url, store(tmp_path) as charts:
            host = url.partition("://")[2]
            for version in ("1.4.0", "1.4.1", "1.5.0"):
                push = ["push", str(folder / f"shop-{version}.tgz"), f"oci://{host}/acme", "--plain-http"]
                await asyncio.to_thread(helm, *push, home=tmp_path)
            for repository in (f"oci://{host}/acme", f"http://127.0.0.1:{site.server_port}"):
                wanted = ChartWanted(repository, "shop", "~1.4.0", plain=True)
                found = await charts.resolve(wanted, {}, fresh=60, keyring=ring)
                assert (found.version, found.signer) == ("1.4.1", signer)
                with pytest.raises(ChartUnverified, match="which is not in the keyring"):
                    await charts.resolve(wanted, {}, fresh=60, keyring=wrong)
                unsigned = ChartWanted(repository, "shop", "1.x", plain=True)
                with pytest.raises(ChartUnverified, match="no provenance"):
                    await charts.resolve(unsigned, {}, fresh=60, keyring=ring)
                assert (await charts.resolve(unsigned, {}, fresh=60)).version == "1.5.0"
            # What a chart names and does not hold is held against the same keyring, as Helm does.
            verify = ["--verify", "--keyring", str(tmp_path / "ring")]
            (tmp_path / "ring").write_bytes(ring[0])
            for version, taken in (("1.4.1", True), ("1.5.0", False)):
                chart = tmp_path / f"outer-{version}"
                chart.mkdir()
                wants = f"dependencies: [{{name: shop, version: {version}, repository: '{repository}'}}]\n"
                (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: outer\nversion: 0.1.0\n{wants}")
                argv = [str(find("helm")), "dependency", "update", str(chart), *verify]
                home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
                done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, env=home)
                assert (done.returncode == 0) == taken, done
    finally:
        site.shutdown()
        site.server_close()
