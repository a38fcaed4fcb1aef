"""The devstack's registry, asked over HTTP as the distribution protocol has it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from windlass.devstack.ociserver import Login, Notifier, OciServer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Client:
    """Just enough of a client: what a test says is what is sent."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        target = path if path.startswith("http") else f"{self.url}{path}"
        async with self.session.request(method, target, data=body, headers=named) as answer:
            return answer.status, answer.headers, await answer.read()

    async def push_blob(self, name: str, content: bytes) -> str:
        status, headers, _ = await self.ask("POST", f"/v2/{name}/blobs/uploads/")
        assert status == 202
        status, _, body = await self.ask("PUT", f"{headers['Location']}?digest={digest(content)}", content)
        assert status == 201, body
        return digest(content)

    async def push_image(self, name: str, tag: str, layer: bytes = b"layer", **more: Any) -> bytes:
        config = json.dumps({"created": "2026-01-01T00:00:00Z"}).encode()
        for content in (config, layer):
            await self.push_blob(name, content)
        manifest = json.dumps({**manifest_of(config, layer), **more}).encode()
        status, _, body = await self.ask("PUT", f"/v2/{name}/manifests/{tag}", manifest, Content_Type=MANIFEST)
        assert status == 201, body
        return manifest


def manifest_of(config: bytes, layer: bytes) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/x.config", "digest": digest(config), "size": len(config)},
        "layers": [{"mediaType": "application/x.layer", "digest": digest(layer), "size": len(layer)}],
    }


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with OciServer(str(tmp_path)).serve() as url, aiohttp.ClientSession() as session:
        yield Client(session, url)


def code(body: bytes) -> str:
    return json.loads(body)["errors"][0]["code"]


async def test_what_was_pushed_is_pulled_byte_for_byte(client: Client) -> None:
    manifest = await client.push_image("acme/shop", "1.4.1", b"x" * 3_000_000)
    status, headers, body = await client.ask("GET", "/v2/acme/shop/manifests/1.4.1")
    assert (status, body, headers["Content-Type"]) == (200, manifest, MANIFEST)
    assert headers["Docker-Content-Digest"] == digest(manifest)
    status, _, body = await client.ask("GET", f"/v2/acme/shop/blobs/{digest(b'x' * 3_000_000)}")
    assert (status, len(body)) == (200, 3_000_000)


async def test_head_tells_digest_and_size_and_sends_nothing(client: Client) -> None:
    manifest = await client.push_image("shop", "1")
    status, headers, body = await client.ask("HEAD", "/v2/shop/manifests/1")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(manifest)))
    status, headers, body = await client.ask("HEAD", f"/v2/shop/blobs/{digest(b'layer')}")
    assert (status, body, headers["Content-Length"]) == (200, b"", "5")


async def test_a_manifest_that_was_not_changed_is_not_sent_again(client: Client) -> None:
    manifest = await client.push_image("shop", "1")
    tag = f'"{digest(manifest)}"'
    assert (await client.ask("GET", "/v2/shop/manifests/1", If_None_Match=tag))[0] == 304
    await client.push_image("shop", "1", b"another layer")
    assert (await client.ask("GET", "/v2/shop/manifests/1", If_None_Match=tag))[0] == 200


async def test_a_part_of_a_blob_is_sent_where_a_range_asks_for_it(client: Client) -> None:
    await client.push_image("shop", "1", b"0123456789")
    path = f"/v2/shop/blobs/{digest(b'0123456789')}"
    status, headers, body = await client.ask("GET", path, Range="bytes=2-5")
    assert (status, body, headers["Content-Range"]) == (206, b"2345", "bytes 2-5/10")
    assert (await client.ask("GET", path, Range="bytes=8-"))[2] == b"89"
    assert (await client.ask("GET", path, Range="bytes=10-"))[0] == 416


