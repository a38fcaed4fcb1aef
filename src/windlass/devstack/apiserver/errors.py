"""What the API server refuses, in the real server's words: `ApiError` carries code, reason, message and details of a
`Status`.

Every layer of the room raises it; ``http.py`` writes it as the answer, ``local.py`` lets it through to the workload
controllers. It knows nothing of HTTP beyond the code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Cause(Protocol):
    """One thing that is wrong with an object: ``reason`` like FieldValueRequired, ``message``, and the ``field``
    path.
    """

    @property
    def reason(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def field(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Fault:
    """A `Cause` as plain data."""

    reason: str
    message: str
    field: str = ""


class ApiError(Exception):
    """A refusal. ``code`` is the HTTP status, ``reason`` the machine's word, ``details`` the `Status.details`
    object.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = None if details is None else dict(details)
        self.headers = tuple(headers)
        self.warnings: tuple[str, ...] = ()
        """Set on the way out: what the answer warns of besides."""

    def status(self) -> dict[str, Any]:
        """The `Status` object of this refusal, fields in the order of the real server."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


def qualified(group: str, plural: str) -> str:
    """``deployments.apps``, or ``pods`` in the core group: how messages name a resource."""
    return f"{plural}.{group}" if group else plural


def _details(group: str, kind: str, name: str) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    return details


def not_found(group: str, plural: str, name: str) -> ApiError:
    """404: no object of this name."""
    return ApiError(404, "NotFound", f'{qualified(group, plural)} "{name}" not found', _details(group, plural, name))


def already_exists(group: str, plural: str, name: str, *, going: bool = False) -> ApiError:
    """409: a create where something is. ``going`` says that it is being deleted."""
    message = f'{qualified(group, plural)} "{name}" already exists'
    if going:
        message = f"object is being deleted: {message}"
    return ApiError(409, "AlreadyExists", message, _details(group, plural, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(group: str, plural: str, name: str, why: str = MODIFIED) -> ApiError:
    """409: optimistic concurrency, or a precondition that does not hold."""
    message = f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(group, plural, name))


def invalid(group: str, kind: str, name: str, causes: Iterable[Cause]) -> ApiError:
    """422: what is wrong with an object, field by field."""
    listed = list(causes)
    texts = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in listed]
    unique = list(dict.fromkeys(texts))
    words = unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"
    details = _details(group, kind, name)
    details["causes"] = [
        {"reason": c.reason, "message": c.message, **({"field": c.field} if c.field else {})} for c in listed
    ]
    return ApiError(422, "Invalid", f'{qualified(group, kind)} "{name}" is invalid: {words}', details)


def bad_request(message: str) -> ApiError:
    """400: the request itself is wrong."""
    return ApiError(400, "BadRequest", message)


def forbidden(group: str, plural: str, name: str, why: str) -> ApiError:
    """403: admission or authorization says no."""
    target = f'{qualified(group, plural)} "{name}"' if name else qualified(group, plural)
    return ApiError(403, "Forbidden", f"{target} is forbidden: {why}", _details(group, plural, name))


def unauthorized() -> ApiError:
    """401: nobody this server knows."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def expired(message: str) -> ApiError:
    """410: history no longer reaches that far."""
    return ApiError(410, "Expired", message)


def too_old(asked: int, oldest: int) -> ApiError:
    """410 of a watch that asks for what is no longer remembered."""
    return expired(f"too old resource version: {asked} ({oldest})")


def too_large_version(asked: int, current: int) -> ApiError:
    """504 of a read that asks for a resourceVersion that is not there yet."""
    message = f"Too large resource version: {asked}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = {"causes": [cause], "retryAfterSeconds": 1}
    return ApiError(504, "Timeout", f"Timeout: {message}", details, (("Retry-After", "1"),))


def not_allowed() -> ApiError:
    """405: the resource does not know this verb."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def no_such_resource() -> ApiError:
    """404 of a path that names no resource."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def not_acceptable(media: Iterable[str]) -> ApiError:
    """406: no representation that the client asked for."""
    words = f"406: Not Acceptable\n\nAvailable representations: {', '.join(media)}"
    return ApiError(406, "NotAcceptable", words, {})


def no_such_form(media: Iterable[str]) -> ApiError:
    """406: a known media type, in a form (``as=``) that there is not."""
    return ApiError(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(media)}")


def unsupported_media(media: Iterable[str]) -> ApiError:
    """415: a body in a format that is not known here."""
    words = f"the body of the request was in an unknown format - accepted media types include: {', '.join(media)}"
    return ApiError(415, "UnsupportedMediaType", words)


def too_many_requests(message: str, after: int) -> ApiError:
    """429 with Retry-After in seconds."""
    return ApiError(429, "TooManyRequests", message, {"retryAfterSeconds": after}, (("Retry-After", str(after)),))


def internal(message: str) -> ApiError:
    """500 with reason InternalError, as the real server words it."""
    details = {"causes": [{"message": message}]}
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", details)
