"""Strategic merges by kyaml's rules: what is in the patch, what is not, and what they share."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.core.kustomize import KustomizeError
from windlass.core.kustomize.merging import merge
from windlass.core.kustomize.nodes import json_value
from windlass.core.kustomize.reading import objects
from windlass.core.kustomize.schemas import Known, builtin, from_openapi


def tree(text: str) -> Any:
    """The one document of a text."""
    (parsed,) = objects(text.encode(), "a.yaml")
    return parsed.node


def merged(target: str, patch: str, kind: str = "apps/v1 Deployment") -> Any:
    """What a patch makes of an object of a kind."""
    node = tree(target)
    kept = merge(node, tree(patch), Known().schema(*kind.split()))
    return json_value(node) if kept else None


def containers(text: str) -> str:
    """An object with these containers."""
    return f"spec: {{template: {{spec: {{containers: {text}}}}}}}"


def test_new_items_of_a_keyed_list_come_before_the_old_ones() -> None:
    found = merged(containers("[{name: a, image: x}, {name: b}]"), containers("[{name: n}, {name: a, image: y}]"))
    assert found["spec"]["template"]["spec"]["containers"] == [
        {"name": "n"},
        {"name": "a", "image": "y"},
        {"name": "b"},
    ]


def test_ports_are_told_apart_by_number_and_protocol() -> None:
    found = merged(
        containers("[{name: a, ports: [{containerPort: 80, protocol: TCP}, {containerPort: 80, protocol: UDP}]}]"),
        containers("[{name: a, ports: [{containerPort: 80, protocol: UDP, name: dns}]}]"),
    )
    assert found["spec"]["template"]["spec"]["containers"][0]["ports"] == [
        {"containerPort": 80, "protocol": "TCP"},
        {"containerPort": 80, "protocol": "UDP", "name": "dns"},
    ]


def test_a_list_of_a_custom_kind_is_replaced_and_merges_where_openapi_says_how() -> None:
    target, patch = "spec: {items: [{name: a, v: 1}]}", "spec: {items: [{name: b}]}"
    assert merged(target, patch, "x.example/v1 Thing") == {"spec": {"items": [{"name": "b"}]}}
    item = {"type": "array", "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge"}
    known = Known(
        custom=from_openapi(
            {
                "definitions": {
                    "Thing": {
                        "properties": {"spec": {"$ref": "#/definitions/Spec"}},
                        "x-kubernetes-group-version-kind": [{"group": "x.example", "version": "v1", "kind": "Thing"}],
                    },
                    "Spec": {"properties": {"items": item}},
                }
            }
        )
    )
    node = tree(target)
    assert merge(node, tree(patch), known.schema("x.example/v1", "Thing"))
    assert json_value(node) == {"spec": {"items": [{"name": "b"}, {"name": "a", "v": 1}]}}


def test_null_removes_and_what_is_left_empty_in_the_object_goes_but_a_written_null_stays() -> None:
    found = merged("spec: {a: 1, b: null, c: ~}\nother:\n", "spec: {a: null}")
    assert found == {"spec": {"b": None, "c": None}}


def test_directives_delete_and_replace_and_the_api_servers_others_are_ordinary_fields() -> None:
    assert merged("a: {b: 1}\nc: 2\n", "a: {$patch: delete}") == {"c": 2}
    assert merged("a: {b: 1}\n", "a: {$patch: replace, d: 2}") == {"a": {"d": 2}}
    assert merged("a: {b: 1}\n", "$patch: delete\n") is None
    assert merged("a: {b: 1}\n", "a: {$retainKeys: [c], c: 2}")["a"] == {"b": 1, "$retainKeys": ["c"], "c": 2}


def test_a_number_in_the_place_of_a_quoted_text_becomes_text() -> None:
    assert merged("a: '1'\nb: 1\n", "a: 2\nb: '2'\n") == {"a": "2", "b": "2"}


def test_a_value_of_another_kind_is_refused_with_its_path() -> None:
    with pytest.raises(KustomizeError, match=r"spec\.a"):
        merged("spec: {a: text}", "spec: {a: {b: 1}}")


def test_merging_knows_the_lists_of_kubernetes_1_21_and_not_later_ones() -> None:
    pod = builtin().kind("v1", "Pod")
    assert pod is not None
    spec = pod.field("spec")
    assert spec is not None
    volumes = spec.field("volumes")
    assert volumes is not None
    assert volumes.patch_merge_key == "name"
    later = spec.field("resourceClaims")
    assert later is None or not later.patch_strategy
