"""The two families of error: try later, or a person must act. A room owns its leaves; anything else is a bug.

    WindlassError
      NeedsHuman   wrong until somebody changes something; retrying it is a hot loop
      TryLater     may work by itself; ``after`` says when to look again

Everybody raises them; only ``flows/supervise.py`` and ``cli`` catch all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Where:
    """The place of a mistake, as a person would look for it. Empty parts are left out of the text."""

    file: str = ""
    line: int = 0
    commit: str = ""
    repository: str = ""
    application: str = ""
    field: str = ""

    @override
    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        parts = [
            place,
            self.field,
            f"commit {self.commit[:7]}" if self.commit else "",
            f"of repository {self.repository}" if self.repository else "",
            f"Application {self.application}" if self.application else "",
        ]
        text = ", ".join(part for part in parts if part)
        return text.replace(", of repository", " of repository").removeprefix("of ")

    def within(self, outer: Where) -> Where:
        """This place, with what it leaves open filled in from ``outer``."""
        return Where(
            self.file or outer.file,
            self.line or (outer.line if not self.file else 0),
            self.commit or outer.commit,
            self.repository or outer.repository,
            self.application or outer.application,
            self.field or outer.field,
        )


class WindlassError(Exception):
    """What both families share: what is so, where, what to write instead, and where to read on.

    ``slug`` is the heading in ``docs/errors.md``; a test holds that it exists.
    """

    slug: ClassVar[str] = "error"
    reason: ClassVar[str] = "Error"

    def __init__(self, what: str, *, where: Where | None = None, hint: str = "", then: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where or Where()
        self.hint = hint
        self.then = then

    def at(self, outer: Where) -> WindlassError:
        """The same error, its place completed by what the caller knows. Returns itself, for ``raise error.at(...)``."""
        self.where = self.where.within(outer)
        return self

    @override
    def __str__(self) -> str:
        place = str(self.where)
        return f"{self.what} ({place})" if place else self.what


class NeedsHuman(WindlassError):
    """A person must act: the input is wrong, a right is missing, a decision is needed."""

    slug: ClassVar[str] = "needs-human"
    reason: ClassVar[str] = "NeedsHuman"


class TryLater(WindlassError):
    """It may work by itself. ``after`` is in seconds, 0.0 where the caller's own backoff decides."""

    slug: ClassVar[str] = "try-later"
    reason: ClassVar[str] = "TryLater"

    def __init__(
        self, what: str, *, after: float = 0.0, where: Where | None = None, hint: str = "", then: str = ""
    ) -> None:
        super().__init__(what, where=where, hint=hint, then=then)
        self.after = after
