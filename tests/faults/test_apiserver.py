"""Faults 2 and 3: an API server that conflicts, throttles, fails, stalls, lies and restarts.

What it asks to wait is waited; what is not known is neither pruned nor made again; nothing is done twice; nothing waits
for a person.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from e2e.team import Team, config_map, deployment
from faults import oracle
from faults.ground import Ground, page
from faults.proxy import After, Alter, Answer, Drop, Request, Stall, Verdict

HERE = pytest.mark.parametrize("cluster", ["devcluster"], indirect=True)
"""What the proxy alone makes up, whatever is behind it, is tried on one cluster."""
QUICK: dict[str, Any] = {"sync": {"retry": {"backoff": "1s", "max": "5s"}}}
MAPS = {f"shop/{name}.yaml": config_map(name, level="info") for name in "abc"}


def start(team: Team, **spec: Any) -> None:
    team.repository()
    team.application(**{**QUICK, **spec})
    team.until_synced(team.commit(MAPS))


def outcome(team: Team, name: str, application: str = "shop") -> dict[str, Any]:
    found = team.status(application).get("outcomes", [])
    return next((one for one in found if one["object"].endswith(f"/{name}")), {})


class Once:
    """A verdict for the first so many requests that fit."""

    def __init__(self, fits: Callable[[Request], bool], verdict: Verdict, times: int = 1) -> None:
        self.fits, self.verdict, self.left = fits, verdict, times
        self.met: list[Request] = []

    def __call__(self, request: Request) -> Verdict:
        if not self.fits(request):
            return None
        self.met.append(request)
        if self.left == 0:
            return None
        self.left -= 1
        return self.verdict


def writes_of(name: str, team: Team) -> Callable[[Request], bool]:
    end = f"/namespaces/{team.namespace}/configmaps/{name}"
    return lambda request: request.writes and request.path.endswith(end)


def test_a_conflict_is_looked_at_again_and_the_change_made_once(ground: Ground, team: Team) -> None:
    start(team)
    begun = len(ground.proxy.seen)
    rule = Once(writes_of("a", team), Answer(409, "Conflict", "the object has been modified"), times=2)
    ground.proxy.rule = rule
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="debug")}), seconds=5)
    assert rule.left == 0
    oracle.equals_git(team)
    assert oracle.effects(ground.proxy.seen[begun:], team.namespace) == {"apply configmaps/a": 1}


@HERE
def test_too_many_requests_is_waited_out_for_as_long_as_the_server_says(ground: Ground, team: Team) -> None:
    start(team)
    rule = Once(writes_of("a", team), Answer(429, "TooManyRequests", headers=(("Retry-After", "2"),)))
    ground.proxy.rule = rule
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="debug")}), seconds=10)
    first, second, *more = rule.met
    assert 2.0 <= second.at - first.at < 4.0
    assert not more


@HERE
def test_a_long_retry_after_is_waited_out_too_and_holds_up_no_other_application(ground: Ground, team: Team) -> None:
    start(team)
    team.application("store", "store")
    team.until_synced(team.commit({"store/d.yaml": config_map("d", level="info")}), "store")
    rule = Once(writes_of("a", team), Answer(429, "TooManyRequests", headers=(("Retry-After", "600"),)))
    ground.proxy.rule = rule
    commit = team.commit(
        {"shop/a.yaml": config_map("a", level="debug"), "store/d.yaml": config_map("d", level="debug")}
    )
    team.until_synced(commit, "store")
    time.sleep(3)  # the Application's own backoff would have come round by now
    assert len(rule.met) == 1


@pytest.mark.slow
@HERE
@pytest.mark.parametrize("after", [False, True], ids=["before it was carried out", "after it was carried out"])
@pytest.mark.parametrize(
    "verdict",
    [
        Answer(500, "InternalError", "etcdserver: request timed out"),
        pytest.param(Answer(503, "ServiceUnavailable"), marks=pytest.mark.slow),
        pytest.param(Answer(504, "Timeout", body=b"upstream request timeout"), marks=pytest.mark.slow),
        Drop(),
    ],
    ids=["500", "503", "504", "a connection that ends"],
)
def test_a_write_that_fails_is_made_once(ground: Ground, team: Team, verdict: Answer | Drop, after: bool) -> None:
    start(team)
    begun = len(ground.proxy.seen)
    fits = writes_of("a", team)
    gone = writes_of("c", team)
    rule = Once(lambda request: fits(request) or gone(request), After(verdict) if after else verdict, times=3)
    ground.proxy.rule = rule
    commit = team.commit({"shop/a.yaml": config_map("a", level="debug"), "shop/c.yaml": None})
    team.until_synced(commit, seconds=30)
    ground.proxy.settle()
    oracle.equals_git(team)
    expected = {"apply configmaps/a": 1, "delete configmaps/c": 1}
    assert oracle.effects(ground.proxy.seen[begun:], team.namespace) == expected


@HERE
def test_an_object_whose_creation_was_never_answered_is_ours_and_goes_when_git_says_so(
    ground: Ground, team: Team
) -> None:
    start(team)
    rule = Once(writes_of("d", team), After(Drop()))
    ground.proxy.rule = rule
    team.until_synced(team.commit({"shop/d.yaml": config_map("d", level="info")}))
    assert len(rule.met) == 2, "it was asked again"
    assert "windlass.dev/adopted" not in team.get("v1/configmaps/d")["metadata"]["annotations"]  # type: ignore[index]
    team.until_synced(team.commit({"shop/d.yaml": None}))
    assert team.get("v1/configmaps/d") is None


@HERE
@pytest.mark.slow
def test_a_write_that_is_never_answered_is_made_once(ground: Ground, team: Team) -> None:
    start(team)
    begun = len(ground.proxy.seen)
    ground.proxy.rule = Once(writes_of("a", team), After(Stall()))
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="debug")}), seconds=60)
    assert oracle.effects(ground.proxy.seen[begun:], team.namespace) == {"apply configmaps/a": 1}


# --- watches ---------------------------------------------------------------------------------------------------------


def test_a_watch_that_stalls_lets_nothing_old_be_pruned(ground: Ground, team: Team) -> None:
    start(team)
    ground.proxy.hold_watches(True)
    path = f"/api/v1/namespaces/{team.namespace}/configmaps/c"
    # Somebody takes the object for himself, and the controller does not see it.
    mine = {"metadata": {"labels": {oracle.LABEL: None}, "annotations": {"team": "b"}}}
    team.patch("v1/configmaps/c", mine)
    commit = team.commit({"shop/c.yaml": None, "shop/a.yaml": config_map("a", level="debug")}, "Give c away")
    team.until(lambda: (team.get("v1/configmaps/a") or {}).get("data") == {"level": "debug"}, "a is applied")
    time.sleep(1)
    assert team.cluster.request("GET", path).code == 200, "it is not ours any more, whatever an old view says"
    ground.proxy.hold_watches(False)
    team.until_synced(commit)
    assert team.cluster.request("GET", path).code == 200


def test_a_watch_that_stalls_lets_nothing_be_made_over_what_others_made(ground: Ground, team: Team) -> None:
    start(team)
    ground.proxy.hold_watches(True)
    path = f"/api/v1/namespaces/{team.namespace}/configmaps"
    assert team.cluster.request("DELETE", f"{path}/a").code == 200
    theirs = {"metadata": {"name": "a", "labels": {"app.kubernetes.io/managed-by": "Helm"}}, "data": {"theirs": "1"}}
    theirs["metadata"]["annotations"] = {"meta.helm.sh/release-name": "x"}  # type: ignore[assignment]
    assert team.cluster.request("POST", path, theirs, fieldManager="helm").code == 201
    team.commit({"shop/a.yaml": config_map("a", level="debug")})
    time.sleep(2)
    found = team.get("v1/configmaps/a")
    assert found is not None
    assert found["data"] == {"theirs": "1"}
    ground.proxy.hold_watches(False)
    team.until(lambda: outcome(team, "a").get("result") == "refused", "it is told whose it is")


@HERE
def test_watches_that_end_again_and_again_lose_nothing(ground: Ground, team: Team) -> None:
    start(team)
    begun = len(ground.proxy.seen)
    for turn in range(8):
        team.patch("v1/configmaps/b", {"data": {"level": f"hand {turn}"}}, manager=f"hand-{turn}")
        commit = team.commit({"shop/a.yaml": config_map("a", level=f"t{turn}")})
        ground.proxy.cut(watches_only=True)
        time.sleep(0.15)
    team.until_synced(commit)
    team.until(lambda: oracle.contains(team.get("v1/configmaps/b"), {"data": {"level": "info"}}), "put back")
    lists = [one for one in ground.proxy.seen[begun:] if one.path == "/api/v1/configmaps" and not one.watch]
    assert len(lists) <= 2, "a watch goes on where it ended, and does not list all again"


@pytest.mark.slow
@HERE
@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}',
        b"{not json",
        b"<html>502 Bad Gateway</html>",
        # What is an event and no object costs a list some seconds later: it may be the same again.
        pytest.param(b'{"type":"DELETED","object":{"metadata":{}}}', marks=pytest.mark.slow),
    ],
)
def test_what_is_no_event_costs_at_most_a_new_list(ground: Ground, team: Team, line: bytes) -> None:
    start(team)
    told = []

    def spoilt(event: bytes) -> Iterable[bytes]:
        if b'"level":"hand"' not in event and b"hand" not in event and told:
            return [event]
        told.append(event)
        return [line] if len(told) == 1 else [event]

    ground.proxy.rule = lambda request: Alter(spoilt) if request.watch and "configmaps" in request.path else None
    ground.proxy.cut(watches_only=True)
    time.sleep(0.3)
    team.patch("v1/configmaps/a", {"data": {"level": "hand"}})
    team.until(lambda: oracle.contains(team.get("v1/configmaps/a"), {"data": {"level": "info"}}), "it is put back", 40)
    assert told
    team.until_synced(team.commit({"shop/b.yaml": config_map("b", level="debug")}))


@HERE
@pytest.mark.slow
def test_garbage_among_applications_costs_a_list_and_ends_no_loop(ground: Ground, team: Team) -> None:
    start(team)
    told: list[bytes] = []

    def spoilt(event: bytes) -> Iterable[bytes]:
        told.append(event)
        return [b'{"type":"DELETED","object":{"metadata":{"name":7}}}', event] if len(told) == 1 else [event]

    ground.proxy.rule = lambda request: Alter(spoilt) if request.watch and "/applications" in request.path else None
    ground.proxy.cut(watches_only=True)
    time.sleep(0.3)
    team.application("late", "late", **QUICK)
    commit = team.commit({"late/d.yaml": config_map("d", level="info")})
    team.until_synced(commit, "late", seconds=40)
    assert told


@HERE
def test_events_that_come_twice_and_late_do_nothing(ground: Ground, team: Team) -> None:
    start(team)
    old: list[bytes] = []

    def repeated(event: bytes) -> Iterable[bytes]:
        old.append(event)
        return [event, *old[-6:], event]

    ground.proxy.rule = lambda request: Alter(repeated) if request.watch else None
    ground.proxy.cut(watches_only=True)
    time.sleep(0.3)
    for turn in range(4):
        team.until_synced(team.commit({"shop/a.yaml": config_map("a", level=f"t{turn}")}))
    begun = len(ground.proxy.seen)
    time.sleep(0.5)
    assert oracle.effects(ground.proxy.seen[begun:], team.namespace) == {}
    assert team.drift() == [], "old events are nobody's hand"
    oracle.equals_git(team)


# --- what is not known -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [Answer(403, "Forbidden", "services is forbidden: User cannot list"), Answer(500)])
def test_a_kind_that_can_not_be_listed_costs_that_kind_alone(ground: Ground, team: Team, answer: Answer) -> None:
    service = json.dumps(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    )
    start(team)
    blind = lambda request: answer if request.path == "/api/v1/services" and request.method == "GET" else None  # noqa: E731
    ground.proxy.rule = blind
    ground.restart()
    commit = team.commit({"shop/a.yaml": config_map("a", level="debug"), "shop/web.yaml": service})
    team.until(lambda: (team.get("v1/configmaps/a") or {}).get("data") == {"level": "debug"}, "the others go on")
    team.until(lambda: outcome(team, "web").get("result") in ("failed", "refused"), "the one kind is told")
    assert team.get("v1/services/web") is None, "what can't be looked up is not made"
    ground.proxy.rule = None
    team.until_synced(commit, seconds=40)


def test_what_can_be_listed_again_and_left_git_meanwhile_is_pruned(ground: Ground, team: Team) -> None:
    start(team)
    account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: d}\n"
    team.until_synced(team.commit({"shop/d.yaml": account}))
    ground.kill()
    ground.proxy.rule = lambda request: Answer(500) if request.path == "/api/v1/serviceaccounts" else None
    commit = team.commit({"shop/d.yaml": None}, told=False)
    ground.restart()
    team.until(lambda: team.status().get("commit") == commit or True, "it looked")
    time.sleep(1)
    assert team.get("v1/serviceaccounts/d") is not None, "unknown is not absent, and nothing is done about it"
    ground.proxy.rule = None
    team.until(lambda: team.get("v1/serviceaccounts/d") is None, "seen again, it goes", 40)


def test_a_group_that_does_not_answer_discovery_is_unknown_and_not_gone(ground: Ground, team: Team) -> None:
    start(team)
    team.until_synced(team.commit({"shop/web.yaml": deployment("web", replicas=1)}))
    uid = team.get("apps/v1/deployments/web")["metadata"]["uid"]  # type: ignore[index]

    def partial(body: bytes) -> Iterable[bytes]:
        found = json.loads(body)
        for group in found.get("items", []):
            if group["metadata"]["name"] == "apps":
                group["versions"] = [{"version": "v1", "freshness": "Stale"}]
        return [json.dumps(found).encode()]

    ground.proxy.rule = lambda request: Alter(partial) if request.path == "/apis" else None
    ground.restart()
    commit = team.commit({"shop/a.yaml": config_map("a", level="debug")})
    team.until(lambda: (team.get("v1/configmaps/a") or {}).get("data") == {"level": "debug"}, "the others go on")
    found = team.get("apps/v1/deployments/web")
    assert found is not None
    assert found["metadata"]["uid"] == uid
    team.until(lambda: "OutOfSync" in team.status().get("sync", ""), "it is told")
    assert team.status()["health"] == "Unknown", "what can't be seen is not missing"
    ground.proxy.rule = None
    team.until_synced(commit, seconds=40)
    assert team.get("apps/v1/deployments/web")["metadata"]["uid"] == uid  # type: ignore[index]


# --- away and back ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_api_server_that_was_away_is_taken_up_again_by_itself(ground: Ground, team: Team) -> None:
    start(team)
    if ground.cluster.plane is not None:
        ground.cluster.plane.restart_server()
    else:
        ground.proxy.down = True
        ground.proxy.cut()
        time.sleep(3)
    team.patch("v1/configmaps/b", {"data": {"level": "hand"}})
    ground.proxy.down = False
    if ground.dead():
        # Away for longer than the Lease may go without renewal: the controller ends, its Deployment starts it again.
        ground.start()
    commit = team.commit({"shop/a.yaml": config_map("a", level="debug")})
    team.until_synced(commit, seconds=30)
    team.until(lambda: oracle.contains(team.get("v1/configmaps/b"), {"data": {"level": "info"}}), "put back", 30)
    assert page(ground, "/healthz")[0] == 200
    oracle.equals_git(team)
