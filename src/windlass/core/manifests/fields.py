"""Sets of fields: who owns what of an object, as ``managedFields`` tells it, with the laws of structured merge.

Used by server-side apply, drift and the plan. A set is kept as its fieldsV1 dict: nested by path element, ``{}`` for a
member without children, ``"."`` for a member that has some. Dicts are shared between sets and never changed. Whoever
asks only whether a body is still owned takes ``uncovered`` (of ``ownership``), which needs no schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.core.manifests.fieldpaths import (
    FieldPathError,
    canonical,
    check_element,
    in_order,
    key_element,
    value_element,
)
from windlass.core.manifests.fieldpaths import server_text as _text
from windlass.core.manifests.ownership import uncovered
from windlass.core.manifests.schemas import DEDUCED, UNTYPED, Schema

__all__ = ["FieldPathError", "FieldSet", "Fields", "fields_of", "item_element", "path_text", "uncovered"]

Fields = Mapping[str, Any]
"""The fieldsV1 form of a set."""

Path = tuple[str, ...]
"""Path elements as fieldsV1 writes them: ``("f:spec", "f:containers", 'k:{"name":"web"}')``."""

_LEAF: dict[str, Any] = {}
_SELF = "."


class ListItemError(ValueError):
    """A list item that can't be told from its neighbours. The text is the real server's."""


def path_text(path: Iterable[str]) -> str:
    """A path in the server's words: ``.spec.template.spec.containers[name="web"].image``."""
    return "".join(_text(element) for element in path)


