"""Parsers of keyless signatures: bundles, certificates, timestamps, roots of trust, as people and registries give them.

Each is a function of bytes, as in `targets.py`, which names them all. The seeds are good signatures of one image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from unit.trust.private_sigstore import PrivateSigstore, der_of
from windlass.core.trust import certificates, clocks, keyless, roots
from windlass.errors import WindlassError

PRIVATE = PrivateSigstore(datetime(2026, 1, 1, tzinfo=UTC))
ROOT = roots.read_root(PRIVATE.trusted_root())
SIGNED = "sha256:" + "0" * 64
ASKED = "sha256:" + "1" * 64
"""Of another image than the seeds are: nothing that is made of them may be good for it."""
ANYBODY = keyless.Signers(issuer_pattern=".*", identity_pattern=".*")


def trusted_root(data: bytes) -> None:
    roots.read_root(data)


def keyless_bundle(data: bytes) -> None:
    assert keyless.verify_keyless_bundle(data, ASKED, ROOT, ANYBODY).why


def keyless_simple(data: bytes) -> None:
    payload, signature, certificate, entry, *_ = (*data.split(b"\0"), b"", b"", b"")
    assert keyless.verify_keyless_simple(payload, signature, certificate, entry, ASKED, ROOT, ANYBODY).why


def certificate(data: bytes) -> None:
    """What a certificate says, read as the verification does."""
    try:
        leaf = x509.load_der_x509_certificate(data)
        certificates.signs_code(leaf)
        certificates.chain_of(leaf, ROOT.authorities, PRIVATE.now)
        certificates.is_logged(leaf, PRIVATE.mid, ROOT.certificate_logs)
        certificates.signer_of(leaf)
    except roots.BROKEN:
        return


def timestamp(data: bytes) -> None:
    assert clocks.times_of([data], b"x", ROOT.clocks) == []


SEEDS: Mapping[str, Sequence[bytes]] = {
    "trusted root": [PRIVATE.trusted_root()],
    "keyless bundle": [json.dumps(PRIVATE.bundle(SIGNED, tiles=tiles)).encode() for tiles in (False, True)],
    "keyless simple": [b"\0".join(PRIVATE.simple(SIGNED).values())],
    "certificate": [der_of(PRIVATE.leaf().certificate)],
    "timestamp": [PRIVATE.stamp(b"y")],
}
TARGETS: Mapping[str, tuple[Any, tuple[type[Exception], ...]]] = {
    "trusted root": (trusted_root, (WindlassError,)),
    "keyless bundle": (keyless_bundle, ()),
    "keyless simple": (keyless_simple, ()),
    "certificate": (certificate, ()),
    "timestamp": (timestamp, ()),
}
