"""What the controller holds in memory about each Application and Repository. All of it can be lost at any time.

Every flow reads and writes these; the informers fill in what people wrote. Nothing here does I/O. What must survive is
in Git or on the cluster: the label index and the digests on the objects are the inventory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

import msgspec
from typing_extensions import override

from windlass.core.health.pods import PodFacts
from windlass.core.kinds.application import Application
from windlass.core.kinds.application_status import ApplicationStatus, BreakGlassStatus
from windlass.core.kinds.chart_source import ChartSource
from windlass.core.kinds.glass import mark
from windlass.core.kinds.installation import Installation
from windlass.core.kinds.rendering import Render
from windlass.core.kinds.repository import Ref, Repository, RepositoryStatus, Verify
from windlass.core.model import (
    Desired,
    Drift,
    Health,
    HealthStatus,
    ObjectHealth,
    ObjectRef,
    Outcome,
    Outside,
    Rendered,
)
from windlass.core.plan.ownership import Claim
from windlass.errors import WindlassError
from windlass.flows.readers import Readers
from windlass.ports import ChartFound, ClusterFacts


class Key(NamedTuple):
    """Namespace and name of an Application or a Repository."""

    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


Stamp: TypeAlias = tuple[tuple[str, int], ...]
"""Which state of the cluster's values a render was made with: objects, and the number of the last change of each."""


class RenderInputs(NamedTuple):
    """What a render is a function of, but for the commits: the traces tell which commits do not matter. ``others`` are
    further repositories by name, ``values`` the state of what was read from the cluster, ``facts`` what the cluster is
    like where the render asked for it."""

    repository: Key
    path: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    namespace: str
    settings: Render
    others: tuple[tuple[str, Key], ...] = ()
    values: Stamp = ()
    chart: ChartFound | None = None
    facts: ClusterFacts = ClusterFacts()


@dataclass(slots=True)
class SourceState:
    """One Repository. ``commit`` is the newest one that was accepted, "" while none is known: then nothing is rendered.

    ``held`` is the newer commit that is not followed (history rewritten, not signed), with ``error`` saying so.
    """

    key: Key
    written: Repository | None = None
    generation: int = 0
    invalid: WindlassError | None = None
    commit: str = ""
    fetched_at: datetime | None = None
    held: str = ""
    followed: Ref | None = None  # what ``commit`` was found at, None where that was before this process
    signature: str = ""  # who signed ``commit``, where that is asked for
    judged: Verify | None = None  # by what it was asked for
    error: WindlassError | None = None
    status: RepositoryStatus | None = None
    folder: str = ""
    subject: str = ""
    author: str = ""
    ledger_only: bool = False  # holds the ledger and is nobody's source: written, not followed


class Links(NamedTuple):
    """What an Application names: its Repository, the Applications it waits for, further Repositories."""

    source: Key | None = None
    dependencies: tuple[Key, ...] = ()
    others: tuple[Key, ...] = ()


