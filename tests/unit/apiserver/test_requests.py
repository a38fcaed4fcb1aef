"""Create, read, update, patch and delete, in the words of the real server."""

from __future__ import annotations

from typing import Any

import pytest

from unit.apiserver.conftest import Client

MAPS = "/api/v1/namespaces/default/configmaps"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "reason", "words"),
    [
        ("GET", f"{MAPS}/x", None, 404, "NotFound", 'configmaps "x" not found'),
        ("GET", "/apis/apps/v1/namespaces/a/deployments/x", None, 404, "NotFound", 'deployments.apps "x" not found'),
        ("GET", "/api/v1/foos", None, 404, "NotFound", "the server could not find the requested resource"),
        (
            "POST",
            "/api/v1/configmaps",
            {},
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
        ("PUT", MAPS, {}, 405, "MethodNotAllowed", "the server does not allow this method on the requested resource"),
        (
            "POST",
            MAPS,
            {},
            422,
            "Invalid",
            'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
        ),
        (
            "POST",
            MAPS,
            {"metadata": {"name": "a", "resourceVersion": "1"}},
            500,
            None,
            "resourceVersion should not be set on objects to be created",
        ),
        (
            "POST",
            MAPS,
            {"metadata": {"name": "a", "namespace": "c"}},
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            "POST",
            "/api/v1/namespaces/none/configmaps",
            {"metadata": {"name": "a"}},
            404,
            "NotFound",
            'namespaces "none" not found',
        ),
        (
            "POST",
            MAPS,
            {"kind": "Foo", "apiVersion": "v1", "metadata": {"name": "b"}},
            400,
            "BadRequest",
            'Foo in version "v1" cannot be handled as a ConfigMap: no kind "Foo" is registered for version "v1" in '
            'scheme "pkg/runtime/scheme.go:111"',
        ),
        (
            "POST",
            MAPS,
            {"metadata": {"name": "b"}, "data": {"a": 1}},
            400,
            "BadRequest",
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct '
            "field ConfigMap.data of type string",
        ),
        (
            "POST",
            "/apis/apps/v1/namespaces/default/deployments",
            {"metadata": {"name": "b"}, "spec": {"replicas": "1"}},
            400,
            "BadRequest",
            'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go '
            "struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "GET",
            f"{MAPS}?fieldSelector=foo%3Db",
            None,
            400,
            "BadRequest",
            '"foo" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("GET", "/api/v1/pods?fieldSelector=foo%3Db", None, 400, "BadRequest", "field label not supported: foo"),
        (
            "GET",
            f"{MAPS}?labelSelector=a%3D%3D%3Db",
            None,
            400,
            "BadRequest",
            "unable to parse requirement: found '=', expected: identifier",
        ),
        ("GET", f"{MAPS}?limit=a", None, 400, "BadRequest", 'strconv.ParseInt: parsing "a": invalid syntax'),
        (
            "PUT",
            f"{MAPS}/b",
            {"metadata": {"name": "c"}},
            400,
            "BadRequest",
            "the name of the object (c) does not match the name on the URL (b)",
        ),
        (
            "DELETE",
            "/api/v1/namespaces/kube-system",
            None,
            403,
            "Forbidden",
            'namespaces "kube-system" is forbidden: this namespace may not be deleted',
        ),
        (
            "POST",
            f"{MAPS}?dryRun=foo",
            {"metadata": {"name": "b"}},
            422,
            "Invalid",
            'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["foo"]: supported values: "All"',
        ),
    ],
)
async def test_a_refusal_has_the_real_servers_words(
    client: Client, method: str, path: str, body: Any, code: int, reason: str | None, words: str
) -> None:
    answer = await client(method, path, body)
    assert (answer.code, answer.json.get("reason"), answer.json["message"]) == (code, reason, words)
    assert answer.json["kind"] == "Status"
    assert answer.json["code"] == code


async def test_an_object_is_created_read_changed_and_deleted(client: Client) -> None:
    made = await client.make(MAPS, "a", data={"k": "v"})
    assert made["metadata"]["uid"]
    assert (await client("GET", f"{MAPS}/a")).json == made
    changed = await client("PUT", f"{MAPS}/a", {**made, "data": {"k": "w"}})
    assert changed.json["data"] == {"k": "w"}
    assert int(changed.json["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    stale = await client("PUT", f"{MAPS}/a", {**made, "data": {"k": "x"}})
    assert (stale.code, stale.json["reason"]) == (409, "Conflict")
    gone = await client("DELETE", f"{MAPS}/a")
    assert gone.json["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert (await client("GET", f"{MAPS}/a")).code == 404


async def test_an_equal_update_makes_no_new_version(client: Client) -> None:
    made = await client.make(MAPS, "a", data={"k": "v"})
    again = await client("PUT", f"{MAPS}/a", made)
    assert again.json["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_second_create_is_refused(client: Client) -> None:
    await client.make(MAPS, "a")
    again = await client("POST", MAPS, {"metadata": {"name": "a"}})
    assert (again.code, again.json["message"]) == (409, 'configmaps "a" already exists')


async def test_a_dry_run_changes_nothing(client: Client) -> None:
    before = client.machine.store.revision
    answer = await client("POST", f"{MAPS}?dryRun=All", {"metadata": {"name": "a"}})
    assert answer.code == 201
    assert "resourceVersion" not in answer.json["metadata"]
    assert client.machine.store.revision == before


async def test_a_name_is_generated(client: Client) -> None:
    answer = await client("POST", MAPS, {"metadata": {"generateName": "job-"}})
    assert answer.json["metadata"]["name"].startswith("job-")
    assert len(answer.json["metadata"]["name"]) == 9


async def test_unknown_and_double_fields_are_warned_of_or_refused(client: Client) -> None:
    body = b'{"metadata":{"name":"a"},"data":{"a":"1","a":"2"},"foo":1}'
    strict = await client("POST", f"{MAPS}?fieldValidation=Strict", body)
    words = 'strict decoding error: duplicate field "data.a", unknown field "foo"'
    assert strict.json["message"] == f'ConfigMap in version "v1" cannot be handled as a ConfigMap: {words}'
    warned = await client("POST", MAPS, body)
    assert warned.code == 201
    assert warned.warnings == [r'299 - "duplicate field \"data.a\""', r'299 - "unknown field \"foo\""']
    assert "foo" not in warned.json


async def test_pages_of_a_list_show_one_moment(client: Client) -> None:
    for name in "abcde":
        await client.make(MAPS, name)
    first = (await client("GET", f"{MAPS}?limit=2")).json
    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 3
    await client("DELETE", f"{MAPS}/d")
    await client.make(MAPS, "c2")
    token = first["metadata"]["continue"]
    rest = (await client("GET", f"{MAPS}?limit=5&continue={token}")).json
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c", "d", "e"]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_list_is_selected_by_labels_and_fields(client: Client) -> None:
    await client.make(MAPS, "a", metadata={"labels": {"app": "x"}})
    await client.make(MAPS, "b", metadata={"labels": {"app": "y"}})
    await client.make(MAPS, "c")

    async def names(query: str) -> list[str]:
        return [item["metadata"]["name"] for item in (await client("GET", f"{MAPS}?{query}")).json["items"]]

    assert await names("labelSelector=app%3Dx") == ["a"]
    assert await names("labelSelector=app%20in%20(x,y)") == ["a", "b"]
    assert await names("labelSelector=!app") == ["c"]
    assert await names("fieldSelector=metadata.name%3Db") == ["b"]
    assert await names("fieldSelector=metadata.name!%3Db") == ["a", "c"]


async def test_apply_creates_owns_and_meets_others(client: Client) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "1"}}
    made = await client("PATCH", f"{MAPS}/a?fieldManager=one", body, kind=APPLY)
    assert made.code == 201, made.body
    entry = made.json["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"], entry["fieldsV1"]) == ("one", "Apply", {"f:data": {"f:a": {}}})
    again = await client("PATCH", f"{MAPS}/a?fieldManager=one", body, kind=APPLY)
    assert again.json["metadata"]["resourceVersion"] == made.json["metadata"]["resourceVersion"]
    other = {**body, "data": {"a": "2"}}
    met = await client("PATCH", f"{MAPS}/a?fieldManager=two", other, kind=APPLY)
    assert (met.code, met.json["message"]) == (409, 'Apply failed with 1 conflict: conflict with "one": .data.a')
    forced = await client("PATCH", f"{MAPS}/a?fieldManager=two&force=true", other, kind=APPLY)
    assert forced.json["data"] == {"a": "2"}


async def test_apply_wants_a_manager_and_the_right_object(client: Client) -> None:
    nobody = await client("PATCH", f"{MAPS}/a", {"apiVersion": "v1", "kind": "ConfigMap"}, kind=APPLY)
    assert (
        nobody.json["message"]
        == 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    )
    await client.make(MAPS, "a")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "other"}}
    answer = await client("PATCH", f"{MAPS}/a?fieldManager=x", body, kind=APPLY)
    assert answer.code == 422
    assert (
        answer.json["message"] == 'ConfigMap "a" is invalid: metadata.uid: Invalid value: "other": field is immutable'
    )
    body["metadata"] = {"name": "none", "uid": "other"}
    absent = await client("PATCH", f"{MAPS}/none?fieldManager=x", body, kind=APPLY)
    words = "uid mismatch: the provided object specified uid other, and no existing object was found"
    assert (absent.code, absent.json["message"]) == (
        409,
        f'Operation cannot be fulfilled on configmaps "none": {words}',
    )
    body["metadata"] = {}
    unnamed = await client("PATCH", f"{MAPS}/none?fieldManager=x", body, kind=APPLY)
    assert (
        unnamed.json["message"]
        == "the name of the object (none based on URL) was undeterminable: name must be provided"
    )


