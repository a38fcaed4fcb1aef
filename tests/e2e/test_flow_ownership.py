"""Whose an object is, on both clusters: adoption, taking over, claims of two, letting go, prune with its brakes."""

from __future__ import annotations

import json
from typing import Any

from e2e.team import Team, apply, config_map, deployment

MAP = "v1/configmaps/a"


def outcome(team: Team, kind: str, name: str = "shop") -> dict[str, Any]:
    found = [one for one in team.status(name).get("outcomes", []) if one["object"].startswith(f"{kind}/")]
    return found[0] if found else {}


def test_a_free_object_is_adopted_and_told_and_never_pruned_without_a_word_in_git(team: Team) -> None:
    team.put("v1", "ConfigMap", "a", data={"mine": "1"})
    team.repository()
    team.application()
    first = team.commit({"shop/a.yaml": config_map("a", level="info"), "shop/b.yaml": config_map("b")})
    team.until_synced(first)
    assert outcome(team, "ConfigMap")["result"] == "adopted"
    found = team.get(MAP)
    assert found is not None
    assert found["data"] == {"mine": "1", "level": "info"}
    assert "windlass.dev/adopted" in found["metadata"]["annotations"]
    team.commit({"shop/a.yaml": None})
    team.until(lambda: outcome(team, "ConfigMap").get("result") == "kept", "it is kept, and told")
    assert "existed before" in outcome(team, "ConfigMap")["message"]
    assert team.get(MAP) is not None
    team.application(sync={"confirm": ["ConfigMap/a"]})
    team.until(lambda: team.get(MAP) is None, "confirmed in Git, it is pruned")


def test_nothing_that_exists_is_taken_where_git_says_none(team: Team) -> None:
    team.put("v1", "ConfigMap", "a", data={"mine": "1"})
    team.repository()
    team.application(sync={"adopt": "none"})
    team.commit({"shop/a.yaml": config_map("a", level="info")})
    team.until(lambda: outcome(team, "ConfigMap").get("result") == "refused", "it is refused")
    assert "adopt: free" in outcome(team, "ConfigMap")["mend"]
    found = team.get(MAP)
    assert found is not None
    assert found["data"] == {"mine": "1"}


def test_taking_over_from_kubectl_apply_lets_git_remove_fields(team: Team, kubectl: object) -> None:
    both = config_map("a", old="1", level="info")
    team.cluster.kubectl("-n", team.namespace, "apply", "-f", "-", input=both)
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": both}))
    managers = [one["manager"] for one in team.get(MAP)["metadata"]["managedFields"]]  # type: ignore[index]
    assert "kubectl-client-side-apply" not in managers
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="info")}))
    found = team.get(MAP)
    assert found is not None
    assert found["data"] == {"level": "info"}, "a field that Git removed goes, whoever wrote it before"


def test_an_object_of_helm_is_left_alone_unless_git_says_all(team: Team) -> None:
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    notes = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": team.namespace}
    content = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": team.namespace, "labels": labels, "annotations": notes},
        "data": {"from": "helm"},
    }
    path = f"/api/v1/namespaces/{team.namespace}/configmaps"
    assert team.cluster.request("POST", path, content, fieldManager="helm").code == 201
    team.repository()
    team.application()
    team.commit({"shop/a.yaml": config_map("a", level="info")})
    team.until(lambda: outcome(team, "ConfigMap").get("result") == "refused", "it is refused")
    assert "Helm release" in outcome(team, "ConfigMap")["message"]
    found = team.get(MAP)
    assert found is not None
    assert found["data"] == {"from": "helm"}
    team.application(sync={"adopt": "all"})
    team.until(lambda: (team.get(MAP) or {}).get("data") == {"level": "info"}, "taken, with Helm's fields gone")


def test_two_applications_that_claim_one_object_are_told_apart(team: Team) -> None:
    team.repository()
    team.application("first", "first")
    team.application("second", "second")
    commit = team.commit({"first/a.yaml": config_map("a", owner="first")})
    team.until_synced(commit, "first")
    team.commit({"second/a.yaml": config_map("a", owner="second")})
    team.until(lambda: outcome(team, "ConfigMap", "second").get("result") == "refused", "the second is refused")
    assert f"{team.namespace}/first" in outcome(team, "ConfigMap", "second")["message"]
    found = team.get(MAP)
    assert found is not None
    assert found["data"] == {"owner": "first"}
    team.commit({"second/a.yaml": None, "second/b.yaml": config_map("b")})
    team.until_synced(team.head(), "second")
    assert team.get(MAP) is not None, "what was the first one's is not pruned by the second"


