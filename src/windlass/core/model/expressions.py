"""People's regular expressions, by RE2: no expression takes more than time in proportion to the text."""

from __future__ import annotations

from typing import Any


def compile_expression(pattern: str) -> Any | None:
    """RE2's compiled form, of bounded size; None where it can't be read."""
    import re2  # an extension of some size: only where an expression is used

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None
