"""A process with many mirrors holds few of their files open."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from windlass.adapters.git.store import Store


def open_packs() -> int:
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(entry).endswith(".pack")
        except OSError:
            continue
    return found


def test_packs_of_many_mirrors_are_not_all_open_at_once(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "init.defaultBranch=main"]
    source = tmp_path / "source"
    subprocess.run([*git, "init", "-q", str(source)], check=True)
    for number in range(20):
        (source / "a").write_text(str(number))
        subprocess.run([*git, "add", "a"], cwd=source, check=True)
        subprocess.run([*git, "commit", "-q", "-m", "x"], cwd=source, check=True)
        # A pack for each commit, as a mirror gets one for each fetch.
        subprocess.run([*git, "repack", "-q"], cwd=source, check=True)
    head = subprocess.run([*git, "rev-list", "HEAD"], cwd=source, check=True, capture_output=True, text=True)
    kept = []
    for number in range(16):
        copy = tmp_path / f"mirror-{number}"
        subprocess.run(["cp", "-r", str(source / ".git"), str(copy)], check=True)
        store = Store(str(copy))
        for commit in head.stdout.split():
            store.describe(commit)
        kept.append(store)
    assert len(kept) * 20 > 300
    assert open_packs() <= 260
