"""What is asked of a registry about images, how often, and what is believed of its answers."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from unit.ociserver.test_protocol import EMPTY, INDEX, MANIFEST, Client, digest, manifest_of
from windlass.adapters.host.clock import SystemClock
from windlass.adapters.host.http import Http, RemoteUnavailable
from windlass.adapters.registry.budget import Budget
from windlass.adapters.registry.client import RegistryDenied, RegistryMissing
from windlass.adapters.registry.images import ImageStore
from windlass.devstack.ociserver import Login, OciServer
from windlass.ports import ImageWanted

LOGIN = {"username": b"ada", "password": b"s3cret"}


class Counted:
    """The devstack's registry, with every request noted as it passes."""

    def __init__(self, root: Path, login: Login | None = None) -> None:
        self.server = OciServer(str(root), login=login)
        self.asked: list[str] = []
        self._app = self.server.app
        self.server.app = self.app  # type: ignore[method-assign]

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.asked.append(f"{scope['method']} {scope['path']} {message['status']}")
            await send(message)

        await self._app(scope, receive, noted)


@asynccontextmanager
async def registry(
    root: Path, login: Login | None = None
) -> AsyncIterator[tuple[Counted, Client, ImageStore, ImageWanted]]:
    counted = Counted(root, login)
    given = base64.b64encode(f"ada:{login.token}".encode()).decode() if login else ""
    async with (
        counted.server.serve() as url,
        aiohttp.ClientSession(headers={"Authorization": f"Basic {given}"} if given else {}) as session,
        Http(local=True) as http,
    ):
        host = url.removeprefix("http://")
        yield counted, Client(session, url), ImageStore(http, SystemClock()), ImageWanted(host, "acme/shop", plain=True)


async def push(client: Client, tag: str, **config: Any) -> str:
    """An image with this configuration. Returns its digest."""
    content = json.dumps(config).encode()
    for blob in (content, b"layer"):
        await client.push_blob("acme/shop", blob)
    manifest = json.dumps(manifest_of(content, b"layer")).encode()
    await client.ask("PUT", f"/v2/acme/shop/manifests/{tag}", manifest, Content_Type=MANIFEST)
    return digest(manifest)


async def test_tags_are_asked_for_once_for_all_and_conditionally_afterwards(tmp_path: Path) -> None:
    async with registry(tmp_path) as (counted, client, images, image):
        await push(client, "1.4.1")
        counted.asked.clear()
        found = await asyncio.gather(*(images.tags(image, {}, fresh=60) for _ in range(5)))
        assert [list(one) for one in found] == [["1.4.1"]] * 5
        assert await images.tags(image, {}, fresh=0) == ["1.4.1"]
        assert counted.asked == ["GET /v2/acme/shop/tags/list 200", "GET /v2/acme/shop/tags/list 304"]
        await push(client, "1.4.2")
        assert await images.tags(image, {}, fresh=0) == ["1.4.1", "1.4.2"]


async def test_a_digest_costs_one_head_and_is_kept_as_long_as_the_caller_says(tmp_path: Path) -> None:
    async with registry(tmp_path) as (counted, client, images, image):
        first = await push(client, "stable")
        counted.asked.clear()
        assert await images.digest(image, "stable", {}, fresh=60) == first
        assert await images.digest(image, "stable", {}, fresh=60) == first
        assert counted.asked == ["HEAD /v2/acme/shop/manifests/stable 200"]
        second = await push(client, "stable", created="2026-01-01T00:00:00Z")
        assert await images.digest(image, "stable", {}, fresh=0) == second != first


async def test_an_image_says_when_it_was_built_for_what_and_from_which_commit(tmp_path: Path) -> None:
    labels = {"org.opencontainers.image.revision": "3f2c1ab"}
    async with registry(tmp_path) as (counted, client, images, image):
        made = await push(
            client, "1", created="2026-11-01T08:00:00.123456789Z", os="linux", architecture="amd64",
            config={"Labels": labels},
        )  # fmt: skip
        facts = await images.facts(image, "1", {})
        assert facts.digest == made
        assert facts.created == datetime(2026, 11, 1, 8, 0, 0, 123456, tzinfo=UTC)
        assert facts.labels == labels
        assert facts.platforms == ("linux/amd64",)
        counted.asked.clear()
        assert await images.facts(image, "1", {}) == facts
        # What hangs on the digest is not asked for again.
        assert counted.asked == ["GET /v2/acme/shop/manifests/1 200"]


