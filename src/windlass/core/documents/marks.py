"""Where in a file a field stands: a second, slower reading that keeps lines and forgets values. Asked by the reader for
the first of two equal keys, and by everybody who tells a person what is wrong with a field. It never fails: what it
can't read, it has no line for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from yaml._yaml import CParser

from windlass.core.documents import json_text, scalars

Path = tuple[str | int, ...]


def line_of(data: bytes, index: int, path: Sequence[str | int]) -> int:
    """The line (from 1) of the first key or item at ``path``, else of the nearest thing above it that is there, else
    0."""
    wanted = tuple(path)
    best, line = -1, 0
    walks = [_yaml_marks]
    if json_text.looks_like_json(data):
        walks.insert(0, json_text.marks)
    for walk in walks:
        for document, at, place in walk(data):
            if document > index:
                break
            if document == index and len(at) > best and at == wanted[: len(at)]:
                best, line = len(at), place
                if best == len(wanted):
                    return line
    return line


def _yaml_marks(data: bytes) -> Iterator[tuple[int, Path, int]]:
    """Each key and list item of each document: index of the document, path, line. Ends where the file can't be read
    on."""
    try:
        yield from _events(data)
    except (yaml.YAMLError, scalars.ScalarError, RecursionError):
        return


def _events(data: bytes) -> Iterator[tuple[int, Path, int]]:
    parser: Any = CParser(data)
    index = -1
    # A frame is [is it a mapping, the key or position it is at, whether the next thing in a mapping is a key].
    stack: list[list[Any]] = []
    while (event := parser.get_event()).__class__ is not yaml.StreamEndEvent:
        if isinstance(event, yaml.DocumentStartEvent):
            index += 1
            stack = []
            continue
        line = event.start_mark.line + 1
        if isinstance(event, yaml.NodeEvent):
            if not stack:
                yield index, (), line
            elif not stack[-1][0]:
                stack[-1][1] += 1
                yield index, _path(stack), line
            elif stack[-1][2]:
                stack[-1][1] = key_of(event)
                stack[-1][2] = False
                yield index, _path(stack), line
            else:
                stack[-1][2] = True
        if isinstance(event, yaml.CollectionStartEvent):
            mapping = isinstance(event, yaml.MappingStartEvent)
            stack.append([mapping, None if mapping else -1, True])
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop()


def _path(stack: list[list[Any]]) -> Path:
    return tuple(frame[1] for frame in stack)


def key_of(event: Any) -> str:
    """The text of a key, "" for one that is no text."""
    if not isinstance(event, yaml.ScalarEvent):
        return ""
    plain = (
        event.implicit[0]
        and event.tag is None
        and event.value != scalars.MERGE
        and event.value not in ("", "~", "null")
    )
    try:
        return scalars.key_text(event.value) if plain else str(event.value)
    except scalars.ScalarError:
        return str(event.value)
