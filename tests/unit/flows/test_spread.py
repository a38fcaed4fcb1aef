"""A commit over thousands of Applications: whom it touches looks, the others move on, and the loop goes on turning."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import msgspec

from windlass.adapters.render import Workers
from windlass.core.kinds.application import Application
from windlass.core.plan.ownership import Claim
from windlass.flows.fleet import ApplicationState, Fleet, Key, SourceState
from windlass.flows.sources import Sources
from windlass.ports import Rendered

SOURCE = Key("shop", "config")


def application(number: int, fleet: Fleet) -> ApplicationState:
    """One that read its own folder at the old commit."""
    name = f"app-{number}"
    spec = {"source": {"repository": "config", "path": f"apps/{name}"}, "destination": {"namespace": "shop"}}
    meta = {"name": name, "namespace": "shop"}
    state = ApplicationState(Key("shop", name), Claim.of("shop", name))
    state.written = msgspec.convert({"metadata": meta, "spec": spec, "status": {}}, Application)
    read = {f"apps/{name}/": "names", **{f"apps/{name}/{file}.yaml": "blob" for file in "abc"}}
    state.rendered = Rendered(commit="old", objects=[], read=read)
    fleet.applications[state.key] = state
    fleet.users.setdefault(SOURCE, set()).add(state.key)
    return state


async def test_a_commit_wakes_whom_it_touches_and_holds_nothing_up() -> None:
    """Of five thousand one reads the changed file, one renders now, one was rendered anew meanwhile, one has nothing
    yet: those look. No turn of the loop takes long."""
    fleet, woken = Fleet(), list[Key]()
    states = [application(number, fleet) for number in range(5000)]
    states[7].looking = 1.0
    states[8].rendered = None
    unused = cast(Any, None)
    sources = Sources(
        fleet,
        unused,
        Workers(),
        unused,
        unused,
        unused,
        wake=woken.append,
        report=unused,
        metrics=unused,
        record=unused,
    )
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)
            if longest and states[9].rendered is not None and states[9].rendered.commit == "old":
                states[9].rendered = msgspec.structs.replace(states[9].rendered, commit="new")

    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(beat())
        await asyncio.sleep(0)
        count = await sources._spread(SourceState(SOURCE), "old", "new", ["apps/app-4242/b.yaml", "docs/x.md"])
        beating.cancel()
    assert set(woken) >= {states[4242].key, states[7].key, states[8].key}
    assert set(woken) <= {states[4242].key, states[7].key, states[8].key, states[9].key}
    assert count == len(woken)
    at = {state.rendered.commit for state in states if state.rendered is not None and state is not states[4242]}
    assert at == {"new"}
    assert longest < 0.03
