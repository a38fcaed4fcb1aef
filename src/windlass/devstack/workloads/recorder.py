"""Events (v1): written in the order in which they happened, repeats counted on one object, forgotten after an hour.

Controllers call ``record``, which never waits; ``run`` writes. An Event that can't be written (its namespace is going)
is dropped, as the real
components do: Events are best effort.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

from windlass.devstack.workloads.api import EVENTS, Api, ApiError, Clock, timestamp

Object = dict[str, Any]

_REMEMBERED = 4096
LIFETIME = 3600.0
"""Seconds that an Event is kept after it was last counted up, as the real server does."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that happened to ``about``. ``part`` is a field path such as ``spec.containers{web}``."""

    about: Object
    kind: str
    reason: str
    message: str
    component: str
    manager: str
    host: str = ""
    part: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return self.about["metadata"]["uid"], self.kind, self.reason, self.message, self.component, self.part


class Recorder:
    """The queue of Events to write."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._waiting: deque[Note] = deque()
        self._wake = asyncio.Event()
        self._written: OrderedDict[tuple[str, ...], Object] = OrderedDict()
        self._ages: OrderedDict[tuple[str, str], float] = OrderedDict()

    def record(self, note: Note) -> None:
        """Note an event; it is written soon."""
        self._waiting.append(note)
        self._wake.set()

    def remember(self, event: Object) -> None:
        """Take over an Event that was there at the start, so that it goes in time."""
        metadata = event["metadata"]
        self._ages.setdefault((metadata.get("namespace", ""), metadata["name"]), self._clock.monotonic())

    async def run(self) -> None:
        """Write for ever. Cancelled with the engine."""
        while True:
            try:
                async with asyncio.timeout(self._until_oldest()):
                    await self._wake.wait()
            except TimeoutError:
                await self._forget()
            self._wake.clear()
            while self._waiting:
                note = self._waiting.popleft()
                try:
                    await self._write(note)
                except ApiError:  # best effort: the namespace is going, or the object was counted up by somebody else
                    self._written.pop(note.key, None)
                await asyncio.sleep(0)

    def _until_oldest(self) -> float | None:
        if not self._ages:
            return None
        return max(1.0, next(iter(self._ages.values())) + LIFETIME - self._clock.monotonic())

    async def _forget(self) -> None:
        limit = self._clock.monotonic() - LIFETIME
        while self._ages and next(iter(self._ages.values())) <= limit:
            (namespace, name), _ = self._ages.popitem(last=False)
            try:
                await self._api.delete(EVENTS, namespace, name)
            except ApiError as error:
                if error.code != 404:
                    raise

    async def _write(self, note: Note) -> None:
        now = timestamp(self._clock.now())
        before = self._written.pop(note.key, None)
        if before is not None:
            counted = {**before, "count": before.get("count", 1) + 1, "lastTimestamp": now}
            written = await self._api.update(EVENTS, counted, manager=note.manager)
        else:
            written = await self._api.create(EVENTS, self._event(note, now), manager=note.manager)
        self._written[note.key] = written
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)
        place = (written["metadata"]["namespace"], written["metadata"]["name"])
        self._ages.pop(place, None)
        self._ages[place] = self._clock.monotonic()

    @staticmethod
    def _event(note: Note, now: str) -> Object:
        metadata = note.about["metadata"]
        namespace = metadata.get("namespace") or "default"
        involved = {
            "apiVersion": note.about.get("apiVersion", "v1"),
            "kind": note.about.get("kind", ""),
            "name": metadata["name"],
            "resourceVersion": metadata.get("resourceVersion", ""),
            "uid": metadata["uid"],
        }
        if metadata.get("namespace"):
            involved["namespace"] = namespace
        if note.part:
            involved["fieldPath"] = note.part
        source = {"component": note.component, **({"host": note.host} if note.host else {})}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{secrets.token_hex(8)}", "namespace": namespace},
            "involvedObject": involved,
            "reason": note.reason,
            "message": note.message,
            "source": source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": note.kind,
            "eventTime": None,
            "reportingComponent": note.component,
            "reportingInstance": note.host,
        }
