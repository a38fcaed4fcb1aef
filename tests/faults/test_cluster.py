"""Faults 3: what the cluster itself does: namespaces that go, kinds that come late and go, admission that says no."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.team import Team, config_map
from faults import oracle
from faults.ground import Ground
from faults.webhook import Webhook

QUICK: dict[str, Any] = {"sync": {"retry": {"backoff": "1s", "max": "4s"}}}
MAPS = {f"shop/{name}.yaml": config_map(name, level="info") for name in "ab"}


def start(team: Team, **spec: Any) -> None:
    team.repository()
    team.application(**{**QUICK, **spec})
    team.until_synced(team.commit(MAPS))


def outcome(team: Team, name: str) -> dict[str, Any]:
    found = team.status().get("outcomes", [])
    return next((one for one in found if one["object"].endswith(f"/{name}")), {})


# --- admission -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_webhook_that_denies_is_told_and_makes_no_hot_loop(ground: Ground, team: Team, tmp_path: Path) -> None:
    start(team)
    with Webhook(ground.cluster, team.namespace, tmp_path / "hook") as hook:
        hook.says = lambda request: "not on a Friday" if request["name"] == "a" else ""
        commit = team.commit({f"shop/{name}.yaml": config_map(name, level="debug") for name in "ab"})
        team.until(lambda: "not on a Friday" in outcome(team, "a").get("message", ""), "it is told")
        team.until(lambda: (team.get("v1/configmaps/b") or {}).get("data") == {"level": "debug"}, "the other goes on")
        begun = time.monotonic()
        time.sleep(4)
        again = [at for at in hook.of("a") if at > begun]
        assert len(again) <= 6, "asked again at the distances of spec.sync.retry, an apply and at most one more each"
        hook.says = lambda request: ""
        team.until_synced(commit)


@pytest.mark.slow
def test_a_webhook_that_mutates_is_told_once_and_not_fought(ground: Ground, team: Team, tmp_path: Path) -> None:
    start(team)
    with Webhook(ground.cluster, team.namespace, tmp_path / "hook", mutating=True) as hook:
        # Never the same twice, as those that write a time or a checksum.
        hook.says = lambda request: [{"op": "add", "path": "/data/level", "value": secrets.token_hex(4)}]
        commit = team.commit({"shop/a.yaml": config_map("a", level="debug")})
        team.until(lambda: team.status().get("commit") == commit, "it is applied")
        time.sleep(3)
        assert len(hook.of("a")) <= 3, "applied, and not again and again"
        told = [one for one in team.drift() if "/a" in one["object"]]
        assert len(told) <= 2


def test_a_webhook_that_is_down_is_waited_for(ground: Ground, team: Team, tmp_path: Path) -> None:
    start(team)
    with Webhook(ground.cluster, team.namespace, tmp_path / "hook") as hook:
        hook.says = lambda request: 503
        commit = team.commit({"shop/a.yaml": config_map("a", level="debug")})
        team.until(lambda: "webhook" in outcome(team, "a").get("message", ""), "it is told")
        assert team.ready()["reason"] == "Retrying"
        hook.says = lambda request: ""
        team.until_synced(commit)


ADMISSION = "/apis/admissionregistration.k8s.io/v1"
REAL = pytest.mark.parametrize("cluster", [pytest.param("real", marks=pytest.mark.real)], indirect=True)


@contextlib.contextmanager
def policy(team: Team, kind: str, **spec: Any) -> Iterator[None]:
    """An admission policy over the ConfigMaps `a` of the team's namespace, in force."""
    name = f"faults-{team.namespace}"
    matches = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": team.namespace}},
        "resourceRules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["configmaps"],
            }
        ],
    }
    named = [{"name": "only-a", "expression": "object.metadata.name in ['a', 'probe']"}]
    spec = {"matchConstraints": matches, "matchConditions": named, "failurePolicy": "Fail", **spec}
    actions = {"validationActions": ["Deny"]} if kind == "validating" else {}
    objects = (
        (f"{ADMISSION}/{kind}admissionpolicies", spec),
        (f"{ADMISSION}/{kind}admissionpolicybindings", {"policyName": name, **actions}),
    )
    try:
        for path, content in objects:
            made = team.cluster.request("POST", path, {"metadata": {"name": name}, "spec": content})
            assert made.code == 201, made.body
        yield
    finally:
        for path, _ in objects:
            team.cluster.request("DELETE", f"{path}/{name}")


def probe(team: Team) -> Any:
    """What becomes of a ConfigMap now, without making one."""
    path = f"/api/v1/namespaces/{team.namespace}/configmaps"
    content = {"metadata": {"name": "probe"}, "data": {"level": "debug"}}
    return team.cluster.request("POST", path, content, dryRun="All")


@REAL
@pytest.mark.slow
def test_an_admission_policy_that_denies_is_told_and_makes_no_hot_loop(ground: Ground, team: Team) -> None:
    start(team)
    rule = {"expression": "object.data.level != 'debug'", "message": "not on a Friday"}
    with policy(team, "validating", validations=[rule]):
        team.until(lambda: probe(team).code == 422, "the policy is in force", 60)
        commit = team.commit({f"shop/{name}.yaml": config_map(name, level="debug") for name in "ab"})
        team.until(lambda: "not on a Friday" in outcome(team, "a").get("message", ""), "it is told", 60)
        team.until(lambda: (team.get("v1/configmaps/b") or {}).get("data") == {"level": "debug"}, "the other goes on")
        begun = len(ground.proxy.seen)
        time.sleep(4)
        again = [one for one in ground.proxy.writes(begun) if one.path.endswith("/configmaps/a")]
        assert len(again) <= 6, "asked again at the distances of spec.sync.retry"
    team.until_synced(commit, seconds=60)


