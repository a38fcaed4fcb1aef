"""Which tag is taken, and why the others are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.core.images import (
    Alphabetical,
    BadRule,
    Facts,
    Follow,
    Hold,
    Newest,
    Numeric,
    Rule,
    Selection,
    Semver,
    by_time,
    choose,
    needs_times,
    rank,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def pick(
    rule: Rule,
    tags: list[str],
    *,
    current: str = "",
    holds: tuple[Hold, ...] = (),
    facts: dict[str, Facts] | None = None,
) -> Selection:
    ranking = rank(rule, tags, holds, NOW, current=current)
    if needs_times(rule):
        ranking = by_time(ranking, facts or {})
    return choose(rule, ranking, facts or {}, current=current)


def why(selection: Selection, tag: str) -> str:
    return next(one.why for one in selection.verdicts if one.tag == tag)


@pytest.mark.parametrize(
    ("wanted", "tags", "chosen"),
    [
        (">=1.4 <2", ["1.3.9", "1.4.0", "1.10.0", "2.0.0"], "1.10.0"),
        (">=1.4, <2", ["1.4.0", "1.9.0", "2.0.0"], "1.9.0"),
        ("~1.4", ["1.4.9", "1.5.0"], "1.4.9"),
        ("^1", ["1.4.9", "1.5.0", "2.0.0"], "1.5.0"),
        ("1.x", ["v1.4.9", "v1.5.0", "v2.0.0"], "v1.5.0"),
        ("1.x", ["1.5.0", "1.6.0-rc.1"], "1.5.0"),
        (">=1.5.0-0 <2", ["1.5.0", "1.6.0-rc.1", "1.6.0-rc.2"], "1.6.0-rc.2"),
        ("1.4 || 3.x", ["1.4.2", "2.0.0", "3.1.0"], "3.1.0"),
        ("*", ["latest", "main", "1.0.0"], "1.0.0"),
    ],
)
def test_a_range_of_versions_takes_the_highest_in_it(wanted: str, tags: list[str], chosen: str) -> None:
    assert pick(Semver(wanted), tags).tag == chosen


def test_a_version_may_be_a_part_of_the_tag() -> None:
    rule = Semver("^1", r"^release-(?P<version>.+)-alpine$")
    found = pick(rule, ["release-1.4.2-alpine", "release-1.5.0-alpine", "release-1.6.0-debian", "1.9.0"])
    assert found.tag == "release-1.5.0-alpine"
    assert why(found, "1.9.0").startswith("does not match")


def test_numbers_compare_as_numbers_and_texts_as_texts() -> None:
    tags = ["main-0000001-9", "main-abcdef0-10", "feature-abcdef0-11"]
    assert pick(Numeric(r"^main-[0-9a-f]{7}-(?P<n>\d+)$"), tags).tag == "main-abcdef0-10"
    assert pick(Alphabetical(r"^2026"), ["2026-11-01", "2026-09-30", "latest"]).tag == "2026-11-01"
    assert why(pick(Numeric(), ["12", "x7"]), "x7") == "x7 is no number"


def test_the_newest_is_the_one_built_last_and_what_says_no_time_does_not_count() -> None:
    facts = {
        "a": Facts(created=NOW - timedelta(hours=2)),
        "b": Facts(created=NOW - timedelta(hours=1)),
        "c": Facts(),
    }
    found = pick(Newest(), ["a", "b", "c"], facts=facts)
    assert found.tag == "b"
    assert why(found, "c") == "does not say when it was built"


def test_a_followed_tag_is_taken_with_its_digest() -> None:
    found = pick(Follow("stable"), ["stable", "1.4"], facts={"stable": Facts(digest="sha256:1")})
    assert (found.tag, found.digest) == ("stable", "sha256:1")
    assert why(found, "1.4") == "only stable is followed"
    assert pick(Follow("stable"), ["1.4"]).tag == ""


def test_a_held_tag_is_left_out_until_its_time_and_says_who_holds_it() -> None:
    hold = Hold("1.4.2", "rolled back", "windlass", NOW + timedelta(days=3))
    found = pick(Semver("^1"), ["1.4.1", "1.4.2"], holds=(hold,))
    assert found.tag == "1.4.1"
    assert why(found, "1.4.2") == "held until 2026-12-01 12:00: rolled back, windlass"
    over = Hold("1.4.2", until=NOW)
    assert pick(Semver("^1"), ["1.4.1", "1.4.2"], holds=(over,)).tag == "1.4.2"
    assert pick(Semver("^1"), ["1.4.1", "1.4.2"], holds=(Hold("1.4.2"),)).tag == "1.4.1"


def test_what_may_not_be_taken_is_passed_over_and_told() -> None:
    facts = {"1.5.0": Facts(refused="has no image for linux/arm64"), "1.4.0": Facts(digest="sha256:4")}
    found = pick(Semver("^1"), ["1.4.0", "1.5.0"], facts=facts)
    assert (found.tag, found.digest) == ("1.4.0", "sha256:4")
    assert why(found, "1.5.0") == "has no image for linux/arm64"


def test_nothing_goes_back_because_a_tag_is_missing() -> None:
    found = pick(Semver("^1"), ["1.4.0", "1.4.1"], current="1.4.2")
    assert found.tag == ""
    assert found.why == "1.4.2 stays: 1.4.1 would be a step back"
    assert pick(Semver("^1"), [], current="1.4.2").tag == ""
    assert pick(Numeric(), ["7"], current="9").tag == ""
    # When an image was built that is gone can't be known.
    assert pick(Newest(), ["a"], current="b", facts={"a": Facts(created=NOW)}).tag == ""


def test_nothing_goes_back_because_the_current_tag_is_held_or_refused() -> None:
    assert pick(Semver("^1"), ["1.4.1", "1.4.2"], current="1.4.2", holds=(Hold("1.4.2"),)).tag == ""
    refused = {"1.4.2": Facts(refused="is not signed")}
    assert pick(Semver("^1"), ["1.4.1", "1.4.2"], current="1.4.2", facts=refused).tag == ""
    assert pick(Semver("^1"), ["1.4.1", "1.4.3"], current="1.4.2", holds=(Hold("1.4.2"),)).tag == "1.4.3"


def test_it_goes_back_where_people_changed_the_rule() -> None:
    assert pick(Semver("^1"), ["1.4.1", "2.0.0"], current="2.0.0").tag == "1.4.1"
    assert pick(Semver("^1"), ["1.4.1"], current="latest").tag == "1.4.1"


@pytest.mark.parametrize(
    ("current", "chosen"), [("v1.4.0", "v1.4.0"), ("v1.3.0", "v1.4.0"), ("1.3.0", "1.4.0"), ("", "1.4.0")]
)
def test_of_equal_tags_the_one_there_stays_and_a_new_one_is_written_alike(current: str, chosen: str) -> None:
    found = pick(Semver("^1"), ["v1.4.0", "1.4.0", "v1.4"], current=current)
    assert found.tag == chosen
    other = "v1.4.0" if chosen == "1.4.0" else "1.4.0"
    assert "the same as" in why(found, other)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Semver("latest"), "is not a range of versions"),
        (Semver(" "), "is not a range of versions"),
        (Numeric("(?P<n>"), "can't be read"),
        (Newest("(?=x)"), "can't be read"),
        (Alphabetical("a" * 600), "over 512"),
        (Follow("a b"), "can't be a tag"),
    ],
)
def test_a_rule_that_can_not_be_read_is_refused_with_the_mend(rule: Rule, words: str) -> None:
    with pytest.raises(BadRule, match=words) as caught:
        rank(rule, ["1"], (), NOW)
    assert caught.value.hint


def test_a_pattern_that_would_never_end_elsewhere_ends_here() -> None:
    assert pick(Alphabetical(r"^(a+)+$"), ["a" * 100 + "!", "a" * 127]).tag == "a" * 127


@given(
    st.lists(st.sampled_from(["1.0.0", "1.1.0", "1.2.0-rc.1", "v1.3.0", "2.0.0", "x"])), st.sampled_from(["", "1.1.0"])
)
def test_what_is_chosen_counts_and_choosing_again_changes_nothing(tags: list[str], current: str) -> None:
    found = pick(Semver("^1"), tags, current=current)
    assert found.tag == "" or found.tag in tags
    again = pick(Semver("^1"), tags, current=found.tag or current)
    assert again.tag in (found.tag, "")
    assert {one.tag for one in found.verdicts} == set(tags)


def test_a_pre_release_outside_a_range_that_names_some_is_not_told_that_it_names_none() -> None:
    made = pick(Semver(">=2.0.0-0 <3"), ["2.0.0", "1.0.0-rc.1"])
    assert {one.tag: one.why for one in made.verdicts}["1.0.0-rc.1"] == "is not in >=2.0.0-0 <3"
    made = pick(Semver("<3"), ["2.0.0", "1.0.0-rc.1"])
    assert {one.tag: one.why for one in made.verdicts}["1.0.0-rc.1"] == "is a pre-release, and <3 names none"


def test_what_is_held_is_told_before_what_does_not_count_anyway() -> None:
    tags = [*(f"build-{number}" for number in range(30)), "1.4.2", "1.4.1"]
    made = pick(Semver("1.x"), tags, holds=(Hold("1.4.2", "rolled back"), Hold("build-7")), current="1.4.1")
    assert [one.tag for one in made.verdicts][:3] == ["1.4.1", "1.4.2", "build-0"]


def test_a_followed_tag_that_is_not_there_is_named() -> None:
    assert pick(Follow("stable"), ["1.4.2"]).why == "there is no tag stable: what is there stays"
    assert pick(Follow("stable"), ["stable"], holds=(Hold("stable"),)).why == "no tag counts: what is there stays"


def test_a_pattern_that_is_none_is_told_in_words() -> None:
    with pytest.raises(BadRule) as told:
        pick(Numeric("("), ["1"])
    assert told.value.what == "the pattern can't be read: missing ): ("
