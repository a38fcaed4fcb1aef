"""Objects from documents: the checks each must pass, and lists taken apart.

Called by ``target`` for resources, by ``patches`` for strategic merge patches, by ``generators`` for charts.
"""

from __future__ import annotations

from windlass.core.kustomize.errors import KustomizeError
from windlass.core.kustomize.loading import Place
from windlass.core.kustomize.nodes import (
    Node,
    Scalar,
    copy,
    from_list_item,
    is_empty,
    is_null,
    json_value,
    kind_of,
    text_of,
)
from windlass.core.kustomize.reading import Parsed
from windlass.core.kustomize.resource import Resource, check_object
from windlass.errors import Where


def resources_of(place: Place, data: bytes, file: str) -> list[Resource]:
    """The objects in a file's bytes. Raises ``DocumentError`` where it is no YAML, ``KustomizeError`` where it holds no
    objects."""
    waiting = [(copy(parsed.node), parsed.line) for parsed in _unwrapped(place, data, file)]
    for node, line in waiting:
        if not is_empty(node):
            check_object(node, Where(file=file, line=line))
    waiting = [each for each in waiting if not is_empty(each[0])]
    out: list[Resource] = []
    at = 0
    while at < len(waiting):
        node, line = waiting[at]
        at += 1
        if not text_of(node.get("kind")).endswith("List") or "items" not in node:
            out.append(Resource(node, file, line))
            continue
        for item in _items(node, Where(file=file, line=line)):
            if not is_empty(item):
                check_object(item, Where(file=file, line=line))
                waiting.append((item, line))
        if len(waiting) > 100_000:
            raise KustomizeError("lists in lists hold too many objects", where=Where(file=file))
    return out


def _unwrapped(place: Place, data: bytes, file: str) -> list[Parsed]:
    """The documents of a file; the items of a List that is alone in it stand for it."""
    parsed = place.objects(data, file)
    if len(parsed) != 1 or parsed[0].node.__class__ is not dict:
        return parsed
    node, line = parsed[0]
    if text_of(node.get("kind")) not in ("List", "ResourceList") or not ("items" in node or "functionConfig" in node):
        return parsed
    items = node.get("items")
    return [Parsed(item, line) for item in items] if items.__class__ is list else []


def _items(node: dict[str, Node], where: Where) -> list[Node]:
    items = node["items"]
    if is_null(items):
        return []
    if items.__class__ is not list:
        raise KustomizeError(f"the items of a list are {kind_of(items)}", where=where)
    out = []
    for item in items:
        if item.__class__ is Scalar and not is_null(item):
            raise KustomizeError("an item of a list is a single value, not an object", where=where)
        try:
            out.append(from_list_item(json_value(item)) if not is_null(item) else item)
        except KustomizeError as error:
            raise error.at(where) from None
    return out
