"""``windlass render PATH --against kustomize|helm``: what the person's own program makes of the same folder.

``render`` calls it. The program runs as a limited child on the person's machine, with the person's own settings, and
only here: nothing else in Windlass runs it. Its output is read as plain manifests, and compared object by object.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from windlass import settings
from windlass.adapters.host.children import Finished, Limits, ProgramMissing, find_program, run_child
from windlass.adapters.render import render_folder
from windlass.adapters.render.helm import KUBE_VERSION, RELEASE
from windlass.cli.planning import reference
from windlass.cli.render import tell_problems
from windlass.cli.running import run_person
from windlass.cli.telling import DIFFERS, ERROR, emit, say, width_of
from windlass.cli.trees import Place, request_of
from windlass.core.kinds.rendering import Helm, Kustomize, Plain, Render
from windlass.core.kustomize import FILE_NAMES
from windlass.core.model import Rendered
from windlass.core.plan.changes import changes_between
from windlass.core.words.against import Beside, against_text
from windlass.core.words.plain import plain, plain_lines
from windlass.errors import NeedsHuman

_OWN = (
    "HELM_PLUGINS",
    "HELM_DATA_HOME",
    "HELM_CONFIG_HOME",
    "HELM_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "USER",
    "LOGNAME",
)
_LIMITS = Limits(timeout=120.0, output=64 << 20)
_LINES = 12
_VERSION = re.compile(r"v\d+\.\d+\.\d+\S*")


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the person's: how it is called for a folder, and the name it is told by."""

    called: Sequence[str]
    words: str


def comparable(place: Place) -> Place:
    """The place without what an Application adds and no such program has an option for; what is left out is told."""
    given = place.settings
    kept = replace(given, substitute=None, decrypt=None)
    left = [name for name in ("substitute", "decrypt") if getattr(given, name) is not None]
    if given.kustomize is not None:
        kept = replace(kept, kustomize=Kustomize(load_restrictor=given.kustomize.load_restrictor))
        named = {"images": "images", "name_prefix": "namePrefix", "components": "components"}
        left += [f"kustomize.{word}" for name, word in named.items() if getattr(given.kustomize, name)]
    if left:
        say(f"note: left out on both sides, for programs know nothing of it: {', '.join(left)}\n", sys.stderr)
    return dataclasses.replace(place, settings=kept)


def compare_with(name: str, place: Place, *, namespace: str, output: str) -> int:
    """Compares a render with what the program ``name`` makes of the same folder; the exit code."""
    place = comparable(place)
    rendered = render_folder(request_of(place, namespace=namespace))
    with tempfile.TemporaryDirectory(prefix="windlass-") as made:
        program, done = run_person(lambda: _run(name, place, rendered, namespace, Path(made)))
    if done.code != 0:
        return _refused(program, done, rendered, place)
    if rendered.problems:
        code = tell_problems(rendered, place.commit, place.repository)
        say(f"{plain(program.words)} accepts it\n", sys.stderr)
        return code
    with tempfile.TemporaryDirectory(prefix="windlass-") as made:
        Path(made, f"{name}.yaml").write_bytes(done.stdout)
        theirs = render_folder(request_of(Place(made, "", settings=Render(plain=Plain())), namespace=namespace))
    if theirs.problems or theirs.invalid:
        return tell_problems(theirs, "", "", f"what {program.words} printed can't be compared")
    found, same = compared(rendered, theirs)
    if output == "human":
        say(against_text(program.words, found, same, width=width_of(sys.stdout)))
    else:
        emit(against_data(program.words, found, same), output)
    return DIFFERS if found else 0


def compared(ours: Rendered, theirs: Rendered) -> tuple[list[Beside], int]:
    """The objects that are not the same, and how many are. Values count, and not how they are written."""
    left = {one.ref: one for one in ours.objects}
    right = {one.ref: one for one in theirs.objects}
    found: list[Beside] = []
    for ref, one in left.items():
        where = f"{one.origin.file}:{one.origin.line}" if one.origin.file else ""
        other = right.get(ref)
        if other is None:
            found.append(Beside(ref, "ours", where))
            continue
        old, new = msgspec.json.decode(one.body), msgspec.json.decode(other.body)
        if old != new:
            found.append(Beside(ref, "", where, changes_between(old, new)))
    found += [Beside(ref, "theirs") for ref in right if ref not in left]
    return found, len(left.keys() & right.keys()) - sum(not one.only for one in found)


def against_data(program: str, found: Sequence[Beside], same: int) -> dict[str, Any]:
    """The same for programs."""
    return {
        "program": program,
        "same": same,
        "differences": [
            {
                **reference(one.ref),
                "only": {"ours": "windlass", "theirs": program}.get(one.only, ""),
                "place": one.place,
                "fields": [{"field": each.field, "windlass": each.old, "theirs": each.new} for each in one.changes],
            }
            for one in sorted(found, key=lambda each: each.ref)
        ],
    }


