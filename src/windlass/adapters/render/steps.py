"""A render, step by step: what is the folder, its renderer, and what comes after for all renderers alike.

Called by the worker and, in process, by the command line. A pure function over a Tree: it opens nothing by itself.
``work`` says how a renderer is added.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from windlass.adapters.git.snapshot import Snapshot
from windlass.adapters.git.trace import TracedSnapshot
from windlass.adapters.render.desired import LastChanged, find_duplicates, scope_of, to_desired
from windlass.adapters.render.discreet import discreet
from windlass.adapters.render.documents import Documents
from windlass.adapters.render.findings import Findings
from windlass.adapters.render.jsonnet import jsonnet
from windlass.adapters.render.objects import Prepared, Preparer, Raw
from windlass.adapters.render.plain import plain
from windlass.adapters.render.recognise import recognise
from windlass.adapters.render.sops import Identities
from windlass.adapters.render.sops_files import DecryptedSnapshot
from windlass.adapters.render.substitute import substitute
from windlass.adapters.render.work import Renderer, Work
from windlass.core.charts.values import value_origins
from windlass.core.documents import DocumentError, read
from windlass.core.images.running import images_of
from windlass.core.model import Explained, OtherRead, Problem, Rendered
from windlass.ports import RenderRequest


def _helm(work: Work) -> Iterable[Raw]:
    from windlass.adapters.render.helm import helm

    return helm(work)


def _kustomize(work: Work) -> Iterable[Raw]:
    from windlass.adapters.render.kustomizing import kustomize

    return kustomize(work)


MOST_OBJECTS = 20_000
MOST_OUTPUT = 128 * 1024 * 1024
"""What one render may come to, in objects and bytes. The controller holds all of it."""

RENDERERS: Mapping[str, Renderer] = {"kustomize": _kustomize, "plain": plain, "helm": _helm, "jsonnet": jsonnet}
"""By the names of ``spec.render``. What is recognised and not here is refused by name."""


Explain = Callable[[str, list[Explained], list[tuple[str, str]]], None]


def render(
    request: RenderRequest,
    tree: Snapshot,
    documents: Documents,
    last_changed: LastChanged,
    others: Mapping[str, Snapshot] | None = None,
    explain: Explain | None = None,
) -> Rendered:
    """Renders one folder. ``request.label`` "" leaves the marks of Windlass out (the command line shows manifests).
    ``others`` are the files of ``request.others``; ``explain`` is told the renderer, how each object came to be, and
    which source gave a chart which value."""
    found = Findings()
    sealed, trees, opened = TracedSnapshot(tree), {"": tree, **(others or {})}, []
    if (secret := request.settings.decrypt) is not None:
        identities = _identities(request, secret.secret)
        opened = [DecryptedSnapshot(one, identities) for one in trees.values()]
        trees = dict(zip(trees, opened, strict=True))
    further = {name: TracedSnapshot(other) for name, other in trees.items() if name}
    main = TracedSnapshot(trees[""], sealed.trace)
    work = Work(request, main, request.path.strip("/"), documents, found, further, sealed)
    chosen = recognise(work, RENDERERS)
    raws = _bounded(RENDERERS[chosen](work), work) if chosen else []
    if request.settings.substitute is not None:
        raws = substitute(raws, work)
    scopes: dict[str, bool] = {}
    preparer = Preparer(found, work.data, scope_of(request, raws, scopes))
    prepared = [one for one in (preparer.prepare(raw, request.namespace) for raw in raws) if one is not None]
    find_duplicates(prepared, found)
    if explain is not None and chosen:
        told = [Explained(one.ref, one.raw.file, one.raw.line, list(one.raw.steps)) for one in prepared]
        explain(chosen, sorted(told, key=lambda one: one.ref), value_origins(_read_values(work.given)))
    objects = to_desired(request, prepared, last_changed)
    size = sum(len(one.body) for one in objects)
    if size > MOST_OUTPUT:
        found.problem(f"it renders to {size >> 20} MB, more than {MOST_OUTPUT >> 20}", work.root, hint=_SPLIT)
    secrets = {text for one in opened for text in one.secrets} | _secrets(request) | work.secrets
    # Whatever a Secret was read for: nothing of such a render is written to a disk.
    private = work.private or bool(secrets) or any(one.ref.kind == "Secret" and not one.ref.group for one in prepared)
    problems = discreet(found.told(), secrets)
    return Rendered(
        request.commit,
        [] if problems else objects,
        problems,
        sorted(discreet(found.invalid, secrets), key=_place),
        sorted(discreet(found.warnings, secrets), key=_place),
        work.tree.trace.read,
        {name: OtherRead(request.others[name].commit, other.trace.read) for name, other in further.items()},
        private,
        work.asked,
        scopes,
        [(one.repository, one.name, one.version) for one in work.wants],
        [] if problems else _told_images(prepared, secrets),
    )


def _read_values(given: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    """Of those that can be read; what is wrong with another is told by the render."""
    for name, text in given:
        with contextlib.suppress(DocumentError):
            yield from ((name, one.value) for one in read(text.encode(), name))


_SPLIT = "split it into several Applications"


def _told_images(prepared: Iterable[Prepared], secrets: set[str]) -> list[str]:
    """The images, for the ledger: without one into which a value of a Secret was put."""
    hidden = [text for text in secrets if len(text) > 2]
    return [image for image in images_of(one.content for one in prepared) if not any(one in image for one in hidden)]


def _bounded(raws: Iterable[Raw], work: Work) -> list[Raw]:
    """The objects, as many as may be."""
    made = list(islice(raws, MOST_OBJECTS + 1))
    if len(made) > MOST_OBJECTS:
        work.found.problem(f"it renders to more than {MOST_OBJECTS} objects", work.root, hint=_SPLIT)
        return []
    return made


def _identities(request: RenderRequest, secret: str) -> Callable[[], Identities]:
    """Read when the first file needs them."""
    return functools.cache(lambda: Identities(request.values.objects.get(f"Secret/{secret}", {}), f"Secret {secret}"))


def _secrets(request: RenderRequest) -> set[str]:
    """The values that came from Secrets of the cluster."""
    held = [values for name, values in request.values.objects.items() if name.startswith("Secret/")]
    return {data.decode(errors="replace") for values in held for data in values.values()}


def _place(problem: Problem) -> tuple[str, int, str]:
    return problem.file, problem.line, problem.field
