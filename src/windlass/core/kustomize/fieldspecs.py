"""Field specs: which field of which kinds a transformer writes to, and the walk that finds those fields.

A path is split at slashes (``\\/`` is a slash in a name); a list on the way is entered item by item; ``name[]`` says
that a field is a list. Used by every transformer that is told its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from windlass.core.kustomize.errors import KustomizeError
from windlass.core.kustomize.ids import Gvk
from windlass.core.kustomize.nodes import Node, Scalar, is_null, key, kind_of, set_field, set_scalar
from windlass.core.kustomize.resource import Resource
from windlass.errors import Where


class FieldSpec(NamedTuple):
    """One field of the kinds that ``gvk`` selects. ``create`` makes it where it is missing."""

    gvk: Gvk
    path: str
    create: bool = False


class Making(NamedTuple):
    """What a missing field is made as: a mapping, or a leaf; ``tag`` is what a null there becomes."""

    mapping: bool
    tag: str = ""


Setter = Callable[[Node], Any]
MAPPING = Making(mapping=True)


@lru_cache(4096)
def split(path: str, separator: str = "/") -> tuple[str, ...]:
    """The parts of a path; a backslash before the separator keeps it."""
    pieces = path.split(separator)
    if len(pieces) > 1 and not pieces[0]:
        pieces = pieces[1:]
    out = [pieces[0]]
    for piece in pieces[1:]:
        if out[-1].endswith("\\"):
            out[-1] = out[-1][:-1] + separator + piece
        else:
            out.append(piece)
    return tuple(out)


def apply(resource: Resource, spec: FieldSpec, setter: Setter, making: Making | None = None) -> None:
    """Call ``setter`` with each field of ``resource`` that the spec names. Errors name the object and the field."""
    if not resource.gvk.selected_by(spec.gvk):
        return
    try:
        _walk(resource.tree, split(spec.path), 0, setter, making if spec.create else None)
    except KustomizeError as error:
        field = spec.path.replace("\\/", "/")
        raise error.at(Where(file=resource.file, line=resource.line, field=field)) from None


def apply_all(resource: Resource, specs: Sequence[FieldSpec], setter: Setter, making: Making | None = None) -> None:
    """``apply`` for each spec, in order."""
    for spec in specs:
        apply(resource, spec, setter, making)


def _walk(node: Node, parts: tuple[str, ...], place: int, setter: Setter, making: Making | None) -> None:
    if place == len(parts):
        setter(node)
        return
    cls = node.__class__
    if cls is dict:
        _enter(node, parts, place, setter, making)
    elif cls is list:
        for item in node:
            _walk(item, parts, place, setter, making)
    elif not is_null(node):
        raise KustomizeError("a mapping or a list was expected above this field, and there is a single value")


def _enter(node: dict[str, Node], parts: tuple[str, ...], place: int, setter: Setter, making: Making | None) -> None:
    part = parts[place]
    name = part.removesuffix("[]")
    if not name:
        raise KustomizeError("a field path has an empty part", hint="write the path without // or a slash at its end")
    field = node.get(name)
    is_list = name != part
    last = place == len(parts) - 1
    if field is None:
        if making is None or is_list:
            return
        field = {} if making.mapping or not last else Scalar("", "")
        node[key(name)] = field
    elif field.__class__ is Scalar and field.tag == "null":
        if is_list:
            field = node[name] = []
        elif making is not None:
            if making.mapping or not last:
                field = node[name] = {}
            else:
                field.tag = making.tag
    _walk(field, parts, place + 1, setter, making)


def entry(name: str, value: Scalar) -> Setter:
    """A setter that puts ``value`` under ``name`` of a mapping. Fields that it makes share the one leaf."""
    made = key(name)

    def put(node: Node) -> None:
        if node.__class__ is dict:
            set_field(node, made, value)
        elif not is_null(node):
            raise KustomizeError(f"a mapping was expected here, and there is {kind_of(node)}")

    return put


def leaf(value: Scalar) -> Setter:
    """A setter that changes a leaf."""
    return lambda node: set_scalar(node, value)
