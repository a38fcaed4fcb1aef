"""JSON values as ``kustomize build`` prints them, byte for byte: the YAML of ``sigs.k8s.io/yaml``.

Called for the end result, and for the annotations that the original fills with YAML. Keys come in the original's
"natural" order (``a2`` before ``a10``), lines fold after 80 characters at a space, text that YAML 1.1 would take for
something else is quoted, several lines become a block where a block can hold them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from windlass.core.kustomize.errors import KustomizeError
from windlass.core.kustomize.resolve import go_float, needs_quotes

_WIDTH = 80
_LONGEST_KEY = 128
# What a plain text may not begin with, and what it may not hold; the rest is printable.
_FIRST = frozenset("#,[]{}&*!|>'\"%@`")
_BREAKS = "\r\n\x85\u2028\u2029"
# Characters after which a block is at the start of a line already.
_ENDS = "\n\u2028\u2029"
_INNER = re.compile(r":(?=[ \t]|\Z)|(?<=[ \t\r\n\x85\u2028\u2029\0])#")
# The original calls characters beyond the basic plane unprintable, and tabs.
_SPECIAL = re.compile(r"[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_SPACE_BREAK = re.compile(f" [{_BREAKS}]")
_BREAK_SPACE = re.compile(f"[{_BREAKS}] ")
_FOLDED = re.compile(r"[\x7f-\x9f\ufffe\uffff]")
_CONTROL = re.compile(r"[\x7f-\x84\x86-\x9f\ufffe\uffff]")
_FOLD = re.compile(r" *\x85(?: *\x85)* *")
_ESCAPES = {
    0x00: "0", 0x07: "a", 0x08: "b", 0x09: "t", 0x0A: "n", 0x0B: "v", 0x0C: "f", 0x0D: "r", 0x1B: "e", 0x22: '"',
    0x5C: "\\", 0x85: "N", 0xA0: "_", 0x2028: "L", 0x2029: "P",
}  # fmt: skip
_ESCAPED = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_LINE = re.compile("[^\n]*\n|[^\n]+")
# A break of another alphabet inside a line: what comes after it is indented as well.
_LATE_BREAK = re.compile("[\u2028\u2029](?=[^\u2028\u2029\n])")


def to_yaml(value: Any) -> str:
    """One document, ending with a line break."""
    out: list[str] = []
    _node(value, 0, False, "", out)
    return "".join(out)


def final_value(value: Any) -> Any:
    """JSON values after the original's last reading of them: a next-line character folds like a line break, control
    characters are refused."""
    if isinstance(value, str):
        return value if _FOLDED.search(value) is None else _reread(value)
    if isinstance(value, dict):
        for name in value:
            if _FOLDED.search(name) is not None:
                raise KustomizeError("a key holds a control character", hint="take it out")
        return {name: final_value(member) for name, member in value.items()}
    return [final_value(item) for item in value] if isinstance(value, list) else value


def _reread(text: str) -> str:
    if _CONTROL.search(text) is not None:
        raise KustomizeError("a text holds a control character that YAML has no place for", hint="take it out")
    return _FOLD.sub(lambda found: "\n" * (found[0].count("\x85") - 1) or " ", text)


def _node(value: Any, indent: int, in_list: bool, lead: str, out: list[str]) -> None:
    """``lead`` is what already stands on the line. Collections in a mapping begin on the next line, a list without
    further indent; in a list they begin on the same line."""
    if isinstance(value, dict):
        if not value:
            out.append(lead + " {}\n" if lead else "{}\n")
            return
        first = lead + " " if in_list else " " * indent
        if lead and not in_list:
            out.append(lead + "\n")
        for name in sorted_keys(value):
            _member(name, value[name], indent, first, out)
            first = " " * indent
    elif isinstance(value, list):
        if not value:
            out.append(lead + " []\n" if lead else "[]\n")
            return
        first = lead + " -" if in_list else " " * indent + "-"
        if lead and not in_list:
            out.append(lead + "\n")
        for item in value:
            _node(item, indent + 2, True, first, out)
            first = " " * indent + "-"
    else:
        out.append(lead)
        column = len(lead.rsplit("\n", 1)[-1])
        text = scalar(value, indent if in_list else indent + 2, column + 1 if lead else 0)
        out.append((" " if lead else "") + text)
        if text[-1] not in _ENDS:
            out.append("\n")


def _member(name: str, value: Any, indent: int, first: str, out: list[str]) -> None:
    text, simple = _key(name)
    if not simple:
        column = len(first) + 2
        shown = scalar(name, indent + 2, column)
        out.append(first + "? " + shown + ("" if shown[-1] in _ENDS else "\n"))
        _node(value, indent + 2, True, " " * indent + ":", out)
        return
    _node(value, indent + 2 if isinstance(value, dict) else indent, False, first + text + ":", out)


@lru_cache(8192)
def _key(name: str) -> tuple[str, bool]:
    """A key as it is printed, and whether it can stand before its colon."""
    if any(mark in name for mark in _BREAKS) or len(name.encode("utf-8", "surrogatepass")) > _LONGEST_KEY:
        return name, False
    if not name:
        return '""', True
    if needs_quotes(name):
        return _double(name, 0, 0, fold=False), True
    plain, single, _ = _allowed(name)
    if plain:
        return name, True
    return (_single(name, 0, 0, fold=False) if single else _double(name, 0, 0, fold=False)), True


def scalar(value: Any, indent: int, column: int) -> str:
    """A leaf that begins at ``column``; its further lines are indented by ``indent``."""
    if isinstance(value, str):
        return _text(value, indent, column)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    return go_float(value, "g")


def _text(text: str, indent: int, column: int) -> str:
    match style(text):
        case "plain":
            return text if column + len(text) <= _WIDTH or " " not in text else _plain(text, indent, column)
        case "single":
            return _single(text, indent, column)
        case "block":
            return _block(text, indent)
        case _:
            return _double(text, indent, column)


@lru_cache(16384)
def style(text: str) -> str:
    """How a text is written: ``plain``, in ``single`` or ``double`` quotes, or as a ``block``."""
    if "\n" in text:
        return "block" if _allowed(text)[2] else "double"
    if not text or needs_quotes(text):
        return "double"
    plain, single, _ = _allowed(text)
    return "plain" if plain else "single" if single else "double"


def _allowed(text: str) -> tuple[bool, bool, bool]:
    """Whether text may be written plain, in single quotes, as a block."""
    special = _SPECIAL.search(text) is not None or _SPACE_BREAK.search(text) is not None
    break_space = _BREAK_SPACE.search(text) is not None
    edge = text[0] in " " + _BREAKS or text[-1] in " " + _BREAKS
    first = text[0]
    indicators = (
        first in _FIRST
        or text.startswith(("---", "..."))
        or (first in "?:-" and (len(text) == 1 or text[1] in " \t"))
        or _INNER.search(text) is not None
    )
    many = any(mark in text for mark in _BREAKS)
    plain = not (special or break_space or edge or indicators or many)
    return plain, not (special or break_space), not special and text[-1] != " "


def _plain(text: str, indent: int, column: int) -> str:
    out: list[str] = []
    spaces = False
    last = len(text) - 1
    for place, character in enumerate(text):
        if character == " ":
            if not spaces and column > _WIDTH and place < last and text[place + 1] != " ":
                out.append("\n" + " " * indent)
                column = indent
            else:
                out.append(" ")
                column += 1
            spaces = True
        else:
            out.append(character)
            column += 1
            spaces = False
    return "".join(out)


def _single(text: str, indent: int, column: int, *, fold: bool = True) -> str:
    out: list[str] = ["'"]
    column += 1
    spaces = breaks = False
    last = len(text) - 1
    for place, character in enumerate(text):
        if character == " ":
            if fold and not spaces and column > _WIDTH and 0 < place < last and text[place + 1] != " ":
                out.append("\n" + " " * indent)
                column = indent
            else:
                out.append(" ")
                column += 1
            spaces = True
        elif character in _BREAKS:
            out.append(character)
            column = 0
            breaks = True
        else:
            if breaks:
                out.append(" " * indent)
                column = indent
            if character == "'":
                out.append("'")
                column += 1
            out.append(character)
            column += 1
            spaces = breaks = False
    return "".join([*out, "'"])


def _double(text: str, indent: int, column: int, *, fold: bool = True) -> str:
    if text.startswith("\ufeff"):
        # The original asks for the mark at the start of the text, whatever character it looks at.
        return '"' + "".join(_escape(character) for character in text) + '"'
    escaped = _ESCAPED.sub(lambda found: _escape(found[0]), text)
    if not fold or column + 1 + len(escaped) <= _WIDTH:
        return f'"{escaped}"'
    out: list[str] = ['"']
    column += 1
    spaces = False
    last = len(text) - 1
    for place, character in enumerate(text):
        if character == " ":
            if not spaces and column > _WIDTH and 0 < place < last:
                out.append("\n" + " " * indent)
                column = indent
                if text[place + 1] == " ":
                    out.append("\\")
                    column += 1
            else:
                out.append(" ")
                column += 1
            spaces = True
        else:
            shown = _escape(character) if _ESCAPED.match(character) else character
            out.append(shown)
            column += len(shown)
            spaces = False
    return "".join([*out, '"'])


def _escape(character: str) -> str:
    code = ord(character)
    if code in _ESCAPES:
        return "\\" + _ESCAPES[code]
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def _block(text: str, indent: int) -> str:
    hint = "2" if text[0] in " " + _BREAKS else ""
    body = text.rstrip(_BREAKS)
    ends = len(text) - len(body)
    chomp = "-" if ends == 0 else "+" if ends > 1 or not body else ""
    pad = " " * indent
    lines = "".join(line if line[0] in _ENDS else pad + line for line in _LINE.findall(text))
    return f"|{hint}{chomp}\n{_LATE_BREAK.sub(lambda found: found[0] + pad, lines)}"


def sorted_keys(names: Any) -> list[str]:
    """Keys in the original's order: letters after other characters, runs of digits by their number."""
    keys = sorted(names)
    if len(keys) < 2 or all(name.isalpha() and name.isascii() for name in keys):
        return keys
    return sorted(keys, key=_natural)


