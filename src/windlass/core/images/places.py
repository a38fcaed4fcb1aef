"""Where in a file an image or a chart stands: found by structure, by a mark in a comment, or by a rule for a kind.

By structure, without any mark: ``image`` of the containers of whatever has containers; ``images`` of a kustomization,
and of the objects of Flux and Argo CD that build one;
``repository`` with ``tag`` beside it, as charts' values have it; the version beside a chart's name. By a comment behind
the value, ``# windlass: shop`` or ``# {"$imagepolicy": "apps:shop:tag"}``, where a value is unusual: then the comment
alone decides. ``moves`` changes what is found here. It reads one file at a time and guesses nothing: what is no literal
(a template, an alias) is no place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from windlass.core.documents import read
from windlass.core.documents.layout import Node, layout, properties
from windlass.core.images.references import HUB, Reference
from windlass.core.images.references import read as read_reference

Path = tuple[str | int, ...]
CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_MARK = re.compile(
    r"#\s*(?:windlass:\s*(?P<own>[a-z0-9][a-z0-9./-]*)(?::(?P<part>tag|digest|name))?\s*$"
    r"|\{\s*\"\$imagepolicy\"\s*:\s*\"(?P<space>[a-z0-9.-]+):(?P<name>[a-z0-9.-]+)(?::(?P<what>tag|digest|name))?\"\s*\})"
)
_NOBODY = Reference("", "", "")


class Wanted(msgspec.Struct, frozen=True):
    """One policy as the search sees it: ``key`` is ``<namespace>/<name>``. Either ``image`` or ``chart`` is set:
    what ``Reference.image`` gives, or (repository URL, name of the chart). ``fields`` are paths of fields by kind, for
    objects that hold an image where no container has it: ("Prometheus", ("spec", "image")).
    """

    key: str
    image: tuple[str, str] = ("", "")
    chart: tuple[str, str] = ("", "")
    fields: tuple[tuple[str, Path], ...] = ()


class Place(msgspec.Struct, frozen=True):
    """One place: the ``policy`` it belongs to, the document's index, and the ``path``.

    ``form`` says what is at the path: "reference" a whole reference; "tag", "digest" or "name" that part alone (by a
    mark); "kustomize" an item of ``images``; "values" a mapping with ``repository`` and ``tag``, "values+digest" one
    with a key for the digest as well; "chart" a version.
    ``current`` is what stands there now, as a reference; for charts the version is its tag.
    """

    policy: str
    index: int
    path: Path
    form: str
    current: Reference
    marked: bool = False


def find(file: str, data: bytes, wanted: Sequence[Wanted]) -> list[Place]:
    """All places of the wanted policies in a file, in its order. Raises the errors of ``read``."""
    documents = read(data, file)
    text = data.decode("utf-8-sig")
    marks = list(_marks(text, wanted, [one.index for one in documents])) if "#" in text else []
    taken = {(place.index, place.path) for place in marks}
    structured = [
        place
        for document in documents
        for place in _by_structure(file, document.index, document.value, wanted)
        if taken.isdisjoint((place.index, path) for path in _value_paths(place))
    ]
    own = [place for place in marks if place.policy]
    return sorted([*own, *structured], key=lambda one: (one.index, _sortable(one.path)))


def _value_paths(place: Place) -> list[Path]:
    """The paths whose values a mark would stand behind."""
    tag = {"kustomize": "newTag", "values": "tag", "values+digest": "tag"}.get(place.form)
    return [(*place.path, tag), (*place.path, "digest")] if tag else [place.path]


def _sortable(path: Path) -> tuple[tuple[int, str], ...]:
    return tuple((step, "") if isinstance(step, int) else (-1, step) for step in path)


# --- by structure -----------------------------------------------------------------------------------------------------


def _by_structure(file: str, index: int, value: Any, wanted: Sequence[Wanted]) -> Iterator[Place]:
    images = {one.image: one for one in wanted if one.image[1]}
    charts = {one.chart: one for one in wanted if one.chart[1]}
    kustomization = file.rpartition("/")[2] in KUSTOMIZATIONS and isinstance(value, dict)
    if kustomization:
        yield from _kustomize(index, value, images)
    for path, mapping in _mappings(value, ()):
        if path and path[-1] in CONTAINERS:
            continue
        for name in CONTAINERS:
            for number, container in enumerate(_list(mapping.get(name))):
                if isinstance(container, dict):
                    yield from _reference(index, (*path, name, number, "image"), container.get("image"), images)
        if path and path[-1] in ("spec", "kustomize"):
            yield from _overrides(index, path, mapping, images)
        yield from _values(index, path, mapping, images)
        yield from _charts(index, path, mapping, charts)
        for one in wanted:
            for kind, field in one.fields:
                if mapping.get("kind") == kind and "apiVersion" in mapping:
                    there = _at(mapping, field)
                    yield from _reference(index, (*path, *field), there, {one.image: one})


def _reference(index: int, path: Path, value: Any, images: Mapping[tuple[str, str], Wanted]) -> Iterator[Place]:
    current = read_reference(value)
    if current is not None and current.image in images:
        yield Place(images[current.image].key, index, path, "reference", current)


def _kustomize(index: int, value: Mapping[str, Any], images: Mapping[tuple[str, str], Wanted]) -> Iterator[Place]:
    for number, item in enumerate(_list(value.get("images"))):
        if isinstance(item, dict):
            yield from _override(index, ("images", number), item, images)


def _overrides(
    index: int, path: Path, mapping: Mapping[str, Any], images: Mapping[tuple[str, str], Wanted]
) -> Iterator[Place]:
    """``images`` as objects have them that build a kustomization: Flux' Kustomization as a kustomization itself does,
    Argo CD's Application (and the file that its image updater writes) as texts, ``[name=]image:tag`` below
    ``kustomize``."""
    for number, item in enumerate(_list(mapping.get("images"))):
        at = (*path, "images", number)
        if isinstance(item, dict) and isinstance(item.get("name"), str) and ("newTag" in item or "digest" in item):
            yield from _override(index, at, item, images)
        elif isinstance(item, str) and path[-1] == "kustomize":
            name, equals, image = item.rpartition("=")
            current = read_reference(image)
            if current is not None and current.image in images:
                shown = msgspec.structs.replace(current, name=f"{name}{equals}{current.name}")
                yield Place(images[current.image].key, index, at, "reference", shown)


def _override(
    index: int, path: Path, item: Mapping[str, Any], images: Mapping[tuple[str, str], Wanted]
) -> Iterator[Place]:
    named = read_reference(item.get("newName") or item.get("name"))
    if named is not None and named.image in images:
        current = msgspec.structs.replace(named, tag=_text(item.get("newTag")), digest=_text(item.get("digest")))
        yield Place(images[named.image].key, index, path, "kustomize", current)


def _values(
    index: int, path: Path, mapping: Mapping[str, Any], images: Mapping[tuple[str, str], Wanted]
) -> Iterator[Place]:
    """``repository`` with ``tag`` (and ``registry``) beside it, under whatever key a chart has them."""
    repository, registry = mapping.get("repository"), mapping.get("registry")
    if not isinstance(repository, str) or "tag" not in mapping or not isinstance(mapping["tag"], str | int | float):
        return
    name = f"{registry}/{repository}" if isinstance(registry, str) and registry else repository
    named = read_reference(name)
    if named is not None and not named.tag and not named.digest and named.image in images:
        tag, _, behind = _text(mapping["tag"]).partition("@")
        current = msgspec.structs.replace(named, tag=tag, digest=behind or _text(mapping.get("digest")))
        form = "values+digest" if "digest" in mapping else "values"
        yield Place(images[named.image].key, index, path, form, current)


def _charts(
    index: int, path: Path, mapping: Mapping[str, Any], charts: Mapping[tuple[str, str], Wanted]
) -> Iterator[Place]:
    """A chart's version beside its name and repository: an Application's, a Chart.yaml's dependency, a kustomization's
    helmCharts; an Application of Argo CD, which writes registries without ``oci://``."""
    if not charts:
        return
    repository = mapping.get("repository", mapping.get("repo"))
    for at, name, where in (
        ("version", mapping.get("name"), repository),
        ("targetRevision", mapping.get("chart"), mapping.get("repoURL")),
    ):
        version = mapping.get(at)
        if not (isinstance(version, str) and isinstance(name, str) and isinstance(where, str)):
            continue
        url = where.rstrip("/")
        one = charts.get((url, name)) or (charts.get((f"oci://{url}", name)) if at == "targetRevision" else None)
        if one is not None:
            yield Place(one.key, index, (*path, at), "chart", Reference(name, "", name, version))


