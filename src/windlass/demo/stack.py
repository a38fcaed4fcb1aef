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
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from windlass import settings
from windlass.adapters.cluster import Access, KubeCluster, connect, from_kubeconfig
from windlass.adapters.host.clock import SystemClock
from windlass.app import Controller
from windlass.core.kinds.crd import KINDS
from windlass.core.kinds.deploy import Deploy, definitions, glass_policy, installation
from windlass.core.kinds.kind import API_VERSION, GROUP, VERSION
from windlass.core.model import ObjectRef, Resource
from windlass.devstack.gitserver import GitServer
from windlass.errors import NeedsHuman, TryLater
from windlass.ports import ApplyRequest

OWN = {one.kind: Resource(GROUP, VERSION, one.plural, one.kind, one.namespaced) for one in KINDS}
"""Our own kinds, known without asking: their definitions were applied a moment ago."""
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False)
NAMESPACE = "windlass-system"
DEMO_NAMESPACE = "windlass-demo"
"""The story's own namespace in a person's cluster."""
MANAGER = "windlass-up"
REPOSITORY = "config"
LEDGER = "ledger"
LEDGER_PUSH = "1s"
HOOK_SECRET = "config-hook"  # noqa: S105 - the name of a Secret, not its value
START = 30.0


@dataclass
class Stack:
    """What runs: where it is, and what to ask it with. ``folder`` holds everything; ``registry`` is host:port.
    ``namespace`` is where the trial's own objects are."""

    folder: Path
    kubeconfig: Path
    cluster: KubeCluster
    controller: Controller
    git_url: str
    registry: str
    hook_secret: str
    namespace: str = "default"
    context: str = ""

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


class Theirs(NamedTuple):
    """A person's own cluster: how it is reached, here and by the commands that are typed."""

    access: Access
    kubeconfig: Path
    context: str = ""


@contextlib.asynccontextmanager
async def running(
    folder: Path, *, port: int = 0, keep_state: bool = False, theirs: Theirs | None = None
) -> AsyncIterator[Stack]:
    """A devstack with a controller. ``keep_state`` keeps the cluster's objects in the folder for the next start.

    With ``theirs`` only the Git server and the registry are the devstack's, and the cluster is a person's: Windlass is
    put into it, with a namespace of its own for the trial, and taken out again. One that has Windlass is refused.
    """
    git_program()
    kubeconfig = theirs.kubeconfig if theirs is not None else folder / "kubeconfig"
    namespace = DEMO_NAMESPACE if theirs is not None else "default"
    addresses, secret_file = folder / "addresses.json", folder / "hook-secret"
    kept = await asyncio.to_thread(kept_ports, addresses) if keep_state else {}
    await asyncio.to_thread(_prepare, folder, addresses, secret_file)
    # Whoever chooses a free port and binds it later may come second: each is bound by whom it serves, then told.
    with _listener() as listener:
        hooks = f"http://127.0.0.1:{listener.getsockname()[1]}/hooks"
        # Its end of the pipe closes when this process ends, however: nothing is left running after a kill.
        options = ["--end-with-stdin", "--git-root", str(folder / "git")]
        options += ["--git-notify", f"{hooks}/git/{namespace}/{REPOSITORY}"]
        options += ["--git-notify-secret-file", str(secret_file)]
        options += ["--registry-root", str(folder / "registry")]
        options += ["--registry-notify", f"{hooks}/registry/{namespace}/shop"]
        options += ["--registry-notify-token-file", str(secret_file)]
        for name, number in kept.items():
            options += [f"--{name}-port", str(number)]
        if theirs is not None:
            options += ["--no-cluster"]
        else:
            # A trial's autoscalers are as well as anywhere with a metrics server.
            options += ["--port", str(port), "--kubeconfig", str(kubeconfig), "--measured"]
        if keep_state:
            options += ["--data", str(folder / "cluster")]
        async with devstack(options, addresses) as at:
            for name in (REPOSITORY, LEDGER):
                await GitServer(str(folder / "git")).create(name)
            access = theirs.access if theirs is not None else from_kubeconfig([kubeconfig])
            async with connect(access, SystemClock()) as cluster:
                made = Stack(
                    folder=folder,
                    kubeconfig=kubeconfig,
                    cluster=cluster,
                    controller=controller(access, folder, listener),
                    git_url=at["git"],
                    registry=at["registry"].removeprefix("http://"),
                    hook_secret=await asyncio.to_thread(secret_file.read_text),
                    namespace=namespace,
                    context=theirs.context if theirs is not None else "",
                )
                async with AsyncExitStack() as last:
                    if theirs is not None:
                        await _refuse_installed(made)
                        last.push_async_callback(_take_out, made)
                    await _install(made)
                    async with _controlled(made):
                        yield made


@contextlib.asynccontextmanager
async def _controlled(made: Stack) -> AsyncIterator[None]:
    """The controller, from leading to ended."""
    ended = asyncio.Event()
    work = asyncio.ensure_future(made.controller.run(ended))
    try:
        await _first(work, made.controller.started.wait())
        yield
    finally:
        ended.set()
        await asyncio.wait([work])
        work.result()


def _listener() -> socket.socket:
    """A socket that listens on a free port of 127.0.0.1: who asks before it is served waits."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(64)
    return made


def kept_ports(addresses: Path) -> dict[str, int]:
    """The ports of the last run that are free: people's clones name the Git server's, and their images the
    registry's."""
    kept: dict[str, int] = {}
    try:
        before = msgspec.json.decode(addresses.read_bytes(), type=dict[str, str])
        ports = {name: urlsplit(before[name]).port or 0 for name in ("git", "registry") if name in before}
    except (OSError, ValueError):  # no run before, or a file that is none of ours
        return kept
    for name, number in ports.items():
        if not number:
            continue
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", number))
            kept[name] = number
    return kept


