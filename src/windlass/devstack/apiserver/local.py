"""The API server for controllers in the same process: `LocalApi` is the `Api` of ``workloads/api.py``, without HTTP.

It goes through the same writer as requests do (defaults, validation, managed fields, admission), as an administrator,
and hands out the shared objects of the store. The contract's own types come from ``workloads/api.py``; nothing else of
the workloads is known here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, cast

from typing_extensions import override

from windlass.devstack.apiserver.crds import SERVER
from windlass.devstack.apiserver.deleting import Options
from windlass.devstack.apiserver.errors import ApiError, no_such_resource, not_found
from windlass.devstack.apiserver.machine import Machine
from windlass.devstack.apiserver.registry import Resource
from windlass.devstack.apiserver.store import Item
from windlass.devstack.apiserver.subresources import bound
from windlass.devstack.apiserver.writing import Write
from windlass.devstack.workloads import api

Object = dict[str, Any]


@contextmanager
def _in_the_contracts_words() -> Iterator[None]:
    """The server's refusals as the contract's: a controller that knows only the contract must be able to catch them."""
    try:
        yield
    except ApiError as error:
        raise api.ApiError(error.code, error.message, error.reason) from error


class LocalApi(api.Api):
    """See the module's head. Refusals are the contract's `ApiError`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._store = machine.store

    @override
    async def get(self, resource: str, namespace: str | None, name: str) -> Object | None:
        return self.find(resource, namespace, name)

    def find(self, resource: str, namespace: str | None, name: str) -> Object | None:
        """The object, or None: what strategies ask while a write is under way."""
        item = self._store.get(self._resource(resource).storage, namespace or "", name)
        return None if item is None else item.obj

    def every(self, resource: str) -> api.Objects:
        """All objects of a resource: what strategies ask while a write is under way."""
        return [item.obj for item in self._store.items(self._resource(resource).storage)]

    @override
    async def list(
        self, resource: str, namespace: str | None = None, selector: Mapping[str, str] | None = None
    ) -> api.Objects:
        wanted = list(selector.items()) if selector else []
        items = self._store.items(self._resource(resource).storage, namespace or "", wanted[0] if wanted else None)
        if len(wanted) < 2:
            return [item.obj for item in items]
        found = []
        for item in items:
            labels = item.obj["metadata"].get("labels") or {}
            if all(labels.get(key) == value for key, value in wanted):
                found.append(item.obj)
        return found

    @override
    async def create(self, resource: str, obj: Object, *, manager: str) -> Object:
        with _in_the_contracts_words():
            write = self._write(resource, obj, manager)
            write.name = ""
            return (await self._machine.writer.create(write, obj)).obj

    @override
    async def update(self, resource: str, obj: Object, *, manager: str, subresource: str = "") -> Object:
        with _in_the_contracts_words():
            write = self._write(resource, obj, manager)
            write.subresource = subresource
            return (await self._update(write, obj)).obj

    async def _update(self, write: Write, obj: Object) -> Item:
        writer = self._machine.writer
        metadata = obj.get("metadata") or {}
        version, uid = str(metadata.get("resourceVersion") or ""), str(metadata.get("uid") or "")

        def change(live: Object | None) -> Object:
            assert live is not None
            writer.check_preconditions(write, live, version, uid)
            if write.subresource == "scale":
                return self._machine.subresources.rescaled(write, live, obj)
            if write.subresource == "binding":
                return bound(live, obj["spec"]["nodeName"])
            return writer.finished(write, live, obj)

        return await writer.modify(write, change, strict=bool(version))

    @override
    async def delete(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> None:
        with _in_the_contracts_words():
            write = Write(self._resource(resource), namespace or "", name, "local", SERVER)
            await self._machine.deleter.delete(write, Options(uid=uid or "", propagation=propagation))

    @override
    def resources(self) -> api.Names:
        return [resource.id for resource in self._machine.registry.stored()]

    @override
    async def subscribe(self, resources: Collection[str] | None) -> AsyncIterator[api.Change]:
        registry = self._machine.registry
        shelves = None if resources is None else [self._resource(name).storage for name in resources]
        watch = self._store.watch(shelves)
        names = {resource.storage: resource.id for resource in registry.stored()}
        first = [(storage, name) for storage, name in names.items() if shelves is None or storage in shelves]
        present = [(name, item) for storage, name in first for item in self._store.items(storage)]
        try:
            for name, item in present:
                yield api.Change("ADDED", name, item.obj)
            while not watch.closed:
                await watch.ready()
                while watch.queue:
                    kind, event = watch.queue.popleft()
                    if event.item.resource not in names:
                        names.update({resource.storage: resource.id for resource in registry.stored()})
                    name = names.get(event.item.resource, "")
                    old = None if event.old is None else event.old.obj
                    yield api.Change(cast('Literal["ADDED", "MODIFIED", "DELETED"]', kind), name, event.item.obj, old)
        finally:
            self._store.unwatch(watch)

    def _resource(self, name: str) -> Resource:
        resource = self._machine.registry.by_id(name)
        if resource is None:
            raise no_such_resource()
        return self._machine.registry.storage_resource(resource)

    def _write(self, resource: str, obj: Object, manager: str) -> Write:
        metadata = obj.get("metadata") or {}
        found = self._resource(resource)
        namespace = metadata.get("namespace") or ""
        if found.namespaced and not namespace:
            raise not_found(found.group, found.plural, metadata.get("name") or "")
        return Write(found, namespace, metadata.get("name") or "", manager, SERVER)
