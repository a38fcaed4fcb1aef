"""One field's change in words: ``spec.replicas   3 -> 7``. Plans, differences and alerts are made of these."""

from __future__ import annotations

import difflib

from windlass.core.plan.examine import MASK
from windlass.core.words.plain import VALUE_WIDTH, count, fit, plain, plain_lines, value

_HUNK = 12


def arrow(old: object, new: object, most: int = VALUE_WIDTH) -> str:
    """``3 -> 7``. Of two tags of one image, the second is told alone; of masked values, that they changed."""
    if old == MASK and new == MASK:
        return "changed (values of Secrets are not shown)"
    before, after = value(old, most), value(new, most)
    if isinstance(old, str) and isinstance(new, str):
        if _lines(old) > 1 or _lines(new) > 1:
            return f"{count(_lines(old), 'line')} -> {count(_lines(new), 'line')}"
        image, _, tag = after.rpartition(":")
        if tag and "/" in image and before.rpartition(":")[0] == image and "/" not in tag:
            return f"{before} -> {tag}"
    return f"{before} -> {after}"


def change(field: str, old: object, new: object) -> str:
    """One line: ``field   3 -> 7``, ``+ field = 7``, ``- field   was 3``."""
    name = plain(field)
    if old is None:
        return f"+ {name} = {_whole(beside(field, new))}"
    if new is None:
        return f"- {name}" if old == MASK else f"- {name}   was {_whole(beside(field, old))}"
    return f"{name}   {arrow(old, new)}"


def beside(field: str, given: object) -> object:
    """A list item without what its path tells already: of ``env[name=DEBUG]`` the value alone."""
    if not isinstance(given, dict) or not field.endswith("]"):
        return given
    told = {part.partition("=")[0] for part in field[field.rfind("[") + 1 : -1].split(",") if "=" in part}
    rest = {key: each for key, each in given.items() if key not in told}
    return rest["value"] if rest.keys() == {"value"} else rest or given


def _whole(given: object) -> str:
    return count(_lines(given), "line") if isinstance(given, str) and _lines(given) > 1 else value(given)


def text_difference(old: object, new: object, width: int = 0) -> list[str]:
    """The changed lines of a text of several lines, ``- `` and ``+ ``, the first twelve; [] of other values."""
    if not isinstance(old, str) or not isinstance(new, str) or max(_lines(old), _lines(new)) < 2:
        return []
    if max(len(old), len(new)) > 100_000:
        return []  # comparing it line by line would take longer than reading it
    changed = [
        fit(plain(line), width)
        for line in difflib.ndiff(plain_lines(old), plain_lines(new))
        if line.startswith(("- ", "+ "))
    ]
    more = len(changed) - _HUNK
    return [*changed[:_HUNK], f"{more} more changed lines"] if more > 1 else changed


def _lines(given: object) -> int:
    return len(given.splitlines()) if isinstance(given, str) else 0
