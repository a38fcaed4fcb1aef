"""Two controllers, one Lease: one leads, a paused one knows it, a stopped one hands over, failures raise doubt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from windlass import ports
from windlass.adapters.cluster.client import Client
from windlass.adapters.cluster.lease import LeaseLeadership, Terms, identity
from windlass.adapters.host.clock import SystemClock

from .scripted import Scripted, status, until

FAST = Terms(duration=1.0, renew=0.1, retry=0.05)
LONG = Terms(duration=30.0, renew=8.0, retry=0.05)  # does not run out while a busy machine looks elsewhere


class Leases:
    """One Lease behind the API: optimistic concurrency, and faults as the test sets them."""

    def __init__(self, server: Scripted) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.fault: web.Response | None = None
        self.lost_answers = 0
        server.handler = self.handle

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.fault is not None:
            return status(self.fault.status, "away")
        if request.method == "GET":
            return web.json_response(self.lease) if self.lease else status(404, "leases not found", "NotFound")
        sent = await request.json()
        if request.method == "POST" and self.lease is not None:
            return status(409, "already exists", "AlreadyExists")
        if request.method == "PUT":
            if self.lease is None:
                return status(404, "leases not found", "NotFound")
            if sent["metadata"].get("resourceVersion") != self.lease["metadata"]["resourceVersion"]:
                return status(409, "the object has been modified", "Conflict")
        self.version += 1
        self.lease = sent
        self.lease["metadata"] |= {"resourceVersion": str(self.version), "uid": "u"}
        if self.lost_answers:
            self.lost_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(self.lease)

    @property
    def holder(self) -> str:
        return str(self.lease["spec"].get("holderIdentity", "")) if self.lease else ""


class Paused(SystemClock):
    """A clock that the test moves on, as a process that was stopped finds it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Jumping(SystemClock):
    """A wall clock that somebody sets by days, back and forth."""

    def __init__(self) -> None:
        self.turn = 0

    def now(self) -> datetime:
        self.turn += 1
        return super().now() + timedelta(days=3 * (-1) ** self.turn)


@asynccontextmanager
async def candidate(
    client: Client, name: str, clock: ports.Clock | None = None, terms: Terms = FAST
) -> AsyncIterator[LeaseLeadership]:
    """A controller that campaigns, and gives the lease back at the end of the block."""
    leadership = LeaseLeadership(client, clock or SystemClock(), "windlass", name, terms=terms)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(leadership.run())
        yield leadership
        running.cancel()


