"""What the cluster has: of each object only what decisions need, as the API server told it last."""

from __future__ import annotations

import msgspec

from windlass.core.model.references import ObjectRef


class ManagedEntry(msgspec.Struct, frozen=True, gc=False):
    """One entry of ``managedFields``. ``fields`` is the fieldsV1 JSON as bytes, parsed only when it is looked at."""

    manager: str
    operation: str
    subresource: str
    time: str
    api_version: str
    fields: bytes


class Owner(msgspec.Struct, frozen=True, gc=False):
    """The controller among the owner references."""

    api_version: str
    kind: str
    name: str
    uid: str


class LiveObject(msgspec.Struct, frozen=True, gc=False):
    """One live object. ``labels`` and ``annotations`` are whole; ``spec`` and ``status`` are JSON bytes where the kind
    is watched whole (its health needs them), None where only metadata is watched: Secret values never get here.
    """

    ref: ObjectRef
    api_version: str
    uid: str
    resource_version: str
    generation: int
    created: str
    deleting: bool
    labels: dict[str, str]
    annotations: dict[str, str]
    controller: Owner | None
    managed: tuple[ManagedEntry, ...]
    finalizers: tuple[str, ...] = ()
    spec: bytes | None = None
    status: bytes | None = None

    def applied_by(self, manager: str) -> ManagedEntry | None:
        """The Apply entry of a manager on the main resource, the one that owns what it applied."""
        for entry in self.managed:
            if entry.manager == manager and entry.operation == "Apply" and not entry.subresource:
                return entry
        return None
