"""What the import contracts can't show: sizes, docstrings, clocks, the environment."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "src" / "windlass"
MODULES = sorted(SOURCE.rglob("*.py"))
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("time", "time")}


def trees(folder: Path, words: str) -> Iterator[tuple[Path, ast.Module]]:
    """The modules in whose text the pattern ``words`` is found at all: to parse them all takes seconds."""
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if re.search(words, text):
            yield path, ast.parse(text)


def called(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """(object, attribute, line) of each call of the form ``object.attribute(...)``."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            yield node.func.value.id, node.func.attr, node.lineno


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_has_a_docstring_and_at_most_500_lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.match(r'"""[^"\s]', text), "say what it does, who calls it, what it refuses to do"
    assert text.count("\n") <= 500, "cut it where a reader would"


def test_core_reads_no_clock_and_opens_no_file() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{line} {owner}.{name}"
        for path, tree in trees(SOURCE / "core", r"\.\s*(?:now|utcnow|today|time)\b")
        for owner, name, line in called(tree)
        if (owner, name) in CLOCKS
    ]
    found += [
        f"{path.relative_to(SOURCE)}:{node.lineno} open"
        for path, tree in trees(SOURCE / "core", r"\bopen\b")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
    ]
    assert found == [], "time is an argument, and core touches nothing"


def test_the_environment_is_read_only_in_settings() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path, tree in trees(SOURCE, "environ|getenv")
        if path.name != "settings.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb")
    ]
    assert found == []


def test_no_package_is_a_drawer_for_anything() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [path for path in MODULES if path.stem in drawers or path.parent.name in drawers] == []


def test_nothing_is_left_for_later() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error")
    left = [
        f"{path.relative_to(SOURCE)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if any(word in line for word in words)
    ]
    assert left == []


def test_test_files_that_are_in_no_package_are_named_apart() -> None:
    """Pytest imports them by their name alone: two of one name end the whole run."""
    tests = Path(__file__).parents[2]
    names: dict[str, list[str]] = {}
    for path in sorted(tests.rglob("test_*.py")):
        if not (path.parent / "__init__.py").exists():
            names.setdefault(path.name, []).append(str(path.relative_to(tests)))
    assert [places for places in names.values() if len(places) > 1] == []


def test_what_tests_share_is_imported_so_that_pytest_by_itself_finds_it() -> None:
    """Its own command has `tests` on the path, and not the folder above: there `tests.unit` is no package."""
    shared = re.compile(r"^\s*(?:from|import) tests\b", re.MULTILINE)
    found = [
        path for path in Path(__file__).parents[2].rglob("*.py") if shared.search(path.read_text(encoding="utf-8"))
    ]
    assert found == [], "write `from unit...`, `from real...`"
