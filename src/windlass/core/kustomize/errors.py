"""What this room refuses: an error names the file and the field of the kustomization, and the mend.

Raised by every module here. ``at_field`` lays the place of a kustomization over what a smaller function could not know.
"""

from __future__ import annotations

from typing import ClassVar

from windlass.errors import NeedsHuman, Where


class KustomizeError(NeedsHuman):
    """A kustomization can't be built: its files, or what they ask of each other, must be changed."""

    slug: ClassVar[str] = "kustomize"
    reason: ClassVar[str] = "KustomizeFailed"


class NotSupported(KustomizeError):
    """Something that kustomize itself could do and Windlass does not: running programs, or fetching from elsewhere."""

    slug: ClassVar[str] = "kustomize-refused"
    reason: ClassVar[str] = "KustomizeRefused"


def at_field(error: NeedsHuman, file: str, field: str = "") -> NeedsHuman:
    """``error`` with its place filled in where it has none of its own."""
    error.at(Where(file=file, field=field))
    return error


def shown(text: str, limit: int = 120) -> str:
    """Foreign text in a message: one line, printable, bounded."""
    line = "".join(character if character.isprintable() else " " for character in text[: limit + 1])
    return line if len(line) <= limit else line[: limit - 3] + "..."
