"""The work of ``windlass fork``: the same Application once more, in a file of its own beside the first, into a
namespace of its own, and with an end.

The file is made from the one in Git, not from what is live. What holds the first one back (suspend, freeze, ignore, a
pin) is not copied. The account that applies needs rights in the new namespace: that is said where it has none.
"""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass.adapters.git import CommitSnapshot, Store
from windlass.cli import fetching
from windlass.cli.arriving import arrive, ask_to_look
from windlass.cli.excepting import end_of
from windlass.cli.homes import Place, new_id, place_of, write
from windlass.cli.pushing import person
from windlass.cli.reaching import Found, find, reach
from windlass.cli.telling import DIFFERS, emit, say
from windlass.core.documents import read
from windlass.core.documents import write as yaml_text
from windlass.core.edits.intents import fork as fork_intent
from windlass.core.edits.objects import find_object
from windlass.core.kinds import application
from windlass.core.kinds.conditions import condition
from windlass.core.kinds.shape import BadSpec
from windlass.core.words.plain import plain, short, took
from windlass.errors import NeedsHuman

HOLDS = ("suspend", "freeze", "ignore", "expires", "rollback")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed. ``sets`` are ``field=value`` of the fork's spec; ``into`` its destination namespace."""

    app: str
    namespace: str
    name: str
    into: str
    sets: tuple[str, ...]
    until: str
    reason: str
    timeout: float | None
    output: str


async def fork(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """The command, from the cluster to the exit code."""
    async with reach(kubeconfig, context) as to:
        began = to.clock.monotonic()
        found = await find(to, asked.app, asked.namespace)
        who = await person()
        until = end_of(asked.until, to.clock.now()) if asked.until else ""
        place = await place_of(to, found)
        original = await _original(place)
        ends = {"until": until, "reason": asked.reason, "by": who.by} if until else None
        content = forked(original, asked.name, asked.into or asked.name, asked.sets, ends)
        _check(content, found.namespace)
        folder, slash, _ = place.home.file.rpartition("/")
        file = f"{folder}{slash}{asked.name}.yaml"
        data = f"# A fork of {place.home.name}: {plain(asked.reason)}\n{yaml_text([content])}".encode()
        intent = fork_intent(
            place.home, file, data, name=asked.name, identity=new_id(), reason=asked.reason, until=until
        )
        (written,) = await write(to, place, who, [intent])
        human = asked.output == "human"
        if human:
            say(f"fork   {short(written.commit)} {plain(intent.summary)}   ({plain(file)})\n")
        await ask_to_look(to, place.parent, f"Application/{asked.name}")
        reached: bool | None = None
        word = f"{found.namespace}/{asked.name}"
        if asked.timeout is not None:
            stub = Found({"metadata": {"namespace": found.namespace, "name": asked.name}, "status": {}}, word)
            arrival = await arrive(to, stub, lambda spec: True, asked.timeout, lambda message: None)
            reached = arrival.reached
            if human:
                seconds = to.clock.monotonic() - began
                ready = condition(arrival.status.conditions, "Ready")
                say(f"{plain(word)}   {arrival.status.sync}   {arrival.status.health} after {took(seconds)}\n")
                if not reached and ready is not None:
                    say(f"  {plain(ready.message)}\n")
        if human:
            end = f"it ends at {until}, or when" if until else "it ends when"
            say(f"next  windlass status {plain(word)}; {end} {plain(file)} leaves Git\n")
        else:
            emit(
                {"application": word, "result": written.result, "commit": written.commit, "file": file,
                 "until": until, "reached": reached},
                asked.output,
            )  # fmt: skip
        return 0 if reached is not False else DIFFERS


async def _original(place: Place) -> dict[str, Any]:
    """The Application as its file says at the newest commit."""
    spec = place.repository.spec
    fetched = await fetching.fetch(spec.url, spec.ref)

    def look() -> dict[str, Any]:
        files = CommitSnapshot(Store(fetched.folder), fetched.commit)
        try:
            return find_object(files[place.home.file], place.home.file, place.home.target)[1]
        except KeyError:
            raise NeedsHuman(
                f"{place.home.file} is not in Git any more", hint="look where the Application went"
            ) from None

    return await asyncio.to_thread(look)


def forked(
    original: dict[str, Any], name: str, into: str, sets: tuple[str, ...], ends: dict[str, str] | None
) -> dict[str, Any]:
    """The fork's manifest. Raises NeedsHuman for a ``field=value`` that is none."""
    made = copy.deepcopy(original)
    metadata = {key: value for key, value in made["metadata"].items() if key in ("namespace", "labels")}
    made["metadata"] = {"name": name, **metadata}
    spec = {key: value for key, value in (made.get("spec") or {}).items() if key not in HOLDS}
    if isinstance(spec.get("source"), dict):
        spec["source"].pop("at", None)
    spec["destination"] = {**(spec.get("destination") or {}), "namespace": into, "createNamespace": True}
    for one in sets:
        _set(spec, one)
    if ends is not None:
        spec["expires"] = ends
    made["spec"] = spec
    return made


def _set(spec: dict[str, Any], text: str) -> None:
    field, equals, value = text.partition("=")
    parts = [part for part in field.split(".") if part]
    if not equals or not parts:
        raise NeedsHuman(f"{plain(text)!r} is no field=value", hint="--set source.path=apps/next: a field of the spec")
    here: Any = spec
    for part in parts[:-1]:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            raise NeedsHuman(f"{plain(field)} goes through what has no fields", hint="set the whole of it")
    documents = read(f"v: {value}\n".encode(), "--set")
    here[parts[-1]] = documents[0].value["v"]


def _check(content: dict[str, Any], namespace: str) -> None:
    metadata = {"namespace": namespace, **content["metadata"]}
    try:
        application.decode({**content, "metadata": metadata})
    except BadSpec as error:
        error.hint = error.hint or "look at what --set says"
        raise
