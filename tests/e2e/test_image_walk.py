"""The whole walk on the real control plane with real clients: crane pushes, cosign signs, the registry tells by its own
hook (the devstack's registry, and Debian's docker-registry); what is broken is rolled back and not taken again."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.team import HOOK, Team, deployment, git
from e2e.test_cli import Person
from e2e.test_flow_images import POLICY, WEB, pull, state, web
from e2e.test_flow_images import person as person
from e2e.test_flow_ledger import Book
from e2e.test_flow_ledger import book as book
from real.processes import Child, free_ports
from real.programs import find

pytestmark = [pytest.mark.real, pytest.mark.parametrize("cluster", ["real"], indirect=True)]
PATIENCE = 120


class Clients:
    """crane and cosign, with a key of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("crane", "cosign"):
            if find(name) is None:
                pytest.skip(f"{name} is not there: `make real` builds it")
        self("cosign", "generate-key-pair")
        self.public = (folder / "cosign.pub").read_text()

    def __call__(self, program: str, *arguments: str) -> str:
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "DOCKER_CONFIG": str(self.folder)}
        done = subprocess.run(
            [str(find(program)), *arguments],
            cwd=self.folder,
            env=kept | {"COSIGN_PASSWORD": ""},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stderr}"
        return done.stdout.strip()

    def push(self, image: str, tag: str) -> str:
        """An image with a file in it and the commit of its code; signed. Its digest."""
        (self.folder / "hello").write_text(tag)
        subprocess.run(["tar", "-cf", "layer.tar", "hello"], cwd=self.folder, check=True)
        self("crane", "append", "--insecure", "-f", "layer.tar", "-t", f"{image}:build")
        label = "org.opencontainers.image.revision=9c1f0e2"
        self("crane", "mutate", "--insecure", f"{image}:build", "--label", label, "-t", f"{image}:{tag}")
        digest = self("crane", "digest", "--insecure", f"{image}:{tag}")
        signing = ["sign", "--key", "cosign.key", "--yes", "--allow-http-registry", "--tlog-upload=false"]
        signing += ["--use-signing-config=false", "--new-bundle-format=false"]
        self("cosign", *signing, f"{image}@{digest}")
        return digest


def debians(folder: Path, hook: str) -> tuple[Child, str]:
    """Debian's registry on a port of its own, which tells ``hook`` of pushes; and its address."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed (tests/real/debian)")
    endpoint = {
        "name": "windlass",
        "url": hook,
        "headers": {"Authorization": [f"Bearer {HOOK.decode()}"]},
        "timeout": "5s",
        "threshold": 5,
        "backoff": "1s",
    }
    (port,) = free_ports(1)
    content: dict[str, Any] = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "log": {"level": "error"},
        "notifications": {"endpoints": [endpoint]},
    }
    (folder / "registry.yml").write_text(yaml.safe_dump(content))
    child = Child("registry", [program, "serve", str(folder / "registry.yml")], folder / f"registry-{port}.log")
    return child, f"127.0.0.1:{port}"


def devstacks(folder: Path, hook: str) -> Child:
    """The devstack's registry, as a process."""
    (folder / "token").write_bytes(HOOK)
    told = folder / "addresses.json"
    command = [sys.executable, "-m", "windlass.devstack.serve", "--no-cluster", "--addresses", str(told)]
    command += ["--registry-root", str(folder / "storage"), "--registry-notify", hook]
    return Child("registry", [*command, "--registry-notify-token-file", str(folder / "token")], folder / "registry.log")


@pytest.fixture(params=["devstack", "docker-registry"])
def host(request: pytest.FixtureRequest, team: Team, tmp_path: Path) -> Iterator[str]:
    """host:port of a registry that tells the policy ``shop`` of each push."""
    folder = tmp_path / "registry"
    folder.mkdir()
    hook = f"http://127.0.0.1:{team.windlass.port}/hooks/registry/{team.namespace}/shop"
    child, address = (devstacks(folder, hook), "") if request.param == "devstack" else debians(folder, hook)
    try:
        if not address:
            team.cluster.eventually((folder / "addresses.json").exists, "the registry is up", 60)
            address = json.loads((folder / "addresses.json").read_text())["registry"].removeprefix("http://")

        def answers() -> bool:
            assert child.running(), child.tail()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0

        team.cluster.eventually(answers, "the registry answers", 60)
        yield address
    finally:
        child.ask_to_end()
        child.wait(10)


