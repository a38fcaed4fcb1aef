"""A commit over thousands of Applications: whom it touches looks, the others stand, and the loop goes on turning."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec

from windlass.adapters.render import Workers
from windlass.core.kinds.application import Application
from windlass.core.plan.ownership import Claim
from windlass.flows.fleet import ApplicationState, Fleet, Key, SourceState
from windlass.flows.readers import Readers
from windlass.flows.sources import PIECE, Sources
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
    fleet.add(state)
    fleet.users.setdefault(SOURCE, set()).add(state.key)
    return state


def sources(fleet: Fleet, woken: list[Key]) -> Sources:
    unused = cast(Any, None)
    return Sources(
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


async def test_a_commit_wakes_whom_it_touches_and_asks_nobody_else() -> None:
    """Of five thousand one reads the changed file, one is rendered now, one has nothing yet: those look. The others are
    not touched at all, and stand at the new commit when somebody asks."""
    fleet, woken = Fleet(), list[Key]()
    fleet.readers[SOURCE] = Readers("old")
    states = [application(number, fleet) for number in range(5000)]
    for one in states:
        assert one.written is not None
        assert fleet.settle(one, one.written)
    fleet.unsettle(states[7])
    fleet.unsettle(states[8])
    states[8].rendered = None
    was = [one.rendered for one in states]
    count = await sources(fleet, woken)._spread(
        SourceState(SOURCE), "old", "new", ["apps/app-4242/b.yaml", "docs/x.md"]
    )
    assert set(woken) == {states[4242].key, states[7].key, states[8].key}
    assert count == 3
    assert all(one.rendered is before for one, before in zip(states, was, strict=True))
    at = {
        number: state.rendered.commit for number in (0, 4242) if (state := states[number]) and fleet.brought_on(state)
    }
    assert at == {0: "new", 4242: "old"}


async def test_where_it_is_not_known_what_a_commit_touches_everybody_looks_in_pieces() -> None:
    fleet, woken = Fleet(), list[Key]()
    states = [application(number, fleet) for number in range(3000)]
    turns = 0

    async def beat() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(beat())
        count = await sources(fleet, woken)._spread(SourceState(SOURCE), "", "new", None)
        beating.cancel()
    assert (count, set(woken)) == (3000, {state.key for state in states})
    assert turns >= 3000 / PIECE
    woken.clear()
    assert await sources(fleet, woken)._spread(SourceState(SOURCE), "another", "newer", []) == 3000, "out of step"
