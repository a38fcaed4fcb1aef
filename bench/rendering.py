"""`make bench-render`: what a render costs, beside the programs that people have for it. Needs no cluster.

Each tree is rendered again and again by a warm worker, as the controller does it (with all that comes after a renderer:
names, types, marks, digests, order), and by the room alone in this process; and by the program, which is started anew
for each render, as the peers do it. CPU is told beside time, because time on a busy machine says little.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

from bench import measure
from bench.figures import Result
from bench.fleet import Fleet, deployment_spec, made, text
from bench.world import Options
from e2e.team import git
from real import programs
from windlass.adapters.render import Workers
from windlass.core.documents import read, write
from windlass.core.kustomize import build
from windlass.ports import RenderRequest

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT.parent / "shared" / "corpus"
EVERYTHING = "online-boutique/kustomize/tests/memorystore-with-all-components"
SECONDS = 1.5
"""How long one thing is repeated."""


@dataclass(frozen=True)
class Cost:
    """``wall`` and ``cpu`` in seconds for one; ``rounds`` were made."""

    wall: float
    cpu: float
    rounds: int


@dataclass(frozen=True)
class Tree:
    """A repository with a work tree, and its commit."""

    root: Path
    commit: str

    def request(self, path: str) -> RenderRequest:
        """The render of a folder as the controller asks for it, marks included."""
        return RenderRequest(
            folder=str(self.root),
            commit=self.commit,
            repository="config",
            path=path,
            application="bench/app",
            label="bench.app",
            namespace="bench",
            digest_key=b"bench",
        )


def dump(documents: list[object]) -> str:
    return str(yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=False))


def overlay(objects: int) -> Iterator[tuple[str, str]]:
    """A base of so many objects and an overlay that does what overlays do."""
    names = [f"part-{number:03d}" for number in range(max(1, objects // 5))]
    for name in names:
        labels = {"app": name}
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        content: list[object] = [
            made("v1", "ServiceAccount", name),
            made("v1", "Service", name, spec={"selector": labels, "ports": ports}),
            made("apps/v1", "Deployment", name, spec=deployment_spec(name, labels)),
            made("v1", "ConfigMap", f"{name}-1", data={"level": "info", "settings": text(name, 1000)}),
            made("v1", "ConfigMap", f"{name}-2", data={"level": "info", "settings": text(name + "2", 1000)}),
        ]
        yield f"base/{name}.yaml", dump(content)
    yield "base/kustomization.yaml", dump([{"resources": [f"{name}.yaml" for name in names]}])
    patch = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": names[0]}, "spec": {"replicas": 5}}
    settings: dict[str, object] = {
        "resources": ["../base"],
        "namespace": "prod",
        "namePrefix": "prod-",
        "labels": [{"pairs": {"env": "prod"}, "includeSelectors": True}],
        "images": [{"name": f"registry.example/{name}", "newTag": "2.0.0"} for name in names[:20]],
        "patches": [{"patch": dump([patch])}],
        "configMapGenerator": [{"name": "settings", "literals": ["level=info", "colour=blue"]}],
    }
    yield "prod/kustomization.yaml", dump([settings])


def put(folder: Path, files: Iterator[tuple[str, str]]) -> Tree:
    """Writes a repository of one commit."""
    for name, content in files:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return committed(folder)


def committed(folder: Path) -> Tree:
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Begin")
    return Tree(folder, git(folder, "rev-parse", "HEAD").stdout.strip())


# --- measuring --------------------------------------------------------------------------------------------------------


def repeated(once: Callable[[], object], cpu: Callable[[], float]) -> Cost:
    """The median time and the mean CPU of something."""
    once()
    walls: list[float] = []
    before, end = cpu(), time.monotonic() + SECONDS
    while time.monotonic() < end or len(walls) < 3:
        began = time.monotonic()
        once()
        walls.append(time.monotonic() - began)
    return Cost(statistics.median(walls), (cpu() - before) / len(walls), len(walls))


async def repeated_async(once: Callable[[], Awaitable[object]], cpu: Callable[[], float]) -> Cost:
    """The same of a coroutine."""
    await once()
    walls: list[float] = []
    before, end = cpu(), time.monotonic() + SECONDS
    while time.monotonic() < end or len(walls) < 3:
        began = time.monotonic()
        await once()
        walls.append(time.monotonic() - began)
    return Cost(statistics.median(walls), (cpu() - before) / len(walls), len(walls))


def own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def everything_cpu() -> float:
    """This process, and its workers with what they started."""
    return measure.cpu_seconds(os.getpid())


def of_program(argv: list[str]) -> Cost:
    def once() -> None:
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)

    return repeated(once, children_cpu)


class Folder:
    """The files of a folder, for `core/kustomize`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        file = self.root / path
        return file.read_bytes() if file.is_file() else None

    def names(self, folder: str) -> list[str] | None:
        place = self.root / folder
        return sorted(os.listdir(place)) if place.is_dir() else None


# --- the scenario -----------------------------------------------------------------------------------------------------


