"""Waits until the controller has carried out what a commit says of an Application, by watching its status.

Commands that write to Git call ``arrive`` afterwards. The controller is asked to look at once, by the same annotation
as ``windlass sync``, for just the one Application object; who may not ask waits for the next poll or push hook.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from windlass.cli.reaching import Found, Reach
from windlass.cli.requesting import MANAGER, request_value
from windlass.core.kinds.application_status import ApplicationStatus
from windlass.core.kinds.conditions import condition
from windlass.core.kinds.deploy import REQUEST
from windlass.core.kinds.exceptions import Held
from windlass.core.kinds.kind import read_status
from windlass.core.kinds.reasons import Reason
from windlass.core.words.plain import plain
from windlass.errors import WindlassError
from windlass.flows.informers import APPLICATIONS

STUCK = 10.0
"""Seconds that a Stalled condition, or a word that holds it back, has to stand before it is the end."""
HOLDS = frozenset({Reason.SUSPENDED.value, Reason.FROZEN.value})
"""Reasons of Ready that end by a word in Git, and not by waiting."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """The last status that was seen; ``reached``: it is so."""

    status: ApplicationStatus
    reached: bool
    seconds: float


class InTheWay(NamedTuple):
    """An exception that keeps a commit from taking effect: whose it is, and what it is ("suspended", "frozen")."""

    whose: str
    what: str
    held: Held

    @property
    def sentence(self) -> str:
        """Who says so, until when and why."""
        one = self.held
        return f'{self.whose} is {self.what} by {one.by} until {one.until}: "{one.reason}"'

    def told(self, did: str) -> str:
        """The lines for a person: ``did`` is what was committed."""
        name = plain(self.whose)
        return (
            f"{plain(self.sentence)}\n"
            f"  {did} is committed, and takes effect when that ends\n"
            f"next  windlass resume {name}   ends it now\n"
        )


def in_the_way(found: Found, parent: Found | None, now: datetime) -> InTheWay | None:
    """What is known of exceptions before a commit is waited for. ``parent`` is the Application that applies the file of
    this one, where it is that which was changed. Whether a freeze of this one holds the commit back shows only when it
    was looked at: it may change nothing, or be a pin."""
    for one in (found, parent):
        suspend = one.decoded().spec.suspend if one is not None else None
        if one is not None and suspend is not None and suspend.active(now):
            return InTheWay(one.word, "suspended", suspend)
    freeze = parent.decoded().spec.freeze if parent is not None else None
    if parent is not None and freeze is not None and freeze.active(now):
        return InTheWay(parent.word, "frozen", freeze)
    return None


async def ask_to_look(to: Reach, parent: Found, only: str) -> bool:
    """Asks for a look at Git now, and an apply of that one object (``Kind/name``). Not being allowed to is no error:
    False."""
    try:
        value = await request_value(to, only)
        patch = {"metadata": {"annotations": {REQUEST: value}}}
        await to.cluster.patch(APPLICATIONS, parent.ref, patch, form="merge", manager=MANAGER)
    except WindlassError:
        return False
    return True


async def arrive(
    to: Reach,
    found: Found,
    written: Callable[[dict[str, Any]], bool],
    timeout: float,
    told: Callable[[str], None],
    *,
    healthy: bool = True,
    commit: str = "",
) -> Arrival:
    """Follows an Application until its spec is as ``written`` asks, all of it is applied and Healthy (where that is
    wanted; at ``commit``, where one is named), or it is stuck so (also suspended or frozen), or time is over."""
    began = to.clock.monotonic()
    last = read_status(found.content, ApplicationStatus)
    stalled: float | None = None
    news: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def follow() -> None:
        async for kind, content in to.cluster.follow(APPLICATIONS, found.namespace):
            if kind in ("ADDED", "MODIFIED") and content["metadata"]["name"] == found.name:
                news.put_nowait(content)

    async with asyncio.TaskGroup() as tasks:
        follower = tasks.create_task(follow())
        try:
            while True:
                left = began + timeout - to.clock.monotonic()
                if stalled is not None:
                    left = min(left, stalled + STUCK - to.clock.monotonic())
                if left <= 0:
                    return Arrival(last, False, to.clock.monotonic() - began)
                try:
                    async with asyncio.timeout(left):
                        content = await news.get()
                except TimeoutError:
                    continue
                last = read_status(content, ApplicationStatus)
                seen = last.observed_generation >= content["metadata"].get("generation", 0)
                current = seen and written(content.get("spec") or {}) and commit in ("", last.commit)
                if current and (not healthy or _well(last)):
                    return Arrival(last, True, to.clock.monotonic() - began)
                ready = condition(last.conditions, "Ready")
                waits = last.pending is not None and last.pending.commit == commit
                held = (current or waits) and ready is not None and ready.reason in HOLDS
                stuck = held or (current and condition(last.conditions, "Stalled") is not None)
                stalled = (stalled if stalled is not None else to.clock.monotonic()) if stuck else None
                if ready is not None and ready.status != "True" and not stuck:
                    told(ready.message)
        finally:
            follower.cancel()


def _well(status: ApplicationStatus) -> bool:
    waits = condition(status.conditions, "Reconciling") is not None
    return (
        status.sync == "Synced" and status.health in ("Healthy", "Suspended") and status.pending is None and not waits
    )
