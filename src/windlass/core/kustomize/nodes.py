"""The tree that a kustomization works on: plain dicts and lists, and a ``Scalar`` for each leaf.

Used by every module of this room. A leaf is an object with an identity of its own, because the original's leaves are:
where a label is put into three places at once, they share one leaf, and a patch that changes it in one place later
changes all three. ``set_field`` and ``set_scalar`` hold the rules by which a new value takes over the way its
predecessor was written, which decide whether ``123`` ends as a number or as text.

``json_value`` says what a tree means in the end, as JSON; ``from_json`` is the way back that a JSON patch takes.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any, Final, final

from typing_extensions import override

from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.printing import style
from windlass.core.kustomize.resolve import (
    BINARY,
    BOOL,
    FLOAT,
    INT,
    NULL,
    STR,
    TIMESTAMP,
    go_float,
    is_word_of_yaml_1_1,
    meaning,
    resolve,
    timestamp_as_json,
)
from windlass.core.kustomize.rewriting import block_again

PLAIN: Final = 0
QUOTED: Final = 1
"""Written in quotes, or as a block: a string, whatever it looks like."""
TAGGED: Final = 2
"""Written with its tag before it, in quotes (3) or not."""

FLOW: Final = 4
"""Stands between brackets, where the original writes it in quotes before it reads it again: an empty value becomes the
empty text, a time stays the text that it is."""

LITERAL: Final = 8
"""Written as a block, besides ``QUOTED``."""
FOLDED: Final = 16
"""Written as a folded block, besides ``QUOTED``."""
SINGLE: Final = 32
"""Written in single quotes, besides ``QUOTED``."""
_BLOCK: Final = LITERAL | FOLDED
_STYLES: Final = {"plain": PLAIN, "single": QUOTED | SINGLE, "double": QUOTED}

Node = Any
"""``dict[str, Node]``, ``list[Node]`` or ``Scalar``; None where there is nothing (which is not the null of YAML)."""


@final
class Scalar:
    """A leaf: the tag it is known by (empty: what it looks like decides), its text, and how it is written."""

    __slots__ = ("style", "tag", "text")

    def __init__(self, tag: str, text: str, style: int = PLAIN) -> None:
        self.tag = tag
        self.text = text
        self.style = style

    @override
    def __repr__(self) -> str:
        return f"Scalar({self.tag!r}, {self.text!r}, {self.style})"


@final
class BareKey(str):
    """A key that, as it is written, is no text: ``1``, ``true``. JSON has no such keys, except at the root."""

    __slots__ = ()


@final
class DoubledKey(str):
    """A key that stands a second time in its mapping: its text, a NUL, and a number."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The key as it was written."""
        return self.partition("\0")[0]


def string(text: str) -> Scalar:
    """A leaf that is a string, written in the way it needs."""
    return Scalar(STR, text, PLAIN)


def data_string(text: str) -> Scalar:
    """A leaf of generated data: several lines are a block."""
    return Scalar(STR, text, QUOTED | LITERAL if "\n" in text else PLAIN)


def untagged(text: str) -> Scalar:
    """A leaf whose meaning is decided by what it looks like where it ends up."""
    return Scalar("", text, PLAIN)


def text_of(node: Node) -> str:
    """The text of a leaf; nothing for all else."""
    return node.text if node.__class__ is Scalar else ""


def is_null(node: Node) -> bool:
    """Whether this is nothing, or a null."""
    return node is None or (node.__class__ is Scalar and node.tag == NULL)


def is_empty(node: Node) -> bool:
    """Whether this is nothing, a null, an empty list or an empty mapping."""
    if node.__class__ is Scalar:
        return bool(node.tag == NULL)
    return not node


def is_string(node: Node) -> bool:
    """Whether this is a leaf that may be text."""
    return node.__class__ is Scalar and node.tag in (STR, "")


def kind_of(node: Node) -> str:
    """What a message calls a node."""
    if node is None:
        return "nothing"
    return {dict: "a mapping", list: "a list"}.get(node.__class__, "a single value")


