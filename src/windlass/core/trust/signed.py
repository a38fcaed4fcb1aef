"""Whether a key made a signature of some bytes: the kinds of keys that Sigstore signs with, and DSSE's envelope."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

Key = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
LEAST_RSA = 2048


def is_signed(key: PublicKeyTypes, signature: bytes, data: bytes, *, fitting: bool = False) -> bool:
    """By SHA-256, or with ``fitting`` by the hash that Sigstore pairs with the key's curve. A key of another kind, or
    an RSA key that is too short, signed nothing."""
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(fitting_hash(key) if fitting else hashes.SHA256()))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA:
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def fitting_hash(key: PublicKeyTypes) -> hashes.HashAlgorithm:
    """By the curve's size, as Sigstore pairs them."""
    size = key.curve.key_size if isinstance(key, ec.EllipticCurvePublicKey) else 256
    return {384: hashes.SHA384(), 521: hashes.SHA512()}.get(size, hashes.SHA256())


def envelope(kind: str, payload: bytes) -> bytes:
    """What a DSSE signature is made over."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)
