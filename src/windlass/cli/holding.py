"""The work of ``windlass hold``, and what ``windlass rollback`` holds: tags that image policies are not to take.

A rollback holds the tags that it goes back from: those that the Application's files say at the commit that ran and not
at the one it goes back to, where a policy of its namespace moves them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass import ports
from windlass.cli.arriving import ask_to_look
from windlass.cli.excepting import end_of
from windlass.cli.homes import Place, new_id, place_of, write
from windlass.cli.imaging import find_policy
from windlass.cli.pushing import Person, person
from windlass.cli.reaching import Found, Reach, reach
from windlass.cli.telling import emit, say
from windlass.core.edits import Intent
from windlass.core.edits.intents import hold_tag, let_tag_go
from windlass.core.kinds import image_policy
from windlass.core.kinds.application import Application
from windlass.core.words.plain import plain, short
from windlass.errors import NeedsHuman
from windlass.flows.image_search import search, wanted_of
from windlass.flows.images import POLICIES


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed. ``until`` is an ISO time, seconds from now, or "" for no end."""

    policy: str
    namespace: str
    tag: str
    until: str
    reason: str
    output: str
    remove: bool


@dataclass(frozen=True, slots=True)
class Held:
    """A tag to hold: the policy's own file, and the intent; ``trouble`` is why it can't be held."""

    policy: str
    tag: str
    place: Place | None = None
    intent: Intent | None = None
    trouble: str = ""


async def hold(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """``windlass hold``, from the cluster to the exit code."""
    async with reach(kubeconfig, context) as to:
        name, content = await find_policy(to, asked.policy, asked.namespace)
        who = await person()
        until = end_of(asked.until, to.clock.now()) if asked.until else ""
        place = await place_of(to, Found(content, name))
        intent = (
            let_tag_go(place.home, asked.tag, identity=new_id(), reason=asked.reason)
            if asked.remove
            else hold_tag(place.home, asked.tag, identity=new_id(), reason=asked.reason, by=who.by, until=until)
        )
        (written,) = await write(to, place, who, [intent])
        await ask_to_look(to, place.parent, f"{image_policy.KIND}/{content['metadata']['name']}")
        if asked.output != "human":
            emit({"policy": name, "tag": asked.tag, "result": written.result, "commit": written.commit}, asked.output)
        elif written.result == "unchanged":
            say(f"{plain(name)} says so already ({plain(place.home.file)})\n")
        else:
            say(f"hold   {short(written.commit)} {plain(intent.summary)}   ({plain(place.home.file)})\n")
        return 0


async def holds_for(
    to: Reach, app: Application, folder: str, running: str, target: str, who: Person, reason: str
) -> list[Held]:
    """What a rollback of this Application holds: commits are of the Repository whose mirror is ``folder``."""
    namespace, source = app.metadata.namespace, app.spec.source
    try:
        contents = await to.cluster.select(POLICIES, namespace)
    except (ports.NotAllowed, ports.ObjectMissing, ports.KindUnknown):
        return []
    found: list[Held] = []
    for content in contents:
        policy = image_policy.decode(content)
        if policy.spec.update.repository != source.repository:
            continue
        tags = await _left(policy, source.folder, folder, running, target)
        found += [await _held(to, content, tag, who, reason) for tag in tags]
    return found


async def _left(policy: image_policy.ImagePolicy, path: str, folder: str, running: str, target: str) -> list[str]:
    """The tags that the files below a path say at one commit and not at the other."""
    tags = []
    for commit in (running, target):
        places = await search(folder, commit, policy.spec.update.paths, wanted_of(policy))
        inside = [those for file, those in places.places.items() if not path or file.startswith(f"{path}/")]
        tags.append({place.current.tag for those in inside for place in those if place.current.tag})
    return sorted(tags[0] - tags[1])


async def _held(to: Reach, content: dict[str, Any], tag: str, who: Person, reason: str) -> Held:
    name = f"{content['metadata']['namespace']}/{content['metadata']['name']}"
    try:
        place = await place_of(to, Found(content, name))
    except NeedsHuman as error:
        return Held(name, tag, trouble=error.what)
    intent = hold_tag(place.home, tag, identity=new_id(), reason=f"rolled back: {reason}", by=who.by)
    return Held(name, tag, place, intent)
