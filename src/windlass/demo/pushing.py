"""A client that pushes images to the devstack's registry, as a pipeline would: over the OCI protocol, signed as cosign
signs with a key.

It makes tiny images (a configuration and one layer) and knows nothing of Windlass.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import aiohttp
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CLAIM = "application/vnd.dev.cosign.simplesigning.v1+json"


class Pusher:
    """Pushes to one repository of one registry, with a signing key of its own."""

    def __init__(self, session: aiohttp.ClientSession, registry: str, repository: str) -> None:
        self._session = session
        self._base = f"http://{registry}/v2/{repository}"
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_key(self) -> str:
        """PEM, as ``cosign.pub`` has it."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    async def push(self, tag: str, *, signed: bool, labels: dict[str, str] | None = None) -> str:
        """An image under a tag. Returns its digest. The signature is there before the tag is."""
        config = json.dumps({"os": "linux", "architecture": "amd64", "config": {"Labels": labels or {}}}).encode()
        layer = tag.encode()
        manifest = manifest_of(await self._blob(config, CONFIG), [await self._blob(layer, LAYER)])
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        if signed:
            await self._sign(digest)
        await self._put(tag, manifest)
        return digest

    async def _sign(self, digest: str) -> None:
        claim = {"image": {"docker-manifest-digest": digest}, "type": "cosign container image signature"}
        payload = json.dumps({"critical": claim}).encode()
        signature = base64.b64encode(self._key.sign(payload, ec.ECDSA(hashes.SHA256()))).decode()
        layer = await self._blob(payload, CLAIM)
        layer["annotations"] = {"dev.cosignproject.cosign/signature": signature}
        await self._put(f"{digest.replace(':', '-')}.sig", manifest_of(await self._blob(b"{}", CONFIG), [layer]))

    async def _blob(self, content: bytes, kind: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        async with self._session.post(f"{self._base}/blobs/uploads/?digest={digest}", data=content) as answer:
            answer.raise_for_status()
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    async def _put(self, reference: str, manifest: bytes) -> None:
        headers = {"Content-Type": MANIFEST}
        async with self._session.put(f"{self._base}/manifests/{reference}", data=manifest, headers=headers) as answer:
            answer.raise_for_status()


def manifest_of(config: dict[str, Any], layers: list[dict[str, Any]]) -> bytes:
    """An image's manifest."""
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}).encode()
