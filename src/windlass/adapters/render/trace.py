"""Which renders does a change touch? Asked at every commit, so it costs a look-up per path that changed.

A trace (``Rendered.read``) maps each path to its blob id, "" for absent, and each listed folder, with a slash behind,
to a digest of its names. The answer may be "touched" where nothing that matters has changed: that costs a render, and
never misses one; ``adapters.git.trace.Trace`` tells it exactly, by looking. Called by ``workers``.
"""

from __future__ import annotations

from collections.abc import Iterable


def touches(paths: Iterable[str]) -> set[str]:
    """The paths that differ between two commits, with every folder above them, whose names may differ."""
    touched: set[str] = set()
    for path in paths:
        touched.add(path)
        folder = path
        while folder:
            folder = folder.rpartition("/")[0]
            if f"{folder}/" in touched:
                break
            touched.add(f"{folder}/")
    return touched
