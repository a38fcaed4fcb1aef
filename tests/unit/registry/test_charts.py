"""Charts from repositories and registries: which version, how often somebody is asked, and what is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from sites import HandClock, Site, chart_archive

from windlass.adapters.host.http import Http, RemoteRefused, RemoteUnavailable
from windlass.adapters.registry.charts import ChartDigest, ChartMissing, ChartStore
from windlass.adapters.registry.client import (
    Descriptor,
    Login,
    Registry,
    RegistryDenied,
    RegistryMissing,
    RegistryWrong,
    challenge,
    login_for,
)
from windlass.adapters.registry.offers import IndexWrong, Offer, choose
from windlass.devstack.ociserver import Login as ServerLogin
from windlass.devstack.ociserver import OciServer
from windlass.ports import ChartWanted

MODIFIED = "Sat, 28 Nov 2026 18:07:50 GMT"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def publish(site: Site, *versions: str, name: str = "shop", **more: Any) -> None:
    """Puts a repository with these versions of one chart on the site, below /charts."""
    entries = []
    for version in versions:
        data = chart_archive(name, version)
        site.files[f"/charts/{name}-{version}.tgz"] = data
        entry = {"name": name, "version": version, "urls": [f"{name}-{version}.tgz"], "digest": sha(data)}
        entries.append({**entry, **more})
    site.files["/charts/index.yaml"] = yaml.safe_dump({"apiVersion": "v1", "entries": {name: entries}}).encode()


@pytest.fixture
def store(tmp_path: Path, http: Http, clock: HandClock) -> ChartStore:
    return ChartStore(tmp_path / "charts", http, clock)


def wanted(site: Site, version: str = "", name: str = "shop") -> ChartWanted:
    return ChartWanted(f"{site.url}/charts", name, version)


# --- chart repositories ---------------------------------------------------------------------------------------------


async def test_a_range_takes_the_newest_and_the_archive_is_on_disk(site: Site, store: ChartStore) -> None:
    publish(site, "1.3.0", "1.4.0", "1.4.2", "2.0.0", "1.5.0-rc.1")
    found = await store.resolve(wanted(site, ">=1.4, <2"), {}, fresh=60)
    data = Path(found.archive).read_bytes()
    assert (found.version, found.digest) == ("1.4.2", f"sha256:{sha(data)}")
    assert data == site.files["/charts/shop-1.4.2.tgz"]
    assert (await store.resolve(wanted(site), {}, fresh=60)).version == "2.0.0"
    assert (await store.resolve(wanted(site, "1.5.0-rc.1"), {}, fresh=60)).version == "1.5.0-rc.1"


async def test_fifty_who_want_charts_ask_once(site: Site, store: ChartStore, clock: HandClock) -> None:
    publish(site, "1.0.0")
    for _ in range(50):
        await store.resolve(wanted(site, "1.x"), {}, fresh=60)
    assert site.paths() == ["/charts/index.yaml", "/charts/shop-1.0.0.tgz"]


async def test_what_did_not_change_is_asked_for_conditionally(site: Site, store: ChartStore, clock: HandClock) -> None:
    publish(site, "1.0.0")
    await store.resolve(wanted(site, "1.x"), {}, fresh=60)
    clock.time += 61
    await store.resolve(wanted(site, "1.x"), {}, fresh=60)
    assert "If-None-Match" in site.asked[-1].headers
    assert len(site.asked) == 3
    clock.time += 61
    publish(site, "1.0.0", "1.1.0")
    assert (await store.resolve(wanted(site, "1.x"), {}, fresh=60)).version == "1.1.0"


@pytest.mark.parametrize(
    ("sent", "asks"),
    [("Sat, 28 Nov 2026 18:07:51 GMT", ["", MODIFIED]), (MODIFIED, ["", ""]), ("", ["", ""]), ("today", ["", ""])],
)
async def test_a_change_within_the_second_of_an_index_is_not_missed(
    sent: str, asks: list[str], site: Site, store: ChartStore, clock: HandClock
) -> None:
    publish(site, "1.0.0")

    def answer(request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith("index.yaml"):
            return None
        if request.headers.get("If-Modified-Since") == MODIFIED:
            return web.Response(status=304)
        return web.Response(body=site.files[request.path], headers={"Last-Modified": MODIFIED, "Date": sent})

    site.answer = answer
    await store.resolve(wanted(site), {}, fresh=60)
    clock.time += 61
    await store.resolve(wanted(site), {}, fresh=60)
    indexes = [one for one in site.asked if one.path.endswith("index.yaml")]
    assert [one.headers.get("If-Modified-Since", "") for one in indexes] == asks


async def test_an_archive_that_is_not_what_the_index_promises_is_refused(site: Site, store: ChartStore) -> None:
    publish(site, "1.0.0")
    site.files["/charts/shop-1.0.0.tgz"] = chart_archive("shop", "1.0.0", "evil: true\n")
    with pytest.raises(ChartDigest):
        await store.resolve(wanted(site), {}, fresh=60)
    publish(site, "1.0.0", digest="sha256:nonsense")
    with pytest.raises(IndexWrong):
        await store.resolve(wanted(site), {}, fresh=0)


async def test_who_knows_a_digest_does_not_get_the_file_for_that(site: Site, other: Site, store: ChartStore) -> None:
    publish(site, "1.0.0")
    mine = await store.resolve(wanted(site), {"username": b"ada", "password": b"x"}, fresh=60)
    publish(other, "1.0.0")
    other.files.pop("/charts/shop-1.0.0.tgz")
    with pytest.raises(ChartMissing):
        await store.resolve(wanted(other), {}, fresh=60)
    assert Path(mine.archive).exists()


async def test_credentials_go_to_the_repository_and_not_where_its_index_leads(
    site: Site, other: Site, store: ChartStore
) -> None:
    data = chart_archive("shop", "1.0.0")
    other.files["/x.tgz"] = data
    publish(site, "1.0.0", urls=[f"{other.url}/x.tgz"], digest=sha(data))
    await store.resolve(wanted(site), {"username": b"ada", "password": b"hunter2"}, fresh=60)
    assert site.asked[0].headers["Authorization"].startswith("Basic ")
    assert "Authorization" not in other.asked[0].headers


async def test_a_refused_login_and_what_is_not_there_are_told_with_the_mend(site: Site, store: ChartStore) -> None:
    site.answer = lambda request: web.Response(status=401)
    with pytest.raises(RegistryDenied) as denied:
        await store.resolve(wanted(site), {}, fresh=60)
    assert "Secret" in denied.value.hint
    site.answer = lambda request: None
    with pytest.raises(ChartMissing, match="there is no chart repository"):
        await store.resolve(wanted(site), {}, fresh=60)
    publish(site, "1.0.0", "1.2.0")
    with pytest.raises(ChartMissing) as missing:
        await store.resolve(wanted(site, ">=2"), {}, fresh=60)
    assert missing.value.hint == "the newest are: 1.2.0, 1.0.0"
    with pytest.raises(ChartMissing) as missing:
        await store.resolve(wanted(site, name="shp"), {}, fresh=60)
    assert missing.value.hint == "did you mean shop?"
    with pytest.raises(ChartMissing, match="no range"):
        await store.resolve(wanted(site, "newest!"), {}, fresh=60)


BOMB = b"a: &a [1,1,1,1,1,1,1,1,1]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(12)
)


# The bomb spends all that an index may; that bombs are refused is held of the reader itself too.
@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"[]",
        b"entries: 3",
        b"\xff\xfe",
        b"entries: {a: [",
        b"entries: *no",
        pytest.param(BOMB, marks=pytest.mark.slow),
    ],
)
async def test_an_index_that_is_none_is_refused(index: bytes, site: Site, store: ChartStore) -> None:
    site.files["/charts/index.yaml"] = index
    with pytest.raises(IndexWrong):
        await store.resolve(wanted(site), {}, fresh=60)


async def test_an_index_in_json_with_bad_entries_beside_good_ones(site: Site, store: ChartStore) -> None:
    data = chart_archive("shop", "1.0.0")
    site.files["/charts/a/shop.tgz"] = data
    bad: list[Any] = [None, 1, {}, {"version": "x", "urls": ["a"]}, {"version": "9.0.0", "urls": []}]
    index = {"entries": {"shop": [*bad, {"version": "1.0.0", "urls": ["a/shop.tgz"]}], "other": None}}
    site.files["/charts/index.yaml"] = json.dumps(index).encode()
    assert (await store.resolve(wanted(site), {}, fresh=60)).version == "1.0.0"


async def test_an_index_that_names_no_address_is_told_as_such(site: Site, store: ChartStore) -> None:
    index = {"entries": {"shop": [{"version": "1.0.0", "urls": ["http://[x/shop.tgz"]}]}}
    site.files["/charts/index.yaml"] = json.dumps(index).encode()
    with pytest.raises(IndexWrong, match="names an address that can't be read"):
        await store.resolve(wanted(site), {}, fresh=60)


async def test_a_name_with_a_line_in_it_hides_no_other_chart(site: Site, store: ChartStore) -> None:
    publish(site, "1.0.0")
    good = yaml.safe_load(site.files["/charts/index.yaml"])["entries"]["shop"]
    index = {"entries": {"shop": good, "shop\rx": good}}
    site.files["/charts/index.yaml"] = json.dumps(index).encode()
    assert (await store.resolve(wanted(site), {}, fresh=60)).version == "1.0.0"


async def test_a_repository_that_is_away_is_tried_later(site: Site, store: ChartStore) -> None:
    site.answer = lambda request: web.Response(status=503, headers={"Retry-After": "9"})
    with pytest.raises(RemoteUnavailable) as caught:
        await store.resolve(wanted(site), {}, fresh=60)
    assert caught.value.after == 9.0


def test_a_version_that_is_written_out_is_taken_as_it_stands() -> None:
    offers = [Offer(text, "", ["x"]) for text in ("1.0.0", "v1.0.0", "1.0.0+build", "2.0.0")]
    assert choose(offers, "v1.0.0") == offers[1]
    assert choose(offers, "1.0.0+build") == offers[2]
    assert choose(offers, "3.x") is None


# --- registries -----------------------------------------------------------------------------------------------------


async def push(http: Http, base: str, name: str, version: str, authorization: str = "", **more: Any) -> bytes:
    """What ``helm push`` does."""
    import aiohttp

    data = chart_archive(name.rpartition("/")[2], version)
    config = json.dumps({"name": name, "version": version}).encode()
    layer = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.cncf.helm.config.v1+json",
            "digest": f"sha256:{sha(config)}",
            "size": len(config),
        },
        "layers": [{"mediaType": layer, "digest": f"sha256:{sha(data)}", "size": len(data)}],
        **more,
    }
    headers = {"Authorization": authorization} if authorization else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        for blob in (config, data):
            async with session.post(f"{base}/v2/{name}/blobs/uploads/?digest=sha256:{sha(blob)}", data=blob) as answer:
                assert answer.status == 201
        tag = version.replace("+", "_")
        body = json.dumps(manifest).encode()
        target = f"{base}/v2/{name}/manifests/{tag}"
        async with session.put(target, data=body, headers={"Content-Type": MANIFEST}) as answer:
            assert answer.status == 201, await answer.text()
    return data


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[str]:
    async with OciServer(str(tmp_path / "oci")).serve() as url:
        yield url


def at(url: str, version: str = "", name: str = "shop") -> ChartWanted:
    return ChartWanted(f"oci://{url.partition('://')[2]}/acme/charts", name, version, plain=True)


async def test_a_chart_comes_from_a_registry_by_range_and_by_version(
    registry: str, http: Http, store: ChartStore
) -> None:
    for version in ("1.0.0", "1.1.0", "2.0.0", "1.2.0+build.7"):
        data = await push(http, registry, "acme/charts/shop", version)
    found = await store.resolve(at(registry, "^1"), {}, fresh=60)
    assert found.version == "1.2.0+build.7"
    assert Path(found.archive).read_bytes() == data
    assert (await store.resolve(at(registry, "1.1.0"), {}, fresh=60)).version == "1.1.0"
    with pytest.raises(ChartMissing, match="no version of shop is in >=3"):
        await store.resolve(at(registry, ">=3"), {}, fresh=60)
    with pytest.raises(RegistryMissing):
        await store.resolve(at(registry, "1.x", name="nothing"), {}, fresh=60)


async def test_all_versions_of_a_chart_are_told(registry: str, http: Http, store: ChartStore, site: Site) -> None:
    for version in ("1.0.0", "1.2.0+build.7"):
        await push(http, registry, "acme/charts/shop", version)
    assert sorted(await store.versions(at(registry), {}, fresh=60)) == ["1.0.0", "1.2.0+build.7"]
    site.files["/index.yaml"] = b"""\
