"""What an image policy names is read by kind and name, and what is wrong with it is told with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from unit.trust.private_sigstore import IDENTITY, ISSUER, PrivateSigstore
from windlass.core.kinds import image_policy
from windlass.core.trust import BadKey, BadRoot, Signers
from windlass.flows.image_search import credentials_of

ROOT = PrivateSigstore().trusted_root()


def spec(cosign: dict[str, Any], **more: Any) -> image_policy.ImagePolicySpec:
    written = {
        "image": "registry.example.com/acme/shop",
        "select": {"semver": "1.x"},
        "pin": "digest",
        "update": {"repository": "config", "paths": ["apps"]},
        "verify": {"cosign": cosign},
        **more,
    }
    content = {"metadata": {"name": "shop", "namespace": "acme"}, "spec": written}
    return image_policy.decode({"apiVersion": "windlass.dev/v1alpha1", "kind": "ImagePolicy", **content}).spec


class Objects:
    def __init__(self, **found: Mapping[str, bytes]) -> None:
        self.found = found
        self.asked: list[str] = []

    async def read(self, kind: str, name: str) -> Mapping[str, bytes]:
        self.asked.append(f"{kind} {name}")
        return self.found.get(name.replace("-", "_"), {})


@pytest.mark.parametrize(
    ("root", "asked"),
    [
        ({}, "ConfigMap sigstore-root"),
        ({"root": {"configMap": "own-root"}}, "ConfigMap own-root"),
        ({"root": {"secret": "own-root"}}, "Secret own-root"),
    ],
)
async def test_the_root_of_trust_comes_from_the_object_that_is_named(root: dict[str, Any], asked: str) -> None:
    objects = Objects(sigstore_root={"trusted_root.json": ROOT}, own_root={"trusted_root.json": ROOT})
    keyless = {"issuer": ISSUER, "identityPattern": ".+", **root}
    found = await credentials_of(spec({"keyless": keyless}, pull={"secret": "registry"}), objects.read)
    assert objects.asked == ["Secret registry", asked]
    assert found.signers == Signers(issuer=ISSUER, identity_pattern=".+")
    assert found.root is not None
    assert found.keys == ()


async def test_a_root_or_key_that_is_not_there_is_told_with_its_place_and_never_passed_over() -> None:
    objects = Objects(sigstore_root={"trusted_root.json": b"{}"})
    with pytest.raises(BadRoot) as root:
        await credentials_of(spec({"keyless": {"issuer": ISSUER, "identity": IDENTITY}}), objects.read)
    assert root.value.where.field == "ConfigMap sigstore-root, key trusted_root.json"
    with pytest.raises(BadRoot, match="is not there"):
        await credentials_of(
            spec({"keyless": {"issuer": ISSUER, "identity": IDENTITY, "root": {"secret": "none"}}}), objects.read
        )
    with pytest.raises(BadKey) as key:
        await credentials_of(spec({"key": {"secret": "keys"}}), objects.read)
    assert key.value.where.field == "Secret keys, key cosign.pub"


@pytest.mark.parametrize(
    ("keyless", "words"),
    [
        ({}, r"spec.verify.cosign.keyless.issuer or issuerPattern"),
        ({"issuer": ISSUER}, r"spec.verify.cosign.keyless.identity or identityPattern"),
        ({"issuer": ISSUER, "identityPattern": "("}, "is no expression of RE2"),
        ({"issuer": ISSUER, "identityPattern": "(?!x)"}, "is no expression of RE2"),
        ({"issuer": ISSUER, "identity": "x", "root": {}}, "has to name one object"),
    ],
)
def test_a_policy_that_names_nobody_or_nothing_readable_is_refused(keyless: dict[str, Any], words: str) -> None:
    with pytest.raises(Exception, match=words):
        spec({"keyless": keyless})
