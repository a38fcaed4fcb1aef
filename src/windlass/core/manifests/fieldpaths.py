"""Path elements of fieldsV1: ``f:name``, ``k:{keys}``, ``v:value``, ``i:index``: read, written, ordered, told as text.

Used by ``fields`` and ``ownership`` and by server-side apply. An element is kept as the text that stands in
``managedFields``, written exactly as the real server writes it, so that equal elements are equal texts and a field set
needs no parsing. It refuses elements that it can't read, with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

_SELF = "."


class FieldPathError(ValueError):
    """An element of managedFields that can't be read. The text is the reason as a client sees it."""


def _json(value: object) -> str:
    """JSON as the real server writes it inside an element: no spaces, markup characters escaped."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if "<" in text or ">" in text or "&" in text:
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text


@lru_cache(maxsize=16384)
def name_element(name: str) -> str:
    """The element of an item that is keyed by its name alone."""
    return _name_key("name", name)


@lru_cache(maxsize=16384)
def _name_key(name: str, value: str) -> str:
    return f'k:{{"{name}":{_json(value)}}}'


@lru_cache(maxsize=16384, typed=True)
def _pair_key(first: str, one: str | int, second: str, two: str | int) -> str:
    return "k:" + _json(dict(sorted(((first, one), (second, two)))))


def key_element(keys: dict[str, Any]) -> str:
    """The element of a list-map item with these key fields."""
    if len(keys) == 1:
        ((name, value),) = keys.items()
        if type(value) is str:
            return _name_key(name, value)
    elif len(keys) == 2:
        (first, one), (second, two) = keys.items()
        if type(one) in (str, int) and type(two) in (str, int):
            return _pair_key(first, one, second, two)
    return "k:" + _json(dict(sorted(keys.items())))


def value_element(value: object) -> str:
    """The element of a set's item."""
    return "v:" + _json(value)


@lru_cache(maxsize=65536)
def parse_key(element: str) -> dict[str, Any]:
    """The key fields of a ``k:`` element. Do not change the result: it is shared."""
    try:
        keys = json.loads(element[2:])
    except ValueError as reason:
        raise FieldPathError(str(reason)) from None
    if not isinstance(keys, dict):
        raise FieldPathError(f"key element is not an object: {element}")
    return keys


@lru_cache(maxsize=65536)
def parse_value(element: str) -> Any:
    """The value of a ``v:`` element."""
    try:
        return json.loads(element[2:])
    except ValueError as reason:
        raise FieldPathError(str(reason)) from None


def _value_rank(value: object) -> tuple[Any, ...]:
    """Numbers before texts before booleans before the rest, each kind in its own order."""
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int | float):
        return (0, value)
    if isinstance(value, str):
        return (1, value)
    return (3, _json(value))


@lru_cache(maxsize=65536)
def rank(element: str) -> tuple[Any, ...]:
    """Sort key: itself, then fields by name, then keys, values, indexes."""
    kind = element[:2]
    if kind == "f:":
        return (1, element)
    if kind == "k:":
        return (2, tuple((name, _value_rank(value)) for name, value in sorted(parse_key(element).items())))
    if kind == "v:":
        return (3, _value_rank(parse_value(element)))
    if kind == "i:":
        return (4, int(element[2:]))
    return (0, element)


def in_order(elements: Iterable[str]) -> list[str]:
    """Elements in the order in which the real server writes them."""
    found = sorted(elements)
    # Field names and "." sort as texts; only keys and values need their own order.
    if found and found[-1][0] in "kvi":
        found.sort(key=rank)
    return found


def check_element(element: str) -> bool:
    """Whether an element is of a known kind; raises ``FieldPathError`` where it is malformed.

    Unknown kinds are dropped by the reader, as the real server does, for a later version may know them.
    """
    if element == _SELF:
        return True
    if len(element) < 2:
        raise FieldPathError("key must be 2 characters long:")
    if element[1] != ":":
        raise FieldPathError(f"missing colon: {element}")
    kind = element[0]
    if kind == "k":
        parse_key(element)
    elif kind == "v":
        parse_value(element)
    elif kind == "i":
        try:
            int(element[2:])
        except ValueError:
            raise FieldPathError(f'strconv.Atoi: parsing "{element[2:]}": invalid syntax') from None
    return kind in "fkvi"


def canonical(element: str) -> str:
    """The element as we write it, so that equal elements are equal texts."""
    kind = element[:2]
    if kind == "k:":
        return key_element(parse_key(element))
    if kind == "v:":
        return value_element(parse_value(element))
    return element


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else _json(value)


def server_text(element: str) -> str:
    """One element in the server's words: ``.spec``, ``[name="web"]``, ``[="x"]``, ``[0]``."""
    kind = element[:2]
    if kind == "f:":
        return "." + element[2:]
    if kind == "k:":
        keys = sorted(parse_key(element).items())
        return "[" + ",".join(f"{name}={_quoted(value)}" for name, value in keys) + "]"
    if kind == "v:":
        return f"[={_quoted(parse_value(element))}]"
    return f"[{element[2:]}]"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else _json(value)


def join(path: str, element: str) -> str:
    """``path`` with one element more, in Windlass's words: ``spec.containers[name=web].image``.

    A field whose name holds a dot or a bracket stands in brackets, so that the text can be read back.
    """
    kind = element[:2]
    if kind == "f:":
        name = element[2:]
        if "." in name or "[" in name or "/" in name:
            return f"{path}[{name}]"
        return f"{path}.{name}" if path else name
    if kind == "k:":
        keys = sorted(parse_key(element).items())
        return f"{path}[{','.join(f'{name}={_plain(value)}' for name, value in keys)}]"
    if kind == "v:":
        return f"{path}[={_plain(parse_value(element))}]"
    return f"{path}[{element[2:]}]"
