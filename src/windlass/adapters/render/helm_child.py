"""Where Helm's library lives: ``python -m windlass.adapters.render.helm_child``, a child of the render worker.

A process of its own, because the library is a Go program: it needs 1.4 GB of addresses before it does anything, it ends
the whole process where memory runs out, and only one may be in a process. It reads jobs from its input and writes
answers; it has no environment, no network where the kernel gives it a namespace without one, and no cluster. Charts are
kept as archives and loaded for each render: the library changes a chart that it renders. Started by ``helm_engine``.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
from collections import OrderedDict
from typing import Any

import msgspec

from windlass.adapters.render.frames import READY, frame
from windlass.adapters.render.serving import bound_cpu, next_request
from windlass.core.charts.ranges import read_range, version

ANSWER = ord("A")
KEPT = 64 * 1024 * 1024
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_DOCUMENT = re.compile(r"^---[ \t]*(?:#.*)?$", re.MULTILINE)
_CUT = re.compile(r"(?<!\\)(?:\\\\)*\\ufffd")


class ValuesText(msgspec.Struct, frozen=True):
    """One source of values: YAML, how it is named in messages, and whether no word of it may be told."""

    name: str
    text: str
    secret: bool = False


class ChartJob(msgspec.Struct, frozen=True):
    """One render. ``archive`` b"" where the child has it under ``key``; ``values`` in order, the later one wins."""

    key: str
    archive: bytes
    values: list[ValuesText]
    release: str
    namespace: str
    kube_version: str
    api_versions: list[str]
    cpu: int


class ChartAnswer(msgspec.Struct, frozen=True):
    """``files``: template to its text. ``crds``: file and text, in Helm's order. Where ``error`` is set, ``step`` says
    at what: "forgotten" (the archive is wanted again), "chart", "values", "dependencies", "version", "render"."""

    files: dict[str, str] = {}
    crds: list[tuple[str, str]] = []
    name: str = ""
    version: str = ""
    deprecated: bool = False
    step: str = ""
    error: str = ""


class Wrong(Exception):
    """A step failed in a way that the chart's author can mend."""

    def __init__(self, step: str, error: str) -> None:
        super().__init__(error)
        self.answer = ChartAnswer(step=step, error=error)


