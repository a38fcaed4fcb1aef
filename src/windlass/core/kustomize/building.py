"""A build from its root: everything collected, hashes, references, vars, what is local left out, order, output.

``build`` is the only way in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from windlass.core.kustomize.collection import Collection
from windlass.core.kustomize.errors import KustomizeError
from windlass.core.kustomize.generators import add_hashes
from windlass.core.kustomize.helm import Inflate
from windlass.core.kustomize.kustomization import Image, Kustomization
from windlass.core.kustomize.loading import Files, Parsing, Place
from windlass.core.kustomize.nodes import json_value
from windlass.core.kustomize.ordering import sort
from windlass.core.kustomize.origins import (
    MANAGED_BY_LABEL,
    ORIGIN_ANNOTATIONS,
    TRANSFORMER_ANNOTATIONS,
    Origin,
    forget,
)
from windlass.core.kustomize.printing import final_value, to_yaml
from windlass.core.kustomize.references import fix_references
from windlass.core.kustomize.resource import (
    BUILD_ANNOTATIONS,
    LOCAL,
    ORIGIN,
    TRANSFORMATIONS,
    Change,
    check_object,
)
from windlass.core.kustomize.schemas import Known
from windlass.core.kustomize.target import Accumulated, Build, Target
from windlass.core.kustomize.transform import label_everything
from windlass.core.kustomize.variables import replace_variables
from windlass.errors import Where

VERSION = "v5.8.2"
_MANAGED_BY = "app.kubernetes.io/managed-by"


@dataclass(frozen=True, slots=True)
class Options:
    """What the flags of ``kustomize build`` say, and what an Application lays over its kustomization.

    ``root_only``: files are read only in or below the folder of their kustomization (``--load-restrictor``).
    ``order``: ``legacy`` or ``none`` where the kustomization has no ``sortOptions`` (``--reorder``). ``managed_by``:
    the label ``app.kubernetes.io/managed-by`` on everything (``--enable-managedby-label``). ``inflate`` renders Helm
    charts (``--enable-helm``); without it they are refused.

    ``images`` take the place of the root's entries of the same name, or come after them; ``name_prefix`` that of the
    root's; ``components`` come after the root's, relative to it.
    """

    root_only: bool = True
    order: Literal["legacy", "none"] = "legacy"
    managed_by: bool = False
    inflate: Inflate | None = field(default=None, repr=False)
    images: Sequence[Image] = ()
    name_prefix: str = ""
    components: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class BuiltObject:
    """One object of the output: ``content`` is JSON; ``file`` and ``line`` (from 1) are where it was written, empty and
    0 where it was generated; ``changes`` are what touched it, in order, the first being its generator if it has one."""

    content: dict[str, Any]
    file: str = ""
    line: int = 0
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """The output in order."""

    objects: Sequence[BuiltObject]

    def text(self) -> str:
        """What ``kustomize build`` prints."""
        return "---\n".join(to_yaml(each.content) for each in self.objects)


_DEFAULT = Options()


def build(files: Files, folder: str, options: Options = _DEFAULT, parsing: Parsing | None = None) -> Built:
    """Build the kustomization of a folder (a repository path, ``""`` for the root).

    ``parsing`` may be kept between builds: it holds parsed documents by their bytes. Raises ``KustomizeError``, which
    names file and field and the mend, for everything that the original refuses, and ``NotSupported`` for what it would
    run or fetch.
    """
    try:
        return _build(files, folder, options, parsing or Parsing())
    except RecursionError:
        raise KustomizeError(
            "a value is nested too deeply", where=Where(file=folder), hint="no Kubernetes object is that deep"
        ) from None


def _build(files: Files, folder: str, options: Options, parsing: Parsing) -> Built:
    folder = "" if folder == "." else folder.strip("/")
    if files.names(folder) is None:
        raise KustomizeError(
            f"there is no folder {folder or '(the root)'}", hint="check source.path", where=Where(file=folder)
        )
    place = Place(files, folder, parsing, options.root_only)
    target = Target.load(place, Build(Known(), options.inflate))
    _lay_over(target.said, options)
    target.use_schema(root=True)
    wanted = target.said.build_metadata
    target.origin = Origin() if wanted else None
    found = target.accumulate(Accumulated())
    collection = found.collection
    _told(target, "", lambda: add_hashes(collection))
    collection.renamed()
    _told(target, "", lambda: fix_references(collection, found.configuration.references))
    _told(
        target,
        "vars",
        lambda: replace_variables(collection, found.variables, found.configuration.fields["varReference"]),
    )
    _leave_local_out(collection)
    _told(target, "sortOptions", lambda: _order(collection, target.said, options))
    for resource in collection:
        if options.managed_by or MANAGED_BY_LABEL in wanted:
            label_everything(resource, _MANAGED_BY, f"kustomize-{VERSION}")
        if resource.annotations():
            forget(resource, *BUILD_ANNOTATIONS)
        if ORIGIN_ANNOTATIONS not in wanted:
            forget(resource, ORIGIN)
        if TRANSFORMER_ANNOTATIONS not in wanted:
            forget(resource, TRANSFORMATIONS)
    return Built([_built(resource) for resource in collection])


def _lay_over(said: Kustomization, options: Options) -> None:
    """What the Application says, over what the root says."""
    for image in options.images:
        said.images = [each for each in said.images if each.name != image.name] + [image]
    said.name_prefix = options.name_prefix or said.name_prefix
    said.components = [*said.components, *options.components]


def _told(target: Target, name: str, run: Callable[[], None]) -> None:
    try:
        run()
    except KustomizeError as error:
        raise error.at(Where(file=target.file, field=name)) from None


def _order(collection: Collection, said: Kustomization, options: Options) -> None:
    if said.sort_options is not None or options.order == "legacy":
        sort(collection, said.sort_options)


def _leave_local_out(collection: Collection) -> None:
    kept = []
    for resource in collection:
        if resource.gone:
            continue
        check_object(resource.content, resource.where)
        if resource.annotations().get(LOCAL, "false") == "false":
            kept.append(resource)
    collection.items = []
    collection.add(kept)


def _built(resource: Any) -> BuiltObject:
    try:
        content = final_value(json_value(resource.tree))
    except KustomizeError as error:
        raise error.at(resource.where) from None
    return BuiltObject(content, resource.file, resource.line, tuple(resource.changes))
