"""An intent as data: its steps, each an edit of one file, and ``apply``, which makes them against the files of a tip.

Every step says what is to be so afterwards and does nothing where it is so already: an intent that is applied a second
time changes nothing, which is what lets a writer begin again from any tip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from windlass.core.documents import Append, Change, EditRefused, Remove, Set, splice
from windlass.core.edits.objects import Place, Target, find_object, the_document
from windlass.errors import Where

Files = Mapping[str, bytes]


class _Step(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    file: str


class SetField(_Step, frozen=True, kw_only=True, tag=True):
    """The value of a field of an object; ``target`` None is the only document of the file. With ``only`` where it is
    one of these (None: not there); what somebody else wrote meanwhile stays."""

    target: Target | None
    path: tuple[str | int, ...]
    value: Any
    only: tuple[Any, ...] | None = None


class RemoveField(_Step, frozen=True, kw_only=True, tag=True):
    """A field taken out; with ``given`` only while its value is still that."""

    target: Target | None
    path: tuple[str | int, ...]
    given: Any = None


class AddItem(_Step, frozen=True, kw_only=True, tag=True):
    """An item of a list. One with the same values under the ``same`` keys is replaced."""

    target: Target | None
    path: tuple[str | int, ...]
    value: dict[str, Any]
    same: tuple[str, ...]


class RemoveItem(_Step, frozen=True, kw_only=True, tag=True):
    """The items of a list that have all these values taken out, and the list with its last one."""

    target: Target | None
    path: tuple[str | int, ...]
    given: dict[str, Any]


class PutFile(_Step, frozen=True, kw_only=True, tag=True):
    """A file that is not there yet."""

    data: bytes


class DropFile(_Step, frozen=True, kw_only=True, tag=True):
    """A file taken out; with ``given`` only while it says just that."""

    given: bytes | None = None


class Restore(_Step, frozen=True, kw_only=True, tag=True):
    """A file as it was (None: not there), where it is still as it is now."""

    now: bytes | None
    was: bytes | None


class Computed(Protocol):
    """An edit that another room works out from the file as it is at the tip (None: not there), such as where an image
    stands in it by then."""

    @property
    def file(self) -> str: ...

    def after(self, before: bytes | None) -> bytes | None: ...


class AddObject(_Step, frozen=True, kw_only=True, tag=True):
    """A file that is not there yet, listed in the kustomization of its folder where there is one."""

    data: bytes


class DropObject(_Step, frozen=True, kw_only=True, tag=True):
    """A file that holds just this object taken out, and out of the kustomization of its folder."""

    target: Target


Step = AddObject | DropObject | SetField | RemoveField | AddItem | RemoveItem | PutFile | DropFile | Restore | Computed


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to be so in Git.

    ``id`` is unique, and the same when the same decision is made again: a commit that carries it is not made twice.
    ``verb`` is the command's or flow's word, ``about`` whom it is about (``shop/shop``), ``summary`` the first line of
    its commit. ``by`` ("Name <address>") is on whose word a machine commits. ``facts`` become trailers.
    """

    id: str
    verb: str
    about: str
    summary: str
    reason: str = ""
    by: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    steps: tuple[Step, ...] = ()


def apply(intent: Intent, files: Files) -> dict[str, bytes | None]:
    """The files that differ afterwards (None: taken out); empty where all is so already.

    ``files`` are those of the tip, missing ones a KeyError. Raises EditRefused and the errors of ``read``, with the
    file named; then nothing of the intent is done.
    """
    edits: dict[str, bytes | None] = {}
    for step in intent.steps:
        before = edits[step.file] if step.file in edits else _get(files, step.file)
        after = _after(step, before)
        if after != before:
            edits[step.file] = after
            if isinstance(step, (AddObject, DropObject)):
                edits.update(_listing(step.file, files, edits, there=after is not None))
    return {path: data for path, data in edits.items() if data != _get(files, path)}


def _get(files: Files, path: str) -> bytes | None:
    try:
        return files[path]
    except KeyError:
        return None


def _after(step: Step, before: bytes | None) -> bytes | None:
    match step:
        case DropObject():
            if before is not None:
                find_object(before, step.file, step.target)
                the_document(before, step.file)
            return None
        case PutFile() | AddObject():
            if before is not None and before != step.data:
                raise EditRefused(
                    "there is another file of this name",
                    where=Where(file=step.file),
                    hint="choose another name, or take that file out first",
                )
            return step.data
        case DropFile():
            return before if step.given is not None and before != step.given else None
        case Restore():
            if before not in (step.now, step.was):
                raise EditRefused(
                    "the file has changed since: it can't be put back as a whole",
                    where=Where(file=step.file),
                    hint="look at what is there now, and revert by hand: git revert",
                )
            return step.was
        case SetField() | RemoveField() | AddItem() | RemoveItem():
            return _edited(step, before)
        case _:
            return step.after(before)


def _listing(file: str, files: Files, edits: Mapping[str, bytes | None], *, there: bool) -> dict[str, bytes | None]:
    """The kustomization of a file's folder, with the file among its resources or not."""
    folder, slash, name = file.rpartition("/")
    for word in ("kustomization.yaml", "kustomization.yml", "Kustomization"):
        path = f"{folder}{slash}{word}"
        data = edits.get(path, _get(files, path))
        if data is None:
            continue
        place, content = the_document(data, path)
        listed = content.get("resources") if isinstance(content, dict) else None
        names = [str(one).removeprefix("./") for one in listed] if isinstance(listed, list) else []
        if there and name not in names:
            return {path: splice(data, path, place.index, [Append(("resources",), name)])}
        if not there and name in names:
            return {path: splice(data, path, place.index, [Remove(("resources", names.index(name)))])}
    return {}


def _edited(step: SetField | RemoveField | AddItem | RemoveItem, before: bytes | None) -> bytes | None:
    if before is None:
        if isinstance(step, (RemoveField, RemoveItem)):
            return None
        raise EditRefused(
            "the file is not in the repository any more",
            where=Where(file=step.file),
            hint="where did the object go? its annotation windlass.dev/origin tells after the next sync",
        )
    place, content = _place(step, before)
    return splice(before, step.file, place.index, list(_changes(step, place, content)))


def _place(step: SetField | RemoveField | AddItem | RemoveItem, data: bytes) -> tuple[Place, Any]:
    return find_object(data, step.file, step.target) if step.target is not None else the_document(data, step.file)


def _changes(step: SetField | RemoveField | AddItem | RemoveItem, place: Place, content: Any) -> list[Change]:
    path = (*place.path, *step.path)
    there = _value(content, step.path)
    if isinstance(step, SetField):
        return [Set(path, step.value)] if step.only is None or there in step.only else []
    if isinstance(step, RemoveField):
        return [] if step.given is not None and there != step.given else [Remove(path)]
    items = there if isinstance(there, list) else []
    if isinstance(step, AddItem):
        for index, item in enumerate(items):
            if isinstance(item, dict) and all(item.get(key) == step.value.get(key) for key in step.same):
                return [Set((*path, index), step.value)]
        return [Append(path, step.value)]
    gone = [
        index
        for index, item in enumerate(items)
        if isinstance(item, dict) and all(item.get(key) == value for key, value in step.given.items())
    ]
    if gone and len(gone) == len(items):
        return [Remove(path)]
    return [Remove((*path, index)) for index in reversed(gone)]


def _value(content: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(content, dict):
            content = content.get(str(step))
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
        else:
            return None
    return content
