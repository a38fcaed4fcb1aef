"""The controller's own commits: intents of flows, gathered per Repository and carried out together.

Expiry of exceptions, automatic rollback and image policies hand in what they want to be so; ``commit`` is a worker's
step for one branch of a Repository. A remote that is away keeps them waiting; one that refuses is told to whoever
asked, and asked again only with a new intent. All of it may be lost with the process: the flows hand it in again, and
an intent whose commit is there already is not made twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import structlog

from windlass.core.edits import Intent
from windlass.core.edits.intents import Home
from windlass.core.edits.objects import Target
from windlass.core.kinds import application
from windlass.core.kinds.kind import GROUP
from windlass.core.model import ObjectRef
from windlass.errors import NeedsHuman, TryLater, WindlassError
from windlass.flows.fleet import ApplicationState, Fleet, Key
from windlass.flows.queue import WorkQueue
from windlass.flows.upstreams import Upstreams
from windlass.flows.write import Written

log = structlog.get_logger("windlass")
Answer = Callable[[Written], None]


class Branch(NamedTuple):
    """A branch that is written to; "" is the one that the Repository follows."""

    repository: Key
    name: str = ""


class Commits:
    """``pushed`` is told of a Repository that was pushed to, so that the commit is seen at once."""

    def __init__(self, fleet: Fleet, upstreams: Upstreams, *, pushed: Callable[[Key], None]) -> None:
        self._fleet = fleet
        self._upstreams = upstreams
        self._pushed = pushed
        self._waiting: dict[Branch, dict[str, tuple[Intent, Answer]]] = {}
        self.queue: WorkQueue[Branch] = WorkQueue(base=2.0, cap=300.0)

    def home(self, state: ApplicationState) -> tuple[Key, Home] | None:
        """Where an Application itself is written: the Repository and the file, as the Application that applies it has
        rendered it. None where it is in no file."""
        return self.home_of(application.KIND, *state.key)

    def home_of(self, kind: str, namespace: str, name: str) -> tuple[Key, Home] | None:
        """The same of any object of ours."""
        ref = ObjectRef(GROUP, kind, namespace, name)
        for parent in self._fleet.applications.values():
            desired = parent.desired.get(ref)
            source = parent.linked[0]
            if desired is not None and source is not None:
                if desired.origin.repository != source.name:
                    source = Key(source.namespace, desired.origin.repository)
                file = desired.origin.file
                others = self._others(source, file, namespace, name) if kind == application.KIND else ()
                return source, Home(file, Target(GROUP, kind, namespace, name, others))
        return None

    def _others(self, source: Key, file: str, namespace: str, name: str) -> tuple[Target, ...]:
        """The Applications that come of the same file of the same branch and may be this one under another name: in
        another namespace, or with more around the name."""
        known = self._fleet.applications
        near = {ObjectRef(GROUP, application.KIND, *key) for key in known if name in key.name}
        near.discard(ObjectRef(GROUP, application.KIND, namespace, name))
        if not near:
            return ()
        found: list[Target] = []
        followed = self._follows(source)
        for parent in known.values():
            if parent.linked[0] is None or self._follows(parent.linked[0]) != followed:
                continue
            found.extend(
                Target(GROUP, application.KIND, ref.namespace, ref.name)
                for ref in parent.desired.keys() & near
                if parent.desired[ref].origin.file == file
            )
        return tuple(sorted(found, key=lambda one: (one.namespace, one.name)))

    def _follows(self, repository: Key) -> object:
        """What a Repository is a name of: the same for two that follow the same."""
        source = self._fleet.sources.get(repository)
        written = source.written if source is not None else None
        return (written.spec.url, written.spec.ref) if written is not None else repository

    def may_write(self, repository: Key) -> bool:
        """Whether Git names credentials for writing there."""
        source = self._fleet.sources.get(repository)
        return source is not None and source.written is not None and source.written.spec.write is not None

    def want(self, repository: Key, intent: Intent, answer: Answer, *, branch: str = "", gather: float = 0.0) -> None:
        """Has an intent carried out. ``answer`` hears what became of it, also where it was refused. ``branch`` is
        another one than is followed; ``gather`` are seconds in which more may come that become one commit with it."""
        place = Branch(repository, branch)
        self._waiting.setdefault(place, {})[intent.id] = (intent, answer)
        if gather:
            self.queue.add_after(place, gather)
        else:
            self.queue.add(place)

    def gathered(self, repository: Key, seconds: float) -> None:
        """Nothing more is expected: what waits to be gathered is committed so soon. What failed waits its time."""
        for place, waiting in self._waiting.items():
            if place.repository == repository and waiting and not self.queue.failures(place):
                self.queue.add_after(place, seconds)

    def waits(self, repository: Key, identity: str) -> bool:
        """Whether an intent is still to be carried out."""
        return identity in self._waiting.get(Branch(repository), {})

    def withdraw(self, identity: str) -> None:
        """An intent is not wanted any more. One that is being carried out at this moment may still be committed."""
        for waiting in self._waiting.values():
            waiting.pop(identity, None)

    def hurry(self, repository: Key) -> None:
        """The remote is well: what waits for a later try is tried now."""
        for branch, waiting in self._waiting.items():
            if branch.repository == repository and waiting:
                self.queue.add(branch)

    async def commit(self, branch: Branch) -> None:
        """A worker's step: all that waits for one branch, as one commit."""
        repository = branch.repository
        batch = list(self._waiting.get(branch, {}).values())
        source = self._fleet.sources.get(repository)
        if not batch:
            return
        try:
            if source is None or source.written is None:
                raise NeedsHuman(f"there is no Repository {repository}")
            fresh = self.queue.failures(branch) > 0
            writer = await self._upstreams.writer(source.written, fresh=fresh, branch=branch.name)
            done = await writer.write([intent for intent, _ in batch], once=True)
        except TryLater as error:
            wait = self.queue.retry(branch, at_least=error.after)
            log.info("commit waits", repository=str(repository), error=error.what, seconds=round(wait, 1))
            return
        except WindlassError as error:
            refusal = error if isinstance(error, NeedsHuman) else NeedsHuman(error.what)
            done = [Written(intent, "refused", error=refusal) for intent, _ in batch]
        self.queue.forget(branch)
        waiting = self._waiting.get(branch, {})
        for (intent, answer), written in zip(batch, done, strict=True):
            waiting.pop(intent.id, None)
            if written.error is not None:
                log.warning("commit refused", repository=str(repository), about=intent.about, error=str(written.error))
            answer(written)
        if any(one.result == "written" for one in done):
            self._pushed(repository)
