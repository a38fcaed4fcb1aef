"""JSON and YAML inside a text, such as a configuration file in a ConfigMap: a replacement may point into it.

The text is read, changed at one place and written again as the original does it: JSON with its keys sorted, on one line
or indented by two; YAML with the quotes and brackets that it had. Comments in such YAML would be lost, so it is refused
by name. Called by ``replacements``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import yaml
from yaml._yaml import CParser

from windlass.core.kustomize.errors import KustomizeError, NotSupported
from windlass.core.kustomize.nodes import PLAIN, SINGLE, TAGGED, Node, Scalar, json_value
from windlass.core.kustomize.paths import Slot, lookup, match
from windlass.core.kustomize.reading import STYLES as _STYLES
from windlass.core.kustomize.resolve import NULL, STR, go_float, resolve

_TAG: Final = "tag:yaml.org,2002:"
_WIDE: Final = 1 << 20
# After a break at the end of a text in single quotes, the original puts the closing quote at the start of the line.
_CLOSING_QUOTE: Final = re.compile(r"\n +'(?=[,\]}\n:])")
_DEEPEST: Final = 100
_LARGEST: Final = 1 << 20


def replace(tree: Node, parts: tuple[str, ...], value: Node, create: str, put: Callable[[Slot, Node], None]) -> bool:
    """Put ``value`` where the path points into a text. False where the path meets no such text, or nothing in it."""
    for length in range(1, len(parts)):
        try:
            holder = lookup(tree, parts[:length])
        except KustomizeError:
            continue
        if holder.__class__ is Scalar:
            return _replace(holder, parts[length:], value, create, put)
    return False


def _replace(
    holder: Scalar, parts: tuple[str, ...], value: Node, create: str, put: Callable[[Slot, Node], None]
) -> bool:
    text = holder.text
    if len(text) > _LARGEST:
        raise NotSupported("a replacement points into a text of more than 1 MiB", hint="point at a field instead")
    try:
        document = _Document(text)
        found = match([document.root], 0, parts, create)
        if not found:
            return False
        for slot in found:
            put(slot, value)
    except (yaml.YAMLError, KustomizeError):
        return False
    if text.strip()[:1] in ("{", "["):
        # What can't be JSON changes nothing in the original, without a word.
        with suppress(KustomizeError):
            holder.text = _as_json(document.root, text)
    else:
        if document.comments:
            raise NotSupported(
                "a replacement points into YAML with comments, which would be lost",
                hint="take the comments out of that text, or keep it as a file of its own",
            )
        holder.text = document.written()
    return True


class _Document:
    """The tree of a text, and how each of its nodes is written."""

    def __init__(self, text: str) -> None:
        self.flow: set[int] = set()
        self.keys: dict[tuple[int, str], Scalar] = {}
        self.kept: list[Node] = []
        self.comments = False
        self.ends_in_quotes = False
        self.root = self._read(text)

    def _read(self, text: str) -> Node:
        parser: Any = CParser(text)
        at = 0
        stack: list[tuple[Node, str | None]] = []
        here: Node = []
        root = here
        key: str | None = None
        try:
            while True:
                event = parser.get_event()
                kind = event.__class__
                if kind is yaml.StreamEndEvent or kind is yaml.DocumentEndEvent:
                    break
                if kind in (yaml.StreamStartEvent, yaml.DocumentStartEvent):
                    continue
                if kind is yaml.AliasEvent or getattr(event, "anchor", None) is not None:
                    raise KustomizeError("anchors inside a text are not changed")
                node: Node = None
                if kind is yaml.ScalarEvent:
                    self.comments = self.comments or "#" in text[at : event.start_mark.index]
                    at = event.end_mark.index
                    node = self._scalar(event)
                elif kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
                    stack.append((here, key))
                    if len(stack) > _DEEPEST:
                        raise KustomizeError("the text is too deep")
                    here = {} if kind is yaml.MappingStartEvent else []
                    self.kept.append(here)
                    if event.flow_style:
                        self.flow.add(id(here))
                    key = None
                    continue
                else:
                    node = here
                    here, key = stack.pop()
                if isinstance(here, list):
                    here.append(node)
                elif key is None:
                    if node.__class__ is not Scalar or node.text in here:
                        raise KustomizeError("a key that is no text, or is there twice")
                    key = node.text
                    self.keys[id(here), key] = node
                else:
                    here[key] = node
                    key = None
            self.comments = self.comments or "#" in text[at:]
        finally:
            parser.dispose()
        if not root:
            raise KustomizeError("the text is empty")
        return root[0]

    def _scalar(self, event: Any) -> Scalar:
        text = event.value
        if event.tag is not None:
            node = Scalar(event.tag.removeprefix(_TAG), text, TAGGED | _STYLES.get(event.style, PLAIN))
        else:
            node = Scalar(STR, text, _STYLES[event.style]) if event.style else Scalar(resolve(text), text)
        return node

    def written(self) -> str:
        """The text again."""
        events: list[Any] = [yaml.StreamStartEvent(), yaml.DocumentStartEvent(explicit=False)]
        self._events(self.root, events)
        events += [yaml.DocumentEndEvent(explicit=False), yaml.StreamEndEvent()]
        text: str = yaml.emit(events, Dumper=yaml.CDumper, width=_WIDE, allow_unicode=True)
        if self.ends_in_quotes:
            text = _CLOSING_QUOTE.sub("\n'", text)
        return text.removesuffix("...\n").strip()

    def _events(self, node: Node, out: list[Any]) -> None:
        if node.__class__ is dict:
            out.append(yaml.MappingStartEvent(None, None, implicit=True, flow_style=id(node) in self.flow))
            for name, value in node.items():
                given = self.keys.get((id(node), name), Scalar(resolve(name), str(name)))
                out.append(_scalar_event(given))
                self._events(value, out)
            out.append(yaml.MappingEndEvent())
        elif node.__class__ is list:
            out.append(yaml.SequenceStartEvent(None, None, implicit=True, flow_style=id(node) in self.flow))
            for item in node:
                self._events(item, out)
            out.append(yaml.SequenceEndEvent())
        else:
            self.ends_in_quotes = self.ends_in_quotes or (bool(node.style & SINGLE) and node.text.endswith("\n"))
            out.append(_scalar_event(node))


def _scalar_event(node: Scalar) -> Any:
    quotes = next((mark for mark, style in _STYLES.items() if node.style & ~TAGGED == style), "")
    found = resolve(node.text)
    named = bool(node.style & TAGGED) or node.tag not in ("", STR, found)
    tag = (node.tag if node.tag.startswith("!") else _TAG + node.tag) if named else None
    if not quotes and "\n" in node.text:
        quotes = "|"
    elif not quotes and node.tag == STR and found != STR:
        quotes = '"'
    implicit = (tag is None, tag is None)
    return yaml.ScalarEvent(None, tag, implicit, node.text, style=quotes or None)


def _quote_empty(node: Node) -> None:
    """Between brackets, what is written as nothing is the empty text."""
    for item in node.values() if node.__class__ is dict else node if node.__class__ is list else ():
        if item.__class__ is not Scalar:
            _quote_empty(item)
        elif not item.text and not item.style and item.tag in ("", NULL):
            item.tag = STR


def _as_json(node: Node, before: str) -> str:
    _quote_empty(node)
    value = json_value(node)
    text = _json(value, 0, indented="\n" in before and "  " in before)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _json(value: Any, depth: int, *, indented: bool) -> str:
    """JSON as Go writes it: sorted keys, numbers in its form."""
    if isinstance(value, float):
        return go_float(value, "json")
    if not isinstance(value, dict | list) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = "\n" + "  " * (depth + 1) if indented else ""
    end = "\n" + "  " * depth if indented else ""
    if isinstance(value, list):
        return "[" + ",".join(inner + _json(each, depth + 1, indented=indented) for each in value) + end + "]"
    colon = ": " if indented else ":"
    members = (
        f"{inner}{json.dumps(name, ensure_ascii=False)}{colon}{_json(value[name], depth + 1, indented=indented)}"
        for name in sorted(value)
    )
    return "{" + ",".join(members) + end + "}"
