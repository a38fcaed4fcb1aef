"""The scenarios: each does one thing to a fleet that is in sync, and tells what it cost.

`cold` comes first where all are run, because the others need what it makes; run alone, they make it by themselves.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from bench import measure
from bench.figures import Result, table
from bench.fleet import Fleet, dumped, never_ready
from bench.lean import MERGE, Event, Lean, rolled_out
from bench.world import Options, Spent, World, opened, prepare, started_cluster

Scenario = Callable[[World], Awaitable[Result]]
MB = 1 << 20
COLD_CPU = "CPU of the controller and its workers"
COMMIT_CPU = "CPU of the controller and its workers, mean"


def result_of(name: str, world: World) -> Result:
    return Result(name, world.cluster.name, world.fleet.applications)


def breakdown(spent: Spent) -> str:
    told = ", ".join(f"{count} {word}" for word, count in spent.requests.most_common(12))
    return told if spent.audited else f"{told} (by the controller's own count)"


async def bare_writes(options: Options, fleet: Fleet) -> tuple[float, float]:
    """The seconds that the API server needs for the bare writes of the same objects (fresh, so many at a time), and the
    CPU seconds of it and of etcd meanwhile."""
    name = f"bare-{fleet.objects}{'-overlays' if fleet.overlays else ''}"
    async with started_cluster(options, name) as cluster, Lean(cluster, "bench-bare") as client:
        await prepare(client, fleet, "bare")
        before = measure.server_cpu_seconds(cluster)
        seconds = await client.apply_all(fleet.bodies("bare"))
        cpu = measure.server_cpu_seconds(cluster) - before
        if not cluster.plane:
            for path in {path.split("/namespaces/")[1].split("/")[0] for path, _ in fleet.bodies("bare")}:
                await client.request("DELETE", f"/api/v1/namespaces/{path}")
        return seconds, cpu


async def cold(world: World, *, compared: bool = True) -> Result:
    """From the start of the controller's process until every Application is synced and healthy; ``compared`` with the
    bare writer."""
    result = result_of("cold", world)
    bare, bare_cpu = await bare_writes(world.options, world.fleet) if compared else (0.0, 0.0)
    head, objects = world.team.head(), world.fleet.objects
    mark = await world.mark()
    ready = await world.start()
    mark.metrics = await world.metrics()
    await world.until(lambda: world.all_at(head, healthy=False), "every Application is synced")
    seconds = time.monotonic() - mark.at
    server = measure.server_cpu_seconds(world.cluster) - mark.server
    await world.until(lambda: world.all_at(head, healthy=True), "every Application is healthy")
    healthy = time.monotonic() - mark.at
    await asyncio.sleep(5)
    spent = await world.since(mark)
    world.synced = True
    plain = spent.count(lambda word: not measure.is_event(word))
    result.add("requests per object, without Events", plain / objects, aim=1.15, note=breakdown(spent))
    result.add("requests per object, with Events", spent.count() / objects)
    result.add(COLD_CPU, spent.cpu, "s", aim=10.0 * objects / 10_000)
    result.add("of that the controller's own process", spent.own_cpu, "s")
    result.add("start of the process to all synced", seconds, "s", note=f"ready after {ready:.1f} s")
    if compared:
        result.add("the bare writer", bare, "s", note="32 at a time, the same bodies, on a server of its own")
        result.add("ratio to the bare writer", seconds / bare, "x", aim=1.3)
    if world.cluster.plane:
        told = f"{bare_cpu:.1f} s for the bare writer" if compared else ""
        result.add("CPU of API server and etcd until all synced", server, "s", note=told)
    result.add("start of the process to all healthy", healthy, "s")
    result.add("event-loop lag, p99 at most", spent.lag * 1000, "ms", aim=20)
    one, all_ = measure.memory(world.pid)
    result.add("memory of the controller", one / MB, "MB", aim=200, note=f"{all_ / MB:.0f} MB with its workers")
    return result


async def rest(world: World) -> Result:
    """Nothing happens."""
    result = result_of("rest", world)
    await world.be_synced()
    mark = await world.mark()
    await asyncio.sleep(600 if world.options.long else 60)
    spent = await world.since(mark)
    minutes = spent.seconds / 60
    others = spent.count(lambda word: not measure.is_lease(word))
    writes = spent.count(lambda word: measure.is_write(word) and not measure.is_lease(word))
    result.add("writes, besides the Lease", writes, aim=0, note=breakdown(spent))
    result.add("requests a minute, besides the Lease", others / minutes, aim=10)
    result.add("renewals of the Lease a minute", (spent.count() - others) / minutes)
    result.add("share of a core", 100 * spent.cpu / spent.seconds, "%", aim=0.5)
    one, all_ = measure.memory(world.pid)
    result.add("memory of the controller", one / MB, "MB", aim=200, note=f"{all_ / MB:.0f} MB with its workers")
    result.add("event-loop lag, p99 at most", spent.lag * 1000, "ms", aim=20)
    return result


class Watched:
    """ConfigMaps of the fleet as a watch tells them, with whoever waits for a value of one."""

    def __init__(self, events: AsyncIterator[Event]) -> None:
        self._events = events
        self._waits: dict[tuple[str, str], tuple[str, asyncio.Future[float]]] = {}
        self.levels: dict[str, str] = {}

    async def follow(self) -> None:
        async with aclosing(self._events) as events:  # type: ignore[type-var]
            async for event in events:
                meta, level = event.object.metadata, event.object.data.get("level", "")
                self.levels[meta.name] = level
                wanted = self._waits.get((meta.name, level))
                if wanted is not None and meta.resourceVersion != wanted[0] and not wanted[1].done():
                    wanted[1].set_result(time.monotonic())

    def expect(self, name: str, level: str, beside: str = "") -> asyncio.Future[float]:
        """When the ConfigMap has this level, in another version than ``beside``."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waits[name, level] = (beside, future)
        return future


