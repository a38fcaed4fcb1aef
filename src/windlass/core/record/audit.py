"""An auditor's row for an event: who, what, when, with which outcome and which evidence.

``windlass export audit`` prints them. An event that is no act (health, a fetch) has no row. Empty is what is not known.
"""

from __future__ import annotations

import msgspec

from windlass.core.model import events
from windlass.core.model.events import Event

KINDS = (
    "applied", "refused", "requested", "drift", "held", "lost", "rewritten", "rolled-back", "rolled-forward",
    "break-glass", "exception", "exception-ended", "image",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """One row. ``who`` is the author of the commit, the person who asked, or a field manager; ``signer`` whose
    signature on the commit was verified. ``approver`` is whom the commit's message names, and ``approval`` how that is
    known: it is a claim, of the signer where there is one. ``evidence`` is the event's id. All that is told of a commit
    is of ``brought``: the newest one up to ``commit`` that touches what the Application reads, or of a pin its own."""

    time: str
    what: str
    application: str
    outcome: str = ""
    commit: str = ""
    previous: str = ""
    subject: str = ""
    who: str = ""
    email: str = ""
    committed: str = ""
    requested_by: str = ""
    signer: str = ""
    approver: str = ""
    approval: str = ""
    details: str = ""
    evidence: str = ""
    brought: str = ""


def row(event: Event) -> Row | None:
    """The row of an event, None for what is no act."""
    made = Row(time=event.time, what=event.kind, application=event.subject, who=event.actor, evidence=event.id)
    data = event.data
    match data:
        case events.Applied():
            newest = data.commits[0] if data.commits else events.Commit(data.commit)
            asked = data.request.split()
            return msgspec.structs.replace(
                made,
                outcome=data.result,
                commit=data.commit,
                previous=data.previous,
                brought=newest.id,
                subject=newest.subject,
                who=newest.author or event.actor,
                email=newest.email,
                committed=newest.time,
                requested_by=asked[1] if len(asked) > 1 else "",
                signer=newest.signer,
                approver=", ".join(newest.approvals),
                approval=_claim(newest),
                details=", ".join(f"{number} {word}" for word, number in data.counts.items()),
            )
        case events.Refused():
            return msgspec.structs.replace(made, outcome=data.reason, commit=data.commit, details=data.message)
        case events.Requested():
            return msgspec.structs.replace(made, requested_by=event.actor, details=data.request)
        case events.DriftOpened():
            return msgspec.structs.replace(
                made, outcome=data.response, who=data.manager, details=f"{data.object} {data.field} ({data.cause})"
            )
        case events.Held():
            return msgspec.structs.replace(made, outcome="held", commit=data.held, details=data.message)
        case events.RolledBack():
            return msgspec.structs.replace(
                made,
                outcome="automatic" if data.automatic else "by a person",
                commit=data.pins,
                previous=data.was,
                brought=data.commit,
                details=data.reason,
            )
        case events.RolledForward():
            return msgspec.structs.replace(made, previous=data.was, brought=data.commit, details=data.reason)
        case events.GlassBroken():
            more = "; ".join(one for one in (data.revision and f"in Git by {data.revision}", data.why) if one)
            words = f"until {data.until}: {data.reason}" + (f" ({more})" if more else "")
            return msgspec.structs.replace(
                made, outcome=data.what, commit=data.commit, previous=data.was, details=words
            )
        case events.ExceptionHeld():
            return msgspec.structs.replace(made, outcome=data.what, details=f"until {data.until}: {data.reason}")
        case events.ExceptionEnded():
            return msgspec.structs.replace(made, outcome=data.what, details="taken out early" if data.early else "")
        case events.ImageMoved():
            signed = ", signature verified" if data.verified else ""
            return msgspec.structs.replace(
                made, outcome=data.result, commit=data.commit, details=f"{data.image}:{data.tag}{signed}"
            )
        case events.Lost() | events.Rewritten():
            words = data.why if isinstance(data, events.Lost) else f"{data.ref} lost {data.tip}"
            return msgspec.structs.replace(made, outcome=event.kind, details=words)
        case _:
            return None


def _claim(commit: events.Commit) -> str:
    """How far an approval is known."""
    if not commit.approvals:
        return ""
    return "claimed by who signed" if commit.signer else "claimed by the commit, not proven"


def cells(made: Row) -> list[str]:
    """A row for a spreadsheet: no cell is taken for a formula."""
    values = (str(getattr(made, name)) for name in Row.__struct_fields__)
    return [f"'{value}" if value.startswith(_FORMULA) else value for value in values]


HEAD = list(Row.__struct_encode_fields__)