def test_a_label_alone_makes_nobody_an_owner(team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a")}))
    forged = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "precious",
            "namespace": team.namespace,
            "labels": {"windlass.dev/application": f"{team.namespace}.shop"},
        },
        "data": {"keep": "me"},
    }
    assert apply(team.cluster, forged, manager="somebody").code == 201
    team.until_synced(team.commit({"shop/b.yaml": config_map("b")}))
    assert team.get("v1/configmaps/precious") is not None


def test_what_a_controller_makes_from_our_objects_is_not_ours(team: Team) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{team.namespace}/endpointslices"
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/web.yaml": deployment("web"), "shop/service.json": json.dumps(service)}))
    items = team.until(lambda: team.cluster.request("GET", slices).json["items"], "an EndpointSlice is made")
    assert items[0]["metadata"]["labels"].get("windlass.dev/application"), "the label is copied to it"
    team.until_synced(team.commit({"shop/a.yaml": config_map("a")}))
    assert team.cluster.request("GET", slices).json["items"], "and it is not pruned for that"


def test_a_released_object_keeps_its_values_and_is_left_alone(team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/web.yaml": deployment("web", replicas=3), "shop/b.yaml": config_map("b")}))
    released = deployment("web", replicas=3).replace(
        "name: web\n", 'name: web\n  annotations: {windlass.dev/release: "true"}\n', 1
    )
    team.commit({"shop/web.yaml": released})

    def free() -> bool:
        found = team.get("apps/v1/deployments/web") or {"metadata": {}}
        return "windlass.dev/application" not in found["metadata"].get("labels", {})

    team.until(free, "our label is off")
    team.patch("apps/v1/deployments/web", {"spec": {"replicas": 6}})
    team.until_synced(team.commit({"shop/b.yaml": config_map("b", x="1")}))
    found = team.get("apps/v1/deployments/web")
    assert found is not None
    assert found["spec"]["replicas"] == 6


def test_the_prune_budget_keeps_what_would_be_too_much_at_once(team: Team) -> None:
    team.repository()
    team.application(sync={"pruneBudget": {"count": 2, "share": "30%"}})
    many = {f"shop/m{number}.yaml": config_map(f"m{number}") for number in range(6)}
    team.until_synced(team.commit(dict(many)))
    less: dict[str, str | None] = {f"shop/m{number}.yaml": None for number in range(4)}
    team.commit(less)
    team.until(lambda: team.status().get("counts", {}).get("kept") == 4, "all are kept")
    assert team.get("v1/configmaps/m0") is not None
    team.application(sync={"pruneBudget": {"count": 10, "share": "30%"}})
    team.until(lambda: team.get("v1/configmaps/m0") is None, "within the budget, they are pruned")


def test_protected_kinds_wait_for_a_word_in_git(team: Team) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    team.repository()
    team.application(health={"timeout": "1h"})
    commit = team.commit({"shop/pvc.json": json.dumps(claim), "shop/a.yaml": config_map("a")})
    team.until(lambda: team.status().get("commit") == commit, "applied")
    team.commit({"shop/pvc.json": None})
    team.until(lambda: outcome(team, "PersistentVolumeClaim").get("result") == "kept", "kept")
    assert "spec.sync.confirm" in outcome(team, "PersistentVolumeClaim")["mend"]
    team.application(health={"timeout": "1h"}, sync={"confirm": ["PersistentVolumeClaim/data"]})

    def gone() -> bool:
        found = team.get("v1/persistentvolumeclaims/data")
        return found is None or bool(found["metadata"].get("deletionTimestamp"))

    team.until(gone, "pruned")


def test_an_immutable_field_is_told_and_nothing_is_recreated(team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/web.yaml": deployment("web")}))
    uid = team.get("apps/v1/deployments/web")["metadata"]["uid"]  # type: ignore[index]
    other = deployment("web").replace("app: web", "app: other")
    team.commit({"shop/web.yaml": other})
    team.until(lambda: outcome(team, "Deployment").get("result") == "refused", "it is refused")
    assert "immutable" in outcome(team, "Deployment")["message"]
    assert team.get("apps/v1/deployments/web")["metadata"]["uid"] == uid  # type: ignore[index]
