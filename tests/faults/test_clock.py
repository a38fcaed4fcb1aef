"""Faults 9: the wall clock jumps, forward and back, while Applications change.

What waits, waits by the clock that does not jump; what ends at a time of day ends by what the clock says then, and what
was applied is never taken back because it went back. The jump is made in the controller's process alone: the API server
and Git go on as they are, as behind a machine whose time was wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.team import Team, config_map, git
from e2e.test_flow_images import RegistryHost, told, web
from e2e.test_flow_images import shop as image_shop
from e2e.test_flow_ledger import Book
from faults import oracle
from faults.ground import Ground
from faults.proxy import Answer
from windlass.adapters.git import Store
from windlass.adapters.ledger import chain

pytestmark = pytest.mark.parametrize("cluster", ["devcluster"], indirect=True)
DAY = 86_400.0


class Hands:
    """The wall clock of the controller that runs."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.stand(0.0)

    def stand(self, seconds: float) -> None:
        """So many seconds beside the machine's clock."""
        if self.file.exists():
            with self.file.open("r+b") as opened:  # the same file: the controller has it mapped
                opened.write(struct.pack("<d", seconds))
        else:
            self.file.write_bytes(struct.pack("<d", seconds))


@pytest.fixture
def hands(ground: Ground, tmp_path: Path) -> Iterator[Hands]:
    made = Hands(tmp_path / "clock")
    ground.restart(clock=str(made.file))
    yield made
    ground.kill()


def level(team: Team, name: str = "a") -> str | None:
    found = team.get(f"v1/configmaps/{name}")
    return found["data"]["level"] if found is not None else None


def start(team: Team, **spec: Any) -> None:
    team.repository(interval="2s")
    team.application(**spec)
    team.until_synced(team.commit({f"shop/{name}.yaml": config_map(name, level="0") for name in "ab"}), seconds=60)


def test_commits_polls_and_drift_go_on_whatever_the_clock_says(ground: Ground, team: Team, hands: Hands) -> None:
    start(team)
    before = oracle.live(team)
    assert ground.child is not None
    pid = ground.child.pid
    for turn, seconds in enumerate((DAY, -2 * DAY, 0.0, 400 * DAY, -1.0), 1):
        hands.stand(seconds)
        team.patch("v1/configmaps/b", {"data": {"level": "hand"}})
        commit = team.commit({"shop/a.yaml": config_map("a", level=str(turn))}, told=bool(turn % 2))
        team.until_synced(commit, seconds=60)
        team.until(lambda: level(team, "b") == "0", "drift goes back", 60)
        oracle.unharmed(team, before, wanted=["ConfigMap/a", "ConfigMap/b"])
    oracle.equals_git(team)
    assert not ground.dead(), "it leads all the time: the Lease does not look at that clock"
    assert ground.child.pid == pid


def test_a_retry_does_not_wait_for_a_clock_that_went_back(ground: Ground, team: Team, hands: Hands) -> None:
    start(team, sync={"retry": {"backoff": "1s", "max": "4s"}})
    refused = f"/namespaces/{team.namespace}/configmaps/a"
    ground.proxy.rule = lambda one: Answer(500, "InternalError") if one.writes and refused in one.path else None
    for seconds in (DAY, -DAY):
        commit = team.commit({"shop/a.yaml": config_map("a", level=str(seconds))})
        team.until(lambda: team.ready().get("reason") == "Retrying", "it is tried again", 60)
        hands.stand(seconds)
        begun = len(ground.proxy.seen)
        team.until(lambda begun=begun: any(refused in one.path for one in ground.proxy.writes(begun)), "and again", 60)
        rule, ground.proxy.rule = ground.proxy.rule, None
        team.until_synced(commit, seconds=60)
        ground.proxy.rule = rule
    ground.proxy.rule = None


def test_what_ends_at_a_time_ends_by_the_clock_and_takes_nothing_back(ground: Ground, team: Team, hands: Hands) -> None:
    start(team)
    until = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    team.application(suspend={"until": until, "reason": "incident", "by": "ada"})
    team.until(lambda: team.ready().get("reason") == "Suspended", "it is suspended", 60)
    team.commit({"shop/a.yaml": config_map("a", level="1")})
    hands.stand(-3 * DAY)
    team.until(lambda: team.ready().get("reason") == "Suspended", "it still is", 60)
    assert level(team) == "0"
    hands.stand(2 * DAY)
    # Nothing wakes up for a clock that was set: the next look at the repository does.
    commit = team.commit({"shop/b.yaml": config_map("b", level="1")})
    team.until(lambda: (level(team), level(team, "b")) == ("1", "1"), "its time is over", 90)
    hands.stand(0.0)  # by which it would be suspended again: what was applied stays
    team.patch("v1/configmaps/b", {"metadata": {"labels": {"x": "y"}}})
    assert (level(team), level(team, "b")) == ("1", "1")
    team.application()
    team.until_synced(commit, seconds=60)
    oracle.equals_git(team)


