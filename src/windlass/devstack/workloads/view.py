"""All objects as the controllers see them: one copy for all, fed by one subscription, indexed by namespace, uid and
owner.

The engine feeds it; controllers read it and, through ``Cluster``, put into it what the API server answered to their
own writes, so that a
controller always sees what it did itself. Objects are shared and never changed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
Place = tuple[str, str, str]
"""Resource, namespace (empty for cluster scope), name."""


def place_of(resource: str, obj: Object) -> Place:
    """Where an object is."""
    metadata = obj["metadata"]
    return resource, metadata.get("namespace") or "", metadata["name"]


def version_of(obj: Object) -> int:
    """The resourceVersion as a number, to tell older from newer."""
    return int(obj["metadata"].get("resourceVersion") or 0)


_REMEMBERED = 20_000
"""Uids of deleted objects that are remembered, far more than there are writes under way."""


class View:
    """The objects that are there, as far as is known."""

    def __init__(self) -> None:
        self._shelves: dict[str, dict[str, dict[str, Object]]] = {}
        self._uids: dict[str, Place] = {}
        self._children: dict[str, dict[Place, None]] = {}
        self._kinds: dict[tuple[str, str], str] = {}
        self._orphans: dict[tuple[str, str], dict[Place, None]] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """One object; ``namespace`` is empty for cluster scope."""
        return self._shelves.get(resource, {}).get(namespace, {}).get(name)

    def at(self, place: Place) -> Object | None:
        """One object by its place."""
        return self.get(*place)

    def every(self, resource: str, namespace: str | None = None) -> list[Object]:
        """All objects of a resource, of one namespace where one is given."""
        shelf = self._shelves.get(resource, {})
        if namespace is not None:
            return [*shelf.get(namespace, {}).values()]
        return [obj for space in shelf.values() for obj in space.values()]

    def in_namespace(self, namespace: str) -> Iterator[Place]:
        """The places of all objects in a namespace, of every resource."""
        for resource, shelf in self._shelves.items():
            for name in shelf.get(namespace, {}):
                yield resource, namespace, name

    def by_uid(self, uid: str) -> Place | None:
        """Where the object of this uid is."""
        return self._uids.get(uid)

    def children(self, uid: str) -> list[Place]:
        """The places of all objects that name this uid as an owner."""
        return [*self._children.get(uid, {})]

    def owned(self, uid: str, resource: str) -> list[Object]:
        """The objects of one resource that name this uid as their *controller*."""
        found = []
        for place in self._children.get(uid, ()):
            obj = self.at(place) if place[0] == resource else None
            if obj and any(o["uid"] == uid and o.get("controller") for o in obj["metadata"]["ownerReferences"]):
                found.append(obj)
        return found

    def orphans(self, resource: str, namespace: str) -> list[Object]:
        """The objects of one resource and namespace that nobody controls."""
        return [self._shelves[place[0]][place[1]][place[2]] for place in self._orphans.get((resource, namespace), ())]

    def resource_of(self, api_version: str, kind: str) -> str | None:
        """The resource that objects of this kind were seen in."""
        return self._kinds.get((api_version, kind))

    def put(self, resource: str, obj: Object) -> bool:
        """Note an object as it is now. False (and nothing noted) when something newer of the same uid is known."""
        if obj["metadata"]["uid"] in self._gone:
            return False  # the answer to a write that came in after the news of the deletion
        place = place_of(resource, obj)
        _, namespace, name = place
        space = self._shelves.setdefault(resource, {}).setdefault(namespace, {})
        before = space.get(name)
        if before is not None:
            if before["metadata"]["uid"] == obj["metadata"]["uid"] and version_of(before) >= version_of(obj):
                return False
            self._unlink(place, before)
        space[name] = obj
        metadata = obj["metadata"]
        self._uids[metadata["uid"]] = place
        for owner in metadata.get("ownerReferences") or ():
            self._children.setdefault(owner["uid"], {})[place] = None
        if not any(owner.get("controller") for owner in metadata.get("ownerReferences") or ()):
            self._orphans.setdefault((resource, namespace), {})[place] = None
        self._kinds.setdefault((obj.get("apiVersion", ""), obj.get("kind", "")), resource)
        return True

    def drop(self, resource: str, obj: Object) -> None:
        """Note that an object is gone. Another one of the same name stays."""
        place = place_of(resource, obj)
        self._gone[obj["metadata"]["uid"]] = None
        if len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)
        space = self._shelves.get(resource, {}).get(place[1], {})
        known = space.get(place[2])
        if known is not None and known["metadata"]["uid"] == obj["metadata"]["uid"]:
            del space[place[2]]
            self._unlink(place, known)

    def _unlink(self, place: Place, obj: Object) -> None:
        metadata = obj["metadata"]
        self._uids.pop(metadata["uid"], None)
        self._orphans.get((place[0], place[1]), {}).pop(place, None)
        for owner in metadata.get("ownerReferences") or ():
            children = self._children.get(owner["uid"])
            if children is not None:
                children.pop(place, None)
                if not children:
                    del self._children[owner["uid"]]
