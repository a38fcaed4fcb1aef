"""What of an event is asked for by the thousand: one word and a few fields, so that no line has to be read again.

``adapters/ledger/index.py`` keeps them, ``delivery.py`` counts them. A Fact is small and frozen; what it leaves out is
in the event itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

from windlass.core.model import events
from windlass.core.model.events import Event


class Fact(NamedTuple):
    """``time`` in milliseconds UTC; ``word`` is the result, health, cause, reason or status; ``about`` what else."""

    time: int
    kind: str
    subject: str
    word: str = ""
    about: str = ""


class Deployed(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """The ``about`` of an ``applied``. Times in milliseconds, 0 where not known."""

    commit: str
    previous: str = ""
    committed: int = 0
    fetched: int = 0
    health: str = ""
    changed: int = 0
    pinned: bool = False
    actor: str = ""


_STILL = ("unchanged", "kept", "skipped")
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Deployed)


def fact(event: Event) -> Fact:
    """An event as a fact."""
    time, kind, subject, data = milliseconds(event.time), event.kind, event.subject, event.data
    match data:
        case events.Applied():
            oldest = data.commits[0].time if data.commits else ""
            about = Deployed(
                commit=data.commit,
                previous=data.previous,
                committed=milliseconds(oldest),
                fetched=milliseconds(data.fetched),
                health=data.health,
                changed=sum(number for word, number in data.counts.items() if word not in _STILL),
                pinned=data.pinned,
                actor=data.actor,
            )
            return Fact(time, kind, subject, data.result, _ENCODER.encode(about).decode())
        case events.HealthChanged():
            return Fact(time, kind, subject, data.health, data.was)
        case events.Refused():
            return Fact(time, kind, subject, data.reason, data.commit)
        case events.DriftOpened():
            return Fact(time, kind, subject, data.cause, f"{data.object} {data.field}")
        case events.DriftClosed():
            return Fact(time, kind, subject, data.how, f"{data.object} {data.field}")
        case events.RolledBack():
            return Fact(time, kind, subject, data.was, data.pins)
        case events.GlassBroken():
            return Fact(time, kind, subject, data.was if data.what == "pinned" else "", data.what)
        case _:
            return Fact(time, kind, subject)


def deployed(about: str) -> Deployed:
    """The ``about`` of an ``applied``, read back."""
    return _DECODER.decode(about)


def milliseconds(time: str) -> int:
    """An ISO time in milliseconds since 1970; 0 for none."""
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000) if time else 0
    except ValueError:
        return 0