def _prepare(folder: Path, addresses: Path, secret_file: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    addresses.unlink(missing_ok=True)
    if not secret_file.exists():
        secret_file.touch(mode=0o600)
        secret_file.write_text(secrets.token_urlsafe(32))


def controller(access: Access, folder: Path, listener: socket.socket) -> Controller:
    """A controller of this process, with everything that it keeps in the folder."""
    made = settings.Settings(
        namespace=NAMESPACE,
        data=folder / "controller",
        lease=True,
        identity="windlass-up",
        renderers=2,
        local_charts=True,
    )
    return Controller(made, access, listener)


@contextlib.asynccontextmanager
async def devstack(options: Sequence[str], addresses: Path) -> AsyncIterator[dict[str, str]]:
    """The child process, from ready to stopped. Gives the URLs that it wrote to the file ``addresses``."""
    log = addresses.with_name("devstack.log")
    command = [sys.executable, "-m", "windlass.devstack.serve", *options, "--addresses", str(addresses)]
    out = await asyncio.to_thread(log.open, "wb")
    try:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=out, stderr=out, env=settings.child_environment(), start_new_session=True
        )
    finally:
        out.close()
    try:
        await _ready(child, addresses, log)
        yield msgspec.json.decode(await asyncio.to_thread(addresses.read_bytes), type=dict[str, str])
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                async with asyncio.timeout(10):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()


async def _ready(child: Process, addresses: Path, log: Path) -> None:
    try:
        async with asyncio.timeout(START):
            while not await asyncio.to_thread(addresses.exists):
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
    await asyncio.gather(*(stack.apply(one) for one in [*definitions(), *glass_policy()]))
    for name in sorted({NAMESPACE, stack.namespace} - {"default"}):
        await stack.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    await established(stack.cluster)
    made = installation(Deploy(image="", cluster="devstack", apply_as="controller"))
    made["spec"]["ledger"] = {"repository": LEDGER, "push": LEDGER_PUSH}
    await stack.apply(made)
    await asyncio.gather(*(stack.apply(one) for one in ledger_objects(f"{stack.git_url}/{LEDGER}.git")))
    await stack.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": HOOK_SECRET, "namespace": stack.namespace},
            "stringData": {"token": stack.hook_secret},
        }
    )


async def _refuse_installed(stack: Stack) -> None:
    """A cluster that has Windlass, or our namespaces, is somebody's: nothing of it is touched."""
    namespaces = Resource("", "v1", "namespaces", "Namespace", False)
    wanted = [(CRDS, one["metadata"]["name"]) for one in definitions()]
    wanted += [(namespaces, NAMESPACE), (namespaces, stack.namespace)]
    for resource, name in wanted:
        if await stack.cluster.read(resource, ObjectRef(resource.group, resource.kind, "", name)) is not None:
            raise NeedsHuman(
                f"this cluster has the {resource.kind} {name} already: the demo needs one without Windlass",
                hint="name another cluster, or leave --kubeconfig out: then it brings one of its own",
            )


async def _take_out(stack: Stack) -> None:
    """What ``_install`` put into a person's cluster, and with the namespaces and kinds everything that the story made.
    The controller has ended: nothing puts it back."""
    namespaces = Resource("", "v1", "namespaces", "Namespace", False)
    mine = [(namespaces, one) for one in (stack.namespace, NAMESPACE)]
    mine += [(CRDS, one["metadata"]["name"]) for one in definitions()]
    for resource, name in mine:
        ref = ObjectRef(resource.group, resource.kind, "", name)
        found = await stack.cluster.read(resource, ref)
        if found is not None:
            await stack.cluster.delete(resource, ref, uid=found["metadata"]["uid"])
    # A cluster whose controllers are slow takes them away later; a second demo says what is in its way until then.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START):
            for resource, name in mine:
                ref = ObjectRef(resource.group, resource.kind, "", name)
                while await stack.cluster.read(resource, ref) is not None:  # noqa: ASYNC110 - a cluster tells nobody
                    await asyncio.sleep(0.1)


async def established(cluster: KubeCluster) -> None:
    """Waits until the cluster serves our kinds."""
    async with asyncio.timeout(START):
        waiting = {one["metadata"]["name"] for one in definitions()}
        while waiting:
            for content in await cluster.select(CRDS, ""):
                conditions = (content.get("status") or {}).get("conditions") or []
                if any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
                    waiting.discard(content["metadata"]["name"])
            if waiting:
                await asyncio.sleep(0.02)


def repository_object(url: str, branch: str, *, interval: str = "5m", namespace: str = "default") -> dict[str, Any]:
    """The Repository of a trial. The push hook makes news arrive at once; the interval is the net below it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Repository",
        "metadata": {"name": REPOSITORY, "namespace": namespace},
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


def application_object(name: str, path: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """An Application of the trial's repository, into its own namespace."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Application",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"source": {"repository": REPOSITORY, "path": path}, **spec},
    }


def git_program() -> None:
    """Fails early, with what to install, where Git is missing."""
    if shutil.which("git", path=settings.variable("PATH")) is None:
        raise NeedsHuman("the program git is not installed", hint="install Git, and try again")


async def _first(work: asyncio.Future[None], started: Coroutine[Any, Any, Any]) -> None:
    """Waits until the controller leads; raises what ended it before."""
    waiting = asyncio.ensure_future(started)
    await asyncio.wait([work, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        work.result()
        raise TryLater("the controller ended at its start")
