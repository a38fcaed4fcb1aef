"""Which document of a file holds an object, also inside a ``List``: asked before a field of it is edited."""

from __future__ import annotations

from typing import Any

import msgspec
from typing_extensions import override

from windlass.core.documents import EditRefused, read
from windlass.errors import Where


class Target(msgspec.Struct, frozen=True):
    """An object as a manifest names it. One that names no namespace is meant too: its Application fills it in.
    ``others`` are objects of the same kind that come of the same file, and may come of the same text in it."""

    group: str
    kind: str
    namespace: str
    name: str
    others: tuple[Target, ...] = ()

    @override
    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class Place(msgspec.Struct, frozen=True):
    """The document, and the path of the object in it: () or ("items", 3)."""

    index: int
    path: tuple[str | int, ...] = ()


def find_object(data: bytes, file: str, target: Target) -> tuple[Place, dict[str, Any]]:
    """Where the object stands, and what it is. Raises EditRefused where it is not there or could be meant twice, and
    where another one is made of the same text: overlays that share a base, or Applications that share a folder."""
    every = [
        (Place(one.index, path), content)
        for one in read(data, file)
        for path, content in _objects(one.value, ())
        if isinstance(content.get("metadata"), dict)
    ]
    found = _named(every, target)
    if len(found) == 1:
        # One that the file does not name was renamed by an overlay: of this text, as far as can be told.
        shared = [one for one in target.others if found[0] in (_named(every, one) or found)]
        if shared:
            names = [f"{one.namespace}/{one.name}" for one in (target, *shared[:3])]
            raise EditRefused(
                f"{' and '.join(names)} come of the same text: what is changed in it would change each of them",
                where=Where(file=file),
                hint=f"write it where only {names[0]} is made, as a patch in its overlay; or change this file by hand, "
                "for all of them",
            )
        return found[0]
    if found:
        raise EditRefused(
            f"{target} stands in this file {len(found)} times",
            where=Where(file=file),
            hint="give each its namespace, or a file of its own",
        )
    raise EditRefused(
        f"{target} is not written in this file",
        where=Where(file=file),
        hint="is it made by a generator or renamed by an overlay? make this change by hand, where its text stands",
    )


def the_document(data: bytes, file: str) -> tuple[Place, Any]:
    """The only document of a file. Raises EditRefused where there is none or more than one."""
    documents = read(data, file)
    if len(documents) != 1:
        raise EditRefused(
            f"the file has {len(documents)} documents, and one is meant",
            where=Where(file=file),
            hint="keep it in a file of its own",
        )
    return Place(documents[0].index), documents[0].value


def _objects(value: Any, path: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], dict[str, Any]]]:
    if not isinstance(value, dict):
        return []
    items = value.get("items")
    if str(value.get("kind", "")).endswith("List") and isinstance(items, list):
        return [one for place, item in enumerate(items) for one in _objects(item, (*path, "items", place))]
    return [(path, value)]


def _named(every: list[tuple[Place, dict[str, Any]]], target: Target) -> list[tuple[Place, dict[str, Any]]]:
    """What is meant by a name: with the namespace as it is written, else without one."""
    found = [each for each in every if _is(each[1], target)]
    return [each for each in found if each[1]["metadata"].get("namespace") == target.namespace] or found


def _is(content: dict[str, Any], target: Target) -> bool:
    metadata = content["metadata"]
    group = str(content.get("apiVersion", "")).rpartition("/")[0]
    if (group, content.get("kind")) != (target.group, target.kind):
        return False
    return metadata.get("name") == target.name and metadata.get("namespace") in (None, "", target.namespace)
