"""The syntax of names, labels, ports and keys, and the words in which the real server refuses what breaks it.

Called by the validation; every function gives the complaints about one value, none when it is right.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"

_label = re.compile(_LABEL).fullmatch
_subdomain = re.compile(_SUBDOMAIN).fullmatch
_label_1035 = re.compile(_LABEL_1035).fullmatch
_key = re.compile(_KEY).fullmatch
_config_key = re.compile(_CONFIG_KEY).fullmatch
_percent = re.compile(r"[0-9]+%").fullmatch

POSITIVE = "must be greater than 0"
NOT_NEGATIVE = "must be greater than or equal to 0"
IMMUTABLE = "field is immutable"
LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_LABEL_1035_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character"
)
_KEY_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_PREFIX_WORDS = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
_VALUE_WORDS = f"a valid label must be an empty string or {_KEY_WORDS.removeprefix('must ')}"


def _by_pattern(words: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{words} (e.g. {shown}regex used for validation is '{pattern}')"


def too_long(limit: int) -> str:
    """The complaint about a text over ``limit`` characters."""
    return f"must be no more than {limit} characters"


def between(low: int, high: int) -> str:
    """The complaint about a number outside a range."""
    return f"must be between {low} and {high}, inclusive"


@lru_cache(maxsize=8192)
def label_1123(value: str) -> tuple[str, ...]:
    """A DNS-1123 label: containers, namespaces."""
    found = [too_long(63)] if len(value) > 63 else []
    if not _label(value):
        found.append(
            "must not contain dots" if _subdomain(value) else _by_pattern(LABEL_WORDS, _LABEL, "my-name", "123-abc")
        )
    return tuple(found)


@lru_cache(maxsize=8192)
def subdomain_1123(value: str) -> tuple[str, ...]:
    """A DNS-1123 subdomain: most names of objects."""
    found = [too_long(253)] if len(value) > 253 else []
    if not _subdomain(value):
        found.append(_by_pattern(_SUBDOMAIN_WORDS, _SUBDOMAIN, "example.com"))
    return tuple(found)


@lru_cache(maxsize=2048)
def label_1035(value: str) -> tuple[str, ...]:
    """A DNS-1035 label."""
    found = [too_long(63)] if len(value) > 63 else []
    if not _label_1035(value):
        found.append(_by_pattern(_LABEL_1035_WORDS, _LABEL_1035, "my-name", "abc-123"))
    return tuple(found)


@lru_cache(maxsize=8192)
def label_key(value: str) -> tuple[str, ...]:
    """A label's or annotation's key, with its optional prefix."""
    parts = value.split("/")
    by_pattern = _by_pattern(_KEY_WORDS, _KEY, "MyName", "my.name", "123-abc")
    if len(parts) > 2:
        return (f"a valid label key {by_pattern}{_PREFIX_WORDS}",)
    found = []
    if len(parts) == 2:
        if not parts[0]:
            found.append("prefix part must be non-empty")
        else:
            found.extend(f"prefix part {words}" for words in subdomain_1123(parts[0]))
    name = parts[-1]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append(f"name part {too_long(63)}")
    if not _key(name):
        found.append(f"name part {by_pattern}")
    return tuple(found)


@lru_cache(maxsize=8192)
def label_value(value: str) -> tuple[str, ...]:
    """A label's value."""
    found = [too_long(63)] if len(value) > 63 else []
    if value and not _key(value):
        found.append(_by_pattern(_VALUE_WORDS, f"({_KEY})?", "MyValue", "my_value", "12345"))
    return tuple(found)


def config_key(value: str) -> tuple[str, ...]:
    """A key of a ConfigMap's or Secret's data."""
    found = [too_long(253)] if len(value) > 253 else []
    if not _config_key(value):
        words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        found.append(_by_pattern(words, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    elif value in (".", ".."):
        found.append(f"must not be '{value}'")
    elif value.startswith(".."):
        found.append("must not start with '..'")
    return tuple(found)


def port_name(value: str) -> tuple[str, ...]:
    """The name of a container's port (an IANA service name)."""
    found = [too_long(15)] if len(value) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", value):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        found.append("must contain at least one letter (a-z)")
    if "--" in value:
        found.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        found.append("must not begin or end with a hyphen")
    return tuple(found)


def percent(value: str) -> tuple[str, ...]:
    """A percentage."""
    if _percent(value):
        return ()
    words = "a valid percent string must be a numeric string followed by an ending '%'"
    return (_by_pattern(words, "[0-9]+%", "1%", "93%"),)


def env_name(value: str) -> tuple[str, ...]:
    """The name of an environment variable (the relaxed rule)."""
    if not value:
        return ("environment variable name must be non-empty",)
    if "=" in value or not all(" " <= letter <= "~" for letter in value):
        return ("a valid environment variable name must consist only of printable ASCII characters other than '='",)
    return ()
