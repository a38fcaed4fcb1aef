"""``x-kubernetes-validations``: the CEL rules inside a CRD's schema, asked of a custom object.

Called by ``custom.py`` after structural validation. Rules are compiled once; a rule that fails to evaluate refuses the
object, as on the real server. The cost of rules is bounded by the budget of ``core/cel.py``, not estimated beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import windlass.core.cel as cel
from windlass.devstack.apiserver.errors import Fault

Object = dict[str, Any]
_ABSENT = object()
_REASONS = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")


@lru_cache(maxsize=2048)
def _compiled(rule: str) -> cel.Program:
    return cel.compile_expression(rule, ("self", "oldSelf"))


def compile_error(rule: Object, schema: Object) -> str:
    """Why a rule can't be used on values of a schema, empty where it can."""
    text = str(rule.get("rule") or "")
    try:
        _compiled(text)
    except cel.CelError as error:
        return str(error)
    return _undefined_field(text, schema)


_CHAIN = re.compile(r"(?<![\w.'\"])(?:self|oldSelf)((?:\.[A-Za-z_]\w*(?!\w|\s*\())+)")


def _undefined_field(text: str, schema: Object) -> str:
    """The first field after ``self`` that the schema does not have, as the real compiler words it. Other types are not
    checked.
    """
    for match in _CHAIN.finditer(text):
        node, place = schema, match.start(1)
        for name in match[1][1:].split("."):
            known = node.get("properties")
            if not known or node.get("x-kubernetes-preserve-unknown-fields") or name.startswith("__"):
                break
            if name not in known and not (node is schema and name in ("metadata", "apiVersion", "kind")):
                dots = "." * place
                return f"ERROR: <input>:1:{place + 1}: undefined field '{name}'\n | {text}\n | {dots}^"
            node, place = known.get(name) or {}, place + len(name) + 1
    return ""


_known: dict[int, tuple[Object, bool]] = {}


def has_rules(schema: Object) -> bool:
    """Whether there is any rule in a schema. Kept by the schema's identity, for schemas live as long as their CRD."""
    known = _known.get(id(schema))
    if known is None or known[0] is not schema:
        if len(_known) > 512:
            _known.clear()
        known = _known[id(schema)] = (schema, _search(schema))
    return known[1]


def _search(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    if schema.get("x-kubernetes-validations"):
        return True
    children = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return any(_search(child) for child in children)


def check(schema: Object, obj: Object, old: Object | None) -> Iterator[Fault]:
    """What the rules of a schema have against an object. ``old`` is what it replaces, None at a create."""
    if has_rules(schema):
        yield from _walk(schema, obj, _ABSENT if old is None else old, "")


def _walk(schema: Any, value: Any, old: Any, path: str) -> Iterator[Fault]:
    if not isinstance(schema, dict) or value is None:
        return
    for rule in schema.get("x-kubernetes-validations") or ():
        fault = _ask(rule, value, old, path)
        if fault is not None:
            yield fault
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, child in value.items():
            inner = properties.get(key, additional)
            yield from _walk(inner, child, before.get(key, _ABSENT), f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _walk(schema.get("items"), child, _matching(schema, child, old), f"{path}[{index}]")


def _matching(schema: Object, item: Any, old: Any) -> Any:
    """The old item of a keyed list that an item replaces; other lists have none."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys or not isinstance(old, list) or not isinstance(item, dict):
        return _ABSENT
    mark = [item.get(key) for key in keys]
    return next((each for each in old if isinstance(each, dict) and [each.get(key) for key in keys] == mark), _ABSENT)


def _ask(rule: Object, value: Any, old: Any, path: str) -> Fault | None:
    text = str(rule.get("rule") or "")
    program = _compiled(text)
    variables = {"self": value}
    if "oldSelf" in program.names:
        if rule.get("optionalOldSelf"):
            return Fault("FieldValueInvalid", "Invalid value: optionalOldSelf is not supported by this cluster", path)
        if old is _ABSENT:
            return None
        variables["oldSelf"] = old
    place = path + (rule.get("fieldPath") or "") if path else (rule.get("fieldPath") or "").lstrip(".")
    try:
        if program.ask(variables):
            return None
        message = str(rule.get("message") or "").strip() or f"failed rule: {text}"
        if rule.get("messageExpression"):
            message = _message(rule, variables) or message
    except cel.CelError as error:
        message = f"rule evaluation error: {error}"
    reason = rule.get("reason") if rule.get("reason") in _REASONS else "FieldValueInvalid"
    prefix = {"FieldValueForbidden": "Forbidden", "FieldValueRequired": "Required value"}.get(str(reason))
    shown = "" if isinstance(value, dict | list) else f"{_quoted(value)}: "
    words = f"{prefix}: {message}" if prefix else f"Invalid value: {shown}{message}"
    return Fault(str(reason), words, place or "<nil>")


def _message(rule: Object, variables: Object) -> str:
    try:
        found = _compiled(str(rule["messageExpression"])).value(variables)
    except cel.CelError:
        return ""
    return found.strip() if isinstance(found, str) else ""


def _quoted(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
