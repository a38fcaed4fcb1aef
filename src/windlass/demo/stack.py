"""A whole system on one machine: the devstack in a child process, a repository on its Git server, a controller here.

``windlass up`` and ``windlass demo`` use it, tests too. The controller reaches the devstack only over HTTPS and HTTP, as
it would a real cluster and a real code host; nothing in it knows that this is a trial.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from windlass import settings
from windlass.adapters.cluster import KubeCluster, connect, from_kubeconfig
from windlass.adapters.git import commit, init_repository, push
from windlass.adapters.host.clock import SystemClock
from windlass.app import Controller
from windlass.core.kinds.deploy import Deploy, definitions, installation
from windlass.core.kinds.kind import API_VERSION, GROUP
from windlass.core.model import ObjectRef, Resource
from windlass.errors import NeedsHuman, TryLater
from windlass.ports import ApplyRequest

NAMESPACE = "windlass-system"
MANAGER = "windlass-up"
REPOSITORY = "config"
HOOK_SECRET = "config-hook"  # noqa: S105 - the name of a Secret, not its value
START = 30.0


@dataclass
class Stack:
    """What runs: where it is, and what to ask it with. ``folder`` holds everything; ``work`` is a local repository."""

    folder: Path
    kubeconfig: Path
    cluster: KubeCluster
    controller: Controller
    git_url: str
    hook_secret: str
    namespace: str = "default"
    started: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def repository_url(self) -> str:
        return f"{self.git_url}/{REPOSITORY}.git"

    async def apply(self, content: dict[str, Any], *, manager: str = MANAGER) -> None:
        """Server-side applies one object, with the administrator's rights."""
        resource = await self.cluster.resource(content["apiVersion"], content["kind"])
        metadata = content["metadata"]
        ref = ObjectRef(resource.group, resource.kind, metadata.get("namespace", ""), metadata["name"])
        body = msgspec.json.encode(content)
        await self.cluster.apply(ApplyRequest(resource=resource, ref=ref, body=body, manager=manager, force=True))

    async def read(self, api_version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        resource = await self.cluster.resource(api_version, kind)
        return await self.cluster.read(resource, ObjectRef(resource.group, kind, namespace, name))


@contextlib.asynccontextmanager
async def running(
    folder: Path, *, port: int = 0, stop: asyncio.Event, keep_state: bool = False
) -> AsyncIterator[Stack]:
    """A devstack with a controller. ``keep_state`` keeps the cluster's objects in the folder for the next start."""
    git_program()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kubeconfig = folder / "kubeconfig"
    kubeconfig.unlink(missing_ok=True)
    git_port, hook_port = free_port(), free_port()
    secret_file = folder / "hook-secret"
    if not secret_file.exists():
        secret_file.touch(mode=0o600)
        secret_file.write_text(secrets.token_urlsafe(32))
    options = ["--port", str(port), "--kubeconfig", str(kubeconfig)]
    options += ["--git-port", str(git_port), "--git-root", str(folder / "git")]
    options += ["--git-notify", f"http://127.0.0.1:{hook_port}/hooks/git/default/{REPOSITORY}"]
    options += ["--git-notify-secret-file", str(secret_file)]
    if keep_state:
        options += ["--data", str(folder / "cluster")]
    async with devstack(options, kubeconfig) as _:
        access = from_kubeconfig([kubeconfig])
        async with connect(access, SystemClock()) as cluster:
            made = Stack(
                folder=folder,
                kubeconfig=kubeconfig,
                cluster=cluster,
                controller=controller(access, folder, hook_port),
                git_url=f"http://127.0.0.1:{git_port}",
                hook_secret=secret_file.read_text(),
            )
            await _install(made)
            ended = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                work = tasks.create_task(made.controller.run(ended), name="controller")
                try:
                    yield made
                finally:
                    ended.set()
                    await asyncio.wait([work])


def controller(access: Any, folder: Path, port: int) -> Controller:
    made = settings.Settings(
        namespace=NAMESPACE, data=folder / "controller", port=port, lease=True, identity="windlass-up", renderers=2
    )
    return Controller(made, access)


@contextlib.asynccontextmanager
async def devstack(options: Sequence[str], kubeconfig: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The child process, from ready to stopped. It ends with us, also when we are killed (it watches its input)."""
    log = kubeconfig.with_name("devstack.log")
    with log.open("wb") as out:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "windlass.devstack.serve",
            *options,
            stdin=asyncio.subprocess.PIPE,
            stdout=out,
            stderr=out,
            env=settings.child_environment(),
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(START):
            while not kubeconfig.exists():
                if child.returncode is not None:
                    raise NeedsHuman(
                        f"the devstack ended at its start (exit code {child.returncode})", hint=f"see {log}"
                    )
                await asyncio.sleep(0.01)
        yield child
    except TimeoutError:
        raise TryLater(f"the devstack was not ready within {START:.0f} s", hint=f"see {log}") from None
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                async with asyncio.timeout(10):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()


async def _install(stack: Stack) -> None:
    """What ``windlass install`` would put into a real cluster, as far as a trial needs it."""
    await asyncio.gather(*(stack.apply(one) for one in definitions()))
    await stack.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    await established(stack.cluster)
    await stack.apply(installation(Deploy(image="", cluster="devstack", apply_as="controller")))
    await stack.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": HOOK_SECRET, "namespace": "default"},
            "stringData": {"token": stack.hook_secret},
        }
    )


async def established(cluster: KubeCluster) -> None:
    """Waits until the cluster serves our kinds."""
    crds = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False)
    async with asyncio.timeout(START):
        waiting = {one["metadata"]["name"] for one in definitions()}
        while waiting:
            for content in await cluster.select(crds, ""):
                conditions = content.get("status", {}).get("conditions", [])
                if any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
                    waiting.discard(content["metadata"]["name"])
            if waiting:
                await asyncio.sleep(0.02)
    cluster.discovery.changed()


def repository_object(stack: Stack, url: str, branch: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Repository",
        "metadata": {"name": REPOSITORY, "namespace": stack.namespace},
        "spec": {"url": url, "ref": {"branch": branch}, "interval": "5m", "hook": {"secret": HOOK_SECRET}},
    }


def application_object(name: str, path: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Application",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"source": {"repository": REPOSITORY, "path": path}, **spec},
    }


def git_program() -> None:
    """Fails early, with what to install, where Git is missing."""
    if shutil.which("git", path=settings.variable("PATH")) is None:
        raise NeedsHuman("the program git is not installed", hint="install Git, and try again")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


__all__ = ["GROUP", "Stack", "application_object", "commit", "init_repository", "push", "repository_object", "running"]