async def render(options: Options) -> Result:
    """Every tree, by every way to render it."""
    result = Result("render", "no cluster", 0)
    folder = options.folder / "render"
    async with Workers(count=1) as workers:
        for objects in (5, 50, 500):
            tree = put(folder / f"overlay-{objects}", overlay(objects))
            await kustomize(result, f"kustomize, {objects} objects", workers, tree, "prod")
        if CORPUS.is_dir():
            shutil.copytree(CORPUS, folder / "corpus")
            corpus = committed(folder / "corpus")
            await kustomize(result, "kustomize, podinfo", workers, corpus, "podinfo/kustomize")
            await kustomize(result, "kustomize, online-boutique", workers, corpus, EVERYTHING)
        shutil.copytree(ROOT / "tests/charts", folder / "charts")
        await helm(result, workers, committed(folder / "charts"), "shop")
        plain = put(folder / "plain", ((file, dump([one])) for file, one in Fleet(1).manifests("app-0001")))
        once = await repeated_async(lambda: workers.render(plain.request("")), everything_cpu)
        result.add("plain, 10 objects: a warm worker", once.wall * 1000, "ms", note=cpu_note(once))
        result.add("plain, 10 objects: renders a second of a core", 1 / once.cpu)
    documents(result)
    return result


async def kustomize(result: Result, words: str, workers: Workers, tree: Tree, path: str) -> None:
    files = Folder(tree.root)
    ours = repeated(lambda: build(files, path).text(), own_cpu)
    result.add(f"{words}: in process", ours.wall * 1000, "ms", note=cpu_note(ours))
    rendered = await workers.render(tree.request(path))
    if not rendered.problems:
        once = await repeated_async(lambda: workers.render(tree.request(path)), everything_cpu)
        result.add(f"{words}: a warm worker", once.wall * 1000, "ms", note=cpu_note(once))
        result.add(f"{words}: renders a second of a core", 1 / once.cpu)
    for name, argv in (("kustomize", ["build"]), ("kubectl", ["kustomize"])):
        found = programs.find(name)
        if found is None:
            continue
        theirs = of_program([str(found), *argv, str(tree.root / path)])
        result.add(f"{words}: {name} {argv[0]}", theirs.wall * 1000, "ms", note=cpu_note(theirs))
        note = "their CPU over ours"
        result.add(f"{words}: {name} over ours", theirs.cpu / ours.cpu, "x", aim=1, least=True, note=note)


async def helm(result: Result, workers: Workers, tree: Tree, path: str) -> None:
    """The chart of the tests: by a worker and its child, by the library called bare, by the program."""
    once = await repeated_async(lambda: workers.render(tree.request(path)), everything_cpu)
    result.add("helm: a warm worker", once.wall * 1000, "ms", note=cpu_note(once))
    result.add("helm: renders a second of a core", 1 / once.cpu)
    bare = bare_helm(tree.root / path)
    if bare is not None:
        result.add("helm: the library called bare", bare.wall * 1000, "ms", note=cpu_note(bare))
        result.add("helm: a warm worker over the bare library", once.cpu / bare.cpu, "x", note="CPU")
    found = programs.find("helm")
    if found is not None:
        theirs = of_program([str(found), "template", "shop", str(tree.root / path), "--include-crds"])
        result.add("helm: helm template", theirs.wall * 1000, "ms", note=cpu_note(theirs))
        result.add("helm: helm template over a warm worker", theirs.cpu / once.cpu, "x", note="their CPU over ours")


def bare_helm(chart: Path) -> Cost | None:
    """The library by itself, in this process: the chart loaded and rendered, nothing checked, nothing bounded."""
    try:
        import helm_python
    except ImportError:
        return None

    def once() -> None:
        with helm_python.Chart.load(str(chart)) as loaded:
            loaded.render({}, name="shop", namespace="bench")

    return repeated(once, own_cpu)


def documents(result: Result) -> None:
    """Megabytes of YAML a second: manifests as people write them, read into values, and values written."""
    content = [one for name in Fleet(60).names for _, one in Fleet(60).manifests(name)]
    data = dump(content).encode()
    size = len(data) / 1e6
    parsed = repeated(lambda: read(data, "all.yaml"), own_cpu)
    result.add("YAML read", size / parsed.cpu, "MB/s", note=f"{size:.1f} MB, CPU")
    peer = repeated(lambda: list(yaml.load_all(data, yaml.CSafeLoader)), own_cpu)
    result.add("YAML read by PyYAML with libyaml", size / peer.cpu, "MB/s")
    values = [one.value for one in read(data, "all.yaml")]
    written = repeated(lambda: write(values), own_cpu)
    result.add("YAML written", size / written.cpu, "MB/s")
    bodies = msgspec.json.encode(values)
    encoded = repeated(lambda: msgspec.json.decode(bodies), own_cpu)
    result.add("the same as JSON read", len(bodies) / 1e6 / encoded.cpu, "MB/s")


def cpu_note(cost: Cost) -> str:
    return f"{cost.cpu * 1000:.1f} ms of CPU, {cost.rounds} rounds"


__all__ = ["render"]
