"""What a render read, so that at the next commit it can be told whether it would come out the same, whatever else has
changed.

A ``TracedSnapshot`` stands in front of a snapshot and keeps the trace: per path its blob id or "" for absent, per
listed folder (a slash behind) a digest of its names, links passed on the way like files. The trace is the plain form
that ``Rendered.read`` and the cache keep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from typing_extensions import override

from windlass.adapters.git.paths import clean_path
from windlass.adapters.git.snapshot import Entry, Snapshot


class Trace:
    """Paths to what was found there. ``read`` is the plain form, and what a trace is made from again."""

    def __init__(self, read: Mapping[str, str] | None = None) -> None:
        self.read: dict[str, str] = dict(read or {})

    def holds(self, snapshot: Snapshot) -> bool:
        """Whether everything that was read is the same in ``snapshot``. Costs a look-up per entry, and reads no
        content."""
        return all(look(snapshot, path) == seen for path, seen in self.read.items())


class TracedSnapshot(Snapshot):
    """A snapshot that keeps a trace of what is asked of it; ``trace`` where another one keeps it too."""

    def __init__(self, inner: Snapshot, trace: Trace | None = None) -> None:
        self.inner = inner
        self.commit = inner.commit
        self.trace = trace or Trace()

    def _note(self, path: str) -> None:
        links, folder, found = self.inner._find(clean_path(path))
        for link in links:
            self.trace.read[link] = look(self.inner, link)
        if found is None or found.kind == "folder":
            self.trace.read[folder] = ""
        else:
            self.trace.read[f"{folder}/{found.name}" if folder else found.name] = _mark(found)

    @override
    def entries(self, folder: str = "") -> tuple[Entry, ...] | None:
        clean = clean_path(folder)
        for step in self.inner.hops(clean):
            self.trace.read[step] = look(self.inner, step)
        self.trace.read[clean + "/"] = look(self.inner, clean + "/")
        return self.inner.entries(folder)

    @override
    def read(self, path: str) -> bytes:
        self._note(path)
        return self.inner.read(path)

    @override
    def blob_id(self, path: str) -> str:
        self._note(path)
        return self.inner.blob_id(path)

    @override
    def hops(self, path: str) -> tuple[str, ...]:
        return self.inner.hops(path)

    @override
    def __iter__(self) -> Iterator[str]:
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            for entry in self.entries(folder) or ():
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.kind == "folder":
                    waiting.append(path)
                elif entry.kind == "file":
                    yield path

    @override
    def _list(self, folder: str) -> Mapping[str, Entry] | None:
        return self.inner._list(folder)

    @override
    def _read(self, folder: str, entry: Entry) -> bytes:
        return self.inner._read(folder, entry)


def look(snapshot: Snapshot, path: str) -> str:
    """What a trace says of a path now: a blob id (a link's own, not its target's, with its kind before it), "" for
    absent, for a folder a digest of its names."""
    if path.endswith("/"):
        entries = snapshot.entries(path[:-1])
        return "" if entries is None else digest_of_names(entries)
    folder, _, name = path.rpartition("/")
    found = snapshot.names(folder).get(name)
    if found is None or found.kind == "folder":
        return ""
    return _mark(found)


def _mark(found: Entry) -> str:
    """A link has the blob id of a file that holds its target as text: what Git on Windows may make of one."""
    return found.id if found.kind == "file" else f"{found.kind} {found.id}"


def digest_of_names(entries: Iterable[Entry]) -> str:
    """Changes when a name comes, goes, or becomes another kind of thing; not when content changes."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(f"{entry.kind}\0{entry.name}\0".encode())
    return digest.hexdigest()[:32]
