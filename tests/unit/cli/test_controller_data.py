"""A controller whose folder takes no files says so at its start, and ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from desk import Done


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that takes no files: of root too, whom the rights of a folder don't stop."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)], capture_output=True).returncode != 0:
        pytest.skip("a disk of one's own needs the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_below_a_file_there_is_no_folder(tmp_path: Path, run: Callable[..., Done]) -> None:
    (tmp_path / "file").write_text("")
    done = run("controller", "--data", str(tmp_path / "file" / "data"))
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"error: can't write {tmp_path}/file/data: Not a directory\n"
        "   at  --data\n"
        "  mend a part of the path is a file: name another folder\n"
        "  more: docs/errors.md#file-not-writable\n"
    )


def test_a_read_only_disk_ends_the_start_with_the_mend(read_only: Path) -> None:
    command = [sys.executable, "-m", "windlass", "controller", "--data", str(read_only)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done
    assert done.stderr.startswith(f"error: can't write {read_only}: Read-only file system\n   at  --data\n")
    assert "mount it writable, or name another folder" in done.stderr
    assert "Traceback" not in done.stderr
