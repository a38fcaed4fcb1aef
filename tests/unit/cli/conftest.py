"""Fixtures of the command line's tests: running a command in this process, and a repository of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from desk import Done, Repo

from windlass.cli import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """``run("plan", "--path", ...)``, with its exit code and what it printed."""

    def command(*arguments: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = capsys.readouterr()
        # A command says itself what there is to say, and turns the log of its process off: this one has other tests.
        structlog.reset_defaults()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 1, out, err)

    return command


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    made = Repo(tmp_path / "config")
    monkeypatch.chdir(made.folder)
    return made
