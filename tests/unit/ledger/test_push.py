"""The ref in Git: a commit and a file a push, in order, once, whatever happens on the way; two writers lose nothing."""

from __future__ import annotations

import asyncio
import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pygit2
import pytest

from unit.git.test_signatures import written
from unit.ledger.conftest import REF, Clock, Remote, away, event, numbers, writer
from windlass.adapters.git import BranchMoved, GitRefused, GitUnavailable, PushUnknown, SigningKey, signer
from windlass.adapters.ledger import remote as room
from windlass.core.model import events
from windlass.core.record import layout
from windlass.ports import LeadershipLost


async def test_a_push_is_one_commit_with_one_new_file(tmp_path: Path, remote: Remote) -> None:
    clock = Clock()
    ledger = writer(tmp_path / "data", remote, clock)
    ledger.record(event(1))
    ledger.record(event(2))
    await ledger.push()
    clock.pass_(30)
    ledger.record(event(3, when=clock.now()))
    await ledger.push()
    first, second = remote.files()
    assert first == ["2026/11/28/14/2102.000-" + first[0][-22:], "ledger.json"]
    assert second == ["2026/11/28/14/2132.000-" + second[0][-22:]]
    assert layout.PATH.fullmatch(second[0])
    assert remote.events() == [event(1), event(2), event(3, when=clock.now())]
    one, two = remote.commits()
    assert one.message.startswith("2 events of prod, 14:21:02\n\n2 requested\n")
    told = layout.trailers(two.message)
    assert told == layout.Trailers(second[0], 1, 3)
    assert ledger.tip == (REF, str(two.id))
    assert ledger.size == 0


async def test_where_nothing_happens_nothing_is_pushed_or_asked(tmp_path: Path, remote: Remote) -> None:
    ledger = writer(tmp_path / "data", remote)
    task = asyncio.ensure_future(ledger.run())
    async with away(remote):
        await asyncio.sleep(0.3)
        assert ledger.trouble is None
    task.cancel()
    assert remote.refs() == {}


