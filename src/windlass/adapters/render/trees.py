"""The files of a commit as the renderer walks them: snapshots that stay open, and who changed a file last.

Used by the worker, once per request. It adds nothing to what ``adapters/git`` reads but what is worth keeping between
requests: a thousand Applications at one commit list each folder once, and walk the history once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from windlass.adapters.git.snapshot import CommitSnapshot, open_snapshot
from windlass.adapters.render.history import History

_OPEN = 8
_REPOSITORIES = 32


class CommitTree:
    """One commit. Raises what ``CommitSnapshot`` raises."""

    def __init__(self, snapshot: CommitSnapshot, history: History) -> None:
        self.snapshot = snapshot
        self._history = history

    def last_changed(self, paths: Sequence[str]) -> Mapping[str, str]:
        """The commit that made each file what it is."""
        return self._history.last_changed(paths)


class Trees:
    """The last few commits that were asked for."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, str], CommitTree] = OrderedDict()
        self._histories: OrderedDict[str, History] = OrderedDict()

    def at(self, folder: str, commit: str) -> CommitTree:
        """Raises GitRefused where the commit is not in the repository in ``folder``."""
        key = (folder, commit)
        if key not in self._open:
            snapshot = open_snapshot(folder, commit)
            history = History(snapshot.store, snapshot.commit, self._histories.get(folder))
            self._open[key] = CommitTree(snapshot, history)
            self._histories[folder] = history
            self._histories.move_to_end(folder)
            if len(self._histories) > _REPOSITORIES:
                self._histories.popitem(last=False)
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        return self._open[key]
