"""What is evaluated is what go-jsonnet makes of the same code, but for a few differences that are written down."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from real.programs import find
from windlass.adapters.render import render_folder
from windlass.cli.trees import Place, request_of

EXPRESSIONS = Path(__file__).with_name("jsonnet_expressions.txt").read_text().splitlines()

DIFFERENT = {
    "[1, 2, 3, 4][-2:]": "negative indexes of slices",
    "'a' + 0.1": "fractions and large numbers as text",
    "std.toString(1e100)": "fractions and large numbers as text",
    "std.parseYaml('a: yes')": "words and numbers of YAML 1.1 in std.parseYaml",
    "std.parseYaml('a: 1_000')": "words and numbers of YAML 1.1 in std.parseYaml",
    "std.decodeUTF8([255])": "bytes that are no UTF-8",
    "std.manifestTomlEx({a: {b: {c: 1}}}, '  ')": "blank lines of std.manifestTomlEx",
    "std.mantissa(10)": "the last digit of std.mantissa",
    r"'\/'": r"the escape `\/`",
    "1_000": "digits in groups",
    "|||-\n  text\n|||": "text blocks without their last line end (`|||-`)",
    "01": "a zero in front",
}
"""What docs/render/jsonnet.md says is not the same."""

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(find("jsonnet") is None, reason="jsonnet is not built (`make real` does)"),
]


def theirs(code: str) -> tuple[bool, Any]:
    done = subprocess.run([str(find("jsonnet")), "-e", "--", code], capture_output=True, text=True, timeout=30)
    return done.returncode == 0, json.loads(done.stdout) if done.returncode == 0 else None


def ours(folder: Path, code: str) -> tuple[bool, Any]:
    """Whether it is accepted, and its value."""
    head = "{apiVersion: 'a.example/v1', kind: 'Thing', metadata: {name: 'it'}, spec: {it: (made)}}"
    (folder / "it.jsonnet").write_text(f"local made =\n{code}\n; {head}\n")
    rendered = render_folder(request_of(Place(str(folder), "")))
    if rendered.problems:
        return False, None
    return True, msgspec.json.decode(rendered.objects[0].body)["spec"].get("it")


def test_expressions_come_to_what_go_jsonnet_makes_of_them(tmp_path: Path) -> None:
    different = {}
    for code in EXPRESSIONS:
        mine, real = ours(tmp_path, code), theirs(code)
        if mine != real:
            different[code] = mine, real
    assert different == {}
    assert len(EXPRESSIONS) > 300


@pytest.mark.parametrize("code", DIFFERENT)
def test_what_is_not_the_same_is_written_down(code: str, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/render/jsonnet.md").read_text()
    assert ours(tmp_path, code) != theirs(code)
    assert DIFFERENT[code] in " ".join(page.split())


def test_deep_tail_calls_end_in_words_or_a_value(tmp_path: Path) -> None:
    code = "local f(n, a) = if n == 0 then a else f(n - 1, a + 1) tailstrict; f(10000, 0)"
    accepted, value = ours(tmp_path, code)
    assert not accepted or value == 10000
