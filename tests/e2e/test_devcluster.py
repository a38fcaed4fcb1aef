"""What only the devcluster promises: neither a restart nor a kill loses what was acknowledged; a stop is quick."""

from __future__ import annotations

import time
from pathlib import Path

from e2e.test_apiserver_crud import config_map
from real.cluster import Cluster
from real.devcluster import running_devcluster

MAPS = "/api/v1/namespaces/default/configmaps"


def write(cluster: Cluster, count: int) -> dict[str, tuple[str, str]]:
    """Writes so many ConfigMaps; uid and resourceVersion of each by its name, as acknowledged."""
    made = {}
    for number in range(count):
        answer = cluster.request("POST", MAPS, config_map(f"m-{number}", {"n": str(number)}))
        assert answer.code == 201, answer.body
        metadata = answer.json["metadata"]
        made[metadata["name"]] = (metadata["uid"], metadata["resourceVersion"])
    return made


def read(cluster: Cluster) -> dict[str, tuple[str, str]]:
    """The same, read back."""
    items = cluster.request("GET", MAPS).json["items"]
    found = {each["metadata"]["name"]: each["metadata"] for each in items}
    return {name: (each["uid"], each["resourceVersion"]) for name, each in found.items() if name.startswith("m-")}


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    """After a stop and a start on the same folder every object is there, as it was, and versions go on."""
    with running_devcluster(tmp_path, data=tmp_path / "data") as cluster:
        made = write(cluster, 20)
        cluster.request("DELETE", f"{MAPS}/m-3")
        del made["m-3"]
    with running_devcluster(tmp_path, data=tmp_path / "data") as cluster:
        assert read(cluster) == made
        later = cluster.request("POST", MAPS, config_map("later")).json["metadata"]["resourceVersion"]
        assert int(later) > max(int(version) for _, version in made.values())


def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    """After SIGKILL everything that was acknowledged is there."""
    running = running_devcluster(tmp_path, data=tmp_path / "data")
    cluster = running.__enter__()
    made = write(cluster, 20)
    running.child.kill()
    cluster.close()
    with running_devcluster(tmp_path, data=tmp_path / "data") as again:
        assert read(again) == made


def test_it_stops_at_once(tmp_path: Path) -> None:
    """SIGTERM ends it in seconds with exit code 0, an open watch notwithstanding."""
    running = running_devcluster(tmp_path)
    cluster = running.__enter__()
    events = cluster.watch(
        MAPS, sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true"
    )
    assert next(events)["type"] in ("ADDED", "BOOKMARK")
    started = time.monotonic()
    running.child.ask_to_end()
    assert running.child.wait(10) == 0
    assert time.monotonic() - started < 5
    events.close()
    cluster.close()


def test_its_kubeconfig_is_for_its_owner(tmp_path: Path) -> None:
    """The file holds a token, so nobody else may read it."""
    with running_devcluster(tmp_path) as cluster:
        assert cluster.kubeconfig.stat().st_mode & 0o077 == 0
        assert cluster.server.startswith("https://127.0.0.1:")
        assert cluster.token
