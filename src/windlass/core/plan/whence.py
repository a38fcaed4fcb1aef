"""Where in the files of a render a value of an object was written: the exact place where it can be told, else guesses.

``windlass blame`` asks it with what the render read. A field that stands in the object's own manifest is certain. What
an overlay, a generator or a chart made of it is looked for: in patches of the object, in ``images`` and ``replicas`` of
kustomizations, and as the same text under any key; such an answer says that it is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from windlass.core.documents import DocumentError, locate, read
from windlass.core.model import ObjectRef

Step = str | dict[str, str]
_ENDINGS = (".yaml", ".yml", ".json")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")
_ABSENT: Any = object()
MOST = 5


class Place(msgspec.Struct, frozen=True, order=True):
    """A line. ``certain``: it is the object's own manifest, which names the field with this value."""

    rank: int
    file: str
    line: int
    why: str

    @property
    def certain(self) -> bool:
        return self.rank == 0


def steps_of(field: str) -> list[Step]:
    """``/spec/replicas`` or ``spec.template.spec.containers[name=web].image`` as steps. Raises ValueError."""
    if field.startswith("/"):
        return [part.replace("~1", "/").replace("~0", "~") for part in field[1:].split("/")]
    steps: list[Step] = []
    at = 0
    while at < len(field):
        found = _STEP.match(field, at)
        if found is None or found.end() == at:
            raise ValueError(field)
        if found[1] is not None:
            steps.append(found[1])
        elif "=" in found[2]:
            steps.append(dict(pair.partition("=")[::2] for pair in found[2].split(",")))
        else:
            steps.append(found[2])
        at = found.end()
    return steps


def resolved(value: Any, steps: list[Step]) -> tuple[Any, tuple[str | int, ...]]:
    """The value at the steps and its path with indexes; the first is ``absent()`` where there is none."""
    path: list[str | int] = []
    for step in steps:
        if isinstance(value, list):
            place = _index(value, step)
            if place is None:
                return _ABSENT, ()
            value = value[place]
            path.append(place)
        elif isinstance(value, dict) and isinstance(step, str) and step in value:
            value = value[step]
            path.append(step)
        else:
            return _ABSENT, ()
    return value, tuple(path)


def is_absent(value: Any) -> bool:
    return value is _ABSENT


def whence(files: Mapping[str, bytes], origin: str, ref: ObjectRef, steps: list[Step], value: Any) -> list[Place]:
    """The places that this value may come from, the likeliest first; the first alone where one is certain."""
    found: dict[tuple[str, int], Place] = {}
    for file in sorted(files, key=lambda name: (name != origin, name)):
        if not file.endswith(_ENDINGS):
            continue
        for one in _in_file(files[file], file, origin, ref, steps, value):
            key = (one.file, one.line)
            if key not in found or one < found[key]:
                found[key] = one
    ordered = sorted(found.values())
    if ordered and ordered[0].rank < 3:
        return [one for one in ordered if one.rank == ordered[0].rank][:1]
    return ordered[:MOST]


def _in_file(data: bytes, file: str, origin: str, ref: ObjectRef, steps: list[Step], value: Any) -> Iterator[Place]:
    try:
        documents = read(data, file)
    except DocumentError:
        return  # a template, or another program's
    for one in documents:
        content = one.value
        if not isinstance(content, dict):
            continue
        named = _names(content, ref)
        have, path = resolved(content, steps)
        if have is not _ABSENT and _same(have, value):
            line = locate(data, one.index, path)
            if named and file == origin:
                yield Place(0, file, line, "the object's own manifest")
            elif named:
                yield Place(1, file, line, "a patch of the object")
            elif content.get("kind") == ref.kind and file == origin:
                yield Place(1, file, line, "the manifest that an overlay renames")
        if content.get("kind") == "Kustomization" or file.rpartition("/")[2].startswith("kustomization."):
            yield from _in_kustomization(data, file, one.index, content, ref, steps, value)
        for at, each in _scalars(content, ()):
            if _same(each, value) or (_is_image(steps) and str(each) in _parts(str(value))):
                rank = 3 if at and at[-1] == steps[-1] else 4
                yield Place(rank, file, locate(data, one.index, at), "the same text")


