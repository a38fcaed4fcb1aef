"""The questions of ``windlass log``: what happened, what ran then, who led to it, what changed between deployments."""

from __future__ import annotations

import difflib
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from windlass.adapters.host.clock import SystemClock
from windlass.adapters.ledger.index import Index, Wish, on_index_thread
from windlass.cli.ledgers import Which, opened
from windlass.cli.reaching import Reach, reach
from windlass.cli.tags import tags_by_commit
from windlass.cli.telling import emit, say, width_of
from windlass.core.kinds import repository
from windlass.core.model import ObjectRef, events
from windlass.core.model.events import Applied, Event, encode
from windlass.core.record.facts import milliseconds
from windlass.core.words.plain import ago, count, fit, pad, plain, short
from windlass.core.words.timeline import timeline
from windlass.errors import NeedsHuman, WindlassError
from windlass.flows.informers import REPOSITORIES

REPOSITORIES_ASKED = 5
"""So many repositories are asked for their tags."""
QUIET = ("planned",)
"""What is not told unless it is asked for: its outcome is told."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed."""

    app: str
    namespace: str
    kinds: tuple[str, ...]
    since: datetime | None
    until: datetime | None
    actor: str
    limit: int
    output: str


async def log(which: Which, asked: Asked) -> int:
    """The timeline."""
    unknown = sorted(set(asked.kinds) - events.KINDS.keys())
    if unknown:
        near = difflib.get_close_matches(unknown[0], events.KINDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(events.KINDS))}"
        raise NeedsHuman(f"no event is of kind {unknown[0]!r}", hint=hint)
    async with opened(which) as index:
        subjects = await on_index_thread(subjects_of, index, asked)
        wish = Wish(
            subjects=subjects,
            kinds=asked.kinds,
            without=() if asked.kinds else QUIET,
            since=milliseconds_of(asked.since),
            until=milliseconds_of(asked.until),
            actor=asked.actor,
            limit=asked.limit,
        )
        found = await on_index_thread(index.events, wish)
    if asked.output != "human":
        emit([as_data(one) for one in found], asked.output)
        return 0
    tags = await _tags_of(which, found)
    say(timeline(found, local_now(), width=width_of(sys.stdout), names=not asked.app, tags=tags))
    if not found:
        say("nothing is recorded that fits\n", sys.stderr)
    elif len(found) == asked.limit:
        say(f"only the newest {asked.limit} are told: --limit tells more\n", sys.stderr)
    return 0


async def _tags_of(which: Which, found: list[Event]) -> dict[str, list[str]]:
    """The tags of the repositories that were deployed from, as the cluster names them; none where it is not asked."""
    named = dict.fromkeys(one.data.repository for one in found if isinstance(one.data, Applied))
    named.update(dict.fromkeys(one.subject.removeprefix("Repository/") for one in found if one.subject.count("/") == 2))
    tags: dict[str, list[str]] = {}
    if which.url or not any(named):
        return tags
    try:
        async with reach(which.kubeconfig, which.context) as to:
            for word in [one for one in named if "/" in one][:REPOSITORIES_ASKED]:
                url = await url_of(to, word)
                for commit, names in (await tags_by_commit(url)).items() if url else ():
                    tags.setdefault(commit, []).extend(names)
    except WindlassError:
        return tags
    return tags


async def url_of(to: Reach, word: str) -> str:
    """The address of a Repository as events name it (``shop/config``); "" where it is not there or may not be read."""
    namespace, _, name = word.partition("/")
    try:
        content = await to.cluster.read(REPOSITORIES, ObjectRef(REPOSITORIES.group, repository.KIND, namespace, name))
        return repository.decode(content).spec.url if content is not None else ""
    except WindlassError:
        return ""


async def ran_at(which: Which, asked: Asked, at: datetime) -> int:
    """What ran at a time."""
    time = milliseconds_of(at)

    def look(index: Index) -> list[tuple[Event, str]]:
        found = index.applied_at(time, subjects_of(index, asked) if asked.app else ())
        if asked.namespace and not asked.app:
            found = [one for one in found if one.subject.startswith(f"{asked.namespace}/")]
        return [(one, index.health_at(time, one.subject)) for one in found]

    async with opened(which) as index:
        found = await on_index_thread(look, index)
    if asked.output != "human":
        emit([{**as_data(one), "health": health} for one, health in found], asked.output)
        return 0
    if not found:
        raise NeedsHuman("nothing had been applied by then, as far as the ledger tells", hint="name a later time")
    wide = max(len(plain(one.subject)) for one, _ in found)
    lines = []
    for one, health in found:
        data = one.data
        assert isinstance(data, Applied)
        subject = f'"{plain(data.commits[0].subject)}" ({plain(data.commits[0].author)})' if data.commits else ""
        since = f"since {one.when.astimezone(local_now().tzinfo):%Y-%m-%d %H:%M:%S}"
        lines.append(f"{pad(plain(one.subject), wide)}   {short(data.commit)}   {since}   {pad(health, 9)}   {subject}")
    width = width_of(sys.stdout)
    say("".join(f"{fit(line.rstrip(), width)}\n" for line in lines))
    return 0


