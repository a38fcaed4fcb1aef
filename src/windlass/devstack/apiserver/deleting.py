"""The verbs delete and deletecollection: preconditions, grace, finalizers, propagation.

What depends on a deleted object is collected by the workloads' garbage collector; what is in a namespace by its
termination. Called by ``verbs.py`` and ``local.py``.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from windlass.devstack.apiserver import clock
from windlass.devstack.apiserver.errors import ApiError, conflict, forbidden, not_found
from windlass.devstack.apiserver.registry import Resource
from windlass.devstack.apiserver.store import Item
from windlass.devstack.apiserver.writing import TRIES, Object, Write, Writer

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
CRD_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
PROTECTED = ("default", "kube-system", "kube-public")
_NO_GRACE = ("namespaces", "customresourcedefinitions.apiextensions.k8s.io")
_ORPHANS_BY_DEFAULT = ("jobs.batch", "replicationcontrollers")
_SHOWN = frozenset(
    {
        "pods",
        "podtemplates",
        "persistentvolumes",
        "persistentvolumeclaims",
        "resourcequotas",
        "services",
        "serviceaccounts",
        "storageclasses.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "csidrivers.storage.k8s.io",
    }
)
"""Resources whose deletion answers with the object, where others answer with a Status."""


@dataclass(frozen=True, slots=True)
class Options:
    """DeleteOptions. ``propagation`` is Background, Foreground, Orphan or empty; ``grace`` seconds or None."""

    uid: str = ""
    version: str = ""
    propagation: str = ""
    grace: int | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """What became of a deletion: the last version, and whether it is gone already."""

    item: Item
    gone: bool

    def body(self, resource: Resource) -> Object | None:
        """The Status that answers, None where the object itself does."""
        if not self.gone or resource.storage in _SHOWN:
            return None
        details: Object = {"name": self.item.name}
        if resource.group:
            details["group"] = resource.group
        details |= {"kind": resource.plural, "uid": self.item.obj["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


class Deleter:
    """See the module's head."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._store = writer.store

    async def delete(self, write: Write, options: Options) -> Deleted:
        """Delete an object, or mark it where a finalizer or its grace holds it. Raises `ApiError`."""
        resource = write.resource
        for _ in range(TRIES):
            live = self._store.get(resource.storage, write.namespace, write.name)
            if live is None:
                raise not_found(resource.group, resource.plural, write.name)
            _check_preconditions(resource, live, options)
            if resource.storage == "namespaces" and write.name in PROTECTED:
                raise forbidden("", "namespaces", write.name, "this namespace may not be deleted")
            admission = self._writer.admission
            if admission.wanted("DELETE", write):
                await admission.validate("DELETE", write, live.obj, live.obj)
                if self._store.get(resource.storage, write.namespace, write.name) is not live:
                    continue
            return self._delete(write, live, options)
        raise conflict(resource.group, resource.plural, write.name)

    def _delete(self, write: Write, live: Item, options: Options) -> Deleted:
        resource = write.resource
        storage = self._writer.registry.storage_resource(resource)
        metadata: Object = dict(live.obj["metadata"])
        finalizers = _finalizers(resource, metadata, options, self._has_instances(live))
        grace = self._writer.strategies.deletion_grace(storage.id, live.obj, options.grace)
        held = bool(finalizers) or (
            resource.storage == "namespaces" and bool((live.obj.get("spec") or {}).get("finalizers"))
        )
        marked = metadata.get("deletionTimestamp")
        if not held and (grace == 0 or (marked and options.grace == 0)):
            return Deleted(
                live if write.dry_run else self._store.remove(live.resource, live.namespace, live.name), True
            )
        if marked and finalizers == (metadata.get("finalizers") or []) and not self._sooner(metadata, grace):
            return Deleted(live, False)
        return Deleted(self._mark(write, live, metadata, finalizers, grace), False)

    @staticmethod
    def _sooner(metadata: Object, grace: int) -> bool:
        return grace < int(metadata.get("deletionGracePeriodSeconds") or 0)

    def _mark(self, write: Write, live: Item, metadata: Object, finalizers: list[str], grace: int) -> Item:
        if finalizers:
            metadata["finalizers"] = finalizers
        else:
            metadata.pop("finalizers", None)
        if not metadata.get("deletionTimestamp") or self._sooner(metadata, grace):
            metadata["deletionTimestamp"] = clock.stamp(clock.now() + datetime.timedelta(seconds=grace))
            if live.resource not in _NO_GRACE:
                metadata["deletionGracePeriodSeconds"] = grace
            if "generation" in metadata:
                metadata["generation"] += 1
        obj = {**live.obj, "metadata": metadata}
        if live.resource == "namespaces":
            obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        if write.dry_run:
            return Item(live.resource, live.namespace, live.name, obj, live.rv, live.raw)
        return self._store.write(live.resource, live.namespace, live.name, obj)

    def _has_instances(self, live: Item) -> bool:
        return live.resource == "customresourcedefinitions.apiextensions.k8s.io" and bool(self._store.count(live.name))

    async def collection(self, write: Write, items: list[Item], options: Options) -> list[Item]:
        """Delete all of these, and return them as they were; what is gone meanwhile is passed over."""
        deleted = []
        for item in items:
            one = Write(write.resource, item.namespace, item.name, write.manager, write.user, dry_run=write.dry_run)
            try:
                await self.delete(one, options)
            except ApiError as error:
                if error.code != 404:
                    raise
                continue
            deleted.append(item)
        return deleted


def _check_preconditions(resource: Resource, live: Item, options: Options) -> None:
    metadata = live.obj["metadata"]
    why = ""
    if options.uid and options.uid != metadata["uid"]:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata['uid']}). "
            "The object might have been deleted and then recreated"
        )
    elif options.version and options.version != str(live.rv):
        why = (
            f"the ResourceVersion in the precondition ({options.version}) does not match the ResourceVersion in record "
            f"({live.rv}). The object might have been modified"
        )
    if why:
        raise conflict(resource.group, resource.kind, live.name, why)


def _finalizers(resource: Resource, metadata: Object, options: Options, instances: bool) -> list[str]:
    """The finalizers after the propagation policy had its say."""
    found: list[str] = list(metadata.get("finalizers") or [])
    policy = options.propagation
    if not policy:
        if ORPHAN in found or FOREGROUND in found:
            policy = "Orphan" if ORPHAN in found else "Foreground"
        else:
            policy = "Orphan" if resource.storage in _ORPHANS_BY_DEFAULT else "Background"
    found = [each for each in found if each not in (ORPHAN, FOREGROUND)]
    if policy == "Orphan":
        found.append(ORPHAN)
    elif policy == "Foreground":
        found.append(FOREGROUND)
    if instances and CRD_CLEANUP not in found:
        found.append(CRD_CLEANUP)
    return found


def options_of(body: Object, query: dict[str, list[str]]) -> tuple[Options, bool]:
    """DeleteOptions from a body and from query parameters, and whether it is a dry run only."""

    def one(name: str) -> Any:
        values = query.get(name)
        return body.get(name) if body.get(name) is not None else (values[0] if values else None)

    preconditions = body.get("preconditions") or {}
    grace = one("gracePeriodSeconds")
    policy = one("propagationPolicy") or ""
    if one("orphanDependents") in (True, "true", "1"):
        policy = "Orphan"
    dry = bool(body.get("dryRun") or query.get("dryRun"))
    version = preconditions.get("resourceVersion") or ""
    return Options(preconditions.get("uid") or "", version, policy, None if grace is None else int(grace)), dry
