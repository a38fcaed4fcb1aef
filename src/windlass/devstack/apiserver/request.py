"""One request as the verbs see it: who, what, on which resource, and in which form the answer is wanted.

``http.py`` makes a `Call` from an ASGI scope; `parse_path` and `parse_accept` are pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from windlass.core import documents
from windlass.devstack.apiserver import json_errors, protobuf
from windlass.devstack.apiserver.errors import (
    ApiError,
    Fault,
    bad_request,
    invalid,
    no_such_form,
    not_acceptable,
    unsupported_media,
)
from windlass.devstack.apiserver.registry import Resource

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MEDIA = (JSON, YAML, PROTOBUF)
"""What is accepted as a body. Answers are never protobuf."""

LIMIT = 3 * 1024 * 1024
"""Bytes a request body may have."""


@dataclass(frozen=True, slots=True)
class User:
    """Who asks."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is wanted: ``object``, ``table`` or ``metadata`` (PartialObjectMetadata), as JSON or YAML."""

    shape: str = "object"
    version: str = "v1"
    media: str = JSON

    @property
    def content_type(self) -> str:
        if self.shape == "table":
            return f"{self.media};as=Table;v={self.version};g=meta.k8s.io" if self.media == JSON else self.media
        return self.media


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names. ``resource`` is the plural; empty strings where a part is missing."""

    group: str
    version: str
    namespace: str
    resource: str
    name: str
    subresource: str
    rest: tuple[str, ...] = ()


@dataclass(slots=True)
class Call:
    """A request on a resource, authenticated and authorized."""

    method: str
    verb: str
    resource: Resource
    target: Target
    query: dict[str, list[str]]
    user: User
    form: Form
    body: bytes = b""
    content_type: str = JSON
    user_agent: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        return self.target.namespace

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def subresource(self) -> str:
        return self.target.subresource

    def one(self, name: str, default: str = "") -> str:
        """A query parameter's first value."""
        values = self.query.get(name)
        return values[0] if values else default

    def flag(self, name: str) -> bool:
        """A boolean query parameter, as the real server reads them."""
        values = self.query.get(name)
        return bool(values) and values[0].lower() not in ("false", "0")  # type: ignore[index]

    @property
    def dry_run(self) -> bool:
        values = self.query.get("dryRun", [])
        if any(value != "All" for value in values):
            shown = " ".join(f'"{value}"' for value in values)
            raise self.bad_option("dryRun", f'Unsupported value: [{shown}]: supported values: "All"')
        return bool(values)

    def bad_option(self, field: str, message: str, reason: str = "FieldValueNotSupported") -> ApiError:
        """422 of a query parameter."""
        kinds = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
        kind = kinds.get(self.verb) or ("DeleteOptions" if self.verb.startswith("delete") else "ListOptions")
        return invalid("meta.k8s.io", kind, "", [Fault(reason, message, field)])

    @property
    def manager(self) -> str:
        """The field manager: the parameter, else what comes before the slash of the user agent."""
        return self.one("fieldManager") or self.user_agent.partition("/")[0][:128] or "unknown"

    @property
    def field_validation(self) -> str:
        given = self.one("fieldValidation") or "Warn"
        if given not in ("Ignore", "Strict", "Warn"):
            words = f'Unsupported value: "{given}": supported values: "", "Ignore", "Strict", "Warn"'
            raise self.bad_option("fieldValidation", words)
        return given

    def document(self) -> tuple[dict[str, Any], list[str]]:
        """The body as an object, with the paths of its duplicate fields. 400 where it is none."""
        return parse_body(self.body, self.content_type, self.resource.kind, merge=self.resource.custom is None)


def parse_path(path: str) -> Target | None:
    """The resource that a path names; None where it names none (discovery and everything that is not a resource)."""
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 3 and parts[0] == "api":
        group, version, parts = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if (
        parts[0] == "namespaces"
        and len(parts) > 2
        and not (group == "" and parts[2] in ("status", "finalize") and len(parts) == 3)
    ):
        namespace, parts = parts[1], parts[2:]
    name = parts[1] if len(parts) > 1 else ""
    sub = parts[2] if len(parts) > 2 else ""
    return Target(group, version, namespace, parts[0], name, sub, tuple(parts[3:]))


def parse_query(raw: bytes) -> dict[str, list[str]]:
    """Query parameters in order of appearance."""
    found: dict[str, list[str]] = {}
    if raw:
        for key, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
            found.setdefault(key, []).append(value)
    return found


_forms: dict[tuple[str, bool], Form] = {}


