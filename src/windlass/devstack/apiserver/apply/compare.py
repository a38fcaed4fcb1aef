"""What changed between two objects, as sets of fields: removed, modified, added. Called for every write.

Items of keyed lists are matched by their keys, sets by their values; an atomic list or map is one field; the order of a
list is no difference. Subtrees that are the same Python object are not looked into, so comparing an object with a copy
that shares most of it costs what was changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from windlass.core.manifests.fieldpaths import in_order
from windlass.core.manifests.fields import Fields, ListItemError, item_element, union, without
from windlass.core.manifests.schemas import DEDUCED, UNTYPED, Schema

_LEAF: dict[str, Any] = {}
_SELF = "."
_ABSENT: Any = object()
_NO_ITEMS: list[Any] = []


class Comparison(NamedTuple):
    """Three sets of fields. ``touched`` is what was modified or added."""

    removed: Fields
    modified: Fields
    added: Fields

    @property
    def touched(self) -> Fields:
        """What the new object says that the old did not."""
        return union(self.modified, self.added)

    @property
    def same(self) -> bool:
        """Whether nothing changed."""
        return not (self.removed or self.modified or self.added)

    def outside(self, reset: Fields) -> Comparison:
        """The same without what is at or below ``reset``."""
        if not reset:
            return self
        return Comparison(without(self.removed, reset), without(self.modified, reset), without(self.added, reset))


# A node of the three sets while they are built: None where nothing is in it.
_Node = dict[str, Any] | None
_Nodes = tuple[_Node, _Node, _Node]
_NOTHING: _Nodes = (None, None, None)


def compare(old: Mapping[str, Any], new: Mapping[str, Any], schema: Schema) -> Comparison:
    """What ``new`` removes, modifies and adds."""
    if old is new:
        return Comparison(_LEAF, _LEAF, _LEAF)
    removed, modified, added = _both(old, new, schema)
    return Comparison(removed or _LEAF, modified or _LEAF, added or _LEAF)


def same_value(left: Any, right: Any) -> bool:
    """Equality as JSON knows it: true is not 1, and 1 is 1.0."""
    if left is right:
        return True
    kind = type(left)
    if kind is dict:
        return (
            type(right) is dict
            and left.keys() == right.keys()
            and all(same_value(item, right[name]) for name, item in left.items())
        )
    if kind is list:
        return (
            type(right) is list
            and len(left) == len(right)
            and all(same_value(mine, theirs) for mine, theirs in zip(left, right, strict=True))
        )
    if kind is bool or type(right) is bool:
        return kind is type(right) and left == right
    return bool(left == right)


def _shape(value: Any, schema: Schema) -> str:
    """How a value is walked: ``map``, ``list``, ``leaf``, or ``null``, which takes the shape of the other side."""
    kind = type(value)
    if kind is dict and schema.accepts_map:
        return "leaf" if schema.atomic_map else "map"
    if kind is list and schema.accepts_list:
        return "leaf" if schema.atomic_list else "list"
    if value is None:
        if schema.accepts_map and not schema.atomic_map:
            return "null"
        if schema.accepts_list and not schema.accepts_scalar and not schema.atomic_list:
            return "null"
    return "leaf"


def whole(value: Any, schema: Schema) -> dict[str, Any]:
    """The node of a subtree that came or went as a whole: every element on the way is a member."""
    shape = _shape(value, schema)
    out: dict[str, Any] = {}
    if shape == "map" and value:
        named, other = schema.properties, schema.additional or DEDUCED
        for name in sorted(value):
            out[f"f:{name}"] = whole(value[name], named.get(name) or other)
    elif shape == "list" and value:
        items = schema.items or UNTYPED
        for item in value:
            element = item_element(item, schema)
            out[element] = _LEAF if element in out else whole(item, items)
        if len(out) > 1:
            out = {element: out[element] for element in in_order(out)}
    return {_SELF: _LEAF, **out} if out else _LEAF


def _both(old: Any, new: Any, schema: Schema) -> _Nodes:
    """Two values at one path. A node that is ``{}`` stands for the path itself."""
    if old is new:
        return _NOTHING
    before, after = _shape(old, schema), _shape(new, schema)
    if before == "null" and after in ("map", "list"):
        before, old = after, ({} if after == "map" else [])
        if not new:
            return None, _LEAF, None
    elif after == "null" and before in ("map", "list"):
        after, new = before, ({} if before == "map" else [])
        if not old:
            return None, _LEAF, None
    if before == after == "map":
        return _maps(old, new, schema) if old or new else _NOTHING
    if before == after == "list":
        return _lists(old, new, schema) if old or new else _NOTHING
    if before == after:
        return _NOTHING if same_value(old, new) else (None, _LEAF, None)
    return _reshaped(old, new, schema)


def _reshaped(old: Any, new: Any, schema: Schema) -> _Nodes:
    """A free field that changed its kind: what was below it went, what is below came, itself was modified."""
    gone, came = whole(old, schema), whole(new, schema)
    inner_gone = {element: node for element, node in gone.items() if element != _SELF}
    inner_came = {element: node for element, node in came.items() if element != _SELF}
    return inner_gone or None, _LEAF if not (inner_gone and inner_came) else None, inner_came or None


def _maps(old: dict[str, Any], new: dict[str, Any], schema: Schema) -> _Nodes:
    removed: dict[str, Any] = {}
    modified: dict[str, Any] = {}
    added: dict[str, Any] = {}
    named, other = schema.properties, schema.additional or DEDUCED
    names: Iterable[str] = sorted(old.keys() | new.keys()) if old.keys() != new.keys() else sorted(old)
    for name in names:
        mine, theirs = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if mine is theirs:
            continue
        field = named.get(name) or other
        if mine is _ABSENT:
            added[f"f:{name}"] = whole(theirs, field)
        elif theirs is _ABSENT:
            removed[f"f:{name}"] = whole(mine, field)
        else:
            _put(f"f:{name}", _both(mine, theirs, field), removed, modified, added)
    return removed or None, modified or None, added or None


def _put(element: str, nodes: _Nodes, removed: dict[str, Any], modified: dict[str, Any], added: dict[str, Any]) -> None:
    gone, changed, came = nodes
    if gone is not None:
        removed[element] = gone
    if changed is not None:
        modified[element] = changed
    if came is not None:
        added[element] = came


def _index(value: list[Any], schema: Schema) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for item in value:
        out.setdefault(item_element(item, schema), []).append(item)
    return out


def _lists(old: list[Any], new: list[Any], schema: Schema) -> _Nodes:
    removed: dict[str, Any] = {}
    modified: dict[str, Any] = {}
    added: dict[str, Any] = {}
    before, after = _index(old, schema), _index(new, schema)
    items = schema.items or UNTYPED
    for element in in_order(before.keys() | after.keys()):
        mine, theirs = before.get(element, _NO_ITEMS), after.get(element, _NO_ITEMS)
        if len(mine) > 1 and len(theirs) > 1:
            if not same_value(mine, theirs):
                modified[element] = _LEAF
        elif len(mine) > 1:  # duplicates are owned as a whole; what is left of them came anew
            removed[element] = _LEAF
            if theirs:
                added[element] = whole(theirs[0], items)
        elif len(theirs) > 1:
            added[element] = _LEAF
            if mine:
                removed[element] = whole(mine[0], items)
        elif not mine:
            added[element] = whole(theirs[0], items)
        elif not theirs:
            removed[element] = whole(mine[0], items)
        else:
            _put(element, _both(mine[0], theirs[0], items), removed, modified, added)
    return removed or None, modified or None, added or None


__all__ = ["Comparison", "ListItemError", "compare", "same_value", "whole"]