def test_a_real_image_is_taken_deployed_and_a_broken_one_is_rolled_back_and_not_taken_again(
    team: Team, host: str, person: Person, book: Book, tmp_path: Path
) -> None:
    folder = tmp_path / "clients"
    folder.mkdir()
    clients, image = Clients(folder), f"{host}/acme/shop"
    first = clients.push(image, "main-1")
    team.put("v1", "Secret", "write", stringData={"username": "git", "password": "any"})
    team.put("v1", "Secret", "cosign-pub", stringData={"cosign.pub": clients.public})
    team.repository(write={"secret": "write", "paths": ["apps", "clusters"]})
    team.application("root", "clusters")
    policy = {
        "image": image,
        "insecure": True,
        "select": {"numeric": {"pattern": "^main-(?P<n>[0-9]+)"}},
        "pin": "tag+digest",
        "interval": "10m",
        "hook": {"secret": "hook"},
        "verify": {"cosign": {"key": {"secret": "cosign-pub"}}},
        "update": {"repository": "config", "paths": ["apps"]},
    }
    own = {"source": {"repository": "config", "path": "apps/shop"}, "health": {"timeout": "3s"}}
    kind = {"apiVersion": "windlass.dev/v1alpha1", "metadata": {"name": "shop"}}
    files = {
        WEB: deployment("web", f"{image}:main-1@{first}"),
        POLICY: yaml.safe_dump({**kind, "kind": "ImagePolicy", "spec": policy}),
        "clusters/shop.yaml": yaml.safe_dump({**kind, "kind": "Application", "spec": own}),
    }
    team.until_synced(team.commit(files, "Shop main-1"), seconds=PATIENCE)
    team.until(lambda: state(team).get("tag") == "main-1", "the policy has looked", PATIENCE)
    # Taken when its signature is there, by the registry's own word.
    good = clients.push(image, "main-2")
    team.until(lambda: f"{image}:main-2@{good}" in web(team), "it is committed, by its digest", PATIENCE)
    taken = team.head()
    team.until_synced(taken, seconds=PATIENCE)
    live = team.get("apps/v1/deployments/web") or {}
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == f"{image}:main-2@{good}"
    # A broken one.
    clients.push(image, "main-3-crash")
    team.until(lambda: "main-3-crash" in web(team), "it is taken too", PATIENCE)
    broken = team.head()
    team.until(lambda: team.status().get("health") == "Degraded", "it does not run", PATIENCE)
    done = person("rollback", f"{team.namespace}/shop", "--reason", "crash loop", "--timeout", "50s")
    assert done.code == 0, done
    assert f"  holds main-3-crash of ImagePolicy {team.namespace}/shop\n" in done.out
    team.until_synced(taken, seconds=PATIENCE)
    # And then it is not taken again, whoever asks: the next one is.
    assert person("image", "update", "shop", "-n", team.namespace).code == 0
    next_one = clients.push(image, "main-4")
    team.until(lambda: f"main-4@{next_one}" in web(team), "the next one is taken", PATIENCE)
    done = person("forward", f"{team.namespace}/shop", "--timeout", "50s")
    assert done.code == 0, done
    pull(team)
    team.until_synced(team.head(), seconds=PATIENCE)
    took = [line for line in git(team.work, "log", "--format=%s").stdout.splitlines() if line.startswith("Take ")]
    assert [line.split()[2] for line in took] == ["main-4", "main-3-crash", "main-2"]
    checked = person("image", "check", f"{team.namespace}/shop", "--all").out
    assert "main-3-crash   held: rolled back: crash loop, " in checked
    # All of it can be told.
    ledger = ("--ledger", f"{team.windlass.git.url}/ledger.git", "--cluster", team.cluster.name)

    def traces() -> dict[str, Any]:
        done = person("log", "shop", "--trace", "-n", team.namespace, *ledger, "-o", "json")
        return {one["tag"]: one for one in json.loads(done.out)} if done.code == 0 else {}

    def told() -> bool:
        found = traces()
        return {"main-2", "main-3-crash", "main-4"} <= set(found) and found["main-4"]["seconds"] is not None

    team.until(told, "the ledger tells of all three", PATIENCE)
    found = traces()
    assert [found[tag]["by"] for tag in ("main-2", "main-3-crash", "main-4")] == ["push hook"] * 3
    assert all(found[tag]["verified"] and found[tag]["revision"] == "9c1f0e2" for tag in found)
    (bad,) = found["main-3-crash"]["applications"]
    assert (bad["commit"], bool(bad["degraded"]), bool(bad["rolledBack"])) == (broken, True, True)