async def test_an_upload_comes_in_pieces_that_have_to_follow_each_other(client: Client) -> None:
    content = b"first second"
    _, headers, _ = await client.ask("POST", "/v2/shop/blobs/uploads/")
    upload = headers["Location"]
    status, headers, _ = await client.ask("PATCH", upload, b"first ", Content_Range="0-5")
    assert (status, headers["Range"]) == (202, "0-5")
    assert (await client.ask("PATCH", upload, b"again ", Content_Range="0-5"))[0] == 416
    status, headers, _ = await client.ask("GET", upload)
    assert (status, headers["Range"]) == (204, "0-5")
    assert (await client.ask("PATCH", upload, b"second", Content_Range="6-11"))[0] == 202
    assert (await client.ask("PUT", f"{upload}?digest={digest(content)}"))[0] == 201
    assert (await client.ask("GET", f"/v2/shop/blobs/{digest(content)}"))[2] == content
    assert code((await client.ask("GET", upload))[2] or b'{"errors": [{"code": ""}]}') == "BLOB_UPLOAD_UNKNOWN"


async def test_a_blob_that_is_not_what_its_digest_says_is_refused(client: Client) -> None:
    status, _, body = await client.ask("POST", f"/v2/shop/blobs/uploads/?digest={digest(b'right')}", b"wrong")
    assert (status, code(body)) == (400, "DIGEST_INVALID")
    assert (await client.ask("HEAD", f"/v2/shop/blobs/{digest(b'right')}"))[0] == 404


async def test_a_blob_is_had_only_where_it_was_pushed_or_mounted(client: Client) -> None:
    await client.push_image("one", "1", b"secret layer")
    wanted = digest(b"secret layer")
    assert (await client.ask("GET", f"/v2/two/blobs/{wanted}"))[0] == 404
    status, headers, _ = await client.ask("POST", f"/v2/two/blobs/uploads/?mount={wanted}&from=one")
    assert (status, headers["Docker-Content-Digest"]) == (201, wanted)
    assert (await client.ask("GET", f"/v2/two/blobs/{wanted}"))[2] == b"secret layer"
    # What is nowhere to mount from begins an ordinary upload.
    assert (await client.ask("POST", f"/v2/two/blobs/uploads/?mount={digest(b'no')}&from=one"))[0] == 202


async def test_a_manifest_is_refused_before_what_it_names(client: Client) -> None:
    manifest = json.dumps(manifest_of(b"{}", b"layer")).encode()
    status, _, body = await client.ask("PUT", "/v2/shop/manifests/1", manifest, Content_Type=MANIFEST)
    assert (status, code(body)) == (400, "MANIFEST_BLOB_UNKNOWN")
    index = json.dumps({"schemaVersion": 2, "manifests": [{"digest": digest(b"no")}]}).encode()
    status, _, body = await client.ask("PUT", "/v2/shop/manifests/1", index, Content_Type=INDEX)
    assert (status, code(body)) == (400, "MANIFEST_BLOB_UNKNOWN")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"mediaType": "text/plain"}',
        b'{"layers": [3]}',
        b'{"layers": [{"digest": "../x"}]}',
        b'{"layers": [], "config": {"digest": 7}}',
        b'{"subject": 3}',
    ],
)
async def test_what_is_no_manifest_is_refused(client: Client, content: bytes) -> None:
    status, _, body = await client.ask("PUT", "/v2/shop/manifests/1", content, Content_Type=MANIFEST)
    assert status == 400
    assert code(body) in ("MANIFEST_INVALID", "DIGEST_INVALID")


async def test_a_manifest_over_four_megabytes_is_refused(client: Client) -> None:
    content = json.dumps({"annotations": {"a": "x" * (4 << 20)}}).encode()
    assert (await client.ask("PUT", "/v2/shop/manifests/1", content, Content_Type=INDEX))[0] == 413


