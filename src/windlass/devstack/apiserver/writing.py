"""The verbs create, update and patch on stored objects: from a body to a new version in the store.

Called by ``verbs.py`` for requests and ``local.py`` for the controllers inside. Between reading the live object and
writing the new one there is no ``await``, unless a webhook is asked: then the live object is compared again, and where
it moved on, everything is done anew.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from windlass.core.manifests.schemas import Schema
from windlass.core.manifests.typed import typed
from windlass.devstack.apiserver import clock, decoding, views
from windlass.devstack.apiserver.apply import reset_fields, settle, update_managers
from windlass.devstack.apiserver.conversion import from_storage, to_storage
from windlass.devstack.apiserver.errors import (
    ApiError,
    Cause,
    Fault,
    already_exists,
    bad_request,
    conflict,
    invalid,
    not_found,
)
from windlass.devstack.apiserver.registry import Registry, Resource, is_storage_version
from windlass.devstack.apiserver.request import User
from windlass.devstack.apiserver.store import Item, Store

Object = dict[str, Any]
_CONDITIONAL = frozenset(
    {
        "leases.coordination.k8s.io",
        "customresourcedefinitions.apiextensions.k8s.io",
        "apiservices.apiregistration.k8s.io",
        "poddisruptionbudgets.policy",
        "runtimeclasses.node.k8s.io",
        "csinodes.storage.k8s.io",
        "csidrivers.storage.k8s.io",
        "csistoragecapacities.storage.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "mutatingadmissionpolicies.admissionregistration.k8s.io",
        "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
        "flowschemas.flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
    }
)
"""Built-in resources whose updates have to name a resourceVersion, as those of all custom resources."""
TRIES = 8
"""How often a write that lost a race against another is done anew before the client hears 409."""
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_FIXED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


class Strategies(Protocol):
    """What the built-in kinds ask of their objects; filled in by the workloads. See ``rules.py`` for the generic
    ones.
    """

    def apply_defaults(self, resource: str, obj: Object) -> Object: ...
    def prepare_for_create(self, resource: str, obj: Object) -> Object: ...
    def prepare_for_update(self, resource: str, old: Object, new: Object, subresource: str = "") -> Object: ...
    def validate(self, resource: str, obj: Object, old: Object | None, subresource: str = "") -> list[Any]: ...
    def deletion_grace(self, resource: str, obj: Object, requested: int | None = None) -> int: ...


@dataclass(slots=True)
class Write:
    """One write: on what, by whom, how. ``warnings`` collects what the answer's Warning headers say."""

    resource: Resource
    namespace: str
    name: str
    manager: str
    user: User
    subresource: str = ""
    dry_run: bool = False
    field_validation: str = "Ignore"
    warnings: list[str] = field(default_factory=list)
    uid: str = ""
    """The uid that the request asks for, empty where any will do."""
    created: bool = False
    """Set when the write made the object."""


class Admission(Protocol):
    """What may refuse or change a write."""

    def check_namespace(self, write: Write) -> None: ...
    def wanted(self, operation: str, write: Write) -> bool: ...
    async def mutate(self, operation: str, write: Write, obj: Object, old: Object | None) -> Object: ...
    async def validate(self, operation: str, write: Write, obj: Object, old: Object | None) -> None: ...


class CustomRules(Protocol):
    """What custom resources ask of their objects."""

    def prune(self, resource: Resource, obj: Object) -> tuple[Object, list[str]]: ...
    def defaults(self, resource: Resource, obj: Object, *, applied: bool = False) -> Object: ...
    def prepare(self, resource: Resource, old: Object | None, new: Object, subresource: str) -> Object: ...
    def validate(self, resource: Resource, obj: Object, old: Object | None, subresource: str) -> list[Cause]: ...
    def schema(self, resource: Resource) -> Schema: ...


Change = Callable[[Object | None], Object]
"""From the live object in the request's version (None where nothing is) to what is to be stored."""


