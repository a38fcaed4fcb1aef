"""A Sigstore of one's own: authority, certificate log, transparency logs of both versions and a clock, in memory.

It makes what cosign's keyless signing makes, with any single part of it wrong where a test asks for that. Merkle trees
and DER are written out here, apart from the code under test. Used by the tests of `core/trust`, by the end-to-end
tests, and by those that ask the real `cosign` for its verdict.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

ISSUER = "https://accounts.example.com"
IDENTITY = "https://github.com/acme/shop/.github/workflows/release.yaml@refs/tags/v1.4.2"
SIMPLE_TYPE = "cosign container image signature"
STATEMENT = "application/vnd.in-toto+json"
PREDICATE = "https://sigstore.dev/cosign/sign/v1"
LONG = timedelta(days=3650)
P256 = ec.SECP256R1


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def oid(text: str) -> bytes:
    first, second, *others = map(int, text.split("."))
    body = bytes([first * 40 + second])
    for one in others:
        groups = [one & 0x7F]
        while one := one >> 7:
            groups.insert(0, one & 0x7F | 0x80)
        body += bytes(groups)
    return der(0x06, body)


def integer(value: int) -> bytes:
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def spki(key: Any) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pem_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def sign(private: Any, data: bytes) -> bytes:
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign(data)
    return private.sign(data, ec.ECDSA(hashes.SHA256()))


def pae(kind: str, payload: bytes) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def tree(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1: the root of a Merkle tree, by its definition."""
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + tree(leaves[:half]) + tree(leaves[half:])).digest()


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1: the audit path of one leaf, by its definition."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*path(index, leaves[:half]), tree(leaves[half:])]
    return [*path(index - half, leaves[half:]), tree(leaves[:half])]


def issue(
    name: str,
    key: Any,
    by: tuple[x509.Certificate, Any] | None,
    now: datetime,
    *extensions: tuple[x509.ExtensionType, bool],
    until: datetime | None = None,
    ca: bool = True,
) -> x509.Certificate:
    """A certificate for a key, by an issuer (None: by itself)."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    issuer, issuer_key = (by[0].subject, by[1]) if by else (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(until or now + LONG)
    )
    usage = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
    basics: list[tuple[x509.ExtensionType, bool]] = [
        (usage, True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
    ]
    if ca:
        basics.insert(0, (x509.BasicConstraints(ca=True, path_length=None), True))
    for extension, critical in [*basics, *extensions]:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


@dataclass
class Leaf:
    """A signer's key and certificate."""

    key: Any
    certificate: x509.Certificate


