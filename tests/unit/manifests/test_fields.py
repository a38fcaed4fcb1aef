"""Field sets and their laws, and drift told from ownership alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.core.manifests import fields as f
from windlass.core.manifests.fields import FieldPathError, FieldSet, path_text, uncovered
from windlass.core.manifests.schemas import DEDUCED, Schemas

ELEMENT = st.one_of(
    st.sampled_from(["f:a", "f:b", "f:c.d/e"]),
    st.sampled_from(
        ['k:{"name":"x"}', 'k:{"containerPort":80,"protocol":"TCP"}', 'k:{"containerPort":443,"protocol":"TCP"}']
    ),
    st.sampled_from(['v:"x"', "v:1", "v:true", "i:0", "i:10", "i:2"]),
)
PATH = st.lists(ELEMENT, min_size=1, max_size=4).map(tuple)
SETS = st.lists(PATH, max_size=8).map(FieldSet.from_paths)


@settings(max_examples=200, deadline=None)
@given(st.lists(PATH, max_size=8))
def test_a_set_holds_exactly_its_paths(found: list[tuple[str, ...]]) -> None:
    made = FieldSet.from_paths(found)
    assert set(made.paths()) == set(found)
    assert all(path in made for path in found)


@settings(max_examples=200, deadline=None)
@given(SETS)
def test_a_set_survives_its_text(made: FieldSet) -> None:
    text = json.dumps(made.fields)
    again = FieldSet.decode(json.loads(text))
    assert again == made
    assert json.dumps(again.fields) == text, "the order is part of the text"


@settings(max_examples=300, deadline=None)
@given(SETS, SETS)
def test_the_operations_are_those_of_sets(left: FieldSet, right: FieldSet) -> None:
    ours, theirs = set(left.paths()), set(right.paths())
    assert set(left.union(right).paths()) == ours | theirs
    assert set(left.intersection(right).paths()) == ours & theirs
    assert set(left.difference(right).paths()) == ours - theirs
    assert left.union(right) == right.union(left)
    assert json.dumps(left.union(right).fields) == json.dumps(right.union(left).fields)
    assert left.difference(left).empty


@settings(max_examples=100, deadline=None)
@given(SETS, SETS)
def test_taking_out_recursively_leaves_nothing_below(left: FieldSet, right: FieldSet) -> None:
    removed = set(right.paths())
    expected = {path for path in left.paths() if not any(path[: size + 1] in removed for size in range(len(path)))}
    assert set(FieldSet(f.without(left.fields, right.fields)).paths()) == expected


def test_keys_are_ordered_by_their_numbers() -> None:
    made = FieldSet.from_paths([('k:{"p":443}',), ('k:{"p":80}',), ("f:z",), ("f:a",)])
    assert list(made.fields) == ["f:a", "f:z", 'k:{"p":80}', 'k:{"p":443}']


def test_a_path_is_told_in_the_servers_words() -> None:
    path = (
        "f:spec",
        "f:containers",
        'k:{"name":"web"}',
        "f:ports",
        'k:{"containerPort":80,"protocol":"TCP"}',
        "f:name",
    )
    assert path_text(path) == '.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"].name'
    assert path_text(("f:metadata", "f:finalizers", 'v:"a/b"')) == '.metadata.finalizers[="a/b"]'


@pytest.mark.parametrize("bad", ["x", "fspec", "k:{", "k:[]", "v:", "i:a"])
def test_a_malformed_element_is_refused(bad: str) -> None:
    with pytest.raises(FieldPathError):
        FieldSet.decode({bad: {}})


def test_an_element_of_a_later_version_is_left_out() -> None:
    assert FieldSet.decode({"f:a": {}, "z:new": {}}).fields == {"f:a": {}}
    assert FieldSet.decode({"f:a": {"z:new": {}}}).empty


BODY: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "labels": {"app.kubernetes.io/name": "web", "x": "y"},
        "annotations": {},
    },
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "a:1",
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}],
                        "ports": [{"containerPort": 80}],
                        "volumeMounts": [],
                    }
                ],
                "tolerations": [{"key": "x"}],
                "volumes": None,
            },
        },
    },
    "status": {"replicas": 1},
}
SCHEMA = Schemas.builtin().kind("apps/v1", "Deployment")
assert SCHEMA is not None
OURS = f.difference(f.fields_of(BODY, SCHEMA), {"f:status": {"f:replicas": {}}})
CONTAINER = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"web"}')


def lost(*found: tuple[str, ...]) -> list[str]:
    return uncovered(f.difference(OURS, f.from_paths(found)), BODY)


def test_what_is_still_ours_is_covered() -> None:
    assert uncovered(OURS, BODY) == []
    assert uncovered(FieldSet(OURS), BODY) == []


def test_a_field_that_was_taken_is_told() -> None:
    assert lost(("f:spec", "f:replicas")) == ["spec.replicas"]
    assert lost((*CONTAINER, "f:image")) == ["spec.template.spec.containers[name=web].image"]
    assert lost(("f:metadata", "f:labels", "f:app.kubernetes.io/name")) == ["metadata.labels[app.kubernetes.io/name]"]


def test_a_lost_item_is_told_once_by_its_keys() -> None:
    env = (*CONTAINER, "f:env", 'k:{"name":"A"}')
    shrunk = f.without(OURS, f.from_paths([env]))
    assert uncovered(shrunk, BODY) == ["spec.template.spec.containers[name=web].env[name=A]"]
    ports = (*CONTAINER, "f:ports", 'k:{"containerPort":80,"protocol":"TCP"}')
    assert uncovered(f.without(OURS, f.from_paths([ports])), BODY) == ["spec.template.spec.containers[name=web].ports"]


def test_an_item_that_is_ours_by_name_only_tells_its_fields() -> None:
    env = (*CONTAINER, "f:env", 'k:{"name":"A"}')
    assert lost((*env, "f:value"), (*env, "f:name")) == ["spec.template.spec.containers[name=web].env[name=A].value"]


def test_an_entry_that_is_gone_covers_nothing() -> None:
    assert uncovered({}, BODY) == ["metadata.labels", "spec"]


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.one_of(st.integers(), st.text(max_size=3), st.booleans()),
        lambda inner: st.dictionaries(
            st.text(alphabet="abc./[", min_size=1, max_size=3), inner, min_size=1, max_size=3
        ),
        max_leaves=12,
    ).filter(lambda value: isinstance(value, dict))
)
def test_an_apply_owns_all_of_its_body(spec: dict[str, Any]) -> None:
    body = {"spec": spec}
    assert uncovered(f.fields_of(body, DEDUCED), body) == []
