"""What `windlass up` makes of the repository or folder that a person names."""

from __future__ import annotations

import asyncio
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest

from windlass.adapters.git import Author, Store, commit_files, folder_snapshot, init_repository, open_snapshot
from windlass.demo.stack import devstack
from windlass.demo.story import STOPPED, Teller, _until_stopped
from windlass.demo.up import Wish, checked, copy_folder, copy_head, is_url, name_of, repository_at
from windlass.devstack.gitserver import GitServer
from windlass.errors import NeedsHuman

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"


def wish(repo: Path | str, path: str = ".") -> Wish:
    return Wish(str(repo), path, "main", "", None, 0)


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=ada", "-c", "user.email=ada@acme.example", "-c", "init.defaultBranch=trunk"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work tree with one commit on a branch that is not called main, and a file that is not committed."""
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.yaml").write_text(MAP)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "One")
    (folder / "later.yaml").write_text(MAP)
    return folder


async def served(source: Path, root: Path) -> list[str]:
    """The paths on main of the Git server after the source's HEAD was pushed there."""
    server = GitServer(str(root))
    await server.create("config")
    async with server.serve() as url:
        own = repository_at(source)
        assert own is not None
        commit, _ = await copy_head(own, str(root / "config.git"), f"{url}/config.git")
    assert Store(str(root / "config.git")).resolve("refs/heads/main") == commit
    return list(open_snapshot(str(root / "config.git"), commit))


async def test_the_head_of_a_work_tree_is_served(work: Path, tmp_path: Path) -> None:
    assert await served(work, tmp_path / "served") == ["a.yaml"]


async def test_what_was_written_there_since_stays_served_and_what_went_another_way_says_what_to_do(
    work: Path, tmp_path: Path
) -> None:
    """`up --data D`, a rollback, Ctrl-C, and `up --data D` again."""
    bare, root = tmp_path / "served" / "config.git", tmp_path / "served"
    server, own = GitServer(str(root)), repository_at(work)
    assert own is not None
    await server.create("config")
    async with server.serve() as url:
        first = await copy_head(own, str(bare), f"{url}/config.git")
        git(tmp_path, "clone", "-q", str(bare), "person")
        git(tmp_path / "person", "commit", "-q", "--allow-empty", "-m", "A pin")
        git(tmp_path / "person", "push", "-q", "origin", "HEAD:main")
        assert await copy_head(own, str(bare), f"{url}/config.git") == (first[0], 1)
        assert git(bare, "log", "-1", "--format=%s", "main") == "A pin"
        git(work, "commit", "-q", "--allow-empty", "-m", "Another way")
        with pytest.raises(NeedsHuman, match="different ways") as told:
            await copy_head(own, str(bare), f"{url}/config.git")
        git(work, "pull", "-q", "--rebase", str(bare), "main")
        assert f"git pull --rebase {bare} main" in told.value.hint
        head = git(work, "rev-parse", "HEAD")
        assert await copy_head(own, str(bare), f"{url}/config.git") == (head, 0)


async def test_the_head_of_a_bare_repository_is_served(work: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(work), "bare.git")
    assert await served(tmp_path / "bare.git", tmp_path / "served") == ["a.yaml"]


