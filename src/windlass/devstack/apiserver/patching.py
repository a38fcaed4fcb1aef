"""Bodies of PATCH requests: read, and carried out with the patches of ``core/manifests``. Server-side apply is in
``apply/``.

Called by ``verbs.py``, ``subresources.py`` and ``webhooks.py``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windlass.core.manifests import patches
from windlass.core.manifests.schemas import Schema
from windlass.devstack.apiserver import json_errors
from windlass.devstack.apiserver.errors import ApiError, Fault, bad_request, invalid, unsupported_media
from windlass.devstack.apiserver.request import decode_yaml, duplicate_fields
from windlass.devstack.apiserver.writing import Object, Write

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCHES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


def apply_body(body: bytes, write: Write) -> Object:
    """The body of an apply: YAML, of which JSON is a part."""
    if body.lstrip()[:1] == b"{":
        try:
            value: Any = msgspec.json.decode(body)
        except msgspec.DecodeError:
            value = decode_yaml(body)
        else:
            doubled = [f'duplicate field "{path}"' for path in duplicate_fields(body)]
            if doubled and write.field_validation == "Strict":
                raise bad_request(f"error decoding YAML: {', '.join(doubled)}")
            if write.field_validation == "Warn":
                write.warnings += doubled
    else:
        value = decode_yaml(body)
    if not isinstance(value, dict):
        raise bad_request("error decoding YAML: the body is not a mapping")
    return value


def patch_body(body: bytes) -> Any:
    """The body of the other patches: JSON."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise bad_request(f"error decoding patch: {json_errors.literal_error(body)}") from error


def run_patch(media: str, live: Object, patch: Any, schema: Schema) -> Object:
    """What a patch makes of an object. Raises `ApiError` where it can't be carried out."""
    try:
        made = _run(media, live, patch, schema)
    except patches.PatchError as error:
        raise ApiError(error.code, error.reason, str(error), {} if error.code == 422 else None) from error
    if not isinstance(made, dict):
        raise bad_request("the patch makes the object something else than a mapping")
    return made


def _run(media: str, live: Object, patch: Any, schema: Schema) -> Any:
    if media == JSON_PATCH:
        return patches.json_patch(live, patch)
    if not isinstance(patch, dict):
        raise bad_request("error decoding patch: json: cannot unmarshal a value that is not an object")
    if media == MERGE_PATCH:
        return patches.merge_patch(live, patch)
    return patches.strategic_merge(live, patch, schema)


def unsupported_patch(*, custom: bool = False) -> ApiError:
    """415 of a patch. Custom resources know no strategic merge, and say what they know."""
    if custom:
        return unsupported_media((JSON_PATCH, MERGE_PATCH, APPLY_PATCH))
    return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def strict_refusal(media: str, patch: Any, made: Object, why: str) -> ApiError:
    """422 of a patch whose outcome strict field validation refuses; the value shown is the patch or what it makes."""
    if media == STRATEGIC_PATCH:
        shown = go_map(patch)
    else:
        shown = msgspec.json.encode({key: made[key] for key in sorted(made)}).decode()
    quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
    fault = Fault("FieldValueInvalid", f'Invalid value: "{quoted}": {why}', "patch")
    error = invalid("", "", "", [fault])
    return ApiError(
        422, "Invalid", f' "" is invalid: patch: {fault.message}', {"causes": (error.details or {})["causes"]}
    )


def go_map(value: Any) -> str:
    """A value as Go prints it."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_map(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_map(each) for each in value) + "]"
    if value is None:
        return "<nil>"
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