entries:
  shop: [{version: 1.1.0, urls: [a.tgz]}, {version: 1.0.0, urls: [b.tgz]}]
"""
    assert await store.versions(ChartWanted(site.url, "shop"), {}, fresh=60) == ["1.1.0", "1.0.0"]
    with pytest.raises(ChartMissing, match="offers no chart shops"):
        await store.versions(ChartWanted(site.url, "shops"), {}, fresh=60)
    assert site.paths() == ["/index.yaml"]


async def test_an_image_is_no_chart(registry: str, http: Http, store: ChartStore) -> None:
    empty = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{sha(b'{}')}", "size": 2}
    await push(http, registry, "acme/charts/web", "1.0.0")
    import aiohttp

    async with aiohttp.ClientSession() as session:
        await session.post(f"{registry}/v2/acme/charts/web/blobs/uploads/?digest=sha256:{sha(b'{}')}", data=b"{}")
    await push(http, registry, "acme/charts/web", "1.1.0", config=empty)
    with pytest.raises(RegistryWrong, match="is no Helm chart"):
        await store.resolve(at(registry, "1.1.0", name="web"), {}, fresh=60)


@pytest.mark.parametrize("service", [False, True])
async def test_a_registry_with_a_login(service: bool, tmp_path: Path, http: Http, store: ChartStore) -> None:
    server = OciServer(str(tmp_path / "oci"), login=ServerLogin(token="hunter2", service=service))
    async with server.serve() as url:
        with pytest.raises(RegistryDenied):
            await store.resolve(at(url, "1.0.0"), {}, fresh=60)
        with pytest.raises(RegistryDenied) as caught:
            await store.resolve(at(url, "1.0.0"), {"username": b"ada", "password": b"wrong1"}, fresh=60)
        assert "wrong1" not in str(caught.value)
        host = url.partition("://")[2]
        config = {"auths": {f"https://{host}": {"username": "ada", "password": "hunter2"}}}
        for secret in (
            {"username": b"ada", "password": b"hunter2"},
            {".dockerconfigjson": json.dumps(config).encode()},
        ):
            with pytest.raises(RegistryMissing):
                await store.resolve(at(url, "1.0.0"), secret, fresh=60)


# --- a registry that lies -------------------------------------------------------------------------------------------


def client(site: Site, http: Http, clock: HandClock, login: Login | None = None) -> Registry:
    return Registry(http, site.url.partition("://")[2], clock, login=login, plain=True)


async def test_bytes_that_are_not_those_of_the_digest_are_refused(site: Site, http: Http, clock: HandClock) -> None:
    digest = f"sha256:{sha(b'right')}"
    site.answer = lambda request: web.Response(body=b"wrong")
    with pytest.raises(RegistryWrong, match="gives other bytes"):
        await client(site, http, clock).blob("a/b", Descriptor(digest, 5), 100)
    site.answer = lambda request: web.Response(body=b"{}", headers={"Docker-Content-Digest": digest})
    with pytest.raises(RegistryWrong):
        await client(site, http, clock).manifest("a/b", digest)
    # What the header says is not believed either.
    assert (await client(site, http, clock).manifest("a/b", "1.0")).digest == f"sha256:{sha(b'{}')}"


async def test_a_blob_larger_than_it_may_be_is_not_read(site: Site, http: Http, clock: HandClock) -> None:
    digest = f"sha256:{sha(b'x' * 1000)}"
    site.answer = lambda request: web.Response(body=b"x" * 1000)
    with pytest.raises(RemoteRefused):
        await client(site, http, clock).blob("a/b", Descriptor(digest, 1000), 999)
    assert site.asked == []
    with pytest.raises(RemoteRefused):
        await client(site, http, clock).blob("a/b", Descriptor(digest, 10), 999)


async def test_a_token_is_kept_for_its_scope_and_fetched_again_when_it_ends(
    site: Site, http: Http, clock: HandClock
) -> None:
    tokens = iter(("one", "two"))

    def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            assert request.query["scope"] == "repository:a/b:pull"
            return web.json_response({"token": next(tokens), "expires_in": 60})
        if not request.headers.get("Authorization", "").startswith("Bearer"):
            realm = f'Bearer realm="{site.url}/token",service="s",scope="repository:a/b:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": realm})
        return web.json_response({"tags": ["1.0.0"]})

    site.answer = answer
    registry = client(site, http, clock, Login("ada", "hunter2"))
    for _ in range(3):
        assert await registry.tags("a/b") == ["1.0.0"]
    assert site.paths().count("/token") == 1
    clock.time += 60
    await registry.tags("a/b")
    assert site.paths().count("/token") == 2


async def test_a_token_realm_nearer_than_the_registry_gets_no_request(
    site: Site, other: Site, http: Http, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Seen from here everything is near: the answer is made to look as if it came from the internet.
    from windlass.adapters.host import http as module

    monkeypatch.setattr(module, "_literal", lambda host, true=module._literal: (
        module.Reach.PUBLIC if host == "127.0.0.1" else true(host)
    ))  # fmt: skip
    port = other.url.rpartition(":")[2]
    for realm in (f"http://localhost:{port}/token", "http://10.0.0.1/token", "http://169.254.169.254/token"):
        header = f'Bearer realm="{realm}",service="s"'
        site.answer = lambda request, header=header: web.Response(status=401, headers={"WWW-Authenticate": header})
        with pytest.raises(RemoteRefused, match="is an address that is not asked"):
            await client(site, http, clock, Login("ada", "hunter2")).tags("a/b")
    assert other.asked == []


async def test_credentials_follow_no_challenge_of_another_host(
    site: Site, other: Site, http: Http, clock: HandClock
) -> None:
    site.answer = lambda request: web.Response(status=307, headers={"Location": f"{other.url}/steal"})
    realm = f'Bearer realm="{other.url}/token",service="s"'
    other.answer = lambda request: web.Response(status=401, headers={"WWW-Authenticate": realm})
    with pytest.raises(RegistryDenied):
        await client(site, http, clock, Login("ada", "hunter2")).tags("a/b")
    assert other.paths() == ["/steal"]
    assert "Authorization" not in other.asked[0].headers


async def test_a_realm_or_a_next_page_that_is_no_address_is_refused(site: Site, http: Http, clock: HandClock) -> None:
    header = 'Bearer realm="https://[x/token"'
    site.answer = lambda request: web.Response(status=401, headers={"WWW-Authenticate": header})
    with pytest.raises(RegistryDenied, match="what is no address"):
        await client(site, http, clock).tags("a/b")
    site.answer = lambda request: web.json_response({"tags": []}, headers={"Link": '<http://[x>; rel="next"'})
    with pytest.raises(RegistryWrong, match="what is no address"):
        await client(site, http, clock).tags("a/b")


async def test_tags_come_in_pages_of_the_same_repository_only(site: Site, http: Http, clock: HandClock) -> None:
    def answer(request: web.Request) -> web.StreamResponse:
        if request.query.get("last") == "b":
            return web.json_response({"tags": ["c", "no/tag"]})
        link = '</v2/a/b/tags/list?n=2&last=b>; rel="next"'
        return web.json_response({"tags": ["a", "b"]}, headers={"Link": link})

    site.answer = answer
    assert await client(site, http, clock).tags("a/b") == ["a", "b", "c"]
    site.answer = lambda request: web.json_response({"tags": []}, headers={"Link": '</v2/c/d/tags/list>; rel="next"'})
    with pytest.raises(RegistryWrong, match="leads to another place"):
        await client(site, http, clock).tags("a/b")


@pytest.mark.parametrize("before", ["<>;" * 2000, "<" * 6000, '</v2/a/b/tags/list?n=1>; title="x"; rel=first, '])
async def test_a_next_page_is_found_behind_other_links(before: str, site: Site, http: Http, clock: HandClock) -> None:
    def answer(request: web.Request) -> web.StreamResponse:
        link = before + '</v2/a/b/tags/list?n=2&last=b>; title="y"; rel="next"'
        headers = {} if request.query.get("last") == "b" else {"Link": link}
        return web.json_response({"tags": ["c"] if not headers else ["a"]}, headers=headers)

    site.answer = answer
    assert await client(site, http, clock).tags("a/b") == ["a", "c"]


async def test_tags_without_an_end_are_not_read_for_ever(site: Site, http: Http, clock: HandClock) -> None:
    link = '</v2/a/b/tags/list?last=x>; rel="next"'
    site.answer = lambda request: web.json_response({"tags": ["x"]}, headers={"Link": link})
    with pytest.raises(RegistryWrong, match="more than 200 pages"):
        await client(site, http, clock).tags("a/b")
    assert len(site.asked) == 200


@pytest.mark.parametrize("name", ["../../admin", "a//b", "A/b", "a/b?x", "a/" + "b" * 300, "a/b#", "", "a/../b"])
async def test_a_name_that_is_none_is_not_asked_for(name: str, site: Site, http: Http, clock: HandClock) -> None:
    with pytest.raises(RegistryMissing):
        await client(site, http, clock).tags(name)
    assert site.asked == []


def test_challenges_are_read() -> None:
    assert challenge('Bearer realm="https://a.example/t", service=x, scope="r:a/b:pull,push"') == (
        "bearer",
        {"realm": "https://a.example/t", "service": "x", "scope": "r:a/b:pull,push"},
    )
    assert challenge("Basic") == ("basic", {})
    bytes_that_are_no_text = b'Bearer service="\xff\xfe"'.decode("utf-8", "surrogateescape")
    assert challenge(bytes_that_are_no_text) == ("bearer", {"service": "??"})
    assert challenge("") == ("", {})


def test_a_docker_login_is_found_by_host() -> None:
    config = {"auths": {"ghcr.io": {"auth": "YWRhOmh1bnRlcjI="}, "https://index.docker.io/v1/": {"username": "b"}}}
    secret = {".dockerconfigjson": json.dumps(config).encode()}
    assert login_for("ghcr.io", secret) == Login("ada", "hunter2")
    assert login_for("docker.io", secret).username == "b"
    assert login_for("quay.io", secret) == Login(missing="quay.io")
    assert "hunter2" not in repr(Login("ada", "hunter2"))
    with pytest.raises(RegistryDenied):
        login_for("ghcr.io", {".dockerconfigjson": b"{"})