async def test_one_of_two_leads_and_the_other_follows_at_its_end(server: Scripted) -> None:
    """A lease given back need not run out: the next one leads within moments, and the change is counted."""
    leases = Leases(server)
    async with server.client() as client:
        async with candidate(client, "one", terms=LONG) as one:
            await one.acquired()
            async with candidate(client, "two", terms=LONG) as two:
                await until(lambda: two.holder == "one", 60)
                await asyncio.sleep(0.4)
                assert (one.held(), two.held()) == (True, False)
                assert one.term == 1
        assert leases.holder == ""
        async with candidate(client, "two", terms=LONG) as two:
            await asyncio.wait_for(two.acquired(), 25)
            assert two.transitions == 1
            assert leases.holder == "two"
    spec = (leases.lease or {})["spec"]
    assert spec["leaseDurationSeconds"] == 1
    assert datetime.strptime(spec["renewTime"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).year > 2000


async def test_wall_clocks_that_jump_by_days_change_no_leader(server: Scripted) -> None:
    leases = Leases(server)
    async with server.client() as client, candidate(client, "one", Jumping(), Terms(30.0, 0.5, 0.05)) as one:
        await one.acquired()
        async with candidate(client, "two", Jumping(), Terms(30.0, 0.5, 0.05)) as two:
            for _ in range(20):
                await asyncio.sleep(0.1)
                assert (one.held(), two.held(), leases.holder) == (True, False, "one")


async def test_a_dead_leader_is_followed_when_its_lease_has_run_out(server: Scripted) -> None:
    """Not before it was not seen to change for its whole duration, whatever its time stamps say."""
    leases = Leases(server)
    spec = {"holderIdentity": "dead", "leaseDurationSeconds": 1, "renewTime": "2001-01-01T00:00:00.000000Z"}
    leases.lease = {"metadata": {"name": "x", "resourceVersion": "7", "labels": {"keep": "me"}}, "spec": spec}
    async with server.client() as client, candidate(client, "next") as following:
        begun = asyncio.get_running_loop().time()
        assert not following.held()
        await asyncio.wait_for(following.acquired(), 60)
        assert asyncio.get_running_loop().time() - begun >= 1.0, "not before"
        assert leases.lease["metadata"]["labels"] == {"keep": "me"}
        assert following.transitions == 1


async def test_a_paused_leader_knows_at_once_that_it_may_not_write(server: Scripted) -> None:
    """By the monotonic clock, before anything else of it ran; two thirds of the duration after its last renewal."""
    Leases(server)
    clock, terms = Paused(), Terms(30.0, 0.1, 0.05)
    async with server.client() as client, candidate(client, "one", clock, terms) as one:
        await one.acquired()
        client.fence = one.held
        clock.ahead += terms.safe + 0.01
        assert not one.held()
        await until(one.held)
        assert one.term == 2  # nobody took it, yet what was decided before may be old


async def test_a_paused_leader_whose_lease_was_taken_does_not_lead(server: Scripted) -> None:
    """It finds the other's name, and writes nothing over it."""
    leases = Leases(server)
    clock = Paused()
    async with server.client() as client, candidate(client, "one", clock) as one:
        await one.acquired()
        assert leases.lease is not None
        leases.version += 1
        leases.lease["spec"]["holderIdentity"] = "other"
        leases.lease["metadata"]["resourceVersion"] = str(leases.version)
        clock.ahead += 5
        lost = asyncio.create_task(one.lost())
        await asyncio.wait_for(lost, 60)
        await asyncio.sleep(0.3)
        assert not one.held()
        assert leases.holder == "other"


async def test_failed_renewals_raise_doubt_and_then_end_the_leadership(server: Scripted) -> None:
    """Still led, with doubt, while nobody else can have taken over; then not; again when the server is back."""
    leases = Leases(server)
    told: list[bool] = []
    async with server.client() as client, candidate(client, "one", terms=Terms(3.0, 0.1, 0.05)) as one:
        one.on_change = told.append
        await one.acquired()
        assert not one.doubt
        leases.fault = web.Response(status=500)
        await until(lambda: one.doubt)
        assert one.held()
        await asyncio.wait_for(one.lost(), 60)
        assert not one.held()
        assert isinstance(one.error, ports.ClusterUnavailable)
        leases.fault = None
        await asyncio.wait_for(one.acquired(), 60)
        assert not one.doubt
        assert one.term == 2
        await until(lambda: told == [True, False, True])
        assert leases.lease is not None
        assert leases.lease["spec"]["leaseTransitions"] == 0


async def test_a_renewal_whose_answer_was_lost_is_no_loss(server: Scripted) -> None:
    """The version moved by our own write: looked at again, found to be ours, held on to."""
    leases = Leases(server)
    async with server.client() as client, candidate(client, "one") as one:
        await one.acquired()
        leases.lost_answers = 1
        await until(lambda: one.doubt)
        await until(lambda: not one.doubt)
        assert one.held()
        assert one.term == 1


async def test_the_stop_of_a_follower_leaves_the_leaders_lease_alone(server: Scripted) -> None:
    """Only what is held is given back."""
    leases = Leases(server)
    async with server.client() as client, candidate(client, "one") as one:
        await one.acquired()
        async with candidate(client, "two"):
            await asyncio.sleep(0.2)
        assert leases.holder == "one"
        assert one.held()


async def test_ten_candidates_and_one_leader(server: Scripted) -> None:
    """At no time two, through ten hand-overs."""
    Leases(server)
    most = 0
    async with server.client() as client:
        each = [LeaseLeadership(client, SystemClock(), "windlass", f"c{n}", terms=FAST) for n in range(10)]
        async with asyncio.TaskGroup() as tasks:
            running = {candidate: tasks.create_task(candidate.run()) for candidate in each}

            async def count() -> None:
                nonlocal most
                while True:
                    most = max(most, sum(candidate.held() for candidate in each))
                    await asyncio.sleep(0.001)

            counting = tasks.create_task(count())
            while running:
                await until(lambda: any(candidate.held() for candidate in running))
                leader = next(candidate for candidate in running if candidate.held())
                running.pop(leader).cancel()
            counting.cancel()
    assert most == 1


@pytest.mark.parametrize(("second", "process"), [(1, 1), (0, 2)])
def test_no_two_processes_have_one_identity(second: int, process: int) -> None:
    """A restart within the same Pod is another candidate."""
    start = datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC)
    assert identity("pod", start, 1) != identity("pod", start.replace(second=second), process)
