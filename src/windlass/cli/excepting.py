"""The work of ``windlass suspend``, ``resume``, ``freeze`` and ``ignore``: an exception as one commit of the person's
own, with who, why and until when.

The Application's own file is edited, or the Installation's where the whole cluster is meant. The controller reads it
like everything else; the command waits until it has.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from windlass.cli.arriving import arrive, ask_to_look
from windlass.cli.homes import Place, new_id, place_of, write
from windlass.cli.meant import Meant, meant_by, remark
from windlass.cli.pushing import Person, person
from windlass.cli.reaching import Found, Reach, find, reach
from windlass.cli.telling import DIFFERS, emit, say
from windlass.core.edits import Intent, RemoveItem
from windlass.core.edits.intents import Home, hold_off, ignore, let_go
from windlass.core.kinds import installation
from windlass.core.kinds.fields import moment, stamp
from windlass.core.model import ObjectRef
from windlass.core.words.plain import ago, plain, short
from windlass.errors import NeedsHuman
from windlass.flows.report import INSTALLATIONS
from windlass.flows.write import Written

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed. ``app`` "" is the whole cluster; ``until`` an ISO time or a duration in seconds."""

    app: str
    namespace: str
    reason: str
    until: str
    timeout: float | None
    output: str


@dataclass(frozen=True, slots=True)
class Named:
    """Fields of one object of the Application."""

    kind: str
    name: str
    fields: tuple[str, ...]
    remove: bool


