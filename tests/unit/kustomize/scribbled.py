"""Draws YAML as people write it by hand: every style of scalars and collections, comments, anchors, odd indents.

Used by `test_drawn.py`. What it writes is mostly YAML; where it is not, both programs have to refuse it.
"""

from __future__ import annotations

import json

from hypothesis import strategies as st

SCALARS = [
    "a", "one two", "yes", "No", "on", "OFF", "y", "n", "true", "True", "FALSE", "null", "Null", "~", "", "0",
    "-0", "1", "+1", "-1", "007", "0o17", "0x1F", "0X1f", "0b101", "1_000", "1__0", "1e3", "1E+3", "1.", ".5",
    "-.5", "1.50", "1e400", "1.e3", "1_0.5", "0.1e-9", "9223372036854775807", "9223372036854775808",
    "-9223372036854775809", "18446744073709551616", "123456789012345678901234567890", ".inf", "-.INF", "+.Inf",
    ".nan", ".NaN", "1:30", "12:30:45.5", "2001-01-01", "2001-1-1", "2001-12-14T21:59:43Z",
    "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43.10 -5", "2001-12-14 21:59:43", "<<", "=", "!a", "a:b",
    "a#b", "a'b", "http://a.b/c?d=e&f", "- a", "a: b", "?a", "&a b", "*b", "%a", "@a", "{a}", "[a, b]", "a,b",
    "-", "--", "---a", "...", "é", "日本", "😀", "a\u00a0b",
]  # fmt: skip
LINES = [
    "one",
    "two words",
    "  indented",
    "",
    "# no comment",
    "- dash",
    "a: b",
    "\ttab",
    "trail ",
    "é",
    "'q'",
    "\\n",
    "---",
    "{x}",
]
INLINE = ["a", "b c", "é", "\\", '"', "'", "#", ": ", "{", "\u2028", "\u0085", "\ufeff", "😀", "x" * 90, "\t"]

ESCAPED = [*INLINE, "\n", "\r\n", "\x07", "\x7f"]
TAGGED = ["!!str 1", "!!str yes", '!!int "7"', "!!float 1", "!!null ''", '"a\\tb\\x41\\u00e9"', "! a", "!own b"]


@st.composite
def scalar(draw: st.DrawFn, indent: int, flow: bool) -> str:
    """One scalar, in one of the styles."""
    match draw(st.integers(0, 9 if not flow else 5)):
        case 0 | 1 | 2:
            word = draw(st.sampled_from(SCALARS))
            return json.dumps(word, ensure_ascii=draw(st.booleans())) if flow and set(word) & set(",[]{}") else word
        case 3:
            return json.dumps(
                "".join(draw(st.lists(st.sampled_from([*INLINE, "\n", "\r\n", "\x07", "\x7f"]), max_size=4)))
            )
        case 4:
            return "'" + "".join(draw(st.lists(st.sampled_from(INLINE), max_size=4))).replace("'", "''") + "'"
        case 5:
            return draw(
                st.sampled_from(
                    [
                        "!!str 1",
                        "!!str yes",
                        '!!int "7"',
                        "!!float 1",
                        "!!null ''",
                        '"a\\tb\\x41\\u00e9"',
                        "! a",
                        "!own b",
                    ]
                )
            )
        case 6:
            parts = draw(st.lists(st.sampled_from(["one", "two words", "é", ""]), min_size=2, max_size=4))
            quote = draw(st.sampled_from(["", "'", '"']))
            return quote + ("\n" + " " * (indent + 2)).join(parts) + quote
        case _:
            lines = draw(st.lists(st.sampled_from(LINES), max_size=5))
            mark = draw(st.sampled_from(["|", ">"])) + draw(st.sampled_from(["", "-", "+", "", "2", "2-", "+2"]))
            deep = " " * (indent + draw(st.sampled_from([2, 2, 4])))
            comment = draw(st.sampled_from(["", "", " # c"]))
            end = draw(st.sampled_from(["", "\n", "\n\n", "\n" + deep]))
            return mark + comment + "".join(f"\n{deep}{line}" if line else "\n" for line in lines) + end


KEYS = ["a", "b", "c-d", "e.f/g", "'q'", '"d"', "k 1", "Z", "1", "on", "x_y", "? z", "<<", "é"]


