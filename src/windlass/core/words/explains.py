"""How a render came to be, as text: ``windlass render --explain``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from windlass.core.model import Explained, Rendered
from windlass.core.words.plain import count, plain

WORDS = {
    "helm": "a Helm chart",
    "jsonnet": "Jsonnet",
    "kustomize": "a kustomization",
    "plain": "plain manifests",
}


def explain_text(
    renderer: str,
    objects: Sequence[Explained],
    rendered: Rendered,
    *,
    place: str,
    values: Iterable[str] = (),
    fields: Sequence[tuple[str, str]] = (),
) -> str:
    """What the folder is, each object with what made and changed it, and what was read and looked for. ``values`` are
    where the values of a chart came from, the lowest first, and ``fields`` which of them gave which field."""
    lines = [f"{plain(place)}: {WORDS.get(renderer, renderer)}"]
    lines += [f"  values: {plain(one)}" for one in values]
    side = max((len(field) for field, _ in fields), default=0)
    lines += [f"    {plain(field).ljust(side)}  {plain(name)}" for field, name in fields]
    lines.append("")
    width = max((len(str(one.ref)) for one in objects), default=0)
    for one in objects:
        lines.append(f"{str(one.ref).ljust(width)}  {plain(_place(one))}".rstrip())
        steps = list(dict.fromkeys(one.steps))
        side = max((len(file) for file, _ in steps), default=0)
        lines += [f"  {plain(file).ljust(side)}  {plain(field)}".rstrip() for file, field in steps]
    if objects:
        lines.append("")
    lines += _read("", rendered.read)
    for name, other in rendered.others.items():
        lines += _read(f" of ${name}", other.read)
    return "\n".join(lines) + "\n"


def _place(one: Explained) -> str:
    if not one.file:
        return "made here"
    return f"{one.file}:{one.line}" if one.line else f"made by {one.file}"


def _read(where: str, read: Mapping[str, str]) -> list[str]:
    files = sorted(path for path, seen in read.items() if seen and not path.endswith("/"))
    # Whether a file is a folder is no question that a person asks.
    absent = sorted(path for path, seen in read.items() if not seen and not read.get(path.removesuffix("/")))
    folders = sorted(path for path, seen in read.items() if seen and path.endswith("/"))
    lines = [f"read{where}: {count(len(files), 'file')}, {count(len(folders), 'folder')} listed"]
    lines += [f"  {plain(path)}" for path in (*files, *folders)]
    if absent:
        lines.append(f"looked for in vain{where}: {count(len(absent), 'name')}")
        lines += [f"  {plain(path)}" for path in absent]
    return lines
