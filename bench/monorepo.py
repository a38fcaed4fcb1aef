"""`make bench-monorepo`: a thousand overlays, fifty of each base, in one repository: what a commit makes anew.

A commit that touches one base renders its fifty, one overlay one, and what is nobody's none: counted by the
controller's own metric, with the requests by the audit log. Nothing in the Applications says which paths matter.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench import measure
from bench.figures import Result
from bench.fleet import Fleet
from bench.scenarios import breakdown, push_and_tell, watched
from bench.world import Options, World, opened

SHARE = 50


async def monorepo(options: Options) -> Result:
    """Three commits, from the widest to the one that concerns nobody."""
    fleet = Fleet(options.applications, overlays=True, share=SHARE)
    result = Result("monorepo", "", fleet.applications)
    async with opened(options, fleet, "monorepo") as world:
        result.cluster = world.cluster.name
        await world.be_synced()
        chosen = fleet.names[fleet.applications // 2]
        of_base = [name for name in fleet.names if fleet.base(name) == fleet.base(chosen)]
        base = world.team.work / fleet.base(chosen) / "config-1.yaml"
        await one_commit(world, result, "a base", base, [f"{name}-1" for name in of_base])
        overlay = world.team.work / fleet.edited_file(chosen)
        await one_commit(world, result, "an overlay", overlay, [f"{chosen}-{fleet.edited}"])
        await one_commit(world, result, "nobody's file", world.team.work / "README.md", [])
    return result


async def one_commit(world: World, result: Result, words: str, file: Path, maps: list[str]) -> None:
    """Changes the level in a file; ``maps`` are the ConfigMaps that get it."""
    content = file.read_text() if file.exists() else "level: info\n"
    file.write_text(content.replace("level: info\n", "level: changed\n"))
    async with asyncio.TaskGroup() as tasks:
        seen, task = await watched(world, tasks)
        mark = await world.mark()
        live = [seen.expect(name, "changed") for name in maps]
        sent = await asyncio.to_thread(push_and_tell, world)
        for one in live:
            await asyncio.wait_for(one, 60)
        seconds = time.monotonic() - sent
        await asyncio.sleep(4)
        spent = await world.since(mark)
        task.cancel()
    renders = spent.metrics.get("windlass_renders_total", 0.0)
    requests = spent.count(lambda word: not measure.is_lease(word))
    result.add(f"{words}: renders", renders, aim=len(maps))
    result.add(f"{words}: requests, without the Lease", requests, note=breakdown(spent))
    result.add(f"{words}: CPU of the controller and its workers", spent.cpu, "s", note="git included")
    if maps:
        result.add(f"{words}: hook sent to all live", seconds * 1000, "ms")