@dataclass
class PrivateSigstore:
    """``now`` is when signatures are made. Everything it signs with is its own and new."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def __post_init__(self) -> None:
        self.start = self.now - timedelta(days=30)
        self.top_key, self.mid_key = ec.generate_private_key(P256()), ec.generate_private_key(P256())
        self.top = issue("acme root", self.top_key, None, self.start)
        signing = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
        self.mid = issue("acme signing", self.mid_key, (self.top, self.top_key), self.start, signing)
        self.ct_key, self.log_key = ec.generate_private_key(P256()), ec.generate_private_key(P256())
        self.tile_key = ed25519.Ed25519PrivateKey.generate()
        self.clock_top_key, self.clock_key = ec.generate_private_key(P256()), ec.generate_private_key(P256())
        self.clock_top = issue("acme clock root", self.clock_top_key, None, self.start)
        stamping = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)
        self.clock = issue(
            "acme clock", self.clock_key, (self.clock_top, self.clock_top_key), self.start, stamping, ca=False
        )
        self.log_id = hashlib.sha256(spki(self.log_key.public_key())).digest()
        self.log_name, self.tile_name = "rekor.acme.example", "tiles.acme.example"
        raw = self.tile_key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.tile_id = hashlib.sha256(self.tile_name.encode() + b"\n\x01" + raw).digest()

    # --- what is trusted ----------------------------------------------------------------------------------------------

    def trusted_root(self, **changes: Any) -> bytes:
        """trusted_root.json; ``changes`` replace its parts."""
        valid = {"start": self.start.isoformat().replace("+00:00", "Z")}

        def log(url: str, key: Any, id_: bytes, details: str) -> dict[str, Any]:
            return {
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {"rawBytes": b64(spki(key.public_key())), "keyDetails": details, "validFor": valid},
                "logId": {"keyId": b64(id_)},
            }

        def authority(*chain: x509.Certificate) -> dict[str, Any]:
            return {
                "subject": {"organization": "acme", "commonName": "acme"},
                "uri": "https://acme.example",
                "certChain": {"certificates": [{"rawBytes": b64(der_of(one))} for one in chain]},
                "validFor": valid,
            }

        ct_id = hashlib.sha256(spki(self.ct_key.public_key())).digest()
        p256 = "PKIX_ECDSA_P256_SHA_256"
        root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                log(f"https://{self.log_name}", self.log_key, self.log_id, p256),
                log(f"https://{self.tile_name}", self.tile_key, self.tile_id, "PKIX_ED25519"),
            ],
            "certificateAuthorities": [authority(self.mid, self.top)],
            "ctlogs": [log("https://ct.acme.example", self.ct_key, ct_id, p256)],
            "timestampAuthorities": [authority(self.clock, self.clock_top)],
        }
        return json.dumps(root | changes).encode()

    # --- certificates -------------------------------------------------------------------------------------------------

    def leaf(
        self,
        identity: str = IDENTITY,
        issuer: str = ISSUER,
        *,
        key: Any = None,
        at: datetime | None = None,
        promise: bool = True,
        ct_key: Any = None,
        promised_for: str = "",
        by: tuple[x509.Certificate, Any] | None = None,
        purpose: ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
        names: list[x509.GeneralName] | None = None,
        old_issuer: str | None = None,
    ) -> Leaf:
        """A certificate of ten minutes, with the log's promise in it."""
        key = key or ec.generate_private_key(P256())
        at = at or self.now - timedelta(minutes=1)
        name: x509.GeneralName = (
            x509.UniformResourceIdentifier(identity) if "://" in identity else x509.RFC822Name(identity)
        )
        old = issuer if old_issuer is None else old_issuer
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.ExtendedKeyUsage([purpose]), False),
            (x509.SubjectAlternativeName(names or [name]), True),
            (x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.57264.1.1"), old.encode()), False),
            (
                x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.57264.1.8"), der(0x0C, issuer.encode())),
                False,
            ),
        ]
        issuing = by or (self.mid, self.mid_key)
        bare = _sign_leaf(key, issuing, at, extensions)
        if not promise:
            return Leaf(key, bare)
        promised = bare
        if promised_for:
            promised = _sign_leaf(key, issuing, at, [*extensions[:1], (_alternative(promised_for), True)])
        listed = self._promise(promised, issuing[0], ct_key or self.ct_key)
        sct = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), der(0x04, listed))
        return Leaf(key, _sign_leaf(key, issuing, at, [*extensions, (sct, False)], bare.serial_number))

    def _promise(self, bare: x509.Certificate, issuer: x509.Certificate, key: Any) -> bytes:
        body = bare.tbs_certificate_bytes
        millis = int(self.now.timestamp() * 1000).to_bytes(8, "big")
        signed = b"\x00\x00" + millis + b"\x00\x01" + hashlib.sha256(spki(issuer.public_key())).digest()
        signed += len(body).to_bytes(3, "big") + body + b"\x00\x00"
        signature = sign(key, signed)
        sct = b"\x00" + hashlib.sha256(spki(self.ct_key.public_key())).digest() + millis + b"\x00\x00\x04\x03"
        sct += len(signature).to_bytes(2, "big") + signature
        return (len(sct) + 2).to_bytes(2, "big") + len(sct).to_bytes(2, "big") + sct

    # --- logs and clocks ----------------------------------------------------------------------------------------------

    def promised(self, body: bytes, at: datetime | None = None, *, index: int = 12345, key: Any = None) -> bytes:
        """The log's signature over an entry, its place and time."""
        said = {
            "body": b64(body),
            "integratedTime": int((at or self.now).timestamp()),
            "logID": self.log_id.hex(),
            "logIndex": index,
        }
        return sign(key or self.log_key, canonical(said))

    def entry(
        self,
        body: bytes,
        *,
        tiles: bool = False,
        at: datetime | None = None,
        size: int = 7,
        place: int = 4,
        promise: bool = True,
        key: Any = None,
    ) -> dict[str, Any]:
        """An entry as bundles have it: in a tree of ``size``, with a proof, and (but for ``tiles``) a promise."""
        leaves = [b"other %d" % number for number in range(size)]
        leaves[place] = body
        name, id_, signing = (
            (self.tile_name, self.tile_id, key or self.tile_key)
            if tiles
            else (self.log_name, self.log_id, key or self.log_key)
        )
        note = f"{name if tiles else f'{name} - 4711'}\n{size}\n{b64(tree(leaves))}\n"
        signature = b64(id_[:4] + sign(signing, note.encode()))
        read = json.loads(body)
        made: dict[str, Any] = {
            "logIndex": str(place if tiles else 12345),
            "logId": {"keyId": b64(id_)},
            "kindVersion": {"kind": read["kind"], "version": read["apiVersion"]},
            "inclusionProof": {
                "logIndex": str(place),
                "rootHash": b64(tree(leaves)),
                "treeSize": str(size),
                "hashes": [b64(one) for one in path(place, leaves)],
                "checkpoint": {"envelope": f"{note}\n\u2014 {name} {signature}\n"},
            },
            "canonicalizedBody": b64(body),
        }
        if not tiles:
            made["integratedTime"] = str(int((at or self.now).timestamp()))
        if not tiles and promise:
            made["inclusionPromise"] = {"signedEntryTimestamp": b64(self.promised(body, at))}
        return made

    def stamp(self, data: bytes, at: datetime | None = None, *, key: Any = None, imprint: bytes = b"") -> bytes:
        """A timestamp (RFC 3161) over these bytes, or over those of which ``imprint`` is the digest."""
        sha256 = der(0x30, oid("2.16.840.1.101.3.4.2.1"))
        content = oid("1.2.840.113549.1.9.16.1.4")
        when = (at or self.now).astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode()
        digest = der(0x30, sha256, der(0x04, imprint or hashlib.sha256(data).digest()))
        info = der(0x30, integer(1), oid("1.3.6.1.4.1.57264.2"), digest, integer(4711), der(0x18, when))
        certificate = der_of(self.clock)
        known = der(0x30, der(0x30, der(0x30, der(0x04, hashlib.sha256(certificate).digest()))))
        attributes = (
            der(0x30, oid("1.2.840.113549.1.9.3"), der(0x31, content)),
            der(0x30, oid("1.2.840.113549.1.9.4"), der(0x31, der(0x04, hashlib.sha256(info).digest()))),
            der(0x30, oid("1.2.840.113549.1.9.16.2.47"), der(0x31, known)),
        )
        body = b"".join(sorted(attributes))
        signer = der(
            0x30,
            integer(1),
            der(0x30, self.clock.issuer.public_bytes(), integer(self.clock.serial_number)),
            sha256,
            der(0xA0, body),
            der(0x30, oid("1.2.840.10045.4.3.2")),
            der(0x04, sign(key or self.clock_key, der(0x31, body))),
        )
        signed = der(
            0x30,
            integer(3),
            der(0x31, sha256),
            der(0x30, content, der(0xA0, der(0x04, info))),
            der(0xA0, certificate),
            der(0x31, signer),
        )
        return der(0x30, der(0x30, integer(0)), der(0x30, oid("1.2.840.113549.1.7.2"), der(0xA0, signed)))

    # --- signatures ---------------------------------------------------------------------------------------------------

    def simple(self, digest: str, leaf: Leaf | None = None, at: datetime | None = None) -> dict[str, bytes]:
        """The older form: payload, signature, certificate and log entry, as cosign keeps them beside an image."""
        leaf = leaf or self.leaf()
        claim = {"identity": {"docker-reference": ""}, "image": {"docker-manifest-digest": digest}, "type": SIMPLE_TYPE}
        payload = json.dumps({"critical": claim, "optional": None}).encode()
        signature = sign(leaf.key, payload)
        body = record(leaf, signature, payload)
        kept = {
            "SignedEntryTimestamp": b64(self.promised(body, at)),
            "Payload": {
                "body": b64(body),
                "integratedTime": int((at or self.now).timestamp()),
                "logIndex": 12345,
                "logID": self.log_id.hex(),
            },
        }
        return {
            "payload": payload,
            "signature": signature,
            "certificate": pem_of(leaf.certificate),
            "entry": json.dumps(kept).encode(),
        }

    def bundle(
        self,
        digest: str,
        leaf: Leaf | None = None,
        *,
        tiles: bool = False,
        at: datetime | None = None,
        stamp: bool | None = None,
        predicate: str = PREDICATE,
        **entry: Any,
    ) -> dict[str, Any]:
        """The newer form: a bundle around a statement. ``tiles``: in the log of version 2, with a timestamp."""
        leaf = leaf or self.leaf()
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": digest.partition(":")[2]}}],
            "predicateType": predicate,
            "predicate": {},
        }
        payload = json.dumps(statement).encode()
        signature = sign(leaf.key, pae(STATEMENT, payload))
        body = tile_record(leaf, signature, payload) if tiles else dsse_record(leaf, signature, payload)
        material: dict[str, Any] = {
            "certificate": {"rawBytes": b64(der_of(leaf.certificate))},
            "tlogEntries": [self.entry(body, tiles=tiles, at=at, **entry)],
        }
        if tiles if stamp is None else stamp:
            stamps = [{"signedTimestamp": b64(self.stamp(signature, at))}]
            material["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": material,
            "dsseEnvelope": {
                "payload": b64(payload),
                "payloadType": STATEMENT,
                "signatures": [{"sig": b64(signature)}],
            },
        }


