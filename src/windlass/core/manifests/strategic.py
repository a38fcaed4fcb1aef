"""Strategic merge patch: lists merge by the keys of the schema, and directives in the patch say what a merge can't.

Called through ``patches``. It knows ``$patch`` (replace, delete, merge), ``$retainKeys``, ``$deleteFromPrimitiveList``
and ``$setElementOrder``. A kind without a schema merges its maps and replaces its lists. Values are not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.core.manifests.patch_errors import PatchError
from windlass.core.manifests.schemas import DEDUCED, Schema

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def strategic_merge(
    target: Mapping[str, Any], patch: Mapping[str, Any], schema: Schema | None = None
) -> dict[str, Any]:
    """``target`` with ``patch`` merged in. Raises ``PatchError`` (500 for malformed directives, as the real server)."""
    return _merge_maps(target, patch, schema or DEDUCED)


def _broken(message: str) -> PatchError:
    return PatchError(message, code=500, reason="")


def _plain(value: Any) -> str:
    """A value as the real server's messages show it."""
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{name}:{_plain(value[name])}" for name in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_plain(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)


def _merge_maps(target: Mapping[str, Any], patch: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    directive = patch.get(_PATCH)
    if directive is not None:
        if directive == "replace":
            return {name: value for name, value in patch.items() if name != _PATCH}
        if directive == "delete":
            return {}
        if directive != "merge":
            raise _broken(f"unknown patch type: {directive} in map: {_plain(patch)}")
    out = dict(target)
    patch = {name: value for name, value in patch.items() if name != _PATCH}
    if _RETAIN in patch:
        _retain(out, patch)
    for name in [name for name in patch if name.startswith(_ORDER)]:
        field = name.removeprefix(_ORDER)
        _merge_ordered(out, patch, field, schema)
    for name, value in patch.items():
        if name.startswith((_ORDER, _RETAIN)):
            continue
        if name.startswith(_DELETE):
            _delete_values(out, name.removeprefix(_DELETE), value)
        elif value is None:
            out.pop(name, None)
        else:
            out[name] = _merge_field(out, name, value, schema.field(name) or DEDUCED)
    return out


def _merge_field(out: Mapping[str, Any], name: str, value: Any, field: Schema) -> Any:
    current = out.get(name)
    if isinstance(value, Mapping) and isinstance(current, Mapping):
        if "replace" in field.patch_strategy.split(","):
            return _without_directives(value)
        return _merge_maps(current, value, field)
    if isinstance(value, list) and isinstance(current, list):
        if "merge" in field.patch_strategy.split(","):
            return _merge_lists(current, value, field)
        return _without_directives(value)
    return _without_directives(value)


def _retain(out: dict[str, Any], patch: dict[str, Any]) -> None:
    keep = patch.pop(_RETAIN)
    if not isinstance(keep, list) or not all(isinstance(name, str) for name in keep):
        raise PatchError("invalid patch format of retainKeys")
    given = {name for name, value in patch.items() if value is not None and not name.startswith("$")}
    if not given <= set(keep):
        raise PatchError("invalid patch format of retainKeys")
    for name in list(out):
        if name not in keep:
            del out[name]
    for name in [name for name, value in patch.items() if value is None and name not in keep]:
        del patch[name]


def _delete_values(out: dict[str, Any], field: str, values: Any) -> None:
    current = out.get(field)
    if isinstance(current, list) and isinstance(values, list):
        out[field] = [item for item in current if item not in values]


def _without_directives(value: Any) -> Any:
    """A part of a patch that meets nothing: taken as it is, without nulls and directives."""
    if isinstance(value, Mapping):
        return {
            name: _without_directives(item)
            for name, item in value.items()
            if item is not None and name not in (_PATCH, _RETAIN) and not name.startswith((_ORDER, _DELETE))
        }
    if isinstance(value, list):
        kept = [item for item in value if not (isinstance(item, Mapping) and item.get(_PATCH) == "delete")]
        return [_without_directives(item) for item in kept if not (isinstance(item, Mapping) and set(item) == {_PATCH})]
    return value


def _key(item: Any, merge_key: str) -> Any:
    if merge_key not in item:
        raise _broken(f"map: {_plain(item)} does not contain declared merge key: {merge_key}")
    return item[merge_key]


def _merge_lists(current: list[Any], patch: list[Any], field: Schema) -> list[Any]:
    everything = [*current, *patch]
    maps = [isinstance(item, Mapping) for item in everything]
    if any(maps) and not all(maps):
        raise _broken(f"list element types are not identical: {_plain([current, patch])}")
    if not any(maps):
        merged = list(dict.fromkeys(everything)) if everything else []
        return _arranged(merged, patch, current)
    merge_key = field.patch_merge_key
    if not merge_key:
        raise _broken("cannot merge lists without merge key for " + (field.traits.definition or "an untyped list"))
    return _merge_keyed(current, patch, merge_key, field.items or DEDUCED)


def _merge_keyed(current: list[Any], patch: list[Any], merge_key: str, items: Schema) -> list[Any]:
    original = list(current)
    ordinary: list[Any] = []
    replaced = False
    for item in patch:
        directive = item.get(_PATCH)
        if directive is None or directive == "merge":
            ordinary.append({name: value for name, value in item.items() if name != _PATCH})
        elif directive == "delete":
            unwanted = _key(item, merge_key)
            original = [each for each in original if each.get(merge_key) != unwanted]
        elif directive == "replace":
            replaced = True
        else:
            raise _broken(f"unknown patch type: {directive} in map: {_plain(item)}")
    if replaced:
        return [_without_directives(item) for item in ordinary]
    merged = list(original)
    for item in ordinary:
        key = _key(item, merge_key)
        place = next((place for place, each in enumerate(merged) if each.get(merge_key) == key), None)
        if place is None:
            merged.append(_without_directives(item))
        else:
            merged[place] = _merge_maps(merged[place], item, items)
    return _arranged(merged, ordinary, original, merge_key)


def _merge_ordered(out: dict[str, Any], patch: dict[str, Any], field: str, schema: Schema) -> None:
    """A list whose final order the patch tells. Merges it, puts it in order, and takes it out of the patch."""
    order = patch.pop(_ORDER + field)
    below = schema.field(field) or DEDUCED
    current, given = out.get(field), patch.pop(field, None)
    if "merge" not in below.patch_strategy.split(",") or not isinstance(order, list):
        if given is not None:
            patch[field] = given
        return
    merge_key = below.patch_merge_key
    _check_order(given, order, merge_key)
    if isinstance(current, list) and isinstance(given, list):
        merged = _merge_lists(current, given, below)
    elif isinstance(given, list):
        merged = _without_directives(given)
    elif isinstance(current, list):
        merged = list(current)
    else:
        return
    out[field] = _arranged(merged, order, current if isinstance(current, list) else [], merge_key)


def _check_order(given: Any, order: list[Any], merge_key: str) -> None:
    """What the patch gives must come in the order that it tells."""
    if not isinstance(given, list):
        return
    names = [_named(item, merge_key) for item in order]
    wanted = iter(names)
    for item in given:
        if isinstance(item, Mapping) and item.get(_PATCH) in ("delete", "replace"):
            continue
        if all(name != _named(item, merge_key) for name in wanted):
            raise _broken(
                f"The order in patch list:\n{_plain(given)}\n doesn't match $setElementOrder list:\n{_plain(order)}\n"
            )


def _named(item: Any, merge_key: str) -> Any:
    return _key(item, merge_key) if merge_key and isinstance(item, Mapping) else item


def _arranged(merged: list[Any], order: list[Any], server: list[Any], merge_key: str = "") -> list[Any]:
    """Items that ``order`` names come in its order, the others in the server's, woven by where the server had both."""
    wanted = {_named(item, merge_key): place for place, item in reversed(list(enumerate(order)))}
    had = {_named(item, merge_key): place for place, item in reversed(list(enumerate(server)))}
    ours = [item for item in merged if _named(item, merge_key) in wanted]
    ours.sort(key=lambda item: wanted[_named(item, merge_key)])
    others = [item for item in merged if _named(item, merge_key) not in wanted]
    others.sort(key=lambda item: had.get(_named(item, merge_key), -1))
    out: list[Any] = []
    left = right = 0
    while left < len(others) and right < len(ours):
        mine = had.get(_named(ours[right], merge_key), -1)
        # What the patch brings anew comes as early as it can: the server had it nowhere.
        if had.get(_named(others[left], merge_key), -1) < mine:
            out.append(others[left])
            left += 1
        else:
            out.append(ours[right])
            right += 1
    return [*out, *others[left:], *ours[right:]]
