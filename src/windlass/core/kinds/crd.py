"""The CustomResourceDefinitions of the kinds, built from their structs. ``install`` and the devstack apply them."""

from __future__ import annotations

from typing import Any

from windlass.core.kinds import alerts, application, image_policy, installation, repository
from windlass.core.kinds.kind import GROUP, VERSION, Column, Kind
from windlass.core.kinds.shape import schema

KINDS: tuple[Kind, ...] = (
    installation.DEFINITION,
    repository.DEFINITION,
    application.DEFINITION,
    image_policy.DEFINITION,
    alerts.ALERT_DEFINITION,
    alerts.CHANNEL_DEFINITION,
)


def crds() -> list[dict[str, Any]]:
    """The CRDs as objects, in a stable order, ready to be applied."""
    return [crd(kind) for kind in KINDS]


def crd(kind: Kind) -> dict[str, Any]:
    """One CRD, apiextensions.k8s.io/v1."""
    spec = schema(kind.spec, f"What you want. {kind.text}")
    status = schema(kind.status, "What is so. Written by Windlass.")
    root: dict[str, Any] = {
        "type": "object",
        "description": kind.text,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }
    if kind.rules:
        root["x-kubernetes-validations"] = [{"rule": rule, "message": message} for rule, message in kind.rules]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": [kind.short],
                "categories": ["windlass"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": root},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in kind.columns],
                }
            ],
        },
    }


def _column(column: Column) -> dict[str, Any]:
    made: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.priority:
        made["priority"] = column.priority
    return made
