"""Certificates of keyless signing: that an authority issued them, that a log has them, and for whom.

    chain     up to an authority of the root, all valid at the time of signing, for signing of code
    promise   a certificate transparency log of the root signed that it has it (SCT, RFC 6962), inside the certificate
    names     one person or workflow (the alternative name), and who vouched for him (the OIDC issuer)

Sources: RFC 5280, RFC 6962, Fulcio's list of extensions (1.3.6.1.4.1.57264.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.certificate_transparency import LogEntryType, SignedCertificateTimestamp
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError
from typing_extensions import override

from windlass.core.trust.roots import BROKEN, Authority, Log
from windlass.core.trust.signed import is_signed

ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
ISSUER_OLD = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
LONGEST_NAME = 2048
MOST_PROMISES = 16
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - SCTs are told without a zone, in UTC


class Signer(NamedTuple):
    """Whom a certificate was issued for. ``identity`` is an address or URI; ``issuer`` is who vouched for it."""

    identity: str
    issuer: str

    @override
    def __str__(self) -> str:
        return f"{self.identity} ({self.issuer})"


def chain_of(leaf: x509.Certificate, authorities: Sequence[Authority], when: datetime) -> list[x509.Certificate]:
    """From the certificate to an authority that is trusted at this time; empty where there is no such way."""
    anything = (x509.ExtendedKeyUsage, Criticality.AGNOSTIC, None)
    for authority in authorities:
        if not authority.period.covers(when):
            continue
        try:
            verifier = (
                PolicyBuilder()
                .store(Store([authority.certificates[-1]]))
                .time(when.astimezone(UTC).replace(tzinfo=None))
                .max_chain_depth(8)
                # The defaults want what web servers' clients have. What a signer's has is looked at by ``signs_code``.
                .extension_policies(
                    ca_policy=ExtensionPolicy.webpki_defaults_ca().may_be_present(*anything),
                    ee_policy=ExtensionPolicy.webpki_defaults_ee().may_be_present(*anything),
                )
                .build_client_verifier()
            )
            return list(verifier.verify(leaf, list(authority.certificates[:-1])).chain)
        except (VerificationError, *BROKEN):
            continue
    return []


def is_valid(leaf: x509.Certificate, when: datetime) -> bool:
    return leaf.not_valid_before_utc <= when <= leaf.not_valid_after_utc


def signs_code(leaf: x509.Certificate) -> bool:
    """Whether it was issued for signing code. Raises BROKEN."""
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return usage.digital_signature and ExtendedKeyUsageOID.CODE_SIGNING in purposes


def is_logged(leaf: x509.Certificate, issuer: x509.Certificate, logs: Sequence[Log]) -> bool:
    """Whether a log of the root promised, inside the certificate, to have it. Raises BROKEN."""
    promises = leaf.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
    for promise in list(promises)[:MOST_PROMISES]:
        signed = _promised(promise, leaf, issuer)
        made = promise.timestamp.replace(tzinfo=UTC)
        for log in logs:
            if log.id == promise.log_id and log.period.covers(made) and is_signed(log.key, promise.signature, signed):
                return True
    return False


def _promised(promise: SignedCertificateTimestamp, leaf: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """What the log signed: the time, the issuer's key, and the certificate without the promise itself."""
    if promise.entry_type is not LogEntryType.PRE_CERTIFICATE:
        raise ValueError("a promise inside a certificate is about the one without it")
    if not isinstance(promise.signature_hash_algorithm, hashes.SHA256):
        raise ValueError("logs sign with SHA-256")
    key = issuer.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    body = leaf.tbs_precertificate_bytes
    extensions = promise.extension_bytes
    return b"".join(
        (
            b"\x00\x00",  # version 1, a certificate's timestamp
            ((promise.timestamp - _EPOCH) // timedelta(milliseconds=1)).to_bytes(8, "big"),
            b"\x00\x01",  # of a precertificate
            hashlib.sha256(key).digest(),
            len(body).to_bytes(3, "big"),
            body,
            len(extensions).to_bytes(2, "big"),
            extensions,
        )
    )


def signer_of(leaf: x509.Certificate) -> Signer:
    """Whom it names. Raises BROKEN, also where it names several or none."""
    names = list(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    if len(names) != 1 or not isinstance(names[0], x509.RFC822Name | x509.UniformResourceIdentifier):
        raise ValueError("one address or URI is what a signer has")
    told = set()
    for extension in leaf.extensions:
        if extension.oid == ISSUER:
            told.add(_text(extension.value.public_bytes()))
        elif extension.oid == ISSUER_OLD:
            told.add(extension.value.public_bytes().decode())
    identity = names[0].value
    # They go into commit messages and onto terminals: no name of a person or a workflow has control characters.
    if len(told) != 1 or not all(0 < len(one) <= LONGEST_NAME and one.isprintable() for one in (identity, *told)):
        raise ValueError("one issuer vouches for a signer")
    return Signer(identity, told.pop())


def _text(der: bytes) -> str:
    """A UTF8String of DER, and nothing behind it."""
    if len(der) < 2 or der[0] != 0x0C:
        raise ValueError("not a text")
    size, start = der[1], 2
    if size & 0x80:
        count = size & 0x7F
        if not 0 < count <= 2 or der[2] == 0:
            raise ValueError("not a length")
        size, start = int.from_bytes(der[2 : 2 + count], "big"), 2 + count
    if len(der) != start + size:
        raise ValueError("not one text")
    return der[start:].decode()
