"""Bytes of the API server to `LiveObject`: typed, only what decisions need, nothing that keeps a page's buffer alive.

Watches, surveys and the answers to applies go through `Decoder`. It reads `spec` and `status` only of the kinds whose
health needs them, and never of a Secret or a ConfigMap; of `kubectl apply`'s own annotation it keeps that it is there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import msgspec

from windlass.core.model import LiveObject, ManagedEntry, ObjectRef, Owner, Resource
from windlass.core.model.foreign import UNREADABLE
from windlass.ports import ClusterUnavailable

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

# Kinds of the built-in groups whose health is in spec and status.
WHOLE = frozenset(
    {
        ("", "Namespace"),
        ("", "PersistentVolumeClaim"),
        ("", "Pod"),
        ("", "Service"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("apps", "DaemonSet"),
        ("apps", "Deployment"),
        ("apps", "ReplicaSet"),
        ("apps", "StatefulSet"),
        ("autoscaling", "HorizontalPodAutoscaler"),
        ("batch", "CronJob"),
        ("batch", "Job"),
        ("networking.k8s.io", "Ingress"),
        ("policy", "PodDisruptionBudget"),
    }
)
NEVER = frozenset({("", "Secret"), ("", "ConfigMap")})
_BUILT_IN = frozenset({"", "apps", "autoscaling", "batch", "extensions", "policy"})

T = TypeVar("T", str, bytes)


def built_in(group: str) -> bool:
    """Whether a group is Kubernetes' own. `*.k8s.io` outside `kubernetes/kubernetes` (Gateway API) is not."""
    return group in _BUILT_IN or group in _K8S_IO


_K8S_IO = frozenset(
    f"{name}.k8s.io"
    for name in (
        "admissionregistration",
        "apiextensions",
        "apiregistration",
        "authentication",
        "authorization",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "flowcontrol.apiserver",
        "internal.apiserver",
        "networking",
        "node",
        "rbac.authorization",
        "resource",
        "scheduling",
        "storage",
        "storagemigration",
    )
)


def watched_whole(resource: Resource) -> bool:
    """Whether spec and status of this kind are kept: its health needs them, or nobody here knows what it needs."""
    kind = (resource.group, resource.kind)
    return kind not in NEVER and (kind in WHOLE or not built_in(resource.group))


class _Entry(msgspec.Struct, gc=False):
    manager: str = ""
    operation: str = ""
    subresource: str = ""
    time: str = ""
    apiVersion: str = ""  # noqa: N815 - the API's word
    fieldsV1: msgspec.Raw = msgspec.Raw()  # noqa: N815