class Writer:
    """See the module's head."""

    def __init__(
        self, store: Store, registry: Registry, strategies: Strategies, custom: CustomRules, admission: Admission
    ) -> None:
        self.store = store
        self.registry = registry
        self.strategies = strategies
        self.custom = custom
        self.admission = admission

    def schema(self, resource: Resource) -> Schema:
        """The shape of a resource's objects."""
        return self.custom.schema(resource)

    # -- create

    async def create(self, write: Write, obj: Object, doubled: list[str] | None = None) -> Item:
        """Store a new object. Raises `ApiError`."""
        resource = write.resource
        obj = self.decode(write, obj, doubled or [])
        metadata = self._new_metadata(write, obj)
        write.name = metadata["name"]
        self.admission.check_namespace(write)
        new = self._complete(resource, {**obj, "metadata": metadata})
        new = self._track(write, None, new)
        return await self._store_new(write, new)

    async def _store_new(self, write: Write, new: Object) -> Item:
        """Admit, prepare, validate and store an object that is not there yet, in storage version with its managers."""
        resource, storage = write.resource, self.registry.storage_resource(write.resource)
        asked = self.admission.wanted("CREATE", write)
        if asked:
            new = await self.admission.mutate("CREATE", write, new, None)
        new = self._prepare(storage, None, new, "")
        self._refuse_invalid(storage, new, None, "")
        if asked:
            await self.admission.validate("CREATE", write, new, None)
        there = self.store.get(resource.storage, write.namespace, write.name)
        if there is not None:
            going = bool(there.obj["metadata"].get("deletionTimestamp"))
            raise already_exists(resource.group, resource.plural, write.name, going=going)
        write.created = True
        return self._put(write, storage, new)

    def _new_metadata(self, write: Write, obj: Object, *, applied: bool = False) -> Object:
        given = obj.get("metadata") or {}
        name, generate = given.get("name") or "", given.get("generateName") or ""
        if given.get("resourceVersion") and not applied:
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        if not name and generate:
            name = generate[:58] + "".join(secrets.choice(_ALPHABET) for _ in range(5))
        if not name:
            fault = Fault("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
            raise invalid(write.resource.group, write.resource.kind, "", [fault])
        metadata: Object = {"name": name}
        if generate:
            metadata["generateName"] = generate
        if write.namespace:
            metadata["namespace"] = write.namespace
        metadata["uid"] = str(uuid.uuid4())
        metadata["resourceVersion"] = ""
        metadata["creationTimestamp"] = clock.stamp()
        taken = (*metadata, "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "namespace")
        return {
            **metadata,
            **{key: value for key, value in given.items() if key not in taken and value not in (None, {}, [])},
        }

    # -- update and patch

    async def modify(self, write: Write, change: Change, *, create: bool = False, strict: bool = False) -> Item:
        """Give an object a new version, made by ``change`` from the live one. With ``create`` it may be a new object.

        ``strict``: the client named a resourceVersion, so a lost race is its 409 at once.
        """
        for _ in range(TRIES):
            done = await self._try(write, change, create=create)
            if done is not None:
                return done
            if strict:
                break
        raise conflict(write.resource.group, write.resource.plural, write.name)

    async def _try(self, write: Write, change: Change, *, create: bool) -> Item | None:
        resource = write.resource
        storage = self.registry.storage_resource(resource)
        live = self.store.get(resource.storage, write.namespace, write.name)
        if live is None and not create:
            raise not_found(resource.group, resource.plural, write.name)
        if live is None:
            self.admission.check_namespace(write)
            if write.uid:
                why = f"uid mismatch: the provided object specified uid {write.uid}, and no existing object was found"
                raise conflict(resource.group, resource.plural, write.name, why)
            return await self._store_new(write, change(None))
        old = live.obj
        new = change(views.shown(resource, live))
        asked = self.admission.wanted("UPDATE", write)
        if asked:
            new = await self.admission.mutate("UPDATE", write, new, old)
        new = self._prepare(storage, old, new, write.subresource)
        if new is not old:
            new = settle(old, {**new, "metadata": {**new["metadata"], "resourceVersion": str(live.rv)}})
        if new is not old:
            self._refuse_invalid(storage, new, old, write.subresource)
        if asked:
            await self.admission.validate("UPDATE", write, new, old)
        if self.store.get(resource.storage, write.namespace, write.name) is not live:
            return None
        if new is old:
            return live
        return self._put(write, storage, new)

    def replace(self, write: Write, obj: Object, doubled: list[str]) -> tuple[Change, bool]:
        """The change that an update makes, and whether it named a resourceVersion."""
        resource = write.resource
        obj = self.decode(write, obj, doubled)
        given = obj.get("metadata") or {}
        version = str(given.get("resourceVersion") or "")

        def change(live: Object | None) -> Object:
            assert live is not None
            self.check_preconditions(write, live, version, given.get("uid") or "")
            return self.finished(write, live, obj)

        there = self.store.get(resource.storage, write.namespace, write.name) is not None
        if there and not version and (resource.custom is not None or resource.storage in _CONDITIONAL):
            fault = Fault(
                "FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion"
            )
            raise invalid(resource.group, resource.plural, write.name, [fault])
        return change, bool(version)

    def check_preconditions(self, write: Write, live: Object, version: str, uid: str) -> None:
        """409 if the client meant another version or another object of the name."""
        resource, metadata = write.resource, live["metadata"]
        if uid and uid != metadata["uid"]:
            raise self._uid_conflict(write, metadata["uid"], uid)
        if version and version != metadata["resourceVersion"]:
            raise conflict(resource.group, resource.plural, write.name)

    def _uid_conflict(self, write: Write, live_uid: str, wanted: str = "") -> ApiError:
        resource = write.resource
        place = "/".join(part for part in ("", "registry", resource.plural, write.namespace, write.name) if part)
        why = (
            f"StorageError: invalid object, Code: 4, Key: /{place}, ResourceVersion: 0, AdditionalErrorMsg: "
            f"Precondition failed: UID in precondition: {wanted or write.uid}, UID in object meta: {live_uid}"
        )
        return conflict(resource.group, resource.plural, write.name, why)

    def finished(self, write: Write, live: Object, obj: Object) -> Object:
        """What a body makes of the live object: completed, with what may not change kept, and its managers. In storage
        version.
        """
        kept = live["metadata"]
        given = {
            key: value
            for key, value in (obj.get("metadata") or {}).items()
            if value not in (None, {}, []) or key == "managedFields"
        }
        metadata: Object = {"name": kept["name"]}
        for key in ("generateName", "namespace"):
            if key in kept:
                metadata[key] = kept[key]
        for key in ("uid", "resourceVersion", *_FIXED[1:]):
            if key in kept:
                metadata[key] = kept[key]
        metadata.update({key: value for key, value in given.items() if key not in (*metadata, *_FIXED, "selfLink")})
        new = self._complete(write.resource, {**obj, "metadata": metadata})
        return self._track(write, live, new)

    def complete_applied(self, write: Write, live: Object | None, obj: Object) -> Object:
        """What a server-side apply gave, made ready to be stored: typed, defaulted, in storage version. Managers are
        already there.
        """
        if live is None:
            obj = {**obj, "metadata": self._new_metadata(write, obj, applied=True)}
        return self._complete(write.resource, obj, applied=True)

    # -- steps

    def decode(
        self, write: Write, obj: Object, doubled: list[str], *, refuse: Callable[[str], ApiError] | None = None
    ) -> Object:
        """Check a body against its kind: type, name, namespace, unknown and doubled fields."""
        resource = write.resource
        self.check_identity(write, obj)
        if resource.custom is not None:
            pruned, unknown = self.custom.prune(resource, obj)
        else:
            try:
                pruned, unknown = obj, decoding.unknown_fields(obj, self.schema(resource))
            except decoding.Mismatch as error:
                raise decoding.refuse(resource.kind, resource.version, str(error)) from error
        found = decoding.strict_errors(unknown, doubled)
        if found and write.field_validation == "Strict":
            why = f"strict decoding error: {', '.join(found)}"
            raise refuse(why) if refuse is not None else decoding.refuse(resource.kind, resource.version, why)
        if write.field_validation == "Warn":
            write.warnings += found
        return pruned

    def check_identity(self, write: Write, obj: Object) -> None:
        """400 where a body is of another kind, or meant for another name or namespace."""
        resource = write.resource
        kind, version = obj.get("kind") or resource.kind, obj.get("apiVersion") or resource.api_version
        if (kind, version) != (resource.kind, resource.api_version):
            own = version.rpartition("/")[2]
            if resource.custom is None and self.registry.by_kind(version, kind) is None:
                why = f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
            else:
                internal = f"{resource.group.partition('.')[0] or 'core'}.{resource.kind}"
                why = f"converting ({own}.{kind}) to ({internal}): unknown conversion"
            raise bad_request(f'{kind} in version "{own}" cannot be handled as a {resource.kind}: {why}')
        metadata = obj.get("metadata")
        if metadata is None:
            metadata = {}
        if not isinstance(metadata, dict):
            raise decoding.refuse(resource.kind, resource.version, "json: cannot unmarshal metadata into Go struct")
        name, namespace = metadata.get("name") or "", metadata.get("namespace") or ""
        if namespace and namespace != write.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if write.name and name and name != write.name:
            raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({write.name})")

    def _complete(self, resource: Resource, obj: Object, *, applied: bool = False) -> Object:
        """Typed and defaulted, in storage version, fields in order."""
        storage = self.registry.storage_resource(resource)
        if storage is not resource:
            obj = to_storage(resource, storage, obj)
        if storage.custom is not None:
            return views.ordered(
                storage, self.custom.defaults(storage, typed(obj, self.schema(storage)), applied=applied)
            )
        made = self.strategies.apply_defaults(storage.id, typed(obj, self.schema(storage)))
        return views.ordered(storage, made)

    def _track(self, write: Write, live: Object | None, new: Object) -> Object:
        """The object (in storage version) with its managedFields after this write."""
        resource = write.resource
        shown = new if is_storage_version(resource) else from_storage(resource, new)
        tracked = update_managers(
            live,
            shown,
            schema=self.schema(resource),
            manager=write.manager,
            api_version=resource.api_version,
            now=clock.stamp(),
            subresource=write.subresource,
            reset=self.reset(write),
        )
        return {**new, "metadata": tracked["metadata"]}

    def reset(self, write: Write) -> Any:
        """The fields that a write through this (sub)resource can't own."""
        resource = write.resource
        status = "status" in resource.subresources
        return reset_fields(
            resource.group, resource.plural, write.subresource, has_status=status, custom=resource.custom is not None
        )

    def _prepare(self, storage: Resource, old: Object | None, new: Object, subresource: str) -> Object:
        if storage.custom is not None:
            return self.custom.prepare(storage, old, new, subresource)
        if old is None:
            return self.strategies.prepare_for_create(storage.id, new)
        return self.strategies.prepare_for_update(storage.id, old, new, subresource)

    def _refuse_invalid(self, storage: Resource, new: Object, old: Object | None, subresource: str) -> None:
        causes: list[Cause] = _late_finalizers(new, old)
        found = self.strategies.validate(storage.id, new, old, subresource)
        if old is None and new["metadata"].get("generateName"):
            found = [*self._bad_prefix(storage, new, found), *found]
        causes += found
        if storage.custom is not None:
            causes += self.custom.validate(storage, new, old, subresource)
        if causes:
            raise invalid(storage.group, storage.kind, new["metadata"].get("name", ""), causes)

    def _bad_prefix(self, storage: Resource, new: Object, found: list[Any]) -> list[Cause]:
        """What is wrong with a name is wrong with the prefix that it was generated from as well, a dash at its end
        apart.
        """
        if not any(cause.field == "metadata.name" for cause in found):
            return []
        prefix = new["metadata"]["generateName"]
        masked = f"{prefix[:-1]}a" if len(prefix) > 1 and prefix.endswith("-") else prefix
        named = {**new, "metadata": {**new["metadata"], "name": masked}}
        again = [cause for cause in self.strategies.validate(storage.id, named, None) if cause.field == "metadata.name"]
        return [Fault(each.reason, each.message.replace(masked, prefix, 1), "metadata.generateName") for each in again]

    def _put(self, write: Write, storage: Resource, new: Object) -> Item:
        obj = views.ordered(storage, new)
        if write.dry_run:
            rv = obj["metadata"].get("resourceVersion", "")
            return Item(
                storage.storage, write.namespace, write.name, obj, int(rv or 0), views.encode(_without_version(obj, rv))
            )
        metadata = obj["metadata"]
        gone = (
            metadata.get("deletionTimestamp")
            and not metadata.get("deletionGracePeriodSeconds")
            and not metadata.get("finalizers")
        )
        if gone and not (storage.storage == "namespaces" and (obj.get("spec") or {}).get("finalizers")):
            item = self.store.remove(storage.storage, write.namespace, write.name)
            return Item(item.resource, item.namespace, item.name, obj, item.rv, views.encode(obj))
        return self.store.write(storage.storage, write.namespace, write.name, obj)


def _late_finalizers(new: Object, old: Object | None) -> list[Cause]:
    """An object that is being deleted takes no new finalizers. Told twice, as two layers of the real server do."""
    before = (old or {}).get("metadata") or {}
    if not before.get("deletionTimestamp"):
        return []
    known = before.get("finalizers") or []
    late = sorted(each for each in new["metadata"].get("finalizers") or [] if each not in known)
    if not late:
        return []
    shown = ", ".join(f'"{each}"' for each in late)
    words = (
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
        f"[]string{{{shown}}}"
    )
    return [Fault("FieldValueForbidden", words, "metadata.finalizers")] * 2


def _without_version(obj: Object, rv: str) -> Object:
    if rv:
        return obj
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    return {**obj, "metadata": metadata}