def test_a_freeze_ends_and_begins_again_by_the_clock_and_takes_nothing_back(
    ground: Ground, team: Team, hands: Hands
) -> None:
    start(team)
    until = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    team.application(freeze={"until": until, "reason": "black friday", "by": "ada"})
    team.commit({"shop/a.yaml": config_map("a", level="1")})
    team.until(lambda: team.ready().get("reason") == "Frozen", "it is frozen", 60)
    hands.stand(-3 * DAY)
    team.patch("v1/configmaps/b", {"data": {"level": "hand"}})
    team.until(lambda: level(team, "b") == "0", "drift goes back in a freeze", 60)
    frozen = team.commit({"shop/a.yaml": config_map("a", level="2")})
    team.until(lambda: team.status().get("pending", {}).get("commit") == frozen, "the next commit waits as well", 60)
    assert team.ready().get("reason") == "Frozen"
    assert level(team) == "0"
    hands.stand(2 * DAY)
    # Nothing wakes up for a clock that was set: the next look at the repository does.
    team.until_synced(team.commit({"shop/b.yaml": config_map("b", level="1")}), seconds=90)
    assert (level(team), level(team, "b")) == ("2", "1")
    hands.stand(0.0)  # by which it is frozen again: what was applied stays, and what is new waits
    commit = team.commit({"shop/b.yaml": config_map("b", level="2")})
    team.until(lambda: team.ready().get("reason") == "Frozen", "it is frozen again", 60)
    assert (level(team), level(team, "b")) == ("2", "1")
    team.application()
    team.until_synced(commit, seconds=60)
    oracle.equals_git(team)


@pytest.mark.slow
def test_a_hold_of_an_image_ends_by_the_clock_and_takes_no_tag_back(
    ground: Ground, team: Team, hands: Hands, tmp_path: Path
) -> None:
    ground.restart("--local-charts", clock=str(hands.file))
    registry = RegistryHost(tmp_path / "registry")
    try:
        until = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        image_shop(team, registry, hold=[{"tag": "1.4.3", "until": until, "reason": "not yet", "by": "ada"}])
        for seconds, pushed, taken in ((-3 * DAY, ("1.4.2", "1.4.3"), "1.4.2"), (2 * DAY, (), "1.4.3")):
            hands.stand(seconds)
            for tag in pushed:
                registry.push(tag)
            told(team)
            team.until(lambda taken=taken: f"shop:{taken}" in web(team), f"{taken} is taken", 60)
        hands.stand(0.0)  # by which 1.4.3 is held again: it stays, and the next one is taken
        told(team)
        registry.push("1.4.4")
        told(team)
        team.until(lambda: "shop:1.4.4" in web(team), "1.4.4 is taken", 60)
        subjects = git(team.work, "log", "--reverse", "--format=%s").stdout.splitlines()
        assert subjects[1:] == [
            "Take acme/shop 1.4.2 (was 1.4.1)",
            "Take acme/shop 1.4.3 (was 1.4.2)",
            "Take acme/shop 1.4.4 (was 1.4.3)",
        ]
    finally:
        registry.close()


@pytest.mark.slow
def test_a_ledger_stays_whole_when_times_go_back(ground: Ground, team: Team, hands: Hands) -> None:
    book = Book(ground)
    try:
        team.cluster.eventually(lambda: book.recorded().get("status") == "True", "the ledger is written", 60)
        start(team)
        for turn, seconds in enumerate((400 * DAY, -400 * DAY, 0.0), 1):
            hands.stand(seconds)
            team.until_synced(team.commit({"shop/a.yaml": config_map("a", level=str(turn))}), seconds=60)

            def applied() -> int:
                return sum(one.kind == "applied" for one in book.events(f"{team.namespace}/shop"))

            team.until(lambda turn=turn: applied() == turn + 1, "it is recorded, once", 60)
        store = Store(book.bare)
        for ref, tip in book.refs().items():
            assert chain.prove(store, ref, tip, known={}).problems == [], git(book.bare, "log", "--oneline", ref).stdout
    finally:
        book.installation()
