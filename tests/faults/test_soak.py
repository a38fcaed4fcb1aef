"""The soak run as people start it, for seconds in place of half an hour."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from faults.soak import Held, Usage, held


def test_one_descriptor_that_stays_open_a_round_is_found_and_packs_are_held_against_their_bound() -> None:
    at_rest = Held(7, 100_000, 20, 40, 10, 8, 3)
    usage = Usage()
    usage.rounds = [at_rest._replace(packs=40 + 20 * number) for number in range(9)]
    assert usage.wrong() == []
    usage.rounds = [at_rest._replace(files=20 + number) for number in range(9)]
    assert usage.wrong() == ["files grew from 21 to 27 in 9 rounds of one process"]
    usage.rounds = [at_rest._replace(packs=257)]
    assert usage.wrong() == ["257 files of packs were open, more than 256"]


def test_what_is_open_is_told_apart(tmp_path: Path) -> None:
    before = held(os.getpid())
    (tmp_path / "pack-1.pack").touch()
    (tmp_path / "other").touch()
    with open(tmp_path / "pack-1.pack"), open(tmp_path / "other"):
        now = held(os.getpid())
    assert (now.packs - before.packs, now.files - before.files) == (1, 1)


@pytest.mark.slow
def test_a_short_soak_run_ends_well() -> None:
    command = [sys.executable, "-m", "faults.soak", "--minutes", "0.2", "--seed", "3", "--applications", "5"]
    done = subprocess.run(command, cwd=Path(__file__).resolve().parents[1], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "live equals Git, nothing of others was touched, nothing grew"
