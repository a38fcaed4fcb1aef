"""The work of ``windlass bisect``: the first commit with which an Application was not Healthy.

No commit is tried out for it: the ledger knows what became of each. Without a ledger the last ten deployments of the
Application's status are what is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from windlass.adapters.ledger.index import Wish, on_index_thread
from windlass.cli import fetching
from windlass.cli.ledgers import Which, opened
from windlass.cli.reaching import Found, Reach, find, reach, repository_of
from windlass.cli.telling import DIFFERS, emit, say
from windlass.core.kinds.application_status import ApplicationStatus
from windlass.core.kinds.kind import read_status
from windlass.core.model import ObjectRef, events
from windlass.core.record.verdicts import KINDS, Bisected, Verdict, bisected, verdicts
from windlass.core.words.plain import ago, count, fit, plain, short
from windlass.errors import WindlassError
from windlass.flows.informers import INSTALLATIONS
from windlass.ports import NotAllowed


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed."""

    app: str
    namespace: str
    ledger: str
    cluster: str
    output: str


async def bisect(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """The command, from the cluster to the exit code: 2 where the newest commit is not Healthy."""
    async with reach(kubeconfig, context) as to:
        found = await find(to, asked.app, asked.namespace)
        status = read_status(found.content, ApplicationStatus)
        told, source = await _deployments(to, asked, found, status, kubeconfig, context)
        result = bisected(told)
        subjects = await _subjects(to, found, result)
        if asked.output == "human":
            say(text_of(found.word, result, subjects, source, len(told), to.clock.now()))
        else:
            emit(_data(found, result, source), asked.output)
        newest = result.newest
        return 0 if newest is None or newest.health in ("Healthy", "Suspended") else DIFFERS


async def _has_ledger(to: Reach) -> bool:
    """Whether the Installation names one, and the person may see that."""
    try:
        content = await to.cluster.read(INSTALLATIONS, ObjectRef(INSTALLATIONS.group, "Installation", "", "windlass"))
    except NotAllowed:
        return False
    return bool(content and (content.get("spec") or {}).get("ledger"))


async def _deployments(
    to: Reach, asked: Asked, found: Found, status: ApplicationStatus, kubeconfig: Path | None, context: str | None
) -> tuple[list[Verdict], str]:
    if asked.ledger or await _has_ledger(to):
        wish = Wish((f"{found.namespace}/{found.name}",), KINDS)
        async with opened(Which(asked.ledger, asked.cluster, kubeconfig, context)) as index:
            newest_first = await on_index_thread(index.events, wish)
        return verdicts(reversed(newest_first)), "the ledger"
    kept = [
        Verdict(one.commit, one.at, "Healthy" if one.healthy else "not Healthy") for one in reversed(status.history)
    ]
    return kept, "the status: this cluster has no ledger"


async def _subjects(to: Reach, found: Found, result: Bisected) -> dict[str, str]:
    """What the commits say, where they are on this machine already."""
    try:
        url = (await repository_of(to, found.decoded())).spec.url
    except WindlassError:
        return {}
    made: dict[str, str] = {}
    for one in (result.good, result.bad):
        info = fetching.known(url, one.commit) if one is not None else None
        if one is not None and info is not None:
            made[one.commit] = f'"{fit(plain(info.subject), 50)}" ({plain(info.author)})'
    return made


def text_of(word: str, result: Bisected, subjects: dict[str, str], source: str, known: int, now: datetime) -> str:
    """The answer, as a person reads it."""
    if result.newest is None:
        return f"nothing is known of {plain(word)} yet, by {source}\n"
    lines = []
    if result.bad is None:
        lines.append(f"{plain(word)} was Healthy with each of {count(known, 'deployment')}, by {source}")
    else:
        lines.append(f"first bad   {_line(result.bad, subjects, now)}")
        lines += [f"            with {short(one.id)} {_commit(one)}" for one in result.bad.commits if one.id]
        if result.good is not None:
            lines.append(f"last good   {_line(result.good, subjects, now)}")
            lines.append(f"next  git diff {short(result.good.commit)} {short(result.bad.commit)}")
        lines.append(f"by {source}")
    return "".join(f"{line}\n" for line in lines)


def _line(one: Verdict, subjects: dict[str, str], now: datetime) -> str:
    told = [short(one.commit), subjects.get(one.commit, ""), f"applied {ago(one.at, now)}", plain(one.health)]
    return "   ".join(part for part in [*told, plain(one.message)] if part)


def _commit(one: events.Commit) -> str:
    return f'"{fit(plain(one.subject), 50)}" ({plain(one.author)})' if one.subject else ""


def _data(found: Found, result: Bisected, source: str) -> dict[str, Any]:
    def told(one: Verdict | None) -> dict[str, Any] | None:
        if one is None:
            return None
        commits = [commit.id for commit in one.commits]
        return {"commit": one.commit, "at": one.at, "health": one.health, "message": one.message, "commits": commits}

    return {
        "application": f"{found.namespace}/{found.name}",
        "good": told(result.good),
        "bad": told(result.bad),
        "newest": told(result.newest),
        "source": source,
    }
