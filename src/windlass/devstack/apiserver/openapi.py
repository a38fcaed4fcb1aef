"""OpenAPI v2 and v3 made from the compact schemas and from CustomResourceDefinitions: for ``kubectl explain``,
validation and client-side merges.

Called by ``http.py``. Documents are made when first asked for and kept until the registry's generation moves. They
have no descriptions for built-in kinds (the compact schemas have none), and only as much of each operation as clients
look at. Of version 2 in protobuf there is only an empty document, which is what kubectl's last resort needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from windlass.core.manifests.schemas import OBJECT_META, Schema, Schemas
from windlass.devstack.apiserver.errors import not_acceptable
from windlass.devstack.apiserver.registry import Registry, Resource

Object = dict[str, Any]
_encode = msgspec.json.Encoder().encode
_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
# A document with a title and nothing else: kubectl asks for it only when version 3 does not know a kind.
_EMPTY_V2 = b"\n\x032.0\x12\x15\n\nKubernetes\x12\x07v1.36.3B\x00J\x00"
_V3, _V2 = "#/components/schemas/", "#/definitions/"
_QUERY = {
    "get": (),
    "list": ("continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "resourceVersionMatch", "watch"),
    "post": ("dryRun", "fieldManager", "fieldValidation"),
    "put": ("dryRun", "fieldManager", "fieldValidation"),
    "patch": ("dryRun", "fieldManager", "fieldValidation", "force"),
    "delete": ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"),
}
_ACTIONS = {"get": "get", "post": "post", "put": "put", "patch": "patch", "delete": "delete"}
_PATCH_MEDIA = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)


class OpenApi:
    """See the module's head."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._kept: dict[str, bytes] = {}

    def document(self, path: str, accept: str) -> tuple[bytes, str] | None:
        """The document of a path and its content type; None where there is none. 406 where only protobuf is
        accepted.
        """
        if self._registry.generation != self._generation:
            self._kept.clear()
            self._generation = self._registry.generation
        accepted = [entry.partition(";")[0].strip() for entry in accept.split(",")] if accept else []
        if path == "/openapi/v2" and accepted == [_PROTOBUF]:
            return _EMPTY_V2, _PROTOBUF.replace("@", ".")
        if accepted and not any(
            each in ("application/json", "*/*", "application/*", "application/yaml") for each in accepted
        ):
            raise not_acceptable(("application/json",))
        if path not in self._kept:
            made = self._make(path)
            if made is None:
                return None
            self._kept[path] = _encode(made)
        return self._kept[path], "application/json"

    def _make(self, path: str) -> Object | None:
        if path == "/openapi/v2":
            return _v2(self._registry)
        if path == "/openapi/v3":
            return {"paths": dict(self._index())}
        parts = path.removeprefix("/openapi/v3/").split("/")
        group, version = ("", parts[1]) if len(parts) == 2 and parts[0] == "api" else ("", "")
        if len(parts) == 3 and parts[0] == "apis":
            group, version = parts[1], parts[2]
        found = self._registry.of(group, version)
        return _v3(group, version, found) if found else None

    def _index(self) -> Iterator[tuple[str, Object]]:
        for group, versions in self._registry.groups().items():
            for version in versions:
                place = f"apis/{group}/{version}" if group else f"api/{version}"
                digest = hashlib.sha512(place.encode())
                for resource in self._registry.of(group, version):
                    digest.update(resource.id.encode())
                    if resource.custom is not None:
                        digest.update(_encode([resource.custom.schema, resource.kind, resource.namespaced]))
                yield place, {"serverRelativeURL": f"/openapi/v3/{place}?hash={digest.hexdigest().upper()}"}


