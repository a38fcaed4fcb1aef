"""Exceptions that have ended: told once, and taken out of Git by a commit where the controller may write there.

``look`` is called after each look of ``sync`` at an Application. That an exception ends needs nothing of this: it holds
no longer, whatever the file says. The commit only removes the words, and only while they are still the same.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from windlass.core.edits.intents import expire, remove
from windlass.core.kinds.application import Application
from windlass.core.kinds.exceptions import Held, as_written
from windlass.core.kinds.fields import moment
from windlass.core.kinds.reasons import Reason
from windlass.flows.commits import Commits
from windlass.flows.fleet import ApplicationState
from windlass.flows.report import Reporter
from windlass.flows.spoken import Spoken, mark, what
from windlass.flows.write import Written
from windlass.ports import Clock

RECENT = 300.0
"""Seconds after its end in which an exception is told as ended, also by a process that never saw it hold."""


class Expiry:
    """Remembers what it told and handed in; to lose that costs a second look at Git."""

    def __init__(self, commits: Commits, reporter: Reporter, spoken: Spoken, clock: Clock) -> None:
        self._commits = commits
        self._reporter = reporter
        self._spoken = spoken
        self._clock = clock
        self._told: set[str] = set()
        self._asked: set[str] = set()

    def look(self, state: ApplicationState) -> None:
        """Tells what of an Application has ended, and has it taken out."""
        written = state.written
        if written is None or (not written.exceptions and written.spec.expires is None):
            return
        now = self._clock.now()
        if written.spec.expires is not None and not written.spec.expires.active(now):
            state.ended = True
            self._tell(state, written.spec.expires, now)
            self._remove(state, written.spec.expires)
            return
        ended = [one for one in written.exceptions if not one.active(now)]
        if not ended:
            return
        for one in ended:
            self._tell(state, one, now)
        self._take_out(state, written, ended)

    def _tell(self, state: ApplicationState, one: Held, now: datetime) -> None:
        told = mark(state, one)
        if told in self._told:
            return
        self._told.add(told)
        if (now - moment(one.until)).total_seconds() <= RECENT:
            self._reporter.event(state, Reason.EXCEPTION_ENDED.value, ended_text(one))
            self._spoken.ended(state, one)

    def _take_out(self, state: ApplicationState, written: Application, ended: list[Held]) -> None:
        home = self._commits.home(state)
        if home is None or not self._commits.may_write(home[0]):
            return
        spec = written.spec
        fields = {name: as_written(one) for name in ("suspend", "freeze") if (one := getattr(spec, name)) in ended}
        ignored = [as_written(one) for one in spec.ignore if one in ended]
        content = msgspec.json.encode([state.uid, fields, ignored])
        identity = hashlib.sha256(content).hexdigest()[:32]
        if identity in self._asked:
            return
        self._asked.add(identity)
        intent = expire(home[1], identity=identity, ended=fields, ignored=ignored)
        self._commits.want(home[0], intent, lambda done: self._done(state, done))

    def _remove(self, state: ApplicationState, ends: Held) -> None:
        home = self._commits.home(state)
        if home is None or not self._commits.may_write(home[0]):
            return
        identity = hashlib.sha256(f"remove {state.uid} {ends.until}".encode()).hexdigest()[:32]
        if identity in self._asked:
            return
        self._asked.add(identity)
        intent = remove(home[1], identity=identity, until=ends.until)
        self._commits.want(home[0], intent, lambda done: self._done(state, done))

    def _done(self, state: ApplicationState, done: Written) -> None:
        if done.result == "written":
            text = f"{done.commit[:7]} takes out what has ended ({', '.join(done.files)})"
            self._reporter.event(state, Reason.EXCEPTION_ENDED.value, text)


def ended_text(one: Held) -> str:
    """What has ended, whose it was and why."""
    return f'{what(one)} ended at {one.until}: "{one.reason}" ({one.by})'
