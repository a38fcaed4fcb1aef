"""Defaults of what runs Pods (Deployment to CronJob, Pod, claim), as the API server fills them in (Kubernetes 1.36).

Called by ``defaults`` on a copy of its own: these functions change the dicts they are given. They check nothing.
"""

from __future__ import annotations

from typing import Any

from windlass.devstack.workloads.pod_defaults import default_pod as fill_pod
from windlass.devstack.workloads.pod_defaults import default_resources, default_template

Object = dict[str, Any]


def dicts(value: Any) -> list[Object]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def spec_of(obj: Object) -> Object:
    spec = obj.setdefault("spec", {})
    return spec if isinstance(spec, dict) else {}


def section(parent: Object, name: str) -> Object:
    child = parent.setdefault(name, {})
    return child if isinstance(child, dict) else {}


def fill(target: Object, **fields: Any) -> None:
    for name, value in fields.items():
        if target.get(name) is None:
            target[name] = value


def default_claim(obj: Object) -> None:
    spec = spec_of(obj)
    fill(spec, volumeMode="Filesystem")
    default_resources(spec.setdefault("resources", {}))
    fill(section(obj, "status"), phase="Pending")


def default_deployment(obj: Object) -> None:
    spec = spec_of(obj)
    fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = section(spec, "strategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        fill(section(strategy, "rollingUpdate"), maxUnavailable="25%", maxSurge="25%")
    default_template(spec.get("template"))
    obj.setdefault("status", {})


def default_replica_set(obj: Object) -> None:
    spec = spec_of(obj)
    fill(spec, replicas=1)
    default_template(spec.get("template"))
    obj.setdefault("status", {"replicas": 0})


def default_replication_controller(obj: Object) -> None:
    spec = spec_of(obj)
    fill(spec, replicas=1)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not section(obj, "metadata").get("labels"):
            obj["metadata"]["labels"] = dict(labels)
    default_template(spec.get("template"))
    obj.setdefault("status", {"replicas": 0})


def default_stateful_set(obj: Object) -> None:
    spec = spec_of(obj)
    fill(spec, replicas=1, revisionHistoryLimit=10)
    if not spec.get("podManagementPolicy"):
        spec["podManagementPolicy"] = "OrderedReady"
    update = section(spec, "updateStrategy")
    if not update.get("type"):
        update["type"] = "RollingUpdate"
        section(update, "rollingUpdate")
    if update["type"] == "RollingUpdate" and isinstance(update.get("rollingUpdate"), dict):
        fill(update["rollingUpdate"], partition=0)
    spec.setdefault("serviceName", "")
    retention = section(spec, "persistentVolumeClaimRetentionPolicy")
    for field in ("whenDeleted", "whenScaled"):
        if not retention.get(field):
            retention[field] = "Retain"
    default_template(spec.get("template"))
    for claim in dicts(spec.get("volumeClaimTemplates")):
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
        default_claim(claim)
    obj.setdefault("status", {"replicas": 0, "availableReplicas": 0})


def default_daemon_set(obj: Object) -> None:
    spec = spec_of(obj)
    metadata = section(obj, "metadata")
    # The count itself is the server's; that the annotation is there belongs to whoever wrote the object.
    section(metadata, "annotations").setdefault("deprecated.daemonset.template.generation", "0")
    fill(spec, revisionHistoryLimit=10)
    update = section(spec, "updateStrategy")
    if not update.get("type"):
        update["type"] = "RollingUpdate"
    if update["type"] == "RollingUpdate":
        fill(section(update, "rollingUpdate"), maxUnavailable=1, maxSurge=0)
    default_template(spec.get("template"))
    obj.setdefault(
        "status", {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}
    )


def _job_spec(spec: Object) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    fill(spec, parallelism=1, backoffLimit=2147483647 if spec.get("backoffLimitPerIndex") is not None else 6)
    fill(spec, completionMode="NonIndexed", suspend=False, manualSelector=False)
    fill(spec, podReplacementPolicy="Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    for rule in dicts((spec.get("podFailurePolicy") or {}).get("rules")):
        for pattern in dicts(rule.get("onPodConditions")):
            fill(pattern, status="True")
    default_template(spec.get("template"))


def default_job(obj: Object) -> None:
    spec = spec_of(obj)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not section(obj, "metadata").get("labels"):
        obj["metadata"]["labels"] = dict(labels)
    _job_spec(spec)
    obj.setdefault("status", {})


def default_cron_job(obj: Object) -> None:
    spec = spec_of(obj)
    if not spec.get("concurrencyPolicy"):
        spec["concurrencyPolicy"] = "Allow"
    fill(spec, suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    template = section(spec, "jobTemplate")
    section(template, "metadata")
    # The template is no Job: it gets the defaults of its pods, and those of the Job are filled in when one is made of
    # it.
    default_template(section(template, "spec").get("template"))
    obj.setdefault("status", {})


def default_pod_template(obj: Object) -> None:
    default_template(obj.get("template"))


def default_pod(obj: Object) -> None:
    fill_pod(obj)
    obj.setdefault("status", {})
