"""Cluster IPs and node ports of Services: given on create, kept on update, freed by being gone.

Called by ``strategy``. Nothing is remembered here: what is in use is what the live Services say, so that a refused or
dry-run create leaks
nothing and a restart knows all. One IP family (IPv4).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]

_NETWORK = "10.96"
_FIRST, _LAST = 0x0102, 0xFFFE
"""Dynamic addresses are 10.96.1.2 to 10.96.255.254; those below are left for Services that ask for one."""
_PORT_FIRST, _PORT_LAST = 30000, 32767


def _start(obj: Object, low: int, high: int) -> int:
    """Where to begin looking: by uid, so that one search seldom meets another's address."""
    metadata = obj.get("metadata") or {}
    seed = metadata.get("uid") or f"{metadata.get('namespace')}/{metadata.get('name')}"
    return int(low + zlib.crc32(str(seed).encode()) % (high - low + 1))


def free_address(obj: Object, services: Iterable[Object]) -> str:
    """A cluster IP that no live Service has. Raises LookupError when all are taken."""
    used = {(service.get("spec") or {}).get("clusterIP") for service in services}
    start = _start(obj, _FIRST, _LAST)
    for number in (*range(start, _LAST + 1), *range(_FIRST, start)):
        address = f"{_NETWORK}.{number >> 8}.{number & 255}"
        if address not in used:
            return address
    raise LookupError("range is full")


def used_ports(services: Iterable[Object]) -> set[int]:
    """Every node port in use."""
    found: set[int] = set()
    for service in services:
        spec = service.get("spec") or {}
        found.update(port["nodePort"] for port in spec.get("ports") or [] if port.get("nodePort"))
        if spec.get("healthCheckNodePort"):
            found.add(spec["healthCheckNodePort"])
    return found


def free_port(obj: Object, used: set[int]) -> int:
    """A node port outside ``used``, to which it is added. Raises LookupError when all are taken."""
    start = _start(obj, _PORT_FIRST, _PORT_LAST)
    for number in (*range(start, _PORT_LAST + 1), *range(_PORT_FIRST, start)):
        if number not in used:
            used.add(number)
            return int(number)
    raise LookupError("range is full")


def allocate(new: Object, old: Object | None, services: Iterable[Object]) -> None:
    """Fill in the addresses and ports of a Service, in place; those of ``old`` stay where ``new`` names none."""
    spec = new["spec"]
    kind = spec.get("type", "ClusterIP")
    before = (old or {}).get("spec") or {}
    _drop_former(spec, before)
    if kind == "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if field in spec and spec.get(field) == before.get(field):
                del spec[field]
        return
    if before and before.get("type") != "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if not spec.get(field) and before.get(field):
                spec[field] = before[field]
    _families(spec)
    if not spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIP"] = free_address(new, services)
    if not spec.get("clusterIP"):
        spec["clusterIP"] = spec["clusterIPs"][0]
    if not spec.get("clusterIPs") or spec["clusterIPs"][0] != spec["clusterIP"]:
        spec["clusterIPs"] = [spec["clusterIP"]]
    _node_ports(new, before, services)


def _drop_former(spec: Object, before: Object) -> None:
    """What only the former type had goes with it, unless it is asked for anew."""
    kind, former = spec.get("type"), before.get("type")
    if kind == former or not before:
        return
    fields: list[str] = []
    if kind == "ExternalName":
        fields.append("internalTrafficPolicy")
    if kind not in ("NodePort", "LoadBalancer") and not spec.get("externalIPs"):
        fields.append("externalTrafficPolicy")
    if kind != "LoadBalancer":
        fields += ["healthCheckNodePort", "allocateLoadBalancerNodePorts", "loadBalancerClass"]
    for field in fields:
        if field in spec and spec[field] == before.get(field):
            del spec[field]


def _families(spec: Object) -> None:
    if spec.get("clusterIP") == "None" and not spec.get("selector"):
        spec.setdefault("ipFamilies", ["IPv4", "IPv6"])
        spec.setdefault("ipFamilyPolicy", "RequireDualStack")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def _node_ports(new: Object, before: Object, services: Iterable[Object]) -> None:
    spec = new["spec"]
    ports = spec.get("ports") or []
    kind = spec.get("type")
    wanted = kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)
    kept = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in before.get("ports") or []}
    if not wanted:
        for port in ports:  # those that came with the former type go with it
            if port.get("nodePort") and kept.get((port.get("protocol"), port.get("port"))) == port["nodePort"]:
                del port["nodePort"]
        return
    used: set[int] | None = None
    for port in ports:
        if not port.get("nodePort"):
            port["nodePort"] = kept.get((port.get("protocol"), port.get("port")))
        if not port.get("nodePort"):
            used = used_ports(services) if used is None else used
            port["nodePort"] = free_port(new, used)
    if kind == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
        spec.setdefault(
            "healthCheckNodePort", before.get("healthCheckNodePort") or free_port(new, used_ports(services))
        )
