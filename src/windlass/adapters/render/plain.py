"""Plain YAML and JSON: the manifests of a folder as they are. A renderer, as ``work`` describes them.

A pure function over a Tree: it opens nothing by itself. Everything that is wrong is told at once; an error in one file
does not hide those in another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from windlass.adapters.git.errors import GitRefused
from windlass.adapters.render.objects import Raw
from windlass.adapters.render.walk import GONE, File, Walk
from windlass.adapters.render.work import Work
from windlass.core.documents import Document, DocumentError, read

_LIST_DEPTH = 4


def plain(work: Work) -> Iterator[Raw]:
    """Every object of the folder's files, Lists taken apart."""
    for one in list(Walk(work).files()):
        if isinstance(one, File):
            yield from _objects(one, work)
        else:
            from windlass.adapters.render.kustomizing import built

            yield from built(work, one.folder)


def _objects(file: File, work: Work) -> Iterator[Raw]:
    known = work.documents.get(file)
    if known is not None and work.decrypts and any(_encrypted(one.value) for one in known):
        known = None
    if known is None:
        try:
            known = _parsed(file, work)
        except (DocumentError, GitRefused) as error:
            work.found.problem(error.what, file.path, error.where.line, hint=error.hint, slug=error.slug)
            return
        except KeyError:
            work.found.problem(GONE, file.path, hint="try again")
            return
    for document in known:
        yield from expanded(Raw(document.value, file.path, document.line, document.index), work)


def _parsed(file: File, work: Work) -> Sequence[Document]:
    """What was decrypted is never kept: another Application may not open it."""
    data = work.tree.inner.read(file.path)
    if work.decrypts and data != work.sealed.inner.read(file.path):
        return read(data, file.path)
    return work.documents.put(file, data)


def _encrypted(value: object) -> bool:
    return isinstance(value, dict) and "sops" in value


def expanded(raw: Raw, work: Work, depth: int = _LIST_DEPTH) -> Iterator[Raw]:
    """The objects in a List, however it is called; any other object is itself."""
    value = raw.value
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str) or not value["kind"].endswith("List"):
        yield raw
        return
    kind, api_version, items = value["kind"], value.get("apiVersion"), value.get("items")
    if "items" not in value and kind != "List":
        yield raw
        return
    if not isinstance(items, list) or depth == 0:
        what = f"items of a {kind} must be a list" if depth else "Lists stand inside each other too often"
        work.found.problem(what, raw.file, raw.line, hint="items: [...]")
        return
    for index, item in enumerate(items):
        # The items of a `kubectl get -o yaml` of one kind may leave out what the list says.
        if kind != "List" and isinstance(item, dict) and "kind" not in item:
            item = {"apiVersion": api_version, "kind": kind.removesuffix("List"), **item}
        yield from expanded(replace(raw, value=item, path=(*raw.path, "items", index)), work, depth - 1)
