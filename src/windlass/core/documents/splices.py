"""Edits in place: a field of a document set, taken out or added to, with every other byte of the file as it was.

``core/edits`` calls ``splice`` for whatever is written into Git. Any file that a person would write is taken: comments,
anchors, flow style, JSON, CRLF, a byte-order mark, several documents, no line end at the end. After each edit the file
is read again, and the edit stands only where exactly its target changed and is read back as what was meant; an edit
that no placement makes so is refused with the line, and the file stays as it was. Called with what ``read`` accepts.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import yaml

from windlass.core.documents import json_text
from windlass.core.documents.layout import Node, layout, properties
from windlass.core.documents.read import locate, read
from windlass.core.documents.rules import DocumentError
from windlass.core.documents.write import add_lines, add_member, is_doubtful, leaf, quoted
from windlass.errors import Where

Path = tuple[str | int, ...]
_BOM = b"\xef\xbb\xbf"
_HALF = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_SIMPLE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_./@+:-]*[A-Za-z0-9])?\Z")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+){2,}\Z")
_FLOW_PLAIN = re.compile(r"[A-Za-z0-9_./@+-]+\Z")
_ABSENT: Any = object()


class EditRefused(DocumentError):
    """The field can't be changed in place without changing something else."""

    slug: ClassVar[str] = "edit-refused"
    reason: ClassVar[str] = "EditRefused"


@dataclass(frozen=True, slots=True)
class Set:
    """The value at ``path``, made with all that is missing above it. ``shared``: what stands for it through an alias
    goes with it."""

    path: Path
    value: Any
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Append:
    """One more item at the end of the list at ``path``, which is made where it is missing."""

    path: Path
    value: Any


@dataclass(frozen=True, slots=True)
class Remove:
    """The key or item at ``path`` taken out. What is not there is no error."""

    path: Path


Change = Set | Append | Remove
_Cut = tuple[int, int, str]


def splice(data: bytes, file: str, index: int, changes: Sequence[Change]) -> bytes:
    """The file with the changes made to the document at ``index``, one after the other; those last that are to set what
    an alias stands for, because the anchor of it may be one that is set to the same.

    Raises :class:`EditRefused`, and what ``read`` raises for the file as it is.
    """
    waiting = _aliases_last(data, index, changes)
    while waiting:
        data = _one(data, file, index, waiting.pop(0), waiting)
    return data


def _aliases_last(data: bytes, index: int, changes: Sequence[Change]) -> list[Change]:
    if len(changes) < 2 or b"&" not in data or b"*" not in data or not all(isinstance(one, Set) for one in changes):
        return list(changes)
    try:
        root = layout(data.removeprefix(_BOM).decode(), index)
    except yaml.YAMLError:
        return list(changes)
    return sorted(changes, key=lambda one: not _is_own(root, one.path))


def _is_own(root: Node | None, path: Path) -> bool:
    """Whether a value is written where it is, and not through an alias or a merge."""
    here = root
    for step in path:
        here = here.get(step) if here is not None else None
    return here is not None and here.kind != "alias"


def _one(data: bytes, file: str, index: int, change: Change, waiting: Sequence[Change] = ()) -> bytes:
    if not change.path:
        raise EditRefused("no field is named", where=Where(file=file), hint="a whole document is not edited in place")
    before = {one.index: one.value for one in read(data, file)}
    if index not in before:
        raise EditRefused(
            "there is no such document in the file", where=Where(file=file), hint="look at the file again"
        )
    expected = {**before, index: _changed(before[index], change, data, file, index)}
    if _same(before, expected):
        return data
    bom, text = (_BOM, data[len(_BOM) :]) if data.startswith(_BOM) else (b"", data)
    for start, end, new in _Splicer(text, file, index, change).cuts():
        made = bom + (text.decode()[:start] + new + text.decode()[end:]).encode()
        try:
            after = {one.index: one.value for one in read(made, file)}
        except DocumentError:
            continue
        if _is_json(data) and not _is_json(made):
            continue
        if _same(after, expected) or (waiting and _same(after, _with(expected, after, index, waiting))):
            return made
        if isinstance(change, Set) and change.shared and _is_shared(before, after, index, change):
            return made
    raise _refused("can't be changed in place without changing something else", data, file, index, change.path)


