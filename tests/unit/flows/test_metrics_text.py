"""What is told of each Application is in Prometheus' own form, read back by Prometheus' own parser."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from prometheus_client.parser import text_string_to_metric_families

from windlass.core.model import Health, HealthStatus
from windlass.core.plan.ownership import Claim
from windlass.core.record.delivery import Deployment, Step
from windlass.flows.fleet import ApplicationState, Fleet, Key
from windlass.flows.metrics import Metrics
from windlass.flows.numbers import Numbers


def told(metrics: Metrics) -> dict[str, tuple[str, dict[tuple[str, ...], float]]]:
    """Of each family its type and its samples, by name and labels."""
    text, kind = metrics.exposition()
    assert kind.startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        samples = {(one.name, *map(one.labels.get, ("namespace", "name"))): one.value for one in family.samples}
        found[family.name] = (family.type, samples)
    return cast(Any, found)


def test_each_application_is_told_healthy_or_not() -> None:
    fleet, metrics = Fleet(), Metrics()
    for name, health in (("shop", HealthStatus.HEALTHY), ("blog", HealthStatus.DEGRADED)):
        fleet.add(ApplicationState(Key("team", name), Claim.of("team", name), health=Health(health)))
    unused = cast(Any, SimpleNamespace(condition=lambda: (True,), waiting=0, made=0, hits=0, refused=0, bugs=0))
    reporter = cast(Any, SimpleNamespace(status_writes=0, events_dropped=0))
    metrics.watch(Numbers(fleet, unused, reporter, cast(Any, ()), cast(Any, ()), unused, unused))
    name = "windlass_application_healthy"
    assert told(metrics)[name] == ("gauge", {(name, "team", "shop"): 1.0, (name, "team", "blog"): 0.0})


def test_deployments_and_their_times_are_counted_for_each_application() -> None:
    metrics = Metrics()
    made = Deployment("team/shop", 2_000, "a" * 40, committed=1_000, healthy=4_500)
    metrics.delivered(Step("team/shop", made=made))
    metrics.delivered(Step("team/shop", made=made, healthy=made))
    metrics.delivered(Step("team/blog", failed=made, recovered=1_500))
    metrics.delivered(Step("no-namespace", made=made))
    metrics.delivered(None)
    found = told(metrics)
    assert found["windlass_deployments"] == ("counter", {("windlass_deployments_total", "team", "shop"): 2.0})
    assert found["windlass_deployments_failed"] == (
        "counter",
        {("windlass_deployments_failed_total", "team", "blog"): 1.0},
    )
    lead, recovery = "windlass_lead_seconds", "windlass_recovery_seconds"
    assert found[lead] == ("summary", {(f"{lead}_count", "team", "shop"): 1.0, (f"{lead}_sum", "team", "shop"): 3.5})
    assert found[recovery] == (
        "summary",
        {(f"{recovery}_count", "team", "blog"): 1.0, (f"{recovery}_sum", "team", "blog"): 1.5},
    )
