"""The schema of CustomResourceDefinitions holds itself: it has to open layer by layer."""

from __future__ import annotations

from windlass.core.manifests.schemas import Schemas


def test_a_schema_that_holds_itself_opens_without_an_end() -> None:
    schema = Schemas.builtin().kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    assert schema is not None
    node = schema.properties["spec"].properties["versions"].items
    assert node is not None
    node = node.properties["schema"].properties["openAPIV3Schema"]
    for _ in range(50):
        inner = node.properties["properties"].additional
        assert inner is not None
        assert inner.properties["type"].type == "string"
        node = inner
