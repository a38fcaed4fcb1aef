"""The cache of renders: what is served from it, what never is, and what becomes of a folder that is in trouble."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory import config_map, request
from typing_extensions import override

from windlass.adapters.git.snapshot import open_snapshot
from windlass.adapters.render.cache import CachedRenderer, Entries, Entry
from windlass.adapters.render.documents import Documents
from windlass.adapters.render.steps import render
from windlass.core.kinds.rendering import Render, Substitute, ValueRef
from windlass.core.model import Rendered
from windlass.errors import WindlassError
from windlass.ports import ClusterFacts, ClusterValues, OtherSource, Renderer, RenderRequest

KEY = b"k" * 32
Commit = Callable[..., str]


class Direct(Renderer):
    """The real renderer in this process, which counts."""

    def __init__(self) -> None:
        self.asked = 0

    @override
    async def render(self, request: RenderRequest) -> Rendered:
        self.asked += 1
        others = {name: open_snapshot(one.folder, one.commit) for name, one in request.others.items()}
        tree = open_snapshot(request.folder, request.commit)
        return render(request, tree, Documents(), lambda paths: {}, others)

    @override
    def touches(self, changed: Iterable[str]) -> set[str]:
        return set()


class Start:
    """One life of a controller: a cache over the folder."""

    def __init__(self, folder: Path, *, key: bytes = KEY, size: int = 1 << 20, program: str = "") -> None:
        self.inner = Direct()
        self.told: list[WindlassError] = []
        self.cache = CachedRenderer(self.inner, folder, key, self.told.append, size=size, program=program)

    async def renders(self, *requests: RenderRequest) -> list[Rendered]:
        """Asks for each, and ends."""
        made = [await self.cache.render(one) for one in requests]
        await self.cache.close()
        return made


@pytest.fixture
def commit(tmp_path: Path) -> Commit:
    """Commits files to a bare repository in ``git`` (or another); returns the commit."""

    def make(files: Mapping[str, str], name: str = "git") -> str:
        repository = pygit2.init_repository(str(tmp_path / name), bare=True)
        index = pygit2.Index()
        for path, data in files.items():
            blob = repository.create_blob(data.encode())
            index.add(pygit2.IndexEntry(path, blob, pygit2.enums.FileMode.BLOB))
        author = pygit2.Signature("ada", "ada@acme.example", 1_700_000_000, 0)
        parents = [] if repository.head_is_unborn else [repository.head.target]
        return str(repository.create_commit("HEAD", author, author, "a change", index.write_tree(repository), parents))

    return make


def manifest(name: str, **data: str) -> str:
    return msgspec.json.encode(config_map(name) | {"data": data}).decode()


def ask(tmp_path: Path, commit: str, path: str = "shop", **more: Any) -> RenderRequest:
    return request(folder=str(tmp_path / "git"), commit=commit, path=path, digest_key=KEY, **more)


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_render_outlasts_a_restart_and_comes_back_as_it_was(commit: Commit, tmp_path: Path) -> None:
    asked = ask(tmp_path, commit({"shop/a.json": manifest("a", x="1")}))
    (made,) = await Start(tmp_path / "renders").renders(asked)
    again = Start(tmp_path / "renders")
    assert await again.renders(asked, asked) == [made, made]
    assert (again.inner.asked, again.cache.made, again.cache.hits) == (0, 0, 2)


async def test_another_helm_program_makes_every_render_anew_and_the_same_one_none(
    commit: Commit, tmp_path: Path
) -> None:
    asked = ask(tmp_path, commit({"shop/a.json": manifest("a", x="1")}))
    helm, moved = tmp_path / "helm", tmp_path / "helm-4"

    async def asks(program: str) -> int:
        start = Start(tmp_path / "renders", program=program)
        await start.renders(asked, asked)
        return start.inner.asked

    helm.write_bytes(b"one")
    assert [await asks(str(helm)), await asks(str(helm))] == [1, 0]
    assert await asks("") == 1, "the library is another program"
    moved.write_bytes(b"one")
    assert await asks(str(moved)) == 0, "it is the program that counts, not where it lies"
    moved.write_bytes(b"two")
    assert [await asks(str(moved)), await asks(str(moved))] == [1, 0]
    helm.write_bytes(b"three")
    start = Start(tmp_path / "renders", program=str(helm))
    await start.cache.render(asked)
    helm.write_bytes(b"one again")
    await start.renders(asked)
    assert start.inner.asked == 2, "a program that is replaced while the controller runs is seen too"
    helm.unlink()
    assert await asks(str(helm)) == 1


async def test_a_commit_that_touches_nothing_of_it_needs_no_render_and_one_that_does_needs_one(
    commit: Commit, tmp_path: Path
) -> None:
    files = {"shop/a.json": manifest("a", x="1"), "other/b.json": manifest("b")}
    first = commit(files)
    second = commit(files | {"other/b.json": manifest("b", y="2")})
    third = commit(files | {"shop/a.json": manifest("a", x="2")})
    added = commit(files | {"shop/new.json": manifest("new")})
    moved = commit({"shop/a2.json": manifest("a", x="1")})
    (made,) = await Start(tmp_path / "renders").renders(ask(tmp_path, first))
    untouched = Start(tmp_path / "renders")
    (found,) = await untouched.renders(ask(tmp_path, second))
    assert untouched.cache.hits == 1
    assert found == msgspec.structs.replace(made, commit=second)
    for each in (third, added, moved):
        start = Start(tmp_path / "renders")
        (found,) = await start.renders(ask(tmp_path, each))
        assert (start.cache.hits, found.commit) == (0, each)
        await Start(tmp_path / "renders").renders(ask(tmp_path, first))


async def test_a_name_that_was_looked_for_in_vain_counts(commit: Commit, tmp_path: Path) -> None:
    code = "local it = import 'lib.libsonnet'; {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: it}}"
    files = {"shop/main.jsonnet": code, "lib/lib.libsonnet": "'far'"}
    settings = msgspec.convert({"jsonnet": {"libs": ["/lib"]}}, Render)
    first = commit(files)
    nearer = commit(files | {"shop/lib.libsonnet": "'near'"})
    await Start(tmp_path / "renders").renders(ask(tmp_path, first, settings=settings))
    start = Start(tmp_path / "renders")
    (found,) = await start.renders(ask(tmp_path, nearer, settings=settings))
    assert start.cache.hits == 0
    assert found.objects[0].ref.name == "near"


OTHERWISE = {
    "path": "other",
    "application": "team/other",
    "label": "team.other",
    "namespace": "elsewhere",
    "repository": "another",
    "include": ("a.json",),
    "exclude": ("b.json",),
    "settings": msgspec.convert({"plain": {}}, Render),
    "values": ClusterValues({"ConfigMap/x": {"A": b"1"}}),
}


@pytest.mark.parametrize("what", OTHERWISE)
async def test_every_input_counts(commit: Commit, tmp_path: Path, what: str) -> None:
    made = commit({"shop/a.json": manifest("a"), "other/b.json": manifest("b")})
    await Start(tmp_path / "renders").renders(ask(tmp_path, made))
    start = Start(tmp_path / "renders")
    await start.renders(ask(tmp_path, made, **{what: OTHERWISE[what]}))
    assert start.cache.hits == 0


async def test_another_key_or_another_program_makes_every_render_anew(
    commit: Commit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(tmp_path, commit({"shop/a.json": manifest("a")}))
    await Start(tmp_path / "renders").renders(asked)
    start = Start(tmp_path / "renders", key=b"o" * 32)
    await start.renders(asked)
    assert (start.cache.hits, start.cache.refused) == (0, 1)
    monkeypatch.setattr("windlass.adapters.render.cache.version", lambda: b"another")
    start = Start(tmp_path / "renders", key=b"o" * 32)
    await start.renders(asked)
    assert start.cache.hits == 0


async def test_the_answers_about_custom_kinds_that_were_used_count_and_no_others(
    commit: Commit, tmp_path: Path
) -> None:
    widget = '{"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "a"}}'
    made = commit({"shop/a.json": widget})
    (first,) = await Start(tmp_path / "renders").renders(ask(tmp_path, made))
    assert first.scopes == {"x.io/Widget": True}
    start = Start(tmp_path / "renders")
    (again, wide) = await start.renders(
        ask(tmp_path, made, namespaced={"y.io/Gadget": False}), ask(tmp_path, made, namespaced={"x.io/Widget": False})
    )
    assert (start.cache.hits, start.cache.made) == (1, 1)
    assert (again.objects[0].ref.namespace, wide.objects[0].ref.namespace) == ("shop", "")


async def test_what_the_cluster_is_like_counts_where_a_chart_asks(commit: Commit, tmp_path: Path) -> None:
    made = commit({"shop/a.json": manifest("a")})
    new = ClusterFacts("v1.37.0", ("v1",))

    class Asking(Direct):
        @override
        async def render(self, request: RenderRequest) -> Rendered:
            return msgspec.structs.replace(await super().render(request), asked=True)

    await Start(tmp_path / "renders").renders(ask(tmp_path, made))
    start = Start(tmp_path / "renders")
    await start.renders(ask(tmp_path, made, facts=new))
    assert start.cache.hits == 1, "it did not ask"
    first, second = Start(tmp_path / "asking"), Start(tmp_path / "asking")
    first.cache._inner = second.cache._inner = Asking()
    await first.renders(ask(tmp_path, made, facts=new))
    await second.renders(ask(tmp_path, made, facts=new), ask(tmp_path, made))
    assert (second.cache.hits, second.cache.made) == (1, 1)


async def test_a_further_repository_counts_as_far_as_it_was_read(commit: Commit, tmp_path: Path) -> None:
    code = "{apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: import 'name.libsonnet'}}"
    made = commit({"shop/main.jsonnet": code})
    settings = msgspec.convert({"jsonnet": {"libs": ["$lib"]}}, Render)
    libs = [
        commit({"name.libsonnet": "'a'"}, "lib"),
        commit({"name.libsonnet": "'a'", "more": ""}, "lib"),
        commit({"name.libsonnet": "'b'"}, "lib"),
    ]
    asked = [
        ask(tmp_path, made, settings=settings, others={"lib": OtherSource("libs", str(tmp_path / "lib"), lib)})
        for lib in libs
    ]
    await Start(tmp_path / "renders").renders(asked[0])
    start = Start(tmp_path / "renders")
    (same, other) = await start.renders(asked[1], asked[2])
    assert (start.cache.hits, start.cache.made) == (1, 1)
    assert (same.others["lib"].commit, other.objects[0].ref.name) == (libs[1], "b")


async def test_what_holds_a_secret_or_came_from_one_is_never_written(commit: Commit, tmp_path: Path) -> None:
    secret = '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"p": "hunter2"}}'
    made = commit({"shop/a.json": secret, "filled/a.json": manifest("a", x="${TOKEN}"), "wrong/a.json": "{}"})
    values = ClusterValues({"Secret/s": {"TOKEN": b"hunter2"}})
    filled = Render(substitute=Substitute(from_=[ValueRef(secret="s")]))
    start = Start(tmp_path / "renders")
    await start.renders(
        ask(tmp_path, made),
        ask(tmp_path, made, "filled", settings=filled, values=values),
        ask(tmp_path, made, "wrong"),
    )
    assert (start.cache.made, files_of(tmp_path / "renders")) == (3, [])


async def test_values_are_in_no_name_and_no_entry(commit: Commit, tmp_path: Path) -> None:
    made = commit({"shop/a.json": manifest("a")})
    values = ClusterValues({"ConfigMap/c": {"TOKEN": b"swordfish"}})
    settings = Render(substitute=Substitute(from_=[ValueRef(config_map="c")]))
    await Start(tmp_path / "renders").renders(ask(tmp_path, made, settings=settings, values=values))
    (entry,) = files_of(tmp_path / "renders")
    assert b"swordfish" not in entry.read_bytes()
    assert entry.stat().st_mode & 0o777 == 0o600


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.data())
def test_an_entry_that_was_changed_cut_or_swapped_is_thrown_away(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("renders")
    entries = Entries(folder, KEY, 1 << 20)
    names = ["aa" * 20, "bb" * 20]
    for name in names:
        entries.write(name, Entry(Rendered(name, [], read={"a": name})))
    path = folder / "aa" / names[0]
    whole = path.read_bytes()
    how = data.draw(st.sampled_from(["cut", "changed", "swapped", "grown"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    if how == "cut":
        path.write_bytes(whole[:at])
    elif how == "changed":
        path.write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
    elif how == "grown":
        path.write_bytes(whole + data.draw(st.binary(min_size=1, max_size=9)))
    else:
        path.write_bytes((folder / "bb" / names[1]).read_bytes())
    assert entries.read(names[0]) is None
    assert (entries.refused, path.exists()) == (1, False)
    found = entries.read(names[1])
    assert found is not None
    assert found.rendered == Rendered(names[1], [], read={"a": names[1]})


def test_the_folder_stays_within_its_size_and_what_was_used_last_stays(tmp_path: Path) -> None:
    entries = Entries(tmp_path, KEY, 20_000)
    body = {"a" * 900: "b"}
    for number in range(15):
        entries.write(f"{number:040x}", Entry(Rendered("", [], read=body)))
        os.utime(tmp_path / "00" / f"{number:040x}", (number, number))
    assert entries.read(f"{0:040x}") is not None
    for number in range(15, 24):
        entries.write(f"{number:040x}", Entry(Rendered("", [], read=body)))
    assert sum(path.stat().st_size for path in files_of(tmp_path)) <= 20_000
    assert entries.read(f"{0:040x}") is not None
    assert entries.read(f"{1:040x}") is None


async def test_a_folder_that_can_not_be_written_costs_renders_and_is_told_once(commit: Commit, tmp_path: Path) -> None:
    made = commit({"shop/a.json": manifest("a"), "other/b.json": manifest("b")})
    (tmp_path / "renders").write_text("a file is in the way")
    start = Start(tmp_path / "renders")
    found = await start.renders(ask(tmp_path, made), ask(tmp_path, made, "other"), ask(tmp_path, made))
    assert [len(one.objects) for one in found] == [1, 1, 1]
    assert (start.cache.made, len(start.told)) == (3, 1)
    assert str(tmp_path / "renders") in start.told[0].what
    (tmp_path / "renders").unlink()
    start = Start(tmp_path / "renders")
    await start.renders(ask(tmp_path, made))
    assert (start.told, len(files_of(tmp_path / "renders"))) == ([], 1)


async def test_renders_go_on_while_a_controller_ends(commit: Commit, tmp_path: Path) -> None:
    asked = ask(tmp_path, commit({"shop/a.json": manifest("a")}))
    start = Start(tmp_path / "renders")
    (made,) = await start.renders(asked)
    assert await start.cache.render(asked) == made
