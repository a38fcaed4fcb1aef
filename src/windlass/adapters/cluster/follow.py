"""Whole objects of a few: what `ports.Cluster.follow` promises, over the same list and watch as the live index.

`kube.py` hands it to flows for their own kinds and for the Pods of a workload that is not Healthy. It keeps what it
sent, so that a list after a gap can be told as what changed; it is not for kinds of which there are many.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import msgspec

from windlass.adapters.cluster.client import Client
from windlass.adapters.cluster.decode import Unreadable
from windlass.adapters.cluster.source import Events, Failed, Items, Listed, Listing, Opened, Scope, Source
from windlass.adapters.cluster.watch import LIST_ANEW, Slices
from windlass.core.model.foreign import UNREADABLE
from windlass.errors import WindlassError

Told: TypeAlias = tuple[str, dict[str, Any]]


class _Held:
    """What was sent, by namespace and name."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.seen: set[tuple[str, str]] = set()
        self.synced = False

    def took(self, content: dict[str, Any]) -> list[Told]:
        """The steps that this state makes: none, or one, or two where another object took the name."""
        meta = content["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        self.seen.add(key)
        held = self.objects.get(key)
        self.objects[key] = content
        if held is None:
            return [("ADDED", content)]
        if held["metadata"].get("uid") != meta.get("uid"):
            return [("DELETED", held), ("ADDED", content)]
        if held["metadata"].get("resourceVersion") == meta.get("resourceVersion"):
            return []
        return [("MODIFIED", content)]

    def lost(self, content: dict[str, Any]) -> list[Told]:
        meta = content["metadata"]
        held = self.objects.pop((meta.get("namespace", ""), meta["name"]), None)
        return [("DELETED", content)] if held is not None else []

    def unseen(self) -> list[Told]:
        """What a complete list did not name any more."""
        gone = [key for key in self.objects if key not in self.seen]
        return [("DELETED", self.objects.pop(key)) for key in gone]


async def follow(
    client: Client, scope: Scope, on_trouble: Callable[[WindlassError | None], None] | None = None
) -> AsyncIterator[Told]:
    """ADDED, MODIFIED and DELETED with the whole object; SYNCED with an empty one after the first list. Never ends."""
    held, tell = _Held(), on_trouble or (lambda _: None)
    while True:
        try:
            async with aclosing(_steps(client, scope, held, tell)) as steps:
                async for told in steps:
                    yield told
        except Unreadable as error:
            # Passing over one object would take it for deleted: all is listed anew, and what differs is told.
            tell(error)
            await asyncio.sleep(LIST_ANEW * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load


async def _steps(
    client: Client, scope: Scope, held: _Held, tell: Callable[[WindlassError | None], None]
) -> AsyncGenerator[Told, None]:
    resource = scope.resource
    async with aclosing(Source(client, scope).steps()) as steps:
        async for step in steps:
            told: list[Told] = []
            slices = Slices()
            match step:
                case Listing():
                    held.seen = set()
                case Items(objects):
                    for raw in objects:
                        for each in held.took(_named(raw, resource.api_version, resource.kind)):
                            yield each
                        await slices.breathe()
                case Listed():
                    told = held.unseen()
                    if not held.synced:
                        held.synced = True
                        told.append(("SYNCED", {}))
                case Events(events, _):
                    for kind, raw in events:
                        content = _named(raw, resource.api_version, resource.kind)
                        for each in held.lost(content) if kind == "DELETED" else held.took(content):
                            yield each
                        await slices.breathe()
                case Opened():
                    tell(None)
                case Failed(error, _):
                    tell(error)
            for each in told:
                yield each


class _Meta(msgspec.Struct):
    name: str
    uid: str
    resourceVersion: str  # noqa: N815 - the API's word
    namespace: str = ""
    generation: int = 0
    annotations: dict[str, str] | None = None


class _Object(msgspec.Struct):
    metadata: _Meta


_NAMED = msgspec.json.Decoder(_Object)


def _named(raw: msgspec.Raw, api_version: str, kind: str) -> dict[str, Any]:
    """The object, with the kind that items of a list leave out."""
    try:
        _NAMED.decode(raw)
        content: dict[str, Any] = msgspec.json.decode(raw)
    except UNREADABLE as error:
        raise Unreadable(f"a {kind} of the API server is no object") from error
    if "kind" not in content:
        content = {"apiVersion": api_version, "kind": kind} | content
    return content
