"""The schemas that merges go by: Kubernetes 1.21 as the original has it, or the file that ``openapi.path`` names.

One ``Known`` belongs to one build. What a cluster of today would merge by key and the original does not know, is
replaced as a whole, as the original does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.manifests.schemas import Schema, Schemas

VERSION = "v1.21.2"
_PREFIX = "#/definitions/"
_GVK = "x-kubernetes-group-version-kind"
_MARKS = {
    "x-kubernetes-list-map-keys": "k",
    "x-kubernetes-patch-strategy": "s",
    "x-kubernetes-patch-merge-key": "g",
}
_TYPES = {"object": "o", "array": "a", "string": "s", "integer": "i", "number": "n", "boolean": "b"}


@cache
def builtin() -> Schemas:
    """What merging needs of Kubernetes 1.21, from package data."""
    data = msgspec.json.decode((resources.files(__package__) / "merges-1.21.json").read_bytes())
    return Schemas(data["version"], tuple(data["names"]), tuple(data["types"]), data["kinds"])


@dataclass(slots=True)
class Known:
    """The schemas of one build. ``version`` and ``custom`` are what the first kustomization with ``openapi`` said."""

    version: str = ""
    custom: Schemas | None = None
    builtin_too: bool = False
    asked: bool = False
    merged: dict[tuple[str, str], Schema | None] = field(default_factory=dict)

    def schema(self, api_version: str, kind: str) -> Schema | None:
        """The schema of a kind, None where it is not known and so its lists are replaced."""
        self.asked = True
        found = self.custom.kind(api_version, kind) if self.custom is not None else None
        if found is None and (self.custom is None or self.builtin_too):
            found = builtin().kind(api_version, kind)
        return found

    def use(self, said: Mapping[str, str], file: Any, *, root: bool) -> None:
        """Take over ``openapi`` of a kustomization; below the root only where none was said before. ``file`` is the
        value of the file that ``path`` names."""
        if not root and (self.version or self.custom is not None):
            return
        version = said.get("version", "")
        if file is not None:
            if version:
                raise KustomizeError("openapi has both path and version", hint="keep one of the two")
            self.builtin_too = self.asked
            self.custom = from_openapi(file)
            return
        if version and version != VERSION:
            raise KustomizeError(
                f"the OpenAPI version {shown(version, 40)} is not built in", hint=f"write {VERSION}, or path"
            )
        self.version = version


def from_openapi(document: Any) -> Schemas:
    """Schemas from an OpenAPI (Swagger 2) document with ``definitions``."""
    definitions = document.get("definitions") if isinstance(document, Mapping) else None
    if definitions is None:
        definitions = {}
    if not isinstance(definitions, Mapping):
        raise KustomizeError("its definitions are no mapping", hint="write an OpenAPI document of version 2")
    names = list(definitions)
    places = {name: place for place, name in enumerate(names)}
    nodes = [_node(definitions[name], places) for name in names]
    kinds: dict[str, int] = {}
    for name in names:
        definition = definitions[name]
        marks = definition.get(_GVK) if isinstance(definition, Mapping) else None
        for mark in marks if isinstance(marks, list) else ():
            if not isinstance(mark, Mapping):
                continue
            group, version, kind = (str(mark.get(part) or "") for part in ("group", "version", "kind"))
            kinds[f"{group}/{version}/{kind}" if group else f"{version}/{kind}"] = places[name]
    return Schemas("custom", tuple(names), tuple(nodes), kinds)


def _node(definition: Any, places: Mapping[str, int]) -> Any:
    """One definition in the form of ``core/manifests/schemas``, with only what merging asks for."""
    if not isinstance(definition, Mapping):
        return {"t": "o"}
    reference = definition.get("$ref")
    if isinstance(reference, str):
        place = places.get(reference.removeprefix(_PREFIX))
        return {"t": "o"} if place is None else place
    out: dict[str, Any] = {short: definition[long] for long, short in _MARKS.items() if long in definition}
    out["t"] = _TYPES.get(str(definition.get("type", "")), "o")
    properties = definition.get("properties")
    if isinstance(properties, Mapping):
        out["p"] = {str(name): _node(value, places) for name, value in properties.items()}
    if isinstance(definition.get("items"), Mapping) and out["t"] == "a":
        out["i"] = _node(definition["items"], places)
    if isinstance(definition.get("additionalProperties"), Mapping):
        out["a"] = _node(definition["additionalProperties"], places)
    return out
