"""What the reader takes, what it refuses, and with which words."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.core.documents import Budget, DocumentError, DuplicateKey, TooMuch, locate, read, write


def one(text: str | bytes) -> object:
    found = read(text.encode() if isinstance(text, str) else text, "a.yaml")
    assert len(found) == 1
    return found[0].value


def refused(text: str | bytes, file: str = "a.yaml", budget: Budget | None = None) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(text.encode() if isinstance(text, str) else text, file, budget or Budget())
    error = caught.value
    assert error.where.file == file
    assert error.hint
    return error


def test_documents_keep_file_line_and_index() -> None:
    found = read(b"# head\n---\n# one\nkind: A\n---\n---\nkind: B\n...\n---\n# nothing\n", "x/a.yaml")
    assert [(d.value, d.file, d.line, d.index) for d in found] == [
        ({"kind": "A"}, "x/a.yaml", 4, 0),
        ({"kind": "B"}, "x/a.yaml", 7, 2),
    ]
    assert read(b"", "a") == read(b"# only\n", "a") == read(b"---\n---\n", "a") == []


def test_merge_keys_are_honoured_where_they_stand() -> None:
    text = "a: &x {p: 1, q: 2}\nb: {q: 3, <<: *x, p: 5}\nc: {<<: [{z: 1}, {z: 2, w: 3}]}\nd: {'<<': 1}\n"
    assert one(text) == {
        "a": {"p": 1, "q": 2},
        "b": {"q": 2, "p": 5},
        "c": {"z": 1, "w": 3},
        "d": {"<<": 1},
    }
    assert refused("a: {<<: 1}").where.line == 1


def test_an_alias_is_a_value_of_its_own() -> None:
    value = one("a: &x [1, {b: 2}]\nc: *x\n")
    assert isinstance(value, dict)
    value["a"][1]["b"] = 7
    assert value["c"] == [1, {"b": 2}]


def test_keys_become_text() -> None:
    assert one("1: a\ntrue: b\n1.50: c\n0x10: d\n'on': e\n") == {
        "1": "a",
        "true": "b",
        "1.5": "c",
        "16": "d",
        "on": "e",
    }


def test_byte_order_mark_and_windows_line_ends_are_read_away() -> None:
    assert one(b"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n  y\r\n") == {"a": 1, "b": "x\ny\n"}
    assert one(b'\xef\xbb\xbf{"a": 1}\r\n') == {"a": 1}


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("a: 1\nb: 2\na: 3\n", 1, 3),
        ("k: Pod\nspec:\n  containers:\n  - name: x\n    env: []\n  - name: y\n    image: i\n    name: z\n", 6, 8),
        ("a: {b: 1,\n b: 2}", 1, 2),
        ("---\na: 1\n---\nb: 1\nc:\n  1: x\n  '1': y\n", 6, 7),
        ('{"a": 1,\n "b": {"x": 1,\n "x": 2}}', 2, 3),
        ('{"a": [{"b": 1}, {"b": 2,\n\n "b": 3}]}', 1, 3),
        ("a: &x {b: 1}\nc:\n  b: 1\n  <<: *x\n  b: 2\n", 3, 5),
    ],
)
def test_a_duplicate_key_is_told_with_both_lines(text: str, first: int, second: int) -> None:
    error = refused(text)
    assert isinstance(error, DuplicateKey)
    assert (error.first, error.where.line) == (first, second)
    assert f"lines {first} and {second}" in str(error)


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        (b"a: 1\n\nb: \0\n", 3, "NUL"),
        ("a: 1".encode("utf-16"), 1, "UTF-16"),
        (b"a: 1\nb: \x07\n", 2, "U+0007"),
        (b"a:\n\t- b\n", 2, "cannot start any token"),
        (b"a: b: c\n", 1, "mapping values"),
        (b"a: 1\nb: *nope\n", 2, "&nope"),
        (b"a: &a [*a]\n", 1, "inside what it stands for"),
        (b"a: 1\nb: .inf\n", 2, "JSON can't hold"),
        (b"a: -.INF\n", 1, "JSON can't hold"),
        (b"a: .NaN\n", 1, "JSON can't hold"),
        (b"a: !foo x\n", 1, "!foo"),
        (b"a: !!python/object:os.system x\n", 1, "!!python/object"),
        (b"a: !!set {b}\n", 1, "!!set"),
        (b"a: !!int 1.5\n", 1, "!!int"),
        (b"a: !!binary '%%'\n", 1, "base64"),
        (b"a: !!binary /w==\n", 1, "not text"),
        (b"[1]: 2\n", 1, "key"),
        (b"a: 1\n? {b: 1}\n: 2\n", 2, "key"),
        (b"a: 1\n~: 2\n", 2, "null"),
        (b'a: "\\ud800"\n', 1, "escape"),
        (b'{"a": NaN}', 1, "NaN"),
        (b'{"a":\n 1e999}', 1, "JSON can't hold"),
        (b'{"a": 1,\n"b": "\\udc00"}', 2, "surrogate"),
        (b"a: " + b"9" * 5000 + b"\n", 1, "too long"),
        (b'{"a": ' + b"9" * 5000 + b"}", 1, "too long"),
    ],
)
def test_what_json_cannot_hold_or_nobody_can_read_is_refused_with_its_line(data: bytes, line: int, words: str) -> None:
    error = refused(data)
    assert words in error.what
    assert error.where.line == line


def test_json_is_read_as_kubernetes_does() -> None:
    assert one('{"a": 1.0, "b": 1e3, "c": 18446744073709551616, "d": "\\ud83d\\ude00", "e": "on", "f": 1.5}') == {
        "a": 1, "b": 1000, "c": 18446744073709551616.0, "d": "\U0001f600", "e": "on", "f": 1.5,
    }  # fmt: skip
    assert [d.line for d in read(b'{"a": 1}\n\n{"b": 2}\n', "a.json")] == [1, 3]
    assert one("{a: 1, b: [c,]}") == {"a": 1, "b": ["c"]}
    assert refused('{"a": 1,\n "b" 2}', "a.json").what.startswith("this is not JSON")


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
)
MERGE_BOMB = "a: &a {" + ",".join(f"k{i}: v" for i in range(1000)) + "}\n" + "".join(
    f"m{i}: {{<<: [{','.join(['*a'] * 500)}]}}\n" for i in range(100)
)  # fmt: skip
LONG = "a: &a " + "x" * 100_000 + "\nb: [" + ",".join(["*a"] * 1000) + "]\n"


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        MERGE_BOMB,
        LONG,
        "[" * 3000,
        '{"a":' * 3000,
        "a:\n" + "".join(" " * i + "b:\n" for i in range(1, 3000)),
        "- " * 3000 + "x",
        "a: " + "x" * 100_000_000,
        '{"a": "' + "x" * 20_000_000 + '"}',
        "a: [" + "1," * 1_000_000 + "]",
        '{"a": [' + "1," * 1_000_000 + "1]}",
    ],
    ids=[
        "aliases",
        "merges",
        "long-alias",
        "flow",
        "json",
        "block",
        "dashes",
        "scalar",
        "json-scalar",
        "items",
        "json-items",
    ],
)
def test_bombs_are_refused_soon(text: str) -> None:
    start = time.process_time()
    assert isinstance(refused(text), TooMuch)
    assert time.process_time() - start < 20


def test_a_budget_is_the_callers() -> None:
    assert isinstance(refused("a: [1, 2, 3]", budget=Budget(nodes=3)), TooMuch)
    assert isinstance(refused("a: [[1]]", budget=Budget(depth=2)), TooMuch)
    assert read(b"a: [[1]]", "a", Budget(depth=3))[0].value == {"a": [[1]]}


def test_a_field_is_located_in_yaml_and_json() -> None:
    text = b"# c\nkind: A\n---\nkind: B\nspec:\n  list:\n  - name: x\n  - name: y\n    ports: {80: a,\n      81: b}\n"
    assert locate(text, 0, ["kind"]) == 2
    assert locate(text, 1, []) == 4
    assert locate(text, 1, ["spec", "list", 1, "name"]) == 8
    assert locate(text, 1, ["spec", "list", 1, "ports", "81"]) == 10
    assert locate(text, 1, ["spec", "list", 7, "name"]) == 6
    assert locate(text, 9, ["kind"]) == 0
    json = b'{"a": "\\ud83d\\ude00",\n\t"b": [1,\n {"c": 2}]}\n{"d": 1}'
    assert locate(json, 0, ["b", 1, "c"]) == 3
    assert locate(json, 1, ["d"]) == 4
    assert locate(b"a: [", 0, ["a"]) == 1


YAMLISH = st.text(alphabet="abyn019.:-_ \n\t[]{}&*!|>'\"#?,~<%@`xeE+\r\u2028\x85\x7f\ufeff\U0001f600", max_size=80)


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        YAMLISH.map(lambda text: text.encode()), st.binary(max_size=60), YAMLISH.map(lambda text: b'{"' + text.encode())
    )
)
def test_nothing_but_a_document_error_comes_out(data: bytes) -> None:
    found, error = [], None
    try:
        found = read(data, "a.yaml")
    except DocumentError as raised:
        error = raised
    assert error is None or (error.where.file == "a.yaml" and error.where.line >= 1)
    for document in found:
        assert 1 <= document.line <= data.count(b"\n") + data.count(b"\r") + 10
        assert locate(data, document.index, []) >= 0


FRAGMENTS = st.sampled_from(
    [
        "a: ",
        "&x ",
        "*x",
        "- ",
        "\n",
        "  ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "<<: ",
        "!!int ",
        "!!binary ",
        "| ",
        ">-\n",
        "'",
        '"',
        "\\u00",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "#c",
        "? ",
        ": ",
        "1e3",
        "0x",
        "~",
        "\t",
        "\r",
        "\ufeff",
        "é",
        '{"a":',
        '"\\ud800"',
        "NaN",
        "-.inf",
        "9" * 30,
        "&",
        "!",
        "!<tag:x> ",
        "@",
        "`",
        "=",
        "!!timestamp ",
        "2001-01-01",
        "1.5: ",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(FRAGMENTS, max_size=40).map("".join))
def test_pieces_of_yaml_in_any_order_are_read_or_refused_and_survive_being_written(text: str) -> None:
    try:
        values = [document.value for document in read(text.encode(), "a.yaml")]
    except DocumentError:
        return
    assert [document.value for document in read(write(values).encode(), "b.yaml")] == values
