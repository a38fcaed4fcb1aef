"""Views over a ledger: the index follows the ref, can be lost, and answers; the proof finds what was tampered with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from unit.git.test_signatures import written
from unit.ledger.conftest import REF, START, Clock, Remote, event, numbers, writer
from windlass.adapters.git import Author, SigningKey, Store, add_files, commit_files
from windlass.adapters.ledger import LedgerWriter, chain
from windlass.adapters.ledger.index import Index, Wish, rebuilt
from windlass.core.model import events
from windlass.core.record import layout

ADA = Author("ada", "ada@acme.example", START)
ONE, TWO = "1" * 40, "2" * 40


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def applied(commit: str, minutes: float, *, subject: str = "shop/shop", **more: object) -> events.Event:
    told = events.Commit(commit, "Raise it", "ada", "ada@acme.example", events.stamp(at(minutes - 1)))
    data = events.Applied(commit=commit, result="applied", commits=[told], actor="ada", team="pay", **more)  # type: ignore[arg-type]
    return events.make("prod", subject, data, at(minutes))


def health(word: str, minutes: float, subject: str = "shop/shop") -> events.Event:
    return events.make("prod", subject, events.HealthChanged(health=word), at(minutes))


async def pushed(ledger: LedgerWriter, *told: events.Event) -> None:
    for one in told:
        ledger.record(one)
    await ledger.push()


def index(folder: Path, remote: Remote) -> Index:
    made = Index(folder / "index.sqlite", remote.store, "prod")
    made.follow()
    return made


async def test_the_index_follows_and_is_the_same_when_made_from_nothing(tmp_path: Path, remote: Remote) -> None:
    ledger = writer(tmp_path / "data", remote)
    await pushed(ledger, applied(ONE, 0, counts={"created": 2}), health("Healthy", 1))
    followed = index(tmp_path, remote)
    await pushed(ledger, applied(TWO, 5), event(7), health("Degraded", 6), health("Healthy", 7))
    assert followed.follow() == 4
    assert followed.follow() == 0
    fresh = rebuilt(tmp_path / "fresh.sqlite", remote.store, "prod")
    assert followed.events(Wish()) == fresh.events(Wish())
    assert list(followed.facts(Wish())) == list(fresh.facts(Wish()))
    assert fresh.count() == 6


async def test_an_event_that_is_there_twice_is_told_once(tmp_path: Path, remote: Remote) -> None:
    await pushed(writer(tmp_path / "one", remote), event(1), event(2))
    await pushed(writer(tmp_path / "two", remote), event(2), event(3))
    assert sorted(numbers(index(tmp_path, remote).events(Wish()))) == [1, 2, 3]


async def test_an_index_that_is_broken_is_made_again(tmp_path: Path, remote: Remote) -> None:
    await pushed(writer(tmp_path / "data", remote), event(1))
    (tmp_path / "index.sqlite").write_bytes(b"this is no database, and long enough to be read as one" * 100)
    assert numbers(index(tmp_path, remote).events(Wish())) == [1]


async def test_after_a_rewrite_the_index_tells_what_is_there_now(tmp_path: Path, remote: Remote) -> None:
    ledger = writer(tmp_path / "data", remote)
    await pushed(ledger, event(1))
    await pushed(ledger, event(2))
    followed = index(tmp_path, remote)
    first = str(remote.commits()[0].id)
    remote.store.repository.references[REF].set_target(first)
    assert followed.follow() == 1
    assert numbers(followed.events(Wish())) == [1]


async def test_filters_choose_by_time_kind_subject_and_actor(tmp_path: Path, remote: Remote) -> None:
    told = [applied(ONE, 0), applied(TWO, 5, subject="pay/pay"), health("Degraded", 6), event(1, when=at(7))]
    await pushed(writer(tmp_path / "data", remote), *told)
    found = index(tmp_path, remote)

    def chosen(**wish: object) -> list[int]:
        return [told.index(one) for one in found.events(Wish(**wish))]  # type: ignore[arg-type]

    def moment(minutes: float) -> int:
        return round(at(minutes).timestamp() * 1000)

    assert chosen() == [3, 2, 1, 0]
    assert chosen(limit=2) == [3, 2]
    assert chosen(subjects=("pay/pay",)) == [1]
    assert chosen(kinds=("applied",)) == [1, 0]
    assert chosen(without=("applied",)) == [3, 2]
    assert chosen(since=moment(5), until=moment(6)) == [2, 1]
    assert chosen(actor="AD") == [3, 1, 0]
    assert chosen(actor="nobody") == []
    assert chosen(kinds=("drift",)) == []


async def test_what_ran_at_a_time_is_the_last_sync_that_had_ended(tmp_path: Path, remote: Remote) -> None:
    waits = events.make("prod", "shop/shop", events.Applied(commit=TWO, result="waits"), at(4))
    other = applied(ONE, 2, subject="pay/pay")
    await pushed(
        writer(tmp_path / "data", remote),
        applied(ONE, 0), health("Healthy", 1), other, waits, applied(TWO, 5), health("Degraded", 6),
    )  # fmt: skip
    found = index(tmp_path, remote)

    def ran(minutes: float, *subjects: str) -> list[tuple[str, str]]:
        time = round(at(minutes).timestamp() * 1000)
        return [
            (one.subject, one.data.commit)
            for one in found.applied_at(time, subjects)
            if isinstance(one.data, events.Applied)
        ]

    assert ran(-1) == []
    assert ran(4.5) == [("pay/pay", ONE), ("shop/shop", ONE)]
    assert ran(5) == [("pay/pay", ONE), ("shop/shop", TWO)]
    assert ran(9, "shop/shop") == [("shop/shop", TWO)]
    assert found.health_at(round(at(5.5).timestamp() * 1000), "shop/shop") == "Healthy"
    assert found.health_at(round(at(7).timestamp() * 1000), "shop/shop") == "Degraded"
    assert found.health_at(1, "shop/shop") == ""
    assert found.teams() == {"shop/shop": "pay", "pay/pay": "pay"}


# --- the proof --------------------------------------------------------------------------------------------------------


async def book(folder: Path, remote: Remote, pushes: int = 4, key: bytes = b"") -> LedgerWriter:
    ledger = writer(folder / "data")
    ledger.aim(remote.place(signing=key), 30.0)
    for number in range(pushes):
        await pushed(ledger, event(2 * number, when=at(number)), event(2 * number + 1, when=at(number)))
    return ledger


def prove(remote: Remote, *known: str, allowed: frozenset[str] = frozenset(), ref: str = REF) -> chain.Proof:
    store = remote.store
    tip = store.resolve(ref)
    assert tip is not None
    return chain.prove(store, ref, tip, known=dict.fromkeys(known, "the test"), allowed=allowed)


async def test_a_ledger_that_is_whole_is_proven(tmp_path: Path, remote: Remote) -> None:
    key = written("ed25519")
    ledger = await book(tmp_path, remote, key=key)
    proof = prove(remote, ledger.tip[1], str(remote.commits()[1].id), allowed=frozenset({SigningKey.read(key).public}))
    assert proof.problems == []
    assert (proof.commits, proof.events) == (4, 8)
    assert list(proof.signers.values()) == [4]
    assert (proof.first, proof.last) == (event(0).time, event(1, when=at(3)).time)


async def test_a_history_that_was_rewritten_is_found_and_what_is_missing_told(tmp_path: Path, remote: Remote) -> None:
    ledger = await book(tmp_path, remote)
    tip = ledger.tip[1]
    remote.store.repository.references[REF].set_target(str(remote.commits()[1].id))
    (problem,) = prove(remote, tip).problems
    assert tip[:12] in problem
    assert "missing are 4 events from 2026-11-28T14:23:02.000Z to 2026-11-28T14:24:02.000Z" in problem
    assert prove(remote).problems == [], "without a tip from outside nobody could know"


async def test_a_chain_without_one_of_its_commits_is_found(tmp_path: Path, remote: Remote) -> None:
    ledger = await book(tmp_path, remote)
    commits = remote.commits()
    store = remote.store
    tip: str = str(commits[1].id)
    for commit in commits[3:]:
        told = layout.trailers(commit.message)
        assert told is not None
        tip = add_files(store, tip, {told.file: commit.tree[told.file].data}, commit.message, ADA)
    store.repository.references[REF].set_target(tip)
    problems = prove(remote, ledger.tip[1]).problems
    assert any("says 2 of 8 events, and there are 2 of 6" in one for one in problems)
    assert any("missing are" in one for one in problems)


@pytest.mark.parametrize("how", ["changed", "removed", "added", "renamed", "foreign", "silent", "odd", "mode"])
async def test_a_commit_that_does_anything_else_is_found(tmp_path: Path, remote: Remote, how: str) -> None:
    await book(tmp_path, remote)
    last = remote.commits()[-1]
    store, tip = remote.store, str(last.id)
    told = layout.trailers(last.message)
    assert told is not None
    content = events.encode(event(100, when=at(9)))
    message = layout.message("prod", content, 8)
    path = layout.path_of(content)
    edits: dict[str, bytes | None] = {path: content}
    if how == "changed":
        edits[told.file] = last.tree[told.file].data.replace(b"ada", b"bob")
    elif how == "removed":
        edits[told.file] = None
    elif how == "added":
        edits["2026/11/28/14/more"] = b"x"
    elif how == "renamed":
        edits = {path.replace("/14/", "/13/"): content}
        message = message.replace("/14/", "/13/")
    elif how == "foreign":
        message = "Tidy up\n"
    elif how == "silent":
        message = ""
    elif how == "odd":
        message = message.replace("Windlass-Events: 1", "Windlass-Events: \u00b2")
    elif how == "mode":
        edits["README"] = b"hello"
    made = commit_files(store, tip, edits, message, ADA)
    store.repository.references[REF].set_target(made)
    problems = prove(remote).problems
    assert problems
    assert all(made[:12] in one for one in problems)


async def test_a_content_that_is_not_what_its_name_says_is_found(tmp_path: Path, remote: Remote) -> None:
    ledger = await book(tmp_path, remote, 1)
    content, other = (events.encode(event(number, when=at(9))) for number in (100, 101))
    made = add_files(
        remote.store, ledger.tip[1], {layout.path_of(content): other}, layout.message("prod", content, 2), ADA
    )
    remote.store.repository.references[REF].set_target(made)
    assert any("is not what its name says" in one for one in prove(remote).problems)


async def test_an_event_that_is_told_twice_and_a_wrong_signer_are_found(tmp_path: Path, remote: Remote) -> None:
    await pushed(writer(tmp_path / "one", remote), event(1), event(2))
    await pushed(writer(tmp_path / "two", remote), event(2), event(3))
    assert any("is told twice" in one for one in prove(remote).problems)
    assert any("signed by nobody" in one for one in prove(remote, allowed=frozenset({"ssh-ed25519 AAAA"})).problems)


async def test_a_merge_is_found(tmp_path: Path, remote: Remote) -> None:
    ledger = await book(tmp_path, remote, 2)
    store: Store = remote.store
    repository = store.repository
    first, second = remote.commits()
    who = ADA.signature()
    made = repository.create_commit(None, who, who, second.message, second.tree_id, [second.id, first.id])
    repository.references[REF].set_target(made)
    assert any("merged or grafted" in one for one in prove(remote, ledger.tip[1]).problems)


async def test_events_told_to_be_lost_are_counted(tmp_path: Path, remote: Remote) -> None:
    lost = events.make("prod", "", events.Lost(count=12, first="", last=""), Clock().now())
    await pushed(writer(tmp_path / "data", remote), lost)
    assert prove(remote).lost == 12


async def test_the_refs_of_one_cluster_are_told_from_those_of_others(tmp_path: Path, remote: Remote) -> None:
    await book(tmp_path, remote, 1)
    other = LedgerWriter("test", tmp_path / "test", Clock())
    other.aim(remote.place(), 30.0)
    await pushed(other, events.make("test", "a/a", events.HealthChanged(health="Healthy"), datetime.now(UTC)))
    assert chain.clusters(remote.store) == ["prod", "test"]
    assert list(chain.refs(remote.store, "prod")) == [REF]
