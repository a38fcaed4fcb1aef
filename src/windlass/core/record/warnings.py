"""Kubernetes Warning events: whose they are, and which of their repeats are worth a line.

``flows/warnings.py`` asks it. A Pod is told to be behind a workload by its name, for an Event says no more:
Deployments, StatefulSets, DaemonSets, ReplicaSets and Jobs name their Pods each in one way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from windlass.core.model import ObjectRef

_NAMES = (
    (re.compile(r"(.+)-[a-z0-9]{1,10}-[a-z0-9]{5}"), ("apps", "Deployment")),
    (re.compile(r"(.+)-[0-9]+"), ("apps", "StatefulSet")),
    (re.compile(r"(.+)-[a-z0-9]{5}"), ("apps", "DaemonSet")),
    (re.compile(r"(.+)-[a-z0-9]{5}"), ("apps", "ReplicaSet")),
    (re.compile(r"(.+)-[a-z0-9]{5}"), ("batch", "Job")),
    (re.compile(r"(.+)-[0-9]+-[a-z0-9]{5}"), ("batch", "CronJob")),
)
_SETS = ((re.compile(r"(.+)-[a-z0-9]{1,10}"), ("apps", "Deployment")),)
_JOBS = ((re.compile(r"(.+)-[0-9]+"), ("batch", "CronJob")),)


class KubernetesWarning(msgspec.Struct, frozen=True):
    """What an Event says, as far as it is asked for. ``about`` is the object it names."""

    uid: str
    about: ObjectRef
    reason: str
    message: str
    count: int


def read(content: dict[str, Any]) -> KubernetesWarning | None:
    """An Event of type Warning; None for one that can't be read."""
    named, metadata = content.get("involvedObject"), content.get("metadata")
    if not isinstance(named, dict) or not isinstance(metadata, dict) or content.get("type") != "Warning":
        return None
    group = str(named.get("apiVersion") or "").rpartition("/")[0]
    about = ObjectRef(
        group, str(named.get("kind") or ""), str(named.get("namespace") or ""), str(named.get("name") or "")
    )
    series = content.get("series")
    told = (series.get("count") if isinstance(series, dict) else None) or content.get("count") or 1
    count = told if isinstance(told, int) and told > 0 else 1
    return KubernetesWarning(
        str(metadata.get("uid") or metadata.get("name") or ""),
        about,
        str(content.get("reason") or "")[:128],
        str(content.get("message") or content.get("note") or ""),
        count,
    )


def owner(about: ObjectRef, managed: Callable[[ObjectRef], bool]) -> ObjectRef | None:
    """The managed object that an Event is about: itself, or the workload behind a Pod, a ReplicaSet, a Job."""
    if managed(about):
        return about
    rules = {"Pod": _NAMES, "ReplicaSet": _SETS, "Job": _JOBS}.get(about.kind, ())
    found: list[ObjectRef] = []
    for pattern, (group, kind) in rules:
        match = pattern.fullmatch(about.name)
        if match is not None:
            one = ObjectRef(group, kind, about.namespace, match[1])
            if managed(one):
                found.append(one)
    return max(found, key=lambda one: len(one.name), default=None)


def worth(count: int) -> bool:
    """Of repeats the 1st, 2nd, 5th, 10th, 20th, 50th and so on: a thing that goes on for days is a few lines."""
    while count >= 10 and count % 10 == 0:
        count //= 10
    return count in (1, 2, 5)
