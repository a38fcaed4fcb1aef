"""Edits in place: the target changes, and not a byte beside it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from windlass.core.documents import Append, EditRefused, Remove, Set, read, splice, write

CASES = Path(__file__).parent / "splices"
AT = ("spec", "source", "at")
COMMIT = "3f2c1ab0c7d64ab2a1f0a4b5c6d7e8f901234567"


def values(data: bytes) -> list[Any]:
    return [one.value for one in read(data, "f.yaml")]


@pytest.mark.parametrize("before", sorted((CASES / "before").iterdir()), ids=lambda path: path.name)
def test_a_pin_set_and_taken_out_again_is_as_the_file_beside_it_says(before: Path) -> None:
    data = before.read_bytes()
    pinned = splice(data, before.name, 0, [Set(AT, COMMIT)])
    assert pinned == (CASES / "pinned" / before.name).read_bytes()
    gone = splice(pinned, before.name, 0, [Remove(AT)])
    assert values(gone)[0]["spec"]["source"].get("at") is None
    if "at" not in values(data)[0]["spec"]["source"]:
        assert gone == data


@pytest.mark.parametrize(
    "text", ["y", "1e3", "1234567e8", "on", "0644", "null", "", "a: b", "- x", "#x", "'", '"', "é"]
)
@pytest.mark.parametrize("place", ["a: old", "a: 'old'", 'a: "old"', "a: |\n  old", "{a: old}", '{"a": "old"}', "a:"])
def test_text_is_read_back_as_it_was_meant_wherever_it_is_put(text: str, place: str) -> None:
    for end in ("", "\n", "\n# end\n"):
        data = (place + ("" if place.startswith('{"') else end)).encode()
        assert values(splice(data, "f", 0, [Set(("a",), text)])) == [{"a": text}]


def test_a_whole_document_is_no_field() -> None:
    for change in (Set((), 1), Append((), 1), Remove(())):
        with pytest.raises(EditRefused, match="no field is named"):
            splice(b"- a\n", "f", 0, [change])


def test_a_quoted_value_stays_quoted_in_its_own_way() -> None:
    assert splice(b"a: 'x' # why\nb: 1\n", "f", 0, [Set(("a",), "it's")]) == b"a: 'it''s' # why\nb: 1\n"
    assert splice(b'a: "x"\n', "f", 0, [Set(("a",), "y")]) == b'a: "y"\n'
    assert splice(b"a: |  # why\n  x\n  y\nb: 1\n", "f", 0, [Set(("a",), "z")]) == b"a: z # why\nb: 1\n"


def test_what_is_already_so_changes_no_byte() -> None:
    data = b"a:   'x'\r\n"
    assert splice(data, "f", 0, [Set(("a",), "x"), Remove(("b",)), Remove(("c", "d"))]) == data


def test_an_alias_is_written_out_where_it_is_the_target_and_refused_where_it_is_on_the_way() -> None:
    data = b"base: &b {x: 1}\na: *b\nc: *b\n"
    assert splice(data, "f", 0, [Set(("a",), 2)]) == b"base: &b {x: 1}\na: 2\nc: *b\n"
    with pytest.raises(EditRefused, match="alias"):
        splice(data, "f", 0, [Set(("a", "x"), 2)])


def test_what_an_alias_stands_for_is_not_changed_under_its_users() -> None:
    with pytest.raises(EditRefused) as told:
        splice(b"one: 1\na: &b x\nc: *b\n", "f.yaml", 0, [Set(("a",), "y")])
    assert (told.value.where.file, told.value.where.line) == ("f.yaml", 2)
    with pytest.raises(EditRefused):
        splice(b"a: &b {x: 1}\nc: *b\n", "f", 0, [Remove(("a",))])


def test_a_merged_key_is_overridden_in_its_own_place() -> None:
    data = b"base: &b\n  x: 1\na:\n  <<: *b\n  z: 3\n"
    made = splice(data, "f", 0, [Set(("a", "x"), 2)])
    assert made == data + b"  x: 2\n"


def test_a_block_that_keeps_its_blank_lines_keeps_them() -> None:
    for text in (b"a:\n  b: |+\n    x\n\n\n", b"a:\n  b: |+\n    x\n\n\nz: 1\n", b"a:\n  b: |\n    x"):
        made = splice(text, "f", 0, [Set(("a", "c"), 1)])
        assert values(made)[0]["a"] == {**values(text)[0]["a"], "c": 1}


def test_other_documents_and_lists_are_left_alone() -> None:
    data = b"a: 1\n---\n# nothing\n---\nitems:\n- a: 1\n- a: 2 # two\n  b: 3\n"
    made = splice(data, "f", 2, [Set(("items", 1, "a"), "1e3"), Append(("items",), {"a": 4, "l": [1, {"x": "y"}]})])
    assert made == data.replace(b"2 # two", b'"1e3" # two') + b'- a: 4\n  l:\n  - 1\n  - x: "y"\n'
    assert splice(made, "f", 2, [Remove(("items", 2)), Remove(("items", 0))]) == (
        b'a: 1\n---\n# nothing\n---\nitems:\n- a: "1e3" # two\n  b: 3\n'
    )


def test_the_last_item_and_the_last_key_leave_an_empty_list_or_mapping() -> None:
    assert splice(b"a:\n  - x\nb: 1\n", "f", 0, [Remove(("a", 0))]) == b"a: []\nb: 1\n"
    assert splice(b"a:\n  x: 1 # c\nb: 1\n", "f", 0, [Remove(("a", "x"))]) == b"a: {} # c\nb: 1\n"
    assert values(splice(b"- a: 1\n- b\n", "f", 0, [Remove((0, "a"))])) == [[{}, "b"]]


def test_the_first_key_of_an_item_can_go() -> None:
    assert splice(b"- a: 1 # one\n  # two\n  b: 2\n", "f", 0, [Remove((0, "a"))]) == b"-  # one\n  # two\n  b: 2\n"
    assert splice(b"- a: 1\n  b: 2\n", "f", 0, [Remove((0, "a"))]) == b"- b: 2\n"


@pytest.mark.parametrize(
    "data", [b"{a: 1, b: 2, c: 3,}\n", b"{\n  a: 1,\n  b: 2, # two\n  c: 3\n}\n", b'{"a":1,"b":2,"c":3}']
)
@pytest.mark.parametrize("key", ["a", "b", "c"])
def test_flow_style_loses_one_comma_with_its_key(data: bytes, key: str) -> None:
    left = {name: number for name, number in {"a": 1, "b": 2, "c": 3}.items() if name != key}
    assert values(splice(data, "f", 0, [Remove((key,))])) == [left]
    assert values(splice(data, "f", 0, [Append(("l",), "x,y")]))[0]["l"] == ["x,y"]


leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text(max_size=12).filter(lambda text: text.isprintable())
)
names = st.sampled_from(["a", "b", "name", "spec", "y", "1e3", "x y", "<<", "#"])
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=20
)


def styled(value: Any, style: str) -> bytes:
    if style == "ours":
        return write([value]).encode()
    if style == "json":
        return json.dumps(value, indent=2).encode()
    if style == "tight":
        return json.dumps(value, separators=(",", ":")).encode()
    text = yaml.safe_dump(value, default_flow_style={"block": False, "mixed": None, "flow": True}[style], width=1000)
    return text.replace("\n", "\r\n").encode() if style == "block" else text.encode()


def paths(value: Any, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for step, each in pairs for path in [(*above, step), *paths(each, (*above, step))]]


@settings(max_examples=250, deadline=None)
@given(
    st.dictionaries(names, trees, min_size=1, max_size=4),
    st.sampled_from(["ours", "json", "tight", "block", "mixed", "flow"]),
    st.data(),
)
def test_an_edit_changes_its_target_and_no_byte_beside_one_place(tree: Any, style: str, data: st.DataObject) -> None:
    text = styled(tree, style)
    try:
        assume(values(text) == [tree])
    except Exception:
        assume(False)
    path = data.draw(st.sampled_from(paths(tree)))
    kind = data.draw(st.sampled_from(["set", "remove", "insert", "append"]))
    expected = copy.deepcopy(tree)
    at: Any = expected
    for step in path[:-1]:
        at = at[step]
    change: Any = Remove(path)
    if kind == "remove":
        del at[path[-1]]
    else:
        new = data.draw(trees)
        change = Set(path, new)
        if kind == "insert" and isinstance(at[path[-1]], dict):
            change = Set((*path, "new"), new)
            at[path[-1]]["new"] = new
        elif kind == "append" and isinstance(at[path[-1]], list):
            change = Append(path, new)
            at[path[-1]].append(new)
        else:
            at[path[-1]] = new
    made = splice(text, "f.json" if style in ("json", "tight") else "f.yaml", 0, [change])
    assert values(made) == [expected] or (not expected and values(made) == [{}])
    begin = next((i for i, (a, b) in enumerate(zip(text, made, strict=False)) if a != b), min(len(text), len(made)))
    if kind in ("insert", "append"):
        tail = len(text) - begin
        assert style in ("block",) or tail >= 0
    assert splice(made, "f.yaml", 0, [change] if not isinstance(change, Append) and kind != "remove" else []) == made
