"""Server-side apply: an applied body and a live object to the object that results, or the conflicts that stop it.

Called by ``verbs`` for PATCH with ``application/apply-patch+yaml``. The caller makes the result typed, defaults and
validates it, and then asks ``settle`` whether there is anything to store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, Unpack

import msgspec

from windlass.core.manifests.fields import (
    Fields,
    ListItemError,
    difference,
    fields_of,
    intersection,
    named_members,
    path_text,
    paths,
    union,
    without,
)
from windlass.core.manifests.schemas import Schema
from windlass.core.manifests.typed import empty
from windlass.devstack.apiserver.apply.check import faults, message
from windlass.devstack.apiserver.apply.compare import compare, same_value
from windlass.devstack.apiserver.apply.managers import (
    APPLY,
    BEFORE_FIRST_APPLY,
    UPDATE,
    Held,
    Managers,
    Who,
    conflicting,
    current,
    read,
    stripped,
    take,
    who,
)
from windlass.devstack.apiserver.apply.merge import merge, remove
from windlass.devstack.apiserver.apply.refusals import ApplyConflict, TypedPatchError, described, group_version_kind
from windlass.devstack.apiserver.apply.tracking import with_entries
from windlass.devstack.apiserver.errors import bad_request

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"
_LEAF: dict[str, Any] = {}


class ApplyOptions(TypedDict):
    """Who applies and how. ``api_version`` and ``kind`` are the request path's; ``now`` is RFC 3339, in seconds."""

    schema: Schema
    manager: str
    api_version: str
    now: str
    kind: NotRequired[str]
    force: NotRequired[bool]
    subresource: NotRequired[str]
    reset: NotRequired[Fields]


def apply(live: dict[str, Any] | None, applied: dict[str, Any], **options: Unpack[ApplyOptions]) -> dict[str, Any]:
    """The object that results, with its ``managedFields``.

    ``live`` is None where nothing is. Raises ``ApplyConflict`` (409), ``TypedPatchError`` (500) and ``ApiError`` (400).
    """
    _check_request(applied, options)
    try:
        return _apply(live, applied, options)
    except ListItemError as reason:
        raise TypedPatchError(f"failed to create typed live object ({described(applied)}): {reason}") from None


def _check_request(applied: dict[str, Any], options: ApplyOptions) -> None:
    api_version, kind = str(applied.get("apiVersion", "")), str(applied.get("kind", ""))
    if api_version != options["api_version"] or kind != options.get("kind", kind):
        raise bad_request(f"invalid object type: {group_version_kind(applied)}")
    if (applied.get("metadata") or {}).get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    found = faults(applied, options["schema"])
    if found:
        raise TypedPatchError(f"failed to create typed patch object ({described(applied)}): {message(found)}")


def _apply(live: dict[str, Any] | None, applied: dict[str, Any], options: ApplyOptions) -> dict[str, Any]:
    schema = options["schema"]
    base = {**empty(schema), "apiVersion": applied["apiVersion"], "kind": applied["kind"]} if live is None else live
    managers = current(read((base.get("metadata") or {}).get("managedFields")), schema)
    body = with_entries(base, None)
    if not managers and live is not None:
        managers = _before_first_apply(body, options)
    try:
        result, managers = _merge(body, applied, managers, options, force=options.get("force", False))
    except _Conflicts as found:
        # kubectl may take from its own client-side apply what is still as that left it.
        rest = found.beyond(_last_applied(body, options)) if options["manager"] == _KUBECTL else found
        if rest.by_manager:
            raise rest.refusal() from None
        result, managers = _merge(body, applied, managers, options, force=True)
    if options["manager"] == _KUBECTL:
        result = _refresh_last_applied(result, applied)
    return with_entries(result, managers)


def _before_first_apply(body: dict[str, Any], options: ApplyOptions) -> Managers:
    """Everything that an untracked object holds, as one update's: an apply must not take it silently."""
    schema = options["schema"]
    unborn = {**empty(schema), "apiVersion": body.get("apiVersion"), "kind": body.get("kind")}
    changes = compare(unborn, body, schema).outside(options.get("reset", _LEAF))
    fields = stripped(changes.touched)
    if not fields:
        return {}
    api_version = options["api_version"]
    identity = who(BEFORE_FIRST_APPLY, UPDATE, api_version, options.get("subresource", ""))
    return {identity: Held(fields, api_version, options["now"])}


