"""Keyless signatures of images: what is good, and what is refused for each single thing that is wrong."""

from __future__ import annotations

import base64
import json
import random
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from unit.trust.keyless_cases import CASES, DIGEST, WANTED, Case, judge, material
from unit.trust.private_sigstore import IDENTITY, ISSUER, PrivateSigstore, b64, der_of, path, tree
from windlass.core.trust import (
    BadRoot,
    Root,
    Signed,
    Signers,
    keyless,
    read_root,
    tlogs,
    verify_keyless_bundle,
    verify_keyless_simple,
)
from windlass.core.trust.certificates import Signer
from windlass.core.trust.clocks import times_of

OWN, OTHER = PrivateSigstore(), PrivateSigstore()
ROOT = read_root(OWN.trusted_root())
BY = f"{IDENTITY} ({ISSUER})"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_good_where_all_holds_and_refused_by_name_where_one_thing_does_not(case: Case) -> None:
    said = judge(case.make(OWN, OTHER, DIGEST), ROOT)
    if not case.why:
        assert said == Signed("", BY)
    else:
        assert case.why in said.why


@pytest.mark.parametrize("case", [case for case in CASES if not case.why], ids=lambda case: case.name)
def test_what_is_good_by_one_root_is_nothing_by_another(case: Case) -> None:
    assert judge(case.make(OWN, OTHER, DIGEST), read_root(OTHER.trusted_root())).why == tlogs.NOT_LOGGED


@pytest.mark.parametrize("case", [case for case in CASES if case.why], ids=lambda case: case.name)
def test_nothing_that_is_refused_passes_by_a_pattern_that_takes_everybody(case: Case) -> None:
    anybody = Signers(issuer_pattern=".*", identity_pattern=".*")
    said = judge(case.make(OWN, OTHER, DIGEST), ROOT, anybody)
    assert said.why or "asked for" in case.why  # another signer is what such a pattern takes


VERSION, UNKNOWN = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"
NO_VERSION = der_of(OWN.clock).replace(VERSION, UNKNOWN)
"""A certificate of a version that there is not."""


def test_a_signer_is_told_only_where_a_trusted_authority_names_him() -> None:
    told = {case.name: judge(case.make(OWN, OTHER, DIGEST), ROOT).by for case in CASES}
    assert told["bundle: another identity"] == f"{IDENTITY}2 ({ISSUER})"
    for name in ("an unknown authority", "no certificate log", "a certificate that had run out"):
        assert told[f"simple: {name}"] == told[f"bundle: {name}"] == ""


# --- who is asked for -------------------------------------------------------------------------------------------------

ADA = Signer("ada@acme.example", "https://accounts.example.com")


@pytest.mark.parametrize(
    ("signers", "good"),
    [
        (Signers(issuer=ADA.issuer, identity=ADA.identity), True),
        (Signers(issuer=ADA.issuer, identity_pattern=r".+@acme\.example"), True),
        (Signers(issuer_pattern=r"https://accounts\..+", identity=ADA.identity), True),
        # The whole name has to match: a part that does says nothing.
        (Signers(issuer=ADA.issuer, identity_pattern="ada"), False),
        (Signers(issuer=ADA.issuer, identity_pattern=r"ada@acme\.exampl"), False),
        (Signers(issuer=ADA.issuer, identity_pattern="x|ada@acme"), False),
        (Signers(issuer_pattern="accounts", identity=ADA.identity), False),
        (Signers(issuer=ADA.issuer.upper(), identity=ADA.identity), False),
        (Signers(issuer=ADA.issuer, identity="ADA@acme.example"), False),
        # What is not asked for, asked for twice, or can't be read, takes nobody.
        (Signers(), False),
        (Signers(issuer=ADA.issuer), False),
        (Signers(identity=ADA.identity), False),
        (Signers(issuer=ADA.issuer, identity_pattern="("), False),
        (Signers(issuer=ADA.issuer, identity=ADA.identity, identity_pattern="("), False),
        (Signers(issuer=ADA.issuer, identity="x", identity_pattern=".*"), False),
    ],
)
def test_the_whole_name_is_compared_and_no_name_takes_nobody(signers: Signers, good: bool) -> None:
    assert (signers.refuses(ADA) == "") is good


