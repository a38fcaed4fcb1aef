"""What the kinds have in common: names, metadata, and how an object from the API server or from Git is read.

A spec is read strictly (BadSpec names the field and the mend). A status is read leniently: it is our own record, and
one that an older or newer version wrote must not stop the controller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from windlass.core.kinds.shape import BadSpec, Part, check, dense, mistake
from windlass.errors import Where

GROUP = "windlass.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """What flows need to know of an object of ours. Times as the API server writes them."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: list[str] = []


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column of ``kubectl get``. ``priority`` 1 shows with ``-o wide`` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind as the CRD and the docs tell it. ``more`` is Markdown for its page."""

    kind: str
    plural: str
    short: str
    namespaced: bool
    text: str
    example: str
    spec: type[Part]
    status: type[Part]
    columns: tuple[Column, ...]
    rules: tuple[tuple[str, str], ...] = ()
    more: str = ""


SpecT = TypeVar("SpecT", bound=Part)
StatusT = TypeVar("StatusT", bound=Part)


def read_metadata(content: dict[str, Any], kind: str) -> Metadata:
    """The metadata of an object. Raises BadSpec where it is none of this kind or has no name."""
    if content.get("apiVersion") != API_VERSION or content.get("kind") != kind:
        raise mistake("kind", f"is not {kind} of {API_VERSION}", f"apiVersion: {API_VERSION}, kind: {kind}")
    raw = content.get("metadata")
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str) or not raw["name"]:
        raise mistake("metadata.name", "is missing", "metadata: {name: ...}")
    try:
        return msgspec.convert({key: value for key, value in raw.items() if value is not None}, Metadata)
    except msgspec.ValidationError as error:
        raise BadSpec(f"metadata is not as Kubernetes has it: {error}", where=Where(field="metadata")) from error


def read_spec(content: dict[str, Any], spec: type[SpecT]) -> SpecT:
    """The spec, checked field by field."""
    raw = content.get("spec")
    raw = {} if raw is None else raw
    check(raw, spec, "spec")
    return msgspec.convert(dense(raw, spec), spec)


def read_status(content: dict[str, Any], status: type[StatusT]) -> StatusT:
    """The status, or an empty one where it can't be read."""
    try:
        return msgspec.convert(_dense(content.get("status") or {}), status)
    except msgspec.ValidationError:
        return status()


def _dense(value: Any) -> Any:
    """Without nulls: an explicit null says the same as nothing."""
    if isinstance(value, dict):
        return {key: _dense(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_dense(one) for one in value]
    return value
