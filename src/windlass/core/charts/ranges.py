"""Versions of charts and the ranges that people write over them, read exactly as Helm reads them.

``>=1.4 <2``, ``>=1.4, <2``, ``~1.4``, ``^1``, ``1.x``, ``1.2 - 1.4``, ``1.4 || 2.x``. A pre-release is taken only where
its alternative names one (``>=1.0.0-0``). Called by whoever resolves a chart or holds its ``kubeVersion`` against a
cluster. It is not npm's reading: there ``>=1.4, <2`` matches nothing, and ``>=1.0.0-0`` not every pre-release.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

_LONGEST = 512
_MOST = 32
_PART = r"(?:[0-9]+|[xX*])"
_TAIL = r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
_SHAPE = rf"v?(?P<major>{_PART})(?:\.(?P<minor>{_PART}))?(?:\.(?P<patch>{_PART}))?{_TAIL}"
_VERSION = re.compile(_SHAPE)
_TERM = re.compile(rf"(?P<op>!=|>=|=>|<=|=<|~>|[=><~^]?)\s*{_SHAPE}")
_SPAN = re.compile(rf"({_SHAPE.replace('?P<', '?P<a_')})\s+-\s+({_SHAPE.replace('?P<', '?P<b_')})")
_BETWEEN = re.compile(r"\s*,\s*|\s+")

Core = tuple[int, int, int]
_PrePart = tuple[int, int, str]


class Version(NamedTuple):
    """A version, in the order of Semantic Versioning; build metadata does not count."""

    core: Core
    final: bool
    pre: tuple[_PrePart, ...] = ()


def version(text: str) -> Version | None:
    """A version as Helm takes it: ``1.2.3``, ``v1.2``, ``1.2.3-rc.1+build``. None for anything else."""
    found = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None or any(part in ("x", "X", "*") for part in found.group("major", "minor", "patch")):
        return None
    core = [int(part or 0) for part in found.group("major", "minor", "patch")]
    return _made((core[0], core[1], core[2]), found["pre"] or "")


def _made(core: Core, pre: str) -> Version:
    parts = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in pre.split(".")) if pre else ()
    return Version(core, not parts, parts)


class _Term(NamedTuple):
    """One comparison: ``given`` is how many of the three numbers are named before the first ``x``."""

    op: str
    base: Version
    given: int

    def holds(self, one: Version) -> bool:
        return _HOLDS[self.op](self, one)

    def above(self) -> Core:
        """The first numbers that are too high for ``~``."""
        major, minor, _ = self.base.core
        return (major + 1, 0, 0) if self.given == 1 else (major, minor + 1, 0)

    def beyond(self) -> Core:
        """The first numbers that are too high for ``^``: past the first number that is not 0."""
        major, minor, patch = self.base.core
        if major or self.given == 1:
            return major + 1, 0, 0
        return (0, minor + 1, 0) if minor or self.given == 2 else (0, 0, patch + 1)


def _equal(term: _Term, one: Version) -> bool:
    return one == term.base if term.given == 3 else _near(term, one)


def _near(term: _Term, one: Version) -> bool:
    # "~0.0.0" and "*" are everything.
    everything = term.base.core == (0, 0, 0) and term.given in (0, 3)
    return one >= term.base and (everything or one.core < term.above())


def _unequal(term: _Term, one: Version) -> bool:
    if term.given == 1:
        return one.core[0] != term.base.core[0]
    if term.given == 2:
        return one.core[:2] != term.base.core[:2] or one.pre != term.base.pre
    return one != term.base


def _greater(term: _Term, one: Version) -> bool:
    if term.given in (1, 2):
        return one.core[: term.given] > term.base.core[: term.given]
    return one > term.base


def _at_most(term: _Term, one: Version) -> bool:
    if term.given == 3:
        return one <= term.base
    numbers = 1 if term.given == 1 else 2
    return one.core[:numbers] <= term.base.core[:numbers]


_HOLDS: dict[str, Callable[[_Term, Version], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _unequal,
    ">": _greater,
    "<": lambda term, one: one < term.base,
    ">=": lambda term, one: one >= term.base,
    "=>": lambda term, one: one >= term.base,
    "<=": _at_most,
    "=<": _at_most,
    "~": _near,
    "~>": _near,
    "^": lambda term, one: one >= term.base and one.core < term.beyond(),
}


class Range:
    """A range that was read. ``holds`` tells whether a version is in it."""

    def __init__(self, alternatives: list[list[_Term]]) -> None:
        self._alternatives = alternatives

    @property
    def has_pre_releases(self) -> bool:
        """Whether it names a pre-release anywhere: one that names none holds none."""
        return any(not term.base.final for terms in self._alternatives for term in terms)

    def holds(self, one: Version) -> bool:
        for terms in self._alternatives:
            if not one.final and all(term.base.final for term in terms):
                continue
            if all(term.holds(one) for term in terms):
                return True
        return False


def read_range(text: str) -> Range | None:
    """Reads a range; "" is every version. None where Helm would call it improper."""
    if len(text) > _LONGEST:
        return None
    spans = _SPAN.sub(lambda found: f">={found.group(1)}, <={found.group('b_major') and _second(found)} ", text or "*")
    alternatives = spans.split("||")
    read = [_terms(one.strip()) for one in alternatives]
    good = [terms for terms in read if terms is not None]
    return Range(good) if len(good) == len(alternatives) <= _MOST else None


def _second(found: re.Match[str]) -> str:
    return re.split(r"\s+-\s+", found.group(0), maxsplit=1)[1]


def _terms(text: str) -> list[_Term] | None:
    terms: list[_Term] = []
    at = 0
    while at < len(text) or not terms:
        if terms:
            between = _BETWEEN.match(text, at)
            if between is None:
                return None
            at = between.end()
        found = _TERM.match(text, at)
        if found is None:
            return None
        terms.append(_term(found))
        at = found.end()
    return terms


def _term(found: re.Match[str]) -> _Term:
    numbers: list[int] = []
    for part in found.group("major", "minor", "patch"):
        if part is None or not part.isdecimal():
            break
        numbers.append(int(part))
    core = (*numbers, 0, 0, 0)
    return _Term(found["op"], _made((core[0], core[1], core[2]), found["pre"] or ""), len(numbers))


def newest(wanted: Range, offered: Iterable[str]) -> str | None:
    """The highest of these versions that is in the range; what is no version is passed over."""
    held = [(one, text) for text in offered if (one := version(text)) is not None and wanted.holds(one)]
    return max(held)[1] if held else None
