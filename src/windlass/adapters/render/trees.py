"""The files of a commit as the renderer walks them: snapshots that stay open, and who changed a file last.

Used by the worker, once per request. It adds nothing to what ``adapters/git`` reads but what is worth keeping between
requests: a thousand Applications at one commit list each folder once, and walk the history once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

from windlass.adapters.git.snapshot import CommitSnapshot, Entry, open_snapshot
from windlass.adapters.render.walk import ENDINGS

_OPEN = 4
_ASKS = 3
_MOST_PATHS = 50_000


class CommitTree:
    """One commit. Raises what ``CommitSnapshot`` raises."""

    def __init__(self, snapshot: CommitSnapshot) -> None:
        self.snapshot = snapshot
        self._asks = 0

    def entries(self, folder: str) -> Sequence[Entry] | None:
        return self.snapshot.entries(folder)

    def read(self, path: str) -> bytes:
        return self.snapshot.read(path)

    def hops(self, path: str) -> Sequence[str]:
        return self.snapshot.hops(path)

    def last_changed(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Each path's commit. From the third question at one commit on, all manifests are looked up in one walk: an
        old history walked once for each of a thousand Applications takes minutes.
        """
        self._asks += 1
        if self._asks == _ASKS:
            self.snapshot.last_changed(self._manifests())
        return self.snapshot.last_changed(paths)

    def _manifests(self) -> Iterator[str]:
        waiting, left = [""], _MOST_PATHS
        while waiting and left > 0:
            folder = waiting.pop()
            for entry in self.snapshot.entries(folder) or ():
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.kind == "folder" and not entry.name.startswith("."):
                    waiting.append(path)
                elif entry.kind == "file" and entry.name.endswith(ENDINGS):
                    left -= 1
                    yield path


class Trees:
    """The last few commits that were asked for."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, str], CommitTree] = OrderedDict()

    def at(self, folder: str, commit: str) -> CommitTree:
        """Raises GitRefused where the commit is not in the repository in ``folder``."""
        key = (folder, commit)
        if key not in self._open:
            self._open[key] = CommitTree(open_snapshot(folder, commit))
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        return self._open[key]
