"""The queue on disk: nothing is lost by a kill, nothing half is read, a full disk is told and recovered from."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.adapters.ledger import journal as room
from windlass.adapters.ledger.journal import Journal


def line(number: int, size: int = 0) -> bytes:
    return b"%d %s\n" % (number, b"x" * size)


def test_lines_come_back_in_order_after_a_restart(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    for number in range(5):
        assert first.append(line(number))
    first.close()
    assert Journal(tmp_path).lines() == [line(number) for number in range(5)]


def test_a_finished_file_is_never_written_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(line(1))
    batch = journal.finish()
    assert batch is not None
    content = batch.path.read_bytes()
    journal.append(line(2))
    assert batch.path.read_bytes() == content == line(1)
    again = Journal(tmp_path).finish()
    assert again == batch, "after a restart the same lines are the same batch"


def test_a_batch_that_was_dropped_is_gone_and_the_next_one_follows(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(line(1))
    batch = journal.finish()
    assert batch is not None
    journal.append(line(2))
    journal.drop(batch)
    following = journal.finish()
    assert following is not None
    assert following.path.read_bytes() == line(2)
    journal.drop(following)
    assert journal.finish() is None
    assert journal.size == 0


def test_what_was_half_written_at_a_kill_is_cut_off(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(line(1))
    journal.close()
    (path,) = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes() + b'{"half')
    again = Journal(tmp_path)
    again.append(line(2))
    assert again.lines() == [line(1), line(2)]


def test_a_process_that_is_killed_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from windlass.adapters.ledger.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]), segment=200)\n"
        "for number in range(100000):\n"
        "    journal.append(b'%d\\n' % number); print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(200)]
        child.kill()
        rest = child.stdout.read()
    told += rest[: rest.rfind(b"\n") + 1].splitlines(keepends=True)
    kept = Journal(tmp_path).lines()
    assert kept[: len(told)] == told
    assert len(kept) - len(told) in (0, 1), "the last append may not have been told"


def test_a_disk_that_is_full_keeps_lines_in_memory_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    journal.append(line(1))
    full = {"now": True}
    write = os.write

    def some(handle: int, data: bytes) -> int:
        if full["now"]:
            write(handle, data[:1])  # a part fits, as on a real disk
            raise OSError(errno.ENOSPC, "no room")
        return write(handle, data)

    monkeypatch.setattr(os, "write", some)
    assert journal.append(line(2))
    assert journal.append(line(3))
    assert journal.trouble is not None
    assert journal.trouble.slug == "disk-full"
    assert Journal(tmp_path).lines() == [line(1)], "no half line is read"
    full["now"] = False
    assert journal.append(line(4))
    journal.settle()
    assert journal.trouble is None
    assert Journal(tmp_path).lines() == [line(number) for number in (1, 2, 3, 4)]


def test_the_queue_is_bounded_on_disk_and_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "HELD", 50)
    journal = Journal(tmp_path, limit=100)
    kept = [number for number in range(10) if journal.append(line(number, 27))]
    assert kept == [0, 1, 2, 3], "three on disk, one in memory"
    assert journal.size <= 150
    batch = journal.finish()
    assert batch is not None
    journal.drop(batch)
    assert journal.append(line(10, 27)), "there is room again"


def test_a_folder_that_can_not_be_written_is_told_with_the_mend_and_lines_are_held(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    journal = Journal(tmp_path / "file" / "queue")
    assert journal.trouble is not None
    assert "name another folder" in journal.trouble.hint
    assert journal.finish() is None
    assert journal.append(line(1))
    assert journal.held == journal.size == len(line(1))
    (tmp_path / "file").unlink()
    assert journal.settle()
    assert journal.trouble is None
    assert Journal(tmp_path / "file" / "queue").lines() == [line(1)]


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Whether the disk is read-only: then nothing is opened for writing, and a handle takes nothing."""
    now = {"now": False}
    opened, write, cut, unlink = os.open, os.write, os.truncate, os.unlink

    def refuse() -> None:
        if now["now"]:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def open_(path: str, flags: int, *more: int, **named: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            refuse()
        return opened(path, flags, *more, **named)

    def write_(handle: int, data: bytes) -> int:
        refuse()
        return write(handle, data)

    def truncate(path: str, length: int) -> None:
        refuse()
        cut(path, length)

    def unlink_(path: str) -> None:
        refuse()
        unlink(path)

    for name, made in (("open", open_), ("write", write_), ("truncate", truncate), ("unlink", unlink_)):
        monkeypatch.setattr(os, name, made)
    return now


def test_a_start_on_a_read_only_disk_reads_what_waits_and_holds_what_comes(
    tmp_path: Path, read_only: dict[str, bool]
) -> None:
    before = Journal(tmp_path)
    before.append(line(1))
    before.close()
    (path,) = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes() + b'{"half')
    read_only["now"] = True
    journal = Journal(tmp_path)
    assert journal.lines() == [line(1)], "half a line is not read, though it can't be cut off yet"
    assert journal.append(line(2))
    assert journal.append(line(3))
    assert journal.finish() is None
    assert isinstance(journal.trouble, room.FileNotWritable)
    assert "mount it writable" in journal.trouble.hint
    read_only["now"] = False
    assert journal.settle()
    assert journal.trouble is None
    assert journal.held == 0
    journal.close()
    assert Journal(tmp_path).lines() == [line(1), line(2), line(3)]


def test_what_was_sent_and_can_not_be_removed_is_removed_later(tmp_path: Path, read_only: dict[str, bool]) -> None:
    journal = Journal(tmp_path)
    journal.append(line(1))
    batch = journal.finish()
    assert batch is not None
    read_only["now"] = True
    journal.drop(batch)
    assert journal.trouble is not None
    assert journal.size == 0
    read_only["now"] = False
    assert journal.settle()
    assert journal.trouble is None
    assert not batch.path.exists()


def test_a_disk_that_turns_read_only_gives_no_batch_until_it_is_writable(
    tmp_path: Path, read_only: dict[str, bool]
) -> None:
    journal = Journal(tmp_path)
    journal.append(line(1))
    read_only["now"] = True
    assert journal.finish() is None
    assert journal.trouble is not None
    assert journal.append(line(2))
    read_only["now"] = False
    batch = journal.finish()
    assert batch is not None
    assert batch.path.read_bytes() == line(1) + line(2)
    assert journal.trouble is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["append", "finish", "drop", "restart", "sync"]), max_size=60))
def test_whatever_the_order_no_line_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("queue")
    journal, appended, sent, batch = Journal(folder, segment=40), 0, [], None
    for step in steps:
        if step == "append":
            journal.append(line(appended, 10))
            appended += 1
        elif step == "finish":
            batch = journal.finish()
        elif step == "drop" and batch is not None:
            sent += batch.path.read_bytes().splitlines(keepends=True)
            journal.drop(batch)
            batch = None
        elif step == "restart":
            journal.close()
            journal, batch = Journal(folder, segment=40), None
        else:
            journal.sync()
    assert sent + journal.lines() == [line(number, 10) for number in range(appended)]
    journal.close()
