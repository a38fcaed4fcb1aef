"""The devstack as a process: the API server with its workload controllers, a Git server and a registry beside it.

``python -m windlass.devstack.serve`` runs it; `serve` is the same as a coroutine, for programs that have a loop
already. It knows nothing of Windlass. SIGTERM and SIGINT end it cleanly.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass.adapters.host.clock import SystemClock
from windlass.adapters.host.files import write_atomic
from windlass.devstack.apiserver.errors import bad_request
from windlass.devstack.apiserver.local import LocalApi
from windlass.devstack.apiserver.machine import Machine
from windlass.devstack.apiserver.server import ApiServer, kubeconfig
from windlass.devstack.workloads.logs import NoLog, pod_log
from windlass.devstack.workloads.start import run as run_workloads
from windlass.devstack.workloads.strategy import Strategies


@dataclass(frozen=True, slots=True)
class GitSettings:
    """The Git server beside it: bare repositories under ``root``; ``notify`` is the URL that hears of pushes."""

    root: Path
    port: int = 0
    notify: str = ""
    secret: bytes = b""


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """The registry beside it: everything under ``root``; ``notify`` is the URL that hears of pushes, with ``token``."""

    root: Path
    port: int = 0
    notify: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to serve, and where. Port 0 takes a free one; without ``data`` everything is in memory. ``measured``:
    autoscalers act as if a metrics server were there. ``addresses`` is a file that is written when all of it answers:
    JSON, the URLs of what there is of ``kubernetes``, ``git`` and ``registry``. Without ``cluster`` there is no API
    server: only what is beside it."""

    port: int = 0
    kubeconfig: Path | None = None
    data: Path | None = None
    token: str = ""
    workloads: bool = True
    git: GitSettings | None = None
    registry: RegistrySettings | None = None
    measured: bool = False
    addresses: Path | None = None
    cluster: bool = True


Ready = Callable[[str, str], Awaitable[None] | None]
"""Called with the server's URL and the administrator's token when requests are answered."""


def _strategies(machine: Callable[[], Machine]) -> Strategies:
    """The built-in kinds' rules, with a look at the live objects that they need."""
    return Strategies(
        lambda resource, namespace, name: LocalApi(machine()).find(resource, namespace, name),
        lambda resource: LocalApi(machine()).every(resource),
    )


@contextlib.asynccontextmanager
async def _git(settings: GitSettings | None) -> AsyncIterator[str]:
    if settings is None:
        yield ""
        return
    from windlass.devstack.gitserver import GitServer, Notifier  # with its HTTP client a quarter of the start-up

    notify = Notifier(settings.notify, settings.secret) if settings.notify else None
    async with GitServer(str(settings.root), notify=notify).serve(port=settings.port) as url:
        yield url


@contextlib.asynccontextmanager
async def _registry(settings: RegistrySettings | None) -> AsyncIterator[str]:
    if settings is None:
        yield ""
        return
    from windlass.devstack.ociserver import Notifier, OciServer  # as above

    notify = Notifier(settings.notify, settings.token) if settings.notify else None
    async with OciServer(str(settings.root), notify=notify).serve(port=settings.port) as url:
        yield url


def _logs(pod: dict[str, Any], container: str, previous: bool) -> str:
    """A container's simulated log, refused as the API server refuses it."""
    try:
        return pod_log(pod, container, previous)
    except NoLog as error:
        raise bad_request(str(error)) from error


async def serve(settings: Settings, *, stop: asyncio.Event | None = None, ready: Ready | None = None) -> None:
    """Serve until ``stop`` is set or the task is cancelled."""
    if not settings.cluster:
        async with _git(settings.git) as git, _registry(settings.registry) as registry:
            _tell_addresses(settings, "", git, registry)
            await (stop or asyncio.Event()).wait()
        return
    server = ApiServer(port=settings.port, data=settings.data, token=settings.token)
    machine = await server.start(_strategies, _logs)
    try:
        # Before the kubeconfig is there, which is what tells others that everything is ready.
        async with (
            _git(settings.git) as git,
            _registry(settings.registry) as registry,
            asyncio.TaskGroup() as group,
        ):
            serving = group.create_task(server.run())
            await server.answering.wait()
            ca = server.certificates.ca
            if settings.kubeconfig is not None:
                settings.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(settings.kubeconfig, kubeconfig(server.url, ca, server.token))
            _tell_addresses(settings, server.url, git, registry)
            work = None
            if settings.workloads:
                work = group.create_task(
                    run_workloads(
                        LocalApi(machine), clock=SystemClock(), root_ca=ca.decode(), measured=settings.measured
                    )
                )
            if ready is not None:
                waiting = ready(server.url, server.token)
                if waiting is not None:
                    await waiting
            try:
                await (stop.wait() if stop is not None else serving)
            finally:
                if work is not None:
                    work.cancel()
                server.stop()
    finally:
        await server.close()