@st.composite
def node(draw: st.DrawFn, indent: int, depth: int, flow: bool, anchors: list[str]) -> str:
    """A value behind `key:` or `- `; block collections begin on the next line."""
    if anchors and draw(st.integers(0, 12)) == 0:
        return "*" + draw(st.sampled_from(anchors))
    mark = ""
    if draw(st.integers(0, 9)) == 0:
        name = f"n{len(anchors)}x{depth}"
        mark = f"&{name} "
    kind = draw(st.integers(0, 5)) if depth else 0
    if kind <= 2:
        text = mark + draw(scalar(indent, flow))
    elif kind == 3 or flow:
        inner = [draw(node(indent, depth - 1, True, anchors)) for _ in range(draw(st.integers(0, 3)))]
        if draw(st.booleans()):
            text = f"{mark}[{', '.join(inner)}]"
        else:
            keys = draw(st.lists(st.sampled_from(KEYS[:8]), min_size=len(inner), max_size=len(inner), unique=True))
            text = mark + "{" + ", ".join(f"{key}: {one}" for key, one in zip(keys, inner, strict=True)) + "}"
    elif kind == 4:
        text = mark.rstrip() + draw(mapping(indent + draw(st.sampled_from([2, 2, 2, 4])), depth - 1, anchors))
    else:
        text = mark.rstrip() + draw(sequence(indent + draw(st.sampled_from([0, 2, 2])), depth - 1, anchors))
    if mark:
        anchors.append(mark[1:].strip())
    return text


@st.composite
def _between(draw: st.DrawFn, indent: int) -> str:
    """What may stand between two lines."""
    return draw(st.sampled_from(["", "", "", "", "", f"\n{' ' * indent}# comment", "\n", "\n# left\n"]))


@st.composite
def mapping(draw: st.DrawFn, indent: int, depth: int, anchors: list[str]) -> str:
    """Lines of a block mapping, each with its line break in front."""
    found = ""
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=3, unique=True)):
        tail = draw(st.sampled_from(["", "", "", "  # c"])) if draw(st.booleans()) else ""
        value = draw(node(indent, depth, False, anchors))
        behind = tail if value and "\n" not in value else ""
        gap = "" if value.startswith("\n") else draw(st.sampled_from([" ", " ", "  "]))
        lead = f"{key}\n{' ' * indent}" if key.startswith("?") else key
        found += draw(_between(indent)) + f"\n{' ' * indent}{lead}:{gap}{value}{behind}"
    return found or " {}"


@st.composite
def sequence(draw: st.DrawFn, indent: int, depth: int, anchors: list[str]) -> str:
    """Lines of a block sequence, each with its line break in front."""
    found = ""
    for _ in range(draw(st.integers(0, 3))):
        value = draw(node(indent + 2, depth, False, anchors))
        found += draw(_between(indent)) + f"\n{' ' * indent}-{'' if value.startswith(chr(10)) else ' '}{value}"
    return found or " []"


@st.composite
def scribbles(draw: st.DrawFn) -> bytes:
    """A file with one or two objects, the text of which nobody tidied up."""
    documents = []
    for number in range(draw(st.integers(1, 2))):
        kind = draw(st.sampled_from(["Basket", "ConfigMap", "Secret"]))
        version = "shop.example/v1" if kind == "Basket" else "v1"
        part = "spec" if kind == "Basket" else "data"
        anchors: list[str] = []
        body = draw(mapping(2, 3 if kind == "Basket" else 0, anchors))
        labels = draw(mapping(4, 0, anchors))
        metadata = f"metadata:\n  name: it-{number}\n  labels:{labels}\n"
        parts = [f"apiVersion: {version}\n", f"kind: {kind}\n", metadata, f"{part}:{body}\n"]
        documents.append("".join(draw(st.permutations(parts)) if not anchors else parts))
    text = draw(st.sampled_from(["", "---\n", "# head\n", "\n"])) + draw(
        st.sampled_from(["---\n", "---\n\n", "--- # x\n"])
    ).join(documents)
    if draw(st.integers(0, 9)) == 0:
        text = text.replace("\n", "\r\n")
    return text.encode()
