"""The work of ``windlass sync --break-glass`` and ``forward --break-glass``: a pin in the cluster, and its end, by an
annotation on the Application in the person's own name.

Nothing is asked of Git. The controller judges the annotation and answers in ``status.breakGlass``; the command waits
for that answer, because a refusal must not go unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass.cli.excepting import end_of
from windlass.cli.reaching import Found, Reach, find, reach
from windlass.cli.requesting import MANAGER, QUIET, user_name
from windlass.cli.telling import DIFFERS, ERROR, REFUSED, emit, say
from windlass.core.kinds.application_status import ApplicationStatus, BreakGlassStatus
from windlass.core.kinds.deploy import GLASS
from windlass.core.kinds.fields import stamp
from windlass.core.kinds.glass import Glass, mark, read_glass
from windlass.core.kinds.kind import read_status
from windlass.core.words.plain import plain, short, took
from windlass.errors import NeedsHuman, TryLater
from windlass.flows.informers import APPLICATIONS


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed. ``timeout`` in seconds, None where nobody waits until it is applied; ``until`` an ISO time or a
    duration in seconds."""

    app: str
    namespace: str
    output: str
    timeout: float | None
    commit: str = ""
    reason: str = ""
    until: str = ""


async def shatter(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """Pins, from the cluster to the exit code: 0 done, 1 not answered, 2 not Healthy in time, 3 refused."""
    async with reach(kubeconfig, context) as to:
        found = await find(to, asked.app, asked.namespace)
        was = found.decoded().spec.source.at
        who = await user_name(to)
        if not who:
            raise NeedsHuman(
                "the API server does not tell who you are, and a pin in the cluster names who made it",
                hint="a server of 1.28 or newer has SelfSubjectReview",
            )
        now = to.clock.now()
        until = end_of(asked.until, now)
        value = Glass(who, asked.commit.lower(), until, asked.reason.strip(), was, stamp(now)).value()
        _ = read_glass(value, now)
        await _write(to, found, value)
        request, began = mark(value), to.clock.monotonic()

        def answered(status: ApplicationStatus) -> bool:
            return status.break_glass is not None and status.break_glass.request == request

        status = await _until(to, found, answered, QUIET)
        broken = status.break_glass
        if broken is None or not answered(status):
            await _withdraw(to, found, value)
            raise TryLater(
                f"no controller has answered within {QUIET:.0f} s; the request was taken back",
                hint="does one run in this cluster? kubectl -n windlass-system get pods",
            )
        if asked.output == "human":
            say(told(found.word, broken))
        code = REFUSED if broken.result == "refused" else 0
        if code == 0 and asked.timeout is not None:
            status = await _until(to, found, lambda one: _is_at(one, broken.commit), asked.timeout)
            code = 0 if _is_at(status, broken.commit) else DIFFERS
            if asked.output == "human":
                seconds = to.clock.monotonic() - began
                state = f"{status.sync} {short(status.commit)}   {status.health}"
                say(f"{plain(found.word)}   {state}{f' after {took(seconds)}' if code == 0 else ''}\n")
        if asked.output == "human":
            say(f"next  windlass status {plain(found.word)}\n" if code else f"next  {_let_go(found)} ends it sooner\n")
        else:
            emit(_data(found, status, code), asked.output)
        return code


async def let_go(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """Takes the pin away: 0 done, 1 nothing to let go of or not answered."""
    async with reach(kubeconfig, context) as to:
        found = await find(to, asked.app, asked.namespace)
        before = read_status(found.content, ApplicationStatus).break_glass
        annotations = found.content["metadata"].get("annotations") or {}
        if GLASS not in annotations:
            raise NeedsHuman(
                f"{found.word} is not pinned in the cluster", hint=f"a pin in Git: windlass forward {found.word}"
            )
        await to.cluster.patch(
            APPLICATIONS, found.ref, {"metadata": {"annotations": {GLASS: None}}}, form="merge", manager=MANAGER
        )
        status, code = read_status(found.content, ApplicationStatus), 0
        if asked.timeout is not None and before is not None and before.result == "holds":
            status = await _until(to, found, _gone, min(asked.timeout, QUIET * 3))
            code = 0 if _gone(status) else ERROR
        if asked.output == "human":
            word = "let go" if code == 0 else "the annotation is gone, and no controller has answered yet"
            say(f"break-glass   {plain(found.word)} {word}\n")
            if before is not None and before.committed:
                say(f"next  {short(before.committed)} pins it in Git: windlass forward {plain(found.word)}\n")
        else:
            emit(_data(found, status, code), asked.output)
        return code


def told(word: str, broken: BreakGlassStatus) -> str:
    """What the controller made of it."""
    name = plain(word)
    if broken.result == "refused":
        what, _, mend = broken.message.partition("; mend: ")
        return f"refused   {name} is not pinned: {plain(what)}\n" + (f"  mend  {plain(mend)}\n" if mend else "")
    git = f"in Git by {short(broken.committed)}" if broken.committed else plain(broken.message)
    lines = [
        f"break-glass   {name} is pinned at {short(broken.commit)} until {plain(broken.until)} by {plain(broken.by)}",
        f"  {git or 'not in Git yet: the controller commits it when Git is back'}",
    ]
    return "".join(f"{line}\n" for line in lines)


async def _write(to: Reach, found: Found, value: str) -> None:
    patch = {"metadata": {"annotations": {GLASS: value}}}
    await to.cluster.patch(APPLICATIONS, found.ref, patch, form="merge", manager=MANAGER)


async def _withdraw(to: Reach, found: Found, value: str) -> None:
    """Nobody was there: a pin must not come to life by itself, later."""
    path = f"/metadata/annotations/{GLASS.replace('/', '~1')}"
    patch = [{"op": "test", "path": path, "value": value}, {"op": "remove", "path": path}]
    await to.cluster.patch(APPLICATIONS, found.ref, patch, form="json", manager=MANAGER)


async def _until(
    to: Reach, found: Found, enough: Callable[[ApplicationStatus], bool], timeout: float
) -> ApplicationStatus:
    """The status as soon as it is enough, or the last one in time."""
    last = read_status(found.content, ApplicationStatus)
    try:
        async with asyncio.timeout(timeout):
            async for kind, content in to.cluster.follow(APPLICATIONS, found.namespace):
                if kind in ("ADDED", "MODIFIED") and content["metadata"]["name"] == found.name:
                    last = read_status(content, ApplicationStatus)
                    if enough(last):
                        break
    except TimeoutError:
        pass
    return last


def _is_at(status: ApplicationStatus, commit: str) -> bool:
    return status.commit == commit and status.sync == "Synced" and status.health in ("Healthy", "Suspended")


def _gone(status: ApplicationStatus) -> bool:
    return status.break_glass is None or status.break_glass.result != "holds"


def _let_go(found: Found) -> str:
    return f"windlass forward {plain(found.word)} --break-glass"


def _data(found: Found, status: ApplicationStatus, code: int) -> dict[str, Any]:
    broken = status.break_glass
    return {
        "application": f"{found.namespace}/{found.name}",
        "code": code,
        "commit": status.commit,
        "sync": status.sync,
        "health": status.health,
        "breakGlass": {name: getattr(broken, name) for name in broken.__struct_fields__} if broken else None,
    }
