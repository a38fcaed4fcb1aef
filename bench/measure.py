"""What is measured from outside: CPU and memory by /proc, requests by the audit log, lag by the metrics."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from real.cluster import Cluster

TICKS = os.sysconf("SC_CLK_TCK")
AGENT = "windlass/"


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process and of all its children, those that ended included."""
    total = 0.0
    for each in [pid, *descendants(pid)]:
        fields = _stat(each)
        if fields:
            total += sum(int(field) for field in fields[11:15]) / TICKS
    return total


def own_cpu_seconds(pid: int) -> float:
    """CPU seconds of the one process."""
    fields = _stat(pid)
    return sum(int(field) for field in fields[11:13]) / TICKS if fields else 0.0


def server_cpu_seconds(cluster: Cluster) -> float:
    """CPU seconds of the API server and etcd; 0 where they are not processes of ours."""
    return sum(map(cpu_seconds, cluster.plane.pids().values())) if cluster.plane else 0.0


def memory(pid: int) -> tuple[int, int]:
    """Resident bytes of a process, and of it with its children (shared pages counted in each)."""
    sizes = [_resident(each) for each in [pid, *descendants(pid)]]
    return sizes[0], sum(sizes)


def descendants(pid: int) -> list[int]:
    """Children of children as well."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return []
    return [each for child in children for each in (child, *descendants(child))]


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def requests_of(events: Iterable[Mapping[str, Any]], agent: str = AGENT) -> Counter[str]:
    """Requests of one program by the audit log: ``patch applications/status`` to how many. A watch counts once."""
    counts: Counter[str] = Counter()
    for event in events:
        if not event.get("userAgent", "").startswith(agent):
            continue
        if event["verb"] == "watch" and event["stage"] == "ResponseComplete":
            continue
        place = event.get("objectRef") or {}
        what = place.get("resource") or event["requestURI"].partition("?")[0]
        if place.get("subresource"):
            what += f"/{place['subresource']}"
        counts[f"{event['verb']} {what}"] += 1
    return counts


def requests_by_metrics(before: Mapping[str, float], after: Mapping[str, float]) -> Counter[str]:
    """The same by the controller's own count, where there is no audit log to be had."""
    counts: Counter[str] = Counter()
    for name, value in after.items():
        if name.startswith("windlass_api_requests_total{"):
            labels = dict(part.split("=") for part in name.partition("{")[2].rstrip("}").split(","))
            told = value - before.get(name, 0.0)
            if told:
                counts[f"{labels['verb']} {labels['kind']}".replace('"', "")] += int(told)
    return counts


def is_event(word: str) -> bool:
    """Whether a count is of Kubernetes Events."""
    return word.endswith((" events", " events.events.k8s.io"))


def is_lease(word: str) -> bool:
    """Whether a count is of the Lease."""
    return " leases" in word


def is_write(word: str) -> bool:
    """Whether a count is of writes."""
    return word.split(" ")[0] not in ("get", "list", "watch")


def quantile(before: Mapping[str, float], after: Mapping[str, float], name: str, share: float) -> float:
    """The bound of a histogram's bucket below which ``share`` of what came in between lies."""
    buckets = []
    for key, value in after.items():
        if key.startswith(f"{name}_bucket"):
            bound = key.partition('le="')[2].partition('"')[0]
            buckets.append((float(bound), value - before.get(key, 0.0)))
    buckets.sort()
    total = buckets[-1][1] if buckets else 0.0
    return next((bound for bound, count in buckets if total and count >= share * total), 0.0)
