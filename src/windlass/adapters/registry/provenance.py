"""Whether a chart's provenance file (``.prov``) says that somebody of a keyring made just this archive.

    python -m windlass.adapters.registry.provenance < job

A provenance file is a message in clear text, signed with OpenPGP: the chart's ``Chart.yaml``, a line ``...``, and the
SHA-256 of the archive by the name of its file; ``helm package --sign`` writes it. The file and the keyring are both
foreign bytes, so they are read in a child of its own, with bounds; ``proven`` runs it. What a signature is over is what
the OpenPGP library gives back as verified: no other text of the file is looked at.

Taken is what ``helm verify`` takes, less what it does not look at: the name and the version of the chart, and text
around the signed block. A key that has expired or is revoked now is refused, whenever the signature was made.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from windlass.adapters.host.children import Limits, run_child
from windlass.core.documents import Budget, DocumentError, read
from windlass.ports import ChartUnverified

LARGEST = 1024 * 1024
"""Bytes of a provenance file, and of a keyring."""

_LIMITS = Limits(timeout=30.0, output=1 << 20, data=256 << 20, cpu=20, file_size=0)
_BUDGET = Budget(size=LARGEST, nodes=100_000, depth=64, text=LARGEST)
_HEAD = re.compile(rb"-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\r?\n(?:Hash:[ A-Za-z0-9,/-]+\r?\n)*[ \t]*\r?\n")
_BEGIN, _SIGNATURE = b"-----BEGIN PGP SIGNED MESSAGE-----", b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"
_ARMOR = re.compile(rb"-----BEGIN PGP ([A-Z ]{1,40})-----")
_SIGN = "sign it with helm package --sign, and publish the .prov beside it"


class Claim(msgspec.Struct, frozen=True):
    """What has to be so: the archive of this chart, in a file of this name, has this SHA-256 (in hexadecimal)."""

    name: str
    version: str
    file: str
    digest: str


class Job(msgspec.Struct, frozen=True):
    """What the child is asked. ``now`` in seconds since 1970."""

    proof: bytes
    keyring: list[bytes]
    claim: Claim
    now: float


class Verdict(msgspec.Struct, frozen=True):
    """``signer``: the fingerprint of the key, "" where it is refused; ``until``: when that key expires, in seconds
    since 1970, 0 where it does not. ``what`` and ``hint`` say why it is refused."""

    signer: str = ""
    until: float = 0.0
    what: str = ""
    hint: str = ""


async def proven(proof: bytes, keyring: Sequence[bytes], claim: Claim, now: datetime) -> Verdict:
    """The key that vouches for the claim. Raises ChartUnverified, TryLater."""
    job = msgspec.msgpack.encode(Job(proof, list(keyring), claim, now.timestamp()))
    flags = ["-I", "-B"] if sys.dont_write_bytecode else ["-I"]
    argv = [sys.executable, *flags, "-m", "windlass.adapters.registry.provenance"]
    finished = await run_child(argv, env={}, stdin=job, limits=_LIMITS)
    if finished.code != 0:
        raise ChartUnverified(f"the provenance of {claim.name} {claim.version} can't be read", hint=_SIGN)
    verdict = msgspec.msgpack.decode(finished.stdout, type=Verdict)
    if not verdict.signer:
        raise ChartUnverified(verdict.what, hint=verdict.hint)
    return verdict


# --- in the child ---------------------------------------------------------------------------------------------------


def judged(job: Job) -> Verdict:
    """Raises ChartUnverified."""
    claim = job.claim
    chart = f"{claim.name} {claim.version}"
    text = job.proof.strip()
    if text.count(_BEGIN) != 1 or text.count(_SIGNATURE) != 1 or text.count(_END) != 1:
        what = "more than one signed block" if text.count(_BEGIN) > 1 else "no signed block"
        raise ChartUnverified(f"the provenance of {chart} holds {what}", hint=_SIGN)
    if _HEAD.match(text) is None or not text.endswith(_END):
        raise ChartUnverified(f"the provenance of {chart} holds text that is not signed", hint=_SIGN)
    certificates = [one for ring in job.keyring for one in _certificates(ring)]
    now = datetime.fromtimestamp(job.now, UTC)
    said, signer = _verified(text, certificates, chart, now)
    until = _current(certificates, signer, chart, now)
    _check(said.replace(b"\r\n", b"\n"), claim, chart)
    return Verdict(signer.upper(), until)


def _verified(text: bytes, certificates: list[Any], chart: str, now: datetime) -> tuple[bytes, str]:
    """What is signed, and the fingerprint of the key that signed it."""
    import pysequoia

    asked: list[str] = []

    def store(ids: list[str]) -> list[Any]:
        asked.extend(ids)
        return certificates

    try:
        made = pysequoia.verify(text + b"\n", store=store)
    except Exception:  # noqa: BLE001 - whatever a library says of foreign bytes, it is not verified
        made = None
    if made is not None and made.bytes and made.valid_sigs:
        return made.bytes, made.valid_sigs[0].signing_key
    named = next((key for key in asked if any(_is(key, one) for held in certificates for one in _keys(held))), "")
    if named:
        # Why the library holds it for nothing: a key that may not sign any more, or another text.
        _current(certificates, named, chart, now)
        raise ChartUnverified(
            f"the signature on the provenance of {chart} does not hold: it is of another text, or of a kind that is "
            "not safe any more",
            hint=_SIGN,
        )
    if asked:
        raise ChartUnverified(
            f"the provenance of {chart} is signed by the key {asked[0].upper()}, which is not in the keyring",
            hint="put the key into the keyring, if you trust it: gpg --export --armor <key>",
        )
    raise ChartUnverified(f"the signature on the provenance of {chart} can't be read", hint=_SIGN)


def _current(certificates: list[Any], key: str, chart: str, now: datetime) -> float:
    """When the key ends, in seconds since 1970; 0 where it does not. Raises where it may not sign now."""
    certificate = next(held for held in certificates if any(_is(key, one) for one in _keys(held)))
    name, fresh = key.upper(), "sign the chart anew, with a key that is good now"
    try:
        revoked, ends = certificate.is_revoked, [certificate.expiration]
    except Exception:  # noqa: BLE001 - a certificate without a valid signature of its own is none
        raise ChartUnverified(f"the key {name} that signed {chart} is not valid", hint=fresh) from None
    own = next(packets for one, packets in _keys(certificate).items() if _is(key, one))
    kinds = [str(one.signature_type).rpartition(".")[2] for one in own]
    users = [one for one in certificate.user_ids if str(one)]
    if revoked or "SubkeyRevocation" in kinds or "KeyRevocation" in kinds or (_names(certificate) and not users):
        raise ChartUnverified(f"the key {name} that signed {chart} is revoked", hint=fresh)
    bound = [one for one, kind in zip(own, kinds, strict=True) if kind == "SubkeyBinding" and one.signature_created]
    if bound:
        newest = max(bound, key=lambda one: one.signature_created)
        made = next(one.key_created for one in _packets(certificate) if one.fingerprint and _is(key, one.fingerprint))
        ends.append(made + newest.key_validity_period if made and newest.key_validity_period else None)
        ends.append(newest.signature_expiration_time)
    left = [end for end in ends if end is not None]
    if left and min(left) <= now:
        raise ChartUnverified(
            f"the key {name} that signed {chart} expired on {min(left):%Y-%m-%d}",
            hint="put the key with its new date into the keyring, or " + fresh,
        )
    return min(left).timestamp() if left else 0.0


def _check(said: bytes, claim: Claim, chart: str) -> None:
    """Whether what is signed is the claim."""
    about, mark, sums = said.partition(b"\n...\n")
    try:
        first, second = (read(part, "the provenance", _BUDGET) for part in (about, sums.partition(b"\n...\n")[0]))
        described: Any = first[0].value if mark and first else None
        files: Any = second[0].value["files"] if second else None
        signed = {str(name): str(digest) for name, digest in files.items()}
        named, version = str(described["name"]), str(described["version"])
    except (DocumentError, LookupError, TypeError, AttributeError):
        raise ChartUnverified(f"the provenance of {chart} says nothing of a chart and its files", hint=_SIGN) from None
    if (named, version) != (claim.name, claim.version):
        raise ChartUnverified(
            f"the provenance of {chart} is that of {named[:80]} {version[:80]}",
            hint="who serves it gives another chart out for this one: ask who runs it",
        )
    digest = signed.get(claim.file)
    if digest is None:
        there = ", ".join(sorted(signed)[:3])[:200]
        raise ChartUnverified(
            f"the provenance of {chart} says nothing of the file {claim.file}",
            hint=f"it is about {there}: serve the archive by the name that it was signed with" if there else _SIGN,
        )
    if digest != f"sha256:{claim.digest}":
        raise ChartUnverified(
            f"the archive of {chart} is not the one that was signed",
            hint=f"signed is {digest[:19]}..., and it has sha256:{claim.digest[:12]}...: ask who runs the repository",
        )


# --- keyrings -------------------------------------------------------------------------------------------------------


def _certificates(ring: bytes) -> Iterator[Any]:
    """The keys of a keyring: packets as ``gpg --export`` writes them, armored blocks, or GnuPG's ``pubring.kbx``."""
    import pysequoia

    blocks = list(_armored(ring)) if ring.strip().startswith(b"-----BEGIN PGP") else [ring]
    if ring[8:12] == b"KBXf":
        blocks = list(_keybox(ring))
    for block in blocks:
        try:
            yield from pysequoia.Cert.split_bytes(block)
        except Exception:  # noqa: BLE001 - whatever the library says of it, it is no keyring
            raise ChartUnverified(
                "the keyring can't be read", hint="gpg --export --armor <key> writes what belongs into it"
            ) from None


