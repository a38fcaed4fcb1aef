"""What an ImagePolicy may choose by, each rule as data, and the order that it puts tags into.

``select`` asks: which tags count, and in what order. A rule never asks a registry; ``Newest`` says that it needs the
times at which images were built, which the caller gets for it. Patterns of people run on RE2 alone.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec

from windlass.core.charts import ranges
from windlass.errors import NeedsHuman, Where

LONGEST_PATTERN = 512
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


class BadRule(NeedsHuman):
    """A rule of selection that can't be read."""

    slug: ClassVar[str] = "bad-selection"
    reason: ClassVar[str] = "BadSelection"


class Mark(msgspec.Struct, frozen=True):
    """Where a tag stands in a rule's order: ``key`` compares, ``shown`` is how a person reads it ("version 1.4.2")."""

    key: Any
    shown: str


class Semver(msgspec.Struct, frozen=True):
    """The highest version in a range, as Helm and Flux read ranges. ``pattern`` takes the version out of a tag."""

    range: str
    pattern: str = ""


class Numeric(msgspec.Struct, frozen=True):
    """The highest number: the group ``n`` of the pattern, or the whole tag."""

    pattern: str = ""


class Alphabetical(msgspec.Struct, frozen=True):
    """The last in the order of characters: the group ``n`` of the pattern, or the whole tag."""

    pattern: str = ""


class Newest(msgspec.Struct, frozen=True):
    """The one that was built last, among those that the pattern matches."""

    pattern: str = ""


class Follow(msgspec.Struct, frozen=True):
    """One tag, whatever it points to."""

    tag: str


Rule = Semver | Numeric | Alphabetical | Newest | Follow


class Reader:
    """A rule that was read: ``mark`` puts a tag into its order or says why it does not count."""

    def __init__(self, rule: Rule) -> None:
        """Raises BadRule."""
        self.rule = rule
        self._written = "" if isinstance(rule, Follow) else rule.pattern
        self._pattern = _compiled(self._written) if self._written else None
        self._range = _range(rule.range) if isinstance(rule, Semver) else None
        if isinstance(rule, Follow) and not TAG.fullmatch(rule.tag):
            raise BadRule(
                f"{rule.tag!r} can't be a tag", where=Where(field="spec.select.follow.tag"), hint="tag: stable"
            )

    def mark(self, tag: str) -> Mark | str:
        """Its place in the order, or why it has none."""
        text = tag
        if self._pattern is not None:
            found = self._pattern.search(tag)
            if found is None:
                return f"does not match {self._written}"
            text = _named(found, tag)
        match self.rule:
            case Semver(range=wanted):
                version = ranges.version(text)
                if version is None:
                    return "is no version" if text == tag else f"{text} is no version"
                assert self._range is not None
                if not self._range.holds(version):
                    left_out = not version.final and not self._range.has_pre_releases
                    return f"is a pre-release, and {wanted} names none" if left_out else f"is not in {wanted}"
                return Mark(version, f"version {text.removeprefix('v')}")
            case Numeric():
                return Mark(int(text), f"number {int(text)}") if _is_number(text) else f"{text} is no number"
            case Alphabetical():
                return Mark(text, f"text {text}")
            case Newest():
                return Mark(None, "")
            case Follow(tag=followed):
                return Mark(None, "") if tag == followed else f"only {followed} is followed"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 30


def _named(found: Any, tag: str) -> str:
    """What the named group caught (the first one where it is not called n), or the whole tag where there is none."""
    groups = found.groupdict()
    if not groups:
        return tag
    caught = groups["n"] if "n" in groups else next(iter(groups.values()))
    return caught if caught is not None else tag


def _range(text: str) -> ranges.Range:
    read = ranges.read_range(text)
    if read is None or not text.strip():
        raise BadRule(
            f"{text[:80]!r} is not a range of versions",
            where=Where(field="spec.select.semver"),
            hint='write ">=1.4 <2", "~1.4", "^1" or "1.x"',
        )
    return read


def _compiled(pattern: str) -> Any:
    import re2  # an extension of some size: only where a pattern is used

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        if len(pattern) > LONGEST_PATTERN:
            raise BadRule(
                f"the pattern has {len(pattern)} characters, over {LONGEST_PATTERN}",
                where=Where(field="spec.select"),
                hint="write a shorter one",
            )
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        why = (said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said))[:120]
        raise BadRule(
            f"the pattern can't be read: {why}",
            where=Where(field="spec.select"),
            hint="write it as RE2 has it, such as ^main-[0-9a-f]{7}-(?P<n>[0-9]+)$",
        ) from error
