"""JSON values printed as the original prints them, and what its own reading again makes of texts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.core.documents import read
from windlass.core.kustomize import KustomizeError
from windlass.core.kustomize.printing import final_value, sorted_keys, to_yaml
from windlass.core.kustomize.rewriting import block_again

_LETTERS = st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\ufeff") | st.sampled_from("\n\t")
_TEXTS = st.text(_LETTERS, max_size=120) | st.text("ab: #-'\"\n yno019.", max_size=120)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_TEXTS, _VALUES, min_size=1, max_size=5))
def test_what_is_printed_is_read_back_as_it_was(value: dict[str, Any]) -> None:
    (document,) = read(to_yaml(value).encode(), "printed.yaml")
    assert document.value == value


def test_lines_fold_at_a_space_after_eighty_characters_and_not_before() -> None:
    assert to_yaml({"a": "word " * 18 + "end", "b": "x" * 100}) == (
        f"a: {'word ' * 15}word\n  word word end\nb: {'x' * 100}\n"
    )


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("yes", '"yes"'),
        ("1e3", '"1e3"'),
        ("0o7", '"0o7"'),
        ("12:30:45", '"12:30:45"'),
        ("2020-01-01", '"2020-01-01"'),
        ("a: b", "'a: b'"),
        ("- a", "'- a'"),
        ("<<", "<<"),
        ("a\tb", '"a\\tb"'),
        ("\U0001f600", '"\\U0001F600"'),
        ("a\nb\n", "|\n  a\n  b"),
        ("a\n\n", "|+\n  a\n"),
        (" a\nb", "|2-\n   a\n  b"),
        ("a \nb", '"a \\nb"'),
        (1000000, "1000000"),
        (123456789.5, "1.234567895e+08"),
        (1e21, "1e+21"),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_a_value_is_printed_as_the_original_prints_it(value: Any, printed: str) -> None:
    assert to_yaml({"k": value}) == f"k: {printed}\n"


def test_keys_come_by_their_numbers_and_letters_after_other_characters() -> None:
    assert sorted_keys(["a10", "a2", "b", "a_1", "A", "a/b", "1"]) == ["1", "A", "a/b", "a_1", "a2", "a10", "b"]


def test_a_folded_block_gains_breaks_before_indented_lines_as_the_original_makes_them() -> None:
    assert block_again("a\n b", folded=True) == "a\n\n b"
    assert block_again("a\nb", folded=True) == "a\nb"
    assert block_again("a\n b", folded=False) == "a\n b"


def test_a_block_that_begins_with_a_tab_is_refused_as_the_original_refuses_it() -> None:
    with pytest.raises(KustomizeError, match="tab"):
        block_again("\ta\nb", folded=False)


def test_a_next_line_character_folds_and_other_control_characters_are_refused() -> None:
    assert final_value({"a": ["x \x85 y", "x\x85\x85y"]}) == {"a": ["x y", "x\ny"]}
    with pytest.raises(KustomizeError, match="control character"):
        final_value(["a\x7fb"])