def item_element(item: Any, schema: Schema) -> str:
    """The path element of an item of an associative list. ``schema`` is the list's. Raises ``ListItemError``."""
    keys = schema.list_keys
    if not keys:
        if isinstance(item, dict):
            raise ListItemError("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise ListItemError("not supported: associative list with lists as elements")
        if item is None:
            raise ListItemError("associative list without keys has an element that's an explicit null")
        return value_element(item)
    if item is None:
        raise ListItemError("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise ListItemError("associative list with keys may not have non-map elements")
    found: dict[str, Any] = {}
    for name in keys:
        if name in item:
            found[name] = item[name]
        elif (
            schema.items is not None
            and (field := schema.items.properties.get(name)) is not None
            and field.default is not None
        ):
            found[name] = field.default
    if not found:
        names = " ".join(f'"{name}"' for name in keys)
        raise ListItemError(
            f"associative list with keys has an element that omits all key fields [{names}] "
            "(and doesn't have default values for any key fields)"
        )
    return key_element(found)


def fields_of(value: Any, schema: Schema) -> Fields:
    """The fields of an object, as an apply of it owns them."""
    return _fields(value, schema) or _LEAF


def _fields(value: Any, schema: Schema) -> dict[str, Any] | None:
    """Children of a node; ``{}`` where the node is itself the leaf; None where nothing below it counts."""
    kind = type(value)
    if kind is dict and schema.accepts_map:
        return _LEAF if schema.atomic_map else _map_fields(value, schema)
    if kind is list and schema.accepts_list:
        return _LEAF if schema.atomic_list else _list_fields(value, schema)
    if value is None:
        if schema.accepts_map:
            return _LEAF if schema.atomic_map else None
        if schema.accepts_list and not schema.accepts_scalar and not schema.atomic_list:
            return None
    return _LEAF


def _map_fields(value: dict[str, Any], schema: Schema) -> dict[str, Any] | None:
    out: dict[str, Any] = {}
    named = schema.properties
    other = schema.additional
    for name in sorted(value):
        item = value[name]
        below = named.get(name)
        member = below is None or item is None or item == {}
        node = _fields(item, below or other or DEDUCED)
        if member:
            out[f"f:{name}"] = {_SELF: _LEAF, **node} if node else _LEAF
        elif node is not None:
            out[f"f:{name}"] = node
    return out or None


def _list_fields(value: list[Any], schema: Schema) -> dict[str, Any] | None:
    out: dict[str, Any] = {}
    items = schema.items or UNTYPED
    for item in value:
        element = item_element(item, schema)
        if element in out:  # a duplicate is owned as a whole, whatever it holds
            out[element] = _LEAF
            continue
        node = _fields(item, items)
        out[element] = {_SELF: _LEAF, **node} if node else _LEAF
    if len(out) > 1:
        out = {element: out[element] for element in in_order(out)}
    return out or None


def is_member(node: Fields) -> bool:
    """Whether the element that holds this node is itself in the set."""
    return not node or _SELF in node


def _tidy(node: dict[str, Any]) -> dict[str, Any]:
    """``{".": {}}`` is written ``{}``."""
    return _LEAF if len(node) == 1 and _SELF in node else node


def union(left: Fields, right: Fields) -> Fields:
    """What is in either."""
    if left is right or not right:
        return left
    if not left:
        return right
    out = dict(left)
    grown = False
    for element, theirs in right.items():
        if element == _SELF:
            if _SELF not in out:
                out[_SELF] = _LEAF
                grown = True
            continue
        ours = out.get(element)
        if ours is None:
            out[element] = theirs
            grown = True
        elif ours is not theirs:
            out[element] = _union_node(ours, theirs)
    return {element: out[element] for element in in_order(out)} if grown else out


def _union_node(ours: Fields, theirs: Fields) -> Fields:
    """Nodes of one element: a bare ``{}`` is the element itself."""
    if not ours and not theirs:
        return _LEAF
    if not ours:
        return theirs if _SELF in theirs else {_SELF: _LEAF, **theirs}
    if not theirs:
        return ours if _SELF in ours else {_SELF: _LEAF, **ours}
    return union(ours, theirs)


def intersection(left: Fields, right: Fields) -> Fields:
    """What is in both."""
    if left is right:
        return left
    out: dict[str, Any] = {}
    for element, ours in left.items():
        if element == _SELF:
            continue
        theirs = right.get(element)
        if theirs is None:
            continue
        both = intersection(ours, theirs) if ours and theirs else _LEAF
        if is_member(ours) and is_member(theirs):
            out[element] = {_SELF: _LEAF, **both} if both else _LEAF
        elif both:
            out[element] = both
    return out or _LEAF


def difference(left: Fields, right: Fields) -> Fields:
    """What is in the left and not in the right; a member is taken out alone, without its children."""
    if left is right or not left:
        return _LEAF
    if not right:
        return left
    out: dict[str, Any] = {}
    for element, ours in left.items():
        if element == _SELF:
            continue
        theirs = right.get(element)
        if theirs is None:
            out[element] = ours
            continue
        rest = difference(ours, theirs) if ours and theirs else (_without_self(ours) if not theirs else _LEAF)
        if is_member(ours) and not is_member(theirs):
            out[element] = {_SELF: _LEAF, **rest} if rest else _LEAF
        elif rest:
            out[element] = rest
    return out or _LEAF


def _without_self(node: Fields) -> Fields:
    return {element: below for element, below in node.items() if element != _SELF}


def without(left: Fields, right: Fields) -> Fields:
    """What is in the left and not in the right, members taken out with all that is below them."""
    if not right:
        return left
    out: dict[str, Any] = {}
    for element, ours in left.items():
        theirs = right.get(element)
        if theirs is None or element == _SELF:
            out[element] = ours
        elif not is_member(theirs):
            rest = without(ours, theirs)
            if rest or is_member(ours):
                out[element] = rest
    return _tidy(out) if out else _LEAF


def named_members(fields: Fields, schema: Schema) -> Fields:
    """The set with every named field of a record that has members below it as a member itself."""
    out: dict[str, Any] = {}
    named = schema.properties if schema.accepts_map else {}
    for element, node in fields.items():
        if element == _SELF or not node:
            out[element] = node
            continue
        name = element[2:] if element[0] == "f" else None
        below: Schema | None
        if name is not None:
            below = named.get(name) or schema.additional
        else:
            below = schema.items
        inner = named_members(node, below or DEDUCED)
        if name is not None and name in named and _SELF not in inner:
            inner = {_SELF: _LEAF, **inner}
        out[element] = inner
    return out


def reconciled(fields: Fields, schema: Schema) -> Fields:
    """The set after its kind's schema changed: what became atomic since is owned as a whole, not by its parts.

    The set itself where nothing did. The other way round nothing is done, as on the real server.
    """
    out: dict[str, Any] | None = None
    for element, node in fields.items():
        if element == _SELF or not node:
            continue
        below = (schema.field(element[2:]) if element[0] == "f" else schema.items) if not schema.atomic_map else None
        if below is None or (below.accepts_map and not below.struct and below.additional is DEDUCED):
            continue
        whole = below.atomic_map if below.accepts_map else below.accepts_list and below.atomic_list
        after: Fields = _LEAF if whole else reconciled(node, below)
        if after is not node:
            out = dict(fields) if out is None else out
            out[element] = after
    return fields if out is None else out


def paths(fields: Fields, prefix: Path = ()) -> Iterator[Path]:
    """Every member, in the order in which the real server tells them: of each node its members, then what is below."""
    for element, node in fields.items():
        if element != _SELF and is_member(node):
            yield (*prefix, element)
    for element, node in fields.items():
        if element != _SELF and node:
            yield from paths(node, (*prefix, element))


def contains(fields: Fields, path: Path) -> bool:
    """Whether the path is a member."""
    node: Any = fields
    for element in path:
        node = node.get(element) if node else None
        if node is None:
            return False
    return bool(path) and is_member(node)


def from_paths(found: Iterable[Path]) -> Fields:
    """The set of these paths."""
    out: Fields = _LEAF
    for path in found:
        node: dict[str, Any] = _LEAF
        for element in reversed(path):
            node = {element: node}
        out = union(out, node)
    return out


def decode(fields: Any) -> Fields:
    """A set from what somebody wrote: checked, in order, without unknown kinds. Raises ``FieldPathError``."""
    if not isinstance(fields, Mapping):
        raise FieldPathError(f"expected a map of fields, got {type(fields).__name__}")
    out: dict[str, Any] = {}
    for element, node in fields.items():
        if not check_element(element):
            continue
        if element == _SELF:
            out[_SELF] = _LEAF
            continue
        below = decode(node)
        if node and not below:  # held nothing but what we do not know
            continue
        out[canonical(element)] = below
    return _tidy({element: out[element] for element in in_order(out)}) if out else _LEAF


@dataclass(frozen=True, slots=True, eq=True)
class FieldSet:
    """A set of fields with its operations. ``fields`` is its fieldsV1 form; take it as it is into ``managedFields``."""

    fields: Fields

    @classmethod
    def of(cls, body: Mapping[str, Any], schema: Schema) -> FieldSet:
        """What an apply of ``body`` owns."""
        return cls(fields_of(body, schema))

    @classmethod
    def decode(cls, fields: Any) -> FieldSet:
        """From fieldsV1 that somebody else wrote. Raises ``FieldPathError``."""
        return cls(decode(fields))

    @classmethod
    def from_paths(cls, found: Iterable[Path]) -> FieldSet:
        """The set of these paths."""
        return cls(from_paths(found))

    def union(self, other: FieldSet) -> FieldSet:
        """What is in either."""
        return FieldSet(union(self.fields, other.fields))

    def intersection(self, other: FieldSet) -> FieldSet:
        """What is in both."""
        return FieldSet(intersection(self.fields, other.fields))

    def difference(self, other: FieldSet) -> FieldSet:
        """What is here and not there."""
        return FieldSet(difference(self.fields, other.fields))

    def __contains__(self, path: Path) -> bool:
        return contains(self.fields, path)

    def __bool__(self) -> bool:
        return bool(self.fields)

    @property
    def empty(self) -> bool:
        """Whether nothing is in it."""
        return not self.fields

    def paths(self) -> Iterator[Path]:
        """Every member."""
        return paths(self.fields)

    def leaves(self) -> Iterator[Path]:
        """Members without members below them."""
        return _leaves(self.fields, ())


def _leaves(fields: Fields, prefix: Path) -> Iterator[Path]:
    for element, node in fields.items():
        if element == _SELF:
            continue
        if node:
            yield from _leaves(node, (*prefix, element))
        else:
            yield (*prefix, element)
