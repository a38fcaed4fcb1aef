"""Exceptions that have ended: told once, and taken out of Git by a commit where the controller may write there.

``look`` is called after each look of ``sync`` at an Application, ``look_at_cluster`` after each status of the
Installation and as its freeze ends. That an exception ends needs nothing of this: it holds
no longer, whatever the file says. The commit only removes the words, and only while they are still the same.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from windlass.core.edits.intents import expire, remove
from windlass.core.kinds import installation
from windlass.core.kinds.application import Application
from windlass.core.kinds.exceptions import Held, as_written
from windlass.core.kinds.fields import moment
from windlass.core.kinds.reasons import Reason
from windlass.flows.commits import Commits
from windlass.flows.fleet import ApplicationState, Fleet
from windlass.flows.holding import looks_again
from windlass.flows.report import Reporter
from windlass.flows.spoken import Spoken, mark, what
from windlass.flows.write import Written
from windlass.ports import Clock

RECENT = 300.0
"""Seconds after its end in which an exception is told as ended, also by a process that never saw it hold."""


class Expiry:
    """Remembers what it told and handed in; to lose that costs a second look at Git."""

    def __init__(self, fleet: Fleet, commits: Commits, reporter: Reporter, spoken: Spoken, clock: Clock) -> None:
        self._fleet = fleet
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

    def look_at_cluster(self) -> None:
        """The same of the Installation, whose freeze is nobody's but the cluster's."""
        found, now = self._fleet.installation, self._clock.now()
        freeze = found.spec.freeze if found is not None else None
        if found is None or freeze is None:
            return
        if freeze.active(now):
            self._reporter.installation_changed(looks_again(None, found, now))
            return
        uid = found.metadata.uid
        if self._is_news(uid, freeze, now):
            self._reporter.cluster_event(Reason.EXCEPTION_ENDED.value, ended_text(freeze))
            self._spoken.ended("", uid, freeze)
        home = self._commits.home_of(installation.KIND, "", installation.NAME)
        if home is None or not self._commits.may_write(home[0]):
            return
        fields = {"freeze": as_written(freeze)}
        identity = _identity([uid, fields, []])
        if identity in self._asked:
            return
        self._asked.add(identity)

        def done(written: Written) -> None:
            if written.result == "written":
                self._reporter.cluster_event(Reason.EXCEPTION_ENDED.value, taken_out(written))

        self._commits.want(home[0], expire(home[1], identity=identity, ended=fields, ignored=[]), done)

    def _tell(self, state: ApplicationState, one: Held, now: datetime) -> None:
        if self._is_news(state.uid, one, now):
            self._reporter.event(state, Reason.EXCEPTION_ENDED.value, ended_text(one))
            self._spoken.ended(state.name, state.uid, one)

    def _is_news(self, uid: str, one: Held, now: datetime) -> bool:
        told = mark(uid, one)
        if told in self._told:
            return False
        self._told.add(told)
        return (now - moment(one.until)).total_seconds() <= RECENT

    def _take_out(self, state: ApplicationState, written: Application, ended: list[Held]) -> None:
        home = self._commits.home(state)
        if home is None or not self._commits.may_write(home[0]):
            return
        spec = written.spec
        fields = {name: as_written(one) for name in ("suspend", "freeze") if (one := getattr(spec, name)) in ended}
        ignored = [as_written(one) for one in spec.ignore if one in ended]
        identity = _identity([state.uid, fields, ignored])
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
            self._reporter.event(state, Reason.EXCEPTION_ENDED.value, taken_out(done))


def taken_out(done: Written) -> str:
    """The commit that took the words out."""
    return f"{done.commit[:7]} takes out what has ended ({', '.join(done.files)})"


def _identity(told: list[object]) -> str:
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:32]


def ended_text(one: Held) -> str:
    """What has ended, whose it was and why."""
    return f'{what(one)} ended at {one.until}: "{one.reason}" ({one.by})'
