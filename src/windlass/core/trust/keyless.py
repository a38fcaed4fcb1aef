"""Signatures of images without a key: by a certificate of minutes, for a person or workflow that somebody vouches for.

Both forms of cosign: ``bundle`` (a bundle of Sigstore, 0.1 to 0.3, around a statement) and ``simple`` (a payload whose
certificate and log entry are kept beside it). A signature is good where all of this holds, by the root that is given:

    1  a transparency log has just this signature, by this certificate, and every entry beside it holds as well
    2  something signed says when: the log's promise, or a timestamp authority
    3  the certificate is an authority's, valid then, for signing code, and a certificate log has it
    4  it names the person and the issuer that are wanted, and no other
    5  its key made the signature, and what it signed is about the digest that was asked for

Nothing is asked of anybody. What is not understood is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from cryptography import x509

from windlass.core.model.expressions import compile_expression
from windlass.core.model.foreign import UNREADABLE
from windlass.core.trust.certificates import Signer, chain_of, is_logged, is_valid, signer_of, signs_code
from windlass.core.trust.clocks import MOST_STAMPS, times_of
from windlass.core.trust.images import names_image, states_image
from windlass.core.trust.roots import BROKEN, Root
from windlass.core.trust.signed import envelope, is_signed
from windlass.core.trust.tlogs import (
    ABOUT_ELSE,
    NOT_INCLUDED,
    NOT_LOGGED,
    Entry,
    is_included,
    is_record_of,
    read_kept,
    when_promised,
)

UNREAD = "it can't be read"
BY_KEY = "it was made by a key, without a certificate"
NO_TIME = "nothing that is trusted says when it was made"
NOT_ISSUED = "its certificate is of no authority that is trusted"
NOT_VALID = "its certificate was not valid when it was made"
NOT_FOR_CODE = "its certificate is not for signing code"
NOT_PUBLISHED = "no certificate log that is trusted has its certificate"
NO_SIGNER = "its certificate does not name one person or workflow, and one issuer"
NOT_MADE = "the key of its certificate did not make it"
MOST_ENTRIES = 16
_OLD = ("application/vnd.dev.sigstore.bundle+json;version=0.1", "application/vnd.dev.sigstore.bundle+json;version=0.2")
_NEW = ("application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.dev.sigstore.bundle+json;version=0.3")


class Signed(NamedTuple):
    """``why`` is "" for a good signature. ``by`` is whose it is, where the certificate is a trusted authority's."""

    why: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Signers:
    """Whose signatures count: a name or a pattern of RE2 over the whole name, of the signer and of the issuer."""

    issuer: str = ""
    issuer_pattern: str = ""
    identity: str = ""
    identity_pattern: str = ""

    def refuses(self, signer: Signer) -> str:
        """Why this one does not count, "" where he does."""
        if not _is_named(signer.issuer, self.issuer, self.issuer_pattern):
            return (
                f"{signer.identity} signed it, and {signer.issuer} vouches for that, which is not the issuer asked for"
            )
        if not _is_named(signer.identity, self.identity, self.identity_pattern):
            return f"{signer} signed it, who is not the one asked for"
        return ""


def _is_named(name: str, wanted: str, pattern: str) -> bool:
    if not pattern:
        return bool(wanted) and name == wanted
    compiled = compile_expression(pattern)
    return not wanted and compiled is not None and compiled.fullmatch(name) is not None


class _Bytes(msgspec.Struct, rename="camel"):
    raw_bytes: bytes = b""


class _Chain(msgspec.Struct):
    certificates: list[_Bytes] = []


class _Stamp(msgspec.Struct, rename="camel"):
    signed_timestamp: bytes = b""


class _Stamps(msgspec.Struct):
    stamps: list[_Stamp] = msgspec.field(default_factory=list, name="rfc3161Timestamps")


class _Material(msgspec.Struct, rename="camel"):
    certificate: _Bytes | None = None
    chain: _Chain | None = msgspec.field(default=None, name="x509CertificateChain")
    public_key: Any = None
    tlog_entries: list[Entry] = []
    timestamps: _Stamps | None = msgspec.field(default=None, name="timestampVerificationData")


class _Signature(msgspec.Struct):
    sig: bytes = b""


class _Envelope(msgspec.Struct, rename="camel"):
    payload: bytes
    payload_type: str
    signatures: list[_Signature]


class _Bundle(msgspec.Struct, rename="camel"):
    media_type: str
    verification_material: _Material
    envelope: _Envelope | None = msgspec.field(default=None, name="dsseEnvelope")


@dataclass(frozen=True, slots=True)
class _Claim:
    """What is to be shown, of either form. ``kind`` is "" for a payload that was signed as it is."""

    leaf: x509.Certificate
    signature: bytes
    kind: str
    payload: bytes
    entries: Sequence[Entry]
    stamps: Sequence[bytes]

    @property
    def text(self) -> bytes:
        return envelope(self.kind, self.payload) if self.kind else self.payload


