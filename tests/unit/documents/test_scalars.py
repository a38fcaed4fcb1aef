# ruff: noqa: E501
"""The table of scalars: what Kubernetes reads, seen on kubectl (``test_kubectl``) and held here for machines without
it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from windlass.core.documents import read

TABLE: dict[str, object] = {
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], None),
    **{word: word for word in ["yEs", "oN", "tRue", "nULL", "nan", "inf", "NaN", "Infinity", "e1", "=", "_1", "_"]},
    "0": 0, "00": 0, "-0": 0, "-0.0": 0, "+1": 1, "0644": 420, "0o644": 420, "0O17": 15, "08": 8, "09.5": 9.5, "0o8": "0o8",
    "0x1F": 31, "0X1f": 31, "+0x1f": 31, "0b101": 5, "0B1": 1, "-0b11": -3, "0b-1": -1, "0b2": "0b2", "0x": "0x", "0_8": 8,
    "1_000": 1000, "1__0": 10, "1_": 1, "+_1": 1, "-_": "-_", "1,000": "1,000", "1_000.5": 1000.5,
    "1e3": 1000, "1E3": 1000, "1e+3": 1000, "1.5e-3": 0.0015, "1e": "1e", "1e999": "1e999", "-1e999": "-1e999", "1e1.5": "1e1.5",
    "1234567e8": 123456700000000, ".5": 0.5, "-.5": -0.5, "1.": 1, "3.0": 3, "1.20": 1.2, ".": ".", "..": "..", "1.5.2": "1.5.2", ".7_3": 0.73,
    "12:30:45": "12:30:45", "2001-12-14": "2001-12-14", "2001-12-14T21:59:43Z": "2001-12-14T21:59:43Z",
    "9223372036854775807": 2**63 - 1, "9223372036854775808": float(2**63), "18446744073709551616": float(2**64),
    "-9223372036854775808": -(2**63), "-9223372036854775809": -float(2**63), "0xFFFFFFFFFFFFFFFF": float(2**64),
    "+0xFFFFFFFFFFFFFFFF": "+0xFFFFFFFFFFFFFFFF", "1234567890123456789.0": 1234567890123456800, "1e20": 1e20, "1e21": 1e21,
    "'on'": "on", '"0644"': "0644", "!!str 12": "12", "!!str on": "on", "!!int '12'": 12, "!!float 1": 1, "!!bool 'y'": True, "!!null ''": None,
    "!!binary aGk=": "hi", "!!timestamp 2001-01-01": "2001-01-01", "! 12": "12", "<<": "<<",
}  # fmt: skip


def kubectls() -> list[Path]:
    """The kubectl programs of the real control plane that `make real` builds."""
    named = os.environ.get("KUBEBUILDER_ASSETS")
    folders = [Path(named)] if named else sorted(Path.home().glob(".cache/windlass-real/*/bin"))
    return [folder / "kubectl" for folder in folders if os.access(folder / "kubectl", os.X_OK)]


@pytest.mark.parametrize("text", TABLE, ids=lambda text: text or "empty")
def test_a_scalar_means_what_kubernetes_reads(text: str) -> None:
    value = read(f"v: {text}\n".encode(), "a")[0].value["v"]
    assert (value, type(value)) == (TABLE[text], type(TABLE[text]))


@pytest.mark.parametrize("text", ["1.50", "1000000.0", "100000.5", "0.00001", "yes", "0x10"])
def test_a_key_is_written_as_kubernetes_writes_it(text: str) -> None:
    expected = {
        "1.50": "1.5",
        "1000000.0": "1e+06",
        "100000.5": "100000.5",
        "0.00001": "1e-05",
        "yes": "true",
        "0x10": "16",
    }
    assert read(f"{text}: 1".encode(), "a")[0].value == {expected[text]: 1}


@pytest.mark.real
def test_kubectl_reads_the_table_alike() -> None:
    """The table is what a real kubectl prints, and so is what this room reads."""
    if not kubectls():
        pytest.skip("kubectl is not built: run `make real`")
    rows = list(TABLE)
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nrows:\n" + "".join(f"- v: {row}\n" for row in rows)
    answer = subprocess.run(
        [kubectls()[0], "label", "--local", "--dry-run=client", "-o", "json", "-f", "-", "x=y"],
        input=text.encode(), capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    # Go writes a float without a fraction as digits alone.
    seen = [
        row["v"]
        for row in json.loads(
            answer.stdout,
            parse_int=lambda digits: (
                int(digits) if abs(int(digits)) < 2**63 or int(digits) == -(2**63) else float(digits)
            ),
        )["rows"]
    ]
    mine = [row["v"] for row in read(text.encode(), "a")[0].value["rows"]]
    wrong = {row: (theirs, ours) for row, theirs, ours in zip(rows, seen, mine, strict=True) if theirs != ours}
    assert wrong == {}