def parse_accept(header: str, *, single: bool) -> Form:
    """The first form in an Accept header that this server speaks. 406 where there is none.

    ``single`` tells PartialObjectMetadata (one object) from PartialObjectMetadataList.
    """
    known = _forms.get((header, single))
    if known is not None:
        return known
    form = (
        next((found for entry in header.split(",") if (found := _form(entry, single))), None)
        if header.strip()
        else Form()
    )
    if form is None:
        raise no_such_form(MEDIA) if "as=" in header else not_acceptable(MEDIA)
    if len(_forms) < 256:
        _forms[header, single] = form
    return form


def _form(entry: str, single: bool) -> Form | None:
    media, *rest = [part.strip() for part in entry.split(";")]
    if media in ("*/*", "application/*"):
        media = JSON
    if media not in (JSON, YAML, "application/yml"):
        return None
    options = dict(part.split("=", 1) for part in rest if "=" in part)
    wanted = options.get("as")
    if wanted is None:
        return Form(media=media)
    if options.get("g") != "meta.k8s.io" or options.get("v") not in ("v1", "v1beta1"):
        return None
    names = {"Table": "table", "PartialObjectMetadata" if single else "PartialObjectMetadataList": "metadata"}
    shape = names.get(wanted)
    return Form(shape, options["v"], media) if shape else None


def parse_body(
    body: bytes, content_type: str, kind: str = "Object", *, merge: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """A JSON or YAML body as a mapping, and the dotted paths of its fields that appear twice.

    Of those the last one counts; with ``merge``, as built-in kinds are decoded, mappings add up.
    """
    media = content_type.partition(";")[0].strip() or JSON
    if media == JSON or (media in _YAMLS and body.lstrip()[:1] == b"{"):
        value, doubled = _decode_json(body, kind)
        if doubled and merge:
            value = json.loads(body, object_pairs_hook=_added_up)
    elif media in _YAMLS:
        value, doubled = decode_yaml(body), []
    elif media == PROTOBUF:
        try:
            return protobuf.decode(body), []
        except protobuf.ProtobufError as error:
            raise bad_request(_unrecognized(kind, str(error), body)) from error
    else:
        raise unsupported_media(MEDIA)
    if not isinstance(value, dict):
        raise bad_request(_unrecognized(kind, json_errors.not_an_object(value), body))
    return value, doubled


_YAMLS = (YAML, "application/yml", "application/apply-patch+yaml")


def _unrecognized(kind: str, why: str, body: bytes) -> str:
    words = f"couldn't get version/kind; json parse error: {why} ({json_errors.summary(body)})"
    return f"the object provided is unrecognized (must be of type {kind}): {words}"


def _decode_json(body: bytes, kind: str) -> tuple[Any, list[str]]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_request(_unrecognized(kind, json_errors.literal_error(body), body)) from error
    return value, duplicate_fields(body)


def decode_yaml(body: bytes) -> Any:
    """The one YAML document of a body. 400 where it can't be read."""
    try:
        found = documents.read(body, "request body")
    except documents.DocumentError as error:
        why = error.what.rpartition(", ")[2] if error.what.startswith("this is not YAML") else error.what
        # The real server's parser counts its lines from zero, its scanner from one, and line 0 is left out.
        line = error.where.line - (1 if why.startswith("did not find expected") else 0)
        words = f"error converting YAML to JSON: yaml: {f'line {line}: ' if line else ''}{why}"
        raise bad_request(f"error decoding YAML: {words}") from error
    if len(found) != 1:
        raise bad_request(f"error decoding YAML: expected one document, found {len(found)}")
    return found[0].value


def duplicate_fields(body: bytes) -> list[str]:
    """The dotted paths of fields that appear more than once in a JSON body."""
    twice = False

    def watch(pairs: list[tuple[str, Any]]) -> Any:
        nonlocal twice
        twice = twice or len(pairs) != len(dict(pairs))

    json.JSONDecoder(object_pairs_hook=watch).decode(body.decode())
    return _duplicate_paths(body) if twice else []


def _added_up(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        before = made.get(key)
        made[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    return made


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object with their repetitions; told from an array by its type."""


def _duplicate_paths(body: bytes) -> list[str]:
    found: list[str] = []

    def walk(value: Any, path: str) -> None:
        if isinstance(value, _Pairs):
            seen: set[str] = set()
            for key, child in value:
                place = f"{path}.{key}" if path else key
                if key in seen and place not in found:
                    found.append(place)
                seen.add(key)
                walk(child, place)
        elif isinstance(value, list):
            for index, child in enumerate(value):
                walk(child, f"{path}[{index}]")

    walk(json.JSONDecoder(object_pairs_hook=_Pairs).decode(body.decode()), "")
    return found