def test_an_address_signs_as_well_as_a_workflow() -> None:
    made = OWN.bundle(DIGEST, OWN.leaf("ada@acme.example"))
    assert judge(made, ROOT, Signers(issuer=ISSUER, identity="ada@acme.example")) == Signed(
        "", f"ada@acme.example ({ISSUER})"
    )


def test_an_issuer_with_a_line_break_never_reaches_a_commit() -> None:
    made = OWN.bundle(DIGEST, OWN.leaf(issuer="https://a.example\nIntent-Id: 1"))
    said = judge(made, ROOT, Signers(issuer_pattern="(?s).*", identity=IDENTITY))
    assert said == Signed(keyless.NO_SIGNER)


def test_a_username_is_no_name_that_is_known() -> None:
    other = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), b"\x0c\x03foo")
    made = OWN.bundle(DIGEST, OWN.leaf(names=[other]))
    assert judge(made, ROOT).why in (keyless.NO_SIGNER, keyless.NOT_ISSUED)


# --- whom the root trusts, and when -----------------------------------------------------------------------------------


def ended(name: str) -> Root:
    """The root, with the part of this name trusted until a day ago."""
    read = json.loads(OWN.trusted_root())
    for one in read[name]:
        period = (one.get("publicKey") or one)["validFor"]
        period["end"] = (OWN.now - timedelta(days=1)).isoformat()
    return read_root(json.dumps(read).encode())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("certificateAuthorities", keyless.NOT_ISSUED),
        ("ctlogs", keyless.NOT_PUBLISHED),
        ("tlogs", tlogs.NOT_LOGGED),
    ],
)
def test_who_is_not_trusted_any_more_vouches_for_nothing_later(name: str, why: str) -> None:
    for made in (OWN.simple(DIGEST), OWN.bundle(DIGEST)):
        assert judge(made, ended(name)).why == why


def test_a_clock_that_is_not_trusted_any_more_shows_no_time() -> None:
    assert judge(OWN.bundle(DIGEST, tiles=True), ended("timestampAuthorities")).why == keyless.NO_TIME
    assert judge(OWN.bundle(DIGEST, stamp=True), ended("timestampAuthorities")).why == ""


def test_a_time_by_a_certificate_of_no_known_version_counts_for_nothing() -> None:
    stamp = OWN.stamp(b"signature", OWN.now)
    assert times_of([stamp], b"signature", ROOT.clocks) == [OWN.now]
    assert times_of([stamp.replace(VERSION, UNKNOWN)], b"signature", ROOT.clocks) == []


def test_what_was_signed_while_they_were_trusted_stays_good() -> None:
    before = PrivateSigstore(OWN.now - timedelta(days=2))
    read = json.loads(before.trusted_root())
    for name in ("tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"):
        for one in read[name]:
            (one.get("publicKey") or one)["validFor"]["end"] = (OWN.now - timedelta(days=1)).isoformat()
    root = read_root(json.dumps(read).encode())
    for made in (before.simple(DIGEST), before.bundle(DIGEST), before.bundle(DIGEST, tiles=True)):
        assert judge(made, root) == Signed("", BY)


