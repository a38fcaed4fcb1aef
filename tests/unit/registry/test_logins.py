"""The logins of pull secrets in Docker's format, as ``docker login``, the kubelet and clouds write them."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from sites import HandClock, Site

from windlass.adapters.host.http import Http
from windlass.adapters.registry.client import Login, Registry, RegistryDenied, login_for


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def secret(auths: dict[str, Any]) -> dict[str, bytes]:
    return {".dockerconfigjson": json.dumps({"auths": auths}).encode()}


ADA = auth("ada:pw")


@pytest.mark.parametrize(
    ("host", "auths"),
    [
        ("r.example.com", {"r.example.com": ADA}),
        ("r.example.com", {"https://R.Example.com/v2/": ADA}),
        ("r.example.com", {"r.example.com": auth("ada:pw\0")}),
        ("r.example.com", {"r.example.com": {"auth": ADA["auth"] + "\n"}}),
        ("r.example.com:5000", {"r.example.com": auth("eve:no"), "r.example.com:5000": ADA}),
        ("docker.io", {"https://index.docker.io/v1/": ADA}),
        ("docker.io", {"registry-1.docker.io": ADA}),
        ("docker.io", {"docker.io": auth("eve:no"), "docker.io/acme": ADA}),
        ("quay.io", {"quay.io/other": auth("eve:no"), "quay.io/acme": ADA}),
        ("quay.io", {"quay.io/acme/shop": ADA, "quay.io": auth("eve:no"), "quay.io/acme": auth("eve:no")}),
        ("quay.io", {"quay.io/ac": auth("eve:no"), "quay.io": ADA}),
        ("acme.azurecr.io", {"*.azurecr.io": ADA, "*.io": auth("eve:no")}),
        ("acme.azurecr.io", {"*.azurecr.io": auth("eve:no"), "acme.azurecr.io": ADA}),
    ],
)
def test_the_entry_that_fits_a_repository_best_is_taken(host: str, auths: dict[str, Any]) -> None:
    assert login_for(host, secret(auths), "acme/shop") == Login("ada", "pw")


def test_what_has_no_login_for_a_registry_is_told_by_its_host() -> None:
    for auths in ({"other.example.com": ADA}, {"r.example.com": {}}, {"r.example.com/other": ADA}, {"*.com": ADA}):
        assert login_for("r.example.com", secret(auths), "acme/shop") == Login(missing="r.example.com")


async def test_a_registry_that_wants_a_login_says_that_the_secret_has_none_for_it(site: Site, http: Http) -> None:
    host = site.url.partition("://")[2]
    login = login_for(host, secret({"ghcr.io": ADA}))
    site.answer = lambda request: web.Response(status=401, headers={"WWW-Authenticate": "Basic"})
    with pytest.raises(RegistryDenied) as told:
        await Registry(http, host, HandClock(), login=login, plain=True).tags("acme/shop")
    assert told.value.hint == f"the Secret's .dockerconfigjson has no login for {host}: add one to its auths"


async def test_an_identity_token_gets_a_token_and_goes_nowhere_else(site: Site, http: Http) -> None:
    def answer(request: web.Request) -> web.Response | None:
        if request.path == "/oauth2/token":
            return web.json_response({"access_token": "short"})
        if request.headers.get("Authorization") != "Bearer short":
            realm = f'Bearer realm="{site.url}/oauth2/token",service="acme",scope="repository:acme/shop:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": realm})
        return web.json_response({"tags": ["1"]})

    site.answer = answer
    host = site.url.partition("://")[2]
    nobody = auth("00000000-0000-0000-0000-000000000000:")
    login = login_for(host, secret({host: {**nobody, "identitytoken": "long"}}))
    assert "long" not in repr(login)
    assert await Registry(http, host, HandClock(), login=login, plain=True).tags("acme/shop") == ["1"]
    fetched = [(one, body) for one, body in zip(site.asked, site.bodies, strict=True) if one.path == "/oauth2/token"]
    assert [one.method for one, _ in fetched] == ["POST"]
    assert {key: value[0] for key, value in parse_qs(fetched[0][1].decode()).items()} == {
        "grant_type": "refresh_token",
        "client_id": "windlass",
        "service": "acme",
        "scope": "repository:acme/shop:pull",
        "refresh_token": "long",
    }
    assert all("long" not in str(one.headers) + str(one.rel_url) for one in site.asked)


async def test_an_identity_token_that_is_refused_is_told_as_a_token_and_not_by_the_name_beside_it(
    site: Site, http: Http
) -> None:
    realm = f'Bearer realm="{site.url}/oauth2/token",service="acme",scope="repository:acme/shop:pull"'
    site.answer = lambda request: web.Response(status=401, headers={"WWW-Authenticate": realm})
    host = site.url.partition("://")[2]
    nobody = auth("00000000-0000-0000-0000-000000000000:")
    login = login_for(host, secret({host: {**nobody, "identitytoken": "long"}}))
    with pytest.raises(RegistryDenied) as told:
        await Registry(http, host, HandClock(), login=login, plain=True).tags("acme/shop")
    assert told.value.hint.startswith("is the token in the Secret still good")
    assert "long" not in told.value.hint