def _tell_addresses(settings: Settings, kubernetes: str, git: str, registry: str) -> None:
    if settings.addresses is not None:
        found = {"kubernetes": kubernetes, "git": git, "registry": registry}
        settings.addresses.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(settings.addresses, json.dumps({name: url for name, url in found.items() if url}).encode())


async def _main(settings: Settings, *, end_with_stdin: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def heard() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            stop.set()

    if end_with_stdin:
        loop.add_reader(sys.stdin.fileno(), heard)

    def ready(url: str, token: str) -> None:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()

    await serve(settings, stop=stop, ready=ready)


def main(arguments: list[str] | None = None) -> None:
    """The command line of ``python -m windlass.devstack.serve``."""
    parser = argparse.ArgumentParser(
        prog="python -m windlass.devstack.serve",
        description="A Kubernetes API server with workloads that make progress.",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--kubeconfig", type=Path, help="file to write the kubeconfig to, when ready")
    parser.add_argument("--data", type=Path, help="folder that keeps the state; without it everything is in memory")
    parser.add_argument("--token", default="", help="the administrator's token; without it one is made")
    parser.add_argument("--no-workloads", action="store_true", help="serve the API alone: nothing makes progress")
    parser.add_argument("--git-root", type=Path, help="serve the bare repositories of this folder over HTTP as well")
    parser.add_argument("--git-port", type=int, default=0, help="port of the Git server on 127.0.0.1")
    parser.add_argument("--git-notify", default="", metavar="URL", help="tell this URL of pushes, as GitHub does")
    parser.add_argument("--git-notify-secret-file", type=Path, metavar="FILE", help="the secret that signs them")
    parser.add_argument("--measured", action="store_true", help="autoscalers act as if a metrics server were there")
    parser.add_argument(
        "--registry-root", type=Path, help="serve a registry that keeps everything in this folder as well"
    )
    parser.add_argument("--registry-port", type=int, default=0, help="port of the registry on 127.0.0.1")
    parser.add_argument("--registry-notify", default="", metavar="URL", help="tell this URL of pushes")
    parser.add_argument("--registry-notify-token-file", type=Path, metavar="FILE", help="the token that is sent along")
    parser.add_argument("--no-cluster", action="store_true", help="serve no Kubernetes API, only what is beside it")
    parser.add_argument("--addresses", type=Path, metavar="FILE", help="file to write all URLs to as JSON, when ready")
    parser.add_argument("--end-with-stdin", action="store_true", help="end when standard input closes: with the parent")
    given = parser.parse_args(arguments)
    git = None
    if given.git_root is not None:
        secret = given.git_notify_secret_file.read_bytes().strip() if given.git_notify_secret_file else b""
        git = GitSettings(given.git_root, given.git_port, given.git_notify, secret)
    registry = None
    if given.registry_root is not None:
        file = given.registry_notify_token_file
        token = file.read_text().strip() if file else ""
        registry = RegistrySettings(given.registry_root, given.registry_port, given.registry_notify, token)
    settings = Settings(
        port=given.port,
        kubeconfig=given.kubeconfig,
        data=given.data,
        token=given.token,
        workloads=not given.no_workloads,
        git=git,
        registry=registry,
        measured=given.measured,
        addresses=given.addresses,
        cluster=not given.no_cluster,
    )
    try:
        import uvloop
    except ImportError:
        loop_factory = None
    else:
        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_main(settings, end_with_stdin=given.end_with_stdin))


if __name__ == "__main__":
    main()
