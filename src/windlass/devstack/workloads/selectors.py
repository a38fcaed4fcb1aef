"""Label selectors over plain JSON: does this selector take these labels?

Used by the controllers and the validation. A missing selector takes nothing; an empty one takes everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def matches_map(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether every pair of ``selector`` is in ``labels``."""
    return all(labels.get(key) == value for key, value in selector.items())


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector (``matchLabels``, ``matchExpressions``) takes these labels."""
    if selector is None:
        return False
    if not matches_map(selector.get("matchLabels") or {}, labels):
        return False
    return all(_term(term, labels) for term in selector.get("matchExpressions") or ())


def _term(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator = term.get("key", ""), term.get("operator")
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    inside = labels.get(key) in (term.get("values") or ()) and key in labels
    return inside if operator == "In" else not inside