@dataclass(slots=True)
class ApplicationState:
    """One Application: what was written, what it rendered to, and what became of that."""

    key: Key
    claim: Claim
    uid: str = ""
    generation: int = 0
    said: Application | None = None  # as the object says it
    written: Application | None = None  # as it is followed: pinned while somebody has broken the glass
    glass_asked: str = ""  # the annotation, as it stands
    glass: BreakGlassStatus | None = None  # the last one that was judged
    invalid: WindlassError | None = None
    leaving: bool = False
    request: str = ""
    request_done: str = ""
    linked: Links = field(default_factory=Links)

    # what Git wants: ``rendered`` is of the newest commit that could be read; ``desired`` is what the cluster should
    # have, the last render that passed every gate. They differ while something is pending.
    rendered: Rendered | None = None
    rendered_for: RenderInputs | None = None
    desired: dict[ObjectRef, Desired] = field(default_factory=dict)
    desired_commit: str = ""
    outside: Outside | None = None  # what the last render got that is not in its commit
    rendering: asyncio.Lock = field(default_factory=asyncio.Lock)  # nobody renders the same twice at once
    settled: tuple[tuple[Key, tuple[str, ...]], ...] = ()  # where it is in ``Fleet.readers``, in which roles
    settled_for: Application | None = None  # for what it is in all that it can be in
    named: tuple[Sequence[Desired], frozenset[ObjectRef]] = ((), frozenset())  # a render's objects, by reference

    # the chart that was found last, for what, and why no newer one could be looked for
    chart: ChartFound | None = None
    chart_for: ChartSource | None = None
    chart_error: WindlassError | None = None
    chart_error_for: ChartSource | None = None

    # what became of it
    applied_commit: str = ""
    seen: bool = False
    noted: bool = False  # whether ``outcomes`` are of this process: before, the status tells those of the last
    pending_commit: str = ""
    noted_commit: str = ""  # by which commit ``outcomes`` came to be
    waiting: WindlassError | None = None
    sync: Literal["Synced", "OutOfSync", "Unknown"] = "Unknown"
    outcomes: dict[ObjectRef, Outcome] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    synced_at: datetime | None = None
    began: float | None = None  # since when it waits for health, by the monotonic clock; for what: ``began_for``
    began_for: tuple[int, str, int] = (0, "", 0)
    looking: float | None = None  # since when a worker is at it, by the monotonic clock
    decided: bool = False  # whether a look since the start has come to anything: before, the old status stays
    waiting_for: frozenset[ObjectRef] = frozenset()

    unseen: frozenset[tuple[str, str]] = frozenset()  # (group, kind) of which nothing could be seen at the last plan

    # what it looks like now
    in_flight: set[ObjectRef] = field(default_factory=set)
    parked: set[ObjectRef] = field(default_factory=set)
    answered: dict[ObjectRef, str] = field(default_factory=dict)
    intact: dict[ObjectRef, tuple[str, bytes]] = field(default_factory=dict)
    compared: dict[ObjectRef, str] = field(default_factory=dict)
    drift: dict[ObjectRef, list[Drift]] = field(default_factory=dict)
    admission: dict[ObjectRef, list[Drift]] = field(default_factory=dict)
    objects: dict[ObjectRef, ObjectHealth] = field(default_factory=dict)
    since: dict[ObjectRef, datetime] = field(default_factory=dict)
    pods: dict[ObjectRef, PodFacts] = field(default_factory=dict)
    health: Health = field(default_factory=lambda: Health(HealthStatus.UNKNOWN))
    ended: bool = False  # the time of ``spec.expires`` is over: it is to leave Git, and that is no surprise
    pinning: str = ""  # the commit that the controller is about to pin by itself, until that is seen in the spec
    rolls_back: str = ""  # what an automatic rollback is going to do, or why it is not made; for the status
    status: ApplicationStatus | None = None

    @property
    def name(self) -> str:
        return str(self.key)

    def forget_others(self) -> None:
        """Drops what is remembered of objects that are no longer wanted: nothing about them is open."""
        for table in (self.answered, self.intact, self.compared, self.drift, self.admission, self.since):
            for ref in [ref for ref in table if ref not in self.desired]:
                table.pop(ref)

    @property
    def glass_holds(self) -> bool:
        """Whether somebody pins it in the cluster now."""
        return self.glass is not None and self.glass.result == "holds"

    @property
    def glass_pin(self) -> str:
        """The commit that somebody pins in the cluster now, "" for none."""
        return self.glass.commit if self.glass is not None and self.glass_holds else ""

    @property
    def glass_open(self) -> bool:
        """Whether a pin is asked for that nobody has judged: what is wanted is not known."""
        return bool(self.glass_asked) and (self.glass is None or self.glass.request != mark(self.glass_asked))

    def ready(self) -> bool:
        """What another Application's ``dependsOn`` waits for."""
        return self.sync == "Synced" and self.health.status is HealthStatus.HEALTHY


