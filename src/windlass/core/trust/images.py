"""Signatures of images as cosign makes them with a key, in both of its forms.

    simple   a payload that names the digest, signed as it is
    bundle   a bundle of Sigstore: an envelope (DSSE) around a statement (in-toto) whose subject is the digest

The digest that was asked about has to be the one that the signed text names: a good signature of another image is none
of this one. Certificates (keyless signing) are ``keyless``'s: a bundle that brings one and no key is refused here.
Sources: the Simple Signing format, the DSSE protocol (v1), the Sigstore bundle (v0.3).
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, ClassVar

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from windlass.core.model.foreign import UNREADABLE
from windlass.core.trust.signed import LEAST_RSA, Key, envelope, is_signed
from windlass.errors import NeedsHuman

STATEMENT = "application/vnd.in-toto+json"
PREDICATE = "https://sigstore.dev/cosign/sign/v1"
SIMPLE = "cosign container image signature"
_END = b"-----END PUBLIC KEY-----"


class BadKey(NeedsHuman):
    """A key that signatures are to be held against can't be read."""

    slug: ClassVar[str] = "bad-key"
    reason: ClassVar[str] = "BadKey"


def read_keys(pem: bytes) -> list[Key]:
    """The public keys of a PEM file: ECDSA, Ed25519, RSA from 2048 bits on. Raises BadKey, also where there is none."""
    parts = [part + _END for part in pem.split(_END)[:-1]]
    keys: list[Key] = []
    for part in parts:
        try:
            key = serialization.load_pem_public_key(part.strip())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _bad_key("can't be read") from error
        if not isinstance(key, Key):
            raise _bad_key("is of a kind that cosign does not sign with")
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < LEAST_RSA:
            raise _bad_key(f"has {key.key_size} bits, and {LEAST_RSA} are the least")
        keys.append(key)
    if not keys:
        raise _bad_key("is not there")
    return keys


def _bad_key(what: str) -> BadKey:
    return BadKey(f"the public key {what}", hint="it begins with -----BEGIN PUBLIC KEY-----: cosign.pub is one")


def verify_simple(payload: bytes, signature: bytes, digest: str, keys: list[Key]) -> str:
    """ "" where one of the keys made this signature of this digest, else why it is none."""
    if not any(is_signed(key, signature, payload, fitting=True) for key in keys):
        return "no key that is trusted made it"
    return names_image(payload, digest)


def names_image(payload: bytes, digest: str) -> str:
    """ "" where a payload of Simple Signing is about this image, else what it is."""
    try:
        critical = msgspec.json.decode(payload, type=dict[str, Any])["critical"]
        named, kind = critical["image"]["docker-manifest-digest"], critical["type"]
    except (*UNREADABLE, KeyError, TypeError):
        return "what it signs can't be read"
    if kind != SIMPLE:
        return "it signs something else than an image"
    return "" if named == digest else "it is of another image"


def verify_bundle(bundle: bytes, digest: str, keys: list[Key]) -> str:
    """ "" where one of the keys made this bundle for this digest, else why it is none."""
    try:
        read = msgspec.json.decode(bundle, type=dict[str, Any])
        sealed = read["dsseEnvelope"]
        kind = str(sealed["payloadType"])
        payload = base64.b64decode(sealed["payload"], validate=True)
        signatures = [base64.b64decode(one["sig"], validate=True) for one in sealed["signatures"]]
        by_key = "publicKey" in (read.get("verificationMaterial") or {})
    except (*UNREADABLE, KeyError, TypeError, ValueError, binascii.Error):
        return "it can't be read"
    if not by_key:
        return "it was made without a key, by a certificate"
    signed = envelope(kind, payload)
    if not any(is_signed(key, one, signed, fitting=True) for key in keys for one in signatures[:8]):
        return "no key that is trusted made it"
    return states_image(kind, payload, digest)


def states_image(kind: str, payload: bytes, digest: str) -> str:
    """ "" where a statement is about this image, else what it is."""
    try:
        statement = msgspec.json.decode(payload, type=dict[str, Any])
        predicate = statement["predicateType"]
        algorithm, _, hexadecimal = digest.partition(":")
        named = [one["digest"].get(algorithm) for one in statement["subject"]]
    except (*UNREADABLE, KeyError, TypeError, AttributeError):
        return "what it signs can't be read"
    if kind != STATEMENT or predicate != PREDICATE:
        return "it says something else than that the image is signed"
    return "" if hexadecimal and hexadecimal in named else "it is of another image"
