"""What another program makes of the same folder, as text: ``windlass render --against`` calls it.

As in ``windlass diff``, the left of an arrow is what Windlass has, the right is what is elsewhere; ``-`` is only here,
``+`` only there. Values of Secrets come masked. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from windlass.core.model import ObjectRef
from windlass.core.plan.changes import FieldChange
from windlass.core.words import fields
from windlass.core.words.plain import count, pad, plain, wrap

_NAME_MOST = 40


class Beside(msgspec.Struct, frozen=True):
    """One object that is not the same: ``only`` is ``ours``, ``theirs``, or "" where both have it.

    ``place`` is ``file:line`` in Git. No ``changes`` of an object that both have: an API server reads both alike.
    """

    ref: ObjectRef
    only: str = ""
    place: str = ""
    changes: Sequence[FieldChange] = ()


def against_text(program: str, found: Sequence[Beside], same: int, *, width: int = 0) -> str:
    """Every difference, and the count; ``program`` as it calls itself (``kustomize v5.8.2``)."""
    them = plain(program)
    if not found:
        return f"{them} makes the same {count(same, 'object')} of it\n"
    wide = min(_NAME_MOST, max(len(plain(one.ref.full)) for one in found))
    lines: list[str] = []
    for one in sorted(found, key=lambda each: each.ref):
        mark, words = _words(one, them)
        tail = "   ".join(part for part in (words, plain(one.place)) if part)
        lines.append(f"{mark} {pad(plain(one.ref.full), wide)}   {tail}".rstrip())
        for each in one.changes:
            lines.append(f"    {fields.change(each.field, each.old, each.new)}")
            lines += [f"      {line}" for line in fields.text_difference(each.old, each.new)]
    told = f"{count(len(found), 'object')} of {len(found) + same} {'differs' if len(found) == 1 else 'differ'}"
    lines.append(f"{told} from what {them} makes (left: windlass, right: {them})")
    return "\n".join(part for line in lines for part in wrap(line, width)) + "\n"


def _words(one: Beside, them: str) -> tuple[str, str]:
    match one.only:
        case "ours":
            return "-", f"{them} has none"
        case "theirs":
            return "+", f"only {them} has it"
        case _:
            return "~", "" if one.changes else "written otherwise, the same to an API server"
