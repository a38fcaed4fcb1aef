"""What an unquoted or tagged YAML scalar means to Kubernetes: the rules of YAML 1.1 as ``sigs.k8s.io/yaml`` applies
them, then JSON.

Used by the reader, and by the writer to know what must be quoted. Pure functions of the text.

The rules that surprise: ``on``, ``y`` and ``NO`` are booleans; ``0644`` and ``0o644`` are 420; ``1_000`` is 1000;
``1e3`` is 1000 and an integer, because JSON has one kind of number and Kubernetes takes what has no fraction for an
integer; ``08`` is 8 (not octal, so it is tried as a float); an integer that 64 bits can't hold is a float; ``1e999`` is
a string; dates and ``12:30:45`` are strings.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from decimal import Decimal

Scalar = str | int | float | bool | None

INT64_MIN, INT64_MAX, UINT64_MAX = -(2**63), 2**63 - 1, 2**64 - 1
MERGE = "<<"
NUMBER_START = frozenset("+-.0123456789")
CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], None),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], math.inf),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], -math.inf),
}
# Words that unquoted are not the text that they look like; everything else that is not begins with a character up to 9.
SPECIAL = frozenset([*CONSTANTS, MERGE])
_TAG = "tag:yaml.org,2002:"
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_DOT_FLOAT = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?\Z")
_INT = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)|(?P<dec>0|[1-9][0-9]*))\Z"
)
_SIGNED_BINARY = re.compile(r"0b([-+][01]+)\Z")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]*)?(Z|[-+][0-9:]+)?)?\Z"
)
# Longer numbers exist only to hurt: turning digits into a number takes more than linear time.
_LONGEST_NUMBER = 1100


class ScalarError(ValueError):
    """The text is not what its tag says, or is something that JSON can't hold. The message is for people."""


def plain(text: str) -> Scalar:
    """The value of an unquoted scalar without a tag. Raises :class:`ScalarError` for infinities and not-a-number."""
    value = _resolve(text)
    if isinstance(value, float):
        return as_json(value, text)
    return value


def tagged(tag: str, text: str) -> Scalar:
    """The value of a scalar with an explicit tag (long form), quoted or not."""
    short = tag.removeprefix(_TAG)
    if tag == "!" or (short == "str" and tag != short):
        return text
    if short == "binary" and tag != short:
        return _binary(text)
    if tag == short or short not in ("bool", "int", "float", "null", "timestamp"):
        raise ScalarError(f"the tag {shown(tag)} has no meaning in Kubernetes")
    if short == "timestamp":
        if not _TIMESTAMP.match(text):
            raise ScalarError(f'"{_short(text)}" is not a timestamp, as its tag says')
        return text
    value = _resolve(text)
    kind = {bool: "bool", int: "int", float: "float", str: "str"}.get(type(value), "null")
    if kind != short and not (short == "float" and kind == "int"):
        raise ScalarError(f'"{_short(text)}" is not what its tag {shown(tag)} says')
    return as_json(value, text) if isinstance(value, float) else value


def key(value: Scalar) -> str:
    """A scalar as the key of a JSON object: integers, floats and booleans are written out. Raises :class:`ScalarError`
    for null."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if value > INT64_MAX:
            raise ScalarError(f"{value} is too large a number for a key")
        return str(value)
    if isinstance(value, float):
        return _single_precision(value)
    raise ScalarError("a key can't be null")


def key_text(text: str) -> str:
    """An unquoted key's string. A float is written as Kubernetes does it, in single precision (``1.20`` becomes
    ``1.2``)."""
    return key(_resolve(text, integral=False))


def as_json(value: float, text: str) -> int | float:
    """A float after its way through JSON: without a fraction and within 64 bits it is an integer."""
    if math.isinf(value) or math.isnan(value):
        raise ScalarError(f"{_short(text)} is a number that JSON can't hold")
    if value.is_integer() and abs(value) < 1e21:
        # The shortest digits, filled with zeros, are what JSON shows: not always the exact value of the float.
        whole = int(Decimal(repr(value)))
        return whole if INT64_MIN <= whole <= INT64_MAX else value
    return value


def shown(tag: str) -> str:
    """A tag as people write it."""
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag


def is_string(text: str) -> bool:
    """Whether an unquoted scalar would be read as the string that it looks like."""
    return (
        text != MERGE
        and text not in CONSTANTS
        and not (text[0] in NUMBER_START and not isinstance(_resolve(text), str))
    )


def _resolve(text: str, *, integral: bool = True) -> Scalar:
    if text in CONSTANTS:
        return CONSTANTS[text]
    first = text[0]
    if first not in NUMBER_START:
        return text
    if len(text) > _LONGEST_NUMBER:
        if text.strip("0123456789.eE+-_"):
            return text
        raise ScalarError(f"a number of {len(text)} digits is too long")
    if first == ".":
        return _float(text) if _DOT_FLOAT.match(text) else text
    digits = text.replace("_", "")
    whole = _integer(digits)
    if whole is not None:
        return whole if whole <= INT64_MAX or not integral else float(whole)
    if _FLOAT.match(digits):
        value = _float(digits)
        return text if isinstance(value, str) else value
    if signed := _SIGNED_BINARY.match(digits):
        return int(signed[1], 2)
    return text


def _integer(digits: str) -> int | None:
    found = _INT.match(digits)
    if not found:
        return None
    base = {"hex": 16, "bin": 2, "oct": 8, "dec": 10}[found.lastgroup or "dec"]
    value = int(found[found.lastgroup or "dec"], base)
    if found["sign"] == "-":
        value = -value
    # Only a number without a sign may use all 64 bits.
    return value if INT64_MIN <= value <= (INT64_MAX if found["sign"] else UINT64_MAX) else None


def _float(text: str) -> float | str:
    value = float(text)
    return text if math.isinf(value) else value


def _binary(text: str) -> str:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", "").encode("ascii"), validate=True).decode()
    except (binascii.Error, UnicodeEncodeError):
        raise ScalarError("a !!binary value must be base64") from None
    except UnicodeDecodeError:
        raise ScalarError("this !!binary value is not text, and JSON holds only text") from None


def _single_precision(value: float) -> str:
    """The shortest decimal that is the same number in single precision, in the notation of C's ``%g``."""
    if math.isnan(value):
        return ".nan"
    try:
        single = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        single = math.copysign(math.inf, value)
    if math.isinf(single):
        return ".inf" if single > 0 else "-.inf"
    for digits in range(1, 10):
        text = f"{single:.{digits - 1}e}"
        if struct.unpack("f", struct.pack("f", float(text)))[0] == single:
            break
    else:  # nine digits always suffice
        raise AssertionError(value)
    mantissa, exponent = text.split("e")
    power = int(exponent)
    if -4 <= power < 6:
        return f"{Decimal(text):f}"
    return f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
