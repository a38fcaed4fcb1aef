"""The work of ``windlass blame``: from a live field to the line in Git and the commit that wrote it.

What the Application's render read at the commit that is applied is looked through (``core/plan/whence``), and Git's own
blame tells who wrote that line. A live value that is not what Git says has no line: its field manager is told.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pygit2

from windlass.adapters.git import CommitInfo, CommitSnapshot, Store
from windlass.cli import living
from windlass.cli.planning import place_of
from windlass.cli.reaching import Found, Reach, find, reach
from windlass.cli.telling import DIFFERS, emit, say
from windlass.cli.trees import render_for
from windlass.core.model import Desired, Rendered
from windlass.core.plan.entries import entries_of
from windlass.core.plan.ignore import left_to_others
from windlass.core.plan.whence import Place, Step, is_absent, resolved, steps_of, whence
from windlass.core.words.plain import ago, fit, plain, short
from windlass.core.words.plain import value as shown
from windlass.errors import NeedsHuman, Where
from windlass.flows.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Line:
    """One line and who wrote it."""

    place: Place
    commit: CommitInfo | None
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed."""

    app: str
    namespace: str
    object: str
    field: str
    output: str


async def blame(asked: Asked, kubeconfig: Path | None, context: str | None) -> int:
    """The command, from the cluster to the exit code: 2 where the live value is not Git's."""
    steps = _steps(asked.field)
    async with reach(kubeconfig, context) as to:
        found = await find(to, asked.app, asked.namespace)
        rendered, folder = await _rendered(to, found)
        desired = _chosen(rendered, asked)
        live = await _live(to, desired)
        body = msgspec.json.decode(desired.body)
        wanted, path = resolved(body, steps)
        # Of a whole object no value is asked for: what an API server adds to every one of them is no difference.
        have = resolved(live, steps)[0] if live is not None and steps else wanted
        lines = await asyncio.to_thread(_lines, folder, rendered, desired, steps, wanted)
        manager = _manager(live, path) if live is not None and not _equal(have, wanted) else ""
        if asked.output == "human":
            say(told(desired, asked.field, wanted, have, manager, lines, to.clock.now()))
        else:
            emit(_data(desired, asked.field, wanted, have, manager, lines), asked.output)
        return DIFFERS if manager or not _equal(have, wanted) else 0


def _steps(field: str) -> list[Step]:
    try:
        return steps_of(field) if field else []
    except ValueError:
        raise NeedsHuman(
            f"{plain(field)!r} is no field", hint="write spec.replicas, /spec/replicas or containers[name=web].image"
        ) from None


async def _rendered(to: Reach, found: Found) -> tuple[Rendered, str]:
    app = found.decoded()
    place = await place_of(to, app, None, app.status.commit)
    rendered = await render_for(app, found.claim, place, Inventory(to.cluster), await living.digest_key(to) or b"")
    rendered = left_to_others(rendered, app.spec.ignore, app.namespace, to.clock.now())
    if rendered.problems:
        first = rendered.problems[0]
        raise NeedsHuman(first.what, where=Where(file=first.file, line=first.line), hint=first.hint)
    return rendered, place.folder


def _chosen(rendered: Rendered, asked: Asked) -> Desired:
    kind, _, name = asked.object.partition("/")
    found = [one for one in rendered.objects if (one.ref.kind.lower(), one.ref.name) == (kind.lower(), name)]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(one.ref.full for one in found)
        raise NeedsHuman(f"{asked.object} is in {asked.app} {len(found)} times: {places}", hint="name another object")
    names = ", ".join(sorted(str(one.ref) for one in rendered.objects)[:10])
    raise NeedsHuman(f"{plain(asked.object)} is not of {asked.app} at {short(rendered.commit)}", hint=f"it has {names}")


async def _live(to: Reach, desired: Desired) -> dict[str, Any] | None:
    resource = await to.cluster.resource(desired.api_version, desired.ref.kind)
    if (resource.group, resource.kind) == ("", "Secret"):
        return None  # values of Secrets are not asked for
    return await to.cluster.read(resource, desired.ref)


