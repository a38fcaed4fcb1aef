"""Keeps secrets out of what a render tells. Called by ``steps`` with everything that was found, last of all.

Messages quote what is wrong (``replicas must be an integer, not "..."``), and libraries quote what they like. What is
known to be secret here (values of Secrets of the cluster, values of files that were decrypted) is taken out of the
text; where it can't be taken out, the text itself is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

from windlass.core.model import Problem

SHORTEST = 4
"""Shorter texts are no secrets, and are in every message."""

_CUT = 24
"""Messages cut long values: of a secret, its beginning is enough to be known by."""

MASK = "***"
_CORE = 12
_MOST = 5000
"""Of more lines than this no pattern is made: then nothing is told but that something is wrong, and where."""


WITHHELD = "a value is wrong here, which is secret and not shown"


def discreet(problems: Sequence[Problem], secrets: Iterable[str]) -> list[Problem]:
    """The problems without these texts."""
    held = [secret for secret in secrets if len(secret.strip()) >= SHORTEST] if problems else []
    if not held:
        return list(problems)
    mask, cores = masking(held), {_core(secret)[:_CORE] for secret in held}
    # A mend proposes a value with other letters in place of the wrong ones: it is known by what is left of it.
    cores = {core for core in cores if len(core) >= SHORTEST}

    def told(text: str, instead: str) -> str:
        masked = mask(text)
        return instead if any(core in _core(masked) for core in cores) else masked

    return [
        msgspec.structs.replace(one, what=told(one.what, WITHHELD), hint=told(one.hint, ""), field=told(one.field, ""))
        for one in problems
    ]


def _core(text: str) -> str:
    return re.sub("[^a-z0-9]+", "", text.lower())


def masking(secrets: Iterable[str]) -> Callable[[str], str]:
    """What takes these texts, and each line of them, out of a text."""
    forms: set[str] = set()
    for secret in secrets:
        for text in {secret.strip(), json.dumps(secret.strip())[1:-1], *secret.split("\n")}:
            if len(text) >= SHORTEST:
                forms.add(text)
    parts = [re.escape(form[:_CUT]) + (r"[^\s\"']*" if len(form) > _CUT else "") for form in forms]
    if not parts:
        return lambda text: text
    if len(parts) > _MOST:
        return lambda text: MASK
    pattern = re.compile("|".join(sorted(set(parts), key=len, reverse=True)))
    return lambda text: pattern.sub(MASK, text)
