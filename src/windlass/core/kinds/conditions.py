"""Conditions by the kstatus convention. Flows keep them here; time is an argument, no list is changed in place.

Ready is always there. Reconciling and Stalled are there only while they are true, never both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from windlass.core.kinds.fields import stamp
from windlass.core.kinds.shape import Part, Says

Status = Literal["True", "False", "Unknown"]


class Condition(Part, frozen=True, omit_defaults=False):
    """One condition, in the form that every Kubernetes tool knows."""

    type: Annotated[str, Says("`Ready`, `Reconciling` or `Stalled`; of an Installation `Recorded` too.")]
    status: Annotated[Status, Says("Whether it is so.")]
    reason: Annotated[str, Says("One of the documented reasons.")]
    message: Annotated[str, Says("The same for a person.")]
    last_transition_time: Annotated[str, Says("When `status` changed last.")]
    observed_generation: Annotated[int, Says("The generation of the object that this was told of.")] = 0


def set_condition(
    conditions: Sequence[Condition],
    type_: str,
    status: Status,
    reason: str,
    message: str,
    *,
    now: datetime,
    generation: int = 0,
) -> list[Condition]:  # fmt: skip
    """The conditions with this one set. ``lastTransitionTime`` stays while the status stays. Sorted by type."""
    before = next((one for one in conditions if one.type == type_), None)
    since = before.last_transition_time if before and before.status == status else stamp(now)
    made = Condition(type_, status, reason, message, since, generation)
    return sorted([*(one for one in conditions if one.type != type_), made], key=lambda one: one.type)


def without(conditions: Sequence[Condition], type_: str) -> list[Condition]:
    """The conditions without this type."""
    return [one for one in conditions if one.type != type_]


def ready(
    conditions: Sequence[Condition], reason: str, message: str, *, now: datetime, generation: int
) -> list[Condition]:
    """All is well: Ready is true, the others are gone."""
    kept = without(without(conditions, "Reconciling"), "Stalled")
    return set_condition(kept, "Ready", "True", reason, message, now=now, generation=generation)


def reconciling(
    conditions: Sequence[Condition], reason: str, message: str, *, now: datetime, generation: int
) -> list[Condition]:
    """Work or waiting that goes on by itself: Reconciling is true, Ready is not."""
    kept = set_condition(
        without(conditions, "Stalled"), "Reconciling", "True", reason, message, now=now, generation=generation
    )
    return set_condition(kept, "Ready", "False", reason, message, now=now, generation=generation)


def stalled(
    conditions: Sequence[Condition], reason: str, message: str, *, now: datetime, generation: int
) -> list[Condition]:
    """A person must act: Stalled is true, Ready is not."""
    kept = set_condition(
        without(conditions, "Reconciling"), "Stalled", "True", reason, message, now=now, generation=generation
    )
    return set_condition(kept, "Ready", "False", reason, message, now=now, generation=generation)


def condition(conditions: Sequence[Condition], type_: str) -> Condition | None:
    """The condition of this type, or None."""
    return next((one for one in conditions if one.type == type_), None)


def same(old: object, new: object) -> bool:
    """Whether two statuses would be written alike: no write is worth it when they are."""
    return bool(msgspec.to_builtins(old) == msgspec.to_builtins(new))
