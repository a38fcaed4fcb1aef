"""Functions of Jsonnet's standard library that the evaluator does not have yet, in Jsonnet.

``jsonnet`` puts ``with_std`` in front of each file that uses one: in its first line, so that lines keep their numbers.
Each has the meaning that go-jsonnet gives it; ``tests/real/test_jsonnet.py`` holds both side by side.
"""

from __future__ import annotations

import json
import re

_ADDED = {
    "trim(str)": r"super.stripChars(str, ' \t\n\f\r\u0085\u00a0')",
    "isNull(v)": "v == null",
    "flattenDeepArray(value)": (
        "if super.isArray(value) then "
        "super.flattenArrays(super.map(function(one) self.flattenDeepArray(one), value)) else [value]"
    ),
    "log2(x)": "super.log(x) / super.log(2)",
    "log10(x)": "super.log(x) / super.log(10)",
    "hypot(a, b)": "super.sqrt(a * a + b * b)",
    "atan2(y, x)": (
        "if x > 0 then super.atan(y / x) "
        "else if x < 0 then super.atan(y / x) + (if y < 0 then -1 else 1) * 3.141592653589793 "
        "else (if y > 0 then 1 else if y < 0 then -1 else 0) * 1.5707963267948966"
    ),
    "deg2rad(x)": "x * 3.141592653589793 / 180",
    "rad2deg(x)": "x * 180 / 3.141592653589793",
    "pi": "3.141592653589793",
    "foldl(func, arr, init)": "super.foldl(func, if super.isString(arr) then super.stringChars(arr) else arr, init)",
    "foldr(func, arr, init)": "super.foldr(func, if super.isString(arr) then super.stringChars(arr) else arr, init)",
}
_NAMES = "|".join(re.match(r"\w+", name)[0] for name in [*_ADDED, "thisFile"])  # type: ignore[index]
_USES = re.compile(rf"\bstd\s*\.\s*(?:{_NAMES})\b")
_CODE = ", ".join(f"{name}:: {code}" for name, code in _ADDED.items())


def with_std(text: str, path: str) -> str:
    """The text of a file that may call any of them; ``path`` is what ``std.thisFile`` says."""
    if _USES.search(text) is None:
        return text
    # A local is known in its own value: the library needs another name for that moment.
    return f"local givenStd = std; local std = givenStd + {{ {_CODE}, thisFile:: {json.dumps(path)} }}; {text}"
