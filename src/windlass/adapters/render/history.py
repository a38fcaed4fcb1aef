"""Which commit made a file what it is: one walk back from a tip, shared by all who ask, and carried on to the next tip.

Used by ``trees``. A thousand Applications ask at one commit; each walking for itself would take minutes on an old
history. It follows first parents, and looks at most ``FURTHEST`` commits back: what is older is told as changed by the
oldest commit looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from windlass.adapters.git.store import FURTHEST, Store

_CARRIED = 200
"""A new tip is reached from the last one over at most so many commits; else its walk begins afresh."""


class History:
    """The walk back from one tip. ``after`` is the walk from an earlier one, whose answers still stand where nothing
    changed since. Raises GitRefused where a commit is not there."""

    def __init__(self, store: Store, tip: str, after: History | None = None) -> None:
        self.tip = tip
        self._store = store
        self._answers: dict[str, str] = {}
        self._next: str | None = tip
        self._oldest = tip
        self._left = FURTHEST
        if after is not None:
            self._carry_on(after)

    def last_changed(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Per path, the commit. The paths are files at the tip."""
        missing = {path for path in paths if path not in self._answers}
        while missing and self._next is not None and self._left > 0:
            missing.difference_update(self._step(self._next))
        return {path: self._answers.get(path, self._oldest) for path in paths}

    def _step(self, commit: str) -> Sequence[str]:
        """Takes in what one commit changed, and goes to its parent."""
        parents = self._store.describe(commit).parents
        # A shallow repository names parents that it does not have: there its history begins.
        parent = parents[0] if parents and self._store.has(parents[0]) else None
        changed = self._store.changed_paths(parent, commit)
        for path in changed:
            self._answers.setdefault(path, commit)
        self._oldest, self._next = commit, parent
        self._left -= 1
        return changed

    def _carry_on(self, after: History) -> None:
        for _ in range(_CARRIED):
            if self._next is None or self._next == after.tip:
                break
            self._step(self._next)
        if self._next == after.tip:
            self._answers = {**after._answers, **self._answers}
            self._next, self._oldest = after._next, after._oldest
            self._left = min(self._left, after._left)