async def test_merge_and_json_patches_change_an_object(client: Client) -> None:
    await client.make(MAPS, "a", data={"k": "v", "l": "w"})
    merged = await client("PATCH", f"{MAPS}/a", {"data": {"k": None, "m": "x"}}, kind=MERGE)
    assert merged.json["data"] == {"l": "w", "m": "x"}
    operations = [{"op": "replace", "path": "/data/l", "value": "z"}]
    patched = await client("PATCH", f"{MAPS}/a", operations, kind="application/json-patch+json")
    assert patched.json["data"]["l"] == "z"
    failed = await client(
        "PATCH", f"{MAPS}/a", [{"op": "test", "path": "/data/l", "value": "0"}], kind="application/json-patch+json"
    )
    assert failed.code == 422


async def test_a_finalizer_holds_an_object_until_it_is_taken_away(client: Client) -> None:
    await client.make(MAPS, "a", metadata={"finalizers": ["example.com/hold"]})
    held = await client("DELETE", f"{MAPS}/a")
    assert held.json["metadata"]["deletionTimestamp"]
    assert (await client("GET", f"{MAPS}/a")).code == 200
    await client("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}}, kind=MERGE)
    assert (await client("GET", f"{MAPS}/a")).code == 404


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
async def test_propagation_is_left_to_the_garbage_collector_as_a_finalizer(
    client: Client, policy: str, finalizer: str
) -> None:
    await client.make(MAPS, "a")
    held = await client("DELETE", f"{MAPS}/a?propagationPolicy={policy}")
    assert held.json["metadata"]["finalizers"] == [finalizer]


async def test_preconditions_guard_a_deletion(client: Client) -> None:
    made = await client.make(MAPS, "a")
    other = await client("DELETE", f"{MAPS}/a", {"preconditions": {"uid": "1"}})
    assert other.code == 409
    assert "the UID in the precondition (1) does not match" in other.json["message"]
    stale = await client("DELETE", f"{MAPS}/a", {"preconditions": {"resourceVersion": "1"}})
    assert stale.code == 409
    right = {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]}
    assert (await client("DELETE", f"{MAPS}/a", {"preconditions": right})).code == 200


