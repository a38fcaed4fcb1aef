"""The person's own ``helm`` in place of the library, where the setting ``--helm`` names it: ``helm template``, limited.

Called by ``helm`` in a render worker. The program gets a private folder with the chart in it, an environment that leads
nowhere else, bounds on time, memory and output, and no cluster. Values, and what it prints, may hold secrets: they are
in files of memory alone, so that nothing of them stays on a disk when a process is killed. What it prints is taken
apart into the same answer that the library gives. It runs once for each render: that is what the library saves.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from windlass.adapters.host.children import Limits, limit
from windlass.adapters.render.helm_child import ChartAnswer, ChartJob
from windlass.adapters.render.helm_engine import MEMORY, SECONDS, HelmMissing, HelmStopped

_OUTPUT = 64 * 1024 * 1024
_REFUSED = 1
_OPEN = "/proc/self/fd/"
_NUMBER = re.compile(rf"{_OPEN}[0-9]+")
_SOURCE = re.compile(r"^---\n# Source: ([^\n]+)\n", re.MULTILINE)
_STEPS = (
    ("dependencies", re.compile(r"found in Chart\.yaml, but missing in charts/ directory: (.*)", re.DOTALL)),
    ("version", re.compile(r"chart requires kubeVersion: (.*) which is incompatible")),
    ("values", re.compile(r"(values don't meet the specifications.*)", re.DOTALL)),
    ("values", re.compile(r"(failed to parse .*)", re.DOTALL)),
    ("chart", re.compile(r"(.* charts are not installable)")),
    ("chart", re.compile(r"(invalid chart apiVersion.*)")),
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
            code, printed, told = self._run(job, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if code == 0 and len(printed) < _OUTPUT:
            return _answer(printed.decode(errors="replace"))
        if code != _REFUSED:
            # Killed at a bound, or ended by Go itself, which ends a program whose memory runs out. Where its output is
            # cut at the bound, helm does not notice and ends well.
            raise HelmStopped(
                f"helm needed more than {self.seconds} s, {self.memory >> 20} MB of memory or 64 MB of output",
                hint="look for a loop in the templates that does not end",
            )
        return _wrong(told, secret=any(one.secret for one in job.values))

    def _run(self, job: ChartJob, folder: Path) -> tuple[int, bytes, str]:
        called = [self.program, "template", job.release, str(folder / "chart.tgz"), "--include-crds"]
        called += ["--namespace", job.namespace, "--kube-version", job.kube_version]
        for one in job.api_versions:
            called += ["--api-versions", one]
        homes = {name: str(folder) for name in ("HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
        with contextlib.ExitStack() as files:
            out, err, *values = [
                files.enter_context(_in_memory(text)) for text in ("", "", *(one.text for one in job.values))
            ]
            given = {f"{_OPEN}{file.fileno()}": one.name for file, one in zip(values, job.values, strict=True)}
            for path in given:
                called += ["--values", path]
            try:
                child = subprocess.Popen(
                    called,
                    pass_fds=[file.fileno() for file in values],
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
            told = err.read(1 << 20).decode(errors="replace")
            return code, out.read(), _NUMBER.sub(lambda at: given.get(at[0], at[0]), told)


def _in_memory(text: str) -> BinaryIO:
    """A file that is on no disk, with this text in it."""
    file = os.fdopen(os.memfd_create("windlass-helm"), "w+b")
    file.write(text.encode())
    file.seek(0)
    return file


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
