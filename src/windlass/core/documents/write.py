"""JSON values to YAML that every reader understands alike: block style, keys in the order given, text quoted wherever
one of the YAML versions in use would take it for something else (``y``, ``1e3``, ``1234567e8``, ``0644``, ``on``,
dates, ``12:30:45``).

Called by ``windlass render``, ``install --export`` and, for the pieces that are put into files, by ``splices``. It
writes values, and keeps no comments.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from windlass.core.documents import scalars
from windlass.core.documents.rules import DocumentError

# Text that may stand without quotes: no indicator at its start, no ": " or " #" in it, nothing but printable ASCII and
# common letters.
_INSIDE = r"[A-Za-z0-9_./\\$()@=+;~^*%&!?<>|'-]"
_WORD = rf"[A-Za-z0-9_./\\$(]{_INSIDE}*(?:[:,]{_INSIDE}+)*"
_PLAIN = re.compile(rf"{_WORD}(?: {_WORD})*\Z")
# What YAML 1.2 readers and other YAML 1.1 readers take for numbers, times or dates, though Kubernetes does not.
_DOUBTFUL = re.compile(
    r"[-+]?[0-9.][0-9_,.:eE+-]*\Z|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|0[xXoObB]|[-+]?\.(inf|nan)|=\Z", re.IGNORECASE
)
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"])
_BLOCK = re.compile("[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]+\\Z")
_ESCAPED = re.compile("[\\x7f-\\x9f\u2028\u2029\ufeff\ufffe\uffff]")
# A longer key can't be followed by its colon on the same line.
_LONGEST_KEY = 120
_DEEPEST = 500


def write(values: Iterable[Any]) -> str:
    """YAML text of the documents, separated by ``---``. Raises :class:`DocumentError` for what JSON can't hold."""
    texts = []
    for value in values:
        lines: list[str] = []
        add_lines(value, 0, "", lines, 0)
        texts.append("\n".join(lines) + "\n")
    return "---\n".join(texts)


def add_lines(value: Any, indent: int, lead: str, lines: list[str], depth: int = 0) -> None:
    """Add ``value``. ``lead`` is the text that its first line starts with: indentation, and the dash or the key."""
    if depth > _DEEPEST:
        raise DocumentError(f"the value is more than {_DEEPEST} levels deep", hint="no Kubernetes object is that deep")
    if isinstance(value, dict) and value:
        if lead.endswith(":"):
            lines.append(lead)
            lead = ""
        for key, member in value.items():
            first = lead or " " * indent
            lead = ""
            add_member(key, member, indent, first, lines, depth)
    elif isinstance(value, list | tuple) and value:
        # A list in a mapping is not indented, the style of Kubernetes' own tools.
        if lead.endswith(":"):
            lines.append(lead)
            lead = ""
            indent = max(indent - 2, 0)
        for member in value:
            first = (lead or " " * indent) + "-"
            lead = ""
            add_lines(member, indent + 2, first + " ", lines, depth + 1)
    else:
        space = " " if lead.endswith((":", "-")) else ""
        lines.append(lead + space + leaf(value, indent))


def add_member(key: Any, member: Any, indent: int, first: str, lines: list[str], depth: int = 0) -> None:
    """Add a key with its value; ``first`` is what its line starts with."""
    if not isinstance(key, str):
        raise DocumentError(f"a key must be text, not {key!r}")
    text = quoted(key) if not _is_plain(key) else key
    if len(text) > _LONGEST_KEY:
        lines.append(f"{first}? {quoted(key)}")
        first = " " * indent + ":"
    else:
        first += text + ":"
    add_lines(member, indent + 2, first, lines, depth + 1)


def leaf(value: Any, indent: int) -> str:
    """A value without members, quoted where it has to be; text of several lines as a block with this indentation."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        if "\n" in value and (block := _block(value, indent)):
            return block
        return value if _is_plain(value) else quoted(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isinf(value) or math.isnan(value):
            raise DocumentError(f"{value} is a number that JSON can't hold")
        return repr(value)
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    raise DocumentError(f"a {type(value).__name__} is nothing that JSON can hold")


def _block(text: str, indent: int) -> str | None:
    """``text`` as a literal block, where that shows it as it is; else nothing."""
    if text[0] in " \t\n" or not _BLOCK.match(text):
        return None
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    if body.rsplit("\n", 1)[-1].strip(" \t") == "" or (ends > 1 and not body):
        return None
    mark = {0: "|-", 1: "|"}.get(ends, "|+")
    pad = " " * max(indent, 2)
    lines = [pad + line if line else "" for line in body.split("\n")]
    return "\n".join([mark, *lines, *[""] * (ends - 1)])


def _is_plain(text: str) -> bool:
    return text != "" and _PLAIN.match(text) is not None and not is_doubtful(text) and scalars.is_string(text)


def is_doubtful(text: str) -> bool:
    """Whether another reader of YAML might take this text, unquoted, for something else."""
    return text.lower() in _WORDS or _DOUBTFUL.match(text) is not None


def quoted(text: str) -> str:
    """Text in double quotes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DocumentError("half of a surrogate pair is no character") from None
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
