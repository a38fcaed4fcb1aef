"""Signatures of commits: what people's own Git signs is known, and what no named key signed is not followed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from windlass.adapters.git import Mirror, RefSpec, Store, Transport, fingerprint, init_repository, seals
from windlass.core.kinds import repository
from windlass.core.kinds.kind import API_VERSION
from windlass.core.kinds.repository import Verify
from windlass.core.kinds.shape import BadSpec
from windlass.flows import signed
from windlass.flows.fleet import Key, SourceState
from windlass.flows.signed import Signed, check_pinned
from windlass.flows.waiting import NotSigned

GPG = shutil.which("gpg") and shutil.which("gpgv")
pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


class Team:
    """A served repository and people with keys of their own, who commit with the real Git."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        init_repository(str(folder / "config.git"))
        self.work = folder / "work"
        self.home = folder / "home"
        self.home.mkdir(mode=0o700)
        self.keys = self.home
        self.git("init", "-q", "-b", "main", str(self.work), cwd=folder)
        self.mirror = Mirror(
            str(folder / "mirror"), f"file://{folder}/config.git", None, Transport(allow_local=True, timeout=60)
        )
        self.signed = Signed()

    def run(self, *command: str, cwd: Path | None = None, text: str = "") -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "GNUPGHOME": str(self.keys), "LC_ALL": "C"}
        env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
        done = subprocess.run(
            command, cwd=cwd or self.work, env=env, input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        return self.run("git", "-c", "user.name=ada", "-c", "user.email=ada@x.example", *arguments, cwd=cwd)

    def key(self, name: str, *options: str) -> str:
        """A new SSH key; returns the public half as it stands in the .pub file."""
        file = self.folder / name
        kind = options or ("-t", "ed25519")
        self.run("ssh-keygen", "-q", *kind, "-N", "", "-C", f"{name}@x.example", "-f", str(file), cwd=self.folder)
        return file.with_suffix(".pub").read_text().strip()

    def commit(self, key: str = "", message: str = "Change", *, openpgp: str = "") -> str:
        sign = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self.folder / key}"] if key else []
        sign = ["-c", f"user.signingkey={openpgp}"] if openpgp else sign
        self.git(*sign, "commit", "-q", "--allow-empty", *(["-S"] if sign else []), "-m", message)
        self.git("push", "-q", "--force", f"file://{self.folder}/config.git", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    async def judged(self, verify: Verify | None, old: str = "") -> str:
        fetched = await self.mirror.fetch(RefSpec(branch="main"))
        return await self.signed.check(self.mirror, verify, old, fetched.commit)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def verify(*keys: str, mode: str = "head") -> Verify:
    signers = [{"openpgp" if key.strip().startswith("-----") else "ssh": key} for key in keys]
    found = decoded({"mode": mode, "signers": signers}).spec.verify
    assert found is not None
    return found


def decoded(spec: dict[str, Any]) -> repository.Repository:
    return repository.decode(
        {
            "apiVersion": API_VERSION,
            "kind": "Repository",
            "metadata": {"name": "config", "namespace": "shop"},
            "spec": {"url": "https://git.example.com/c.git", "verify": spec},
        }
    )


@pytest.mark.parametrize("kind", [["-t", "ed25519"], ["-t", "rsa", "-b", "2048"], ["-t", "ecdsa", "-b", "521"]])
async def test_a_commit_that_a_named_key_signed_is_followed_and_its_signer_told(team: Team, kind: list[str]) -> None:
    public = team.key("ada", *kind)
    commit = team.commit("ada")
    name = await team.judged(verify(team.key("bob"), public))
    assert name == f"ada@x.example {fingerprint(public)}"
    assert await team.signed.names(team.mirror, verify(public), [commit]) == {commit: name}
    assert await team.signed.names(team.mirror, None, [commit]) == {}


async def test_what_is_not_signed_by_a_named_key_is_refused_with_the_reason(team: Team) -> None:
    ada, _ = team.key("ada"), team.key("eve")
    first = team.commit("ada")
    assert await team.judged(verify(ada))
    team.commit()
    with pytest.raises(NotSigned, match="is not followed: it is not signed") as told:
        await team.judged(verify(ada), first)
    assert told.value.then == f"{first[:7]} keeps running"
    team.commit("eve")
    with pytest.raises(NotSigned, match=r"it is signed by SHA256:.*, which is none of spec\.verify\.signers"):
        await team.judged(verify(ada), first)


async def test_a_signature_of_another_commit_is_none(team: Team) -> None:
    ada = team.key("ada")
    team.commit("ada")
    raw = team.git("cat-file", "commit", "HEAD")
    forged = team.run(
        "git", "hash-object", "-t", "commit", "-w", "--stdin", text=raw.replace("Change", "Chance") + "\n"
    )
    team.git("push", "-q", "--force", f"file://{team.folder}/config.git", f"{forged}:main")
    with pytest.raises(NotSigned, match="its signature does not hold"):
        await team.judged(verify(ada))


async def test_each_commit_since_the_accepted_one_is_asked_for_where_all_have_to_be_signed(team: Team) -> None:
    ada = team.key("ada")
    first = team.commit("ada")
    between = team.commit()
    team.commit("ada")
    assert await team.judged(verify(ada), first), "the signed head vouches for what is before it"
    with pytest.raises(NotSigned, match=f"{between[:7]} before it: it is not signed"):
        await team.judged(verify(ada, mode="all"), first)
    assert await team.judged(verify(ada, mode="all"), between), "what was accepted before is not asked for again"


async def test_more_commits_than_are_looked_at_are_refused_and_not_waved_through(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signed, "MOST", 2)
    ada = team.key("ada")
    first = team.commit("ada")
    for _ in range(3):
        team.commit("ada")
    with pytest.raises(NotSigned, match="more than 2 commits came at once"):
        await team.judged(verify(ada, mode="all"), first)


@pytest.mark.skipif(not GPG, reason="gpg and gpgv are not installed")
async def test_openpgp_signatures_are_checked_against_the_keys_that_are_named_and_no_others(team: Team) -> None:
    def made(name: str) -> tuple[str, str]:
        options = ["--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key"]
        team.run("gpg", *options, f"{name} <{name}@x.example>", "ed25519", "sign", "never", cwd=team.home)
        listed = team.run("gpg", "--with-colons", "--list-keys", name, cwd=team.home)
        found = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        return found, team.run("gpg", "--armor", "--export", found, cwd=team.home)

    # The path of the agent's socket has to be short.
    team.keys = Path(tempfile.mkdtemp(prefix="gpg-"))
    try:
        (ada, public), (eve, other) = made("ada"), made("eve")
        commit = team.commit(openpgp=ada)
        assert await team.judged(verify(other, public)) == f"openpgp {ada}"
        with pytest.raises(NotSigned, match=r"signed by an OpenPGP key that is none of spec\.verify"):
            await team.judged(verify(other))
        ssh = team.key("ssh")
        with pytest.raises(NotSigned, match="signed by OpenPGP, and no openpgp key is named"):
            await team.judged(verify(ssh))
        raw = team.git("cat-file", "commit", commit).replace("Change", "Chance") + "\n"
        forged = team.run("git", "hash-object", "-t", "commit", "-w", "--stdin", text=raw)
        team.git("push", "-q", "--force", f"file://{team.folder}/config.git", f"{forged}:main")
        with pytest.raises(NotSigned, match="its signature does not hold"):
            await team.judged(verify(public))
        assert eve != ada
    finally:
        subprocess.run(["gpgconf", "--homedir", str(team.keys), "--kill", "all"], check=False)
        shutil.rmtree(team.keys, ignore_errors=True)


async def test_after_the_status_was_lost_the_mirrors_commit_counts_only_if_it_is_signed(team: Team) -> None:
    ada = team.key("ada")
    first = team.commit("ada")
    await team.mirror.fetch(RefSpec(branch="main"))
    assert await team.signed.acceptable(team.mirror, verify(ada), first) == first
    second = team.commit()
    await team.mirror.fetch(RefSpec(branch="main"))
    assert await team.signed.acceptable(team.mirror, verify(ada), second) == ""
    assert await team.signed.acceptable(team.mirror, None, second) == second


async def test_a_pin_at_what_was_fetched_and_not_followed_is_refused(team: Team) -> None:
    ada = team.key("ada")
    first, second = team.commit("ada"), team.commit("ada")
    third = team.commit()
    await team.mirror.fetch(RefSpec(branch="main"))
    source = SourceState(Key("shop", "config"), commit=second, folder=str(team.mirror.folder))
    source.written = decoded({"signers": [{"ssh": ada}]})
    for accepted in (first, second):
        await check_pinned(source, accepted)
    with pytest.raises(NotSigned, match="does not lead back to it"):
        await check_pinned(source, third)


async def test_forms_that_are_not_known_are_told_by_name(team: Team) -> None:
    ada = team.key("ada")
    team.commit()
    raw = team.git("cat-file", "commit", "HEAD")
    head, _, body = raw.partition("\n\n")
    for text, why in (
        ("-----BEGIN SIGNED MESSAGE-----\n MIIB\n -----END SIGNED MESSAGE-----", r"not known \(x509\)"),
        ("-----BEGIN SSH SIGNATURE-----\n !!\n -----END SSH SIGNATURE-----", "does not hold"),
        ("-----BEGIN PGP SIGNATURE-----\n\n AAAA\n -----END PGP SIGNATURE-----", "signed by OpenPGP, and no"),
        ("nonsense", r"not known \(other\)"),
    ):
        content = f"{head}\ngpgsig {text}\n\n{body}\n"
        made = team.run("git", "hash-object", "-t", "commit", "-w", "--stdin", text=content)
        team.git("push", "-q", "--force", f"file://{team.folder}/config.git", f"{made}:main")
        with pytest.raises(NotSigned, match=why):
            await team.judged(verify(ada))


def test_a_key_on_a_security_key_is_told_by_name(team: Team) -> None:
    import base64
    import struct

    blob = b"".join(struct.pack(">I", len(one)) + one for one in (b"sk-ssh-ed25519@openssh.com", b"k" * 32, b"ssh:"))
    body = b"SSHSIG" + struct.pack(">I", 1) + struct.pack(">I", len(blob)) + blob
    text = f"-----BEGIN SSH SIGNATURE-----\n {base64.b64encode(body).decode()}\n -----END SSH SIGNATURE-----"
    team.commit()
    head, _, rest = team.git("cat-file", "commit", "HEAD").partition("\n\n")
    content = f"{head}\ngpgsig {text}\n\n{rest}\n"
    made = team.run("git", "hash-object", "-t", "commit", "-w", "--stdin", text=content)
    seal = seals(Store(str(team.work / ".git")), [made])[made]
    assert "security key (sk-*)" in signed.trouble(seal)


@pytest.mark.parametrize(
    ("signer", "why"),
    [
        ({"ssh": "sk-ssh-ed25519@openssh.com AAAA"}, "security key, sk-"),
        ({"ssh": "ssh-ed25519 AAAA"}, "is not a whole public key"),
        ({"ssh": "ada"}, "an SSH public key"),
        ({}, "is one key"),
    ],
)
def test_a_signer_that_is_no_key_is_refused_with_the_field(signer: dict[str, str], why: str) -> None:
    with pytest.raises(BadSpec, match=why) as told:
        decoded({"signers": [signer]})
    assert "spec.verify.signers[0]" in str(told.value)


def test_verify_without_a_key_is_refused() -> None:
    with pytest.raises(BadSpec, match="names no key"):
        decoded({"signers": []})
