"""A Protocol for each outside that has two implementations or needs a fake, with its error contract.

``flows`` reach the outside through these; ``adapters`` implement them; ``app.py`` puts them together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, ClassVar, Protocol

import msgspec
from typing_extensions import override

from windlass.core.kinds.rendering import Render
from windlass.core.model import LiveObject, ObjectRef, Rendered, Resource
from windlass.core.model.events import Event
from windlass.errors import NeedsHuman, TryLater, WindlassError
from windlass.ports.people import Destination as Destination
from windlass.ports.people import Notifier as Notifier
from windlass.ports.registries import ChartFound as ChartFound
from windlass.ports.registries import Charts as Charts
from windlass.ports.registries import ChartUnverified as ChartUnverified
from windlass.ports.registries import ChartWanted as ChartWanted
from windlass.ports.registries import ImageFacts as ImageFacts
from windlass.ports.registries import Images as Images
from windlass.ports.registries import ImageWanted as ImageWanted
from windlass.ports.registries import SignedClaim as SignedClaim

# --- the cluster ----------------------------------------------------------------------------------------------------


class ClusterUnavailable(TryLater):
    """The API server did not answer, answered 5xx, or throttled. Whether a write arrived is not known."""

    slug: ClassVar[str] = "cluster-unavailable"
    reason: ClassVar[str] = "ClusterUnavailable"


class WriteConflict(TryLater):
    """409 on a precondition: the object is not the one that was looked at. Look again."""

    slug: ClassVar[str] = "write-conflict"
    reason: ClassVar[str] = "WriteConflict"


class FieldConflict(NeedsHuman):
    """409 of a server-side apply: ``managers`` to the fields that they own."""

    slug: ClassVar[str] = "field-conflict"
    reason: ClassVar[str] = "FieldConflict"

    def __init__(self, what: str, managers: Mapping[str, Sequence[str]]) -> None:
        super().__init__(what)
        self.managers = dict(managers)


class ObjectRejected(NeedsHuman):
    """The API server says that the object is wrong: 400, 422, or 500 of a typed patch. ``fields``: what it named."""

    slug: ClassVar[str] = "object-rejected"
    reason: ClassVar[str] = "ObjectRejected"

    def __init__(self, what: str, fields: Sequence[str] = (), *, immutable: bool = False, hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.fields = tuple(fields)
        self.immutable = immutable


class NotAllowed(NeedsHuman):
    """401 or 403: the account may not do this."""

    slug: ClassVar[str] = "not-allowed"
    reason: ClassVar[str] = "NotAllowed"


class ObjectMissing(TryLater):
    """404: the object, its namespace, or the whole resource is not there."""

    slug: ClassVar[str] = "object-missing"
    reason: ClassVar[str] = "ObjectMissing"


class KindUnknown(TryLater):
    """The cluster serves no such kind now (its CRD may come), or discovery was partial and cannot tell:
    then ``partial`` is True, and its objects may be there."""

    slug: ClassVar[str] = "kind-unknown"
    reason: ClassVar[str] = "KindUnknown"
    partial = False


class NamespaceTerminating(TryLater):
    """The namespace is going away: nothing can be created in it until it is gone."""

    slug: ClassVar[str] = "namespace-terminating"
    reason: ClassVar[str] = "NamespaceTerminating"


class WebhookDenied(NeedsHuman):
    """Admission said no: a webhook, a policy, Pod Security, a quota."""

    slug: ClassVar[str] = "webhook-denied"
    reason: ClassVar[str] = "WebhookDenied"


class LeadershipLost(TryLater):
    """Another controller leads, or this one can no longer be sure that it does: nothing was written."""

    slug: ClassVar[str] = "leadership-lost"
    reason: ClassVar[str] = "LeadershipLost"


class ApplyRequest(msgspec.Struct, frozen=True):
    """One server-side apply. ``user`` impersonates (empty: the controller itself). ``uid`` and ``resource_version``
    are preconditions, written into the sent metadata; empty ones are left out. Always ``fieldValidation=Strict``.
    """

    resource: Resource
    ref: ObjectRef
    body: bytes
    manager: str
    user: str = ""
    force: bool = False
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False


class ApplyAnswer(msgspec.Struct, frozen=True):
    """``created`` by the status code; ``live`` as watched; ``content`` the whole answered object for comparing;
    ``warnings`` the API server's own words (a deprecated version, a value it doubts), each of bounded length."""

    created: bool
    live: LiveObject
    content: dict[str, Any]
    warnings: tuple[str, ...] = ()


class LiveChange(msgspec.Struct, frozen=True):
    """One step of the live index: ADDED has no ``old``, DELETED (or unlabelled) no ``new``. ``replayed`` is True for
    steps found by a list after a gap, where times and order are not those of the writes."""

    ref: ObjectRef
    old: LiveObject | None
    new: LiveObject | None
    replayed: bool = False


