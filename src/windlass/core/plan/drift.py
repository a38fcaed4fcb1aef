"""Drift from its first sign to its end, in one place to import: suspect, examine, take over, hand over, release.

    event --suspicious--> one GET --examine--> Drift items --Fights--> revert, report or give up

The parts are modules of their own; this one only names them. None of them reads a clock or asks a cluster.
"""

from __future__ import annotations

from windlass.core.plan.additions import removal_patch
from windlass.core.plan.examine import DriftRules, admission_changes, examine
from windlass.core.plan.expected import TABLE as EXPECTED
from windlass.core.plan.fights import Fights
from windlass.core.plan.suspicion import Suspicion, suspicious
from windlass.core.plan.takeover import handover_body, release_patch, takeover_patch

__all__ = [
    "EXPECTED",
    "DriftRules",
    "Fights",
    "Suspicion",
    "admission_changes",
    "examine",
    "handover_body",
    "release_patch",
    "removal_patch",
    "suspicious",
    "takeover_patch",
]
