"""What a document is, how much of it is accepted, and how it is refused. Used by every module of this room; decides
nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from windlass.errors import NeedsHuman, Where


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that one file may cost. The defaults are many times what the largest bundles of CRDs need.

    ``size``: bytes of the file. ``nodes``: scalars, lists and mappings, each alias counted as what it stands for.
    ``depth``: lists and mappings inside each other. ``text``: characters that aliases may add.
    """

    size: int = 16 * 1024 * 1024
    nodes: int = 500_000
    depth: int = 200
    text: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: ``value`` of JSON types only, the file as it was named, ``line`` where its content starts
    (from 1), and its ``index`` in the file (from 0, empty documents counted, so that it fits ``locate``)."""

    value: Any
    file: str
    line: int
    index: int


class DocumentError(NeedsHuman):
    """A file can't be read as YAML or JSON the way Kubernetes would."""

    slug: ClassVar[str] = "bad-document"
    reason: ClassVar[str] = "BadDocument"


class DuplicateKey(DocumentError):
    """A mapping has one key twice. ``first`` is the line of the first one; ``where`` has the second."""

    slug: ClassVar[str] = "duplicate-key"
    reason: ClassVar[str] = "DuplicateKey"

    def __init__(self, key: str, *, file: str, first: int, second: int) -> None:
        shown = key if len(key) <= 80 else key[:77] + "..."
        lines = f"lines {first} and {second}" if first != second else f"line {second}"
        mend = f"take out line {first} or line {second}" if first != second else "take one of the two out"
        super().__init__(
            f'the key "{shown}" is set twice, in {lines}',
            where=Where(file=file, line=second),
            hint=f"{mend}: only one of them can be meant",
        )
        self.key = key
        self.first = first


class TooMuch(DocumentError):
    """A file asks for more than the budget: too large, too deep, or aliases that multiply."""

    slug: ClassVar[str] = "document-too-large"
    reason: ClassVar[str] = "DocumentTooLarge"


def line_at(data: bytes, offset: int) -> int:
    """The line, from 1, of a byte offset."""
    return data.count(b"\n", 0, offset) + 1