def main() -> None:
    """Serves until the input ends."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Whatever the library prints must not be taken for an answer.
    os.dup2(2, 1)
    # Before the library starts its threads. Where the kernel does not allow it, the limits and checks have to do.
    leave = ctypes.CDLL(None).unshare
    if leave(_NEW_NET) != 0:
        leave(_NEW_USER | _NEW_NET)
    try:
        import helm_python
    except ImportError as error:
        sink.write(frame(READY, str(error).encode()[:400] or b"?"))
        sink.flush()
        return
    charts = Charts(helm_python)
    sink.write(frame(READY, b""))
    sink.flush()
    decode = msgspec.msgpack.Decoder(ChartJob).decode
    while (job := next_request(source)) is not None:
        sink.write(frame(ANSWER, msgspec.msgpack.encode(charts.answer(decode(job)))))
        sink.flush()


class Charts:
    """The last archives, and the library."""

    def __init__(self, helm: Any) -> None:
        self.helm = helm
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._held = 0

    def answer(self, job: ChartJob) -> ChartAnswer:
        bound_cpu(job.cpu)
        archive = self._archive(job)
        if not archive:
            return ChartAnswer(step="forgotten", error="the chart is not kept any more")
        try:
            chart = self._asked("chart", self.helm.Chart.load_archive, archive)
            with chart:
                return self._rendered(chart, job)
        except Wrong as wrong:
            return wrong.answer

    def _archive(self, job: ChartJob) -> bytes:
        if job.archive:
            self._kept[job.key] = job.archive
            self._held += len(job.archive)
            while self._held > KEPT and len(self._kept) > 1:
                self._held -= len(self._kept.popitem(last=False)[1])
        if job.key in self._kept:
            self._kept.move_to_end(job.key)
        return self._kept.get(job.key, b"")

    def _rendered(self, chart: Any, job: ChartJob) -> ChartAnswer:
        metadata = chart.metadata
        _check(metadata, {one.get("name") for one in chart.dependencies}, job)
        values = self._values(job.values)
        options = {
            "name": job.release,
            "namespace": job.namespace,
            "kube_version": job.kube_version,
            "api_versions": job.api_versions,
        }
        files = self._render(chart, values, options)
        # After the render: charts that a condition left out have left the tree, and their CRDs with them.
        crds = [(one["filename"], one["data"]) for one in chart.crds]
        name, word = str(metadata.get("name", "")), str(metadata.get("version", ""))
        return ChartAnswer(files, crds, name, word, bool(metadata.get("deprecated")))

    def _values(self, given: list[ValuesText]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for one in given:
            for document in _DOCUMENT.split(one.text.removeprefix("\ufeff")):
                try:
                    read = self.helm.values_from_yaml(document)
                except self.helm.HelmError as error:
                    told = "it is no YAML, or no map" if one.secret else error.detail
                    raise Wrong("values", f"{one.name} can't be read: {told}") from error
                values = merged(values, read)
        return values

    def _render(self, chart: Any, values: dict[str, Any], options: dict[str, Any]) -> dict[str, str]:
        # The options are those of the library itself: its Python method passes only some of them on.
        from helm_python import _native

        payload = self._asked(
            "render", _native.call_string, "helm_render", chart._raw(), json.dumps(values), json.dumps(options)
        )
        files = msgspec.json.decode(payload, type=dict[str, str])
        # The library writes an escape only for bytes that are no UTF-8; a character of that name stands there as it is.
        if _CUT.search(payload) is not None:
            _refuse_cut(files)
        return files

    def _asked(self, step: str, call: Any, *given: Any) -> Any:
        try:
            return call(*given)
        except self.helm.HelmValuesError as error:
            raise Wrong("values", error.detail) from error
        except self.helm.HelmError as error:
            raise Wrong(step, error.detail) from error
        except UnicodeDecodeError as error:
            raise Wrong("render", "what a template makes is not UTF-8") from error


def _refuse_cut(files: dict[str, str]) -> None:
    """As Helm does when it reads the manifests; notes are text, and may hold what they like."""
    for path, text in files.items():
        if "\ufffd" in text and not path.endswith("/NOTES.txt"):
            line = text[: text.index("\ufffd")].count("\n") + 1
            raise Wrong(
                "render",
                f"{path} renders bytes that are no UTF-8, in line {line} of what comes out: "
                "trunc and substr count bytes, and may cut a character in two",
            )


def _check(metadata: dict[str, Any], loaded: set[Any], job: ChartJob) -> None:
    """What Helm's program looks at before it renders, and its library does not."""
    edition = metadata.get("apiVersion") or "v1"
    if edition not in ("v1", "v2"):
        raise Wrong("chart", f"invalid chart apiVersion: {edition} is neither v1 nor v2")
    form = metadata.get("type") or "application"
    if form != "application":
        raise Wrong("chart", f"a chart of type {form} can't be installed by itself")
    missing = [str(one.get("name")) for one in metadata.get("dependencies") or [] if one.get("name") not in loaded]
    if missing:
        raise Wrong("dependencies", ", ".join(missing))
    wanted = metadata.get("kubeVersion")
    if wanted:
        reading, cluster = read_range(wanted), version(job.kube_version)
        if reading is None:
            raise Wrong("chart", f"kubeVersion is no range of versions: {wanted}")
        # Distributions add to the version (v1.36.1-gke.7): Helm leaves that out for this comparison, and so do we.
        if cluster is None or not reading.holds(cluster._replace(final=True, pre=())):
            raise Wrong("version", wanted)


def merged(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """Helm's merge of two sources of values: maps by key, everything else (null too) taken from the upper one."""
    made = dict(lower)
    for key, value in upper.items():
        before = made.get(key)
        made[key] = merged(before, value) if isinstance(value, dict) and isinstance(before, dict) else value
    return made


if __name__ == "__main__":
    main()
    sys.exit(0)
