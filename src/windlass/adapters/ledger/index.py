"""A local index over ledgers, so that views answer at once. It can be thrown away at any time: the ref is the record.

The command line makes one for each repository that holds a ledger, in its cache folder. ``follow`` reads what was added
since the last time; where a ref was rewritten, all is read again. The index keeps where an event stands and what is
asked for by the thousand (``core/record/facts.py``); the event itself is read from its file. Synchronous: SQLite has a
thread of its own, see ``on_index_thread``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, ParamSpec, TypeVar

import pygit2

from windlass.adapters.git import Move, Store
from windlass.adapters.ledger import chain
from windlass.core.model import events
from windlass.core.model.events import Event
from windlass.core.record.facts import Fact, fact
from windlass.errors import NeedsHuman

P = ParamSpec("P")
R = TypeVar("R")

VERSION = 1
_TABLES = """
CREATE TABLE refs (name TEXT PRIMARY KEY, tip TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (number INTEGER PRIMARY KEY, ref TEXT NOT NULL, blob BLOB NOT NULL);
CREATE TABLE words (number INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
CREATE TABLE teams (subject INTEGER PRIMARY KEY, team TEXT NOT NULL);
CREATE TABLE events (
  number INTEGER PRIMARY KEY, id BLOB NOT NULL, time INTEGER NOT NULL, kind INTEGER NOT NULL, subject INTEGER NOT NULL,
  actor INTEGER NOT NULL, word INTEGER NOT NULL, about TEXT NOT NULL, file INTEGER NOT NULL, place INTEGER NOT NULL
);
CREATE UNIQUE INDEX by_id ON events (id);
CREATE INDEX by_subject ON events (subject, time);
CREATE INDEX by_kind ON events (kind, time);
CREATE INDEX by_time ON events (time);
"""
_COUNTED = ("applied", "health", "refused", "rolled-back", "break-glass", "drift", "drift-closed")


@functools.cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="index")


async def on_index_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``work`` on the one thread that SQLite has in a process with a loop."""
    return await asyncio.get_running_loop().run_in_executor(_thread(), functools.partial(work, *args, **kwargs))


class IndexBroken(NeedsHuman):
    """The index can't be read or written. It holds nothing that is not in Git."""

    slug: ClassVar[str] = "index-broken"
    reason: ClassVar[str] = "IndexBroken"


@dataclass(frozen=True, slots=True)
class Wish:
    """Which events: all of them where nothing is said. Times in milliseconds; ``actor`` is a part of a name; newest
    first, at most ``limit`` (0: all)."""

    subjects: Sequence[str] = ()
    kinds: Sequence[str] = ()
    without: Sequence[str] = ()
    since: int = 0
    until: int = 0
    actor: str = ""
    limit: int = 0


class Index:
    """The index in ``path``, made where there is none and made anew where it can't be read. ``store`` holds the refs of
    one cluster's ledger (``cluster``)."""

    def __init__(self, path: Path, store: Store, cluster: str) -> None:
        self._store = store
        self._cluster = cluster
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError:
            _forget(path)
            try:
                self._db = _open(path)
            except sqlite3.DatabaseError as error:
                raise IndexBroken(f"{path} can't be used: {error}", hint="take it away: it is made again") from error
        self._words: dict[str, int] = {word: number for number, word in self._db.execute("SELECT * FROM words")}

    def close(self) -> None:
        self._db.close()

    def follow(self) -> int:
        """Takes in what the refs have that the index has not. Returns the number of new events. A kill in the middle
        leaves the index as it was."""
        count = 0
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")  # another command may be at it: it is waited for
                known = dict(self._db.execute("SELECT name, tip FROM refs"))
                here = chain.refs(self._store, self._cluster)
                if any(ref not in here or self._rewritten(tip, here[ref]) for ref, tip in known.items()):
                    # What one ref lost another may have kept: only all of it together is right.
                    known = {}
                    for table in ("events", "files", "refs", "teams"):
                        self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - own words
                for ref, tip in here.items():
                    since = known.get(ref, "")
                    if since != tip:
                        count += self._read(ref, tip, since)
                        self._db.execute("INSERT OR REPLACE INTO refs VALUES (?, ?)", (ref, tip))
        except sqlite3.DatabaseError as error:
            raise IndexBroken(
                f"the index can't be written: {error}", hint="windlass ledger rebuild makes it again"
            ) from error
        return count

    # --- asking ------------------------------------------------------------------------------------------------------

    def events(self, wish: Wish) -> list[Event]:
        """The events themselves, newest first."""
        where, values = self._where(wish)
        rows = self._db.execute(
            f"SELECT blob, place FROM events JOIN files ON files.number = events.file {where} "  # noqa: S608 - own words
            f"ORDER BY time DESC, events.number DESC {'LIMIT ?' if wish.limit else ''}",
            [*values, *([wish.limit] if wish.limit else [])],
        )
        found: list[Event] = []
        content: dict[bytes, list[bytes]] = {}
        for blob, place in rows:
            if blob not in content:
                if len(content) > 256:
                    content.clear()
                made = self._store.repository[pygit2.Oid(raw=blob)]
                content[blob] = made.read_raw().splitlines(keepends=True)
            found.append(events.decode(content[blob][place]))
        return found

    def facts(self, wish: Wish) -> Iterator[Fact]:
        """The facts of what is counted, oldest first."""
        where, values = self._where(Wish(wish.subjects, wish.kinds or _COUNTED, (), wish.since, wish.until))
        names = {number: word for word, number in self._words.items()}
        rows = self._db.execute(
            f"SELECT time, kind, subject, word, about FROM events {where} ORDER BY time, number",  # noqa: S608 - own words
            values,
        )
        for time, kind, subject, word, about in rows:
            yield Fact(time, names[kind], names[subject], names[word], about)

    def applied_at(self, time: int, subjects: Sequence[str] = ()) -> list[Event]:
        """For each Application the last sync that had come to its end by then, in order of their names."""
        where, values = self._where(Wish(subjects, ("applied",), until=time))
        values.append(self._words.get("applied", 0))
        rows = self._db.execute(
            "SELECT blob, place, MAX(time * 1000000 + events.number % 1000000) FROM events "  # noqa: S608 - own words
            f"JOIN files ON files.number = events.file {where} AND word = ? GROUP BY subject",
            values,
        )
        found = [self._event(blob, place) for blob, place, _ in rows]
        return sorted(found, key=lambda one: one.subject)

    def health_at(self, time: int, subject: str) -> str:
        """What the health of an Application was at a time, "" where nothing was told before."""
        names = {number: word for word, number in self._words.items()}
        where, values = self._where(Wish((subject,), ("health",), until=time))
        row = self._db.execute(
            f"SELECT word FROM events {where} ORDER BY time DESC, number DESC LIMIT 1",  # noqa: S608 - own words
            values,
        ).fetchone()
        return names[row[0]] if row else ""

    def subjects(self) -> list[str]:
        """Of whom there are events."""
        rows = self._db.execute("SELECT word FROM words WHERE number IN (SELECT DISTINCT subject FROM events)")
        return sorted(word for (word,) in rows)

    def teams(self) -> dict[str, str]:
        """Application to team, as told last."""
        names = {number: word for word, number in self._words.items()}
        return {names[subject]: team for subject, team in self._db.execute("SELECT subject, team FROM teams")}

    def count(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM events").fetchone()[0])

    # --- inside ------------------------------------------------------------------------------------------------------

    def _event(self, blob: bytes, place: int) -> Event:
        content = self._store.repository[pygit2.Oid(raw=blob)].read_raw()
        return events.decode(content.splitlines(keepends=True)[place])

    def _where(self, wish: Wish) -> tuple[str, list[object]]:
        parts: list[str] = ["1"]
        values: list[object] = []

        def among(column: str, words: Sequence[str], word: str = "IN") -> None:
            parts.append(f"{column} {word} ({','.join('?' * len(words))})")
            values.extend(self._words.get(one, 0) for one in words)

        if wish.subjects:
            among("subject", wish.subjects)
        if wish.kinds:
            among("kind", wish.kinds)
        if wish.without:
            among("kind", wish.without, "NOT IN")
        if wish.since:
            parts.append("time >= ?")
            values.append(wish.since)
        if wish.until:
            parts.append("time <= ?")
            values.append(wish.until)
        if wish.actor:
            wanted = wish.actor.lower()
            among("actor", [word for word in self._words if wanted in word.lower()])
        return "WHERE " + " AND ".join(parts), values

    def _word(self, word: str) -> int:
        number = self._words.get(word)
        if number is None:
            number = self._words[word] = len(self._words) + 1
            self._db.execute("INSERT INTO words VALUES (?, ?)", (number, word))
        return number

    def _read(self, ref: str, tip: str, since: str) -> int:
        file = int(self._db.execute("SELECT COALESCE(MAX(number), 0) FROM files").fetchone()[0])
        rows: list[tuple[object, ...]] = []
        count, teams = 0, {}
        for added in chain.files(self._store, tip, since):
            file += 1
            self._db.execute("INSERT INTO files VALUES (?, ?, ?)", (file, ref, added.blob.raw))
            for place, line in enumerate(added.content.splitlines()):
                try:
                    event = events.decode(line)
                except ValueError:
                    continue  # `windlass ledger verify` is who tells of it
                told = fact(event)
                subject = self._word(told.subject)
                if event.data.team:
                    teams[subject] = event.data.team
                rows.append(
                    (
                        chain.identity(event.id), told.time, self._word(told.kind), subject, self._word(event.actor),
                        self._word(told.word), told.about, file, place,
                    )
                )  # fmt: skip
            if len(rows) > 20_000:
                count += self._insert(rows)
        count += self._insert(rows)
        self._db.executemany("INSERT OR REPLACE INTO teams VALUES (?, ?)", teams.items())
        return count

    def _insert(self, rows: list[tuple[object, ...]]) -> int:
        done = self._db.executemany(
            "INSERT OR IGNORE INTO events (id, time, kind, subject, actor, word, about, file, place) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        rows.clear()
        return max(done.rowcount, 0)

    def _rewritten(self, old: str, new: str) -> bool:
        return old != new and self._store.moved(old, new) is Move.REWRITTEN


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, timeout=60.0)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")  # what a power cut takes is read again from the ref
    db.execute("PRAGMA cache_size = -65536")
    with db:
        db.execute("BEGIN IMMEDIATE")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"of version {version}")
        if version == 0:
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
    return db


def _forget(path: Path) -> None:
    for one in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        with contextlib.suppress(OSError):
            one.unlink()


def rebuilt(path: Path, store: Store, cluster: str) -> Index:
    """The index made from nothing."""
    _forget(path)
    index = Index(path, store, cluster)
    index.follow()
    return index


def tip_of(store: Store, cluster: str) -> tuple[str, str]:
    """The newest ref of a cluster that is here, and its tip; ("", "") where there is none."""
    here = chain.refs(store, cluster)
    newest = max((name for name in here if name.rpartition("/")[2].isdigit()), default="")
    return newest, here.get(newest, "")