async def test_tags_come_sorted_and_by_pages_with_a_link_to_the_next(client: Client) -> None:
    for tag in ("b", "a", "d", "c", "e"):
        await client.push_image("shop", tag)
    seen: list[str] = []
    path = "/v2/shop/tags/list?n=2"
    while path:
        _, headers, body = await client.ask("GET", path)
        seen += json.loads(body)["tags"]
        path = headers.get("Link", "").partition(">")[0].lstrip("<")
    assert seen == ["a", "b", "c", "d", "e"]
    assert json.loads((await client.ask("GET", "/v2/shop/tags/list?n=0"))[2])["tags"] == []
    assert (await client.ask("GET", "/v2/shop/tags/list?n=-1"))[0] == 400
    assert code((await client.ask("GET", "/v2/nothing/tags/list"))[2]) == "NAME_UNKNOWN"


async def test_referrers_are_found_by_their_subject_and_filtered_by_type(client: Client) -> None:
    manifest = await client.push_image("shop", "1")
    subject = {"mediaType": MANIFEST, "digest": digest(manifest), "size": len(manifest)}
    config = await client.push_blob("shop", b"{}")
    for kind in ("application/x.signature", "application/x.sbom"):
        artifact = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": kind,
            "config": {"mediaType": EMPTY, "digest": config, "size": 2},
            "layers": [],
            "subject": subject,
            "annotations": {"made": "today"},
        }
        content = json.dumps(artifact).encode()
        path = f"/v2/shop/manifests/{digest(content)}"
        status, headers, _ = await client.ask("PUT", path, content, Content_Type=MANIFEST)
        assert (status, headers["OCI-Subject"]) == (201, digest(manifest))
    _, headers, body = await client.ask("GET", f"/v2/shop/referrers/{digest(manifest)}")
    found = json.loads(body)["manifests"]
    assert {one["artifactType"] for one in found} == {"application/x.signature", "application/x.sbom"}
    assert found[0]["annotations"] == {"made": "today"}
    path = f"/v2/shop/referrers/{digest(manifest)}?artifactType=application/x.sbom"
    _, headers, body = await client.ask("GET", path)
    assert headers["OCI-Filters-Applied"] == "artifactType"
    assert [one["artifactType"] for one in json.loads(body)["manifests"]] == ["application/x.sbom"]
    # Of what nothing refers to, the list is empty and no error.
    assert json.loads((await client.ask("GET", f"/v2/shop/referrers/{digest(b'no')}"))[2])["manifests"] == []
    await client.ask("DELETE", f"/v2/shop/manifests/{found[0]['digest']}")
    assert len(json.loads((await client.ask("GET", f"/v2/shop/referrers/{digest(manifest)}"))[2])["manifests"]) == 1


async def test_a_deleted_tag_leaves_the_manifest_and_a_deleted_manifest_takes_its_tags(client: Client) -> None:
    manifest = await client.push_image("shop", "1")
    await client.push_image("shop", "latest")
    assert (await client.ask("DELETE", "/v2/shop/manifests/1"))[0] == 202
    assert (await client.ask("HEAD", "/v2/shop/manifests/1"))[0] == 404
    assert (await client.ask("HEAD", f"/v2/shop/manifests/{digest(manifest)}"))[0] == 200
    assert (await client.ask("DELETE", f"/v2/shop/manifests/{digest(manifest)}"))[0] == 202
    assert json.loads((await client.ask("GET", "/v2/shop/tags/list"))[2])["tags"] == []
    assert (await client.ask("DELETE", f"/v2/shop/manifests/{digest(manifest)}"))[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/v2/../etc/blobs/sha256:" + "0" * 64,
        "/v2/%2e%2e/%2e%2e/manifests/passwd",
        "/v2/Shop/manifests/1",
        "/v2/shop/_tags/manifests/1",
        "/v2/shop/blobs/sha256:..%2f..%2fetc",
        "/v2/shop/blobs/uploads/..%2fx",
        "/v2/shop/manifests/..",
        "/v2/" + "a" * 300 + "/manifests/1",
    ],
)
async def test_a_name_can_not_lead_out_of_the_folder(client: Client, path: str) -> None:
    for method in ("GET", "DELETE", "PATCH"):
        status, _, _ = await client.ask(method, path)
        assert status in (400, 404, 405)