def _armored(ring: bytes) -> Iterator[bytes]:
    """The blocks of text in a keyring, each with its first and last line; what has no end is passed over."""
    at = 0
    endless: set[bytes] = set()
    while (begin := _ARMOR.search(ring, at)) is not None:
        last, at = b"-----END PGP " + begin[1] + b"-----", begin.end()
        end = ring.find(last, at) if last not in endless else -1
        if end < 0:
            endless.add(last)
            continue
        at = end + len(last)
        yield ring[begin.start() : at]


def _keybox(ring: bytes) -> Iterator[bytes]:
    """The OpenPGP keys in a keybox: blobs with their length in front, of which those of type 2 hold one."""
    at = 0
    while len(ring) - at >= 16:
        length = int.from_bytes(ring[at : at + 4], "big")
        blob = ring[at : at + length]
        if length < 5 or len(blob) < length:
            break
        ephemeral = int.from_bytes(blob[6:8], "big") & 2
        if blob[4] == 2 and not ephemeral:
            start, size = int.from_bytes(blob[8:12], "big"), int.from_bytes(blob[12:16], "big")
            yield blob[start : start + size]
        at += length


def _packets(certificate: Any) -> list[Any]:
    from pysequoia.packet import PacketPile

    return list(PacketPile.from_bytes(bytes(certificate)))


