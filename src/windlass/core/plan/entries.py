"""The entries of ``managedFields`` of a whole object, and what they say about one field. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from windlass.core.manifests.fields import union
from windlass.core.plan.compare import Fields, Path


class Entry(msgspec.Struct, frozen=True):
    manager: str
    operation: str
    subresource: str
    time: str
    fields: Fields

    @property
    def how(self) -> str:
        return self.subresource or self.operation


def entries_of(content: Mapping[str, Any]) -> Iterator[Entry]:
    for entry in content.get("metadata", {}).get("managedFields") or []:
        yield Entry(
            entry.get("manager", ""),
            entry.get("operation", ""),
            entry.get("subresource", ""),
            entry.get("time", ""),
            entry.get("fieldsV1") or {},
        )


def all_owned(content: Mapping[str, Any]) -> Fields:
    owned: Fields = {}
    for entry in entries_of(content):
        owned = union(owned, entry.fields)
    return owned


def is_own(entry: Entry, manager: str) -> bool:
    return entry.manager == manager and entry.operation == "Apply" and not entry.subresource


def latest(entries: list[Entry], path: Path) -> Entry | None:
    """Who owns the field now: of several the one that wrote last. A scale tells no time; it took it from the others."""
    covering = [each for each in entries if covers(each.fields, path)]
    return max(covering, key=lambda each: (not each.time, each.time, each.manager), default=None)


def covers(fields: Fields, path: Path) -> bool:
    """Whether a set owns the path, or something below it, or a value that holds it as a whole."""
    node: Any = fields
    for element in path:
        if element not in node:
            return not node and node is not fields
        node = node[element]
    return True
