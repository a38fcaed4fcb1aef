"""Keyless signatures of one image, each with one thing wrong, or right in another way; and what is to be said of each.

Used by the tests of `core/trust`, and by those that ask the real `cosign` and `sigstore` the same questions.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from unit.trust.private_sigstore import (
    IDENTITY,
    ISSUER,
    P256,
    Leaf,
    PrivateSigstore,
    b64,
    canonical,
    der_of,
    dsse_record,
    record,
    tile_record,
)
from windlass.core.trust import Root, Signed, Signers, keyless, tlogs, verify_keyless_bundle, verify_keyless_simple

DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64
HOUR = timedelta(hours=1)
WANTED = Signers(issuer=ISSUER, identity=IDENTITY)
Made = dict[str, Any]
Make = Callable[[PrivateSigstore, PrivateSigstore, str], Made]


@dataclass(frozen=True)
class Case:
    """``make`` gets the trusted Sigstore, another one, and the digest. ``why`` is in what is said, "" for a good one.
    ``strict``: cosign takes it, and here it is refused on purpose."""

    name: str
    make: Make
    why: str = ""
    strict: bool = False

    @property
    def form(self) -> str:
        return self.name.partition(":")[0]


CASES: list[Case] = []


def case(name: str, why: str = "", *, strict: bool = False) -> Callable[[Make], Make]:
    def add(make: Make) -> Make:
        CASES.append(Case(name, make, why, strict))
        return make

    return add


def both(
    name: str, why: str = "", *, strict: tuple[str, ...] = ()
) -> Callable[[Callable[..., Leaf]], Callable[..., Leaf]]:
    """A case of the certificate alone, in every form."""

    def add(leaf: Callable[..., Leaf]) -> Callable[..., Leaf]:
        CASES.extend(
            [
                Case(
                    f"simple: {name}",
                    lambda own, other, digest: own.simple(digest, leaf(own, other)),
                    why,
                    "simple" in strict,
                ),
                Case(
                    f"bundle: {name}",
                    lambda own, other, digest: own.bundle(digest, leaf(own, other)),
                    why,
                    "bundle" in strict,
                ),
                Case(
                    f"tiles: {name}",
                    lambda own, other, digest: own.bundle(digest, leaf(own, other), tiles=True),
                    why,
                    "tiles" in strict,
                ),
            ]
        )
        return leaf

    return add


def judge(made: Made, root: Root, signers: Signers = WANTED, digest: str = DIGEST) -> Signed:
    """What is said of it here."""
    if "mediaType" in made:
        return verify_keyless_bundle(json.dumps(made).encode(), digest, root, signers)
    return verify_keyless_simple(**made, digest=digest, root=root, signers=signers)


def material(made: Made) -> dict[str, Any]:
    return made["verificationMaterial"]


def entry(made: Made) -> dict[str, Any]:
    return material(made)["tlogEntries"][0]


def flipped(text: str, place: int = 20) -> str:
    """Base64 with one bit of one byte turned."""
    data = bytearray(base64.b64decode(text))
    data[place] ^= 1
    return b64(bytes(data))


def kept(made: Made, **changes: Any) -> Made:
    """An older signature whose log entry says something else."""
    read = json.loads(made["entry"])
    read["Payload"] |= changes
    return made | {"entry": json.dumps(read).encode()}


# --- of the certificate -----------------------------------------------------------------------------------------------


@both("good")
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf()


@both("another identity", "who is not the one asked for")
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf(IDENTITY + "2")


@both("an identity that the wanted one is a part of", "who is not the one asked for")
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf("https://evil.example/" + IDENTITY)


@both("another issuer", "not the issuer asked for")
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf(issuer="https://accounts.evil.example")


@both("two issuers", keyless.NO_SIGNER, strict=("bundle", "tiles"))
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf(old_issuer="https://accounts.evil.example")


@both("several names", keyless.NO_SIGNER, strict=("simple", "bundle", "tiles"))
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf(names=[x509.UniformResourceIdentifier(IDENTITY), x509.RFC822Name("mallory@evil.example")])


@both("a certificate that had run out", keyless.NOT_VALID)
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf(at=own.now - HOUR)


@both("a certificate of later", keyless.NOT_VALID)
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf(at=own.now + HOUR)


@both("an unknown authority", keyless.NOT_ISSUED)
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf(by=(other.mid, other.mid_key))


@both("an authority of the same name", keyless.NOT_ISSUED)
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf(by=(own.mid, other.mid_key))


@both("no certificate log", keyless.NOT_PUBLISHED)
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf(promise=False)


@both("a certificate log of somebody else", keyless.NOT_PUBLISHED)
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf(ct_key=other.ct_key)


@both("a certificate log's promise of another certificate", keyless.NOT_PUBLISHED)
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf(promised_for="https://evil.example")


@both("a certificate for web servers", keyless.NOT_FOR_CODE)
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return own.leaf(purpose=ExtendedKeyUsageOID.SERVER_AUTH)


@both("a signature by another key than the certificate's", keyless.NOT_MADE)
def _(own: PrivateSigstore, other: PrivateSigstore) -> Leaf:
    return Leaf(ec.generate_private_key(P256()), own.leaf().certificate)


# --- of the older form ------------------------------------------------------------------------------------------------


@case("simple: of another image", "it is of another image")
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.simple(OTHER_DIGEST)


@case("simple: a changed payload", tlogs.ABOUT_ELSE)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.simple(OTHER_DIGEST)
    return made | {"payload": made["payload"].replace(OTHER_DIGEST.encode(), digest.encode())}


@case("simple: no log entry", tlogs.NOT_LOGGED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.simple(digest) | {"entry": b""}


@case("simple: no certificate", keyless.BY_KEY)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.simple(digest) | {"certificate": b""}


@case("simple: a log entry at another time", tlogs.NOT_PROMISED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    late = own.simple(digest, own.leaf(at=own.now - HOUR))
    return kept(late, integratedTime=int((own.now - HOUR).timestamp()) + 60)


@case("simple: a log entry without a time", tlogs.NOT_PROMISED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return kept(own.simple(digest), integratedTime=0)


@case("simple: a log entry at another place", tlogs.NOT_PROMISED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return kept(own.simple(digest), logIndex=1)


@case("simple: an unknown log", tlogs.NOT_LOGGED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return other.simple(digest, own.leaf())


@case("simple: an unknown log that calls itself by a known id", tlogs.NOT_PROMISED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return kept(other.simple(digest, own.leaf()), logID=own.log_id.hex())


@case("simple: another signature's log entry", tlogs.ABOUT_ELSE)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    leaf = own.leaf()
    return own.simple(digest, leaf) | {"entry": own.simple(OTHER_DIGEST, leaf)["entry"]}


@case("simple: another certificate's log entry", tlogs.ABOUT_ELSE)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.simple(digest)
    body = record(own.leaf(), made["signature"], made["payload"])
    again = kept(made, body=b64(body))
    read = json.loads(again["entry"])
    read["SignedEntryTimestamp"] = b64(own.promised(body))
    return again | {"entry": json.dumps(read).encode()}


# --- of bundles -------------------------------------------------------------------------------------------------------


@case("bundle: with a timestamp too")
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.bundle(digest, stamp=True)


@case("bundle: the only entry of its log")
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.bundle(digest, size=1, place=0)


@case("bundle: the last entry of its log")
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.bundle(digest, size=9, place=8)


@case("bundle: of another image", "it is of another image")
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.bundle(OTHER_DIGEST)


@case("tiles: of another image", "it is of another image")
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.bundle(OTHER_DIGEST, tiles=True)


@case("bundle: a statement about something else", "it says something else", strict=True)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.bundle(digest, predicate="https://slsa.dev/provenance/v1")


@case("bundle: a changed statement", tlogs.ABOUT_ELSE)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(OTHER_DIGEST)
    payload = base64.b64decode(made["dsseEnvelope"]["payload"]).replace(b"b" * 64, b"a" * 64)
    made["dsseEnvelope"]["payload"] = b64(payload)
    return made


@case("bundle: no time", keyless.NO_TIME)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.bundle(digest, promise=False)


@case("tiles: no time", keyless.NO_TIME)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.bundle(digest, tiles=True, stamp=False)


@case("tiles: a time that nobody signed", tlogs.NOT_INCLUDED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest, tiles=True, stamp=False)
    entry(made)["integratedTime"] = str(int(own.now.timestamp()))
    entry(made)["inclusionProof"]["checkpoint"]["envelope"] = "-"
    return made


@case("tiles: a clock that is not trusted", keyless.NO_TIME)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest, tiles=True)
    signature = base64.b64decode(made["dsseEnvelope"]["signatures"][0]["sig"])
    material(made)["timestampVerificationData"] = stamps(other.stamp(signature))
    return made


@case("tiles: a clock's signature by another key", keyless.NO_TIME)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest, tiles=True)
    signature = base64.b64decode(made["dsseEnvelope"]["signatures"][0]["sig"])
    material(made)["timestampVerificationData"] = stamps(own.stamp(signature, key=other.clock_key))
    return made


@case("tiles: a timestamp of something else", keyless.NO_TIME)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest, tiles=True)
    material(made)["timestampVerificationData"] = stamps(own.stamp(b"something else"))
    return made


@case("bundle: a log entry at another time", tlogs.NOT_PROMISED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest)
    entry(made)["integratedTime"] = str(int(own.now.timestamp()) + 1)
    return made


@case("bundle: a log entry with another byte", tlogs.NOT_INCLUDED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest)
    body = json.loads(base64.b64decode(entry(made)["canonicalizedBody"]))
    body["spec"]["envelopeHash"]["value"] = "1" * 64
    entry(made)["canonicalizedBody"] = b64(canonical(body))
    return made


@case("tiles: a log entry with another byte", tlogs.NOT_INCLUDED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest, tiles=True)
    body = json.loads(base64.b64decode(entry(made)["canonicalizedBody"]))
    body["spec"]["more"] = 1
    entry(made)["canonicalizedBody"] = b64(canonical(body))
    return made


@case("bundle: a path with another byte", tlogs.NOT_INCLUDED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest)
    entry(made)["inclusionProof"]["hashes"][0] = flipped(entry(made)["inclusionProof"]["hashes"][0])
    return made


@case("bundle: a path that is longer", tlogs.NOT_INCLUDED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest)
    entry(made)["inclusionProof"]["hashes"].append(b64(bytes(32)))
    return made


@case("bundle: a path of another place", tlogs.NOT_INCLUDED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest)
    entry(made)["inclusionProof"]["logIndex"] = "5"
    return made


@case("bundle: a place outside of the tree", tlogs.NOT_INCLUDED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest)
    entry(made)["inclusionProof"]["logIndex"] = "7"
    return made


@case("bundle: no proof", tlogs.NOT_INCLUDED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest)
    del entry(made)["inclusionProof"]
    return made


@case("bundle: a checkpoint by another key", tlogs.NOT_INCLUDED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.bundle(digest, key=other.log_key)


@case("tiles: a checkpoint by another key", tlogs.NOT_INCLUDED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return own.bundle(digest, tiles=True, key=other.tile_key)


@case("bundle: a checkpoint of another tree", tlogs.NOT_INCLUDED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made, older = own.bundle(digest), own.bundle(digest, size=6)
    entry(made)["inclusionProof"]["checkpoint"] = entry(older)["inclusionProof"]["checkpoint"]
    return made


@case("bundle: no log entry", tlogs.NOT_LOGGED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest)
    material(made)["tlogEntries"] = []
    return made


@case("bundle: an unknown log", tlogs.NOT_LOGGED)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return other.bundle(digest, own.leaf())


@case("bundle: another signature's log entry", tlogs.ABOUT_ELSE)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    leaf = own.leaf()
    made = own.bundle(digest, leaf)
    material(made)["tlogEntries"] = material(own.bundle(OTHER_DIGEST, leaf))["tlogEntries"]
    return made


@case("tiles: another signature's log entry", tlogs.ABOUT_ELSE)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    leaf = own.leaf()
    made = own.bundle(digest, leaf, tiles=True)
    material(made)["tlogEntries"] = material(own.bundle(OTHER_DIGEST, leaf, tiles=True))["tlogEntries"]
    return made


@case("bundle: another certificate's log entry", tlogs.ABOUT_ELSE)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return with_record(own.bundle(digest), own, dsse_record)


@case("tiles: another certificate's log entry", tlogs.ABOUT_ELSE)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return with_record(own.bundle(digest, tiles=True), own, tile_record, tiles=True)


@case("bundle: a log entry of another kind", tlogs.ABOUT_ELSE)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    return with_record(own.bundle(digest), own, record)


@case("bundle: a second entry of an unknown log", tlogs.NOT_LOGGED, strict=True)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    leaf = own.leaf()
    made = own.bundle(digest, leaf)
    material(made)["tlogEntries"] += material(other.bundle(digest, leaf))["tlogEntries"]
    return made


@case("bundle: two signatures", keyless.UNREAD)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest)
    made["dsseEnvelope"]["signatures"] *= 2
    return made


@case("bundle: by a key", keyless.BY_KEY)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest)
    del material(made)["certificate"]
    material(made)["publicKey"] = {"hint": "x"}
    return made


@case("bundle: no certificate", keyless.UNREAD)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    made = own.bundle(digest)
    del material(made)["certificate"]
    return made


@case("bundle: a chain of its own", keyless.UNREAD)
def _(own: PrivateSigstore, other: PrivateSigstore, digest: str) -> Made:
    leaf = own.leaf(by=(other.mid, other.mid_key))
    made = own.bundle(digest, leaf)
    del material(made)["certificate"]
    chain = [leaf.certificate, other.mid, other.top]
    material(made)["x509CertificateChain"] = {"certificates": [{"rawBytes": b64(der_of(one))} for one in chain]}
    return made


def stamps(data: bytes) -> dict[str, Any]:
    return {"rfc3161Timestamps": [{"signedTimestamp": b64(data)}]}


def with_record(made: Made, own: PrivateSigstore, form: Callable[..., bytes], *, tiles: bool = False) -> Made:
    """The bundle with a log entry that is good, and says that another certificate made its signature."""
    signature = base64.b64decode(made["dsseEnvelope"]["signatures"][0]["sig"])
    body = form(own.leaf(), signature, base64.b64decode(made["dsseEnvelope"]["payload"]))
    material(made)["tlogEntries"] = [own.entry(body, tiles=tiles)]
    return made