def _keys(certificate: Any) -> dict[str, list[Any]]:
    """Each key by its fingerprint, with the signatures that follow it."""
    found: dict[str, list[Any]] = {}
    now: list[Any] = []
    for packet in _packets(certificate):
        kind = str(packet.tag).rpartition(".")[2]
        if kind in ("PublicKey", "PublicSubkey", "SecretKey", "SecretSubkey"):
            now = found.setdefault(packet.fingerprint, [])
        elif kind == "Signature":
            now.append(packet)
        else:
            now = []
    return found


def _names(certificate: Any) -> bool:
    return any(str(packet.tag).endswith(".UserID") for packet in _packets(certificate))


def _is(key: str, fingerprint: str) -> bool:
    """Whether a fingerprint, or the id of a key, is that of this key."""
    wanted, held = key.lower(), fingerprint.lower()
    return wanted == held or (len(wanted) == 16 and (held.endswith(wanted) or held.startswith(wanted)))


def main() -> int:
    """Reads the job from the input and writes the verdict."""
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    try:
        verdict = judged(job)
    except ChartUnverified as error:
        verdict = Verdict(what=error.what, hint=error.hint)
    sys.stdout.buffer.write(msgspec.msgpack.encode(verdict))
    return 0


if __name__ == "__main__":
    sys.exit(main())
