"""What a person's commit newly says of an Application, as events of the ledger: pins and exceptions, begun and ended.

``informers`` calls ``tell`` with the spec before and the one now. Who committed it stands in Git; whose word an
exception is stands in it.
"""

from __future__ import annotations

import msgspec

from windlass.core.kinds.application import Application
from windlass.core.kinds.exceptions import Held, Ignore, as_written
from windlass.core.model import events
from windlass.flows.fleet import ApplicationState
from windlass.flows.record import Recorder
from windlass.ports import Clock


class Spoken:
    """Stateless: what it tells has an id of its own, so that telling it again adds nothing."""

    def __init__(self, record: Recorder, clock: Clock) -> None:
        self._record = record
        self._clock = clock

    def tell(self, state: ApplicationState, before: Application, now: Application) -> None:
        """Events for what is different."""
        was, at = before.spec.source.at, now.spec.source.at
        if at and at != was:
            data = events.RolledBack(pins=at, was=was or state.applied_commit)
            self._record.tell(state.name, data, key=pin_key(state, was or state.applied_commit, at))
        elif was and not at:
            self._record.tell(state.name, events.RolledForward(was=was))
        old, new = before.exceptions, now.exceptions
        for one in new:
            if one not in old:
                held = events.ExceptionHeld(what=what(one), until=one.until, reason=one.reason, actor=one.by)
                self._record.tell(state.name, held, key=f"held {mark(state, one)}")
        for one in old:
            if one not in new and one.active(self._clock.now()):
                self.ended(state, one, early=True)

    def ended(self, state: ApplicationState, one: Held, *, early: bool = False) -> None:
        """An exception holds no longer."""
        data = events.ExceptionEnded(what=what(one), until=one.until, early=early, actor=one.by)
        self._record.tell(state.name, data, key=f"ended {mark(state, one)}")


def pin_key(state: ApplicationState, was: str, at: str) -> str:
    """One pin, whoever tells of it."""
    return f"rollback {state.uid} {was} {at}"


def mark(state: ApplicationState, one: Held) -> str:
    """One exception as it was written."""
    return f"{state.uid} {msgspec.json.encode([what(one), as_written(one)]).decode()}"


def what(one: Held) -> str:
    """``suspend``, ``freeze``, or an ignore with its fields."""
    if isinstance(one, Ignore):
        return f"ignore {one.kind}/{one.name} {' '.join(one.fields)}"
    return type(one).__name__.lower()