class _Conflicts(Exception):
    """Conflicts found, before it is known whether they stop the apply."""

    def __init__(self, by_manager: Mapping[Who, Fields]) -> None:
        super().__init__()
        self.by_manager = by_manager

    def beyond(self, allowed: Fields) -> _Conflicts:
        """Those outside ``allowed``."""
        left = {identity: difference(fields, allowed) for identity, fields in self.by_manager.items()}
        return _Conflicts({identity: fields for identity, fields in left.items() if fields})

    def refusal(self) -> ApplyConflict:
        """The answer."""
        return ApplyConflict(
            (identity.words, path_text(path)) for identity, fields in self.by_manager.items() for path in paths(fields)
        )


def _merge(
    body: dict[str, Any], applied: dict[str, Any], managers: Managers, options: ApplyOptions, *, force: bool
) -> tuple[dict[str, Any], Managers]:
    schema, reset, api_version = options["schema"], options.get("reset", _LEAF), options["api_version"]
    own = who(options["manager"], APPLY, api_version, options.get("subresource", ""))
    had = managers.get(own)
    fields = fields_of(applied, schema)
    owned = without(fields, reset) if reset else fields
    mine = stripped(owned)
    claims = {**managers, own: Held(owned, api_version, had.time if had else "")}
    result: dict[str, Any] = merge(body, applied, schema)
    if had is not None and had.fields != mine:
        result = _prune(result, claims, had.fields, owned, schema)
    changes = compare(body, result, schema).outside(reset)
    taken = conflicting(claims, changes, own)
    if taken and not force:
        raise _Conflicts(taken)
    after = take(claims, taken, changes, own)
    if own in after:
        if not mine:
            del after[own]
        else:
            # As on the real server, the time tells when values changed: who applies what is there already gets none.
            changed = result is not body and not same_value(result, body)
            time = options["now"] if changed else (had.time if had else "")
            after[own] = Held(mine, api_version, time)
    return result, after


def _prune(merged: dict[str, Any], claims: Managers, last: Fields, owned: Fields, schema: Schema) -> dict[str, Any]:
    """``merged`` without what was applied before, is not applied now, and nobody else owns."""
    if not difference(last, owned):
        return merged
    last_named = named_members(last, schema)
    pruned = remove(merged, last_named, schema) or {}
    everybody: Fields = _LEAF
    for held in claims.values():
        everybody = union(everybody, held.fields)
    whole = named_members(fields_of(merged, schema), schema)
    # What somebody owns comes back ...
    kept = union(named_members(fields_of(pruned, schema), schema), named_members(everybody, schema))
    pruned = remove(merged, difference(whole, kept), schema) or {}
    # ... and so does what was not ours to take: of what is gone, only what we applied before goes.
    gone = difference(whole, named_members(fields_of(pruned, schema), schema))
    result: dict[str, Any] = remove(merged, intersection(gone, last_named), schema) or {}
    return result


def _last_applied(body: dict[str, Any], options: ApplyOptions) -> Fields:
    """Of the client-side apply's annotation what the live object still has as it was applied."""
    text = ((body.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return _LEAF
    try:
        before = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return _LEAF
    schema = options["schema"]
    if not isinstance(before, dict) or before.get("apiVersion") != options["api_version"] or faults(before, schema):
        return _LEAF
    changes = compare(before, body, schema)
    fields = fields_of(before, schema)
    for changed in changes:
        fields = difference(fields, changed)
    return fields


def _refresh_last_applied(result: dict[str, Any], applied: dict[str, Any]) -> dict[str, Any]:
    """kubectl's annotation follows its server-side applies, so that going back to client-side apply is safe."""
    metadata = result.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return result
    own = dict(applied.get("metadata") or {})
    if "annotations" in own:
        own["annotations"] = {k: v for k, v in (own["annotations"] or {}).items() if k != LAST_APPLIED}
    text = msgspec.json.encode({**applied, "metadata": own}, order="sorted").decode() + "\n"
    if annotations[LAST_APPLIED] == text:
        return result
    return {**result, "metadata": {**metadata, "annotations": {**annotations, LAST_APPLIED: text}}}
