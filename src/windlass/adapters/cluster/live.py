"""The live index: what the cluster has of ours, kept by watches. Implements `ports.LiveIndex`.

`watch.py` feeds it, flows read it and listen to it. It never lets an older state replace a newer one, whichever way
they arrive (watch, list, the answer to a write), nor takes silence for absence: `synced` says what it can vouch for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from windlass.adapters.cluster.decode import newer
from windlass.core.model import LiveObject, ObjectRef, Resource
from windlass.errors import WindlassError
from windlass.ports import LiveChange

LABEL = "windlass.dev/application"
SILENCE = 150.0  # seconds without a byte after which a watch is dropped and opened anew; bookmarks come each minute
VOUCHED = SILENCE + 30.0  # seconds since the last sign of life for which a kind still counts as synced
_NOTHING: Mapping[ObjectRef, LiveObject] = {}


@dataclass
class _Kind:
    resource: Resource
    objects: dict[ObjectRef, LiveObject] = field(default_factory=dict)
    listed: bool = False
    heard: float = float("-inf")
    version: str = ""  # up to where the watch's stream is known to have been taken in
    trouble: WindlassError | None = None


class Index:
    """`ports.LiveIndex`, and what `watch.py` feeds it with. For one event loop; nothing of it waits."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._labelled: dict[str, dict[ObjectRef, LiveObject]] = {}
        self._listeners: list[Callable[[LiveChange], None]] = []

    # --- what flows read ---

    def get(self, ref: ObjectRef) -> LiveObject | None:
        kind = self._kinds.get((ref[0], ref[1]))
        return kind.objects.get(ref) if kind is not None else None

    def of(self, application: str) -> Mapping[ObjectRef, LiveObject]:
        return self._labelled.get(application, _NOTHING)

    def watched(self) -> Sequence[Resource]:
        return [kind.resource for kind in self._kinds.values()]

    def synced(self, group: str, kind: str) -> bool:
        found = self._kinds.get((group, kind))
        return found is not None and found.listed and self._monotonic() - found.heard <= VOUCHED

    def trouble(self, group: str, kind: str) -> WindlassError | None:
        found = self._kinds.get((group, kind))
        return found.trouble if found is not None else None

    def listen(self, callback: Callable[[LiveChange], None]) -> None:
        self._listeners.append(callback)

    def observed(self, live: LiveObject) -> None:
        kind = self._kinds.get((live.ref.group, live.ref.kind))
        if kind is None:
            return  # not watched: nobody would ever take it out again
        held = kind.objects.get(live.ref)
        if held is None:
            # The stream is in order: a write that it has passed, of an object that is not held, was deleted since.
            if kind.version and newer(live.resource_version, kind.version) is False:
                return
        elif not _after(live, held):
            return
        self._set(kind, live if LABEL in live.labels else None, live.ref)

    def __len__(self) -> int:
        return sum(len(kind.objects) for kind in self._kinds.values())

    # --- what watches feed ---

    def open(self, resource: Resource) -> None:
        """From now on this kind is watched, in this version."""
        found = self._kinds.get((resource.group, resource.kind))
        if found is None:
            self._kinds[(resource.group, resource.kind)] = _Kind(resource)
        else:
            found.resource = resource

    def take(self, resource: Resource, live: LiveObject, *, replayed: bool) -> None:
        """A state from a list or a watch event, with our label. Older and equal ones are passed over in silence."""
        kind = self._kind(resource)
        held = kind.objects.get(live.ref)
        if held is not None and not _after(live, held):
            return
        self._set(kind, live, live.ref)
        self._tell(LiveChange(live.ref, held, live, replayed))

    def drop(self, resource: Resource, ref: ObjectRef, version: str, *, replayed: bool = False) -> None:
        """A deletion (or the label's) at a resourceVersion. One that is older than what is held came too late."""
        kind = self._kind(resource)
        held = kind.objects.get(ref)
        if held is None or newer(held.resource_version, version):
            return
        self._set(kind, None, ref)
        self._tell(LiveChange(ref, held, None, replayed))

    def listed(self, resource: Resource, seen: set[ObjectRef], version: str) -> Iterable[ObjectRef]:
        """Ends a list of this version, which named `seen`. Returns what is held and was not named, for `drop`."""
        kind = self._kind(resource)
        kind.listed = True
        self.passed(resource, version)
        return [ref for ref in kind.objects if ref not in seen]

    def passed(self, resource: Resource, version: str) -> None:
        """The stream is taken in up to here: a sign of life."""
        kind = self._kind(resource)
        kind.heard = self._monotonic()
        kind.trouble = None
        if version:
            kind.version = version

    def troubled(self, resource: Resource, error: WindlassError) -> None:
        """The watch does not work now. What is held stays; `synced` runs out by itself."""
        self._kind(resource).trouble = error

    def gone(self, resource: Resource) -> None:
        """The cluster surely serves this kind no more: its objects are gone with it."""
        kind = self._kind(resource)
        kind.listed = False
        kind.version = ""
        for ref, held in list(kind.objects.items()):
            self._set(kind, None, ref)
            self._tell(LiveChange(ref, held, None, replayed=True))

    # --- inside ---

    def _kind(self, resource: Resource) -> _Kind:
        return self._kinds[(resource.group, resource.kind)]

    def _set(self, kind: _Kind, live: LiveObject | None, ref: ObjectRef) -> None:
        held = kind.objects.get(ref)
        name = live.labels[LABEL] if live is not None else None
        if held is not None and (before := held.labels[LABEL]) != name:
            objects = self._labelled[before]
            del objects[ref]
            if not objects:
                del self._labelled[before]
        if live is None or name is None:
            kind.objects.pop(ref, None)
            return
        kind.objects[ref] = live
        self._labelled.setdefault(name, {})[ref] = live

    def _tell(self, change: LiveChange) -> None:
        for callback in self._listeners:
            callback(change)


def _after(live: LiveObject, held: LiveObject) -> bool:
    """Whether `live` is a later state than `held`. Where versions are no numbers, the last to arrive is the later."""
    if live.resource_version == held.resource_version:
        return live.uid != held.uid
    return newer(live.resource_version, held.resource_version) is not False
