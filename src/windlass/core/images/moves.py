"""The edit that moves an image to where a policy wants it: only the bytes of the values change.

``flows/images`` puts a ``Move`` into an intent, one for each file; ``core/edits`` asks it for the file as it is at the
tip, as often as the branch moves. What a person has changed since the decision (back to an older tag, say) is left as
they wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import msgspec

from windlass.core.documents import Change, Remove, Set, splice
from windlass.core.images.places import Place, Wanted, find
from windlass.core.images.references import HUB, written

PINS = ("tag", "digest", "tag+digest")


class Goal(msgspec.Struct, frozen=True):
    """Where one policy wants its image: ``pin`` is one of PINS. ``seen`` are the references that were there when it was
    decided: from another one nothing is moved. ``marked``: only where a mark names the policy, for another one claims
    what else there is."""

    wanted: Wanted
    tag: str
    digest: str = ""
    pin: str = "tag"
    seen: frozenset[str] = frozenset()
    marked: bool = False

    @property
    def parts(self) -> tuple[str, str]:
        """The tag and the digest that are to be written; "" for what is not."""
        return self.tag if self.pin != "digest" else "", self.digest if self.pin != "tag" else ""


class Move(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Moves the images of some policies in one file."""

    file: str
    goals: tuple[Goal, ...]

    def after(self, before: bytes | None) -> bytes | None:
        """The file afterwards; as it is where nothing of it is to be moved. Raises EditRefused."""
        if before is None:
            return None
        goals = {goal.wanted.key: goal for goal in self.goals}
        places = find(self.file, before, [goal.wanted for goal in self.goals])
        changes: dict[int, list[Change]] = {}
        for place in places:
            goal = goals[place.policy]
            if (not goal.seen or str(place.current) in goal.seen) and (place.marked or not goal.marked):
                changes.setdefault(place.index, []).extend(
                    # Where a person marked what has an anchor, what they wrote as an alias of it is meant too.
                    replace(one, shared=place.marked) if isinstance(one, Set) else one
                    for one in change(place, goal)
                )
        for index, those in changes.items():
            before = splice(before, self.file, index, those)
        return before


def is_there(place: Place, goal: Goal) -> bool:
    """Whether a place says already what the policy wants."""
    return not list(change(place, goal))


def change(place: Place, goal: Goal) -> Iterator[Change]:
    """What has to be changed at one place; nothing where all is so."""
    tag, digest = goal.parts
    match place.form:
        case "reference":
            yield from _set(place.path, str(place.current), written(_name(place, goal), tag, digest))
        case "tag":
            yield from _set(place.path, _behind(place.current.tag, place.current.digest), _behind(goal.tag, digest))
        case "digest":
            yield from _set(place.path, place.current.digest, goal.digest)
        case "name":
            yield from _set(place.path, place.current.name, _policy_name(goal))
        case "chart":
            yield from _set(place.path, place.current.tag, goal.tag)
        case "kustomize":
            yield from _part((*place.path, "newTag"), place.current.tag, tag)
            yield from _part((*place.path, "digest"), place.current.digest, digest)
        case "values+digest":
            yield from _set((*place.path, "tag"), place.current.tag, goal.tag)
            yield from _set((*place.path, "digest"), place.current.digest, digest)
        case _:
            # Charts write repository:tag, so a digest goes behind the tag.
            before = _behind(place.current.tag, place.current.digest)
            yield from _set((*place.path, "tag"), before, _behind(goal.tag, digest))


def _behind(tag: str, digest: str) -> str:
    return f"{tag}@{digest}" if digest else tag


def _set(path: tuple[str | int, ...], current: str, value: str) -> Iterator[Change]:
    if value != current:
        yield Set(path, value)


def _part(path: tuple[str | int, ...], current: str, value: str) -> Iterator[Change]:
    if value and value != current:
        yield Set(path, value)
    elif current and not value:
        yield Remove(path)


def _name(place: Place, goal: Goal) -> str:
    """The name as it is written there; a mark may stand behind another image, which then becomes the policy's."""
    return place.current.name if place.current.image == goal.wanted.image else _policy_name(goal)


def _policy_name(goal: Goal) -> str:
    registry, repository = goal.wanted.image
    return repository if registry == HUB else f"{registry}/{repository}"


def touched(files: Iterable[tuple[str, Sequence[Place]]], goal: Goal) -> list[str]:
    """The files in which something is to be moved, sorted."""
    return sorted(
        file
        for file, places in files
        if any(place.policy == goal.wanted.key and not is_there(place, goal) for place in places)
    )
