"""Who read what of a repository: a commit finds those it touches, the others stand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from windlass.flows.readers import Readers


def test_a_commit_finds_those_who_read_what_it_touches_and_the_others_stand() -> None:
    readers = Readers[str]("one")
    readers.put("web", [{"web/": "1", "base/a.yaml": "2"}])
    readers.put("api", [{"api/": "3"}, {"base/a.yaml": "2"}])
    readers.put("docs", [{"docs/": "4"}])
    assert readers.move("two", {"base/a.yaml", "base/", "nobody.md"}) == {"web", "api"}
    assert (readers.commit, "docs" in readers, "web" in readers) == ("two", True, False)
    assert readers.others({"web", "docs", "new"}) == {"web", "new"}
    assert readers.move("three", {"base/a.yaml"}) == set(), "they have not been read again"


def test_after_a_reset_nothing_is_known_of_anybody() -> None:
    readers = Readers[str]("one")
    readers.put("web", [{"web/": "1"}])
    readers.reset("two")
    assert (readers.commit, "web" in readers, readers.move("three", {"web/"})) == ("two", False, set())


PATHS = st.sampled_from("abcdef")
STEPS = st.lists(
    st.tuples(st.sampled_from("xyz"), st.none() | st.sets(PATHS, max_size=4))
    | st.tuples(st.just(""), st.sets(PATHS, max_size=3)),
    max_size=30,
)


@given(STEPS)
def test_it_tells_what_asking_everybody_would_tell(steps: list[tuple[str, set[str] | None]]) -> None:
    """Put, dropped and moved in any order: as if each trace were held against each change."""
    readers, plain = Readers[str](), dict[str, set[str]]()
    for who, paths in steps:
        if not who:
            touched = {one for one, read in plain.items() if read & (paths or set())}
            assert readers.move("next", paths or ()) == touched
            plain = {one: read for one, read in plain.items() if one not in touched}
        elif paths is None:
            readers.drop(who)
            plain.pop(who, None)
        else:
            readers.put(who, [dict.fromkeys(paths, "1")])
            plain[who] = paths
        assert {one for one in "xyz" if one in readers} == plain.keys()