def _lines(folder: str, rendered: Rendered, desired: Desired, steps: list[Step], wanted: Any) -> list[Line]:
    store = Store(folder)
    snapshot = CommitSnapshot(store, rendered.commit)
    origin = desired.origin
    if not steps or is_absent(wanted) or isinstance(wanted, (dict, list)):
        places = [Place(0, origin.file, origin.line, "the object's own manifest")]
    else:
        # A link to a folder is among what was read, and is no file.
        files = {path: snapshot[path] for path, blob in rendered.read.items() if blob and path in snapshot}
        places = whence(files, origin.file, desired.ref, steps, wanted)
    return [_line(store, snapshot, rendered.commit, place) for place in places if place.file in snapshot]


def _line(store: Store, snapshot: CommitSnapshot, commit: str, place: Place) -> Line:
    texts = snapshot[place.file].decode(errors="replace").splitlines()
    text = texts[place.line - 1].strip() if 0 < place.line <= len(texts) else ""
    number = max(place.line, 1)
    try:
        made = store.repository.blame(
            place.file, newest_commit=pygit2.Oid(hex=commit), min_line=number, max_line=number
        )
        info = store.describe(str(made.for_line(number).final_commit_id))
    except (pygit2.GitError, IndexError, KeyError, ValueError):
        info = None
    return Line(place, info, text)


def _manager(live: dict[str, Any], path: tuple[str | int, ...]) -> str:
    """Who owns a live field of maps; "" where it goes through a list or nobody does."""
    for entry in entries_of(live):
        fields: Any = entry.fields
        for part in path:
            fields = fields.get(f"f:{part}") if isinstance(fields, dict) else None
        if fields is not None and path:
            return f"{entry.manager} ({entry.how})"
    return ""


def _equal(one: Any, other: Any) -> bool:
    return is_absent(one) or is_absent(other) or bool(one == other)


def told(desired: Desired, field: str, wanted: Any, have: Any, manager: str, lines: list[Line], now: Any) -> str:
    """The lines, as a person reads them."""
    secret = (desired.ref.group, desired.ref.kind) == ("", "Secret")
    head = plain(str(desired.ref))
    if field:
        text = "not named in Git" if is_absent(wanted) else "****" if secret else shown(wanted)
        head += f"   {plain(field)} = {text}"
    out = [head]
    if not _equal(have, wanted):
        by = f", by {plain(manager)}" if manager else ""
        out.append(f"  live it is {shown(have)}{by}; Git says {shown(wanted)}")
    for one in lines:
        who = ""
        if one.commit is not None:
            subject = fit(plain(one.commit.subject), 50)
            who = f'{short(one.commit.id)} "{subject}" ({plain(one.commit.author)}, {ago(one.commit.time, now)})   '
        out.append(f"  {who}{plain(one.place.file)}{f':{one.place.line}' if one.place.line else ''}")
        if one.text and field and not secret:
            out.append(f"      {fit(plain(one.text), 100)}")
        if not one.place.certain:
            out.append(f"      as far as can be told: {one.place.why}")
    if not lines:
        out.append("  no line of the files that were read has it: it is made by a template, a generator or a default")
    return "".join(f"{line}\n" for line in out)


def _data(desired: Desired, field: str, wanted: Any, have: Any, manager: str, lines: list[Line]) -> dict[str, Any]:
    secret = (desired.ref.group, desired.ref.kind) == ("", "Secret")

    def value(one: Any) -> Any:
        return None if is_absent(one) or secret else one

    return {
        "object": desired.ref.full,
        "field": field,
        "git": value(wanted),
        "live": value(have),
        "manager": manager,
        "lines": [
            {
                "file": one.place.file,
                "line": one.place.line,
                "certain": one.place.certain,
                "why": one.place.why,
                "commit": one.commit.id if one.commit is not None else "",
                "subject": one.commit.subject if one.commit is not None else "",
                "author": one.commit.author if one.commit is not None else "",
                "time": one.commit.time.isoformat() if one.commit is not None else "",
            }
            for one in lines
        ],
    }
