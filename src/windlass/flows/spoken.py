"""What a person's commit newly says of an Application, as events of the ledger: pins and exceptions, begun and ended.

``informers`` calls ``tell`` with the spec before and the one now, ``tell_cluster`` of the Installation. Whose word an
exception is stands in it; who pinned, and why, in the commit (``pins``). What the controller pins by itself is told by
``rollback``, which says so beforehand (``ApplicationState.pinning``).
"""

from __future__ import annotations

import msgspec

from windlass.core.kinds.application import Application
from windlass.core.kinds.exceptions import Held, Ignore, as_written
from windlass.core.kinds.installation import Installation
from windlass.core.model import events
from windlass.flows.commits import Commits
from windlass.flows.fleet import ApplicationState, Fleet
from windlass.flows.pins import Pins
from windlass.flows.record import Recorder, team_of
from windlass.ports import Clock


class Spoken:
    """Stateless: what it tells has an id of its own, so that telling it again adds nothing. The same word said again
    later, after it was taken back, is another occurrence: the generation of the spec tells the two apart."""

    def __init__(self, record: Recorder, clock: Clock, fleet: Fleet, commits: Commits) -> None:
        self._record = record
        self._pins = Pins(fleet, commits)
        self._clock = clock

    def tell(self, state: ApplicationState, before: Application, now: Application) -> None:
        """Events for what is different."""
        was, at = before.spec.source.at, now.spec.source.at
        if at and at != was and at in (state.pinning, state.glass_pin):
            state.pinning = ""  # told already, by who made it
        elif at and at != was:
            by = self._pins.word(now, "rollback", "Pins", at)
            data = events.RolledBack(
                pins=at,
                was=was or state.applied_commit,
                commit=by.commit,
                actor=by.author,
                reason=by.reason,
                team=team_of(state),
            )
            self._record.tell(state.name, data, key=f"rollback {state.uid} {state.generation} {at}")
        elif was and not at:
            by = self._pins.word(now, "forward", "Unpins", was)
            forward = events.RolledForward(
                was=was, commit=by.commit, actor=by.author, reason=by.reason, team=team_of(state)
            )
            self._record.tell(state.name, forward)
        old, new = before.exceptions, now.exceptions
        for one in new:
            if one not in old:
                held = events.ExceptionHeld(what=what(one), until=one.until, reason=one.reason, actor=one.by)
                self._record.tell(state.name, held, key=f"held {state.generation} {mark(state.uid, one)}")
        for one in old:
            if one not in new and one.active(self._clock.now()):
                self.ended(state.name, state.uid, one, early=state.generation)

    def tell_cluster(self, before: Installation, now: Installation) -> None:
        """The same of the freeze of the whole cluster, whose subject is empty."""
        old, new, uid = before.spec.freeze, now.spec.freeze, now.metadata.uid
        generation = now.metadata.generation
        if new is not None and new != old:
            held = events.ExceptionHeld(what=what(new), until=new.until, reason=new.reason, actor=new.by)
            self._record.tell("", held, key=f"held {generation} {mark(uid, new)}")
        if old is not None and new != old and old.active(self._clock.now()):
            self.ended("", uid, old, early=generation)

    def ended(self, subject: str, uid: str, one: Held, *, early: int = 0) -> None:
        """An exception holds no longer; ``early``: the generation that took it out before its time. By its time it ends
        once, whichever process tells it."""
        data = events.ExceptionEnded(what=what(one), until=one.until, early=bool(early), actor=one.by)
        self._record.tell(subject, data, key=f"ended {early or ''} {mark(uid, one)}")


def mark(uid: str, one: Held) -> str:
    """One exception of an object as it was written."""
    return f"{uid} {msgspec.json.encode([what(one), as_written(one)]).decode()}"


def what(one: Held) -> str:
    """``suspend``, ``freeze``, or an ignore with its fields."""
    if isinstance(one, Ignore):
        return f"ignore {one.kind}/{one.name} {' '.join(one.fields)}"
    return type(one).__name__.lower()
