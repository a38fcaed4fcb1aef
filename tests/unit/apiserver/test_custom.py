"""CustomResourceDefinitions and their objects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from unit.apiserver.conftest import Client

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
MERGE = "application/merge-patch+json"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "x-kubernetes-validations": [
                {"rule": "self.replicas <= 10", "message": "too many"},
                {"rule": "self.size == oldSelf.size", "message": "size is immutable"},
            ],
            "properties": {
                "size": {"type": "string", "enum": ["small", "large"]},
                "replicas": {"type": "integer", "minimum": 0, "default": 1},
                "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
                "port": {"x-kubernetes-int-or-string": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "when": {"type": "string", "format": "date-time"},
            },
        },
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "phase": {"type": "string"}}},
    },
}


def crd(**more: Any) -> dict[str, Any]:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
        },
        "additionalPrinterColumns": [{"name": "Size", "type": "string", "jsonPath": ".spec.size"}],
    }
    names = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version], **more}
    return {"metadata": {"name": "widgets.example.com"}, "spec": spec}


async def established(client: Client, definition: dict[str, Any] | None = None) -> None:
    answer = await client("POST", CRDS, definition or crd())
    assert answer.code == 201, answer.body
    name = answer.json["metadata"]["name"]
    for _ in range(50):
        await asyncio.sleep(0)
        status = (await client("GET", f"{CRDS}/{name}")).json["status"]
        if any(each["type"] == "Established" and each["status"] == "True" for each in status["conditions"] or []):
            return
    raise AssertionError("not established")


async def test_a_definition_is_accepted_served_and_discovered(client: Client) -> None:
    assert (await client("GET", WIDGETS)).body == b"404 page not found\n"
    await established(client)
    found = (await client("GET", "/apis/example.com/v1")).json["resources"]
    assert [each["name"] for each in found] == ["widgets", "widgets/status", "widgets/scale"]
    live = (await client("GET", f"{CRDS}/widgets.example.com")).json
    assert live["status"]["acceptedNames"] == {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
        "shortNames": ["wd"],
    }
    assert live["status"]["storedVersions"] == ["v1"]


async def test_its_objects_are_pruned_and_defaulted(client: Client) -> None:
    await established(client)
    answer = await client(
        "POST", WIDGETS, {"metadata": {"name": "a"}, "spec": {"size": "small", "x": 1, "free": {"y": 2}}}
    )
    assert answer.warnings == [r'299 - "unknown field \"spec.x\""']
    assert answer.json["spec"] == {"size": "small", "free": {"y": 2}, "replicas": 1}
    assert answer.json["metadata"]["generation"] == 1


UNCHECKED = (
    "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the "
    "existing errors to complete validation"
)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"replicas": 11}, "spec: Invalid value: too many"),
        ({"size": "large"}, "spec: Invalid value: size is immutable"),
        ({"size": "huge"}, f'[spec.size: Unsupported value: "huge": supported values: "small", "large", {UNCHECKED}]'),
        ({"name": "ABC"}, "spec.name: Invalid value: \"ABC\": spec.name in body should match '^[a-z]+$'"),
        ({"name": "abcdefg"}, f"[spec.name: Too long: may not be more than 5 bytes, {UNCHECKED}]"),
        (
            {"replicas": -1},
            "spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0",
        ),
        (
            {"when": "x"},
            f'[spec.when: Invalid value: "x": spec.when in body must be of type date-time: "x", {UNCHECKED}]',
        ),
        (
            {"port": True},
            '[spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean", '
            f"{UNCHECKED}]",
        ),
        (None, 'spec: Invalid value: "null": spec in body must be of type object: "null"'),
    ],
)
async def test_its_objects_are_validated_in_the_real_servers_words(client: Client, spec: Any, words: str) -> None:
    await established(client)
    await client.make(WIDGETS, "a", spec={"size": "small"})
    answer = await client("PATCH", f"{WIDGETS}/a", {"spec": spec} if spec else {"spec": {"size": None}}, kind=MERGE)
    if spec is None:
        words = f"[spec.size: Required value, {UNCHECKED}]"
    assert (answer.code, answer.json["message"]) == (422, f'Widget.example.com "a" is invalid: {words}')


async def test_status_and_spec_are_written_apart(client: Client) -> None:
    await established(client)
    made = await client.make(WIDGETS, "a", spec={"size": "small"}, status={"phase": "no"})
    assert "status" not in made
    body = {"spec": {"size": "large"}, "status": {"phase": "Ready"}}
    answer = await client("PATCH", f"{WIDGETS}/a/status", body, kind=MERGE)
    assert (answer.json["spec"]["size"], answer.json["status"]) == ("small", {"phase": "Ready"})
    assert answer.json["metadata"]["generation"] == 1
    answer = await client("PATCH", f"{WIDGETS}/a", {"spec": {"replicas": 2}, "status": {"phase": "no"}}, kind=MERGE)
    assert (answer.json["status"], answer.json["metadata"]["generation"]) == ({"phase": "Ready"}, 2)


async def test_scale_follows_its_paths(client: Client) -> None:
    await established(client)
    await client.make(WIDGETS, "a", spec={"size": "small", "replicas": 2})
    answer = await client("PATCH", f"{WIDGETS}/a/scale", {"spec": {"replicas": 4}}, kind=MERGE)
    assert answer.json["spec"] == {"replicas": 4}
    assert (await client("GET", f"{WIDGETS}/a")).json["spec"]["replicas"] == 4


async def test_an_update_names_a_version(client: Client) -> None:
    await established(client)
    await client.make(WIDGETS, "a", spec={"size": "small"})
    answer = await client("PUT", f"{WIDGETS}/a", {"metadata": {"name": "a"}, "spec": {"size": "small"}})
    why = "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    words = f'widgets.example.com "a" is invalid: {why}'
    assert (answer.code, answer.json["message"]) == (422, words)


async def test_apply_of_an_unknown_field_is_refused(client: Client) -> None:
    await established(client)
    body = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "b"},
        "spec": {"size": "small", "foo": 1},
    }
    answer = await client("PATCH", f"{WIDGETS}/b?fieldManager=x", body, kind="application/apply-patch+yaml")
    assert answer.code == 500
    assert answer.json["message"].endswith(".spec.foo: field not declared in schema")


async def test_a_table_shows_the_printer_columns(client: Client) -> None:
    await established(client)
    await client.make(WIDGETS, "a", spec={"size": "small"})
    table = (await client("GET", WIDGETS, accept="application/json;as=Table;g=meta.k8s.io;v=v1")).json
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size"]
    assert table["rows"][0]["cells"] == ["a", "small"]


async def test_versions_differ_by_their_api_version_only(client: Client) -> None:
    definition = crd()
    definition["spec"]["versions"].append({**definition["spec"]["versions"][0], "name": "v2", "storage": False})
    await established(client, definition)
    await client.make(WIDGETS, "a", spec={"size": "small"})
    other = (await client("GET", "/apis/example.com/v2/namespaces/default/widgets/a")).json
    assert (other["apiVersion"], other["spec"]["size"]) == ("example.com/v2", "small")
    changed = await client(
        "PATCH", "/apis/example.com/v2/namespaces/default/widgets/a", {"spec": {"replicas": 3}}, kind=MERGE
    )
    assert changed.json["apiVersion"] == "example.com/v2"
    assert (await client("GET", f"{WIDGETS}/a")).json["apiVersion"] == "example.com/v1"


async def test_deleting_a_definition_removes_its_objects_and_its_discovery(client: Client) -> None:
    await established(client)
    await client.make(WIDGETS, "a", spec={"size": "small"})
    held = await client("DELETE", f"{CRDS}/widgets.example.com")
    assert held.json["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    for _ in range(20):
        await asyncio.sleep(0)
    assert (await client("GET", f"{CRDS}/widgets.example.com")).code == 404
    assert (await client("GET", "/apis/example.com/v1")).code == 404
    assert client.machine.store.count("widgets.example.com") == 0


async def test_deleting_a_definition_ends_its_watches(client: Client) -> None:
    await established(client)
    await client.make(WIDGETS, "a", spec={"size": "small"})
    watching = asyncio.get_running_loop().create_task(client("GET", f"{WIDGETS}?watch=true"))
    await asyncio.sleep(0.01)
    await client("DELETE", f"{CRDS}/widgets.example.com")
    answer = await asyncio.wait_for(watching, 5)
    assert [line["type"] for line in answer.lines] == ["ADDED", "DELETED"]


async def test_a_bad_definition_is_refused(client: Client) -> None:
    definition = crd(scope="Foo")
    definition["spec"]["versions"][0]["schema"] = {
        "openAPIV3Schema": {
            "type": "object",
            "properties": {
                "a": {},
                "b": {"type": "array"},
                "c": {"type": "string", "pattern": "("},
                "d": {"type": "object", "x-kubernetes-validations": [{"rule": "self.foo +"}]},
            },
        }
    }
    answer = await client("POST", CRDS, definition)
    fields = [cause["field"].rpartition(".")[2] for cause in answer.json["details"]["causes"]]
    assert (answer.code, fields) == (422, ["scope", "type", "items", "pattern", "rule"])


async def test_names_that_are_taken_are_not_accepted(client: Client) -> None:
    await established(client)
    second = crd(names={"plural": "gadgets", "kind": "Widget"})
    second["metadata"]["name"] = "gadgets.example.com"
    await client("POST", CRDS, second)
    for _ in range(20):
        await asyncio.sleep(0)
    status = (await client("GET", f"{CRDS}/gadgets.example.com")).json["status"]
    assert {each["type"]: each["status"] for each in status["conditions"]} == {
        "NamesAccepted": "False",
        "Established": "False",
    }
    assert (await client("GET", "/apis/example.com/v1/gadgets")).code == 404
