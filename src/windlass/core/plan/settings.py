"""How strictly one Application is planned: what its ``spec.sync`` says, in the form that the plan reads.

The flows fill it from the Application; it is data and decides nothing.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Adopt(StrEnum):
    """What happens with objects that exist before the first apply."""

    FREE = "free"  # those of nobody are adopted, those of others left alone
    NONE = "none"  # all are left alone
    ALL = "all"  # those of Helm, Argo CD, Flux and Config Sync are taken too; never an Application's or a controller's


class Conflicts(StrEnum):
    """What happens with a field that somebody else owns."""

    TAKE = "take"
    FAIL = "fail"


class PlanSettings(msgspec.Struct, frozen=True):
    """``budget_share`` is a share of the managed objects (0.3: 30 %); a plan's prunes are refused when count *and*
    share are exceeded. ``confirmed`` holds ``Kind/name`` or ``Kind/namespace/name`` of what may be pruned although it
    asks for confirmation, or although the budget is exceeded. ``allow_empty``: no objects may replace some."""

    prune: bool = True
    adopt: Adopt = Adopt.FREE
    conflicts: Conflicts = Conflicts.TAKE
    budget_count: int = 20
    budget_share: float = 0.3
    confirmed: frozenset[str] = frozenset()
    allow_empty: bool = False
