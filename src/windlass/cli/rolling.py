"""The work of ``windlass rollback`` and ``forward``: which commit, the pin as one commit of the person's own, and the
wait until it runs.

A rollback holds the Application at the commit (``spec.source.at`` in its own file) and touches nobody else's files; so
it works while sync is automatic, for every renderer and with shared folders. It never applies: the controller does.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from functools import cmp_to_key, partial
from pathlib import Path
from typing import Any

import click

from windlass.adapters.git import CommitInfo, Move, Store
from windlass.cli import fetching, outside, reverting
from windlass.cli.arriving import HOLDS, Arrival, InTheWay, arrive, ask_to_look, in_the_way
from windlass.cli.holding import Held, holds_for
from windlass.cli.homes import Place, new_id, place_of, write
from windlass.cli.pushing import Person, person
from windlass.cli.reaching import Found, Reach, find, reach, repository_of
from windlass.cli.tags import commit_named
from windlass.cli.telling import DIFFERS, RefusedHere, emit, say, width_of
from windlass.core.edits import Intent
from windlass.core.edits.intents import pin, unpin
from windlass.core.kinds.application import Application
from windlass.core.kinds.application_status import ApplicationStatus, Deployed, last_healthy, others
from windlass.core.kinds.conditions import condition
from windlass.core.kinds.kind import read_status
from windlass.core.words.plain import ago, fit, plain, short, took
from windlass.errors import NeedsHuman
from windlass.flows.waiting import WHOLE
from windlass.flows.write import Written


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed. ``timeout`` in seconds, None where nobody waits; ``steps`` 0: back to the last Healthy one."""

    app: str
    namespace: str
    reason: str
    timeout: float | None
    output: str
    to: str = ""
    steps: int = 0
    revert: bool = False
    yes: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What was done in Git."""

    written: Written
    verb: str
    now: str
    was: str
    info: CommitInfo | None = None
    held: tuple[Held, ...] = ()
    outside: tuple[str, ...] = ()


async def roll_back(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """``windlass rollback``, from the cluster to the exit code."""
    async with reach(kubeconfig, context) as to:
        began = to.clock.monotonic()
        found = await find(to, asked.app, asked.namespace)
        app, status = found.decoded(), read_status(found.content, ApplicationStatus)
        who = await person()
        if asked.revert:
            return await _revert(to, asked, found, app, status, who)
        instead = f"windlass rollback {found.word} --revert puts the content back; or put its file into Git"
        place = await place_of(to, found, instead=instead)
        target = await _target(to, asked, app, status)
        running = app.spec.source.at or status.commit
        differing = await outside.differences(found, status, target.id, kubeconfig, context)
        _tell_outside(asked, differing, outside.remarks(status, target.id), target.id)
        identity = new_id()
        intent = pin(place.home, target.id, identity=identity, reason=asked.reason, was=running)
        folder = fetching.cache((await repository_of(to, app)).spec.url)
        held = await holds_for(to, app, folder, running, target.id, who, asked.reason) if running else []
        # One commit where the policies are written beside the Application.
        beside = [one for one in held if one.place is not None and one.place.repository == place.repository]
        written, *_ = await write(to, place, who, [intent, *(one.intent for one in beside if one.intent is not None)])
        for one in held:
            if one.place is not None and one.intent is not None and one not in beside:
                _ = await write(to, one.place, who, [one.intent])
        made = Made(written, "rolled back", target.id, running, target, tuple(held), tuple(differing))
        return await _finish(to, asked, found, place, made, began, at=target.id)


def _tell_outside(asked: Asked, differing: list[str], remarks: list[str], commit: str) -> None:
    """Before anything is written. Raises RefusedHere where a person says no."""
    out = sys.stdout if asked.output == "human" else sys.stderr
    width = width_of(out)
    if differing:
        say(f"not as it was with {short(commit)}, because it does not come from Git:\n", out)
    for line in (*differing, *(f"note: {one}" for one in remarks)):
        say(fit(f"  {plain(line)}", width) + "\n", out)
    if differing and not asked.yes and sys.stdin.isatty() and not click.confirm("roll back all the same?"):
        raise RefusedHere("nothing was changed", hint="--yes does not ask")


async def roll_forward(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """``windlass forward``: the pin taken out again."""
    async with reach(kubeconfig, context) as to:
        began = to.clock.monotonic()
        found = await find(to, asked.app, asked.namespace)
        app = found.decoded()
        who = await person()
        if not app.spec.source.at:
            return await _undo_revert(to, asked, found, app, who)
        place = await place_of(to, found)
        intent: Intent = unpin(place.home, identity=new_id(), reason=asked.reason, was=app.spec.source.at)
        (written,) = await write(to, place, who, [intent])
        made = Made(written, "rolled forward", "", app.spec.source.at)
        return await _finish(to, asked, found, place, made, began, at="")


# --- the content itself ---------------------------------------------------------------------------------------------


async def _revert(
    to: Reach, asked: Asked, found: Found, app: Application, status: ApplicationStatus, who: Person
) -> int:
    if app.spec.source.at:
        raise NeedsHuman(
            f"{found.word} is pinned at {short(app.spec.source.at)}: a revert would not be seen",
            hint=f"windlass forward {found.word} first, or leave it pinned and git revert by hand",
        )
    target = await _target(to, asked, app, status)
    change = await reverting.change_to(to, found, app, target.id)
    facts = (("Reverts-To", target.id), ("Was", status.commit))
    summary = f"Revert {found.namespace}/{found.name} to {short(target.id)}"
    return await _put_back(to, asked, found, change, who, "revert", summary, facts)


async def _undo_revert(to: Reach, asked: Asked, found: Found, app: Application, who: Person) -> int:
    change = await reverting.undoing(to, found, app)
    summary = f"Bring back what was reverted of {found.namespace}/{found.name}"
    return await _put_back(to, asked, found, change, who, "unrevert", summary, ())


async def _put_back(
    to: Reach,
    asked: Asked,
    found: Found,
    change: reverting.Change,
    who: Person,
    verb: str,
    summary: str,
    facts: tuple[tuple[str, str], ...],
) -> int:
    human, began = asked.output == "human", to.clock.monotonic()
    if not change.files:
        raise NeedsHuman(f"nothing that {found.word} reads differs", hint="what runs may come from elsewhere: see diff")
    say(plain_text(reverting.told(change, found.word)), sys.stdout if human else sys.stderr)
    if not asked.yes and not (sys.stdin.isatty() and click.confirm("put them back?")):
        raise RefusedHere("nothing was changed", hint="--yes puts them back without asking")
    written = await reverting.carry_out(
        to, found, change, who, verb=verb, summary=summary, reason=asked.reason, facts=facts
    )
    if human:
        say(f"{verb}   {short(written.commit)} {plain(summary)}\n")
    await ask_to_look(to, found, "")
    arrival: Arrival | None = None
    held = in_the_way(found, None, to.clock.now())
    if asked.timeout is not None and held is None:
        told = _teller(human=human)
        arrival = await arrive(to, found, lambda spec: True, asked.timeout, told, commit=written.commit)
    made = Made(written, verb, "", "")
    seconds = to.clock.monotonic() - began
    if human:
        say(held.told("the content") if held is not None else conclusion(found.word, made, arrival, seconds))
    else:
        emit(
            {
                "application": f"{found.namespace}/{found.name}",
                "result": written.result,
                "commit": written.commit,
                "files": sorted(change.files),
                "others": change.others,
                "reached": _reached(arrival, held),
                "waits": held.sentence if held is not None else "",
                "seconds": round(seconds, 3),
            },
            asked.output,
        )
    return _code(asked, arrival, held)


def _reached(arrival: Arrival | None, held: InTheWay | None) -> bool | None:
    return False if held is not None else arrival.reached if arrival is not None else None


def _code(asked: Asked, arrival: Arrival | None, held: InTheWay | None) -> int:
    """0 also where nobody waits for it."""
    return 0 if asked.timeout is None or _reached(arrival, held) else DIFFERS


def plain_text(text: str) -> str:
    """Lines of foreign names, each made harmless."""
    return "".join(f"{plain(line)}\n" for line in text.splitlines())


# --- which commit -----------------------------------------------------------------------------------------------------


async def _target(to: Reach, asked: Asked, app: Application, status: ApplicationStatus) -> CommitInfo:
    """The commit to go back to, which the followed ref leads to."""
    source = await repository_of(to, app)
    url = source.spec.url
    fetched = await fetching.fetch(url, source.spec.ref)
    wanted = asked.to or await asyncio.to_thread(_earlier, asked, app, status, fetched)
    return await commit_named(url, fetched, wanted, source.metadata.name)


def _earlier(asked: Asked, app: Application, status: ApplicationStatus, fetched: fetching.Fetch) -> str:
    """Back from what runs now: what the history says of commits that came later is none of it."""
    running = app.spec.source.at or status.commit
    store = Store(fetched.folder)
    history = [one for one in status.history if one.commit == running or _before(store, one.commit, running)]
    if asked.steps:
        # By their place on the branch: in the history a rollback stands before what it went back from.
        known = others(sorted(history, key=cmp_to_key(partial(_later, store))), running)
        if len(known) >= asked.steps:
            return known[asked.steps - 1].commit
        raise NeedsHuman(
            f"of what deployed something else before {short(running)}, {len(known)} are known, not {asked.steps}",
            hint="name one: --to COMMIT",
        )
    found = last_healthy(history, running)
    if not found:
        raise NeedsHuman(
            f"no commit before {short(running) or 'this one'} is known at which {asked.app} was Healthy",
            hint="name one: --to COMMIT, a commit id or a tag",
        )
    return found


def _before(store: Store, commit: str, running: str) -> bool:
    """Whether a commit came before the one that runs; also where nobody can tell."""
    return not (store.has(running) and store.has(commit)) or store.moved(commit, running) is Move.FORWARD


def _later(store: Store, one: Deployed, two: Deployed) -> int:
    """Negative where the first's commit came later than the second's."""
    if one.commit == two.commit or not (store.has(one.commit) and store.has(two.commit)):
        return 0
    came_later = store.moved(two.commit, one.commit) is Move.FORWARD
    return -1 if came_later else int(store.moved(one.commit, two.commit) is Move.FORWARD)


# --- what became of it ------------------------------------------------------------------------------------------------


async def _finish(to: Reach, asked: Asked, found: Found, place: Place, made: Made, began: float, *, at: str) -> int:
    human = asked.output == "human"
    if human:
        say(headline(made, place, to.clock.now()))
    arrival: Arrival | None = None
    if not await ask_to_look(to, place.parent, f"Application/{found.name}") and human:
        every = place.repository.spec.interval
        say(f"  you may not ask the controller to look now: it looks by itself, every {every} or by a push hook\n")
    held = in_the_way(found, place.parent, to.clock.now())
    if asked.timeout is not None and held is None:
        arrival = await arrive(to, found, lambda spec: _at(spec) == at, asked.timeout, _teller(human=human))
    seconds = to.clock.monotonic() - began
    if human:
        did = "the pin" if at else "letting go of the pin"
        say(held.told(did) if held is not None else conclusion(found.word, made, arrival, seconds))
    else:
        emit(_data(found, place, made, arrival, held, seconds), asked.output)
    return _code(asked, arrival, held)


def _at(spec: dict[str, Any]) -> str:
    source = spec.get("source")
    return str(source.get("at") or "") if isinstance(source, dict) else ""


def _teller(*, human: bool) -> Any:
    told: set[str] = set()

    def tell(message: str) -> None:
        line = fit(f"  {plain(message)}", width_of(sys.stdout))
        if human and line not in told:
            told.add(line)
            say(line + "\n")

    return tell


def headline(made: Made, place: Place, now: Any) -> str:
    """What the commit says, before anything is waited for."""
    where = plain(place.home.file)
    if made.written.result == "unchanged":
        so = f"is pinned at {short(made.now)} already" if made.now else "has no pin"
        return f"{place.home.name} {so} ({where})\n"
    commit = short(made.written.commit)
    if not made.now:
        out = f"takes the pin at {short(made.was)} out" if made.was else "takes the pin out"
        return f"{made.verb}   {commit} {out}   ({where})\n"
    lines = [f"{made.verb}   {commit} pins {short(made.now)} (was {short(made.was) or 'nothing'})   ({where})"]
    if made.info is not None:
        told = f'"{fit(plain(made.info.subject), 50)}" ({plain(made.info.author)}, {ago(made.info.time, now)})'
        lines.append(f"  {short(made.now)} {told}")
    for one in made.held:
        name = plain(one.policy)
        instead = f"   {plain(one.trouble)}; windlass hold {name} {plain(one.tag)}" if one.trouble else ""
        lines.append(
            f"  holds {plain(one.tag)} of ImagePolicy {name}"
            if not one.trouble
            else f"  not held: {plain(one.tag)} of ImagePolicy {name}{instead}"
        )
    return "".join(f"{line}\n" for line in lines)


def conclusion(word: str, made: Made, arrival: Arrival | None, seconds: float) -> str:
    """What became of it, and what to do next."""
    name = plain(word)
    forward = f"next  windlass forward {name}   follows the branch again\n"
    if arrival is None:
        return f"next  windlass status {name}\n"
    status = arrival.status
    state = " ".join(part for part in (status.sync, short(status.commit)) if part)
    if arrival.reached:
        return f"{name}   {state}   {status.health} after {took(seconds)}\n" + (forward if made.now else "")
    ready = condition(status.conditions, "Ready")
    lines = [f"{name}   {state}   {status.health}   not there after {took(seconds)}"]
    if ready is not None and ready.message and ready.status != "True":
        lines.append(f"  {plain(ready.message)}")
    if ready is not None and ready.reason in HOLDS:
        whose = "" if ready.message.startswith(WHOLE) else f" {name}"
        lines.append(f"next  windlass resume{whose}   ends it now")
    else:
        lines.append(f"next  windlass status {name}")
    return "".join(f"{line}\n" for line in lines)


def _data(
    found: Found, place: Place, made: Made, arrival: Arrival | None, held: InTheWay | None, seconds: float
) -> dict[str, Any]:
    return {
        "application": f"{found.namespace}/{found.name}",
        "result": made.written.result,
        "commit": made.written.commit,
        "file": place.home.file,
        "pins": made.now,
        "was": made.was,
        "outside": list(made.outside),
        "reached": _reached(arrival, held),
        "waits": held.sentence if held is not None else "",
        "sync": arrival.status.sync if arrival is not None else "",
        "health": arrival.status.health if arrival is not None else "",
        "seconds": round(seconds, 3),
        "held": [{"policy": one.policy, "tag": one.tag, "trouble": one.trouble} for one in made.held],
    }
