"""Whether a body fits its built-in kind: unknown fields are found, wrong types refused, in the words of the real
server's decoder.

Called by ``writing.py`` for create, update and the patches other than apply (which has its own check). It changes
nothing; unknown fields are dropped afterwards by making the object typed.
"""

from __future__ import annotations

import re
from typing import Any

from windlass.core.manifests.schemas import Schema
from windlass.devstack.apiserver.errors import ApiError, bad_request

_WORDS = {str: "string", bool: "bool", int: "number", float: "number", dict: "object", list: "array"}
_QUANTITY_WORDS = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_QUANTITY = re.compile(_QUANTITY_WORDS)
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_GO = {"string": "string", "boolean": "bool", "number": "float64"}


class Mismatch(ValueError):
    """A value of the wrong JSON type. The text is the decoder's."""


def unknown_fields(obj: dict[str, Any], schema: Schema) -> list[str]:
    """The paths of fields that the kind does not have. Raises `Mismatch` at the first wrong type."""
    found: list[str] = []
    _map(obj, schema, "", "", "", found)
    return found


def refuse(kind: str, version: str, why: str) -> ApiError:
    """400: the body can't be handled as its kind."""
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')


def strict_errors(unknown: list[str], duplicated: list[str]) -> list[str]:
    """What strict decoding says, duplicates first."""
    return [f'duplicate field "{path}"' for path in duplicated] + [f'unknown field "{path}"' for path in unknown]


def _map(value: dict[str, Any], schema: Schema, path: str, plain: str, struct: str, found: list[str]) -> None:
    named, other = schema.properties, schema.additional
    struct = schema.traits.definition.rpartition(".")[2] or struct
    for name, item in value.items():
        field = named.get(name)
        place = f"{path}.{name}" if path else name
        if field is None:
            if other is None:
                found.append(place)
            elif item is not None:
                _value(item, other, place, plain, struct, found)
            continue
        if item is not None:
            _value(item, field, place, f"{plain}.{name}" if plain else name, struct, found)


def _value(value: Any, schema: Schema, path: str, plain: str, struct: str, found: list[str]) -> None:
    kind = type(value)
    if kind is dict and schema.accepts_map:
        _map(value, schema, path, plain, struct, found)
    elif kind is list and schema.accepts_list:
        items = schema.items
        if items is not None and not (
            items.type == "string" and items.scalar == "string" and all(type(v) is str for v in value)
        ):
            for index, item in enumerate(value):
                if item is not None:
                    _value(item, items, f"{path}[{index}]", plain, struct, found)
    elif kind is dict or kind is list or not schema.accepts_scalar or not _scalar_fits(kind, value, schema):
        raise Mismatch(_words(value, schema, plain, struct))
    elif kind is str and (schema.format or schema.quantity):
        _check_text(value, schema)


def _check_text(value: str, schema: Schema) -> None:
    """Texts that the decoder itself parses."""
    if schema.quantity:
        if not _QUANTITY.fullmatch(value):
            raise Mismatch(f"quantities must match the regular expression '{_QUANTITY_WORDS}'")
    elif schema.format == "byte":
        place = next((index for index, each in enumerate(value) if each not in _BASE64), None)
        if place is not None or len(value) % 4:
            raise Mismatch(
                f"illegal base64 data at input byte {len(value) - len(value) % 4 if place is None else place}"
            )
    elif schema.format == "date-time" and not _TIME.fullmatch(value):
        micro = schema.traits.definition.endswith("MicroTime")
        layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
        raise Mismatch(f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"')


def _scalar_fits(kind: type, value: Any, schema: Schema) -> bool:
    wanted = schema.type
    if wanted == "string":
        return kind is str
    if wanted == "integer":
        return kind is int or (kind is float and value.is_integer())
    if wanted == "number":
        return kind in (int, float)
    return kind is bool if wanted == "boolean" else True


def _words(value: Any, schema: Schema, plain: str, struct: str) -> str:
    shown = _WORDS[type(value)]
    if type(value) in (int, float) and schema.type in ("integer", "boolean"):
        shown = f"number {value}" if schema.type == "integer" else shown
    where = f"{struct}.{plain}" if struct else plain
    return f"json: cannot unmarshal {shown} into Go struct field {where} of type {_go(schema)}"


def _go(schema: Schema) -> str:
    if schema.type == "integer":
        return schema.format or "int64"
    if schema.type == "array":
        return f"[]{_go(schema.items)}" if schema.items is not None else "[]interface {}"
    if schema.type in _GO:
        return _GO[schema.type]
    parts = schema.traits.definition.split(".")
    if len(parts) > 1:
        return f"{parts[-2]}.{parts[-1]}"
    return f"map[string]{_go(schema.additional)}" if schema.additional is not None else "map[string]interface {}"
