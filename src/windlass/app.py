"""The composition root: adapters, flows and pages put together into a controller. It decides nothing itself.

``run`` is what ``windlass controller``, ``up`` and ``demo`` call. The order of a start matters and is written here
once: probes first, then the Lease, then what the Installation recorded, then Repositories, then Applications.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import os
import secrets as random_secrets
import socket
from collections.abc import Callable, Coroutine, Generator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import structlog
import uvicorn
from typing_extensions import override

from windlass.adapters.cluster import Access, KubeCluster, LeaseLeadership, connect
from windlass.adapters.cluster.lease import identity
from windlass.adapters.host.clock import SystemClock
from windlass.adapters.host.http import Http
from windlass.adapters.host.profile import Profiler
from windlass.adapters.host.tracing import NoTracer, OpenTelemetryTracer
from windlass.adapters.ledger import LedgerWriter
from windlass.adapters.notify import HttpNotifier, Outbox
from windlass.adapters.registry.charts import ChartStore
from windlass.adapters.registry.images import ImageStore
from windlass.adapters.render import CachedRenderer, Workers
from windlass.core.kinds import application, installation, repository
from windlass.core.kinds.deploy import DIGEST_SECRET, LEASE
from windlass.core.model import ObjectRef, Resource
from windlass.errors import NeedsHuman, TryLater, WindlassError
from windlass.flows.alarms import Alarms
from windlass.flows.alerts import AlertFlow
from windlass.flows.automator import Automator
from windlass.flows.charts import ChartFlow
from windlass.flows.commits import Commits
from windlass.flows.desires import Desires
from windlass.flows.drift import DriftFlow
from windlass.flows.effects import Effects
from windlass.flows.expiry import Expiry
from windlass.flows.fleet import ApplicationState, Fleet, Key, SourceState
from windlass.flows.glass import GlassFlow
from windlass.flows.health import HealthWatch
from windlass.flows.hooks import HookAnswer, Hooks
from windlass.flows.image_search import ImageSearch
from windlass.flows.informers import Informers
from windlass.flows.inventory import Inventory
from windlass.flows.ledger import LedgerKeeper
from windlass.flows.metrics import Metrics
from windlass.flows.numbers import Numbers
from windlass.flows.queue import WorkQueue
from windlass.flows.record import Recorder
from windlass.flows.report import Reporter
from windlass.flows.rollback import AutoRollback
from windlass.flows.secrets import SecretReader, decoded
from windlass.flows.sources import MirrorPlace, Sources
from windlass.flows.spoken import Spoken
from windlass.flows.supervise import Supervisor
from windlass.flows.sync import Synchronizer
from windlass.flows.upstreams import Upstreams
from windlass.flows.values import Values
from windlass.flows.warnings import WarningWatch
from windlass.ports import Ledger, ObjectMissing, Tracer
from windlass.settings import Settings
from windlass.web.server import Pages

log = structlog.get_logger("windlass")
SECRETS = Resource("", "v1", "secrets", "Secret", True)
STUCK = 180.0
"""Seconds at one item without an answer of the API server after which the controller counts as not alive."""
LAG_EVERY = 0.25
PATIENCE = 10.0
"""Seconds that a start waits for what the ledger tells of the time before."""
PROFILE = "profile.txt"
COLLECT = (50_000, 20, 100)
"""When the garbage collector looks. With a large fleet in memory a full look stops the loop for a third of a second,
and by Python's own numbers there is one every few thousand objects; what Windlass holds has few cycles to find."""


