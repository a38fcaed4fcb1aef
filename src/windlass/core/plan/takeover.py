"""Moving fields between owners: taking over from other tools, handing over on letting go, releasing an object.

The flows read the whole object, get a JSON patch or an apply body here, and send it. Every patch sets the
resourceVersion that was read, so that a write in between answers 409 instead of being lost. Values are never changed:
only who owns them, and the marks of Windlass itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windlass.core.manifests.fieldpaths import parse_key
from windlass.core.manifests.fields import Fields
from windlass.core.manifests.fields import union as unite
from windlass.core.plan.compare import index_of, is_absent, resolve
from windlass.core.plan.ignore import elements
from windlass.core.plan.ownership import ADOPTED, LABEL, PREFIX, RELEASED_MANAGER

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class UnclearField(ValueError):
    """A field path that can't be followed to one value. The text says which."""


def takeover_patch(
    content: dict[str, Any], managers: Iterable[str], manager: str, *, adopted: str = ""
) -> list[dict[str, Any]]:
    """A JSON patch that unites the entries of ``managers`` (on the main resource) into ``manager``'s Apply entry.

    ``adopted`` (an ISO time) also marks the object as one that existed before, with the annotation
    ``windlass.dev/adopted``; whoever sends the patch owns that annotation as an Update, so no apply drops it. Empty
    where there is nothing to do. `kubectl apply`'s annotation goes into the entry too: with the next apply it leaves,
    or a later `kubectl apply` would compare with what was last applied long ago.
    """
    entries = _entries(content)
    taken = set(managers)
    moved = [each for each in entries if _moves(each, taken, manager)]
    patch = _precondition(content)
    if moved:
        own = next((each for each in entries if _is_apply(each, manager)), None)
        fields: Fields = _fields(own) if own else {}
        for each in moved:
            fields = unite(fields, _fields(each))
        if _LAST_APPLIED in _annotations(content):
            fields = unite(fields, {"f:metadata": {"f:annotations": {f"f:{_LAST_APPLIED}": {}}}})
        made = _apply_entry(manager, fields, own or moved[0])
        rest = [each for each in entries if each is not own and not any(each is one for one in moved)]
        patch.append({"op": "replace", "path": "/metadata/managedFields", "value": [made, *rest]})
    if adopted and ADOPTED not in _annotations(content):
        patch += _annotate(content, ADOPTED, adopted)
    return patch if len(patch) > 1 else []


def release_patch(content: dict[str, Any], manager: str) -> list[dict[str, Any]]:
    """A JSON patch that takes our label and annotations off and moves our entry to ``windlass-released``.

    Dropping the entry instead would be no different today, but the next apply of anybody could then not tell fields
    that are held from fields that are free. Empty where we own nothing and left no mark.
    """
    entries = _entries(content)
    patch = _precondition(content)
    own = next((each for each in entries if _is_apply(each, manager)), None)
    if own is not None:
        before = next((each for each in entries if _is_apply(each, RELEASED_MANAGER)), None)
        fields = _without_marks(unite(_fields(before) if before else {}, _fields(own)))
        rest = [each for each in entries if each is not own and each is not before]
        made = [_apply_entry(RELEASED_MANAGER, fields, own)] if fields else []
        patch.append({"op": "replace", "path": "/metadata/managedFields", "value": made + rest})
    if LABEL in _labels(content):
        patch.append({"op": "remove", "path": f"/metadata/labels/{_escaped(LABEL)}"})
    patch += [
        {"op": "remove", "path": f"/metadata/annotations/{_escaped(name)}"}
        for name in sorted(_annotations(content))
        if name.startswith(PREFIX)
    ]
    return patch if len(patch) > 1 else []


def handover_body(content: dict[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """The smallest apply body that names the live values at ``paths`` (fieldsV1 elements joined by "/").

    Paths that hold nothing are left out. Raises UnclearField for a path through a list whose items have no keys.
    """
    metadata = content["metadata"]
    body: dict[str, Any] = {
        "apiVersion": content["apiVersion"],
        "kind": content["kind"],
        "metadata": {key: metadata[key] for key in ("name", "namespace") if metadata.get(key)},
    }
    for path in paths:
        parts = elements(path)
        if any(part.startswith(("v:", "i:")) for part in parts) or "/v:" in path or "/i:" in path:
            raise UnclearField(f"{path} goes through a list whose items have no keys")
        value: Any = content
        for part in parts:
            value = resolve(value, part)
        if not is_absent(value) and value is not None:
            _put(body, parts, value)
    return body


def _put(node: Any, parts: list[str], value: Any) -> None:
    """Sets a value in a body of maps and keyed lists, which are made on the way."""
    for depth, part in enumerate(parts):
        last = depth + 1 == len(parts)
        if part.startswith("k:"):
            place = index_of(node, part)
            if place is None:
                node.append(value if last else dict(parse_key(part)))
                place = len(node) - 1
            node = node[place]
        elif last:
            node[part.removeprefix("f:")] = value
        else:
            node = node.setdefault(part.removeprefix("f:"), [] if parts[depth + 1].startswith("k:") else {})


def _moves(entry: dict[str, Any], taken: set[str], manager: str) -> bool:
    return entry.get("manager") in taken and not entry.get("subresource") and not _is_apply(entry, manager)


def _is_apply(entry: dict[str, Any], manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")


def _apply_entry(manager: str, fields: Fields, like: dict[str, Any]) -> dict[str, Any]:
    made = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": like.get("apiVersion", ""),
        "fieldsType": "FieldsV1",
        "fieldsV1": dict(fields),
    }
    if like.get("time"):
        made["time"] = like["time"]
    return made


def _without_marks(fields: Fields) -> Fields:
    """Fields without our label and annotations, which go with the release."""
    metadata = dict(fields.get("f:metadata", {}))
    for part in ("f:labels", "f:annotations"):
        kept = {name: node for name, node in metadata.get(part, {}).items() if not name.startswith(f"f:{PREFIX}")}
        metadata.pop(part, None)
        if kept.keys() - {"."}:
            metadata[part] = kept
    rest = {name: node for name, node in fields.items() if name != "f:metadata"}
    return {"f:metadata": metadata, **rest} if metadata.keys() - {"."} else rest


def _annotate(content: dict[str, Any], name: str, value: str) -> list[dict[str, Any]]:
    if not isinstance(content["metadata"].get("annotations"), dict):
        return [{"op": "add", "path": "/metadata/annotations", "value": {name: value}}]
    return [{"op": "add", "path": f"/metadata/annotations/{_escaped(name)}", "value": value}]


def _precondition(content: dict[str, Any]) -> list[dict[str, Any]]:
    # Not a "test" operation: a failed test answers 422, which reads as a mistake; a stale version answers 409.
    return [{"op": "replace", "path": "/metadata/resourceVersion", "value": content["metadata"]["resourceVersion"]}]


def _entries(content: dict[str, Any]) -> list[dict[str, Any]]:
    return list(content["metadata"].get("managedFields") or [])


def _fields(entry: dict[str, Any]) -> Fields:
    found: Fields = entry.get("fieldsV1") or {}
    return found


def _labels(content: dict[str, Any]) -> dict[str, str]:
    return content["metadata"].get("labels") or {}


def _annotations(content: dict[str, Any]) -> dict[str, str]:
    return content["metadata"].get("annotations") or {}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
