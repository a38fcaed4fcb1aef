"""The health of one object: a rule by kind, and the conditions of kstatus for all others.

The flows call it on each change of an object. It asks nothing: pods and Events come as ``PodFacts`` where they were
fetched. It does not know whether an object belongs here, or what Git says of it.

Two rules follow kstatus where others differ: a Service of type LoadBalancer and an Ingress are Healthy without an
address (most test clusters never give one; the message tells it), and ``Ready=False`` alone is Progressing, because
controllers say so while they work; ``overdue`` makes it Degraded when it lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from windlass.core.health.facts import (
    Facts,
    condition,
    is_false,
    is_true,
    items,
    mapping,
    number,
    one_line,
    says,
    seconds_since,
    text,
)
from windlass.core.health.pods import PodFacts, pod_facts
from windlass.core.health.workloads import daemon_set, deployment, replica_set, stateful_set
from windlass.core.model import Health, HealthStatus

_HEALTHY = HealthStatus.HEALTHY
_PROGRESSING = HealthStatus.PROGRESSING
_DEGRADED = HealthStatus.DEGRADED
_SUSPENDED = HealthStatus.SUSPENDED

_METRICS_PATIENCE = 120.0


def health_of(facts: Facts, now: datetime, pods: PodFacts | None = None) -> Health:
    """The health of an object that exists. ``pods``: what is known of the pods behind a workload, if it was asked."""
    if facts.deleting:
        waits = f", waits for {', '.join(facts.finalizers)}" if facts.finalizers else ""
        return Health(_PROGRESSING, f"is being deleted{waits}")
    rule = _RULES.get((facts.ref.group, facts.ref.kind))
    if rule is None:
        return _by_conditions(facts)
    if facts.status is None:
        # Without a spec either, the kind is watched by its metadata alone: all that is known is that it exists.
        return Health(_PROGRESSING, "no status yet") if facts.spec is not None else Health(_HEALTHY)
    observed = number(facts.status, "observedGeneration", facts.generation)
    if observed < facts.generation:
        return Health(_PROGRESSING, "its controller has not seen the last change yet")
    found = rule(facts, facts.status, now)
    if pods is not None and found.status is _PROGRESSING:
        return _with_pods(found, pods)
    return found


def _with_pods(found: Health, pods: PodFacts) -> Health:
    """A workload that waits for pods: Degraded as soon as they are stuck, long before a progress deadline."""
    if pods.degraded:
        return Health(_DEGRADED, f"{found.message}; {pods.degraded}" if found.message else pods.degraded)
    if pods.troubles:
        first = pods.troubles[0]
        return Health(_PROGRESSING, f"{found.message}; {first.words} in Pod/{first.pod}", pods.look_again)
    return Health(found.status, found.message, pods.look_again or found.look_again)


def _by_conditions(facts: Facts) -> Health:
    """kstatus: Stalled, Reconciling, Ready; without them an object is Healthy because it exists."""
    status = facts.status
    if status is None:
        return Health(_HEALTHY)
    observed = number(status, "observedGeneration", facts.generation)
    stalled, reconciling, ready = (condition(status, kind) for kind in ("Stalled", "Reconciling", "Ready"))
    if observed < facts.generation:
        return Health(_PROGRESSING, "its controller has not seen the last change yet")
    if is_true(stalled):
        return Health(_DEGRADED, says(stalled, "Stalled"))
    if (facts.spec or {}).get("suspend") is True:
        return Health(_SUSPENDED, "spec.suspend is true")
    if is_true(reconciling):
        return Health(_PROGRESSING, says(reconciling, "Reconciling"))
    if ready is not None and not is_true(ready):
        return Health(_PROGRESSING, says(ready, "not Ready"))
    return Health(_HEALTHY)


def _job(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    failed = condition(status, "Failed")
    if is_true(failed):
        return Health(_DEGRADED, says(failed, "failed"))
    if is_true(condition(status, "Complete")):
        return Health(_HEALTHY, "completed")
    if (facts.spec or {}).get("suspend") is True or is_true(condition(status, "Suspended")):
        return Health(_SUSPENDED, "spec.suspend is true")
    parts = [f"{number(status, 'active')} active"]
    if number(status, "succeeded"):
        parts.append(f"{number(status, 'succeeded')} succeeded")
    if number(status, "failed"):
        parts.append(f"{number(status, 'failed')} failed")
    return Health(_PROGRESSING, ", ".join(parts))


def _cron_job(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    if (facts.spec or {}).get("suspend") is True:
        return Health(_SUSPENDED, "spec.suspend is true")
    last = text(status, "lastSuccessfulTime")
    return Health(_HEALTHY, f"last success {last}" if last else "")


def _pod(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    phase = text(status, "phase")
    if phase == "Succeeded":
        return Health(_HEALTHY, "completed")
    meta = {"name": facts.ref.name, "creationTimestamp": facts.created}
    found = pod_facts([{"metadata": meta, "status": status}], [], now)
    words = found.troubles[0].words if found.troubles else ""
    if phase == "Failed" or found.degraded:
        return Health(_DEGRADED, words)
    if words:
        return Health(_PROGRESSING, words, found.look_again)
    return Health(_HEALTHY, "ready")


def _claim(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    match text(status, "phase"):
        case "Bound":
            return Health(_HEALTHY, "bound")
        case "Lost":
            return Health(_DEGRADED, "its volume is lost")
        case phase:
            return Health(_PROGRESSING, f"{phase or 'Pending'}: waits for a volume")


def _volume(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    phase = text(status, "phase")
    if phase == "Failed":
        return Health(_DEGRADED, one_line(text(status, "message")) or "Failed")
    return Health(_PROGRESSING if phase == "Pending" else _HEALTHY, phase)


def _service(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    if text(facts.spec, "type") != "LoadBalancer":
        return Health(_HEALTHY)
    if not text(facts.spec, "clusterIP"):
        return Health(_PROGRESSING, "waits for a cluster address")
    return Health(_HEALTHY, _address(status))


def _ingress(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    return Health(_HEALTHY, _address(status))


def _address(status: dict[str, Any]) -> str:
    addresses = items(mapping(status, "loadBalancer"), "ingress")
    first = (text(each, "ip") or text(each, "hostname") for each in addresses)
    return next((address for address in first if address), "no load balancer has given it an address")


def _definition(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    accepted, established = condition(status, "NamesAccepted"), condition(status, "Established")
    if is_false(accepted):
        return Health(_DEGRADED, says(accepted, "its names are taken"))
    if is_true(established):
        return Health(_HEALTHY, "established")
    return Health(_PROGRESSING, says(established, "not established yet"))


def _autoscaler(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    for kind in ("AbleToScale", "ScalingActive"):
        found = condition(status, kind)
        if is_false(found) and text(found, "reason") != "ScalingDisabled":
            # Metrics of new pods take a while; until then it only looks like a failure.
            age = seconds_since(facts.created, now)
            if age is not None and age < _METRICS_PATIENCE:
                return Health(_PROGRESSING, says(found), _METRICS_PATIENCE - age)
            return Health(_DEGRADED, says(found, f"{kind} is False"))
    current = number(status, "currentReplicas")
    return Health(_HEALTHY, f"{current} replicas")


def _disruption_budget(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    allowed = condition(status, "DisruptionAllowed")
    if is_false(allowed) and text(allowed, "reason") == "SyncFailed":
        return Health(_DEGRADED, says(allowed))
    healthy, wanted = number(status, "currentHealthy"), number(status, "desiredHealthy")
    if healthy < wanted:
        return Health(_PROGRESSING, f"{healthy} of {wanted} pods healthy")
    return Health(_HEALTHY, f"{number(status, 'disruptionsAllowed')} disruptions allowed")


def _api_service(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    available = condition(status, "Available")
    if is_true(available):
        return Health(_HEALTHY, "available")
    return Health(_PROGRESSING, says(available, "not available yet"))


def _namespace(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    if text(status, "phase") == "Terminating":
        return Health(_PROGRESSING, "is being deleted")
    return Health(_HEALTHY)


def _application(facts: Facts, status: dict[str, Any], now: datetime) -> Health:
    """A child Application: its own word, as soon as it is about the present spec."""
    stalled, ready = condition(status, "Stalled"), condition(status, "Ready")
    if is_true(stalled):
        return Health(_DEGRADED, says(stalled, "Stalled"))
    if (facts.spec or {}).get("suspend"):
        return Health(_SUSPENDED, says(ready, "suspended"))
    told = text(status, "health")
    if told == HealthStatus.DEGRADED.value:
        return Health(_DEGRADED, says(ready, "Degraded"))
    if text(status, "sync") != "Synced" or told not in (HealthStatus.HEALTHY.value, HealthStatus.SUSPENDED.value):
        return Health(_PROGRESSING, says(ready, "not synced yet"))
    return Health(HealthStatus(told))


_RULES: dict[tuple[str, str], Callable[[Facts, dict[str, Any], datetime], Health]] = {
    ("", "Namespace"): _namespace,
    ("", "PersistentVolume"): _volume,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("", "ReplicationController"): replica_set,
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("apps", "DaemonSet"): daemon_set,
    ("apps", "Deployment"): deployment,
    ("apps", "ReplicaSet"): replica_set,
    ("apps", "StatefulSet"): stateful_set,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("batch", "CronJob"): _cron_job,
    ("batch", "Job"): _job,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("policy", "PodDisruptionBudget"): _disruption_budget,
    ("windlass.dev", "Application"): _application,
}
