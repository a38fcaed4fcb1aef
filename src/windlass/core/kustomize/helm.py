"""``helmCharts``: what is asked of whoever renders charts, and the objects that come back.

This room renders no chart: ``Options.inflate`` does. It checks what the original checks, merges the values as it does,
and hands the chart over as a ``Chart``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from windlass.core.documents import DocumentError
from windlass.core.kustomize import merging, reading
from windlass.core.kustomize.errors import KustomizeError, NotSupported, shown
from windlass.core.kustomize.kustomization import HelmChart, HelmGlobals
from windlass.core.kustomize.loading import Files, Place
from windlass.core.kustomize.making import resources_of
from windlass.core.kustomize.nodes import QUOTED, Node, Scalar, copy, from_json, json_value
from windlass.core.kustomize.resolve import STR
from windlass.core.kustomize.resource import HELM_GENERATED, Resource
from windlass.errors import Where

_MERGES = ("merge", "override", "replace")


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart to be rendered, as ``helm template`` would be asked to.

    ``folder`` is the chart's folder in the repository; where there is none, it comes from ``repo`` (``https://`` or
    ``oci://``) in ``version``. ``values`` are all values files in order, the last winning, as YAML. Where no other is
    named the chart's own ``values.yaml`` is the first, as for the original: a null in it takes out what a chart in
    ``charts/`` has by default.
    """

    name: str
    folder: str
    repo: str
    version: str
    release_name: str
    namespace: str
    values: tuple[str, ...] = ()
    include_crds: bool = False
    skip_hooks: bool = False
    skip_tests: bool = False
    api_versions: tuple[str, ...] = ()
    kube_version: str = ""
    name_template: str = ""
    devel: bool = False
    files: Files | None = field(default=None, repr=False)


Inflate = Callable[[Chart], bytes]
"""Gives the manifests of a chart, as YAML."""


def inflated(place: Place, chart: HelmChart, shared: HelmGlobals | None, inflate: Inflate | None) -> list[Resource]:
    """The objects of a chart. Raises ``NotSupported`` where charts can't be rendered here."""
    if inflate is None:
        raise NotSupported(
            f"the Helm chart {shown(chart.name, 60)} can't be rendered here",
            hint="install Windlass with the extra `helm`, or keep the chart's output in the repository",
        )
    if not chart.name:
        raise KustomizeError("a chart has no name", where=Where(field="name"), hint="write name")
    for field_name, said in (("name", chart.name), ("releaseName", chart.release_name)):
        if said.startswith("-"):
            raise KustomizeError(f"{field_name} begins with a dash", where=Where(field=field_name))
    if chart.values_merge not in ("", *_MERGES):
        raise KustomizeError(
            f"valuesMerge is {shown(chart.values_merge, 40)}",
            where=Where(field="valuesMerge"),
            hint=f"it is one of {', '.join(_MERGES)}",
        )
    home = (shared.chart_home if shared is not None else "") or "charts"
    inside = _in_home(home, chart)
    folder = _folder(place, inside, chart)
    ready = Chart(
        name=chart.name,
        folder=folder,
        repo=chart.repo,
        version=chart.version,
        release_name=chart.release_name,
        namespace=chart.namespace,
        values=_values(place, chart, inside, folder),
        include_crds=chart.include_crds,
        skip_hooks=chart.skip_hooks,
        skip_tests=chart.skip_tests,
        api_versions=tuple(chart.api_versions),
        kube_version=chart.kube_version,
        name_template=chart.name_template,
        devel=chart.devel,
        files=place.files,
    )
    text = inflate(ready)
    found = resources_of(place, text, f"chart {chart.name}")
    for resource in found:
        meta = resource.metadata()
        if not isinstance(meta.get("annotations"), dict):
            meta["annotations"] = {}
        meta["annotations"][HELM_GENERATED] = Scalar(STR, "true", QUOTED)
    return found


def _in_home(home: str, chart: HelmChart) -> str:
    """The chart's folder, as the kustomization would name it."""
    name = f"{chart.name}-{chart.version}/{chart.name}" if chart.version and chart.repo else chart.name
    return posixpath.join(home, name)


def _folder(place: Place, inside: str, chart: HelmChart) -> str:
    """The chart's folder in the repository, empty where it is fetched."""
    path = place.path(inside)
    if place.files.names(path) is not None:
        return path
    if not chart.repo:
        raise KustomizeError(
            f"there is no chart in {shown(path)}, and no repo is said",
            where=Where(field="repo"),
            hint="put the chart there, or write repo and version",
        )
    return ""


def _values(place: Place, chart: HelmChart, inside: str, folder: str) -> tuple[str, ...]:
    out: list[str] = []
    first = chart.values_file or (posixpath.join(inside, "values.yaml") if folder else "")
    if chart.values_inline and chart.values_merge == "replace":
        out.append(_written(chart.values_inline))
    elif chart.values_inline:
        own, inline = _tree(place, first) if first else {}, from_json(chart.values_inline)
        over, under = (own, inline) if chart.values_merge == "merge" else (inline, own)
        merging.merge(under, over, None)
        out.append(_written(json_value(under)))
    elif first:
        out.append(_read(place, first))
    out += [_read(place, name) for name in chart.additional_values_files]
    return tuple(out)


def _read(place: Place, name: str) -> str:
    """The text of a values file, which Helm reads for itself."""
    path, data = place.load(name)
    try:
        value = reading.settings(data, path)
        text = data.decode()
    except DocumentError as error:
        raise KustomizeError(error.what, where=error.where, hint=error.hint) from None
    if value is not None and not isinstance(value, dict):
        raise _no_mapping(path)
    return text


def _tree(place: Place, name: str) -> dict[str, Node]:
    """A values file to be merged with others: its first document, as the original reads objects."""
    path, data = place.load(name)
    try:
        found = reading.objects(data, path)
    except DocumentError as error:
        raise KustomizeError(error.what, where=error.where, hint=error.hint) from None
    if not found:
        hint = "write {} into it, or take valuesInline out: the original merges it into nothing"
        raise KustomizeError("there are no values in the file", where=Where(file=path), hint=hint)
    node = copy(found[0].node)
    if not isinstance(node, dict):
        raise _no_mapping(path)
    return node


def _no_mapping(path: str) -> KustomizeError:
    return KustomizeError("values are no mapping", where=Where(file=path))


def _written(values: Mapping[str, Any]) -> str:
    return msgspec.json.encode(values).decode()
