"""Faults 1 and 4: kills at any time while applications change, leaders that are paused and wake up late, two at once.

The times are drawn from a seed that a failure names (`--seed`). After each kill nothing is orphaned and nothing of
others is touched; when they stop, live equals Git.
"""

from __future__ import annotations

import signal
import time

import pytest

from e2e.team import Team, free_port
from faults.churn import Churn
from faults.ground import LEASE, Forked, Ground


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Which times are drawn: `--seed`, else another each day."""
    told = request.config.getoption("--seed")
    return int(told) if told is not None else int(time.time()) // 86_400


def crash(ground: Ground, team: Team, seed: int, *, kills: int, applications: int) -> None:
    churn = Churn(team, applications, seed)
    longest = 1.0 + applications / 50  # seconds for a start, its lists, and the first syncs behind them
    begun, during = 0, 0
    for _ in range(kills):
        churn.change()
        # A time alone would mostly fall into starts, which are long where Applications are many: three of four kills
        # come so many writes after the start.
        number = churn.random.choice([0, *[churn.random.randrange(1, 6 + applications // 10)] * 3])
        end = time.monotonic() + longest
        while len(ground.proxy.writes(begun)) < number and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(churn.random.uniform(0.0, 0.05 if number else 0.5))
        ground.kill()
        during += bool(ground.proxy.writes(begun))
        ground.proxy.settle()
        if churn.turn % 10 == 0:
            churn.check()
            print(f"{churn.turn} kills, {during} behind a write of theirs", flush=True)
        begun = len(ground.proxy.seen)
        ground.free_lease()
        ground.start(wait=False)
    ground.cluster.eventually(ground.ready, "the last one starts", 60)
    churn.finish(seconds=60 + applications)
    writes = len(ground.proxy.writes())
    print(f"as Git says: {kills} kills, {applications} Applications, {writes} writes, seed {seed}", flush=True)


def test_kills_at_any_time_lose_and_orphan_nothing(ground: Ground, team: Team, seed: int) -> None:
    crash(ground, team, seed, kills=12, applications=4)


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["devcluster"], indirect=True)
def test_two_hundred_kills_lose_and_orphan_nothing(
    ground: Ground, team: Team, seed: int, request: pytest.FixtureRequest
) -> None:
    kills, applications = (int(request.config.getoption(name)) for name in ("--kills", "--applications"))
    crash(ground, team, seed, kills=kills, applications=applications)


def second(ground: Ground, *, direct: bool = False) -> Forked:
    """Another controller on the same cluster, with data of its own."""
    arguments = ["controller", "--kubeconfig", str(ground.direct if direct else ground.kubeconfig)]
    arguments += ["--data", str(ground.folder / "data-2"), "--port", str(free_port())]
    log = ground.folder / "second.log"
    return Forked(ground.zygote.fork({"arguments": arguments, "log": str(log)}), log)


def holder(ground: Ground) -> str:
    answer = ground.cluster.request("GET", LEASE)
    return str(answer.json["spec"].get("holderIdentity", "")) if answer.code == 200 else ""


def test_of_two_controllers_one_leads_and_the_other_takes_over_at_its_end(
    ground: Ground, team: Team, seed: int
) -> None:
    churn = Churn(team, 3, seed)
    other = second(ground, direct=True)
    try:
        churn.finish()
        first = holder(ground)
        ground.stop()  # asked to end, it gives the Lease back
        ground.cluster.eventually(lambda: holder(ground) not in ("", first), "the other leads", 10)
        churn.change()
        churn.finish()
    finally:
        other.ask_to_end()
        other.wait(10)


@pytest.mark.slow
def test_a_leader_that_was_paused_wakes_up_late_and_writes_nothing(ground: Ground, team: Team, seed: int) -> None:
    churn = Churn(team, 3, seed)
    churn.finish()
    assert ground.child is not None
    paused = Forked(ground.child.pid, ground.log)
    first = holder(ground)
    churn.change()
    time.sleep(0.25)  # in the middle of it
    paused.signal(signal.SIGSTOP)
    other = second(ground, direct=True)
    try:
        ground.cluster.eventually(lambda: holder(ground) not in ("", first), "the other leads", 40)
        churn.change()
        churn.finish()
        ground.proxy.settle()
        asleep = len(ground.proxy.seen)
        paused.signal(signal.SIGCONT)
        ground.cluster.eventually(lambda: not paused.running(), "it sees that it lost the Lease, and ends", 20)
        late = [str(one) for one in ground.proxy.writes(asleep) if 200 <= one.code < 300]
        assert len(late) <= 1, f"at most the one request that it was paused in the middle of: {late}"
        churn.finish()
    finally:
        paused.signal(signal.SIGCONT)
        other.ask_to_end()
        other.wait(10)


@pytest.mark.slow
def test_a_leader_that_can_not_renew_stops_writing_and_the_next_goes_on(ground: Ground, team: Team, seed: int) -> None:
    churn = Churn(team, 3, seed)
    churn.finish()
    ground.cluster.request("DELETE", LEASE)
    taken = {
        "metadata": {"name": "windlass-controller"},
        "spec": {
            "holderIdentity": "somebody",
            "leaseDurationSeconds": 3600,
            "renewTime": "2026-01-01T00:00:00.000000Z",
        },
    }
    path = LEASE.rpartition("/")[0]
    assert ground.cluster.request("POST", path, taken).code == 201
    ground.cluster.eventually(ground.dead, "it sees that another leads, and ends", 30)
    begun = len(ground.proxy.seen)
    churn.change()
    time.sleep(0.5)
    assert [str(one) for one in ground.proxy.writes(begun)] == []
    ground.free_lease()
    ground.start()
    churn.finish()
