"""What differs between a desired body and a live one, of what the desired one names: the lines of a plan and a drift.

Called by plan and drift on a GET. Defaults that the cluster fills in, and fields of others, are no difference. Items
of lists are matched by their keys: those of the schema, else those of our own fieldsV1 entry, else by what such items
usually have (``name``, ``containerPort`` and ``protocol``, ...). Quantities and int-or-string are compared by their
meaning. It says nothing of who changed what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.core.manifests.fieldpaths import join, parse_key, value_element
from windlass.core.manifests.quantities import equal
from windlass.core.manifests.schemas import Schema

_USUAL_KEYS: Sequence[tuple[str, ...]] = (
    ("containerPort", "protocol"),
    ("port", "protocol"),
    ("name",),
    ("mountPath",),
    ("devicePath",),
    ("topologyKey", "whenUnsatisfiable"),
    ("ip",),
    ("uid",),
    ("type",),
)
_DEFAULTS = {"protocol": "TCP"}
_NOT_LIVE = frozenset({"status"})
_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One field: where, what Git says, what the cluster has (None where it has nothing)."""

    path: str
    desired: Any
    live: Any


@dataclass(frozen=True, slots=True)
class _Hints:
    """What is known about a place: its schema, and its node of our fieldsV1 entry. Each may be None."""

    schema: Schema | None
    entry: Mapping[str, Any] | None

    def at(self, name: str) -> _Hints:
        schema = self.schema.field(name) if self.schema is not None else None
        entry = self.entry.get(f"f:{name}") if self.entry else None
        return _Hints(schema, entry)

    def item(self, element: str) -> _Hints:
        return _Hints(
            self.schema.items if self.schema is not None else None, self.entry.get(element) if self.entry else None
        )


def differences(
    desired: Mapping[str, Any], live: Mapping[str, Any], schema: Schema | None = None, entry: Any = None
) -> list[Difference]:
    """Fields that ``desired`` names and ``live`` has otherwise, in the order of ``desired``.

    ``entry`` is the fieldsV1 (or ``FieldSet``) under which it was applied, for kinds without a schema. ``status`` is
    left out.
    """
    out: list[Difference] = []
    hints = _Hints(schema, getattr(entry, "fields", entry))
    for name, value in desired.items():
        if name not in _NOT_LIVE:
            _compare(value, live.get(name, _MISSING), name, hints.at(name), out)
    return out


def _is_nothing(value: Any) -> bool:
    """What a typed server leaves out when it writes the object back."""
    return (
        value is None
        or value == ""
        or value is False
        or value == {}
        or value == []
        or (value == 0 and value is not True)
    )


def _compare(desired: Any, live: Any, path: str, hints: _Hints, out: list[Difference]) -> None:
    if desired is live:
        return
    if live is _MISSING or live is None:
        if not _is_nothing(desired) and not _only_nothing(desired):
            out.append(Difference(path, desired, None))
    elif isinstance(desired, Mapping):
        if isinstance(live, Mapping):
            for name, value in desired.items():
                _compare(value, live.get(name, _MISSING), join(path, f"f:{name}"), hints.at(name), out)
        else:
            out.append(Difference(path, desired, live))
    elif isinstance(desired, list):
        if isinstance(live, list):
            _compare_lists(desired, live, path, hints, out)
        else:
            out.append(Difference(path, desired, live))
    elif desired is None:
        return  # null asks for nothing that a default may not fill
    elif not equal(desired, live, path) and not _same_by_schema(desired, live, hints.schema):
        out.append(Difference(path, desired, live))


def _only_nothing(value: Any) -> bool:
    """A record of nothing but nothings: written back as an empty record or not at all."""
    return isinstance(value, Mapping) and all(_is_nothing(item) or _only_nothing(item) for item in value.values())


def _same_by_schema(desired: Any, live: Any, schema: Schema | None) -> bool:
    return schema is not None and schema.quantity and equal(desired, live, "limits.any")


def _compare_lists(desired: list[Any], live: list[Any], path: str, hints: _Hints, out: list[Difference]) -> None:
    keys = _keys_of(desired, live, hints)
    if keys is None:
        _compare_whole(desired, live, path, hints, out)
    elif not keys:
        present = {value_element(item) for item in live}
        for item in desired:
            element = value_element(item)
            if element not in present:
                out.append(Difference(join(path, element), item, None))
    else:
        _compare_keyed(desired, live, path, keys, hints, out)


def _compare_keyed(
    desired: list[Any], live: list[Any], path: str, keys: tuple[str, ...], hints: _Hints, out: list[Difference]
) -> None:
    by_key = {_key_of(item, keys, hints.schema): item for item in reversed(live) if isinstance(item, Mapping)}
    for item in desired:
        key = _key_of(item, keys, hints.schema)
        text = ",".join(f"{name}={item[name]}" for name in keys if name in item)
        below = f"{path}[{text}]"
        found = by_key.get(key, _MISSING)
        element = _element_of(hints.entry, item)
        _compare(item, found, below, hints.item(element or ""), out)


def _compare_whole(desired: list[Any], live: list[Any], path: str, hints: _Hints, out: list[Difference]) -> None:
    """An atomic list: by place where the length is right, else as one value."""
    if len(desired) != len(live):
        if desired or live:
            out.append(Difference(path, desired, live))
        return
    for place, (mine, theirs) in enumerate(zip(desired, live, strict=True)):
        _compare(mine, theirs, f"{path}[{place}]", hints.item(f"i:{place}"), out)


def _keys_of(desired: list[Any], live: list[Any], hints: _Hints) -> tuple[str, ...] | None:
    """The fields that tell items apart; empty for a set of values; None where the list is one value."""
    schema, entry = hints.schema, hints.entry
    if schema is not None and schema.accepts_list and schema.type == "array":
        if schema.list_type == "map":
            return schema.list_keys
        return () if schema.list_type == "set" else None
    if entry:
        for element in entry:
            if element.startswith("k:"):
                return tuple(parse_key(element))
            if element.startswith("v:"):
                return ()
    if entry is not None and not entry:
        return None  # we own the list as a whole: it is atomic
    return _usual_keys(desired, live)


def _usual_keys(desired: list[Any], live: list[Any]) -> tuple[str, ...] | None:
    items = [*desired, *live]
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    for keys in _USUAL_KEYS:
        if all(keys[0] in item for item in items):
            found = [_key_of(item, keys, None) for item in desired]
            if len(set(found)) == len(found):
                return keys
    return None


def _key_of(item: Any, keys: tuple[str, ...], schema: Schema | None) -> tuple[Any, ...]:
    if not isinstance(item, Mapping):
        return ()
    out: list[Any] = []
    for name in keys:
        value = item.get(name)
        if value is None:
            field = schema.items.properties.get(name) if schema is not None and schema.items is not None else None
            value = field.default if field is not None else _DEFAULTS.get(name)
        out.append(value if isinstance(value, str | int | float | bool | None) else str(value))
    return tuple(out)


def _element_of(entry: Mapping[str, Any] | None, item: Mapping[str, Any]) -> str | None:
    """The element of our entry that this item has, for the hints below it."""
    for element in entry or ():
        if element.startswith("k:") and all(
            item.get(name, value) == value for name, value in parse_key(element).items()
        ):
            return element
    return None
