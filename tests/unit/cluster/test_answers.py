"""Each refusal of an API server becomes one error with words; the bodies are those of a real server 1.36."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from windlass import ports
from windlass.adapters.cluster.answers import Asked, HistoryGone, to_error
from windlass.errors import NeedsHuman, TryLater, WindlassError

APPLY = Asked("apply", "Deployment/shop/web")
SECRET = Asked("apply", "Secret/shop/key", secret=True)


def error(code: int, message: str = "", reason: str = "", asked: Asked = APPLY, **details: Any) -> WindlassError:
    body: dict[str, Any] = {"kind": "Status", "message": message, "code": code}
    if reason:
        body["reason"] = reason
    if details:
        body["details"] = details
    return to_error(code, {}, msgspec.json.encode(body), asked)


def cause(message: str, field: str = "", reason: str = "") -> dict[str, str]:
    return {"message": message, "field": field, "reason": reason}


def test_an_apply_conflict_names_the_managers_and_their_fields() -> None:
    """409 with FieldManagerConflict causes: manager to fields, the subresource's word left out."""
    found = error(
        409,
        "Apply failed with 2 conflicts",
        "Conflict",
        causes=[
            cause('conflict with "kubectl" with subresource "scale" using apps/v1', ".spec.replicas", CONFLICT),
            cause('conflict with "kubectl-edit" using apps/v1', ".spec.paused", CONFLICT),
            cause('conflict with "kubectl" using apps/v1 at 2026-11-22T21:53:32Z', ".spec.strategy.type", CONFLICT),
        ],
    )
    assert isinstance(found, ports.FieldConflict)
    assert found.managers == {"kubectl": [".spec.replicas", ".spec.strategy.type"], "kubectl-edit": [".spec.paused"]}


CONFLICT = "FieldManagerConflict"
MODIFIED = 'Operation cannot be fulfilled on configmaps "x": the object has been modified'


@pytest.mark.parametrize(
    ("code", "message", "reason", "kind"),
    [
        (409, MODIFIED, "Conflict", ports.WriteConflict),
        (409, 'configmaps "x" already exists', "AlreadyExists", ports.WriteConflict),
        (404, 'namespaces "nope" not found', "NotFound", ports.ObjectMissing),
        (404, "404 page not found", "", ports.ObjectMissing),
        (401, "Unauthorized", "Unauthorized", ports.NotAllowed),
        (403, 'x is forbidden: User "u" cannot patch resource "x"', "Forbidden", ports.NotAllowed),
        (403, 'x is forbidden: violates PodSecurity "restricted:latest": host', "Forbidden", ports.WebhookDenied),
        (403, "x is forbidden: exceeded quota: q, requested: pods=1", "Forbidden", ports.WebhookDenied),
        (403, "unable to create: namespace shop because it is being terminated", "", ports.NamespaceTerminating),
        (400, 'admission webhook "a.b.c" denied the request: no', "", ports.WebhookDenied),
        (500, 'admission webhook "a.b.c" denied the request: no', "", ports.WebhookDenied),
        (
            422,
            "x is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: r",
            "",
            ports.WebhookDenied,
        ),
        (500, 'Internal error: failed calling webhook "a.b": timeout', "InternalError", ports.ClusterUnavailable),
        (500, "failed to create typed patch object (x): .spec.x: field not declared", "", ports.ObjectRejected),
        (500, "failed to convert new object (x) to proper version", "", ports.ObjectRejected),
        (500, "etcdserver: leader changed", "InternalError", ports.ClusterUnavailable),
        (429, "Too many requests", "TooManyRequests", ports.ClusterUnavailable),
        (503, "", "", ports.ClusterUnavailable),
        (504, "Timeout: request did not complete", "Timeout", ports.ClusterUnavailable),
        (400, 'strict decoding error: unknown field "spec.x"', "BadRequest", ports.ObjectRejected),
        (413, "Request entity too large", "", ports.ObjectRejected),
        (422, "x is invalid: spec.replicas: Required value", "Invalid", ports.ObjectRejected),
        (410, "too old resource version: 1 (2)", "Expired", HistoryGone),
    ],
)
def test_each_answer_has_its_error(code: int, message: str, reason: str, kind: type[WindlassError]) -> None:
    """The class decides whether it is tried again or told to a person."""
    assert type(error(code, message, reason)) in (kind, *kind.__subclasses__())
    assert isinstance(error(code, message, reason), kind)


def test_a_typed_patch_that_fails_is_for_a_person_and_names_the_field() -> None:
    """500 without a reason is not the server's fault: trying again would never end."""
    found = error(
        500, "failed to create typed patch object (ns/x; /v1, Kind=ConfigMap): .dataa: field not declared in schema"
    )
    assert isinstance(found, ports.ObjectRejected)
    assert isinstance(found, NeedsHuman)
    assert found.fields == ("dataa",)