def _in_kustomization(
    data: bytes, file: str, index: int, content: dict[str, Any], ref: ObjectRef, steps: list[Step], value: Any
) -> Iterator[Place]:
    yield from _in_patches(data, file, index, content, ref, steps, value)
    for place, one in enumerate(content.get("images") or []):
        if not (_is_image(steps) and isinstance(one, dict) and isinstance(value, str)):
            continue
        for key in ("newTag", "digest", "newName"):
            if str(one.get(key, "")) in _parts(value):
                yield Place(2, file, locate(data, index, ("images", place, key)), "images of the kustomization")
                break
    for place, one in enumerate(content.get("replicas") or []):
        wanted = isinstance(one, dict) and one.get("name") == ref.name and one.get("count") == value
        if wanted and steps[-1] == "replicas":
            yield Place(2, file, locate(data, index, ("replicas", place, "count")), "replicas of the kustomization")


def _in_patches(
    data: bytes, file: str, index: int, content: dict[str, Any], ref: ObjectRef, steps: list[Step], value: Any
) -> Iterator[Place]:
    """Patches that are written in the kustomization itself."""
    for key in ("patches", "patchesStrategicMerge", "patchesJson6902"):
        for place, one in enumerate(_list(content.get(key))):
            path: tuple[str | int, ...] = (key, place, "patch") if isinstance(one, dict) else (key, place)
            target = one.get("target") if isinstance(one, dict) else None
            text = one.get("patch") if isinstance(one, dict) else one
            if not isinstance(text, str) or "\n" not in text:
                continue
            aimed = isinstance(target, dict) and (target.get("kind"), target.get("name")) == (ref.kind, ref.name)
            for line in _patched(text, ref, steps, value, aimed=aimed):
                yield Place(1, file, _line_in(data, locate(data, index, path), text, line), "a patch of the object")


def _patched(text: str, ref: ObjectRef, steps: list[Step], value: Any, *, aimed: bool) -> Iterator[int]:
    """The lines of a patch that give the field this value."""
    raw = text.encode()
    try:
        documents = read(raw, "")
    except DocumentError:
        return
    for one in documents:
        if isinstance(one.value, list) and aimed:
            for place, step in enumerate(one.value):
                to = str(step.get("path", "")) if isinstance(step, dict) else ""
                if to.rpartition("/")[2] == steps[-1] and _same(step.get("value", _ABSENT), value):
                    yield locate(raw, one.index, (place, "value"))
        elif isinstance(one.value, dict) and (aimed or _names(one.value, ref)):
            have, path = resolved(one.value, steps)
            if have is not _ABSENT and _same(have, value):
                yield locate(raw, one.index, path)


def _line_in(data: bytes, first: int, text: str, line: int) -> int:
    """The line of the file in which line ``line`` of a block of text stands, that begins at ``first``: the block's own
    head may be a line of its own, with an indent of its own. ``first`` where it can't be told."""
    wanted = text.splitlines()[line - 1].strip()
    lines = data.decode(errors="replace").splitlines()
    for number in (first + line, first + line - 1):
        if 0 < number <= len(lines) and lines[number - 1].strip() == wanted:
            return number
    return first


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _names(content: dict[str, Any], ref: ObjectRef) -> bool:
    metadata = content.get("metadata")
    return content.get("kind") == ref.kind and isinstance(metadata, dict) and metadata.get("name") == ref.name


def _scalars(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _scalars(each, (*path, key))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _scalars(each, (*path, place))
    elif value is not None:
        yield path, value


def _index(value: list[Any], step: Step) -> int | None:
    if isinstance(step, str):
        return int(step) if step.isdigit() and int(step) < len(value) else None
    for place, item in enumerate(value):
        if isinstance(item, dict) and all(str(item.get(key, "")) == text for key, text in step.items()):
            return place
    return None


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _is_image(steps: list[Step]) -> bool:
    return steps[-1] == "image"


def _parts(image: str) -> set[str]:
    """``registry/name:tag@digest`` in the parts that are set apart."""
    name, _, digest = image.partition("@")
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        path, tag = name, ""
    return {part for part in (digest, tag, path) if part}
