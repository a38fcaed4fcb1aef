"""The store's memory across restarts: a SQLite database in a folder, written by one thread that commits in groups.

`Store` appends each change; an answer is sent after `durable` says so. A commit that fails (disk full, read-only) is
told to everybody who waits for it and tried again with the next change, so that nothing is half written and it
recovers when there is room. resourceVersions are reserved ahead, so that none is given out twice even if the process
is killed between giving and committing. Commits survive the death of the process; against the death of the machine
SQLite's WAL without a sync per commit promises only a consistent file.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from windlass.devstack.apiserver.store import Item

RESERVE = 10_000
"""resourceVersions reserved at a time."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, rv INTEGER NOT NULL, raw BLOB NOT NULL,
  PRIMARY KEY (resource, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
_NUMBER = "INSERT INTO numbers VALUES ('ceiling', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_PUT = "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)"
_TAKE = "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?"

_Operation = tuple[str, tuple[object, ...], int]
_RETRY = 1.0


class SqliteJournal:
    """One folder, one database, one writer thread. `open` before anything else, `close` at the end."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "objects.sqlite"
        self._queue: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._committed = 0
        self._newest = 0
        self._ceiling = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def read(self) -> tuple[int, list[tuple[str, str, str, int, bytes]]]:
        """The revision to go on from, and every object. Makes the database where there is none."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _connect(self._path) as connection:
            connection.executescript(_SCHEMA)
            row = connection.execute("SELECT value FROM numbers WHERE name = 'ceiling'").fetchone()
            start = int(row[0]) if row else 1
            self._ceiling = start + RESERVE
            with connection:
                connection.execute(_NUMBER, (self._ceiling,))
            rows = list(connection.execute("SELECT resource, namespace, name, rv, raw FROM objects"))
        connection.close()
        self._committed = self._newest = start
        return start, rows

    def open(self) -> None:
        """Start the writer thread. To be called on the event loop that will wait."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def append(self, item: Item, gone: bool) -> None:
        """Queue a change; it is written in the order of the calls."""
        self._newest = item.rv
        if item.rv > self._ceiling - RESERVE // 2:
            self._ceiling += RESERVE
            self._queue.put((_NUMBER, (self._ceiling,), 0))
        if gone:
            self._queue.put((_TAKE, (item.resource, item.namespace, item.name), item.rv))
        else:
            self._queue.put((_PUT, (item.resource, item.namespace, item.name, item.rv, item.raw), item.rv))

    def durable(self, rv: int) -> asyncio.Future[None] | None:
        """None if ``rv`` is committed, else what to wait for."""
        if rv <= self._committed or self._loop is None:
            return None
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((self._newest, future))
        return future

    async def close(self) -> None:
        """Write what is queued, give back the reserved resourceVersions, and end the thread."""
        if self._thread is not None:
            self._queue.put((_NUMBER, (self._newest,), 0))
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _write(self) -> None:
        connection = _connect(self._path)
        pending: list[_Operation] = []
        open_ = True
        while open_ or pending:
            more, open_ = self._take(bool(pending), open_)
            pending.extend(more)
            try:
                with connection:
                    connection.execute("BEGIN")
                    for statement, values, _ in pending:
                        connection.execute(statement, values)
            except sqlite3.Error as error:
                self._tell(0, OSError(f"the state of the cluster could not be written: {error}"))
                if not open_:
                    break
                continue
            newest = max((rv for _, _, rv in pending), default=0)
            pending.clear()
            self._tell(newest, None)
        connection.close()

    def _take(self, retrying: bool, open_: bool) -> tuple[list[_Operation], bool]:
        found: list[_Operation] = []
        if not open_:
            return found, False
        try:
            operation = self._queue.get(timeout=_RETRY if retrying else None)
            while operation is not None:
                found.append(operation)
                operation = self._queue.get_nowait()
        except queue.Empty:
            return found, True
        return found, False

    def _tell(self, committed: int, error: OSError | None) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._settle, committed, error)

    def _settle(self, committed: int, error: OSError | None) -> None:
        self._committed = max(self._committed, committed)
        for future in self._settled(error):
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    def _settled(self, error: OSError | None) -> Iterator[asyncio.Future[None]]:
        while self._waiting and (error is not None or self._waiting[0][0] <= self._committed):
            future = self._waiting.popleft()[1]
            if not future.done():
                yield future


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection
