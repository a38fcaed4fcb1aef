"""Which source gave a chart which value: the last word on each field, as Helm merges them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from windlass.core.charts.values import value_origins


def test_maps_are_merged_and_everything_else_is_replaced() -> None:
    low = {"image": {"name": "shop", "tag": "1"}, "list": [1, 2], "cache": {"size": 1}, "old": {"a": 1, "b": 2}}
    high = {"image": {"tag": "2"}, "list": [3], "cache": None, "old": "text", "a.b": True, "empty": {}}
    assert value_origins([("low.yaml", low), ("high.yaml", high)]) == [
        ('["a.b"]', "high.yaml"),
        ("cache", "taken out by high.yaml"),
        ("empty", "high.yaml"),
        ("image.name", "low.yaml"),
        ("image.tag", "high.yaml"),
        ("list", "high.yaml"),
        ("old", "high.yaml"),
    ]
    assert value_origins([("low.yaml", {"a": 1}), ("high.yaml", {"a": {"b": 2}})]) == [("a.b", "high.yaml")]
    assert value_origins([("empty.yaml", {}), ("text.yaml", "x"), ("nothing.yaml", None)]) == []


keys = st.sampled_from("abc")
layers = st.lists(
    st.dictionaries(keys, st.recursive(st.integers(), lambda inner: st.dictionaries(keys, inner), max_leaves=6)),
    max_size=4,
)


def merged(low: Any, high: Any) -> Any:
    if not (isinstance(low, dict) and isinstance(high, dict)) or not high:
        return high
    return {**low, **{key: merged(low.get(key), one) for key, one in high.items()}}


def at(value: Any, path: list[str]) -> Any:
    for part in path:
        value = value[part]
    return value


@given(layers)
def test_what_is_told_is_where_the_merged_value_stands(drawn: list[dict[str, Any]]) -> None:
    whole: dict[str, Any] = {}
    for layer in drawn:
        whole = {**whole, **{key: merged(whole.get(key), one) for key, one in layer.items()}}
    for path, name in value_origins([(str(number), layer) for number, layer in enumerate(drawn)]):
        value = at(whole, path.split("."))
        assert value == at(drawn[int(name)], path.split("."))
        assert not isinstance(value, dict) or value == {}
