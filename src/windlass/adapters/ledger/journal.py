"""The ledger's queue on disk: append-only files of lines, which survive a kill at any instruction.

``writer.py`` appends to the newest file and takes the oldest away once its lines are known to be on the remote. A file
is never written again after the next one was begun: what was sent of it can be looked up by its content. Appending is
one ``write`` without a sync (a kill loses nothing; a power cut what was not synced yet, see ``sync``). While a disk is
full or read-only, from the start on or since, lines are kept in memory, within bounds; what does not fit there is
counted, and the count is the next line that does.

It knows lines, not events; it asks nothing of the outside and starts nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from windlass.adapters.host.files import DiskFull, FileNotWritable, explain, sync_folder

SEGMENT = 1 << 20
"""Bytes of a file at which the next one is begun: one blob on the remote."""
LIMIT = 256 << 20
"""Bytes of all files together: days without a remote."""
HELD = 4 << 20
"""Bytes in memory while the disk takes none."""
_SUFFIX = ".jsonl"


@dataclass(frozen=True, slots=True)
class Batch:
    """A finished file of the queue."""

    number: int
    path: Path


class Journal:
    """The files in ``folder``, which belong to one process. Nothing raises where the disk does not take what it should:
    ``trouble`` says what is wrong."""

    def __init__(self, folder: Path, *, limit: int = LIMIT, segment: int = SEGMENT) -> None:
        self._folder = folder
        self._limit = limit
        self._segment = segment
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._sent: deque[Path] = deque()
        self.trouble: DiskFull | FileNotWritable | None = None
        self._unsynced: set[int] = set()
        self._torn = False
        self._sizes: dict[int, int] = {}
        self._number = 1
        self._handle: int | None = None
        self._begin()

    # --- appending ---------------------------------------------------------------------------------------------------

    def append(self, line: bytes) -> bool:
        """Keeps a line, which ends in a newline. False: there was no room for it, neither on disk nor in memory."""
        return (self.settle() and self._write(line)) or self._hold(line)

    def settle(self) -> bool:
        """Writes what is held in memory, as far as there is room now, and removes what could not be removed. True when
        nothing is held any more."""
        while self._held:
            if not self._write(self._held[0]):
                return False
            self._held_bytes -= len(self._held.popleft())
        if self._sent and self._remove():
            self.trouble = None
        return True

    @property
    def size(self) -> int:
        """Bytes that wait, on disk and in memory."""
        return sum(self._sizes.values()) + self._held_bytes

    @property
    def held(self) -> int:
        """Bytes of those that are in memory only."""
        return self._held_bytes

    def sync(self) -> None:
        """Makes what was appended outlast a power cut. Blocks: for a thread. Raises nothing: ``trouble`` says."""
        try:
            for number in sorted(self._unsynced):
                self._unsynced.discard(number)
                with contextlib.suppress(FileNotFoundError):
                    handle = os.open(self._path(number), os.O_RDONLY | os.O_CLOEXEC)
                    try:
                        os.fsync(handle)
                    finally:
                        os.close(handle)
        except OSError as error:
            self.trouble = explain(error, self._folder)

    # --- taking out --------------------------------------------------------------------------------------------------

    def finish(self) -> Batch | None:
        """The oldest file, finished: nothing is appended to it from now on. None where nothing waits."""
        self.settle()
        oldest = min(self._sizes, default=self._number)
        if oldest == self._number and (not self._sizes.get(oldest) or not self._next()):
            return None
        return Batch(oldest, self._path(oldest))

    def drop(self, batch: Batch) -> None:
        """Its lines are on the remote."""
        self._sizes.pop(batch.number, None)
        self._sent.append(batch.path)
        self._remove()

    def lines(self) -> list[bytes]:
        """Every line that waits, oldest first: read at a start. Raises FileNotWritable."""
        found: list[bytes] = []
        try:
            for number, size in sorted(self._sizes.items()):
                if size:
                    found += self._path(number).read_bytes()[:size].splitlines(keepends=True)
        except OSError as error:
            raise explain(error, self._folder) from error
        return found

    def close(self) -> None:
        self.sync()
        if self._handle is not None:
            os.close(self._handle)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}{_SUFFIX}"

    def _remove(self) -> bool:
        """What is still there at the next start is found again, and looked up again."""
        try:
            while self._sent:
                self._sent[0].unlink(missing_ok=True)
                self._sent.popleft()
        except OSError as error:
            self.trouble = explain(error, self._sent[0])
            return False
        return True

    def _begin(self) -> bool:
        """Opens the newest file, and cuts off what stands behind the last whole line of each: that was being written
        when the process ended. What can't be written may be read all the same."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._sizes:
                self._sizes = {number: _whole(self._path(number)) for number in _numbers(self._folder)}
                self._number = max(self._sizes, default=1)
            handle = self._open(self._number)
            try:
                for number, size in self._sizes.items():
                    if self._path(number).stat().st_size != size:
                        os.truncate(self._path(number), size)
            except OSError:
                os.close(handle)
                raise
        except OSError as error:
            self.trouble = explain(error, self._folder)
            return False
        self._sizes.setdefault(self._number, 0)
        self._handle, self.trouble = handle, None
        return True

    def _open(self, number: int) -> int:
        handle = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        sync_folder(self._folder)
        return handle

    def _next(self) -> bool:
        if self._handle is None and not self._begin():
            return False
        assert self._handle is not None
        try:
            handle = self._open(self._number + 1)
        except OSError as error:
            self.trouble = explain(error, self._folder)
            return False
        if not self._held:
            self.trouble = None
        if self._torn:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self._sizes[self._number])
        os.close(self._handle)
        self._handle, self._number, self._torn = handle, self._number + 1, False
        self._sizes[self._number] = 0
        return True

    def _write(self, line: bytes) -> bool:
        if self.size - self._held_bytes + len(line) > self._limit:
            return False
        if self._handle is None and not self._begin():
            return False
        if self._sizes[self._number] + len(line) > self._segment and self._sizes[self._number]:
            self._next()  # where that fails, the file grows past its measure
        assert self._handle is not None
        size = self._sizes[self._number]
        try:
            if self._torn:
                os.ftruncate(self._handle, size)
            self._torn = True  # half a line is no line: it is cut off before anything follows
            if os.write(self._handle, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._torn = False
        except OSError as error:
            self.trouble = explain(error, self._path(self._number))
            return False
        self._sizes[self._number] = size + len(line)
        self._unsynced.add(self._number)
        self.trouble = None
        return True

    def _hold(self, line: bytes) -> bool:
        if self._held_bytes + len(line) > HELD:
            return False
        self._held.append(line)
        self._held_bytes += len(line)
        return True


def _numbers(folder: Path) -> list[int]:
    names = (path.name for path in folder.glob(f"*{_SUFFIX}"))
    return sorted(int(name.removesuffix(_SUFFIX)) for name in names if name.removesuffix(_SUFFIX).isdigit())


def _whole(path: Path) -> int:
    """The size of a file in whole lines."""
    return path.read_bytes().rfind(b"\n") + 1