class Fleet:
    """All of them. ``by_label`` finds the Application behind a live object's label without a search."""

    def __init__(self) -> None:
        self.applications: dict[Key, ApplicationState] = {}
        self.sources: dict[Key, SourceState] = {}
        self.by_label: dict[str, ApplicationState] = {}
        self.users: dict[Key, set[Key]] = {}
        self.dependents: dict[Key, set[Key]] = {}
        self.readers: dict[Key, Readers[Key]] = {}
        self.installation: Installation | None = None
        self.installation_error: WindlassError | None = None
        self.namespaced: dict[str, bool] = {}
        self.system = "windlass-system"

    def add(self, state: ApplicationState) -> None:
        self.applications[state.key] = state
        self.by_label[state.claim.label] = state

    def remove(self, key: Key) -> ApplicationState | None:
        state = self.applications.pop(key, None)
        if state is not None:
            self.by_label.pop(state.claim.label, None)
            self._unlink(state)
            self.unsettle(state)
        return state

    def relink(self, state: ApplicationState) -> None:
        """Notes again which Repository an Application uses and which Applications it waits for."""
        self._unlink(state)
        if state.written is None:
            return
        spec = state.written.spec
        source = Key(state.key.namespace, spec.source.repository)
        dependencies = tuple(Key(*one) for one in state.written.dependencies)
        others = tuple(Key(state.key.namespace, one.repository) for one in spec.sources)
        for used in (source, *others):
            self.users.setdefault(used, set()).add(state.key)
        for dependency in dependencies:
            self.dependents.setdefault(dependency, set()).add(state.key)
        state.linked = Links(source, dependencies, others)

    def source_of(self, state: ApplicationState) -> SourceState | None:
        """The Repository of an Application: always in its own namespace."""
        source = state.linked.source
        return self.sources.get(source) if source is not None else None

    def user_of(self, state: ApplicationState, written: Application) -> str:
        """In whose name an Application reads and applies: an account of its own namespace, so that nobody borrows
        another's rights; "" is the controller itself."""
        account = written.spec.service_account
        if not account and self.installation is not None and self.installation.spec.apply.as_ == "serviceAccount":
            account = "windlass-applier"
        return f"system:serviceaccount:{state.key.namespace}:{account}" if account else ""

    @property
    def ledger(self) -> Key | None:
        """The Repository that holds the ledger: in the controller's own namespace."""
        named = self.installation.spec.ledger if self.installation is not None else None
        return Key(self.system, named.repository) if named is not None else None

    def users_of(self, source: Key) -> Iterator[ApplicationState]:
        """The Applications that render from a Repository, or read files of it."""
        for key in self.users.get(source, ()):
            state = self.applications.get(key)
            if state is not None:
                yield state

    # --- which renders stand at the newest commits -------------------------------------------------------------------

    def settle(self, state: ApplicationState, written: Application) -> bool:
        """Its render was made of what is written, without a problem: it stands where it is of the newest commits.
        False where a Repository has moved on from what was rendered: then it must be looked at again."""
        if state.settled_for is written and all(state.key in self.readers.get(key, ()) for key, _ in state.settled):
            return True
        _ = self.brought_on(state)
        self.unsettle(state)
        stands, everywhere, settled = True, True, []
        for name in {written.spec.source.repository, *(one.repository for one in written.spec.sources)}:
            used = Key(state.key.namespace, name)
            readers, names = self.readers.get(used), roles(written, used)
            if readers is None or not names:
                everywhere = everywhere and not names  # whoever has not been asked yet wakes everybody when it is
                continue
            read = followed(state, names, readers.commit)
            if len(read) == len(names):
                readers.put(state.key, read.values())
                settled.append((used, tuple(names)))
            else:
                stands = False
        state.settled, state.settled_for = tuple(settled), written if stands and everywhere else None
        return stands

    def unsettle(self, state: ApplicationState) -> None:
        """Its render is made anew, or gone: what it reads is not known."""
        for source, _ in state.settled:
            if source in self.readers:
                self.readers[source].drop(state.key)
        state.settled, state.settled_for = (), None

    def brought_on(self, state: ApplicationState) -> Rendered | None:
        """The last render, as one of the newest commits where it stands at them: nothing that it read has changed."""
        if state.rendered is None:
            return None
        commit, others = state.rendered.commit, dict(state.rendered.others)
        for source, names in state.settled:
            readers = self.readers.get(source)
            if readers is None or state.key not in readers:
                continue
            for name in names:
                if name:
                    others[name] = msgspec.structs.replace(others[name], commit=readers.commit)
                else:
                    commit = readers.commit
        if commit != state.rendered.commit or others != state.rendered.others:
            state.rendered = msgspec.structs.replace(state.rendered, commit=commit, others=others)
        return state.rendered

    def _unlink(self, state: ApplicationState) -> None:
        source, dependencies, others = state.linked
        for used in (*((source,) if source is not None else ()), *others):
            self.users.get(used, set()).discard(state.key)
        for dependency in dependencies:
            self.dependents.get(dependency, set()).discard(state.key)
        state.linked = Links()


def roles(written: Application, source: Key) -> list[str]:
    """As what an Application goes with a Repository, where it is not pinned: "" is its source, else the name of a
    further one."""
    spec = written.spec
    main = [""] if spec.source.repository == source.name and not spec.source.at else []
    return main + [one.name for one in spec.sources if one.repository == source.name and not one.at]


def followed(state: ApplicationState, names: Sequence[str], commit: str) -> dict[str, Mapping[str, str]]:
    """What the last render read of a Repository, for each of these roles in which it was at this commit."""
    rendered = state.rendered
    if rendered is None:
        return {}
    found: dict[str, Mapping[str, str]] = {}
    for name in names:
        other = rendered.others.get(name)
        if not name and rendered.commit == commit:
            found[""] = rendered.read
        elif other is not None and other.commit == commit:
            found[name] = other.read
    return found
