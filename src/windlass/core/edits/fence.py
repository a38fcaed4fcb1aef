"""The fence of the controller's own writes: which paths ``Repository.spec.write.paths`` lets it touch.

``flows/write`` asks before each commit. A pattern is meant from the root of the repository on; one that matches a
folder stands for all below it. Without a pattern nothing may be written. People's own commits have no fence: their Git
rights say what they may.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from windlass.core.documents.globs import matches_any
from windlass.errors import NeedsHuman, Where


class PathFenced(NeedsHuman):
    """The controller would have to write outside the paths that Git allows it."""

    slug: ClassVar[str] = "path-fenced"
    reason: ClassVar[str] = "PathFenced"


def check_fence(paths: Iterable[str], allowed: Sequence[str], repository: str = "") -> None:
    """Raises PathFenced for the first path that is outside."""
    rooted = tuple("/" + pattern.lstrip("/") for pattern in allowed)
    for path in sorted(paths):
        if not matches_any(rooted, path):
            raise PathFenced(
                "the controller may not write this file",
                where=Where(file=path, repository=repository),
                hint=f'let it: add "{path}" to spec.write.paths of the Repository, or make this change by hand',
            )
