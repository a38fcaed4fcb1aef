"""Killed at every outside effect, and under random interleavings of writers, kills and lost answers: whatever was
recorded is in Git once, in the order of its writer."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unit.ledger.conftest import REF, Clock, Remote, event, numbers
from windlass.adapters.git import Mirror, PushUnknown, init_repository
from windlass.adapters.ledger import LedgerWriter
from windlass.adapters.ledger import remote as room
from windlass.errors import WindlassError


class Killed(BaseException):
    """The process ended here."""


@contextmanager
def effects(step: Callable[[str], None]) -> Iterator[None]:
    """``step`` is called before and after each thing that the outside sees."""
    with pytest.MonkeyPatch.context() as patch:

        def watch(owner: Any, name: str) -> None:
            original = getattr(owner, name)

            def both(*arguments: Any, **options: Any) -> Any:
                step(f"before {name}")
                answer = original(*arguments, **options)
                step(f"after {name}")
                return answer

            async def both_later(*arguments: Any, **options: Any) -> Any:
                step(f"before {name}")
                answer = await original(*arguments, **options)
                step(f"after {name}")
                return answer

            patch.setattr(owner, name, both_later if asyncio.iscoroutinefunction(original) else both)

        watch(room, "push")
        watch(room, "add_files")
        watch(Mirror, "fetch")
        watch(Mirror, "pushed")
        watch(Path, "unlink")
        watch(os, "write")
        yield


def folder_remote(folder: Path) -> Remote:
    init_repository(str(folder / "ledger.git"))
    return Remote(folder, f"file://{folder}/ledger.git")


def start(folder: Path, remote: Remote) -> LedgerWriter:
    made = LedgerWriter("prod", folder, Clock(), local=True)
    made.aim(remote.place(), 30.0)
    return made


async def story(folder: Path, remote: Remote, kept: set[int]) -> None:
    """A process that records and pushes. What it was told is kept goes into ``kept``."""
    ledger = start(folder, remote)
    for number in range(4):
        if number not in kept:
            ledger.record(event(number))
            kept.add(number)
        if number % 2:
            await ledger.push()
    ledger.record(event(4))
    await ledger.push()
    ledger._journal.close()


@pytest.mark.parametrize("wrecked", [False, True], ids=["disk kept", "mirror lost"])
async def test_killed_at_any_effect_the_next_start_finishes_and_nothing_is_twice(tmp_path: Path, wrecked: bool) -> None:
    count = 0
    while True:
        count += 4 if wrecked else 1
        here = tmp_path / str(count)
        remote, kept, left = folder_remote(here / "served"), set[int](), count

        def step(name: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed(name)

        try:
            with effects(step):
                await story(here / "data", remote, kept)
        except Killed:
            if wrecked:
                shutil.rmtree(here / "data" / "git", ignore_errors=True)
            await story(here / "data", remote, kept)
            assert numbers(remote.events()) == [0, 1, 2, 3, 4], f"killed at effect {count}"
            shutil.rmtree(here)
        else:
            assert numbers(remote.events()) == [0, 1, 2, 3, 4]
            break
    assert count > 20, "the kills reached every step"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["record", "record", "push", "kill", "lose answer", "refuse", "wreck"]), st.sampled_from([0, 1])
    ),
    max_size=25,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_whatever_the_interleaving_every_event_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    here = tmp_path_factory.mktemp("steps")

    async def run() -> None:
        remote = folder_remote(here / "served")
        ledgers = [start(here / "0", remote), start(here / "1", remote)]
        recorded: list[list[int]] = [[], []]
        push = room.push

        async def lost(*arguments: Any) -> Any:
            await push(*arguments)
            raise PushUnknown("the connection broke")

        async def refused(*arguments: Any) -> Any:
            raise PushUnknown("the connection broke before")

        for what, who in steps:
            if what == "record":
                number = sum(map(len, recorded))
                ledgers[who].record(event(number))
                recorded[who].append(number)
            elif what in ("push", "lose answer", "refuse"):
                with pytest.MonkeyPatch.context() as patch:
                    if what != "push":
                        patch.setattr(room, "push", lost if what == "lose answer" else refused)
                    try:
                        await ledgers[who].push()
                    except WindlassError:
                        assert what != "push"
            else:
                if what == "wreck":
                    shutil.rmtree(here / str(who) / "git", ignore_errors=True)
                ledgers[who] = start(here / str(who), remote)
        for ledger in ledgers:
            await ledger.push()
        found = numbers(remote.events()) if REF in remote.refs() else []
        assert sorted(found) == sorted(recorded[0] + recorded[1])
        for own in recorded:
            assert [number for number in found if number in own] == own
        assert set(remote.refs()) <= {REF}, "nothing was taken for rewritten"
        for paths in remote.files()[1:]:
            assert len(paths) == 1

    asyncio.run(run())
    shutil.rmtree(here)
