"""What exactly differs on a live object, and who wrote it: drift as data, from one whole object.

The drift flow calls it after a suspicion and before any act; ``windlass diff`` calls it for what a person sees. It
tells managers, not persons: users come from the audit log. It decides nothing but the response that Git asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from windlass.core.manifests.fieldpaths import join
from windlass.core.manifests.fields import union
from windlass.core.manifests.schemas import Schema
from windlass.core.model import Drift, DriftCause, DriftResponse, ObjectRef
from windlass.core.plan.compare import (
    Difference,
    Fields,
    Path,
    compare,
    index_of,
    is_absent,
    resolve,
    with_string_data,
)
from windlass.core.plan.expected import why_expected
from windlass.core.plan.ownership import LABEL
from windlass.core.plan.severe import is_severe

MASK = "(secret)"
"""Stands for each value of a Secret."""


class DriftRules(msgspec.Struct, frozen=True):
    """What Git says about drift: ``action`` for fields that it names, ``additions`` for those that it does not."""

    action: DriftResponse = DriftResponse.REVERT
    additions: DriftResponse = DriftResponse.REPORT

    @classmethod
    def of(cls, action: str, additions: str) -> DriftRules:
        """From ``spec.drift``: "revert" or "alert" or "adopt"; "report" or "revert"."""
        return cls(DriftResponse(action), DriftResponse(additions))


class _Entry(msgspec.Struct, frozen=True):
    manager: str
    operation: str
    subresource: str
    time: str
    fields: Fields

    @property
    def how(self) -> str:
        return self.subresource or self.operation


def examine(
    ref: ObjectRef,
    desired: Mapping[str, Any],
    content: Mapping[str, Any],
    *,
    manager: str,
    rules: DriftRules,
    admitted: Collection[str] = (),
    schema: Schema | None = None,
) -> list[Drift]:
    """Every difference of the live object ``content`` from the applied body ``desired``, in order of the fields.

    ``manager`` is ours; ``admitted`` are fields that were told before as changed by admission; ``schema`` is that of a
    custom kind, where it is known. Values of Secrets are masked.
    """
    entries = list(_entries(content))
    ours = next((each for each in entries if _is_ours(each, manager)), None)
    foreign = [each for each in entries if each is not ours and each.subresource != "status"]
    owned: Fields = {}
    for each in entries:
        owned = union(owned, each.fields)
    found = [
        drift
        for each in compare(desired, content, schema=schema, owned=owned)
        if (drift := _changed(ref, each, ours, foreign, rules, admitted)) is not None
    ]
    found += _additions(ref, desired, content, foreign, rules)
    return [_masked(ref, each) for each in sorted(found, key=lambda each: (each.field, each.cause.value))]


def admission_changes(
    ref: ObjectRef, sent: Mapping[str, Any], answered: Mapping[str, Any], *, schema: Schema | None = None
) -> list[Drift]:
    """What the cluster made otherwise of what was applied: told once, and not fought. Values of Secrets are masked."""
    return [
        _masked(
            ref,
            Drift(
                ref,
                DriftCause.ADMISSION,
                each.field,
                DriftResponse.REPORT,
                each.desired,
                each.live,
                severe=is_severe(ref.group, ref.kind, each.path, each.desired, each.live, added=False),
            ),
        )
        for each in compare(sent, answered, schema=schema, owned=_all_owned(answered))
        if not each.more
    ]


def removal_patch(
    desired: Mapping[str, Any], content: Mapping[str, Any], drifts: Collection[Drift]
) -> list[dict[str, Any]]:
    """A JSON patch that takes those additions among ``drifts`` away, or empty. Sets the resourceVersion that was read.

    Server-side apply can't: it removes only what we own.
    """
    fields = {each.field for each in drifts if each.cause is DriftCause.ADDED}
    pointers: list[tuple[str | int, ...]] = []
    for entry in _entries(content):
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


# --- what Git names ------------------------------------------------------------------------------------------------


def _changed(
    ref: ObjectRef,
    difference: Difference,
    ours: _Entry | None,
    foreign: list[_Entry],
    rules: DriftRules,
    admitted: Collection[str],
) -> Drift | None:
    path = difference.path
    intact = ours is not None and _covers(ours.fields, path)
    if difference.more and intact:
        return None  # a default that the server filled in
    who = _latest(foreign, path)
    cause, response = DriftCause.CHANGED, rules.action
    if path == ("f:metadata", "f:labels", f"f:{LABEL}"):
        cause = DriftCause.RELABELLED
    elif intact and ours is not None:
        if difference.field in admitted:
            cause, response = DriftCause.ADMISSION, DriftResponse.REPORT
        else:
            cause = DriftCause.OWN_MANAGER
        who = ours
    return Drift(
        ref,
        cause,
        difference.field,
        response,
        difference.desired,
        difference.live,
        manager=who.manager if who else "",
        operation=who.how if who else "",
        since=who.time if who else "",
        severe=is_severe(ref.group, ref.kind, path, difference.desired, difference.live, added=False),
    )


def _latest(entries: list[_Entry], path: Path) -> _Entry | None:
    """Who owns the field now: of several the one that wrote last. A scale tells no time; it took it from the others."""
    covering = [each for each in entries if _covers(each.fields, path)]
    return max(covering, key=lambda each: (not each.time, each.time, each.manager), default=None)


def _covers(fields: Fields, path: Path) -> bool:
    """Whether a set owns the path, or something below it, or a value that holds it as a whole."""
    node: Any = fields
    for element in path:
        if element not in node:
            return not node and node is not fields
        node = node[element]
    return True


# --- what Git does not name ------------------------------------------------------------------------------------------


def _additions(
    ref: ObjectRef,
    desired: Mapping[str, Any],
    content: Mapping[str, Any],
    foreign: list[_Entry],
    rules: DriftRules,
) -> list[Drift]:
    newest: dict[str, tuple[_Entry, Path, Any]] = {}
    for entry in foreign:
        for path in _added(desired, content, entry):
            field = _field_text(path)
            value = _project(_value_at(content, path), _node_at(entry.fields, path))
            if field not in newest or entry.time >= newest[field][0].time:
                newest[field] = (entry, path, value)
    return [
        Drift(
            ref,
            DriftCause.ADDED,
            field,
            rules.additions,
            None,
            value,
            manager=entry.manager,
            operation=entry.how,
            since=entry.time,
            severe=is_severe(ref.group, ref.kind, path, None, value, added=True),
        )
        for field, (entry, path, value) in newest.items()
    ]


def _added(desired: Mapping[str, Any], content: Mapping[str, Any], entry: _Entry) -> Iterator[Path]:
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


def _project(value: Any, node: Fields) -> Any:
    """The parts of a value that a node owns: what was added, without the server's defaults around it."""
    below = [element for element in node if element != "."]
    if not below:
        return value
    if isinstance(value, Mapping):
        parts = {element[2:]: resolve(value, element) for element in below if element.startswith("f:")}
        return {name: _project(part, node[f"f:{name}"]) for name, part in parts.items() if not is_absent(part)}
    if isinstance(value, list):
        found = [(index_of(value, element), element) for element in below]
        return [_project(value[place], node[element]) for place, element in sorted(_placed(found))]
    return value


def _placed(found: list[tuple[int | None, str]]) -> list[tuple[int, str]]:
    return [(place, element) for place, element in found if place is not None]


# --- paths, entries, masks -----------------------------------------------------------------------------------------


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


def _entries(content: Mapping[str, Any]) -> Iterator[_Entry]:
    for entry in content.get("metadata", {}).get("managedFields") or []:
        yield _Entry(
            entry.get("manager", ""),
            entry.get("operation", ""),
            entry.get("subresource", ""),
            entry.get("time", ""),
            entry.get("fieldsV1") or {},
        )


def _all_owned(content: Mapping[str, Any]) -> Fields:
    owned: Fields = {}
    for entry in _entries(content):
        owned = union(owned, entry.fields)
    return owned


def _is_ours(entry: _Entry, manager: str) -> bool:
    return entry.manager == manager and entry.operation == "Apply" and not entry.subresource


def _masked(ref: ObjectRef, drift: Drift) -> Drift:
    if ref.kind != "Secret" or ref.group or not drift.field.startswith(("data", "stringData")):
        return drift
    return msgspec.structs.replace(
        drift,
        desired=None if drift.desired is None else MASK,
        live=None if drift.live is None else MASK,
    )
