"""Holds the fields of built-in kinds against the compact schemas: their types only, with the place and the mend.

Unknown fields are left to the server, which is asked with ``fieldValidation=Strict``: it knows its own version. Values
of Secrets never get into a message. Called by ``objects``; changes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from windlass.core.manifests.schemas import Schema

QUANTITY = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?")

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_TYPE_WORDS = {
    "object": "an object",
    "array": "a list",
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
}


class Mistake(NamedTuple):
    """One wrong type: what to say, the mend, the path for people, and the path for ``documents.locate``."""

    what: str
    hint: str
    field: str
    path: tuple[str | int, ...]


class Place(NamedTuple):
    """Where in an object the check stands: the path for people, and the one of keys and indexes."""

    field: str
    path: tuple[str | int, ...]

    def key(self, name: str) -> Place:
        return Place(f"{self.field}.{name}" if self.field else name, (*self.path, name))

    def item(self, index: int, item: Any) -> Place:
        named = item.get("name") if isinstance(item, dict) else None
        shown = f"name={named}" if isinstance(named, str) and len(named) <= 63 else str(index)
        return Place(f"{self.field}[{shown}]", (*self.path, index))


def mistakes(value: Any, schema: Schema, *, secret: bool) -> Iterator[Mistake]:
    """Every wrong type in an object. ``secret``: tell no values."""
    yield from _check(value, schema, Place("", ()), secret)


def _check(value: Any, schema: Schema, place: Place, secret: bool) -> Iterator[Mistake]:
    kind = schema.type
    if kind == "object":
        if not isinstance(value, dict):
            yield _mistake(value, schema, place, secret)
            return
        for name, inner in value.items():
            field = schema.field(name)
            if field is not None and inner is not None and not _plainly_right(inner, field):
                yield from _check(inner, field, place.key(name), secret)
    elif kind == "array":
        if not isinstance(value, list):
            yield _mistake(value, schema, place, secret)
            return
        items = schema.items
        if items is not None:
            for index, inner in enumerate(value):
                if not _plainly_right(inner, items):
                    yield from _check(inner, items, place.item(index, inner), secret)
    elif not fits(value, schema):
        yield _mistake(value, schema, place, secret)


def _plainly_right(value: Any, schema: Schema) -> bool:
    """The usual case, without making a Place for it."""
    return schema.type == "string" and not schema.traits.special and isinstance(value, str)


def fits(value: Any, schema: Schema) -> bool:
    """Whether a scalar may stand here."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if schema.int_or_string:
        return isinstance(value, str) or (number and _whole(value, 31))
    if schema.quantity:
        return number or (isinstance(value, str) and QUANTITY.fullmatch(value) is not None)
    match schema.type:
        case "string":
            return isinstance(value, str)
        case "integer":
            return number and _whole(value, 31 if schema.format == "int32" else 63)
        case "number":
            return number
        case "boolean":
            return isinstance(value, bool)
        case _:
            return True


def _whole(value: float, bits: int) -> bool:
    """Whether it is an integer that fits: the server takes a larger one for another number (4294967297 for 1)."""
    return value % 1 == 0 and -(1 << bits) <= value < 1 << bits


def shown(value: Any, *, secret: bool = False) -> str:
    """A value in a message: short, on one line, and never of a Secret."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if secret:
        return "true or false" if isinstance(value, bool) else "text" if isinstance(value, str) else "a number"
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else text[:56] + '..."'


def _mistake(value: Any, schema: Schema, place: Place, secret: bool) -> Mistake:
    name = _last(place)
    if schema.quantity and isinstance(value, str):
        what = "must be a quantity such as 500m, 2 or 128Mi"
    elif schema.quantity:
        what = "must be a quantity"
    elif schema.int_or_string:
        what = "must be an integer or a string"
    elif schema.type == "integer" and isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0:
        what = "must be an integer of " + ("32 bits" if schema.format == "int32" else "64 bits")
    else:
        what = f"must be {_TYPE_WORDS.get(schema.type, schema.type)}"
    return Mistake(
        f"{name} {what}, not {shown(value, secret=secret)}", mend(place, value, schema, secret), place.field, place.path
    )


def _last(place: Place) -> str:
    """``replicas``, or ``args[0]`` for an item of a list."""
    index = len(place.path)
    while index and isinstance(place.path[index - 1], int):
        index -= 1
    if not index:
        return place.field or "the object"
    return str(place.path[index - 1]) + "".join(f"[{number}]" for number in place.path[index:])


def mend(place: Place, value: Any, schema: Schema, secret: bool) -> str:
    """What to write instead, as a line of YAML."""
    last = place.path[-1] if place.path else ""
    start = "- " if isinstance(last, int) else f"{last}: "
    if schema.quantity:
        return start + _quantity_mend(value)
    match schema.type:
        case "string":
            return f'{start}"..."' if secret or isinstance(value, dict | list) else start + _quoted(value)
        case "integer" | "number":
            return start + _number_mend(value, secret)
        case "boolean":
            text = str(value).lower()
            return start + ("true" if text in ("true", "yes", "on", "y", "1") else "false")
        case "array":
            return f"{start}[...], or its items below it with - in front"
        case _:
            return f"{last}: with its fields below it" if last != "" else "an object has fields"


def _quoted(value: Any) -> str:
    return f'"{shown(value)}"' if not isinstance(value, str) else shown(value)


def _number_mend(value: Any, secret: bool) -> str:
    if isinstance(value, str) and not secret:
        text = value.strip().lower()
        if text in _NUMBERS:
            return str(_NUMBERS.index(text))
        if re.fullmatch("-?[0-9]{1,18}", text):
            return f"{int(text)}  (without quotes)"
    if isinstance(value, float) and value % 1:
        return str(round(value))
    return "1  (a number without quotes)"


def _quantity_mend(value: Any) -> str:
    found = (
        re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kKmMgGtT])(i?)[bB]?\s*", value) if isinstance(value, str) else None
    )
    if found:
        unit = found[2].upper() if found[3] or found[2] not in "km" else found[2]
        return f"{found[1]}{unit}{found[3]}"
    return "128Mi"
