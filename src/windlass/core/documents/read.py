"""From the bytes of a file to its documents: JSON where it is JSON, YAML by the events of PyYAML's C parser and the
builder of this module.

Called by render workers, the command line and the development server. The builder keeps no positions, which makes it
fast: the line of a field, or of the first of two equal keys, is looked up by reading the file a second time, and only
when there is something to tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import yaml
from yaml._yaml import CParser

from windlass.core.documents import json_text, scalars
from windlass.core.documents.marks import line_of
from windlass.core.documents.rules import Budget, Document, DocumentError, DuplicateKey, TooMuch, line_at
from windlass.errors import Where

_BOM = b"\xef\xbb\xbf"
_NO_KEY: Any = object()
_MERGE_KEY: Any = object()
_OPEN: Any = object()
# What waits while a list or mapping is read: its parent, whether that is a mapping, the key it stands under, its
# anchor, the keys merged.
_Frame = tuple[Any, bool, Any, str | None, set[str] | None]
_MAP_TAGS = (None, "tag:yaml.org,2002:map")
_SEQUENCE_TAGS = (None, "tag:yaml.org,2002:seq")
_DEFAULT = Budget()
# A place where a tag or an anchor may begin: & or ! after what ends a token, and not the operators of shells and
# programs.
_RICH = re.compile(rb"[!&](?<=[\s\[\]{},:?\-\"'].)(?![&=>])")
_HINTS = (
    (
        "cannot start any token",
        "YAML is indented with spaces, not tabs; a value that starts with @, ` or % is written in quotes",
    ),
    (
        "mapping values are not allowed",
        "a value with a colon in it is written in quotes; check the indentation of this line and the one before",
    ),
    ("expected key", "check the indentation of this line and the lines before"),
    ("expected ',' or", "a list [...] or mapping {...} on one line is not closed, or a comma is missing"),
    ("quoted scalar", "a quotation mark is not closed"),
    ("undefined alias", "define it with & before it is used with *"),
)


def read(data: bytes, file: str, budget: Budget = _DEFAULT, *, last_key_wins: bool = False) -> list[Document]:
    """All documents of a file that are not empty, in order.

    ``last_key_wins`` takes the last of equal keys in a YAML mapping, as kustomize does with its own file, instead of
    refusing the second. Raises :class:`DocumentError` (or its kinds ``DuplicateKey``, ``TooMuch``), never anything
    else, with file and line.
    """
    check(data, file, budget)
    text = data.removeprefix(_BOM)
    trouble: DocumentError | None = None
    if json_text.looks_like_json(text):
        try:
            return json_text.read(text, file, budget)
        except json_text.NotJson as error:
            # `{a: 1}` is YAML that only looks like JSON.
            trouble = error.told(file)
    try:
        return _Builder(text, file, budget, last_key_wins).documents()
    except DocumentError as error:
        if trouble is not None and (file.endswith(".json") or isinstance(error, TooMuch)):
            raise trouble from None
        raise
    except yaml.YAMLError as error:
        told = told_of(error, text, file)
        if trouble is not None and file.endswith(".json"):
            raise trouble from None
        raise told from None


def locate(data: bytes, document_index: int, path: Sequence[str | int]) -> int:
    """The line (from 1) of a field of a document. Where the path ends early or the file can't be read, the nearest line
    above it."""
    return line_of(data.removeprefix(_BOM), document_index, path)


def check(data: bytes, file: str, budget: Budget) -> None:
    """Refuses what is too large or no UTF-8 text, before a parser sees it."""
    if len(data) > budget.size:
        raise TooMuch(
            f"the file has {len(data)} bytes, more than {budget.size}",
            where=Where(file=file),
            hint="split it into several files",
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DocumentError("the file is UTF-16", where=Where(file=file, line=1), hint="save it as UTF-8")
    if (at := data.find(b"\0")) >= 0:
        raise DocumentError(
            "the file has a NUL byte",
            where=Where(file=file, line=line_at(data, at)),
            hint="is it text? it must be UTF-8",
        )
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            where=Where(file=file, line=line_at(data, error.start)),
            hint="save the file as UTF-8",
        ) from None


def told_of(error: yaml.YAMLError, data: bytes, file: str) -> DocumentError:
    """The parser's complaint with its line and what usually causes it. The parser quotes no content, so none is
    copied."""
    if isinstance(error, yaml.reader.ReaderError):
        code = error.character if isinstance(error.character, int) else ord(error.character[:1] or "\0")
        place = Where(file=file, line=line_at(data, error.position))
        return DocumentError(
            f"the character U+{code:04X} is not allowed in YAML",
            where=place,
            hint='write it as an escape in double quotes: "\\x07"',
        )
    problem = str(getattr(error, "problem", None) or "it is not YAML")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    context = str(getattr(error, "context", None) or "")
    line = mark.line + 1 if mark is not None else 0
    hint = next(
        (hint for word, hint in _HINTS if word in problem or word in context),
        "check the YAML of this line and the lines before",
    )
    return DocumentError(
        f"this is not YAML: {context + ', ' if context else ''}{problem}", where=Where(file=file, line=line), hint=hint
    )


class _Builder:
    """One pass over the events of a file."""

    def __init__(self, data: bytes, file: str, budget: Budget, last_key_wins: bool) -> None:
        self.last_key_wins = last_key_wins
        self.data = data
        self.file = file
        self.budget = budget
        self.nodes_left = budget.nodes
        self.text_left = budget.text
        # What unquoted text was found to mean in this file: the same few numbers and words come again and again.
        self.known: dict[str, Any] = {}
        self.index = 0
        # Where no tag or anchor can begin anywhere, no node has to be asked for one.
        self.rich = data[:1] in (b"!", b"&") or _RICH.search(data) is not None

    def documents(self) -> list[Document]:
        parser: Any = CParser(self.data)
        try:
            get: Callable[[], Any] = parser.get_event
            found: list[Document] = []
            while (event := get()).__class__ is not yaml.StreamEndEvent:
                if event.__class__ is not yaml.DocumentStartEvent:
                    continue
                line = parser.peek_event().start_mark.line + 1
                value = self._document(get)
                if value is not None:
                    found.append(Document(value, self.file, line, self.index))
                self.index += 1
            return found
        finally:
            parser.dispose()

    def _document(self, get: Callable[[], Any]) -> Any:  # noqa: C901 - one loop, its branches are the kinds of events
        # This loop is where the time goes: locals, the common case first, and as few attribute reads as there can be.
        special = scalars.SPECIAL
        scalar_event, mapping_start, sequence_start = yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent
        rich, known = self.rich, self.known
        anchors: dict[str, Any] = {}
        stack: list[_Frame] = []
        here: Any = []
        root = here
        is_map = False
        key: Any = _NO_KEY
        anchor: str | None = None
        merged: set[str] | None = None
        event: Any = None
        try:
            for count in range(self.nodes_left + 1):
                event = get()
                kind = event.__class__
                if kind is scalar_event:
                    value = event.value
                    if rich and (event.tag is not None or event.anchor is not None):
                        value = self._rich(event, anchors)
                    elif (value < ":" or value in special) and not event.style:
                        # All that is not text begins with a character up to 9, or is one of the special words.
                        if is_map and key is _NO_KEY:
                            value = _MERGE_KEY if value == "<<" else scalars.key_text(value)
                        elif value in known:
                            value = known[value]
                        else:
                            text, value = value, scalars.plain(value) if value != "<<" else value
                            known[text] = value
                elif kind is mapping_start or kind is sequence_start:
                    if is_map and key is _NO_KEY:
                        raise scalars.ScalarError("a key must be text, not a list or a mapping")
                    stack.append((here, is_map, key, anchor, merged))
                    is_map = kind is mapping_start
                    here = {} if is_map else []
                    anchor = self._open(event, anchors) if rich else None
                    if len(stack) > self.budget.depth:
                        raise _too_much(f"lists and mappings are more than {self.budget.depth} levels deep")
                    key, merged = _NO_KEY, None
                    continue
                elif kind is yaml.AliasEvent:
                    value = self._alias(anchors, event.anchor)
                elif not stack:
                    # The end of the document.
                    self.nodes_left -= count
                    return root[0] if root else None
                else:
                    value = here
                    if anchor is not None:
                        anchors[anchor] = value
                    here, is_map, key, anchor, merged = stack.pop()
                if key.__class__ is str:
                    here[key] = value
                    if merged is not None:
                        merged.discard(key)
                    key = _NO_KEY
                elif not is_map:
                    here.append(value)
                elif key is _MERGE_KEY:
                    merged = _merge(value, here, merged)
                    key = _NO_KEY
                else:
                    if value.__class__ is not str and value is not _MERGE_KEY:
                        value = _key(value)
                    if value in here and not self.last_key_wins and (merged is None or value not in merged):
                        raise self._duplicate(value, stack, event)
                    key = value
        except scalars.ScalarError as error:
            hint = "put it in quotes if it is meant as text"
            raise DocumentError(str(error), where=self._where(event), hint=hint) from None
        except DocumentError as error:
            error.where = error.where if error.where.file else self._where(event)
            raise
        raise TooMuch(
            f"the file has more than {self.budget.nodes} values",
            where=self._where(event),
            hint="split it into several files",
        )

    def _rich(self, event: Any, anchors: dict[str, Any]) -> Any:
        """A scalar with a tag or an anchor."""
        value: Any = event.value
        if event.tag is not None:
            value = scalars.tagged(event.tag, value)
        elif event.implicit[0]:
            value = scalars.plain(value)
        if event.anchor is not None:
            anchors[event.anchor] = value
        return value

    def _open(self, event: Any, anchors: dict[str, Any]) -> str | None:
        """The anchor of a list or mapping that begins, and a check of its tag."""
        if event.tag not in (_MAP_TAGS if event.__class__ is yaml.MappingStartEvent else _SEQUENCE_TAGS):
            raise scalars.ScalarError(f"the tag {scalars.shown(event.tag)} has no meaning in Kubernetes")
        anchor: str | None = event.anchor
        if anchor is not None:
            anchors[anchor] = _OPEN
        return anchor

    def _alias(self, anchors: dict[str, Any], name: str) -> Any:
        if name not in anchors:
            raise DocumentError(
                f"the alias *{name} has no anchor &{name} before it", hint=f"define &{name} first, in the same document"
            )
        if anchors[name] is _OPEN:
            raise DocumentError(f"the alias *{name} stands inside what it stands for", hint="write the value out")
        return self._copy(anchors[name])

    def _copy(self, value: Any) -> Any:
        """A value of its own for each alias, so that changing one never changes the other; paid from the budget."""
        self.nodes_left -= 1
        if isinstance(value, str):
            self.text_left -= len(value)
        if self.nodes_left < 0 or self.text_left < 0:
            raise _too_much("aliases or merge keys multiply this file beyond all measure")
        if isinstance(value, dict):
            return {name: self._copy(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self._copy(member) for member in value]
        return value

    def _where(self, event: Any) -> Where:
        return Where(file=self.file, line=event.start_mark.line + 1 if event is not None else 0)

    def _duplicate(self, key: str, stack: list[_Frame], event: Any) -> DuplicateKey:
        path: list[str | int] = []
        for container, is_map, name, _, _ in stack[1:]:
            path.append(("<<" if name is _MERGE_KEY else name) if is_map else len(container))
        second = event.start_mark.line + 1
        return DuplicateKey(
            key, file=self.file, first=line_of(self.data, self.index, [*path, key]) or second, second=second
        )


def _key(value: Any) -> str:
    if isinstance(value, dict | list):
        raise scalars.ScalarError("a key must be text, not a list or a mapping")
    return scalars.key(value)


def _merge(value: Any, here: dict[str, Any], merged: set[str] | None) -> set[str]:
    """Take the keys of ``<<`` over, as Kubernetes does it: at the place where it stands, so that only what comes after
    it overrides."""
    merged = set() if merged is None else merged
    sources = value if isinstance(value, list) else [value]
    for source in reversed(sources):
        if not isinstance(source, dict):
            raise DocumentError(
                "<< takes a mapping or a list of mappings", hint="write <<: *name, where &name is a mapping"
            )
        for name, member in source.items():
            if name not in here:
                merged.add(name)
            here[name] = member
    return merged


def _too_much(what: str) -> TooMuch:
    return TooMuch(what, hint="write the values in a simpler way")
