"""Signatures of images, held against keys: what is good, and everything else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from windlass.core.trust import BadKey, read_keys, verify_bundle, verify_simple

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
PREDICATE = "https://sigstore.dev/cosign/sign/v1"


def pem(private: Any) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def sign(private: Any, data: bytes) -> bytes:
    if isinstance(private, ec.EllipticCurvePrivateKey):
        algorithm = hashes.SHA384() if private.curve.key_size == 384 else hashes.SHA256()
        return private.sign(data, ec.ECDSA(algorithm))
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return private.sign(data)


def payload(digest: str = DIGEST, kind: str = "cosign container image signature") -> bytes:
    return json.dumps({"critical": {"image": {"docker-manifest-digest": digest}, "type": kind}}).encode()


def bundle(private: Any, digest: str = DIGEST, predicate: str = PREDICATE, **material: Any) -> bytes:
    statement = {"subject": [{"digest": {"sha256": digest.partition(":")[2]}}], "predicateType": predicate}
    body = json.dumps(statement).encode()
    kind = b"application/vnd.in-toto+json"
    signature = sign(private, b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body))
    envelope = {
        "payload": base64.b64encode(body).decode(),
        "payloadType": kind.decode(),
        "signatures": [{"sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps({"verificationMaterial": material or {"publicKey": {}}, "dsseEnvelope": envelope}).encode()


MINE = ec.generate_private_key(ec.SECP256R1())
KEYS = read_keys(pem(MINE))


@pytest.mark.parametrize(
    "make",
    [
        lambda: MINE,
        lambda: ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate,
        lambda: rsa.generate_private_key(65537, 2048),
    ],
    ids=["p256", "p384", "ed25519", "rsa"],
)
def test_a_signature_by_the_key_is_good_in_both_forms(make: Callable[[], Any]) -> None:
    private = make()
    keys = read_keys(pem(private))
    assert verify_simple(payload(), sign(private, payload()), DIGEST, keys) == ""
    assert verify_bundle(bundle(private), DIGEST, keys) == ""


def test_any_of_several_keys_is_enough() -> None:
    keys = read_keys(pem(ed25519.Ed25519PrivateKey.generate()) + b"\n" + pem(MINE))
    assert len(keys) == 2
    assert verify_simple(payload(), sign(MINE, payload()), DIGEST, keys) == ""


def test_a_signature_by_another_key_is_none() -> None:
    foreign = ec.generate_private_key(ec.SECP256R1())
    assert verify_simple(payload(), sign(foreign, payload()), DIGEST, KEYS) == "no key that is trusted made it"
    assert verify_bundle(bundle(foreign), DIGEST, KEYS) == "no key that is trusted made it"


def test_a_good_signature_of_another_image_is_none_of_this_one() -> None:
    assert verify_simple(payload(OTHER), sign(MINE, payload(OTHER)), DIGEST, KEYS) == "it is of another image"
    assert verify_bundle(bundle(MINE, OTHER), DIGEST, KEYS) == "it is of another image"


def test_a_signature_of_something_else_is_none_of_an_image() -> None:
    text = payload(kind="a promise")
    assert verify_simple(text, sign(MINE, text), DIGEST, KEYS) == "it signs something else than an image"
    attestation = bundle(MINE, predicate="https://slsa.dev/provenance/v1")
    assert verify_bundle(attestation, DIGEST, KEYS) == "it says something else than that the image is signed"


def test_a_bundle_by_a_certificate_is_not_taken_for_one_by_a_key() -> None:
    assert "by a certificate" in verify_bundle(bundle(MINE, certificate={"rawBytes": ""}), DIGEST, KEYS)


@pytest.mark.parametrize("material", [5, True, 1.5])
def test_a_bundle_whose_material_is_no_mapping_is_none(material: object) -> None:
    made = {**json.loads(bundle(MINE)), "verificationMaterial": material}
    assert verify_bundle(json.dumps(made).encode(), DIGEST, KEYS) == "it can't be read"


def test_one_changed_byte_makes_it_none() -> None:
    signature = bytearray(sign(MINE, payload()))
    signature[-1] ^= 1
    assert verify_simple(payload(), bytes(signature), DIGEST, KEYS) != ""
    assert verify_simple(payload() + b" ", sign(MINE, payload()), DIGEST, KEYS) != ""


@pytest.mark.parametrize("text", [b"{}", b"[]", b'{"critical": []}', b'{"critical": {"image": 3, "type": 1}}', b"null"])
def test_a_signed_text_that_can_not_be_read_is_none(text: bytes) -> None:
    assert verify_simple(text, sign(MINE, text), DIGEST, KEYS) == "what it signs can't be read"


@given(st.binary(max_size=200), st.binary(max_size=80))
def test_no_bytes_make_it_raise_or_pass(data: bytes, signature: bytes) -> None:
    assert verify_simple(data, signature, DIGEST, KEYS)
    assert verify_bundle(data, DIGEST, KEYS)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["dsseEnvelope", "payload", "payloadType", "signatures", "sig", "verificationMaterial", "publicKey"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_makes_a_bundle_raise_or_pass(value: Any) -> None:
    assert verify_bundle(json.dumps(value).encode(), DIGEST, KEYS)


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"",
        lambda: b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        lambda: b"ssh-ed25519 AAAA",
        lambda: pem(rsa.generate_private_key(65537, 1024)),
        lambda: pem(dsa.generate_private_key(2048)),
    ],
    ids=["nothing", "no key", "ssh", "short", "dsa"],
)
def test_what_is_no_key_is_refused_with_the_mend(make: Callable[[], bytes]) -> None:
    data = make()  # here, and not where tests are collected: each worker would make a DSA key, of a second or more
    with pytest.raises(BadKey, match="the public key") as caught:
        read_keys(data)
    assert "BEGIN PUBLIC KEY" in caught.value.hint
