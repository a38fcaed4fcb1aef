"""A plan cut into stages: what may be written at the same time, and what waits for what.

The sync flow works through them. Between waves it waits for health, between tiers only for the requests; prunes are
last, in reverse, so that nothing is taken away that something still uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

import msgspec

from windlass.core.manifests.order import tier
from windlass.core.model import Action, Change, ObjectRef, Plan
from windlass.core.plan.ownership import WAVE

_WRITES = frozenset({Action.CREATE, Action.ADOPT, Action.CONFIGURE, Action.RELEASE})


class Stage(msgspec.Struct, frozen=True):
    """Changes of one wave and tier, at once and in any order. ``prunes`` tells the last stages from the others."""

    wave: int
    tier: int
    changes: list[Change]
    prunes: bool = False


def stages(plan: Plan) -> list[Stage]:
    """What the plan writes, in order: waves ascending, tiers inside, then prunes in reverse. Nothing when blocked."""
    if plan.blocked:
        return []
    writes = sorted(
        (change for change in plan.changes if change.action in _WRITES),
        key=lambda change: (*_place(change), change.ref),
    )
    prunes = sorted(
        (change for change in plan.changes if change.action is Action.PRUNE),
        key=lambda change: (*(-place for place in _place(change)), change.ref),
    )
    made = [Stage(*place, list(group)) for place, group in groupby(writes, key=_place)]
    return made + [Stage(*place, list(group), prunes=True) for place, group in groupby(prunes, key=_place)]


def waits_for(plan: Plan, wave: int) -> list[ObjectRef]:
    """The objects of earlier waves, changed now or not: all of them are to be Healthy before ``wave`` begins."""
    waiting = _WRITES | {Action.UNCHANGED}
    return [
        change.ref
        for change in plan.changes
        if change.action in waiting and change.desired is not None and change.desired.wave < wave
    ]


def _place(change: Change) -> tuple[int, int]:
    if change.desired is not None:
        return change.desired.wave, change.desired.tier
    live = change.live
    return (wave_of(live.annotations) if live else 0), tier(change.ref.group, change.ref.kind)


def wave_of(annotations: Mapping[str, str]) -> int:
    """The wave that a live object was applied in; 0 where its annotation is no whole number."""
    for key in (WAVE, "argocd.argoproj.io/sync-wave"):
        if key in annotations:
            try:
                return int(annotations[key])
            except ValueError:
                return 0
    return 0
