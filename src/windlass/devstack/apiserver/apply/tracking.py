"""Who owns what after a create, an update or a patch: found by comparing what was there with what is to be stored.

Called by ``verbs`` with the object typed and defaulted (a writer owns the defaults that its write brought in), before
admission changes it (what admission adds belongs to nobody). What was changed or added is the writer's and nobody
else's; what was removed is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, Unpack

from windlass.core.manifests.fields import FieldPathError, Fields, ListItemError, difference, union, without
from windlass.core.manifests.schemas import Schema
from windlass.core.manifests.typed import empty
from windlass.devstack.apiserver.apply.compare import compare
from windlass.devstack.apiserver.apply.managers import (
    APPLY,
    BEFORE_FIRST_APPLY,
    UPDATE,
    Held,
    Managers,
    Who,
    capped,
    conflicting,
    current,
    read,
    stripped,
    take,
    who,
    write,
)
from windlass.devstack.apiserver.apply.refusals import ApplyConflict

_LEAF: dict[str, Any] = {}
_SCALE = "autoscaling/v1"
_REPLICAS: Fields = {"f:spec": {"f:replicas": _LEAF}}


class UpdateOptions(TypedDict):
    """Who writes, what and when. ``now`` is an RFC 3339 time in whole seconds; ``api_version`` that of the request."""

    schema: Schema
    manager: str
    api_version: str
    now: str
    subresource: NotRequired[str]
    operation: NotRequired[str]
    reset: NotRequired[Fields]
    force: NotRequired[bool]


def update_managers(
    live: dict[str, Any] | None, new: dict[str, Any], **options: Unpack[UpdateOptions]
) -> dict[str, Any]:
    """``new`` with its ``managedFields``; ``live`` is None at a create.

    ``managedFields`` that came with ``new`` count (a reset by ``[{}]``, an edit, a migration), but not through a
    subresource. An object without entries is not tracked until its first apply, unless it is being created.
    """
    subresource = options.get("subresource", "")
    schema = options["schema"]
    managers = current(_known(live, new, subresource), schema)
    body = with_entries(new, None)
    if not managers and live is not None:
        return body
    before = with_entries(live, None) if live is not None else _unborn(new, schema)
    try:
        changes = compare(before, body, schema).outside(options.get("reset", _LEAF))
    except ListItemError:
        # Lists that can't be told apart are refused by validation; until then nobody is said to own them.
        return body
    managers = take(managers, conflicting(managers, changes, None), changes, None)
    gained = stripped(changes.touched)
    if gained:
        own = who(options["manager"], options.get("operation", UPDATE), options["api_version"], subresource)
        had = managers.get(own)
        managers[own] = Held(union(gained, had.fields) if had else gained, options["api_version"], options["now"])
    return with_entries(new, capped(managers))


def _unborn(new: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    out = empty(schema)
    out["apiVersion"], out["kind"] = new.get("apiVersion", ""), new.get("kind", "")
    return out


def _known(live: dict[str, Any] | None, new: dict[str, Any], subresource: str) -> Managers:
    """The entries to start from: those of the request, or those of the live object where it brings none it can."""
    stored = (live.get("metadata") or {}).get("managedFields") if live is not None else None
    brought = (new.get("metadata") or {}).get("managedFields")
    if subresource or brought is None or brought == stored:
        return read(stored)
    if not isinstance(brought, list):
        return read(stored)
    if not brought or (len(brought) == 1 and not any(brought[0].values())):
        return {}
    try:
        return read(brought, trusted=False) or read(stored)
    except (FieldPathError, AttributeError):
        return read(stored)


def with_entries(body: dict[str, Any], managers: Managers | None) -> dict[str, Any]:
    """``body`` with these entries and no others."""
    metadata = body.get("metadata") or {}
    if not managers:
        if "managedFields" not in metadata:
            return body
        kept = {name: value for name, value in metadata.items() if name != "managedFields"}
    else:
        kept = {**metadata, "managedFields": write(managers)}
    return {**body, "metadata": kept}


def scale_managers(live: dict[str, Any], new: dict[str, Any], **options: Unpack[UpdateOptions]) -> dict[str, Any]:
    """``new``, whose replicas were set through the scale subresource, with its ``managedFields``.

    The entry is the main resource's with subresource ``scale``, written without a time, as the real server does. An
    update that leaves the replicas as they are changes nothing; an apply shares them then. An apply of others' replicas
    raises ``ApplyConflict``; where nobody owned them they belong to ``before-first-apply``.
    """
    path = options.get("reset") or _REPLICAS
    operation = options.get("operation", UPDATE)
    managers = read((live.get("metadata") or {}).get("managedFields"))
    own = who(options["manager"], operation, options["api_version"], "scale")
    changed = _at(live, path) != _at(new, path)
    if not changed and operation == UPDATE:
        return with_entries(new, managers)
    if operation == APPLY:
        managers = _with_first_owner(managers, path, options["api_version"])
        others = [
            identity
            for identity, held in managers.items()
            if identity != own and union(held.fields, path) == held.fields
        ]
        if changed and others and not options.get("force", False):
            raise ApplyConflict((_through_scale(identity).words, ".spec.replicas") for identity in others)
    if changed:
        kept: Managers = {}
        for identity, held in managers.items():
            fields = difference(held.fields, path) if identity != own else held.fields
            if fields:
                kept[identity] = Held(fields, held.api_version, held.time)
        managers = kept
    managers[own] = Held(path, options["api_version"], "")
    return with_entries(new, capped(managers))


def _with_first_owner(managers: Managers, path: Fields, api_version: str) -> Managers:
    if any(union(held.fields, path) == held.fields for held in managers.values()):
        return managers
    nobody = who(BEFORE_FIRST_APPLY, UPDATE, api_version, "scale")
    return {**managers, nobody: Held(path, api_version, "")}


def _through_scale(identity: Who) -> Who:
    """An owner as a Scale shows it: its API version is that of the Scale."""
    return identity._replace(api_version=_SCALE) if identity.operation == UPDATE else identity


def _at(body: Any, path: Fields) -> Any:
    """The value at a set of one path."""
    for element, node in path.items():
        inner = body.get(element[2:]) if isinstance(body, Mapping) else None
        return _at(inner, node) if node else inner
    return None


__all__ = ["UpdateOptions", "scale_managers", "update_managers", "with_entries", "without"]
