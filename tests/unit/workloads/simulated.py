"""A cluster in memory without containers, and what to put into it, for the tests of the workloads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from memory_api import MemoryApi

Object = dict[str, Any]


class World:
    """An API server in memory with the workloads running on it."""

    def __init__(self) -> None:
        self.api = MemoryApi()

    async def make(self, resource: str, obj: Object) -> Object:
        obj.setdefault("metadata", {}).setdefault("namespace", "default")
        if resource.rpartition("/")[2] in ("namespaces", "persistentvolumes", "storageclasses"):
            del obj["metadata"]["namespace"]
        return await self.api.create(resource, obj, manager="test")

    def get(self, resource: str, name: str, namespace: str = "default") -> Object | None:
        return self.api.shelves.get(resource, {}).get((namespace, name))

    def all(self, resource: str) -> list[Object]:
        return list(self.api.shelves.get(resource, {}).values())

    def pods(self, **labels: str) -> list[Object]:
        return [pod for pod in self.all("v1/pods") if labels.items() <= (pod["metadata"].get("labels") or {}).items()]

    async def edit(
        self, resource: str, name: str, change: Callable[[Object], Object], namespace: str = "default"
    ) -> Object:
        live = self.get(resource, name, namespace)
        assert live is not None
        return await self.api.update(resource, change(live), manager="test")

    async def until(self, question: Callable[[], Any], seconds: float = 5.0) -> Any:
        """Wait for an answer that is true."""
        end = time.monotonic() + seconds
        while True:
            answer = question()
            if answer:
                return answer
            if time.monotonic() > end:
                raise AssertionError("it did not come true in time")
            await asyncio.sleep(0.005)

    async def quiet(self, seconds: float = 0.3) -> int:
        """How many writes there are in a while."""
        await asyncio.sleep(0.2)
        before = len(self.api.writes)
        await asyncio.sleep(seconds)
        return len(self.api.writes) - before

    def events(self, name: str) -> list[tuple[str, str]]:
        return [
            (event["reason"], event["message"])
            for event in self.all("v1/events")
            if event["involvedObject"]["name"].startswith(name)
        ]


def deployment(name: str = "web", image: str = "example.com/web:1", replicas: int = 1, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image, "ports": [{"containerPort": 8080}]}]},
            },
            **spec,
        },
    }
