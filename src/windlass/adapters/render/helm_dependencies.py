"""The charts that a chart names and that are not in its folder ``charts/``: from the repository, or fetched before.

``file://`` leads to a chart of the same repository, and is read there. Others come as archives that the controller
fetched, where it may; ``Chart.lock`` says which version. Called by ``helm`` where Helm says that one is missing; it
fetches nothing. ``told_folders`` says where in Git the charts in ``charts/`` are, which Helm names by their alias.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from windlass.adapters.git.snapshot import Snapshot
from windlass.adapters.render.helm_files import ChartFiles, ChartRefused, chart_folder
from windlass.core.documents import DocumentError, read
from windlass.errors import Where
from windlass.ports import ChartFound, ChartWanted

_DECLARED = (("Chart.yaml", "Chart.lock"), ("requirements.yaml", "requirements.lock"))
_LOCAL = "file://"
_DEEPEST = 8


class Dependency(NamedTuple):
    """One that is declared: ``version`` is that of the lock file where there is one."""

    name: str
    version: str
    repository: str

    @property
    def wanted(self) -> ChartWanted | None:
        """What has to be fetched; None for what is no address (an alias of somebody's own helm, for example)."""
        if not self.repository.startswith(("https://", "http://", "oci://")):
            return None
        return ChartWanted(self.repository.rstrip("/"), self.name, self.version)


class Completed(NamedTuple):
    """The chart with what could be had, and what is still missing."""

    chart: ChartFiles
    missing: tuple[Dependency, ...]


def completed(
    chart: ChartFiles,
    names: Sequence[str],
    snapshot: Snapshot,
    fetched: Mapping[ChartWanted, ChartFound],
    data: Callable[[ChartFound], bytes],
) -> Completed:
    """Puts the charts of these names into ``charts/``. Raises ChartRefused, BadPath, DocumentError."""
    files = chart.load()
    more, missing = dict[str, bytes](), list[Dependency]()
    for one in _declared(files, chart):
        if one.name not in names:
            continue
        found = fetched.get(one.wanted) if one.wanted is not None else None
        if one.repository.startswith(_LOCAL):
            local = _whole(_local(chart, one, snapshot), snapshot, 0)
            more |= {f"charts/{one.name}/{path}": content for path, content in local.items()}
        elif found is not None:
            more[f"charts/{one.name}-{found.version}.tgz"] = data(found)
        else:
            missing.append(one)
    # By all that was put in: a chart of the repository may name others there, and those others.
    mark = hashlib.sha256(chart.key.encode())
    for path, content in more.items():
        mark.update(f"\0{path}\0".encode() + hashlib.sha256(content).digest())
    return Completed(ChartFiles(chart.place, mark.hexdigest(), lambda: {**files, **more}), tuple(missing))


def told_folders(files: Mapping[str, bytes], chart: ChartFiles) -> dict[str, str]:
    """Each folder that Helm tells of (``charts/<alias>/``) to the one that it is, or to the archive (without a slash
    behind), where these differ; the deeper one first."""
    found: dict[str, str] = {}
    _compare(files, chart, "", "", found)
    return dict(sorted(found.items(), key=lambda one: -len(one[0])))


def _compare(files: Mapping[str, bytes], chart: ChartFiles, told: str, true: str, found: dict[str, str]) -> None:
    """``files`` are those of the chart in ``true``, by their path below it."""
    marks = [path for path in files if path.startswith("charts/") and path.endswith("/Chart.yaml")]
    folders = {
        _name(files[path], chart.where(true + path)): path[:-10] for path in sorted(marks) if path.count("/") == 2
    }
    archives = [path for path in files if path.endswith(".tgz") and path.startswith("charts/") and path.count("/") == 1]
    declared = [*_entries(files, "Chart.yaml", chart), *_entries(files, "requirements.yaml", chart)]
    names = {one["name"]: one["name"] for one in declared} | dict(zip(folders, folders, strict=True))
    for alias, name in (names | {str(one.get("alias") or one["name"]): one["name"] for one in declared}).items():
        here = f"{told}charts/{alias}/"
        if (folder := folders.get(name)) is not None:
            if here != true + folder:
                found[here] = true + folder
            inner = {path.removeprefix(folder): data for path, data in files.items() if path.startswith(folder)}
            _compare(inner, chart, here, true + folder, found)
        elif packed := next((one for one in archives if one.startswith(f"charts/{name}-")), ""):
            found[here] = true + packed


def _name(data: bytes, file: str) -> str:
    try:
        documents = read(data, file)
    except DocumentError:
        return ""  # Helm tells what is wrong with it
    value = documents[0].value if documents else None
    return str(value.get("name") or "") if isinstance(value, dict) else ""


def _whole(chart: ChartFiles, snapshot: Snapshot, depth: int) -> dict[str, bytes]:
    """A chart of the repository, with the charts of the repository that it names."""
    files = chart.load()
    if depth > _DEEPEST:
        raise ChartRefused("charts name each other in a circle", where=Where(chart.where("Chart.yaml")))
    for one in list(_declared(files, chart)):
        inside = any(path.startswith((f"charts/{one.name}/", f"charts/{one.name}-")) for path in files)
        if one.repository.startswith(_LOCAL) and not inside:
            more = _whole(_local(chart, one, snapshot), snapshot, depth + 1)
            files |= {f"charts/{one.name}/{path}": content for path, content in more.items()}
    return files


def _local(chart: ChartFiles, one: Dependency, snapshot: Snapshot) -> ChartFiles:
    path = posixpath.normpath(posixpath.join(chart.place, one.repository.removeprefix(_LOCAL)))
    where = Where(chart.where("Chart.yaml"))
    if path.startswith(("../", "/")) or path == "..":
        raise ChartRefused(f"the dependency {one.name} leads out of the repository: {one.repository}", where=where)
    if not snapshot.entries("" if path == "." else path):
        raise ChartRefused(f"the dependency {one.name} is not in the repository: there is no {path}", where=where)
    return chart_folder(snapshot, "" if path == "." else path)


def _declared(files: Mapping[str, bytes], chart: ChartFiles) -> Iterator[Dependency]:
    for declares, locks in _DECLARED:
        locked = {one["name"]: str(one.get("version") or "") for one in _entries(files, locks, chart)}
        for one in _entries(files, declares, chart):
            name = str(one["name"])
            yield Dependency(name, locked.get(name) or str(one.get("version") or ""), str(one.get("repository") or ""))


def _entries(files: Mapping[str, bytes], name: str, chart: ChartFiles) -> list[dict[str, Any]]:
    try:
        documents = read(files.get(name, b""), chart.where(name))
    except DocumentError:
        return []  # Helm has read it before, or tells what is wrong with it
    value = documents[0].value if documents else None
    entries = value.get("dependencies") if isinstance(value, dict) else None
    listed = entries if isinstance(entries, list) else []
    return [one for one in listed if isinstance(one, dict) and isinstance(one.get("name"), str)]
