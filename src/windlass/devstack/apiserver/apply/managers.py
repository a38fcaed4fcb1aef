"""The entries of ``metadata.managedFields``: read, kept by who wrote them, capped, put in order, written back.

Called by ``server_side`` and ``tracking``. What the server itself wrote is taken as it stands, without a parse; what a
client sends is checked. Entries of other API versions of a kind are taken to name the same paths, which holds for
custom kinds without conversion; the paths of a built-in kind that differ simply never match.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from windlass.core.manifests.fields import FieldPathError, Fields, decode, difference, intersection, reconciled, union
from windlass.core.manifests.schemas import Schema
from windlass.devstack.apiserver.apply.compare import Comparison, same_value

APPLY = "Apply"
UPDATE = "Update"
MAX_UPDATE_MANAGERS = 10
ANCIENT = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"
_LEAF: dict[str, Any] = {}
_METADATA = (
    "creationTimestamp",
    "clusterName",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
)
# What no manager owns: it names the object, or belongs to the server.
STRIPPED: Fields = {
    "f:apiVersion": _LEAF,
    "f:kind": _LEAF,
    "f:metadata": {".": _LEAF, **{f"f:{name}": _LEAF for name in _METADATA}},
}


class Who(NamedTuple):
    """What tells entries apart. An applier is the same at every API version, so its ``api_version`` is empty here."""

    manager: str
    operation: str
    api_version: str
    subresource: str

    @property
    def words(self) -> str:
        """As a conflict names it: ``"kubectl" using apps/v1``."""
        text = _quoted(self.manager)
        if self.subresource:
            text += f" with subresource {_quoted(self.subresource)}"
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Held:
    """What one manager holds: its fields, the version they are written in, and since when ("" for not told)."""

    fields: Fields
    api_version: str
    time: str = ""


Managers = dict[Who, Held]


def who(manager: str, operation: str, api_version: str, subresource: str) -> Who:
    """The identity of a writer; a writer without a name is ``unknown``."""
    return Who(manager or "unknown", operation, "" if operation == APPLY else api_version, subresource)


def read(entries: Iterable[Mapping[str, Any]] | None, *, trusted: bool = True) -> Managers:
    """Entries by who wrote them. Raises ``FieldPathError`` with the server's reason where one can't be read.

    ``trusted`` entries are the server's own, whose fields are known to be in order.
    """
    out: Managers = {}
    for place, entry in enumerate(entries or ()):
        if not trusted:
            _check(entry, place)
        fields = entry.get("fieldsV1") or _LEAF
        held = Held(fields if trusted else decode(fields), str(entry.get("apiVersion", "")), entry.get("time") or "")
        identity = who(
            str(entry.get("manager", "")),
            str(entry.get("operation", "")),
            held.api_version,
            str(entry.get("subresource", "")),
        )
        out[identity] = held
    return out


def current(managers: Managers, schema: Schema) -> Managers:
    """The managers with their fields as the schema has them now. Only the schema of a custom kind ever changes."""
    if schema.traits.definition:
        return managers
    return {
        identity: Held(reconciled(held.fields, schema), held.api_version, held.time)
        for identity, held in managers.items()
    }


def _check(entry: Mapping[str, Any], place: int) -> None:
    if entry.get("operation") not in (APPLY, UPDATE):
        raise FieldPathError("operation must be `Apply` or `Update`")
    if not entry.get("apiVersion"):
        raise FieldPathError("apiVersion must not be empty")
    kind = entry.get("fieldsType", "")
    if not kind:
        raise FieldPathError(f"missing fieldsType in managed fields entry {place}")
    if kind != "FieldsV1":
        raise FieldPathError(f'invalid fieldsType "{kind}" in managed fields entry {place}')


def write(managers: Managers) -> list[dict[str, Any]]:
    """The entries in the order of the real server: appliers first, then by time, then by name."""
    return [_entry(identity, held) for identity, held in sorted(managers.items(), key=_order)]


def _order(item: tuple[Who, Held]) -> tuple[str, str, str, str, str]:
    identity, held = item
    return identity.operation, held.time, identity.manager, held.api_version, identity.subresource


def _entry(identity: Who, held: Held) -> dict[str, Any]:
    out: dict[str, Any] = {
        "manager": identity.manager,
        "operation": identity.operation,
        "apiVersion": held.api_version,
    }
    if held.time:
        out["time"] = held.time
    out["fieldsType"] = "FieldsV1"
    out["fieldsV1"] = held.fields
    if identity.subresource:
        out["subresource"] = identity.subresource
    return out


def stripped(fields: Fields) -> Fields:
    """The fields without what nobody owns."""
    return difference(fields, STRIPPED)


def conflicting(managers: Managers, changes: Comparison, own: Who | None) -> dict[Who, Fields]:
    """Of each other manager what it holds of the fields that were modified or added."""
    touched = changes.touched
    if not touched:
        return {}
    out: dict[Who, Fields] = {}
    for identity, held in managers.items():
        if identity != own:
            taken = intersection(held.fields, touched)
            if taken:
                out[identity] = taken
    return out


def take(managers: Managers, taken: Mapping[Who, Fields], changes: Comparison, own: Who | None) -> Managers:
    """The managers after others lost what was taken and removed; who is left with nothing is gone."""
    out: Managers = {}
    for identity, held in managers.items():
        fields = held.fields
        if identity != own:
            if identity in taken:
                fields = difference(fields, taken[identity])
            if changes.removed:
                fields = difference(fields, changes.removed)
        if fields is held.fields and fields:
            out[identity] = held
        elif fields:
            out[identity] = Held(fields, held.api_version, held.time)
    return out


def capped(managers: Managers) -> Managers:
    """At most ten entries of updates: the oldest are folded into one per API version, as ``ancient-changes``."""
    updaters = [identity for identity in managers if identity.operation == UPDATE]
    surplus = len(updaters) - MAX_UPDATE_MANAGERS
    if surplus <= 0:
        return managers
    updaters.sort(key=lambda identity: (managers[identity].time, identity))
    out = dict(managers)
    first_of: dict[str, Who] = {}
    for identity in updaters:
        if surplus <= 0:
            break
        held = out[identity]
        first = first_of.setdefault(held.api_version, identity)
        if first == identity:
            continue
        bucket = who(ANCIENT, UPDATE, held.api_version, "")
        if bucket not in out:
            out[bucket] = out.pop(first)
        del out[identity]
        # The time of the younger one: the bucket changed last when it did.
        out[bucket] = Held(union(held.fields, out[bucket].fields), held.api_version, held.time)
        surplus -= 1
    return out


def settle(live: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """``live`` itself where ``new`` differs in nothing but the times of its entries; else ``new``.

    Asked after defaulting and before storing: an apply of what is there makes no event and no resourceVersion.
    """
    if live is new:
        return live
    before, after = live.get("metadata") or {}, new.get("metadata") or {}
    if live.keys() != new.keys() or before.keys() != after.keys():
        return new
    same = all(name == "metadata" or same_value(value, new[name]) for name, value in live.items()) and all(
        name == "managedFields" or same_value(value, after[name]) for name, value in before.items()
    )
    if not same or not _same_entries(before.get("managedFields") or (), after.get("managedFields") or ()):
        return new
    return live


def _same_entries(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> bool:
    """Pairwise, times aside: as on the real server, an entry that moved in the order is a change worth storing."""
    if len(before) != len(after):
        return False
    return all(
        mine is theirs or {**mine, "time": ""} == {**theirs, "time": ""}
        for mine, theirs in zip(before, after, strict=True)
    )
