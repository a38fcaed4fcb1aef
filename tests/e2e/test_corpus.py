"""Kustomize folders as people have them, applied: online-boutique with each of its components to Healthy, and podinfo.

The corpus lies beside this repository (`../shared/corpus`) where it is there at all; else these are skipped.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from pathlib import Path

import pytest
import yaml

from e2e.team import Team
from real.metrics import Measured
from real.processes import Child

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
SHOP = "online-boutique/kustomize"
NOT_HERE = {"service-mesh-istio"}
"""It is made of kinds of Istio, which no cluster of the tests serves."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CORPUS.is_dir(), reason="there is no corpus beside the repository"),
]


def components() -> list[str]:
    return sorted({one.name for one in (CORPUS / SHOP / "components").glob("*")} - NOT_HERE)


def overlay(*chosen: str) -> str:
    named = {"resources": ["../base"], "components": [f"../components/{one}" for one in chosen]}
    return yaml.safe_dump(named)


def test_online_boutique_becomes_healthy_with_each_component_in_turn(team: Team) -> None:
    shutil.copytree(CORPUS / SHOP, team.work / "boutique")
    team.repository()
    team.application(path="boutique/own")
    team.until_synced(team.commit({"boutique/own/kustomization.yaml": overlay()}), seconds=90)
    assert team.get("apps/v1/deployments/loadgenerator") is not None
    assert len(components()) >= 12
    for one in components():
        team.until_synced(team.commit({"boutique/own/kustomization.yaml": overlay(one)}, f"With {one}"), seconds=90)
    assert components()[-1] == "without-loadgenerator"
    assert team.get("apps/v1/deployments/loadgenerator") is None


def test_podinfo_is_applied_and_available(team: Team) -> None:
    """Its autoscaler stays Progressing, and says why, where nothing measures Pods."""
    shutil.copytree(CORPUS / "podinfo", team.work / "podinfo")
    team.repository()
    team.application(path="podinfo/kustomize")
    team.until_synced(team.commit({}), health="Progressing", seconds=90)

    def available() -> bool:
        found = team.get("apps/v1/deployments/podinfo") or {}
        return bool((found.get("status") or {}).get("availableReplicas") == 2)

    team.until(available, "podinfo is available", 90)
    team.until(lambda: "HorizontalPodAutoscaler/podinfo" in team.ready().get("message", ""), "who holds it is told", 60)


@pytest.mark.parametrize("cluster", [pytest.param("real", marks=pytest.mark.real)], indirect=True)
def test_podinfo_with_its_autoscaler_becomes_healthy_where_pods_are_measured(team: Team) -> None:
    """The real autoscaler asks what a metrics server would tell, and scales to its minimum for that."""
    if team.cluster.plane is None:
        pytest.skip("a cluster of one's own measures its Pods itself, or does not")
    shutil.copytree(CORPUS / "podinfo", team.work / "podinfo")
    team.repository()
    team.application(path="podinfo/kustomize")
    with Measured(team.cluster):
        team.until_synced(team.commit({}), seconds=120)
        scaler = team.get("autoscaling/v2/horizontalpodautoscalers/podinfo") or {}
        active = next(one for one in scaler["status"]["conditions"] if one["type"] == "ScalingActive")
        assert (active["status"], active["reason"]) == ("True", "ValidMetricFound")
        assert scaler["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"] == 50
        assert (team.get("apps/v1/deployments/podinfo") or {})["status"]["availableReplicas"] == 2


def test_podinfo_with_its_autoscaler_becomes_healthy_by_windlass_up(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "windlass", "up", "--repo", str(CORPUS / "podinfo"), "--path", "kustomize"]
    up = Child("up", [*command, "--data", str(tmp_path / "data")], tmp_path / "up.log")
    try:
        end = time.monotonic() + 120
        while not re.search(r"kustomize   Synced [0-9a-f]{7}   Healthy", up.tail(200)):
            assert up.running(), up.tail()
            assert time.monotonic() < end, up.tail()
            time.sleep(0.1)
    finally:
        up.ask_to_end()
        up.wait(30)