async def test_an_index_tells_its_platforms_and_the_facts_of_the_one_that_is_wanted(tmp_path: Path) -> None:
    async with registry(tmp_path) as (_, client, images, image):
        children = []
        for architecture, day in (("amd64", 1), ("arm64", 2)):
            child = await push(
                client, architecture, created=f"2026-11-0{day}T00:00:00Z", os="linux", architecture=architecture
            )
            variant = {"variant": "v8"} if architecture == "arm64" else {}
            children.append(
                {
                    "mediaType": MANIFEST,
                    "digest": child,
                    "size": 1,
                    "platform": {"os": "linux", "architecture": architecture, **variant},
                }
            )
        children.append(
            {
                "mediaType": MANIFEST,
                "digest": children[0]["digest"],
                "size": 1,
                "platform": {"os": "unknown", "architecture": "unknown"},
            }
        )
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).encode()
        await client.ask("PUT", "/v2/acme/shop/manifests/both", index, Content_Type=INDEX)
        facts = await images.facts(image, "both", {}, platform="linux/arm64")
        assert facts.platforms == ("linux/amd64", "linux/arm64/v8")
        assert facts.created is not None
        assert facts.created.day == 2
        assert facts.digest == digest(index)
        missing = await images.facts(image, "both", {}, platform="windows/amd64")
        assert (missing.created, missing.platforms) == (None, ("linux/amd64", "linux/arm64/v8"))


@pytest.mark.parametrize("service", [False, True])
async def test_a_login_is_used_as_the_registry_asks_for_it(tmp_path: Path, service: bool) -> None:
    async with registry(tmp_path, Login("s3cret", service=service)) as (counted, client, images, image):
        if not service:
            await push(client, "1")
            assert await images.tags(image, LOGIN, fresh=0) == ["1"]
            docker = {"auths": {image.registry: {"auth": base64.b64encode(b"ada:s3cret").decode()}}}
            secret = {".dockerconfigjson": json.dumps(docker).encode()}
            assert await images.tags(image, secret, fresh=0) == ["1"]
        else:
            with pytest.raises(RegistryMissing):
                await images.tags(image, LOGIN, fresh=0)
            assert "GET /token 200" in counted.asked
            counted.asked.clear()
            with pytest.raises(RegistryMissing):
                await images.tags(image, LOGIN, fresh=0)
            # The token is good for a while.
            assert counted.asked == ["GET /v2/acme/shop/tags/list 404"]
        with pytest.raises(RegistryDenied):
            await images.tags(image, {"username": b"ada", "password": b"wrong"}, fresh=0)
        with pytest.raises(RegistryDenied):
            await images.tags(image, {}, fresh=0)


async def test_referrers_are_found_by_the_api_and_by_the_tag_that_stands_in_for_it(tmp_path: Path) -> None:
    async with registry(tmp_path) as (counted, client, images, image):
        made = await push(client, "1")
        assert await images.signatures(image, made, {}) == []
        config = await client.push_blob("acme/shop", b"{}")
        bundle = b'{"bundle": 1}'
        layer = await client.push_blob("acme/shop", bundle)
        artifact = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "config": {"mediaType": EMPTY, "digest": config, "size": 2},
                "layers": [
                    {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "digest": layer, "size": len(bundle)}
                ],
                "subject": {"mediaType": MANIFEST, "digest": made, "size": 1},
            }
        ).encode()
        await client.ask("PUT", f"/v2/acme/shop/manifests/{digest(artifact)}", artifact, Content_Type=MANIFEST)
        found = await images.signatures(image, made, {})
        assert [(one.form, one.payload) for one in found] == [("bundle", bundle)]
        # A registry without the API: the client keeps the list under a tag.
        index = {
            "schemaVersion": 2,
            "manifests": [{"mediaType": MANIFEST, "digest": digest(artifact), "size": len(artifact)}],
        }
        await client.ask(
            "PUT", f"/v2/acme/shop/manifests/{made.replace(':', '-')}", json.dumps(index).encode(), Content_Type=INDEX
        )
        counted.server._routes = lambda: {  # type: ignore[method-assign]
            key: route for key, route in OciServer._routes(counted.server).items() if key[0] != "referrers"
        }
        assert [one.payload for one in await images.signatures(image, made, {})] == [bundle]


