"""`python -m bench [name ...]`: runs the scenarios that are named, or all, and prints their figures."""

from __future__ import annotations

import argparse
import asyncio
import compileall
import os
import py_compile
import statistics
import sys
import sysconfig
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from bench.figures import Result, as_json, table
from bench.fleet import Fleet
from bench.images import images
from bench.ledger import ledger
from bench.monorepo import monorepo
from bench.rendering import render
from bench.rolling import rollback
from bench.scenarios import ALONE, SCENARIOS
from bench.world import Options, World, opened

BY_THEMSELVES = {
    **ALONE,
    "monorepo": monorepo,
    "render": render,
    "rollback": rollback,
    "ledger": ledger,
    "images": images,
}
"""Those that need a world of their own, or none."""


def compile_all() -> None:
    """What an installer of wheels does, and what a checkout that writes no bytecode lacks: without it the start of each
    process would be measured with the compiler in it."""
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(Path(__file__).resolve().parents[1] / "src", quiet=2, invalidation_mode=mode)
    compileall.compile_dir(sysconfig.get_path("purelib"), quiet=2)


def yardstick() -> float:
    """Milliseconds of CPU for a fixed loop in Python, the median of five: how fast the machine is just now.

    Times and CPU of two runs can be compared only where theirs are alike; counts and ratios of one run always.
    """
    spent = []
    for _ in range(5):
        before = time.process_time()
        total = 0
        for number in range(200_000):
            total += number
        spent.append((time.process_time() - before) * 1000)
    return statistics.median(spent)


async def run(names: list[str], options: Options, show: Callable[[Result], None]) -> list[Result]:
    """One world for all that share it."""
    results = []

    async def measured(scenario: Callable[[Any], Awaitable[Result]], subject: World | Options) -> None:
        before = yardstick()
        results.append(await scenario(subject))
        results[-1].add("yardstick, before and after", before, "ms", note=f"{yardstick():.0f} ms after")
        show(results[-1])

    if any(name in SCENARIOS for name in names):
        async with opened(options, Fleet(options.applications)) as world:
            for name in [name for name in SCENARIOS if name in names]:
                await measured(SCENARIOS[name], world)
    for name in [name for name in BY_THEMSELVES if name in names]:
        await measured(BY_THEMSELVES[name], options)
    return results


def main() -> None:
    """Reads the arguments, runs, prints; exit code 0 whether or not an aim is reached: a figure is no test."""
    everything = [*SCENARIOS, *BY_THEMSELVES]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of: {', '.join(everything)}")
    parser.add_argument("--cluster", default="real", help="real, devcluster, or the path of a kubeconfig")
    parser.add_argument(
        "--applications",
        type=int,
        default=1000,
        help="how many Applications, of ten objects",
    )
    parser.add_argument("--long", action="store_true", help="look at rest for ten minutes in place of one")
    parser.add_argument("--profile", action="store_true", help="run the controller with --profile (see docs/slow.md)")
    parser.add_argument("--ledger", action="store_true", help="record what happens in a ledger")
    parser.add_argument("--folder", type=Path, help="keep everything here (an empty or new folder), to look at later")
    parser.add_argument("-o", dest="form", choices=["table", "json"], default="table")
    said = parser.parse_args()
    names = said.names or everything
    if wrong := [name for name in names if name not in everything]:
        parser.error(f"no scenario is named {', '.join(wrong)}; there are {', '.join(everything)}")
    compile_all()
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as temporary:
        folder = said.folder.resolve() if said.folder else Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        options = Options(
            said.cluster, said.applications, folder, long=said.long, profile=said.profile, ledger=said.ledger
        )
        load = os.getloadavg()[0]
        print(f"{os.cpu_count()} cores, load {load:.1f} before it began", file=sys.stderr)
        stream = sys.stderr if said.form == "json" else sys.stdout
        results = asyncio.run(run(names, options, lambda one: print(table([one]), file=stream, flush=True)))
    if said.form == "json":
        print(as_json(results))


if __name__ == "__main__":
    main()
