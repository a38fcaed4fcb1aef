"""What Git names against what is live, value by value: the exact question behind drift and the lines of a plan.

``examine``, ``admission_changes`` and the text of a plan call it. It looks only at what the desired body names; who
owns what is asked elsewhere. Forms that an API server treats as equal are equal here: quantities, int-or-string,
``stringData``, empty collections and nulls, zero values that a typed server leaves out.

Each difference carries its path in fieldsV1 elements, because its owner has to be looked up by it, and a `false` that a
server keeps (a pointer) is not the same as nothing, because somebody may have taken it away.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec

from windlass.core.manifests.fieldpaths import join, parse_key, parse_value, value_element
from windlass.core.manifests.fields import ListItemError, item_element
from windlass.core.manifests.quantities import same_amount
from windlass.core.manifests.schemas import DEDUCED, Schema, Schemas

Path = tuple[str, ...]
Fields = Mapping[str, Any]

_NOTHING: Fields = {}
_ABSENT = object()
_PLAIN_META = frozenset(
    {"name", "namespace", "uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"}
)


class Difference(msgspec.Struct, frozen=True):
    """``path`` in fieldsV1 elements, ``field`` as text. A value is None where there is none.

    ``more``: all that is wanted is there, and more beside it in a value that merges as a whole. A server's defaults
    look so too; whoever knows the owners can tell.
    """

    path: Path
    field: str
    desired: object
    live: object
    more: bool = False


def schema_of(body: Mapping[str, Any]) -> Schema:
    """The schema of a built-in kind; of others one that takes its shape from the values."""
    return Schemas.builtin().kind(str(body.get("apiVersion", "")), str(body.get("kind", ""))) or DEDUCED


def compare(
    desired: Mapping[str, Any], live: Mapping[str, Any], *, schema: Schema | None = None, owned: Fields = _NOTHING
) -> list[Difference]:
    """What ``desired`` names and ``live`` has otherwise or not at all, in the order of the names.

    ``owned`` (the fieldsV1 of any entries) tells how list items are told apart where no schema does.
    """
    found: list[Difference] = []
    schema = schema or schema_of(desired)
    wanted = with_string_data(desired)
    for name in sorted(wanted):
        if name in ("apiVersion", "kind", "status"):
            continue
        value, have = wanted[name], live.get(name, _ABSENT)
        if name == "metadata" and isinstance(value, Mapping):
            value = {key: each for key, each in value.items() if key not in _PLAIN_META}
            # Our label is told by itself, also where it was the last one.
            have = {"labels": {}, "annotations": {}, **(have if isinstance(have, Mapping) else {})}
        element = f"f:{name}"
        walk = _Walk(found)
        walk.value(value, have, field_schema(schema, name), owned.get(element, _NOTHING), (element,), name)
    return found


def with_string_data(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Secret's ``stringData`` in the form in which it is stored; anything else as it is."""
    plain = body.get("stringData")
    if body.get("kind") != "Secret" or body.get("apiVersion") != "v1" or not isinstance(plain, Mapping):
        return body
    data = dict(body.get("data") or {})
    data.update({key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()})
    return {**{key: value for key, value in body.items() if key != "stringData"}, "data": data}


class _Walk:
    def __init__(self, found: list[Difference]) -> None:
        self._found = found

    def value(self, want: Any, have: Any, schema: Schema, owned: Fields, path: Path, text: str) -> None:
        if want is None or want is have or (type(want) is type(have) and want == have):
            return
        if isinstance(want, Mapping) and isinstance(have, Mapping) and not schema.atomic_map:
            for name in sorted(want):
                element = f"f:{name}"
                self.value(
                    want[name],
                    have.get(name, _ABSENT),
                    field_schema(schema, name),
                    owned.get(element, _NOTHING),
                    (*path, element),
                    join(text, element),
                )
        elif isinstance(want, list) and isinstance(have, list) and self._list(want, have, schema, owned, path, text):
            return
        elif not same(want, have, schema):
            self._found.append(Difference(path, text, want, None if have is _ABSENT else have))
        elif have is not _ABSENT and isinstance(want, Mapping | list) and not same(want, have, schema, exactly=True):
            self._found.append(Difference(path, text, want, have, more=True))

    def _list(self, want: list[Any], have: list[Any], schema: Schema, owned: Fields, path: Path, text: str) -> bool:
        """Compares item by item; False where the list is one value."""
        there: dict[str, Any] = {}
        wanted: dict[str, Any] = {}
        for items, elements in ((have, there), (want, wanted)):
            for item in items:
                element = _element(item, schema, owned)
                if element is None or element in elements:
                    return False
                elements[element] = item
        # Items told apart by their owners alone are of no schema that is known; a map merges key by key there.
        below = schema.items if schema.items is not None and schema.list_type in ("map", "set") else DEDUCED
        for element, item in wanted.items():
            self.value(
                item,
                there.get(element, _ABSENT),
                below,
                owned.get(element, _NOTHING),
                (*path, element),
                join(text, element),
            )
        return True


