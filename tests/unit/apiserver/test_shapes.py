"""Discovery, OpenAPI, tables and metadata: what clients learn of the server and its objects."""

from __future__ import annotations

import pytest

from unit.apiserver.conftest import Client
from windlass.devstack.apiserver import cellwork, jsonpath

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
MAPS = "/api/v1/namespaces/default/configmaps"


async def test_both_forms_of_discovery_tell_the_same(client: Client) -> None:
    whole = (await client("GET", "/apis", accept=AGGREGATED)).json
    assert whole["kind"] == "APIGroupDiscoveryList"
    for group in whole["items"]:
        for version in group["versions"]:
            plain = (await client("GET", f"/apis/{group['metadata']['name']}/{version['version']}")).json
            names = {each["name"] for each in plain["resources"] if "/" not in each["name"]}
            assert {each["resource"] for each in version["resources"]} == names
    listed = [group["name"] for group in (await client("GET", "/apis")).json["groups"]]
    assert listed == [group["metadata"]["name"] for group in whole["items"]]


async def test_openapi_says_which_fields_merge_and_that_validation_is_done_here(client: Client) -> None:
    index = (await client("GET", "/openapi/v3")).json["paths"]
    path = index["apis/apps/v1"]["serverRelativeURL"]
    found = (await client("GET", path)).json
    patch = found["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "fieldValidation" in [each["name"] for each in patch["parameters"]]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    containers = found["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert (await client("GET", "/openapi/v2")).json["swagger"] == "2.0"
    packed = await client("GET", "/openapi/v2", accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    assert packed.body.startswith(b"\n\x032.0")


async def test_every_reference_of_openapi_leads_somewhere(client: Client) -> None:
    document = (await client("GET", "/openapi/v3/api/v1")).json
    schemas = document["components"]["schemas"]

    def walk(value: object) -> None:
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str):
                assert reference.removeprefix("#/components/schemas/") in schemas
            for child in value.values():
                walk(child)
        elif isinstance(value, list):
            for child in value:
                walk(child)

    walk(document)
    assert all(schemas.values())


async def test_metadata_alone_is_given_where_it_is_asked_for(client: Client) -> None:
    await client.make(MAPS, "a", data={"k": "secret"})
    one = await client("GET", f"{MAPS}/a", accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
    assert (one.json["kind"], "data" in one.json) == ("PartialObjectMetadata", False)
    several = await client("GET", MAPS, accept="application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
    assert (several.json["kind"], b"secret" in several.body) == ("PartialObjectMetadataList", False)


async def test_protobuf_alone_is_not_acceptable(client: Client) -> None:
    answer = await client("GET", MAPS, accept="application/vnd.kubernetes.protobuf")
    assert answer.code == 406
    assert (await client("GET", MAPS, accept="application/vnd.kubernetes.protobuf,application/json")).code == 200


async def test_every_builtin_resource_has_a_table(client: Client) -> None:
    for resource in client.machine.registry.stored():
        base = f"/apis/{resource.group}/{resource.version}" if resource.group else "/api/v1"
        table = (await client("GET", f"{base}/{resource.plural}", accept=TABLE)).json
        assert table["kind"] == "Table", resource.id
        for row in table["rows"] or []:
            assert len(row["cells"]) == len(table["columnDefinitions"]), resource.id


def test_items_of_builtin_lists_carry_no_kind() -> None:
    from windlass.devstack.apiserver import views
    from windlass.devstack.apiserver.registry import Registry
    from windlass.devstack.apiserver.request import Form
    from windlass.devstack.apiserver.store import Store

    resource = Registry().find("", "v1", "configmaps")
    assert resource is not None
    obj = views.ordered(resource, {"metadata": {"name": "a", "namespace": "b"}, "data": {}})
    item = Store().write("configmaps", "b", "a", obj)
    raw = views.list_of(resource, [item], {"resourceVersion": "1"}, Form())
    assert raw.startswith(
        b'{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"a"'
    )


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * 3600, "3h"),
        (8 * 3600 - 1, "7h59m"),
        (86400 * 3, "3d"),
        (86400 * 9, "9d"),
    ],
)
def test_ages_are_shown_as_kubectl_shows_them(seconds: int, shown: str) -> None:
    assert cellwork.duration(seconds) == shown


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".spec.a", [1]),
        (".spec['b.c']", [2]),
        (".spec.b\\.c", [2]),
        (".list[0].name", ["x"]),
        (".list[-1].name", ["y"]),
        (".list[*].name", ["x", "y"]),
        ('.list[?(@.name=="y")].on', [True]),
        (".none.at.all", []),
    ],
)
def test_a_json_path_finds_values(path: str, value: list[object]) -> None:
    obj = {"spec": {"a": 1, "b.c": 2}, "list": [{"name": "x"}, {"name": "y", "on": True}]}
    assert jsonpath.compile_path(path)(obj) == value


def test_a_json_path_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="can't be read"):
        jsonpath.compile_path(".a[?(@.b > 3)]")
