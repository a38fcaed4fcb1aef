"""What the server serves right now: every resource by group, version and plural, built in or from a
CustomResourceDefinition.

``crds.py`` adds and takes away; the verbs look up; discovery and OpenAPI are made from it and made anew when
``generation`` moves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from windlass.core.manifests import resources as builtin


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of a resource with verbs of its own; ``group``, ``version`` and ``kind`` are those of the bodies it
    takes.
    """

    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Custom:
    """What only a resource of a CustomResourceDefinition has: its version's entry and the CRD's name."""

    crd: str
    schema: dict[str, Any]
    columns: tuple[dict[str, Any], ...]
    scale: dict[str, Any] | None
    storage_version: str
    deprecated: str = ""
    """The warning that each request gets, empty if the version is not deprecated."""
    selectable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource in one version. ``storage`` is the store's shelf, shared by all versions; ``id`` names it to the
    workloads.
    """

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    list_kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: dict[str, Subresource] = field(default_factory=dict)
    storage: str = ""
    custom: Custom | None = None

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def id(self) -> str:
        return f"{self.api_version}/{self.plural}"

    @property
    def stored(self) -> bool:
        """Whether it has objects at all (reviews have none)."""
        return "get" in self.verbs and self.plural != "componentstatuses"


class Registry:
    """All resources. ``generation`` moves with each change, so that what is made from it can be kept until then."""

    def __init__(self) -> None:
        self.generation = 0
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self._by_id: dict[str, Resource] = {}
        self._custom: dict[str, list[Resource]] = {}
        self._builtin: list[Resource] = [_builtin(each) for each in builtin.builtin()]
        for resource in self._builtin:
            self._file(resource)

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource of a request path."""
        return self._by_path.get((group, version, plural))

    def by_id(self, name: str) -> Resource | None:
        """By ``apps/v1/deployments`` or ``v1/pods``."""
        return self._by_id.get(name)

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource whose objects have this apiVersion and kind."""
        return next((r for r in self._by_id.values() if r.kind == kind and r.api_version == api_version), None)

    def all(self) -> list[Resource]:
        """Every resource in every version, built-in ones first."""
        return list(self._by_id.values())

    def stored(self) -> list[Resource]:
        """One resource per shelf, in the version that objects are kept in."""
        kept: dict[str, Resource] = {}
        for resource in self._by_id.values():
            if resource.stored and (resource.storage not in kept or is_storage_version(resource)):
                kept.setdefault(resource.storage, resource)
                if resource.custom is not None:
                    kept[resource.storage] = resource
        return list(kept.values())

    def storage_resource(self, resource: Resource) -> Resource:
        """The same resource in the version that its objects are kept in."""
        if is_storage_version(resource):
            return resource
        return next(r for r in self._by_id.values() if r.storage == resource.storage and is_storage_version(r))

    def groups(self) -> dict[str, list[str]]:
        """Versions by group, in the order that discovery shows; the core group is ``""``."""
        found: dict[str, list[str]] = {}
        for resource in self._by_id.values():
            versions = found.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        return {
            group: sorted(versions, key=version_order) if group in self._groups() else versions
            for group, versions in found.items()
        }

    def of(self, group: str, version: str) -> list[Resource]:
        """The resources of one group and version."""
        return [r for r in self._by_id.values() if r.group == group and r.version == version]

    def put_custom(self, crd: str, resources: Iterable[Resource]) -> None:
        """Serve a CRD's resources, in place of those it had."""
        self._drop(crd)
        self._custom[crd] = list(resources)
        for resource in self._custom[crd]:
            self._file(resource)
        self.generation += 1

    def drop_custom(self, crd: str) -> None:
        """No longer serve a CRD's resources."""
        self._drop(crd)
        self.generation += 1

    def custom_names(self) -> list[str]:
        """The CRDs that are served."""
        return list(self._custom)

    def _groups(self) -> set[str]:
        return {resource.group for among in self._custom.values() for resource in among}

    def _drop(self, crd: str) -> None:
        for resource in self._custom.pop(crd, ()):
            del self._by_path[resource.group, resource.version, resource.plural]
            del self._by_id[resource.id]

    def _file(self, resource: Resource) -> None:
        self._by_path[resource.group, resource.version, resource.plural] = resource
        self._by_id[resource.id] = resource


def is_storage_version(resource: Resource) -> bool:
    """Whether objects are kept in this resource's version."""
    if resource.custom is not None:
        return resource.version == resource.custom.storage_version
    if resource.group == "events.k8s.io":
        return False
    return not (resource.group == "autoscaling" and resource.version == "v1")


def version_order(version: str) -> tuple[int, int, int, str]:
    """Kubernetes' order of versions: v2, v1, v1beta2, v1beta1, v1alpha1, then others by name."""

    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return (3, 0, 0, version)
    rank = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return (rank, -int(match[1]), -int(match[3] or 0), version)


SHARED_STORAGE = {
    ("events.k8s.io", "events"): "events",
    ("autoscaling", "horizontalpodautoscalers"): "horizontalpodautoscalers.autoscaling",
}
"""Resources that more than one group or version serves from the same objects; all others are stored under
``plural.group``.
"""


def _builtin(row: builtin.Resource) -> Resource:
    parts = {}
    for each in row.subresources:
        group, _, version = each.api_version.rpartition("/")
        parts[each.name] = Subresource(each.name, group, version, each.kind, each.verbs)
    return Resource(
        group=row.group,
        version=row.version,
        plural=row.plural,
        singular=row.singular,
        kind=row.kind,
        list_kind=row.list_kind,
        namespaced=row.namespaced,
        verbs=row.verbs,
        short_names=row.short_names,
        categories=row.categories,
        subresources=parts,
        storage=SHARED_STORAGE.get((row.group, row.plural), f"{row.plural}.{row.group}" if row.group else row.plural),
    )
