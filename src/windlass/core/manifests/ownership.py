"""Whether what was applied is still owned, and what others own beside it: drift by ``managedFields`` alone, no schema.

``uncovered`` and ``extra`` are asked for every changed object of a cluster, 10,000 of them in a check, so both walk
plain dicts and make little but the paths that they report. They tell where ownership moved, not which values are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.core.manifests.fieldpaths import join, parse_key, value_element

_SELF = "."
# What no entry ever owns: the server strips it.
_UNOWNED = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "selfLink",
        "managedFields",
        "clusterName",
    }
)
_BESIDE = ("f:metadata", "f:status", "f:apiVersion", "f:kind")


def _raw(fields: Any) -> Mapping[str, Any]:
    """The fieldsV1 dict of a dict or of a ``FieldSet``."""
    found: Mapping[str, Any] = getattr(fields, "fields", fields)
    return found


def uncovered(entry: Any, body: Mapping[str, Any]) -> list[str]:
    """Which parts of an applied ``body`` its ``entry`` (fieldsV1 or ``FieldSet``) does not own any more.

    A part that is gone as a whole is told once, by its own path. Empty maps, lists and nulls count as owned where their
    parent is. ``status`` and what the server strips is not looked at.
    """
    fields = _raw(entry)
    out: list[str] = []
    for name, value in body.items():
        if name in ("apiVersion", "kind", "status"):
            continue
        node = fields.get(f"f:{name}")
        if name == "metadata":
            if isinstance(value, dict):
                owned = {key: item for key, item in value.items() if key not in _UNOWNED}
                _walk_map(node or {}, owned, name, out)
        elif node is None:
            if value not in (None, {}, []):
                out.append(name)
        elif node:
            _walk(node, value, name, out)
    return out


def _walk(node: Mapping[str, Any], value: Any, path: str, out: list[str]) -> None:
    """A value whose element has members below it."""
    kind = type(value)
    if kind is dict:
        _walk_map(node, value, path, out)
    elif kind is list:
        _walk_list(node, value, path, out)
    elif value is not None and _SELF not in node:
        out.append(path)


def _walk_map(node: Mapping[str, Any], value: dict[str, Any], path: str, out: list[str]) -> None:
    for name, item in value.items():
        below = node.get("f:" + name)
        if below is None:
            if item is not None and item != {} and item != []:
                out.append(join(path, "f:" + name))
        elif below:
            kind = type(item)
            if kind is dict:
                _walk_map(below, item, join(path, "f:" + name), out)
            elif kind is list:
                _walk_list(below, item, join(path, "f:" + name), out)
            elif item is not None and _SELF not in below:
                out.append(join(path, "f:" + name))


def _walk_list(node: Mapping[str, Any], value: list[Any], path: str, out: list[str]) -> None:
    for place, item in enumerate(value):
        if isinstance(item, dict):
            element = _find_item(node, item)
            if element is None:
                out.append(_item_path(node, item, place, path))
                continue
            below = node[element]
            keys = parse_key(element)
            rest = {name: each for name, each in item.items() if name not in keys} if not below else item
            _walk_map(below, rest, join(path, element), out)
        else:
            element = value_element(item)
            if element not in node:
                out.append(join(path, element))


def _find_item(node: Mapping[str, Any], item: dict[str, Any]) -> str | None:
    """The ``k:`` element whose keys the item has, or lacks because the server fills them in."""
    best: str | None = None
    for element in node:
        if element[0] != "k":
            continue
        lacking = 0
        for name, wanted in parse_key(element).items():
            have = item.get(name, item)  # the item itself stands for a key that is not given
            if have is item:
                lacking += 1
            elif have != wanted:
                break
        else:
            if not lacking:
                return element
            best = best or element
    return best


def _item_path(node: Mapping[str, Any], item: dict[str, Any], place: int, path: str) -> str:
    """How a lost item is told: by the keys that its neighbours have, else by name, else by place."""
    names = next((tuple(parse_key(element)) for element in node if element[0] == "k"), ())
    names = tuple(name for name in names if name in item) or (("name",) if "name" in item else ())
    if not names:
        return f"{path}[{place}]"
    return f"{path}[{','.join(f'{name}={item[name]}' for name in names)}]"


def extra(entry: Any, ours: Any) -> list[str]:
    """What ``entry`` owns of the object's content (``spec``, ``data``, ``rules``, ...) and ``ours`` does not.

    Metadata and status are left out. A part that is not ours as a whole is told once, by its own path.
    """
    theirs, own = _raw(entry), _raw(ours)
    out: list[str] = []
    for element, node in theirs.items():
        if element in _BESIDE or element == _SELF:
            continue
        mine = own.get(element)
        if mine is None:
            _top(node, element, out)
        elif mine and node:
            _extra(node, mine, join("", element), out)
    return out


def _top(node: Mapping[str, Any], element: str, out: list[str]) -> None:
    """A top-level field that is not ours at all: its children are told, for ``spec`` alone says nothing."""
    below = [each for each in node if each != _SELF]
    path = join("", element)
    if not below:
        out.append(path)
    out.extend(join(path, each) for each in below)


def _extra(theirs: Mapping[str, Any], ours: Mapping[str, Any], path: str, out: list[str]) -> None:
    for element, node in theirs.items():
        if element == _SELF:
            continue
        mine = ours.get(element)
        if mine is None:
            out.append(join(path, element))
        elif mine and node:
            _extra(node, mine, join(path, element), out)