async def test_blobs_that_no_repository_has_are_swept(tmp_path: Path) -> None:
    server = OciServer(str(tmp_path))
    async with server.serve() as url, aiohttp.ClientSession() as session:
        client = Client(session, url)
        await client.push_image("shop", "1", b"kept")
        gone = await client.push_blob("shop", b"gone")
        await client.ask("DELETE", f"/v2/shop/blobs/{gone}")
        assert server.store.sweep() == 1
        assert (await client.ask("GET", f"/v2/shop/blobs/{digest(b'kept')}"))[2] == b"kept"
        assert json.loads((await client.ask("GET", "/v2/_catalog"))[2]) == {"repositories": ["shop"]}


async def test_without_the_password_nothing_is_given(tmp_path: Path) -> None:
    async with OciServer(str(tmp_path), login=Login("s3cret")).serve() as url, aiohttp.ClientSession() as session:
        client = Client(session, url)
        status, headers, _ = await client.ask("GET", "/v2/")
        assert (status, headers["WWW-Authenticate"].split()[0]) == (401, "Basic")
        right = base64.b64encode(b"ada:s3cret").decode()
        wrong = base64.b64encode(b"ada:wrong").decode()
        assert (await client.ask("GET", "/v2/", Authorization=f"Basic {right}"))[0] == 200
        assert (await client.ask("GET", "/v2/", Authorization=f"Basic {wrong}"))[0] == 401


async def test_a_token_is_good_for_its_repository_and_its_action_alone(tmp_path: Path) -> None:
    login = Login("s3cret", service=True)
    async with OciServer(str(tmp_path), login=login).serve() as url, aiohttp.ClientSession() as session:
        client = Client(session, url)
        status, headers, _ = await client.ask("GET", "/v2/shop/tags/list")
        assert status == 401
        assert f'realm="{url}/token"' in headers["WWW-Authenticate"]
        assert 'scope="repository:shop:pull"' in headers["WWW-Authenticate"]
        right = "Basic " + base64.b64encode(b"ada:s3cret").decode()
        assert (await client.ask("GET", "/token?scope=repository:shop:pull", Authorization="Basic eDp5"))[0] == 401
        _, _, body = await client.ask("GET", "/token?scope=repository:shop:pull", Authorization=right)
        bearer = "Bearer " + json.loads(body)["token"]
        assert (await client.ask("GET", "/v2/shop/tags/list", Authorization=bearer))[0] == 404
        assert (await client.ask("GET", "/v2/other/tags/list", Authorization=bearer))[0] == 401
        assert (await client.ask("POST", "/v2/shop/blobs/uploads/", Authorization=bearer))[0] == 401
        assert (await client.ask("GET", "/v2/shop/tags/list", Authorization=bearer + "x"))[0] == 401
        assert (await client.ask("GET", "/v2/shop/tags/list", Authorization=right))[0] == 401


async def test_a_push_is_told_as_distribution_tells_it(tmp_path: Path) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append((request.headers["Authorization"], json.loads(await request.read())))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        server = OciServer(str(tmp_path), notify=Notifier(f"http://{host}:{port}/hook", "t0ken"))
        async with server.serve() as url, aiohttp.ClientSession() as session:
            manifest = await Client(session, url).push_image("acme/shop", "1.4.2")
            async with asyncio.timeout(10):
                while not heard:
                    await asyncio.sleep(0.01)
    finally:
        await runner.cleanup()
    authorization, envelope = heard[0]
    target = envelope["events"][0]["target"]
    assert authorization == "Bearer t0ken"
    assert (target["repository"], target["tag"], target["digest"]) == ("acme/shop", "1.4.2", digest(manifest))
    assert envelope["events"][0]["action"] == "push"
