"""What unquoted text means to the original: by yaml.v3 where it reads objects, by YAML 1.1 where it asks whether text
needs quotes. Pure functions of the text, used by ``nodes``, ``reading`` and ``printing``.

What differs from Kubernetes' own reading (``core/documents``): ``yes``, ``on`` and ``y`` are text, and dates are
timestamps that come out as ``2020-01-01T00:00:00Z``.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

STR: Final = "str"
INT: Final = "int"
FLOAT: Final = "float"
BOOL: Final = "bool"
NULL: Final = "null"
TIMESTAMP: Final = "timestamp"
BINARY: Final = "binary"
MERGE: Final = "merge"

_WORDS: dict[str, tuple[str, bool | float | None]] = {
    **dict.fromkeys(["true", "True", "TRUE"], (BOOL, True)),
    **dict.fromkeys(["false", "False", "FALSE"], (BOOL, False)),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], (NULL, None)),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], (FLOAT, math.nan)),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], (FLOAT, math.inf)),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], (FLOAT, -math.inf)),
}
_OLD_WORDS = frozenset(
    ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF"]
)
_START = frozenset("+-.0123456789")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_DOT_FLOAT = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+)?\Z")
_INT = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)|(?P<dec>0|[1-9][0-9]*))\Z"
)
_SIGNED = re.compile(r"(-?)0(?P<base>[bo])(?P<digits>[-+]?[0-7]+)\Z")
_TIMESTAMP = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
    r"(?:(?P<t>[Tt ])(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2}):(?P<second>[0-9]{1,2})(?P<part>[.,][0-9]+)?"
    r"(?P<zone>Z|[-+][0-9]{2}:[0-9]{2})?)?\Z"
)
_BASE60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z")
# Turning digits into a number takes more than linear time.
_LONGEST = 1100
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def resolve(text: str) -> str:
    """The tag of unquoted text."""
    if text in _WORDS:
        return _WORDS[text][0]
    if text[0] not in _START:
        return MERGE if text == "<<" else STR
    return _number(text)[0]


def meaning(text: str) -> int | float | bool | None:
    """The value of text that ``resolve`` calls a number, a boolean or a null."""
    if text in _WORDS:
        return _WORDS[text][1]
    return _number(text)[1]


@lru_cache(4096)
def _number(text: str) -> tuple[str, int | float | None]:
    if len(text) > _LONGEST:
        return STR, None
    if text[0] == ".":
        return (FLOAT, float(text.replace("_", ""))) if _DOT_FLOAT.match(text) else (STR, None)
    if timestamp_as_json(text) is not None:
        return TIMESTAMP, None
    digits = text.replace("_", "")
    whole = _integer(digits)
    if whole is not None:
        return INT, whole
    if _FLOAT.match(digits):
        value = float(digits)
        return (STR, None) if math.isinf(value) else (FLOAT, value)
    if signed := _SIGNED.match(digits):
        base = 2 if signed["base"] == "b" else 8
        if base == 8 or not signed["digits"].strip("-+01"):
            value = int(signed["digits"], base)
            return INT, -value if signed[1] else value
    return STR, None


def _integer(digits: str) -> int | None:
    found = _INT.match(digits)
    if not found:
        return None
    kind = found.lastgroup or "dec"
    value = int(found[kind], {"hex": 16, "bin": 2, "oct": 8, "dec": 10}[kind])
    if found["sign"] == "-":
        value = -value
    return value if -(2**63) <= value < (2**63 if found["sign"] else 2**64) else None


def timestamp_as_json(text: str) -> str | None:
    """A timestamp in the form that JSON gets, or None where the text is none."""
    found = _TIMESTAMP.match(text)
    if not found:
        return None
    year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
    if not 1 <= month <= 12 or not 1 <= day <= _DAYS[month - 1] or (month == 2 and day == 29 and not _leap(year)):
        return None
    if found["t"] is None:
        return f"{year:04d}-{month:02d}-{day:02d}T00:00:00Z"
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    zone = found["zone"]
    if hour > 23 or minute > 59 or second > 59 or (found["t"] == " ") != (zone is None):
        return None
    if zone not in (None, "Z") and (int(zone[1:3]) > 24 or int(zone[4:6]) > 60):
        return None
    part = (found["part"] or "").replace(",", ".")[:10].rstrip("0").rstrip(".")
    shown = zone if zone not in (None, "+00:00", "-00:00") else "Z"
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}{part}{shown}"


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


@lru_cache(4096)
def is_word_of_yaml_1_1(text: str) -> bool:
    """Whether unquoted text is no string to YAML 1.1 (the empty text is asked elsewhere)."""
    if not text:
        return False
    if text in _OLD_WORDS:
        return True
    return resolve(text) not in (STR, MERGE)


@lru_cache(16384)
def needs_quotes(text: str) -> bool:
    """Whether unquoted text would be read back as something else, by a reader of YAML 1.1."""
    if text in _OLD_WORDS or text in _WORDS:
        return True
    if text[0] not in _START:
        return False
    return resolve(text) != STR or _BASE60.match(text) is not None


def go_float(value: float, form: str) -> str:
    """A float as Go writes it: ``f`` all digits, ``g`` with an exponent from six digits on, ``v`` from 21 on,
    ``json`` as its JSON has it."""
    digits, exponent = _shortest(value)
    if value == 0:
        return "0" if form != "g" or math.copysign(1, value) > 0 else "-0"
    power = exponent + len(digits) - 1
    sign = "-" if value < 0 else ""
    if form == "json":
        form = "e" if not 1e-6 <= abs(value) < 1e21 else "f"
        text = sign + (_scientific(digits, power) if form == "e" else _fixed(digits, exponent))
        return text.replace("e-0", "e-") if form == "e" else text
    if form in ("g", "v"):
        limit = 6 if form == "g" else 21
        return sign + (_scientific(digits, power) if power < -4 or power >= limit else _fixed(digits, exponent))
    return sign + _fixed(digits, exponent)


def _shortest(value: float) -> tuple[str, int]:
    number = Decimal(repr(abs(value))).as_tuple()
    digits = "".join(map(str, number.digits)).lstrip("0")
    stripped = digits.rstrip("0")
    exponent = number.exponent
    assert isinstance(exponent, int)
    return stripped or "0", exponent + len(digits) - len(stripped)


def _scientific(digits: str, power: int) -> str:
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def _fixed(digits: str, exponent: int) -> str:
    if exponent >= 0:
        return digits + "0" * exponent
    point = len(digits) + exponent
    return digits[:point] + "." + digits[point:] if point > 0 else "0." + "0" * -point + digits
