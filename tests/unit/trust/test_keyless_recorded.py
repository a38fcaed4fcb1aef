"""What cosign 3.1.3 signed by a private Sigstore, as a registry gave it: good for ever, and for its signer only.

`recorded/` holds one signature of each form and the root of trust, made as `tests/real/test_keyless_cosign.py` does it.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from windlass.core.trust import Root, Signed, Signers, read_root, verify_keyless_bundle, verify_keyless_simple

RECORDED = Path(__file__).parent / "recorded"
ROOT = read_root((RECORDED / "root.json").read_bytes())
ISSUER, WHO = "https://accounts.example.com", "release@acme.example"


def judged(form: str, signers: Signers, root: Root = ROOT, digest: str = "") -> Signed:
    read = json.loads((RECORDED / f"{form}.json").read_text())
    names = ("payload", "signature", "certificate", "entry")
    payload, signature, certificate, entry = (base64.b64decode(read[name]) for name in names)
    digest = digest or read["digest"]
    if read["form"] == "bundle":
        return verify_keyless_bundle(payload, digest, root, signers)
    return verify_keyless_simple(payload, signature, certificate, entry, digest, root, signers)


@pytest.mark.parametrize("form", ["simple", "bundle", "tiles"])
def test_what_cosign_signed_is_good_for_its_signer_and_its_image_only(form: str) -> None:
    assert judged(form, Signers(issuer=ISSUER, identity=WHO)) == Signed("", f"{WHO} ({ISSUER})")
    assert judged(form, Signers(issuer=ISSUER, identity_pattern=r".+@acme\.example")).why == ""
    assert "not the one asked for" in judged(form, Signers(issuer=ISSUER, identity="ada@acme.example")).why
    assert "not the issuer" in judged(form, Signers(issuer="https://x.example", identity=WHO)).why
    other = "sha256:" + "a" * 64
    assert "another image" in judged(form, Signers(issuer=ISSUER, identity=WHO), digest=other).why


@pytest.mark.parametrize(("form", "part"), [("simple", "payload"), ("simple", "entry"), ("bundle", "payload")])
def test_no_letter_of_what_is_signed_can_be_another(form: str, part: str) -> None:
    read = json.loads((RECORDED / f"{form}.json").read_text())
    data = base64.b64decode(read[part])
    name = b"docker-manifest-digest" if part == "payload" and form == "simple" else b"ntegratedTime"
    place = data.index(name) + len(name) + 5
    changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    signers = Signers(issuer=ISSUER, identity=WHO)
    if form == "bundle":
        assert verify_keyless_bundle(changed, read["digest"], ROOT, signers).why
    else:
        given = {key: base64.b64decode(read[key]) for key in ("payload", "signature", "certificate", "entry")}
        given[part] = changed
        assert verify_keyless_simple(*given.values(), read["digest"], ROOT, signers).why
