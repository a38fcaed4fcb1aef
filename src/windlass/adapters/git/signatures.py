"""SSH signatures of commits, as Git and ``ssh-keygen -Y`` make and check them: in process, no agent and no program.

``write.py`` signs with the key that a Repository names; ``windlass ledger verify`` checks. Private keys come from
Secrets: they are never printed, and a key with a passphrase is refused, for nobody is there to type it. Whether a key
is one that may sign is the caller's question.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from typing_extensions import override

from windlass.adapters.git.errors import GitRefused

_MAGIC = b"SSHSIG"
_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_CURVES: dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "nistp256": hashes.SHA256,
    "nistp384": hashes.SHA384,
    "nistp521": hashes.SHA512,
}
GIT = "git"
"""The namespace of Git's signatures: one that was made for something else does not count."""

_Private = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A private key that signs commits. Its text shows the fingerprint of the public half only."""

    key: _Private

    @classmethod
    def read(cls, content: bytes) -> SigningKey:
        """From a private key as OpenSSH writes it. Raises GitRefused (cause "signing-key")."""
        try:
            key = serialization.load_ssh_private_key(content, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise _refused("the signing key can't be read") from None
        if not isinstance(key, ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise _refused("the signing key is of a kind that Git does not sign with")
        return cls(key)

    @property
    def public(self) -> str:
        """The public half, as it stands in an ``allowed_signers`` file: ``ssh-ed25519 AAAA...``."""
        return (
            self.key.public_key()
            .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
            .decode()
        )

    def sign(self, content: bytes) -> str:
        """The armored signature over a commit's content."""
        blob = base64.b64decode(self.public.split()[1])
        signed = _signed(GIT, "sha512", content)
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            algorithm, raw = b"ssh-ed25519", self.key.sign(signed)
        elif isinstance(self.key, rsa.RSAPrivateKey):
            algorithm, raw = b"rsa-sha2-512", self.key.sign(signed, padding.PKCS1v15(), hashes.SHA512())
        else:
            curve = self.public.split()[0].rpartition("-")[2]
            first, second = decode_dss_signature(self.key.sign(signed, ec.ECDSA(_CURVES[curve]())))
            algorithm, raw = b"ecdsa-sha2-" + curve.encode(), _string(_number(first)) + _string(_number(second))
        body = _MAGIC + struct.pack(">I", 1)
        for part in (blob, GIT.encode(), b"", b"sha512", _string(algorithm) + _string(raw)):
            body += _string(part)
        text = base64.b64encode(body).decode()
        lines = [text[start : start + 70] for start in range(0, len(text), 70)]
        return "\n".join([_BEGIN, *lines, _END])

    @override
    def __repr__(self) -> str:
        return f"SigningKey({fingerprint(self.public)})"


def signer(content: bytes, signature: str) -> str:
    """The public key (``ssh-ed25519 AAAA...``) that signed the content; "" where the signature is none of its, or of a
    form that is not known. Raises nothing."""
    body = "".join(line.strip() for line in signature.splitlines() if not line.startswith("-----"))
    if _BEGIN not in signature:
        return ""
    try:
        return _check(base64.b64decode(body, validate=True), content)
    except (binascii.Error, ValueError, KeyError, struct.error, UnsupportedAlgorithm, InvalidSignature):
        return ""


def fingerprint(public: str) -> str:
    """``SHA256:...`` of a public key, as ``ssh-keygen -l`` prints it."""
    digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _check(body: bytes, content: bytes) -> str:
    if not body.startswith(_MAGIC) or struct.unpack(">I", body[6:10]) != (1,):
        raise ValueError("not a signature of version 1")
    blob, rest = _take(body[10:])
    namespace, rest = _take(rest)
    _, rest = _take(rest)
    algorithm, rest = _take(rest)
    made, rest = _take(rest)
    if rest or namespace != GIT.encode():
        raise ValueError("made for something else")
    signed = _signed(GIT, algorithm.decode(), content)
    kind, _ = _take(blob)
    public = kind.decode() + " " + base64.b64encode(blob).decode()
    key = serialization.load_ssh_public_key(public.encode())
    scheme, rest = _take(made)
    raw, rest = _take(rest)
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(raw, signed)
    elif isinstance(key, rsa.RSAPublicKey):
        digest = {b"rsa-sha2-256": hashes.SHA256, b"rsa-sha2-512": hashes.SHA512}[scheme]
        key.verify(raw, signed, padding.PKCS1v15(), digest())
    elif isinstance(key, ec.EllipticCurvePublicKey):
        first, more = _take(raw)
        second, _ = _take(more)
        pair = encode_dss_signature(int.from_bytes(first, "big"), int.from_bytes(second, "big"))
        key.verify(pair, signed, ec.ECDSA(_CURVES[kind.decode().rpartition("-")[2]]()))
    else:
        raise ValueError("a kind of key that does not sign")
    return public


def _signed(namespace: str, algorithm: str, content: bytes) -> bytes:
    digest = _HASHES[algorithm](content).digest()
    return _MAGIC + b"".join(_string(part) for part in (namespace.encode(), b"", algorithm.encode(), digest))


def _string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _take(content: bytes) -> tuple[bytes, bytes]:
    (size,) = struct.unpack(">I", content[:4])
    if size > len(content) - 4:
        raise ValueError("cut off")
    return content[4 : 4 + size], content[4 + size :]


def _number(value: int) -> bytes:
    """SSH's mpint of a positive number."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _refused(what: str) -> GitRefused:
    return GitRefused(
        what, cause="signing-key", hint="put a key without passphrase under identity: ssh-keygen -t ed25519 -N ''"
    )