def field_schema(schema: Schema, name: str) -> Schema:
    """The schema of a field; one that takes its shape from the value where none says."""
    return schema.field(name) or DEDUCED


def _element(item: Any, schema: Schema, owned: Fields) -> str | None:
    """How an item is told from its neighbours, by the schema or else by what owners wrote; None: it is not."""
    if schema.list_type in ("map", "set"):
        try:
            return item_element(item, schema)
        except ListItemError:
            return None
    return element_by_owners(item, owned)


def element_by_owners(item: Any, owned: Fields) -> str | None:
    """The ``k:`` or ``v:`` element of a list item, in the way of its neighbours' elements, or None."""
    for element in owned:
        if element.startswith("k:") and isinstance(item, Mapping):
            names = parse_key(element)
            given = {name: item[name] for name in sorted(names) if name in item}
            return "k:" + msgspec.json.encode(given).decode() if given else None
        if element.startswith("v:") and not isinstance(item, Mapping | list):
            return value_element(item)
    return None


def same(want: Any, have: Any, schema: Schema = DEDUCED, *, exactly: bool = False) -> bool:
    """Whether an API server would see no difference. ``exactly``: maps hold no keys that are not wanted."""
    if have is _ABSENT or have is None:
        if want in (None, {}, []):
            return True
        # A typed server leaves a zero out where the field is no pointer.
        return schema.presence == "v" and bool(want in (False, 0, ""))
    if isinstance(want, Mapping) and isinstance(have, Mapping):
        if exactly and any(name not in want for name in have):
            return False
        return all(
            same(each, have.get(name, _ABSENT), field_schema(schema, name), exactly=exactly)
            for name, each in want.items()
        )
    if isinstance(want, list) and isinstance(have, list):
        below = schema.items or DEDUCED
        return len(want) == len(have) and all(
            same(one, other, below, exactly=exactly) for one, other in zip(want, have, strict=True)
        )
    if isinstance(want, bool) or isinstance(have, bool):
        return want is have
    return bool(want == have) or _same_scalar(want, have, schema)


def _same_scalar(want: Any, have: Any, schema: Schema) -> bool:
    if schema.quantity:
        return same_amount(want, have)
    if schema.int_or_string:
        return str(want) == str(have)
    if schema.format == "byte" and isinstance(want, str) and isinstance(have, str):
        try:
            return bool(base64.b64decode(want) == base64.b64decode(have))
        except (binascii.Error, ValueError):
            return False
    return False


def resolve(value: Any, element: str) -> Any:
    """The child of a value at a fieldsV1 element, or ABSENT."""
    kind, rest = element[:2], element[2:]
    if kind == "f:":
        return value.get(rest, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    place = index_of(value, element)
    return value[place] if place is not None else _ABSENT


def is_absent(value: Any) -> bool:
    """Whether ``resolve`` found nothing."""
    return value is _ABSENT


def index_of(value: Any, element: str) -> int | None:
    """Where a list holds the item of an element. A key that the item does not give counts as its default."""
    if not isinstance(value, list):
        return None
    if element.startswith("i:"):
        place = int(element[2:])
        return place if place < len(value) else None
    for place, item in enumerate(value):
        if element.startswith("v:") and item == parse_value(element):
            return place
        if element.startswith("k:") and isinstance(item, Mapping):
            keys = parse_key(element)
            if any(name in item for name in keys) and all(item.get(name, each) == each for name, each in keys.items()):
                return place
    return None