def test_each_signed_time_counts_also_beside_a_good_one() -> None:
    leaf = OWN.leaf()
    made, late = OWN.bundle(DIGEST, leaf), OWN.bundle(DIGEST, leaf)
    signature = base64.b64decode(late["dsseEnvelope"]["signatures"][0]["sig"])
    stamp = OWN.stamp(signature, OWN.now + timedelta(hours=1))
    material(late)["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": b64(stamp)}]}
    assert judge(made, ROOT).why == ""
    assert judge(late, ROOT).why == keyless.NOT_VALID


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mediaType": "application/json"}, "another form"),
        ({"tlogs": []}, "names no transparency log"),
        ({"ctlogs": []}, "names no certificate transparency log"),
        ({"certificateAuthorities": []}, "names no certificate authority"),
        ({"certificateAuthorities": [{"certChain": {"certificates": []}}]}, r"certificateAuthorities\[0\]"),
        ({"certificateAuthorities": [{"certChain": {"certificates": [{"rawBytes": "AAAA"}]}}]}, "can't be read"),
        ({"tlogs": [{"publicKey": {"rawBytes": "AAAA"}, "logId": {"keyId": "AAAA"}}]}, r"tlogs\[0\]"),
        ({"tlogs": [{"publicKey": {"rawBytes": "AAAA"}, "logId": {}}]}, r"tlogs\[0\]"),
        (
            {"timestampAuthorities": [{"certChain": {"certificates": [{"rawBytes": b64(NO_VERSION)}] * 2}}]},
            "can't be read",
        ),
        ({"tlogs": "none"}, "can't be read"),
        ({"ctlogs": [{"publicKey": {}, "logId": {"keyId": "AAAA"}}] * 65}, "over 64"),
        (
            {"timestampAuthorities": [{"certChain": {"certificates": [{"rawBytes": b64(der_of(OWN.clock))}]}}]},
            r"timestampAuthorities\[0\]",
        ),
        (
            {"tlogs": [{"publicKey": {"rawBytes": "AAAA", "validFor": {"start": "soon"}}, "logId": {"keyId": "AA=="}}]},
            r"tlogs\[0\]",
        ),
    ],
)
def test_a_root_by_which_nothing_could_be_good_is_refused_with_its_place(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRoot, match=words) as caught:
        read_root(OWN.trusted_root(**changes))
    assert "trusted_root.json" in caught.value.hint


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"\xff", b"[" * 5000, b" " * ((1 << 20) + 1)])
def test_a_root_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(BadRoot, match="the trusted root"):
        read_root(data)


def test_a_root_without_clocks_is_enough_for_logs_that_tell_the_time() -> None:
    root = read_root(OWN.trusted_root(timestampAuthorities=[]))
    assert judge(OWN.simple(DIGEST), root).why == judge(OWN.bundle(DIGEST), root).why == ""
    assert judge(OWN.bundle(DIGEST, tiles=True), root).why == keyless.NO_TIME


# --- trees ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 70), st.randoms())
def test_a_path_leads_to_the_root_from_its_own_place_only(size: int, draw: random.Random) -> None:
    leaves = [b"%d" % number for number in range(size)]
    place, other = draw.randrange(size), draw.randrange(size + 3)
    hashes = path(place, leaves)
    assert tlogs._root(leaves[place], place, size, hashes) == tree(leaves)
    if other != place:
        assert other >= size or tlogs._root(leaves[place], other, size, hashes) != tree(leaves)
    if hashes:
        assert tlogs._root(leaves[place], place, size, hashes[:-1]) != tree(leaves)
    assert tlogs._root(leaves[place], place, size, [*hashes, bytes(32)]) != tree(leaves)


# --- bytes of people --------------------------------------------------------------------------------------------------

GOOD = {
    case.name: json.dumps(case.make(OWN, OTHER, DIGEST)) for case in CASES if not case.why and case.form != "simple"
}


@given(st.sampled_from(sorted(GOOD)), st.data())
def test_no_changed_byte_of_a_bundle_makes_another_bundle_pass_or_anything_raise(name: str, data: Any) -> None:
    text = bytearray(GOOD[name].encode())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.integers(0, 255))
    said = verify_keyless_bundle(bytes(text), DIGEST, ROOT, WANTED)
    # What is not signed and not used may change: then the same signature is good. It is never another signer's.
    assert said.why or said.by == BY


@given(st.binary(max_size=300), st.binary(max_size=80), st.binary(max_size=200), st.binary(max_size=200))
def test_no_bytes_make_it_raise_or_pass(payload: bytes, signature: bytes, certificate: bytes, entry: bytes) -> None:
    assert verify_keyless_simple(payload, signature, certificate, entry, DIGEST, ROOT, WANTED).why
    assert verify_keyless_bundle(payload, DIGEST, ROOT, WANTED).why


def test_entries_and_timestamps_without_number_are_not_gone_through() -> None:
    made = OWN.bundle(DIGEST, stamp=True)
    material(made)["tlogEntries"] *= keyless.MOST_ENTRIES + 1
    assert judge(made, ROOT).why == tlogs.NOT_LOGGED
    made = OWN.bundle(DIGEST, stamp=True)
    material(made)["timestampVerificationData"]["rfc3161Timestamps"] *= 33
    assert judge(made, ROOT).why == tlogs.NOT_LOGGED
