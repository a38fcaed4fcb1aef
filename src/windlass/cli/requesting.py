"""The work of ``windlass sync``: the request as an annotation, and following the Application until it is answered.

The answer is ``status.lastSyncRequest``; all that is told comes from the status that the controller writes. The request
says who asks by the name that the API server knows the person by, not by what they call themselves.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass import ports
from windlass.cli.reaching import Found, Reach, find, reach
from windlass.cli.telling import DIFFERS, ERROR, REFUSED, emit, say, width_of
from windlass.core.kinds.application_status import ApplicationStatus, OutcomeLine
from windlass.core.kinds.conditions import condition
from windlass.core.kinds.deploy import REQUEST
from windlass.core.kinds.kind import read_status
from windlass.core.kinds.reasons import Reason
from windlass.core.model import HealthStatus, Resource
from windlass.core.words.plain import fit, plain, short, took
from windlass.flows.informers import APPLICATIONS

MANAGER = "windlass-cli"
REVIEWS = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", False)
QUIET = 10.0
"""Seconds without any news after which a controller that has not answered is told as missing or stuck."""
SETTLED = 1.0
"""Seconds that a status has to stand before it counts as the answer: sync and health are not written together."""
_REFUSALS = frozenset({Reason.SUSPENDED.value, Reason.FROZEN.value})


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed. ``timeout`` in seconds, None where nobody waits."""

    app: str
    namespace: str
    only: str
    timeout: float | None
    output: str


