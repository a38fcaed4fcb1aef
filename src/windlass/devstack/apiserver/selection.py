"""Label and field selectors of lists, watches and deletecollection: a query's text to one predicate over objects.

Parsing is strict and words its refusals like the real server. Which fields can be selected depends on the resource; a
CRD names its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from windlass.core.manifests.selectors import FieldSelector, LabelSelector, SelectorError
from windlass.devstack.apiserver.errors import bad_request
from windlass.devstack.apiserver.registry import Resource

Predicate = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a request selects. ``name`` and ``label`` are equalities that the store finds by index; ``test`` is the
    whole rest.
    """

    name: str = ""
    namespace: str = ""
    label: tuple[str, str] | None = None
    test: Predicate | None = None

    def matches(self, obj: dict[str, Any]) -> bool:
        """Whether an object is selected."""
        metadata = obj["metadata"]
        if self.name and metadata["name"] != self.name:
            return False
        if self.namespace and metadata.get("namespace") != self.namespace:
            return False
        return self.test is None or self.test(obj)


EVERYTHING = Selection()


def parse(resource: Resource, labels: str, fields: str) -> Selection:
    """The selection of ``labelSelector`` and ``fieldSelector``. 400 where they can't be read or name an unknown
    field.
    """
    if not labels and not fields:
        return EVERYTHING
    try:
        wanted = LabelSelector.parse(labels) if labels else LabelSelector()
    except SelectorError as error:
        raise bad_request(str(error)) from error
    conditions = parse_fields(resource, fields) if fields else []
    name = next((c.value for c in conditions if c.path == "metadata.name" and c.equal), "")
    namespace = next((c.value for c in conditions if c.path == "metadata.namespace" and c.equal), "")
    equal = (r for r in wanted.requirements if r.operator in ("=", "in") and len(r.values) == 1)
    label = next(((r.key, r.values[0]) for r in equal), None)
    rest = [c for c in conditions if not (c.equal and c.path in ("metadata.name", "metadata.namespace"))]

    def test(obj: dict[str, Any]) -> bool:
        return wanted.matches(obj["metadata"].get("labels")) and all(c.holds(obj) for c in rest)

    return Selection(name, namespace, label, test if wanted.requirements or rest else None)


# -- fields

_PATHS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "nodes": ("spec.unschedulable",),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "services": ("spec.clusterIP", "spec.type"),
    "replicationcontrollers": ("status.replicas",),
    "replicasets.apps": ("status.replicas",),
    "jobs.batch": ("status.successful",),
    "certificatesigningrequests.certificates.k8s.io": ("spec.signerName",),
}
_OTHER_NAMES = {"regarding": "involvedObject", "reportingController": "reportingComponent"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One part of a field selector."""

    path: str
    equal: bool
    value: str

    def holds(self, obj: dict[str, Any]) -> bool:
        return (field_value(obj, self.path) == self.value) is self.equal


def field_value(obj: dict[str, Any], path: str) -> str:
    """A field as field selectors compare it: a text, empty where it is absent."""
    if path == "source":
        source = obj.get("source") or {}
        return str(source.get("component") or obj.get("reportingComponent") or "")
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            return "false" if path in ("spec.unschedulable", "spec.hostNetwork") else ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def parse_fields(resource: Resource, text: str) -> list[Condition]:
    """The conditions of a field selector, all of which have to hold."""
    found: list[Condition] = []
    known = selectable(resource)
    try:
        terms = FieldSelector.parse(text).terms
    except SelectorError as error:
        raise bad_request(str(error)) from error
    for given, value, equal in terms:
        head, dot, tail = given.partition(".")
        path = _OTHER_NAMES.get(head, head) + dot + tail if resource.storage == "events" else given
        if path == "name" and resource.plural == "namespaces":
            path = "metadata.name"
        if path not in ("metadata.name", "metadata.namespace") and path not in known:
            raise _unknown_field(resource, path)
        found.append(Condition(path, equal, value))
    return found


def selectable(resource: Resource) -> tuple[str, ...]:
    """The fields that a resource can be selected by, besides name and namespace."""
    return resource.custom.selectable if resource.custom is not None else _PATHS.get(resource.storage, ())


def _unknown_field(resource: Resource, path: str) -> Exception:
    if resource.storage in _PATHS or resource.custom is not None:
        return bad_request(f"field label not supported: {path}")
    return bad_request(f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"')
