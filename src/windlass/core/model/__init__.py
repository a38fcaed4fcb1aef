"""Frozen data that every room shares: what an object is called, what Git wants, what the cluster has, what becomes.

Everybody imports from here; it imports nothing of Windlass. It decides nothing.
"""

from windlass.core.model.desired import Desired, Explained, Origin, OtherRead, Problem, Rendered
from windlass.core.model.drift import Drift, DriftCause, DriftResponse
from windlass.core.model.health import Health, HealthStatus, ObjectHealth
from windlass.core.model.live import LiveObject, ManagedEntry, Owner
from windlass.core.model.outside import Outside
from windlass.core.model.plan import Action, Change, Outcome, Plan, Result
from windlass.core.model.references import ObjectRef, Resource

__all__ = [
    "Action",
    "Change",
    "Desired",
    "Drift",
    "DriftCause",
    "DriftResponse",
    "Explained",
    "Health",
    "HealthStatus",
    "LiveObject",
    "ManagedEntry",
    "ObjectHealth",
    "ObjectRef",
    "Origin",
    "OtherRead",
    "Outcome",
    "Outside",
    "Owner",
    "Plan",
    "Problem",
    "Rendered",
    "Resource",
    "Result",
]
