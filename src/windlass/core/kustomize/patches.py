"""Patches: which form a text has, which objects it is for, and carrying it out.

A strategic merge patch is YAML that holds objects; a JSON patch (RFC 6902) is a list of operations, in JSON or YAML.
Called by ``target`` and ``plugins``; merging itself is ``merging``, operations are ``core/manifests/patches``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from windlass.core.documents import DocumentError
from windlass.core.kustomize import merging, reading
from windlass.core.kustomize.collection import Collection
from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.kustomization import Patch, Selector
from windlass.core.kustomize.loading import Place
from windlass.core.kustomize.making import resources_of
from windlass.core.kustomize.nodes import check_size, copy, from_json, json_value
from windlass.core.kustomize.resource import ALLOW_KIND_CHANGE, ALLOW_NAME_CHANGE, Change, Resource
from windlass.core.kustomize.schemas import Known
from windlass.core.kustomize.transform import Run
from windlass.core.manifests.patches import PatchError, json_patch
from windlass.errors import Where


def patch_run(place: Place, patch: Patch, known: Known, file: str, change: Change | None = None) -> Run:
    """One entry of ``patches``. ``file`` is the file of the kustomization, for what is written inside it."""
    text = patch.patch.strip()
    if bool(text) == bool(patch.path):
        raise KustomizeError(
            "a patch has both path and patch" if text else "a patch has neither path nor patch",
            hint="write one of the two",
        )
    source, data = place.load(patch.path) if patch.path else (file, text.encode())
    merges, trouble = _strategic(place, data, source, inline=not patch.path)
    operations = _operations(data, source)
    if merges is None and operations is None:
        raise _unreadable(source, trouble, as_json=data.startswith(b"["))
    if merges and operations:
        raise KustomizeError("the patch is both a strategic merge patch and a JSON patch", where=Where(file=source))
    if merges is None:
        return _json_run(operations or [], patch.target, source, change, remember=True)
    options = patch.options
    for resource in merges:
        if options is not None and options.allow_name_change:
            resource.enable(ALLOW_NAME_CHANGE)
        if options is not None and options.allow_kind_change:
            resource.enable(ALLOW_KIND_CHANGE)
    return _merge_run(merges, patch.target, source, known, change)


def strategic_run(
    place: Place, entries: Sequence[str], inline: str, known: Known, file: str, change: Change | None = None
) -> Run:
    """``patchesStrategicMerge``: each entry is a patch, or the path of a file of patches."""
    merges: list[Resource] = []
    for text in entries:
        found, _ = _strategic(place, text.encode(), file, inline=True)
        if found is None:
            source, data = place.load(text)
            found, trouble = _strategic(place, data, source)
            if found is None:
                raise _unreadable(source, trouble)
        merges += found
    if inline:
        found, trouble = _strategic(place, inline.encode(), file, inline=True)
        if found is None:
            raise _unreadable(file, trouble)
        merges += found
    if not merges:
        raise KustomizeError("there is nothing to patch with", where=Where(file=file), hint="the patches are empty")

    def run(collection: Collection) -> None:
        for patch in merges:
            target = _named(collection, patch)
            _apply_selected(collection, [target], patch, known, change)

    return run


def json_run(
    place: Place, path: str, text: str, target: Selector | None, file: str, change: Change | None = None
) -> Run:
    """One entry of ``patchesJson6902``."""
    if target is None or not target.name:
        raise KustomizeError("a JSON patch has no target with a name", hint="write target with kind and name")
    if bool(text) == bool(path):
        raise KustomizeError("a JSON patch needs a path or a patch, and not both", hint="write one of the two")
    source, data = place.load(path) if path else (file, text.encode())
    operations = _operations(data, source)
    if not operations:
        raise KustomizeError(
            "this is no JSON patch", where=Where(file=source), hint="write a list of operations: op, path, value"
        )
    return _json_run(operations, target, source, change, remember=False)


def _unreadable(source: str, trouble: Exception | None, *, as_json: bool = False) -> KustomizeError:
    if as_json:
        return KustomizeError(
            "what begins with [ is read as JSON, and this is none",
            where=Where(file=source),
            hint='put names and texts in double quotes, or write the operations as a YAML list with "- op: ..."',
        )
    why = f": {trouble.what}" if isinstance(trouble, DocumentError | KustomizeError) else ""
    error = KustomizeError(
        f"this is neither a strategic merge patch nor a JSON patch{why}",
        hint="write objects with apiVersion, kind and metadata.name, or a list of operations",
    )
    return error.at(trouble.where if isinstance(trouble, DocumentError | KustomizeError) else Where(file=source))  # type: ignore[return-value] # it is itself


def _strategic(
    place: Place, data: bytes, file: str, *, inline: bool = False
) -> tuple[list[Resource] | None, Exception | None]:
    """The objects of a patch, None and why where it is not made of objects. Lines of a text inside a kustomization are
    not those of its file, and are forgotten."""
    try:
        found = resources_of(place, data, file)
    except (DocumentError, KustomizeError) as error:
        if inline:
            error.where = Where(file=file)
        return None, error
    if inline:
        for resource in found:
            resource.line = 0
    return found, None


def _operations(data: bytes, file: str) -> list[dict[str, Any]] | None:
    """The operations of a JSON patch, None where it is none."""
    if not data:
        return None
    if data.startswith(b"["):
        try:
            found = json.loads(data)
        except ValueError:
            return None
    else:
        try:
            found = reading.settings(data, file)
        except DocumentError:
            return None
    if found is None:
        return []
    if not isinstance(found, list) or not all(each is None or isinstance(each, dict) for each in found):
        return None
    return [each or {} for each in found]


def _merge_run(
    merges: list[Resource], target: Selector | None, source: str, known: Known, change: Change | None
) -> Run:
    def run(collection: Collection) -> None:
        if not merges:
            return
        if target is None:
            for patch in merges:
                found = _named(collection, patch)
                _apply(found, patch, known)
                found.touched(change)
                collection.renamed()
            return
        if len(merges) > 1:
            raise KustomizeError(
                "a patch with a target holds several objects",
                where=Where(file=source),
                hint="write one entry under patches for each",
            )
        _apply_selected(collection, collection.select(target), merges[0], known, change)

    return run


def _named(collection: Collection, patch: Resource) -> Resource:
    """The object that a patch names itself."""
    try:
        return collection.one_by_id(patch.original_id)
    except KustomizeError as error:
        raise error.at(patch.where) from None


def _apply_selected(
    collection: Collection, selected: list[Resource], patch: Resource, known: Known, change: Change | None
) -> None:
    chosen = {resource.id for resource in selected}
    kept: list[Resource] = []
    for resource in collection:
        if resource.id in chosen:
            mine = patch.copy()
            mine.copy_metadata_of(patch)
            mine.set_kind(resource.kind)
            mine.set_api_version(resource.api_version)
            mine.set_kind(patch.kind)
            _apply(resource, mine, known)
            resource.touched(change)
        if not resource.gone:
            kept.append(resource)
    collection.items = []
    collection.add(kept)


def _apply(resource: Resource, patch: Resource, known: Known) -> None:
    """Merge one patch into one object."""
    name, namespace, kind = resource.name, resource.namespace, resource.kind
    new_name, new_kind = patch.enabled(ALLOW_NAME_CHANGE), patch.enabled(ALLOW_KIND_CHANGE)
    if new_name or new_kind:
        resource.store_previous_id()
    try:
        kept = merging.merge(resource.tree, patch.content, known.schema(resource.api_version, kind))
    except KustomizeError as error:
        raise error.at(patch.where) from None
    if not kept:
        resource.content = None
    if resource.gone:
        return
    if not new_kind:
        resource.set_kind(kind)
    if not new_name:
        resource.set_name(name)
    resource.set_namespace(namespace)


def _json_run(
    operations: list[dict[str, Any]], target: Selector | None, source: str, change: Change | None, *, remember: bool
) -> Run:
    """``remember`` stores the name before, which the original does for ``patches`` alone; it makes annotations be
    there, and so lets a patch add one."""

    def run(collection: Collection) -> None:
        if target is None:
            raise KustomizeError(
                "a JSON patch has no target", where=Where(file=source), hint="write target with kind and name"
            )
        for resource in collection.select(target):
            if remember:
                resource.store_previous_id()
            kept = resource.internal_annotations()
            resource.content = _patched(resource, operations, source)
            resource.set_annotations({**resource.annotations(), **kept})
            resource.touched(change)

    return run


def _patched(resource: Resource, operations: list[dict[str, Any]], source: str) -> dict[str, Any]:
    if not operations and resource.content is not None:
        return copy(resource.content)  # type: ignore[no-any-return] # a mapping stays one
    value = json_value(resource.tree)
    for number, operation in enumerate(operations):
        try:
            value = json_patch(value, [_rooted(operation)])
        except PatchError:
            words = f"{operation.get('op', '(no op)')} {operation.get('path', '(no path)')}"
            raise KustomizeError(
                f"operation {number + 1} of the JSON patch, {shown(words, 120)}, does not fit {resource.id.words()}",
                where=Where(file=source),
                hint="check its op, and its path against the object; / in a name is written ~1",
            ) from None
    try:
        check_size(value)
    except KustomizeError as error:
        raise error.at(Where(file=source)) from None
    if not isinstance(value, dict):
        raise KustomizeError("the JSON patch leaves no object", where=Where(file=source))
    found: dict[str, Any] = from_json(value)
    return found


def _rooted(operation: dict[str, Any]) -> dict[str, Any]:
    """The operation with its paths as the original takes them: from their first slash on. The whole object can be
    replaced and tested, nothing else."""
    out = dict(operation)
    for name in ("path", "from"):
        path = operation.get(name)
        if not isinstance(path, str) or (name == "from" and operation.get("op") not in ("move", "copy")):
            continue
        if not path and operation.get("op") not in ("replace", "test"):
            raise PatchError("the whole object can only be replaced or tested")
        if path and "/" in path:
            out[name] = path[path.index("/") :]
    return out
