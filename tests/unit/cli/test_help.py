"""``--help`` is quick and true: it imports nothing that does I/O, and the page in ``docs`` is made from it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from windlass.cli import COMMANDS

ROOT = Path(__file__).parents[3]
HEAVY = ("aiohttp", "pygit2", "yaml", "uvicorn", "rich", "uvloop", "structlog", "msgspec", "cel_expr_python", "asyncio")


def imported_by(*arguments: str) -> tuple[set[str], str]:
    """The modules that a command imports, and what it prints."""
    program = (
        "import sys\n"
        "from windlass.cli import main\n"
        "try:\n"
        f"    main({list(arguments)!r})\n"
        "except SystemExit as end:\n"
        "    print('exit', end.code, file=sys.stderr)\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    code, *modules = done.stderr.splitlines()
    assert code == "exit 0", done.stderr
    return set(modules[-1].split()), done.stdout


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_imports_no_io_library(command: str) -> None:
    modules, text = imported_by(*([command] if command else []), "--help")
    assert "Usage: windlass" in text
    assert modules.isdisjoint(HEAVY), f"imported: {sorted(modules & set(HEAVY))}"


def test_help_lists_every_command_with_what_it_does() -> None:
    _, text = imported_by("--help")
    for name, words in COMMANDS.items():
        assert f"  {name}" in text
        assert words.split()[0] in text
    assert "64 wrong usage" in text


def test_the_page_of_commands_is_made_from_the_commands() -> None:
    spec = importlib.util.spec_from_file_location("make_cli_docs", ROOT / "tools" / "make_cli_docs.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run: python tools/make_cli_docs.py"
