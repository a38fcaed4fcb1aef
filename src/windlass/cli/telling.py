"""How a command speaks: text for people in the width and colours of their terminal, data for programs, and errors.

Every command prints through ``say`` and ``emit``; ``main`` and ``render`` tell errors through ``tell_error``. Colour
never says what a mark or a word does not say as well. All foreign text has gone through ``words.plain`` before: nothing
here is trusted to clean it.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TextIO

import click

from windlass import settings
from windlass.core.words.errors import error_text
from windlass.core.words.plain import plain
from windlass.errors import NeedsHuman, WindlassError
from windlass.ports import ClusterUnavailable, NotAllowed, WebhookDenied

ERROR, DIFFERS, REFUSED = 1, 2, 3
"""Exit codes, as ``docs/cli.md`` has them; 0 is done, 64 wrong usage."""

_GREEN, _YELLOW, _RED, _BOLD, _FAINT = "32", "33", "31", "1", "2"
_MARKS = {"+": _GREEN, "-": _RED, "~": _YELLOW, "!": f"{_BOLD};{_RED}"}
_MARK = re.compile(r"^( *)([-+~!])(?= )", re.MULTILINE)
_WORDS = {
    **dict.fromkeys(("Healthy", "Synced"), _GREEN),
    **dict.fromkeys(("Degraded", "Missing"), _RED),
    **dict.fromkeys(("Progressing", "Suspended", "Unknown", "OutOfSync"), _YELLOW),
}
_WORD = re.compile(rf"(?<=   )({'|'.join(_WORDS)})\b|(?<=^)({'|'.join(_WORDS)})\b", re.MULTILINE)
_LABEL = re.compile(r"^( *)(next|mend|then|at|more|log|event|pending)(?=  |: )", re.MULTILINE)
_ERROR = re.compile(r"^(error)(?=: )", re.MULTILINE)
# Characters that JSON leaves as they are, and a terminal does not, or that turn the order of what is read.
_UNSAFE_JSON = re.compile("[\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


class RefusedHere(NeedsHuman):
    """The command line itself says no, before anything is asked of a cluster."""

    slug: ClassVar[str] = "refused"
    reason: ClassVar[str] = "Refused"


_REFUSALS = frozenset({NotAllowed.slug, WebhookDenied.slug, RefusedHere.slug})


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at it."""
    return stream.isatty()


def width_of(stream: TextIO) -> int:
    """The columns of the terminal; 0, for no limit, where it is none: files and pipes get whole lines."""
    return shutil.get_terminal_size().columns if is_terminal(stream) else 0


def coloured(stream: TextIO) -> bool:
    """Only on a terminal, and not where NO_COLOR or TERM=dumb asks for none."""
    return is_terminal(stream) and not settings.variable("NO_COLOR") and settings.variable("TERM") != "dumb"


def dress(text: str) -> str:
    """The same text with colours: marks, states and labels. Taken off again, not a letter is different."""

    def paint(code: str, words: str) -> str:
        return f"\x1b[{code}m{words}\x1b[0m"

    text = _MARK.sub(lambda found: found[1] + paint(_MARKS[found[2]], found[2]), text)
    text = _WORD.sub(lambda found: paint(_WORDS[found[0]], found[0]), text)
    text = _LABEL.sub(lambda found: found[1] + paint(_FAINT if found[2] != "next" else _BOLD, found[2]), text)
    return _ERROR.sub(lambda found: paint(f"{_BOLD};{_RED}", found[1]), text)


def say(text: str, stream: TextIO | None = None) -> None:
    """Text that already is as it should be, with its line ends, to standard output or another stream."""
    stream = stream or sys.stdout
    stream.write(dress(text) if coloured(stream) else text)
    stream.flush()


def emit(data: Any, output: str) -> None:
    """Data for programs, ``json`` or ``yaml``, times as ISO."""
    if output == "yaml":
        from windlass.core.documents import write

        sys.stdout.write(write([data]))
    else:
        text = json.dumps(data, indent=2, ensure_ascii=False)
        sys.stdout.write(_UNSAFE_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")
    sys.stdout.flush()


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors themselves, out of any groups that tasks wrapped them in."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error


def tell_error(error: BaseException) -> int:
    """Tells an error on standard error; the exit code: 3 where something was refused, else 1."""
    codes: list[int] = []
    for leaf in unlike(leaves(error)):
        if isinstance(leaf, click.ClickException):
            leaf.show()
            codes.append(leaf.exit_code)
        elif isinstance(leaf, WindlassError):
            if leaf.slug == ClusterUnavailable.slug and not leaf.hint:
                leaf.hint = "does this cluster run, and is it the one that is meant? --context names another"
            say(error_text(leaf, width=width_of(sys.stderr)), sys.stderr)
            codes.append(REFUSED if leaf.slug in _REFUSALS else ERROR)
        else:
            say(_bug(leaf), sys.stderr)
            codes.append(ERROR)
    return ERROR if ERROR in codes else max(codes, default=ERROR)


def unlike(errors: Iterable[BaseException]) -> Iterator[BaseException]:
    """Each error once: several requests may have met the same trouble."""
    seen: set[tuple[type, str]] = set()
    for each in errors:
        key = (type(each), str(each))
        if key not in seen:
            seen.add(key)
            yield each


def _bug(error: BaseException) -> str:
    """Something that no room of the program expected: told as a bug, with where it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{Path(__file__).parts[-3]}" in Path(frame.filename).parts] or frames
    place = ""
    if ours:
        path = Path(ours[-1].filename)
        parts = path.parts[path.parts.index("windlass") :] if "windlass" in path.parts else (path.name,)
        place = f"   at  {'/'.join(parts)}:{ours[-1].lineno}, in {ours[-1].name}\n"
    what = plain(f"{type(error).__name__}: {error}")[:300].removesuffix(": ")
    lines = f"error: a bug in windlass: {what}\n{place}"
    if settings.variable("WINDLASS_TRACEBACK"):
        whole = traceback.format_exception(error)
        return lines + "".join(f"  {plain(line)}\n" for part in whole for line in part.splitlines())
    return lines + "  mend please report it with what you typed; WINDLASS_TRACEBACK=1 shows the whole traceback\n"
