"""The messages of commits that Windlass makes, and what is read back from them: one form for people and programs.

``flows/write`` writes them; looking an intent up in a history, ``forward`` and the log read them. The first line says
what was done, the next why; behind that trailers, which ``git interpret-trailers`` understands: ``Intent-Id`` (a commit
with it is never made twice), ``Windlass`` (verb and whom it is about), facts, and whose word it was.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from windlass.core.edits.steps import Intent
from windlass.core.words.plain import plain

INTENT = "Intent-Id"
ACTION = "Windlass"
_TRAILER = re.compile(r"([A-Za-z][A-Za-z0-9-]*): (.+)")


def message_of(intents: Sequence[Intent]) -> str:
    """The message of one commit for these intents."""
    first = intents[0]
    parts = [_line(first.summary)]
    if len(intents) > 1:
        parts = [f"{len(intents)} changes: {_line(first.summary)} and more"]
        parts.append("\n".join(f"- {_line(_told(each))}" for each in intents))
    elif first.reason:
        parts.append("\n".join(textwrap.wrap(_line(first.reason), 100)))
    trailers: dict[tuple[str, str], None] = {}
    for each in intents:
        trailers[INTENT, _line(each.id)] = None
        trailers[ACTION, f"{each.verb} {_line(each.about)}"] = None
        trailers.update({(key, _line(value)): None for key, value in each.facts if value})
    trailers.update({("Co-authored-by", _line(each.by)): None for each in intents if each.by})
    parts.append("\n".join(f"{key}: {value}" for key, value in trailers))
    return "\n\n".join(part for part in parts if part) + "\n"


def trailers_of(message: str) -> list[tuple[str, str]]:
    """The trailers of a commit message: its last paragraph, where each line is one."""
    last = message.strip().rpartition("\n\n")[2].splitlines()
    found = [_TRAILER.fullmatch(line) for line in last]
    return [(one[1], one[2]) for one in found if one is not None] if all(found) else []


def intents_of(message: str) -> set[str]:
    """The intents that a commit carries out."""
    return {value for key, value in trailers_of(message) if key == INTENT}


def fact_of(message: str, key: str) -> str:
    """One trailer's value, "" where there is none."""
    return next((value for name, value in trailers_of(message) if name == key), "")


APPROVALS = ("approved-by", "reviewed-by", "acked-by")
_MOST = 10


def approvals_of(message: str) -> list[str]:
    """Who is said to have approved a commit, by its trailers. Whoever wrote the message could write that: a claim."""
    found = {_line(value)[:100]: None for key, value in trailers_of(message) if key.lower() in APPROVALS}
    return list(found)[:_MOST]


def _told(intent: Intent) -> str:
    return f"{intent.summary}: {intent.reason}" if intent.reason else intent.summary


def _line(text: str) -> str:
    return " ".join(plain(text).split())
