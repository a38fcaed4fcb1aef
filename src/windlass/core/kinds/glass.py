"""A pin in the cluster, by break-glass: what the annotation on an Application says, and what its status tells of it.

``windlass sync --commit --break-glass`` writes the annotation, the admission policy of ``deploy`` lets only those write
it who have the verb ``break-glass``, ``flows/glass`` judges it. One form is read and no other: the policy holds the
beginning of the text (``by``) against who sends it, so a second ``by`` further on must not be possible.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec

from windlass.core.kinds.application import Application
from windlass.core.kinds.application_status import BreakGlassStatus
from windlass.core.kinds.deploy import glass_policy
from windlass.core.kinds.fields import COMMIT, WORDS, moment
from windlass.core.kinds.reasons import Reason
from windlass.core.kinds.shape import shown
from windlass.errors import NeedsHuman

LONGEST = timedelta(hours=24)
"""How long a pin may last: it is for while Git is away, and a commit is the way for anything longer."""
SHORT = "1h"
"""How long it lasts where nobody says."""
_SKEW = timedelta(minutes=1)
_HEX = re.compile("[0-9a-f]{7,64}")


class GlassRefused(NeedsHuman):
    """What the annotation asks for is not done."""

    slug: ClassVar[str] = "break-glass-refused"
    reason: ClassVar[str] = Reason.BREAK_GLASS_REFUSED.value


class Glass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person asks for. ``by`` is who, as the API server knows them; ``commit`` at least 7 digits of it; ``was``
    what ``spec.source.at`` said; ``until`` and ``asked`` are times."""

    by: str
    commit: str
    until: str
    reason: str
    was: str
    asked: str

    def value(self) -> str:
        """The annotation's text."""
        return msgspec.json.encode(self).decode()


def mark(value: str) -> str:
    """One request among all: a short digest of the annotation."""
    return hashlib.sha256(value.encode()).hexdigest()[:16]


def read_glass(value: str, now: datetime) -> Glass:
    """What the annotation says. Raises GlassRefused, with the mend."""
    again = "windlass sync APP --commit COMMIT --break-glass --until 1h --reason ..."
    try:
        found = msgspec.json.decode(value, type=Glass)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise GlassRefused("the annotation is not what windlass writes", hint=again) from None
    if found.value() != value:
        raise GlassRefused("the annotation is not written as windlass writes it", hint=again)
    words = re.compile(WORDS.pattern)
    for name, text in (("by", found.by), ("reason", found.reason)):
        if words.fullmatch(text) is None or len(text) > WORDS.longest or not text.strip():
            raise GlassRefused(f"it does not say {name} in words on one line", hint=again)
    if _HEX.fullmatch(found.commit) is None:
        raise GlassRefused(f"{shown(found.commit)} is no commit id of 7 or more hexadecimal digits", hint=again)
    if found.was and re.fullmatch(COMMIT.pattern, found.was) is None:
        raise GlassRefused("what was pinned before is no commit id", hint=again)
    try:
        ends = moment(found.until)
    except ValueError:
        raise GlassRefused(f"{shown(found.until)} is no time", hint=again) from None
    if ends <= now:
        raise GlassRefused(f"{found.until} is past already", hint=again)
    if ends - now > LONGEST + _SKEW:
        hint = "--until 24h at most; when Git is back, windlass rollback pins without an end"
        raise GlassRefused(f"{found.until} is more than 24 hours away", hint=hint)
    return found


def pinned(said: Application, glass: BreakGlassStatus | None) -> Application:
    """The Application as it is to be followed: as it was written, or pinned while the glass is broken."""
    if glass is None or glass.result != "holds":
        return said
    source = msgspec.structs.replace(said.spec.source, at=glass.commit)
    return msgspec.structs.replace(said, spec=msgspec.structs.replace(said.spec, source=source))


def is_guarded(policy: dict[str, Any] | None, binding: dict[str, Any] | None) -> bool:
    """Whether the cluster lets only those write the annotation who may: the policy and its binding, as installed."""
    if policy is None or binding is None:
        return False
    ours, bound = (one["spec"] for one in glass_policy())
    there, tied = policy.get("spec") or {}, binding.get("spec") or {}
    rules = [one.get("expression") for one in there.get("validations") or []]
    conditions = [one.get("expression") for one in there.get("matchConditions") or []]
    return (
        there.get("failurePolicy", "Fail") == ours["failurePolicy"]
        and rules == [one["expression"] for one in ours["validations"]]
        and conditions == [one["expression"] for one in ours["matchConditions"]]
        and tied.get("policyName") == bound["policyName"]
        and "Deny" in (tied.get("validationActions") or [])
        and not any((tied.get("matchResources") or {}).get(name) for name in ("resourceRules", "excludeResourceRules"))
    )
