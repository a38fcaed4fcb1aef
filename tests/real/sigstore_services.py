"""A private Sigstore as cosign signs by it: Fulcio, Rekor of both versions and a timestamp authority, over HTTP.

Each does the least that a signer needs, for whoever asks: it believes any identity token. What it signs with is
`tests/unit/trust/private_sigstore.py`'s.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from unit.trust.private_sigstore import (
    Leaf,
    PrivateSigstore,
    b64,
    canonical,
    dsse_record,
    leaf_hash,
    pem_of,
)


def token(identity: str, issuer: str) -> str:
    """An identity token without a signature: cosign only reads whose it is."""
    claims = {"sub": identity, "email": identity, "email_verified": True, "iss": issuer, "aud": "sigstore"}
    claims |= {"exp": 4102444800, "iat": 1}
    head, body = ({"alg": "RS256", "typ": "JWT"}, claims)
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (head, body)]
    return ".".join([*parts, "c2ln"])


class Services:
    """The application; ``sigstore`` does the signing, at its own ``now``."""

    def __init__(self, sigstore: PrivateSigstore) -> None:
        self.sigstore = sigstore
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/api/v2/signingCert", self.certificate),
                web.post("/api/v1/log/entries", self.entry),
                web.post("/api/v2/log/entries", self.tile_entry),
                web.post("/stamp", self.stamp),
            ]
        )

    async def certificate(self, request: web.Request) -> web.Response:
        asked = await request.json()
        body = request.headers["Authorization"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        key = serialization.load_pem_public_key(asked["publicKeyRequest"]["publicKey"]["content"].encode())
        made = self.sigstore.leaf(claims["sub"], claims["iss"], key=_Public(key)).certificate
        chain = [pem_of(one).decode() for one in (made, self.sigstore.mid, self.sigstore.top)]
        return web.json_response({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})

    async def entry(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked["kind"] == "dsse":
            content = asked["spec"]["proposedContent"]
            envelope = json.loads(content["envelope"])
            certificate = x509.load_pem_x509_certificate(base64.b64decode(content["verifiers"][0]))
            signature = base64.b64decode(envelope["signatures"][0]["sig"])
            body = dsse_record(Leaf(None, certificate), signature, base64.b64decode(envelope["payload"]))
        else:
            body = canonical(asked)
        made = self.sigstore.entry(body)
        proof = made["inclusionProof"]
        answer = {
            "body": b64(body),
            "integratedTime": int(made["integratedTime"]),
            "logID": self.sigstore.log_id.hex(),
            "logIndex": int(made["logIndex"]),
            "verification": {
                "signedEntryTimestamp": made["inclusionPromise"]["signedEntryTimestamp"],
                "inclusionProof": {
                    "checkpoint": proof["checkpoint"]["envelope"],
                    "hashes": [base64.b64decode(one).hex() for one in proof["hashes"]],
                    "logIndex": int(proof["logIndex"]),
                    "rootHash": base64.b64decode(proof["rootHash"]).hex(),
                    "treeSize": int(proof["treeSize"]),
                },
            },
        }
        name = leaf_hash(body).hex()
        return web.json_response({name: answer}, status=201, headers={"ETag": name})

    async def tile_entry(self, request: web.Request) -> web.Response:
        asked = (await request.json())["hashedRekordRequestV002"]
        data = {"algorithm": "SHA2_256", "digest": asked["digest"]}
        record: dict[str, Any] = {"data": data, "signature": asked["signature"]}
        body = {"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": record}}
        return web.json_response(self.sigstore.entry(canonical(body), tiles=True), status=201)

    async def stamp(self, request: web.Request) -> web.Response:
        # A query is a version, an imprint (algorithm and digest) and what is optional: the digest is an octet string.
        asked = await request.read()
        place = asked.index(b"\x04\x20") + 2
        stamp = self.sigstore.stamp(b"", imprint=asked[place : place + hashlib.sha256().digest_size])
        return web.Response(body=stamp, status=201, content_type="application/timestamp-reply")


class _Public:
    """A key of which only the public half is known, where a certificate for it is made."""

    def __init__(self, key: Any) -> None:
        self._key = key

    def public_key(self) -> Any:
        return self._key