def test_an_immutable_field_is_told_as_such() -> None:
    """The mend differs: nothing in Git but another name, or a deletion by a person, helps."""
    found = error(422, "x is invalid", causes=[cause("Invalid value: field is immutable", "spec.selector")])
    assert isinstance(found, ports.ObjectRejected)
    assert found.immutable
    assert found.fields == ("spec.selector",)
    other = error(422, "x is invalid", causes=[cause("Required value", "spec.selector")])
    assert isinstance(other, ports.ObjectRejected)
    assert not other.immutable
    assert not other.hint


def test_a_stateful_set_says_forbidden_and_means_immutable() -> None:
    """The API server has several words for it."""
    words = "Forbidden: updates to statefulset spec for fields other than 'replicas', 'template' are forbidden"
    found = error(422, "x is invalid", causes=[cause(words, "spec")])
    assert isinstance(found, ports.ObjectRejected)
    assert found.immutable


def test_a_services_address_says_once_set_and_means_immutable() -> None:
    words = 'Invalid value: ["10.0.77.77"]: may not change once set'
    found = error(422, "x is invalid", causes=[cause(words, "spec.clusterIPs[0]")])
    assert isinstance(found, ports.ObjectRejected)
    assert found.immutable


def test_a_uid_that_is_not_the_live_ones_is_a_conflict_of_writes() -> None:
    """422 on metadata.uid of a request with a precondition: look again; without one it is a wrong manifest."""
    causes = [cause('Invalid value: "nope": field is immutable', "metadata.uid")]
    asked = Asked("apply", "ConfigMap/shop/x", uid=True)
    assert isinstance(error(422, "x is invalid", asked=asked, causes=causes), ports.WriteConflict)
    assert isinstance(error(422, "x is invalid", causes=causes), ports.ObjectRejected)


@pytest.mark.parametrize("code", [400, 403, 409, 422, 429, 500, 503])
@pytest.mark.parametrize(
    "message",
    [
        'Secret "x" is invalid: data[a]: Invalid value: "aHVudGVyMg==": no',
        'failed to create typed patch object: .data.a: expected string, got "aHVudGVyMg=="',
        'admission webhook "a.b" denied the request: value aHVudGVyMg== is weak',
        "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: aHVudGVyMg== is weak",
        'Internal error occurred: failed calling webhook "a.b": aHVudGVyMg==',
        "namespace because it is being terminated aHVudGVyMg==",
    ],
)
def test_no_value_of_a_secret_gets_into_a_message(code: int, message: str) -> None:
    """The server quotes what it refuses; of Secrets nothing of that is repeated."""
    found = error(code, message, "Invalid", SECRET, causes=[cause('Invalid value: "aHVudGVyMg=="', "data[a]")])
    assert "aHVudGVyMg==" not in str(found)
    assert "aHVudGVyMg==" not in found.hint
    assert "Secret/shop/key" in str(found)


def test_a_long_quoted_value_is_left_out() -> None:
    """An immutable Pod template is quoted whole, environment and all."""
    words = f'Invalid value: {{"env": "{"hunter2" * 100}"}}: field is immutable'
    found = error(422, words, "Invalid", causes=[cause(words, "spec.template")])
    assert "hunter2" not in str(found)
    assert "spec.template: Invalid value: field is immutable" in str(found)


def test_foreign_text_is_bounded_and_printable() -> None:
    """A megabyte or a terminal's escape sequence does not come through."""
    found = error(409, "a\x1b[31m" * 100_000, "Conflict")
    assert len(str(found)) < 1000
    assert "\x1b" not in str(found)


@pytest.mark.parametrize("body", [b"<html>proxy says no</html>", b"", b"{", b"[]", b'{"kind":"Pod","message":"x"}'])
@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 422, 500, 502])
def test_a_body_that_is_no_status_is_not_copied(code: int, body: bytes) -> None:
    """A proxy's page says nothing that a person needs; the code does."""
    found = to_error(code, {}, body, APPLY)
    assert isinstance(found, NeedsHuman | TryLater)
    assert "proxy" not in str(found)
    assert "Deployment/shop/web" in str(found)


def test_retry_after_is_taken_from_the_header_or_the_details() -> None:
    """Seconds, bounded by an hour."""
    body = msgspec.json.encode({"kind": "Status", "details": {"retryAfterSeconds": 7}})
    from_header = to_error(429, {"Retry-After": "3"}, b"", APPLY)
    from_body = to_error(429, {}, body, APPLY)
    absurd = to_error(429, {"Retry-After": "999999"}, b"", APPLY)
    assert isinstance(from_header, TryLater)
    assert isinstance(from_body, TryLater)
    assert isinstance(absurd, TryLater)
    assert (from_header.after, from_body.after, absurd.after) == (3.0, 7.0, 3600.0)