def _mappings(value: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every mapping of a document with its path, outermost first."""
    waiting: list[tuple[Path, Any]] = [(path, value)]
    while waiting:
        at, here = waiting.pop()
        if isinstance(here, dict):
            yield at, here
            waiting.extend(
                ((*at, key), below) for key, below in reversed(list(here.items())) if isinstance(below, dict | list)
            )
        elif isinstance(here, list):
            waiting.extend(((*at, number), below) for number, below in reversed(list(enumerate(here))))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _at(value: Any, path: Path) -> Any:
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


# --- by marks ---------------------------------------------------------------------------------------------------------


def _marks(text: str, wanted: Sequence[Wanted], indexes: Sequence[int]) -> Iterator[Place]:
    """What stands on a line with a mark: the last scalar before the comment. Where the mark names no policy that is
    wanted, the place's policy is "": whoever it is, the structure has no say there."""
    keys = {one.key: one for one in wanted}
    starts = [0, *(found.end() for found in re.finditer(r"\r?\n", text))]
    marked: list[tuple[int, int, Wanted | None, str]] = []
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(text)
        line = text[start:end].rstrip("\r\n")
        found = _MARK.search(line)
        if found is None:
            continue
        what = found["part"] or found["what"] or "image"
        marked.append((start, start + found.start(), _meant(found, keys), what))
    if not marked:
        return
    scalars = [
        (index, path, node)
        for index in indexes
        for path, node in _scalars(layout(text, index), ())
        if node.style not in ("|", ">")
    ]
    for start, comment, one, what in marked:
        on_line = [each for each in scalars if start <= each[2].start and each[2].end <= comment]
        if not on_line:
            continue
        index, path, node = max(on_line, key=lambda each: each[2].start)
        if one is None:
            yield Place("", index, path, "", _NOBODY, marked=True)
            continue
        written = text[node.start + len(properties(text, node)) : node.end].strip("'\"")
        if one.chart[1]:  # of a chart the version is all that moves, whatever part the mark names
            version = Reference(one.chart[1], "", one.chart[1], written)
            yield Place(one.key, index, path, "chart", version, marked=True)
            continue
        current = _current(written, what, one)
        if current is not None:
            yield Place(one.key, index, path, "reference" if what == "image" else what, current, marked=True)


def _meant(found: re.Match[str], keys: Mapping[str, Wanted]) -> Wanted | None:
    """The policy that a mark names: ``namespace:name``, ``namespace/name``, or a name alone where one policy has it."""
    if found["name"]:
        return keys.get(f"{found['space']}/{found['name']}")
    own = found["own"].rstrip(":")
    if "/" in own:
        return keys.get(own)
    named = [one for key, one in keys.items() if key.rpartition("/")[2] == own]
    return named[0] if len(named) == 1 else None


def _current(written: str, what: str, one: Wanted) -> Reference | None:
    registry, repository = one.image
    name = repository if registry == HUB else f"{registry}/{repository}"
    match what:
        case "image":
            return read_reference(written)
        case "tag":
            tag, _, digest = written.partition("@")
            return Reference(name, registry, repository, tag, digest)
        case "digest":
            return Reference(name, registry, repository, digest=written)
        case _:
            return read_reference(written)


def _scalars(node: Node | None, path: Path) -> Iterator[tuple[Path, Node]]:
    """The values that are scalars, with their paths; keys are none."""
    if node is None:
        return
    if node.kind == "scalar":
        yield path, node
    elif node.kind == "map":
        for key, value in zip(node.keys, node.values, strict=True):
            yield from _scalars(value, (*path, key))
    elif node.kind == "list":
        for number, value in enumerate(node.values):
            yield from _scalars(value, (*path, number))