def _with(expected: dict[int, Any], after: dict[int, Any], index: int, waiting: Sequence[Change]) -> dict[int, Any]:
    """What is to be, with those of the changes that wait which came with this one: aliases of what was set."""
    made = copy.deepcopy(expected[index])
    for one in waiting:
        parent: Any = _at(made, one.path[:-1])
        if isinstance(one, Set) and parent is not None and _same(_at(after[index], one.path), one.value):
            parent[one.path[-1]] = one.value
    return {**expected, index: made}


def _is_shared(before: dict[int, Any], after: dict[int, Any], index: int, change: Set) -> bool:
    """Whether what became another is just what was the same as the target before, and is so now."""
    old, new = _at(before[index], change.path), _at(after.get(index), change.path)
    waiting: list[tuple[Any, Any]] = [(before, after)]
    while waiting:
        one, other = waiting.pop()
        if isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
            waiting.extend((one[key], other[key]) for key in one)
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            waiting.extend(zip(one, other, strict=True))
        elif not _same(one, other) and not (_same(one, old) and _same(other, new)):
            return False
    return _same(new, change.value)


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else _item(value, step)
        if value is None or value is _ABSENT:
            return None
    return value


def _changed(value: Any, change: Change, data: bytes, file: str, index: int) -> Any:
    """What the document is to be afterwards."""
    made = copy.deepcopy(value)
    here: Any = made
    for depth, step in enumerate(change.path[:-1]):
        below = here.get(step, _ABSENT) if isinstance(here, dict) else _item(here, step)
        if below is _ABSENT or below is None:
            if isinstance(change, Remove):
                return made
            if isinstance(here, dict):
                below = here[step] = {}
            else:
                raise _refused("is not there", data, file, index, change.path[: depth + 1])
        here = below
    last: Any = change.path[-1]
    if not isinstance(here, dict if isinstance(last, str) else list):
        raise _refused("is no place for this", data, file, index, change.path[:-1])
    if isinstance(change, Remove):
        if isinstance(here, dict):
            here.pop(last, None)
        elif _item(here, last) is not _ABSENT:
            del here[last]
    elif isinstance(change, Set):
        if isinstance(last, int) and _item(here, last) is _ABSENT:
            raise _refused("is not there", data, file, index, change.path)
        here[last] = change.value
    else:
        there = here.get(last) if isinstance(here, dict) else _item(here, last)
        if there is not None and not isinstance(there, list):
            raise _refused("is no list", data, file, index, change.path)
        here[last] = [*(there or []), change.value]
    return made


def _item(value: Any, step: str | int) -> Any:
    return value[step] if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value) else _ABSENT


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: ``true`` is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _is_json(data: bytes) -> bool:
    text = data.removeprefix(_BOM)
    if not json_text.looks_like_json(text):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _refused(what: str, data: bytes, file: str, index: int, path: Sequence[str | int]) -> EditRefused:
    name = ".".join(str(step) for step in path)
    return EditRefused(
        f"{name} {what}",
        where=Where(file=file, line=locate(data, index, path)),
        hint="make this change by hand, or write the place in a simpler way (no aliases, a key a line)",
    )