async def hold(verb: str, asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """``suspend`` and ``freeze``."""

    def made(home: Home, who: Person, until: str) -> Intent:
        return hold_off(home, verb, identity=new_id(), until=until, reason=asked.reason, by=who.by)

    return await _do(asked, kubeconfig, context, made, lambda spec, until: _until(spec.get(verb)) == until)


async def resume(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """``resume``: what ``suspend`` or ``freeze`` wrote, taken out."""

    def made(home: Home, who: Person, until: str) -> Intent:
        return let_go(home, ("suspend", "freeze"), identity=new_id(), reason=asked.reason)

    return await _do(
        asked, kubeconfig, context, made, lambda spec, _: not spec.get("suspend") and not spec.get("freeze")
    )


async def leave(named: Named, asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """``ignore``: fields left to others, or taken back."""
    meant = Meant(named.kind, named.name)

    async def look(to: Reach, found: Found) -> None:
        nonlocal meant
        if named.remove:
            meant = _written(found, named) or meant
            return
        meant = await meant_by(to, found, named.kind, named.name)
        undo = f"windlass ignore {found.word} {meant.kind}/{meant.name} {' '.join(named.fields)} --remove"
        say(remark(meant, found.word, undo), sys.stderr)

    def given() -> dict[str, Any]:
        within = {"namespace": meant.namespace} if meant.namespace else {}
        return {"kind": meant.kind, "name": meant.name, **within, "fields": list(named.fields)}

    def made(home: Home, who: Person, until: str) -> Intent:
        if named.remove:
            step = RemoveItem(file=home.file, target=home.target, path=("spec", "ignore"), given=given())
            summary = f"Take {', '.join(named.fields)} of {meant.kind}/{meant.name} in {home.name} back"
            return Intent(
                id=new_id(), verb="ignore", about=home.name, summary=summary, reason=asked.reason, steps=(step,)
            )
        item = {**given(), "until": until, "reason": asked.reason, "by": who.by}
        return ignore(home, item, identity=new_id())

    def seen(spec: Spec, until: str) -> bool:
        items = [
            one for one in spec.get("ignore") or [] if all(one.get(key) == value for key, value in given().items())
        ]
        return not items if named.remove else any(_until(one) == until for one in items)

    return await _do(asked, kubeconfig, context, made, seen, look)


def _written(found: Found, named: Named) -> Meant | None:
    """What the Application's own words mean by what is to be taken back."""
    for one in found.decoded().spec.ignore:
        if (one.kind.lower(), one.name, tuple(one.fields)) == (named.kind.lower(), named.name, named.fields):
            return Meant(one.kind, one.name, one.namespace)
    return None


def end_of(text: str, now: datetime) -> str:
    """When an exception ends: a time as it was typed, or seconds from now. Raises NeedsHuman for what is past."""
    try:
        until = text if not text.replace(".", "").isdigit() else stamp(now + timedelta(seconds=float(text)))
        ends = moment(until)
    except ValueError:
        raise NeedsHuman(
            f"{plain(text)!r} is no time", hint="--until 2026-12-01, 2026-12-01T08:00:00Z, or a duration: 2h"
        ) from None
    if ends <= now:
        raise NeedsHuman(f"{until} is past already", hint="an exception ends in the future: --until 2h")
    return until


async def _do(
    asked: Asked,
    kubeconfig: Path | None,
    context: str | None,
    made: Callable[[Home, Person, str], Intent],
    seen: Callable[[Spec, str], bool],
    look: Callable[[Reach, Found], Awaitable[None]] | None = None,
) -> int:
    async with reach(kubeconfig, context) as to:
        found = await find(to, asked.app, asked.namespace) if asked.app else await _installation(to)
        who = await person()
        until = end_of(asked.until, to.clock.now()) if asked.until else ""
        place = await place_of(to, found)
        if look is not None:
            await look(to, found)
        intent = made(place.home, who, until)
        (written,) = await write(to, place, who, [intent])
        human = asked.output == "human"
        if human:
            say(told(intent, written, place, until, to.clock.now()))
        reached: bool | None = None
        await ask_to_look(to, place.parent, f"{found.content['kind']}/{found.content['metadata']['name']}")
        if asked.timeout is not None and not asked.app:
            reached = await _cluster_says(to, lambda spec: seen(spec, until), asked.timeout)
            if human:
                say(f"the cluster   {'is so' if reached else 'does not have it yet'}\n")
        elif asked.timeout is not None:
            arrival = await arrive(
                to, found, lambda spec: seen(spec, until), asked.timeout, lambda message: None, healthy=False
            )
            reached = arrival.reached
            if human:
                word = "is so" if reached else "is not seen by the controller yet"
                say(f"{plain(found.word)}   {word}   {arrival.status.sync}, {arrival.status.health}\n")
        if not human:
            emit(_data(found, place, written, until, reached), asked.output)
        return 0 if reached is not False else DIFFERS


async def _cluster_says(to: Reach, seen: Callable[[Spec], bool], timeout: float) -> bool:
    """Whether the Installation says it in time."""
    try:
        async with asyncio.timeout(timeout):
            async for kind, content in to.cluster.follow(INSTALLATIONS):
                named = kind in ("ADDED", "MODIFIED") and content["metadata"]["name"] == installation.NAME
                if named and seen(content.get("spec") or {}):
                    return True
    except TimeoutError:
        pass
    return False


async def _installation(to: Reach) -> Found:
    content = await to.cluster.read(
        INSTALLATIONS, ObjectRef(INSTALLATIONS.group, installation.KIND, "", installation.NAME)
    )
    if content is None:
        raise NeedsHuman(
            "there is no Installation named windlass in this cluster", hint="`windlass install --export` prints one"
        )
    return Found(content, "the Installation")


def told(intent: Intent, written: Written, place: Place, until: str, now: datetime) -> str:
    """What the commit says."""
    where = plain(place.home.file)
    if written.result == "unchanged":
        return f"{place.home.name} says so already ({where})\n"
    ends = f"   ends {ago(moment(until), now)}" if until else ""
    return f"{intent.verb}   {short(written.commit)} {plain(intent.summary)}   ({where}){ends}\n"


def _until(value: Any) -> str:
    return str(value.get("until", "")) if isinstance(value, dict) else ""


def _data(found: Found, place: Place, written: Written, until: str, reached: bool | None) -> dict[str, Any]:
    metadata = found.content["metadata"]
    return {
        "kind": found.content["kind"],
        "name": metadata["name"],
        "namespace": metadata.get("namespace", ""),
        "result": written.result,
        "commit": written.commit,
        "file": place.home.file,
        "until": moment(until).astimezone(UTC).isoformat() if until else "",
        "reached": reached,
    }
