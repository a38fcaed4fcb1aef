"""Numbers for people who watch Windlass, in Prometheus' form. Counts by the words that logs and docs use.

``app`` fills them from the flows; labels are bounded sets (never a name of an object), except the Application's own
state, which is what one alerts on.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from windlass.core.model import HealthStatus
from windlass.core.record.delivery import Step

HEALTH = tuple(HealthStatus)


class Metrics:
    """One registry of its own, so that two controllers in one process (tests) do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._places: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.requests = Counter(
            "windlass_api_requests", "Requests to the API server", ["verb", "kind", "code"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "windlass_api_request_seconds", "Time of requests to the API server", ["verb"], registry=self.registry
        )
        self.outcomes = Counter("windlass_outcomes", "Outcomes of changes", ["result"], registry=self.registry)
        self.drift = Counter("windlass_drift", "Drift seen", ["cause", "response"], registry=self.registry)
        self.revert_seconds = Histogram(
            "windlass_drift_revert_seconds",
            "From the watch event to the answer of the revert",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
            registry=self.registry,
        )
        self.fetches = Counter("windlass_git_fetches", "Looks at remotes", ["result"], registry=self.registry)
        own = ["namespace", "name"]
        self.deployments = Counter(
            "windlass_deployments", "Deployments: syncs of another commit that ended", own, registry=self.registry
        )
        self.deployments_failed = Counter(
            "windlass_deployments_failed",
            "Deployments that were refused or partly applied first, or Degraded within an hour",
            own,
            registry=self.registry,
        )
        self.lead = Summary(
            "windlass_lead_seconds", "From the commit to Healthy, of deployments", own, registry=self.registry
        )
        self.recovery = Summary(
            "windlass_recovery_seconds", "From Degraded to Healthy again", own, registry=self.registry
        )
        self.leading = Gauge("windlass_leading", "Whether this process leads", registry=self.registry)
        self.lag = Histogram(
            "windlass_loop_lag_seconds",
            "Lag of the event loop",
            buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5),
            registry=self.registry,
        )

    def watch(self, collector: Collector) -> None:
        """Adds numbers that are read when somebody asks."""
        self.registry.register(collector)

    def delivered(self, step: Step | None) -> None:
        """Delivery metrics, from what is recorded."""
        if step is None or step.application.count("/") != 1:
            return
        labels = step.application.split("/")
        if step.made is not None:
            self.deployments.labels(*labels).inc()
        if step.failed is not None:
            self.deployments_failed.labels(*labels).inc()
        if step.healthy is not None and step.healthy.committed and not step.healthy.pinned:
            self.lead.labels(*labels).observe(max(0.0, (step.healthy.healthy - step.healthy.committed) / 1000))
        if step.recovered:
            self.recovery.labels(*labels).observe(step.recovered / 1000)

    def request(self, verb: str, kind: str, code: int, seconds: float) -> None:
        # Looking a label up by its words costs as much as the rest of a request's accounting: done once for each.
        place = (verb, kind, code)
        known = self._places.get(place)
        if known is None:
            known = self.requests.labels(verb, kind, str(code)), self.request_seconds.labels(verb)
            self._places[place] = known
        known[0].inc()
        known[1].observe(seconds)

    def exposition(self) -> tuple[bytes, str]:
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