def record(leaf: Leaf, signature: bytes, payload: bytes) -> bytes:
    """hashedrekord 0.0.1, as Rekor writes it."""
    return canonical(
        {
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}},
                "signature": {"content": b64(signature), "publicKey": {"content": b64(pem_of(leaf.certificate))}},
            },
        }
    )


def dsse_record(leaf: Leaf, signature: bytes, payload: bytes) -> bytes:
    """dsse 0.0.1, as Rekor writes it."""
    return canonical(
        {
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
                "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
                "signatures": [{"signature": b64(signature), "verifier": b64(pem_of(leaf.certificate))}],
            },
        }
    )


def tile_record(leaf: Leaf, signature: bytes, payload: bytes) -> bytes:
    """hashedrekord 0.0.2, as Rekor 2 writes it."""
    return canonical(
        {
            "apiVersion": "0.0.2",
            "kind": "hashedrekord",
            "spec": {
                "hashedRekordV002": {
                    "data": {
                        "algorithm": "SHA2_256",
                        "digest": b64(hashlib.sha256(pae(STATEMENT, payload)).digest()),
                    },
                    "signature": {
                        "content": b64(signature),
                        "verifier": {
                            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                            "x509Certificate": {"rawBytes": b64(der_of(leaf.certificate))},
                        },
                    },
                }
            },
        }
    )


def _alternative(identity: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])


def _sign_leaf(
    key: Any,
    by: tuple[x509.Certificate, Any],
    at: datetime,
    extensions: list[tuple[x509.ExtensionType, bool]],
    serial: int = 0,
) -> x509.Certificate:
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(by[0].subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(at)
        .not_valid_after(at + timedelta(minutes=10))
        .add_extension(usage, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by[0].public_key()), False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(by[1], hashes.SHA256())
