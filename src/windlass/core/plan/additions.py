"""What others added to our objects: fields that Git does not name, inside what we manage; and how they are taken away.

``examine`` tells them; the drift flow takes them away where Git says so. It looks at owners, not at values: what nobody
owns (a server's default) is no addition.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from windlass.core.manifests.fieldpaths import join
from windlass.core.model import Drift, DriftCause, DriftResponse, ObjectRef
from windlass.core.plan.compare import Fields, Path, index_of, is_absent, resolve, with_string_data
from windlass.core.plan.entries import Entry, entries_of
from windlass.core.plan.expected import why_expected
from windlass.core.plan.project import project
from windlass.core.plan.severe import is_severe


def additions(
    ref: ObjectRef,
    desired: Mapping[str, Any],
    content: Mapping[str, Any],
    foreign: list[Entry],
    response: DriftResponse,
) -> list[Drift]:
    newest: dict[str, tuple[Entry, Path, Any]] = {}
    for entry in foreign:
        for path in _added(desired, content, entry):
            field = _field_text(path)
            value = project(_value_at(content, path), _node_at(entry.fields, path))
            if field not in newest or entry.time >= newest[field][0].time:
                newest[field] = (entry, path, value)
    return [
        Drift(
            ref,
            DriftCause.ADDED,
            field,
            response,
            None,
            value,
            manager=entry.manager,
            operation=entry.how,
            since=entry.time,
            severe=is_severe(ref.group, ref.kind, path, None, value, added=True),
        )
        for field, (entry, path, value) in newest.items()
    ]


def _added(desired: Mapping[str, Any], content: Mapping[str, Any], entry: Entry) -> Iterator[Path]:
    """Paths that the entry owns, the object has, the body does not name, and that are nobody's ordinary work."""
    body = with_string_data(desired)
    kind = str(content.get("kind", ""))
    for element, node in entry.fields.items():
        if element in (".", "f:metadata", "f:status", "f:apiVersion", "f:kind"):
            continue
        yield from (
            path
            for path in _beyond(node, resolve(body, element), resolve(content, element), (element,))
            if not why_expected(kind, path, entry.manager, entry.subresource)
        )


def _beyond(node: Fields, wanted: Any, live: Any, path: Path) -> Iterator[Path]:
    """Where ``node`` goes beyond what is wanted. A list item is told whole, a map by what is owned in it."""
    if is_absent(live):
        return  # an entry may tell of what is gone
    named = not is_absent(wanted)
    below = [element for element in node if element != "."]
    if not named and (path[-1][:2] in ("k:", "v:", "i:") or not below):
        yield path
        return
    for element in below:
        yield from _beyond(node[element], resolve(wanted, element), resolve(live, element), (*path, element))


def removal_patch(
    desired: Mapping[str, Any], content: Mapping[str, Any], drifts: Collection[Drift]
) -> list[dict[str, Any]]:
    """A JSON patch that takes those additions among ``drifts`` away, or empty. Sets the resourceVersion that was read.

    Server-side apply can't: it removes only what we own.
    """
    fields = {each.field for each in drifts if each.cause is DriftCause.ADDED}
    pointers: list[tuple[str | int, ...]] = []
    for entry in entries_of(content):
        if entry.subresource == "status":
            continue
        for path in _added(desired, content, entry):
            if _field_text(path) in fields and (pointer := _pointer(content, path)) not in pointers and pointer:
                pointers.append(pointer)
    if not pointers:
        return []
    version = content["metadata"]["resourceVersion"]
    # From the end, so that taking an item out of a list moves none that is still to go.
    pointers.sort(key=lambda each: [(isinstance(part, int), part) for part in each], reverse=True)
    return [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        *(
            {"op": "remove", "path": "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in each)}
            for each in pointers
        ),
    ]


def _field_text(path: Path) -> str:
    text = ""
    for element in path:
        text = join(text, element)
    return text


def _value_at(content: Any, path: Path) -> Any:
    for element in path:
        content = resolve(content, element)
    return content


def _node_at(fields: Fields, path: Path) -> Fields:
    for element in path:
        fields = fields[element]
    return fields


def _pointer(content: Any, path: Path) -> tuple[str | int, ...]:
    """The path as parts of a JSON pointer, or () where it is gone."""
    parts: list[str | int] = []
    for element in path:
        if element.startswith("f:"):
            parts.append(element[2:])
        else:
            place = index_of(content, element)
            if place is None:
                return ()
            parts.append(place)
        content = resolve(content, element)
        if is_absent(content):
            return ()
    return tuple(parts)
