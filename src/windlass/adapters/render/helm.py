"""Helm charts. A renderer, as ``work`` describes them: what ``helm template --include-crds`` makes, by Helm's library.

Values come from the chart, then from ``valuesFiles``, then from the cluster, then from ``values``; the later one wins.
The chart is the folder, or an archive that the controller fetched and verified before.
Hooks and tests are told apart and not applied. ``lookup`` finds nothing, as in ``helm template``, and is told. Nothing
is fetched: a dependency that is not in ``charts/`` is an error that says how to put it there. ``helm_child`` says where
the library runs, ``helm_files`` what of a chart is refused.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec

from windlass.adapters.render.helm_child import ChartAnswer, ChartJob, ValuesText
from windlass.adapters.render.helm_dependencies import completed, told_folders
from windlass.adapters.render.helm_engine import Engine, engine
from windlass.adapters.render.helm_files import ChartFiles, ChartRefused, chart_archive, chart_folder, packed
from windlass.adapters.render.helm_output import Output, Piece, arranged
from windlass.adapters.render.helm_program import HelmProgram
from windlass.adapters.render.objects import Raw
from windlass.adapters.render.places import Place, place_of
from windlass.adapters.render.work import Work
from windlass.core.documents import DocumentError, read
from windlass.core.kinds.rendering import Helm, ValuesFrom
from windlass.errors import NeedsHuman, TryLater, Where
from windlass.ports import ChartFound

KUBE_VERSION = "v1.36.0"
"""Where no cluster is asked: the version whose schemas are in the package."""

RELEASE = "release-name"
_LOOKUP = re.compile(rb"\{\{[^}]*\blookup\s")
_PLACE = re.compile(r"(?P<path>[A-Za-z0-9][A-Za-z0-9._-]*/[^\s:()\"'<>]+):(?P<line>[0-9]+)")
_LONGEST = 4000
_KEPT = 4096


class ChartWrong(NeedsHuman):
    """A chart or its values are wrong. The place is in the error, as far as Helm says it."""


class Settings(NamedTuple):
    """What a render is made with, but for chart and values."""

    release: str
    namespace: str
    kube_version: str = KUBE_VERSION
    api_versions: tuple[str, ...] = ()
    schemas: bool = True


class Facts(NamedTuple):
    """What is known of a chart since it was packed: the templates that call ``lookup``, whether it may ask for what the
    cluster is like, and ``told_folders``. What is not known any more may ask."""

    lookups: tuple[str, ...]
    asks: bool = True
    folders: Mapping[str, str] = {}


def helm(work: Work) -> Iterator[Raw]:
    """The objects of the chart in the folder, or of the one that the request names, CRDs first."""
    settings = work.request.settings.helm or Helm()
    chart: ChartFiles | None = None
    values: list[ValuesText] = []
    try:
        chart = fetched_chart(work.request.chart) if work.request.chart else chart_folder(work.sealed, work.root)
        given = given_values(work, settings)
        if given is None:
            return
        values = given
        work.given = [(one.name, one.text) for one in values]
        by = HelmProgram(work.request.helm) if work.request.helm else None
        chart, answer, facts = _rendered(work, chart, values, _settings(work, settings), by)
        output = arranged(answer.files, [] if settings.skip_crds else answer.crds)
        tracked = work.request.chart is None
        raws = [
            raw for piece in (*output.crds, *output.manifests) for raw in _raws(piece, chart, facts, tracked=tracked)
        ]
        raws += [raw for piece in output.hooks for raw in _raws(piece, chart, facts, tracked=tracked)]
    except NeedsHuman as error:
        where = error.where
        work.found.problem(error.what, where.file or work.root, where.line, hint=error.hint, slug=error.slug)
        return
    finally:
        known = _facts().get(_key(chart, settings)) if chart is not None else None
        # Also a text in the values, which tpl evaluates, may ask.
        work.asked = known is None or known.asks or any("Capabilities" in one.text for one in values)
        work.private = work.private or any(one.secret for one in values)
        work.secrets |= {scalar for one in values if one.secret for scalar in _scalars(one.text)}
    _tell(work, chart, answer, facts, output)
    yield from raws


def _rendered(
    work: Work, chart: ChartFiles, values: list[ValuesText], settings: Settings, by: HelmProgram | None
) -> tuple[ChartFiles, ChartAnswer, Facts]:
    """The render; with the charts that are missing in ``charts/``, where they can be had."""
    try:
        return chart, *render_chart(chart, values, settings, by)
    except ChartDependencies as error:
        fetched = dict(zip(work.request.wanted, work.request.fetched, strict=True))
        names = [name.strip() for name in error.missing.split(",")]
        whole = completed(chart, names, work.sealed, fetched, _archive_of)
        work.wants += [one.wanted for one in whole.missing if one.wanted is not None]
        if whole.missing or whole.chart.key == chart.key:
            raise
        return whole.chart, *render_chart(whole.chart, values, settings, by)


def _archive_of(chart: ChartFound) -> bytes:
    return _data(chart, f"{chart.name}-{chart.version}.tgz")


def _settings(work: Work, settings: Helm) -> Settings:
    request = work.request
    return Settings(
        settings.release_name or request.application.rpartition("/")[2] or RELEASE,
        request.namespace or "default",
        settings.kube_version or request.facts.version or KUBE_VERSION,
        tuple(settings.api_versions) or request.facts.api_versions,
        not settings.skip_schema_validation,
    )


def fetched_chart(chart: ChartFound) -> ChartFiles:
    """The chart in an archive that was fetched before; held against its digest once more when it is read."""
    place = f"{chart.name}-{chart.version}.tgz"
    return ChartFiles(place, chart.digest, lambda: _verified(chart, place))


def _verified(chart: ChartFound, place: str) -> dict[str, bytes]:
    return chart_archive(_data(chart, place), place).load()


def _data(chart: ChartFound, place: str) -> bytes:
    try:
        data = Path(chart.archive).read_bytes()
    except OSError as error:
        raise ChartGone(f"the archive {place} is not on the disk any more") from error
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != chart.digest:
        raise ChartGone(f"the archive {place} on the disk is not the one that was fetched")
    return data


# --- values ---------------------------------------------------------------------------------------------------------


def given_values(work: Work, settings: Helm) -> list[ValuesText] | None:
    """The values that are not the chart's own, the lowest first; None where the findings tell what is wrong with a
    path. Raises ChartWrong, BadPath."""
    given = []
    for path in settings.values_files:
        place = place_of(work, path, "spec.render.helm.valuesFiles")
        if place is None:
            return None
        given.append(_file(place))
    for index, one in enumerate(settings.values_from):
        text = _from_cluster(work, one, f"spec.render.helm.valuesFrom[{index}]")
        if text is not None:
            given.append(text)
    if settings.values:
        given.append(ValuesText("spec.render.helm.values", msgspec.json.encode(settings.values).decode()))
    return given + [ValuesText(name, data.decode(errors="replace")) for name, data in work.request.given]


def _from_cluster(work: Work, one: ValuesFrom, field: str) -> ValuesText | None:
    """What ``desires`` read for this render; None for what is optional and not there."""
    named = one.named
    keys = work.request.values.objects.get(named.key)
    data = keys.get(one.key) if keys is not None else None
    if data is None:
        if one.optional:
            return None
        there = f"it has: {', '.join(sorted(keys)[:10])}" if keys else "it has no keys"
        if keys is None:
            there = "values of the cluster are not read here: windlass plan reads them"
        raise ChartValues(
            f"there is no key {one.key} in {named.kind} {named.name}", where=Where(field=field), hint=there
        )
    try:
        return ValuesText(f"{named.kind} {named.name}", data.decode(), named.kind == "Secret")
    except UnicodeDecodeError:
        words = f"{one.key} in {named.kind} {named.name} is not UTF-8"
        raise ChartValues(words, where=Where(field=field), hint="write it as YAML") from None


def _scalars(text: str) -> Iterator[str]:
    """Every text in a source of values: a message may show one of them where it does not show all."""
    try:
        waiting: list[Any] = [one.value for one in read(text.encode(), "values")]
    except DocumentError:
        waiting = list(text.split())
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
        elif not isinstance(one, bool) and one is not None:
            yield str(one)


def _file(place: Place) -> ValuesText:
    tree, path = place.tree, place.path
    try:
        return ValuesText(path, tree.read(path).decode())
    except UnicodeDecodeError:
        raise ChartValues("the values file is not UTF-8", where=Where(path), hint="write it as YAML") from None
    except KeyError:
        folder = path.rpartition("/")[0]
        beside = [one.name for one in tree.entries(folder) or () if one.name.endswith((".yaml", ".yml"))]
        there = f"in {folder or 'the repository'} there are: {', '.join(beside[:10])}" if beside else ""
        hint = there or "a path is told from source.path on; with a slash in front, from the repository on"
        raise ChartValues(f"there is no values file {path}", where=Where(path), hint=hint) from None


# --- the render -----------------------------------------------------------------------------------------------------


def render_chart(
    chart: ChartFiles, values: list[ValuesText], settings: Settings, by: Engine | HelmProgram | None = None
) -> tuple[ChartAnswer, Facts]:
    """What Helm makes of a chart. Raises ChartWrong with the chart's place, ChartRefused, HelmMissing, HelmStopped."""
    key = chart.key if settings.schemas else f"{chart.key}-"
    job = ChartJob(
        key,
        b"",
        values,
        settings.release,
        settings.namespace,
        settings.kube_version,
        list(settings.api_versions),
        (by or engine()).seconds,
    )
    answer = (by or engine()).render(job, lambda: _pack(chart, key, schemas=settings.schemas))
    if answer.error:
        raise _wrong(answer, chart, settings, _facts().get(key, Facts(())))
    return answer, _facts().get(key, Facts(()))


