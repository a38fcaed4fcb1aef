"""Structural schemas of CustomResourceDefinitions: pruning, defaulting and validation of custom objects.

Called by ``custom.py``. It walks the ``openAPIV3Schema`` as it was written. Patterns run on RE2, so none can hang;
formats are checked for those that the real server checks. CEL rules are in ``rulesets.py``. Ratcheting (leaving what
an update did not change unvalidated) is not done.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import re
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from windlass.devstack.apiserver.errors import Fault

Object = dict[str, Any]
Schema = dict[str, Any]
_ROOT = ("apiVersion", "kind", "metadata")
_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: (isinstance(v, int) and not isinstance(v, bool)) or (isinstance(v, float) and v.is_integer()),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
}


# -- pruning


def prune(obj: Any, schema: Schema, path: str = "", *, root: bool = False) -> tuple[Any, list[str]]:
    """The value without fields that the schema does not name, and the paths of those. The argument is not changed."""
    unknown: list[str] = []
    return _prune(obj, schema, path, unknown, root), unknown


def _prune(value: Any, schema: Schema, path: str, unknown: list[str], root: bool) -> Any:
    if isinstance(value, list):
        items = schema.get("items")
        if not isinstance(items, dict):
            return value
        return [_prune(each, items, f"{path}[{index}]", unknown, False) for index, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    preserve = schema.get("x-kubernetes-preserve-unknown-fields") is True
    own = root or schema.get("x-kubernetes-embedded-resource") is True
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    kept = {}
    for key, child in value.items():
        place = f"{path}.{key}" if path else key
        if own and key in _ROOT:
            kept[key] = child
        elif key in properties:
            kept[key] = _prune(child, properties[key], place, unknown, False)
        elif isinstance(additional, dict):
            kept[key] = _prune(child, additional, place, unknown, False)
        elif preserve or additional is True:
            kept[key] = child
        else:
            unknown.append(place)
    return kept


# -- defaulting


def default(value: Any, schema: Schema, *, root: bool = False, drop: bool = True) -> Any:
    """The value with the schema's defaults. Nulls that the schema does not allow are replaced by the default or, with
    ``drop``, left out.
    """
    if isinstance(value, list):
        items = schema.get("items")
        return [default(each, items, drop=drop) for each in value] if isinstance(items, dict) else value
    if not isinstance(value, dict):
        return value
    made = dict(value)
    for key, child in (schema.get("properties") or {}).items():
        if root and key in _ROOT:
            continue
        if "default" in child and (key not in made or (made[key] is None and not child.get("nullable"))):
            made[key] = child["default"]
        elif drop and made.get(key, child) is None and not child.get("nullable"):
            del made[key]
        if key in made:
            made[key] = default(made[key], child, drop=drop)
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict):
        known = schema.get("properties") or {}
        for key in made.keys() - known.keys():
            made[key] = default(made[key], additional, drop=drop)
    return made


# -- validation


def validate(value: Any, schema: Schema, path: str = "", *, root: bool = False) -> list[Fault]:
    """What is wrong with a value, field by field."""
    faults: list[Fault] = []
    _validate(value, schema, path, faults, root)
    return faults


def _validate(value: Any, schema: Schema, path: str, faults: list[Fault], root: bool = False) -> None:
    if value is None and (
        schema.get("nullable") or (not schema.get("type") and not schema.get("x-kubernetes-int-or-string"))
    ):
        return
    if not _check_type(value, schema, path, faults):
        return
    _check_value(value, schema, path, faults)
    if isinstance(value, dict):
        _check_object(value, schema, path, faults, root)
    elif isinstance(value, list):
        _check_list(value, schema, path, faults)
    elif isinstance(value, str):
        _check_string(value, schema, path, faults)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(value, schema, path, faults)
    _check_junctors(value, schema, path, faults)


def _check_type(value: Any, schema: Schema, path: str, faults: list[Fault]) -> bool:
    wanted = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, str) or _TYPES["integer"](value):
            return True
        wanted = "integer,string"
    elif not wanted or _TYPES[wanted](value):
        return True
    shown = "null" if value is None else _kind(value)
    words = f'Invalid value: "{shown}": {path or "<nil>"} in body must be of type {wanted}: "{shown}"'
    faults.append(Fault("FieldValueTypeInvalid", words, path or "<nil>"))
    if wanted == "integer" and isinstance(value, float):
        form = schema.get("format") or "default"
        words = f'Invalid value: "": Checked value must be of type integer ({form} format) in {path}'
        faults.append(Fault("FieldValueInvalid", words, "<nil>"))
    return False


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", str: "string", int: "integer", float: "number"}
    return names[type(value)]


def _quoted(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _invalid(faults: list[Fault], path: str, value: Any, words: str, reason: str = "FieldValueInvalid") -> None:
    shown = f'"{_kind(value)}"' if isinstance(value, dict | list) else _quoted(value)
    place = path or "<nil>"
    faults.append(Fault(reason, f"Invalid value: {shown}: {place} in body {words}", place))


def _check_value(value: Any, schema: Schema, path: str, faults: list[Fault]) -> None:
    enum = schema.get("enum")
    if enum is not None and value not in enum:
        known = ", ".join(_quoted(each) for each in enum)
        faults.append(
            Fault("FieldValueNotSupported", f"Unsupported value: {_quoted(value)}: supported values: {known}", path)
        )


def _check_object(value: Object, schema: Schema, path: str, faults: list[Fault], root: bool) -> None:
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    missing = [key for key in schema.get("required") or () if key not in value]
    faults += [Fault("FieldValueRequired", "Required value", f"{path}.{key}" if path else key) for key in missing]
    if "minProperties" in schema and len(value) < schema["minProperties"]:
        _invalid(faults, path, value, f"should have at least {schema['minProperties']} properties")
    if "maxProperties" in schema and len(value) > schema["maxProperties"]:
        words = f"Too many: {len(value)}: must have at most {schema['maxProperties']} items"
        faults.append(Fault("FieldValueTooMany", words, path))
    for key, child in value.items():
        place = f"{path}.{key}" if path else key
        if root and key in _ROOT:
            continue
        if key in properties:
            _validate(child, properties[key], place, faults)
        elif isinstance(additional, dict):
            _validate(child, additional, place, faults)


def _check_list(value: list[Any], schema: Schema, path: str, faults: list[Fault]) -> None:
    if "minItems" in schema and len(value) < schema["minItems"]:
        _invalid(faults, path, value, f"should have at least {schema['minItems']} items")
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        words = f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
        faults.append(Fault("FieldValueTooMany", words, path))
    items = schema.get("items")
    if isinstance(items, dict):
        for index, each in enumerate(value):
            _validate(each, items, f"{path}[{index}]", faults)
    kind = schema.get("x-kubernetes-list-type")
    if kind in ("set", "map"):
        keys = schema.get("x-kubernetes-list-map-keys") or ()
        seen: list[Any] = []
        for index, each in enumerate(value):
            mark = {key: each.get(key) for key in keys} if kind == "map" and isinstance(each, dict) else each
            if mark in seen:
                shown = _go_map(mark) if isinstance(mark, dict) else _quoted(mark)
                faults.append(Fault("FieldValueDuplicate", f"Duplicate value: {shown}", f"{path}[{index}]"))
            seen.append(mark)


def _go_map(value: Object) -> str:
    inner = ",".join(f'"{key}":{_quoted(each)}' for key, each in sorted(value.items()))
    return "{" + inner + "}"


def _check_string(value: str, schema: Schema, path: str, faults: list[Fault]) -> None:
    if "minLength" in schema and len(value) < schema["minLength"]:
        _invalid(faults, path, value, f"should be at least {schema['minLength']} chars long")
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        words = f"Too long: may not be more than {schema['maxLength']} bytes"
        faults.append(Fault("FieldValueTooLong", words, path))
    pattern = schema.get("pattern")
    if pattern is not None and not compiled(pattern).search(value):
        _invalid(faults, path, value, f"should match '{pattern}'")
    form = schema.get("format")
    if form is not None and not _fits(form, value):
        _invalid(faults, path, value, f"must be of type {form}: {_quoted(value)}", "FieldValueTypeInvalid")


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """A pattern on RE2. ValueError where it can't be read."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(str(error)) from error


