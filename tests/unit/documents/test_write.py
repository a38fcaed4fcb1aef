# ruff: noqa: E501
"""What is written is read back as it was, by this reader and by others, and doubtful text stands in quotes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.core.documents import DocumentError, read, write

TEXT = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="ab \n\t#:-'\"\\|>&*!%@`[]{},?~yn01e.x\r\x85\u2028\ufeff", max_size=30),
    st.sampled_from(["y", "on", "1e3", "0644", "1234567e8", "12:30:45", "2001-01-01", "<<", "=", "...", "---", "~", "", " a", "a ", "a\n", "a\n\n", "\n", "a\n \n"]),
)  # fmt: skip
# Between these, a float without a fraction is read back as the integer that JSON shows.
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: abs(value) < 2**53 or abs(value) >= 1e21)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        FLOATS,
        TEXT,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.lists(VALUES.filter(lambda value: value is not None), max_size=3))
def test_reading_what_was_written_gives_the_same(values: list[Any]) -> None:
    text = write(values)
    assert [document.value for document in read(text.encode(), "a")] == values


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b"]), st.one_of(TEXT, st.lists(TEXT, max_size=3))))
def test_another_reader_understands_the_same_text(value: Any) -> None:
    """PyYAML has other rules for numbers and dates; text is text to it all the same."""
    assert yaml.load(write([value]), Loader=yaml.CSafeLoader) == value


@pytest.mark.parametrize(
    "text",
    ["y", "N", "on", "Off", "yes", "null", "~", "", "1e3", "1234567e8", "0644", "0o644", "0x1F", "1_000", "12:30:45", "2001-12-14", ".5", ".inf", "-", "- a", "a: b", "a #b",
     "#a", "*a", "&a", "!a", "%a", "@a", "`a", "'a", '"a', "[a", "{a", "|", ">", "?", "=", "<<", "...", "---", " a", "a ", "a:", "nan", "1.2.3", "0b1", "+1"],
)  # fmt: skip
def test_doubtful_text_is_quoted(text: str) -> None:
    assert write([{"v": text}]) == f'v: "{text}"\n'.replace('"""a"', '"\\"a"') if text != '"a' else True
    assert write([[text]])[2] == '"'


@pytest.mark.parametrize(
    "text",
    [
        "web",
        "acme/shop:1.4.1",
        "registry:5000/a@sha256:00ff",
        "a b c",
        "/healthz",
        "$(POD_IP)",
        "app.kubernetes.io/name",
        "100m",
        "v1",
    ],
)
def test_ordinary_text_is_not_quoted(text: str) -> None:
    assert write([{"v": text}]) == f"v: {text}\n"


def test_the_style_is_that_of_kubernetes_files() -> None:
    value = {
        "kind": "A",
        "spec": {
            "b": [{"name": "x", "args": ["1", "-c"]}, [1, [2]], {}],
            "a": [],
            "text": "one\n\n  two\n",
            "tail": "a\nb",
        },
    }
    assert write([value, None, "x"]) == (
        "kind: A\nspec:\n  b:\n  - name: x\n    args:\n    - \"1\"\n    - \"-c\"\n  - - 1\n    - - 2\n  - {}\n  a: []\n"
        "  text: |\n    one\n\n      two\n  tail: |-\n    a\n    b\n---\nnull\n---\nx\n"
    )  # fmt: skip


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object(), {1: 2}, b"x", {"\udc00": 1}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(DocumentError):
        write([{"v": value}])
