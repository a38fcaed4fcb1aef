"""A collector of `Cause`: what is wrong with an object, in the order found and in the real server's words.

The validation modules fill one per object; ``validate`` hands its list to the API server, which makes a 422 of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from windlass.devstack.workloads import names
from windlass.devstack.workloads.api import Cause


def quoted(value: str) -> str:
    """A text in double quotes, as Go's %q writes it."""
    return json.dumps(value, ensure_ascii=False)


def shown(value: Any) -> str:
    """A bad value as the real server shows it: numbers bare, texts quoted, everything else as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, str):
        return quoted(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_NO_VALUES = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"


class Causes:
    """What was found so far. Each method adds one cause; ``at`` is the field's path."""

    def __init__(self) -> None:
        self.found: list[Cause] = []

    def required(self, at: str, detail: str = "") -> None:
        self.found.append(Cause("FieldValueRequired", f"Required value: {detail}" if detail else "Required value", at))

    def invalid(self, at: str, value: Any, detail: str) -> None:
        self.found.append(Cause("FieldValueInvalid", f"Invalid value: {shown(value)}: {detail}", at))

    def forbidden(self, at: str, detail: str) -> None:
        self.found.append(Cause("FieldValueForbidden", f"Forbidden: {detail}", at))

    def duplicate(self, at: str, value: Any) -> None:
        self.found.append(Cause("FieldValueDuplicate", f"Duplicate value: {shown(value)}", at))

    def not_found(self, at: str, value: Any) -> None:
        self.found.append(Cause("FieldValueNotFound", f"Not found: {shown(value)}", at))

    def too_long(self, at: str, limit: int) -> None:
        self.found.append(Cause("FieldValueTooLong", f"Too long: may not be more than {limit} bytes", at))

    def unsupported(self, at: str, value: Any, known: Sequence[str]) -> None:
        words = ", ".join(quoted(one) for one in known)
        self.found.append(
            Cause("FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {words}", at)
        )

    def invalids(self, at: str, value: Any, details: Iterable[str]) -> None:
        """One cause per complaint about the same value."""
        for detail in details:
            self.invalid(at, value, detail)

    def one_of(self, at: str, value: Any, known: Sequence[str]) -> None:
        """The value must be one of these; an absent one is right."""
        if value is not None and value not in known:
            self.unsupported(at, value, known)

    def not_negative(self, at: str, value: Any) -> None:
        """A number of at least 0; an absent one is right."""
        if isinstance(value, int) and value < 0:
            self.invalid(at, value, names.NOT_NEGATIVE)

    def unchanged(self, at: str, value: Any, before: Any) -> None:
        """The field must be what it was."""
        if value != before:
            self.found.append(Cause("FieldValueInvalid", f"Invalid value: {shown(value)}: {names.IMMUTABLE}", at))

    def labels(self, at: str, labels: Any) -> None:
        """The keys and values of a label map."""
        if isinstance(labels, Mapping):
            for key, value in labels.items():
                self.invalids(at, key, names.label_key(str(key)))
                self.invalids(at, value, names.label_value(str(value)))

    def selector(self, at: str, selector: Any) -> None:
        """A label selector with ``matchLabels`` and ``matchExpressions``."""
        if not isinstance(selector, Mapping):
            return
        self.labels(f"{at}.matchLabels", selector.get("matchLabels"))
        for index, term in enumerate(selector.get("matchExpressions") or ()):
            where = f"{at}.matchExpressions[{index}]"
            operator, values = term.get("operator"), term.get("values") or []
            if operator in ("In", "NotIn"):
                if not values:
                    self.required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
            elif operator in ("Exists", "DoesNotExist"):
                if values:
                    self.forbidden(f"{where}.values", _NO_VALUES)
            else:
                self.invalid(f"{where}.operator", operator or "", "not a valid selector operator")
            self.invalids(f"{where}.key", term.get("key") or "", names.label_key(term.get("key") or ""))
            for position, value in enumerate(values):
                self.invalids(f"{where}.values[{position}]", value, names.label_value(str(value)))