async def request(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """The command, from the cluster to the exit code."""
    async with reach(kubeconfig, context) as to:
        found = await find(to, asked.app, asked.namespace)
        value = await request_value(to, asked.only)
        before = read_status(found.content, ApplicationStatus)
        patch = {"metadata": {"annotations": {REQUEST: value}}}
        await to.cluster.patch(APPLICATIONS, found.ref, patch, form="merge", manager=MANAGER)
        human = asked.output == "human"
        if human:
            what = f"{asked.only} of {found.word}" if asked.only else found.word
            say(f"asked for a sync of {plain(what)}   at {short(before.commit) or 'no commit yet'}, {before.sync}\n")
        if asked.timeout is None:
            if human:
                say(f"next  windlass status {plain(found.word)}\n")
            else:
                emit({"application": f"{found.namespace}/{found.name}", "request": value}, asked.output)
            return 0
        waiting = Waiting(to, found, value, human=human)
        status, answered = await waiting.until_settled(asked.timeout)
        code = result_code(status, answered=answered)
        if human:
            fresh = status.outcomes != before.outcomes
            say(conclusion(found.word, status, answered=answered, seconds=waiting.seconds, fresh=fresh))
        else:
            emit(sync_data(found, value, status, answered=answered, code=code), asked.output)
        return code


async def request_value(to: Reach, only: str) -> str:
    """``<time> <who> [only=Kind/name]``: the time makes each request another one."""
    # A server before 1.28 does not tell; the context's name is better than nothing.
    who = await user_name(to) or to.access.name or "somebody"
    word = "-".join(plain(who).split()) or "somebody"
    now = to.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return " ".join([now, word, *([f"only={only}"] if only else [])])


async def user_name(to: Reach) -> str:
    """As whom the API server knows the person; "" where it does not tell."""
    try:
        review = await to.cluster.create(
            REVIEWS, "", {"apiVersion": REVIEWS.api_version, "kind": REVIEWS.kind}, manager=MANAGER
        )
        return str(review["status"]["userInfo"]["username"])
    except (ports.ObjectMissing, ports.NotAllowed, ports.KindUnknown, ports.ObjectRejected, KeyError, TypeError):
        return ""


class Waiting:
    """Follows one Application; on the way it tells what its Ready condition says, each sentence once."""

    def __init__(self, to: Reach, found: Found, value: str, *, human: bool) -> None:
        self._to = to
        self._found = found
        self._value = value
        self._human = human
        self._told = ""
        self._before = self._status = read_status(found.content, ApplicationStatus)
        self._news = asyncio.Event()
        self._began = to.clock.monotonic()
        self.seconds = 0.0

    async def until_settled(self, timeout: float) -> tuple[ApplicationStatus, bool]:
        """The last status, and whether the request was answered in time."""
        async with asyncio.TaskGroup() as tasks:
            follower = tasks.create_task(self._follow())
            try:
                async with asyncio.timeout(timeout):
                    await self._settled()
            except TimeoutError:
                self.seconds = timeout
            finally:
                follower.cancel()
        return self._status, self._answered()

    def _answered(self) -> bool:
        # An attempt that went wrong in part is tried again, and its request stays open: its end is the answer then.
        tried = self._stalled() and self._status.synced_at != self._before.synced_at
        return tried or self._status.last_sync_request == self._value

    async def _settled(self) -> None:
        while True:
            calm = self._answered() and self._at_rest()
            stuck = not self._answered() and self._stalled()
            wait = SETTLED if calm else QUIET if stuck else None
            self._news.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                return

    def _at_rest(self) -> bool:
        """Whether nothing more is to be expected by itself."""
        if self._stalled():
            return True
        waits = condition(self._status.conditions, "Reconciling") is not None
        return self._status.sync == "Synced" and self._status.health in ("Healthy", "Suspended") and not waits

    def _stalled(self) -> bool:
        return condition(self._status.conditions, "Stalled") is not None

    async def _follow(self) -> None:
        async for kind, content in self._to.cluster.follow(APPLICATIONS, self._found.namespace):
            if kind == "SYNCED" or content["metadata"]["name"] != self._found.name:
                continue
            if kind == "DELETED":
                self._status = ApplicationStatus()
            else:
                self._status = read_status(content, ApplicationStatus)
            self.seconds = self._to.clock.monotonic() - self._began
            self._news.set()
            self._tell()

    def _tell(self) -> None:
        ready = condition(self._status.conditions, "Ready")
        if not self._human or ready is None or ready.status == "True" or self._stalled():
            return
        line = fit(f"  {plain(ready.message)}", width_of(sys.stdout))
        if line != self._told:
            self._told = line
            say(line + "\n")


def result_code(status: ApplicationStatus, *, answered: bool) -> int:
    """0 synced and Healthy; 1 failed, or not answered; 2 applied and not Healthy; 3 refused."""
    ready = condition(status.conditions, "Ready")
    reason = ready.reason if ready is not None else ""
    results = {one.result for one in status.outcomes}
    if reason in _REFUSALS or (status.sync != "Synced" and "refused" in results and "failed" not in results):
        return REFUSED
    if status.pending is not None:
        return ERROR
    if status.sync == "Synced" and answered:
        return 0 if status.health == HealthStatus.HEALTHY.value else DIFFERS
    return ERROR


def conclusion(word: str, status: ApplicationStatus, *, answered: bool, seconds: float, fresh: bool) -> str:
    """What became of it: outcomes that a person needs, the state, and what to do. ``fresh``: the outcomes are of this
    request, not of a sync before it; those that went wrong are told all the same."""
    lines = list(_outcomes(status, fresh=fresh))
    ready = condition(status.conditions, "Ready")
    state = " ".join(part for part in (status.sync, short(status.commit)) if part)
    name = plain(word)
    if result_code(status, answered=answered) == 0:
        counts = ", ".join(f"{number} {result}" for result, number in status.counts.items())
        counts = counts if fresh else "nothing to do"
        return "".join(f"{line}\n" for line in [*lines, f"{name}   {state}   Healthy after {took(seconds)}   {counts}"])
    lines.append(f"{name}   {state}   {status.health}")
    if status.pending is not None:
        lines.append(
            f"  pending {short(status.pending.commit)} is not applied; {short(status.commit) or 'nothing'} runs"
        )
    if not answered:
        lines.append(f"  the request was not answered within {took(seconds)}")
    told = any(one.result in ("failed", "refused") for one in status.outcomes)
    if ready is not None and ready.message and not told:
        lines.append(f"  {plain(ready.message)}")
    if ready is None or not status.observed_generation:
        lines.append("next  no controller has looked at it yet: does one run in this cluster?")
    else:
        mend = next((line.removeprefix("mend: ") for line in status.messages if line.startswith("mend: ")), "")
        lines.append(f"next  mend: {plain(mend)}" if mend else f"next  windlass status {name}")
    return "".join(f"{line}\n" for line in lines)


def _outcomes(status: ApplicationStatus, *, fresh: bool) -> Iterator[str]:
    marks = {"created": "+", "pruned": "-", "failed": "!", "refused": "!", "kept": "=", "skipped": "="}
    for one in status.outcomes:
        if not fresh and one.result not in ("failed", "refused"):
            continue
        place = f"   ({one.file}:{one.line})" if one.file and one.line else ""
        words = f"{one.result}: {one.message}" if one.message else one.result
        yield f"{marks.get(one.result, '~')} {plain(one.object)}   {plain(words + place)}"
        # What stands behind "next" is not told at each object too.
        if one.mend and f"mend: {one.mend}" not in status.messages:
            yield f"    mend  {plain(one.mend)}"


def sync_data(found: Found, value: str, status: ApplicationStatus, *, answered: bool, code: int) -> dict[str, Any]:
    """The answer for programs."""
    ready = condition(status.conditions, "Ready")
    return {
        "application": f"{found.namespace}/{found.name}",
        "request": value,
        "answered": answered,
        "code": code,
        "sync": status.sync,
        "health": status.health,
        "commit": status.commit,
        "message": ready.message if ready is not None else "",
        "counts": status.counts,
        "outcomes": [_outcome(one) for one in status.outcomes],
    }


def _outcome(one: OutcomeLine) -> dict[str, Any]:
    return {
        "object": one.object,
        "result": one.result,
        "message": one.message,
        "mend": one.mend,
        "file": one.file,
        "line": one.line,
    }
