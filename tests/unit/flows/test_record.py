"""What is news for the ledger, and what is not: repeats, restarts, plans that a kill left open."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass.adapters.host.clock import SystemClock
from windlass.adapters.ledger import Journal, LedgerWriter
from windlass.core.kinds.application_status import ApplicationStatus
from windlass.core.kinds.conditions import Condition
from windlass.core.model import (
    Action,
    Change,
    Desired,
    Drift,
    DriftCause,
    DriftResponse,
    Health,
    HealthStatus,
    ObjectRef,
    Origin,
    Outcome,
    Plan,
    Result,
    events,
)
from windlass.core.plan.ownership import Claim
from windlass.core.record.private import Private
from windlass.errors import NeedsHuman
from windlass.flows.fleet import ApplicationState, Key
from windlass.flows.metrics import Metrics
from windlass.flows.record import DONE, Recorder

A, B = "a" * 40, "b" * 40
REF = ObjectRef("", "ConfigMap", "shop", "a")


class World:
    """A recorder over a queue in a folder; ``again`` is the same after a start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start()

    def start(self, status: ApplicationStatus | None = None) -> None:
        clock = SystemClock()
        self.record = Recorder(clock, Metrics())
        self.record.attach(LedgerWriter("prod", self.folder, clock), "prod", Private(b"key"))
        self.record.story = self._story
        self.state = ApplicationState(Key("shop", "shop"), Claim.of("shop", "shop"), uid="u")
        self.state.status = status
        self.state.desired[REF] = Desired(REF, "v1", 0, 0, "", Origin("config", A, "a.yaml", 1), b"{}")

    async def _story(self, state: ApplicationState, old: str, new: str) -> list[events.Commit]:
        return [events.Commit(new, "Subject", "ada", "ada@acme.example")]

    async def planned(self, commit: str, action: Action = Action.CREATE) -> Plan:
        plan = Plan("shop/shop", commit, [Change(action, REF, self.state.desired[REF])])
        await self.record.planned(self.state, plan, None)
        return plan

    async def synced(self, commit: str, result: Result = Result.CREATED, word: str = DONE) -> None:
        action = Action.UNCHANGED if result is Result.UNCHANGED else Action.CREATE
        plan = await self.planned(commit, action)
        self.record.applied(self.state, plan, {REF: Outcome(REF, result, "why")}, word)
        self.state.applied_commit = commit

    def told(self) -> list[events.Event]:
        return [events.decode(line) for line in Journal(self.folder / "queue").lines()]

    def kinds(self) -> list[str]:
        return [one.kind for one in self.told()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_sync_is_a_plan_and_its_outcome_and_one_that_does_nothing_is_no_news(world: World) -> None:
    await world.synced(A)
    await world.synced(A, Result.UNCHANGED)
    planned, applied = [one.data for one in world.told()]
    assert isinstance(planned, events.Planned)
    assert isinstance(applied, events.Applied)
    assert (planned.actor, applied.actor, applied.counts) == ("ada", "ada", {"created": 1})


async def test_a_failure_that_is_tried_again_is_told_once(world: World) -> None:
    for _ in range(3):
        await world.synced(A, Result.REFUSED, "partly applied")
    await world.synced(A)
    assert world.kinds() == ["planned", "applied", "applied"]
    assert [one.data.result for one in world.told() if isinstance(one.data, events.Applied)] == ["partly applied", DONE]


async def test_a_plan_that_a_kill_left_open_gets_an_outcome_with_its_commits(world: World) -> None:
    await world.planned(A)
    world.start()
    await world.synced(A, Result.UNCHANGED)
    last = world.told()[-1].data
    assert isinstance(last, events.Applied)
    assert (last.resumed, last.result, last.actor) == (True, DONE, "ada")
    await world.synced(A, Result.UNCHANGED)
    assert world.kinds() == ["planned", "applied"]


async def test_what_was_done_and_not_told_before_a_start_is_told(world: World) -> None:
    plan = await world.planned(A, Action.UNCHANGED)
    world.record.applied(world.state, plan, {REF: Outcome(REF, Result.UNCHANGED)}, DONE, untold=True)
    (told,) = world.told()
    assert isinstance(told.data, events.Applied)
    assert told.data.resumed


async def test_commits_of_a_plan_that_was_given_up_are_not_those_of_the_next(world: World) -> None:
    await world.planned(A)
    plan = Plan("shop/shop", B, [])
    world.record.applied(world.state, plan, {}, DONE)
    last = world.told()[-1].data
    assert isinstance(last, events.Applied)
    assert (last.commit, last.commits) == (B, [])


def test_health_is_told_where_it_is_another_also_over_a_start(world: World) -> None:
    for status in (HealthStatus.UNKNOWN, HealthStatus.MISSING, HealthStatus.PROGRESSING, HealthStatus.HEALTHY):
        world.state.health = Health(status)
        world.record.health(world.state)
        world.record.health(world.state)
    world.start(ApplicationStatus(health="Healthy"))
    world.state.applied_commit = A
    world.state.health = Health(HealthStatus.HEALTHY)
    world.record.health(world.state)
    world.state.health = Health(HealthStatus.DEGRADED, "down")
    world.record.health(world.state)
    told = [one for one in world.told() if isinstance(one.data, events.HealthChanged)]
    assert [one.data.health for one in told] == ["Progressing", "Healthy", "Degraded"]  # type: ignore[attr-defined]
    assert [one.severe for one in told] == [False, False, True]


def test_drift_is_told_as_it_opens_and_as_it_ends_also_over_a_start(world: World) -> None:
    one = Drift(REF, DriftCause.CHANGED, "data.x", DriftResponse.ALERT, desired="a", live="b", manager="kubectl")
    world.state.drift[REF] = [one]
    world.record.drift(world.state, REF)
    world.record.drift(world.state, REF)
    from windlass.core.kinds.application_status import drift_status

    world.start(ApplicationStatus(drift=drift_status([one])))
    assert world.record.told_before(world.state) == [REF]
    world.state.drift[REF] = [one]
    world.record.drift(world.state, REF)
    assert world.kinds() == ["drift"]
    del world.state.drift[REF]
    world.record.drift(world.state, REF)
    assert world.kinds() == ["drift", "drift-closed"]
    world.record.put_back(world.state, [one])
    assert world.kinds() == ["drift", "drift-closed"] * 2
    assert b'"b"' not in b"".join(Journal(world.folder / "queue").lines())


def test_drift_that_went_while_nobody_looked_is_ended_by_the_first_look(world: World) -> None:
    from windlass.core.kinds.application_status import drift_status

    one = Drift(REF, DriftCause.CHANGED, "data.x", DriftResponse.ALERT, desired="a", live="b")
    world.start(ApplicationStatus(drift=drift_status([one])))
    world.record.drift(world.state, ObjectRef("", "ConfigMap", "shop", "other"))
    assert world.kinds() == [], "this object was not looked at yet"
    world.record.drift(world.state, REF)
    assert world.kinds() == ["drift-closed"]


def test_an_error_is_told_once_until_it_is_over_also_over_a_start(world: World) -> None:
    error = NeedsHuman("replicas must be an integer")
    world.record.refused(world.state, error)
    world.record.refused(world.state, error)
    condition = Condition("Ready", "False", "NeedsHuman", "replicas must be an integer (a.yaml:4)", "")
    world.start(ApplicationStatus(conditions=[condition]))
    world.record.refused(world.state, error)
    assert world.kinds() == ["refused"]
    world.record.well(world.state)
    world.record.refused(world.state, error)
    assert world.kinds() == ["refused", "refused"]


def test_a_request_is_told_once_whoever_sees_it_again(world: World) -> None:
    world.record.requested(world.state, "2026-11-28T12:00:00Z ada")
    world.start()
    world.record.requested(world.state, "2026-11-28T12:00:00Z ada")
    world.record.requested(world.state, "2026-11-28T12:00:01Z ada only=Deployment/web")
    assert [one.actor for one in world.told()] == ["ada", "ada"]


async def test_where_no_ledger_is_named_nothing_is_recorded(world: World) -> None:
    world.record.attach(None, "", Private(b""))
    await world.synced(A)
    assert world.kinds() == []