def _key(chart: ChartFiles, settings: Helm) -> str:
    return f"{chart.key}-" if settings.skip_schema_validation else chart.key


def _pack(chart: ChartFiles, key: str, *, schemas: bool) -> bytes:
    files = chart.load()
    if "Chart.yaml" not in files:
        raise ChartRefused("there is no Chart.yaml in it", where=Where(chart.place), hint="name a chart's own folder")
    facts = _facts()
    templates = {path: data for path, data in files.items() if _is_template(path)}
    lookups = tuple(path for path, data in templates.items() if _LOOKUP.search(data))
    # A packed subchart may ask as well; so may a text that is evaluated by tpl.
    asks = any(path.endswith(".tgz") or b"Capabilities" in data for path, data in files.items())
    facts[key] = Facts(lookups, asks or b"kubeVersion" in files["Chart.yaml"], told_folders(files, chart))
    while len(facts) > _KEPT:
        facts.popitem(last=False)
    return packed(chart, files, schemas=schemas)


@functools.cache
def _facts() -> OrderedDict[str, Facts]:
    return OrderedDict()


def _is_template(path: str) -> bool:
    return path.startswith("templates/") or "/templates/" in path


# --- what Helm says is wrong ----------------------------------------------------------------------------------------


def _wrong(answer: ChartAnswer, chart: ChartFiles, settings: Settings, facts: Facts) -> ChartWrong:
    words = " ".join(answer.error.split())[:_LONGEST]
    if answer.step == "dependencies":
        missing = ChartDependencies(
            f"the chart wants other charts that are not in its folder charts/: {words}",
            where=Where(chart.where("Chart.yaml")),
            hint=f"run helm dependency update {chart.place or '.'}, and commit charts/; or let the controller fetch "
            "them: --fetch-dependencies",
        )
        missing.missing = words
        return missing
    if answer.step == "version":
        return _error(
            "chart-kube-version",
            f"the chart is for Kubernetes {words}, and this is {settings.kube_version}",
            Where(chart.where("Chart.yaml")),
            "take another version of the chart, or say what the cluster is like with render.helm.kubeVersion",
        )
    if answer.step == "values":
        hint = "write other values; or where the schema itself is wrong, render.helm.skipSchemaValidation: true"
        return _error("chart-values", words, Where(chart.where("values.yaml")), hint)
    if answer.step == "chart":
        return _error("chart-wrong", words, Where(chart.where("Chart.yaml")), "helm lint says more")
    found = _PLACE.search(words)
    if found is None:
        return _error("chart-template", words, Where(chart.place), "")
    return _error("chart-template", words, Where(_in_git(found["path"], chart, facts), int(found["line"])), "")


