"""The person's own `helm`: what it is handed, what of it is on a disk, and what is made of what it prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from windlass.adapters.render.helm_child import ChartAnswer, ChartJob, ValuesText
from windlass.adapters.render.helm_engine import HelmStopped
from windlass.adapters.render.helm_program import HelmProgram

VALUES = [ValuesText("values.yaml", "password: hunter2\n", secret=True), ValuesText("more.yaml", "a: 1\n")]


def answered(folder: Path, script: str, values: Sequence[ValuesText] = VALUES) -> ChartAnswer:
    program = folder / "helm"
    program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    program.chmod(0o755)
    job = ChartJob("key", b"", list(values), "shop", "prod", "v1.36.0", [], 30)
    return HelmProgram(str(program)).render(job, lambda: b"an archive")


HEAD = "printf -- '---\\n# Source: c/templates/a.yaml\\n'"


def test_values_and_what_is_printed_are_on_no_disk(tmp_path: Path) -> None:
    given = 'while [ "$1" != --values ]; do shift; done; cat "$2" "$4"'
    answer = answered(tmp_path, f"{HEAD}\n{given}\ngrep -rl hunter2 $HOME\necho end")
    assert answer.files == {"c/templates/a.yaml": "password: hunter2\na: 1\nend"}


def test_values_that_are_wrong_are_told_by_their_name(tmp_path: Path) -> None:
    wrong = 'for last; do :; done; echo "Error: failed to parse $last: no YAML" >&2; exit 1'
    assert answered(tmp_path, wrong).error == "the values are no YAML, or no map", "one of them is a secret"
    answer = answered(tmp_path, wrong, VALUES[1:])
    assert (answer.step, answer.error) == ("values", "failed to parse more.yaml: no YAML")


def test_output_that_was_cut_at_its_bound_is_no_render(tmp_path: Path) -> None:
    """Helm does not look whether what it prints is taken, and ends well: all that was cut off would be deleted."""
    with pytest.raises(HelmStopped, match="64 MB of output"):
        answered(tmp_path, f"{HEAD}\nhead -c 70000000 /dev/zero\nexit 0")
