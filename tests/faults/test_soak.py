"""The soak run as people start it, for seconds in place of half an hour."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_short_soak_run_ends_well() -> None:
    command = [sys.executable, "-m", "faults.soak", "--minutes", "0.2", "--seed", "3", "--applications", "5"]
    done = subprocess.run(command, cwd=Path(__file__).resolve().parents[1], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "live equals Git, nothing of others was touched, nothing grew"
