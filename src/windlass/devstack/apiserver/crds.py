"""The life of CustomResourceDefinitions: names accepted, established, served, and their objects cleaned up at the end.

One task follows the definitions in the store (`Definitions.run`) and keeps the `Registry` in step; the status it
writes is the real server's. What a definition itself must be like is in ``crd_checks.py``. Conversion between versions
changes the ``apiVersion`` only (strategy None).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windlass.devstack.apiserver import clock
from windlass.devstack.apiserver.deleting import CRD_CLEANUP, Deleter, Options
from windlass.devstack.apiserver.errors import ApiError
from windlass.devstack.apiserver.registry import Custom, Registry, Resource, Subresource
from windlass.devstack.apiserver.request import User
from windlass.devstack.apiserver.store import Store
from windlass.devstack.apiserver.writing import Write, Writer

Object = dict[str, Any]
SHELF = "customresourcedefinitions.apiextensions.k8s.io"
ID = "apiextensions.k8s.io/v1/customresourcedefinitions"
SERVER = User("system:apiserver", ("system:masters", "system:authenticated"))
_DISCOVERY_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_PART = ("get", "patch", "update")
_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


class Definitions:
    """See the module's head."""

    def __init__(self, store: Store, registry: Registry, writer: Writer, deleter: Deleter) -> None:
        self._store = store
        self._registry = registry
        self._writer = writer
        self._deleter = deleter

    def load(self) -> None:
        """Serve what is established already: before the first request."""
        for item in self._store.items(SHELF):
            if _is_true(item.obj, "Established"):
                self._registry.put_custom(item.name, resources_of(item.obj))

    async def run(self) -> None:
        """Follow the definitions until cancelled."""
        watch = self._store.watch(None)
        try:
            for item in self._store.items(SHELF):
                await self._settle(item.name)
            while not watch.closed:
                await watch.ready()
                while watch.queue:
                    kind, event = watch.queue.popleft()
                    name = event.item.name
                    if event.item.resource == SHELF:
                        await self._settle(name)
                    elif kind == "DELETED" and event.item.resource in self._terminating():
                        await self._settle(event.item.resource)
        finally:
            self._store.unwatch(watch)

    def _terminating(self) -> set[str]:
        if not self._registry.custom_names():
            return set()
        return {item.name for item in self._store.items(SHELF) if item.obj["metadata"].get("deletionTimestamp")}

    async def _settle(self, name: str) -> None:
        """Bring the registry, the status and, at the end, the objects of a definition to where they belong."""
        item = self._store.get(SHELF, "", name)
        if item is None:
            self._registry.drop_custom(name)
            for watch in self._store.watches():
                if watch.resources == frozenset((name,)):
                    watch.close()
            return
        if item.obj["metadata"].get("deletionTimestamp"):
            await self._clean_up(item.obj)
            return
        clash = self._clash(item.obj)
        if not clash or _is_true(item.obj, "Established"):
            self._registry.put_custom(name, resources_of(item.obj))
        wanted = _status(item.obj, clash)
        if wanted != item.obj.get("status"):
            await self._write_status(name, wanted)

    async def _write_status(self, name: str, status: Object) -> None:
        resource = self._registry.by_id(ID)
        assert resource is not None
        write = Write(resource, "", name, "kube-apiserver", SERVER, "status")

        def change(live: Object | None) -> Object:
            assert live is not None
            return self._writer.finished(write, live, {**live, "status": status})

        try:
            await self._writer.modify(write, change)
        except ApiError as error:
            if error.code != 404:
                raise

    def _clash(self, crd: Object) -> str:
        """Why the names can't be accepted, empty where they can."""
        spec, names = crd["spec"], crd["spec"]["names"]
        mine = crd["metadata"]["name"]
        for item in self._store.items(SHELF):
            other = item.obj["spec"]
            if item.name == mine or other["group"] != spec["group"] or not _is_true(item.obj, "NamesAccepted"):
                continue
            taken = item.obj["status"]["acceptedNames"]
            words = {taken["plural"], taken.get("singular"), *(taken.get("shortNames") or ())}
            for word in (names["plural"], names.get("singular"), *(names.get("shortNames") or ())):
                if word in words:
                    return f'"{word}" is already in use'
            if names["kind"] in (taken["kind"], taken.get("listKind")):
                return f'"{names["kind"]}" is already in use'
        return ""

    async def _clean_up(self, crd: Object) -> None:
        """Delete the objects of a definition that goes; let it go when there are none."""
        name = crd["metadata"]["name"]
        resource = next((r for r in self._registry.all() if r.storage == name), None)
        if resource is not None:
            for item in self._store.items(name):
                if not item.obj["metadata"].get("deletionTimestamp"):
                    write = Write(resource, item.namespace, item.name, "kube-apiserver", SERVER)
                    await self._deleter.delete(write, Options())
        if self._store.count(name):
            return
        definition = self._registry.by_id(ID)
        assert definition is not None
        write = Write(definition, "", name, "kube-apiserver", SERVER)

        def change(live: Object | None) -> Object:
            assert live is not None
            kept = [each for each in live["metadata"].get("finalizers") or [] if each != CRD_CLEANUP]
            return self._writer.finished(write, live, {**live, "metadata": {**live["metadata"], "finalizers": kept}})

        try:
            await self._writer.modify(write, change)
        except ApiError as error:
            if error.code != 404:
                raise


