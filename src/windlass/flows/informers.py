"""What people wrote, from the API server into the fleet: Installation, Repositories, Applications.

Three watches, one for each kind. An object that can't be read (a poison field, written before the CRD refused it) is
told on that object and stops no other. Our own status writes come back here too and wake nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from windlass.core.kinds import application, installation, repository
from windlass.core.kinds.application_status import ApplicationStatus
from windlass.core.kinds.deploy import GLASS, REQUEST
from windlass.core.kinds.fields import moment
from windlass.core.kinds.glass import pinned
from windlass.core.kinds.kind import GROUP, VERSION, read_status
from windlass.core.kinds.repository import RepositoryStatus
from windlass.core.model import Resource
from windlass.core.plan.ownership import LABEL, LEAVING, Claim, label_value
from windlass.errors import NeedsHuman, Where
from windlass.flows.fleet import ApplicationState, Fleet, Key, SourceState
from windlass.flows.record import Recorder
from windlass.flows.spoken import Spoken
from windlass.ports import Cluster

log = structlog.get_logger("windlass")

INSTALLATIONS = Resource(GROUP, VERSION, "installations", installation.KIND, False)
REPOSITORIES = Resource(GROUP, VERSION, "repositories", repository.KIND, True)
APPLICATIONS = Resource(GROUP, VERSION, "applications", application.KIND, True)


class Informers:
    """``wake`` hears of an Application, ``ask`` of a Repository that wants attention; ``gone`` of one that is no more;
    ``spoken`` of what a new spec says otherwise than the one before."""

    def __init__(
        self,
        fleet: Fleet,
        cluster: Cluster,
        *,
        wake: Callable[[Key], None],
        ask: Callable[[Key], None],
        gone: Callable[[ApplicationState], None],
        source_gone: Callable[[Key], None],
        installed: Callable[[], None],
        spoken: Spoken,
        synced: Callable[[str], None],
        record: Recorder,
    ) -> None:
        self._fleet = fleet
        self._cluster = cluster
        self._wake = wake
        self._ask = ask
        self._gone = gone
        self._source_gone = source_gone
        self._installed = installed
        self._spoken = spoken
        self._synced = synced
        self._record = record

    async def installations(self) -> None:
        async for kind, content in self._cluster.follow(INSTALLATIONS):
            if kind == "SYNCED":
                self._synced(installation.KIND)
            elif content["metadata"]["name"] == installation.NAME:
                self.take_installation(kind, content)

    async def repositories(self) -> None:
        async for kind, content in self._cluster.follow(REPOSITORIES):
            if kind == "SYNCED":
                self._synced(repository.KIND)
            else:
                self.take_repository(kind, content)

    async def applications(self) -> None:
        async for kind, content in self._cluster.follow(APPLICATIONS):
            if kind == "SYNCED":
                self._synced(application.KIND)
            else:
                self.take_application(kind, content)

    def take_installation(self, kind: str, content: dict[str, Any]) -> None:
        before = self._fleet.installation
        if kind == "DELETED":
            # What runs keeps running; nothing new is decided without it.
            self._fleet.installation = None
        else:
            try:
                self._fleet.installation = installation.decode(content)
                self._fleet.installation_error = None
            except NeedsHuman as error:
                self._fleet.installation = None
                self._fleet.installation_error = error
        now = self._fleet.installation
        if now is not None:
            if before is not None and before.spec != now.spec:
                self._spoken.tell_cluster(before, now)
            self._installed()
        if (before is None) != (now is None) or (before is not None and now is not None and before.spec != now.spec):
            for key in self._fleet.applications:
                self._wake(key)

    def take_repository(self, kind: str, content: dict[str, Any]) -> None:
        key = key_of(content)
        if kind == "DELETED":
            self._fleet.sources.pop(key, None)
            self._fleet.readers.pop(key, None)
            self._source_gone(key)
            return
        state = self._fleet.sources.get(key)
        if state is None:
            state = self._fleet.sources[key] = SourceState(key)
            state.status = read_status(content, RepositoryStatus)
            if state.status.observed_generation == content["metadata"].get("generation", 0):
                # Of another spec (its url, its branch) the commit may be of a history that has nothing to do with it.
                state.commit = state.status.commit
        generation = content["metadata"].get("generation", 0)
        if generation == state.generation:
            return
        state.generation = generation
        before = state.written
        try:
            state.written = repository.decode(content)
            state.invalid = None
        except NeedsHuman as error:
            state.invalid = error.at(Where(field=f"Repository {key}"))
            log.warning("bad spec", repository=str(key), error=str(error))
        if before is not None and state.written is not None and before.spec.url != state.written.spec.url:
            # Another remote: its history has nothing to do with the old one's.
            state.commit = ""
            self._fleet.readers.pop(key, None)
        self._ask(key)

    def take_application(self, kind: str, content: dict[str, Any]) -> None:
        key = key_of(content)
        state = self._fleet.applications.get(key)
        if kind == "DELETED":
            if state is not None:
                self._fleet.remove(key)
                self._gone(state)
            return
        metadata = content["metadata"]
        if state is not None and state.uid != metadata["uid"]:
            self._fleet.remove(key)
            self._gone(state)
            state = None
        if state is None:
            state = ApplicationState(key, Claim.of(*key), uid=metadata["uid"])
            restore(state, read_status(content, ApplicationStatus))
            self._fleet.add(state)
        annotations = metadata.get("annotations") or {}
        leaving = is_leaving(metadata)
        request = str(annotations.get(REQUEST, ""))
        glass = str(annotations.get(GLASS, ""))
        generation = metadata.get("generation", 0)
        now = (generation, leaving, request, glass)
        if now == (state.generation, state.leaving, state.request, state.glass_asked):
            return
        asked = request != state.request and request != state.request_done
        if asked:
            self._record.requested(state, request)
        state.leaving, state.request, state.glass_asked = leaving, request, glass
        if generation != state.generation:
            self._read(state, content, generation)
        if asked and state.linked.source is not None:
            # "Look now" means at Git too, not at what was fetched some time ago.
            for source in {state.linked.source, *state.linked.others}:
                self._ask(source)
        self._wake(key)

    def _read(self, state: ApplicationState, content: dict[str, Any], generation: int) -> None:
        state.generation = generation
        before = state.said
        try:
            state.said = application.decode(content)
            state.written = pinned(state.said, state.glass)
            state.invalid = None
            if before is not None:
                self._spoken.tell(state, before, state.said)
        except NeedsHuman as error:
            # The last good spec stays in force: a poison field must not undo what runs.
            state.invalid = error.at(Where(application=state.name))
            log.warning("bad spec", application=state.name, error=str(error))
        self._fleet.relink(state)
        source = self._fleet.source_of(state)
        if source is not None and source.ledger_only:
            self._ask(source.key)


def key_of(content: dict[str, Any]) -> Key:
    return Key(content["metadata"].get("namespace", ""), content["metadata"]["name"])


def restore(state: ApplicationState, status: ApplicationStatus) -> None:
    """After a start: what the status remembers. All of it is only a hint; the label index and Git are the truth."""
    state.status = status
    state.applied_commit = status.commit
    state.request_done = status.last_sync_request
    state.counts = dict(status.counts)
    state.glass = status.break_glass
    if status.synced_at:
        state.synced_at = moment(status.synced_at)


def is_leaving(metadata: dict[str, Any]) -> bool:
    """Whether this Application's parent says that it left Git. The word counts only from the parent's own manager:
    an annotation can be written by anybody who may patch the object, a whole prune must not hang on that."""
    annotations = metadata.get("annotations") or {}
    parent = (metadata.get("labels") or {}).get(LABEL, "")
    if LEAVING not in annotations or not parent:
        return False
    for entry in metadata.get("managedFields") or []:
        manager = entry.get("manager", "")
        owned = ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:annotations") or {}
        if f"f:{LEAVING}" in owned and manager.startswith("windlass-"):
            return bool(label_of(manager) == parent)
    return False


def label_of(manager: str) -> str:
    """The label value of the Application that has this field manager."""
    namespace, _, name = manager.removeprefix("windlass-").partition(".")
    return label_value(namespace, name)