async def watched(world: World, tasks: asyncio.TaskGroup) -> tuple[Watched, asyncio.Task[None]]:
    seen = Watched(world.client.watch("/api/v1/configmaps"))
    task = tasks.create_task(seen.follow())
    while len(seen.levels) < len(world.fleet.maps) * world.fleet.applications:
        await asyncio.sleep(0.1)
    return seen, task


@dataclass
class Commits:
    """What a few one-file commits took, one after the other. Times are in seconds."""

    pushed: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    renders: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    lag: float = 0.0
    words: str = ""


async def commits(world: World, names: list[str], word: str) -> Commits:
    """In each named Application one value in one file changes: pushed, told by the hook, live."""
    done = Commits()
    number = world.fleet.edited
    async with asyncio.TaskGroup() as tasks:
        seen, task = await watched(world, tasks)
        whole = await world.mark()
        for turn, name in enumerate(names):
            file = world.team.work / world.fleet.edited_file(name)
            level = f"{word}-{turn}"
            text = file.read_text()
            now = seen.levels[f"{name}-{number}"]
            file.write_text(text.replace(f"level: {now}\n", f"level: {level}\n"))
            mark = await world.mark()
            live = seen.expect(f"{name}-{number}", level)
            began = time.monotonic()
            hooked = await asyncio.to_thread(push_and_tell, world)
            at = await asyncio.wait_for(live, 60)
            done.pushed.append(at - began)
            done.told.append(at - hooked)
            await asyncio.sleep(2)
            spent = await world.since(mark)
            done.requests.append(spent.count(lambda word: not measure.is_lease(word)))
            done.renders.append(spent.metrics.get("windlass_renders_total", 0.0))
            done.cpu.append(spent.cpu)
            done.words = breakdown(spent)
        done.lag = (await world.since(whole)).lag
        task.cancel()
    return done


def spread(world: World, rounds: int) -> list[str]:
    """So many Applications from all over the fleet."""
    return [world.fleet.names[(turn * 37) % world.fleet.applications] for turn in range(rounds)]


async def commit(world: World, aim: float = 250) -> Result:
    """One value in one file changes: pushed, told by the hook, live."""
    result = result_of("commit", world)
    await world.be_synced()
    done = await commits(world, spread(world, world.options.rounds), "debug")
    result.add("hook sent to live, median", 1000 * statistics.median(done.told), "ms", aim=aim)
    result.add("hook sent to live, slowest", 1000 * max(done.told), "ms", note=f"of {len(done.told)}")
    result.add("push begun to live, median", 1000 * statistics.median(done.pushed), "ms")
    result.add("requests, without the Lease, median", statistics.median(done.requests), aim=5, note=done.words)
    result.add("renders, median", statistics.median(done.renders), aim=1)
    result.add(COMMIT_CPU, statistics.fmean(done.cpu), "s", note="git included")
    result.add("event-loop lag, p99 at most", done.lag * 1000, "ms", aim=20)
    return result


