"""The laws of server-side apply, on random objects of a kind that has every sort of field."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.core.manifests.fields import difference, intersection, path_text, paths
from windlass.core.manifests.schemas import schema_from_crd
from windlass.devstack.apiserver.apply import ApplyConflict, apply, settle, update_managers
from windlass.devstack.apiserver.apply.compare import compare, whole

SCHEMA = schema_from_crd(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "n": {"type": "integer"},
                    "t": {"type": "string"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "atomic": {"type": "array", "items": {"type": "string"}},
                    "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                    "keyed": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k", "p"],
                        "items": {
                            "type": "object",
                            "properties": {
                                "k": {"type": "string"},
                                "p": {"type": "string", "default": "TCP"},
                                "v": {"type": "integer"},
                                "w": {"type": "object", "properties": {"x": {"type": "string"}}},
                            },
                        },
                    },
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        },
    }
)
NAMES = st.sampled_from(["a", "b", "c"])
ITEM = st.fixed_dictionaries(
    {"k": NAMES},
    optional={"p": st.sampled_from(["TCP", "UDP"]), "v": st.integers(0, 2), "w": st.fixed_dictionaries({"x": NAMES})},
)


def unique(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({(item["k"], item.get("p", "TCP")): item for item in items}.values())


SPEC = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(0, 3),
        "t": NAMES,
        "labels": st.dictionaries(NAMES, NAMES, min_size=1, max_size=3),
        "atomic": st.lists(NAMES, max_size=3),
        "set": st.lists(NAMES, min_size=1, max_size=3, unique=True),
        "keyed": st.lists(ITEM, min_size=1, max_size=4).map(unique),
        "free": st.dictionaries(
            NAMES, st.one_of(st.integers(0, 1), st.dictionaries(NAMES, NAMES, min_size=1)), min_size=1
        ),
    },
)


def thing(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "ex.dev/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "d"}, "spec": spec}


def applied(live: dict[str, Any] | None, spec: dict[str, Any], manager: str = "m", **more: Any) -> dict[str, Any]:
    return apply(live, thing(spec), schema=SCHEMA, manager=manager, api_version="ex.dev/v1", now="t1", **more)


def entry(body: dict[str, Any], manager: str) -> dict[str, Any]:
    found = [each for each in body["metadata"].get("managedFields", ()) if each["manager"] == manager]
    return dict(found[0]["fieldsV1"]) if found else {}


@settings(max_examples=150, deadline=None)
@given(SPEC)
def test_applying_twice_changes_nothing(spec: dict[str, Any]) -> None:
    first = applied(None, spec)
    again = applied(first, copy.deepcopy(spec))
    assert again == first
    assert settle(first, again) is first


@settings(max_examples=150, deadline=None)
@given(SPEC, SPEC)
def test_a_sole_applier_gets_exactly_what_it_applied_last(before: dict[str, Any], after: dict[str, Any]) -> None:
    """What is dropped goes, what is new comes, and nothing else is left: lists keep no old items."""
    live = applied(applied(None, before), after)
    fresh = applied(None, after)
    assert compare(thing(live.get("spec") or {}), thing(fresh.get("spec") or {}), SCHEMA).same
    assert entry(live, "m") == entry(fresh, "m")


@settings(max_examples=150, deadline=None)
@given(SPEC, SPEC, SPEC)
def test_what_another_owns_stays_when_we_drop_it(
    ours: dict[str, Any], theirs: dict[str, Any], less: dict[str, Any]
) -> None:
    live = applied(applied(None, ours), theirs, "other", force=True)
    held = entry(live, "other")
    try:
        after = applied(live, less, "m")
    except ApplyConflict:
        return
    removed = compare(thing(live.get("spec") or {}), thing(after.get("spec") or {}), SCHEMA).removed
    assert not intersection(removed, held)
    assert entry(after, "other") == held


@settings(max_examples=100, deadline=None)
@given(SPEC, SPEC)
def test_a_conflict_changes_nothing_and_force_takes_it(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    live = applied(None, ours)
    before = copy.deepcopy(live)
    refusal: ApplyConflict | None = None
    after = live
    try:
        after = applied(live, theirs, "other")
    except ApplyConflict as conflict:
        refusal = conflict
    assert live == before
    if refusal is None:
        assert compare(thing(applied(after, theirs, "other")["spec"]), thing(after["spec"]), SCHEMA).same
        return
    forced = applied(live, theirs, "other", force=True)
    taken = {field for _, field in refusal.conflicts}
    assert taken <= {path_text(path) for path in paths(entry(forced, "other"))}
    assert not taken & {path_text(path) for path in paths(entry(forced, "m"))}


@settings(max_examples=100, deadline=None)
@given(SPEC, SPEC)
def test_an_update_owns_what_it_changed_and_nobody_else_does(ours: dict[str, Any], new: dict[str, Any]) -> None:
    live = applied(None, ours)
    body = {**live, "spec": new}
    after = update_managers(live, body, schema=SCHEMA, manager="u", api_version="ex.dev/v1", now="t2")
    changes = compare(thing(ours), thing(new), SCHEMA)
    assert not difference(changes.touched, entry(after, "u"))
    assert not list(paths(difference(entry(after, "u"), changes.touched)))
    assert not difference(entry(after, "m"), whole(after, SCHEMA)), "an entry never owns what is not there"


def test_a_null_asks_for_nothing_of_a_map_that_has_something() -> None:
    live = applied(None, {"labels": {"a": "b"}})
    assert applied(live, {"labels": None}, "other")["spec"]["labels"] == {"a": "b"}


@pytest.mark.parametrize(
    ("live", "mine", "order"),
    [
        ("abc", "abc", "abc"),
        ("abc", "cba", "cba"),
        ("abc", "xa", "xabc"),
        ("abc", "bx", "abxc"),
        ("ab", "xy", "abxy"),
        ("abcd", "dxb", "adxbc"),
    ],
)
def test_items_come_in_the_order_of_the_applied_among_the_live(live: str, mine: str, order: str) -> None:
    had = applied(None, {"set": list(live)})
    made = apply(had, thing({"set": list(mine)}), schema=SCHEMA, manager="other", api_version="ex.dev/v1", now="t")
    assert sorted(made["spec"]["set"]) == sorted(order)
    places = [made["spec"]["set"].index(each) for each in mine]
    assert places == sorted(places), "applied items keep their order"


def test_what_became_atomic_since_is_owned_as_a_whole() -> None:
    """A custom kind's schema changes under its objects."""

    def schema(map_type: str) -> Any:
        free = {"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": map_type}
        return schema_from_crd(
            {"type": "object", "properties": {"spec": {"type": "object", "properties": {"m": free}}}}
        )

    def put(live: Any, value: dict[str, str], map_type: str, manager: str) -> dict[str, Any]:
        who: Any = {"manager": manager, "api_version": "ex.dev/v1", "now": "t"}
        return apply(live, thing({"m": value}), schema=schema(map_type), **who)

    live = put(None, {"a": "1", "b": "2"}, "granular", "m")
    assert entry(live, "m") == {"f:spec": {"f:m": {"f:a": {}, "f:b": {}}}}
    with pytest.raises(ApplyConflict, match=r"conflict with \"m\": .spec.m$"):
        put(live, {"a": "9"}, "atomic", "other")
    after = put(live, {"a": "1", "b": "2"}, "atomic", "other")
    assert entry(after, "m") == entry(after, "other") == {"f:spec": {"f:m": {}}}
