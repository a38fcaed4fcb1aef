"""``ports.Ledger``: once each, through restarts; what was lost is told."""

from __future__ import annotations

import asyncio
import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from windlass.adapters.host.clock import SystemClock
from windlass.adapters.ledger import Journal, LedgerWriter
from windlass.core.model import events

NOW = datetime(2026, 11, 28, 14, 21, 2, 123456, tzinfo=UTC)


def event(number: int, *, size: int = 0) -> events.Event:
    data = events.Requested(verb="sync", request="x" * size, actor="ada")
    return events.make("prod", "shop/shop", data, NOW, key=str(number))


def kept(folder: Path) -> list[events.Event]:
    return [events.decode(line) for line in Journal(folder / "queue").lines()]


def test_an_event_that_is_told_twice_is_kept_once_also_after_a_restart(tmp_path: Path) -> None:
    writer = LedgerWriter("prod", tmp_path, SystemClock())
    writer.record(event(1))
    writer.record(event(1))
    again = LedgerWriter("prod", tmp_path, SystemClock())
    again.record(event(1))
    again.record(event(2))
    assert kept(tmp_path) == [event(1), event(2)]


def test_a_plan_without_an_outcome_is_found_after_a_restart(tmp_path: Path) -> None:
    writer = LedgerWriter("prod", tmp_path, SystemClock())
    for name, done in (("one", True), ("two", False)):
        writer.record(events.make("prod", f"shop/{name}", events.Planned(commit="c" * 40), NOW))
        if done:
            writer.record(events.make("prod", f"shop/{name}", events.Applied(commit="c" * 40, result="applied"), NOW))
    assert LedgerWriter("prod", tmp_path, SystemClock()).unfinished == {"shop/two": "c" * 40}


def test_what_found_no_room_is_counted_by_the_next_event_that_does(tmp_path: Path, monkeypatch: object) -> None:
    writer = LedgerWriter("prod", tmp_path, SystemClock(), limit=4 << 20)
    for number in range(12):
        writer.record(event(number, size=1 << 20))
    before = kept(tmp_path)
    assert 3 <= len(before) <= 4
    journal = writer._journal
    while (batch := journal.finish()) is not None:
        journal.drop(batch)
    writer.record(event(99))
    lost, last = kept(tmp_path)[-2:]
    assert isinstance(lost.data, events.Lost)
    assert lost.data.counts == {"requested": lost.data.count}
    assert lost.severe
    assert last == event(99)


async def test_what_the_disk_did_not_take_is_written_when_it_does_though_nothing_else_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.adapters.ledger.writer.AGAIN", 0.05)
    monkeypatch.setattr("windlass.adapters.ledger.writer.SYNC", 0.01)
    broken = {"now": True}
    write = os.write

    def some(handle: int, data: bytes) -> int:
        if broken["now"] and data.startswith(b"{"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return write(handle, data)

    monkeypatch.setattr(os, "write", some)
    reports: list[bool] = []
    structlog.reset_defaults()  # a command that another test ran in this process may have turned its log off
    with capture_logs() as told:
        writer = LedgerWriter("prod", tmp_path, SystemClock(), report=lambda: reports.append(writer.trouble is None))
        task = asyncio.ensure_future(writer.run())
        for number in range(3):
            writer.record(event(number))
        assert writer.held == writer.size > 0
        await asyncio.sleep(0.2)  # it is tried again meanwhile
        assert reports == [False]
        broken["now"] = False
        async with asyncio.timeout(60):
            while writer.held:
                await asyncio.sleep(0.01)
            while len(reports) < 2:
                await asyncio.sleep(0.01)
        task.cancel()
    assert kept(tmp_path) == [event(number) for number in range(3)]
    assert reports == [False, True]
    assert [one["event"] for one in told] == ["ledger not on disk", "ledger on disk again"], "each is told once"
    assert "mount it writable" in told[0]["hint"]
