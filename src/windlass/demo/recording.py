"""The last step of the demo's story: what happened in it is read back from the ledger, counted, and proven.

It types the commands that a person would, with a cache of their own, and believes what they print.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING

from windlass import settings
from windlass.core.words.plain import plain
from windlass.demo.shop import ms

if TYPE_CHECKING:
    from windlass.demo.story import Teller

PERSON = "[user]\n\tname = ada\n\temail = ada@acme.example\n"
"""Whose commits the commands make: settings of Git that are the story's own."""


def shop_of(teller: Teller) -> str:
    """The shop, as one types it."""
    return f"{teller.stack.namespace}/shop"


async def typed(teller: Teller, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    """What a command of ``windlass`` prints; "" where it ends with another exit code than these."""
    command = [sys.executable, "-m", "windlass", *arguments, "--kubeconfig", str(teller.stack.kubeconfig)]
    command += ["--context", teller.stack.context] if teller.stack.context else []
    own = teller.stack.folder / "gitconfig"
    await asyncio.to_thread(own.write_text, PERSON)
    more = {"XDG_CACHE_HOME": str(teller.stack.folder / "cache"), "GIT_CONFIG_GLOBAL": str(own)}
    environment = settings.child_environment(more)
    child = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL, env=environment)
    out, _ = await child.communicate()
    return out.decode() if child.returncode in codes else ""


async def recorded(teller: Teller) -> None:
    """The log, the numbers, the proof."""
    teller.title("All of it is in Git, too")
    running = (await teller.status())["commit"]

    async def pushed() -> list[str]:
        lines = (await typed(teller, "log", shop_of(teller), "--limit", "1000")).splitlines()
        applied = [line for line in lines if "  applied " in line]
        return lines if applied and f" {running[:7]} " in applied[0] else []

    lines, _ = await teller.until("the last sync is in the ledger", pushed)
    for words in ("applied", "drift", "put back", "refused", "healthy"):
        teller.check(f"the log tells {words}", any(f"  {words} " in line for line in lines))
    teller.tell("windlass log shop", f"{len(lines)} lines, such as")
    for words in ("applied", "refused", "drift"):
        teller.say(f"       {plain(next(line for line in lines if f'  {words} ' in line))}")
    told, proven = await asyncio.gather(
        typed(teller, "metrics", shop_of(teller), "-o", "json"), typed(teller, "ledger", "verify", "-o", "json")
    )
    numbers, (proof,) = json.loads(told)["all"], json.loads(proven)
    teller.check("each deployment is counted", numbers["deployments"] >= teller.deployments)
    teller.numbers = numbers
    failed = f"change-failure rate {numbers['changeFailureRate']:.0%}"
    teller.tell("windlass metrics shop", f"{numbers['deployments']} deployments, {failed}")
    (trace,) = json.loads(await typed(teller, "log", shop_of(teller), "--trace", "main-2", "-o", "json"))
    (delivered,) = trace["applications"]
    way = [trace["pushed"], trace["decided"], trace["committed"], delivered["applied"], delivered["healthy"]]
    teller.check("an image's way is known from its push to Healthy", all(way))
    teller.check("and that it was verified", trace["verified"])
    took = ms(trace["seconds"])
    teller.tell("windlass log shop --trace", f"main-2: pushed, verified, committed, applied, Healthy: {took} in all")
    teller.check("the ledger is whole", proof["whole"])
    teller.tell("windlass ledger verify", f"whole: {proof['events']} events in {proof['commits']} commits")