def copy(node: Node) -> Node:
    """A tree of its own."""
    cls = node.__class__
    if cls is Scalar:
        return Scalar(node.tag, node.text, node.style)
    if cls is dict:
        return {key: copy(value) for key, value in node.items()}
    if cls is list:
        return [copy(value) for value in node]
    return None


MOST_NODES: Final = 300_000
"""How large one object may become by copying values into it."""
LONGEST_TEXT: Final = 16 * 1024 * 1024
"""How long one text may become by putting values into it."""


def size(value: Any, sizes: dict[int, int] | None = None) -> int:
    """How many values a tree, or JSON, has when parts that are shared are counted each time."""
    known = {} if sizes is None else sizes
    if not isinstance(value, dict | list):
        return 1
    found = known.get(id(value))
    if found is None:
        found = 1 + sum(size(item, known) for item in (value.values() if isinstance(value, dict) else value))
        known[id(value)] = found
    return found


def check_size(value: Any) -> None:
    """Refuses an object that copies of values have blown up."""
    if size(value) > MOST_NODES:
        raise KustomizeError(
            f"the object grows beyond {MOST_NODES:,} values", hint="a value is copied into itself again and again"
        )


def check_text(length: int) -> None:
    """Refuses a text that values have blown up."""
    if length > LONGEST_TEXT:
        raise KustomizeError("a text grows beyond 16 MiB", hint="a value is put into itself again and again")


def key(name: str) -> str:
    """``name`` as a new key without quotes."""
    if name in _KNOWN_KEYS:
        return name
    return name if resolve(name) == STR else BareKey(name)


_KNOWN_KEYS = frozenset(
    ["metadata", "name", "namespace", "labels", "annotations", "spec", "data", "kind", "apiVersion"]
)


def set_field(parent: dict[str, Node], name: str, value: Node, *, keep_null: bool = False) -> None:
    """Put ``value`` under ``name``. A null or None takes the field out. A leaf over a leaf is written as the old one
    was, and changes it wherever it is shared. ``name`` is used as it is given where the field is new; see ``key``."""
    if value.__class__ is Scalar:
        quote_word(value)
    if value is None or (not keep_null and value.__class__ is Scalar and value.tag == NULL):
        parent.pop(name, None)
        return
    current = parent.get(name)
    if current is None:
        parent[name] = value
    elif current is not value:
        if current.__class__ is Scalar and value.__class__ is Scalar:
            value.style = current.style & ~FLOW
            current.tag, current.text = value.tag, value.text
        else:
            parent[name] = value


def quote_word(value: Scalar) -> None:
    """Put a text that YAML 1.1 would take for something else in quotes, which it keeps whatever comes to stand there:
    done wherever a field is set, with the value it had too."""
    if not value.style and value.tag in (STR, "") and is_word_of_yaml_1_1(value.text):
        value.style = QUOTED


def set_scalar(target: Node, value: Scalar) -> None:
    """Put another value into a leaf, written as the old one was. Refuses lists and mappings."""
    if target.__class__ is not Scalar:
        raise KustomizeError(f"a single value was expected, and there is {kind_of(target)}")
    if value.tag != NULL:
        target.tag, target.text = value.tag, value.text


def json_value(node: Node) -> Any:
    """What a tree means: JSON values. Raises ``KustomizeError`` for what JSON can't hold."""
    if node.__class__ is dict:
        for name in node:
            if name.__class__ is DoubledKey:
                raise _twice(name)
        return {str(name): _json(value) for name, value in node.items()}
    return _json(node)


def _twice(name: DoubledKey) -> KustomizeError:
    return KustomizeError(
        f'the key "{shown(name.name, 80)}" is set twice in one mapping', hint="take one of the two out"
    )


