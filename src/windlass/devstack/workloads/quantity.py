"""Kubernetes quantities: read ("500m", "1.5Gi", "1e3"), compared, and written as the API server writes them back.

Called by the defaulting and the validation. Values finer than a nano are rounded up, as the real parser does.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

_FORM = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+)?\Z")
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_NAME = {power: name for name, power in _DECIMAL.items()}
_BINARY_NAME = {power: name for name, power in _BINARY.items()}
_NANO = Decimal("1e-9")

WRONG_FORM = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


class BadQuantity(ValueError):
    """The text is no quantity."""


@lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[Decimal, str]:
    match = _FORM.match(text)
    if not match:
        raise BadQuantity(WRONG_FORM)
    number, suffix = match[1], match[2] or ""
    try:
        if suffix in _BINARY:
            value = Decimal(number) * (1024 ** _BINARY[suffix])
            kind = "binary"
        elif suffix[:1] in ("e", "E") and len(suffix) > 1:
            value, kind = Decimal(number).scaleb(int(suffix[1:])), "exponent"
        else:
            value, kind = Decimal(number).scaleb(_DECIMAL[suffix]), "decimal"
        return value.quantize(_NANO, rounding=ROUND_CEILING) if value % _NANO else value, kind
    except InvalidOperation as error:
        raise BadQuantity(WRONG_FORM) from error


def amount(value: Any) -> Decimal:
    """The number that a quantity (text, int or float, as JSON has it) stands for. Raises BadQuantity."""
    return _parsed(str(value).strip() if not isinstance(value, bool) else "bool")[0]


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    value, kind = _parsed(text)
    if value == 0:
        return "0"
    if kind == "binary" and abs(value) >= 1024 and value == value.to_integral_value():
        whole, power = int(value), 0
        while whole % 1024 == 0 and power < 6:
            whole, power = whole // 1024, power + 1
        return f"{whole}{_BINARY_NAME[power]}" if power else str(whole)
    whole, power = int(value.scaleb(9)), -9
    while whole % 1000 == 0 and power < 18:
        whole, power = whole // 1000, power + 3
    if kind == "exponent":
        return f"{whole}e{power}" if power else str(whole)
    return f"{whole}{_DECIMAL_NAME[power]}"


def canonical(value: Any) -> Any:
    """The quantity as the API server writes it back ("1000m" is "1"); what is no quantity comes back as it is."""
    try:
        return _canonical(str(value).strip()) if not isinstance(value, bool) and value is not None else value
    except BadQuantity:
        return value
