"""Schemas of built-in and custom kinds, the resource table, and what a typed server makes of a body."""

from __future__ import annotations

import pytest

from windlass.core.manifests import resources
from windlass.core.manifests.schemas import DEDUCED, Schema, Schemas, schema_from_crd
from windlass.core.manifests.typed import empty, typed, unknown_fields


def kind(api_version: str, name: str) -> Schema:
    found = Schemas.builtin().kind(api_version, name)
    assert found is not None
    return found


def at(schema: Schema, path: str) -> Schema:
    for part in path.split("."):
        below = schema.items if part == "[]" else schema.field(part)
        assert below is not None, part
        schema = below
    return schema


DEPLOYMENT = kind("apps/v1", "Deployment")
POD = "spec.template.spec"


def test_lists_know_their_keys_and_the_keys_their_defaults() -> None:
    containers = at(DEPLOYMENT, f"{POD}.containers")
    assert (containers.list_type, containers.list_keys) == ("map", ("name",))
    ports = at(containers, "[].ports")
    assert ports.list_keys == ("containerPort", "protocol")
    assert at(ports, "[].protocol").default == "TCP"
    assert at(kind("v1", "Service"), "spec.ports").list_keys == ("port", "protocol")


def test_older_lists_merge_by_their_patch_strategy() -> None:
    assert at(DEPLOYMENT, "metadata.finalizers").list_type == "set"
    assert at(DEPLOYMENT, "metadata.ownerReferences").list_keys == ("uid",)
    assert at(DEPLOYMENT, f"{POD}.tolerations").list_type == "atomic"


def test_selectors_and_references_are_one_field() -> None:
    assert DEPLOYMENT.field("spec") is not None
    assert at(DEPLOYMENT, "spec.selector").atomic_map
    assert at(DEPLOYMENT, f"{POD}.containers.[].env.[].valueFrom.secretKeyRef").atomic_map
    assert at(DEPLOYMENT, f"{POD}.nodeSelector").atomic_map


def test_a_kind_that_refers_to_itself_costs_nothing() -> None:
    crd = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    node = at(crd, "spec.versions.[].schema.openAPIV3Schema")
    for _ in range(50):
        node = at(node, "properties.x")
    assert node.struct


def test_unknown_kinds_have_no_schema_and_unknown_fields_no_place() -> None:
    assert Schemas.builtin().kind("apps/v1", "Nothing") is None
    assert DEPLOYMENT.field("nothing") is None
    assert DEDUCED.field("anything") is DEDUCED
    with pytest.raises(KeyError):
        Schemas.builtin().definition("api.core.v1.Nothing")


def test_every_served_resource_has_a_schema_and_a_name_of_its_own() -> None:
    for resource in resources.builtin():
        assert Schemas.builtin().kind(resource.api_version, resource.kind), resource
        assert resource.plural == resource.plural.lower()
    plurals = [(each.group, each.version, each.plural) for each in resources.builtin()]
    assert len(plurals) == len(set(plurals)) > 60


def test_the_table_tells_scope_and_subresources() -> None:
    deployment = resources.find("apps/v1", "Deployment")
    assert deployment is not None
    assert deployment.namespaced
    assert deployment.short_names == ("deploy",)
    scale = deployment.subresource("scale")
    assert scale is not None
    assert (scale.api_version, scale.kind) == ("autoscaling/v1", "Scale")
    namespace = resources.find("v1", "Namespace")
    assert namespace is not None
    assert not namespace.namespaced
    assert "deletecollection" not in namespace.verbs


def test_a_custom_kind_gets_metadata_and_keeps_what_it_says() -> None:
    schema = schema_from_crd(
        {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {
                        "port": {"x-kubernetes-int-or-string": True},
                        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        "pod": {"type": "object", "x-kubernetes-embedded-resource": True},
                        "inner": {"type": "object", "properties": {"a": {"type": "string"}}},
                    },
                }
            },
        }
    )
    assert at(schema, "metadata.labels").additional is not None
    assert at(schema, "spec.port").int_or_string
    assert at(schema, "spec.free.any.thing") is DEDUCED
    assert at(schema, "spec.pod.metadata.name").type == "string"
    assert at(schema, "spec.inner").field("b") is None


def test_a_typed_server_leaves_out_empty_fields_and_writes_records() -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a", "labels": {}, "annotations": None, "nonsense": 1},
        "spec": {"ports": [{"port": 80, "name": ""}], "selector": None, "clusterIP": ""},
    }
    assert typed(body, kind("v1", "Service")) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"ports": [{"port": 80, "targetPort": 0}]},
        "status": {"loadBalancer": {}},
    }


def test_what_a_pointer_holds_is_kept_though_it_is_zero() -> None:
    body = {
        "spec": {"replicas": 0, "paused": False, "template": {"spec": {"securityContext": {}, "hostNetwork": False}}}
    }
    made = typed(body, DEPLOYMENT)["spec"]
    assert made["replicas"] == 0
    assert "paused" not in made
    assert made["template"]["spec"] == {"securityContext": {}, "containers": None}


def test_an_empty_object_has_the_records_of_its_kind() -> None:
    assert empty(DEPLOYMENT)["spec"] == {
        "selector": None,
        "strategy": {},
        "template": {"metadata": {}, "spec": {"containers": None}},
    }
    assert empty(schema_from_crd({"type": "object"})) == {}


def test_unknown_fields_are_named_as_strict_decoding_names_them() -> None:
    body = {"spec": {"foo": 1, "template": {"spec": {"containers": [{"name": "a", "imge": "b"}]}}}, "status": {}}
    assert unknown_fields(body, DEPLOYMENT) == ["spec.foo", "spec.template.spec.containers[0].imge"]


def test_an_empty_list_of_entries_asks_for_a_reset_and_is_kept() -> None:
    body = {"metadata": {"name": "a", "managedFields": [], "finalizers": []}}
    assert typed(body, kind("v1", "ConfigMap"))["metadata"] == {"name": "a", "managedFields": [{}]}
