"""Which kinds there are: two forms of discovery, and groups that can't be asked are unknown, not absent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from windlass import ports
from windlass.adapters.cluster.discovery import SELDOM, Discovery
from windlass.core.model import Resource

from .scripted import Scripted, status

Pages = dict[str, Any]


def found(plural: str, kind: str, scope: str = "Namespaced") -> dict[str, Any]:
    return {"resource": plural, "responseKind": {"kind": kind}, "scope": scope, "verbs": ["get", "list", "watch"]}


def group(name: str, **versions: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "versions": [{"version": each, "freshness": "Current", "resources": kinds} for each, kinds in versions.items()],
    }


def aggregated() -> Pages:
    return {
        "/api": {"kind": "APIGroupDiscoveryList", "items": [group("", v1=[found("configmaps", "ConfigMap")])]},
        "/apis": {
            "kind": "APIGroupDiscoveryList",
            "items": [
                group("apps", v1=[found("deployments", "Deployment")]),
                group("autoscaling", v2=[found("hpas", "Scaler")], v1=[found("hpas", "Scaler"), found("o", "Old")]),
                group("example.com", v1=[found("widgets", "Widget", "Cluster")]),
            ],
        },
    }


def plain() -> Pages:
    def listed(*kinds: tuple[str, str, bool]) -> dict[str, Any]:
        verbs = ["get", "list"]
        named = [{"name": n, "kind": k, "namespaced": s, "verbs": verbs} for n, k, s in kinds]
        status_part = {"name": f"{kinds[0][0]}/status", "kind": kinds[0][1], "namespaced": True, "verbs": ["get"]}
        return {"kind": "APIResourceList", "resources": [*named, status_part]}

    def known(name: str, *versions: str) -> dict[str, Any]:
        return {
            "name": name,
            "versions": [{"version": version} for version in versions],
            "preferredVersion": {"version": versions[-1]},
        }

    return {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {
            "kind": "APIGroupList",
            "groups": [known("apps", "v1"), known("autoscaling", "v1", "v2"), known("example.com", "v1")],
        },
        "/api/v1": listed(("configmaps", "ConfigMap", True)),
        "/apis/apps/v1": listed(("deployments", "Deployment", True)),
        "/apis/autoscaling/v2": listed(("hpas", "Scaler", True)),
        "/apis/autoscaling/v1": listed(("hpas", "Scaler", True), ("o", "Old", True)),
        "/apis/example.com/v1": listed(("widgets", "Widget", False)),
    }


class Looked:
    """A discovery over pages that the test may change, with its own time."""

    def __init__(self, server: Scripted, discovery: Callable[[Callable[[], float]], Discovery], pages: Pages) -> None:
        self.server, self.pages, self.now = server, pages, 100.0
        self.discovery = discovery(lambda: self.now)


@asynccontextmanager
async def looking(server: Scripted, pages: Pages) -> AsyncIterator[Looked]:
    async with server.client() as client:
        looked = Looked(server, lambda clock: Discovery(client, clock), pages)

        async def handle(request: web.Request) -> web.StreamResponse:
            page = looked.pages.get(request.path, 404)
            return status(page) if isinstance(page, int) else web.json_response(page)

        server.handler = handle
        yield looked


@pytest.mark.parametrize("pages", [aggregated, plain])
async def test_both_forms_tell_the_same(server: Scripted, pages: Callable[[], Pages]) -> None:
    """Exactly the version that is asked for; the preferred one first where any will do."""
    async with looking(server, pages()) as looked:
        discovery = looked.discovery
        assert await discovery.resource("v1", "ConfigMap") == Resource("", "v1", "configmaps", "ConfigMap", True)
        assert await discovery.resource("example.com/v1", "Widget") == Resource(
            "example.com", "v1", "widgets", "Widget", False
        )
        assert (await discovery.resource("autoscaling/v1", "Scaler")).version == "v1"
        known = discovery.known("autoscaling", "Scaler")
        assert known is not None
        assert known.version == "v2"
        old = discovery.known("autoscaling", "Old")
        assert old is not None
        assert old.version == "v1"
        asked = len(server.requests)
        await discovery.resource("apps/v1", "Deployment")
        assert len(server.requests) == asked


async def test_a_kind_that_is_not_there_is_looked_for_again_but_seldom(server: Scripted) -> None:
    """Its CRD may come: the question is asked again after a few seconds, not for every question."""
    async with looking(server, aggregated()) as looked:
        for _ in range(5):
            with pytest.raises(ports.KindUnknown) as caught:
                await looked.discovery.resource("example.com/v1", "Gadget")
        assert len(server.requests) == 2
        assert 0 < caught.value.after <= SELDOM
        looked.pages["/apis"]["items"].append(group("example.com", v1=[found("gadgets", "Gadget")]))
        looked.now += SELDOM
        assert (await looked.discovery.resource("example.com/v1", "Gadget")).plural == "gadgets"


async def test_a_version_that_is_not_served_is_answered_with_the_one_that_is(server: Scripted) -> None:
    """The mend is in the hint."""
    async with looking(server, aggregated()) as looked:
        with pytest.raises(ports.KindUnknown) as caught:
            await looked.discovery.resource("apps/v1beta1", "Deployment")
    assert "apps/v1" in caught.value.hint


@pytest.mark.parametrize("form", ["aggregated", "plain", "forbidden"])
async def test_a_group_that_does_not_answer_is_unknown_and_not_absent(server: Scripted, form: str) -> None:
    """What was known of it stays; nothing of it is surely gone; the other groups are as they are."""
    async with looking(server, aggregated() if form == "aggregated" else plain()) as looked:
        discovery = looked.discovery
        await discovery.resource("example.com/v1", "Widget")
        looked.now += SELDOM
        if form == "aggregated":
            stale = looked.pages["/apis"]["items"][2]["versions"][0]
            stale["freshness"], stale["resources"] = "Stale", []
        else:
            looked.pages["/apis/example.com/v1"] = 500 if form == "plain" else 403
        assert await discovery.look_again("example.com", "Widget") is not None
        assert not discovery.surely_gone("example.com", "Widget")
        assert not discovery.surely_gone("example.com", "Gadget")
        assert discovery.surely_gone("apps", "Gadget")
        with pytest.raises(ports.KindUnknown, match="can't tell"):
            await discovery.resource("example.com/v1", "Gadget")


async def test_a_kind_whose_group_answers_without_it_is_gone(server: Scripted) -> None:
    """Only a whole look counts."""
    async with looking(server, aggregated()) as looked:
        assert not looked.discovery.surely_gone("example.com", "Widget")
        await looked.discovery.resource("example.com/v1", "Widget")
        looked.now += SELDOM
        del looked.pages["/apis"]["items"][2]
        assert await looked.discovery.look_again("example.com", "Widget") is None
        assert looked.discovery.surely_gone("example.com", "Widget")


async def test_a_look_that_fails_changes_nothing(server: Scripted) -> None:
    """The cluster being away is told as that, and what was known stays."""
    async with looking(server, aggregated()) as looked:
        await looked.discovery.resource("apps/v1", "Deployment")
        looked.now += SELDOM
        looked.pages.clear()
        with pytest.raises(ports.ObjectMissing):
            await looked.discovery.look_again("apps", "Deployment")
        assert looked.discovery.known("apps", "Deployment") is not None
        assert not looked.discovery.surely_gone("apps", "Deployment")


async def test_a_changed_definition_is_looked_at(server: Scripted) -> None:
    """A CRD that changes makes the next question look again, also for what is known."""
    async with looking(server, aggregated()) as looked:
        await looked.discovery.resource("example.com/v1", "Widget")
        looked.now += SELDOM
        looked.pages["/apis"]["items"][2] = group("example.com", v2=[found("widgets", "Widget")])
        looked.discovery.changed()
        with pytest.raises(ports.KindUnknown) as caught:
            await looked.discovery.resource("example.com/v1", "Widget")
        assert "example.com/v2" in caught.value.hint
