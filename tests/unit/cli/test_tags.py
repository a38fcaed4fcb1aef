"""Tags as releases, lightweight and annotated: what they name now, and where an id could be taken for one."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from windlass.cli import fetching, tags
from windlass.core.kinds.repository import Ref
from windlass.core.model import events
from windlass.core.words.timeline import timeline
from windlass.errors import NeedsHuman

NOW = datetime(2026, 11, 28, 14, 0, tzinfo=UTC)


class Origin:
    """A repository that its owner tags with the real Git."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")
        self.first, self.second = self.commit(), self.commit()
        self.url = f"file://{folder}/.git"

    def git(self, *arguments: str) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1"}
        who = ["-c", "user.name=ada", "-c", "user.email=ada@x.example"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.folder, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, message: str = "Change") -> str:
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    async def named(self, wanted: str) -> str:
        fetched = await fetching.fetch(self.url, Ref(branch="main"))
        return (await tags.commit_named(self.url, fetched, wanted, "config")).id


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Origin:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home/cache"))
    return Origin(tmp_path / "origin")


async def test_both_kinds_of_tags_name_the_commit(origin: Origin) -> None:
    origin.git("tag", "v1", origin.first)
    origin.git("tag", "-a", "-m", "Release 2", "v2", origin.second)
    origin.git("tag", "also/v2", origin.second)
    assert await tags.named(origin.url) == {"v1": origin.first, "v2": origin.second, "also/v2": origin.second}
    assert await tags.tags_by_commit(origin.url) == {origin.first: ["v1"], origin.second: ["also/v2", "v2"]}
    assert [await origin.named(one) for one in ("v1", "v2", "also/v2")] == [origin.first, origin.second, origin.second]
    assert await origin.named(origin.first) == await origin.named(origin.first[:7]) == origin.first


async def test_a_tag_that_was_moved_names_the_new_commit_and_one_that_was_deleted_none(origin: Origin) -> None:
    origin.git("tag", "v1", origin.first)
    assert await origin.named("v1") == origin.first
    origin.git("tag", "-f", "-a", "-m", "moved", "v1", origin.second)
    assert await origin.named("v1") == origin.second
    origin.git("tag", "-d", "v1")
    with pytest.raises(NeedsHuman, match="'v1' is no commit or tag of repository config"):
        await origin.named("v1")


async def test_a_tag_that_looks_like_an_id_is_a_tag(origin: Origin) -> None:
    origin.git("tag", "20261128", origin.first)
    assert await origin.named("20261128") == origin.first


async def test_a_name_that_is_a_tag_and_the_beginning_of_another_id_is_not_guessed(origin: Origin) -> None:
    origin.git("tag", origin.second[:7], origin.first)
    with pytest.raises(NeedsHuman, match="and the beginning of commit") as told:
        await origin.named(origin.second[:7])
    assert origin.first in told.value.hint
    assert origin.second in told.value.hint
    assert await origin.named(origin.second) == origin.second, "a whole id is never a tag"


async def test_a_tag_off_the_followed_branch_is_refused(origin: Origin) -> None:
    origin.git("checkout", "-q", "--orphan", "other")
    other = origin.commit("Another root")
    origin.git("tag", "elsewhere", other)
    with pytest.raises(NeedsHuman, match=f"{other[:7]} does not lead to {origin.second[:7]}, which is followed"):
        await origin.named("elsewhere")


async def test_an_answer_holds_for_a_while_and_stands_where_git_is_away(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.git("tag", "v1", origin.first)
    assert await tags.tags_by_commit(origin.url) == {origin.first: ["v1"]}
    origin.git("tag", "v2", origin.second)
    assert await tags.tags_by_commit(origin.url) == {origin.first: ["v1"]}, "it is not asked at each look"
    monkeypatch.setattr(tags, "FRESH", -1.0)
    assert await tags.tags_by_commit(origin.url) == {origin.first: ["v1"], origin.second: ["v2"]}
    shutil.rmtree(origin.folder)
    assert await tags.tags_by_commit(origin.url) == {origin.first: ["v1"], origin.second: ["v2"]}
    cache = Path(fetching.cache(origin.url)).with_suffix(".tags.json")
    cache.write_bytes(b"not json")
    assert await tags.tags_by_commit(origin.url) == {}, "a cache that is broken is none"


def test_the_log_tells_tags_beside_commits() -> None:
    a, b = "a" * 40, "b" * 40
    told = [
        events.make("prod", "shop/shop", events.Applied(commit=a, result="applied", counts={"created": 1}), NOW),
        events.make("prod", "shop/shop", events.RolledBack(pins=b, was=a), NOW),
        events.make("prod", "Repository/shop/config", events.Fetched(commit=events.Commit(a, "S", "ada")), NOW),
    ]
    lines = timeline(told, NOW, tags={a: ["v1.4.2", "stable"], b: ["v1.4.1\x1b[31m"]}).splitlines()
    assert "aaaaaaa v1.4.2 stable" in lines[0]
    assert "pins bbbbbbb v1.4.1" in lines[1]
    assert "\x1b" not in lines[1]
    assert 'aaaaaaa v1.4.2 stable "S" (ada)' in lines[2]
    assert "v1.4.2" not in timeline(told, NOW)