def _is_true(crd: Object, kind: str) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or []
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def _status(crd: Object, clash: str) -> Object:
    """The status a definition should have."""
    before = crd.get("status") or {}
    names = crd["spec"]["names"]
    storage = next(each["name"] for each in crd["spec"]["versions"] if each["storage"])
    stored = list(before.get("storedVersions") or [])
    if storage not in stored:
        stored.append(storage)
    accepted = _condition(before, "NamesAccepted", not clash, "NoConflicts", "no conflicts found", clash)
    established = _is_true(crd, "Established") or not clash
    reached = _condition(
        before,
        "Established",
        established,
        "InitialNamesAccepted",
        "the initial names have been accepted",
        "not all names are accepted",
    )
    known = before.get("acceptedNames") or {"plural": "", "kind": ""}
    others = [each for each in before.get("conditions") or [] if each["type"] not in ("NamesAccepted", "Established")]
    return {
        "conditions": [accepted, reached, *others],
        "acceptedNames": known if clash else names,
        "storedVersions": stored,
    }


def _condition(before: Object, kind: str, good: bool, reason: str, message: str, why: str) -> Object:
    state = "True" if good else "False"
    old = next((each for each in before.get("conditions") or [] if each["type"] == kind), None)
    since = old["lastTransitionTime"] if old is not None and old["status"] == state else clock.stamp()
    bad = "NamesConflict" if kind == "NamesAccepted" else "NotAccepted"
    return {
        "type": kind,
        "status": state,
        "lastTransitionTime": since,
        "reason": reason if good else bad,
        "message": message if good else why,
    }


def resources_of(crd: Object) -> Iterable[Resource]:
    """The resources that a definition serves, one a version."""
    spec = crd["spec"]
    names, group = spec["names"], spec["group"]
    storage = next(each["name"] for each in spec["versions"] if each["storage"])
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        parts: dict[str, Subresource] = {}
        wanted = version.get("subresources") or {}
        if "status" in wanted:
            parts["status"] = Subresource("status", group, version["name"], names["kind"], _PART)
        if wanted.get("scale"):
            parts["scale"] = Subresource("scale", "autoscaling", "v1", "Scale", _PART)
        yield Resource(
            group=group,
            version=version["name"],
            plural=names["plural"],
            singular=names.get("singular") or names["kind"].lower(),
            kind=names["kind"],
            list_kind=names.get("listKind") or f"{names['kind']}List",
            namespaced=spec["scope"] == "Namespaced",
            verbs=_DISCOVERY_VERBS,
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=parts,
            storage=crd["metadata"]["name"],
            custom=_custom(crd, version, storage),
        )


def _custom(crd: Object, version: Object, storage: str) -> Custom:
    api_version = f"{crd['spec']['group']}/{version['name']}"
    deprecated = ""
    if version.get("deprecated"):
        deprecated = version.get("deprecationWarning") or f"{api_version} {crd['spec']['names']['kind']} is deprecated"
    selectable = tuple(each["jsonPath"].lstrip(".") for each in version.get("selectableFields") or ())
    return Custom(
        crd=crd["metadata"]["name"],
        schema=(version.get("schema") or {}).get("openAPIV3Schema") or {},
        columns=tuple(version.get("additionalPrinterColumns") or (_AGE,)),
        scale=(version.get("subresources") or {}).get("scale"),
        storage_version=storage,
        deprecated=deprecated,
        selectable=selectable,
    )
