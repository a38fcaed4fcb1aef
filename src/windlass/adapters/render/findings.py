"""What a render finds wrong, collected while it goes on, so that a person sees all of it at once. Used by this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from windlass.core.model import ObjectRef, Problem

MOST = 100
"""So many of each are kept; the rest is counted in one more."""


@dataclass(slots=True)
class Findings:
    """``problems`` stop the whole render, ``invalid`` its one object, ``warnings`` nothing."""

    problems: list[Problem] = field(default_factory=list)
    invalid: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    dropped: int = 0

    def problem(
        self, what: str, file: str, line: int = 0, *, field: str = "", hint: str = "", slug: str = "bad-manifest"
    ) -> None:
        """Something that is wrong with a file or the source as a whole."""
        self.add(Problem(what, file, line, field, hint, slug))

    def warning(self, what: str, file: str, line: int = 0, *, field: str = "", hint: str = "") -> None:
        """Something that is handled, but that a person should know."""
        if len(self.warnings) < MOST:
            self.warnings.append(Problem(what, file, line, field, hint, "warning"))

    def add(self, problem: Problem, *, invalid: bool = False) -> None:
        """A problem made elsewhere."""
        kept: list[Problem] = self.invalid if invalid else self.problems
        # Each invalid object is named, however many there are: what is not named would be taken for removed.
        if invalid or len(kept) < MOST:
            kept.append(problem)
        else:
            self.dropped += 1

    def told(self) -> Sequence[Problem]:
        """The problems by file and line, and how many more there are."""
        told = sorted(self.problems, key=lambda one: (one.file, one.line, one.field))
        if self.dropped:
            told.append(Problem(f"{self.dropped} more problems", hint="mend these first"))
        return told


def named(ref: ObjectRef | None) -> str:
    """The object's name in front of a message, where there is one."""
    return f"{ref}: " if ref else ""
