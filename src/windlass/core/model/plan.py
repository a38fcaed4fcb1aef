"""The plan, made before anything is touched, and the outcome of each change. One vocabulary everywhere."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from windlass.core.model.desired import Desired
from windlass.core.model.live import LiveObject
from windlass.core.model.references import ObjectRef


class Action(StrEnum):
    """What is going to be done with one object."""

    CREATE = "create"
    ADOPT = "adopt"  # it exists and belongs to nobody (or Git says to take it): becomes ours with the first apply
    CONFIGURE = "configure"
    UNCHANGED = "unchanged"
    PRUNE = "prune"
    RELEASE = "release"  # Git says to leave it alone: our entry goes, values stay
    KEEP = "keep"  # would be pruned, but something says no; ``why`` tells it
    SKIP = "skip"  # a hook, or what another rule leaves out
    REFUSE = "refuse"  # a person must act; ``why`` and ``mend`` tell what


class Change(msgspec.Struct, frozen=True):
    """One line of a plan. ``force``: the apply may take fields over from others (never on CREATE: there nobody else
    should be, and who is there was quicker and gets a conflict).

    ``takeover`` names the managers whose entries are moved to ours before the apply; ``handover`` the field paths
    (fieldsV1 path elements joined by "/") whose live value is applied under ``windlass-released`` first.
    """

    action: Action
    ref: ObjectRef
    desired: Desired | None = None
    live: LiveObject | None = None
    why: str = ""
    mend: str = ""
    force: bool = False
    takeover: tuple[str, ...] = ()
    handover: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """Everything that one sync of one Application is going to do, in order. ``blocked`` refuses it as a whole."""

    application: str
    commit: str
    changes: list[Change]
    blocked: str = ""
    mend: str = ""

    def counted(self) -> dict[Action, int]:
        counts: dict[Action, int] = {}
        for change in self.changes:
            counts[change.action] = counts.get(change.action, 0) + 1
        return counts


class Result(StrEnum):
    """What became of one change. The words of logs, Events, status, the command line and the docs."""

    CREATED = "created"
    ADOPTED = "adopted"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    PRUNED = "pruned"
    RELEASED = "released"
    KEPT = "kept"
    SKIPPED = "skipped"
    REFUSED = "refused"
    FAILED = "failed"


class Outcome(msgspec.Struct, frozen=True):
    """The outcome of one change. ``retry`` tells whether trying again may help, ``after`` for how many seconds the
    API server asked not to; ``seconds`` is the time it took."""

    ref: ObjectRef
    result: Result
    message: str = ""
    mend: str = ""
    file: str = ""
    line: int = 0
    retry: bool = False
    after: float = 0.0
    seconds: float = 0.0
