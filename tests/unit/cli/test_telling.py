"""Errors as people meet them, colours that take nothing away, data that is safe to look at."""

from __future__ import annotations

import io
import json
import re

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.cli import telling
from windlass.cli.running import run_person
from windlass.errors import NeedsHuman, TryLater, Where
from windlass.ports import ClusterUnavailable, NotAllowed


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = telling.tell_error(error)
    return code, capsys.readouterr().err


def test_an_error_says_what_where_what_follows_and_the_mend(capsys: pytest.CaptureFixture[str]) -> None:
    error = NeedsHuman(
        'replicas must be an integer, not "three"',
        where=Where("apps/shop/web.yaml", 14, "3f2c1abd", "config", "shop"),
        hint="replicas: 3",
        then="nothing was applied; 8e1f0c2 keeps running",
    )
    assert told(error, capsys) == (
        1,
        'error: replicas must be an integer, not "three"\n'
        "   at  apps/shop/web.yaml:14, commit 3f2c1ab of repository config, Application shop\n"
        "  then nothing was applied; 8e1f0c2 keeps running\n"
        "  mend replicas: 3            more: docs/errors.md#needs-human\n",
    )


def test_what_is_refused_has_an_exit_code_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(NotAllowed("not allowed to patch Application/shop"), capsys)[0] == 3
    assert told(telling.RefusedHere("this version does not do it"), capsys)[0] == 3
    assert told(TryLater("gone for a moment"), capsys)[0] == 1


def test_errors_come_out_of_their_groups_and_each_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    inner = ExceptionGroup("tasks", [NotAllowed("no right"), NotAllowed("no right")])
    code, text = told(ExceptionGroup("tasks", [inner, ClusterUnavailable("no answer")]), capsys)
    assert code == 1, "one of them is no refusal"
    assert text.count("error: no right") == 1
    assert text.count("error: no answer") == 1
    assert "--context names another" in text


def test_what_nobody_expected_is_told_as_a_bug_with_its_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WINDLASS_TRACEBACK", raising=False)
    try:
        telling.emit({"a": object()}, "json")
    except TypeError as error:
        code, text = told(error, capsys)
    assert code == 1
    assert text.startswith("error: a bug in windlass: TypeError: Object of type object is not JSON serializable\n")
    assert re.search(r"^   at  windlass/cli/telling\.py:\d+, in emit$", text, re.MULTILINE)
    assert "WINDLASS_TRACEBACK=1" in text


def test_a_command_raises_its_one_error_as_it_is() -> None:
    async def fails() -> int:
        raise NotAllowed("no right")

    with pytest.raises(NotAllowed, match="no right"):
        run_person(fails)


def test_wrong_usage_out_of_a_group_is_still_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = told(ExceptionGroup("tasks", [click.UsageError("what?")]), capsys)
    assert (code, text) == (2, "Error: what?\n")


TEXT = """\
shop   Synced 3f2c1ab   Degraded for 2m
  Deployment/web   Degraded   2 of 3 ready
+ ConfigMap/a
- Service/old   prune
~ Deployment/web
    spec.replicas   3 -> 7
! Service/x   refused
next  windlass diff shop
"""


def test_colours_are_for_terminals_and_take_no_letter_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal, file = Terminal(), io.StringIO()
    telling.say(TEXT, terminal)
    telling.say(TEXT, file)
    assert file.getvalue() == TEXT
    assert "\x1b[31mDegraded\x1b[0m" in terminal.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()) == TEXT


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colour_gets_none(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    terminal = Terminal()
    telling.say(TEXT, terminal)
    assert terminal.getvalue() == TEXT


@given(st.text(alphabet=st.characters(exclude_characters="\x1b")))
def test_colours_can_be_taken_off_any_text(text: str) -> None:
    assert re.sub(r"\x1b\[[0-9;]*m", "", telling.dress(text)) == text


def test_data_holds_no_character_that_a_terminal_acts_on(capsys: pytest.CaptureFixture[str]) -> None:
    data = {"message": "a\x1b[31mb\x9b2Jc\u202ed\u00e4"}
    for output in ("json", "yaml"):
        telling.emit(data, output)
        text = capsys.readouterr().out
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text), output
        if output == "json":
            assert "\u202e" not in text
            assert json.loads(text) == data
