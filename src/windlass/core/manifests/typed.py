"""What a typed API server makes of a body: no unknown fields or nulls, empty optional fields left out, records written.

Used by the devstack before it stores or compares an object of a built-in kind, so that ``managedFields`` and what a
client reads are those of the real server. Custom kinds are kept as they are, but for their metadata. It sets no
defaults (those are the kind's own) and checks no values.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from windlass.core.manifests.schemas import OBJECT_META, Schema, Schemas

_ZERO = {"string": "", "integer": 0, "number": 0, "boolean": False}


def typed(body: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """``body`` as a server of the kind would write it back; records are new dicts, the argument is not changed."""
    metadata = body.get("metadata")
    if schema.traits.definition:
        out = _record(body, schema)
    elif isinstance(metadata, dict):
        out = {**body, "metadata": _record(metadata, Schemas.builtin().definition(OBJECT_META))}
    else:
        return body
    if isinstance(metadata, dict) and metadata.get("managedFields") == []:
        # Asks for a reset, which is not the same as none at all; this form survives that empty lists are left out.
        out["metadata"]["managedFields"] = [{}]
    return out


def empty(schema: Schema) -> dict[str, Any]:
    """The object that a server compares a create with: of a built-in kind its records, all empty; else nothing."""
    return zero(schema) if schema.traits.definition else {}


def zero(schema: Schema) -> dict[str, Any]:
    """A record with nothing set, as a typed server writes it."""
    return {name: _zero_value(schema.properties[name]) for name in _written(schema)}


@cache
def _written(schema: Schema) -> tuple[str, ...]:
    """The fields of a record that are written though nothing is set."""
    return tuple(name for name, field in schema.properties.items() if field.presence in ("w", "n"))


def _zero_value(field: Schema) -> Any:
    if field.presence == "n":
        return None
    if field.quantity:
        return "0"
    if field.int_or_string:
        return 0
    if field.format == "date-time" or field.traits.special:
        return None
    if field.struct:
        return zero(field)
    return _ZERO.get(field.type)


def _record(value: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    named, other = schema.properties, schema.additional
    out: dict[str, Any] = {}
    for name, item in value.items():
        field = named.get(name)
        if field is None:
            if other is not None:
                out[name] = _value(item, other)
            continue
        if item is None:
            continue  # written below, where it is written at all
        kept = _value(item, field)
        if field.presence != "v" or not _is_zero(kept, field):
            out[name] = kept
    for name in _written(schema):
        if name not in out:
            out[name] = _zero_value(named[name])
    return out


def _is_zero(value: Any, field: Schema) -> bool:
    if field.quantity:
        return False
    return not value and (value is not None)


def _value(item: Any, schema: Schema) -> Any:
    kind = type(item)
    if kind is dict:
        if schema.struct:
            return _record(item, schema)
        other = schema.additional
        if other is None or (not other.struct and other.type not in ("object", "array")):
            return item
        return {name: _value(each, other) for name, each in item.items()}
    if kind is list:
        items = schema.items
        if items is None or not (items.struct or items.type in ("object", "array")):
            return item
        return [_value(each, items) for each in item]
    return item


def unknown_fields(body: Mapping[str, Any], schema: Schema) -> list[str]:
    """Paths that the kind does not declare, as the server's strict decoding names them: ``spec.template.foo``."""
    out: list[str] = []
    _unknown(body, schema, "", out)
    return out


def _unknown(value: Any, schema: Schema, path: str, out: list[str]) -> None:
    if type(value) is dict:
        if not schema.accepts_map or (schema.atomic_map and not schema.struct):
            return
        named, other = schema.properties, schema.additional
        for name, item in value.items():
            field = named.get(name) or other
            below = f"{path}.{name}" if path else name
            if field is None:
                out.append(below)
            elif type(item) in (dict, list):
                _unknown(item, field, below, out)
    elif type(value) is list and schema.items is not None:
        for place, item in enumerate(value):
            if type(item) is dict or type(item) is list:
                _unknown(item, schema.items, f"{path}[{place}]", out)
