"""What becomes of a folder that both build, the real kustomize and ours: a word, and what there is to tell.

Used by `test_drawn.py` and by the report (`make differential`).
"""

from __future__ import annotations

import difflib
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from folders import ours

from real import kustomize
from windlass.core.kustomize import KustomizeError

STRICTER = re.compile(
    "is set twice in one mapping|did not find expected <document start>|has an empty part|gets no hash"
)
"""What is refused here, and taken by the original: docs/limits.md says why."""


def judge(root: Path, folder: str = "") -> tuple[str, str]:
    """ "same", "refused" by both, "on purpose" another way (stricter, or without an apiVersion), or "different"."""
    theirs, mine = kustomize.build(root / folder), ours(root, folder)
    if theirs.text is None:
        if not isinstance(mine, str):
            return "refused", theirs.error
        # Without an apiVersion nothing is applied anyway; the original trips over it here and there.
        return ("on purpose", "") if "apiVersion: null" in mine else ("different", theirs.error)
    if isinstance(mine, KustomizeError):
        meant = "apiVersion: null" in theirs.text or STRICTER.search(mine.what)
        return ("on purpose", mine.what) if meant else ("different", f"kustomize takes it, and ours says: {mine.what}")
    lines = difflib.unified_diff(theirs.text.splitlines(), mine.splitlines(), "kustomize", "ours", lineterm="")
    return ("same", "") if mine == theirs.text else ("different", "\n".join(lines) or "other line ends")


def judge_files(files: Mapping[str, bytes], built: str = "") -> tuple[str, str]:
    """The same of files by their paths, of which the folder ``built`` is built."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            file = Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        return judge(Path(folder), built)
