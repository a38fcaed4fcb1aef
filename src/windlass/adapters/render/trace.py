"""Does what a render read still hold? Asked for every Application at every commit, so it costs a look-up per path.

A trace (``Rendered.read``) maps each path to its blob id, "" for absent, and each listed folder, with a slash behind,
to a digest of its names. Either answer may say "touched" where nothing that matters has changed: that costs a render,
and never misses one. Called by ``workers``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from windlass.adapters.render.walk import Tree, digest_of_names


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


def holds(tree: Tree, read: Mapping[str, str]) -> bool:
    """The same by looking: for commits that nothing is known to lie between."""
    listings: dict[str, dict[str, str] | None] = {}
    for path, expected in read.items():
        if path.endswith("/"):
            entries = tree.entries(path[:-1])
            if expected != ("" if entries is None else digest_of_names(entries)):
                return False
        else:
            folder, _, name = path.rpartition("/")
            if folder not in listings:
                entries = tree.entries(folder)
                listings[folder] = None if entries is None else {one.name: one.id for one in entries}
            if (listings[folder] or {}).get(name, "") != expected:
                return False
    return True
