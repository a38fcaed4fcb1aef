"""The images that objects name for their containers: of whatever has containers, at any depth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windlass.core.images.places import CONTAINERS

MOST = 500
_DEEPEST = 30
_NONE = frozenset({"ConfigMap", "Secret"})


def images_of(objects: Iterable[Any]) -> list[str]:
    """Sorted, each once, at most ``MOST``. ``objects`` are manifests as values."""
    found: set[str] = set()
    for one in objects:
        if isinstance(one, dict) and one.get("kind") not in _NONE:
            _collect(one, found, 0)
    return sorted(found)[:MOST]


def _collect(value: Any, found: set[str], depth: int) -> None:
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for one in value:
            _collect(one, found, depth + 1)
        return
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key in CONTAINERS and isinstance(inner, list):
            for one in inner:
                image = one.get("image") if isinstance(one, dict) else None
                if isinstance(image, str) and image:
                    found.add(image[:500])
        elif isinstance(inner, (dict, list)):
            _collect(inner, found, depth + 1)
