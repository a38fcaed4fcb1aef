"""Order, quantities, selectors, and masking of manifests."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.core.manifests.order import LAST, tier, tier_of
from windlass.core.manifests.quantities import QuantityError, equal, parse, same_amount
from windlass.core.manifests.redact import LAST_APPLIED, Masked, masked, printable
from windlass.core.manifests.selectors import FieldSelector, LabelSelector, SelectorError
from windlass.core.model import ObjectRef


def test_what_others_need_comes_first() -> None:
    order = [
        ("", "Namespace"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("", "ServiceAccount"),
        ("", "ConfigMap"),
        ("", "Service"),
        ("apps", "Deployment"),
        ("networking.k8s.io", "Ingress"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ]
    assert [tier(*each) for each in order] == list(range(LAST + 1))
    assert tier("apiextensions.k8s.io", "CustomResourceDefinition") == 0
    assert tier("ex.dev", "Thing") == tier("apps", "Deployment")
    assert tier_of(ObjectRef("", "Secret", "a", "b")) == tier("", "ConfigMap")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1000m", "1"),
        ("0.5Gi", "512Mi"),
        ("1e3", "1k"),
        ("1", 1),
        (".5", "500m"),
        ("1.", "1"),
        ("1024Ki", "1Mi"),
        ("-1", -1),
    ],
)
def test_equal_amounts_are_equal(left: Any, right: Any) -> None:
    assert same_amount(left, right)
    assert equal(left, right, "resources.limits.cpu")


@pytest.mark.parametrize("bad", ["", "abc", "1 Gi", "1GiB", "1e99999", True, "9" * 100])
def test_what_is_no_quantity_is_refused(bad: Any) -> None:
    with pytest.raises(QuantityError):
        parse(bad)


def test_meaning_counts_only_where_a_quantity_stands() -> None:
    assert equal("1000m", "1", "spec.containers[name=a].resources.limits.cpu")
    assert equal("1000m", "1", "spec.x.resources.limits[nvidia.com/gpu]")
    assert not equal("1000m", "1", "spec.command")
    assert equal(80, "80", "spec.ports.targetPort")
    assert not equal(True, 1)
    assert not equal("true", True)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["m", "", "k", "Mi"]))
def test_an_amount_equals_itself_however_written(number: int, suffix: str) -> None:
    assert same_amount(f"{number}{suffix}", f"{number}.0{suffix}")


@pytest.mark.parametrize(
    ("text", "labels", "selected"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b,c", {"a": "b", "c": ""}, True),
        ("a!=b", {}, True),
        ("a in (x,y)", {"a": "y"}, True),
        ("a in (x,y)", {}, False),
        ("a notin (x, y)", {"a": "z"}, True),
        ("!a", {"a": ""}, False),
        ("a>5", {"a": "6"}, True),
        ("a<5", {"a": "x"}, False),
        ("app.kubernetes.io/name=web,tier in (a)", {"app.kubernetes.io/name": "web", "tier": "a"}, True),
        ("a=", {"a": ""}, True),
        ("in in (in)", {"in": "in"}, True),
    ],
)
def test_a_label_selector_selects(text: str, labels: dict[str, str], selected: bool) -> None:
    selector = LabelSelector.parse(text)
    assert selector.matches(labels) is selected
    assert LabelSelector.parse(str(selector)) == selector


@pytest.mark.parametrize(
    "bad", ["a=b,", "=b", "a in x", "a in ()x", "a b", "-a=b", "a=b c", "a,,b", "a in (x", "/a", "a>x", "a==="]
)
def test_a_label_selector_that_cannot_be_read_is_refused(bad: str) -> None:
    with pytest.raises(SelectorError):
        LabelSelector.parse(bad)


def test_the_struct_form_selects_as_well() -> None:
    selector = LabelSelector.of(
        {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["d"]}]}
    )
    assert selector.matches({"a": "b"})
    assert not selector.matches({"a": "b", "c": "d"})
    assert LabelSelector.of({}).matches({"x": "y"})
    assert not LabelSelector.of(None).matches({})
    with pytest.raises(SelectorError, match="not a valid label selector operator"):
        LabelSelector.of({"matchExpressions": [{"key": "c", "operator": "Like"}]})


def test_a_field_selector_selects() -> None:
    selector = FieldSelector.parse("status.phase!=Failed,metadata.name=a\\,b")
    assert selector.matches({"metadata.name": "a,b", "status.phase": "Running"})
    assert not selector.matches({"metadata.name": "a,b", "status.phase": "Failed"})
    assert selector.wanted("metadata.name") == "a,b"
    assert str(selector) == "status.phase!=Failed,metadata.name=a\\,b"
    with pytest.raises(SelectorError, match="can't understand 'nonsense'"):
        FieldSelector.parse("nonsense")


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s", "annotations": {LAST_APPLIED: '{"data":{"p":"c2VjcmV0"}}', "a": "b"}},
    "data": {"p": "c2VjcmV0"},
    "stringData": {"q": "hunter2"},
}


@pytest.mark.parametrize("body", [SECRET, {"apiVersion": "v1", "kind": "List", "items": [SECRET]}])
def test_no_way_of_printing_shows_a_secret(body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    hidden = masked(body, b"key")
    for text in (str(hidden), repr(hidden), f"{hidden}", json.dumps(printable(hidden)), "%s" % hidden):  # noqa: UP031
        assert "c2VjcmV0" not in text
        assert "hunter2" not in text
        assert "***" in text
    with pytest.raises(TypeError):
        pickle.dumps(hidden)
    with pytest.raises(TypeError):
        json.dumps(hidden)
    assert body == before


def test_masked_values_compare_by_key_only() -> None:
    assert Masked("a", b"k") == Masked("a", b"k")
    assert Masked("a", b"k") != Masked("b", b"k")
    assert Masked("a", b"k") != Masked("a", b"other")
    assert Masked("a") != Masked("a")
    assert Masked("a", b"k").digest != "a"


def test_malformed_secrets_are_hidden_too_and_others_are_left() -> None:
    assert "hunter2" not in str(masked({"apiVersion": "v1", "kind": "Secret", "data": "hunter2"}))
    plain = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}
    assert masked(plain) is plain
    item = {"apiVersion": "v1", "kind": "SecretList", "items": [{"data": {"p": "hunter2"}}]}
    assert "hunter2" not in str(masked(item))
