"""What the cells of the rarer built-in kinds show, after the real server's printers. Called by ``cells.py``; pure."""

from __future__ import annotations

import datetime
from typing import Any

from windlass.devstack.apiserver.cellwork import (
    NONE,
    Cells,
    Object,
    age_of,
    at,
    containers,
    count,
    duration,
    fields,
    name,
    pairs,
)


def _pod_template(obj: Object, now: datetime.datetime) -> list[Any]:
    labels = at(obj, "template", "metadata", "labels")
    return [name(obj), *containers(obj, "template", "spec"), pairs(labels)]


def _revision(obj: Object, now: datetime.datetime) -> list[Any]:
    owner = next((each for each in obj["metadata"].get("ownerReferences") or [] if each.get("controller")), None)
    shown = NONE
    if owner is not None:
        group = owner["apiVersion"].rpartition("/")[0]
        shown = (
            f"{owner['kind'].lower()}.{group}/{owner['name']}" if group else f"{owner['kind'].lower()}/{owner['name']}"
        )
    return [name(obj), shown, obj.get("revision", 0), age_of(obj, now)]


def _api_service(obj: Object, now: datetime.datetime) -> list[Any]:
    service = at(obj, "spec", "service")
    conditions = {each["type"]: each for each in at(obj, "status", "conditions") or []}
    found = conditions.get("Available", {"status": "Unknown"})
    shown = found["status"] if found["status"] == "True" else f"{found['status']} ({found.get('reason', '')})"
    return [name(obj), f"{service['namespace']}/{service['name']}" if service else "Local", shown, age_of(obj, now)]


def _signing_request(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    conditions = [each["type"] for each in at(obj, "status", "conditions") or []]
    if at(obj, "status", "certificate"):
        conditions.append("Issued")
    head = [name(obj), age_of(obj, now), spec.get("signerName") or NONE, spec.get("username", "")]
    return [*head, duration(seconds) if seconds is not None else NONE, ",".join(conditions) or "Pending"]


def _ingress_class(obj: Object, now: datetime.datetime) -> list[Any]:
    parameters = at(obj, "spec", "parameters")
    shown = NONE
    if parameters:
        group = parameters.get("apiGroup")
        shown = (
            f"{parameters['kind']}.{group}/{parameters['name']}"
            if group
            else f"{parameters['kind']}/{parameters['name']}"
        )
    return [name(obj), at(obj, "spec", "controller"), shown, age_of(obj, now)]


def _policy_binding(obj: Object, now: datetime.datetime) -> list[Any]:
    reference = at(obj, "spec", "paramRef")
    shown = "<unset>"
    if reference:
        target = reference.get("name") or "*"
        shown = f"{reference['namespace']}/{target}" if reference.get("namespace") else target
    return [name(obj), at(obj, "spec", "policyName"), shown, age_of(obj, now)]


def _quota(obj: Object, now: datetime.datetime) -> list[Any]:
    hard, used = at(obj, "status", "hard") or {}, at(obj, "status", "used") or {}
    shown = [f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)]
    limits = [each for each in shown if each.startswith("limits")]
    return [name(obj), ", ".join(each for each in shown if each not in limits), ", ".join(limits), age_of(obj, now)]


def _attachment(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    volume = at(spec, "source", "persistentVolumeName") or ""
    attached = bool(at(obj, "status", "attached"))
    return [name(obj), spec.get("attacher"), volume, spec.get("nodeName"), attached, age_of(obj, now)]


def _driver(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    tokens = ",".join(each.get("audience", "") for each in spec.get("tokenRequests") or []) or "<unset>"
    flags = [
        bool(spec.get("attachRequired", True)),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
    ]
    modes = ",".join(spec.get("volumeLifecycleModes") or [])
    return [name(obj), *flags, tokens, bool(spec.get("requiresRepublish")), modes, age_of(obj, now)]


CELLS: dict[str, Cells] = {
    "podtemplates": _pod_template,
    "controllerrevisions.apps": _revision,
    "apiservices.apiregistration.k8s.io": _api_service,
    "certificatesigningrequests.certificates.k8s.io": _signing_request,
    "ingressclasses.networking.k8s.io": _ingress_class,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": _policy_binding,
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": _policy_binding,
    "resourcequotas": _quota,
    "volumeattachments.storage.k8s.io": _attachment,
    "csidrivers.storage.k8s.io": _driver,
    "csinodes.storage.k8s.io": count("spec.drivers"),
    "volumeattributesclasses.storage.k8s.io": fields(("driverName",)),
    "servicecidrs.networking.k8s.io": lambda obj, now: [
        name(obj),
        ",".join(at(obj, "spec", "cidrs") or []),
        age_of(obj, now),
    ],
    "ipaddresses.networking.k8s.io": lambda obj, now: [
        name(obj),
        "/".join(str(at(obj, "spec", "parentRef", part) or "") for part in ("resource", "namespace", "name")),
    ],
}
