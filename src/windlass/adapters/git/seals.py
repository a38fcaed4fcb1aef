"""The signatures of commits, of any form, and what each proves: which key made it.

``flows/signed.py`` asks. SSH signatures are checked in process (``signatures.py``), OpenPGP by the program ``gpgv`` as
a limited child, which knows the keys that it is given and nothing else: no keyring of the machine, no agent, no trust
model, no network. Whether a key may sign is the caller's question. X.509 and keys on a security key are told by name.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pygit2

from windlass.adapters.git.signatures import signer
from windlass.adapters.git.store import Store
from windlass.adapters.host.children import Limits, find_program, run_child

_FORMS = (("-----BEGIN SSH SIGNATURE-----", "ssh"), ("-----BEGIN PGP ", "openpgp"), ("-----BEGIN SIGNED ", "x509"))
_LIMITS = Limits(timeout=20.0, output=1 << 20, cpu=10)
_LONGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Seal:
    """``form``: none, ssh, openpgp, x509 or other. ``key``: who made it, "" where it does not hold: an SSH public key
    (``ssh-ed25519 AAAA...``), or an OpenPGP fingerprint. ``why``: in which way it does not hold."""

    form: str
    key: str = ""
    why: str = ""
    payload: bytes = b""
    text: str = ""


def seals(store: Store, commits: Sequence[str]) -> dict[str, Seal]:
    """Of each commit. Those by OpenPGP are not opened yet. Raises GitRefused."""
    return {one: _seal(store.commit(one)) for one in commits}


def _seal(commit: pygit2.Commit) -> Seal:
    signature, payload = commit.gpg_signature
    if not signature or payload is None:
        return Seal("none")
    text = signature.decode(errors="replace").strip()
    form = next((form for begin, form in _FORMS if text.startswith(begin)), "other")
    if len(text) > _LONGEST:
        return Seal(form, why="its signature is larger than any is")
    if form == "openpgp":
        return Seal(form, payload=payload, text=text)
    if form != "ssh":
        return Seal(form)
    key = signer(payload, text)
    why = (
        "it is signed by a key on a security key (sk-*), which is not known here" if not key and _on_token(text) else ""
    )
    return Seal(form, key, why)


def _on_token(text: str) -> bool:
    body = "".join(line.strip() for line in text.splitlines() if not line.startswith("-----"))
    try:
        return b"sk-" in base64.b64decode(body, validate=True)[10:40]
    except (binascii.Error, ValueError):
        return False


async def openpgp_signers(seal: Seal, keys: Sequence[str]) -> Seal:
    """The seal, opened: ``key`` is the fingerprint of the key among ``keys`` (armored) that made it. Raises
    ProgramMissing, ChildTimeout."""
    program = await asyncio.to_thread(find_program, "gpgv")
    with tempfile.TemporaryDirectory(prefix="windlass-gpgv-") as folder:
        await asyncio.to_thread(_lay_out, Path(folder), seal, keys)
        command = [program, "--homedir", folder, "--keyring", f"{folder}/keys", "--status-fd", "1"]
        done = await run_child(
            [*command, f"{folder}/signature", f"{folder}/payload"],
            env={"PATH": os.path.dirname(program), "HOME": folder, "GNUPGHOME": folder, "LC_ALL": "C"},
            cwd=folder,
            limits=_LIMITS,
        )
    lines = [line.split() for line in done.stdout.decode(errors="replace").splitlines()]
    told = [words[1:] for words in lines if len(words) > 1 and words[0] == "[GNUPG:]"]
    good, valid = ([words for words in told if words[0] == word] for word in ("GOODSIG", "VALIDSIG"))
    # Of several signatures in one text it is not said here which one counts: none does.
    if done.code == 0 and len(good) == len(valid) == 1 and len(valid[0]) > 1:
        return replace(seal, key=valid[0][-1], payload=b"", text="")
    words = {
        "EXPKEYSIG": "the key that signed it has expired",
        "EXPSIG": "its signature has expired",
        "REVKEYSIG": "the key that signed it was revoked",
        "NO_PUBKEY": "it is signed by an OpenPGP key that is none of spec.verify.signers",
    }
    said = {words[0] for words in told}
    why = next((text for word, text in words.items() if word in said), "its signature does not hold")
    return replace(seal, why=why, payload=b"", text="")


def _lay_out(folder: Path, seal: Seal, keys: Sequence[str]) -> None:
    (folder / "keys").write_bytes(b"".join(_dearmored(one) for one in keys))
    (folder / "payload").write_bytes(seal.payload)
    (folder / "signature").write_text(seal.text + "\n")


def _dearmored(text: str) -> bytes:
    """The bytes of armored keys. What can't be read is no key: nothing is signed by it."""
    found, inside, body = b"", False, ""
    for line in (each.strip() for each in text.splitlines()):
        if line.startswith("-----BEGIN"):
            inside, body = True, ""
        elif line.startswith("-----END"):
            with contextlib.suppress(binascii.Error, ValueError):
                found += base64.b64decode(body, validate=True)
            inside = False
        elif inside and ":" not in line and not line.startswith("="):
            body += line
    return found
