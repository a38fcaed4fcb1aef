"""INI files that SOPS encrypted: what stands under ``[sops]``, and the text as ``sops --decrypt`` prints it.

Called by ``sops_files``. ``sops`` writes such a file by its own rules (one value a line, comments above their keys,
quotes where a value needs them), and reads it by them; what somebody wrote in another form by hand does not fit the
MAC, and is refused for that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from windlass.adapters.render.sops import Opener, is_comment, refused

_HEAD = re.compile(r"^\[sops\][ \t]*\r?$", re.MULTILINE)
_SECTION = re.compile(r"\[(.*)\]")
_KEY = re.compile(
    r'"""(?P<triple>.+?)"""\s*[=:]|`(?P<tick>[^`]*)`\s*[=:]|"(?P<double>[^"]*)"\s*[=:]|(?P<plain>[^=:]+)[=:]'
)
_DEFAULT = "DEFAULT"
_OWN = "sops"


def metadata_in(text: str) -> Mapping[str, str] | None:
    """What stands under ``[sops]``, flat, as ``sops`` wrote it; None where this is no INI file that it encrypted."""
    found = _HEAD.search(text)
    if found is None:
        return None
    flat: dict[str, str] = {}
    for line in text[found.end() :].splitlines():
        if line.lstrip().startswith("["):
            break
        key, mark, value = line.partition("=")
        if mark and not key.lstrip().startswith((";", "#")):
            flat[key.strip()] = value.strip().strip("`").replace("\\n", "\n")
    return flat if "mac" in flat and "lastmodified" in flat else None


def ini_opened(text: str, opener: Opener) -> str:
    """The file with its values opened and without its ``[sops]``. Raises NotDecrypted; ``check`` is the caller's."""
    made: list[str] = []
    section, own, number = _DEFAULT, False, 0
    lines = text.split("\n")
    while number < len(lines):
        start, line = number, lines[number]
        bare = line.strip()
        number += 1
        if bare.startswith("["):
            section = _section(bare, number)
            own = section == _OWN
        if own:
            continue
        if not bare or bare.startswith("["):
            made.append(line)
        elif bare.startswith((";", "#")):
            made.append(_comment(line, _section_of(section, lines[number:]), opener, number))
        else:
            key = _KEY.match(bare)
            if key is None:
                raise refused("a line is no name = value", "edit the file with sops", number)
            name = str(next(one for one in key.groups() if one is not None)).strip()
            value, number = _value(bare[key.end() :], lines, number)
            if opener.sealed([section, name]):
                value = str(opener.take(value, [section, name], start + 1))
            else:
                opener.pass_by(value)
            made.append(f"{line[: line.index(bare) + key.end()]} {_written(value)}")
    while made and not made[-1].strip():
        made.pop()
    return "\n".join([*made, ""])


def _section(bare: str, number: int) -> str:
    found = _SECTION.match(bare)
    if found is None:
        raise refused("the name of a section has no end", "edit the file with sops", number)
    return found[1]


def _section_of(section: str, following: Sequence[str]) -> str:
    """Where a comment belongs: above the name of a section to that one."""
    bare = next((one for line in following if (one := line.strip()) and not one.startswith((";", "#"))), "")
    found = _SECTION.match(bare)
    return found[1] if found is not None else section


def _comment(line: str, section: str, opener: Opener, number: int) -> str:
    mark, text = line.strip()[0], line.strip()[1:].strip()
    if not is_comment(text):
        return line
    lines = opener.comment(text, [section], number).split("\n")
    return "\n".join(f"{one[0]} {one[1:].strip()}" if one[:1] in (";", "#") else f"{mark} {one}" for one in lines)


def _value(text: str, lines: Sequence[str], number: int) -> tuple[str, int]:
    """What is said behind the mark of a key, and the number of lines that were read up to its end."""
    bare = text.strip()
    quote = next((one for one in ('"""', "`") if bare.startswith(one)), "")
    if quote:
        value, end, _ = bare[len(quote) :].rpartition(quote)
        if end:
            return value, number
        parts = [text.lstrip()[len(quote) :]]
        while number < len(lines):
            value, end, _ = lines[number].rpartition(quote)
            number += 1
            if end:
                return "\n".join([*parts, value]), number
            parts.append(lines[number - 1])
        raise refused("a quote has no end", "edit the file with sops", number)
    if bare.endswith("\\"):
        raise refused("a value that is not encrypted ends with a backslash", "put it in `...`", number)
    bare = re.split("[#;]", bare, maxsplit=1)[0].strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'" and bare[0] not in bare[1:-1]:
        bare = bare[1:-1]
    return bare, number


def _written(value: str) -> str:
    """A value as ``sops`` writes it into an INI file."""
    if "\n" in value or "`" in value:
        return f'"""{value}"""'
    if "#" in value or ";" in value:
        return f"`{value}`"
    return f'"{value}"' if value.strip() != value else value
