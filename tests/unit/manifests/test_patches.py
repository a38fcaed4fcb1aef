"""Patches: the three kinds, as the real server (1.36.3) carried them out."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.core.manifests.patches import PatchError, json_patch, merge_patch, strategic_merge
from windlass.core.manifests.schemas import Schemas

SCHEMA = Schemas.builtin().kind("apps/v1", "Deployment")
LIVE: dict[str, Any] = {
    "metadata": {"name": "w", "labels": {"app": "w"}, "finalizers": ["a.b/c", "d.e/f", "g.h/i"]},
    "spec": {
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        "template": {
            "spec": {
                "containers": [
                    {"name": "web", "image": "a:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
                    {"name": "sidecar", "image": "s"},
                    {"name": "third", "image": "t"},
                ],
                "tolerations": [{"key": "a"}],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            }
        },
    },
}

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["x", "y"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def pod(patch: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": patch}}}


def merged(patch: dict[str, Any]) -> Any:
    before, asked = copy.deepcopy(LIVE), copy.deepcopy(patch)
    out = strategic_merge(LIVE, patch, SCHEMA)
    assert before == LIVE, "the target is not changed"
    assert asked == patch, "the patch is not changed"
    return out


def names(out: Any) -> list[str]:
    return [container["name"] for container in out["spec"]["template"]["spec"]["containers"]]


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": "foo"}, "bar", "bar"),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_follows_its_standard(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


@settings(max_examples=100, deadline=None)
@given(JSON, JSON)
def test_a_merge_patch_twice_is_once(target: Any, patch: Any) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([{"op": "add", "path": "/l/0", "value": 9}], {"l": [9, 1, 2], "m": {"a/b": 1}}),
        ([{"op": "add", "path": "/l/-", "value": 9}], {"l": [1, 2, 9], "m": {"a/b": 1}}),
        ([{"op": "remove", "path": "/l/-1"}], {"l": [1], "m": {"a/b": 1}}),
        ([{"op": "replace", "path": "/m/a~1b", "value": 2}], {"l": [1, 2], "m": {"a/b": 2}}),
        ([{"op": "replace", "path": "/m/new", "value": 2}], {"l": [1, 2], "m": {"a/b": 1, "new": 2}}),
        ([{"op": "move", "from": "/l/0", "path": "/m/x"}], {"l": [2], "m": {"a/b": 1, "x": 1}}),
        ([{"op": "copy", "from": "/l", "path": "/m/x"}], {"l": [1, 2], "m": {"a/b": 1, "x": [1, 2]}}),
        ([{"op": "test", "path": "/l/1", "value": 2}], {"l": [1, 2], "m": {"a/b": 1}}),
        ([{"op": "test", "path": "/nothing", "value": None}], {"l": [1, 2], "m": {"a/b": 1}}),
        (None, {"l": [1, 2], "m": {"a/b": 1}}),
    ],
)
def test_a_json_patch_is_carried_out_in_order(operations: Any, result: Any) -> None:
    target = {"l": [1, 2], "m": {"a/b": 1}}
    assert json_patch(target, operations) == result
    assert target == {"l": [1, 2], "m": {"a/b": 1}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/l/0", "value": True},
        {"op": "remove", "path": "/nothing"},
        {"op": "add", "path": "/a/b", "value": 1},
        {"op": "add", "path": "/l/9", "value": 1},
        {"op": "remove", "path": "/l/9"},
        {"op": "move", "from": "/nothing", "path": "/x"},
        {"op": "copy", "from": "/nothing/below", "path": "/x"},
        {"op": "test", "path": "/nothing/below", "value": None},
        {"op": "add", "path": "", "value": {}},
        {"op": "add", "value": 1},
        {"op": "dance", "path": "/l"},
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchError) as refused:
        json_patch({"l": [1, 2]}, [operation])
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")


def test_a_json_patch_of_another_shape_is_malformed() -> None:
    with pytest.raises(PatchError, match=r"cannot unmarshal object into Go value of type \[\]handlers.jsonPatchOp"):
        json_patch({}, {"op": "add"})  # type: ignore[arg-type]


def test_list_items_merge_by_their_key() -> None:
    out = merged(pod({"containers": [{"name": "web", "image": "a:2", "env": [{"name": "B", "value": "3"}]}]}))
    web = out["spec"]["template"]["spec"]["containers"][0]
    assert web["image"] == "a:2"
    assert web["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}]


@pytest.mark.parametrize(
    ("patch", "order"),
    [
        ({"containers": [{"name": "new"}, {"name": "web"}]}, ["new", "web", "sidecar", "third"]),
        ({"containers": [{"name": "web", "$patch": "delete"}]}, ["sidecar", "third"]),
        ({"containers": [{"$patch": "replace"}, {"name": "only"}]}, ["only"]),
        (
            {"$setElementOrder/containers": [{"name": "third"}, {"name": "web"}, {"name": "sidecar"}]},
            ["third", "web", "sidecar"],
        ),
        (
            {
                "$setElementOrder/containers": [{"name": "third"}, {"name": "x"}, {"name": "web"}],
                "containers": [{"name": "x"}, {"name": "sidecar", "$patch": "delete"}],
            },
            ["third", "x", "web"],
        ),
    ],
)
def test_items_come_where_the_real_server_puts_them(patch: dict[str, Any], order: list[str]) -> None:
    assert names(merged(pod(patch))) == order


def test_directives_replace_delete_and_retain() -> None:
    strategy = merged({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})["spec"]["strategy"]
    assert strategy == {"type": "Recreate"}
    assert merged({"metadata": {"labels": {"$patch": "replace", "n": "v"}}})["metadata"]["labels"] == {"n": "v"}
    assert merged({"metadata": {"labels": {"$patch": "delete"}}})["metadata"]["labels"] == {}
    volumes = merged(
        pod({"volumes": [{"name": "tmp", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]})
    )
    assert volumes["spec"]["template"]["spec"]["volumes"] == [{"name": "tmp", "hostPath": {"path": "/"}}]


def test_lists_of_values_unite_and_lose_by_directive() -> None:
    assert merged({"metadata": {"finalizers": ["z"]}})["metadata"]["finalizers"] == ["z", "a.b/c", "d.e/f", "g.h/i"]
    out = merged(
        {
            "metadata": {
                "$setElementOrder/finalizers": ["g.h/i", "z", "a.b/c"],
                "finalizers": ["z"],
                "$deleteFromPrimitiveList/finalizers": ["d.e/f"],
            }
        }
    )
    assert out["metadata"]["finalizers"] == ["g.h/i", "z", "a.b/c"]


def test_atomic_lists_and_new_parts_are_taken_as_they_are() -> None:
    assert merged(pod({"tolerations": [{"key": "z"}]}))["spec"]["template"]["spec"]["tolerations"] == [{"key": "z"}]
    assert merged({"spec": {"x": {"$patch": "merge", "a": None, "b": 1}}})["spec"]["x"] == {"b": 1}
    assert "labels" not in merged({"metadata": {"labels": None}})["metadata"]


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (pod({"containers": [{"image": "x"}]}), "map: map[image:x] does not contain declared merge key: name"),
        (
            pod({"containers": [{"name": "q", "$patch": "foo"}]}),
            "unknown patch type: foo in map: map[$patch:foo name:q]",
        ),
        ({"spec": {"strategy": {"$patch": "bad"}}}, "unknown patch type: bad in map: map[$patch:bad]"),
    ],
)
def test_a_broken_directive_is_refused_in_the_servers_words(patch: dict[str, Any], words: str) -> None:
    with pytest.raises(PatchError) as refused:
        merged(patch)
    assert (refused.value.code, refused.value.message) == (500, words)


def test_retained_keys_must_hold_what_is_given() -> None:
    with pytest.raises(PatchError, match="invalid patch format of retainKeys") as refused:
        merged({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "foo": 1}}})
    assert refused.value.code == 400