class Controller:
    """One controller on one cluster. ``started`` is set once it leads and knows what there is. ``listener`` is a socket
    that listens already, in place of the settings' address and port."""

    def __init__(self, settings: Settings, access: Access, listener: socket.socket | None = None) -> None:
        self.settings = settings
        self._listener = listener
        self.access = access
        self.clock = SystemClock()
        self.fleet = Fleet()
        self.metrics = Metrics()
        self.port = 0
        self.started = asyncio.Event()
        self._synced: dict[str, asyncio.Event] = {
            kind: asyncio.Event() for kind in (installation.KIND, repository.KIND, application.KIND)
        }
        self._ready = False
        self._standby = False
        self._supervisor: Supervisor | None = None
        self._hooks: Hooks | None = None
        self._automator: Automator | None = None
        self._alarms: Alarms | None = None
        self._fence: Callable[[], bool] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until ``stop`` is set or leadership is lost; then everything is ended in order. Nothing is left half:
        whatever was under way is found again by its label at the next start."""
        gc.freeze()  # what was imported stays
        gc.set_threshold(*COLLECT)
        async with AsyncExitStack() as stack:
            tracer = self._tracer(stack)
            # The connection outlives the tasks: the Lease is given back as its task ends, for the next one to take.
            cluster = await stack.enter_async_context(
                connect(self.access, self.clock, on_request=self._requested, on_trouble=self._trouble)
            )
            supervisor = await stack.enter_async_context(Supervisor(self.clock, tracer))
            self._supervisor = supervisor
            if self.settings.profile:
                profiler = stack.enter_context(Profiler(self.settings.data / PROFILE, stalled))
                supervisor.keep(profiler.beat, "profile")
                log.info("profiling", file=str(profiler.path))
            await self._serve_pages(supervisor, stack)
            lost: asyncio.Task[None] | None = None
            if self.settings.lease:
                leadership = self._leadership(cluster)
                _ = supervisor.spawn(leadership.run(), "lease")
                self._standby = True
                log.info("waiting for the lease", identity=leadership.identity)
                if not await first(supervisor, leadership.acquired(), stop):
                    return
                self._fence = cluster.client.fence = leadership.held
                lost = supervisor.spawn(leadership.lost(), "lease lost")
                log.info("leading", identity=leadership.identity, transitions=leadership.transitions)
            self._standby = False
            self.metrics.leading.set(1)
            await self._lead(cluster, supervisor, tracer, stack)
            waits = supervisor.spawn(stop.wait(), "stop")
            await asyncio.wait([waits, *([lost] if lost else [])], return_when=asyncio.FIRST_COMPLETED)
            self._ready = False
            self.metrics.leading.set(0)
            if lost is not None and lost.done() and not stop.is_set():
                raise TryLater(
                    "another controller leads now, or the API server could not be reached to renew the Lease"
                )

    # --- parts -------------------------------------------------------------------------------------------------------

    async def _lead(self, cluster: KubeCluster, supervisor: Supervisor, tracer: Tracer, stack: AsyncExitStack) -> None:
        settings, fleet, clock = self.settings, self.fleet, self.clock
        fleet.system = settings.namespace
        key = await digest_key(cluster, settings.namespace)
        workers = Workers(
            count=settings.renderers,
            timeout=settings.render_timeout,
            memory=settings.render_memory,
            helm=settings.helm,
        )
        await stack.enter_async_context(workers)
        renderer = CachedRenderer(workers, settings.data / "renders", key, no_cache, program=settings.helm)
        stack.push_async_callback(renderer.close)
        syncs: WorkQueue[Key] = WorkQueue(base=5.0, cap=300.0)
        asks: WorkQueue[Key] = WorkQueue(base=1.0, cap=300.0)
        stack.callback(syncs.close)
        stack.callback(asks.close)
        record = Recorder(clock, self.metrics)
        reporter = Reporter(fleet, cluster, clock, settings.identity or socket.gethostname())
        stack.callback(reporter.statuses.close)
        stack.callback(reporter.event_queue.close)
        health = HealthWatch(fleet, cluster, clock, supervisor, wake=syncs.add, report=reporter.changed, record=record)
        stack.callback(health.again.close)
        secrets = SecretReader(cluster, clock)
        keeper = self._ledger(supervisor, secrets, record, key, reporter, stack)
        inventory = Inventory(cluster)
        drift = DriftFlow(fleet, cluster, clock, health, reporter, self.metrics, wake=syncs.add, record=record)
        stack.callback(drift.queue.close)
        effects = Effects(cluster, clock, drift, self.metrics, tracer)
        values = Values(cluster, supervisor, syncs.add)
        http = await stack.enter_async_context(Http(local=settings.local_charts))
        store = ChartStore(settings.data / "charts", http, clock)
        charts = ChartFlow(
            fleet, cluster, store, clock, wake=syncs.add, told=reporter.changed, fetch=settings.fetch_dependencies
        )
        stack.callback(charts.queue.close)
        desires = Desires(fleet, renderer, inventory, values, charts, key, tracer, syncs.add)
        upstreams = Upstreams(secrets, clock, settings.data / "git", local=settings.local_git)
        commits = Commits(fleet, upstreams, pushed=asks.add)
        stack.callback(commits.queue.close)
        rollback = AutoRollback(fleet, commits, reporter, clock, record)
        stack.callback(rollback.queue.close)
        spoken = Spoken(record, clock, fleet, commits)
        expiry = Expiry(fleet, commits, reporter, spoken, clock)
        reporter.listeners += [expiry.look, rollback.look]
        reporter.cluster_listeners.append(expiry.look_at_cluster)
        glass = GlassFlow(fleet, cluster, commits, reporter, record, clock, wake=syncs.add)
        stack.callback(glass.queue.close)
        looks = Looks(reporter, health, drift)
        sync = Synchronizer(fleet, cluster, desires, effects, inventory, clock, syncs, looks, record)
        drift.attach(effects, sync.acting)
        search = ImageSearch(ImageStore(http, clock), store)
        automator = Automator(fleet, cluster, secrets, search, commits, clock, record)
        stack.callback(automator.queue.close)
        alerts = AlertFlow(fleet, cluster, secrets, HttpNotifier(http, clock), Outbox(settings.data / "notices"), clock)
        stack.callback(alerts.close)
        record.listen(alerts.hear, alerts.listens)

        def looked_at(source: SourceState) -> None:
            reporter.source_changed(source)
            automator.source_changed(source)
            glass.source_changed(source)

        sources = Sources(
            fleet, secrets, renderer, clock, asks, MirrorPlace(settings.data / "git", settings.local_git),
            wake=syncs.add, report=looked_at, metrics=self.metrics, record=record,
        )  # fmt: skip
        self._hooks, self._automator = Hooks(fleet, secrets, asks, clock), automator
        self._alarms = Alarms(fleet, secrets, record)

        def gone(state: ApplicationState) -> None:
            syncs.drop(state.key)
            values.forget(state.key)
            charts.forget(state.key)
            health.forget_all(state)
            drift.forget(state)
            rollback.gone(state)
            glass.gone(state)
            record.gone(state)

        def installed() -> None:
            if fleet.installation is not None:
                inventory.restore(fleet.installation.status.kinds)
            reporter.installation_changed()
            keeper.wake()

        def ask(source: Key) -> None:
            asks.add(source)
            if source == fleet.ledger:
                keeper.wake()

        informers = Informers(
            fleet,
            cluster,
            wake=glass.wake,
            ask=ask,
            gone=gone,
            source_gone=sources.gone,
            installed=installed,
            spoken=spoken,
            synced=lambda kind: self._synced[kind].set(),
            record=record,
        )
        self.metrics.watch(Numbers(fleet, renderer, reporter, syncs, asks, supervisor, keeper))
        cluster.live.listen(drift.on_change)
        supervisor.keep(informers.installations, "installation")
        await self._synced[installation.KIND].wait()
        if fleet.installation is not None:
            inventory.restore(fleet.installation.status.kinds)
            left = await inventory.watch_recorded(
                lambda word, error: log.warning("kind not watched", kind=word, error=error.what)
            )
            if left:
                _ = supervisor.spawn(watch_rest(inventory), "kinds not watched")
        supervisor.keep(informers.repositories, "repositories")
        await self._synced[repository.KIND].wait()
        record.story = sources.story
        with contextlib.suppress(TimeoutError):
            # What was told before is known before anything is told again, where Git can be asked.
            async with asyncio.timeout(PATIENCE):
                await keeper.look("ledger")
        _ = supervisor.spawn(sources.sweep(), "old mirrors")
        supervisor.keep(informers.applications, "applications")
        await self._synced[application.KIND].wait()
        supervisor.workers(asks, sources.look, "repository", count=8, bound=STUCK * 4)
        supervisor.workers(syncs, sync.reconcile, "sync", count=settings.workers, bound=STUCK)
        supervisor.workers(charts.queue, charts.look, "chart", count=8, bound=STUCK * 4)
        supervisor.workers(drift.queue, drift.examine, "drift", count=16, bound=STUCK)
        supervisor.workers(health.again, health.look_again, "health", count=1, bound=STUCK)
        supervisor.keep(WarningWatch(fleet, cluster, record).run, "warnings")
        supervisor.workers(keeper.queue, keeper.look, "ledger", count=1, bound=STUCK)
        supervisor.workers(rollback.queue, rollback.decide, "rollback", count=2, bound=STUCK)
        supervisor.workers(glass.queue, glass.judge, "break-glass", count=2, bound=STUCK)
        supervisor.workers(commits.queue, commits.commit, "commit", count=4, bound=STUCK * 4)
        supervisor.workers(reporter.statuses, reporter.write_status, "status", count=8, bound=STUCK)
        supervisor.workers(reporter.event_queue, reporter.write_event, "event", count=2, bound=STUCK)
        automator.start(supervisor)
        alerts.start(supervisor)
        supervisor.keep(self._measure_lag, "lag")
        self._ready = True
        self.started.set()

    def _tracer(self, stack: AsyncExitStack) -> Tracer:
        if not self.settings.trace:
            return NoTracer()
        tracer = OpenTelemetryTracer("windlass-controller")
        stack.callback(tracer.close)
        return tracer

    def _ledger(
        self,
        supervisor: Supervisor,
        secrets: SecretReader,
        record: Recorder,
        key: bytes,
        reporter: Reporter,
        stack: AsyncExitStack,
    ) -> LedgerKeeper:
        settings = self.settings

        def open_ledger(cluster: str) -> Ledger:
            writer = LedgerWriter(
                cluster, settings.data / "ledger" / cluster, self.clock,
                may=self._leads, report=keeper.changed, local=settings.local_git,
            )  # fmt: skip
            supervisor.keep(writer.run, "ledger pushes")
            stack.push_async_callback(writer.close)
            return writer

        keeper = LedgerKeeper(self.fleet, secrets, record, self.clock, open_ledger, key, reporter.installation_changed)
        stack.callback(keeper.queue.close)
        reporter.ledger = keeper
        return keeper

    def _leads(self) -> bool:
        return self._fence is None or self._fence()

    def _leadership(self, cluster: KubeCluster) -> LeaseLeadership:
        settings = self.settings
        name = settings.identity or socket.gethostname()
        return LeaseLeadership(
            cluster.client,
            self.clock,
            settings.namespace,
            identity(name, self.clock.now(), os.getpid()),
            name=LEASE,
        )

    async def _serve_pages(self, supervisor: Supervisor, stack: AsyncExitStack) -> None:
        pages = Pages(
            alive=self._alive,
            ready=self._is_ready,
            metrics=self.metrics.exposition,
            hook=self._hook,
            alerts=self._alarm,
        )
        config = uvicorn.Config(
            pages,
            host=self.settings.listen,
            port=self.settings.port,
            log_config=None,
            access_log=False,
            lifespan="off",
            http="httptools",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        server = Server(config)
        task = supervisor.spawn(server.serve([self._listener] if self._listener is not None else None), "pages")
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn tells it by nothing else
            await asyncio.sleep(0.005)
        if not server.started:
            raise TryLater(f"port {self.settings.port} of {self.settings.listen} can't be listened on")
        self.port = server.servers[0].sockets[0].getsockname()[1]

        async def end() -> None:
            server.should_exit = True
            await asyncio.wait([task], timeout=5)

        stack.push_async_callback(end)

    async def _hook(self, kind: str, key: Key, headers: dict[str, str], query: str, body: bytes) -> HookAnswer:
        if self._hooks is None or self._automator is None:
            return HookAnswer(503, "this controller does not lead\n")
        if kind == "registry":
            return await self._automator.hook(key, headers, query, body)
        return await self._hooks.receive(key, headers, body)

    async def _alarm(self, headers: dict[str, str], body: bytes) -> HookAnswer:
        if self._alarms is None:
            return HookAnswer(503, "this controller does not lead\n")
        return await self._alarms.receive(headers, body)

    def _requested(self, verb: str, kind: str, code: int, seconds: float) -> None:
        self.metrics.request(verb, kind, code, seconds)
        if code and self._supervisor is not None:
            self._supervisor.progressed()

    def _alive(self) -> str:
        stuck = self._supervisor.stuck() if self._supervisor is not None else []
        return f"stuck: {', '.join(stuck)}" if stuck else ""

    def _is_ready(self) -> str:
        # A controller that waits for the Lease is ready to take over.
        return "" if self._ready or self._standby else "starting"

    def _trouble(self, resource: Resource, error: WindlassError | None) -> None:
        if error is not None:
            log.warning("watch troubled", kind=resource.kind, error=error.what)
        else:
            log.info("watch well again", kind=resource.kind)

    async def _measure_lag(self) -> None:
        """How late the loop is: the promise is that nothing on it takes over 5 ms."""
        while True:
            due = self.clock.monotonic() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            self.metrics.lag.observe(max(0.0, self.clock.monotonic() - due))


class Looks:
    """``sync.Looks``: who hears that something may look different now."""

    def __init__(self, reporter: Reporter, health: HealthWatch, drift: DriftFlow) -> None:
        self._reporter = reporter
        self._health = health
        self._drift = drift

    def changed(self, state: ApplicationState) -> None:
        self._reporter.changed(state)

    def wanted(self, state: ApplicationState) -> None:
        self._health.assess_all(state)
        state.forget_others()
        self._drift.compare(state)


class Server(uvicorn.Server):
    """Leaves the signals to whoever runs the controller."""

    @override
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def stalled(seconds: float, stack: str) -> None:
    """What held the event loop, for the log."""
    log.warning("loop stalled", seconds=round(seconds, 3), stack=stack)


def no_cache(error: WindlassError) -> None:
    log.warning("renders are not kept", error=str(error), mend=error.hint)


async def first(supervisor: Supervisor, wanted: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """True when ``wanted`` came before ``stop``."""
    one = supervisor.spawn(wanted, "wanted")
    other = supervisor.spawn(stop.wait(), "stop")
    await asyncio.wait([one, other], return_when=asyncio.FIRST_COMPLETED)
    other.cancel()
    return one.done()


async def watch_rest(inventory: Inventory) -> None:
    """Kinds that were recorded and are not served at the start (an aggregated API that is down, a CRD that comes back):
    asked for again at growing distances, so that what left Git in the meantime is pruned."""
    wait = 5.0
    while await inventory.watch_recorded(
        lambda word, error: log.debug("kind not watched", kind=word, error=error.what)
    ):
        await asyncio.sleep(wait)
        wait = min(wait * 2, 300.0)


async def digest_key(cluster: KubeCluster, namespace: str) -> bytes:
    """The key of this cluster for digests of Secrets, made once. Without it a digest in an annotation could be guessed
    back to a short value."""
    ref = ObjectRef("", "Secret", namespace, DIGEST_SECRET)
    content = await cluster.read(SECRETS, ref)
    if content is None:
        key = random_secrets.token_bytes(32)
        made = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": DIGEST_SECRET, "namespace": namespace},
            "immutable": True,
            "data": {"key": base64.b64encode(key).decode()},
        }
        try:
            await cluster.create(SECRETS, namespace, made, manager="windlass")
        except ObjectMissing:
            raise
        except WindlassError:
            # Another controller was faster; its key is the one.
            content = await cluster.read(SECRETS, ref)
            if content is None:
                raise
        else:
            return key
    key = decoded(content.get("data") or {}, DIGEST_SECRET).get("key", b"")
    if not key:
        raise NeedsHuman(
            f"Secret {namespace}/{DIGEST_SECRET} holds no key", hint="delete it: the controller makes a new one"
        )
    return key
