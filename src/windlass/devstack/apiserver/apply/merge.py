"""Merging an applied body into a live one, and taking fields out again. Called by apply alone.

Both give back the very object they were given where nothing changes, so that "nothing changed" is an identity check
and a comparison afterwards looks only at what did.
"""

from __future__ import annotations

from typing import Any

from windlass.core.manifests.fields import Fields, is_member, item_element
from windlass.core.manifests.schemas import DEDUCED, UNTYPED, Schema
from windlass.devstack.apiserver.apply.compare import same_value


def merge(live: Any, applied: Any, schema: Schema) -> Any:
    """``live`` with what ``applied`` says. Lists that are keyed merge by key, sets unite, the rest is replaced."""
    if type(applied) is dict and schema.accepts_map and not schema.atomic_map:
        if type(live) is dict:
            return _maps(live, applied, schema) if live else (applied or live)
        return applied
    if type(applied) is list and schema.accepts_list and not schema.atomic_list:
        if type(live) is list:
            return _lists(live, applied, schema) if live else (applied or live)
        return applied
    # null says nothing of a map or a keyed list that has something in it
    if (
        applied is None
        and live
        and (
            (type(live) is dict and schema.accepts_map and not schema.atomic_map)
            or (type(live) is list and schema.accepts_list and not schema.atomic_list)
        )
    ):
        return live
    return live if same_value(live, applied) else applied


def _maps(live: dict[str, Any], applied: dict[str, Any], schema: Schema) -> dict[str, Any]:
    out: dict[str, Any] | None = None
    named, other = schema.properties, schema.additional or DEDUCED
    for name, theirs in applied.items():
        if name in live:
            mine = live[name]
            kind = type(theirs)
            if mine is theirs or (kind is str and mine == theirs):
                continue
            both = merge(mine, theirs, named.get(name) or other)
            if both is mine:
                continue
        else:
            both = theirs
        if out is None:
            out = dict(live)
        out[name] = both
    return live if out is None else out


def _lists(live: list[Any], applied: list[Any], schema: Schema) -> list[Any]:
    """Items of both; where both have an item its place is where the applied list wants it among the shared ones."""
    items = schema.items or UNTYPED
    ours = [item_element(item, schema) for item in live]
    theirs = [item_element(item, schema) for item in applied]
    by_ours: dict[str, Any] = {}
    for element, item in zip(ours, live, strict=True):
        by_ours[element] = None if element in by_ours else item  # a duplicate is replaced, not merged
    by_theirs = dict(zip(theirs, applied, strict=True))
    merged = {
        element: merge(by_ours[element], item, items) if element in by_ours else item
        for element, item in by_theirs.items()
    }
    order = _order(ours, theirs, by_ours, by_theirs)
    out = [merged[element] if element in merged else live[place] for element, place in order]
    if len(out) == len(live) and all(mine is result for mine, result in zip(live, out, strict=True)):
        return live
    return out


def _order(
    ours: list[str], theirs: list[str], by_ours: dict[str, Any], by_theirs: dict[str, Any]
) -> list[tuple[str, int]]:
    """The order of the merged list, as (element, place in the live list or -1).

    Live items that are not applied keep their place before the next shared item; applied items come in the order
    in which they are applied. This is the real server's walk over both lists at once.
    """
    out: list[tuple[str, int]] = []
    shared = [element for element in theirs if element in by_ours]
    waiting = iter(shared)
    wanted = next(waiting, None)
    done: set[str] = set()
    left = right = 0
    while left < len(ours) or right < len(theirs):
        if left < len(ours) and right < len(theirs):
            element = ours[left]
            if element == theirs[right]:
                done.add(element)
                out.append((element, -1))
                left, right = left + 1, right + 1
                wanted = next(waiting, None)
                continue
            if element in by_theirs and wanted is not None and wanted != element:
                left += 1  # shared, but not the one whose turn it is
                continue
        if left < len(ours):
            element = ours[left]
            if element not in by_theirs:
                out.append((element, left))
                left += 1
                continue
            if element in done:
                left += 1
        if right < len(theirs):
            element = theirs[right]
            done.add(element)
            out.append((element, -1))
            right += 1
            if wanted == element:
                wanted = next(waiting, None)
    return out


def remove(value: Any, fields: Fields, schema: Schema) -> Any:
    """``value`` without the members of ``fields``. A map or list that loses everything becomes null."""
    if not fields or not value:
        return value
    if type(value) is dict and schema.accepts_map:
        return None if schema.atomic_map else _remove_keys(value, fields, schema)
    if type(value) is list and schema.accepts_list:
        return None if schema.atomic_list else _remove_items(value, fields, schema)
    return value


def _remove_keys(value: dict[str, Any], fields: Fields, schema: Schema) -> dict[str, Any] | None:
    named, other = schema.properties, schema.additional or DEDUCED
    out: dict[str, Any] = {}
    changed = False
    for name, item in value.items():
        node = fields.get(f"f:{name}")
        if node is None:
            out[name] = item
        elif is_member(node):
            changed = True
        else:
            kept = remove(item, node, named.get(name) or other)
            changed = changed or kept is not item
            out[name] = kept
    return (out or None) if changed else value


def _remove_items(value: list[Any], fields: Fields, schema: Schema) -> list[Any] | None:
    items = schema.items or UNTYPED
    out: list[Any] = []
    changed = False
    for item in value:
        node = fields.get(item_element(item, schema))
        if node is None:
            out.append(item)
        elif is_member(node):
            changed = True
        else:
            kept = remove(item, node, items)
            changed = changed or kept is not item
            out.append(kept)
    return (out or None) if changed else value
