"""What the server tells of itself: groups, versions and resources (aggregated and one by one), version, health, the
list of paths.

Made from the `Registry`; pure. Called by ``http.py``, which keeps the bytes until the registry's generation moves.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from windlass.devstack.apiserver.registry import Registry, Resource

GIT_VERSION = "v1.36.3"
VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": GIT_VERSION,
    "gitCommit": "$Format:%H$",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.26.8",
    "compiler": "gc",
    "platform": "linux/amd64",
}

HEALTH = ("/healthz", "/livez", "/readyz")
CHECKS = (
    "ping",
    "log",
    "etcd",
    "informer-sync",
    "poststarthook/crd-informer-synced",
    "poststarthook/rbac/bootstrap-roles",
)


def health(path: str, verbose: bool) -> str:
    """The text of a health path."""
    if not verbose:
        return "ok"
    return "".join(f"[+]{check} ok\n" for check in CHECKS) + f"{path.lstrip('/')} check passed\n"


def api_versions(address: str) -> dict[str, Any]:
    """``/api``."""
    where = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": where}


def group_list(registry: Registry) -> dict[str, Any]:
    """``/apis``."""
    groups = [_group(group, versions) for group, versions in registry.groups().items() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(registry: Registry, name: str) -> dict[str, Any] | None:
    """``/apis/<group>``, None where there is none."""
    versions = registry.groups().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if name and versions else None


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def resource_list(registry: Registry, group: str, version: str) -> dict[str, Any] | None:
    """``/api/v1`` and ``/apis/<group>/<version>``, None where there is none."""
    found = registry.of(group, version)
    if not found:
        return None
    resources: list[dict[str, Any]] = []
    for resource in found:
        resources.append(_plain(resource))
        resources += [_plain_part(resource, name) for name in _parts(resource)]
    api_version = f"{group}/{version}" if group else version
    head = {"kind": "APIResourceList"} if not group else {"kind": "APIResourceList", "apiVersion": "v1"}
    return {**head, "groupVersion": api_version, "resources": resources}


def _parts(resource: Resource) -> list[str]:
    """The subresources in the order of discovery: by name, those of custom resources status first."""
    return sorted(resource.subresources) if resource.custom is None else list(resource.subresources)


def _plain(resource: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if "list" in resource.verbs:
        digest = hashlib.sha256(f"{resource.storage}/{resource.kind}".encode()).digest()
        entry["storageVersionHash"] = base64.b64encode(digest[:8]).decode()
    return entry


def _plain_part(resource: Resource, name: str) -> dict[str, Any]:
    part = resource.subresources[name]
    entry: dict[str, Any] = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
    if (part.group, part.version) != (resource.group, resource.version):
        if part.group:
            entry["group"] = part.group
        entry["version"] = part.version
    return {**entry, "kind": part.kind, "verbs": list(part.verbs)}


def aggregated(registry: Registry, core: bool, version: str) -> dict[str, Any]:
    """``/api`` (core) or ``/apis`` as one APIGroupDiscoveryList."""
    items = []
    for name, versions in registry.groups().items():
        if core is (name == ""):
            items.append(_discovery(registry, name, versions))
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _discovery(registry: Registry, name: str, versions: list[str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name} if name else {}
    listed = []
    for version in versions:
        resources = [_aggregated(resource) for resource in registry.of(name, version)]
        listed.append({"version": version, "resources": resources, "freshness": "Current"})
    return {"metadata": metadata, "versions": listed}


def _aggregated(resource: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _response_kind(resource, resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    parts = []
    for name in _parts(resource):
        part = resource.subresources[name]
        kind = _response_kind(resource, part.group, part.version, part.kind)
        parts.append({"subresource": name, "responseKind": kind, "verbs": list(part.verbs)})
    if parts:
        entry["subresources"] = parts
    return entry


def _response_kind(resource: Resource, group: str, version: str, kind: str) -> dict[str, Any]:
    """Group and version are left empty where a built-in resource answers in its own."""
    if resource.custom is None and (group, version) == (resource.group, resource.version):
        group = version = ""
    return {"group": group, "version": version, "kind": kind}


def paths(registry: Registry) -> dict[str, Any]:
    """``/``: every path that is not a resource."""
    found = {
        "/.well-known/openid-configuration",
        "/api",
        "/api/v1",
        "/apis",
        "/apis/",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/",
    }
    found.update(("/openid/v1/jwks", "/version", *HEALTH))
    for name, versions in registry.groups().items():
        if name:
            found.add(f"/apis/{name}")
            found.update(f"/apis/{name}/{version}" for version in versions)
    return {"paths": sorted(found)}