async def unhealthy(world: World) -> Result:
    """Fifty Applications (or a twentieth) never get healthy: do the others wait for them?"""
    result = result_of("unhealthy", world)
    await world.be_synced()
    count = min(50, world.fleet.applications // 20)
    healthy, never = world.fleet.names[:-count], set(world.fleet.names[-count:])
    rounds = [healthy[(turn * 37) % len(healthy)] for turn in range(world.options.rounds)]
    before = await commits(world, rounds, "before")
    for name in never:
        told = dict(world.fleet.manifests(name))["deployment.yaml"]
        (world.team.work / f"apps/{name}/deployment.yaml").write_text(dumped(never_ready(told)))
    await asyncio.to_thread(push_and_tell, world)
    await world.until(lambda: all(world.seen[name].health != "Healthy" for name in never), "they are not healthy")
    await asyncio.sleep(10)
    mark = await world.mark()
    during = await commits(world, rounds, "during")
    spent = await world.since(mark)
    for name in never:
        told = dict(world.fleet.manifests(name))["deployment.yaml"]
        (world.team.work / f"apps/{name}/deployment.yaml").write_text(dumped(told))
    await asyncio.to_thread(push_and_tell, world)
    await world.until(lambda: all(world.seen[name].health == "Healthy" for name in never), "they are healthy again")
    was, now = statistics.median(before.told), statistics.median(during.told)
    result.add("hook sent to live without them, median", 1000 * was, "ms")
    result.add(f"hook sent to live beside {count} of them, median", 1000 * now, "ms")
    result.add("ratio", now / was, "x", aim=1.2)
    result.add("share of a core meanwhile", 100 * spent.cpu / spent.seconds, "%")
    result.add("event-loop lag, p99 at most", spent.lag * 1000, "ms", aim=20)
    return result


async def foreign(world: World) -> Result:
    """Other controllers write the status of Deployments, 500 times a second, and nothing is to be done about it."""
    result = result_of("foreign", world)
    await world.be_synced()
    rate, seconds = 500, 20.0
    wrote = 0
    mark = await world.mark()
    began = time.monotonic()

    async def write(first: int) -> None:
        nonlocal wrote
        for number in range(first, int(rate * seconds), 32):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            if time.monotonic() - began > seconds:
                return
            name = world.fleet.names[number % world.fleet.applications]
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_700_000_000 + number))
            path = f"/apis/apps/v1/namespaces/{world.fleet.team(name)}/deployments/{name}/status"
            body = json.dumps({"status": rolled_out(stamp)}).encode()
            await world.client.request("PATCH", f"{path}?fieldManager=somebody", body, MERGE)
            wrote += 1

    await asyncio.gather(*map(write, range(32)))
    took = time.monotonic() - began
    spent = await world.since(mark)
    reached = wrote / took
    result.add("status writes a second", reached, note=f"of {rate}: what the API server takes")
    share = 100 * spent.cpu / spent.seconds
    result.add("share of a core", share, "%", aim=5.0 * min(1.0, reached / rate), note="the aim is for this rate")
    result.add("CPU for one", 1e6 * spent.cpu / wrote, "us")
    others = spent.count(lambda word: not measure.is_lease(word) and not word.startswith("watch "))
    result.add("requests, but the Lease and watches opened anew", others, aim=0, note=breakdown(spent))
    result.add("renders", spent.metrics.get("windlass_renders_total", 0.0), aim=0)
    result.add("event-loop lag, p99 at most", spent.lag * 1000, "ms", aim=20)
    return result


async def large(options: Options) -> Result:
    """Ten times the Applications, of three objects each, against as many as said."""
    few = await whole("large-few", options, Fleet(options.applications, small=True), memory=600, aim=400)
    many = await whole("large", options, Fleet(10 * options.applications, small=True), memory=600, aim=400)
    for what, words in (
        (COMMIT_CPU, "CPU of a commit"),
        (COLD_CPU, "CPU of the first sync for each object"),
    ):
        share = 10 if what == COLD_CPU else 1
        ratio = many.value(what) / few.value(what) / share
        many.add(f"{words}, against {options.applications}", ratio, "x", aim=1.5)
    return many


async def kustomize(options: Options) -> Result:
    """The same objects as Kustomize overlays over one base."""
    return await whole("kustomize", options, Fleet(options.applications, overlays=True), memory=200, aim=250)


async def whole(name: str, options: Options, fleet: Fleet, *, memory: float, aim: float) -> Result:
    """A world of its own: the first sync of another fleet, then commits to it."""
    async with opened(options, fleet, name) as world:
        first = await cold(world, compared=not fleet.small)
        print(table([first]), file=sys.stderr, flush=True)  # a large world takes its time
        then = await commit(world, aim)
    result = Result(name, first.cluster, fleet.applications, first.figures + then.figures)
    for one in result.figures:
        if one.what == "memory of the controller":
            one.aim = memory
        elif fleet.small and (one.what.startswith("requests per object") or one.what == COLD_CPU):
            one.aim = None  # a render, a status and an Event for three objects weigh more than for ten
    return result


def push_and_tell(world: World) -> float:
    """Commits, pushes and sends the hook; returns when the hook was sent."""
    from e2e.team import git

    team = world.team
    git(team.work, "add", "-A")
    git(team.work, "commit", "-q", "-m", "Change one value")
    git(team.work, "push", "-q", "origin", "HEAD:main")
    sent = time.monotonic()
    answered = team.hook()
    if answered != 202:
        raise AssertionError(f"the hook was answered {answered}")
    return sent