@lru_cache(16384)
def _natural(name: str) -> _NaturalKey:
    return _NaturalKey(name)


class _NaturalKey:
    """A key that compares as the original's do. Not always a total order there either; ties keep the plain order."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __lt__(self, other: _NaturalKey) -> bool:
        return _less(self.name, other.name)


def _less(one: str, two: str) -> bool:
    shortest = min(len(one), len(two))
    place = 0
    while place < shortest and one[place] == two[place]:
        place += 1
    if place == shortest:
        return len(one) < len(two)
    a, b = one[place], two[place]
    a_letter, b_letter = a.isalpha(), b.isalpha()
    if a_letter and b_letter:
        return a < b
    if a_letter or b_letter:
        return b_letter
    a_number = b_number = 0
    if a == "0" or b == "0":
        back = place - 1
        while back >= 0 and one[back].isdecimal():
            if one[back] != "0":
                a_number = b_number = 1
                break
            back -= 1
    a_end, a_number = _run(one, place, a_number)
    b_end, b_number = _run(two, place, b_number)
    if a_number != b_number:
        return a_number < b_number
    if a_end != b_end:
        return a_end < b_end
    return a < b


def _run(name: str, place: int, number: int) -> tuple[int, int]:
    while place < len(name) and name[place].isdecimal():
        number = number * 10 + ord(name[place]) - 48
        place += 1
    # Counted in 64 bits, as the original does.
    return place, (number + 2**63) % 2**64 - 2**63
