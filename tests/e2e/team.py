"""A controller on a cluster and a team that uses it: a repository, a namespace, an account with the rights of one team.

The controller runs as people run it: a process of its own, with just the account that `windlass install --export` makes
(a token of that service account in its kubeconfig), against whichever cluster the test was given. The repository is
served by a real `git http-backend`, and pushed to by the real `git` program.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from real.cluster import APPLY, MERGE, Cluster
from real.processes import Child
from windlass.devstack.gitserver import GitServer

NAMESPACE = "windlass-system"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/windlass-controller"
HOOK = b"hook-secret-of-the-tests"
API = "/apis/windlass.dev/v1alpha1"
GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "ada",
    "GIT_AUTHOR_EMAIL": "ada@acme.example",
    "GIT_COMMITTER_NAME": "ada",
    "GIT_COMMITTER_EMAIL": "ada@acme.example",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def manifests(*options: str) -> list[dict[str, Any]]:
    """What `windlass install` prints, read back."""
    done = subprocess.run(
        [sys.executable, "-m", "windlass", "install", *options], capture_output=True, text=True, check=True
    )
    return [one for one in yaml.safe_load_all(done.stdout) if one]


class Installed:
    """Windlass in a cluster: its CRDs, its account, and a controller process under that account."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.port = free_port()
        self.kubeconfig = folder / "controller.kubeconfig"
        self.log = folder / "controller.log"
        self.child: Child | None = None
        self.options: tuple[str, ...] = ()
        self._install()
        self.git = GitHost(folder / "git")

    def _install(self) -> None:
        left_out = {"Deployment", "Service", "NetworkPolicy"}
        for one in manifests("--export", "--cluster", self.cluster.name):
            if one["kind"] not in left_out:
                self.cluster.eventually(partial(self._applied, one), f"{one['kind']} {one['metadata']['name']}")
        token = self.cluster.request(
            "POST",
            f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/windlass/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}},
        ).json["status"]["token"]
        config = yaml.safe_load(self.cluster.kubeconfig.read_text())
        for user in config["users"]:
            user["user"] = {"token": token}
        self.kubeconfig.write_text(yaml.safe_dump(config))
        self.kubeconfig.chmod(0o600)

    def _applied(self, content: dict[str, Any]) -> bool:
        return apply(self.cluster, content).code in (200, 201)

    def start(self, *options: str) -> None:
        """``options`` hold for later starts too, where those name none."""
        self.options = options or self.options
        command = [sys.executable, "-m", "windlass", "controller", "--kubeconfig", str(self.kubeconfig)]
        command += ["--data", str(self.folder / "data"), "--port", str(self.port), *self.options]
        self.child = Child("controller", command, self.log)
        self.cluster.eventually(self.ready, "the controller is ready", 30)

    def ready(self) -> bool:
        assert self.child is not None
        assert self.child.running(), self.child.tail()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        if self.child is not None:
            self.child.ask_to_end()
            self.child.wait(15)
            self.child = None

    def kill(self, *, free: bool = True) -> None:
        """Ends it at once. Its Lease is taken away, unless how long the next one waits for it is what a test is about:
        that is 15 s each."""
        if self.child is not None:
            self.child.kill()
            self.child = None
        if free:
            self.free_lease()

    def free_lease(self) -> None:
        self.cluster.request("DELETE", LEASE)

    def close(self) -> None:
        self.stop()
        self.git.close()

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def decisions(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The controller's log lines of one kind of event."""
        found = []
        for line in self.log.read_text().splitlines():
            if line.startswith("{"):
                try:
                    told = json.loads(line)
                except ValueError:
                    continue  # something else, a traceback say, has written into the same file
                if told.get("event") == event and all(told.get(key) == value for key, value in fields.items()):
                    found.append(told)
        return found


class GitHost:
    """Bare repositories behind a real `git http-backend`, over HTTP on a port of its own, in a thread of its own."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        started = threading.Event()

        async def serve() -> None:
            async with GitServer(str(root)).serve() as url:
                self.url = url
                started.set()
                await self._ended.wait()

        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(serve(),), daemon=True)
        self._thread.start()
        assert started.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)
        self._loop.close()


def apply(cluster: Cluster, content: dict[str, Any], manager: str = "tests") -> Any:
    """One server-side apply as the administrator."""
    api = content["apiVersion"]
    base = f"/apis/{api}" if "/" in api else f"/api/{api}"
    metadata = content["metadata"]
    if metadata.get("namespace"):
        base += f"/namespaces/{metadata['namespace']}"
    kind = content["kind"].lower()
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    path = f"{base}/{plural}/{metadata['name']}"
    return cluster.request(
        "PATCH", path, json.dumps(content).encode(), content_type=APPLY, fieldManager=manager, force="true"
    )


def git(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | GIT
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"git {arguments}: {done.stderr}"
    return done


class Team:
    """One namespace, one repository, one account; what a test does as its people."""

    def __init__(self, installed: Installed, namespace: str, folder: Path) -> None:
        self.windlass = installed
        self.cluster = installed.cluster
        self.namespace = namespace
        self.bare = installed.git.root / f"{namespace}.git"
        self.work = folder / "work"
        self.work.mkdir()
        git(installed.git.root, "init", "-q", "--bare", "-b", "main", str(self.bare))
        git(self.bare, "config", "http.receivepack", "true")
        git(self.work, "init", "-q", "-b", "main")
        git(self.work, "remote", "add", "origin", f"{installed.git.url}/{namespace}.git")
        self.account("windlass-applier")
        self.put("v1", "Secret", "hook", stringData={"token": HOOK.decode()})

    def account(self, name: str, role: str = "cluster-admin") -> None:
        """A service account with the rights of a cluster role in the team's namespace only."""
        self.put("v1", "ServiceAccount", name)
        self.put(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            name,
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            subjects=[{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}],
        )

    def put(self, api_version: str, kind: str, name: str, **content: Any) -> Any:
        metadata = {"name": name, "namespace": self.namespace}
        made = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}
        answer = apply(self.cluster, made)
        assert answer.code in (200, 201), answer.body
        return answer.json

    def repository(self, name: str = "config", **spec: Any) -> None:
        spec = {
            "url": f"{self.windlass.git.url}/{self.namespace}.git",
            "ref": {"branch": "main"},
            "interval": "10m",
            "hook": {"secret": "hook"},
            **spec,
        }
        self.put("windlass.dev/v1alpha1", "Repository", name, spec=spec)

    def application(self, name: str = "shop", path: str = "shop", **spec: Any) -> None:
        spec = {"source": {"repository": "config", "path": path}, **spec}
        self.put("windlass.dev/v1alpha1", "Application", name, spec=spec)

    def commit(self, files: Mapping[str, str | None], message: str = "Change", *, told: bool = True) -> str:
        """Writes (None: deletes) files, commits, pushes, and tells the controller (`told`). Returns the commit."""
        for name, text in files.items():
            path = self.work / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", message)
        git(self.work, "push", "-q", "origin", "HEAD:main")
        if told:
            self.hook()
        return self.head()

    def head(self) -> str:
        return git(self.work, "rev-parse", "HEAD").stdout.strip()

    def hook(self, secret: bytes = HOOK) -> int:
        body = json.dumps({"ref": "refs/heads/main"}).encode()
        signature = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.windlass.port}/hooks/git/{self.namespace}/config",
            data=body,
            headers={"X-Hub-Signature-256": signature, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0  # nobody is there: a test has killed it, maybe at this moment

    def get(self, path: str) -> dict[str, Any] | None:
        """``apps/v1/deployments/web`` of the team's namespace, None where it is not."""
        api, plural, name = path.rsplit("/", 2)
        base = f"/apis/{api}" if "/" in api else f"/api/{api}"
        answer = self.cluster.request("GET", f"{base}/namespaces/{self.namespace}/{plural}/{name}")
        return answer.json if answer.code == 200 else None

    def patch(self, path: str, patch: Any, *, form: str = MERGE, manager: str = "somebody") -> Any:
        api, plural, name = path.rsplit("/", 2)
        base = f"/apis/{api}" if "/" in api else f"/api/{api}"
        answer = self.cluster.request(
            "PATCH",
            f"{base}/namespaces/{self.namespace}/{plural}/{name}",
            patch,
            content_type=form,
            fieldManager=manager,
        )
        assert answer.code == 200, answer.body
        return answer.json

    def status(self, name: str = "shop") -> dict[str, Any]:
        found = self.get(f"windlass.dev/v1alpha1/applications/{name}")
        return (found or {}).get("status") or {}

    def ready(self, name: str = "shop") -> dict[str, Any]:
        conditions = self.status(name).get("conditions", [])
        return next((one for one in conditions if one["type"] == "Ready"), {})

    def until(self, look: Any, what: str, seconds: float = 20) -> Any:
        try:
            return self.cluster.eventually(look, what, seconds)
        except AssertionError as error:
            child = self.windlass.child
            raise AssertionError(
                f"{error}\nstatus: {json.dumps(self.status(), indent=1)}\nlog: {child.tail() if child else ''}"
            ) from None

    def until_synced(self, commit: str, name: str = "shop", health: str = "Healthy", seconds: float = 20) -> None:
        def look() -> bool:
            status = self.status(name)
            return status.get("commit") == commit and status.get("sync") == "Synced" and status.get("health") == health

        self.until(look, f"{name} is Synced at {commit[:7]} and {health}", seconds)

    def drift(self, **fields: Any) -> list[dict[str, Any]]:
        """What the controller told about drift of this team, by its log."""
        return [
            told
            for told in self.windlass.decisions("drift", **fields)
            if str(told.get("application", "")).startswith(f"{self.namespace}/")
        ]

    def events(self, reason: str) -> list[str]:
        answer = self.cluster.request("GET", f"/api/v1/namespaces/{self.namespace}/events")
        return [one["message"] for one in answer.json["items"] if one["reason"] == reason]


def config_map(name: str, **data: str) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def deployment(name: str, image: str = "registry.example/shop:1.0", replicas: int | None = 2, **spec: Any) -> str:
    content: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": image, "env": [{"name": "LEVEL", "value": "info"}]}]},
            },
            **spec,
        },
    }
    if replicas is not None:
        content["spec"]["replicas"] = replicas
    return yaml.safe_dump(content)


def secret(name: str, **data: str) -> str:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded})
