"""What a controller says of its decisions: a line each, whole, whoever else writes to the same file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SAYS = """
import sys, structlog
from windlass.cli.running import logs
logs(sys.argv[1])
for number in range(int(sys.argv[3])):
    structlog.get_logger().info("planned", who=sys.argv[2], text="x" * 500, number=number)
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_lines_of_two_processes_in_one_file_do_not_mix(tmp_path: Path, form: str) -> None:
    log = tmp_path / "log"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}  # as images often set it: each write is one of the system
    with log.open("ab") as out:
        commands = [[sys.executable, "-c", SAYS, form, who, "400"] for who in ("one", "two")]
        both = [subprocess.Popen(command, stderr=out, env=environment) for command in commands]
        assert [child.wait(60) for child in both] == [0, 0]
    lines = log.read_text().splitlines()
    assert len(lines) == 800
    assert all(line.count("planned") == 1 for line in lines)
    if form == "json":
        told = [json.loads(line) for line in lines]
        assert [one["number"] for one in told if one["who"] == "two"] == list(range(400))
