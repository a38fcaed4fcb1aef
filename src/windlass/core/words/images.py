"""Image policies and their verdicts as text: the words of ``windlass image``."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.core.images import Selection
from windlass.core.kinds.conditions import condition
from windlass.core.kinds.image_policy import ImagePolicy
from windlass.core.words.plain import plain

SHOWN = 20
NOTHING = "nothing would change"


def policy_lines(policies: Sequence[tuple[str, ImagePolicy]]) -> str:
    """A line each: name, image, tag, places; and the reason below where it is not ready."""
    rows = [(name, image_of(one), one.status.tag or "-", places(one.status.places)) for name, one in policies]
    widths = [max(len(plain(row[column])) for row in rows) for column in range(3)] if rows else []
    lines = []
    for row, (_, one) in zip(rows, policies, strict=True):
        cells = [plain(cell).ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("   ".join([*cells, row[3]]).rstrip())
        ready = condition(one.status.conditions, "Ready")
        if ready is not None and ready.status != "True":
            lines.append(f"  {plain(ready.message)}")
    return "".join(f"{line}\n" for line in lines)


def places(count: int) -> str:
    return "1 place" if count == 1 else f"{count} places"


def image_of(policy: ImagePolicy) -> str:
    """The image, or the chart."""
    chart = policy.spec.chart
    return policy.spec.image or (f"{chart.repository.rstrip('/')}/{chart.name}" if chart is not None else "")


def selection_text(name: str, policy: ImagePolicy, selection: Selection, current: str, *, every: bool) -> str:
    """What would be taken, and each tag with why: the chosen one marked ``>``, the current one ``*``."""
    head = f"{plain(name)}   {plain(image_of(policy))}"
    answer = f"{selection.tag} would be taken" if selection.tag and selection.tag != current else NOTHING
    lines = [head, f"  {answer}: {plain(selection.why)}"]
    ready = condition(policy.status.conditions, "Ready")
    if answer == NOTHING and current == policy.status.tag and ready is not None and ready.status != "True":
        lines.append(f"  not written: {plain(ready.message)}")
    shown = selection.verdicts if every else selection.verdicts[:SHOWN]
    width = max((len(one.tag) for one in shown), default=0)
    for one in shown:
        mark = ">" if one.chosen else "*" if one.current else " "
        lines.append(f"  {mark} {plain(one.tag).ljust(width)}   {plain(one.why)}")
    left = len(selection.verdicts) - len(shown)
    if left:
        lines.append(f"    {left} more (--all)")
    return "".join(f"{line}\n" for line in lines)
