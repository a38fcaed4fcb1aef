"""Objects from YAML as the original reads them: bytes to documents, each a tree of ``nodes``.

``objects`` is for resources, patches and generator configuration (yaml.v3: see ``resolve``); ``settings`` is for the
kustomization's own files, which the original reads as Kubernetes reads its objects. Both keep to the budget of
``core/documents``. A caller may pass a cache of what was parsed, by the digest or identity it likes.

What is read twice in one mapping is not refused here: the original sees it only when it prints, so that a patch with a
key twice counts by its first. ``DoubledKey`` remembers it for ``json_value``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml
from yaml._yaml import CParser

from windlass.core.documents.read import check, read, told_of
from windlass.core.documents.rules import Budget, Document, DocumentError, TooMuch
from windlass.core.kustomize.errors import shown
from windlass.core.kustomize.nodes import (
    FLOW,
    FOLDED,
    LITERAL,
    PLAIN,
    QUOTED,
    SINGLE,
    TAGGED,
    BareKey,
    DoubledKey,
    Node,
    Scalar,
    copy,
)
from windlass.core.kustomize.resolve import MERGE, NULL, STR, TIMESTAMP, resolve
from windlass.errors import Where

_SEPARATOR = re.compile(rb"\n---[^\n]*\n")
_SLASH_ESCAPE = re.compile(r"\\/")
_TAG = "tag:yaml.org,2002:"
_BOM = b"\xef\xbb\xbf"
_DEFAULT = Budget()
_NO_KEY: Any = object()
_OPEN: Any = object()


class Parsed(NamedTuple):
    """A document and the line, from 1, where its content begins."""

    node: Node
    line: int


def objects(data: bytes, file: str, budget: Budget = _DEFAULT) -> list[Parsed]:
    """The documents of a file that are not empty. Raises ``DocumentError`` with file and line."""
    check(data, file, budget)
    _refuse_slash_escapes(data, file)
    text = data.replace(b"\r\n", b"\n")
    found: list[Parsed] = []
    reader = _Reader(file, budget)
    start = 0
    line = 0
    for separator in [*_SEPARATOR.finditer(text), None]:
        end = separator.start() + 1 if separator else len(text)
        part = text[start:end]
        if part.strip():
            parsed = reader.first(part, line)
            if parsed is not None:
                found.append(parsed)
        if separator is None:
            break
        rest = separator[0][4:].strip()
        line += text.count(b"\n", start, separator.end())
        if rest and not rest.startswith(b"#"):
            raise DocumentError(
                f'"---{shown(rest.decode(), 40)}" begins no document',
                where=Where(file=file, line=line),
                hint="write --- on a line of its own",
            )
        start = separator.end()
    return found


def settings(data: bytes, file: str, *, strict: bool = False) -> Any:
    """The value of a file of settings: the first document, None where it is empty. ``strict`` refuses a key that is
    there twice."""
    _refuse_slash_escapes(data, file)
    found: list[Document] = read(data, file, last_key_wins=not strict)
    return found[0].value if found and found[0].index == 0 else None


# What waits while a list or mapping is read: its container, the key it stands under, its anchor, whether it is flow.
_Frame = tuple[Any, Any, str | None, bool]


def _refuse_slash_escapes(data: bytes, file: str) -> None:
    """``\\/`` in quotes: JSON knows it, the original's YAML does not, and JSON is YAML to it."""
    if b"\\/" not in data:
        return
    text = data.decode(errors="replace")  # what is no text is refused by whoever reads it next
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if event.__class__ is yaml.ScalarEvent and event.style == '"' and "/" in event.value:
                start, end = event.start_mark, event.end_mark
                written = text[start.index : end.index] if start is not None and end is not None else ""
                if _SLASH_ESCAPE.search(written.replace("\\\\", "")):
                    raise DocumentError(
                        "there is no escape \\/ in YAML",
                        where=Where(file=file, line=start.line + 1 if start is not None else 0),
                        hint="write / alone",
                    )
    except yaml.YAMLError:
        return


