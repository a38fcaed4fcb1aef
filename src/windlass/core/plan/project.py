"""The part of a live object that an entry of ``managedFields`` owns, without what others own or a server filled in.

Drift tells additions by it, and a plan what leaves Git. It changes nothing and guesses nothing: what an entry tells of
and the object does not have is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.core.plan.compare import Fields, index_of, is_absent, resolve


def project(value: Any, node: Fields) -> Any:
    """The parts of a value that a node owns: what was added, without the server's defaults around it."""
    below = [element for element in node if element != "."]
    if not below:
        return value
    if isinstance(value, Mapping):
        parts = {element[2:]: resolve(value, element) for element in below if element.startswith("f:")}
        return {name: project(part, node[f"f:{name}"]) for name, part in parts.items() if not is_absent(part)}
    if isinstance(value, list):
        found = [(index_of(value, element), element) for element in below]
        return [project(value[place], node[element]) for place, element in sorted(_placed(found))]
    return value


def _placed(found: list[tuple[int | None, str]]) -> list[tuple[int, str]]:
    return [(place, element) for place, element in found if place is not None]
