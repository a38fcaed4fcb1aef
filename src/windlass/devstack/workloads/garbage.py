"""The garbage collector: what has no owner any more goes, of any kind, custom ones too.

Background: a dependent goes when none of its owners exists. Foreground (finalizer `foregroundDeletion`): dependents go
first, those with
`blockOwnerDeletion` hold the owner up. Orphan (finalizer `orphan`): dependents lose the reference. An owner that is
not in the view is asked
for once more before anything is deleted; of a kind that is not served nothing is known, and its dependents stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api
from windlass.devstack.workloads.api import ApiError
from windlass.devstack.workloads.engine import Controller
from windlass.devstack.workloads.owners import is_going
from windlass.devstack.workloads.view import Place, place_of

Object = dict[str, Any]

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


def finalizers(obj: Object) -> list[str]:
    """The object's finalizers."""
    return list(obj["metadata"].get("finalizers") or [])


class Garbage(Controller):
    """See the module. Its keys are places: resource, namespace, name."""

    name = "garbage"
    resource = "*"
    urgent = ("*",)

    @override
    def keys(self, change: api.Change) -> Iterable[Place]:
        if change.resource == api.EVENTS:
            return ()
        obj, metadata = change.object, change.object["metadata"]
        found: list[Place] = []
        if change.type == "DELETED":
            found.extend(self.view.children(metadata["uid"]))
            for owner in (
                metadata.get("ownerReferences") or ()
            ):  # a dependent that held its owner up may have been the last
                place = self.view.by_uid(owner["uid"])
                owning = self.view.at(place) if place else None
                if place and owning and is_going(owning):
                    found.append(place)
            return found
        if metadata.get("ownerReferences"):
            found.append(place_of(change.resource, obj))
        if is_going(obj) and (FOREGROUND in finalizers(obj) or ORPHAN in finalizers(obj)):
            found.append(place_of(change.resource, obj))
            found.extend(self.view.children(metadata["uid"]))
        return found

    @override
    async def reconcile(self, key: Any) -> float | None:
        obj = self.view.at(key)
        if obj is None:
            return None
        resource = key[0]
        if is_going(obj):
            if FOREGROUND in finalizers(obj):
                await self._foreground(resource, obj)
            elif ORPHAN in finalizers(obj):
                await self._orphan(resource, obj)
            return None
        if obj["metadata"].get("ownerReferences"):
            await self._collect(resource, obj)
        return None

    async def _collect(self, resource: str, obj: Object) -> None:
        alive, waiting = False, False
        for owner in obj["metadata"]["ownerReferences"]:
            owning = await self._owner(owner, obj["metadata"].get("namespace") or "")
            if owning is None:
                continue
            if is_going(owning) and FOREGROUND in finalizers(owning):
                waiting = True
            else:
                alive = True
        if alive:
            return
        has_children = bool(self.view.children(obj["metadata"]["uid"]))
        await self.cluster.delete(resource, obj, "Foreground" if waiting and has_children else "Background")

    async def _owner(self, reference: Object, namespace: str) -> Object | None:
        """The owner as it is now. Of a kind that is not served something is made up that counts as alive."""
        place = self.view.by_uid(reference["uid"])
        if place:
            return self.view.at(place)
        resource = self._resource(reference)
        if resource is None:
            return {"metadata": {}}
        for space in {namespace, ""}:
            try:
                live = await self.cluster.api.get(resource, space or None, reference["name"])
            except ApiError as error:
                if error.code not in (400, 404):
                    raise
                live = None
            if live is not None and live["metadata"]["uid"] == reference["uid"]:
                return live
        return None

    def _resource(self, reference: Object) -> str | None:
        version, kind = reference.get("apiVersion", ""), reference.get("kind", "")
        seen = self.view.resource_of(version, kind)
        if seen:
            return seen
        lower = kind.lower()
        plurals = {f"{lower}s", f"{lower}es", f"{lower[:-1]}ies", lower}
        served = self.cluster.api.resources()
        return next((name for name in served if name in {f"{version}/{plural}" for plural in plurals}), None)

    async def _foreground(self, resource: str, obj: Object) -> None:
        blocking = False
        for place in self.view.children(obj["metadata"]["uid"]):
            child = self.view.at(place)
            if child is None:
                continue
            references = child["metadata"].get("ownerReferences") or ()
            if any(one["uid"] == obj["metadata"]["uid"] and one.get("blockOwnerDeletion") for one in references):
                blocking = True
            if not is_going(child):
                self.queue.add(place)
        if not blocking:
            await self._release(resource, obj, FOREGROUND)

    async def _orphan(self, resource: str, obj: Object) -> None:
        uid = obj["metadata"]["uid"]
        for place in self.view.children(uid):
            child = self.view.at(place)
            if child is None:
                continue
            references = [one for one in child["metadata"].get("ownerReferences") or () if one["uid"] != uid]
            metadata = {**child["metadata"], "ownerReferences": references}
            if not references:
                del metadata["ownerReferences"]
            await self.cluster.update(place[0], {**child, "metadata": metadata})
        await self._release(resource, obj, ORPHAN)

    async def _release(self, resource: str, obj: Object, finalizer: str) -> None:
        kept = [one for one in finalizers(obj) if one != finalizer]
        metadata = {**obj["metadata"], "finalizers": kept}
        if not kept:
            del metadata["finalizers"]
        await self.cluster.update(resource, {**obj, "metadata": metadata})
