"""A served repository that ledgers are pushed to, and what can be read from it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pygit2
import pytest

from windlass.adapters.git import Store, init_repository
from windlass.adapters.ledger import LedgerWriter
from windlass.core.model import events
from windlass.core.record import layout
from windlass.devstack.gitserver import GitServer
from windlass.ports import LedgerPlace

START = datetime(2026, 11, 28, 14, 21, 2, tzinfo=UTC)
REF = "refs/windlass/ledger/prod/2026"


class Clock:
    """Stands still until a test moves it."""

    def __init__(self, now: datetime = START) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds() + 1000.0

    def pass_(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Remote:
    """The repository as its owner sees it."""

    folder: Path
    url: str = ""

    @property
    def store(self) -> Store:
        return Store(str(self.folder / "ledger.git"))

    def place(self, **more: object) -> LedgerPlace:
        told: dict[str, object] = {
            "repository": "ledger", "url": self.url, "secret": {}, "name": "windlass", "email": "w@acme.example"
        }  # fmt: skip
        return LedgerPlace(**(told | more))  # type: ignore[arg-type]

    def refs(self) -> dict[str, str]:
        repository = pygit2.Repository(str(self.folder / "ledger.git"))
        return {name: str(repository.references[name].target) for name in repository.references}

    def commits(self, ref: str = REF) -> list[pygit2.Commit]:
        """Oldest first."""
        store = self.store
        tip = store.resolve(ref)
        return list(store.repository.walk(tip, pygit2.enums.SortMode.REVERSE)) if tip else []

    def files(self, ref: str = REF) -> list[list[str]]:
        """The paths that each commit adds, oldest first."""
        return [paths for _, paths in self._added(ref)]

    def events(self, ref: str = REF) -> list[events.Event]:
        """In the order of the commits."""
        found: list[events.Event] = []
        for commit, paths in self._added(ref):
            for path in paths:
                if path.endswith(".jsonl"):
                    found += layout.events_of(commit.tree[path].data)
        return found

    def _added(self, ref: str) -> list[tuple[pygit2.Commit, list[str]]]:
        """Each commit with what it adds, of one look: a push may come at any moment."""
        store, found = self.store, []
        before: str | None = None
        for commit in self.commits(ref):
            found.append((commit, store.changed_paths(before, str(commit.id))))
            before = str(commit.id)
        return found


@pytest.fixture
async def remote(tmp_path: Path) -> AsyncIterator[Remote]:
    folder = tmp_path / "served"
    init_repository(str(folder / "ledger.git"))
    async with GitServer(str(folder)).serve() as url:
        yield Remote(folder, f"{url}/ledger.git")


@contextlib.asynccontextmanager
async def away(remote: Remote) -> AsyncIterator[None]:
    """While the repository can't be reached."""
    folder = remote.folder / "ledger.git"
    folder.rename(folder.with_suffix(".away"))
    yield
    folder.with_suffix(".away").rename(folder)


def event(number: int, *, size: int = 0, when: datetime = START, severe: bool = False) -> events.Event:
    data = events.Requested(verb="sync", request="x" * size, actor="ada")
    return events.make("prod", "shop/shop", data, when, key=str(number), severe=severe)


@functools.cache
def _known(most: int) -> dict[str, int]:
    return {event(number).id: number for number in range(most)}


def numbers(found: list[events.Event], most: int = 1000) -> list[int]:
    """Which of ``event(...)`` they are."""
    known = _known(most)
    return [known[one.id] for one in found if one.id in known]


def writer(folder: Path, remote: Remote | None = None, clock: Clock | None = None, **more: object) -> LedgerWriter:
    made = LedgerWriter("prod", folder, clock or Clock(), **more)  # type: ignore[arg-type]
    if remote is not None:
        made.aim(remote.place(), 30.0)
    return made
