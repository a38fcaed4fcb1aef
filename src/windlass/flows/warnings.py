"""Kubernetes Warning events of managed objects, for the ledger: one watch for the whole cluster.

``app.py`` keeps ``run`` running. It follows only while a ledger is named; what is told is folded, so that a thing which
goes on for days is a few lines. It wakes nothing and decides nothing: health looks for its own reasons.
"""

from __future__ import annotations

import asyncio
from typing import Any

from windlass.core.model import ObjectRef, Resource, events
from windlass.core.plan.ownership import LABEL
from windlass.core.record.warnings import owner, read, worth
from windlass.flows.fleet import ApplicationState, Fleet
from windlass.flows.record import Recorder, team_of
from windlass.ports import Cluster

EVENTS = Resource("", "v1", "events", "Event", True)


class WarningWatch:
    """Reads the live index to know whose an object is."""

    def __init__(self, fleet: Fleet, cluster: Cluster, record: Recorder) -> None:
        self._fleet = fleet
        self._cluster = cluster
        self._record = record
        self._told: dict[str, int] = {}

    async def run(self) -> None:
        await self._record.attached.wait()
        async for kind, content in self._cluster.follow(EVENTS, fields="type=Warning"):
            if kind == "DELETED":
                self._told.pop(str(content["metadata"].get("uid", "")), None)
            elif kind != "SYNCED":
                self.take(content)
                await asyncio.sleep(0)

    def take(self, content: dict[str, Any]) -> None:
        """One Event as it is now."""
        told = read(content)
        if told is None or self._told.get(told.uid) == told.count:
            return
        self._told[told.uid] = told.count
        ref = owner(told.about, lambda ref: self._state(ref) is not None)
        state = self._state(ref) if ref is not None else None
        if ref is None or state is None or not worth(told.count):
            return
        private = self._record.private
        data = events.Warned(
            object=events.object_word(ref),
            about=f"{told.about.kind}/{told.about.name}" if ref != told.about else "",
            reason=told.reason,
            message=private.event(told.reason, told.message),
            count=told.count,
            team=team_of(state),
        )
        self._record.tell(state.name, data, key=f"warning {told.uid} {told.count}")

    def _state(self, ref: ObjectRef) -> ApplicationState | None:
        live = self._cluster.live.get(ref)
        if live is None:
            return None
        state = self._fleet.by_label.get(live.labels.get(LABEL, ""))
        return state if state is not None and ref in state.desired else None