class LiveIndex(Protocol):
    """What is live and carries our label, kept by watches. Reading is synchronous and costs a dictionary look-up."""

    def get(self, ref: ObjectRef) -> LiveObject | None: ...

    def of(self, application: str) -> Mapping[ObjectRef, LiveObject]:
        """The objects whose label ``windlass.dev/application`` has this value. A view: do not change, do not keep."""
        ...

    def watched(self) -> Sequence[Resource]: ...

    def synced(self, group: str, kind: str) -> bool:
        """True when the kind is watched, its first list is in, and its watch has not been silent past its bound."""
        ...

    def trouble(self, group: str, kind: str) -> WindlassError | None:
        """Why the kind is not being watched right now (403, gone, unreachable), None when nothing is wrong."""
        ...

    def listen(self, callback: Callable[[LiveChange], None]) -> None:
        """Calls back on the event loop for each step, in order, after the index was changed. Must not block."""
        ...

    def observed(self, live: LiveObject) -> None:
        """Takes an object from the answer to our own write in, if it is newer, without a callback."""
        ...


class Cluster(Protocol):
    """A Kubernetes cluster. Every method raises the errors above and no others."""

    @property
    def live(self) -> LiveIndex: ...

    async def facts(self) -> ClusterFacts:
        """What charts may ask about the cluster. Asked for again when a CRD came or went, the version every while."""
        ...

    async def resource(self, api_version: str, kind: str) -> Resource:
        """How the cluster serves this kind. Raises KindUnknown; asks discovery again at most every few seconds."""
        ...

    async def watch(self, resource: Resource) -> None:
        """Has the labelled objects of this kind in the live index from now on; returns after the first list.

        Raises what stands in the way of that list; the watch goes on trying by itself, so ask again later."""
        ...

    async def apply(self, request: ApplyRequest) -> ApplyAnswer: ...

    async def delete(
        self, resource: Resource, ref: ObjectRef, *, uid: str, resource_version: str = "", user: str = ""
    ) -> None:
        """Deletes in the background with uid and, where given, resourceVersion as preconditions. Gone already is no
        error."""
        ...

    async def read(self, resource: Resource, ref: ObjectRef, *, user: str = "") -> dict[str, Any] | None:
        """The whole object, or None."""
        ...

    async def look(self, resource: Resource, ref: ObjectRef) -> LiveObject | None:
        """One object's metadata, labelled or not, or None."""
        ...

    async def survey(self, resource: Resource, namespace: str = "") -> Mapping[ObjectRef, LiveObject]:
        """One metadata LIST of all objects, labelled or not. Calls that overlap share one request."""
        ...

    async def patch(
        self,
        resource: Resource,
        ref: ObjectRef,
        patch: object,
        *,
        form: str,
        manager: str,
        subresource: str = "",
        user: str = "",
    ) -> dict[str, Any]:
        """``form`` is "merge" or "json". Returns the object."""
        ...

    async def create(self, resource: Resource, namespace: str, content: object, *, manager: str) -> dict[str, Any]: ...

    async def select(
        self, resource: Resource, namespace: str, *, labels: str = "", fields: str = "", limit: int = 0
    ) -> list[dict[str, Any]]:
        """A LIST of whole objects by selector."""
        ...

    async def pod_log(self, namespace: str, pod: str, container: str, *, previous: bool = False, lines: int = 1) -> str:
        """The last lines of a container's log, of its run before where ``previous``; at most 64 KiB. Foreign text.

        Raises ObjectRejected where there was no such run, ObjectMissing where the pod is gone, ClusterUnavailable where
        its node does not answer."""
        ...

    def follow(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        name: str = "",
        metadata: bool = False,
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Whole objects, or their metadata alone, of a few by selectors or of one by its name:
        ("ADDED"|"MODIFIED"|"DELETED", object), then ("SYNCED", {}) after the first list; relists by itself and sends
        what differs; ends only when cancelled."""
        ...


class Leadership(Protocol):
    """Which of several controllers may write. Each write of the cluster asks ``held`` once more as it is sent."""

    def held(self) -> bool:
        """True while no other controller can have taken over, by the monotonic clock: false after a pause at once."""
        ...

    @property
    def doubt(self) -> bool:
        """True from a renewal that failed until one that worked: writes then carry their resourceVersion."""
        ...

    @property
    def term(self) -> int:
        """Counts the times that this process came to lead: what was decided in an older term is decided again."""
        ...


# --- the ledger -----------------------------------------------------------------------------------------------------


class LedgerPlace(msgspec.Struct, frozen=True):
    """Where the ledger goes: a Repository that is written with ``secret`` (its decoded keys), as whom, signed with
    which private key."""

    repository: str
    url: str
    secret: Mapping[str, bytes]
    name: str
    email: str
    signing: bytes = b""

    @override
    def __repr__(self) -> str:
        return f"LedgerPlace({self.repository})"


class Ledger(Protocol):
    """The record of what happened: events on disk at once, and in Git soon. Raises nothing: what stands in the way is
    told by ``trouble``, and what could not be kept is counted and becomes an event itself."""

    def record(self, event: Event) -> None:
        """Keeps an event: a kill after this loses nothing. One whose id is known is not kept twice."""
        ...

    @property
    def unfinished(self) -> dict[str, str]:
        """Subject to commit of the plans for which a process before this one told no outcome. Taken out when used."""
        ...

    def aim(self, place: LedgerPlace | None, interval: float, last: tuple[str, str] = ("", "")) -> None:
        """Where to push from now on, and how long after an event at most (a severe one goes at once). None: nowhere,
        events wait on disk. The same place again changes nothing. ``last``: the ref and tip that are known from outside
        Git, by which a ref that was rewritten is noticed."""
        ...

    async def recall(self) -> None:
        """Takes in what was pushed lately, so that nothing is told twice after a start: from this disk, or from the
        remote where nothing is here."""
        ...

    @property
    def size(self) -> int:
        """Bytes that wait to be pushed."""
        ...

    @property
    def held(self) -> int:
        """Bytes of those that are in memory only, because the disk takes none: a kill loses them."""
        ...

    @property
    def tip(self) -> tuple[str, str]:
        """Ref and commit of the last push that is known to have arrived, ("", "") before the first."""
        ...

    @property
    def trouble(self) -> WindlassError | None:
        """Why events do not reach Git, or the disk, right now; None when nothing is wrong."""
        ...


# --- rendering, time ------------------------------------------------------------------------------------------------


class ClusterFacts(msgspec.Struct, frozen=True):
    """What a chart may ask about the cluster: its version ("v1.36.3", "" where no cluster is asked), and what it
    serves, sorted, as ``<group>/<version>`` and ``<group>/<version>/<Kind>``."""

    version: str = ""
    api_versions: tuple[str, ...] = ()


class OtherSource(msgspec.Struct, frozen=True):
    """A further repository that a render may read: its name, the folder of its Git objects, the commit."""

    repository: str
    folder: str
    commit: str


class ClusterValues(msgspec.Struct, frozen=True):
    """What was read from the cluster for a render: "ConfigMap/<name>" or "Secret/<name>" to its keys and their bytes.
    Its text tells only the names."""

    objects: dict[str, dict[str, bytes]] = {}

    @override
    def __repr__(self) -> str:
        return f"ClusterValues({', '.join(sorted(self.objects))})"

    __str__ = __repr__


class RenderRequest(msgspec.Struct, frozen=True):
    """What a render is a function of. ``folder`` holds the Git objects; ``namespace`` is the destination that fills in
    objects without one; ``digest_key`` keys the digests of Secrets. ``namespaced`` tells for kinds outside the built-in
    table whether they are namespaced: "<group>/<kind>" to bool, as the cluster and CRDs in the render say.
    ``settings`` is ``spec.render`` of the Application; ``others`` are further repositories by the name that it gives
    them; ``values`` what it names of the cluster; ``chart`` the chart of ``source.chart``; ``facts`` the cluster's;
    ``given`` values of a chart from the command line, each with its name, over all others; ``helm`` the program that
    renders charts, "" for the library; ``fetched`` are charts that a chart of the folder wants, each for one
    ``wanted``."""

    folder: str
    commit: str
    repository: str
    path: str
    application: str
    label: str
    namespace: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    digest_key: bytes = b""
    namespaced: dict[str, bool] = {}
    settings: Render = Render()
    others: dict[str, OtherSource] = {}
    values: ClusterValues = ClusterValues()
    chart: ChartFound | None = None
    facts: ClusterFacts = ClusterFacts()
    given: tuple[tuple[str, bytes], ...] = ()
    helm: str = ""
    wanted: tuple[ChartWanted, ...] = ()
    fetched: tuple[ChartFound, ...] = ()


class Renderer(Protocol):
    """Turns a folder at a commit into objects, in a process of its own. What is wrong with the input comes back in
    ``Rendered.problems``; a render that was stopped (time, memory) raises NeedsHuman; a lost worker TryLater."""

    async def render(self, request: RenderRequest) -> Rendered: ...

    def touches(self, changed: Iterable[str]) -> set[str]:
        """The names, as they stand in traces, that a change of these paths may touch: a render that read one of them
        may come out differently."""
        ...


class Tracer(Protocol):
    """Spans for people who trace: nested by the call, ended by leaving the block. Costs nothing where nobody does."""

    def span(self, name: str, **attributes: str | int | float) -> AbstractContextManager[object]: ...


class Clock(Protocol):
    """``now`` is UTC; ``monotonic`` is seconds from an arbitrary start and never jumps."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...
