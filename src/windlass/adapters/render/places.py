"""Paths that people write into ``spec.render``: where each of them leads, in which repository.

    values.yaml, ../shared/a.yaml    from the source's folder, or from the folder named by the caller
    /lib                             from the root of the repository
    $name/lib                        from the root of the further repository ``name`` of ``spec.sources``

Renderers call it. No path leads out of its repository.
"""

from __future__ import annotations

import posixpath
from typing import NamedTuple

from windlass.adapters.git.trace import TracedSnapshot
from windlass.adapters.render.work import Work


class Place(NamedTuple):
    """A path in a repository; ``source`` is the name of a further repository, "" for the Application's own."""

    tree: TracedSnapshot
    path: str
    source: str = ""


def place_of(work: Work, text: str, field: str, base: str | None = None) -> Place | None:
    """Where ``text`` leads; relative to ``base``, by default the source's folder. None where it leads nowhere: then
    the findings tell ``field`` and the mend."""
    source, tree = "", work.tree
    if text.startswith("$"):
        source, _, rest = text[1:].partition("/")
        if source not in work.others:
            known = ", ".join(sorted(work.others))
            work.found.problem(
                f"{field} names the source {source!r}, which the Application does not have",
                work.root,
                hint=f"it has: {known}" if known else f"sources: [{{name: {source or 'lib'}, repository: ...}}]",
                slug="source-unknown",
            )
            return None
        tree, path = work.others[source], rest
    elif text.startswith("/"):
        path = text
    else:
        path = posixpath.join(work.root if base is None else base, text)
    path = posixpath.normpath(path.lstrip("/") or ".")
    if path == ".." or path.startswith("../"):
        work.found.problem(f"{field} leads out of the repository: {text}", work.root, hint="name something inside")
        return None
    return Place(tree, "" if path == "." else path, source)
