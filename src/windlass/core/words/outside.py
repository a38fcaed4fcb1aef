"""What a deployment got from outside Git, then and now: a pin brings back what Git says, and this is the rest.

The controller notes it with each deployment (``model.Outside``), in the status and in the ledger; the command line
compares that of the good deployment with what a render gets now, and tells what will not be as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from windlass.core.model import Outside
from windlass.core.words.plain import plain, short


def compared(then: Outside, now: Outside) -> list[str]:
    """What differs, a line each with its mend; in a stable order. Nothing where all is as it was."""
    return [*_charts(then.charts, now.charts), *_sources(then.sources, now.sources), *_values(then.values, now.values)]


def movable(then: Outside) -> list[str]:
    """Images that were named without a digest: the tag may have been moved since, which nobody here can see."""
    return sorted(image for image in then.images if "@" not in image)


def told(now: Outside) -> list[str]:
    """All that comes from outside Git, in words, for a deployment of which it was not noted."""
    charts = [f"chart {plain(name)} {plain(found).partition(' ')[0]}" for name, found in sorted(now.charts.items())]
    sources = [f"repository {plain(name)} at {short(commit)}" for name, commit in sorted(now.sources.items())]
    return [*charts, *sources, *(plain(name) for name in sorted(now.values))]


def _charts(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        was, has = (plain(side.get(name, "")) for side in (then, now))
        if was == has:
            continue
        (old, _, old_digest), (new, _, new_digest) = was.partition(" "), has.partition(" ")
        if not has:
            yield f"chart {plain(name)} was {old}, and is not used now"
        elif not was:
            yield f"chart {plain(name)} is {new}, and was not used then"
        elif old == new:
            yield f"chart {plain(name)} {new} is another archive now ({new_digest[:19]}, was {old_digest[:19]})"
        else:
            yield f"chart {plain(name)} was {old}, is {new} now: write {old} as its version to have that back"


def _sources(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        was, has = then.get(name, ""), now.get(name, "")
        if was and has and was != has:
            yield f"repository {plain(name)} was at {short(was)}, is at {short(has)} now: pin it by sources[].at"
        elif was != has:
            yield f"repository {plain(name)} {'is not used now' if was else 'was not used then'}"


def _values(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        if name not in now:
            yield f"{plain(name)} is not used now"
        elif name not in then:
            yield f"{plain(name)} was not used then"
        elif then[name] != now[name]:
            yield f"{plain(name)} of the cluster holds something else now"
