"""The JSONPath of printer columns and scale paths: names, quoted names, indexes, ``[*]`` and ``[?(@.x=="y")]``.

Compiled once by ``crds.py`` and ``table.py``. What is beyond that is refused with ValueError when the CRD is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Step = Callable[[list[Any]], list[Any]]

_PART = re.compile(
    r"""\.(?P<name>(?:[^.\[\]\\]|\\.)+)
      | \[(?P<index>-?\d+)\]
      | \[(?P<all>\*)\]
      | \[(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\]
      | \[\?\(\s*@(?P<field>(?:\.[^.\s=!<>()\[\]\\]+)+)\s*(?P<operator>==|!=)\s*
        (?P<value>"[^"]*"|'[^']*'|[^\s)]+)\s*\)\]""",
    re.VERBOSE,
)


@lru_cache(maxsize=1024)
def compile_path(text: str) -> Callable[[Any], list[Any]]:
    """A function from a value to all values at the path. ValueError where the path can't be read."""
    path = text.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    steps: list[Step] = []
    place = 0
    while place < len(path):
        match = _PART.match(path, place)
        if match is None:
            raise ValueError(f"JSONPath {text!r} can't be read at {path[place:]!r}")
        steps.append(_step(match))
        place = match.end()

    def run(value: Any) -> list[Any]:
        found = [value]
        for step in steps:
            found = step(found)
        return found

    return run


def first(text: str, value: Any) -> Any:
    """The first value at a path, None where there is none."""
    found = compile_path(text)(value)
    return found[0] if found else None


def _step(match: re.Match[str]) -> Step:
    if match["index"] is not None:
        index = int(match["index"])
        return lambda values: [v[index] for v in values if isinstance(v, list) and -len(v) <= index < len(v)]
    if match["all"]:
        return _every
    if match["field"]:
        return _filter(match["field"][1:].split("."), match["operator"] == "==", match["value"].strip("\"'"))
    name = match["quoted"] if match["quote"] else re.sub(r"\\(.)", r"\1", match["name"])
    if name == "*":
        return _every
    return lambda values: [v[name] for v in values if isinstance(v, dict) and name in v]


def _every(values: list[Any]) -> list[Any]:
    return [
        child for v in values for child in (v.values() if isinstance(v, dict) else v if isinstance(v, list) else ())
    ]


def _filter(path: list[str], equal: bool, wanted: str) -> Step:
    def holds(item: Any) -> bool:
        for name in path:
            item = item.get(name) if isinstance(item, dict) else None
        shown = str(item).lower() if isinstance(item, bool) else str(item)
        return (shown == wanted) is equal

    return lambda values: [item for v in values if isinstance(v, list) for item in v if holds(item)]