def verify_keyless_bundle(bundle: bytes, digest: str, root: Root, signers: Signers) -> Signed:
    """Whether a bundle is a good signature of this digest by one of these signers."""
    try:
        read = msgspec.json.decode(bundle, type=_Bundle)
        material, sealed = read.verification_material, read.envelope
        if read.media_type not in (*_OLD, *_NEW) or sealed is None or len(sealed.signatures) != 1:
            return Signed(UNREAD)
        leaf = material.certificate
        if leaf is None and material.chain is not None and read.media_type in _OLD:
            leaf = material.chain.certificates[0]
        if leaf is None or material.public_key is not None:
            return Signed(BY_KEY if material.public_key is not None else UNREAD)
        claim = _Claim(
            leaf=x509.load_der_x509_certificate(leaf.raw_bytes),
            signature=sealed.signatures[0].sig,
            kind=sealed.payload_type,
            payload=sealed.payload,
            entries=material.tlog_entries,
            stamps=[one.signed_timestamp for one in material.timestamps.stamps] if material.timestamps else [],
        )
        if not claim.kind or any(entry.inclusion_proof is None for entry in claim.entries):
            return Signed(NOT_INCLUDED)
        return _verify(claim, digest, root, signers)
    except (*UNREADABLE, *BROKEN, LookupError):
        return Signed(UNREAD)


def verify_keyless_simple(
    payload: bytes, signature: bytes, certificate: bytes, entry: bytes, digest: str, root: Root, signers: Signers
) -> Signed:
    """Whether a payload is a good signature of this digest by one of these signers. ``certificate`` is PEM and
    ``entry`` JSON, as the annotations beside the payload have them; "" where they are not there."""
    if not certificate:
        return Signed(BY_KEY)
    if not entry:
        return Signed(NOT_LOGGED)
    try:
        leaf = x509.load_pem_x509_certificate(certificate)
        return _verify(_Claim(leaf, signature, "", payload, [read_kept(entry)], []), digest, root, signers)
    except (*UNREADABLE, *BROKEN, LookupError):
        return Signed(UNREAD)


def _verify(claim: _Claim, digest: str, root: Root, signers: Signers) -> Signed:
    """Raises UNREADABLE, BROKEN and LookupError."""
    times = _logged(claim, root)
    if isinstance(times, str):
        return Signed(times)
    times += times_of(claim.stamps, claim.signature, root.clocks)
    if not times:
        return Signed(NO_TIME)
    if not all(is_valid(claim.leaf, when) for when in times):
        return Signed(NOT_VALID)
    chains = [chain_of(claim.leaf, root.authorities, when) for when in times]
    if not all(len(chain) > 1 for chain in chains):
        return Signed(NOT_ISSUED)
    try:
        if not signs_code(claim.leaf):
            return Signed(NOT_FOR_CODE)
    except BROKEN:
        return Signed(NOT_FOR_CODE)
    try:
        if not is_logged(claim.leaf, chains[0][1], root.certificate_logs):
            return Signed(NOT_PUBLISHED)
    except BROKEN:
        return Signed(NOT_PUBLISHED)
    try:
        signer = signer_of(claim.leaf)
    except BROKEN:
        return Signed(NO_SIGNER)
    if why := signers.refuses(signer):
        return Signed(why, str(signer))
    # Of what was signed as it is, cosign makes a SHA-256 whatever the key; an envelope's fits the key.
    if not is_signed(claim.leaf.public_key(), claim.signature, claim.text, fitting=bool(claim.kind)):
        return Signed(NOT_MADE, str(signer))
    about = states_image(claim.kind, claim.payload, digest) if claim.kind else names_image(claim.payload, digest)
    return Signed(about, str(signer))


def _logged(claim: _Claim, root: Root) -> list[datetime] | str:
    """The times that logs signed, where each entry holds and there is one; else why not."""
    if not claim.entries or len(claim.entries) > MOST_ENTRIES or len(claim.stamps) > MOST_STAMPS:
        return NOT_LOGGED
    times: list[datetime] = []
    for entry in claim.entries:
        log = next((one for one in root.logs if one.id == entry.log_id.key_id), None)
        if log is None:
            return NOT_LOGGED
        if entry.inclusion_proof is not None and not is_included(entry, log):
            return NOT_INCLUDED
        if entry.inclusion_promise is not None:
            when = when_promised(entry, log)
            if isinstance(when, str):
                return when
            times.append(when)
        elif entry.inclusion_proof is None:
            return NOT_LOGGED
        try:
            if not is_record_of(entry, claim.leaf, claim.signature, claim.kind, claim.payload):
                return ABOUT_ELSE
        except (*UNREADABLE, *BROKEN, LookupError):
            return ABOUT_ELSE
    return times
