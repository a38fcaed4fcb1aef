"""Kustomizations that others wrote, as they wrote them: every component of Online Boutique, and podinfo. Each becomes
Healthy, one after the other in one namespace, so that each is also the upgrade of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.team import Team, apply

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CORPUS.exists(), reason="the corpus of real configuration is not beside the repository"),
]
COMPONENTS = (
    sorted(one.name for one in (CORPUS / "online-boutique/kustomize/components").iterdir()) if CORPUS.exists() else []
)
CUSTOM = {
    "networking.istio.io": ("v1alpha3", ["ServiceEntry", "VirtualService", "Gateway"]),
    "gateway.networking.k8s.io": ("v1beta1", ["Gateway", "HTTPRoute"]),
}


def texts(folder: Path, below: str) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (".yaml", ".yml", ".txt", ".sh", ".json", ".md"):
            yield f"{below}/{path.relative_to(folder)}", path.read_text()


def definition(group: str, version: str, kind: str) -> dict[str, Any]:
    """A CustomResourceDefinition that takes anything: no operator is here to do something with it."""
    plural = f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s"
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": free}},
            ],
        },
    }


def at_rest(team: Team, name: str, commit: str, seconds: float = 120) -> None:
    """Until the Application, as it is written now, is Synced and Healthy."""

    def look() -> bool:
        found = team.get(f"windlass.dev/v1alpha1/applications/{name}") or {}
        status = found.get("status") or {}
        return (
            status.get("observedGeneration") == found["metadata"]["generation"]
            and (status.get("commit"), status.get("sync"), status.get("health")) == (commit, "Synced", "Healthy")
            and not status.get("pending")
        )

    team.until(look, f"{name} is Synced and Healthy", seconds)


def test_online_boutique_with_each_component_becomes_healthy(team: Team) -> None:
    for group, (version, kinds) in CUSTOM.items():
        for kind in kinds:
            assert apply(team.cluster, definition(group, version, kind)).code in (200, 201)
    files: dict[str, str | None] = dict(texts(CORPUS / "online-boutique/kustomize", "kustomize"))
    for name in COMPONENTS:
        overlay = {"resources": ["../../kustomize"], "components": [f"../../kustomize/components/{name}"]}
        files[f"overlays/{name}/kustomization.yaml"] = yaml.safe_dump(overlay)
    team.repository()
    team.application("boutique", "kustomize")
    commit = team.commit(files)
    at_rest(team, "boutique", commit)
    for name in COMPONENTS:
        team.application("boutique", f"overlays/{name}")
        at_rest(team, "boutique", commit)
        items = team.cluster.request("GET", f"/apis/apps/v1/namespaces/{team.namespace}/deployments").json["items"]
        assert len(items) >= 10, name
        assert all(one["status"].get("availableReplicas", 0) >= 1 for one in items), name


def test_podinfo_becomes_healthy(team: Team) -> None:
    files: dict[str, str | None] = dict(texts(CORPUS / "podinfo/kustomize", "kustomize"))
    # Neither cluster has a metrics server, without which an autoscaler is not well.
    leave = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: podinfo}\n$patch: delete\n"
    files["prod/kustomization.yaml"] = yaml.safe_dump({"resources": ["../kustomize"], "patches": [{"patch": leave}]})
    team.repository()
    team.application("podinfo", "prod")
    commit = team.commit(files)
    at_rest(team, "podinfo", commit)
    web = team.get("apps/v1/deployments/podinfo")
    assert web is not None
    assert web["status"]["availableReplicas"] >= 1
