"""The CRDs are structural, and their pages are true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import windlass
from windlass.core.kinds import KINDS, Reason, application, crds, image_policy, repository
from windlass.core.kinds.pages import pages
from windlass.core.kinds.shape import BadSpec

DOCS = Path(__file__).parents[3] / "docs" / "kinds"


def schemas(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from schemas(inner, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if word in node:
            yield from schemas(node[word], f"{path}[]")


def root(crd: dict[str, Any]) -> dict[str, Any]:
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


@pytest.mark.parametrize("crd", crds(), ids=lambda crd: crd["spec"]["names"]["kind"])
def test_each_schema_is_structural_and_each_field_is_described(crd: dict[str, Any]) -> None:
    for path, node in schemas(root(crd)):
        if node.get("x-kubernetes-preserve-unknown-fields"):
            continue  # any value
        assert node["type"] in ("object", "array", "string", "integer", "boolean"), path
        assert (node["type"] == "array") == ("items" in node), path
        assert not ("properties" in node and "additionalProperties" in node), path
        if path.startswith((".spec.", ".status.")) and "[]" not in path:
            assert node.get("description"), path
        for key in node.get("x-kubernetes-list-map-keys", []):
            assert key in node["items"]["required"], path


@pytest.mark.parametrize("crd", crds(), ids=lambda crd: crd["spec"]["names"]["kind"])
def test_each_kind_has_status_columns_category_and_a_short_name(crd: dict[str, Any]) -> None:
    version = crd["spec"]["versions"][0]
    assert version["subresources"] == {"status": {}}
    assert crd["spec"]["names"]["categories"] == ["windlass"]
    assert crd["spec"]["names"]["shortNames"]
    assert version["additionalPrinterColumns"][-1]["name"] == "Age"


def test_each_rule_of_the_crds_has_a_message() -> None:
    rules = [
        rule for crd in crds() for _, node in schemas(root(crd)) for rule in node.get("x-kubernetes-validations", [])
    ]
    assert len(rules) == 22
    assert all(":" in rule["message"] for rule in rules)


SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpKH0nsA8ZDQnNHHYAhcVPVjF3iMPNRBQ3WhwVrY1Dp ada@acme.example"
UPDATE = {"repository": "config", "paths": ["apps"]}
IMAGE = {"image": "registry.example.com/acme/shop", "update": UPDATE}
CHART = {"repository": "https://charts.example.com", "name": "redis"}
VERIFY = {"cosign": {"key": {"secret": "cosign-pub"}}}


def keyless(**fields: Any) -> dict[str, Any]:
    """A policy that is verified without a key."""
    verify = {"cosign": {"keyless": fields}}
    return {**IMAGE, "select": {"semver": "1.x"}, "verify": verify, "pin": "digest"}


@pytest.mark.parametrize(
    ("decode", "spec"),
    [
        (repository.decode, {"url": "https://me:pw@git.example.com/a"}),
        (repository.decode, {"url": "https://token@git.example.com/a"}),
        (repository.decode, {"url": "ssh://me:pw@git.example.com/a"}),
        (repository.decode, {"url": "ssh://git@git.example.com:22/a"}),
        (repository.decode, {"url": "https://git.example.com:8443/a@b:c"}),
        (repository.decode, {"url": "https://a/b", "ref": {"branch": "main", "tag": "v1"}}),
        (repository.decode, {"url": "https://a/b", "ref": {"tag": "v1"}}),
        (repository.decode, {"url": "https://a/b", "verify": {"signers": []}}),
        (repository.decode, {"url": "https://a/b", "verify": {"signers": [{"ssh": SSH_KEY}], "mode": "all"}}),
        (application.decode, {"source": {"repository": "a", "path": "a/../b"}}),
        (application.decode, {"source": {"repository": "a", "path": "a/..b"}}),
        (application.decode, {"source": {"repository": "a"}}),
        (image_policy.decode, {**IMAGE, "select": {"semver": "1.x"}}),
        (image_policy.decode, {**IMAGE, "select": {"newest": {}}}),
        (image_policy.decode, {**IMAGE, "select": {"semver": "1.x", "numeric": {}}}),
        (image_policy.decode, {**IMAGE, "select": {}}),
        (image_policy.decode, {**IMAGE, "select": {"numeric": {}, "pattern": "x"}}),
        (image_policy.decode, {**IMAGE, "select": {"semver": "1.x"}, "chart": CHART}),
        (image_policy.decode, {"update": UPDATE, "select": {"semver": "1.x"}, "chart": CHART}),
        (image_policy.decode, {"update": UPDATE, "select": {"newest": {}}, "chart": CHART}),
        (image_policy.decode, {"update": UPDATE, "select": {"semver": "1.x"}}),
        (image_policy.decode, {"update": UPDATE, "select": {"semver": "1.x"}, "chart": CHART, "pin": "digest"}),
        (image_policy.decode, {**IMAGE, "select": {"semver": "1.x"}, "verify": VERIFY}),
        (image_policy.decode, {**IMAGE, "select": {"semver": "1.x"}, "verify": VERIFY, "pin": "tag+digest"}),
        (image_policy.decode, {**IMAGE, "select": {"semver": "1.x"}, "verify": {"cosign": {}}, "pin": "digest"}),
        (image_policy.decode, keyless()),
        (image_policy.decode, keyless(issuer="https://a.example")),
        (image_policy.decode, keyless(issuer="https://a.example", identity="ada@acme.example")),
        (image_policy.decode, keyless(issuerPattern="https://.+", identityPattern=".+@acme[.]example")),
        (image_policy.decode, keyless(issuer="https://a.example", issuerPattern="a", identity="b")),
        (image_policy.decode, keyless(issuer="https://a.example", identity="a", identityPattern="b")),
        (image_policy.decode, keyless(issuer="https://a.example", identity="a", root={})),
        (image_policy.decode, keyless(issuer="https://a.example", identity="a", root={"secret": "root"})),
        (image_policy.decode, keyless(issuer="a", identity="a", root={"secret": "root", "configMap": "root"})),
    ],
)
def test_the_cel_rules_and_the_reading_say_the_same(decode: Any, spec: dict[str, Any]) -> None:
    cel = pytest.importorskip("cel_expr_python.cel")
    kind = {repository.decode: "Repository", image_policy.decode: "ImagePolicy"}.get(decode, "Application")
    crd = next(crd for crd in crds() if crd["spec"]["names"]["kind"] == kind)

    def holds(node: dict[str, Any], value: Any) -> bool:
        environment = cel.NewEnv(variables={"self": cel.Type.DYN})
        for rule in node.get("x-kubernetes-validations", []):
            answer = environment.compile(rule["rule"]).eval(data={"self": value}).value()
            assert isinstance(answer, bool), (rule, answer)
            if not answer:
                return False
        return all(holds(inner, value[name]) for name, inner in node.get("properties", {}).items() if name in value)

    try:
        decode({"apiVersion": "windlass.dev/v1alpha1", "kind": kind, "metadata": {"name": "a"}, "spec": spec})
        read = True
    except BadSpec:
        read = False
    assert holds(root(crd)["properties"]["spec"], spec) is read


def test_the_pages_are_what_make_docs_writes() -> None:
    for name, text in pages().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"{name}: run tools/make_docs.py"


def test_every_reason_has_a_sentence() -> None:
    assert all(reason.text.endswith(".") for reason in Reason)


def test_every_error_has_a_documented_reason() -> None:
    """By the text of the sources: an error class of any room gets into a condition by its ``reason``."""
    sources = Path(windlass.__file__).parent
    found = {
        reason
        for room in ("errors.py", "ports", "core", "adapters", "flows")
        for path in ([sources / room] if room.endswith(".py") else (sources / room).rglob("*.py"))
        for reason in re.findall(r'reason: ClassVar\[str\] = "(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert "ClusterUnavailable" in found
    assert found - {reason.value for reason in Reason} == set(), "add it to core/kinds/reasons.py"


def test_short_names_and_plurals_are_told_apart() -> None:
    names = [name for kind in KINDS for name in (kind.plural, kind.short, kind.kind.lower())]
    assert len(names) == len(set(names))
