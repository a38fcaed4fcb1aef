"""What differs between two trees is what libgit2 says, and costs what differs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pygit2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygit2.enums import FileMode

from windlass.adapters.git import Store, init_repository
from windlass.adapters.git.compare import changed_paths, differences, read_folder
from windlass.adapters.git.errors import GitRefused

MODES = [FileMode.BLOB, FileMode.BLOB_EXECUTABLE, FileMode.LINK, FileMode.COMMIT]
# Names where Git's order of folders and files differs, that share beginnings and ends, and that are not ASCII.
NAMES = st.sampled_from(["a", "a.b", "a0", "ab", "b", "é", "a-", "zz"])
FILES = st.tuples(st.binary(max_size=2), st.sampled_from(MODES))
TREES = st.recursive(
    st.dictionaries(NAMES, FILES, max_size=6),
    lambda inner: st.dictionaries(NAMES, FILES | inner, max_size=6),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> pygit2.Repository:
    return pygit2.init_repository(str(tmp_path_factory.mktemp("trees")), bare=True)


def write(repository: pygit2.Repository, names: Mapping[str, object]) -> pygit2.Oid:
    builder = repository.TreeBuilder()
    for name, what in names.items():
        if isinstance(what, dict):
            if what:
                builder.insert(name, write(repository, what), FileMode.TREE)
        elif isinstance(what, tuple):
            builder.insert(name, repository.create_blob(what[0]), what[1])
    return builder.write()


@settings(max_examples=400, deadline=None)
@given(old=TREES, new=TREES)
def test_it_is_what_libgit2_says(repository: pygit2.Repository, old: dict[str, object], new: dict[str, object]) -> None:
    one, two = write(repository, old), write(repository, new)
    diff = repository[two].diff_to_tree(repository[one])  # type: ignore[attr-defined]
    told = {file.path for delta in diff.deltas for file in (delta.old_file, delta.new_file)}
    assert changed_paths(repository, one.raw, two.raw) == told
    whole = {delta.old_file.path for delta in repository[two].diff_to_tree().deltas}  # type: ignore[attr-defined]
    assert changed_paths(repository, None, two.raw) == whole


@settings(max_examples=300, deadline=None)
@given(
    before=st.dictionaries(st.binary(min_size=1, max_size=2), st.integers(0, 2), max_size=30),
    after=st.dictionaries(st.binary(min_size=1, max_size=2), st.integers(0, 2), max_size=30),
)
def test_the_names_that_differ_are_those_and_no_others(before: dict[bytes, int], after: dict[bytes, int]) -> None:
    """Also where ids look like the ends of names: they are all NULs, spaces and the like."""
    ids = {0: b"\0" * 20, 1: b" " * 20, 2: b"\0 " * 10}

    def tree(names: dict[bytes, int]) -> bytes:
        return b"".join(b"100644 " + name + b"\0" + ids[which] for name, which in sorted(names.items()))

    for names in (before, after):
        for name in [name for name in names if b"\0" in name or b" " in name]:
            del names[name]
    gone, come = differences(tree(before), tree(after))
    wanted = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert gone.keys() | come.keys() == wanted
    assert {name: entry.id for name, entry in gone.items()} == {n: ids[before[n]] for n in wanted if n in before}
    assert {name: entry.id for name, entry in come.items()} == {n: ids[after[n]] for n in wanted if n in after}


def test_of_ten_thousand_names_those_around_the_difference_are_read(repository: pygit2.Repository) -> None:
    names: dict[str, object] = {f"app-{number:05}": (b"x", FileMode.BLOB) for number in range(10_000)}
    old = read_folder(repository, write(repository, names).raw)
    new = read_folder(repository, write(repository, {**names, "app-04242": (b"y", FileMode.BLOB)}).raw)
    more = read_folder(repository, write(repository, {**names, "app-04242x": (b"y", FileMode.BLOB)}).raw)
    gone, come = differences(old, new)
    assert (list(gone), list(come)) == ([b"app-04242"], [b"app-04242"])
    assert [list(side) for side in differences(old, more)] == [[], [b"app-04242x"]]
    assert [list(side) for side in differences(more, old)] == [[b"app-04242x"], []]


def test_a_folder_that_is_missing_is_told_by_name(tmp_path: Path) -> None:
    store = Store(init_repository(str(tmp_path / "a.git")).folder)
    builder = store.repository.TreeBuilder()
    builder.insert("apps", store.repository.TreeBuilder().write(), FileMode.TREE)
    author = pygit2.Signature("Ada", "ada@acme.example", 1_700_000_000, 0)
    commit = str(store.repository.create_commit("refs/heads/main", author, author, "x", builder.write(), []))
    empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    (Path(store.folder) / "objects" / empty[:2] / empty[2:]).unlink()
    with pytest.raises(GitRefused, match="is missing here"):
        Store(store.folder).changed_paths(None, commit)