class _Splicer:
    """The ways in which one change can be written, the best first."""

    def __init__(self, data: bytes, file: str, index: int, change: Change) -> None:
        self.text = data.decode()
        self.data, self.file, self.index, self.change = data, file, index, change
        self.json = _is_json(data)

    def cuts(self) -> Iterator[_Cut]:
        # Halves of surrogate pairs are JSON and not YAML. Only places are asked for: others of the same length do.
        text = _HALF.sub("\\\\u0041", self.text) if self.json else self.text
        try:
            root = layout(text, self.index)
        except yaml.YAMLError:
            return
        if root is None:
            return
        change = self.change
        if isinstance(change, Append) and (found := self._find(root, change.path)) and found.kind == "list":
            yield from self._append(found, change.value)
            return
        parent, path = self._deepest(root, change.path)
        step, rest = path[0], path[1:]
        if isinstance(change, Remove):
            if not rest:
                yield from self._remove(parent, step)
            return
        value = [change.value] if isinstance(change, Append) else change.value
        for name in reversed(rest):
            value = {name: value}
        there = parent.get(step)
        if there is not None:
            yield from self._replace(parent, step, there, value)
        elif parent.kind == "map" and isinstance(step, str):
            yield from self._insert(parent, step, value)

    # --- finding ------------------------------------------------------------------------------------------------------

    def _find(self, root: Node, path: Path) -> Node | None:
        here: Node | None = root
        for depth, step in enumerate(path):
            if here is None:
                return None
            self._no_alias(here, path[:depth])
            here = here.get(step)
        return here

    def _deepest(self, root: Node, path: Path) -> tuple[Node, Path]:
        """The last list or mapping on the way that is there, and what of the path is left below it."""
        here = root
        for depth, step in enumerate(path[:-1]):
            self._no_alias(here, path[:depth])
            below = here.get(step)
            if below is None or below.kind == "scalar":
                return here, path[depth:]
            here = below
        self._no_alias(here, path[:-1])
        return here, path[-1:]

    def _no_alias(self, node: Node, path: Path) -> None:
        if node.kind == "alias":
            raise _refused(
                f"is an alias (*{node.anchor}): what is changed in it would change wherever it is used",
                self.data,
                self.file,
                self.index,
                path,
            )

    # --- writing ------------------------------------------------------------------------------------------------------

    def _replace(self, parent: Node, step: str | int, node: Node, value: Any) -> Iterator[_Cut]:
        if (alike := self._alike(node, value)) is not None:
            yield node.start, node.end, alike
        if node.kind == "scalar" and node.style in ("", "'", '"') and (mark := properties(self.text, node)):
            # An anchor stays, for what is set to the same through its aliases; a tag, where it says the same type.
            own = replace(node, start=node.start + len(mark), anchor="")
            yield from ((start, end, text) for start, end, text in self._replace(parent, step, own, value))
        if parent.flow or self.json:
            # Only a value that was not written needs room behind its colon.
            room = self._spaced(node.start) if node.start == node.end else ""
            yield node.start, node.end, room + self._flow(value)
            return
        place = parent.keys.index(str(step)) if parent.kind == "map" else int(step)
        lead_end = parent.colons[place] + (parent.kind == "list")
        column = self._column(parent.key_nodes[0].start if parent.kind == "map" else parent.colons[0])
        if isinstance(value, dict | list) and value:
            lines: list[str] = []
            add_lines(value, column + 2, "-:" if parent.kind == "map" else "- ", lines)
            first = lines[0].removeprefix("-:").removeprefix("-")
            yield lead_end, self._before_comment(lead_end, node), self._joined([first, *lines[1:]], lead_end)
        elif node.kind in ("scalar", "alias"):
            note = ""
            if node.style in ("|", ">"):
                header = self.text[node.start : node.end].partition("\n")[0]
                note = (" #" + header.partition(" #")[2].rstrip()) if " #" in header else ""
            written = self._leaf(node, value, column)
            yield node.start, node.end, self._spaced(node.start) + self._joined(written.split("\n"), node.start) + note
        else:
            yield lead_end, node.end, " " + leaf(value, column)

    def _before_comment(self, lead_end: int, node: Node) -> int:
        return max(node.end, lead_end)

    def _alike(self, node: Node, value: Any) -> str | None:
        """The text written as the one in its place was: quoted as that, or plain where that was plain and no reader
        takes the new one for a number. The file is read again afterwards: what would not be this text is not taken."""
        if not isinstance(value, str) or node.kind != "scalar" or self.json:
            return None
        before = self.text[node.start : node.end]
        if node.style == "'" and value.isprintable():
            return "'" + value.replace("'", "''") + "'"
        if node.style or properties(self.text, node) or not _SIMPLE.match(before) or not _SIMPLE.match(value):
            return None
        return value if _VERSION.match(value) or not is_doubtful(value) else None

    def _leaf(self, node: Node, value: Any, column: int) -> str:
        if isinstance(value, str) and node.style == '"':
            return quoted(value)
        return leaf(value, column)

    def _insert(self, parent: Node, key: str, value: Any) -> Iterator[_Cut]:
        if parent.flow or self.json:
            name = self._flow(key)
            yield self._into_flow(parent, f"{name}: {self._flow(value)}")
            return
        column = self._column(parent.key_nodes[0].start)
        lines: list[str] = []
        add_member(key, value, column, " " * column, lines)
        last = parent.values[-1]
        end = max(last.end, parent.colons[-1])
        yield self._after_line(end, lines)
        if whole := _last_block(last):
            # A block that keeps its blank lines: what comes next comes behind them.
            yield whole, whole, self._joined([*lines, ""], whole)
        first = parent.key_nodes[0].start
        yield first, first, self._joined([*lines, ""], first).removeprefix(" " * column) + " " * column

    def _append(self, node: Node, value: Any) -> Iterator[_Cut]:
        if node.flow or self.json:
            yield self._into_flow(node, self._flow(value))
            return
        column = self._column(node.colons[0])
        lines: list[str] = []
        add_lines(value, column + 2, " " * column + "- ", lines)
        yield self._after_line(node.end, lines)
        if whole := _last_block(node.values[-1]):
            yield whole, whole, self._joined([*lines, ""], whole)

    def _after_line(self, at: int, lines: list[str]) -> _Cut:
        end = self._line_end(at)
        return end, end, self._joined(["", *lines], end)

    def _into_flow(self, node: Node, text: str) -> _Cut:
        if not node.values:
            at = node.end - 1
            return at, at, text
        at = node.values[-1].end if node.kind == "list" else max(node.values[-1].end, node.colons[-1])
        first = node.key_nodes[-1].start if node.kind == "map" else node.values[-1].start
        line = self.text[self.text.rfind("\n", 0, first) + 1 : first]
        gap = self._eol(at) + line if not line.strip() and "\n" in self.text[node.start : first] else " "
        return at, at, f",{gap}{text}"

    def _remove(self, parent: Node, step: str | int) -> Iterator[_Cut]:
        if parent.get(step) is None:
            return
        place = parent.keys.index(str(step)) if parent.kind == "map" else int(step)
        starts = [one.start for one in parent.key_nodes] if parent.kind == "map" else (parent.colons or [])
        if parent.flow:
            starts = starts or [one.start for one in parent.values]
            yield self._out_of_flow(parent, place, starts)
            return
        start = starts[place]
        end = max(parent.values[place].end, parent.colons[place])
        if len(starts) == 1:
            empty = "{}" if parent.kind == "map" else "[]"
            above = self.text[:start].rstrip(" \r\n")
            if above.endswith(":"):
                yield len(above), end, " " + empty
            yield start, end, empty
            return
        stop = self._line_end(end)
        begin = self.text.rfind("\n", 0, start) + 1
        if not self.text[begin:start].strip():
            after = stop + len(self._eol(stop)) if stop < len(self.text) else stop
            yield (begin, after, "") if after > stop else (max(self._line_end(begin - 1), 0), stop, "")
            if whole := _last_block(parent.values[place]):
                yield begin, whole, ""
        elif place + 1 < len(starts):
            following = starts[place + 1]
            if "#" not in self.text[end:following]:
                yield start, following, ""
            yield start, end, ""

    def _out_of_flow(self, parent: Node, place: int, starts: list[int]) -> _Cut:
        end = max(parent.values[place].end, parent.colons[place] if parent.kind == "map" else 0)
        if place + 1 < len(starts):
            return starts[place], starts[place + 1], ""
        if place:
            before = parent.values[place - 1].end
            return max(before, parent.colons[place - 1] if parent.kind == "map" else 0), end, ""
        rest = re.match(r"[ \t]*,", self.text[end:])
        return starts[place], end + (rest.end() if rest else 0), ""

    # --- text ---------------------------------------------------------------------------------------------------------

    def _flow(self, value: Any) -> str:
        """A value on one line; as JSON where the file is JSON."""
        if self.json:
            return json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict):
            return "{" + ", ".join(f"{self._flow(key)}: {self._flow(each)}" for key, each in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(self._flow(each) for each in value) + "]"
        if isinstance(value, str):
            plain = leaf(value, 0)
            return plain if _FLOW_PLAIN.match(plain) else quoted(value)
        return leaf(value, 0)

    def _spaced(self, at: int) -> str:
        return " " if at and self.text[at - 1] in ":-" else ""

    def _column(self, at: int) -> int:
        return at - (self.text.rfind("\n", 0, at) + 1)

    def _line_end(self, at: int) -> int:
        """Where the line of this place ends, before its line end."""
        end = self.text.find("\n", max(at, 0))
        if end < 0:
            return len(self.text)
        return end - 1 if end and self.text[end - 1] == "\r" else end

    def _eol(self, at: int) -> str:
        """The line end that is used around a place."""
        end = self.text.find("\n", at)
        end = end if end >= 0 else self.text.find("\n")
        return "\r\n" if end > 0 and self.text[end - 1] == "\r" else "\n"

    def _joined(self, lines: Sequence[str], at: int) -> str:
        return self._eol(at).join(line for text in lines for line in text.split("\n"))


def _last_block(node: Node) -> int:
    """Where the last block scalar in a node ends with its blank lines; 0 where it ends with none."""
    while node.values and not node.flow:
        node = node.values[-1]
    return node.whole if node.style in ("|", ">") else 0
