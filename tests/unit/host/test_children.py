"""Child processes stay inside their limits and die as a whole."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from windlass.adapters.host.children import ChildOutput, ChildTimeout, Limits, ProgramMissing, find_program, run_child

SH = find_program("sh")
PATH = {"PATH": "/usr/bin:/bin"}


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_a_child_has_its_input_its_output_its_code_and_nothing_of_our_environment() -> None:
    done = await run_child([SH, "-c", "cat; env; echo no >&2; exit 3"], env=PATH, stdin=b"hello\n")
    assert (done.code, done.stderr) == (3, b"no\n")
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "hello"
    assert {line.split("=")[0] for line in lines[1:]} <= {"PATH", "PWD", "SHLVL", "_", "OLDPWD"}


async def test_at_the_deadline_the_whole_group_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    start = time.monotonic()
    with pytest.raises(ChildTimeout, match=r"longer than 0\.5 s"):
        await run_child([SH, "-c", f"sleep 60 & echo $! > {note}; wait"], env=PATH, limits=Limits(timeout=0.5))
    assert time.monotonic() - start < 5
    await asyncio.sleep(0.1)
    assert not alive(int(note.read_text()))


async def test_a_cancelled_caller_leaves_no_child(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    task = asyncio.ensure_future(run_child([SH, "-c", f"echo $$ > {note}; sleep 60"], env=PATH))
    while not note.exists() or not note.read_text().strip():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(int(note.read_text()))


async def test_a_caller_that_is_cancelled_during_the_start_leaves_no_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, original = tmp_path / "pid", asyncio.create_subprocess_exec

    async def slow(*arguments: Any, **options: Any) -> Any:
        made = await original(*arguments, **options)
        while not note.exists() or not note.read_text().strip():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0.05)
        return made

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slow)
    task = asyncio.ensure_future(run_child([SH, "-c", f"echo $$ > {note}; sleep 60"], env=PATH))
    async with asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not alive(int(note.read_text()))


async def test_a_grandchild_that_keeps_the_pipes_is_killed_at_the_deadline(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(ChildTimeout):
        await run_child([SH, "-c", f"sleep 60 & echo $! > {note}"], env=PATH, limits=Limits(timeout=0.5))
    await asyncio.sleep(0.1)
    assert not alive(int(note.read_text()))


async def test_too_much_output_ends_the_child() -> None:
    with pytest.raises(ChildOutput, match="more than 1000 bytes"):
        await run_child(
            [SH, "-c", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"], env=PATH, limits=Limits(output=1000)
        )


async def test_limits_of_memory_and_file_size_hold(tmp_path: Path) -> None:
    script = "import sys; sys.stdin.read(); x = bytearray(600_000_000); print(len(x))"
    limits = Limits(memory=400_000_000)
    done = await run_child([find_program("python3"), "-c", script], env=PATH, limits=limits)
    assert done.code != 0
    assert b"MemoryError" in done.stderr
    big = tmp_path / "big"
    done = await run_child(
        [SH, "-c", f"read x; head -c 100000 /dev/zero > {big}"], env=PATH, stdin=b"\n", limits=Limits(file_size=4096)
    )
    assert done.code != 0
    assert big.stat().st_size <= 4096


async def test_input_that_nobody_reads_is_no_error() -> None:
    assert (await run_child([SH, "-c", "exit 0"], env=PATH, stdin=b"x" * 1_000_000)).code == 0


async def test_a_missing_program_is_told_by_name() -> None:
    with pytest.raises(ProgramMissing, match="no-such-program"):
        find_program("no-such-program")
    with pytest.raises(ProgramMissing, match="no-such-program"):
        await run_child(["/nowhere/no-such-program", "secret"], env={})


async def test_children_do_not_hold_our_files_open(tmp_path: Path) -> None:
    with (tmp_path / "held").open("w") as held:
        os.set_inheritable(held.fileno(), False)
        done = await run_child([SH, "-c", "ls -l /proc/self/fd"], env=PATH)
    assert b"held" not in done.stdout
