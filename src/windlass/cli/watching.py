"""The work of ``windlass status``: one look, or one after every change.

A terminal is drawn anew; elsewhere each change is a line with its time. Looking again is started by watch events (of
the Application and of the objects that carry its label), never by a tick, but on a terminal once in a while so that
ages stay true.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from windlass.cli.reaching import Found, Reach, every, find, reach
from windlass.cli.telling import DIFFERS, emit, is_terminal, say, width_of
from windlass.cli.viewing import kinds_of, line_of, shortened, view_data, view_of, well
from windlass.core.kinds.application_status import ApplicationStatus
from windlass.core.kinds.kind import read_status
from windlass.core.model import HealthStatus, Resource
from windlass.core.words.plain import plain, short
from windlass.core.words.status import StatusView, applications_text, status_text
from windlass.errors import NeedsHuman, WindlassError
from windlass.flows.informers import APPLICATIONS

GATHER = 0.3
"""Seconds in which changes are taken together."""
REDRAW = 10.0
"""Seconds after which ages on a terminal are told anew."""
_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed."""

    app: str
    namespace: str
    watch: bool
    everything: bool
    output: str


async def status(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """The command, from the cluster to the exit code."""
    async with reach(kubeconfig, context) as to:
        if asked.app:
            return await _one(to, asked)
        return await _all(to, asked)


# --- one Application --------------------------------------------------------------------------------------------------


async def _one(to: Reach, asked: Asked) -> int:
    found = await find(to, asked.app, asked.namespace)
    view = await view_of(to, found)
    if asked.output != "human":
        emit(view_data(view, found.namespace, found.name), asked.output)
    elif asked.watch:
        await _watch_one(to, asked, found, view)
    else:
        say(status_text(view, to.clock.now(), everything=asked.everything, width=width_of(sys.stdout)))
    return 0 if well(view) else DIFFERS


async def _watch_one(to: Reach, asked: Asked, found: Found, view: StatusView) -> None:
    """Ends only when it is cancelled."""
    dirty = asyncio.Event()
    seen = Seen(to, asked.everything)
    seen.show(view)
    resources = await kinds_of(to, read_status(found.content, ApplicationStatus))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_follow(to, APPLICATIONS, found.namespace, "", dirty))
        followed: set[tuple[Resource, str]] = set()
        while True:
            labels = f"windlass.dev/application={found.claim.label}"
            namespaces = {each.ref.namespace for each in view.objects if each.ref.namespace}
            for resource in resources:
                # Values of Secrets are not asked for, and a Secret has no health but to be there.
                if (resource.group, resource.kind) == ("", "Secret"):
                    continue
                for namespace in sorted(namespaces) if resource.namespaced else [""]:
                    if (resource, namespace) not in followed:
                        followed.add((resource, namespace))
                        tasks.create_task(_follow(to, resource, namespace, labels, dirty))
            await _wait(dirty)
            try:
                found = await find(to, f"{found.namespace}/{found.name}", "")
                found = Found(found.content, view.name)
                resources = await kinds_of(to, read_status(found.content, ApplicationStatus))
                view = await view_of(to, found, resources)
            except NeedsHuman:
                raise  # it is gone, or may not be read any more
            except WindlassError as error:
                seen.trouble(error)
                continue
            seen.show(view)


class Seen:
    """What is on the screen, or was told last."""

    def __init__(self, to: Reach, everything: bool) -> None:
        self._to = to
        self._everything = everything
        self._last: StatusView | None = None
        self._terminal = is_terminal(sys.stdout)

    def show(self, view: StatusView) -> None:
        now = self._to.clock.now()
        if self._terminal:
            sys.stdout.write(_CLEAR)
            say(status_text(view, now, everything=self._everything, width=width_of(sys.stdout)))
        else:
            say("".join(f"{line}\n" for line in changed_lines(self._last, view, now)))
        self._last = view

    def trouble(self, error: WindlassError) -> None:
        say(f"{clock(self._to.clock.now())}  {plain(str(error))}; what is shown may be old\n", sys.stderr)