def _error(slug: str, what: str, where: Where, hint: str) -> ChartWrong:
    return _KINDS[slug](what, where=where, hint=hint)


class ChartDependencies(ChartWrong):
    """Charts that it needs are missing in ``charts/``."""

    slug: ClassVar[str] = "chart-dependencies"
    missing = ""


class ChartKubeVersion(ChartWrong):
    """It is made for another version of Kubernetes."""

    slug: ClassVar[str] = "chart-kube-version"


class ChartGone(TryLater):
    """An archive that was fetched is not there any more, or not the same: it is fetched again."""

    slug: ClassVar[str] = "render-lost"


class ChartValues(ChartWrong):
    """The values can't be read, or are not what the chart's schema asks for."""

    slug: ClassVar[str] = "chart-values"


class ChartTemplate(ChartWrong):
    """A template failed."""

    slug: ClassVar[str] = "chart-template"


class ChartUnreadable(ChartWrong):
    """Helm can't load it."""

    slug: ClassVar[str] = "chart-wrong"


_KINDS: Mapping[str, type[ChartWrong]] = {
    one.slug: one for one in (ChartDependencies, ChartKubeVersion, ChartValues, ChartTemplate, ChartUnreadable)
}


# --- to objects -----------------------------------------------------------------------------------------------------


