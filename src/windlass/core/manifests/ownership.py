"""Whether what was applied is still owned: drift by ``managedFields`` alone, no schema.

``uncovered`` is asked for every changed object of a cluster, 10,000 of them in a check, so it walks plain dicts and
makes little but the paths that it reports. It tells where ownership moved, not which values are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.core.manifests.fieldpaths import join, name_element, parse_key, value_element

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


def _raw(fields: Any) -> Mapping[str, Any]:
    """The fieldsV1 dict of a dict or of a ``FieldSet``."""
    found: Mapping[str, Any] = getattr(fields, "fields", fields)
    return found


# Where a walk stands: its parent and one element more. Made text only when there is something to report.
_Place = tuple[Any, str]


def _text(place: _Place | None) -> str:
    """The path of a place."""
    elements: list[str] = []
    while place is not None:
        place, element = place
        elements.append(element)
    path = ""
    for element in reversed(elements):
        path = join(path, element)
    return path


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
                _walk_map(node or {}, owned, (None, "f:metadata"), out)
        elif node is None:
            if value not in (None, {}, []):
                out.append(_text((None, f"f:{name}")))
        elif node:
            _walk(node, value, (None, f"f:{name}"), out)
    return out


def _walk(node: Mapping[str, Any], value: Any, place: _Place, out: list[str]) -> None:
    """A value whose element has members below it."""
    kind = type(value)
    if kind is dict:
        _walk_map(node, value, place, out)
    elif kind is list:
        _walk_list(node, value, place, out)
    elif value is not None and _SELF not in node:
        out.append(_text(place))


def _walk_map(node: Mapping[str, Any], value: dict[str, Any], place: _Place, out: list[str]) -> None:
    for name, item in value.items():
        element = "f:" + name
        below = node.get(element)
        if below is None:
            if item is not None and item != {} and item != []:
                out.append(_text((place, element)))
        elif below:
            kind = type(item)
            if kind is dict:
                _walk_map(below, item, (place, element), out)
            elif kind is list:
                _walk_list(below, item, (place, element), out)
            elif item is not None and _SELF not in below:
                out.append(_text((place, element)))


def _walk_list(node: Mapping[str, Any], value: list[Any], place: _Place, out: list[str]) -> None:
    for index, item in enumerate(value):
        if type(item) is dict:
            element = _find_item(node, item)
            if element is None:
                out.append(_item_path(node, item, index, _text(place)))
                continue
            below = node[element]
            if below:
                _walk_map(below, item, (place, element), out)
            else:  # only the item is ours: its keys with it, the rest of it not
                keys = parse_key(element)
                rest = {name: each for name, each in item.items() if name not in keys}
                _walk_map(below, rest, (place, element), out)
        else:
            element = value_element(item)
            if element not in node:
                out.append(_text((place, element)))


def _find_item(node: Mapping[str, Any], item: dict[str, Any]) -> str | None:
    """The ``k:`` element whose keys the item has, or lacks because the server fills them in."""
    name = item.get("name")
    if type(name) is str:  # nearly always
        element = name_element(name)
        if element in node:
            return element
    best: str | None = None
    for element in node:
        if element[0] != "k":
            continue
        lacking = 0
        for key, wanted in parse_key(element).items():
            have = item.get(key, item)  # the item itself stands for a key that is not given
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
