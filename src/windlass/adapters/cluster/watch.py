"""Keeps one kind in the live index: every object with our label, from the first list on, until the kind is gone.

`kube.py` starts one per kind. It decodes in slices, so that nothing else on the loop waits; tells of deletions only
what a list or a watch said; and takes a kind's objects out as a whole only when discovery says that it is truly gone.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing

import msgspec

from windlass.adapters.cluster.client import Client
from windlass.adapters.cluster.decode import Decoder, Unreadable, watched_whole
from windlass.adapters.cluster.discovery import Discovery
from windlass.adapters.cluster.live import LABEL, Index
from windlass.adapters.cluster.source import Events, Failed, Items, Listed, Listing, Opened, Scope, Source
from windlass.core.model import ObjectRef, Resource
from windlass.errors import WindlassError
from windlass.ports import KindUnknown, ObjectMissing

SLICE = 0.003  # seconds of work before the loop gets a turn
LIST_ANEW = 20.0  # seconds after an object that can't be read, until all is listed anew

Trouble = Callable[[Resource, WindlassError | None], None]


class Slices:
    """Gives the loop a turn whenever `SLICE` seconds of work are done."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    async def breathe(self) -> None:
        if time.perf_counter() - self._begun > SLICE:
            await asyncio.sleep(0)
            self._begun = time.perf_counter()


class LiveWatch:
    """The watch of one kind. `on_trouble` hears each failure, and None when it works again."""

    def __init__(
        self,
        client: Client,
        discovery: Discovery,
        index: Index,
        decoder: Decoder,
        resource: Resource,
        on_trouble: Trouble | None = None,
    ) -> None:
        self.resource = resource
        self._client = client
        self._discovery = discovery
        self._index = index
        self._decoder = decoder
        self._on_trouble = on_trouble
        self._seen: set[ObjectRef] = set()
        self._listed = False
        self._error: WindlassError | None = None
        self._tried = asyncio.Event()  # the first list is in, or failed
        index.open(resource)

    async def ready(self) -> None:
        """Returns when the first list is in. Raises what stands in its way right now."""
        await self._tried.wait()
        if not self._listed and self._error is not None:
            raise self._error.with_traceback(None)

    async def run(self) -> None:
        """Never ends by itself."""
        while True:
            resource = self._discovery.known(self.resource.group, self.resource.kind) or self.resource
            try:
                await self._run_version(resource)
            except Unreadable as error:
                # Passing over one object would take it for deleted: nothing of this list or batch counts.
                await self._failed(error)
                await asyncio.sleep(LIST_ANEW * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load

    async def _run_version(self, resource: Resource) -> None:
        """Until the cluster serves the kind in another version, or again after it was gone."""
        self.resource = resource
        self._index.open(resource)
        whole = watched_whole(resource)
        source = Source(self._client, Scope(resource, labels=LABEL, metadata_only=not whole))
        async with aclosing(source.steps()) as steps:
            async for step in steps:
                match step:
                    case Listing():
                        self._seen = set()
                    case Items(objects):
                        await self._items(objects, whole=whole)
                    case Listed(version):
                        await self._complete(version)
                    case Opened():
                        self._alive("")
                    case Events(events, version):
                        await self._events(events, whole=whole)
                        self._alive(version)
                    case Failed(error, _):
                        if await self._failed(error):
                            return

    async def _items(self, objects: Iterable[msgspec.Raw], *, whole: bool) -> None:
        slices = Slices()
        for raw in objects:
            live = self._decoder.stored(self.resource, raw, whole=whole)
            self._seen.add(live.ref)
            self._index.take(self.resource, live, replayed=True)
            await slices.breathe()

    async def _complete(self, version: str) -> None:
        slices = Slices()
        for ref in self._index.listed(self.resource, self._seen, version):
            self._index.drop(self.resource, ref, version, replayed=True)
            await slices.breathe()
        self._seen = set()
        self._listed = True
        self._tried.set()
        self._alive(version)

    async def _events(self, events: Sequence[tuple[str, msgspec.Raw]], *, whole: bool) -> None:
        slices = Slices()
        for kind, raw in events:
            if kind != "DELETED" and self._decoder.same(self.resource, raw, self._index.get):
                await slices.breathe()
                continue
            live = self._decoder.stored(self.resource, raw, whole=whole)
            if kind == "DELETED" or LABEL not in live.labels:
                self._index.drop(self.resource, live.ref, live.resource_version)
            else:
                self._index.take(self.resource, live, replayed=False)
            await slices.breathe()

    def _alive(self, version: str) -> None:
        self._index.passed(self.resource, version)
        if self._error is not None:
            self._error = None
            if self._on_trouble is not None:
                self._on_trouble(self.resource, None)

    async def _failed(self, error: WindlassError) -> bool:
        """True when the kind is served in another version now, or not at all, and the watch begins anew."""
        anew = False
        if isinstance(error, ObjectMissing):
            resource = self.resource
            served = await self._discovery.look_again(resource.group, resource.kind)
            if served is not None and served != resource:
                anew = True
            elif served is None and self._discovery.surely_gone(resource.group, resource.kind):
                error = KindUnknown(f"the cluster no longer serves the kind {resource.kind} of {resource.api_version}")
                self._listed = False
                self._index.gone(resource)
        self._error = error
        self._index.troubled(self.resource, error)
        self._tried.set()
        if self._on_trouble is not None:
            self._on_trouble(self.resource, error)
        return anew
