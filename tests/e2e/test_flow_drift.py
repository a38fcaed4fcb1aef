"""DRIFT on both clusters: somebody's hand on a live object is told (field, values, manager, time) and put back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.team import Team, apply, config_map, deployment
from real.cluster import JSON_PATCH, MERGE, STRATEGIC

WEB = "apps/v1/deployments/web"

ONLY_REAL = pytest.mark.parametrize("cluster", [pytest.param("real", marks=pytest.mark.real)], indirect=True)
"""The devcluster stores admission policies and evaluates none (docs/limits.md)."""


@pytest.fixture
def shop(team: Team) -> Team:
    """An Application with a Deployment and a ConfigMap, in sync and healthy."""
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/web.yaml": deployment("web"), "shop/a.yaml": config_map("a", level="info")}))
    return team


def told(team: Team, kind: str = "Deployment", name: str = "web") -> list[dict[str, Any]]:
    return team.drift(object=f"{kind}/{team.namespace}/{name}")


def replicas(team: Team) -> int:
    found = team.get(WEB)
    return int(found["spec"]["replicas"]) if found else -1


def web(team: Team) -> dict[str, Any]:
    found = team.get(WEB)
    assert found is not None
    container: dict[str, Any] = found["spec"]["template"]["spec"]["containers"][0]
    return container


def test_a_scale_is_told_with_its_manager_and_put_back(shop: Team, kubectl: object) -> None:
    shop.cluster.kubectl("-n", shop.namespace, "scale", "deploy", "web", "--replicas=7")
    line = shop.until(lambda: told(shop), "the scale is told")[0]
    assert line["field"] == "spec.replicas"
    assert line["manager"] == "kubectl"
    assert line["operation"] == "scale"
    assert "2 -> 7" in line["text"]
    shop.until(lambda: replicas(shop) == 2, "put back")
    assert any("spec.replicas" in text for text in shop.until(lambda: shop.events("Drift"), "an Event tells it"))


def test_a_set_image_is_put_back(shop: Team, kubectl: object) -> None:
    shop.cluster.kubectl("-n", shop.namespace, "set", "image", "deploy/web", "web=registry.example/evil:1")
    line = shop.until(lambda: told(shop), "the change is told")[0]
    assert line["field"] == "spec.template.spec.containers[name=web].image"
    assert line["manager"] == "kubectl-set"
    shop.until(lambda: web(shop)["image"] == "registry.example/shop:1.0", "put back")


@pytest.mark.parametrize(
    ("form", "patch"),
    [
        (MERGE, {"spec": {"replicas": 5}}),
        (JSON_PATCH, [{"op": "replace", "path": "/spec/replicas", "value": 5}]),
        (STRATEGIC, {"spec": {"replicas": 5}}),
    ],
)
def test_a_patch_of_each_form_is_put_back(shop: Team, form: str, patch: Any) -> None:
    shop.patch(WEB, patch, form=form, manager="somebody")
    line = shop.until(lambda: told(shop), "the change is told")[0]
    assert (line["field"], line["manager"]) == ("spec.replicas", "somebody")
    shop.until(lambda: replicas(shop) == 2, "put back")


def test_a_field_that_is_removed_comes_back(shop: Team) -> None:
    path = "/spec/template/spec/containers/0/env"
    shop.patch(WEB, [{"op": "remove", "path": path}], form=JSON_PATCH)
    shop.until(lambda: web(shop).get("env") == [{"name": "LEVEL", "value": "info"}], "put back")
    assert "env" in shop.until(lambda: told(shop), "it is told")[0]["field"]


def test_a_client_side_apply_and_a_server_side_one_are_put_back(shop: Team, kubectl: object) -> None:
    changed = deployment("web", replicas=4)
    shop.cluster.kubectl("-n", shop.namespace, "apply", "-f", "-", input=changed)
    shop.until(lambda: told(shop) and replicas(shop) == 2, "the client-side apply is told and put back")
    shop.cluster.kubectl("-n", shop.namespace, "apply", "--server-side", "--force-conflicts", "-f", "-", input=changed)
    shop.until(lambda: replicas(shop) == 2, "the server-side apply is put back")


def test_an_edit_is_put_back(shop: Team, kubectl: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE_EDITOR", "sed -i s#shop:1.0#shop:2.0#")
    shop.cluster.kubectl("-n", shop.namespace, "edit", "deploy", "web")
    line = shop.until(lambda: told(shop), "the edit is told")[0]
    assert line["manager"] == "kubectl-edit"
    shop.until(lambda: web(shop)["image"] == "registry.example/shop:1.0", "put back")


def test_an_addition_is_reported_with_its_value_and_stays(shop: Team) -> None:
    addition = {
        "spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "DEBUG", "value": "1"}]}]}}}
    }
    shop.patch(WEB, addition, form=STRATEGIC, manager="kubectl-edit")
    items = shop.until(lambda: shop.status().get("drift", {}).get("items"), "it stands in the status")
    assert [(one["cause"], one["response"], one["manager"]) for one in items] == [("added", "report", "kubectl-edit")]
    assert "DEBUG" in items[0]["field"]
    names = [one["name"] for one in web(shop)["env"]]
    assert sorted(names) == ["DEBUG", "LEVEL"]


def test_an_addition_is_taken_away_where_git_says_so(shop: Team) -> None:
    shop.application(drift={"additions": "revert"})
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "miner", "image": "registry.example/miner:1"}]}}}}
    shop.patch(WEB, sidecar, form=STRATEGIC)
    found = shop.until(lambda: told(shop), "it is told")
    assert any(one["severe"] for one in found), "a new container is a security matter"

    def alone() -> bool:
        content = shop.get(WEB)
        assert content is not None
        return [one["name"] for one in content["spec"]["template"]["spec"]["containers"]] == ["web"]

    shop.until(alone, "taken away")


def test_a_security_field_is_severe(shop: Team) -> None:
    shop.patch(WEB, {"spec": {"template": {"spec": {"hostPID": True}}}})
    line = shop.until(lambda: told(shop), "it is told")[0]
    assert line["severe"] is True
    assert line["field"] == "spec.template.spec.hostPID"


def test_a_deleted_object_comes_back(shop: Team) -> None:
    path = f"/api/v1/namespaces/{shop.namespace}/configmaps/a"
    uid = shop.get("v1/configmaps/a")["metadata"]["uid"]  # type: ignore[index]
    assert shop.cluster.request("DELETE", path).code == 200

    def back() -> bool:
        found = shop.get("v1/configmaps/a")
        return found is not None and found["metadata"]["uid"] != uid

    shop.until(back, "created again")
    line = shop.until(lambda: told(shop, "ConfigMap", "a"), "it is told")[0]
    assert "deleted" in line["text"]


def test_a_label_that_is_taken_off_comes_back(shop: Team, kubectl: object) -> None:
    shop.cluster.kubectl("-n", shop.namespace, "label", "configmap", "a", "windlass.dev/application-")

    def labelled() -> bool:
        found = shop.get("v1/configmaps/a") or {}
        return "windlass.dev/application" in found.get("metadata", {}).get("labels", {})

    shop.until(labelled, "the label is back")
    shop.until(lambda: told(shop, "ConfigMap", "a"), "it is told")


def test_a_write_under_our_own_manager_is_seen(shop: Team) -> None:
    ours = f"windlass-{shop.namespace}.shop"
    content = shop.get("v1/configmaps/a")
    assert content is not None
    forged = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "a",
            "namespace": shop.namespace,
            "labels": content["metadata"]["labels"],
            "annotations": content["metadata"]["annotations"],
        },
        "data": {"level": "forged"},
    }
    assert apply(shop.cluster, forged, manager=ours).code == 200

    def back() -> bool:
        found = shop.get("v1/configmaps/a")
        return found is not None and found["data"] == {"level": "info"}

    shop.until(back, "put back")
    shop.until(lambda: told(shop, "ConfigMap", "a"), "it is told")
    assert told(shop, "ConfigMap", "a")[0]["manager"] == ours


def test_only_told_where_git_says_alert_and_a_sync_that_a_person_asks_for_puts_it_back(shop: Team) -> None:
    shop.application(drift={"action": "alert"})
    shop.until(lambda: shop.ready().get("observedGeneration") == 2, "the new spec is seen")
    shop.patch(WEB, {"spec": {"replicas": 5}})
    items = shop.until(lambda: shop.status().get("drift", {}).get("items"), "it stands in the status")
    assert items[0]["response"] == "alert"
    assert replicas(shop) == 5
    # Neither a restart nor a commit that says nothing new of it is a reason to put it back.
    shop.windlass.stop()
    shop.windlass.start()
    commit = shop.commit({"shop/z.yaml": config_map("z")})
    shop.until_synced(commit)
    assert replicas(shop) == 5
    assert shop.status()["drift"]["items"][0]["field"] == "spec.replicas"
    shop.patch(
        "windlass.dev/v1alpha1/applications/shop",
        {"metadata": {"annotations": {"windlass.dev/sync-requested": "2026-11-22T10:00:00Z ada"}}},
    )
    shop.until(lambda: replicas(shop) == 2, "put back on request")
    shop.until(lambda: not shop.status().get("drift", {}).get("items"), "and no longer open")


def test_status_writes_and_foreign_annotations_are_no_drift(shop: Team) -> None:
    before = len(shop.drift())
    shop.patch(WEB, {"metadata": {"annotations": {"example.com/note": "1"}, "labels": {"example.com/x": "y"}}})
    shop.patch("v1/configmaps/a", {"metadata": {"annotations": {"example.com/note": "1"}}})
    shop.patch("v1/configmaps/a", {"data": {"level": "info"}})
    shop.patch(WEB, {"spec": {"replicas": 9}})
    shop.until(lambda: told(shop), "the last one is drift, so the others have been seen")
    assert len(shop.drift()) == before + 1


def test_who_takes_a_field_back_a_third_time_is_no_longer_fought(shop: Team) -> None:
    for number in (5, 6):
        shop.patch(WEB, {"spec": {"replicas": number}}, manager="autoscaler-of-somebody")
        shop.until(
            lambda number=number: len([one for one in told(shop) if one["response"] == "revert"]) >= number - 4, "told"
        )
        shop.until(lambda: replicas(shop) == 2, "put back")
    shop.patch(WEB, {"spec": {"replicas": 8}}, manager="autoscaler-of-somebody")
    shop.until(lambda: [one for one in told(shop) if one["response"] == "give-up"], "the fight is ended")
    items = shop.until(lambda: shop.status().get("drift", {}).get("items"), "it stands open")
    assert items[0]["response"] == "give-up"
    assert replicas(shop) == 8


@pytest.mark.slow
def test_an_autoscaler_above_gits_replicas_ends_the_fight(team: Team) -> None:
    team.repository()
    team.application()
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "minReplicas": 4,
            "maxReplicas": 6,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
                }
            ],
        },
    }
    team.commit({"shop/web.yaml": deployment("web"), "shop/hpa.json": json.dumps(hpa)})
    team.until(lambda: [one for one in told(team) if one["response"] == "give-up"], "the fight is ended", seconds=120)
    # Git lets go of the field: the live value stays, and belongs to the autoscaler.
    commit = team.commit({"shop/web.yaml": deployment("web", replicas=None)})
    team.until(lambda: team.status().get("commit") == commit, "applied", seconds=60)
    assert replicas(team) >= 4


def test_letting_go_of_replicas_hands_the_live_value_over_in_place_of_resetting_it(team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/web.yaml": deployment("web", replicas=3)}))
    team.until_synced(team.commit({"shop/web.yaml": deployment("web", replicas=None)}))
    assert replicas(team) == 3
    managers = [one["manager"] for one in team.get(WEB)["metadata"]["managedFields"]]  # type: ignore[index]
    assert "windlass-released" in managers
    team.until_synced(team.commit({"shop/web.yaml": deployment("web", replicas=4)}))
    assert replicas(team) == 4


@ONLY_REAL
def test_what_admission_changes_is_told_once_and_not_fought(team: Team) -> None:
    name = f"rewrite-{team.namespace}"
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": team.namespace}},
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["configmaps"],
                    }
                ],
            },
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConditions": [{"name": "ours", "expression": "object.metadata.name == 'a'"}],
            "mutations": [
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {"expression": "Object{data: {'level': 'rewritten'}}"},
                }
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    base = "/apis/admissionregistration.k8s.io/v1"
    made = team.cluster.request("POST", f"{base}/mutatingadmissionpolicies", policy)
    assert made.code == 201, made.body
    assert team.cluster.request("POST", f"{base}/mutatingadmissionpolicybindings", binding).code == 201
    try:
        team.repository()
        team.application()
        dry = f"/api/v1/namespaces/{team.namespace}/configmaps"

        def active() -> bool:
            probe = {"metadata": {"name": "a"}, "data": {"level": "x"}}
            answer = team.cluster.request("POST", dry, probe, dryRun="All")
            return answer.code == 201 and answer.json["data"]["level"] == "rewritten"

        team.until(active, "the policy is in force")
        commit = team.commit({"shop/a.yaml": config_map("a", level="info")})
        team.until(lambda: team.status().get("commit") == commit, "applied")
        items = team.until(lambda: team.status().get("drift", {}).get("items"), "it is told")
        assert [(one["cause"], one["field"], one["live"]) for one in items] == [
            ("admission", "data.level", "rewritten")
        ]
        assert len([one for one in team.drift() if one["field"] == "data.level"]) == 1, "once"
    finally:
        team.cluster.request("DELETE", f"{base}/mutatingadmissionpolicybindings/{name}")
        team.cluster.request("DELETE", f"{base}/mutatingadmissionpolicies/{name}")
