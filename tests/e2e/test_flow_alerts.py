"""ALERTS: what begins is told to a webhook once, its end too, and a receiver that was away hears of it later."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from e2e.team import Team, config_map, deployment


class Receiver:
    """A webhook's other side. ``status`` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.told: list[dict[str, Any]] = []
        self.ids: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.status == 200:
                    outer.told.append(json.loads(body))
                    outer.ids.append(self.headers["webhook-id"])
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
                """Nothing: the test's output is its own."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def states(self, kind: str) -> list[str]:
        return [one["state"] for one in self.told if one["topic"].split()[1] == kind]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def shop(team: Team, receiver: Receiver) -> Team:
    team.put("v1", "Secret", "on-call", stringData={"token": "a long random text"})
    team.put(
        "windlass.dev/v1alpha1", "Channel", "on-call", spec={"webhook": {"url": receiver.url, "secret": "on-call"}}
    )
    team.repository()
    team.application(health={"timeout": "2s"})
    team.until_synced(team.commit({"shop/web.yaml": deployment("web", replicas=2), "shop/a.yaml": config_map("a")}))
    return team


def alert(team: Team, name: str = "shop", **spec: Any) -> None:
    team.put("windlass.dev/v1alpha1", "Alert", name, spec={"channel": "on-call", **spec})
    team.until(lambda: condition(team, "alerts", name).get("observedGeneration", 0) > 0, "the alert is read")


def condition(team: Team, plural: str, name: str) -> dict[str, Any]:
    found = team.get(f"windlass.dev/v1alpha1/{plural}/{name}") or {}
    conditions = (found.get("status") or {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == "Ready"), {})


def test_a_hand_on_a_live_object_is_told_with_who_and_what_and_its_end_too(shop: Team, receiver: Receiver) -> None:
    alert(shop, events={"kinds": ["drift", "drift-closed"]})
    shop.patch("apps/v1/deployments/web", {"spec": {"replicas": 7}}, manager="kubectl-edit")
    shop.until(lambda: receiver.states("drift") == ["firing", "resolved"], "it is told, and that it is over")
    first = receiver.told[0]
    assert first["line"].startswith("drift Deployment/web spec.replicas 2 -> 7 by kubectl-edit")
    assert first["subject"] == f"{shop.namespace}/shop"
    assert first["next"] == f"windlass diff {shop.namespace}/shop"
    assert condition(shop, "channels", "on-call")["reason"] == "Telling"


def test_a_release_that_does_not_run_is_told_and_its_mend_too(shop: Team, receiver: Receiver) -> None:
    alert(shop, events={"kinds": ["health", "refused", "applied"]}, note="runbook: wiki/shop")
    bad = shop.commit({"shop/web.yaml": deployment("web", "registry.example/crash:1")})
    shop.until_synced(bad, health="Degraded", seconds=40)
    shop.until(lambda: receiver.states("health") == ["firing"], "it is told", 60)
    assert receiver.told[-1]["severe"] is True
    assert receiver.told[-1]["line"].endswith("   runbook: wiki/shop")
    shop.until_synced(shop.commit({"shop/web.yaml": deployment("web", "registry.example/shop:2")}), seconds=40)
    shop.until(lambda: receiver.states("health") == ["firing", "resolved"], "and that it is over", 60)
    shop.commit({"shop/a.yaml": "apiVersion: v1\nkind: ConfigMap\n"})
    shop.until(lambda: receiver.states("sync") == ["firing"], "a bad manifest is told", 60)


def test_a_channel_that_can_not_send_says_what_to_do(shop: Team, receiver: Receiver) -> None:
    shop.put("v1", "Secret", "no-key", stringData={"secret": "under another name"})
    spec = {"webhook": {"url": receiver.url, "secret": "no-key"}}
    shop.put("windlass.dev/v1alpha1", "Channel", "silent", spec=spec)
    alert(shop, channel="silent")
    shop.patch("apps/v1/deployments/web", {"spec": {"replicas": 7}}, manager="somebody")
    said = "the Channel's Secret has no key to sign with; mend: put a long random text into its key token"
    shop.until(lambda: condition(shop, "channels", "silent").get("message") == said, "the Channel says it", 60)
    assert receiver.told == []


def test_a_channel_that_reaches_nobody_says_why_and_shows_nothing_of_its_path(shop: Team) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        spec = {"webhook": {"url": f"http://{address}/T0/s3cret", "secret": "on-call"}}
        shop.put("windlass.dev/v1alpha1", "Channel", "away", spec=spec)
        alert(shop, channel="away")
        shop.patch("apps/v1/deployments/web", {"spec": {"replicas": 7}}, manager="somebody")
        said = (
            f"http://{address} can't be reached: nothing listens on port {address.partition(':')[2]} "
            "(spec.webhook.url); mend: does it run, and is that its port?"
        )
        shop.until(lambda: condition(shop, "channels", "away").get("message") == said, "the Channel says it", 60)


def test_a_receiver_that_was_away_hears_of_it_afterwards(shop: Team, receiver: Receiver) -> None:
    receiver.status = 503
    alert(shop, events={"kinds": ["drift", "drift-closed"]})
    shop.patch("apps/v1/deployments/web", {"spec": {"replicas": 7}})
    shop.until(lambda: condition(shop, "channels", "on-call").get("reason") == "RemoteUnavailable", "it is told")
    receiver.status = 200
    shop.until(lambda: receiver.states("drift") == ["firing", "resolved"], "both come, in order", 60)
    shop.until(lambda: condition(shop, "channels", "on-call").get("reason") == "Telling", "it is well again")


def test_an_alert_hears_nothing_of_other_namespaces_and_of_what_it_does_not_ask_for(
    shop: Team, receiver: Receiver
) -> None:
    alert(shop, "picky", events={"kinds": ["drift"], "when": 'event.data.field == "spec.paused"'})
    alert(shop, "broken", events={"when": "event.data.nothing.here"})
    shop.patch("apps/v1/deployments/web", {"spec": {"replicas": 7}})
    shop.until(lambda: condition(shop, "alerts", "broken").get("reason") == "BadAlert", "its mistake is told")
    assert receiver.told == []
