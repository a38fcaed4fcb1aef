"""Kustomizations: a folder with a ``kustomization.yaml`` to the objects that it builds. A renderer, see ``work``.

``core/kustomize`` builds; this module reads for it through the trace, lays over it what the Application says, and tells
each object's place: where it was written, or the kustomization that generated it. ``plain`` calls ``built`` for folders
inside a folder of plain manifests.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from windlass.adapters.git.errors import GitRefused
from windlass.adapters.git.trace import TracedSnapshot
from windlass.adapters.render.helm_inflate import inflating
from windlass.adapters.render.objects import FIND, Raw
from windlass.adapters.render.plain import expanded
from windlass.adapters.render.work import Work
from windlass.core.kinds.rendering import Kustomize
from windlass.core.kustomize import BuiltObject, Image, KustomizeError, Options, Parsing, build

KEPT = 8 * 1024 * 1024
"""Bytes of files whose documents a worker keeps for the next build."""


def kustomize(work: Work) -> Iterator[Raw]:
    """The objects of the folder's kustomization."""
    yield from built(work, work.root)


def built(work: Work, folder: str) -> Iterator[Raw]:
    """The objects of one kustomization. What is wrong is in the findings."""
    # What was decrypted is never kept: another Application may not open it.
    parsing = Parsing() if work.decrypts else _parsing()
    try:
        result = build(TreeFiles(work.tree), folder, _options(work), parsing)
    except KustomizeError as error:
        where = error.where
        work.found.problem(
            error.what, where.file or folder, where.line, field=where.field, hint=error.hint, slug=error.slug
        )
        return
    except GitRefused as error:
        work.found.problem(error.what, error.where.file or folder, hint=error.hint, slug=error.slug)
        return
    for one in result.objects:
        yield from expanded(_raw(one, folder), work)


def _raw(one: BuiltObject, folder: str) -> Raw:
    if one.file and not one.changes:
        # It stands so in its file: its fields can be looked up there.
        return Raw(one.content, one.file, one.line, FIND)
    # What was generated has its place in the kustomization that says so.
    file = one.file or (one.changes[0].file if one.changes else folder)
    steps = tuple((change.file, change.field) for change in one.changes)
    return Raw(one.content, file, one.line, 0, exact=False, steps=steps)


@functools.cache
def _parsing() -> Parsing:
    """Parsed documents by their bytes, for as long as the process lives."""
    return Parsing(limit=KEPT)


def _options(work: Work) -> Options:
    settings = work.request.settings.kustomize or Kustomize()
    return Options(
        inflate=inflating(work),
        root_only=settings.load_restrictor == "rootOnly",
        images=[
            Image(name=one.name, new_name=one.new_name, new_tag=one.new_tag, digest=one.digest)
            for one in settings.images
        ],
        name_prefix=settings.name_prefix,
        components=settings.components,
    )


class TreeFiles:
    """The repository as the builder reads it, through the trace."""

    def __init__(self, tree: TracedSnapshot) -> None:
        self._tree = tree

    def read(self, path: str) -> bytes | None:
        try:
            return self._tree.read(path)
        except KeyError:
            return None

    def names(self, folder: str) -> Sequence[str] | None:
        entries = self._tree.entries(folder)
        return None if entries is None else [one.name for one in entries]