@REAL
@pytest.mark.slow
def test_an_admission_policy_that_mutates_is_told_and_not_fought(ground: Ground, team: Team) -> None:
    start(team)
    patch = '[JSONPatch{op: "replace", path: "/data/level", value: "of the policy"}]'
    mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}
    with policy(team, "mutating", mutations=[mutation], reinvocationPolicy="Never"):
        team.until(lambda: b"of the policy" in probe(team).body, "the policy is in force", 60)
        begun = len(ground.proxy.seen)
        commit = team.commit({"shop/a.yaml": config_map("a", level="debug")})
        team.until(lambda: team.status().get("commit") == commit, "it is applied", 60)
        time.sleep(3)
        writes = [str(one) for one in ground.proxy.writes(begun) if one.path.endswith("/configmaps/a")]
        assert len(writes) <= 4, f"applied, and not again and again: {writes}"
        assert (team.get("v1/configmaps/a") or {})["data"] == {"level": "of the policy"}
        told = str(team.status()) + str([one for one in team.drift() if "/a" in one["object"]])
        assert "data.level" in told, told
    team.until(lambda: b"of the policy" not in probe(team).body, "the policy is out of force", 60)
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="info")}), seconds=60)
    oracle.equals_git(team)


# --- namespaces ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_namespace_that_is_terminating_is_waited_for_with_bounds(ground: Ground, team: Team) -> None:
    other = f"{team.namespace}-going"
    binding = {
        "metadata": {"name": f"wide-{team.namespace}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "windlass-applier", "namespace": team.namespace}],
    }
    made = team.cluster.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    assert made.code == 201
    start(team, destination={"namespace": other, "createNamespace": True})
    maps = f"/api/v1/namespaces/{other}/configmaps"
    held = {"metadata": {"name": "held", "finalizers": ["faults.test/held"]}}
    assert team.cluster.request("POST", maps, held).code == 201
    assert team.cluster.request("DELETE", f"/api/v1/namespaces/{other}").code in (200, 202)
    team.until(lambda: team.cluster.request("GET", f"{maps}/a").code == 404, "what was in it is gone", 30)
    commit = team.commit({"shop/a.yaml": config_map("a", level="debug")})
    team.until(lambda: "terminat" in str(team.status().get("outcomes")), "it is told why", 30)
    begun = len(ground.proxy.seen)
    time.sleep(4)
    tried = [one for one in ground.proxy.writes(begun) if one.path.startswith(f"{maps}/")]
    assert len(tried) <= 20, "two objects, tried at distances that grow"
    let_go = [{"op": "remove", "path": "/metadata/finalizers"}]
    done = team.cluster.request("PATCH", f"{maps}/held", let_go, content_type="application/json-patch+json")
    assert done.code == 200
    team.until_synced(commit, seconds=60)
    assert team.cluster.request("GET", f"{maps}/a").json["data"] == {"level": "debug"}
    team.cluster.request("DELETE", f"/api/v1/namespaces/{other}")


# --- kinds -----------------------------------------------------------------------------------------------------------

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: widgets.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""


@pytest.fixture
def group(ground: Ground, namespace: str) -> Iterator[str]:
    name = f"{namespace}.faults.test"
    yield name
    ground.cluster.request("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{name}")


def define(ground: Ground, group: str) -> None:
    import yaml

    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    made = ground.cluster.request("POST", path, yaml.safe_load(DEFINITION.format(group=group)))
    assert made.code == 201, made.body


@pytest.mark.slow
def test_a_kind_that_comes_late_and_goes_leaves_the_others_going(ground: Ground, team: Team, group: str) -> None:
    start(team)
    widget = f"apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {{size: 3}}\n"
    commit = team.commit({"shop/w.yaml": widget, "shop/a.yaml": config_map("a", level="t1")})
    team.until(lambda: (team.get("v1/configmaps/a") or {}).get("data") == {"level": "t1"}, "the others go on")
    team.until(lambda: "serves no Widget" in outcome(team, "w").get("message", ""), "it is told what is missing")
    define(ground, group)
    team.until_synced(commit, seconds=30)
    assert team.get(f"{group}/v1/widgets/w") is not None
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}"
    assert ground.cluster.request("DELETE", path).code == 200
    ground.cluster.eventually(lambda: ground.cluster.request("GET", path).code == 404, "the kind is gone", 30)
    commit = team.commit({"shop/a.yaml": config_map("a", level="t2")})
    team.until(lambda: (team.get("v1/configmaps/a") or {}).get("data") == {"level": "t2"}, "the others go on", 30)
    define(ground, group)
    team.until_synced(commit, seconds=40)
    assert team.get(f"{group}/v1/widgets/w")["spec"] == {"size": 3}  # type: ignore[index]
    oracle.unharmed(team, oracle.live(team))
