"""Objects that more than one version serves: to the version they are stored in, and back.

Custom resources change their ``apiVersion`` only (conversion strategy None). Events (core/v1 and events.k8s.io/v1) and
HorizontalPodAutoscalers (autoscaling/v2 and v1) are the built-in kinds with two; the other built-in kinds have one
version here.
"""

from __future__ import annotations

import json
from typing import Any

from windlass.devstack.apiserver.registry import Resource

_EVENT_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_EVENT_NAMES_BACK = {stored: shown for shown, stored in _EVENT_NAMES.items()}
_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"


def from_storage(resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """A stored object as ``resource``'s version shows it: a new dict."""
    if resource.storage == "events":
        return {**_renamed(obj, _EVENT_NAMES_BACK), "apiVersion": resource.api_version}
    if resource.storage == "horizontalpodautoscalers.autoscaling":
        return _hpa_v1(obj)
    return {**obj, "apiVersion": resource.api_version}


def to_storage(resource: Resource, storage: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """An object of ``resource``'s version as it is stored: a new dict."""
    if resource.storage == "events":
        return {**_renamed(obj, _EVENT_NAMES), "apiVersion": storage.api_version}
    if resource.storage == "horizontalpodautoscalers.autoscaling":
        return _hpa_v2(obj)
    return {**obj, "apiVersion": storage.api_version}


def _renamed(obj: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in obj.items()}


def _hpa_v1(obj: dict[str, Any]) -> dict[str, Any]:
    spec = dict(obj.get("spec") or {})
    status = dict(obj.get("status") or {})
    annotations = dict(obj["metadata"].get("annotations") or {})
    others = []
    for metric in spec.pop("metrics", None) or []:
        target = metric.get("resource", {}).get("target", {})
        if (
            metric.get("type") == "Resource"
            and metric["resource"].get("name") == "cpu"
            and "averageUtilization" in target
        ):
            spec["targetCPUUtilizationPercentage"] = target["averageUtilization"]
        else:
            others.append(metric)
    kept = {_METRICS: others, _BEHAVIOR: spec.pop("behavior", None), _CONDITIONS: status.pop("conditions", None)}
    kept[_CURRENT] = status.pop("currentMetrics", None)
    status.setdefault("currentReplicas", 0)
    annotations.update({name: json.dumps(value) for name, value in kept.items() if value})
    return _hpa(obj, "autoscaling/v1", annotations, spec, status)


def _hpa_v2(obj: dict[str, Any]) -> dict[str, Any]:
    spec = dict(obj.get("spec") or {})
    status = dict(obj.get("status") or {})
    annotations = dict(obj["metadata"].get("annotations") or {})
    cpu = spec.pop("targetCPUUtilizationPercentage", None)
    status.pop("currentCPUUtilizationPercentage", None)
    metrics = _loaded(annotations, _METRICS) or []
    if cpu is not None:
        target = {"type": "Utilization", "averageUtilization": cpu}
        metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}, *metrics]
    for part, field, name in (
        (spec, "behavior", _BEHAVIOR),
        (status, "conditions", _CONDITIONS),
        (status, "currentMetrics", _CURRENT),
    ):
        value = _loaded(annotations, name)
        if value:
            part[field] = value
    if metrics:
        spec["metrics"] = metrics
    return _hpa(obj, "autoscaling/v2", annotations, spec, status)


def _loaded(annotations: dict[str, str], name: str) -> Any:
    try:
        return json.loads(annotations.pop(name, "null"))
    except ValueError:
        return None


def _hpa(
    obj: dict[str, Any], version: str, annotations: dict[str, str], spec: dict[str, Any], status: dict[str, Any]
) -> dict[str, Any]:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "annotations"}
    if annotations:
        metadata["annotations"] = annotations
    shown = {**obj, "apiVersion": version, "metadata": metadata, "spec": spec}
    if "status" in obj:
        shown["status"] = status
    return shown
