"""A cluster with the fleet on it, a served repository, and the controller as a process under its own account.

The scenarios use it. It builds on what the end-to-end tests use, so that a benchmark installs and runs what they test.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bench import measure
from bench.fleet import HOME, Fleet, path_of
from bench.lean import Lean, State, rollouts
from e2e.team import NAMESPACE, Installed, Team, apply, git
from real.cluster import Cluster
from real.controlplane import ControlPlane
from real.devcluster import running_devcluster


@dataclass
class Options:
    """What the command line said. ``cluster`` is ``real``, ``devcluster`` or the path of a kubeconfig."""

    cluster: str
    applications: int
    folder: Path
    long: bool = False
    profile: bool = False
    ledger: bool = False
    rounds: int = 15
    drifts: int = 300
    burst: int = 1000


@dataclass
class Mark:
    """A moment: what had been used and asked until then."""

    at: float
    cpu: float
    own: float
    audit: int
    metrics: dict[str, float]
    server: float = 0.0


@dataclass
class Spent:
    """What was used and asked between two moments. ``lag`` is the p99's bucket in seconds; ``audited`` tells whether
    the API server counted the requests, or the controller itself; ``server_cpu`` is of the API server and etcd, where
    they are ours."""

    seconds: float
    cpu: float
    own_cpu: float
    requests: Counter[str]
    lag: float
    metrics: dict[str, float]
    audited: bool
    server_cpu: float = 0.0

    def count(self, wanted: Callable[[str], bool] = lambda word: True) -> int:
        return sum(number for word, number in self.requests.items() if wanted(word))


@asynccontextmanager
async def started_cluster(options: Options, name: str) -> AsyncIterator[Cluster]:
    """The cluster that was asked for. A real control plane has etcd and the API server alone: its controllers would be
    measured with it on the same cores; `rollouts` plays them."""
    folder = options.folder / name
    folder.mkdir()
    if options.cluster == "real":
        plane = ControlPlane(folder, controllers=False, audit=True, benchmark=True)
        await asyncio.to_thread(plane.start)
        cluster = Cluster(plane.kubeconfig, "real", plane)
        try:
            async with rollouts(cluster):
                yield cluster
        finally:
            cluster.close()
            await asyncio.to_thread(plane.stop)
    elif options.cluster == "devcluster":
        with running_devcluster(folder) as cluster:
            yield cluster
    else:
        cluster = Cluster(Path(options.cluster).resolve(), Path(options.cluster).stem)
        yield cluster
        cluster.close()


@dataclass
class World:
    """``seen`` is the status of each Application as a watch tells it."""

    options: Options
    fleet: Fleet
    cluster: Cluster
    client: Lean
    installed: Installed
    team: Team
    seen: dict[str, State] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    synced: bool = False

    # --- the controller ----------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self.installed.child is not None
        return self.installed.child.pid

    async def start(self) -> float:
        """Starts the controller; returns the seconds until it is ready."""
        began = time.monotonic()
        await asyncio.to_thread(self.installed.start, *(["--profile"] if self.options.profile else []))
        return time.monotonic() - began

    async def stop(self) -> None:
        await asyncio.to_thread(self.installed.stop)

    async def metrics(self) -> dict[str, float]:
        return await asyncio.to_thread(self.installed.metrics)

    # --- what happens ------------------------------------------------------------------------------------------------

    async def until(self, good: Callable[[], bool], what: str) -> None:
        """Waits, woken by the watch of Applications; for ten minutes, and longer where there are many."""
        seconds = max(600.0, 0.3 * self.fleet.applications)
        end = time.monotonic() + seconds
        while not good():
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), end - time.monotonic())
            except TimeoutError:
                child = self.installed.child
                raise AssertionError(f"not within {seconds} s: {what}\n{child.tail() if child else ''}") from None

    def all_at(self, commit: str, *, healthy: bool) -> bool:
        """Whether every Application is synced to a commit."""
        return len(self.seen) == self.fleet.applications and all(
            one.commit == commit and one.sync == "Synced" and (one.health == "Healthy" or not healthy)
            for one in self.seen.values()
        )

    async def follow(self) -> None:
        """Keeps ``seen``."""
        async for event in self.client.watch(f"/apis/windlass.dev/v1alpha1/namespaces/{HOME}/applications"):
            self.seen[event.object.metadata.name] = event.object.status
            self.changed.set()

    async def be_synced(self) -> None:
        """The controller runs and everything is as Git says; then quiet."""
        if self.installed.child is None:
            await self.start()
        if not self.synced:
            head = self.team.head()
            await self.until(lambda: self.all_at(head, healthy=True), "every Application is synced and healthy")
            self.synced = True
        await self.be_quiet()

    async def be_quiet(self) -> None:
        """Until nothing waits and nothing was asked for some seconds: Events and statuses of what was before are done,
        and not counted with what comes."""
        before = -1.0
        for _ in range(60):
            metrics = await self.metrics()
            asked = sum(
                value
                for name, value in metrics.items()
                if name.startswith("windlass_api_requests_total{") and "leases" not in name
            )
            waits = sum(value for name, value in metrics.items() if name.startswith("windlass_queue_depth{"))
            if asked == before and not waits:
                return
            before = asked
            await asyncio.sleep(3)

    # --- measuring ---------------------------------------------------------------------------------------------------

    async def mark(self) -> Mark:
        # The scrape comes first, and at the end of a measurement last: what it costs is none of what is measured.
        metrics = await self.metrics() if self.installed.child is not None else {}
        return self._mark(metrics)

    def _mark(self, metrics: dict[str, float]) -> Mark:
        running = self.installed.child is not None
        return Mark(
            time.monotonic(),
            measure.cpu_seconds(self.pid) if running else 0.0,
            measure.own_cpu_seconds(self.pid) if running else 0.0,
            self.cluster.plane.audit_position() if self.cluster.plane else 0,
            metrics,
            measure.server_cpu_seconds(self.cluster),
        )

    async def since(self, mark: Mark) -> Spent:
        """What was spent from a moment on. The audit log is read after the rest, so that reading costs nothing."""
        now = self._mark({})
        now.metrics = await self.metrics() if self.installed.child is not None else {}
        plane = self.cluster.plane
        requests = (
            await asyncio.to_thread(lambda: measure.requests_of(plane.audit_events(mark.audit)))
            if plane
            else measure.requests_by_metrics(mark.metrics, now.metrics)
        )
        lag = measure.quantile(mark.metrics, now.metrics, "windlass_loop_lag_seconds", 0.99)
        told = {name: value - mark.metrics.get(name, 0.0) for name, value in now.metrics.items()}
        cpu, own, server = now.cpu - mark.cpu, now.own - mark.own, now.server - mark.server
        return Spent(now.at - mark.at, cpu, own, requests, lag, told, plane is not None, server)


@asynccontextmanager
async def opened(options: Options, fleet: Fleet, name: str = "world") -> AsyncIterator[World]:
    """A world whose controller was not started yet: the repository is pushed, the Applications are written."""
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(started_cluster(options, name))
        client = await stack.enter_async_context(Lean(cluster, "bench"))
        await prepare(client, fleet, HOME)
        folder = options.folder / f"windlass-{name}"
        folder.mkdir()
        installed = await asyncio.to_thread(Installed, cluster, folder)
        stack.enter_context(closing(installed))
        team = await asyncio.to_thread(Team, installed, HOME, folder)
        await asyncio.to_thread(push, team, fleet)
        await asyncio.to_thread(team.repository)
        if options.ledger:
            await asyncio.to_thread(record, installed)
        await client.apply_all((path_of(one), msgspec.json.encode(one)) for one in fleet.application_objects())
        world = World(options, fleet, cluster, client, installed, team)
        task = asyncio.create_task(world.follow())
        stack.callback(task.cancel)
        yield world


def record(installed: Installed) -> None:
    """Names a ledger, in a repository of its own."""
    bare = installed.git.root / "ledger.git"
    git(installed.git.root, "init", "-q", "--bare", str(bare))
    git(bare, "config", "http.receivepack", "true")
    own = {"apiVersion": "windlass.dev/v1alpha1"}
    for one in (
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "ledger-write", "namespace": NAMESPACE},
            "stringData": {"username": "windlass", "password": "of no use"},
        },
        {
            **own,
            "kind": "Repository",
            "metadata": {"name": "ledger", "namespace": NAMESPACE},
            "spec": {"url": f"{installed.git.url}/ledger.git", "write": {"secret": "ledger-write"}},
        },
        {
            **own,
            "kind": "Installation",
            "metadata": {"name": "windlass"},
            "spec": {"name": installed.cluster.name, "ledger": {"repository": "ledger"}},
        },
    ):
        assert apply(installed.cluster, one).code in (200, 201)


@contextmanager
def closing(installed: Installed) -> Any:
    """Ends the controller and the Git server."""
    try:
        yield
    finally:
        installed.close()


async def prepare(client: Lean, fleet: Fleet, prefix: str) -> None:
    """Makes the namespaces, the accounts and their rights."""
    for one in fleet.ground(prefix):
        await client.apply_all([(path_of(one), msgspec.json.encode(one))])


def push(team: Team, fleet: Fleet) -> None:
    """The first commit."""
    for path, content in fleet.files():
        file = team.work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    git(team.work, "add", "-A")
    git(team.work, "commit", "-q", "-m", "Begin")
    git(team.work, "push", "-q", "origin", "HEAD:main")
