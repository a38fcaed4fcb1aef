"""An error as a person reads it: what is so, where, what happened instead, what to write, and where to read on."""

from __future__ import annotations

from collections.abc import Iterable

from windlass.core.model import Problem
from windlass.core.words.plain import columns, plain, wrap
from windlass.errors import Where, WindlassError

_SIDE_BY_SIDE = 100


def error_text(error: WindlassError, *, width: int = 0) -> str:
    """The block of an error: ``error: ... / at / then / mend / more: docs/errors.md#slug``, without empty parts."""
    return _block("error", error.what, str(error.where), error.then, error.hint, error.slug, width)


def problem_text(problem: Problem, *, commit: str = "", repository: str = "", then: str = "", width: int = 0) -> str:
    """As ``error_text``, of one thing that is wrong in the desired state."""
    where = Where(problem.file, problem.line, commit, repository, field=problem.field)
    return _block("error", problem.what, str(where), then, problem.hint, problem.slug, width)


def problems_text(
    problems: Iterable[Problem], *, commit: str = "", repository: str = "", then: str = "", width: int = 0
) -> str:
    """All of them, in order of their places; what follows from them (``then``) is told with the last."""
    ordered = sorted(problems, key=lambda each: (each.file, each.line, each.field))
    last = len(ordered) - 1
    return "".join(
        problem_text(each, commit=commit, repository=repository, then=then if place == last else "", width=width)
        for place, each in enumerate(ordered)
    )


def _block(mark: str, what: str, where: str, then: str, mend: str, slug: str, width: int) -> str:
    lines = [f"{mark}: {plain(what)}"]
    if where:
        lines.append(f"   at  {plain(where)}")
    if then:
        lines.append(f"  then {plain(then)}")
    more = f"more: docs/errors.md#{slug}"
    told = f"  mend {plain(mend)}" if mend else ""
    if told and columns(told) + columns(more) + 12 <= (width or _SIDE_BY_SIDE):
        lines.append(f"{told}            {more}")
    else:
        lines += [line for line in (told, f"  {more}") if line]
    return "\n".join(part for line in lines for part in wrap(line, width)) + "\n"