async def drift(world: World) -> Result:
    """Somebody changes a field that Git has: one at a time, then many at once. From the write's sending to the reverted
    value in a watch."""
    result = result_of("drift", world)
    await world.be_synced()
    names = world.fleet.names
    singles = [f"{name}-1" for name in names][: world.options.drifts]
    many = [f"{name}-{number}" for number in (5, 4, 6) for name in names][: world.options.burst]
    async with asyncio.TaskGroup() as tasks:
        seen, task = await watched(world, tasks)

        places = asyncio.Semaphore(32)

        async def once(name: str) -> float:
            path = f"/api/v1/namespaces/{world.fleet.team(name.rpartition('-')[0])}/configmaps/{name}"
            body = json.dumps({"data": {"level": "by-hand"}}).encode()
            back = seen.expect(name, "info")
            async with places:
                began = time.monotonic()
                await world.client.request("PATCH", f"{path}?fieldManager=somebody", body, MERGE)
            return await asyncio.wait_for(back, 60) - began

        mark = await world.mark()
        times = []
        for name in singles:
            times.append(await once(name))
            await asyncio.sleep(0.02)
        spent = await world.since(mark)
        await asyncio.sleep(3)
        began = time.monotonic()
        burst_mark = await world.mark()
        burst = await asyncio.gather(*map(once, many))
        all_back = time.monotonic() - began
        burst_spent = await world.since(burst_mark)
        task.cancel()
    times.sort()
    result.add("one field, median", 1000 * statistics.median(times), "ms", aim=25)
    result.add("one field, p99", 1000 * times[int(len(times) * 0.99)], "ms", aim=60, note=f"of {len(times)}")
    result.add("requests for one, all counted", spent.count() / len(times), note=breakdown(spent))
    result.add("CPU for one", 1000 * spent.cpu / len(times), "ms")
    result.add(f"a burst of {len(burst)}", all_back, "s", aim=4.0 * len(burst) / 1000, note=breakdown(burst_spent))
    result.add("CPU for the burst", burst_spent.cpu, "s")
    result.add("event-loop lag in the burst, p99 at most", burst_spent.lag * 1000, "ms", aim=20)
    return result


async def restart(world: World) -> Result:
    """The controller ends and starts again; nothing changed in between. With its local state, and without."""
    result = result_of("restart", world)
    await world.be_synced()
    for words, lost, aim in (("with local state", False, 2.0), ("without local state", True, 15.0)):
        await world.stop()
        if lost:
            await asyncio.to_thread(shutil.rmtree, world.installed.folder / "data")
        mark = await world.mark()
        await world.start()
        while True:
            metrics = await world.metrics()
            good = metrics.get('windlass_applications{health="Healthy",sync="Synced"}', 0.0)
            if good == world.fleet.applications:
                break
            await asyncio.sleep(0.1)
        seconds = time.monotonic() - mark.at
        await asyncio.sleep(5)
        spent = await world.since(mark)
        writes = spent.count(lambda word: measure.is_write(word) and not measure.is_lease(word))
        result.add(f"{words}: true answer", seconds, "s", aim=aim)
        result.add(f"{words}: requests", spent.count(), aim=20, note=breakdown(spent))
        result.add(f"{words}: writes, besides the Lease", writes, aim=0)
        result.add(f"{words}: renders", spent.metrics.get("windlass_renders_total", 0.0))
        result.add(f"{words}: CPU", spent.cpu, "s")
        result.add(f"{words}: event-loop lag, p99 at most", spent.lag * 1000, "ms", aim=20)
    return result


async def devcluster(options: Options) -> Result:
    """The devcluster by itself: how soon it is there, and how many applies it takes."""
    small = Fleet(min(options.applications, 200))
    result = Result("devcluster", "devcluster", small.applications)
    began = time.monotonic()
    theirs = Options("devcluster", small.applications, options.folder)
    async with started_cluster(theirs, "devcluster-alone") as cluster:
        result.add("start of the process to ready", time.monotonic() - began, "s", aim=1)
        async with Lean(cluster, "bench") as client:
            await prepare(client, small, "bare")
            bodies = list(small.bodies("bare"))
            seconds = await client.apply_all(bodies)
            result.add("server-side applies a second", len(bodies) / seconds, "", aim=500, least=True)
    return result


SCENARIOS: dict[str, Scenario] = {
    "cold": cold,
    "rest": rest,
    "commit": commit,
    "unhealthy": unhealthy,
    "foreign": foreign,
    "drift": drift,
    "restart": restart,
}
"""One after the other in one world."""
ALONE: dict[str, Callable[[Options], Awaitable[Result]]] = {
    "devcluster": devcluster,
    "kustomize": kustomize,
    "large": large,
}
"""Each in a world of its own."""
