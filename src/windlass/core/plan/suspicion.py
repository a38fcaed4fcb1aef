"""Whether a watch event on a managed object smells of drift: the cheap question, asked of every event.

The drift flow asks it and confirms by one GET and ``examine`` before it says or does anything. It never says what
changed, and it is wrong in one direction only: it may suspect what is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from windlass.core.model import DriftCause, LiveObject, ManagedEntry
from windlass.core.model.foreign import UNREADABLE
from windlass.core.plan.compare import Path
from windlass.core.plan.entries import covers
from windlass.core.plan.expected import why_expected
from windlass.core.plan.ownership import ADOPTED, APPLIED, LABEL, ORIGIN

_BESIDE = frozenset({"f:metadata", "f:status"})
_MARKS = (APPLIED, ORIGIN, ADOPTED)


class Suspicion(msgspec.Struct, frozen=True):
    """Why to look closer. ``managers`` are those whose entries moved, as far as entries tell."""

    cause: DriftCause
    managers: tuple[str, ...] = ()


def suspicious(
    old: LiveObject | None, new: LiveObject | None, *, manager: str, label: str, expected: str = ""
) -> Suspicion | None:
    """What a step from ``old`` to ``new`` makes likely, or None.

    ``expected`` is the resourceVersion of our own last write, which is never suspicious. Without ``old`` there is
    nothing to compare (the plan compares then); without ``new`` the object was deleted or its label was taken off.
    """
    if new is None:
        return Suspicion(DriftCause.DELETED)
    if new.resource_version == expected or old is None or new.resource_version == old.resource_version:
        return None
    if new.labels.get(LABEL) != label:
        return Suspicion(DriftCause.RELABELLED)
    if new.uid != old.uid or (new.deleting and not old.deleting):
        return Suspicion(DriftCause.DELETED)
    ours = new.applied_by(manager)
    before = old.applied_by(manager)
    if (before is not None and (ours is None or ours.fields != before.fields)) or _marks_lost(old, new):
        return Suspicion(DriftCause.CHANGED, _moved(old, new, manager))
    moved = _moved(old, new, manager)
    if moved and _grown(old, new, manager, ours):
        return Suspicion(DriftCause.ADDED, moved)
    if ours is not None and before is not None and ours.time != before.time:
        return Suspicion(DriftCause.OWN_MANAGER, (manager,))
    return _unexplained(old, new, moved, manager)


def _unexplained(old: LiveObject, new: LiveObject, moved: tuple[str, ...], manager: str) -> Suspicion | None:
    """Content changed and no entry says by whom: a write under our own name, within the second of our last one.

    A generation counts changes of content; kinds without one (ConfigMap, Secret, roles) have no status either, so that
    a new version which changed nothing else changed content.
    """
    if new.generation != old.generation:
        return None if moved else Suspicion(DriftCause.OWN_MANAGER, (manager,))
    if new.generation or new.status is not None:
        return None
    same = (
        new.managed == old.managed
        and new.labels == old.labels
        and new.annotations == old.annotations
        and new.finalizers == old.finalizers
        and new.controller == old.controller
    )
    return Suspicion(DriftCause.OWN_MANAGER, (manager,)) if same else None


def _marks_lost(old: LiveObject, new: LiveObject) -> bool:
    return any(name in old.annotations and old.annotations[name] != new.annotations.get(name) for name in _MARKS)


def _foreign(live: LiveObject, manager: str) -> Iterable[ManagedEntry]:
    ours = live.applied_by(manager)
    return (entry for entry in live.managed if entry is not ours and entry.subresource != "status")


def _changed(old: LiveObject, new: LiveObject, manager: str) -> list[ManagedEntry]:
    """Foreign entries that are new, or that wrote: other fields, or another time."""
    before = {(each.manager, each.operation, each.subresource): each for each in _foreign(old, manager)}
    return [
        each
        for each in _foreign(new, manager)
        if (was := before.get((each.manager, each.operation, each.subresource))) is None
        or was.fields != each.fields
        or was.time != each.time
    ]


def _moved(old: LiveObject, new: LiveObject, manager: str) -> tuple[str, ...]:
    return tuple(sorted({each.manager for each in _changed(old, new, manager)}))


def _grown(old: LiveObject, new: LiveObject, manager: str, ours: ManagedEntry | None) -> bool:
    """True where a foreign entry that wrote holds content that is not ours too, and not its ordinary work.

    What both own has the value that we applied: with another value it would have left our entry.
    """
    own = _decoded(ours.fields) if ours is not None else {}
    for entry in _changed(old, new, manager):
        for name, node in _decoded(entry.fields).items():
            if name in _BESIDE or name == ".":
                continue
            for path in _leaves(node, (name,)):
                if not covers(own, path) and not why_expected(new.ref.kind, path, entry.manager, entry.subresource):
                    return True
    return False


def _leaves(node: Any, path: Path) -> Iterator[Path]:
    below = [element for element in node if element != "."] if isinstance(node, dict) else []
    if not below:
        yield path
    for element in below:
        yield from _leaves(node[element], (*path, element))


def _decoded(fields: bytes) -> dict[str, Any]:
    """What can't be read is taken as content: suspected, and looked at."""
    try:
        found = msgspec.json.decode(fields)
    except UNREADABLE:
        return {"f:unreadable": {}}
    return found if isinstance(found, dict) else {"f:unreadable": {}}
