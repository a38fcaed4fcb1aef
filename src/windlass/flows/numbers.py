"""Counted from the fleet when somebody asks for metrics: nothing is kept up to date for it. Made by ``app``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from typing_extensions import override

from windlass.core.model import HealthStatus
from windlass.flows.fleet import Fleet, Key
from windlass.flows.ledger import LedgerKeeper
from windlass.flows.metrics import PerApplication, Watched
from windlass.flows.queue import WorkQueue
from windlass.flows.report import Reporter
from windlass.flows.supervise import Supervisor


class Renders(Protocol):
    """What a renderer counts."""

    @property
    def made(self) -> int: ...

    @property
    def hits(self) -> int: ...

    @property
    def refused(self) -> int: ...


class Numbers(Watched):
    """What is read from the fleet when somebody asks for metrics."""

    def __init__(
        self,
        fleet: Fleet,
        renders: Renders,
        reporter: Reporter,
        syncs: WorkQueue[Key],
        asks: WorkQueue[Key],
        supervisor: Supervisor,
        ledger: LedgerKeeper,
    ) -> None:
        self._fleet = fleet
        self._renders = renders
        self._reporter = reporter
        self._queues = {"sync": syncs, "repository": asks}
        self._supervisor = supervisor
        self._ledger = ledger

    @override
    def families(self) -> list[PerApplication]:
        """Which Applications are Healthy: what one alerts on."""
        made = PerApplication("windlass_application_healthy", "gauge", "1 where Healthy")
        for state in list(self._fleet.applications.values()):
            made.put(*state.key, 1.0 if state.health.status is HealthStatus.HEALTHY else 0.0)
        return [made]

    @override
    def collect(self) -> Iterable[Metric]:
        health = GaugeMetricFamily(
            "windlass_applications", "Applications by sync and health", labels=["sync", "health"]
        )
        counts: dict[tuple[str, str], int] = {}
        drift = 0
        # Copies, each made at one stroke: this runs in a thread, because thousands of lines take their time.
        states = list(self._fleet.applications.values())
        for state in states:
            place = (state.sync, state.health.status.value)
            counts[place] = counts.get(place, 0) + 1
            drift += sum(map(len, list(state.drift.values())))
        for (sync, word), number in sorted(counts.items()):
            health.add_metric([sync, word], number)
        yield health
        yield GaugeMetricFamily("windlass_drift_open", "Open differences", value=drift)
        depth = GaugeMetricFamily("windlass_queue_depth", "Keys that wait", labels=["queue"])
        for name, queue in self._queues.items():
            depth.add_metric([name], len(queue))
        yield depth
        yield GaugeMetricFamily(
            "windlass_ledger_recorded",
            "1 while what happens reaches the ledger",
            value=float(self._ledger.condition()[0]),
        )
        yield GaugeMetricFamily(
            "windlass_ledger_waiting_bytes", "Bytes of events that wait to be pushed", value=self._ledger.waiting
        )
        for name, text, value in (
            ("windlass_renders", "Renders made", self._renders.made),
            ("windlass_render_cache_hits", "Renders found in the cache", self._renders.hits),
            ("windlass_render_cache_refused", "Cache entries thrown away", self._renders.refused),
            ("windlass_status_writes", "Status writes", self._reporter.status_writes),
            ("windlass_events_dropped", "Kubernetes Events dropped", self._reporter.events_dropped),
            ("windlass_bugs", "Unexpected errors", self._supervisor.bugs),
        ):
            yield CounterMetricFamily(name, text, value=value)
