"""Stored objects as they are shown: in the version that was asked for, whole, as metadata only, or inside a list or
watch line.

Pure, and built so that the common case (whole object, storage version, JSON) hands out the stored bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from windlass.core import documents
from windlass.devstack.apiserver.conversion import from_storage
from windlass.devstack.apiserver.registry import Resource, is_storage_version
from windlass.devstack.apiserver.request import JSON, Form
from windlass.devstack.apiserver.store import Item

encode = msgspec.json.Encoder().encode


def shown(resource: Resource, item: Item) -> dict[str, Any]:
    """The object in the version of ``resource``. Shared: never to be changed."""
    return item.obj if is_storage_version(resource) else from_storage(resource, item.obj)


def encoded(resource: Resource, item: Item) -> bytes:
    """Its JSON."""
    return item.raw if is_storage_version(resource) else encode(from_storage(resource, item.obj))


def metadata_of(obj: dict[str, Any], version: str) -> dict[str, Any]:
    """PartialObjectMetadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


def one(resource: Resource, item: Item, form: Form) -> bytes:
    """A single object in the form asked for; tables are made in ``table.py``."""
    if form.shape == "metadata":
        return finish(encode(metadata_of(item.obj, form.version)), form)
    return finish(encoded(resource, item), form)


def finish(body: bytes, form: Form) -> bytes:
    """JSON as the media type that was asked for."""
    if form.media == JSON:
        return body
    return documents.write([_sorted(msgspec.json.decode(body))]).encode()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def list_of(resource: Resource, items: Iterable[Item], meta: dict[str, Any], form: Form) -> bytes:
    """A list of objects, or of their metadata."""
    if form.shape == "metadata":
        head = {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{form.version}", "metadata": meta}
        parts = [encode(metadata_of(item.obj, form.version)) for item in items]
    else:
        head = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": meta}
        parts = [_without_type(resource, encoded(resource, item)) for item in items]
    body = encode(head)[:-1] + b',"items":[' + b",".join(parts) + b"]}"
    return finish(body, form)


def _without_type(resource: Resource, raw: bytes) -> bytes:
    """Items of built-in lists carry no kind and apiVersion, as on the real server; those of custom resources do."""
    if resource.custom is not None:
        return raw
    head = b'{"kind":"%b","apiVersion":"%b",' % (resource.kind.encode(), resource.api_version.encode())
    return b"{" + raw[len(head) :] if raw.startswith(head) else raw


_METADATA = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


def ordered(resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """A new dict of the object, with kind, apiVersion and metadata first, as all stored objects begin."""
    given = obj["metadata"]
    metadata = {key: given[key] for key in _METADATA if key in given}
    if len(metadata) != len(given):
        metadata.update(given)
    if "resourceVersion" not in metadata and "uid" in metadata:
        metadata = {"name": metadata["name"], **_head(metadata), "resourceVersion": "", **metadata}
    rest = {key: value for key, value in obj.items() if key not in ("kind", "apiVersion", "metadata")}
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata, **rest}


def _head(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: metadata[key] for key in ("generateName", "namespace", "uid") if key in metadata}
