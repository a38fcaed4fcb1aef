"""The devstack as a process: the API server with its workload controllers, and the Git server beside it.

``python -m windlass.devstack.serve`` runs it; `serve` is the same as a coroutine, for programs that have a loop
already. It knows nothing of Windlass. SIGTERM and SIGINT end it cleanly.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from windlass.adapters.host.clock import SystemClock
from windlass.devstack.apiserver.local import LocalApi
from windlass.devstack.apiserver.machine import Machine
from windlass.devstack.apiserver.server import ApiServer, kubeconfig, write_private
from windlass.devstack.workloads.start import run as run_workloads
from windlass.devstack.workloads.strategy import Strategies


@dataclass(frozen=True, slots=True)
class Settings:
    """What to serve, and where. Port 0 takes a free one; without ``data`` everything is in memory."""

    port: int = 0
    kubeconfig: Path | None = None
    data: Path | None = None
    token: str = ""
    workloads: bool = True


Ready = Callable[[str, str], Awaitable[None] | None]
"""Called with the server's URL and the administrator's token when requests are answered."""


def _strategies(machine: Callable[[], Machine]) -> Strategies:
    """The built-in kinds' rules, with a look at the live objects that they need."""
    return Strategies(
        lambda resource, namespace, name: LocalApi(machine()).find(resource, namespace, name),
        lambda resource: LocalApi(machine()).every(resource),
    )


async def serve(settings: Settings, *, stop: asyncio.Event | None = None, ready: Ready | None = None) -> None:
    """Serve until ``stop`` is set or the task is cancelled."""
    server = ApiServer(port=settings.port, data=settings.data, token=settings.token)
    machine = await server.start(_strategies)
    try:
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.run())
            while not server.started and not serving.done():
                await asyncio.sleep(0.005)
            ca = server.certificates.ca
            if settings.kubeconfig is not None:
                settings.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
                write_private(settings.kubeconfig, kubeconfig(server.url, ca, server.token))
            work = None
            if settings.workloads:
                work = group.create_task(run_workloads(LocalApi(machine), clock=SystemClock(), root_ca=ca.decode()))
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


async def _main(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

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
    given = parser.parse_args(arguments)
    settings = Settings(given.port, given.kubeconfig, given.data, given.token, not given.no_workloads)
    try:
        import uvloop
    except ImportError:
        loop_factory = None
    else:
        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_main(settings))


if __name__ == "__main__":
    main()
