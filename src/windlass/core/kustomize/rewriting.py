"""What the original's own writing and reading again does to texts in blocks: ``|`` and ``>``.

It prints an object by writing it as YAML, reading that, and writing it once more. Blocks do not always survive: one
that begins with a tab can't be read again, and a folded one gains line breaks. Asked by ``nodes`` for texts that may be
such.
"""

from __future__ import annotations

import re

from windlass.core.kustomize.errors import KustomizeError

# With one of these, or a space before a break, the original writes double quotes and no block.
_NO_BLOCK = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]| \n")


def block_again(text: str, *, folded: bool) -> str:
    """The text of a block after it was written and read. Raises ``KustomizeError`` where it can't be read."""
    if not text or text[-1] == " " or _NO_BLOCK.search(text) is not None:
        return text
    if text[0] == "\t":
        raise KustomizeError(
            "a text of several lines begins with a tab", hint='write it in double quotes: "\\tfirst\\nsecond"'
        )
    return _read_folded(text) if folded else text


def _read_folded(text: str) -> str:
    ends = len(text) - len(text.rstrip("\n"))
    out = ""
    pending = ""  # the break after the last line, not yet known to be a space or a break
    empty = ""  # the breaks of empty lines since then
    indented = False
    *lines, last = _written_folded(text).split("\n")
    for place, line in enumerate([*lines, last]):
        if not line:
            if place < len(lines):
                empty += "\n"
            continue
        now = line[0] in " \t"
        if pending and not indented and not now:
            out += "" if empty else " "
        else:
            out += pending
        out += empty + line
        pending, empty, indented = "\n", "", now
    if ends:
        out += pending
    return out + empty if ends > 1 or ends == len(text) else out


def _written_folded(text: str) -> str:
    """The lines of a folded block, without indentation. Every break is doubled, unless the text begins with a blank."""
    first = text.lstrip("\n")[:1]
    doubled = first not in ("", " ", "\t")
    out: list[str] = []
    at_start = blank_line = True
    for character in text:
        if character == "\n":
            out.append("\n\n" if doubled and not at_start and not blank_line else "\n")
            at_start = True
        else:
            if at_start:
                blank_line = character in " \t"
            out.append(character)
            at_start = False
    return "".join(out)
