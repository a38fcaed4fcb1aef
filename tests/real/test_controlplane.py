"""The real control plane itself: Pods behave as their images ask, requests are counted, nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from real import programs
from real.cluster import Cluster
from real.controlplane import ControlPlane, missing

pytestmark = pytest.mark.real


def deployment(name: str, image: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    }


def job(name: str, image: str) -> dict[str, Any]:
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}},
    }


def test_a_pod_does_what_its_image_says(real: Cluster, kubectl: Path) -> None:
    """Ready, crashing, out of memory, not pulled, never ready, slow, Jobs done and failed: as a kubelet tells it."""
    del kubectl
    name = "images"
    real.kubectl("create", "namespace", name)
    images = {
        "good": "nginx:1",
        "pull": "a.example/pullfail:1",
        "crash": "busybox:crash",
        "oom": "oom",
        "never": "x/neverready",
        "slow": "slow:2",
    }
    objects = [deployment(each, image) for each, image in images.items()] + [job("done", "ok"), job("failed", "crash")]
    real.kubectl(
        "apply", "-n", name, "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    )
    real.kubectl("wait", "-n", name, "--for=condition=Complete", "job/done", "--timeout=20s")
    real.kubectl("wait", "-n", name, "--for=condition=Failed", "job/failed", "--timeout=20s")
    real.kubectl("rollout", "status", "-n", name, "deploy/good", "--timeout=20s")

    def statuses() -> dict[str, dict[str, Any]]:
        pods = real.kubectl_json("get", "pods", "-n", name, "-l", "app")["items"]
        return {
            pod["metadata"]["labels"]["app"]: pod["status"]["containerStatuses"][0]
            for pod in pods
            if "containerStatuses" in pod["status"]
        }

    def told() -> bool:
        now = statuses()
        return (
            now["pull"]["state"]["waiting"]["reason"] == "ImagePullBackOff"
            and now["oom"]["restartCount"] > 0
            and now["slow"]["ready"]
        )

    real.eventually(told, "every image's behaviour")
    now = statuses()
    assert now["pull"]["state"]["waiting"]["message"].startswith(
        'Back-off pulling image "a.example/pullfail:1": ErrImagePull: '
    )
    assert now["crash"]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert now["crash"]["lastState"]["terminated"]["exitCode"] == 1
    assert now["oom"]["lastState"]["terminated"] | {"startedAt": "", "finishedAt": ""} == {
        "exitCode": 137,
        "reason": "OOMKilled",
        "startedAt": "",
        "finishedAt": "",
    }
    assert now["never"]["state"]["running"]
    assert not now["never"]["ready"]
    events = {
        (e["involvedObject"]["name"].split("-")[0], e["reason"], e["message"])
        for e in real.kubectl_json("get", "events", "-n", name)["items"]
    }
    assert ("pull", "BackOff", 'Back-off pulling image "a.example/pullfail:1"') in events
    assert any(event[0] == "crash" and event[1] == "BackOff" for event in events)
    real.kubectl("delete", "namespace", name, "--wait=false")


def test_it_counts_requests_by_program_and_verb(real: Cluster) -> None:
    """Three requests of one program are three in the audit log."""
    if real.plane is None:
        pytest.skip("a cluster named by --cluster-kubeconfig: its audit log is not ours")
    since = real.plane.audit_position()
    for _ in range(3):
        assert real.request("GET", "/api/v1/namespaces/default", headers={"User-Agent": "counted/1.0"}).code == 200
    counts = real.eventually(lambda: real.plane.audit_counts(since), "the audit log's lines")
    assert counts["counted", "get"] == 3


def test_a_second_start_finds_the_state_again(tmp_path: Path) -> None:
    """What was stored is there after a stop and a start, and after a stop nothing of it runs."""
    if absent := missing(controllers=False):
        pytest.skip(f"real control plane: {', '.join(absent)} not built (`make real` does)")
    plane = ControlPlane(tmp_path, controllers=False)
    with plane:
        assert plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": "kept"}})[0] == 201
        assert set(plane.memory()) == {"etcd", "kube-apiserver"}
    with plane:
        assert plane.request("GET", "/api/v1/namespaces/kept")[0] == 200
    assert not running(tmp_path)


def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    """When the process that started it is killed, every program ends with it."""
    if absent := missing():
        pytest.skip(f"real control plane: {', '.join(absent)} not built (`make real` does)")
    script = Path(programs.__file__).with_name("controlplane.py")
    command = [sys.executable, str(script), "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert "ready after" in parent.stdout.readline()
        assert len(running(tmp_path)) >= 5
        parent.kill()
    end = time.monotonic() + 10
    while running(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)
    left = running(tmp_path)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def running(folder: Path) -> list[int]:
    """The processes whose command line names the folder (the parent's own not counted)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended meanwhile
            if str(folder).encode() in words and b"controlplane.py" not in words:
                found.append(int(entry.name))
    return found
