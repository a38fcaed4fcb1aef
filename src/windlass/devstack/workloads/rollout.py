"""How many replicas each ReplicaSet of a Deployment should have now: rolling updates, proportional scaling, Recreate.
Pure.

Called by ``deployment``. ReplicaSets are given as plain `Part`s; the answer is the wanted replicas by name, for those
that change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Part:
    """One ReplicaSet: replicas asked for (``wanted``), there (``there``), available; ``ceiling`` is its max-replicas
    annotation.
    """

    name: str
    wanted: int
    there: int
    available: int
    created: str
    ceiling: int = 0


def resolve(value: Any, total: int, up: bool) -> int:
    """An int or percentage of ``total``, rounded as asked."""
    if isinstance(value, str):
        share = int(value.rstrip("%")) * total / 100
        return math.ceil(share) if up else math.floor(share)
    return int(value or 0)


def bounds(strategy: dict[str, Any], replicas: int) -> tuple[int, int]:
    """Max surge and max unavailable of a Deployment in replicas; both 0 would never move, so one may then be
    unavailable.
    """
    if strategy.get("type") == "Recreate":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge"), replicas, up=True)
    unavailable = resolve(rolling.get("maxUnavailable"), replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, replicas)


def roll(new: Part, old: Sequence[Part], replicas: int, surge: int, unavailable: int) -> dict[str, int]:
    """One step of a rolling update. Growing the new one comes first; the old ones shrink when that is through."""
    if new.wanted > replicas:
        return {new.name: replicas}
    total = new.wanted + sum(part.wanted for part in old)
    if new.wanted < replicas:
        room = replicas + surge - total
        if room > 0:
            return {new.name: new.wanted + min(room, replicas - new.wanted)}
    return _shrink(new, old, replicas - unavailable, total)


def _shrink(new: Part, old: Sequence[Part], least: int, total: int) -> dict[str, int]:
    """Old ones: first what is not available anyway, then as many available ones as the minimum allows."""
    changes: dict[str, int] = {}
    missing_new = new.wanted - new.available
    budget = total - least - missing_new
    if budget <= 0:
        return changes
    wanted = {part.name: part.wanted for part in old}
    cleaned = 0
    for part in sorted(old, key=lambda part: part.created):
        unhealthy = max(0, part.wanted - part.available)
        taken = min(unhealthy, budget - cleaned)
        if taken > 0 and part.wanted > 0:
            wanted[part.name] -= taken
            cleaned += taken
            changes[part.name] = wanted[part.name]
    spare = sum(part.available for part in (new, *old)) - least
    for part in sorted(old, key=lambda part: part.created):
        if spare <= 0:
            break
        taken = min(wanted[part.name], spare)
        if taken > 0:
            wanted[part.name] -= taken
            spare -= taken
            changes[part.name] = wanted[part.name]
    return changes


def spread(parts: Sequence[Part], replicas: int, surge: int) -> dict[str, int]:
    """A Deployment was scaled in the middle of a rollout: its ReplicaSets grow or shrink by their share, big and new
    ones first.
    """
    total = sum(part.wanted for part in parts)
    allowed = replicas + surge if replicas > 0 else 0
    change = allowed - total
    if change == 0 or not parts:
        return {}
    ordered = sorted(parts, key=lambda part: (part.wanted, part.created), reverse=True)
    left = change
    wanted: dict[str, int] = {}
    for part in ordered:
        share = round(part.wanted * allowed / (part.ceiling or total or 1)) - part.wanted if total else 0
        share = min(share, left) if change > 0 else max(share, left)
        if (share > 0) != (change > 0):
            share = 0
        wanted[part.name] = part.wanted + share
        left -= share
    first = ordered[0]
    wanted[first.name] = max(0, wanted[first.name] + left)
    return {part.name: wanted[part.name] for part in parts if wanted[part.name] != part.wanted}
