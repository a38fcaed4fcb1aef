"""Which source of values gave a chart which field: Helm's merge, by the names of the sources alone.

Called by the render, for ``windlass render --explain``. Values themselves do not come out of here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def value_origins(sources: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Each field that a source gave, as ``cache.size``, with the name of the source that has the last word, sorted.

    ``sources`` are names and parsed values, the lowest first. Maps are merged by key, everything else replaces what was
    there, and null takes a value of the chart out. What no source gave is the chart's own and is not told.
    """
    found: dict[tuple[str, ...], str] = {}
    for name, content in sources:
        if isinstance(content, dict):
            _put(found, (), content, name)
    return sorted((_shown(path), name) for path, name in found.items())


def _put(found: dict[tuple[str, ...], str], path: tuple[str, ...], value: Any, name: str) -> None:
    if isinstance(value, dict) and (value or not path):
        found.pop(path, None)
        for key, inner in value.items():
            _put(found, (*path, str(key)), inner, name)
        return
    for below in [one for one in found if one[: len(path)] == path]:
        del found[below]
    found[path] = f"taken out by {name}" if value is None else name


def _shown(path: tuple[str, ...]) -> str:
    parts = (f".{part}" if _PLAIN.fullmatch(part) else f"[{json.dumps(part, ensure_ascii=False)}]" for part in path)
    return "".join(parts).lstrip(".")
