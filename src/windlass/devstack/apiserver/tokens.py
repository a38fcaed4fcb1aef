"""Tokens of ServiceAccounts: signed (ES256) by a key of this server's own, and read again.

``subresources.py`` issues them for TokenRequest, ``auth.py`` reads them. It knows no other kind of token; whether the
account still exists is asked by the authenticator.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from windlass.devstack.apiserver import clock

ISSUER = "https://kubernetes.default.svc"
_NUMBER = 32


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token of a ServiceAccount says."""

    namespace: str
    name: str
    uid: str
    audiences: tuple[str, ...]
    expires: float
    id: str


class TokenError(Exception):
    """A token that this server did not make, or that is over."""


class Tokens:
    """Issues and reads tokens. ``address`` is host:port, for the key document's place."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, address: str) -> None:
        self._key = key
        self._address = address
        public = key.public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self._id = _pack(hashlib.sha256(der).digest())
        self._known: dict[str, Claims] = {}

    def issue(
        self, account: dict[str, Any], audiences: tuple[str, ...], seconds: int, bound: dict[str, str] | None
    ) -> tuple[str, float]:
        """A token for a ServiceAccount object, and when it ends (seconds since the epoch)."""
        metadata = account["metadata"]
        now = int(clock.seconds())
        inner: dict[str, Any] = {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
        }
        if bound:
            inner[bound["kind"].lower()] = {"name": bound["name"], "uid": bound.get("uid", "")}
        claims = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": inner,
            "nbf": now,
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        head = _pack(msgspec.json.encode({"alg": "ES256", "kid": self._id}))
        signed = f"{head}.{_pack(msgspec.json.encode(claims))}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_pack(r.to_bytes(_NUMBER, 'big') + s.to_bytes(_NUMBER, 'big'))}", float(now + seconds)

    def read(self, token: str) -> Claims:
        """What a token says. Raises `TokenError` where it is not ours, or over."""
        claims = self._known.get(token)
        if claims is None:
            claims = self._verify(token)
            if len(self._known) > 4096:
                self._known.clear()
            self._known[token] = claims
        if claims.expires < clock.seconds():
            self._known.pop(token, None)
            raise TokenError("token has expired")
        return claims

    def _verify(self, token: str) -> Claims:
        try:
            head, body, signature = token.split(".")
            header = msgspec.json.decode(_unpack(head))
            raw = _unpack(signature)
            if header.get("alg") != "ES256" or len(raw) != 2 * _NUMBER:
                raise TokenError("not signed by this server")
            pair = encode_dss_signature(int.from_bytes(raw[:_NUMBER], "big"), int.from_bytes(raw[_NUMBER:], "big"))
            self._key.public_key().verify(pair, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
            found = msgspec.json.decode(_unpack(body))
            inner = found["kubernetes.io"]
            account = inner["serviceaccount"]
            if found["iss"] != ISSUER:
                raise TokenError("not issued by this server")
            return Claims(
                inner["namespace"],
                account["name"],
                account["uid"],
                tuple(found["aud"]),
                float(found["exp"]),
                found["jti"],
            )
        except (ValueError, KeyError, TypeError, AttributeError, InvalidSignature, msgspec.DecodeError) as error:
            raise TokenError("not a token of this server") from error

    def configuration(self) -> dict[str, Any]:
        """``/.well-known/openid-configuration``."""
        return {
            "issuer": ISSUER,
            "jwks_uri": f"https://{self._address}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def keys(self) -> dict[str, Any]:
        """``/openid/v1/jwks``."""
        numbers = self._key.public_key().public_numbers()
        x, y = (_pack(value.to_bytes(_NUMBER, "big")) for value in (numbers.x, numbers.y))
        return {"keys": [{"use": "sig", "kty": "EC", "kid": self._id, "alg": "ES256", "crv": "P-256", "x": x, "y": y}]}


def _pack(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