class _Maker:
    """Definitions, each made once, with those they refer to."""

    def __init__(self, prefix: str, *, third: bool) -> None:
        self._prefix = prefix
        self._third = third
        self.made: dict[str, Object] = {}
        self._kinds: dict[str, list[Object]] = {}
        for api_version, kind, definition in Schemas.builtin().kinds():
            group, _, version = api_version.rpartition("/")
            self._kinds.setdefault(definition, []).append({"group": group, "version": version, "kind": kind})

    def builtin(self, name: str) -> Object:
        """A reference to a definition by its name without ``io.k8s.``."""
        full = f"io.k8s.{name}"
        if full not in self.made:
            self.made[full] = {}
            schema = Schemas.builtin().definition(name)
            made = self._plain(schema)
            if name in self._kinds:
                made["x-kubernetes-group-version-kind"] = self._kinds[name]
            self.made[full] = made
        return {"$ref": self._prefix + full}

    def custom(self, resource: Resource) -> Object:
        """A reference to the definition of a custom kind."""
        assert resource.custom is not None
        full = ".".join((*reversed(resource.group.split(".")), resource.version, resource.kind))
        if full not in self.made:
            schema = dict(resource.custom.schema)
            properties = dict(schema.get("properties") or {})
            text = {"type": "string"}
            metadata = self.builtin(OBJECT_META)
            properties |= {
                "apiVersion": text,
                "kind": text,
                "metadata": {"allOf": [metadata]} if self._third else metadata,
            }
            kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
            self.made[full] = {
                **schema,
                "type": "object",
                "properties": properties,
                "x-kubernetes-group-version-kind": [kind],
            }
        return {"$ref": self._prefix + full}

    def reference(self, resource: Resource) -> Object | None:
        """A reference to a resource's kind."""
        if resource.custom is not None:
            return self.custom(resource)
        schema = Schemas.builtin().kind(resource.api_version, resource.kind)
        return None if schema is None else self.builtin(schema.traits.definition)

    def _node(self, schema: Schema) -> Object:
        traits = schema.traits
        if traits.definition:
            reference = self.builtin(traits.definition)
            own: Object = {"allOf": [reference]} if self._third else dict(reference)
            if self._third and traits.default is not None:
                own["default"] = traits.default
            return own | self._extensions(schema)
        return self._plain(schema)

    def _plain(self, schema: Schema) -> Object:
        traits = schema.traits
        made: Object = {}
        if traits.special == "intOrString":
            made = (
                {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
                if self._third
                else {
                    "format": "int-or-string",
                    "type": "string",
                }
            )
        elif traits.special == "quantity":
            made = {"oneOf": [{"type": "string"}, {"type": "number"}]} if self._third else {"type": "string"}
        elif traits.special == "raw":
            return {"type": "object"} if traits.type in ("", "object") else {"type": traits.type}
        elif traits.type:
            made["type"] = traits.type
        if traits.format and "format" not in made:
            made["format"] = traits.format
        if traits.required:
            made["required"] = list(traits.required)
        if schema.properties:
            made["properties"] = {name: self._node(child) for name, child in schema.properties.items()}
        elif traits.type == "object" and schema.additional is not None and schema.additional.type:
            made["additionalProperties"] = self._node(schema.additional)
        if traits.type == "array" and schema.items is not None:
            made["items"] = self._node(schema.items)
        if traits.enum:
            made["enum"] = list(traits.enum)
        return made | self._extensions(schema)

    @staticmethod
    def _extensions(schema: Schema) -> Object:
        traits = schema.traits
        found = {
            "x-kubernetes-list-type": traits.list_type,
            "x-kubernetes-list-map-keys": list(traits.list_keys),
            "x-kubernetes-map-type": traits.map_type,
            "x-kubernetes-patch-strategy": traits.patch_strategy,
            "x-kubernetes-patch-merge-key": traits.patch_merge_key,
        }
        return {name: value for name, value in found.items() if value}


def _v3(group: str, version: str, found: list[Resource]) -> Object:
    maker = _Maker(_V3, third=True)
    paths: Object = {}
    for resource in found:
        paths.update(_paths(resource, maker, third=True))
    schemes = {
        "BearerToken": {
            "type": "apiKey",
            "description": "Bearer Token authentication",
            "name": "authorization",
            "in": "header",
        }
    }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.3"},
        "paths": paths,
        "components": {"schemas": maker.made, "securitySchemes": schemes},
    }


def _v2(registry: Registry) -> Object:
    maker = _Maker(_V2, third=False)
    paths: Object = {}
    for resource in registry.all():
        paths.update(_paths(resource, maker, third=False))
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.36.3"},
        "paths": paths,
        "definitions": maker.made,
    }


def _paths(resource: Resource, maker: _Maker, *, third: bool) -> Iterator[tuple[str, Object]]:
    reference = maker.reference(resource)
    base = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    spaced = f"{base}/namespaces/{{namespace}}" if resource.namespaced else base
    make = _Operations(resource, reference, third=third)
    collection = {"list": "get", "create": "post", "deletecollection": "delete"}
    several = {method: make.operation(method, verb) for verb, method in collection.items() if verb in resource.verbs}
    if several:
        yield f"{spaced}/{resource.plural}", several
    if resource.namespaced and "list" in resource.verbs:
        yield f"{base}/{resource.plural}", {"get": make.operation("get", "list")}
    single = {"get": "get", "update": "put", "patch": "patch", "delete": "delete"}
    one = {method: make.operation(method, verb) for verb, method in single.items() if verb in resource.verbs}
    if one:
        yield f"{spaced}/{resource.plural}/{{name}}", one
    for part in resource.subresources.values():
        inner = {
            method: make.operation(method, verb)
            for verb, method in (*single.items(), ("create", "post"))
            if verb in part.verbs
        }
        if inner:
            yield f"{spaced}/{resource.plural}/{{name}}/{part.name}", inner


class _Operations:
    """The operations of one resource."""

    def __init__(self, resource: Resource, reference: Object | None, *, third: bool) -> None:
        self._resource = resource
        self._reference = reference or {"type": "object"}
        self._third = third

    def operation(self, method: str, verb: str) -> Object:
        resource, third = self._resource, self._third
        query: Callable[[str], Object] = _query3 if third else _query2
        names = _QUERY["list" if verb in ("list", "deletecollection") else method]
        made: Object = {"parameters": [query(name) for name in names], "x-kubernetes-action": verb}
        made["x-kubernetes-group-version-kind"] = {
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        }
        if third:
            body = {"schema": self._reference}
            if method in ("post", "put", "patch"):
                media: tuple[str, ...] = _PATCH_MEDIA if method == "patch" else ("application/json",)
                if resource.custom is not None:
                    media = tuple(each for each in media if "strategic" not in each)
                made["requestBody"] = {"content": dict.fromkeys(media, body), "required": True}
            made["responses"] = {"200": {"description": "OK", "content": {"application/json": body}}}
        else:
            if method in ("post", "put", "patch"):
                made["parameters"].append({"in": "body", "name": "body", "required": True, "schema": self._reference})
            made["responses"] = {"200": {"description": "OK", "schema": self._reference}}
        return made


def _query3(name: str) -> Object:
    return {
        "name": name,
        "in": "query",
        "schema": {"type": "boolean" if name in ("force", "watch") else "string", "uniqueItems": True},
    }


def _query2(name: str) -> Object:
    return {
        "name": name,
        "in": "query",
        "type": "boolean" if name in ("force", "watch") else "string",
        "uniqueItems": True,
    }
