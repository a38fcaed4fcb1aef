"""The leanest client of the API server that aiohttp allows: the bare writer, the setting up, watches, and rollouts.

What the controller is held against, and what plays its surroundings. One session, prepared headers, no retries: an
answer that is no success ends the benchmark.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
import msgspec
import yarl

from bench.fleet import NEVER_READY
from real.cluster import Cluster

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class Refused(RuntimeError):
    """The API server did not do what the benchmark needs."""


class Meta(msgspec.Struct):
    """What is looked at of an object's metadata."""

    name: str = ""
    namespace: str = ""
    generation: int = 0
    resourceVersion: str = ""  # noqa: N815 - the API's word
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class Condition(msgspec.Struct):
    """What is looked at of a condition."""

    type: str
    status: str


class State(msgspec.Struct):
    """What is looked at of a status, of Applications and of Deployments."""

    commit: str = ""
    sync: str = ""
    health: str = ""
    observedGeneration: int = 0  # noqa: N815


class Seen(msgspec.Struct):
    """An object of a watch, as far as any benchmark looks at it."""

    metadata: Meta = msgspec.field(default_factory=Meta)
    status: State = msgspec.field(default_factory=State)
    data: dict[str, str] = msgspec.field(default_factory=dict)


class Event(msgspec.Struct):
    """One line of a watch."""

    type: str
    object: Seen


class Lean:
    """One API server as its administrator, under a user agent that the audit log tells from the controller's."""

    def __init__(self, cluster: Cluster, agent: str) -> None:
        self._cluster = cluster
        self._headers = {"User-Agent": agent, "Authorization": f"Bearer {cluster.token}", "Accept": "application/json"}

    async def __aenter__(self) -> Self:
        tls: ssl.SSLContext = self._cluster.tls  # the same credentials as the tests use
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers=self._headers, read_bufsize=1 << 20
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    async def request(self, method: str, path: str, body: bytes | None = None, kind: str = APPLY) -> bytes:
        """One request; Refused unless it succeeds."""
        headers = {"Content-Type": kind} if body is not None else {}
        url = yarl.URL(self._cluster.server + path, encoded=True)
        async with self._session.request(method, url, data=body, headers=headers) as answer:
            content = await answer.read()
            if answer.status >= 300:
                raise Refused(f"{method} {path}: {answer.status} {content[:300].decode(errors='replace')}")
            return content

    async def apply_all(self, bodies: Iterable[tuple[str, bytes]], *, at_once: int = 32) -> float:
        """Applies everything, so many at a time. Returns the seconds."""
        waiting = iter(list(bodies))
        began = time.monotonic()

        async def work() -> None:
            for path, body in waiting:
                await self.request("PATCH", f"{path}?fieldManager=bench&force=true&fieldValidation=Strict", body)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(work())
        return time.monotonic() - began

    async def watch(self, path: str) -> AsyncIterator[Event]:
        """Events from now on, after those of what is there, until cancelled."""
        decoder = msgspec.json.Decoder(Event)
        timeout = aiohttp.ClientTimeout(total=None)
        version = ""
        while True:
            query = f"?watch=true&allowWatchBookmarks=true&timeoutSeconds=3000&resourceVersion={version}"
            url = yarl.URL(self._cluster.server + path + query, encoded=True)
            async with self._session.get(url, timeout=timeout) as answer:
                if answer.status != 200:
                    raise Refused(f"watch {path}: {answer.status}")
                rest = b""
                async for chunk in answer.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        event = decoder.decode(line)
                        version = event.object.metadata.resourceVersion or version
                        if event.type in ("ADDED", "MODIFIED", "DELETED"):
                            yield event


def rolled_out(now: str, *, well: bool = True) -> dict[str, Any]:
    """The status of a Deployment of one replica that is available, or that never will be."""
    times = {"lastUpdateTime": now, "lastTransitionTime": now}
    available = "MinimumReplicasAvailable" if well else "MinimumReplicasUnavailable"
    conditions = [
        {"type": "Available", "reason": available, "status": str(well), **times},
        {"type": "Progressing", "reason": "NewReplicaSetAvailable", "status": "True", **times},
    ]
    counts = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": int(well), "availableReplicas": int(well)}
    return {**counts, "unavailableReplicas": int(not well), "conditions": conditions}


@asynccontextmanager
async def rollouts(cluster: Cluster) -> AsyncIterator[None]:
    """Plays the Deployment controller and the nodes: every Deployment is available at once, by one write of its status.

    A real controller manager on the same two cores would write fifteen objects for each Deployment, and measure itself.
    It runs beside the bare writer too, so both have the same company.
    """
    async with Lean(cluster, "bench-rollouts") as client:

        async def play() -> None:
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            async for event in client.watch("/apis/apps/v1/deployments"):
                meta = event.object.metadata
                if event.type == "DELETED" or event.object.status.observedGeneration == meta.generation:
                    continue
                well = NEVER_READY not in meta.annotations
                status = {"observedGeneration": meta.generation, **rolled_out(now, well=well)}
                path = f"/apis/apps/v1/namespaces/{meta.namespace}/deployments/{meta.name}/status"
                await client.request("PATCH", path, msgspec.json.encode({"status": status}), MERGE)

        task = asyncio.create_task(play())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