async def commits(which: Which, asked: Asked) -> int:
    """The commits that are in what runs now, the newest first, with who wrote them and when they were deployed."""
    async with opened(which) as index:
        subjects = await on_index_thread(subjects_of, index, asked)
        applied = await on_index_thread(index.events, Wish(subjects, ("applied",), limit=10_000))
    rows = commit_rows([one for one in applied if isinstance(one.data, Applied) and one.data.result == "applied"])
    rows = rows[: asked.limit]
    if asked.output != "human":
        emit(rows, asked.output)
        return 0
    now = local_now()
    for row in rows:
        deployed = ago(row["deployed"], now)
        line = f"{short(row['id'])}   {plain(row['subject'])}   ({plain(row['author'])} <{plain(row['email'])}>, "
        say(fit(f"{line}{ago(row['time'], now)}; deployed {deployed})", width_of(sys.stdout)) + "\n")
    if not rows:
        say("no deployment is recorded\n", sys.stderr)
    return 0


def commit_rows(applied: list[Event]) -> list[dict[str, Any]]:
    """From deployments, newest first: each commit once. Where somebody went back to an older commit, what came after it
    did not lead to what runs now and is left out until that commit was deployed first."""
    rows: dict[str, dict[str, Any]] = {}
    skip_to = ""
    known = [one.data.commit for one in applied if isinstance(one.data, Applied)]
    for place, event in enumerate(applied):
        data = event.data
        assert isinstance(data, Applied)
        if skip_to and data.commit != skip_to:
            continue
        skip_to = data.commit if data.commit in known[place + 1 :] else ""
        for one in data.commits:
            rows.setdefault(one.id, {**msgspec.to_builtins(one), "deployed": event.time})
    return [{"subject": "", "author": "", "email": "", "time": "", **row} for row in rows.values()]


async def changes(which: Which, asked: Asked, first: str, second: str) -> int:
    """What changed between two deployments: the commits, and the rendered difference."""
    from windlass.cli.comparing import rendered_changes

    async with opened(which) as index:
        subjects = await on_index_thread(subjects_of, index, asked)
        applied = await on_index_thread(index.events, Wish(subjects, ("applied",), limit=10_000))
    if all(_is_id(word) and len(_matching(applied, word)) == 1 for word in (first, second)):
        old, new = (_deployed(applied, word, {}, subjects[0]) for word in (first, second))
    else:
        tags = {name: commit for commit, names in (await _tags_of(which, applied)).items() for name in names}
        old, new = (_deployed(applied, word, tags, subjects[0]) for word in (first, second))
    return await rendered_changes(which, asked, subjects[0], old, new)


def _is_id(word: str) -> bool:
    return re.fullmatch("[0-9a-f]{4,40}", word) is not None


def _matching(applied: list[Event], word: str) -> list[str]:
    known = sorted({one.data.commit for one in applied if isinstance(one.data, Applied)})
    return [one for one in known if one.startswith(word)]


def _deployed(applied: list[Event], word: str, tags: dict[str, str], app: str) -> str:
    """The whole id of a deployed commit that a person names by its beginning or by a tag."""
    if word in tags:
        if not _matching(applied, tags[word]):
            what = (
                f"{plain(word)} is {short(tags[word])}, which was never deployed by {app}, as far as the ledger tells"
            )
            raise NeedsHuman(what, hint=f"windlass log {app} --kind applied shows what was")
        return tags[word]
    if not _is_id(word):
        what = f"{word!r} is not a commit id, nor a tag of the repository"
        raise NeedsHuman(what, hint="windlass log shows those that were deployed")
    found = _matching(applied, word)
    if len(found) != 1:
        what = f"was never deployed by {app}" if not found else f"is the beginning of {count(len(found), 'commit')}"
        raise NeedsHuman(
            f"{word} {what}, as far as the ledger tells", hint=f"windlass log {app} --kind applied shows them"
        )
    return found[0]


def subjects_of(index: Index, asked: Asked) -> tuple[str, ...]:
    """The Application that is meant, or those of a namespace; none for all."""
    known = index.subjects()
    if not asked.app:
        chosen = tuple(one for one in known if asked.namespace and asked.namespace in one.split("/")[:-1])
        if asked.namespace and not chosen:
            raise NeedsHuman(f"the ledger tells nothing of namespace {asked.namespace}")
        return chosen
    namespace, slash, name = asked.app.rpartition("/")
    namespace = namespace if slash else asked.namespace
    applications = [one for one in known if one.count("/") == 1]
    found = [one for one in applications if one.split("/")[1] == name and namespace in ("", one.split("/")[0])]
    if len(found) == 1:
        return (found[0],)
    if found:
        raise NeedsHuman(f"there are {len(found)} Applications {name}", hint=f"name one: {', '.join(found[:10])}")
    near = difflib.get_close_matches(name, [one.split("/")[1] for one in applications], n=3)
    raise NeedsHuman(
        f"the ledger tells nothing of Application {asked.app}",
        hint=f"did you mean {' or '.join(near)}?" if near else "windlass log tells of all",
    )


def as_data(event: Event) -> dict[str, Any]:
    """An event for programs: as it stands in the ledger."""
    found: dict[str, Any] = msgspec.json.decode(encode(event))
    return found


def local_now() -> datetime:
    """The time here, in the zone of this machine."""
    return SystemClock().now().astimezone()


def milliseconds_of(time: datetime | None) -> int:
    return milliseconds(time.astimezone(UTC).isoformat()) if time is not None else 0
