"""The cluster as one controller uses it: read from the shared view, write through the API, and see its own writes at
once.

Made once by the engine and shared by all controllers. Each write is done under the name that the real component has in
``managedFields``.
"""

from __future__ import annotations

from typing import Any

from windlass.devstack.workloads.api import CONTROLLER_MANAGER, Api, ApiError, Clock, timestamp
from windlass.devstack.workloads.recorder import Recorder
from windlass.devstack.workloads.view import View

Object = dict[str, Any]


class Cluster:
    """View, API, clock and events in one hand."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self.api = api
        self.clock = clock
        self.view = View()
        self.events = Recorder(api, clock)

    def stamp(self) -> str:
        """The present as objects write it."""
        return timestamp(self.clock.now())

    async def create(self, resource: str, obj: Object, manager: str = CONTROLLER_MANAGER) -> Object:
        """Create an object. Raises ApiError."""
        made = await self.api.create(resource, obj, manager=manager)
        self.view.put(resource, made)
        return made

    async def update(
        self, resource: str, obj: Object, manager: str = CONTROLLER_MANAGER, subresource: str = ""
    ) -> Object:
        """Write a whole object, guarded by its resourceVersion. Raises ApiError."""
        made = await self.api.update(resource, obj, manager=manager, subresource=subresource)
        metadata = made["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and subresource != "status":
            await self.refresh(resource, made)
        else:
            self.view.put(resource, made)
        return made

    async def write_status(
        self, resource: str, obj: Object, status: Object, manager: str = CONTROLLER_MANAGER
    ) -> Object:
        """Write the status if it differs. Gives the object as it is then."""
        if obj.get("status") == status:
            return obj
        return await self.update(resource, {**obj, "status": status}, manager, "status")

    async def delete(self, resource: str, obj: Object, propagation: str = "Background") -> None:
        """Delete exactly this object (by uid). That it is gone already, or another one, is no error."""
        metadata = obj["metadata"]
        try:
            await self.api.delete(
                resource, metadata.get("namespace"), metadata["name"], uid=metadata["uid"], propagation=propagation
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        await self.refresh(resource, obj)

    async def refresh(self, resource: str, obj: Object) -> Object | None:
        """Read an object again into the view. None when it is gone, or another one has its name."""
        metadata = obj["metadata"]
        live = await self.api.get(resource, metadata.get("namespace"), metadata["name"])
        if live is None or live["metadata"]["uid"] != metadata["uid"]:
            self.view.drop(resource, obj)
            return None
        self.view.put(resource, live)
        return live

    async def refresh_name(self, resource: str, namespace: str, name: str) -> Object | None:
        """Read whatever has this name into the view."""
        live = await self.api.get(resource, namespace or None, name)
        if live is not None:
            self.view.put(resource, live)
        return live
