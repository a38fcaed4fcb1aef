"""Admission webhooks over https: asked, believed, and what happens when they fail."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from unit.apiserver.conftest import Client
from windlass.devstack.apiserver.server import certificates

MAPS = "/api/v1/namespaces/default/configmaps"
HOOKS = "/apis/admissionregistration.k8s.io/v1"


class Hook:
    """A webhook server: what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], dict[str, Any]] = lambda request: {"allowed": True}
        self.url = ""
        self.ca = b""

    async def serve(self, request: web.Request) -> web.Response:
        review = await request.json()
        self.asked.append(review["request"])
        response = {"uid": review["request"]["uid"], **self.answer(review["request"])}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})

    def configuration(self, **more: Any) -> list[dict[str, Any]]:
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
        config = {"url": self.url, "caBundle": base64.b64encode(self.ca).decode()}
        fixed = {"name": "hook.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"]}
        return [{**fixed, "clientConfig": config, "rules": [rule], "timeoutSeconds": 2, **more}]


@pytest.fixture
async def hook(tmp_path: Path) -> AsyncIterator[Hook]:
    made, found = Hook(), certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    app = web.Application()
    app.router.add_post("/", made.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    made.url, made.ca = f"https://127.0.0.1:{runner.addresses[0][1]}/", found.ca
    yield made
    await runner.cleanup()


@pytest.fixture
async def asking(client: Client) -> AsyncIterator[Client]:
    yield client
    await client.machine.webhooks.close()


async def test_a_mutating_webhook_changes_what_is_stored(asking: Client, hook: Hook) -> None:
    patch = json.dumps([{"op": "add", "path": "/data", "value": {"added": "yes"}}]).encode()
    hook.answer = lambda request: {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
    await asking.make(f"{HOOKS}/mutatingwebhookconfigurations", "m", webhooks=hook.configuration())
    made = await asking.make(MAPS, "a")
    assert made["data"] == {"added": "yes"}
    assert (hook.asked[0]["operation"], hook.asked[0]["userInfo"]["username"]) == ("CREATE", "admin")


async def test_a_validating_webhook_refuses_in_its_own_words(asking: Client, hook: Hook) -> None:
    hook.answer = lambda request: {"allowed": False, "status": {"message": "not today"}}
    await asking.make(f"{HOOKS}/validatingwebhookconfigurations", "v", webhooks=hook.configuration())
    answer = await asking("POST", MAPS, {"metadata": {"name": "a"}})
    words = 'admission webhook "hook.example.com" denied the request: not today'
    assert (answer.code, answer.json["message"]) == (403, words)
    assert (await asking("GET", f"{MAPS}/a")).code == 404


async def test_a_webhook_is_asked_about_what_it_selects_only(asking: Client, hook: Hook) -> None:
    hook.answer = lambda request: {"allowed": False}
    selector = {"matchLabels": {"guarded": "yes"}}
    await asking.make(
        f"{HOOKS}/validatingwebhookconfigurations", "v", webhooks=hook.configuration(objectSelector=selector)
    )
    await asking.make(MAPS, "free")
    refused = await asking("POST", MAPS, {"metadata": {"name": "a", "labels": {"guarded": "yes"}}})
    assert refused.json["message"] == 'admission webhook "hook.example.com" denied the request without explanation'
    assert len(hook.asked) == 1


@pytest.mark.parametrize(("policy", "code"), [("Fail", 500), ("Ignore", 201)])
async def test_the_failure_policy_decides_when_a_webhook_fails(
    asking: Client, hook: Hook, policy: str, code: int
) -> None:
    broken = hook.configuration(failurePolicy=policy, clientConfig={"url": "https://127.0.0.1:1/"})
    await asking.make(f"{HOOKS}/validatingwebhookconfigurations", "v", webhooks=broken)
    answer = await asking("POST", MAPS, {"metadata": {"name": "a"}})
    assert answer.code == code
    if code == 500:
        assert 'failed calling webhook "hook.example.com"' in answer.json["message"]


async def test_a_webhook_that_only_its_service_names_counts_as_failed(asking: Client, hook: Hook) -> None:
    unreachable = hook.configuration(clientConfig={"service": {"name": "s", "namespace": "n"}}, failurePolicy="Fail")
    await asking.make(f"{HOOKS}/validatingwebhookconfigurations", "v", webhooks=unreachable)
    answer = await asking("POST", MAPS, {"metadata": {"name": "a"}})
    assert "use clientConfig.url" in answer.json["message"]


async def test_a_write_that_lost_a_race_while_a_webhook_was_asked_is_done_anew(asking: Client, hook: Hook) -> None:
    await asking.make(MAPS, "a", data={"n": "0"})
    await asking.make(f"{HOOKS}/validatingwebhookconfigurations", "v", webhooks=hook.configuration())
    raced = False

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        nonlocal raced
        if not raced:
            raced = True
            item = asking.machine.store.get("configmaps", "default", "a")
            assert item is not None
            metadata = {**item.obj["metadata"]}
            asking.machine.store.write(
                "configmaps", "default", "a", {**item.obj, "metadata": metadata, "data": {"n": "9"}}
            )
        return {"allowed": True}

    hook.answer = answer
    merged = await asking("PATCH", f"{MAPS}/a", {"data": {"m": "1"}}, kind="application/merge-patch+json")
    assert merged.json["data"] == {"n": "9", "m": "1"}
    assert len(hook.asked) == 2