class _Owner(msgspec.Struct, gc=False):
    apiVersion: str = ""  # noqa: N815
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class _Meta(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""  # noqa: N815
    generation: int = 0
    creationTimestamp: str | None = None  # noqa: N815
    deletionTimestamp: str | None = None  # noqa: N815
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    ownerReferences: list[_Owner] | None = None  # noqa: N815
    managedFields: list[msgspec.Raw] | None = None  # noqa: N815
    finalizers: list[str] | None = None


class _Object(msgspec.Struct, gc=False):
    metadata: _Meta


class _Whole(_Object, gc=False):
    spec: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()


class _Versioned(msgspec.Struct, gc=False):
    resourceVersion: str = ""  # noqa: N815


class _Bookmark(msgspec.Struct, gc=False):
    metadata: _Versioned


class _Identity(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""  # noqa: N815


class _Identified(msgspec.Struct, gc=False):
    metadata: _Identity


_IDENTIFIED = msgspec.json.Decoder(_Identified)
_META = msgspec.json.Decoder(_Object)
_WHOLE = msgspec.json.Decoder(_Whole)
_BOOKMARK = msgspec.json.Decoder(_Bookmark)
_ENTRY = msgspec.json.Decoder(_Entry)


def version_of(raw: msgspec.Raw | bytes) -> str:
    """The resourceVersion of an object. Raises UNREADABLE."""
    return _BOOKMARK.decode(raw).metadata.resourceVersion


def newer(version: str, than: str) -> bool | None:
    """Whether one resourceVersion comes after another; None where they are not numbers and nobody can tell."""
    try:
        return int(version) > int(than)
    except ValueError:
        return None


class Unreadable(ClusterUnavailable):
    """The API server sent what is no object: cut off, or not from an API server."""


class Decoder:
    """Decodes for one index, sharing equal strings and field sets between objects: most of them come from few hands."""

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._texts: dict[str, str] = {}
        self._fields: dict[bytes, bytes] = {}
        self._entries: dict[bytes, ManagedEntry] = {}

    def same(self, resource: Resource, raw: msgspec.Raw, held: Callable[[ObjectRef], LiveObject | None]) -> bool:
        """Whether what is held is this very state: most events of a watch are the echo of an answer to our own write.
        Raises Unreadable."""
        try:
            meta = _IDENTIFIED.decode(raw).metadata
        except UNREADABLE as error:
            raise Unreadable(f"a {resource.kind} of the API server is no object: {error}") from error
        found = held(ObjectRef(resource.group, resource.kind, meta.namespace, meta.name))
        return found is not None and (found.resource_version, found.uid) == (meta.resourceVersion, meta.uid)

    def live(self, resource: Resource, raw: msgspec.Raw | bytes, *, whole: bool) -> LiveObject:
        """One object. `whole` keeps spec and status. Raises Unreadable for what is no object."""
        try:
            return self._live(resource, raw, whole=whole)
        except UNREADABLE as error:  # its words name places and types, no values
            raise Unreadable(f"a {resource.kind} of the API server is no object: {error}") from error

    def stored(self, resource: Resource, raw: msgspec.Raw | bytes, *, whole: bool) -> LiveObject:
        """One object of a list or a watch: as it is stored, it has a name and a version. Raises Unreadable."""
        live = self.live(resource, raw, whole=whole)
        if not live.ref.name or not live.resource_version:
            raise Unreadable(f"a {resource.kind} of the API server has no name or no version")
        return live

    def _live(self, resource: Resource, raw: msgspec.Raw | bytes, *, whole: bool) -> LiveObject:
        if whole:
            found = _WHOLE.decode(raw)
            spec, status = bytes(found.spec) or None, bytes(found.status) or None
            meta = found.metadata
        else:
            spec = status = None
            meta = _META.decode(raw).metadata
        share = self._text
        annotations = meta.annotations or {}
        if LAST_APPLIED in annotations:  # of a Secret it holds the values; of the others it doubles the object
            annotations[LAST_APPLIED] = ""
        return LiveObject(
            ref=ObjectRef(resource.group, resource.kind, share(meta.namespace), meta.name),
            api_version=resource.api_version,
            uid=meta.uid,
            resource_version=meta.resourceVersion,
            generation=meta.generation,
            created=share(meta.creationTimestamp or ""),
            deleting=meta.deletionTimestamp is not None,
            labels=self._map(meta.labels),
            annotations=self._map(annotations),
            controller=self._controller(meta.ownerReferences),
            managed=tuple([self._entry(entry) for entry in meta.managedFields or ()]),
            finalizers=tuple([share(name) for name in meta.finalizers or ()]),
            spec=spec,
            status=status,
        )

    def _entry(self, raw: msgspec.Raw) -> ManagedEntry:
        """Of most events only one entry is new: what was read before is taken as it was."""
        key = bytes(raw)
        found = self._entries.get(key)
        if found is not None:
            return found
        entry = _ENTRY.decode(raw)
        share = self._text
        if len(self._entries) >= self._most // 10:
            self._entries.clear()
        made = self._entries[key] = ManagedEntry(
            share(entry.manager),
            share(entry.operation),
            share(entry.subresource),
            share(entry.time),
            share(entry.apiVersion),
            _shared(self._fields, bytes(entry.fieldsV1), self._most // 10),
        )
        return made

    def _controller(self, owners: list[_Owner] | None) -> Owner | None:
        for owner in owners or ():
            if owner.controller:
                return Owner(self._text(owner.apiVersion), self._text(owner.kind), owner.name, owner.uid)
        return None

    def _map(self, found: dict[str, str] | None) -> dict[str, str]:
        if not found:
            return {}
        share = self._text
        return {sys.intern(key): share(value) if len(value) < 64 else value for key, value in found.items()}

    def _text(self, text: str) -> str:
        return _shared(self._texts, text, self._most)


def _shared(pool: dict[T, T], value: T, most: int) -> T:
    """The equal value that was seen first. The pool is emptied when it is full: it saves memory and holds nothing."""
    found = pool.get(value)
    if found is not None:
        return found
    if len(pool) >= most:
        pool.clear()
    pool[value] = value
    return value
