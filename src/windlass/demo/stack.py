"""A whole system on one machine: the devstack in a child process, a repository on its Git server, a controller here.

``windlass up`` and ``windlass demo`` use it, tests too. The controller reaches the devstack only over HTTPS and HTTP,
as it would a real cluster and a real code host; nothing in it knows that this is a trial.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from windlass import settings
from windlass.adapters.cluster import Access, KubeCluster, connect, from_kubeconfig
from windlass.adapters.host.clock import SystemClock
from windlass.app import Controller
from windlass.core.kinds.crd import KINDS
from windlass.core.kinds.deploy import Deploy, definitions, installation
from windlass.core.kinds.kind import API_VERSION, GROUP, VERSION
from windlass.core.model import ObjectRef, Resource
from windlass.devstack.gitserver import GitServer
from windlass.errors import NeedsHuman, TryLater
from windlass.ports import ApplyRequest

OWN = {one.kind: Resource(GROUP, VERSION, one.plural, one.kind, one.namespaced) for one in KINDS}
"""Our own kinds, known without asking: their definitions were applied a moment ago."""
NAMESPACE = "windlass-system"
MANAGER = "windlass-up"
REPOSITORY = "config"
LEDGER = "ledger"
LEDGER_PUSH = "1s"
HOOK_SECRET = "config-hook"  # noqa: S105 - the name of a Secret, not its value
START = 30.0


@dataclass
class Stack:
    """What runs: where it is, and what to ask it with. ``folder`` holds everything; ``registry`` is host:port."""

    folder: Path
    kubeconfig: Path
    cluster: KubeCluster
    controller: Controller
    git_url: str
    registry: str
    hook_secret: str
    namespace: str = "default"

    @property
    def repository_url(self) -> str:
        return f"{self.git_url}/{REPOSITORY}.git"

    async def resource(self, api_version: str, kind: str) -> Resource:
        """How the cluster serves a kind."""
        known = OWN.get(kind) if api_version == API_VERSION else None
        return known or await self.cluster.resource(api_version, kind)

    async def apply(self, content: dict[str, Any], *, manager: str = MANAGER) -> None:
        """Server-side applies one object, with the administrator's rights."""
        resource = await self.resource(content["apiVersion"], content["kind"])
        metadata = content["metadata"]
        ref = ObjectRef(resource.group, resource.kind, metadata.get("namespace", ""), metadata["name"])
        body = msgspec.json.encode(content)
        await self.cluster.apply(ApplyRequest(resource=resource, ref=ref, body=body, manager=manager, force=True))

    async def read(self, api_version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        resource = await self.resource(api_version, kind)
        return await self.cluster.read(resource, ObjectRef(resource.group, kind, namespace, name))


@contextlib.asynccontextmanager
async def running(folder: Path, *, port: int = 0, keep_state: bool = False) -> AsyncIterator[Stack]:
    """A devstack with a controller. ``keep_state`` keeps the cluster's objects in the folder for the next start."""
    git_program()
    kubeconfig = folder / "kubeconfig"
    secret_file = folder / "hook-secret"
    await asyncio.to_thread(_prepare, folder, kubeconfig, secret_file)
    git_port, hook_port, registry_port = free_port(), free_port(), free_port()
    # Its end of the pipe closes when this process ends, however: nothing is left running after a kill.
    options = ["--port", str(port), "--kubeconfig", str(kubeconfig), "--end-with-stdin"]
    options += ["--git-port", str(git_port), "--git-root", str(folder / "git")]
    options += ["--git-notify", f"http://127.0.0.1:{hook_port}/hooks/git/default/{REPOSITORY}"]
    options += ["--git-notify-secret-file", str(secret_file)]
    options += ["--measured"]  # a trial's autoscalers are as well as anywhere with a metrics server
    options += ["--registry-port", str(registry_port), "--registry-root", str(folder / "registry")]
    options += ["--registry-notify", f"http://127.0.0.1:{hook_port}/hooks/registry/default/shop"]
    options += ["--registry-notify-token-file", str(secret_file)]
    if keep_state:
        options += ["--data", str(folder / "cluster")]
    async with devstack(options, kubeconfig):
        for name in (REPOSITORY, LEDGER):
            await GitServer(str(folder / "git")).create(name)
        access = from_kubeconfig([kubeconfig])
        async with connect(access, SystemClock()) as cluster:
            made = Stack(
                folder=folder,
                kubeconfig=kubeconfig,
                cluster=cluster,
                controller=controller(access, folder, hook_port),
                git_url=f"http://127.0.0.1:{git_port}",
                registry=f"127.0.0.1:{registry_port}",
                hook_secret=await asyncio.to_thread(secret_file.read_text),
            )
            await _install(made)
            ended = asyncio.Event()
            work = asyncio.ensure_future(made.controller.run(ended))
            try:
                await _first(work, made.controller.started.wait())
                yield made
            finally:
                ended.set()
                await asyncio.wait([work])
                work.result()


def _prepare(folder: Path, kubeconfig: Path, secret_file: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kubeconfig.unlink(missing_ok=True)
    if not secret_file.exists():
        secret_file.touch(mode=0o600)
        secret_file.write_text(secrets.token_urlsafe(32))


def controller(access: Access, folder: Path, port: int) -> Controller:
    """A controller of this process, with everything that it keeps in the folder."""
    made = settings.Settings(
        namespace=NAMESPACE,
        data=folder / "controller",
        port=port,
        lease=True,
        identity="windlass-up",
        renderers=2,
        local_charts=True,
    )
    return Controller(made, access)


@contextlib.asynccontextmanager
async def devstack(options: Sequence[str], kubeconfig: Path) -> AsyncIterator[None]:
    """The child process, from ready to stopped."""
    log = kubeconfig.with_name("devstack.log")
    command = [sys.executable, "-m", "windlass.devstack.serve", *options]
    out = await asyncio.to_thread(log.open, "wb")
    try:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=out, stderr=out, env=settings.child_environment(), start_new_session=True
        )
    finally:
        out.close()
    try:
        await _ready(child, kubeconfig, log)
        yield
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                async with asyncio.timeout(10):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()


async def _ready(child: Process, kubeconfig: Path, log: Path) -> None:
    try:
        async with asyncio.timeout(START):
            while not await asyncio.to_thread(kubeconfig.exists):
                if child.returncode is not None:
                    raise await asyncio.to_thread(_ended, child.returncode, log)
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TryLater(f"the devstack was not ready within {START:.0f} s", hint=f"see {log}") from None


def _ended(code: int, log: Path) -> NeedsHuman:
    """Why the devstack ended, in its own last words: the folder of its log may be gone in a moment."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip(" |+-")]
    why = f": {lines[-1][:300]}" if lines else ""
    return NeedsHuman(f"the devstack ended at its start (exit code {code}){why}", hint="mend that, and try again")


async def _install(stack: Stack) -> None:
    """What ``windlass install`` would put into a real cluster, as far as a trial needs it."""
    await asyncio.gather(*(stack.apply(one) for one in definitions()))
    await stack.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    await established(stack.cluster)
    made = installation(Deploy(image="", cluster="devstack", apply_as="controller"))
    made["spec"]["ledger"] = {"repository": LEDGER, "push": LEDGER_PUSH}
    await stack.apply(made)
    await asyncio.gather(*(stack.apply(one) for one in ledger_objects(f"{stack.git_url}/{LEDGER}.git")))
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


def repository_object(url: str, branch: str, *, interval: str = "5m") -> dict[str, Any]:
    """The Repository of a trial. The push hook makes news arrive at once; the interval is the net below it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Repository",
        "metadata": {"name": REPOSITORY, "namespace": "default"},
        "spec": {"url": url, "ref": {"branch": branch}, "interval": interval, "hook": {"secret": HOOK_SECRET}},
    }


def ledger_objects(url: str) -> list[dict[str, Any]]:
    """The Repository that holds the record of a trial, and what it is written with: the devstack's Git server asks
    nobody who they are."""
    secret = f"{LEDGER}-write"
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret, "namespace": NAMESPACE},
            "stringData": {"username": "windlass", "password": secrets.token_urlsafe(16)},
        },
        {
            "apiVersion": API_VERSION,
            "kind": "Repository",
            "metadata": {"name": LEDGER, "namespace": NAMESPACE},
            "spec": {"url": url, "interval": "5m", "write": {"secret": secret}},
        },
    ]


def application_object(name: str, path: str, **spec: Any) -> dict[str, Any]:
    """An Application of the trial's repository, into the namespace ``default``."""
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


async def _first(work: asyncio.Future[None], started: Coroutine[Any, Any, Any]) -> None:
    """Waits until the controller leads; raises what ended it before."""
    waiting = asyncio.ensure_future(started)
    await asyncio.wait([work, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        work.result()
        raise TryLater("the controller ended at its start")
