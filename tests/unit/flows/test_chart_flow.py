"""Charts that Applications name: who asks for them and when, and what becomes of an answer that does not come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from windlass.core.kinds import application
from windlass.core.plan.ownership import Claim
from windlass.errors import NeedsHuman, TryLater, WindlassError
from windlass.flows.charts import ChartFlow, ChartPending
from windlass.flows.fleet import ApplicationState, Fleet, Key
from windlass.ports import ChartFound, ChartUnverified, ChartWanted

KEY = Key("team", "web")


class Offered:
    """A port that answers what a test says."""

    def __init__(self) -> None:
        self.answer: ChartFound | WindlassError = ChartFound("web", "1.0.0", "sha256:1", "/1.tgz")
        self.asked: list[tuple[ChartWanted, dict[str, bytes]]] = []
        self.keyrings: list[list[bytes] | None] = []
        self.here = True

    async def resolve(
        self,
        wanted: ChartWanted,
        secret: Mapping[str, bytes],
        *,
        fresh: float,
        keyring: Sequence[bytes] | None = None,
    ) -> ChartFound:
        self.asked.append((wanted, dict(secret)))
        self.keyrings.append(list(keyring) if keyring is not None else None)
        if isinstance(self.answer, WindlassError):
            raise self.answer
        return self.answer

    async def holds(self, found: ChartFound) -> bool:
        return self.here


class Secrets:
    """A cluster that has one Secret, and remembers who read it."""

    def __init__(self) -> None:
        self.readers: list[str] = []

    async def read(self, resource: Any, ref: Any, *, user: str = "") -> dict[str, Any] | None:
        self.readers.append(user)
        held = {
            "login": {"data": {"username": "YWRh", "password": "cHc="}},
            "signers": {"data": {"a.asc": "YWRh", "b.asc": "YmVu"}},
            "texts": {"data": {"a.asc": "ada"}, "binaryData": {"b.gpg": "YmVu"}},
        }
        return held.get(ref.name)


class Clock:
    def monotonic(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC)


class World:
    def __init__(self, **chart: Any) -> None:
        self.fleet, self.charts, self.cluster = Fleet(), Offered(), Secrets()
        self.woken: list[Key] = []
        self.told: list[ApplicationState] = []
        self.flow = ChartFlow(
            self.fleet,
            self.cluster,
            self.charts,
            Clock(),
            wake=self.woken.append,
            told=self.told.append,  # type: ignore[arg-type]
            fetch=True,
        )
        self.state = ApplicationState(KEY, Claim("team/web", "team.web", "windlass-team.web"))
        self.fleet.add(self.state)
        self.write(**chart)

    def write(self, **chart: Any) -> None:
        spec = {"repository": "https://charts.example.com", "name": "web", "version": "1.x", **chart}
        content = {
            "apiVersion": "windlass.dev/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "web", "namespace": "team"},
            "spec": {"source": {"repository": "config", "chart": spec}, "serviceAccount": "web"},
        }
        self.state.written = application.decode(content)

    async def found(self) -> ChartFound | None:
        assert self.state.written is not None
        return await self.flow.found(self.state, self.state.written)


async def test_a_sync_asks_nobody_and_is_woken_when_the_chart_is_there() -> None:
    world = World()
    with pytest.raises(ChartPending):
        await world.found()
    assert world.charts.asked == []
    assert await world.flow.queue.take() == KEY
    await world.flow.look(KEY)
    assert world.woken == [KEY]
    assert await world.found() == world.charts.answer
    assert len(world.charts.asked) == 1
    world.flow.queue.close()


async def test_a_newer_chart_wakes_and_the_same_one_does_not() -> None:
    world = World()
    await world.flow.look(KEY)
    world.woken.clear()
    await world.flow.look(KEY)
    assert world.woken == []
    world.charts.answer = ChartFound("web", "1.1.0", "sha256:2", "/2.tgz")
    await world.flow.look(KEY)
    assert world.woken == [KEY]
    assert (await world.found()) == world.charts.answer
    world.flow.queue.close()


async def test_what_was_found_stays_while_nothing_newer_can_be_looked_for() -> None:
    world = World()
    before = world.charts.answer
    await world.flow.look(KEY)
    world.woken.clear()
    world.charts.answer = TryLater("the repository is away")
    await world.flow.look(KEY)
    assert await world.found() == before
    assert world.woken == []
    assert world.told == [world.state], "its messages say so"
    # A chart that is named anew is not the one that was found.
    world.write(version="2.x")
    with pytest.raises(ChartPending):
        await world.found()
    await world.flow.look(KEY)
    with pytest.raises(TryLater, match="the repository is away"):
        await world.found()
    world.flow.queue.close()


async def test_what_is_wrong_is_told_and_asked_again_by_itself() -> None:
    world = World()
    world.charts.answer = NeedsHuman("no such chart")
    await world.flow.look(KEY)
    assert world.woken == [KEY]
    for _ in range(3):
        with pytest.raises(NeedsHuman, match="no such chart"):
            await world.found()
    assert len(world.charts.asked) == 1, "a sync that is tried again asks nobody"
    assert world.flow.queue.failures(KEY) == 1
    world.charts.answer = ChartFound("web", "1.0.0", "sha256:1", "/1.tgz")
    await world.flow.look(KEY)
    assert await world.found() == world.charts.answer
    world.flow.queue.close()


async def test_an_archive_that_was_lost_is_fetched_again() -> None:
    world = World()
    await world.flow.look(KEY)
    world.charts.here = False
    with pytest.raises(ChartPending) as pending:
        await world.found()
    world.state.waiting = pending.value
    world.woken.clear()
    world.charts.here = True
    await world.flow.look(KEY)
    assert world.woken == [KEY]
    world.flow.queue.close()


async def test_a_secret_is_read_in_the_applications_own_name_and_again_when_it_was_refused() -> None:
    world = World(secret="login")
    await world.flow.look(KEY)
    assert world.cluster.readers == ["system:serviceaccount:team:web"]
    assert world.charts.asked[-1][1] == {"username": b"ada", "password": b"pw"}
    await world.flow.look(KEY)
    assert len(world.cluster.readers) == 1
    world.charts.answer = NeedsHuman("denied")
    await world.flow.look(KEY)
    await world.flow.look(KEY)
    assert len(world.cluster.readers) == 2
    world.write(secret="other")
    await world.flow.look(KEY)
    with pytest.raises(NeedsHuman, match="Secret other is not in namespace team"):
        await world.found()
    world.flow.queue.close()


@pytest.mark.parametrize(
    ("keyring", "files"),
    [
        ({"secret": "signers"}, [b"ada", b"ben"]),
        ({"secret": "signers", "key": "b.asc"}, [b"ben"]),
        ({"configMap": "texts"}, [b"ada", b"ben"]),
    ],
)
async def test_a_keyring_is_read_in_the_name_of_the_application_at_each_look(
    keyring: dict[str, str], files: list[bytes]
) -> None:
    world = World(verify={"keyring": keyring})
    await world.flow.look(KEY)
    await world.flow.look(KEY)
    assert world.charts.keyrings == [files, files]
    assert world.cluster.readers == ["system:serviceaccount:team:web"] * 2
    assert await world.found() == world.charts.answer


@pytest.mark.parametrize("keyring", [{"secret": "none"}, {"secret": "signers", "key": "c.asc"}])
async def test_without_a_keyring_nothing_is_taken(keyring: dict[str, str]) -> None:
    world = World(verify={"keyring": keyring})
    await world.flow.look(KEY)
    assert world.charts.asked == []
    with pytest.raises(ChartUnverified) as raised:
        await world.found()
    assert raised.value.hint


async def test_a_chart_that_nobody_vouches_for_any_more_is_rendered_no_more_and_one_out_of_reach_is() -> None:
    world = World(verify={"keyring": {"secret": "signers"}})
    await world.flow.look(KEY)
    good = await world.found()
    world.charts.answer = TryLater("not reached")
    await world.flow.look(KEY)
    assert await world.found() == good
    world.woken.clear()
    world.charts.answer = ChartUnverified("the key is revoked", hint="sign it anew")
    await world.flow.look(KEY)
    assert world.woken == [KEY]
    with pytest.raises(ChartUnverified, match="the key is revoked"):
        await world.found()
    world.charts.answer = ChartFound("web", "1.0.1", "sha256:2", "/2.tgz", "ABCD")
    await world.flow.look(KEY)
    assert await world.found() == world.charts.answer


WANTS = [("https://charts.example.com", "db", "1.2.0")]


@pytest.mark.parametrize(
    ("chart", "keyring"), [({"verify": {"keyring": {"secret": "signers"}}}, [b"ada", b"ben"]), ({}, None)]
)
async def test_who_vouches_for_a_chart_has_to_vouch_for_what_it_wants_too(
    chart: dict[str, Any], keyring: list[bytes] | None
) -> None:
    world = World(**chart)
    assert world.state.written is not None
    found = await world.flow.dependencies(world.state, world.state.written, WANTS)
    assert found == {ChartWanted(*WANTS[0]): world.charts.answer}
    assert world.charts.keyrings == [keyring]


async def test_a_dependency_that_nobody_vouches_for_is_told_by_its_name() -> None:
    world = World(verify={"keyring": {"secret": "signers"}})
    world.charts.answer = ChartUnverified("there is no provenance", hint="sign it")
    assert world.state.written is not None
    with pytest.raises(ChartUnverified, match=r"there is no provenance \(the dependency db\)"):
        await world.flow.dependencies(world.state, world.state.written, WANTS)
