"""What a folder is: a kustomization, a Helm chart, Jsonnet, or else plain manifests. Told by the names in it alone.

``spec.render`` of the Application decides where it names a renderer. Where it does not and two readings are possible
that is a problem, with the mend: to guess would apply something else than was meant. Called by ``steps``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from windlass.adapters.git.errors import GitRefused
from windlass.adapters.render.walk import ENDINGS, KUSTOMIZATIONS, join
from windlass.adapters.render.work import Work
from windlass.core.documents.globs import matches_any

MARKS: Mapping[str, tuple[str, ...]] = {
    "kustomize": KUSTOMIZATIONS,
    "helm": ("Chart.yaml",),
    "jsonnet": ("*.jsonnet",),
}
"""The names by which a folder is recognised; ``*`` stands for anything before an ending."""

_SELECTS = frozenset({"plain", "jsonnet"})
"""Renderers for which ``source.include`` and ``source.exclude`` choose among the files."""


def recognise(work: Work, known: Iterable[str]) -> str | None:
    """The renderer for the folder, of those that are known. None where it can't be told: then the findings tell why."""
    if work.request.chart is not None:
        # The chart comes from elsewhere: the folder only holds its values.
        return "helm" if _may_select(work, "helm", "spec.source.chart") else None
    named = work.request.settings.renderer
    names = _names(work)
    found = {one: first for one in known if one in MARKS and (first := _first(names, MARKS[one]))}
    if named:
        if named != "plain" and named not in found:
            work.found.problem(
                f"spec.render says {named}, and {work.root or 'the repository'} has no {' and no '.join(MARKS[named])}",
                work.root,
                hint="mend source.path, or take the word out of spec.render",
                slug="two-readings",
            )
            return None
        chosen = named
    else:
        if "jsonnet" in found and len(found) == 1:
            beside = next((name for name in names if name.endswith(ENDINGS)), "")
            found |= {"plain": beside} if beside else {}
        if len(found) > 1:
            _two(work, found)
            return None
        chosen = next(iter(found), "plain")
    return chosen if _may_select(work, chosen, found.get(chosen, "")) else None


def _names(work: Work) -> Sequence[str]:
    """The names of the files in the folder that ``include`` and ``exclude`` leave."""
    request = work.request
    try:
        files = [one.name for one in work.tree.entries(work.root) or () if one.kind != "folder"]
    except GitRefused:
        # A name or a link that leads out: the walk over plain manifests tells it.
        return ()
    return [
        name
        for name in files
        if not matches_any(request.exclude, name) and (not request.include or matches_any(request.include, name))
    ]


def _first(names: Sequence[str], marks: Sequence[str]) -> str:
    """The first name that is one of the marks, "" where there is none."""
    for mark in marks:
        for name in names:
            if name == mark or (mark.startswith("*") and name.endswith(mark[1:]) and not name.startswith(".")):
                return name
    return ""


def _two(work: Work, found: Mapping[str, str]) -> None:
    kinds = sorted(found)
    files = [found[kind] for kind in kinds]
    work.found.problem(
        f"{', '.join(files[:-1])} and {files[-1]} stand side by side: is it {', '.join(kinds[:-1])} or {kinds[-1]}?",
        join(work.root, files[0]),
        hint="decide it in the Application: " + " or ".join(f"spec.render.{kind}: {{}}" for kind in kinds),
        slug="two-readings",
    )


def _may_select(work: Work, chosen: str, mark: str) -> bool:
    request = work.request
    word = "include" if request.include else "exclude" if request.exclude else ""
    if not word or chosen in _SELECTS:
        return True
    work.found.problem(
        f"source.{word} chooses among plain manifests, and {work.root or 'the repository'} is rendered by {chosen}",
        join(work.root, mark),
        hint=f"take source.{word} out, or leave {mark} out with it",
        slug="two-readings",
    )
    return False
