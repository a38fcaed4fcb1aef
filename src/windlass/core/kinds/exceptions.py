"""Exceptions that people write into Git: each has an owner, a reason and an end, and ends by itself.

Kinds ``Application`` (suspend, freeze, ignore) and ``Installation`` (freeze) have them; flows ask whether they hold at
a time, and what of them has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from windlass.core.kinds.fields import LABEL_NAME, TIME, WORDS, Name, moment
from windlass.core.kinds.shape import Form, Part, Rule, Says, mistake, shown

POINTER = Form(
    r"(?:/(?:[^~/\x00-\x1f\x7f]|~[01])+)+", "a field as a JSON pointer, such as /spec/replicas", "/spec/replicas", 512
)
KIND = Form("[A-Z][A-Za-z0-9]*", "a kind, such as Deployment", "Deployment", 63)


class Held(Part, frozen=True):
    """An exception with an owner, a reason and an expiry."""

    until: Annotated[str, TIME, Says("When it ends by itself.")]
    reason: Annotated[str, WORDS, Says("Why.", "incident 4711")]
    by: Annotated[str, WORDS, Says("Who says so.", "ada@acme.example")]

    def active(self, now: datetime) -> bool:
        """Whether it holds at this time."""
        return now < moment(self.until)


class Suspend(Held, frozen=True):
    """An exception with an owner, a reason and an expiry: nothing is applied until then."""


class Freeze(Held, frozen=True):
    """An exception with an owner, a reason and an expiry: no new commit is applied until then."""


class Expires(Held, frozen=True):
    """When this Application ends: it is taken out of Git, and its objects with it."""


class Ignore(Held, frozen=True, kw_only=True):
    """Fields of one object that are left to others until a time."""

    kind: Annotated[str, KIND, Says("The object's kind.")]
    name: Annotated[Name, Says("Its name.", "web")]
    namespace: Annotated[str, LABEL_NAME, Says("Its namespace. The default is that of the destination.")] = ""
    fields: Annotated[list[Annotated[str, POINTER]], Says("The fields, as JSON pointers into its manifest.")]

    rules = (Rule("self.fields.size() > 0", "name at least one field: fields: [/spec/replicas]"),)


def check_until(held: Held | None, field: str) -> None:
    """Raises BadSpec where the day is none of the calendar."""
    if held is None:
        return
    try:
        moment(held.until)
    except ValueError as error:
        raise mistake(
            f"{field}.until", f"is not a day of the calendar: {shown(held.until)}", f"until: {TIME.example}"
        ) from error


def next_end(held: Sequence[Held | None], now: datetime) -> float | None:
    """Seconds until the first of those that hold ends; None where none holds."""
    left = [(moment(one.until) - now).total_seconds() for one in held if one is not None and one.active(now)]
    return min(left, default=None)


def as_written(held: Held) -> dict[str, object]:
    """The exception as it stands in Git."""
    found: dict[str, object] = msgspec.to_builtins(held)
    return found
