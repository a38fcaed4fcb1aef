"""What is wrong with a JSON text, in the words of the real server's decoder. Called by ``request.py`` and
``patching.py`` after a refusal.
"""

from __future__ import annotations

import json

_LITERALS = ("null", "true", "false")
_TYPE_OF_HEAD = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
)
_GO = {list: "array", str: "string", int: "number", float: "number", bool: "bool", type(None): "null"}


def syntax_error(body: bytes) -> str:
    """Why a text is no JSON."""
    text = body.decode("latin-1")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        place = error.pos
        while place < len(text) and text[place] in " \t\r\n":
            place += 1
        if place >= len(text):
            return "unexpected end of JSON input"
        return f"invalid character {_quoted(text[place])} {_where(error.msg, text, place)}"
    except RecursionError:
        return "exceeded max depth"
    return "invalid JSON"


def _where(message: str, text: str, place: int) -> str:
    if message.startswith("Expecting property name"):
        return "looking for beginning of object key string"
    if message.startswith("Expecting value"):
        return "looking for beginning of value"
    if message.startswith("Expecting ':'"):
        return "after object key"
    if message.startswith("Expecting ','"):
        return "after object key:value pair" if _inside(text[:place]) == "{" else "after array element"
    return "after top-level value" if message.startswith("Extra data") else "in string literal"


def literal_error(body: bytes) -> str:
    """As `syntax_error`, with the decoder's words where a text begins like a literal and is none."""
    text = body.decode("latin-1").strip()
    for literal in _LITERALS:
        if text[:1] == literal[0] and not text.startswith(literal):
            for found, wanted in zip(text, literal, strict=False):
                if found != wanted:
                    return f"invalid character {_quoted(found)} in literal {literal} (expecting {_quoted(wanted)})"
    return syntax_error(body)


def not_an_object(value: object) -> str:
    """Why a JSON value that is no mapping can't be an object."""
    return f"json: cannot unmarshal {_GO.get(type(value), 'object')} into Go value of type {_TYPE_OF_HEAD}"


def summary(body: bytes) -> str:
    """The beginning of a body, as such refusals show it."""
    if not body:
        return "<empty>"
    more = " ..." if len(body) > 30 else ""
    if body[:1] == b"{":
        return body[:30].decode("utf-8", "replace") + more
    return body[:30].hex() + more


def _quoted(character: str) -> str:
    if character == "'":
        return r"'\''"
    if character == '"':
        return "'\"'"
    return f"'{character}'" if character.isprintable() and character.isascii() else f"'\\u{ord(character):04x}'"


def _inside(text: str) -> str:
    """The bracket that is open at the end of a text."""
    stack: list[str] = []
    quoted = escaped = False
    for character in text:
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "{[":
            stack.append(character)
        elif character in "}]" and stack:
            stack.pop()
    return stack[-1] if stack else ""
