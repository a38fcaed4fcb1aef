"""Which tag of an image a policy takes, and of every other one why not.

Called in two steps, because a registry answers tags at once and everything else one image at a time: ``rank`` puts the
tags into order by what their names say; the flow then gets what is left to know (times of building, platforms,
signatures) for as few of them as it can and asks ``choose``. Nothing goes backwards because a tag is missing: a tag
below the current one is taken only where the current one is not allowed any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from windlass.core.images.rules import Follow, Mark, Newest, Reader, Rule

MOST_NEWEST = 500
"""Tags of which the times are asked for at most; above that a pattern has to choose fewer."""


class Hold(msgspec.Struct, frozen=True):
    """A tag that is not to be taken until a time (None: for good)."""

    tag: str
    reason: str = ""
    by: str = ""
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until

    @property
    def told(self) -> str:
        """``held until 2026-12-01: rolled back, windlass``."""
        end = f" until {self.until:%Y-%m-%d %H:%M}" if self.until else ""
        why = ", ".join(part for part in (self.reason, self.by) if part)
        return f"held{end}{': ' if why else ''}{why}"


class Facts(msgspec.Struct, frozen=True):
    """What the registry tells of one tag. ``refused`` is why it may not be taken (no platform, no signature),
    ``signer`` who signed it, where that was asked for."""

    digest: str = ""
    created: datetime | None = None
    refused: str = ""
    signer: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """One tag: whether it is the ``chosen`` one, the ``current`` one, and why it is what it is."""

    tag: str
    why: str
    chosen: bool = False
    current: bool = False


class Ranking(msgspec.Struct, frozen=True):
    """``order`` is of the tags that count, best first; ``left`` says of the others why they don't. ``held`` are those
    that a hold keeps back, and nothing else."""

    order: Sequence[str]
    marks: Mapping[str, Mark]
    left: Mapping[str, str]
    held: frozenset[str] = frozenset()


class Selection(msgspec.Struct, frozen=True):
    """``tag`` is what is to be there, "" where nothing may be said: then what is there stays. ``why`` is for people.

    ``verdicts`` are best first, the tags that don't count behind: those that are held, then the others, sorted."""

    tag: str
    digest: str
    why: str
    verdicts: Sequence[Verdict] = ()


def rank(rule: Rule, tags: Iterable[str], holds: Iterable[Hold], now: datetime, *, current: str = "") -> Ranking:
    """The tags in the order of the rule, best first. Of equal ones the current tag is first, then the one that is
    written like it (with or without "v"), then the one with more parts, then the shorter, then the first in the order
    of characters. Raises BadRule.
    """
    reader = Reader(rule)
    held = {hold.tag: hold for hold in holds if hold.holds(now)}
    marks: dict[str, Mark] = {}
    left: dict[str, str] = {}
    for tag in set(tags):
        mark = reader.mark(tag)
        if isinstance(mark, str):
            left[tag] = mark
        elif tag in held:
            left[tag] = held[tag].told
        else:
            marks[tag] = mark
    order = sorted(marks, key=lambda tag: _neatness(tag, current))
    if not isinstance(rule, (Newest, Follow)):
        order.sort(key=lambda tag: marks[tag].key, reverse=True)
    return Ranking(order, marks, left, frozenset(tag for tag in left if tag in held and left[tag] == held[tag].told))


def needs_times(rule: Rule) -> bool:
    """Whether the times at which images were built decide."""
    return isinstance(rule, Newest)


def by_time(ranking: Ranking, facts: Mapping[str, Facts]) -> Ranking:
    """The same tags in the order of the times at which they were built; those without a time don't count."""
    left = dict(ranking.left)
    timed: list[tuple[datetime, str]] = []
    for tag in ranking.order:
        fact = facts.get(tag, Facts())
        if fact.created is None:
            left[tag] = fact.refused or "does not say when it was built"
        else:
            timed.append((fact.created, tag))
    timed.sort(key=lambda one: one[0], reverse=True)
    marks = {tag: Mark(created, f"built {created:%Y-%m-%d %H:%M:%S}") for created, tag in timed}
    return Ranking([tag for _, tag in timed], marks, left, ranking.held)