def _raws(piece: Piece, chart: ChartFiles, facts: Facts, *, tracked: bool) -> Iterator[Raw]:
    """The objects of a document, with the template that made it. A document that is empty but for comments has none."""
    file = _in_git(piece.file, chart, facts)
    try:
        documents = read(piece.text.encode(), file)
    except DocumentError as error:
        words = f"{error.what} (line {error.where.line} of what it makes)" if error.where.line else error.what
        raise ChartTemplate(words, where=Where(file), hint=f"helm template . --debug shows it; {error.hint}") from error
    for document in documents:
        if document.value is not None:
            yield Raw(document.value, file, 0, 0, exact=False, tracked=tracked)


def _in_git(path: str, chart: ChartFiles, facts: Facts) -> str:
    """The file in Git behind ``<chart>/templates/web.yaml``; a chart in ``charts/`` that is packed is one file."""
    _, _, inside = path.partition("/")
    told = next((one for one in facts.folders if inside.startswith(one)), "")
    if told:
        true = facts.folders[told]
        inside = true + inside.removeprefix(told) if true.endswith("/") else true
    return chart.where(inside)


def _tell(work: Work, chart: ChartFiles, answer: ChartAnswer, facts: Facts, output: Output) -> None:
    warn = work.found.warning
    if answer.deprecated:
        warn(f"the chart {answer.name} {answer.version} is deprecated by its authors", chart.where("Chart.yaml"))
    for path in facts.lookups:
        warn("lookup finds nothing here: what Git says must not depend on the cluster", chart.where(path))
    for piece in output.skipped:
        warn(f"Helm knows no hook {piece.hook[:60]!r}: the object is left out, as helm template does", piece.file)
    tests = len(output.tests)
    hooks = len(output.hooks) - tests
    if hooks:
        warn(
            f"{hooks} hook{'s' if hooks != 1 else ''} of the chart {'are' if hooks != 1 else 'is'} not run yet",
            chart.where("templates"),
        )
    if tests:
        warn(
            f"{tests} test{'s' if tests != 1 else ''} of the chart {'are' if tests != 1 else 'is'} left out",
            chart.where("templates"),
        )
