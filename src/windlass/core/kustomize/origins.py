"""``buildMetadata``: the annotations that say where an object came from and which transformers it went through.

Used by ``target``, which carries an ``Origin`` along where they are asked for.
"""

from __future__ import annotations

import posixpath
from typing import Any, NamedTuple

from windlass.core.kustomize.nodes import QUOTED, Scalar
from windlass.core.kustomize.printing import to_yaml
from windlass.core.kustomize.resolve import STR
from windlass.core.kustomize.resource import ORIGIN, TRANSFORMATIONS, Resource

ORIGIN_ANNOTATIONS = "originAnnotations"
TRANSFORMER_ANNOTATIONS = "transformerAnnotations"
MANAGED_BY_LABEL = "managedByLabel"


class Origin(NamedTuple):
    """``path`` of a file, relative to the root of the build; or ``configured_in`` and what is configured there."""

    path: str = ""
    configured_in: str = ""
    api_version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""

    def beneath(self, path: str) -> Origin:
        """The origin of what ``path`` names."""
        joined = posixpath.normpath(posixpath.join(self.path, path))
        return self._replace(path="" if joined == "." and not (self.path or path) else joined)

    def configured(self, file: str, kind: str) -> Origin:
        """What a field of the kustomization ``file`` in this folder makes."""
        return Origin(
            configured_in=posixpath.normpath(posixpath.join(self.path, file)), api_version="builtin", kind=kind
        )

    def fields(self) -> dict[str, Any]:
        """As it is written, in this order."""
        out: dict[str, Any] = {}
        if self.path:
            out["path"] = self.path
        if self.configured_in:
            out["configuredIn"] = self.configured_in
        by = {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "name": self.name,
            "namespace": self.namespace,
        }
        by = {name: value for name, value in by.items() if value}
        if by:
            out["configuredBy"] = by
        return out

    def text(self) -> str:
        """As an annotation holds it."""
        return _text(self.fields()) or "{}\n"


def _text(fields: dict[str, Any], indent: str = "") -> str:
    out = ""
    for name, value in fields.items():
        if isinstance(value, dict):
            out += f"{indent}{name}:\n{_text(value, indent + '  ')}"
        else:
            out += f"{indent}{name}: {to_yaml(value)}"
    return out


def annotate(resource: Resource, origin: Origin) -> None:
    """Say where an object came from."""
    resource.set_annotations({**resource.annotations(), ORIGIN: origin.text()})


def annotate_new(resource: Resource, origin: Origin) -> None:
    """Say where an object came from, if nothing says it yet."""
    if ORIGIN not in resource.annotations():
        annotate(resource, origin)


def annotate_file(resource: Resource, origin: Origin) -> None:
    """Say in which file an object was, leaving its other annotations as they are written."""
    meta = resource.metadata()
    if not meta.get("annotations"):
        meta["annotations"] = {}
    meta["annotations"][ORIGIN] = Scalar(STR, origin.text(), QUOTED)


def transformed(resource: Resource, origin: Origin) -> None:
    """Remember a transformer; of an object without an origin, that it made it."""
    found = resource.annotations()
    if ORIGIN not in found:
        annotate(resource, origin)
        return
    lines = _text(origin.fields(), "  ")
    item = "- " + lines[2:] if lines else "- {}\n"
    before = found.get(TRANSFORMATIONS, "")
    resource.set_annotations({**found, TRANSFORMATIONS: ("" if before == "[]\n" else before) + item})


def forget(resource: Resource, *names: str) -> None:
    """Take annotations out; all others become text."""
    found = resource.annotations()
    for name in names:
        found.pop(name, None)
    resource.set_annotations(found)
