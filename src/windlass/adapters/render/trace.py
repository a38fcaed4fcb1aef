"""Which renders does a change touch? Asked for every Application at every commit, so it costs a look-up per path.

A trace (``Rendered.read``) maps each path to its blob id, "" for absent, and each listed folder, with a slash behind,
to a digest of its names. The answer may be "touched" where nothing that matters has changed: that costs a render, and
never misses one; ``adapters.git.trace.Trace`` tells it exactly, by looking. Called by ``workers``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Changes:
    """The paths that differ between two commits, with every folder above them, whose names may differ."""

    def __init__(self, paths: Iterable[str]) -> None:
        touched: set[str] = set()
        for path in paths:
            touched.add(path)
            folder = path
            while folder:
                folder = folder.rpartition("/")[0]
                if f"{folder}/" in touched:
                    break
                touched.add(f"{folder}/")
        self._touched = touched

    def touch(self, read: Mapping[str, str]) -> bool:
        """Whether a render with this trace may come out differently now."""
        return not self._touched.isdisjoint(read)