@asynccontextmanager
async def answering(*answers: web.Response) -> AsyncIterator[tuple[ImageStore, ImageWanted, list[str]]]:
    asked: list[str] = []
    left = list(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        given = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=given.status, body=given.body, headers=given.headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        async with Http(local=True) as http:
            yield ImageStore(http, SystemClock()), ImageWanted(f"{host}:{port}", "acme/shop", plain=True), asked
    finally:
        await runner.cleanup()


async def test_a_registry_that_asks_to_be_left_alone_is_left_alone_by_all() -> None:
    busy = web.Response(status=429, headers={"Retry-After": "30"})
    async with answering(busy) as (images, image, asked):
        with pytest.raises(RemoteUnavailable) as caught:
            await images.tags(image, {}, fresh=0)
        assert caught.value.after == 30
        with pytest.raises(RemoteUnavailable) as caught:
            await images.digest(image._replace(repository="other"), "1", {}, fresh=0)
        assert 25 < caught.value.after <= 30
        assert len(asked) == 1


async def test_a_next_page_that_leads_elsewhere_is_not_followed() -> None:
    page = web.Response(body=b'{"tags": ["1"]}', headers={"Link": '</v2/secret/tags/list?last=1>; rel="next"'})
    async with answering(page) as (images, image, asked):
        with pytest.raises(Exception, match="leads to another place"):
            await images.tags(image, {}, fresh=0)
        assert len(asked) == 1


async def test_tags_that_no_registry_may_have_are_left_out() -> None:
    body = json.dumps({"tags": ["1.4", "../../etc", "a b", "x" * 200, "-v"]}).encode()
    async with answering(web.Response(body=body)) as (images, image, _):
        assert await images.tags(image, {}, fresh=0) == ["1.4"]


async def test_who_asks_for_much_waits_behind_itself_and_not_in_front_of_others() -> None:
    budget = Budget(SystemClock(), "registry.example.com", at_once=1)
    order: list[str] = []

    async def ask(who: str) -> None:
        async with budget.turn(who):
            order.append(who)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        for who in ["big"] * 10 + ["small"] * 2:
            tasks.create_task(ask(who))
    assert order[:5] == ["big", "big", "small", "big", "small"]


async def test_a_turn_that_is_given_up_is_handed_on() -> None:
    budget = Budget(SystemClock(), "registry.example.com", at_once=1)

    async def hold() -> None:
        async with budget.turn("a"):
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hold())
        await asyncio.sleep(0)
        given_up = tasks.create_task(hold())
        last = tasks.create_task(hold())
        await asyncio.sleep(0)
        given_up.cancel()
    assert last.done()
    async with asyncio.timeout(60), budget.turn("b"):
        assert given_up.cancelled()


async def test_a_time_outside_of_the_years_that_there_are_is_none(tmp_path: Path) -> None:
    async with registry(tmp_path) as (_, client, images, image):
        for number, created in enumerate(("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59")):
            await push(client, f"v{number}", created=created, os="linux", architecture="amd64")
            assert (await images.facts(image, f"v{number}", {})).created is None


async def test_a_signature_that_is_no_base64_is_passed_over(tmp_path: Path) -> None:
    async with registry(tmp_path) as (_, client, images, image):
        made = await push(client, "v1", os="linux")
        await client.push_blob("acme/shop", b"{}")
        layer = {
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            "digest": digest(b"{}"),
            "size": 2,
            "annotations": {"dev.cosignproject.cosign/signature": "\u00e9"},
        }
        beside = json.dumps({**manifest_of(b"{}", b"{}"), "layers": [layer]}).encode()
        tag = f"{made.replace(':', '-')}.sig"
        await client.ask("PUT", f"/v2/acme/shop/manifests/{tag}", beside, Content_Type=MANIFEST)
        assert await images.signatures(image, made, {}) == []


async def test_what_cosign_keeps_beside_an_image_comes_with_its_certificate_and_log_entry(tmp_path: Path) -> None:
    async with registry(tmp_path) as (_, client, images, image):
        made = await push(client, "1")
        config, payload = b"{}", b"a payload"
        for blob in (config, payload):
            await client.push_blob("acme/shop", blob)
        manifest = manifest_of(config, payload)
        manifest["layers"][0] |= {
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            "annotations": {
                "dev.cosignproject.cosign/signature": base64.b64encode(b"signed").decode(),
                "dev.sigstore.cosign/certificate": "a certificate",
                "dev.sigstore.cosign/bundle": "an entry",
                "dev.sigstore.cosign/chain": "never read",
            },
        }
        tag = made.replace(":", "-") + ".sig"
        await client.ask("PUT", f"/v2/acme/shop/manifests/{tag}", json.dumps(manifest).encode(), Content_Type=MANIFEST)
        (claim,) = await images.signatures(image, made, {})
        assert (claim.form, claim.payload, claim.signature) == ("simple", payload, b"signed")
        assert (claim.certificate, claim.entry) == (b"a certificate", b"an entry")
