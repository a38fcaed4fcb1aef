"""Namespaces: what each gets (the `default` ServiceAccount, the root CA's ConfigMap), and how one ends.

A namespace that is being deleted is emptied of every resource, custom ones too; when nothing is left its finalizer is
taken off. Until then its
conditions say what remains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api
from windlass.devstack.workloads.api import ApiError
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.garbage import finalizers
from windlass.devstack.workloads.owners import is_going, set_condition
from windlass.devstack.workloads.view import Place

Object = dict[str, Any]

_CA_NAME = "kube-root-ca.crt"
_CA_NOTE = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as "
_CA_NOTE += (
    "the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of "
    "Kubernetes clusters."
)


class Namespaces(Controller):
    """See the module."""

    name = "namespace"
    kind = "Namespace"
    resource = "*"
    urgent = (api.NAMESPACES,)

    def __init__(self, cluster: Any, root_ca: str) -> None:
        super().__init__(cluster)
        self._root_ca = root_ca

    @override
    def keys(self, change: api.Change) -> Iterable[Key]:
        metadata = change.object["metadata"]
        if change.resource == api.NAMESPACES:
            return (("", metadata["name"]),)
        space = metadata.get("namespace")
        if not space:
            return ()
        if change.type == "DELETED" and change.resource in (api.SERVICE_ACCOUNTS, api.CONFIG_MAPS):
            return (("", space),) if metadata["name"] in ("default", _CA_NAME) or self._is_ending(space) else ()
        return (("", space),) if change.resource != api.EVENTS and self._is_ending(space) else ()

    def _is_ending(self, name: str) -> bool:
        namespace = self.view.get(api.NAMESPACES, "", name)
        return namespace is not None and is_going(namespace)

    @override
    async def reconcile(self, key: Key) -> float | None:
        namespace = self.view.get(api.NAMESPACES, *key)
        if namespace is None:
            return None
        if is_going(namespace):
            return await self._empty(namespace)
        await self._furnish(key[1])
        return None

    async def _furnish(self, name: str) -> None:
        account: Object = {"apiVersion": "v1", "kind": "ServiceAccount"}
        bundle: Object = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": self._root_ca}}
        note = {"kubernetes.io/description": _CA_NOTE}
        for resource, obj, metadata in (
            (api.SERVICE_ACCOUNTS, account, {"name": "default", "namespace": name}),
            (api.CONFIG_MAPS, bundle, {"name": _CA_NAME, "namespace": name, "annotations": note}),
        ):
            if self.view.get(resource, name, metadata["name"]) is None:  # type: ignore[arg-type]
                try:
                    await self.cluster.create(resource, {**obj, "metadata": metadata})
                except ApiError as error:
                    if error.code not in (403, 404, 409):  # it is there already, or the namespace is going
                        raise

    async def _empty(self, namespace: Object) -> float | None:
        name = namespace["metadata"]["name"]
        for place in [*self.view.in_namespace(name)]:
            obj = self.view.at(place)
            if obj is not None and not is_going(obj):
                await self._remove(place, obj)
        left = [place for place in self.view.in_namespace(name) if place[0] != api.EVENTS]
        if not left:
            left = await self._look_again(name)
        current = self.view.get(api.NAMESPACES, "", name)
        if current is None:
            return None
        if left:
            await self._report(current, left)
            return None
        spec = current.get("spec") or {}
        kept = [one for one in spec.get("finalizers") or [] if one != "kubernetes"]
        if kept != spec.get("finalizers", []):
            await self.cluster.update(
                api.NAMESPACES, {**current, "spec": {**spec, "finalizers": kept}}, subresource="finalize"
            )
            await self.cluster.refresh(api.NAMESPACES, current)
        return None

    async def _remove(self, place: Place, obj: Object) -> None:
        try:
            await self.cluster.delete(place[0], obj)
        except ApiError as error:
            if error.code != 405:
                raise

    async def _look_again(self, name: str) -> list[Place]:
        """What the API server itself still has: the view may not know yet what was created a moment ago."""
        found: list[Place] = []
        for resource in self.cluster.api.resources():
            try:
                objects = await self.cluster.api.list(resource, name)
            except ApiError as error:
                if error.code not in (400, 404, 405):
                    raise
                continue
            for obj in objects:
                if obj["metadata"].get("namespace") == name:
                    self.view.put(resource, obj)
                    found.append((resource, name, obj["metadata"]["name"]))
                    if not is_going(obj):
                        await self._remove((resource, name, obj["metadata"]["name"]), obj)
        return [place for place in found if self.view.at(place) is not None]

    async def _report(self, namespace: Object, left: list[Place]) -> None:
        counts = Counter(_plural_and_group(place[0]) for place in left)
        held = Counter(one for place in left for one in finalizers(self.view.at(place) or {"metadata": {}}))
        remaining = ", ".join(f"{kind} has {count} resource instances" for kind, count in sorted(counts.items()))
        holding = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(held.items()))
        conditions = (namespace.get("status") or {}).get("conditions") or []
        holding_words = "All content-preserving finalizers finished"
        if held:
            holding_words = f"Some content in the namespace has finalizers remaining: {holding}"
        deleted = "All content successfully deleted, may be waiting on finalization"
        parsed = "All legacy kube types successfully parsed"
        for kind, status, reason, message in (
            ("DeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
            ("DeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions", parsed),
            ("DeletionContentFailure", "False", "ContentDeleted", deleted),
            ("ContentRemaining", "True", "SomeResourcesRemain", f"Some resources are remaining: {remaining}"),
            ("FinalizersRemaining", str(bool(held)), _FINALIZERS[bool(held)], holding_words),
        ):
            condition = {"type": f"Namespace{kind}", "status": status, "reason": reason, "message": message}
            conditions = set_condition(conditions, condition, self.cluster.stamp())
        status_now = {**(namespace.get("status") or {}), "phase": "Terminating", "conditions": conditions}
        await self.cluster.write_status(api.NAMESPACES, namespace, status_now)


_FINALIZERS = {True: "SomeFinalizersRemain", False: "ContentHasNoFinalizers"}


def _plural_and_group(resource: str) -> str:
    parts = resource.split("/")
    return f"{parts[-1]}.{parts[0]}" if len(parts) == 3 else f"{parts[-1]}."
