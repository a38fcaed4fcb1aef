"""Which commit changed a file last: one walk for all who ask, the same answers whoever asked before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pygit2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windlass.adapters.git.store import Store
from windlass.adapters.render.history import History

# Each commit sets some of the files a to e to a number, or takes them away.
COMMITS = st.lists(
    st.dictionaries(st.sampled_from("abcde"), st.integers(0, 2) | st.none(), max_size=3), min_size=1, max_size=8
)


def make(folder: Path, changes: Sequence[dict[str, int | None]]) -> tuple[list[str], list[dict[str, str]]]:
    """The commits, and after each one by which commit every file is what it is."""
    repository = pygit2.init_repository(str(folder), bare=True)
    author = pygit2.Signature("ada", "ada@acme.example", 1_700_000_000, 0)
    files: dict[str, int] = {}
    commits: list[str] = []
    expected: list[dict[str, str]] = []
    for number, change in enumerate(changes):
        index = pygit2.Index()
        before = dict(files)
        files = {name: value for name, value in {**files, **change}.items() if value is not None}
        for name, value in files.items():
            blob = repository.create_blob(str(value).encode())
            index.add(pygit2.IndexEntry(name, blob, pygit2.enums.FileMode.BLOB))
        tree = index.write_tree(repository)
        made = str(
            repository.create_commit(
                None, author, author, str(number), tree, [pygit2.Oid(hex=commits[-1])] if commits else []
            )
        )
        known = expected[-1] if expected else {}
        expected.append({name: known[name] if before.get(name) == value else made for name, value in files.items()})
        commits.append(made)
    return commits, expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(COMMITS, st.data())
def test_the_answers_are_those_of_the_history_however_they_are_asked_for(
    tmp_path_factory, changes: list[dict[str, int | None]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("repository")
    commits, expected = make(folder, changes)
    store = Store(str(folder))
    history: History | None = None
    for _ in range(4):
        at = data.draw(st.integers(0, len(commits) - 1))
        names = data.draw(st.lists(st.sampled_from(sorted(expected[at])), unique=True)) if expected[at] else []
        # Carried on from whatever was asked before: an older tip, a newer one, the same.
        history = History(store, commits[at], history)
        assert history.last_changed(names) == {name: expected[at][name] for name in names}


def test_what_is_further_back_than_is_looked_is_told_as_the_oldest_seen(tmp_path: Path) -> None:
    commits, _ = make(tmp_path, [{"a": 1}, {"b": 1}, {"b": 2}])
    history = History(Store(str(tmp_path)), commits[2])
    history._left = 2
    assert history.last_changed(["a", "b"]) == {"a": commits[1], "b": commits[2]}
