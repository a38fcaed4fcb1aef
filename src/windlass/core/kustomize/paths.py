"""Paths of replacements and vars: ``spec.template.spec.containers.[name=web].image``, looked up or matched.

``lookup`` finds the one node that a source names, ``match`` all that a target names, making what is missing where it is
asked to. Used by ``replacements`` and ``variables``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from windlass.core.kustomize.collection import regex
from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.fieldspecs import split
from windlass.core.kustomize.nodes import QUOTED, Node, Scalar, is_null, key, kind_of, text_of, untagged

MAPPING: Final = "mapping"
LIST: Final = "list"
LEAF: Final = "leaf"
_DIGITS: Final = frozenset("0123456789")


@lru_cache(4096)
def parts_of(path: str) -> tuple[str, ...]:
    """The parts of a path; ``[name=a.b]`` is one part, and so is ``[a.b]``, without its brackets."""
    pieces = split(path, ".")
    out: list[str] = []
    at = 0
    while at < len(pieces):
        piece = pieces[at]
        at += 1
        if not piece.startswith("[") or piece.endswith("]"):
            out.append(piece)
            continue
        joined = [piece]
        while at < len(pieces):
            joined.append(pieces[at])
            at += 1
            if joined[-1].endswith("]"):
                break
        text = ".".join(joined)
        out.append(text if "=" in text else text.strip("[]"))
    return tuple(out)


def _number(part: str) -> int | None:
    """A part as a number, as Go reads it."""
    digits = part[1:] if part[:1] in ("+", "-") else part
    if not digits or not _DIGITS.issuperset(digits) or len(digits) > 18:
        return None
    return int(part)


def _is_item(part: str) -> bool:
    return part.startswith("[") and part.endswith("]")


def _item(part: str) -> tuple[str, str]:
    name, equals, value = part.removesuffix("]").removeprefix("[").partition("=")
    if not equals:
        raise KustomizeError(f"{shown(part, 60)} names no item of a list", hint="write [field=value]")
    return name, value


def lookup(node: Node, parts: tuple[str, ...]) -> Node:
    """The one node at a path, None where there is none. Raises ``KustomizeError`` where the path does not fit."""
    for raw in parts:
        part = raw.strip()
        if not part:
            continue
        if node is None:
            return None
        number = _number(part)
        if number is not None:
            if number < 0:
                raise KustomizeError(f"{number} is no place in a list")
            items = _items(node)
            node = items[number] if number < len(items) else None
        elif part == "-":
            items = _items(node)
            if not items:
                raise KustomizeError("the list is empty, and its last item is asked for")
            node = items[-1]
        elif part == "*":
            raise KustomizeError("* is not possible here: one field is meant", hint="write [name=value]")
        elif _is_item(part):
            node = _matching(node, *_item(part))
        else:
            node = _field(node, part)
    return node


def _items(node: Node) -> list[Node]:
    if is_null(node):
        return []
    if node.__class__ is not list:
        raise KustomizeError(f"a list was expected, and there is {kind_of(node)}")
    found: list[Node] = node
    return found


def _field(node: Node, name: str) -> Node:
    if is_null(node):
        return None
    if node.__class__ is not dict:
        raise KustomizeError(f"a mapping with {shown(name, 60)} was expected, and there is {kind_of(node)}")
    return node.get(name)


def _matching(node: Node, name: str, value: str) -> Node:
    for item in _items(node):
        if not name:
            if text_of(item) == value:
                return item
        elif item.__class__ is dict and name in item and text_of(item[name]) == value:
            return item
    return None


@dataclass(slots=True)
class Slot:
    """A node and where it stands, so that another can take its place."""

    parent: Node
    at: str | int
    node: Node

    def put(self, node: Node) -> None:
        """Another node in its place."""
        self.parent[self.at] = node
        self.node = node


def match(parent: Node, at: str | int, parts: tuple[str, ...], create: str = "") -> list[Slot] | None:
    """All nodes at a path below ``parent[at]``; None where a field is missing. ``create`` is the kind of node that a
    missing last field becomes."""
    node = parent[at]
    if not parts:
        return [Slot(parent, at, node)]
    part, rest = parts[0], parts[1:]
    number = _number(part)
    if number is not None and number >= 0:
        return _match_place(node, number, rest, create, part)
    if _is_item(part):
        return _match_items(node, part, rest, create)
    if part == "*":
        out: list[Slot] | None = None
        for place in range(len(_items(node))):
            found = match(node, place, rest, create)
            if found is not None:
                out = [*(out or []), *found]
        return out
    return _match_field(node, part, rest, create)


def _made(rest: tuple[str, ...], create: str) -> Node:
    """What a missing part becomes, so that the rest of the path fits into it."""
    if not rest:
        return {} if create == MAPPING else [] if create == LIST else untagged("")
    first = rest[0]
    number = _number(first)
    return [] if _is_item(first) or (number is not None and number >= 0) else {}


def _match_field(node: Node, part: str, rest: tuple[str, ...], create: str) -> list[Slot] | None:
    found = _field(node, part)
    if found is None:
        if not create or node.__class__ is not dict:
            return None
        node[key(part)] = found = _made(rest, create)
    if found.__class__ is Scalar and rest and not is_null(found):
        raise KustomizeError(f"{shown(part, 60)} is a single value, and the path goes on below it")
    return match(node, part, rest, create)


def _match_place(node: Node, number: int, rest: tuple[str, ...], create: str, part: str) -> list[Slot] | None:
    items = _items(node)
    if number == len(items) and create and node.__class__ is list:
        items.append(_made(rest, create))
    if number >= len(items):
        raise KustomizeError(f"the item {part} is asked for, and the list has {len(items)}")
    return match(items, number, rest, create)


def _match_items(node: Node, part: str, rest: tuple[str, ...], create: str) -> list[Slot] | None:
    name, value = _item(part)
    pattern = regex(value)
    for again in (False, True):
        out: list[Slot] | None = None
        items = _items(node)
        for place, item in enumerate(items):
            if not name:
                if pattern.search(_written(item)) is not None:
                    out = [*(out or []), Slot(items, place, item)]
                continue
            field = item.get(name) if item.__class__ is dict else None
            if field is None or pattern.search(_written(field)) is None:
                continue
            found = match(items, place, rest, create)
            if found is not None:
                out = [*(out or []), *found]
        if out or not create or again or node.__class__ is not list:
            return out or None
        items.append({key(name): untagged(value)} if name else untagged(value))
    return None


def _written(node: Node) -> str:
    """A leaf as it is written, which is what a pattern is held against."""
    if node.__class__ is not Scalar:
        return ""
    if node.style & QUOTED and "\n" not in node.text:
        return f'"{node.text}"'
    return str(node.text).strip()
