"""A small API server in memory for the workload tests: the `Api` protocol and the strategies, nothing else. Held to
``test_contract``.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from windlass.adapters.host.clock import SystemClock
from windlass.devstack.apiserver import errors
from windlass.devstack.workloads import selectors
from windlass.devstack.workloads.api import ApiError, Change, timestamp
from windlass.devstack.workloads.strategy import Strategies

Object = dict[str, Any]
CLUSTER_WIDE = {
    "namespaces",
    "nodes",
    "persistentvolumes",
    "storageclasses",
    "clusterroles",
    "priorityclasses",
    "widgetpools",
}


def _split(resource: str) -> tuple[str, str]:
    parts = resource.split("/")
    return (parts[0] if len(parts) == 3 else ""), parts[-1]


def _translated(error: errors.ApiError) -> ApiError:
    return ApiError(error.code, error.message, error.reason)


class MemoryApi:
    """Implements `Api`."""

    def __init__(self) -> None:
        self.shelves: dict[str, dict[tuple[str, str], Object]] = {}
        self.version = 0
        self.listeners: list[tuple[Collection[str] | None, asyncio.Queue[Change]]] = []
        self.clock = SystemClock()
        self.writes: list[tuple[str, str, str, str]] = []
        self.refuse: dict[str, str] = {}
        self.strategies = Strategies(
            find=lambda resource, space, name: self.shelves.get(resource, {}).get((space or "", name)),
            every=lambda resource: list(self.shelves.get(resource, {}).values()),
        )

    def resources(self) -> list[str]:
        return list(self.shelves)

    async def get(self, resource: str, namespace: str | None, name: str) -> Object | None:
        return self.shelves.get(resource, {}).get((namespace or "", name))

    async def list(self, resource: str, namespace: str | None = None, selector: Mapping[str, str] | None = None) -> Any:
        return [
            obj
            for (space, _), obj in self.shelves.get(resource, {}).items()
            if (namespace is None or space == namespace)
            and selectors.matches_map(selector or {}, obj["metadata"].get("labels") or {})
        ]

    def _store(self, kind: Any, resource: str, obj: Object, old: Object | None) -> Object:
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        key = (obj["metadata"].get("namespace") or "", obj["metadata"]["name"])
        if kind == "DELETED":
            del self.shelves[resource][key]
        else:
            self.shelves.setdefault(resource, {})[key] = obj
        for wanted, queue in self.listeners:
            if wanted is None or resource in wanted:
                queue.put_nowait(Change(kind, resource, obj, old))
        return obj

    async def create(self, resource: str, obj: Object, *, manager: str) -> Object:
        group, plural = _split(resource)
        if resource in self.refuse:
            raise ApiError(403, self.refuse[resource], "Forbidden")
        metadata = dict(obj["metadata"])
        if not metadata.get("name"):
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        key = (metadata.get("namespace") or "", metadata["name"])
        if key in self.shelves.get(resource, {}):
            raise ApiError(409, f'{plural} "{key[1]}" already exists', "AlreadyExists")
        space = self.shelves.get("v1/namespaces", {}).get(("", key[0]))
        if space is not None and space["metadata"].get("deletionTimestamp"):
            raise ApiError(
                403, f"unable to create new content in namespace {key[0]} because it is being terminated", "Forbidden"
            )
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = timestamp(self.clock.now())
        new = self.strategies.apply_defaults(resource, {**obj, "metadata": metadata})
        try:
            new = self.strategies.prepare_for_create(resource, new)
        except errors.ApiError as error:
            raise _translated(error) from error
        causes = self.strategies.validate(resource, new, None)
        if causes:
            raise _translated(errors.invalid(group, obj["kind"], key[1], causes))
        self.writes.append((manager, "create", resource, key[1]))
        return self._store("ADDED", resource, new, None)

    async def update(self, resource: str, obj: Object, *, manager: str, subresource: str = "") -> Object:
        group, plural = _split(resource)
        metadata = obj["metadata"]
        key = (metadata.get("namespace") or "", metadata["name"])
        old = self.shelves.get(resource, {}).get(key)
        if old is None:
            raise _translated(errors.not_found(group, plural, key[1]))
        if subresource == "scale":
            obj = {**old, "spec": {**old["spec"], "replicas": obj["spec"]["replicas"]}}
        elif metadata.get("resourceVersion") not in (None, old["metadata"]["resourceVersion"]):
            raise ApiError(409, "the object has been modified", "Conflict")
        new = self.strategies.apply_defaults(resource, obj) if not subresource else obj
        new = self.strategies.prepare_for_update(resource, old, new, subresource)
        causes = self.strategies.validate(resource, new, old, subresource)
        if causes:
            raise _translated(errors.invalid(group, obj["kind"], key[1], causes))
        stripped = [{k: v for k, v in one["metadata"].items() if k != "resourceVersion"} for one in (old, new)]
        if {**old, "metadata": stripped[0]} == {**new, "metadata": stripped[1]}:
            return old
        self.writes.append((manager, subresource or "update", resource, key[1]))
        going = old["metadata"].get("deletionTimestamp")
        grace = new["metadata"].get("deletionGracePeriodSeconds", 0)
        left = new["metadata"].get("finalizers") or (new.get("spec") or {}).get("finalizers")
        if going and not left and not grace:
            return self._store("DELETED", resource, new, old)
        return self._store("MODIFIED", resource, new, old)

    async def delete(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> None:
        group, plural = _split(resource)
        old = self.shelves.get(resource, {}).get((namespace or "", name))
        if old is None:
            raise _translated(errors.not_found(group, plural, name))
        metadata = dict(old["metadata"])
        if uid and metadata["uid"] != uid:
            raise ApiError(409, "the UID in the precondition does not match", "Conflict")
        wanted = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(propagation)
        finalizers = [*(metadata.get("finalizers") or [])]
        if wanted and wanted not in finalizers and not metadata.get("deletionTimestamp"):
            finalizers.append(wanted)
        grace = self.strategies.deletion_grace(resource, old)
        self.writes.append(("", "delete", resource, name))
        if not finalizers and not grace and not (old.get("spec") or {}).get("finalizers"):
            self._store("DELETED", resource, old, old)
            return
        if metadata.get("deletionTimestamp") and (finalizers == metadata.get("finalizers", []) and grace):
            return
        metadata["deletionTimestamp"] = metadata.get("deletionTimestamp") or timestamp(self.clock.now())
        metadata["deletionGracePeriodSeconds"] = grace
        if finalizers:
            metadata["finalizers"] = finalizers
        changed = {**old, "metadata": metadata}
        if resource == "v1/namespaces":
            changed["status"] = {**old["status"], "phase": "Terminating"}
        self._store("MODIFIED", resource, changed, old)

    async def subscribe(self, resources: Collection[str] | None) -> AsyncIterator[Change]:
        queue: asyncio.Queue[Change] = asyncio.Queue()
        for resource, shelf in self.shelves.items():
            if resources is None or resource in resources:
                for obj in shelf.values():
                    queue.put_nowait(Change("ADDED", resource, obj))
        self.listeners.append((resources, queue))
        try:
            while True:
                yield await queue.get()
        finally:
            self.listeners = [one for one in self.listeners if one[1] is not queue]
