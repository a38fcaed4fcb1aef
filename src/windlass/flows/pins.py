"""Who pinned an Application, or let it go, and why: read from the commit that says so in its trailers.

``spoken`` asks as it tells of a pin. The Application's own annotation names the commit that its file was applied at; a
few commits before that are looked through, on this machine. What was written by hand, without trailers, is not known:
then nothing is told rather than somebody else's name.
"""

from __future__ import annotations

from typing import NamedTuple

import structlog

from windlass.adapters.git import CommitInfo
from windlass.adapters.git.store import Store
from windlass.core.kinds import application
from windlass.core.kinds.application import Application
from windlass.core.plan.ownership import ORIGIN
from windlass.core.words.commits import ACTION, trailers_of
from windlass.core.words.plain import plain
from windlass.errors import WindlassError
from windlass.flows.commits import Commits
from windlass.flows.fleet import Fleet

log = structlog.get_logger("windlass")
BACK = 30
_LONGEST = 300


class Word(NamedTuple):
    """Whose word a pin is; "" is what is not known."""

    commit: str = ""
    author: str = ""
    reason: str = ""


class Pins:
    """Reads a mirror where it stands: a few loose objects, and once for all that one commit pins."""

    def __init__(self, fleet: Fleet, commits: Commits) -> None:
        self._fleet = fleet
        self._commits = commits
        self._read: tuple[str, str, list[CommitInfo]] = ("", "", [])

    def word(self, now: Application, verb: str, fact: str, commit: str) -> Word:
        """Who said ``verb`` ("rollback", "forward") of this Application with the trailer ``fact`` at ``commit``."""
        name = f"{now.metadata.namespace}/{now.metadata.name}"
        at = now.metadata.annotations.get(ORIGIN, "").rpartition("@")[2].partition(":")[0]
        home = self._commits.home_of(application.KIND, now.metadata.namespace, now.metadata.name)
        source = self._fleet.sources.get(home[0]) if home is not None else None
        if not at or source is None or not source.folder:
            return Word()
        try:
            told = self._log(source.folder, at)
        except (WindlassError, OSError, ValueError) as error:
            log.info("no word for a pin", application=name, error=str(error))
            return Word()
        for one in told:
            said = trailers_of(one.message)
            if (ACTION, f"{verb} {name}") in said and (fact, commit) in said:
                return Word(one.id, one.author, reason_of(one.message))
        return Word()

    def _log(self, folder: str, at: str) -> list[CommitInfo]:
        if self._read[:2] != (folder, at):
            self._read = (folder, at, Store(folder).log(None, at, limit=BACK))
        return self._read[2]


def reason_of(message: str) -> str:
    """What stands between the first line and the trailers of a message, in one line."""
    parts = message.strip().split("\n\n")[1:-1]
    return plain(" ".join(" ".join(parts).split()))[:_LONGEST]
