"""The person's own ``helm`` in place of the library, where the setting ``--helm`` names it: ``helm template``, limited.

Called by ``helm`` in a render worker. The program gets a private folder with the chart and the values in it, an
environment that leads nowhere else, bounds on time, memory and output, and no cluster. What it prints is taken apart
into the same answer that the library gives. It runs once for each render: that is what the library saves.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from windlass.adapters.host.children import Limits, limit
from windlass.adapters.render.helm_child import ChartAnswer, ChartJob
from windlass.adapters.render.helm_engine import MEMORY, SECONDS, HelmMissing, HelmStopped

_OUTPUT = 64 * 1024 * 1024
_REFUSED = 1
_SOURCE = re.compile(r"^---\n# Source: ([^\n]+)\n", re.MULTILINE)
_STEPS = (
    ("dependencies", re.compile(r"found in Chart\.yaml, but missing in charts/ directory: (.*)", re.DOTALL)),
    ("version", re.compile(r"chart requires kubeVersion: (.*) which is incompatible")),
    ("values", re.compile(r"(values don't meet the specifications.*)", re.DOTALL)),
    ("values", re.compile(r"(failed to parse .*)", re.DOTALL)),
    ("chart", re.compile(r"(.* charts are not installable)")),
)


class HelmProgram:
    """``program`` is the path of a ``helm``, version 3 or 4."""

    def __init__(self, program: str, *, seconds: int = SECONDS, memory: int = MEMORY) -> None:
        self.program = program
        self.seconds = seconds
        self.memory = memory

    def render(self, job: ChartJob, archive: Callable[[], bytes]) -> ChartAnswer:
        """One render. Raises HelmMissing, HelmStopped, and what ``archive`` raises."""
        folder = Path(tempfile.mkdtemp(prefix="windlass-helm-"))
        try:
            (folder / "chart.tgz").write_bytes(archive())
            for number, one in enumerate(job.values):
                (folder / f"{number}.yaml").write_text(one.text)
            code, printed, told = self._run(job, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if code == 0:
            return _answer(printed)
        if code != _REFUSED:
            # Killed at a bound, or ended by Go itself, which ends a program whose memory runs out.
            raise HelmStopped(
                f"helm needed more than {self.seconds} s, {self.memory >> 20} MB of memory or 64 MB of output",
                hint="look for a loop in the templates that does not end",
            )
        return _wrong(told, secret=any(one.secret for one in job.values))

    def _run(self, job: ChartJob, folder: Path) -> tuple[int, str, str]:
        called = [self.program, "template", job.release, str(folder / "chart.tgz"), "--include-crds"]
        called += ["--namespace", job.namespace, "--kube-version", job.kube_version]
        for one in job.api_versions:
            called += ["--api-versions", one]
        for number in range(len(job.values)):
            called += ["--values", str(folder / f"{number}.yaml")]
        homes = {name: str(folder) for name in ("HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
        with (folder / "out").open("w+b") as out, (folder / "err").open("w+b") as err:
            try:
                child = subprocess.Popen(
                    called,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env={**homes, "GOMAXPROCS": "1", "GOMEMLIMIT": str(self.memory // 2)},
                    cwd=folder,
                )
            except OSError as error:
                raise HelmMissing(
                    f"the program {self.program} can't be run: {os.strerror(error.errno or 0)}",
                    hint="the setting --helm names it",
                ) from error
            limit(child.pid, Limits(data=self.memory, file_size=_OUTPUT, cpu=self.seconds))
            try:
                code = child.wait(self.seconds)
            except subprocess.TimeoutExpired:
                child.kill()
                code = child.wait()
            out.seek(0)
            err.seek(0)
            return code, out.read().decode(errors="replace"), err.read(1 << 20).decode(errors="replace")


def _answer(printed: str) -> ChartAnswer:
    """What ``helm template`` printed, by the templates that made it."""
    files: dict[str, str] = {}
    crds: list[tuple[str, str]] = []
    for file, text in _pieces(printed):
        if "/crds/" in file and "/templates/" not in file:
            crds.append((file, text))
        else:
            files[file] = f"{files[file]}\n---\n{text}" if file in files else text
    return ChartAnswer(files, crds)


def _pieces(printed: str) -> Iterator[tuple[str, str]]:
    parts = _SOURCE.split(printed)
    for file, text in zip(parts[1::2], parts[2::2], strict=True):
        yield file, text.removesuffix("\n")


def _wrong(told: str, *, secret: bool) -> ChartAnswer:
    words = told.strip()
    words = words[words.rfind("Error: ") + 7 :] if "Error: " in words else words
    words = words.replace("\n\nUse --debug flag to render out invalid YAML", "")
    for step, pattern in _STEPS:
        found = pattern.search(words)
        if found is not None:
            parse = secret and found[1].startswith("failed to parse")
            return ChartAnswer(step=step, error="the values are no YAML, or no map" if parse else found[1])
    return ChartAnswer(step="render", error=words)
