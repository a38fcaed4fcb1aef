"""Which object of an Application a person means by ``KIND/NAME``: is it there, how is its kind written, what looks like
it.

``windlass ignore`` asks before it commits. What can only be a slip is refused; what is not there may be meant for
later, and is told with the names that it may have been.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import NamedTuple

from windlass.cli.living import kinds_in_use, living
from windlass.cli.reaching import Found, Reach
from windlass.core.kinds.application_status import ApplicationStatus
from windlass.core.kinds.exceptions import KIND
from windlass.core.kinds.fields import NAME
from windlass.core.kinds.kind import read_status
from windlass.core.model import ObjectRef
from windlass.core.words.plain import plain
from windlass.errors import NeedsHuman

_SHOWN = 10
_LIKE = 0.6


class Meant(NamedTuple):
    """``namespace`` "" is that of the destination, or none; ``there`` None where it may not be seen; ``alike`` are
    names for the next command."""

    kind: str
    name: str
    namespace: str = ""
    there: bool | None = True
    alike: tuple[str, ...] = ()


async def meant_by(to: Reach, found: Found, kind: str, name: str) -> Meant:
    """Looks at what of the Application is live, with the person's own rights. Raises NeedsHuman."""
    status = read_status(found.content, ApplicationStatus)
    namespace = found.decoded().namespace
    kinds = await kinds_in_use(to, only=status.objects) if status.objects else None
    resources = kinds.resources if kinds is not None else []
    live = await living(to, found.claim, resources, {found.namespace, namespace}, whole=False)
    seen = {one.kind for one in resources} - set(live.unseen)
    unseen = {word.partition(".")[0] for word in status.objects} - seen
    return among(list(live.objects), kind, name, namespace=namespace, word=found.word, unseen=unseen)


def among(
    refs: Collection[ObjectRef], kind: str, name: str, *, namespace: str, word: str, unseen: Collection[str] = ()
) -> Meant:
    """The same, of objects that are known. ``namespace`` is that of the destination, ``unseen`` the kinds of which
    nobody knows. Raises NeedsHuman for what can be no object, or is several."""
    same = [ref for ref in refs if (ref.kind.lower(), ref.name) == (kind.lower(), name)]
    here = [ref for ref in same if ref.namespace in ("", namespace)]
    if here:
        return Meant(here[0].kind, name)
    if len(same) > 1:
        places = ", ".join(sorted(ref.full for ref in same))
        raise NeedsHuman(
            f"{plain(kind)}/{plain(name)} is in {plain(word)} {len(same)} times: {plain(places)}",
            hint="write spec.ignore with its namespace into the Application's file",
        )
    if same:
        return Meant(same[0].kind, name, same[0].namespace)
    alike = _alike(refs, kind, name)
    written = {one.lower(): one for one in (*unseen, *(ref.kind for ref in refs))}.get(kind.lower(), kind)
    for form, text in ((KIND, written), (NAME, name)):
        if len(text) > form.longest or re.fullmatch(form.pattern, text) is None:
            hint = f"did you mean {' or '.join(alike)}?" if alike else f"it is {form.words}"
            raise NeedsHuman(f"{plain(kind)}/{plain(name)} can be no object of {plain(word)}", hint=hint)
    return Meant(written, name, "", None if written in unseen else False, alike)


def remark(meant: Meant, word: str, undo: str) -> str:
    """What to say of an object that is not there; "" where nothing is to be said. ``undo`` takes the commit back."""
    if meant.there is not False:
        return ""
    lines = [
        f"warning: {plain(word)} has no {plain(meant.kind)}/{plain(meant.name)}: this does nothing until it has one\n"
    ]
    if meant.alike:
        lines.append(f"  did you mean {plain(' or '.join(meant.alike))}? Then take this back: {plain(undo)}\n")
    return "".join(lines)


def _alike(refs: Collection[ObjectRef], kind: str, name: str) -> tuple[str, ...]:
    """Those that a slip would lead from; where there are none, those of the same kind."""
    scores = {str(ref): (_ratio(ref.kind, kind), _ratio(ref.name, name)) for ref in sorted(refs)}
    near = sorted((one for one, score in scores.items() if min(score) >= _LIKE), key=lambda one: -sum(scores[one]))
    near += [str(ref) for ref in sorted(refs) if ref.name == name and str(ref) not in near]
    near = near or [str(ref) for ref in sorted(refs) if ref.kind.lower() == kind.lower()]
    return tuple(dict.fromkeys(near))[:_SHOWN]


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one.lower(), other.lower()).ratio()