def changed_lines(old: StatusView | None, new: StatusView, now: datetime) -> Sequence[str]:
    """A line for each thing that is not as it was: the Application itself, then its objects."""
    at = clock(now)
    lines: list[str] = []
    was = shortened(old) if old is not None else None
    new = shortened(new)
    head = (new.sync, new.commit, new.health.status, new.pending, new.pending_why)
    if was is None or head != (was.sync, was.commit, was.health.status, was.pending, was.pending_why):
        state = " ".join(part for part in (new.sync, short(new.commit)) if part)
        lines.append(f"{at}  {plain(new.name)}   {state}   {new.health.status.value}")
        if new.pending:
            lines.append(f"{at}  {plain(new.name)}   pending {short(new.pending)}: {plain(new.pending_why)}")
    before = {each.ref: each for each in was.objects} if was is not None else {}
    for each in sorted(new.objects, key=lambda one: one.ref):
        prior = before.get(each.ref)
        same = prior is not None and prior.health == each.health
        if same or (was is None and each.health.status is HealthStatus.HEALTHY):
            continue
        words = f"   {plain(each.health.message)}" if each.health.message else ""
        lines.append(f"{at}  {plain(str(each.ref))}   {each.health.status.value}{words}")
    gone = sorted(before.keys() - {each.ref for each in new.objects})
    lines += [f"{at}  {plain(str(ref))}   gone" for ref in gone]
    return lines


# --- all Applications -------------------------------------------------------------------------------------------------


async def _all(to: Reach, asked: Asked) -> int:
    contents, remark = await every(to, asked.namespace)
    views = [line_of(each, with_namespace=not asked.namespace) for each in contents]
    if remark:
        say(f"note: {plain(remark)}\n", sys.stderr)
    if asked.output != "human":
        rows = [
            view_data(view, each["metadata"]["namespace"], each["metadata"]["name"])
            for view, each in zip(views, contents, strict=True)
        ]
        for row in rows:
            del row["objects"], row["next"], row["subject"], row["author"], row["committed"]
        emit({"applications": sorted(rows, key=lambda row: (row["namespace"], row["name"]))}, asked.output)
    elif asked.watch:
        await _watch_all(to, asked, views, to.access.namespace if remark else asked.namespace)
    else:
        say(applications_text(views, to.clock.now(), width=width_of(sys.stdout)))
    return 0 if all(well(view) for view in views) else DIFFERS


async def _watch_all(to: Reach, asked: Asked, views: list[StatusView], namespace: str) -> None:
    dirty = asyncio.Event()
    terminal = is_terminal(sys.stdout)
    last: dict[str, StatusView] = {}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_follow(to, APPLICATIONS, namespace, "", dirty))
        while True:
            now = to.clock.now()
            if terminal:
                sys.stdout.write(_CLEAR)
                say(applications_text(views, now, width=width_of(sys.stdout)))
            else:
                new = {view.name: view for view in views}
                lines = [
                    line for name, view in sorted(new.items()) for line in changed_lines(last.get(name), view, now)
                ]
                lines += [f"{clock(now)}  {plain(name)}   gone" for name in sorted(last.keys() - new.keys())]
                say("".join(f"{line}\n" for line in lines))
                last = new
            await _wait(dirty)
            contents, _ = await every(to, namespace)
            views = [line_of(each, with_namespace=not asked.namespace) for each in contents]


# --- waking -----------------------------------------------------------------------------------------------------------


async def _follow(to: Reach, resource: Resource, namespace: str, labels: str, dirty: asyncio.Event) -> None:
    synced = False
    async for kind, _ in to.cluster.follow(resource, namespace, labels=labels):
        if kind == "SYNCED":
            synced = True
        elif synced:
            dirty.set()


async def _wait(dirty: asyncio.Event) -> None:
    """Until something changed, and a moment more; on a terminal no longer than its ages stay true."""
    try:
        async with asyncio.timeout(REDRAW if is_terminal(sys.stdout) else None):
            await dirty.wait()
    except TimeoutError:
        return
    await asyncio.sleep(GATHER)
    dirty.clear()


def clock(now: datetime) -> str:
    """The time of the day where the person is."""
    return now.astimezone().strftime("%H:%M:%S")
