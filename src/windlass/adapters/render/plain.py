"""Plain YAML and JSON: a folder at a commit to the objects that Git wants, in apply order, with the trace.

Called by the worker and, in process, by the command line. A pure function over a Tree: it opens nothing by itself.
Everything that is wrong is told at once; an error in one file does not hide those in another.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec

from windlass.adapters.git.errors import GitRefused
from windlass.adapters.render.documents import Documents
from windlass.adapters.render.findings import Findings
from windlass.adapters.render.objects import Prepared, Preparer, Raw
from windlass.adapters.render.walk import GONE, File, Tree, Walk
from windlass.core import kinds
from windlass.core.documents import DocumentError
from windlass.core.manifests import resources
from windlass.core.manifests.order import tier
from windlass.core.model import Desired, ObjectRef, Origin, Problem, Rendered
from windlass.core.plan import ownership
from windlass.ports import RenderRequest

LastChanged = Callable[[Sequence[str]], Mapping[str, str]]
"""Paths to the commit that last changed each, as far as was looked."""

_LFS = b"version https://git-lfs.github.com/spec/"
_LIST_DEPTH = 4


def render(request: RenderRequest, tree: Tree, documents: Documents, last_changed: LastChanged) -> Rendered:
    """Renders one folder. ``request.label`` "" leaves the marks of Windlass out (the command line shows manifests)."""
    found = Findings()
    walk = Walk(tree, request.path.strip("/"), request.include, request.exclude, found)
    files = list(walk.files())
    raws = [raw for file in files for raw in _objects(file, tree, documents, found)]
    preparer = Preparer(found, tree.read, _scope(request, raws))
    prepared = [one for one in (preparer.prepare(raw, request.namespace) for raw in raws) if one is not None]
    _duplicates(prepared, found)
    objects = _desired(request, prepared, last_changed)
    problems = list(found.told())
    return Rendered(
        request.commit,
        [] if problems else objects,
        problems,
        sorted(found.invalid, key=_place),
        sorted(found.warnings, key=_place),
        walk.read,
    )


def _place(problem: Problem) -> tuple[str, int, str]:
    return problem.file, problem.line, problem.field


# --- files to objects -----------------------------------------------------------------------------------------------


def _objects(file: File, tree: Tree, documents: Documents, found: Findings) -> Iterator[Raw]:
    """Every object of a file, Lists taken apart."""
    known = documents.get(file)
    if known is None:
        try:
            known = documents.put(file, tree.read(file.path))
        except (DocumentError, GitRefused) as error:
            found.problem(error.what, file.path, error.where.line, hint=error.hint, slug=error.slug)
            return
        except KeyError:
            found.problem(GONE, file.path, hint="try again")
            return
    for document in known:
        yield from _expanded(Raw(document.value, file.path, document.line, document.index), found, _LIST_DEPTH)


def _expanded(raw: Raw, found: Findings, depth: int) -> Iterator[Raw]:
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
        found.problem(what, raw.file, raw.line, hint="items: [...]")
        return
    for index, item in enumerate(items):
        # The items of a `kubectl get -o yaml` of one kind may leave out what the list says.
        if kind != "List" and isinstance(item, dict) and "kind" not in item:
            item = {"apiVersion": api_version, "kind": kind.removesuffix("List"), **item}
        yield from _expanded(replace(raw, value=item, path=(*raw.path, "items", index)), found, depth - 1)


@cache
def _builtin_scopes() -> dict[tuple[str, str], bool]:
    scopes = {(one.group, one.kind): one.namespaced for one in resources.builtin()}
    return scopes | {(kinds.GROUP, one.kind): one.namespaced for one in kinds.KINDS}


def _scope(request: RenderRequest, raws: Iterable[Raw]) -> Callable[[str, str], bool]:
    """Whether a kind is namespaced: the built-in table, CRDs in the render, the cluster's word, and else yes."""
    builtin = _builtin_scopes()
    from_crds: dict[tuple[str, str], bool] = {}
    for raw in raws:
        if isinstance(raw.value, dict) and raw.value.get("kind") == "CustomResourceDefinition":
            spec = raw.value.get("spec")
            names = spec.get("names") if isinstance(spec, dict) else None
            if isinstance(spec, dict) and isinstance(names, dict):
                from_crds[str(spec.get("group")), str(names.get("kind"))] = spec.get("scope") != "Cluster"

    def namespaced(group: str, kind: str) -> bool:
        known = builtin.get((group, kind), from_crds.get((group, kind)))
        return known if known is not None else request.namespaced.get(f"{group}/{kind}", True)

    return namespaced


def _duplicates(prepared: Iterable[Prepared], found: Findings) -> None:
    first: dict[ObjectRef, Raw] = {}
    for one in prepared:
        before = first.setdefault(one.ref, one.raw)
        if before is not one.raw:
            places = f"{before.file}:{before.line} and {one.raw.file}:{one.raw.line}"
            found.add(
                Problem(
                    f"{one.ref.full} is written twice, in {places}",
                    one.raw.file,
                    one.raw.line,
                    hint="take one of the two out",
                    slug="duplicate-object",
                    ref=one.ref,
                )
            )


# --- objects to what is applied -------------------------------------------------------------------------------------


def _desired(request: RenderRequest, prepared: Sequence[Prepared], last_changed: LastChanged) -> list[Desired]:
    commits = last_changed(sorted({one.raw.file for one in prepared})) if prepared else {}
    encode = msgspec.json.Encoder(order="sorted").encode
    made = []
    for one in prepared:
        ref, metadata = one.ref, one.metadata
        content = one.content
        content["metadata"] = metadata
        plain = encode(content)
        secret = ref.kind == "Secret" and not ref.group
        digest = _digest(plain, request.digest_key if secret else b"")
        origin = Origin(request.repository, commits.get(one.raw.file, request.commit), one.raw.file, one.raw.line)
        body = encode(_marked(content, metadata, request.label, origin, digest)) if request.label else plain
        note = one.notes
        made.append(
            Desired(
                ref,
                one.api_version,
                note.wave,
                tier(ref.group, ref.kind),
                digest,
                origin,
                body,
                note.conflicts,
                note.drift,
                note.release,
                note.hook,
            )
        )
    made.sort(key=lambda one: (one.wave, one.tier, one.ref))
    return made


def _digest(plain: bytes, key: bytes) -> str:
    """20 hexadecimal digits over the canonical JSON; keyed for Secrets, whose values nobody may guess by trying."""
    made = hmac.new(key, plain, hashlib.sha256) if key else hashlib.sha256(plain)
    return made.hexdigest()[:20]


def _marked(
    content: dict[str, Any], metadata: dict[str, Any], label: str, origin: Origin, digest: str
) -> dict[str, Any]:
    labels = {**metadata.get("labels", {}), ownership.LABEL: label}
    given = metadata.get("annotations", {})
    annotations = {**given, ownership.ORIGIN: str(origin), ownership.APPLIED: digest}
    return {**content, "metadata": {**metadata, "labels": labels, "annotations": annotations}}
