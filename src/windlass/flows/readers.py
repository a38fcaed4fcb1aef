"""Who read what of one repository, so that a commit finds those it touches without asking everybody.

``Fleet`` holds one for each Repository. A render is put in when it was made at the repository's newest commit; it
stands there, and at every later commit, until one touches a path that it read. What a commit costs is what it changed
and whom it touches, however many there are.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Readers(Generic[K]):
    """``commit`` is the repository's newest. Readers are named by whatever is not a set."""

    def __init__(self, commit: str = "") -> None:
        self.commit = commit
        self._reads: dict[K, tuple[Mapping[str, str], ...]] = {}
        # Nearly every path has one reader: a set for each would cost as much as all the rest.
        self._by_path: dict[str, K | set[K]] = {}

    def __contains__(self, reader: object) -> bool:
        """Whether what it read is so at the newest commit."""
        return reader in self._reads

    def others(self, readers: set[K]) -> set[K]:
        """Those of whom that is not known."""
        return readers.difference(self._reads)

    def put(self, reader: K, reads: Iterable[Mapping[str, str]]) -> None:
        """What it read at the newest commit: traces, as in ``Rendered.read``."""
        self.drop(reader)
        self._reads[reader] = traces = tuple(reads)
        for path in {path for trace in traces for path in trace}:
            known = self._by_path.setdefault(path, reader)
            if isinstance(known, set):
                known.add(reader)
            elif known != reader:
                self._by_path[path] = {known, reader}

    def drop(self, reader: K) -> None:
        """What it read is not known any more."""
        for path in {path for trace in self._reads.pop(reader, ()) for path in trace}:
            known = self._by_path[path]
            if isinstance(known, set) and len(known) > 1:
                known.discard(reader)
            else:
                del self._by_path[path]

    def move(self, commit: str, names: Iterable[str]) -> set[K]:
        """The repository is at another commit, which touches these names of traces: those who read one of them, who are
        known no more. The others stand at the new commit."""
        self.commit = commit
        touched: set[K] = set()
        for name in names:
            known = self._by_path.get(name)
            if isinstance(known, set):
                touched |= known
            elif known is not None:
                touched.add(known)
        for reader in touched:
            self.drop(reader)
        return touched

    def reset(self, commit: str) -> None:
        """The repository is at a commit of which is not known what it touches."""
        self.commit = commit
        self._reads.clear()
        self._by_path.clear()
