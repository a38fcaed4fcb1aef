"""JSON as Kubernetes reads it: one or several values in a file, no duplicate keys, no NaN, no half surrogates, numbers
within 64 bits or floats.

Called by the reader for files that start like JSON. ``marks`` gives the places of fields, for ``marks.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Never

from windlass.core.documents import scalars
from windlass.core.documents.rules import Budget, Document, DocumentError, DuplicateKey, TooMuch
from windlass.errors import Where

Path = tuple[str | int, ...]
_START = re.compile(rb"[ \t\r\n]*\{")
_SPACE = re.compile(r"[ \t\r\n]*")
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|\n|[^\s\[\]{}:,"]+', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE_VALUE = re.compile("[\ud800-\udfff]")


class NotJson(Exception):
    """The text is not JSON; it may still be YAML."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line

    def told(self, file: str) -> DocumentError:
        return DocumentError(
            f"this is not JSON: {self.problem}",
            where=Where(file=file, line=self.line),
            hint="check the quotes and commas of this line and the line before",
        )


class _Twice(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class _Number(Exception):
    pass


def looks_like_json(data: bytes) -> bool:
    return _START.match(data) is not None


def read(data: bytes, file: str, budget: Budget) -> list[Document]:
    """The values of a file of JSON. Raises :class:`NotJson` where it is none, :class:`DocumentError` where it must not
    be used."""
    text = data.decode()
    _measure(text, file, budget)
    decoder = json.JSONDecoder(
        object_pairs_hook=_members, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
    )
    found: list[Document] = []
    at = _SPACE.match(text, 0).end()  # type: ignore[union-attr] # it matches the empty text
    index = 0
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise NotJson(error.msg[:1].lower() + error.msg[1:], text.count("\n", 0, error.pos) + 1) from None
        except _Twice as error:
            raise _duplicate(data, file, error.key) from None
        except (_Number, RecursionError) as error:
            raise DocumentError(
                str(error) or "the file is too deep",
                where=Where(file=file, line=line),
                hint="put it in quotes if it is meant as text",
            ) from None
        if value is not None:
            found.append(Document(value, file, line, index))
        index += 1
        at = _SPACE.match(text, end).end()  # type: ignore[union-attr]
    if _SURROGATE.search(text):
        _refuse_surrogates([document.value for document in found], text, file)
    return found


def marks(data: bytes) -> Iterator[tuple[int, Path, int]]:
    """Each key and list item: index of the value in the file, path, line. Doubtful text ends it early."""
    stack: list[list[Any]] = []
    index, line = -1, 1
    for found in _PART.finditer(data.decode(errors="replace")):
        part = found[0]
        if part == "\n":
            line += 1
        elif part == ":":
            if stack:
                stack[-1][2] = False
        elif part == ",":
            if stack:
                stack[-1][2] = True
        elif part in "]}":
            if not stack:
                return
            stack.pop()
        else:
            if not stack:
                index += 1
                yield index, (), line
            elif not stack[-1][0]:
                stack[-1][1] += 1
                yield index, tuple(frame[1] for frame in stack), line
            elif stack[-1][2]:
                stack[-1][1] = _text(part)
                yield index, tuple(frame[1] for frame in stack), line
            if part in "[{":
                stack.append([part == "{", -1 if part == "[" else "", True])
            line += part.count("\n")


def _measure(text: str, file: str, budget: Budget) -> None:
    """Depth and size before the parser, which recurses, sees the text."""
    if text.count("{") + text.count("[") <= budget.depth and text.count(",") < budget.nodes:
        return
    depth = nodes = 0
    line = 1
    for found in _PART.finditer(text):
        part = found[0]
        if part == "\n":
            line += 1
        elif part in "[{":
            depth += 1
        elif part in "]}":
            depth -= 1
        elif part == ",":
            nodes += 1
        if depth > budget.depth:
            raise TooMuch(
                f"lists and mappings are more than {budget.depth} levels deep",
                where=Where(file=file, line=line),
                hint="no Kubernetes object is that deep",
            )
        if nodes > budget.nodes:
            raise TooMuch(
                f"the file has more than {budget.nodes} values",
                where=Where(file=file, line=line),
                hint="split it into several files",
            )


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Twice(name)
            seen.add(name)
    return members


def _integer(text: str) -> int | float:
    if len(text) <= 20 and scalars.INT64_MIN <= (value := int(text)) <= scalars.INT64_MAX:
        return value
    return _float(text)


def _float(text: str) -> int | float:
    if len(text) > 1100:
        raise _Number(f"a number of {len(text)} digits is too long")
    try:
        return scalars.as_json(float(text), text)
    except scalars.ScalarError as error:
        raise _Number(str(error)) from None


def _constant(text: str) -> Never:
    raise _Number(f"{text} is a number that JSON can't hold")


def _duplicate(data: bytes, file: str, key: str) -> DocumentError:
    """The lines of the first key that is in its object twice. The parser names the innermost one, this the first of
    that name."""
    seen: dict[tuple[int, Path], int] = {}
    for index, path, line in marks(data):
        if path and path[-1] == key:
            if (index, path) in seen:
                return DuplicateKey(key, file=file, first=seen[index, path], second=line)
            seen[index, path] = line
    return DuplicateKey(key, file=file, first=1, second=1)


def _refuse_surrogates(value: Any, text: str, file: str) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str) and _SURROGATE_VALUE.search(item):
            found = _SURROGATE.search(text)
            raise DocumentError(
                "half of a surrogate pair is no character",
                where=Where(file=file, line=text.count("\n", 0, found.start() if found else 0) + 1),
                hint="write the character itself, or both halves of the pair",
            )


def _text(part: str) -> str:
    try:
        return str(json.loads(part))
    except ValueError:
        return part