async def test_a_severe_event_does_not_wait_for_the_interval(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    from windlass.adapters.host.clock import SystemClock

    monkeypatch.setattr("windlass.adapters.ledger.writer.SOON", 0.05)
    ledger = writer(tmp_path / "data", None)
    ledger._clock = SystemClock()
    ledger.aim(remote.place(), 3600.0)
    task = asyncio.ensure_future(ledger.run())
    ledger.record(event(1))
    await asyncio.sleep(0.3)
    assert remote.events() == []
    ledger.record(event(2, severe=True))
    async with asyncio.timeout(60):
        while len(remote.events()) < 2:
            await asyncio.sleep(0.02)
    task.cancel()


async def test_while_the_remote_is_away_events_wait_and_go_later_in_order(tmp_path: Path, remote: Remote) -> None:
    ledger = writer(tmp_path / "data", remote)
    async with away(remote):
        for number in range(5):
            ledger.record(event(number))
            with pytest.raises((GitUnavailable, GitRefused)):
                await ledger.push()
    again = writer(tmp_path / "data", remote)
    again.record(event(5))
    await again.push()
    assert numbers(remote.events()) == [0, 1, 2, 3, 4, 5]


async def test_a_push_whose_answer_was_lost_makes_no_second_copy(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = writer(tmp_path / "data", remote)
    push = room.push

    async def lost(*arguments: Any) -> Any:
        await push(*arguments)
        raise PushUnknown("the connection broke")

    monkeypatch.setattr(room, "push", lost)
    ledger.record(event(1))
    with pytest.raises(PushUnknown):
        await ledger.push()
    monkeypatch.setattr(room, "push", push)
    ledger.record(event(2))
    await ledger.push()
    assert numbers(remote.events()) == [1, 2]
    assert len(remote.commits()) == 2


async def test_two_writers_on_one_ref_lose_nothing(tmp_path: Path, remote: Remote) -> None:
    one, two = writer(tmp_path / "one", remote), writer(tmp_path / "two", remote)
    for number in range(12):
        (one, two)[number % 2].record(event(number))
        if number % 3 == 2:
            await asyncio.gather(one.push(), two.push())
    await asyncio.gather(one.push(), two.push())
    found = numbers(remote.events())
    assert sorted(found) == list(range(12))
    assert [number for number in found if number % 2] == [1, 3, 5, 7, 9, 11], "each one's own order holds"


async def test_who_does_not_hold_the_lease_pushes_nothing_and_keeps_it(tmp_path: Path, remote: Remote) -> None:
    leads = {"now": False}
    ledger = writer(tmp_path / "data", remote, may=lambda: leads["now"])
    ledger.record(event(1))
    await ledger.push()
    assert remote.refs() == {}
    leads["now"] = True
    await ledger.push()
    assert numbers(remote.events()) == [1]


async def test_a_lease_that_is_lost_on_the_way_ends_the_push(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [True, False]
    ledger = writer(tmp_path / "data", remote, may=lambda: answers.pop(0))
    ledger.record(event(1))
    with pytest.raises(LeadershipLost):
        await ledger.push()
    assert remote.refs() == {}


async def test_a_ref_that_goes_on_moving_is_tried_later(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def moved(*arguments: Any) -> Any:
        raise BranchMoved("somebody was quicker")

    ledger = writer(tmp_path / "data", remote)
    ledger.record(event(1))
    monkeypatch.setattr(room, "push", moved)
    with pytest.raises(BranchMoved):
        await ledger.push()
    monkeypatch.undo()
    await ledger.push()
    assert numbers(remote.events()) == [1]


async def test_a_ref_that_went_on_in_another_way_is_told_and_its_history_kept_beside_it(
    tmp_path: Path, remote: Remote
) -> None:
    ledger = writer(tmp_path / "data", remote)
    for number in range(3):
        ledger.record(event(number))
        await ledger.push()
    first, _, third = [str(one.id) for one in remote.commits()]
    remote.store.repository.references[REF].set_target(first)
    other = writer(tmp_path / "other", remote)
    other.record(event(50))
    await other.push()  # somebody else goes on from there
    ledger.record(event(3))
    await ledger.push()
    await ledger.push()
    assert numbers(remote.events()) == [0, 50, 3]
    kept = f"{REF}-was-{third[:12]}"
    assert remote.refs()[kept] == third
    (told,) = [one.data for one in remote.events() if isinstance(one.data, events.Rewritten)]
    assert (told.tip, told.kept) == (third, kept)


async def test_a_ref_that_was_only_moved_back_comes_back_whole_and_is_told(tmp_path: Path, remote: Remote) -> None:
    ledger = writer(tmp_path / "data", remote)
    for number in range(3):
        ledger.record(event(number))
        await ledger.push()
    tip = ledger.tip[1]
    remote.store.repository.references[REF].set_target(str(remote.commits()[0].id))
    again = writer(tmp_path / "data", remote)
    again.record(event(3))
    await again.push()
    await again.push()
    assert numbers(remote.events()) == [0, 1, 2, 3]
    (told,) = [one.data for one in remote.events() if isinstance(one.data, events.Rewritten)]
    assert (told.tip, told.kept) == (tip, "")
    assert set(remote.refs()) == {REF}


async def test_a_ref_that_was_taken_away_comes_back_whole(tmp_path: Path, remote: Remote) -> None:
    ledger = writer(tmp_path / "data", remote)
    ledger.record(event(1))
    await ledger.push()
    remote.store.repository.references.delete(REF)
    again = writer(tmp_path / "data", remote)
    again.record(event(2))
    await again.push()
    await again.push()
    assert numbers(remote.events()) == [1, 2]
    assert [one.kind for one in remote.events()].count("rewritten") == 1


async def test_the_tip_that_the_cluster_remembers_tells_of_a_rewritten_ref_when_the_disk_was_lost(
    tmp_path: Path, remote: Remote
) -> None:
    ledger = writer(tmp_path / "data", remote)
    ledger.record(event(1))
    await ledger.push()
    ref, tip = ledger.tip
    remote.store.repository.references.delete(REF)
    fresh = writer(tmp_path / "fresh")
    fresh.aim(remote.place(), 30.0, (ref, tip))
    fresh.record(event(2))
    await fresh.push()
    await fresh.push()
    (told,) = [one.data for one in remote.events() if isinstance(one.data, events.Rewritten)]
    assert (told.tip, told.found, told.kept) == (tip, "", "")


async def test_a_new_year_is_a_new_ref_that_names_the_last_commit_of_the_old_one(
    tmp_path: Path, remote: Remote
) -> None:
    ledger = writer(tmp_path / "data", remote)
    ledger.record(event(1))
    await ledger.push()
    _, old = ledger.tip
    ledger.record(event(2, when=datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)))
    await ledger.push()
    new = "refs/windlass/ledger/prod/2027"
    assert set(remote.refs()) == {REF, new}
    (commit,) = remote.commits(new)
    told = msgspec.json.decode(commit.tree["ledger.json"].data, type=layout.Descriptor)
    assert told == layout.Descriptor(1, "prod", "2027", layout.Previous(REF, old))
    assert f"Windlass-Previous: {REF} {old}" in commit.message


async def test_commits_are_signed_where_a_key_is_set(tmp_path: Path, remote: Remote) -> None:
    key = written("ed25519")
    ledger = writer(tmp_path / "data")
    ledger.aim(remote.place(signing=key), 30.0)
    ledger.record(event(1))
    await ledger.push()
    (commit,) = remote.commits()
    signature, payload = commit.gpg_signature
    assert signature
    assert payload
    assert signer(payload, signature.decode()) == SigningKey.read(key).public


async def test_a_key_that_can_not_be_read_is_told_and_events_wait(tmp_path: Path, remote: Remote) -> None:
    ledger = writer(tmp_path / "data")
    ledger.aim(remote.place(signing=b"no key"), 30.0)
    ledger.record(event(1))
    await ledger.push()
    assert ledger.trouble is not None
    assert "signing key" in ledger.trouble.what
    ledger.aim(remote.place(), 30.0)
    await ledger.push()
    assert numbers(remote.events()) == [1]


async def test_after_a_start_what_was_pushed_lately_is_known_and_not_told_again(tmp_path: Path, remote: Remote) -> None:
    ledger = writer(tmp_path / "data", remote)
    ledger.record(event(1))
    ledger.record(events.make("prod", "shop/two", events.Planned(commit="c" * 40), Clock().now()))
    await ledger.push()
    for folder in ("data", "lost"):
        again = writer(tmp_path / folder, remote)
        await again.recall()
        again.record(event(1))
        assert again.size == 0
        assert again.unfinished == {"shop/two": "c" * 40}


async def test_what_a_power_cut_made_of_a_line_is_left_out(tmp_path: Path, remote: Remote) -> None:
    ledger = writer(tmp_path / "data", remote)
    ledger.record(event(1))
    ledger._journal.append(b"\0\0\0\0\n")
    ledger.record(event(2))
    again = writer(tmp_path / "data", remote)
    await again.push()
    assert numbers(remote.events()) == [1, 2]


async def test_where_the_disk_takes_no_repository_and_no_ref_it_is_told_and_events_go_later(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "git").write_text("in the way")
    ledger = writer(tmp_path / "data", remote)
    ledger.record(event(1))
    with pytest.raises(GitUnavailable) as told:
        await ledger.push()
    assert told.value.cause == "disk"
    (tmp_path / "data" / "git").unlink()

    def refused(*_: Any, **__: Any) -> None:
        raise pygit2.GitError("failed to create locked file: Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr("pygit2.references.References.create", refused)
        with pytest.raises(GitUnavailable, match="a ref can't be written"):
            await ledger.push()
    await ledger.push()
    assert numbers(remote.events()) == [1], "it had arrived, and is found there"
    assert len(remote.commits()) == 1
    assert ledger.size == 0


async def test_a_push_that_failed_goes_at_once_when_the_disk_takes_events_again(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.adapters.ledger.writer.AGAIN", 0.05)
    monkeypatch.setattr("windlass.adapters.ledger.writer.SYNC", 0.01)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "git").write_text("in the way")
    broken = {"now": False}
    write = os.write

    def some(handle: int, data: bytes) -> int:
        if broken["now"] and data.startswith(b"{"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return write(handle, data)

    monkeypatch.setattr(os, "write", some)
    ledger = writer(tmp_path / "data")
    ledger.record(event(1))
    ledger.aim(remote.place(), 30.0)
    task = asyncio.ensure_future(ledger.run())
    async with asyncio.timeout(60):
        while ledger.trouble is None:
            await asyncio.sleep(0.01)
    broken["now"] = True
    ledger.record(event(2))
    assert ledger.held
    (tmp_path / "data" / "git").unlink()
    broken["now"] = False
    async with asyncio.timeout(60):
        while ledger.size:  # the clock stands: what waits for a time waits for ever
            await asyncio.sleep(0.01)
    task.cancel()
    assert numbers(remote.events()) == [1, 2]
