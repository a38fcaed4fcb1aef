"""Where every node of a YAML document stands in its text: the tree that in-place edits are made by.

``splices`` asks for it. Positions are in characters of the text without its byte-order mark. It keeps no values but
those of scalars as they are written; what they mean is the reader's to say.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml._yaml import CParser

from windlass.core.documents.marks import key_of

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")


@dataclass(slots=True)
class Node:
    """``kind``: scalar, map, list or alias. ``start`` is where its anchor or tag begins, else its content; ``end`` is
    behind its last character that is not white space. ``style`` is of a scalar: "" plain, else ``'"|>``. ``whole`` is
    the end of a block scalar with the blank lines that may belong to it."""

    kind: str
    start: int
    end: int
    flow: bool = False
    style: str = ""
    anchor: str = ""
    whole: int = 0
    keys: list[str] = field(default_factory=list)
    """Of a map: the text of each key, "<<" for a merge."""
    key_nodes: list[Node] = field(default_factory=list)
    colons: list[int] = field(default_factory=list)
    """Of a map: behind the colon of each key. Of a block list: where each dash is."""
    values: list[Node] = field(default_factory=list)
    """The values of a map, the items of a list."""

    def get(self, step: str | int) -> Node | None:
        """The value of a key, or the item at an index."""
        if self.kind == "map" and isinstance(step, str):
            return self.values[self.keys.index(step)] if step in self.keys else None
        if self.kind == "list" and isinstance(step, int) and 0 <= step < len(self.values):
            return self.values[step]
        return None


def layout(text: str, index: int) -> Node | None:
    """The root of the document at ``index`` (empty documents counted); None where there is no such document.

    The text was read before by ``read``: what it refuses does not come here.
    """
    dashes, colons = _tokens(text)
    parser: Any = CParser(text)
    try:
        at = -1
        while (event := parser.get_event()).__class__ is not yaml.StreamEndEvent:
            if event.__class__ is yaml.DocumentStartEvent:
                at += 1
            elif at == index and isinstance(event, yaml.NodeEvent):
                return _Reader(text, parser, dashes, colons).node(event)
        return None
    finally:
        parser.dispose()


def properties(text: str, node: Node) -> str:
    """The anchor and the tag in front of a scalar, with the space behind them; "" where it has none."""
    found = _PROPERTIES.match(text, node.start, node.end) if node.style not in ("|", ">") else None
    return found[0] if found is not None else ""


def _tokens(text: str) -> tuple[list[int], list[int]]:
    """Where the dashes of block lists are, and what is behind the colons of keys."""
    dashes: list[int] = []
    colons: list[int] = []
    tokens: Iterable[Any] = yaml.scan(text, Loader=yaml.CLoader)
    for token in tokens:
        if token.__class__ is yaml.BlockEntryToken:
            dashes.append(token.start_mark.index)
        elif token.__class__ is yaml.ValueToken:
            colons.append(token.end_mark.index)
    return dashes, colons


class _Reader:
    def __init__(self, text: str, parser: Any, dashes: list[int], colons: list[int]) -> None:
        self._text = text
        self._parser = parser
        self._dashes = dashes
        self._colons = colons

    def node(self, event: Any) -> Node:
        start: int
        end: int
        start, end = event.start_mark.index, event.end_mark.index
        if isinstance(event, yaml.AliasEvent):
            return Node("alias", start, end, anchor=str(event.anchor))
        if isinstance(event, yaml.ScalarEvent):
            style = event.style or ""
            trimmed = start + len(self._text[start:end].rstrip()) if style in ("|", ">") else end
            return Node("scalar", start, trimmed, style=style, anchor=event.anchor or "", whole=end)
        made = Node(
            "map" if isinstance(event, yaml.MappingStartEvent) else "list",
            start,
            end,
            flow=bool(event.flow_style),
            anchor=event.anchor or "",
        )
        while (event := self._parser.get_event()).__class__ not in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            if made.kind == "map":
                self._pair(made, event)
            else:
                item = self.node(event)
                made.values.append(item)
                if not made.flow:
                    made.colons.append(self._dashes[bisect.bisect_left(self._dashes, item.start) - 1])
        closing: Any = event
        if made.flow:
            made.end = closing.end_mark.index
        elif made.values:
            made.end = max(made.values[-1].end, made.colons[-1] if made.kind == "map" else made.colons[-1] + 1)
        return made

    def _pair(self, made: Node, event: Any) -> None:
        made.keys.append(key_of(event))
        key = self.node(event)
        value = self.node(self._parser.get_event())
        at = bisect.bisect_left(self._colons, key.end + 1)
        made.colons.append(self._colons[at] if at < len(self._colons) and self._colons[at] <= value.start else key.end)
        made.key_nodes.append(key)
        made.values.append(value)