def _check_number(value: float, schema: Schema, path: str, faults: list[Fault]) -> None:
    low, high, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
        words = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        _invalid(faults, path, value, f"should be {words} {low}")
    if high is not None and (value > high or (schema.get("exclusiveMaximum") and value == high)):
        words = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        _invalid(faults, path, value, f"should be {words} {high}")
    if step and value % step:
        _invalid(faults, path, value, f"should be a multiple of {step}")
    bounds = {"int32": 2**31, "int64": 2**63}
    bound = bounds.get(schema.get("format", ""))
    if bound and not -bound <= value < bound:
        _invalid(faults, path, value, f"should be a {schema['format']}")


def _check_junctors(value: Any, schema: Schema, path: str, faults: list[Fault]) -> None:
    for each in schema.get("allOf") or ():
        _validate(value, each, path, faults)
    if schema.get("x-kubernetes-int-or-string"):
        return
    choices = schema.get("anyOf") or ()
    if choices and not any(not validate(value, each, path) for each in choices):
        _invalid(faults, path, value, "must validate at least one schema (anyOf)")
    one = schema.get("oneOf") or ()
    if one:
        count = sum(1 for each in one if not validate(value, each, path))
        if count != 1:
            found = "Found none valid" if not count else f"Found {count} valid alternatives"
            _invalid(faults, path, value, f"must validate one and only one schema (oneOf). {found}")
    if schema.get("not") is not None and not validate(value, schema["not"], path):
        _invalid(faults, path, value, "must not validate the schema (not)")


_DURATION = re.compile(
    r"([0-9]+(\.[0-9]+)?(ns|us|µs|μs|ms|s|m|h|d|w|nanos|seconds?|minutes?|hours?|days?)\s*)+", re.IGNORECASE
)
_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*"
)


def _parses(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return fits


_FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": lambda text: (
        "T" in text.upper()
        and _parses(datetime.datetime.fromisoformat)(text)
        and bool(re.search(r"([zZ]|[+-]\d\d:\d\d)$", text))
    ),
    "date": _parses(datetime.date.fromisoformat),
    "duration": lambda text: _DURATION.fullmatch(text) is not None or text == "0",
    "byte": _parses(lambda text: base64.b64decode(text, validate=True)),
    "uri": lambda text: re.match(r"[A-Za-z][-+.A-Za-z0-9]*:\S+$|/\S*$", text) is not None,
    "email": lambda text: re.fullmatch(r"[^@\s]+@[^@\s]+", text) is not None,
    "hostname": lambda text: _HOST.fullmatch(text) is not None,
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": _parses(lambda text: ipaddress.ip_network(text, strict=False)),
    "uuid": _parses(uuid.UUID),
}


def _fits(form: str, text: str) -> bool:
    check = _FORMATS.get(form)
    return check is None or check(text)