def _json(node: Node) -> Any:
    cls = node.__class__
    if cls is Scalar:
        return _string(node) if node.tag == STR else _leaf(node)
    if cls is dict:
        out = {}
        for name, value in node.items():
            if name.__class__ is DoubledKey:
                raise _twice(name)
            if name.__class__ is BareKey:
                raise KustomizeError(
                    f"the key {shown(name)} is not text: JSON has only text as keys",
                    hint=f'write "{shown(name)}" in quotes; one that kustomize adds itself must not look like a number',
                )
            out[name] = _string(value) if value.__class__ is Scalar and value.tag == STR else _json(value)
        return out
    if cls is list:
        return [_json(value) for value in node]
    return None


def _string(node: Scalar) -> str:
    text: str = node.text
    style = node.style
    if style & _BLOCK or (text[:1] == "\t" and not style and "\n" in text):
        return block_again(text, folded=style & FOLDED != 0)
    return text


def _leaf(node: Scalar) -> Any:
    tag, text = node.tag, node.text
    if node.style & FLOW and tag in (NULL, TIMESTAMP):
        return text
    if not tag:
        if node.style & QUOTED or "\n" in text:
            return _string(node)
        tag = resolve(text)
    elif node.style & QUOTED and not node.style & TAGGED and tag == resolve(text):
        # An integer put where a quoted text was is written in those quotes.
        return text
    return tagged_value(tag, text)


def tagged_value(tag: str, text: str) -> Any:
    """The JSON value of text under a tag. Raises ``KustomizeError`` where the text is not what its tag says."""
    if tag == STR:
        return text
    if tag in (INT, FLOAT, BOOL, NULL):
        found = resolve(text)
        if found == tag or (tag == FLOAT and found == INT):
            value = meaning(text)
            if isinstance(value, float):
                return _json_float(value, text)
            return _json_float(float(value), text) if tag == FLOAT and value is not None else value
        raise KustomizeError(
            f'"{shown(text, 40)}" stands where the type {tag} is said',
            hint="the value must have the type of the one that it replaces; quote the original to make it text",
        )
    if tag == TIMESTAMP:
        moment = timestamp_as_json(text)
        if moment is None:
            raise KustomizeError(f'"{shown(text, 40)}" is not a timestamp, as its tag says')
        return moment
    if tag == BINARY:
        try:
            return base64.b64decode(text.replace("\n", "").encode("ascii"), validate=True).decode()
        except (binascii.Error, UnicodeError):
            raise KustomizeError("a !!binary value must be base64 of text") from None
    return text


def _json_float(value: float, text: str) -> Any:
    if math.isinf(value) or math.isnan(value):
        raise KustomizeError(f"{shown(text, 40)} is a number that JSON can't hold")
    if value.is_integer() and abs(value) < 1e21:
        whole = int(go_float(value, "f"))
        return whole if -(2**63) <= whole < 2**64 else value
    return value


def from_json(value: Any) -> Node:
    """A tree from JSON values, as the original reads back what it wrote itself: every number becomes a float first."""
    if isinstance(value, str):
        if "\n" in value:
            # The original writes this with another writer, which leaves tabs in blocks.
            block = style(value.replace("\t", " x")) == "block"
            return Scalar(STR, block_again(value, folded=False), QUOTED | LITERAL if block else QUOTED)
        return Scalar(STR, value, _STYLES[style(value)])
    if value is None:
        return Scalar(NULL, "null")
    if value is True or value is False:
        return Scalar(BOOL, "true" if value else "false")
    if isinstance(value, int | float):
        text = go_float(float(value), "g")
        return Scalar(resolve(text), text)
    if isinstance(value, Mapping):
        return {str(name): from_json(value[name]) for name in sorted(value)}
    return [from_json(item) for item in value]


def from_list_item(value: Any) -> Node:
    """A tree from one item of a List, which the original writes as JSON and reads as YAML."""
    if isinstance(value, str):
        return Scalar(STR, value, QUOTED)
    if isinstance(value, bool) or value is None:
        return from_json(value)
    if isinstance(value, int):
        return Scalar(INT, str(value))
    if isinstance(value, float):
        return Scalar(FLOAT, go_float(value, "json"))
    if isinstance(value, Mapping):
        return {str(name): from_list_item(value[name]) for name in sorted(value)}
    return [from_list_item(item) for item in value]