def _refused(program: Program, done: Finished, rendered: Rendered, place: Place) -> int:
    """The program does not accept the folder: both refusing is no difference, though nothing was compared."""
    told = plain_lines(done.stderr.decode("utf-8", "replace").strip())[-_LINES:]
    lines = "".join(f"   {line}\n" for line in told)
    if rendered.problems:
        tell_problems(rendered, place.commit, place.repository)
        say(f"{plain(program.words)} refuses it too\n{lines}", sys.stderr)
        return ERROR
    say(f"{plain(program.words)} refuses it, and windlass does not\n{lines}", sys.stderr)
    return DIFFERS


async def _run(name: str, place: Place, rendered: Rendered, namespace: str, made: Path) -> tuple[Program, Finished]:
    if name == "helm":
        program = await _helm(place, namespace, made)
    else:
        program = await _kustomize(place, rendered)
    return program, await _child(program.called)


async def _helm(place: Place, namespace: str, made: Path) -> Program:
    """``helm template`` with what the Application says of the chart; ``made`` is for the values that are no file."""
    found = find_program("helm")
    version = _VERSION.search((await _child([found, "version", "--short"])).stdout.decode("utf-8", "replace"))
    chart = place.settings.helm or Helm()
    release = chart.release_name or place.application.rpartition("/")[2] or RELEASE
    where = place.chart.archive if place.chart is not None else str(Path(place.folder, place.path))
    called = [found, "template", release, where, "--namespace", namespace or "default"]
    called += ["--kube-version", chart.kube_version or KUBE_VERSION]
    for one in chart.api_versions:
        called += ["--api-versions", one]
    for file in _values(place, chart, made):
        called += ["--values", str(file)]
    if not chart.skip_crds:
        called.append("--include-crds")
    if chart.skip_schema_validation:
        called.append("--skip-schema-validation")
    return Program(called, f"helm {version[0]}" if version else "helm")


def _values(place: Place, chart: Helm, made: Path) -> Iterator[Path]:
    """The values in the order in which a render takes them, the later one wins; those of no file are written to one."""
    yield from (_values_file(place, one) for one in chart.values_files)
    held = [place.values.objects.get(one.named.key, {}).get(one.key) for one in chart.values_from]
    texts = [*held, msgspec.json.encode(chart.values) if chart.values else None, *(data for _, data in place.given)]
    for number, data in enumerate(texts):
        if data is not None:
            file = made / f"{number}.yaml"
            file.write_bytes(data)
            yield file


def _values_file(place: Place, text: str) -> Path:
    """Where a values file is on this machine. A render has looked at it before, and found it inside its repository."""
    if not text.startswith("$"):
        return Path(place.folder, text.lstrip("/") if text.startswith("/") else Path(place.path, text))
    name, _, rest = text[1:].partition("/")
    other = place.others.get(name)
    if other is None or other.commit:
        raise NeedsHuman(
            f"the values in ${name} are in no folder of this machine that helm could read",
            hint=f"--source {name}=FOLDER names one",
        )
    return Path(other.folder, rest)


async def _kustomize(place: Place, rendered: Rendered) -> Program:
    """``kustomize build``, or where there is none, the one inside ``kubectl``."""
    options = []
    if place.settings.kustomize is not None and place.settings.kustomize.load_restrictor == "none":
        options += ["--load-restrictor", "LoadRestrictionsNone"]
    if not rendered.problems and _has_charts(place, rendered):
        # Only where Windlass found every chart in the repository: kustomize would fetch what is not there.
        options.append("--enable-helm")
    folder = str(Path(place.folder, place.path))
    try:
        found = find_program("kustomize")
        version = _VERSION.search((await _child([found, "version"])).stdout.decode("utf-8", "replace"))
        return Program([found, "build", folder, *options], f"kustomize {version[0]}" if version else "kustomize")
    except ProgramMissing as error:
        try:
            found = find_program("kubectl")
        except ProgramMissing:
            error.hint = "install kustomize, or kubectl, which holds one; or put it on the PATH"
            raise error from None
    said = json.loads((await _child([found, "version", "--client", "-o", "json"])).stdout or b"{}")
    return Program([found, "kustomize", folder, *options], f"kustomize {said.get('kustomizeVersion', '')} of kubectl")


def _has_charts(place: Place, rendered: Rendered) -> bool:
    """Whether a kustomization that was read names a chart."""
    files = (Path(place.folder, path) for path, blob in rendered.read.items() if blob and path.endswith(FILE_NAMES))
    return any(b"helmChart" in file.read_bytes() for file in files)


async def _child(called: Sequence[str]) -> Finished:
    own = {name: value for name in _OWN if (value := settings.variable(name))}
    return await run_child(called, env=settings.child_environment(own), cwd="/", limits=_LIMITS)
