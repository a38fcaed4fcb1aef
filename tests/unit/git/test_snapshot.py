"""The files of a commit and of a folder: one interface, no way out, and a trace that holds exactly when it should."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pygit2
import pytest

from unit.git.conftest import ADA, Origin
from windlass.adapters.git import (
    BadPath,
    CommitSnapshot,
    GitRefused,
    Snapshot,
    Store,
    Trace,
    TracedSnapshot,
    commit_files,
    folder_snapshot,
    init_repository,
    open_snapshot,
)

FILES = {"apps/web/web.yaml": b"kind: A\n", "apps/web/other.yaml": b"", "apps/db.yaml": b"kind: B\n", "README": b"x"}


def links(store: Store, parent: str, targets: dict[str, str], *, mode: int = 0o120000) -> str:
    """A commit with links (or, by its mode, submodules) on top of another."""
    index = pygit2.Index()
    index.read_tree(store.commit(parent).tree)
    for path, target in targets.items():
        oid = pygit2.Oid(hex=target) if mode == 0o160000 else store.repository.create_blob(target.encode())
        index.add(pygit2.IndexEntry(path, oid, pygit2.enums.FileMode(mode)))
    signature = ADA.signature()
    return str(
        store.repository.create_commit(
            None, signature, signature, "links", index.write_tree(store.repository), [parent]
        )
    )


def committed(tmp_path: Path, targets: dict[str, str] | None = None) -> Snapshot:
    store = init_repository(str(tmp_path / "r.git"))
    commit = commit_files(store, None, FILES, "x", ADA)
    return open_snapshot(store.folder, links(store, commit, targets or {}))


def on_disk(tmp_path: Path, targets: dict[str, str] | None = None) -> Snapshot:
    root = tmp_path / "work"
    for path, data in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    (root / ".git").mkdir()
    (root / ".git/config").write_text("secret")
    os.mkfifo(root / "apps/pipe")
    for path, target in (targets or {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)
    return folder_snapshot(str(root))


BOTH = pytest.mark.parametrize("make", [committed, on_disk], ids=["commit", "folder"])


@BOTH
def test_a_snapshot_is_a_mapping_of_files(tmp_path: Path, make: type[Snapshot]) -> None:
    snapshot = make(tmp_path)
    assert dict(snapshot) == FILES
    assert len(snapshot) == 4
    assert snapshot["apps//./db.yaml"] == b"kind: B\n"
    assert snapshot.tree() == ("README", "apps/")
    assert snapshot.tree("apps/") == ("db.yaml", "web/")
    assert snapshot.tree("nothing") == snapshot.tree("README") == ()
    assert snapshot.entries("nothing") is None
    entries = snapshot.entries("apps/web")
    assert entries is not None
    assert [(entry.name, entry.kind) for entry in entries] == [("other.yaml", "file"), ("web.yaml", "file")]
    blob = subprocess.run(["git", "hash-object", "--stdin"], input=b"kind: A\n", capture_output=True, check=True).stdout
    assert snapshot.blob_id("apps/web/web.yaml") == blob.decode().strip() == entries[1].id
    assert snapshot.blob_id("apps") == snapshot.blob_id("apps/x") == ""
    assert "README" in snapshot
    for missing in ("x", "apps", "README/x", ""):
        assert missing not in snapshot
        with pytest.raises(KeyError):
            snapshot[missing]


@BOTH
@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "apps/../README",
        "/etc/passwd",
        "apps\\db.yaml",
        "a\0b",
        ".git/config",
        "apps/.GIT/x",
        "git~1/x",
        ".git /x",
    ],
)
def test_paths_with_a_way_out_are_refused(tmp_path: Path, make: type[Snapshot], path: str) -> None:
    snapshot = make(tmp_path)
    for ask in (snapshot.read, snapshot.entries, snapshot.blob_id):
        with pytest.raises(BadPath):
            ask(path)
    assert path not in snapshot


@BOTH
@pytest.mark.parametrize(
    "path",
    ["apps/DB.yaml", "apps/db%2eyaml", "apps/%2e%2e/README", "apps/ｄb.yaml", "apps/db.yaml ", "apps/d\u200bb.yaml"],
)
def test_a_variant_of_a_name_is_another_name(tmp_path: Path, make: type[Snapshot], path: str) -> None:
    with pytest.raises(KeyError):
        make(tmp_path)[path]


@BOTH
def test_links_are_followed_inside(tmp_path: Path, make: type[Snapshot]) -> None:
    snapshot = make(
        tmp_path,
        {"apps/link.yaml": "../README", "now": "apps/web", "again": "now/../db.yaml", "root": ".", "chain": "again"},
    )
    assert snapshot["apps/link.yaml"] == b"x"
    assert snapshot["now/web.yaml"] == b"kind: A\n"
    assert snapshot["chain"] == snapshot["root/root/apps/db.yaml"]
    assert snapshot.tree("now") == ("other.yaml", "web.yaml")
    assert "apps/link.yaml" not in list(snapshot)


@BOTH
@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../etc/passwd", "..", "apps/../../x", "loop", "other", ".git/config", "a\\b"]
)
def test_links_that_lead_out_or_round_are_refused(tmp_path: Path, make: type[Snapshot], target: str) -> None:
    snapshot = make(tmp_path, {"loop": target, "other": "loop"})
    with pytest.raises(BadPath) as caught:
        snapshot.read("loop")
    assert caught.value.where.file == "loop" or target == "other"
    assert "loop" not in snapshot


def test_a_link_made_between_look_and_use_leads_nowhere(tmp_path: Path) -> None:
    snapshot = on_disk(tmp_path)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/web.yaml").write_text("secret")
    entries = snapshot.entries("apps/web")
    assert entries is not None
    os.rename(tmp_path / "work/apps/web", tmp_path / "work/apps/was")
    (tmp_path / "work/apps/web").symlink_to(tmp_path / "outside")
    with pytest.raises(KeyError):
        snapshot._read("apps/web", entries[1])
    with pytest.raises(BadPath):
        snapshot.read("apps/web/web.yaml")


def test_a_submodule_is_refused_by_name(tmp_path: Path) -> None:
    store = init_repository(str(tmp_path / "r.git"))
    commit = commit_files(store, None, FILES, "x", ADA)
    snapshot = open_snapshot(store.folder, links(store, commit, {"apps/module": commit}, mode=0o160000))
    assert ("module", "module") in [(entry.name, entry.kind) for entry in snapshot.entries("apps") or ()]
    for ask in (snapshot.read, snapshot.entries):
        with pytest.raises(BadPath, match="submodule") as caught:
            ask("apps/module")
        assert caught.value.where.file == "apps/module"


@BOTH
def test_an_lfs_pointer_is_refused_by_name(
    tmp_path: Path, make: type[Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    monkeypatch.setitem(FILES, "apps/big.yaml", pointer)
    with pytest.raises(BadPath, match="LFS") as caught:
        make(tmp_path)["apps/big.yaml"]
    assert caught.value.where.file == "apps/big.yaml"


def test_a_tree_made_to_hurt_is_refused(tmp_path: Path) -> None:
    """Names that no ordinary git makes, in a repository that came here without fsck."""
    store = init_repository(str(tmp_path / "r.git"))
    blob = store.repository.create_blob(b"x")
    for name in (b"..", b".git", b"a\\b", b"a\xff"):
        tree = store.repository.odb.write(pygit2.enums.ObjectType.TREE, b"100644 " + name + b"\0" + blob.raw)
        commit = store.repository.create_commit(None, ADA.signature(), ADA.signature(), "x", tree, [])
        with pytest.raises(BadPath):
            open_snapshot(store.folder, str(commit)).entries()


def test_a_commit_that_is_not_there_is_refused(tmp_path: Path) -> None:
    store = init_repository(str(tmp_path / "r.git"))
    for commit in ("1" * 40, "main", "", "x"):
        with pytest.raises(GitRefused):
            CommitSnapshot(store, commit)
    with pytest.raises(GitRefused):
        open_snapshot(str(tmp_path / "none"), "1" * 40)
    with pytest.raises(BadPath):
        folder_snapshot(str(tmp_path / "none"))


def test_a_trace_holds_until_something_that_was_read_changes(origin: Origin) -> None:
    start = origin.tip
    assert start

    def at(commit: str) -> Snapshot:
        return open_snapshot(origin.folder, commit)

    traced = TracedSnapshot(at(start))
    assert traced["apps/web.yaml"] == b"kind: A\n"
    assert traced.entries("apps")
    assert "apps/absent.yaml" not in traced
    trace = Trace(traced.trace.read)
    assert trace.holds(at(start))
    elsewhere = origin.commit({"README": b"changed\n", "other/new": b"1", "apps/deep/new.yaml": b"1"})
    assert not trace.holds(at(elsewhere)), "a folder is new in a listed folder"
    origin.force(start)
    assert trace.holds(at(origin.commit({"README": b"changed\n", "other/new": b"1"})))
    for edit in ({"apps/web.yaml": b"kind: B\n"}, {"apps/web.yaml": None}, {"apps/absent.yaml": b""}, {"apps/x": b""}):
        origin.force(start)
        assert not trace.holds(at(origin.commit(dict(edit))))


def test_a_trace_sees_a_link_turn_elsewhere(tmp_path: Path) -> None:
    store = init_repository(str(tmp_path / "r.git"))
    base = commit_files(store, None, {"a": b"same", "b": b"same"}, "x", ADA)
    one, two = (links(store, base, {"link": target}) for target in ("a", "b"))
    traced = TracedSnapshot(open_snapshot(store.folder, one))
    assert traced["link"] == b"same"
    assert traced.trace.holds(open_snapshot(store.folder, one))
    assert not traced.trace.holds(open_snapshot(store.folder, two))
    changed = commit_files(store, one, {"a": b"other"}, "x", ADA)
    assert not traced.trace.holds(open_snapshot(store.folder, changed))


def test_a_trace_sees_a_link_become_a_file_of_the_same_bytes_and_back(tmp_path: Path) -> None:
    """As a clone on Windows commits it: the text that was the link's target, under the same blob id."""
    store = init_repository(str(tmp_path / "r.git"))
    base = commit_files(store, None, {"a": b"same"}, "x", ADA)
    link, file = links(store, base, {"link": "a"}), commit_files(store, base, {"link": b"a"}, "x", ADA)
    for one, other, read in ((link, file, b"same"), (file, link, b"a")):
        traced = TracedSnapshot(open_snapshot(store.folder, one))
        assert traced["link"] == read
        assert traced.trace.holds(open_snapshot(store.folder, one))
        assert not traced.trace.holds(open_snapshot(store.folder, other))


def test_a_file_is_found_without_listing_the_folders_it_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of ten thousand neighbours costs a file as little as an empty one."""
    snapshot = committed(tmp_path, {"apps/link.yaml": "web/web.yaml"})
    listed: list[str] = []
    monkeypatch.setattr(CommitSnapshot, "_names", lambda _, folder: listed.append(folder))
    assert snapshot.read("apps/web/web.yaml") == snapshot.read("apps/link.yaml") == b"kind: A\n"
    assert "apps/web/nothing.yaml" not in snapshot
    assert "apps/nothing/web.yaml" not in snapshot
    assert "apps/db.yaml/web.yaml" not in snapshot
    assert listed == []
