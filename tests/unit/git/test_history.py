"""Who changed what when, commits without a work tree, and pushes that never force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from unit.git.conftest import ADA, Origin, serving
from windlass.adapters.git import (
    Author,
    BadPath,
    BranchMoved,
    Credentials,
    GitRefused,
    Mirror,
    Move,
    PushUnknown,
    RefSpec,
    Store,
    Transport,
    commit_files,
    init_repository,
    on_git_thread,
    push,
)


def test_a_commit_is_described(tmp_path: Path) -> None:
    store = init_repository(str(tmp_path / "r.git"))
    when = datetime(2026, 11, 22, 13, 30, tzinfo=timezone(timedelta(hours=2)))
    commit = commit_files(
        store,
        None,
        {"a": b"1"},
        "Raise cache size\n\nWhy: \u00e9\n",
        Author("Ada", "ada@acme.example", when),
        committer=ADA,
    )
    found = store.describe(commit)
    assert (found.id, found.subject, found.author, found.email) == (
        commit,
        "Raise cache size",
        "Ada",
        "ada@acme.example",
    )
    assert found.committer == "Ada"
    assert found.time == ADA.when
    assert found.parents == ()
    assert found.message.endswith("\u00e9\n")


def test_a_commit_changes_only_what_it_is_told(origin: Origin) -> None:
    before = origin.tip
    after = origin.commit({"apps/web.yaml": None, "apps/new/x.yaml": b"n"})
    assert origin.store.changed_paths(before, after) == ["apps/new/x.yaml", "apps/web.yaml"]
    assert origin.store.changed_paths(None, after) == ["README", "apps/new/x.yaml"]
    assert [commit.id for commit in origin.store.log(before, after)] == [after]
    assert len(origin.store.log(None, after)) == 2
    assert origin.commit({"README": b"x\n"}) == after, "the same content is no commit"


@pytest.mark.parametrize("path", ["../x", ".git/hooks/pre-push", "/x", "a\\b", "", "README/x", "a\0"])
def test_a_commit_writes_nowhere_else(origin: Origin, path: str) -> None:
    with pytest.raises(BadPath):
        origin.commit({path: b"x"})
    with pytest.raises(BadPath):
        origin.commit({"not-there": None})


def test_a_branch_that_moved_meanwhile_is_left_alone(origin: Origin) -> None:
    old = origin.tip
    tip = origin.commit({"a": b"1"})
    with pytest.raises(BranchMoved):
        commit_files(origin.store, old, {"a": b"2"}, "late", ADA, branch="main")
    with pytest.raises(BranchMoved):
        commit_files(origin.store, None, {"a": b"2"}, "late", ADA, branch="main")
    assert origin.tip == tip
    for name in ("", "a\nb", "a <b>"):
        with pytest.raises(GitRefused):
            commit_files(origin.store, tip, {"a": b"3"}, "x", Author(name, "a@b", ADA.when))


def test_forward_and_rewritten_are_told_apart(origin: Origin) -> None:
    one = origin.tip
    assert one
    two = origin.commit({"a": b"1"})
    side = commit_files(origin.store, one, {"b": b"1"}, "side", ADA)
    store = origin.store
    assert (store.moved(one, one), store.moved(one, two)) == (Move.SAME, Move.FORWARD)
    assert {store.moved(two, one), store.moved(two, side), store.moved("1" * 40, two)} == {Move.REWRITTEN}


def test_the_commit_that_made_a_file_what_it_is(origin: Origin) -> None:
    first = origin.tip
    second = origin.commit({"a": b"1", "b": b"1"})
    third = origin.commit({"a": b"2"})
    store = origin.store
    paths = ["a", "b", "README", "apps/web.yaml", "gone", "apps"]
    assert store.last_changed(third, paths) == {"a": third, "b": second, "README": first, "apps/web.yaml": first}
    back = origin.commit({"a": b"1"})
    again = origin.commit({"a": b"2"})
    assert store.last_changed(again, ["a", "b"]) == {"a": again, "b": second}, (
        "the same content as before is a new change"
    )
    assert store.last_changed(back, ["a"]) == {"a": back}
    assert Store(origin.folder).last_changed(again, paths) == store.last_changed(again, paths)
    origin.commit({"b": None})
    returned = origin.commit({"b": b"1"})
    assert store.last_changed(returned, ["b", "a"]) == {"b": returned, "a": again}


async def test_a_push_moves_a_branch_and_never_forces(tmp_path: Path, origin: Origin) -> None:
    async with serving(origin, token="s3cret") as url:
        credentials = Credentials(username="any", password="s3cret")
        mirror = Mirror(str(tmp_path / "m"), url, credentials)
        start = (await mirror.fetch(RefSpec(branch="main"))).commit
        store = await on_git_thread(Store, mirror.folder)
        one = await on_git_thread(lambda: commit_files(store, start, {"a": b"1"}, "one", ADA))
        two = await on_git_thread(lambda: commit_files(store, start, {"a": b"2"}, "two", ADA))
        done = await push(store, url, {"refs/heads/main": one, "refs/heads/new": one}, credentials)
        assert done.refs == {"refs/heads/main": "moved", "refs/heads/new": "new"}
        assert (await push(store, url, {"refs/heads/main": one}, credentials)).refs == {"refs/heads/main": "same"}
        assert origin.tip == one
        with pytest.raises(BranchMoved):
            await push(store, url, {"refs/heads/main": two, "refs/heads/other": two}, credentials)
        assert origin.tip == one
        assert origin.store.resolve("refs/heads/other") is None, "all or none"
        with pytest.raises(GitRefused) as caught:
            await push(store, url, {"refs/heads/main": two}, Credentials(bearer_token="wr0ng"))
        assert caught.value.cause == "authentication"
        assert "wr0ng" not in str(caught.value)


async def test_a_push_with_a_lost_answer_says_that_it_may_have_arrived(tmp_path: Path, origin: Origin) -> None:
    commit = origin.tip
    assert commit
    with pytest.raises(PushUnknown, match="not known"):
        await push(origin.store, "http://127.0.0.1:9/x.git", {"refs/heads/main": commit})


async def test_a_push_that_a_hook_declines_needs_a_person(tmp_path: Path, origin: Origin) -> None:
    hook = Path(origin.folder) / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho secret-reason >&2\nexit 1\n")
    hook.chmod(0o755)
    commit = commit_files(origin.store, origin.tip, {"a": b"1"}, "x", ADA)
    with pytest.raises(GitRefused, match="does not take the push") as caught:
        await push(origin.store, origin.folder, {"refs/heads/main": commit}, transport=Transport(allow_local=True))
    assert "secret-reason" not in str(caught.value)
    assert origin.tip != commit


def test_times_are_aware(origin: Origin) -> None:
    assert origin.tip
    assert origin.store.describe(origin.tip).time == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
