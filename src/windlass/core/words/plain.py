"""Foreign text made harmless, values and times in words, text that fits a width. All other words are made with these.

Names, messages and values come from people and clusters: no terminal escape, control character or bidirectional mark
of theirs gets through ``plain``.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

import msgspec

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC: titles, links, clipboard
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]?"
)
_BLANK = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_SIMPLE = re.compile(r"[A-Za-z0-9_./:@%+*,=~()-]+")
_OTHER_THAN_TEXT = re.compile(
    r"[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?|0[xo][0-9a-fA-F]+|true|false|null|yes|no|on|off|~", re.I
)

VALUE_WIDTH = 72


def plain(text: str) -> str:
    """Foreign text on one line, without anything that a terminal would act on."""
    return _UNSEEN.sub("", _BLANK.sub(" ", _ESCAPES.sub("", text)))


def plain_lines(text: str) -> list[str]:
    """Foreign text, a harmless line each."""
    return [plain(line) for line in text.splitlines()]


def columns(text: str) -> int:
    """How many columns a terminal needs for it: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )


def pad(text: str, width: int) -> str:
    """Filled up with blanks to a number of columns."""
    return text + " " * max(0, width - columns(text))


def fit(text: str, width: int) -> str:
    """Cut to a number of columns, with dots where something is missing. ``width`` 0 cuts nothing."""
    if not width or columns(text) <= width:
        return text
    kept, used = [], 0
    for each in text:
        used += columns(each)
        if used > max(0, width - 3):
            break
        kept.append(each)
    return "".join(kept).rstrip() + "..."[: max(0, width)]


def wrap(line: str, width: int) -> list[str]:
    """A line in as many as it needs, broken at blanks, later ones indented by four more. ``width`` 0 breaks nothing.

    Words are never broken: ids, paths and commands have to be pasted.
    """
    if not width or columns(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip(" ")) + 4)
    lines, current = [], indent[4:]
    for word in re.findall(r" *[^ ]+", line.lstrip(" ")):
        # A mark alone on its line would say nothing.
        if len(current.strip()) > 1 and columns(current + word) > width:
            lines.append(current.rstrip())
            current = indent + word.lstrip(" ")
        else:
            current += word
    return [*lines, current]


def value(given: object, most: int = VALUE_WIDTH) -> str:
    """A value as a person reads it: text bare where that can't be mistaken, else as JSON, cut to ``most`` columns."""
    if isinstance(given, str):
        harmless = plain(given)
        bare = _SIMPLE.fullmatch(harmless) and not _OTHER_THAN_TEXT.fullmatch(harmless)
        words = harmless if bare and harmless == given else _json(harmless)
    elif given is None:
        words = "nothing"
    else:
        words = plain(_json(given))
    return fit(words, most)


def _json(given: object) -> str:
    return msgspec.json.encode(given).decode()


def count(number: int, one: str, many: str = "") -> str:
    """ "1 object", "3 objects"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def span(seconds: float) -> str:
    """A length of time in one unit: "45s", "4m", "7h", "3d"."""
    seconds = max(0.0, seconds)
    if seconds < 120:
        return f"{int(seconds)}s"
    if seconds < 7200:
        return f"{int(seconds // 60)}m"
    if seconds < 172800:
        return f"{int(seconds // 3600)}h"
    return f"{int(seconds // 86400)}d"


def took(seconds: float) -> str:
    """How long something took: "19 ms", "1.2 s", "41 s"."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def ago(then: str | datetime, now: datetime) -> str:
    """ "4m ago", of an ISO time too; "in 5m" for what is to come; "" where there is no time."""
    if isinstance(then, str):
        try:
            then = datetime.fromisoformat(then)
        except ValueError:
            return ""
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    seconds = (now - then).total_seconds()
    # Clocks differ by moments: what was just done is not to come.
    return f"in {span(-seconds)}" if seconds < -5 else f"{span(seconds)} ago"


def short(commit: str) -> str:
    """A commit id that can be pasted."""
    return plain(commit)[:7]
