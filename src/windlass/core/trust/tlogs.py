"""Entries of transparency logs: that a log of the root has one, when it took it, and that it is about this signature.

    promise   the log signed, at the time that it names, that it takes the entry: a proof of time (Rekor v1)
    proof     the path in the log's Merkle tree up to a root that the log signed (a checkpoint); no proof of time
    record    what the entry says: the digest, the signature and the certificate have to be just these

Sources: RFC 6962 (2.1), C2SP's signed notes and checkpoints, Rekor's types hashedrekord 0.0.1 and 0.0.2, dsse 0.0.1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from windlass.core.trust.roots import Log
from windlass.core.trust.signed import envelope, fitting_hash, is_signed

NOT_LOGGED = "no transparency log that is trusted has it"
NOT_PROMISED = "its entry in the transparency log is not what the log signed"
NOT_INCLUDED = "the transparency log's proof does not hold for its entry"
ABOUT_ELSE = "its entry in the transparency log is about something else"
MOST_HASHES = 64
Number = int | str


class _LogId(msgspec.Struct, rename="camel"):
    key_id: bytes = b""


class _Kind(msgspec.Struct):
    kind: str = ""
    version: str = ""


class _Promise(msgspec.Struct, rename="camel"):
    signed_entry_timestamp: bytes = b""


class _Checkpoint(msgspec.Struct):
    envelope: str = ""


class Proof(msgspec.Struct, rename="camel"):
    """The way from an entry to the tree's root."""

    checkpoint: _Checkpoint
    log_index: Number = 0
    root_hash: bytes = b""
    tree_size: Number = 0
    hashes: list[bytes] = []


class Entry(msgspec.Struct, rename="camel"):
    """An entry as bundles have it (TransparencyLogEntry of Sigstore's protobuf-specs, in JSON)."""

    log_id: _LogId
    kind_version: _Kind
    canonicalized_body: bytes = b""
    log_index: Number = 0
    integrated_time: Number = 0
    inclusion_promise: _Promise | None = None
    inclusion_proof: Proof | None = None

    @property
    def kind(self) -> tuple[str, str]:
        return self.kind_version.kind, self.kind_version.version


class _Payload(msgspec.Struct):
    body: bytes
    integrated_time: int = msgspec.field(name="integratedTime")
    log_index: int = msgspec.field(name="logIndex")
    log_id: str = msgspec.field(name="logID")


class _Kept(msgspec.Struct, rename="pascal"):
    signed_entry_timestamp: bytes
    payload: _Payload


def read_kept(data: bytes) -> Entry:
    """The entry that cosign keeps in an annotation beside its older signatures. Raises UNREADABLE and ValueError."""
    kept = msgspec.json.decode(data, type=_Kept)
    return Entry(
        log_id=_LogId(bytes.fromhex(kept.payload.log_id)),
        kind_version=_Kind("hashedrekord", "0.0.1"),
        canonicalized_body=kept.payload.body,
        log_index=kept.payload.log_index,
        integrated_time=kept.payload.integrated_time,
        inclusion_promise=_Promise(kept.signed_entry_timestamp),
    )


def number(given: Number) -> int:
    """A number of 64 bits, which protobuf's JSON writes as text. Raises ValueError."""
    if isinstance(given, str):
        if not (given.isascii() and given.isdecimal() and len(given) <= 19):
            raise ValueError("not a number")
        given = int(given)
    if not 0 <= given < 1 << 63:
        raise ValueError("not a number of 64 bits")
    return given


def when_promised(entry: Entry, log: Log) -> datetime | str:
    """When the log took the entry, by its own signature; else why that is not shown. Raises ValueError."""
    promise = entry.inclusion_promise
    seconds = number(entry.integrated_time)
    if promise is None or not seconds:
        return NOT_PROMISED
    signed = msgspec.json.encode(
        {
            "body": base64.b64encode(entry.canonicalized_body).decode(),
            "integratedTime": seconds,
            "logID": entry.log_id.key_id.hex(),
            "logIndex": number(entry.log_index),
        }
    )
    if not is_signed(log.key, promise.signed_entry_timestamp, signed, fitting=True):
        return NOT_PROMISED
    try:
        when = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError):
        return NOT_PROMISED
    return when if log.period.covers(when) else NOT_LOGGED


