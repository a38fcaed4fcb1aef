"""Protobuf bodies, as typed Go clients send them, against the JSON of the same object."""

from __future__ import annotations

import struct

import pytest

from unit.apiserver.conftest import Client
from windlass.devstack.apiserver import protobuf
from windlass.devstack.apiserver.protobuf import ProtobufError


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def varint(value: int) -> bytes:
    found = b""
    value &= (1 << 64) - 1
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\0" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)


def deployment() -> bytes:
    container = field(1, "web") + field(2, "nginx:1") + field(6, field(3, 80) + field(4, "TCP"))
    # resources.requests is a map of quantities; a probe's handler stands inline in JSON.
    container += field(8, field(2, field(1, "cpu") + field(2, field(1, "10m"))))
    port = field(1, 1) + field(3, "http")
    container += field(11, field(1, field(2, field(1, "/ready") + field(2, port))) + field(3, -1))
    secret = field(1, "data") + field(2, field(6, field(1, "s")))
    pod = field(1, secret) + field(2, container)
    template = field(2, pod)
    selector = field(1, field(1, "app") + field(2, "web"))
    surge = field(2, field(2, field(1, 0) + field(2, 3)))
    strategy = field(1, "RollingUpdate") + surge
    spec = field(1, 2) + field(2, selector) + field(3, template) + field(4, strategy)
    created = field(8, field(1, 1_700_000_000))
    return envelope("apps/v1", "Deployment", field(1, field(1, "web") + created) + field(2, spec))


def test_a_deployment_is_read_as_its_json() -> None:
    found = protobuf.decode(deployment())
    assert (found["apiVersion"], found["kind"]) == ("apps/v1", "Deployment")
    assert found["metadata"] == {"name": "web", "creationTimestamp": "2023-11-14T22:13:20Z"}
    spec = found["spec"]
    assert (spec["replicas"], spec["selector"]) == (2, {"matchLabels": {"app": "web"}})
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3}}
    pod = spec["template"]["spec"]
    assert pod["volumes"] == [{"name": "data", "secret": {"secretName": "s"}}]
    assert pod["containers"] == [
        {
            "name": "web",
            "image": "nginx:1",
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "resources": {"requests": {"cpu": "10m"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "timeoutSeconds": -1},
        }
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"k8s\0",
        b"k8s\0\xff\xff\xff",
        envelope("example.com/v1", "Widget", b""),
        envelope("v1", "ConfigMap", b"\x0a\xff"),
        envelope("v1", "ConfigMap", b"\x0b"),
        envelope("v1", "ConfigMap", field(1, struct.pack("<d", 1.0))),
    ],
)
def test_what_is_no_protobuf_of_a_known_kind_is_refused(body: bytes) -> None:
    with pytest.raises(ProtobufError):
        protobuf.decode(body)


async def test_a_protobuf_body_creates_an_object(client: Client) -> None:
    raw = envelope("v1", "ConfigMap", field(1, field(1, "a")) + field(2, field(1, "k") + field(2, "v")))
    path = "/api/v1/namespaces/default/configmaps"
    answer = await client("POST", path, raw, kind="application/vnd.kubernetes.protobuf")
    assert (answer.code, answer.json["data"]) == (201, {"k": "v"})
    broken = await client("POST", path, raw[:-2], kind="application/vnd.kubernetes.protobuf")
    assert (broken.code, broken.json["reason"]) == (400, "BadRequest")
