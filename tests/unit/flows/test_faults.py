"""Faults in the middle of a flow's step: what others share, what was made anew, what Git no longer wants."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest

from windlass.adapters.host.clock import SystemClock
from windlass.adapters.host.tracing import NoTracer
from windlass.core.model import Action, Change, Desired, LiveObject, ObjectRef, Origin, Resource, Result
from windlass.core.plan.ownership import Claim
from windlass.errors import TryLater
from windlass.flows.drift import DriftFlow
from windlass.flows.effects import Acting, Effects
from windlass.flows.fleet import ApplicationState, Fleet, Key
from windlass.flows.inventory import Inventory
from windlass.flows.metrics import Metrics
from windlass.flows.record import Recorder
from windlass.ports import ApplyAnswer, ApplyRequest, Cluster, KindUnknown, WriteConflict

MAPS = Resource("", "v1", "configmaps", "ConfigMap", True)
REF = ObjectRef("", "ConfigMap", "shop", "a")
CLAIM = Claim.of("shop", "web")
ACTING = Acting("shop/web", CLAIM.label, CLAIM.manager, "")


def desired(digest: str = "d1") -> Desired:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}}
    return Desired(REF, "v1", 0, 0, digest, Origin("config", "a.yaml", 1), msgspec.json.encode(body))


def live(uid: str, version: str = "1") -> LiveObject:
    return LiveObject(REF, "v1", uid, version, 0, "", False, {}, {}, None, ())


class OneMap:
    """A cluster with one ConfigMap, that somebody deleted and made anew between the plan and the write."""

    def __init__(self) -> None:
        self.applied: list[str] = []
        self.wrong: BaseException | None = None
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.live = self

    async def resource(self, api_version: str, kind: str) -> Resource:
        if isinstance(self.wrong, KindUnknown):
            raise self.wrong
        return MAPS

    async def watch(self, resource: Resource) -> None: ...

    def synced(self, group: str, kind: str) -> bool:
        return False

    def get(self, ref: ObjectRef) -> LiveObject | None:
        return None

    def observed(self, live: LiveObject) -> None: ...

    async def look(self, resource: Resource, ref: ObjectRef) -> LiveObject:
        return live("theirs")

    async def apply(self, request: ApplyRequest) -> ApplyAnswer:
        self.applied.append(request.uid)
        if request.uid != "theirs":
            raise WriteConflict("the uid is another one")
        return ApplyAnswer(False, live("theirs"), {})

    async def survey(self, resource: Resource) -> dict[ObjectRef, LiveObject]:
        self.asked.set()
        await self.go.wait()
        assert self.wrong is not None
        raise self.wrong

    def trouble(self, group: str, kind: str) -> None: ...


class Deaf:
    def begin(self, label: str, ref: ObjectRef) -> None: ...

    def ended(self, label: str, ref: ObjectRef) -> None: ...

    def settled(self, *about: Any) -> None: ...


async def test_what_others_made_under_the_name_in_the_meantime_is_not_taken() -> None:
    cluster = OneMap()
    effects = Effects(cast(Cluster, cluster), SystemClock(), Deaf(), Metrics(), NoTracer())
    change = Change(Action.CONFIGURE, REF, desired(), live("ours"))
    outcome = await effects.one(ACTING, change)
    assert cluster.applied == ["ours"], "nobody decided on the other object"
    assert (outcome.result, outcome.retry) == (Result.FAILED, True), "the next plan looks whose it is"


@pytest.mark.parametrize("trouble", [KeyError("a bug"), asyncio.CancelledError()])
async def test_who_shares_a_list_that_fails_is_not_cancelled(trouble: BaseException) -> None:
    cluster = OneMap()
    cluster.wrong = trouble
    inventory = Inventory(cast(Cluster, cluster))
    served = {("v1", "ConfigMap"): MAPS}
    one = asyncio.ensure_future(inventory.look_up([REF], served, since=0.0))
    await cluster.asked.wait()
    other = asyncio.ensure_future(inventory.look_up([REF], served, since=0.0))
    await asyncio.sleep(0)
    cluster.go.set()
    results = await asyncio.gather(one, other, return_exceptions=True)
    assert type(results[0]) is type(trouble)
    assert not isinstance(results[1], asyncio.CancelledError), "a worker that is cancelled is never started again"


@pytest.mark.parametrize("partial", [True, False])
async def test_an_application_does_not_end_while_a_kind_can_not_be_seen(partial: bool) -> None:
    cluster = OneMap()
    inventory = Inventory(cast(Cluster, cluster))
    inventory.restore(["v1/ConfigMap"])
    with pytest.raises(TryLater, match="not listed yet"):
        await inventory.all_seen()
    unknown = KindUnknown("its group does not answer")
    unknown.partial = partial
    cluster.wrong = unknown
    if partial:
        with pytest.raises(KindUnknown):
            await inventory.all_seen()
    else:
        await inventory.all_seen()


class Silent:
    def assess(self, *about: Any) -> None: ...

    def changed(self, *about: Any) -> None: ...


async def test_a_write_that_git_no_longer_wants_is_looked_at_again() -> None:
    fleet, woken = Fleet(), list[Key]()
    cluster = cast(Cluster, OneMap())
    silent = cast(Any, Silent())
    drift = DriftFlow(
        fleet,
        cluster,
        SystemClock(),
        silent,
        silent,
        Metrics(),
        wake=woken.append,
        record=Recorder(SystemClock(), Metrics()),
    )
    state = ApplicationState(Key("shop", "web"), CLAIM)
    fleet.add(state)
    state.desired = {REF: desired("d1")}
    drift.settled(ACTING, desired("d1"), ApplyAnswer(False, live("u", "2"), {}), [])
    assert woken == []
    state.desired = {REF: desired("d2")}
    drift.settled(ACTING, desired("d1"), ApplyAnswer(False, live("u", "3"), {}), [])
    assert woken == [state.key], "what was reverted is of the commit before"
    state.desired = {}
    drift.settled(ACTING, desired("d1"), ApplyAnswer(True, live("u", "4"), {}), [])
    assert len(woken) == 2, "what left Git was made again"


class Recording(OneMap):
    """Keeps what is written on the Installation."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[list[str]] = []

    async def patch(self, resource: Resource, ref: ObjectRef, patch: Any, **how: Any) -> None:
        self.kinds.append(patch["status"]["kinds"])


async def test_an_installation_that_was_made_anew_gets_all_kinds_again() -> None:
    cluster = Recording()
    inventory = Inventory(cast(Cluster, cluster))
    inventory.restore(["apps/v1/Deployment", "v1/ConfigMap"])
    await inventory.record_and_watch({("v1", "ConfigMap"): MAPS})
    assert cluster.kinds == [], "nothing new"
    inventory.restore([])
    await inventory.record_and_watch({("v1", "ConfigMap"): MAPS})
    assert cluster.kinds == [["apps/v1/Deployment", "v1/ConfigMap"]]