def is_included(entry: Entry, log: Log) -> bool:
    """Whether the entry is in the tree whose root the log signed. Raises ValueError."""
    proof = entry.inclusion_proof
    if proof is None or len(proof.hashes) > MOST_HASHES:
        return False
    index, size = number(proof.log_index), number(proof.tree_size)
    if not index < size or any(len(one) != 32 for one in (proof.root_hash, *proof.hashes)):
        return False
    if _root(entry.canonicalized_body, index, size, proof.hashes) != proof.root_hash:
        return False
    return _signed_root(proof.checkpoint.envelope, log, named=not number(entry.integrated_time)) == (
        size,
        proof.root_hash,
    )


def _root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The tree's root by an audit path; None for a path of another length than this leaf has (RFC 9162, 2.1.3.2)."""
    found = hashlib.sha256(b"\x00" + leaf).digest()
    last = size - 1
    for one in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            found = hashlib.sha256(b"\x01" + one + found).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + one).digest()
        index, last = index >> 1, last >> 1
    return found if last == 0 else None


def _signed_root(note: str, log: Log, *, named: bool) -> tuple[int, bytes] | None:
    """Size and root of a checkpoint that the log signed. ``named``: the signature bears the log's name too."""
    text, blank, signatures = note.partition("\n\n")
    lines = text.split("\n")
    if not blank or len(lines) < 3 or not lines[0]:
        return None
    for line in signatures.split("\n")[:16]:
        dash, name, coded = (*line.split(" "), "", "", "")[:3]
        if dash != "\u2014":
            continue
        try:
            signature = base64.b64decode(coded, validate=True)
            root = base64.b64decode(lines[2], validate=True)
        except binascii.Error:
            return None
        # The first four bytes only hint at the key: which one counts is what the entry's log says.
        if signature[:4] != log.id[:4] or (named and name != log.name):
            continue
        if is_signed(log.key, signature[4:], f"{text}\n".encode(), fitting=True):
            return number(lines[1]), root
    return None


def is_record_of(entry: Entry, leaf: x509.Certificate, signature: bytes, kind: str, payload: bytes) -> bool:
    """Whether the entry says that this certificate made this signature. ``kind`` is that of an envelope's payload; ""
    is a payload that was signed as it is. Raises UNREADABLE, ValueError, KeyError and TypeError."""
    read = msgspec.json.decode(entry.canonicalized_body, type=dict[str, Any])
    said = (str(read["kind"]), str(read["apiVersion"]))
    if said != entry.kind:
        return False
    spec = read["spec"]
    if said == ("hashedrekord", "0.0.1") and not kind:
        return (
            _is_digest(spec["data"]["hash"], payload)
            and _bytes(spec["signature"]["content"]) == signature
            and _is_leaf(spec["signature"]["publicKey"]["content"], leaf)
        )
    if said == ("dsse", "0.0.1") and kind:
        (one,) = spec["signatures"]
        return (
            _is_digest(spec["payloadHash"], payload)
            and _bytes(one["signature"]) == signature
            and _is_leaf(one["verifier"], leaf)
        )
    if said == ("hashedrekord", "0.0.2") and kind:
        spec = spec["hashedRekordV002"]
        verifier = spec["signature"]["verifier"]
        name, details = _fitting(leaf)
        digest = hashes.Hash(fitting_hash(leaf.public_key()))
        digest.update(envelope(kind, payload))
        return (
            spec["data"]["algorithm"] == name
            and _bytes(spec["data"]["digest"]) == digest.finalize()
            and _bytes(spec["signature"]["content"]) == signature
            and _bytes(verifier["x509Certificate"]["rawBytes"]) == _der(leaf)
            and verifier["keyDetails"] == details
        )
    return False


def _fitting(leaf: x509.Certificate) -> tuple[str, str]:
    """How Sigstore names the hash and the kind of a certificate's key. Raises ValueError for a kind that it does not
    sign records by digest with."""
    key = leaf.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        bits = {256: 256, 384: 384, 521: 512}[key.curve.key_size]
        return f"SHA2_{bits}", f"PKIX_ECDSA_P{key.curve.key_size}_SHA_{bits}"
    if isinstance(key, rsa.RSAPublicKey):
        return "SHA2_256", f"PKIX_RSA_PKCS1V15_{key.key_size}_SHA256"
    raise ValueError("not a key for records by digest")


def _is_digest(hash_: Any, payload: bytes) -> bool:
    return bool(hash_["algorithm"] == "sha256" and hash_["value"] == hashlib.sha256(payload).hexdigest())


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not a text")
    return base64.b64decode(text, validate=True)


def _der(leaf: x509.Certificate) -> bytes:
    return leaf.public_bytes(serialization.Encoding.DER)


def _is_leaf(text: Any, leaf: x509.Certificate) -> bool:
    return _der(x509.load_pem_x509_certificate(_bytes(text))) == _der(leaf)
