"""Label and field selectors: read from their text and from the ``LabelSelector`` struct, asked, and written back.

Used by the devstack's lists and watches, by policies and by the command line. What can't be read is refused with the
words that a client sees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from typing_extensions import override

Operator = Literal["=", "!=", "in", "notin", "exists", "!", "gt", "lt"]

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_TOKEN = re.compile(r"\s*(==|!=|=|!|\(|\)|,|<|>|[^\s=!(),<>]+)")
_NAME_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_PREFIX_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_SIGNS = ("=", "==", "!=", "!", "(", ")", ",", "<", ">")
_STRUCT: Mapping[str, Operator] = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


class SelectorError(ValueError):
    """A selector that can't be read. The text says why, and is what a client sees."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels fulfil it. A label that is not there fulfils ``!=`` and ``notin``."""
        value = labels.get(self.key)
        match self.operator:
            case "=" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "gt" | "lt":
                return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        if value is None or not re.fullmatch(r"[+-]?\d{1,19}", value, re.ASCII):
            return False
        bound = int(self.values[0])
        return int(value) > bound if self.operator == "gt" else int(value) < bound

    @override
    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
            case "gt":
                return f"{self.key}>{self.values[0]}"
            case "lt":
                return f"{self.key}<{self.values[0]}"
            case _:
                return f"{self.key}{self.operator}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Requirements that all have to hold. None at all select everything; ``nothing`` selects nothing."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """From its text: ``app=web,tier in (a,b),!legacy``. Raises ``SelectorError``."""
        return cls(tuple(_Parser(text).requirements()))

    @classmethod
    def of(cls, struct: Mapping[str, Any] | None) -> LabelSelector:
        """From ``matchLabels`` and ``matchExpressions``. None selects nothing, an empty one everything."""
        if struct is None:
            return cls(nothing=True)
        found = [
            Requirement(_key(str(k)), "=", (_value(str(v)),)) for k, v in (struct.get("matchLabels") or {}).items()
        ]
        for expression in struct.get("matchExpressions") or ():
            word = str(expression.get("operator", ""))
            if word not in _STRUCT:
                raise SelectorError(f'"{word}" is not a valid label selector operator')
            values = tuple(str(value) for value in expression.get("values") or ())
            found.append(_requirement(str(expression.get("key", "")), _STRUCT[word], values))
        return cls(tuple(found))

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        if self.nothing:
            return False
        have = labels or {}
        return all(requirement.matches(have) for requirement in self.requirements)

    @property
    def everything(self) -> bool:
        """Whether it selects all there is."""
        return not self.requirements and not self.nothing

    @override
    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


def _key(text: str) -> str:
    prefix, slash, name = text.rpartition("/")
    why = ""
    if "/" in prefix:
        optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        why = f"a valid label key {_NAME_WORDS} {optional}"
    elif slash and (not prefix or len(prefix) > 253 or not _PREFIX.match(prefix)):
        why = f"prefix part {_PREFIX_WORDS}"
    elif len(name) > 63:
        why = "name part must be no more than 63 bytes"
    elif not _NAME.match(name):
        why = f"name part {_NAME_WORDS}"
    if why:
        raise SelectorError(f'unable to parse requirement: <nil>: Invalid value: "{text}": {why}')
    return text


def _value(text: str) -> str:
    if text and (len(text) > 63 or not _NAME.match(text)):
        raise SelectorError(
            f'values: Invalid value: "{text}": a valid label must be an empty string or consist of alphanumeric '
            'characters, "-", "_" or ".", and must start and end with an alphanumeric character'
        )
    return text


