"""Why somebody did something stands in a file, in a commit and on terminals: a sentence that all of them take."""

from __future__ import annotations

import click
import pytest

from windlass.cli.options import Words, reason_option


@click.command()
@reason_option(required=True)
def told(reason: str) -> str:
    return reason


def test_a_reason_of_several_lines_becomes_one() -> None:
    """A manifest takes words on one line: as it was typed, the commit was made and the exception refused."""
    assert told.main(["--reason", " two\n\tlines  of it "], standalone_mode=False) == "two lines of it"


@pytest.mark.parametrize("reason", ["", "  ", "\n", "red \x1b[31m", "\u202eback", "x" * 1001])
def test_a_reason_that_says_nothing_or_is_no_sentence_is_refused(reason: str) -> None:
    with pytest.raises(click.BadParameter):
        told.main(["--reason", reason], standalone_mode=False)


def test_no_reason_is_none_where_none_is_needed() -> None:
    assert Words().convert("", None, None) == ""
