"""Numbers for people who watch Windlass, in Prometheus' form. Counts by the words that logs and docs use.

``app`` fills them from the flows; labels are bounded sets (never a name of an object), except the Application's own
state, which is what one alerts on.
"""

from __future__ import annotations

from abc import abstractmethod

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from windlass.core.model import HealthStatus
from windlass.core.record.delivery import Step

HEALTH = tuple(HealthStatus)


SUMMARY = ("_count", "_sum")


class PerApplication:
    """A family with one sample of each ``suffix`` for each Application, in Prometheus' text form.

    Written here, because ``prometheus_client`` takes some 18 us for a line: for ten thousand Applications a fifth of a
    second of a core for each family and each scrape, with the interpreter's lock held. Names and namespaces are labels
    of DNS, in which nothing has to be escaped.
    """

    def __init__(self, name: str, kind: str, says: str, suffixes: tuple[str, ...] = ("",)) -> None:
        name += "_total" if kind == "counter" else ""
        self._head = f"# HELP {name} {says}\n# TYPE {name} {kind}\n"
        self._starts = [f"{name}{suffix}" for suffix in suffixes]
        self._values: dict[tuple[str, str], tuple[float, ...]] = {}

    def put(self, namespace: str, name: str, *values: float) -> None:
        """The values of one Application, one for each suffix."""
        self._values[namespace, name] = values

    def add(self, namespace: str, name: str, *values: float) -> None:
        """Adds to what is there."""
        before = self._values.get((namespace, name), (0.0,) * len(values))
        self._values[namespace, name] = tuple([old + new for old, new in zip(before, values, strict=True)])

    def text(self) -> str:
        """All of it. May be called from another thread than the one that adds."""
        lines = [self._head]
        for (namespace, name), values in list(self._values.items()):
            for start, value in zip(self._starts, values, strict=True):
                lines.append(f'{start}{{name="{name}",namespace="{namespace}"}} {value}\n')
        return "".join(lines)


class Watched(Collector):
    """Numbers that are read when somebody asks: few ones by ``collect``, and those of each Application."""

    @abstractmethod
    def families(self) -> list[PerApplication]: ...


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
        self.deployments = PerApplication(
            "windlass_deployments", "counter", "Deployments: syncs of another commit that ended"
        )
        self.deployments_failed = PerApplication(
            "windlass_deployments_failed",
            "counter",
            "Deployments that were refused or partly applied first, or Degraded within an hour",
        )
        self.lead = PerApplication(
            "windlass_lead_seconds", "summary", "From the commit to Healthy, of deployments", SUMMARY
        )
        self.recovery = PerApplication(
            "windlass_recovery_seconds", "summary", "From Degraded to Healthy again", SUMMARY
        )
        self._watched: list[Watched] = []
        self.leading = Gauge("windlass_leading", "Whether this process leads", registry=self.registry)
        self.lag = Histogram(
            "windlass_loop_lag_seconds",
            "Lag of the event loop",
            buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5),
            registry=self.registry,
        )

    def watch(self, watched: Watched) -> None:
        """Adds numbers that are read when somebody asks."""
        self.registry.register(watched)
        self._watched.append(watched)

    def delivered(self, step: Step | None) -> None:
        """Delivery metrics, from what is recorded."""
        if step is None or step.application.count("/") != 1:
            return
        namespace, _, name = step.application.partition("/")
        if step.made is not None:
            self.deployments.add(namespace, name, 1.0)
        if step.failed is not None:
            self.deployments_failed.add(namespace, name, 1.0)
        if step.healthy is not None and step.healthy.committed and not step.healthy.pinned:
            seconds = max(0.0, (step.healthy.healthy - step.healthy.committed) / 1000)
            self.lead.add(namespace, name, 1.0, seconds)
        if step.recovered:
            self.recovery.add(namespace, name, 1.0, step.recovered / 1000)

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
        """All of them, and their content type. May be called from another thread."""
        families = [self.deployments, self.deployments_failed, self.lead, self.recovery]
        families += [family for one in self._watched for family in one.families()]
        text = "".join([family.text() for family in families])
        return generate_latest(self.registry) + text.encode(), CONTENT_TYPE_LATEST