def choose(rule: Rule, ranking: Ranking, facts: Mapping[str, Facts], *, current: str = "") -> Selection:
    """The best tag that nothing speaks against. ``current`` is the tag that Git has now, "" where it has none."""
    best = next((tag for tag in ranking.order if not facts.get(tag, Facts()).refused), "")
    if not best:
        why = "no tag counts: what is there stays" if not ranking.order else "no tag that counts may be taken"
        if isinstance(rule, Follow) and rule.tag not in {*ranking.order, *ranking.held}:
            why = f"there is no tag {rule.tag}: what is there stays"
        return Selection("", "", why, _verdicts(ranking, facts, "", current))
    if current and current != best and not isinstance(rule, Follow) and _is_backwards(rule, ranking, best, current):
        why = f"{current} stays: {best} would be a step back"
        return Selection("", "", why, _verdicts(ranking, facts, "", current, back=best))
    shown = ranking.marks[best].shown
    why = f"{best} is followed" if isinstance(rule, Follow) else f"the highest of {len(ranking.order)}: {shown}"
    why += _signed_by(facts.get(best, Facts()))
    return Selection(best, facts.get(best, Facts()).digest, why, _verdicts(ranking, facts, best, current))


def _signed_by(facts: Facts) -> str:
    return f", signed by {facts.signer}" if facts.signer else ""


def _is_backwards(rule: Rule, ranking: Ranking, best: str, current: str) -> bool:
    """Whether taking ``best`` would lead below a current tag that the rule allows, also where that is missing now."""
    if current in ranking.marks:
        return ranking.order.index(current) < ranking.order.index(best)
    if current in ranking.left:
        # It is there and does not count: refused by the rule (people changed it, so down is meant), or held: then up
        # only, for a hold says what not to take and not what to leave.
        mark = Reader(rule).mark(current)
        return isinstance(mark, Mark) and mark.key is not None and mark.key >= ranking.marks[best].key
    mark = Reader(rule).mark(current)
    if isinstance(mark, str):
        return False
    # Not in the registry's list any more. Without a time to compare (Newest), nothing says that the other is newer.
    return mark.key is None or mark.key > ranking.marks[best].key


def _verdicts(
    ranking: Ranking, facts: Mapping[str, Facts], chosen: str, current: str, *, back: str = ""
) -> list[Verdict]:
    told = []
    for place, tag in enumerate(ranking.order):
        shown = ranking.marks[tag].shown
        refused = facts.get(tag, Facts()).refused
        above = ranking.order[place - 1] if place else ""
        if tag == chosen:
            why = (f"chosen: {shown}" if shown else "chosen") + _signed_by(facts.get(tag, Facts()))
        elif refused:
            why = refused
        elif tag == back:
            why = f"{shown}, below the current {current}"
        elif above and ranking.marks[above].key == ranking.marks[tag].key and ranking.marks[tag].key is not None:
            why = f"{shown}, the same as {above}"
        else:
            why = f"{shown}, below {chosen or current}" if shown else "below"
        told.append(Verdict(tag, why, tag == chosen, tag == current))
    # What is held may be better than all: people look for it.
    others = sorted(ranking.left.items(), key=lambda one: (one[0] not in ranking.held, one[0]))
    told += [Verdict(tag, why, current=tag == current) for tag, why in others]
    return told


def _neatness(tag: str, current: str) -> tuple[bool, bool, int, int, str]:
    # "1.4.0" before "1.4": of the two the latter is the one that will move.
    return tag != current, tag.startswith("v") != current.startswith("v"), -tag.count("."), len(tag), tag
