"""Replacements: a value of one object, put into fields of others.

Called by ``target`` and ``plugins``. A field that lies inside a text (JSON or YAML in a ConfigMap) is found by
``embedded``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windlass.core.documents import DocumentError
from windlass.core.kustomize import embedded, reading
from windlass.core.kustomize.collection import Collection, Matcher
from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.ids import Gvk, Id
from windlass.core.kustomize.kustomization import (
    FieldOptions,
    Replacement,
    ReplacementSource,
    ReplacementTarget,
    decode,
)
from windlass.core.kustomize.loading import Place
from windlass.core.kustomize.nodes import (
    Node,
    Scalar,
    check_size,
    check_text,
    copy,
    is_empty,
    is_null,
    text_of,
    untagged,
)
from windlass.core.kustomize.paths import LEAF, LIST, MAPPING, Slot, lookup, match, parts_of
from windlass.core.kustomize.resource import Change, Resource
from windlass.core.kustomize.transform import Run
from windlass.errors import Where

_DEFAULT_PATH = "metadata.name"


def replacement_run(place: Place, given: Sequence[Replacement], file: str, change: Change | None = None) -> Run:
    """All entries of ``replacements``, one after the other; those in files are read now."""
    ready: list[tuple[Replacement, str]] = []
    for number, entry in enumerate(given):
        if not entry.path:
            ready.append((entry, f"replacements[{number}]"))
            continue
        if entry.source is not None or entry.targets:
            raise KustomizeError(
                "a replacement has a path and is written out as well",
                where=Where(field=f"replacements[{number}]"),
                hint="write one of the two",
            )
        ready += _from_file(place, entry.path)

    def run(collection: Collection) -> None:
        for replacement, name in ready:
            try:
                _replace(collection, replacement, change)
            except KustomizeError as error:
                raise error.at(Where(file=file, field=name)) from None

    return run


def _from_file(place: Place, path: str) -> list[tuple[Replacement, str]]:
    source, data = place.load(path)
    try:
        value = reading.settings(data, source)
    except DocumentError as error:
        raise KustomizeError(
            f"the replacements can't be read: {error.what}", where=error.where, hint=error.hint
        ) from None
    entries: list[Any] = value if isinstance(value, list) else [value]
    if not isinstance(value, list | dict):
        raise KustomizeError("this is no replacement", where=Where(file=source), hint="write source and targets")
    out = []
    for number, entry in enumerate(entries):
        try:
            out.append((decode(entry, Replacement, strict=False), f"[{number}]"))
        except KustomizeError as error:
            raise error.at(Where(file=source)) from None
    return out


def _replace(collection: Collection, replacement: Replacement, change: Change | None) -> None:
    if (replacement.source is None and replacement.source_value is None) or not replacement.targets:
        raise KustomizeError("a replacement needs a source and targets", hint="write source, and targets with select")
    if replacement.source is not None and replacement.source_value is not None:
        raise KustomizeError("a replacement has both source and sourceValue", hint="write one of the two")
    if replacement.source is None:
        value: Node = untagged(replacement.source_value or "")
    else:
        value = _source(collection, replacement.source)
    for target in replacement.targets:
        _targets(collection, target, value, change)


def _source(collection: Collection, source: ReplacementSource) -> Node:
    found = [resource for resource in collection if any(_is_source(each, source) for each in resource.ids())]
    words = " ".join(part for part in (source.kind, source.name, source.namespace) if part) or "the source"
    if len(found) != 1:
        count = "no object is" if not found else f"{len(found)} objects are"
        raise KustomizeError(
            f"{count} the source {shown(words, 100)}", hint="say kind, name and namespace so that one object is meant"
        )
    path = source.field_path or _DEFAULT_PATH
    try:
        value = lookup(found[0].tree, parts_of(path))
    except KustomizeError as error:
        raise KustomizeError(f"{shown(path)} of {found[0].id.words()}: {error.what}", hint=error.hint) from None
    if is_empty(value):
        raise KustomizeError(
            f"{found[0].id.words()} has no {shown(path)}", hint="check the fieldPath; dots in a name are written \\."
        )
    return _part(source.options, value, path)


def _is_source(identity: Id, source: ReplacementSource) -> bool:
    wanted = Id.of(Gvk(), "", source.namespace)
    return (
        (not source.name or source.name == identity.name)
        and (not source.namespace or wanted.scope == identity.scope)
        and identity.gvk.selected_by(Gvk(source.group, source.version, source.kind))
    )


def _part(options: FieldOptions | None, value: Node, path: str) -> Node:
    if options is None or not options.delimiter:
        return value
    if value.__class__ is not Scalar:
        raise KustomizeError(f"{shown(path)} is no single value, and a delimiter is said")
    pieces = ("" if is_null(value) else value.text).split(options.delimiter)
    if not 0 <= options.index < len(pieces):
        raise KustomizeError(f"{shown(path)} has {len(pieces)} parts, and index is {options.index}")
    return Scalar(value.tag, pieces[options.index], value.style)


def _targets(collection: Collection, target: ReplacementTarget, value: Node, change: Change | None) -> None:
    if target.select is None:
        raise KustomizeError("a target selects nothing", hint="write select")
    selects = Matcher(target.select)
    rejects = [Matcher(each) for each in target.reject if each is not None]
    for resource in collection:
        if not selects.fits_words(resource) or any(
            (each.labels or each.annotations) and each.fits_words(resource) for each in rejects
        ):
            continue
        ids = resource.ids()
        if any(not each.empty and any(each.fits(identity) for identity in ids) for each in rejects):
            continue
        if any(selects.fits(identity) for identity in ids):
            _copy_to(resource, value, target)
            if value.__class__ is not Scalar:
                check_size(resource.tree)
            resource.touched(change)


def _copy_to(resource: Resource, value: Node, target: ReplacementTarget) -> None:
    options = target.options
    create = ""
    if options is not None and options.create:
        create = LEAF if value.__class__ is Scalar else MAPPING if value.__class__ is dict else LIST
    for path in target.field_paths or [_DEFAULT_PATH]:
        parts = parts_of(path)
        if embedded.replace(resource.tree, parts, value, create, lambda slot, new: _put(options, slot, new)):
            continue
        try:
            found = match([resource.tree], 0, parts, create)
        except KustomizeError as error:
            raise KustomizeError(f"{shown(path)} of {resource.id.words()}: {error.what}", hint=error.hint) from None
        if not found:
            raise KustomizeError(
                f"{resource.id.words()} has no {shown(path)}",
                hint="check the fieldPath, or write options: {create: true}",
            )
        for slot in found:
            _put(options, slot, value)


def _put(options: FieldOptions | None, slot: Slot, value: Node) -> None:
    new = copy(value)
    if options is not None and options.delimiter:
        if slot.node.__class__ is not Scalar:
            raise KustomizeError("a field with a delimiter is no single value")
        pieces = slot.node.text.split(options.delimiter)
        text = "" if is_null(value) else text_of(value)
        if options.index < 0:
            pieces.insert(0, text)
        elif options.index >= len(pieces):
            pieces.append(text)
        else:
            pieces[options.index] = text
        if new.__class__ is Scalar:
            new.text = options.delimiter.join(pieces)
        else:
            new = untagged(options.delimiter.join(pieces))
    if new.__class__ is Scalar:
        check_text(len(new.text))
    if slot.node.__class__ is Scalar:
        # Only the text: the type stays that of the field.
        slot.node.text = text_of(new)
    else:
        slot.put(new)
