"""What commands and flows mean, as intents: pin, unpin, hold off, let go, and take expired text out again.

Each maker takes where the object's own file is and returns an :class:`Intent`; ids are the caller's, because only the
caller knows whether the same decision was made before. Times are text in the form that the kinds take.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windlass.core.edits.objects import Target
from windlass.core.edits.steps import AddItem, AddObject, DropObject, Intent, RemoveField, RemoveItem, SetField, Step

AT = ("spec", "source", "at")


class Home(msgspec.Struct, frozen=True):
    """Where an object is written: its file, and what it is there. ``name`` is how people call it."""

    file: str
    target: Target

    @property
    def name(self) -> str:
        """``shop/shop``, or the name alone of what has no namespace."""
        return f"{self.target.namespace}/{self.target.name}" if self.target.namespace else self.target.name


def pin(
    home: Home, commit: str, *, identity: str, reason: str, was: str = "", by: str = "", verb: str = "rollback"
) -> Intent:
    """Holds an Application at a commit (``spec.source.at``)."""
    return Intent(
        id=identity,
        verb=verb,
        about=home.name,
        summary=f"Roll {home.name} back to {commit[:7]}",
        reason=reason,
        by=by,
        facts=(("Pins", commit), ("Was", was)),
        steps=(SetField(file=home.file, target=home.target, path=AT, value=commit),),
    )


def pin_by_glass(home: Home, commit: str, *, identity: str, reason: str, was: str, by: str, until: str) -> Intent:
    """A pin that a person made in the cluster while Git was away, put into Git: it rules from there. Where the file
    names another commit than it did then, that is the newer word, and stays."""
    return Intent(
        id=identity,
        verb="break-glass",
        about=home.name,
        summary=f"Pin {home.name} at {commit[:7]}, as was done in the cluster",
        reason=reason,
        facts=(("Pins", commit), ("Was", was), ("Break-Glass", by), ("Until", until), ("Reason", reason)),
        steps=(SetField(file=home.file, target=home.target, path=AT, value=commit, only=(was or None,)),),
    )


def unpin(home: Home, *, identity: str, reason: str = "", was: str = "") -> Intent:
    """Follows the branch again."""
    return Intent(
        id=identity,
        verb="forward",
        about=home.name,
        summary=f"Let {home.name} follow its branch again",
        reason=reason,
        facts=(("Unpins", was),),
        steps=(RemoveField(file=home.file, target=home.target, path=AT),),
    )


def hold_off(home: Home, field: str, *, identity: str, until: str, reason: str, by: str) -> Intent:
    """``suspend`` or ``freeze``: an exception with an owner, a reason and an end."""
    value = {"until": until, "reason": reason, "by": by}
    return Intent(
        id=identity,
        verb=field,
        about=home.name,
        summary=f"{field.capitalize()} {home.name} until {until}",
        reason=reason,
        steps=(SetField(file=home.file, target=home.target, path=("spec", field), value=value),),
    )


def let_go(home: Home, fields: tuple[str, ...], *, identity: str, reason: str = "") -> Intent:
    """Takes ``suspend`` or ``freeze`` out before its time."""
    steps: tuple[Step, ...] = tuple(
        RemoveField(file=home.file, target=home.target, path=("spec", field)) for field in fields
    )
    return Intent(
        id=identity, verb="resume", about=home.name, summary=f"Resume {home.name}", reason=reason, steps=steps
    )


def ignore(home: Home, item: dict[str, Any], *, identity: str) -> Intent:
    """Leaves fields of an object to others until a time; the same fields are named once."""
    fields = ", ".join(item["fields"])
    return Intent(
        id=identity,
        verb="ignore",
        about=home.name,
        summary=f"Leave {fields} of {item['kind']}/{item['name']} in {home.name} to others until {item['until']}",
        reason=item["reason"],
        steps=(
            AddItem(
                file=home.file,
                target=home.target,
                path=("spec", "ignore"),
                value=item,
                same=("kind", "name", "namespace", "fields"),
            ),
        ),
    )


def expire(home: Home, *, identity: str, ended: dict[str, Any], ignored: list[dict[str, Any]], by: str = "") -> Intent:
    """Takes out what has ended by itself: of ``ended`` each field that still says the same, of ``ignored`` each
    item."""
    steps: list[Step] = [
        RemoveField(file=home.file, target=home.target, path=("spec", field), given=value)
        for field, value in ended.items()
    ]
    steps += [RemoveItem(file=home.file, target=home.target, path=("spec", "ignore"), given=item) for item in ignored]
    words = [*ended, *(["ignore"] if ignored else [])]
    return Intent(
        id=identity,
        verb="expire",
        about=home.name,
        summary=f"Take out of {home.name} what has ended: {', '.join(words)}",
        by=by,
        steps=tuple(steps),
    )


def hold_tag(home: Home, tag: str, *, identity: str, reason: str, by: str, until: str = "") -> Intent:
    """Keeps an image policy from taking a tag, until a time where one is given."""
    value = {"tag": tag, "reason": reason, "by": by, "until": until}
    return Intent(
        id=identity,
        verb="hold",
        about=home.name,
        summary=f"Hold {tag} of {home.name}" + (f" until {until}" if until else ""),
        reason=reason,
        steps=(
            AddItem(
                file=home.file,
                target=home.target,
                path=("spec", "hold"),
                value={key: text for key, text in value.items() if text},
                same=("tag",),
            ),
        ),
    )


def let_tag_go(home: Home, tag: str, *, identity: str, reason: str = "") -> Intent:
    """Lets an image policy take a tag again."""
    return Intent(
        id=identity,
        verb="hold",
        about=home.name,
        summary=f"Let {tag} of {home.name} be taken again",
        reason=reason,
        steps=(RemoveItem(file=home.file, target=home.target, path=("spec", "hold"), given={"tag": tag}),),
    )


def fork(home: Home, file: str, data: bytes, *, name: str, identity: str, reason: str, until: str) -> Intent:
    """The same Application once more, in a file of its own beside the first."""
    ends = f" until {until}" if until else ""
    return Intent(
        id=identity,
        verb="fork",
        about=home.name,
        summary=f"Fork {home.name} as {name}{ends}",
        reason=reason,
        steps=(AddObject(file=file, data=data),),
    )


def remove(home: Home, *, identity: str, until: str, by: str = "") -> Intent:
    """Takes an Application whose time is over out of Git."""
    return Intent(
        id=identity,
        verb="expire",
        about=home.name,
        summary=f"Take {home.name} out: it ended at {until}",
        by=by,
        steps=(DropObject(file=home.file, target=home.target),),
    )
