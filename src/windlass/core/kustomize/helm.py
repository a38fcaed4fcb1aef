"""``helmCharts``: what is asked of whoever renders charts, and the objects that come back.

This room renders no chart: ``Options.inflate`` does. It checks what the original checks, merges the values as it does,
and hands the chart over as a ``Chart``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from windlass.core.documents import DocumentError
from windlass.core.kustomize import merging, reading
from windlass.core.kustomize.errors import KustomizeError, NotSupported, shown
from windlass.core.kustomize.kustomization import HelmChart, HelmGlobals
from windlass.core.kustomize.loading import Files, Place
from windlass.core.kustomize.making import resources_of
from windlass.core.kustomize.nodes import QUOTED, Scalar, from_json, json_value
from windlass.core.kustomize.resolve import STR
from windlass.core.kustomize.resource import HELM_GENERATED, Resource
from windlass.errors import Where

_MERGES = ("merge", "override", "replace")


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart to be rendered, as ``helm template`` would be asked to.

    ``folder`` is the chart's folder in the repository; where there is none, it comes from ``repo`` (``https://`` or
    ``oci://``) in ``version``. ``values`` are all values files in order, the last winning, as their content: the
    chart's own ``values.yaml`` is not among them, unless values were merged into it.
    """

    name: str
    folder: str
    repo: str
    version: str
    release_name: str
    namespace: str
    values: tuple[Mapping[str, Any], ...] = ()
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
    folder = _folder(place, home, chart)
    ready = Chart(
        name=chart.name,
        folder=folder,
        repo=chart.repo,
        version=chart.version,
        release_name=chart.release_name,
        namespace=chart.namespace,
        values=_values(place, chart, folder),
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


def _folder(place: Place, home: str, chart: HelmChart) -> str:
    """The chart's folder in the repository, empty where it is fetched."""
    name = f"{chart.name}-{chart.version}/{chart.name}" if chart.version and chart.repo else chart.name
    path = place.path(posixpath.join(home, name))
    if place.files.names(path) is not None:
        return path
    if not chart.repo:
        raise KustomizeError(
            f"there is no chart in {shown(path)}, and no repo is said",
            where=Where(field="repo"),
            hint="put the chart there, or write repo and version",
        )
    return ""


def _values(place: Place, chart: HelmChart, folder: str) -> tuple[Mapping[str, Any], ...]:
    out: list[Mapping[str, Any]] = []
    base = _read(place, chart.values_file) if chart.values_file else None
    if chart.values_inline:
        merged: Mapping[str, Any] = chart.values_inline
        if chart.values_merge != "replace":
            own = base if base is not None else _own(place, folder)
            over, under = (own, merged) if chart.values_merge == "merge" else (merged, own)
            merged = _merged(under, over)
        out.append(merged)
    elif base is not None:
        out.append(base)
    out += [_read(place, name) for name in chart.additional_values_files]
    return tuple(out)


def _own(place: Place, folder: str) -> Mapping[str, Any]:
    """The chart's own values where it is in the repository; a fetched chart lays them under by itself."""
    data = place.files.read(posixpath.join(folder, "values.yaml")) if folder else None
    return _mapping(data, posixpath.join(folder, "values.yaml")) if data is not None else {}


def _read(place: Place, name: str) -> Mapping[str, Any]:
    path, data = place.load(name)
    return _mapping(data, path)


def _mapping(data: bytes, file: str) -> Mapping[str, Any]:
    try:
        value = reading.settings(data, file)
    except DocumentError as error:
        raise KustomizeError(error.what, where=error.where, hint=error.hint) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise KustomizeError("values are no mapping", where=Where(file=file))
    return value


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> Mapping[str, Any]:
    tree = from_json(under)
    merging.merge(tree, from_json(over), None)
    found: dict[str, Any] = json_value(tree)
    return found
