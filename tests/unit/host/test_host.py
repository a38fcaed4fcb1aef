"""Files that are old or new and never half; a clock that does not go back."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
from datetime import UTC
from pathlib import Path

import pytest

from windlass.adapters.host.clock import SystemClock
from windlass.adapters.host.files import DiskFull, FileNotWritable, check_folder, write_atomic
from windlass.ports import Clock


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    """The new bytes are there, the mode is the one asked for whatever the umask, and nothing else is left."""
    target = tmp_path / "state.json"
    target.write_bytes(b"old" * 1000)
    before = os.umask(0o077)
    try:
        write_atomic(target, b"new", mode=0o644)
    finally:
        os.umask(before)
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_private_by_default(tmp_path: Path) -> None:
    """Without a word about the mode nobody else may read the file."""
    write_atomic(tmp_path / "token", b"x")
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


def test_a_link_in_the_place_of_the_file_is_replaced_not_followed(tmp_path: Path) -> None:
    """Writing through a planted link would write somebody else's file."""
    other = tmp_path / "other"
    other.write_bytes(b"untouched")
    (tmp_path / "state").symlink_to(other)
    write_atomic(tmp_path / "state", b"new")
    assert other.read_bytes() == b"untouched"
    assert (tmp_path / "state").read_bytes() == b"new"
    assert not (tmp_path / "state").is_symlink()


@pytest.mark.parametrize("step", ["write", "fsync", "fchmod"])
def test_a_full_disk_at_any_step_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """No half file: the old one stands, the temporary one is gone, and the word is that there is no room."""
    target = tmp_path / "state"
    target.write_bytes(b"old")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(DiskFull, match="no room on the disk"):
        write_atomic(target, b"new")
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"


def test_a_real_limit_in_the_middle_of_a_write_leaves_the_old_file(tmp_path: Path) -> None:
    """The kernel's own refusal after some bytes (a limit on file sizes): the old file stands."""
    target = tmp_path / "state"
    target.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(FileNotWritable):
            write_atomic(target, b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_missing_folder_is_told_with_the_mend(tmp_path: Path) -> None:
    """Nothing is made up: the folder is named, and what to do."""
    with pytest.raises(FileNotWritable, match="missing/state") as caught:
        write_atomic(tmp_path / "missing" / "state", b"x")
    assert "make it" in caught.value.hint


def test_a_folder_that_files_can_be_kept_in_is_made_and_left_empty(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    check_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EROFS, "Read-only file system"),
        (errno.EACCES, "Permission denied"),
        (errno.ENOSPC, None),
        (errno.EDQUOT, None),
    ],
)
def test_a_folder_that_takes_no_file_is_told_and_a_full_disk_is_no_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str | None
) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("windlass.adapters.host.files.os.open", refuse)
    if told is None:
        check_folder(tmp_path)
        return
    with pytest.raises(FileNotWritable, match=f"can't write {tmp_path}: {told}") as caught:
        check_folder(tmp_path)
    assert caught.value.hint


def test_the_clock_is_utc_and_steady() -> None:
    """`now` is aware UTC; `monotonic` never goes back."""
    clock: Clock = SystemClock()
    assert clock.now().tzinfo is UTC
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)
