"""A folder of this machine as `core/kustomize` reads it, and what it builds there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from windlass.core.kustomize import KustomizeError, build


class Folder:
    """The files below a folder, by paths relative to it. No link leads out of the trees of these tests."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        file = self.root / path
        return file.read_bytes() if file.is_file() else None

    def names(self, folder: str) -> Sequence[str] | None:
        place = self.root / folder
        return sorted(os.listdir(place)) if place.is_dir() else None


def ours(root: Path, folder: str = "") -> str | KustomizeError:
    """What is printed, or why nothing is."""
    try:
        return build(Folder(root), folder).text()
    except KustomizeError as error:
        return error