async def test_the_head_of_a_linked_work_tree_is_served(work: Path, tmp_path: Path) -> None:
    git(work, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    assert await served(tmp_path / "linked", tmp_path / "served") == ["a.yaml"]


def test_a_shallow_clone_is_refused_with_what_to_do(work: Path, tmp_path: Path) -> None:
    (work / "a.yaml").write_text(MAP + "data: {}\n")
    git(work, "commit", "-q", "-a", "-m", "Two")
    git(tmp_path, "clone", "-q", "--depth", "1", work.as_uri(), "shallow")
    with pytest.raises(NeedsHuman, match="shallow clone"):
        checked(wish(tmp_path / "shallow"))


def test_a_bare_repository_without_a_commit_is_no_folder_of_manifests(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    with pytest.raises(NeedsHuman, match="has no commit"):
        checked(wish(tmp_path / "bare.git"))


@pytest.mark.parametrize(("name", "words"), [("missing", "no folder"), ("empty", "no files"), ("file", "no folder")])
def test_what_can_not_be_served_is_refused_before_anything_starts(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(NeedsHuman, match=words):
        checked(wish(tmp_path / name))


@pytest.mark.parametrize("path", ["/etc", "../beside", "a/../../b"])
def test_a_path_out_of_the_repository_is_refused_before_anything_starts(work: Path, path: str) -> None:
    with pytest.raises(NeedsHuman, match="leaves the repository"):
        checked(wish(work, path))


def test_a_file_url_is_the_folder_that_it_names(work: Path) -> None:
    assert checked(wish(work.as_uri())).repo == str(work)
    assert not is_url(work.as_uri())
    assert is_url("https://git.example/a.git")
    assert is_url("git@git.example:a.git")


def test_what_left_a_plain_folder_leaves_what_is_served(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    folder, bare = tmp_path / "folder", str(tmp_path / "bare.git")
    folder.mkdir()
    for name in ("a.yaml", "b.yaml"):
        (folder / name).write_text(MAP)
    first = copy_folder(str(folder), bare)
    assert copy_folder(str(folder), bare) == first, "nothing changed, so nothing is committed"
    (folder / "b.yaml").unlink()
    second = copy_folder(str(folder), bare)
    assert list(open_snapshot(bare, second)) == list(folder_snapshot(str(folder))) == ["a.yaml"]


def test_the_application_is_named_after_the_path_or_the_repository() -> None:
    assert name_of(wish("/srv/My Shop.git")) == "my-shop"
    assert name_of(wish("/srv/shop", "deploy/prod")) == "prod"
    assert name_of(wish("")) == "app"


async def test_a_devstack_that_can_not_start_says_why_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(NeedsHuman, match="port must be"):
        async with devstack(["--port", "99999"], tmp_path / "addresses.json"):
            raise AssertionError("it started")


async def test_what_is_beside_a_cluster_binds_its_own_ports_and_tells_them(tmp_path: Path) -> None:
    def options(name: str) -> list[str]:
        roots = ["--git-root", str(tmp_path / name / "git"), "--registry-root", str(tmp_path / name / "registry")]
        return ["--no-cluster", "--end-with-stdin", *roots]

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with (
        devstack(options("a"), tmp_path / "a" / "addresses.json") as one,
        devstack(options("b"), tmp_path / "b" / "addresses.json") as two,
    ):
        assert set(one) == set(two) == {"git", "registry"}
        assert len({*one.values(), *two.values()}) == 4
        async with aiohttp.ClientSession() as session, session.get(f"{one['registry']}/v2/") as answer:
            assert answer.status == 200


async def test_ctrl_c_ends_the_story_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = asyncio.Event()

    async def endless(teller: Teller) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return 0

    monkeypatch.setattr("windlass.demo.story._told", endless)
    said: list[str] = []
    teller = Teller(stack=None, say=said.append)  # type: ignore[arg-type]
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, stop.set)
    assert await _until_stopped(teller, stop) == STOPPED
    assert cancelled.is_set()
    assert said == ["stopped"]


async def test_a_commit_of_the_story_that_never_arrived_is_not_in_the_way_of_the_next(tmp_path: Path) -> None:
    server = GitServer(str(tmp_path / "git"))
    await server.create("config")
    async with server.serve() as url:
        stack = SimpleNamespace(folder=tmp_path, repository_url=f"{url}/config.git")
        teller = Teller(stack, say=print)  # type: ignore[arg-type]
        first = await teller.push({"a.yaml": MAP}, "First")
        author = Author("ada", "ada@acme.example", datetime.now(UTC))
        work = Store(str(tmp_path / "work.git"))
        lost = commit_files(work, first, {"a.yaml": b"lost"}, "Lost on its way", author, branch="main")
        await teller.pull()
        assert teller.commit == first
        second = await teller.push({"b.yaml": MAP}, "Second")
        assert [one.id for one in work.log(None, second)] == [second, first]
        assert lost not in (first, second)


async def test_a_first_commit_of_the_story_that_never_arrived_is_not_in_the_way_either(tmp_path: Path) -> None:
    server = GitServer(str(tmp_path / "git"))
    await server.create("config")
    async with server.serve() as url:
        stack = SimpleNamespace(folder=tmp_path, repository_url=f"{url}/config.git")
        teller = Teller(stack, say=print)  # type: ignore[arg-type]
        work = init_repository(str(tmp_path / "work.git"))
        author = Author("ada", "ada@acme.example", datetime.now(UTC))
        lost = commit_files(work, None, {"a.yaml": b"lost"}, "Lost on its way", author, branch="main")
        await teller.pull()
        assert teller.commit == ""
        first = await teller.push({"b.yaml": MAP}, "First")
        assert [one.id for one in work.log(None, first)] == [first]
        assert lost != first
