"""Whether two values mean the same: ``1000m`` is ``1``, ``0.5Gi`` is ``512Mi``, ``80`` is ``"80"`` for a port.

Used by differences and health. It compares; it never rewrites what a person wrote. What is no quantity is compared as
it stands.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

_QUANTITY = re.compile(
    r"([+-]?)(\d+\.?\d*|\.\d+)(?:([eE][+-]?\d{1,4})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)\Z", re.ASCII
)
_SCALE = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}
# Where quantities stand in built-in kinds, by the field that holds them or the field itself.
_HOLDERS = frozenset(
    [
        "requests",
        "limits",
        "capacity",
        "allocatable",
        "hard",
        "used",
        "overhead",
        "default",
        "defaultRequest",
        "max",
        "min",
        "maxLimitRequestRatio",
    ]
)
_FIELDS = frozenset({"sizeLimit", "divisor", "averageValue", "maximumVolumeSize", "value"})


class QuantityError(ValueError):
    """Not a resource quantity."""


@lru_cache(maxsize=4096)
def parse(text: str | int | float) -> Fraction:
    """The amount. Raises ``QuantityError``.

    >>> parse("1500m") == parse("1.5")
    True
    """
    found = _QUANTITY.match(str(text)) if not isinstance(text, bool) and len(str(text)) <= 64 else None
    if found is None:
        raise QuantityError(f"{text!r} is no quantity: write a number with an optional suffix, such as 500m or 2Gi")
    sign, number, exponent, suffix = found.groups()
    amount = Fraction(number + "0" if number.endswith(".") else number)
    if exponent:
        power = int(exponent[1:])
        if abs(power) > 64:
            raise QuantityError(f"{text!r} is no quantity: the exponent is out of range")
        amount *= Fraction(10) ** power
    elif suffix:
        amount *= _SCALE[suffix]
    return -amount if sign == "-" else amount


def same_amount(left: Any, right: Any) -> bool:
    """Whether two quantities are equal; False where one of them is none."""
    if type(left) is type(right) and left == right:
        return True
    try:
        return parse(left) == parse(right)
    except (QuantityError, TypeError):
        return False


def holds_quantities(path: str) -> bool:
    """Whether a quantity stands at a path of a built-in kind: ``...resources.limits.cpu``, ``emptyDir.sizeLimit``.

    Names with a dot stand in brackets (``limits[nvidia.com/gpu]``).
    """
    if path.endswith("]"):
        holder = path[: path.rfind("[")]
        return holder.rpartition(".")[2] in _HOLDERS
    holder, _, field = path.rpartition(".")
    if field in _FIELDS:
        return True
    return holder.rpartition(".")[2] in _HOLDERS


def equal(desired: Any, live: Any, path: str = "") -> bool:
    """Whether two scalars at ``path`` mean the same to Kubernetes."""
    if isinstance(desired, bool) or isinstance(live, bool):
        return desired is live
    if desired == live:
        return True
    mixed = isinstance(desired, int | float) != isinstance(live, int | float)
    if mixed and str(desired) == str(live):
        return True  # int-or-string: 80 and "80" name the same port
    return (mixed or holds_quantities(path)) and same_amount(desired, live)