async def test_deletecollection_takes_what_is_selected(client: Client) -> None:
    await client.make(MAPS, "a", metadata={"labels": {"app": "x"}})
    await client.make(MAPS, "b")
    answer = await client("DELETE", f"{MAPS}?labelSelector=app%3Dx")
    assert [item["metadata"]["name"] for item in answer.json["items"]] == ["a"]
    assert (await client("GET", f"{MAPS}/b")).code == 200


async def test_a_namespace_that_goes_takes_nothing_new(client: Client) -> None:
    await client.make("/api/v1/namespaces", "going")
    await client("DELETE", "/api/v1/namespaces/going")
    refused = await client("POST", "/api/v1/namespaces/going/configmaps", {"metadata": {"name": "a"}})
    assert refused.code == 403
    words = "unable to create new content in namespace going because it is being terminated"
    assert refused.json["message"] == f'configmaps "a" is forbidden: {words}'
    assert refused.json["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    body = (await client("GET", "/api/v1/namespaces/going")).json
    body["spec"]["finalizers"] = []
    await client("PUT", "/api/v1/namespaces/going/finalize", body)
    assert (await client("GET", "/api/v1/namespaces/going")).code == 404


async def test_scale_is_read_and_written(client: Client) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": {}}
    await client.make(path, "web", spec=spec)
    scale = (await client("GET", f"{path}/web/scale")).json
    assert (scale["spec"]["replicas"], scale["status"]["selector"]) == (2, "a=b")
    answer = await client("PATCH", f"{path}/web/scale", {"spec": {"replicas": 5}}, kind=MERGE)
    assert answer.json["spec"]["replicas"] == 5
    live = (await client("GET", f"{path}/web")).json
    assert live["spec"]["replicas"] == 5
    entry = next(each for each in live["metadata"]["managedFields"] if each.get("subresource") == "scale")
    assert "time" not in entry


async def test_yaml_is_taken_and_given(client: Client) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yy}\ndata: {a: 'on'}\n"
    made = await client("POST", MAPS, body, kind="application/yaml", accept="application/yaml")
    assert made.code == 201, made.body
    assert b'a: "on"' in made.body


async def test_a_body_that_is_too_large_is_refused(client: Client) -> None:
    answer = await client("POST", MAPS, b'"' + b"x" * (3 * 1024 * 1024) + b'"')
    assert answer.code == 413
