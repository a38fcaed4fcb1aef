"""Render workers: real child processes over a real repository. What goes wrong costs one render and no other."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import msgspec
import pygit2
import pytest
from memory import config_map, request

from windlass.adapters.render import RenderFailed, RenderLost, RenderStopped, Workers, frames
from windlass.adapters.render.frames import Answer
from windlass.core.model import Desired, ObjectRef, Origin, Problem, Rendered
from windlass.ports import RenderRequest

Commit = Callable[[Mapping[str, bytes]], str]

MANIFEST = msgspec.json.encode(config_map("a"))
# Below the budgets of the reader, but so much of it that it takes long and grows large.
HEAVY = b"a:\n" + b"- [x, y, z]\n" * 60_000


def heavy_files(count: int) -> dict[str, bytes]:
    """All different, for what was parsed once is not parsed again."""
    return {f"heavy/{number}.yaml": b"# %d\n" % number + HEAVY for number in range(count)}


@pytest.fixture
def commit(tmp_path: Path) -> Commit:
    """Commits files to a bare repository in ``tmp_path``; returns the commit."""
    repository = pygit2.init_repository(str(tmp_path), bare=True)

    def make(files: Mapping[str, bytes]) -> str:
        index = pygit2.Index()
        for path, data in files.items():
            index.add(pygit2.IndexEntry(path, repository.create_blob(data), pygit2.enums.FileMode.BLOB))
        tree = index.write_tree(repository)
        author = pygit2.Signature("ada", "ada@acme.example", 1_700_000_000, 0)
        parents = [] if repository.head_is_unborn else [repository.head.target]
        return str(repository.create_commit("HEAD", author, author, "a change", tree, parents))

    return make


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with Workers() as made:
        yield made


def ask(folder: Path, commit: str, path: str = "") -> RenderRequest:
    return request(folder=str(folder), commit=commit, path=path)


async def first(workers: Workers) -> Process:
    """The process of the one worker that there is, started."""
    (worker,) = [one for one in workers._all if one.alive]
    assert await worker.started is None
    assert worker.process is not None
    return worker.process


async def test_a_worker_renders_from_git_objects(workers: Workers, commit: Commit, tmp_path: Path) -> None:
    made = commit({"apps/a.json": MANIFEST})
    result = await workers.render(ask(tmp_path, made, "apps"))
    assert [one.ref.name for one in result.objects] == ["a"]
    assert result.commit == made
    assert set(result.read) == {"apps/", "apps/a.json"}
    assert str(result.objects[0].origin) == f"config@{made}:apps/a.json"


async def test_the_origin_is_the_commit_that_changed_the_file(workers: Workers, commit: Commit, tmp_path: Path) -> None:
    first = commit({"a.json": MANIFEST})
    second = commit({"a.json": MANIFEST, "b.json": msgspec.json.encode(config_map("b"))})
    result = await workers.render(ask(tmp_path, second))
    assert {one.ref.name: one.origin.commit for one in result.objects} == {"a": first, "b": second}


async def test_a_commit_that_is_not_there_fails_and_the_worker_lives(
    workers: Workers, commit: Commit, tmp_path: Path
) -> None:
    made = commit({"a.json": MANIFEST})
    before = (await first(workers)).pid
    with pytest.raises(RenderFailed):
        await workers.render(ask(tmp_path, "0" * 39 + "1"))
    assert (await workers.render(ask(tmp_path, made))).objects
    assert (await first(workers)).pid == before


async def test_what_takes_too_long_is_killed_and_the_next_goes_on(commit: Commit, tmp_path: Path) -> None:
    made = commit(heavy_files(40) | {"light/a.json": MANIFEST})
    async with Workers(timeout=1.5) as workers:
        heavy = asyncio.create_task(workers.render(ask(tmp_path, made, "heavy")))
        light = await asyncio.gather(*(workers.render(ask(tmp_path, made, "light")) for _ in range(5)))
        assert all(one.objects for one in light)
        with pytest.raises(RenderStopped, match="took longer"):
            await heavy
        assert (await workers.render(ask(tmp_path, made, "light"))).objects


async def test_what_needs_too_much_memory_costs_that_render_only(commit: Commit, tmp_path: Path) -> None:
    large = msgspec.json.encode(config_map("a") | {"data": {"a": "x" * 15_000_000}})
    made = commit({f"heavy/{number}.json": large for number in range(16)} | {"light/a.json": MANIFEST})
    async with Workers(memory=160 * 1024 * 1024) as workers:
        with pytest.raises((RenderStopped, RenderLost)):
            await workers.render(ask(tmp_path, made, "heavy"))
        assert (await workers.render(ask(tmp_path, made, "light"))).objects


async def test_a_worker_that_dies_costs_one_render_at_most(workers: Workers, commit: Commit, tmp_path: Path) -> None:
    made = commit(heavy_files(10) | {"light/a.json": MANIFEST})
    process = await first(workers)
    heavy = asyncio.create_task(workers.render(ask(tmp_path, made, "heavy")))
    await asyncio.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(RenderLost):
        await heavy
    assert (await workers.render(ask(tmp_path, made, "light"))).objects
    # At rest it is not even noticed.
    process = await first(workers)
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    assert (await workers.render(ask(tmp_path, made, "light"))).objects


async def test_a_cancelled_render_leaves_no_worker_in_the_middle_of_it(
    workers: Workers, commit: Commit, tmp_path: Path
) -> None:
    made = commit({"heavy/a.yaml": HEAVY, "light/a.json": MANIFEST})
    heavy = asyncio.create_task(workers.render(ask(tmp_path, made, "heavy")))
    await asyncio.sleep(0.1)
    heavy.cancel()
    with pytest.raises(asyncio.CancelledError):
        await heavy
    assert [one.ref.name for one in (await workers.render(ask(tmp_path, made, "light"))).objects] == ["a"]


async def test_a_large_answer_that_nobody_wants_any_more_holds_nothing_up(
    workers: Workers, commit: Commit, tmp_path: Path
) -> None:
    large = {
        f"large/{n}.json": msgspec.json.encode(config_map(f"a{n}") | {"data": {"a": "x" * 500_000}}) for n in range(30)
    }
    made = commit(large | {"light/a.json": MANIFEST})
    for wait in (0.05, 0.2, 0.3, 0.4):
        asked = asyncio.create_task(workers.render(ask(tmp_path, made, "large")))
        await asyncio.sleep(wait)
        asked.cancel()
        await asyncio.wait([asked])
    async with asyncio.timeout(20):
        assert (await workers.render(ask(tmp_path, made, "light"))).objects
        assert len((await workers.render(ask(tmp_path, made, "large"))).objects) == 30


async def test_renders_under_way_are_lost_when_all_ends(commit: Commit, tmp_path: Path) -> None:
    made = commit(heavy_files(10))
    async with Workers() as workers:
        asked = [asyncio.create_task(workers.render(ask(tmp_path, made))) for _ in range(6)]
        await asyncio.sleep(0.1)
    async with asyncio.timeout(20):
        results = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, RenderLost) for one in results)
    assert not workers._all


async def test_there_are_never_more_workers_than_allowed_and_none_afterwards(commit: Commit, tmp_path: Path) -> None:
    made = commit({f"a{number}.json": msgspec.json.encode(config_map(f"a{number}")) for number in range(20)})
    async with Workers(count=2) as workers:
        results = await asyncio.gather(*(workers.render(ask(tmp_path, made)) for _ in range(30)))
        assert all(len(one.objects) == 20 for one in results)
        assert len(workers._all) <= 2
        processes = [worker.process for worker in workers._all]
    assert all(process is not None and process.returncode is not None for process in processes)


async def test_a_second_worker_goes_when_there_is_no_work_and_the_warm_one_stays(
    commit: Commit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.adapters.render.workers.LINGER", 0.05)
    made = commit({"a.json": MANIFEST})
    async with Workers(count=2) as workers:
        await asyncio.gather(*(workers.render(ask(tmp_path, made)) for _ in range(4)))
        both = {worker.process for worker in workers._all if worker.process is not None}
        assert len(both) == 2
        await asyncio.wait([asyncio.create_task(process.wait()) for process in both], return_when="FIRST_COMPLETED")
        await asyncio.sleep(0.1)
        assert sorted(process.returncode is None for process in both) == [False, True]
        assert (await workers.render(ask(tmp_path, made))).objects
        assert await first(workers) in both


async def test_a_worker_has_no_environment_and_bounds(workers: Workers) -> None:
    process = await first(workers)
    environment = Path(f"/proc/{process.pid}/environ").read_bytes()
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert b"HOME=" not in environment
    assert b"PATH=" not in environment
    data = next(line for line in limits.splitlines() if line.startswith("Max data size"))
    assert data.split()[3] == str(1 << 30)
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4] == "0"


def test_an_answer_comes_in_slices_and_is_whole_again() -> None:
    ref = ObjectRef("", "ConfigMap", "shop", "a")
    objects = [
        Desired(ref._replace(name=f"a{number}"), "v1", 0, 5, "d", Origin("r", "c", "f", 1), b"x" * 50_000)
        for number in range(40)
    ]
    whole = Rendered(
        "c", objects, [], [Problem("a", ref=ref)], [Problem("b")] * 3, {f"p{number}": "id" for number in range(9000)}
    )
    parts = list(frames.answer(whole))
    assert max(len(part) for part in parts) < 2 * frames.SLICE
    answer = Answer()
    ends = [answer.take(frames.HEADER.unpack(part[:5])[1], part[5:]) for part in parts]
    assert ends == [False] * (len(parts) - 1) + [True]
    assert answer.rendered() == whole


def test_what_a_change_touches_is_told_without_a_worker() -> None:
    workers = Workers()
    assert workers.touches(["apps/7/a.yaml", "x.md"]) == {"apps/7/a.yaml", "apps/7/", "apps/", "/", "x.md"}
    assert workers.touches([]) == set()


async def test_code_that_crashes_the_renderer_is_a_persons_to_mend(
    workers: Workers, commit: Commit, tmp_path: Path
) -> None:
    chain = "local x = 1; " * 200_000 + "x"
    made = commit({"heavy/main.jsonnet": chain.encode(), "light/main.jsonnet": MANIFEST})
    with pytest.raises(RenderStopped, match="crashed"):
        await workers.render(ask(tmp_path, made, "heavy"))
    assert (await workers.render(ask(tmp_path, made, "light"))).objects


async def test_jsonnet_without_an_end_is_stopped(commit: Commit, tmp_path: Path) -> None:
    endless = b"std.foldl(function(a, b) a + b, std.range(1, 1000000000), 0)"
    made = commit({"heavy/main.jsonnet": endless, "light/main.jsonnet": MANIFEST})
    async with Workers(timeout=1.5) as workers:
        with pytest.raises(RenderStopped):
            await workers.render(ask(tmp_path, made, "heavy"))
        assert (await workers.render(ask(tmp_path, made, "light"))).objects


async def test_a_chart_is_rendered_in_a_child_of_the_worker_that_dies_with_it(
    workers: Workers, commit: Commit, tmp_path: Path
) -> None:
    files = {
        "good/Chart.yaml": b"apiVersion: v2\nname: web\nversion: 0.1.0\n",
        "good/templates/a.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n",
        "bomb/Chart.yaml": b"apiVersion: v2\nname: web\nversion: 0.1.0\n",
        "bomb/templates/a.yaml": b'{{ $x := "aaaaaaaaaaaaaaaa" }}{{ range until 40 }}{{ $x = print $x $x }}{{ end }}',
    }
    made = commit(files)

    def asked(path: str) -> RenderRequest:
        return ask(tmp_path, made, path)

    result = await workers.render(asked("good"))
    assert [str(one.ref) for one in result.objects] == ["ConfigMap/shop"]
    process = await first(workers)
    (child,) = children(process.pid)
    bomb = await workers.render(asked("bomb"))
    assert [one.slug for one in bomb.problems] == ["render-stopped"]
    assert (await first(workers)).pid == process.pid, "the worker lives"
    assert not Path(f"/proc/{child}").exists()
    assert (await workers.render(asked("good"))).problems == []
    (child,) = children(process.pid)
    process.kill()
    for _ in range(100):
        if not Path(f"/proc/{child}/exe").exists():
            break
        await asyncio.sleep(0.05)
    assert not running(child), "its input ended with the worker"


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_jsonnet_that_grows_without_an_end_costs_that_render_only(commit: Commit, tmp_path: Path) -> None:
    anchors = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (new, new, b", ".join([b"*%c" % old] * 9))
        for old, new in zip(b"abcdefgh", b"bcdefghi", strict=True)
    )
    made = commit(
        {
            "heavy/main.jsonnet": b"std.parseYaml(importstr 'bomb.txt')",
            "heavy/bomb.txt": anchors,
            "light/main.jsonnet": MANIFEST,
        }
    )
    async with Workers(memory=160 * 1024 * 1024, timeout=20) as workers:
        with pytest.raises((RenderStopped, RenderLost)):
            await workers.render(ask(tmp_path, made, "heavy"))
        assert (await workers.render(ask(tmp_path, made, "light"))).objects
