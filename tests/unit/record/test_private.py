"""What may stand in Git for ever: forms, numbers and names; never a Secret, and text only where it is allowed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.core.model import ObjectRef
from windlass.core.record.private import DIGEST, LONGEST, Private, parts

WEB = ObjectRef("apps", "Deployment", "shop", "web")
MAP = ObjectRef("", "ConfigMap", "shop", "web")
SECRET = ObjectRef("", "Secret", "shop", "keys")
PLANTED = "hunter2-planted"
PRIVATE = Private(b"key of this cluster")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("spec.replicas", 7),
        ("spec.template.spec.hostPID", True),
        ("spec.template.spec.containers[name=web].image", "acme/shop:1.4.2"),
        ("metadata.labels[app]", "shop"),
        ("spec.template.spec.containers[name=web].resources.limits.memory", "64Mi"),
    ],
)
def test_what_has_a_fixed_form_is_shown(field: str, value: Any) -> None:
    assert PRIVATE.value(WEB, field, value) == value


@pytest.mark.parametrize(
    ("ref", "field", "value"),
    [
        (MAP, "data[password]", PLANTED),
        (MAP, "data.type", PLANTED),
        (WEB, "spec.template.spec.containers[name=web].env[name=TOKEN]", {"name": "TOKEN", "value": PLANTED}),
        (WEB, "spec.template.spec.containers[name=web].args", ["--password", PLANTED]),
        (WEB, "metadata.annotations[note]", PLANTED),
        (SECRET, "data[password]", PLANTED),
        (SECRET, "type", PLANTED),
    ],
)
def test_text_is_not_shown(ref: ObjectRef, field: str, value: Any) -> None:
    told = PRIVATE.value(ref, field, value)
    assert PLANTED not in msgspec.json.encode(told).decode()


def test_a_digest_tells_equal_from_different_and_hangs_on_the_key() -> None:
    one = PRIVATE.value(MAP, "data.unit", "512Mi")
    assert one.startswith(DIGEST)
    assert one == PRIVATE.value(MAP, "data.unit", "512Mi") != PRIVATE.value(MAP, "data.unit", "512")
    assert one != Private(b"another").value(MAP, "data.unit", "512Mi")


def test_an_allowed_field_is_shown_but_never_of_a_secret() -> None:
    allowing = Private(b"key", ["/data/CACHE_SIZE", "/spec/template/spec/containers/*/args/*", "/data/a~1b"])
    assert allowing.value(MAP, "data[CACHE_SIZE]", "512") == "512"
    assert allowing.value(MAP, "data[a/b]", "512") == "512"
    assert allowing.value(MAP, "data[OTHER]", "512").startswith(DIGEST)
    assert allowing.value(WEB, "spec.template.spec.containers[name=web].args", ["-v"]) == ["-v"]
    assert allowing.value(SECRET, "data[CACHE_SIZE]", "512") == "***"


def test_values_that_an_api_server_repeats_are_hidden_in_a_sentence() -> None:
    told = PRIVATE.sentence(f'ConfigMap "x" is invalid: data: Invalid value: "{PLANTED} \\" more": must be short')
    assert PLANTED not in told
    assert told.startswith('ConfigMap "x" is invalid: data: Invalid value: hmac-sha256:')
    assert told.endswith(": must be short")


def test_what_a_probe_printed_is_left_out() -> None:
    assert PRIVATE.event("Unhealthy", f"Readiness probe failed: {PLANTED}") == "Readiness probe failed"
    assert PRIVATE.event("BackOff", "Back-off restarting failed container") == "Back-off restarting failed container"


def test_a_large_value_is_one_digest_and_a_sentence_is_bounded() -> None:
    assert PRIVATE.value(WEB, "spec.x", {str(n): {str(m): m for m in range(20)} for n in range(20)}).startswith(DIGEST)
    assert len(PRIVATE.sentence("word " * 1000)) == LONGEST
    assert "\x1b" not in PRIVATE.sentence("\x1b[31mred")


def test_a_field_is_read_into_parts() -> None:
    assert parts("spec.ports[port=80,protocol=TCP].name") == ("spec", "ports", "80,TCP", "name")
    assert parts("metadata.labels[app.kubernetes.io/name]") == ("metadata", "labels", "app.kubernetes.io/name")


@given(st.recursive(st.text(min_size=9, max_size=40).filter(str.isalnum), lambda one: st.lists(one, max_size=4)))
def test_no_text_of_a_config_map_comes_through(value: Any) -> None:
    told = msgspec.json.encode(PRIVATE.value(MAP, "data.x", value)).decode()

    def texts(one: Any) -> list[str]:
        return [one] if isinstance(one, str) else [text for item in one for text in texts(item)]

    assert not any(text in told.replace(DIGEST, "") for text in texts(value))
