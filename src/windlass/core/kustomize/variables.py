"""``vars``: ``$(NAME)`` in the fields that the configuration lists, replaced by a field of an object.

Collected with each kustomization, replaced at the end. Called by ``target``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.core.kustomize.collection import Collection
from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.fieldspecs import FieldSpec, apply
from windlass.core.kustomize.ids import Gvk, Id, gvk_of
from windlass.core.kustomize.kustomization import Var
from windlass.core.kustomize.nodes import BareKey, Node, Scalar, check_text, is_null, is_string, kind_of
from windlass.core.kustomize.paths import lookup, parts_of
from windlass.core.kustomize.resolve import BOOL, FLOAT, INT, STR, go_float

_INDEX = re.compile(r"(.*)\[([0-9]+)\]\Z", re.DOTALL)
_DEFAULT_PATH = "metadata.name"

Value = str | int | float | bool


@dataclass(slots=True)
class Variables:
    """The vars of a kustomization and all beneath it, by name."""

    paths: dict[str, str] = field(default_factory=dict)

    def take(self, variables: Iterable[Var], collection: Collection) -> None:
        """Add the vars of one kustomization and mark the object that each means. Raises ``KustomizeError`` where a name
        is taken or two objects could be meant."""
        for var in variables:
            _mark(var, collection)
        for var in variables:
            self._add(var.name, var.fieldref.field_path or _DEFAULT_PATH)

    def join(self, other: Variables) -> None:
        """Add those of a base."""
        for name, path in other.paths.items():
            self._add(name, path)

    def _add(self, name: str, path: str) -> None:
        if name in self.paths:
            raise KustomizeError(f"the var {shown(name, 60)} is there twice", hint="give one another name")
        self.paths[name] = path


def _mark(var: Var, collection: Collection) -> None:
    wanted = var.objref
    gvk = Gvk(wanted.group, wanted.version, wanted.kind)
    if wanted.api_version:
        parts = wanted.api_version.split("/")
        if len(parts) <= 2:
            given = gvk_of(wanted.api_version, wanted.kind)
            gvk = Gvk(given.group or wanted.group, given.version, wanted.kind)
    identity = Id.of(gvk, wanted.name, wanted.namespace)
    if wanted.namespace:
        found = collection.by_any_id(identity.name, identity.same)
    else:
        found = collection.by_any_id(identity.name, lambda one: one.name == identity.name and one.gvk == gvk)
    if len(found) > 1:
        raise KustomizeError(
            f"the var {shown(var.name, 60)} means {len(found)} objects", hint="write the namespace in objref"
        )
    if found:
        found[0].variables.append(var.name)


def replace_variables(collection: Collection, variables: Variables, specs: Sequence[FieldSpec]) -> None:
    """Replace every ``$(NAME)`` of a var. Raises ``KustomizeError`` where the field that a var reads is not there."""
    values = {name: _value(name, variables.paths[name], collection) for name in sorted(variables.paths)}
    if not values:
        return

    def put(node: Node) -> None:
        if is_null(node):
            return
        if node.__class__ is Scalar:
            _put(node, values)
        elif node.__class__ is dict:
            for name, value in node.items():
                if name.__class__ is BareKey:
                    raise KustomizeError(f"the key {shown(name, 40)} is not text", hint="put it in quotes")
                _put(value, values)
        else:
            for item in node:
                if not is_string(item):
                    raise KustomizeError(f"a list of texts holds {kind_of(item)} that is no text")
                _put(item, values)

    for resource in collection:
        for spec in specs:
            apply(resource, spec, put)


def _value(name: str, path: str, collection: Collection) -> Any:
    resource = next((each for each in collection if name in each.variables), None)
    if resource is None:
        raise KustomizeError(
            f"the var {shown(name, 60)} means no object that is there", hint="check kind, apiVersion and name of objref"
        )
    parts: list[str] = []
    for part in parts_of(path):
        found = _INDEX.match(part) if part.endswith("]") else None
        parts += [part] if found is None else [*([found[1]] if found[1] else []), found[2]]
    node = lookup(resource.tree, tuple(parts))
    if node is None:
        raise KustomizeError(
            f"the var {shown(name, 60)} reads {shown(path)}, which {resource.id.words()} does not have",
            hint="check the fieldPath",
        )
    if node.__class__ is not Scalar:
        return None
    return _meaning(node, name)


def _meaning(node: Scalar, name: str) -> Value:
    text = node.text
    try:
        if node.tag == INT:
            return int(text)
        if node.tag == FLOAT:
            return float(text)
        if node.tag == BOOL:
            return {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}[text]
    except (ValueError, KeyError):
        raise KustomizeError(f"the value of the var {shown(name, 60)} can't be read") from None
    return text


def _put(node: Node, values: dict[str, Any]) -> None:
    if not is_string(node):
        return
    value = replaced(node.text, values)
    node.style = 0
    if isinstance(value, bool):
        node.tag, node.text = BOOL, "true" if value else "false"
    elif isinstance(value, int):
        node.tag, node.text = INT, str(value)
    elif isinstance(value, float):
        node.tag, node.text = FLOAT, go_float(value, "f")
    else:
        node.tag, node.text = STR, value


def replaced(text: str, values: dict[str, Any]) -> Value:
    """``text`` with its vars replaced; the value itself where the text is one var. ``$$`` is a dollar."""
    out: list[str] = []
    checkpoint = cursor = 0
    length = len(text)
    while cursor < len(text):
        if text[cursor] == "$" and cursor + 1 < len(text):
            out.append(text[checkpoint:cursor])
            following = text[cursor + 1]
            end = text.find(")", cursor + 2) if following == "(" else -1
            if following == "(" and end >= 0:
                name = text[cursor + 2 : end]
                value = values.get(name)
                if value is None:
                    value = f"$({name})"
                if cursor == 0 and end == len(text) - 1:
                    return value
                out.append(_formatted(value))
                length += len(out[-1])
                check_text(length)
                cursor = end
            else:
                out.append("$" if following == "$" else "$" + _torn(following))
                cursor += 1
            checkpoint = cursor + 1
        cursor += 1
    return _whole("".join(out) + text[checkpoint:])


def _torn(character: str) -> str:
    """A character as the original copies it after a dollar: the first of its bytes as a character of its own, the
    others as they are."""
    if character.isascii():
        return character
    first, *rest = character.encode("utf-8", "surrogatepass")
    return chr(first) + bytes(rest).decode("ascii", "surrogateescape")


def _whole(text: str) -> str:
    """What the original makes of such bytes where they are no text any more: base64."""
    if text.isascii():
        return text
    data = text.encode("utf-8", "surrogateescape")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()


def _formatted(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return go_float(value, "v") if isinstance(value, float) else str(value)
