"""What objects and resources are called. Named tuples, because they are dictionary keys by the ten thousand."""

from __future__ import annotations

from typing import NamedTuple

from typing_extensions import override


class ObjectRef(NamedTuple):
    """One object, at whatever version. ``namespace`` is empty for cluster-scoped kinds; ``group`` for core."""

    group: str
    kind: str
    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def full(self) -> str:
        """The name with its namespace, for places that show more than one: ``Deployment/shop/web``."""
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"


class Resource(NamedTuple):
    """One kind as an API server serves it. ``preferred`` version of the group; ``plural`` is the path part."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def base(self) -> str:
        """The path of the group and version: ``/api/v1`` or ``/apis/apps/v1``."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The request path of a collection or an object. Names are not escaped: the caller checked them."""
        parts = [self.base]
        if self.namespaced and namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


def split_api_version(api_version: str) -> tuple[str, str]:
    """``apps/v1`` to ``("apps", "v1")``; ``v1`` to ``("", "v1")``."""
    group, _, version = api_version.rpartition("/")
    return group, version
