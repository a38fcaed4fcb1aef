"""Figures, and how they are shown: a table for people, JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Figure:
    """One number. ``aim`` is the most that is wanted (the least where ``least``), None where nothing was promised."""

    what: str
    value: float
    unit: str = ""
    aim: float | None = None
    least: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        if self.aim is None:
            return None
        return self.value >= self.aim if self.least else self.value <= self.aim


@dataclass
class Result:
    """The figures of one scenario."""

    name: str
    cluster: str
    applications: int
    figures: list[Figure] = field(default_factory=list)

    def add(self, what: str, value: float, unit: str = "", **more: Any) -> None:
        self.figures.append(Figure(what, value, unit, **more))

    def value(self, what: str) -> float:
        """The figure of that name."""
        return next(one.value for one in self.figures if one.what == what)


def table(results: list[Result]) -> str:
    """A line for each figure."""
    lines = []
    for result in results:
        lines.append(f"\n{result.name} ({result.applications} applications, {result.cluster})")
        for one in result.figures:
            word = {True: "reached", False: "SHORT", None: ""}[one.reached]
            sign = ">=" if one.least else "<="
            aim = f"{sign} {number(one.aim)}" if one.aim is not None else ""
            lines.append(
                f"  {one.what:<44} {number(one.value):>9} {one.unit:<4} {aim:>9}  {word:<8}{one.note}".rstrip()
            )
    return "\n".join(lines)


def number(value: float) -> str:
    """Three or so digits that matter."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def as_json(results: list[Result]) -> str:
    """Everything, for programs."""
    return json.dumps([asdict(one) for one in results], indent=1)
