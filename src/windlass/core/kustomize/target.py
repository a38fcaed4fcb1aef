"""One kustomization: what it collects, makes and changes, in the original's order.

Resources first, then what generators make, then components, then the transformers (``steps`` has their order), then
the plugins of ``transformers`` and ``validators``. Names get their hashes, references their new names and vars their
values only at the root: see ``building``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from windlass.core.documents import DocumentError, locate
from windlass.core.kustomize import configurations, generators, kustomization, plugins, reading
from windlass.core.kustomize.collection import Collection
from windlass.core.kustomize.configurations import Configuration
from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.helm import Inflate, inflated
from windlass.core.kustomize.ids import KNOWN_SCOPES
from windlass.core.kustomize.kustomization import Kustomization
from windlass.core.kustomize.loading import Place
from windlass.core.kustomize.making import resources_of
from windlass.core.kustomize.origins import Origin, annotate_file, annotate_new, transformed
from windlass.core.kustomize.resource import Change, Resource
from windlass.core.kustomize.schemas import Known
from windlass.core.kustomize.steps import Scene, steps
from windlass.core.kustomize.transform import Run
from windlass.core.kustomize.variables import Variables
from windlass.errors import NeedsHuman, Where

_MOST_FOLDERS = 2_000
_PART = re.compile(r"[^.\[\]]+")


@dataclass(slots=True)
class Accumulated:
    """What a kustomization and all beneath it come to."""

    collection: Collection = field(default_factory=Collection)
    configuration: Configuration = configurations.EMPTY
    variables: Variables = field(default_factory=Variables)

    def join(self, other: Accumulated) -> None:
        """Take in what a base comes to."""
        self.collection.add(other.collection)
        self.configuration = self.configuration.merged(other.configuration)
        self.variables.join(other.variables)


@dataclass(frozen=True, slots=True)
class Build:
    """What is the same for all kustomizations of one build."""

    known: Known
    inflate: Inflate | None
    entered: list[str] = field(default_factory=list)

    def enter(self, folder: str) -> None:
        """Count a kustomization; bases of bases can multiply."""
        self.entered.append(folder)
        if len(self.entered) > _MOST_FOLDERS:
            raise KustomizeError(
                f"more than {_MOST_FOLDERS:,} bases and components are built, {shown(folder)} among them",
                hint="bases name each other so often that they multiply",
            )


@dataclass(slots=True)
class Target:
    """One kustomization on its way. ``origin`` is there where origins are annotated."""

    place: Place
    build: Build
    file: str
    said: Kustomization
    data: bytes = field(repr=False)
    origin: Origin | None = None
    helm_namespace: str = ""

    @staticmethod
    def load(place: Place, build: Build) -> Target:
        """Read the kustomization of a folder. Raises ``KustomizeError`` with file, line and field."""
        file, data = place.kustomization()
        try:
            said = kustomization.read(_settings(data, file))
        except kustomization.Mistake as error:
            raise _placed(error, data, file) from None
        except KustomizeError as error:
            raise error.at(Where(file=file)) from None
        return Target(place, build, file, said, data)

    @property
    def file_name(self) -> str:
        """The last part of the file's path."""
        return self.file.rpartition("/")[2]

    def use_schema(self, *, root: bool) -> None:
        """Take over what ``openapi`` says."""
        path = self.said.openapi.get("path")
        value: Any = None
        if path is not None:
            with _field(self, "openapi.path"):
                source, data = self.place.load(path)
                value = _settings(data, source) or {}
        with _field(self, "openapi"):
            self.build.known.use(self.said.openapi, value, root=root)

    def accumulate(self, into: Accumulated) -> Accumulated:
        """Everything of this kustomization, added to ``into``: nothing, or what a component's parent has so far."""
        said = self.said
        into = self._resources(into, said.resources, "resources")
        self._configure(into)
        self._generate(into)
        into = self._components(into)
        scene = Scene(self.place, self.file, self.build.known, into.configuration.fields)
        ready: list[tuple[str, Run]] = []
        for step in steps(said, scene):
            with _field(self, step.field):
                ready.append((step.kind, self._told(step.make(), step.field)))
        for kind, run in ready:
            self._run(into.collection, run, self._configured(kind))
        for run, origin in self._plugins("transformers", said.transformers, plugins.transformer):
            self._run(into.collection, run, origin)
        self._validate(into.collection)
        with _field(self, "vars"):
            into.variables.take(said.vars, into.collection)
        return into

    def _configured(self, kind: str) -> Origin | None:
        return None if self.origin is None else self.origin.configured(self.file_name, kind)

    def _run(self, collection: Collection, run: Run, origin: Origin | None) -> None:
        run(collection)
        collection.renamed()
        if origin is not None:
            for resource in collection:
                if not resource.gone:
                    transformed(resource, origin)
        collection.drop_empty()

    def _resources(self, into: Accumulated, names: list[str], field_name: str) -> Accumulated:
        for number, name in enumerate(names):
            with _field(self, f"{field_name}[{number}]"):
                path = self.place.path(name)
                if name and self.place.files.names(path) is None:
                    self._file(into, name)
                else:
                    into = self._folder(into, name, component=False)
        return into

    def _file(self, into: Accumulated, name: str) -> None:
        path, data = self.place.load(name)
        found = resources_of(self.place, data, path)
        known = self.build.known
        known.asked = known.asked or any((one.api_version, one.kind) not in KNOWN_SCOPES for one in found)
        if self.origin is not None:
            origin = self.origin.beneath(name)
            for resource in found:
                annotate_file(resource, origin)
        into.collection.add(found)

    def _folder(self, into: Accumulated, name: str, *, component: bool) -> Accumulated:
        place = self.place.enter(name)
        self.build.enter(place.folder)
        below = Target.load(place, self.build)
        below.said.build_metadata = self.said.build_metadata
        below.origin = None if self.origin is None else self.origin.beneath(name)
        below.helm_namespace = self.said.namespace or self.helm_namespace
        below.use_schema(root=False)
        is_component = below.said.kind == "Component"
        if component != is_component:
            raise KustomizeError(
                f"{below.file} is a {below.said.kind}",
                hint="name it under resources" if component else "name it under components",
            )
        if component:
            return below.accumulate(into)
        into.join(below.accumulate(Accumulated()))
        return into

    def _components(self, into: Accumulated) -> Accumulated:
        for number, name in enumerate(self.said.components):
            with _field(self, f"components[{number}]"):
                into = self._folder(into, name, component=True)
        return into

    def _configure(self, into: Accumulated) -> None:
        """Add the fields that ``configurations`` and ``crds`` say to those that are known."""
        added = configurations.EMPTY
        for number, name in enumerate(self.said.configurations):
            with _field(self, f"configurations[{number}]"):
                file, data = self.place.load(name)
                try:
                    added = added.merged(configurations.read(_settings(data, file, strict=True)))
                except KustomizeError as error:
                    raise error.at(Where(file=file)) from None
        with _field(self, "configurations"):
            into.configuration = into.configuration.merged(configurations.DEFAULT.merged(added))
        for number, name in enumerate(self.said.crds):
            with _field(self, f"crds[{number}]"):
                file, data = self.place.load(name)
                found = configurations.from_definitions(_settings(data, file))
                into.configuration = into.configuration.merged(found)

    def _generate(self, into: Accumulated) -> None:
        for name, kind, made in self._generated():
            origin = self._configured(kind)
            for resource in made:
                if origin is not None:
                    annotate_new(resource, origin)
                resource.touched(Change(self.file, name))
            with _field(self, name):
                into.collection.absorb(made)
        for generate, origin in self._plugins("generators", self.said.generators, plugins.generator):
            made = generate()
            for resource in made:
                if origin is not None:
                    annotate_new(resource, origin)
                resource.touched(Change(self.file, "generators"))
            with _field(self, "generators"):
                into.collection.absorb(made)

    def _generated(self) -> Iterator[tuple[str, str, list[Resource]]]:
        said = self.said
        for number, args in enumerate(said.config_map_generator):
            name = f"configMapGenerator[{number}]"
            with _field(self, name):
                args.options = generators.with_global(args.options, said.generator_options)
                made = [generators.config_map(self.place, args)]
            yield name, "ConfigMapGenerator", made
        for number, secret in enumerate(said.secret_generator):
            name = f"secretGenerator[{number}]"
            with _field(self, name):
                secret.options = generators.with_global(secret.options, said.generator_options)
                made = [generators.secret(self.place, secret)]
            yield name, "SecretGenerator", made
        for number, chart in enumerate(said.helm_charts):
            name = f"helmCharts[{number}]"
            with _field(self, name):
                chart.namespace = chart.namespace or said.namespace or self.helm_namespace
                made = inflated(self.place, chart, said.helm_globals, self.build.inflate)
            yield name, "HelmChartInflationGenerator", made

    def _plugins(
        self, name: str, entries: list[str], make: Callable[[plugins.Context, Resource], Any]
    ) -> list[tuple[Any, Origin | None]]:
        """The plugins of one field: written inside the kustomization, or in files and folders."""
        into = Accumulated()
        paths: list[str] = []
        for number, entry in enumerate(entries):
            try:
                found = resources_of(self.place, entry.encode(), self.file)
            except (DocumentError, KustomizeError):
                paths.append(entry)
                continue
            if self.origin is not None:
                for resource in found:
                    annotate_file(resource, self.origin.beneath(self.file_name))
            with _field(self, f"{name}[{number}]"):
                into.collection.add(found)
        into = self._resources(into, paths, name)
        out = []
        context = plugins.Context(self.place, self.file, self.build.known, self.build.inflate)
        for resource in into.collection:
            with _field(self, name):
                out.append((make(context, resource), plugins.origin_of(resource)))
        return out

    def _validate(self, collection: Collection) -> None:
        for run, _ in self._plugins("validators", self.said.validators, plugins.transformer):
            before = [_comparable(resource) for resource in collection]
            run(collection)
            if [_comparable(resource) for resource in collection] != before:
                raise KustomizeError(
                    "a validator changes objects",
                    where=Where(file=self.file, field="validators"),
                    hint="name it under transformers",
                )

    def _told(self, run: Run, name: str) -> Run:
        """``run`` with the place of the field in its errors."""

        def told(collection: Collection) -> None:
            with _field(self, name):
                run(collection)

        return told


