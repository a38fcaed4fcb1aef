"""What somebody changed on a live object, told so that a person knows who, what, when and what happens next."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from windlass.core.model.references import ObjectRef


class DriftCause(StrEnum):
    """How it showed (design idea 4)."""

    CHANGED = "changed"  # a field that Git names was taken from us
    ADDED = "added"  # a field that Git does not name, inside what we manage
    OWN_MANAGER = "own-manager"  # written under our own manager, but not by us
    ADMISSION = "admission"  # the cluster changed what was applied; told once, not fought
    DELETED = "deleted"
    RELABELLED = "relabelled"  # our label was taken off


class DriftResponse(StrEnum):
    """What is done about it."""

    REVERT = "revert"
    ALERT = "alert"
    ADOPT = "adopt"
    REPORT = "report"  # an addition, reported only
    GIVE_UP = "give-up"  # taken back a third time within five minutes: no longer fought over


class Drift(msgspec.Struct, frozen=True):
    """One open item. ``field`` reads like ``spec.template.spec.containers[name=web].image``; values are JSON-like and
    None where there is none; ``masked`` values never get here. ``operation`` is what the field entry tells: "scale",
    "Update", "Apply". ``since`` is an ISO time, empty where the API server gives none.
    """

    ref: ObjectRef
    cause: DriftCause
    field: str
    response: DriftResponse
    desired: object = None
    live: object = None
    manager: str = ""
    operation: str = ""
    since: str = ""
    severe: bool = False
    seen: str = ""
