"""Whether a body fits its schema, told as the real server tells it. Called by apply before anything is merged.

It checks shape alone: types, declared fields, list items that can be told apart. Values are checked by admission.
"""

from __future__ import annotations

import json
from typing import Any

from windlass.core.manifests.fieldpaths import server_text
from windlass.core.manifests.fields import ListItemError, item_element
from windlass.core.manifests.schemas import UNTYPED, Schema


def faults(value: Any, schema: Schema) -> list[str]:
    """What does not fit, each as ``path: words``; empty where all does. Stops in a map at its first unknown field."""
    out: list[str] = []
    _check(value, schema, "", out)
    return out


def message(found: list[str]) -> str:
    """Several faults as the real server lists them."""
    return found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {each}" for each in found)


def _check(value: Any, schema: Schema, path: str, out: list[str]) -> None:
    kind = type(value)
    if kind is dict and schema.accepts_map:
        _check_map(value, schema, path, out)
    elif kind is list and schema.accepts_list:
        _check_list(value, schema, path, out)
    elif value is None:
        return
    elif kind is dict or kind is list or not schema.accepts_scalar:
        out.append(f"{path}: {_expected(schema)}, got {_shown(value, schema)}")
    else:
        wanted = schema.scalar
        if (
            (wanted == "string" and kind is not str)
            or (wanted == "numeric" and (kind is bool or not isinstance(value, int | float)))
            or (wanted == "boolean" and kind is not bool)
        ):
            out.append(f"{path}: {_expected(schema)}, got {_shown(value, schema)}")


def _check_map(value: dict[str, Any], schema: Schema, path: str, out: list[str]) -> None:
    named, other = schema.properties, schema.additional
    for name, item in value.items():
        field = named.get(name) or other
        if field is None:
            out.append(f"{path}.{name}: field not declared in schema")
            return
        if item is None or (type(item) is str and field.scalar == "string" and field.accepts_scalar):
            continue
        _check(item, field, f"{path}.{name}", out)


def _check_list(value: list[Any], schema: Schema, path: str, out: list[str]) -> None:
    items = schema.items or UNTYPED
    seen: set[str] = set()
    for place, item in enumerate(value):
        element = f"i:{place}"
        if not schema.atomic_list:
            try:
                element = item_element(item, schema)
            except ListItemError as reason:
                out.append(f"{path}: element {place}: {reason}")
                return
            if element in seen:
                out.append(f"{path}: duplicate entries for key {server_text(element)}")
            seen.add(element)
        if type(item) is dict or type(item) is list or items.scalar != "string" or type(item) is not str:
            _check(item, items, path + server_text(element), out)


def _expected(schema: Schema) -> str:
    if schema.accepts_map and not schema.accepts_scalar:
        return "expected map"
    if schema.accepts_list and not schema.accepts_scalar:
        return "expected list"
    words = {"string": "expected string", "numeric": "expected numeric (int or float)", "boolean": "expected boolean"}
    return words.get(schema.scalar, "expected any scalar")


def _shown(value: Any, schema: Schema) -> str:
    """A value as the real server's language prints it at that place."""
    if schema.accepts_scalar and schema.scalar == "string":
        return f"&value.valueUnstructured{{Value:{_go_syntax(value)}}}"
    if schema.accepts_scalar and schema.scalar == "numeric":
        return {str: "string", bool: "bool", dict: "map[string]interface {}", list: "[]interface {}"}.get(
            type(value), type(value).__name__
        )
    return f"&{{{_go_plain(value)}}}"


def _go_plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<nil>"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{_go_plain(value[name])}" for name in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_go_plain(item) for item in value) + "]"
    return str(value)


def _go_syntax(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(name)}:{_go_syntax(value[name])}" for name in sorted(value))
        return f"map[string]interface {{}}{{{inner}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(_go_syntax(item) for item in value)}}}"
    if value is None:
        return "interface {}(nil)"
    return _go_plain(value)