def _comparable(resource: Resource) -> Any:
    """An object as text, with the way in which its leaves are written, which a transformer changes even where it
    writes the same."""
    seen = resource.copy()
    labels = seen.labels()
    if labels.pop("validated-by", None) is not None:
        seen.set_labels(labels)
    return repr(seen.content)


def _settings(data: bytes, file: str, *, strict: bool = False) -> Any:
    try:
        return reading.settings(data, file, strict=strict)
    except DocumentError as error:
        raise KustomizeError(error.what, where=error.where, hint=error.hint) from None


def _placed(error: kustomization.Mistake, data: bytes, file: str) -> KustomizeError:
    error.where = Where(file=file, line=locate(data, 0, error.path), field=error.where.field)
    return error


class _field:  # noqa: N801 - reads as a word: with _field(...)
    """Lays the place of a field over an error that has none, and words of YAML in this room's family."""

    __slots__ = ("name", "target")

    def __init__(self, target: Target, name: str) -> None:
        self.target = target
        self.name = name

    def __enter__(self) -> None:
        return None

    def _line(self) -> int:
        """Where the field is in the file. Looked up only when there is something to tell."""
        path = [int(part) if part.isdigit() else part for part in _PART.findall(self.name)]
        return locate(self.target.data, 0, path)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, NeedsHuman):
            where, file = error.where, self.target.file
            if not where.file or (where.file == file and not where.line):
                field = where.field if where.file else ".".join(part for part in (self.name, where.field) if part)
                error.where = where.within(Where(file, self._line(), field=field or self.name))
                error.where = replace(error.where, field=field or self.name, line=where.line or self._line())
            if not isinstance(error, KustomizeError):
                raise KustomizeError(shown(error.what, 400), where=error.where, hint=error.hint) from None
