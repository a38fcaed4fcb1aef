"""Bundles by another reader: Sigstore's library for Python says the same of each, where it is there."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

from unit.trust.keyless_cases import CASES, DIGEST, Case
from unit.trust.private_sigstore import IDENTITY, ISSUER, PrivateSigstore
from windlass.core.trust import read_root

pytest.importorskip("sigstore")
OWN, OTHER = PrivateSigstore(), PrivateSigstore()

# The library shows who signed an envelope; what it is about is its caller's to look at.
ABOUT = ("it is of another image", "it says something else")
STRICT = ("bundle: a second entry of an unknown log",)
"""What the library refuses as well, other than cosign."""


@pytest.mark.parametrize("case", [case for case in CASES if case.form != "simple"], ids=lambda case: case.name)
def test_the_library_says_the_same(case: Case, tmp_path: Path) -> None:
    from sigstore.errors import Error
    from sigstore.models import Bundle, TrustedRoot
    from sigstore.verify import Verifier, policy

    root = tmp_path / "root.json"
    root.write_bytes(OWN.trusted_root())
    verifier = Verifier(trusted_root=TrustedRoot.from_file(str(root)))
    wanted = policy.AllOf([policy.Identity(identity=IDENTITY), policy.OIDCIssuerV2(ISSUER)])
    try:
        bundle = Bundle.from_json(json.dumps(case.make(OWN, OTHER, DIGEST)))
        kind, _ = verifier.verify_dsse(bundle, wanted)
        good = kind == "application/vnd.in-toto+json"
    except (Error, ValueError, TypeError, AttributeError):
        good = False
    taken = not case.why or case.strict or case.why in ABOUT
    assert good == (taken and case.name not in STRICT)


def test_the_public_root_that_it_brings_along_can_be_read_here() -> None:
    store = files("sigstore") / "_store"
    roots = [one / "trusted_root.json" for one in store.iterdir() if one.is_dir() and "sigstore.dev" in one.name]
    (root,) = [read_root(one.read_bytes()) for one in roots]
    assert {"rekor.sigstore.dev", "log2025-1.rekor.sigstore.dev"} <= {log.name for log in root.logs}
    assert len(root.authorities) == len(root.certificate_logs) == 2
    assert root.clocks
