"""The webhook for Alertmanager: a token, bounds, and each alert once."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from windlass.adapters.host.clock import SystemClock
from windlass.adapters.ledger import Journal, LedgerWriter
from windlass.core.kinds import installation
from windlass.core.model import Desired, ObjectRef, Origin, events
from windlass.core.plan.ownership import Claim
from windlass.core.record.private import Private
from windlass.flows.alarms import Alarms
from windlass.flows.fleet import ApplicationState, Fleet, Key
from windlass.flows.metrics import Metrics
from windlass.flows.record import Recorder
from windlass.flows.secrets import SecretReader


class OneSecret:
    """A cluster that holds one Secret."""

    token = "right"

    async def read(self, resource: Any, ref: Any, **_: Any) -> dict[str, Any]:
        assert (ref.namespace, ref.name) == ("windlass-system", "alarms")
        return {"data": {"token": base64.b64encode(self.token.encode()).decode()}}


class World:
    def __init__(self, folder: Path, *, alerts: bool = True) -> None:
        self.fleet, self.folder = Fleet(), folder
        ledger: dict[str, Any] = {"repository": "ledger"}
        if alerts:
            ledger["alerts"] = {"secret": "alarms"}
        self.fleet.installation = installation.decode(
            {
                "apiVersion": "windlass.dev/v1alpha1",
                "kind": "Installation",
                "metadata": {"name": "windlass"},
                "spec": {"name": "prod", "ledger": ledger},
            }
        )
        self.cluster = OneSecret()
        clock = SystemClock()
        record = Recorder(clock, Metrics())
        record.attach(LedgerWriter("prod", folder, clock), "prod", Private(b"key"))
        self.alarms = Alarms(self.fleet, SecretReader(self.cluster, clock), record)  # type: ignore[arg-type]

    async def send(self, body: Any, token: str = "right") -> int:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return (await self.alarms.receive(headers, raw)).status

    def told(self) -> list[events.Event]:
        return [events.decode(line) for line in Journal(self.folder / "queue").lines()]


def alert(status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "ShopDown", **labels},
        "annotations": {"summary": "shop is down", "description": "token=planted-secret"},
        "startsAt": "2026-11-28T14:00:00Z",
        "endsAt": "2026-11-28T14:05:00Z",
        "generatorURL": "http://169.254.169.254/",
        "fingerprint": "abc" + labels.get("pod", ""),
    }


async def test_an_alert_is_recorded_once_as_it_fires_and_once_as_it_ends(tmp_path: Path) -> None:
    world = World(tmp_path)
    for _ in range(3):
        assert await world.send({"version": "4", "alerts": [alert()]}) == 200
    assert await world.send({"version": "4", "alerts": [alert("resolved")]}) == 200
    found = world.told()
    assert [one.data.status for one in found if isinstance(one.data, events.Alerted)] == ["firing", "resolved"]
    assert all(one.severe for one in found)
    raw = b"".join(Journal(tmp_path / "queue").lines())
    assert b"shop is down" in raw
    assert b"planted-secret" not in raw
    assert b"169.254" not in raw


@pytest.mark.parametrize("token", ["", "wrong", "Right", "right2"])
async def test_without_the_token_nothing_is_taken(tmp_path: Path, token: str) -> None:
    world = World(tmp_path)
    assert await world.send({"alerts": [alert()]}, token) == 403
    assert world.told() == []


async def test_where_no_secret_is_named_nothing_is_taken(tmp_path: Path) -> None:
    world = World(tmp_path, alerts=False)
    assert await world.send({"alerts": [alert()]}) == 403


async def test_a_token_that_was_rotated_works_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert await world.send({"alerts": []}) == 200
    world.cluster.token = "next"
    world.alarms._secrets._hooked.clear()  # a while later
    assert await world.send({"alerts": []}, "next") == 200
    assert await world.send({"alerts": []}, "right") == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b"\xff" * 10, 400),
        ({"alerts": {"a": 1}}, 400),
        ({"alerts": [{"labels": {}}]}, 400),
        ({"alerts": [alert()] * 501}, 413),
        (b"[" * 100_000, 400),
        (b" " * ((1 << 20) + 1), 413),
    ],
)
async def test_what_alertmanager_does_not_send_is_refused(tmp_path: Path, body: Any, status: int) -> None:
    world = World(tmp_path)
    assert await world.send(body) == status
    assert world.told() == []


async def test_an_alert_is_told_of_the_application_that_its_labels_name(tmp_path: Path) -> None:
    world = World(tmp_path)
    state = ApplicationState(Key("shop", "shop"), Claim.of("shop", "shop"))
    ref = ObjectRef("apps", "Deployment", "shop", "web")
    state.desired[ref] = Desired(ref, "apps/v1", 0, 0, "", Origin("config", "c", "a.yaml"), b"{}")
    world.fleet.add(state)
    for labels in (
        {"application": "shop/shop", "pod": "1"},
        {"application": "shop", "namespace": "shop", "pod": "2"},
        {"deployment": "web", "namespace": "shop", "pod": "3"},
        {"pod": "web-7d9c-x2x", "namespace": "shop"},
        {"pod": "api-7d9c-x2x", "namespace": "shop"},
    ):
        await world.send({"alerts": [alert(**labels)]})
    assert [one.subject for one in world.told()] == ["shop/shop"] * 4 + [""]
