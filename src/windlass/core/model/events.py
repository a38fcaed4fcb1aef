"""What happened, as the ledger keeps it: CloudEvents with a struct of data per type, in one vocabulary.

Flows make them through ``flows/record.py``, ``adapters/ledger`` writes and reads them, views and metrics are queries on
them. An event's id is made from what it tells, so that the same occurrence, told twice, is one event. Nothing here
redacts: whoever makes the data (``core/record``) has done so before, because Git forgets nothing.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from windlass.core.model.outside import Outside
from windlass.core.model.references import ObjectRef

PREFIX = "dev.windlass."
"""What the ``type`` of each event begins with; the word behind it is ``Data.kind``."""
SPEC = "1.0"


class Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What an event tells. A leaf sets ``kind``: the word of ``windlass log --kind``, and ``severe`` where it hurries.

    ``actor`` is who did it, as far as is known: a person who asked, the author of a commit, a field manager.
    """

    kind: ClassVar[str] = ""
    severe: ClassVar[bool] = False

    actor: str = ""
    team: str = ""


class Commit(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One commit, as evidence. ``time`` is the committer's. ``signer`` where a signature was verified. ``approvals``
    are people whom its message names as having approved it: a claim of whoever wrote it."""

    id: str
    subject: str = ""
    author: str = ""
    email: str = ""
    time: str = ""
    signer: str = ""
    approvals: tuple[str, ...] = ()


class PlannedChange(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One line of a plan that does something."""

    action: str
    object: str
    why: str = ""
    file: str = ""
    line: int = 0


class RecordedOutcome(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What became of one object. Unchanged ones are counted and not listed."""

    object: str
    result: str
    message: str = ""
    mend: str = ""
    file: str = ""
    line: int = 0


class Planned(Data, frozen=True):
    """A plan, recorded before anything is touched: where a kill leaves no outcome, this still tells the intent."""

    kind: ClassVar[str] = "planned"

    commit: str
    repository: str = ""
    counts: dict[str, int] = {}
    changes: list[PlannedChange] = []


class Applied(Data, frozen=True):
    """What a sync came to. ``result``: "applied", "partly applied" (some failed or were refused), "waits" (for the
    health of a wave), "applied in part" (one object was asked for).

    ``commits`` led from ``previous`` to ``commit`` and touched what this Application reads, newest first. ``pinned``:
    the commit is that of ``source.at``. ``outside`` is what it got that is not in the commit; None where that was not
    noted, as by versions before this field. ``health`` is what it was as the sync ended. ``resumed``: the plan is of a
    process before. ``fetched``: when the commit was first seen.
    """

    kind: ClassVar[str] = "applied"

    commit: str
    result: str
    previous: str = ""
    repository: str = ""
    path: str = ""
    pinned: bool = False
    request: str = ""
    counts: dict[str, int] = {}
    outcomes: list[RecordedOutcome] = []
    commits: list[Commit] = []
    health: str = ""
    seconds: float = 0.0
    fetched: str = ""
    resumed: bool = False
    outside: Outside | None = None


class Refused(Data, frozen=True):
    """A sync that was not carried out: a bad manifest, a plan that is blocked, rights that lack. ``passing`` where it
    may work by itself later."""

    kind: ClassVar[str] = "refused"

    commit: str = ""
    reason: str = ""
    message: str = ""
    mend: str = ""
    passing: bool = False


class HealthChanged(Data, frozen=True):
    """The health of the whole Application became another. ``seconds`` is how long it was as it was."""

    kind: ClassVar[str] = "health"

    health: str
    was: str = ""
    message: str = ""
    commit: str = ""
    seconds: float = 0.0


class DriftOpened(Data, frozen=True):
    """Somebody changed a live object. Values are shown or digests, as ``core/record`` decides."""

    kind: ClassVar[str] = "drift"

    object: str
    field: str
    cause: str
    response: str
    desired: Any = None
    live: Any = None
    manager: str = ""
    operation: str = ""
    since: str = ""


class DriftClosed(Data, frozen=True):
    """A difference is gone. ``how``: "put back" (by us), "gone" (by whoever made it, or Git says the same now). It ends
    the one that stands open of the same Application, object and field."""

    kind: ClassVar[str] = "drift-closed"

    object: str
    field: str
    how: str


class Warned(Data, frozen=True):
    """A Kubernetes Warning event about a managed object, or about a Pod behind one. ``count`` as it tells itself."""

    kind: ClassVar[str] = "warning"

    object: str
    reason: str
    message: str = ""
    about: str = ""
    count: int = 1


class Alerted(Data, frozen=True):
    """An alert of the monitoring, fired or resolved, received from Alertmanager."""

    kind: ClassVar[str] = "alert"
    severe: ClassVar[bool] = True

    name: str
    status: str
    fingerprint: str = ""
    labels: dict[str, str] = {}
    summary: str = ""
    starts: str = ""
    ends: str = ""


class Fetched(Data, frozen=True):
    """A Repository's ref came to another commit, which is followed."""

    kind: ClassVar[str] = "fetched"

    commit: Commit
    previous: str = ""
    changed: int = 0


class Held(Data, frozen=True):
    """A Repository's ref came to a commit that is not followed: its history was rewritten, or the commit is not signed
    by who may."""

    kind: ClassVar[str] = "held"
    severe: ClassVar[bool] = True

    commit: str
    held: str
    message: str = ""


class ImageMoved(Data, frozen=True):
    """An image policy wrote a tag into Git, or holds one that a person reverted (``result``: "taken", "held").

    ``was`` are the tags that stood there, ``revision`` and ``link`` what the image says of where it comes from.
    ``verified`` where a signature was asked for and is good. ``intent`` is the commit's ``Intent-Id``. What led to the
    commit, in ISO times: ``built`` as the image says, ``seen`` when the registry first told of it (``by``: "push hook",
    "request", "poll", or "start" where it was there when the controller began to look), ``decided`` when it was chosen
    and all that had to be checked was.
    """

    kind: ClassVar[str] = "image"

    policy: str
    image: str
    tag: str
    result: str
    digest: str = ""
    was: list[str] = []
    commit: str = ""
    files: list[str] = []
    repository: str = ""
    revision: str = ""
    link: str = ""
    verified: bool = False
    why: str = ""
    intent: str = ""
    built: str = ""
    seen: str = ""
    by: str = ""
    decided: str = ""


class Requested(Data, frozen=True):
    """A person's command that reached the cluster. ``actor`` is whom the request names: the API server let somebody
    write it who has the verb ``sync``, and no more is known."""

    kind: ClassVar[str] = "requested"

    verb: str
    request: str = ""


class RolledBack(Data, frozen=True):
    """An Application is pinned at a commit (``source.at``) since the controller saw it. ``commit``: the pin's own,
    where the controller made it (``automatic``) or its trailers tell; then ``actor`` is its author."""

    kind: ClassVar[str] = "rolled-back"
    severe: ClassVar[bool] = True

    pins: str
    was: str = ""
    commit: str = ""
    automatic: bool = False
    reason: str = ""


class RolledForward(Data, frozen=True):
    """The pin was taken out: the Application follows its branch again. ``commit``, ``actor`` and ``reason`` as with
    the pin."""

    kind: ClassVar[str] = "rolled-forward"

    was: str
    commit: str = ""
    reason: str = ""


class GlassBroken(Data, frozen=True):
    """An Application was pinned in the cluster, without Git, and what became of it. ``what``: pinned, refused,
    committed (by ``revision``), unrecorded (it could not be committed), replaced, expired, let go. ``actor`` is who
    did it, as the API server knows them; ``was`` the commit that ran."""

    kind: ClassVar[str] = "break-glass"

    what: str
    commit: str = ""
    was: str = ""
    until: str = ""
    reason: str = ""
    revision: str = ""
    why: str = ""


class ExceptionHeld(Data, frozen=True):
    """An exception (``what``: suspend, freeze, ignore) holds, as Git says. ``actor`` is whose word it is."""

    kind: ClassVar[str] = "exception"

    what: str
    until: str
    reason: str = ""


class ExceptionEnded(Data, frozen=True):
    """An exception holds no longer: its time is over, or it was taken out before (``early``)."""

    kind: ClassVar[str] = "exception-ended"

    what: str
    until: str
    early: bool = False


class Lost(Data, frozen=True):
    """Events that could not be kept: the queue was full, or the disk. The ledger says so itself, by counts per kind."""

    kind: ClassVar[str] = "lost"
    severe: ClassVar[bool] = True

    count: int
    first: str
    last: str
    counts: dict[str, int] = {}
    why: str = ""


class Rewritten(Data, frozen=True):
    """The ref of the ledger was moved by somebody: ``tip``, which was pushed before, is not in its history any more.
    ``kept`` is a ref on the same remote under which the old history was put again."""

    kind: ClassVar[str] = "rewritten"
    severe: ClassVar[bool] = True

    ref: str
    tip: str
    found: str = ""
    kept: str = ""


class Other(Data, frozen=True):
    """An event of a newer version, or of another program: kept as it is."""

    kind: ClassVar[str] = "other"

    content: msgspec.Raw = msgspec.Raw(b"{}")


KINDS: dict[str, type[Data]] = {
    one.kind: one
    for one in (
        Planned,
        Applied,
        Refused,
        HealthChanged,
        DriftOpened,
        DriftClosed,
        Warned,
        Alerted,
        Fetched,
        Held,
        ImageMoved,
        Requested,
        RolledBack,
        RolledForward,
        GlassBroken,
        ExceptionHeld,
        ExceptionEnded,
        Lost,
        Rewritten,
    )
}
"""The vocabulary. A kind that is not here was never written by this version."""


class Event(msgspec.Struct, frozen=True):
    """One CloudEvent. ``subject`` is the Application as ``<namespace>/<name>``, ``Repository/<namespace>/<name>`` for
    what happens to a Repository, and "" for what concerns the whole cluster. ``time`` is UTC, in milliseconds."""

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Data
    severe: bool = False

    @property
    def kind(self) -> str:
        return self.type.removeprefix(PREFIX)

    @property
    def when(self) -> datetime:
        return datetime.fromisoformat(self.time)

    @property
    def actor(self) -> str:
        return self.data.actor


class _Wire(msgspec.Struct, frozen=True, rename={"data_type": "datacontenttype"}):
    """The envelope as it is written: CloudEvents' attributes, and ``severity`` as an extension of our own."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    severity: str
    data: msgspec.Raw
    data_type: str = "application/json"


class _Read(msgspec.Struct, frozen=True):
    """The same, as far as it has to be there to be read."""

    id: str
    source: str
    type: str
    specversion: str
    subject: str = ""
    time: str = ""
    severity: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


_ENCODER = msgspec.json.Encoder(order="deterministic")
_READER = msgspec.json.Decoder(_Read)
_DECODERS = {word: msgspec.json.Decoder(one) for word, one in KINDS.items()}


def make(cluster: str, subject: str, data: Data, when: datetime, *, key: str = "", severe: bool = False) -> Event:
    """An event of this cluster. ``key`` names an occurrence that may be told more than once (a Kubernetes Event with
    its count, a commit that was fetched): its id is made from that alone. Without it the id is made from the whole of
    what is told and when."""
    source, type_ = f"/clusters/{cluster}", PREFIX + data.kind
    time = stamp(when)
    told = key.encode() if key else time.encode() + b"\0" + _ENCODER.encode(data)
    digest = hashlib.blake2b(digest_size=12)
    for part in (source, type_, subject):
        digest.update(part.encode() + b"\0")
    digest.update(told)
    return Event(digest.hexdigest(), source, type_, subject, time, data, severe or data.severe)


def encode(event: Event) -> bytes:
    """One line, with its end."""
    raw = event.data.content if isinstance(event.data, Other) else msgspec.Raw(_ENCODER.encode(event.data))
    wire = _Wire(
        SPEC, event.id, event.source, event.type, event.subject, event.time, "severe" if event.severe else "normal", raw
    )
    return _ENCODER.encode(wire) + b"\n"


def decode(line: bytes) -> Event:
    """Reads a line. Data of a kind that is not known, or that does not read as its kind, becomes Other: a ledger that
    a newer version wrote is read as far as can be. Raises ValueError for what is no CloudEvent."""
    try:
        return _decoded(line)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _decoded(line: bytes) -> Event:
    read = _READER.decode(line)
    if read.specversion != SPEC or not read.id:
        raise ValueError("is not a CloudEvent of version 1.0")
    decoder = _DECODERS.get(read.type.removeprefix(PREFIX)) if read.type.startswith(PREFIX) else None
    try:
        data: Data = decoder.decode(read.data) if decoder is not None else Other(content=msgspec.Raw(bytes(read.data)))
    except msgspec.ValidationError:
        data = Other(content=msgspec.Raw(bytes(read.data)))
    return Event(read.id, read.source, read.type, read.subject, read.time, data, read.severity == "severe")


def stamp(when: datetime) -> str:
    """``2026-11-28T14:21:02.123Z``."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def object_word(ref: ObjectRef) -> str:
    """``Deployment.apps/shop/web``; ``Namespace/shop`` where it has no namespace."""
    kind = f"{ref.kind}.{ref.group}" if ref.group else ref.kind
    return f"{kind}/{ref.namespace}/{ref.name}" if ref.namespace else f"{kind}/{ref.name}"


def object_of(word: str) -> ObjectRef:
    """``object_word`` read back. ValueError for what is none."""
    parts = word.split("/")
    if len(parts) not in (2, 3):
        raise ValueError(f"{word!r} does not name an object")
    kind, _, group = parts[0].partition(".")
    return ObjectRef(group, kind, parts[1] if len(parts) == 3 else "", parts[-1])