def _requirement(key: str, operator: Operator, values: tuple[str, ...]) -> Requirement:
    _key(key)
    if operator in ("in", "notin") and not values:
        raise SelectorError("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
    if operator in ("exists", "!") and values:
        raise SelectorError("values: Invalid value: values set must be empty for exists and does not exist")
    if operator in ("gt", "lt"):
        if len(values) != 1 or not re.fullmatch(r"[+-]?\d{1,19}", values[0], re.ASCII):
            raise SelectorError("values: for 'Gt', 'Lt' operators, the value must be an integer")
    else:
        for value in values:
            _value(value)
    return Requirement(key, operator, values)


class _Parser:
    """Reads the text form, word by word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            found = _TOKEN.match(text, place)
            if found is None:
                raise SelectorError(f"unable to parse requirement: found '{text[place:]}'")
            self.tokens.append(found[1])
            place = found.end()
        self.place = 0

    def next(self) -> str:
        word = self.tokens[self.place] if self.place < len(self.tokens) else ""
        self.place += 1
        return word

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def requirements(self) -> list[Requirement]:
        out: list[Requirement] = []
        if not self.tokens:
            return out
        self.begins()
        while True:
            out.append(self.requirement())
            word = self.next()
            if not word:
                return out
            if word != ",":
                raise SelectorError(f"found '{word}', expected: ',' or 'end of string'")
            if not self.peek():
                raise SelectorError("found '', expected: identifier after ','")
            self.begins()

    def begins(self) -> None:
        word = self.peek()
        if word in _SIGNS and word != "!":
            raise SelectorError(f"found '{word}', expected: !, identifier, or 'end of string'")

    def requirement(self) -> Requirement:
        word = self.next()
        if word == "!":
            return _requirement(self.identifier(self.next()), "!", ())
        key = self.identifier(word)
        following = self.peek()
        if following in ("", ","):
            return _requirement(key, "exists", ())
        operator = self.next()
        if operator in ("in", "notin"):
            return _requirement(key, "in" if operator == "in" else "notin", self.values())
        if operator in ("=", "==", "!="):
            return _requirement(key, "!=" if operator == "!=" else "=", (self.exact(),))
        if operator in (">", "<"):
            return _requirement(key, "gt" if operator == ">" else "lt", (self.exact(),))
        words = "in, notin, =, ==, !=, gt, lt"
        raise SelectorError(f"unable to parse requirement: found '{operator}', expected: {words}")

    def identifier(self, word: str) -> str:
        if not word or word in _SIGNS:
            raise SelectorError(f"unable to parse requirement: found '{word}', expected: identifier")
        return word

    def exact(self) -> str:
        return "" if self.peek() in ("", ",") else self.identifier(self.next())

    def values(self) -> tuple[str, ...]:
        if self.next() != "(":
            found = self.tokens[self.place - 1] if self.place <= len(self.tokens) else ""
            raise SelectorError(f"unable to parse requirement: found '{found}' expected: '('")
        out: list[str] = []
        while True:
            out.append("" if self.peek() in (",", ")") else self.identifier(self.next()))
            word = self.next()
            if word == ")":
                return tuple(dict.fromkeys(out))
            if word != ",":
                raise SelectorError(f"unable to parse requirement: found '{word}', expected: ',', or ')'")


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Fields and the values they must (or must not) have: (path, wanted, equal)."""

    terms: tuple[tuple[str, str, bool], ...] = ()

    @classmethod
    def parse(cls, text: str) -> FieldSelector:
        """From its text: ``status.phase!=Failed,metadata.name=web``. Raises ``SelectorError``."""
        terms: list[tuple[str, str, bool]] = []
        for term in _split_terms(text):
            found = re.match(r"([^=!]+?)\s*(==|=|!=)(.*)\Z", term, re.S)
            if found is None:
                raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
            terms.append((found[1].strip(), _unescape(found[3]), found[2] != "!="))
        return cls(tuple(terms))

    def matches(self, values: Mapping[str, str]) -> bool:
        """Whether an object with these field values (by path, "" where not set) is selected."""
        return all((values.get(path, "") == wanted) is equal for path, wanted, equal in self.terms)

    def wanted(self, path: str) -> str | None:
        """The one value that a path must have, or None."""
        return next((value for name, value, equal in self.terms if name == path and equal), None)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that is asked for."""
        return tuple(path for path, _, _ in self.terms)

    @property
    def everything(self) -> bool:
        """Whether it selects all there is."""
        return not self.terms

    @override
    def __str__(self) -> str:
        return ",".join(f"{path}{'=' if equal else '!='}{_escape(value)}" for path, value, equal in self.terms)


def _split_terms(text: str) -> list[str]:
    """Terms by commas that no backslash escapes."""
    return [term for term in re.split(r"(?<!\\),", text) if term]


def _unescape(text: str) -> str:
    return re.sub(r"\\([\\,=])", r"\1", text)


def _escape(text: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", text)
