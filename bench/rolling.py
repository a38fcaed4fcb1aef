"""How long it takes from the command `windlass rollback` to the old state Healthy, and forward again.

The command is a process of its own, as a person starts it: its start is in the figure.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time

import yaml

from bench.figures import Result
from bench.world import Options, started_cluster
from e2e.team import Installed, Team, config_map, deployment

ROUNDS = 7


async def rollback(options: Options) -> Result:
    """A shop of a Deployment and nine ConfigMaps, whose own file is in Git."""
    result = Result("rollback", options.cluster, 1)
    async with started_cluster(options, "rollback") as cluster:
        folder = options.folder / "rollback-team"
        folder.mkdir()
        cluster.request(
            "POST",
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench-rollback"}},
        )
        await asyncio.to_thread(_measure, result, Installed(cluster, folder))
    return result


def _measure(result: Result, installed: Installed) -> None:
    try:
        installed.start()
        team = Team(installed, "bench-rollback", installed.folder)
        team.repository()
        team.application("root", "clusters")
        application = {
            "apiVersion": "windlass.dev/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "shop"},
            "spec": {"source": {"repository": "config", "path": "shop"}},
        }
        files: dict[str, str | None] = {f"shop/{n}.yaml": config_map(f"c{n}", level="1") for n in range(9)}
        files |= {"clusters/shop.yaml": yaml.safe_dump(application), "shop/web.yaml": deployment("web", replicas=1)}
        team.until_synced(team.commit(files))
        team.until_synced(team.commit({"shop/web.yaml": deployment("web", "registry.example/shop:2", replicas=1)}))
        whole: dict[str, list[float]] = {"rollback": [], "forward": []}
        for _ in range(ROUNDS):
            for verb in whole:
                began = time.monotonic()
                done = _windlass(team, verb)
                whole[verb].append(time.monotonic() - began)
                assert done["reached"], done
        for verb, times in whole.items():
            result.add(f"{verb}: command to Healthy, median", statistics.median(times), "s", note=f"of {ROUNDS}")
            result.add(f"{verb}: the slowest", max(times), "s")
    finally:
        installed.close()


def _windlass(team: Team, verb: str) -> dict[str, object]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "WINDLASS_"))}
    home = team.windlass.folder / "home"
    home.mkdir(exist_ok=True)
    (home / ".gitconfig").write_text("[user]\n\tname = bench\n\temail = bench@acme.example\n")
    environment = kept | {"HOME": str(home), "KUBECONFIG": str(team.cluster.kubeconfig)}
    command = [sys.executable, "-m", "windlass", verb, f"{team.namespace}/shop", "--reason", "bench", "-o", "json"]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found