class _Reader:
    """Documents of one file, by the events of PyYAML's C parser."""

    def __init__(self, file: str, budget: Budget) -> None:
        self.file = file
        self.depth = budget.depth
        self.nodes_left = budget.nodes
        self.text_left = budget.text
        self.offset = 0

    def first(self, text: bytes, offset: int) -> Parsed | None:
        """The first document of ``text``, or None where it is empty; what comes after it is not read."""
        self.offset = offset
        parser: Any = CParser(text.removeprefix(_BOM))
        try:
            get: Callable[[], Any] = parser.get_event
            while (event := get()).__class__ is not yaml.DocumentStartEvent:
                if event.__class__ is yaml.StreamEndEvent:
                    return None
            line = parser.peek_event().start_mark.line + 1 + offset
            node = self._document(get)
        except yaml.YAMLError as error:
            told = told_of(error, text, self.file)
            told.where = Where(file=self.file, line=told.where.line + offset if told.where.line else 0)
            raise told from None
        finally:
            parser.dispose()
        if node.__class__ is Scalar and node.tag == "null":
            return None
        return Parsed(node, line)

    def _document(self, get: Callable[[], Any]) -> Node:  # noqa: C901 - one loop, its branches are the kinds of events
        scalar_event, mapping_start, sequence_start = yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent
        anchors: dict[str, Any] = {}
        stack: list[_Frame] = []
        here: Any = []
        root = here
        key: Any = _NO_KEY
        anchor: str | None = None
        flow = False
        event: Any = None
        while True:
            event = get()
            kind = event.__class__
            self.nodes_left -= 1
            if self.nodes_left < 0:
                raise TooMuch("the file has too many values", where=self._where(event), hint="split it into several")
            if kind is scalar_event:
                value: Any = _scalar(event)
                if flow and event.tag is None and _is_quoted_in_flow(value):
                    value.style |= FLOW
                if event.anchor is not None:
                    anchors[event.anchor] = value
            elif kind is mapping_start or kind is sequence_start:
                if here.__class__ is dict and key is _NO_KEY:
                    raise self._refused("a key must be text, not a list or a mapping", event)
                stack.append((here, key, anchor, flow))
                flow = bool(event.flow_style)
                if len(stack) > self.depth:
                    raise TooMuch(
                        f"lists and mappings are more than {self.depth} levels deep",
                        where=self._where(event),
                        hint="no Kubernetes object is that deep",
                    )
                here = {} if kind is mapping_start else []
                key = _NO_KEY
                anchor = event.anchor
                if anchor is not None:
                    anchors[anchor] = _OPEN
                continue
            elif kind is yaml.AliasEvent:
                value = self._alias(anchors, event)
                if key is _MERGE_MARK and value.__class__ is not dict:
                    raise self._refused("<< takes a mapping, and this alias stands for none", event)
            elif not stack:
                return root[0]
            else:
                value = _merged(here, self, event) if here.__class__ is dict and _MERGE_MARK in here else here
                # The same name given again inside counts from there on.
                if anchor is not None and anchors[anchor] is _OPEN:
                    anchors[anchor] = value
                here, key, anchor, flow = stack.pop()
            if here.__class__ is list:
                here.append(value)
            elif key is _NO_KEY:
                if value.__class__ is not Scalar:
                    raise self._refused("a key must be text, not a list or a mapping", event)
                key = _key(value)
                if key in here:
                    if key is _MERGE_MARK:
                        raise self._refused("<< is there twice in one mapping", event)
                    key = DoubledKey(f"{key}\0{len(here)}")
            else:
                here[key] = value
                key = _NO_KEY

    def _alias(self, anchors: dict[str, Any], event: Any) -> Node:
        name = event.anchor
        found = anchors.get(name)
        if found is None:
            raise self._refused(f"the alias *{shown(name, 40)} has no anchor before it", event)
        if found is _OPEN:
            raise self._refused(f"the alias *{shown(name, 40)} stands inside what it stands for", event)
        self._pay(found, event)
        return copy(found)

    def _pay(self, node: Node, event: Any) -> None:
        """What an alias stands for counts as if it were written out."""
        waiting = [node]
        while waiting:
            item = waiting.pop()
            self.nodes_left -= 1
            if item.__class__ is Scalar:
                self.text_left -= len(item.text)
            elif item.__class__ is dict:
                waiting.extend(item.values())
            else:
                waiting.extend(item)
            if self.nodes_left < 0 or self.text_left < 0:
                raise TooMuch(
                    "aliases or merge keys multiply this file beyond all measure",
                    where=self._where(event),
                    hint="write the values in a simpler way",
                )

    def _refused(self, what: str, event: Any) -> DocumentError:
        return DocumentError(what, where=self._where(event), hint="check the YAML of this line and the lines before")

    def _where(self, event: Any) -> Where:
        return Where(file=self.file, line=event.start_mark.line + 1 + self.offset)


STYLES = {'"': QUOTED, "'": QUOTED | SINGLE, "|": QUOTED | LITERAL, ">": QUOTED | FOLDED}


def _is_quoted_in_flow(value: Scalar) -> bool:
    return (value.tag == NULL and not value.text) or (value.tag == TIMESTAMP and ":" in value.text)


def _scalar(event: Any) -> Scalar:
    text = event.value
    tag = event.tag
    if tag is not None and tag != "!":
        return Scalar(tag.removeprefix(_TAG), text, TAGGED | STYLES.get(event.style, PLAIN))
    if event.style:
        return Scalar(STR, text, STYLES[event.style])
    return Scalar(resolve(text), text, PLAIN)


_MERGE_MARK: str = BareKey("<<")


def _key(value: Scalar) -> str:
    if value.tag == STR:
        return value.text
    return _MERGE_MARK if value.tag == MERGE else BareKey(value.text)


def _merged(here: dict[str, Node], reader: _Reader, event: Any) -> dict[str, Node]:
    """A mapping with what ``<<`` brings: its own keys win, then the first of several sources."""
    sources = here.pop(_MERGE_MARK)
    out = dict(here)
    for source in sources if sources.__class__ is list else [sources]:
        if source.__class__ is not dict:
            raise reader._refused("<< takes a mapping or a list of mappings", event)
        for name, value in source.items():
            out.setdefault(name, value)
    return out
