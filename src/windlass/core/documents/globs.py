"""The patterns of ``source.include`` and ``source.exclude``: matched without regular expressions, in bounded time.

``*`` matches anything within one name, ``?`` one character, ``[abc]`` and ``[!abc]`` one of some; ``**`` as a whole
name matches any number of folders, none too. A pattern without a slash matches a name in any folder, as in
``.gitignore``; one that ends with a slash, or that matches a folder, stands for all below it. Called by the walk
of a render, and for the fence of writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache


@lru_cache(maxsize=4096)
def _parts(pattern: str) -> tuple[str, ...]:
    parts = tuple(part for part in pattern.split("/") if part not in ("", "."))
    return parts if "/" in pattern.rstrip("/") else ("**", *parts)


def matches(pattern: str, path: str) -> bool:
    """Whether the pattern matches this path, or a folder above it. ``path`` is relative to the source's folder."""
    names = path.split("/")
    return any(_match(_parts(pattern), names[:length]) for length in range(len(names), 0, -1))


def matches_any(patterns: Sequence[str], path: str) -> bool:
    """Whether one of the patterns matches."""
    return any(matches(pattern, path) for pattern in patterns)


def _match(pattern: Sequence[str], names: Sequence[str]) -> bool:
    """Table over (names matched) for each pattern part: no backtracking."""
    reached = [True] + [False] * len(names)
    for part in pattern:
        if part == "**":
            for index in range(1, len(reached)):
                reached[index] = reached[index] or reached[index - 1]
        else:
            reached = [False, *(reached[index] and name_matches(part, name) for index, name in enumerate(names))]
        if True not in reached:
            return False
    return reached[-1]


def name_matches(pattern: str, name: str) -> bool:
    """One name against one pattern part. Backs up only to the last ``*``: time is at most the product of lengths."""
    at = here = 0
    star, resume = -1, 0
    while here < len(name):
        width = _one(pattern, at, name[here])
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, here
            at += 1
        elif width:
            at += width
            here += 1
        elif star >= 0:
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return all(rest == "*" for rest in pattern[at:])


def _one(pattern: str, at: int, character: str) -> int:
    """How many characters of the pattern stand for this one character; 0: it does not match."""
    if at >= len(pattern):
        return 0
    if pattern[at] == "?":
        return 1
    end = pattern.find("]", at + 2) if pattern[at] == "[" else -1
    if end > 0:
        inside = pattern[at + 1 : end]
        negated = inside[0] in "!^"
        return end + 1 - at if _in_set(inside[negated:], character) is not negated else 0
    return 1 if pattern[at] == character else 0


def _in_set(inside: str, character: str) -> bool:
    index = 0
    while index < len(inside):
        if inside[index + 1 : index + 2] == "-" and index + 2 < len(inside):
            if inside[index] <= character <= inside[index + 2]:
                return True
            index += 3
        elif inside[index] == character:
            return True
        else:
            index += 1
    return False
