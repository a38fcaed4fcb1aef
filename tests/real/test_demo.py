"""`windlass demo` on a real control plane of its own: the same story, and nothing of it is left."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from real.cluster import Cluster
from real.controlplane import ControlPlane, missing

pytestmark = [pytest.mark.real, pytest.mark.slow]

OURS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def demo(plane: ControlPlane, home: Path) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "XDG_", "WINDLASS_"))}
    command = [sys.executable, "-m", "windlass", "demo", "--kubeconfig", str(plane.kubeconfig), "--context", "real"]
    return subprocess.run(
        command, env=kept | {"HOME": str(home)}, cwd=home, capture_output=True, text=True, timeout=600
    )


def test_the_whole_story_comes_true_on_a_real_control_plane(tmp_path: Path) -> None:
    if absent := missing():
        pytest.skip(f"real control plane: {', '.join(absent)} not built (`make real` does)")
    with ControlPlane(tmp_path / "plane") as plane:
        cluster = Cluster(plane.kubeconfig, "real", plane)
        told = demo(plane, tmp_path)
        assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"
        assert "12 steps, " in told.stdout
        counted = re.findall(r"(\d+) deployments, ", told.stdout)
        assert len(counted) == 2, told.stdout
        assert counted[0] == counted[1], "its last line tells what the record does"
        assert "in namespace windlass-demo of your cluster" in told.stdout
        names = [one["metadata"]["name"] for one in cluster.request("GET", OURS).json["items"]]
        assert not [name for name in names if "windlass" in name]
        for name in ("windlass-demo", "windlass-system"):
            path = f"/api/v1/namespaces/{name}"
            cluster.eventually(lambda path=path: cluster.request("GET", path).code == 404, f"{name} is gone", 60)  # type: ignore[misc]
        # Somebody's own is not touched, nor played in.
        assert cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": "windlass-system"}}).code == 201
        told = demo(plane, tmp_path)
        assert told.returncode == 1
        assert "this cluster has the Namespace windlass-system already" in told.stderr
        assert cluster.request("GET", "/api/v1/namespaces/windlass-demo").code == 404
        cluster.close()
