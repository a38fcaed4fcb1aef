"""SYNC on both clusters: a commit becomes the running state, and what is wrong says so while others go on."""

from __future__ import annotations

import pytest

from e2e.team import Team, config_map, deployment, secret

ONLY_REAL = pytest.mark.parametrize("cluster", [pytest.param("real", marks=pytest.mark.real)], indirect=True)
"""The devcluster stores admission policies and evaluates none (docs/limits.md)."""


def test_a_commit_becomes_the_running_state_and_the_next_one_changes_only_what_it_changed(team: Team) -> None:
    team.repository()
    team.application()
    first = team.commit(
        {"shop/web.yaml": deployment("web"), "shop/settings.yaml": config_map("settings", level="info")}
    )
    team.until_synced(first)
    before = team.get("apps/v1/deployments/web")
    assert before is not None
    assert before["metadata"]["labels"]["windlass.dev/application"] == f"{team.namespace}.shop"
    assert before["metadata"]["annotations"]["windlass.dev/origin"] == f"config@{first}:shop/web.yaml"
    assert [one["manager"] for one in before["metadata"]["managedFields"] if one["operation"] == "Apply"] == [
        f"windlass-{team.namespace}.shop"
    ]

    second = team.commit({"shop/settings.yaml": config_map("settings", level="debug")})
    team.until_synced(second)
    settings, after = team.get("v1/configmaps/settings"), team.get("apps/v1/deployments/web")
    assert settings is not None
    assert settings["data"] == {"level": "debug"}
    assert after is not None
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["metadata"]["annotations"]["windlass.dev/origin"].startswith(f"config@{first}"), "it was not touched"
    assert team.status()["counts"] == {"configured": 1, "unchanged": 1}


def test_what_leaves_git_is_pruned_and_what_is_somebody_elses_is_not(team: Team) -> None:
    team.put("v1", "ConfigMap", "theirs", data={"a": "1"})
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a"), "shop/b.yaml": config_map("b")}))
    team.until_synced(team.commit({"shop/b.yaml": None}))
    assert team.get("v1/configmaps/b") is None
    assert team.get("v1/configmaps/theirs") is not None
    assert team.status()["counts"]["pruned"] == 1


def test_a_broken_manifest_changes_nothing_and_says_where_and_the_mend(team: Team) -> None:
    team.repository()
    team.application()
    good = team.commit({"shop/web.yaml": deployment("web"), "shop/a.yaml": config_map("a", x="1")})
    team.until_synced(good)
    broken = deployment("web").replace("replicas: 2", "replicas: three")
    bad = team.commit({"shop/web.yaml": broken, "shop/a.yaml": config_map("a", x="2")})
    team.until(lambda: team.ready().get("reason") == "BadManifest", "the broken manifest is told")
    message = team.ready()["message"]
    assert 'replicas must be an integer, not "three"' in message
    assert "shop/web.yaml:" in message
    assert bad[:7] in message
    assert team.status()["commit"] == good
    assert team.status()["pending"]["commit"] == bad
    found = team.get("v1/configmaps/a")
    assert found is not None
    assert found["data"] == {"x": "1"}, "nothing of that commit is applied"
    team.until_synced(team.commit({"shop/web.yaml": deployment("web", replicas=3)}))


def test_one_broken_application_stops_no_other(team: Team) -> None:
    team.repository()
    team.application("good", "good")
    team.application("bad", "bad")
    commit = team.commit({"good/a.yaml": config_map("a"), "bad/b.yaml": "kind: [unclosed"})
    team.until_synced(commit, "good")
    team.until(lambda: team.ready("bad").get("reason") == "BadManifest", "the bad one is told")
    assert team.ready("bad")["status"] == "False"
    assert team.status("bad").get("health") == "Unknown", team.status("bad")


def test_an_object_that_the_server_refuses_is_told_with_its_words_and_the_others_are_applied(team: Team) -> None:
    team.repository()
    team.application()
    unknown = deployment("web").replace("replicas: 2", "replicas: 2\n  replcas: 3")
    team.commit({"shop/web.yaml": unknown, "shop/a.yaml": config_map("a")})
    team.until(lambda: team.ready().get("reason") == "PartlyApplied", "the refusal is told")
    assert team.get("v1/configmaps/a") is not None
    outcome = next(one for one in team.status()["outcomes"] if "Deployment" in one["object"])
    assert outcome["result"] == "refused"
    assert "replcas" in outcome["message"]
    assert outcome["file"] == "shop/web.yaml"


def test_a_commit_that_is_refused_tells_its_own_reason_and_not_what_went_wrong_by_the_one_before(team: Team) -> None:
    team.repository()
    team.application()
    good = team.commit({"shop/a.yaml": config_map("a")})
    team.until_synced(good)
    team.commit({"shop/web.yaml": deployment("web").replace("replicas: 2", "replicas: 2\n  replcas: 3")})
    team.until(lambda: team.ready().get("reason") == "PartlyApplied", "the refusal is told")
    broken = team.commit({"shop/web.yaml": "kind: [unclosed"})
    team.until(lambda: team.ready().get("reason") == "BadManifest", "the broken one is told")
    status = team.status()
    assert status["pending"]["commit"] == broken
    assert "replcas" not in str(status)
    assert not [one for one in status.get("outcomes", []) if one["result"] in ("failed", "refused")]
    team.until_synced(team.commit({"shop/web.yaml": deployment("web")}))


def test_a_folder_in_which_every_object_is_wrong_is_told_as_wrong_and_not_as_empty(team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a")}))
    team.commit({"shop/a.yaml": config_map("b").replace("metadata:", "metadata:\n  labels: {tier: 1}")})
    team.until(lambda: team.ready().get("reason") == "BadManifest", "the mistake is told")
    assert "the label tier must be a string" in team.ready()["message"]
    assert "shop/a.yaml" in team.ready()["message"]
    assert "allowEmpty" not in str(team.status())
    assert team.get("v1/configmaps/a") is not None


def test_a_namespaced_account_can_do_no_more_than_its_rights(team: Team) -> None:
    team.repository()
    team.account("reader", "view")
    team.application("shop", "shop", serviceAccount="reader")
    team.commit({"shop/a.yaml": config_map("a")})
    team.until(lambda: team.ready().get("reason") == "PartlyApplied", "the missing right is told")
    assert "reader" in str(team.status()["outcomes"])
    assert team.get("v1/configmaps/a") is None


def test_nothing_is_created_outside_the_rights_of_the_team(team: Team) -> None:
    team.repository()
    team.application()
    other = config_map("stolen").replace("name: stolen", "name: stolen\n  namespace: kube-system")
    team.commit({"shop/a.yaml": other})
    team.until(lambda: team.ready().get("reason") == "PartlyApplied", "the missing right is told")
    answer = team.cluster.request("GET", "/api/v1/namespaces/kube-system/configmaps/stolen")
    assert answer.code == 404


def test_an_empty_folder_is_unknown_until_git_confirms_it(team: Team) -> None:
    team.repository()
    team.application()
    first = team.commit({"shop/a.yaml": config_map("a"), "README": "x"})
    team.until_synced(first)
    team.commit({"shop/a.yaml": "# nothing\n"})
    team.until(lambda: "Git holds no objects" in team.ready().get("message", ""), "the empty state is refused")
    assert team.get("v1/configmaps/a") is not None
    team.application(sync={"allowEmpty": True})
    team.until(lambda: team.get("v1/configmaps/a") is None, "confirmed, it is pruned")


def test_crds_are_established_before_what_uses_them_in_the_same_commit(team: Team) -> None:
    group = f"{team.namespace}.example.com"
    team.account("wide")
    answer = team.cluster.request(
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        {
            "metadata": {"name": f"wide-{team.namespace}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "wide", "namespace": team.namespace}],
        },
    )
    assert answer.code == 201
    crd = f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: boats.{group}}}
spec:
  group: {group}
  names: {{plural: boats, singular: boat, kind: Boat}}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {{type: object, properties: {{size: {{type: integer}}}}}}
"""
    boat = f"apiVersion: {group}/v1\nkind: Boat\nmetadata: {{name: tug}}\nspec: {{size: 3}}\n"
    team.repository()
    team.application(serviceAccount="wide")
    commit = team.commit({"shop/boat.yaml": boat, "shop/crd.yaml": crd})
    team.until_synced(commit)
    assert team.get(f"{group}/v1/boats/tug") is not None
    team.until_synced(team.commit({"shop/boat.yaml": boat.replace("size: 3", "size: 4")}))
    found = team.get(f"{group}/v1/boats/tug")
    assert found is not None
    assert found["spec"]["size"] == 4


def test_a_namespace_that_is_refused_is_told_and_not_waited_for(team: Team) -> None:
    team.repository()
    team.application()
    other = f"{team.namespace}-own"
    space = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {other}}}\n"
    team.commit({"shop/space.yaml": space, "shop/a.yaml": config_map("a")})
    team.until(lambda: team.ready().get("reason") == "PartlyApplied", "the refusal is the reason")
    message = team.ready()["message"]
    assert f"Namespace/{other}: " in message
    assert "may not" in message or "forbidden" in message, message
    assert team.get("v1/configmaps/a") is None, "what comes after it waits for a person"


def test_waves_wait_for_the_health_of_the_earlier_ones(team: Team) -> None:
    team.repository()
    team.application()
    late = config_map("late").replace("name: late", 'name: late\n  annotations: {windlass.dev/wave: "1"}')
    commit = team.commit({"shop/web.yaml": deployment("web", image="registry.example/slow:1"), "shop/late.yaml": late})
    team.until(lambda: team.get("apps/v1/deployments/web"), "the first wave is applied")
    assert team.get("v1/configmaps/late") is None
    team.until(lambda: "wave 1 waits for Deployment/web" in team.ready().get("message", ""), "the wait is told")
    team.until_synced(commit, seconds=40)
    assert team.get("v1/configmaps/late") is not None


def test_an_application_in_git_makes_applications_and_takes_them_away_with_what_they_manage(team: Team) -> None:
    child = """
apiVersion: windlass.dev/v1alpha1
kind: Application
metadata: {name: child}
spec:
  source: {repository: config, path: child}
"""
    team.repository()
    team.application("parent", "apps", sync={"confirm": ["Application/child"]})
    commit = team.commit(
        {"apps/child.yaml": child, "apps/x.yaml": config_map("x"), "child/a.yaml": config_map("inner")}
    )
    team.until_synced(commit, "child")
    team.until_synced(commit, "parent")
    team.commit({"apps/child.yaml": None})
    team.until(lambda: team.get("v1/configmaps/inner") is None, "what the child managed is pruned")
    team.until(lambda: team.get("windlass.dev/v1alpha1/applications/child") is None, "the child is gone")


def test_deleting_an_application_by_hand_deletes_nothing_else(team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a")}))
    path = f"/apis/windlass.dev/v1alpha1/namespaces/{team.namespace}/applications/shop"
    assert team.cluster.request("DELETE", path).code == 200
    team.until(lambda: team.get("windlass.dev/v1alpha1/applications/shop") is None, "it is gone")
    assert team.get("v1/configmaps/a") is not None


def test_what_an_application_depends_on_comes_first(team: Team) -> None:
    team.repository()
    team.application("database", "database")
    team.application("shop", "shop", dependsOn=[{"name": "database"}])
    slow = deployment("database", image="registry.example/slow:1")
    commit = team.commit({"database/d.yaml": slow, "shop/a.yaml": config_map("a")})
    team.until(lambda: team.ready().get("reason") == "DependencyNotReady", "it says that it waits")
    assert team.get("v1/configmaps/a") is None
    team.until_synced(commit, seconds=40)


def test_a_suspended_application_is_left_alone_until_the_time_it_names(team: Team) -> None:
    team.repository()
    team.application(suspend={"until": "2999-01-01", "reason": "incident 4711", "by": "ada@acme.example"})
    team.commit({"shop/a.yaml": config_map("a")})
    team.until(lambda: team.ready().get("reason") == "Suspended", "it says so")
    assert "incident 4711" in team.ready()["message"]
    assert team.get("v1/configmaps/a") is None
    team.application()
    team.until_synced(team.head())


def test_history_that_was_rewritten_is_not_followed(team: Team) -> None:
    from e2e.team import git

    team.repository()
    team.application()
    first = team.commit({"shop/a.yaml": config_map("a", number="1")})
    second = team.commit({"shop/a.yaml": config_map("a", number="2")})
    team.until_synced(second)
    git(team.work, "reset", "-q", "--hard", first)
    git(team.work, "push", "-q", "--force", "origin", "HEAD:main")
    assert team.hook() == 202

    def held() -> bool:
        found = team.get("windlass.dev/v1alpha1/repositories/config") or {}
        conditions = found.get("status", {}).get("conditions", [])
        return any(one["reason"] == "HistoryRewritten" for one in conditions)

    team.until(held, "the rewritten branch is held")
    found = team.get("v1/configmaps/a")
    assert found is not None
    assert found["data"] == {"number": "2"}


def test_values_of_secrets_are_in_no_log_status_or_event(team: Team) -> None:
    team.repository()
    team.application()
    commit = team.commit({"shop/s.yaml": secret("credentials", password="hunter2-planted")})
    team.until_synced(commit)
    team.patch("v1/secrets/credentials", {"stringData": {"password": "changed-planted"}})
    team.until(lambda: team.drift(object=f"Secret/{team.namespace}/credentials"), "the drift is told")
    found = team.until(lambda: _password(team) == "hunter2-planted" and team.get("v1/secrets/credentials"), "put back")
    assert found
    log = team.windlass.log.read_text()
    answer = team.cluster.request("GET", f"/api/v1/namespaces/{team.namespace}/events")
    for planted in ("hunter2-planted", "changed-planted", "aHVudGVyMi1wbGFudGVk", "Y2hhbmdlZC1wbGFudGVk"):
        assert planted not in log
        assert planted not in str(team.status())
        assert planted not in answer.body.decode()


def _password(team: Team) -> str:
    import base64

    found = team.get("v1/secrets/credentials")
    return base64.b64decode(found["data"]["password"]).decode() if found else ""


@pytest.mark.parametrize("secret_value", [b"wrong", b""])
def test_a_forged_hook_is_refused(team: Team, secret_value: bytes) -> None:
    team.repository()
    team.until(lambda: team.get("windlass.dev/v1alpha1/repositories/config"), "it is there")
    assert team.hook(secret_value) == 403


@ONLY_REAL
def test_asking_for_a_sync_needs_a_verb_of_its_own(team: Team) -> None:
    team.repository()
    team.application(sync={"mode": "manual"})
    team.commit({"shop/a.yaml": config_map("a")})
    team.put(
        "rbac.authorization.k8s.io/v1",
        "Role",
        "patcher",
        rules=[{"apiGroups": ["windlass.dev"], "resources": ["applications"], "verbs": ["get", "patch"]}],
    )
    team.put(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "patcher",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "patcher"},
        subjects=[{"kind": "User", "name": "mallory", "apiGroup": "rbac.authorization.k8s.io"}],
    )
    path = f"/apis/windlass.dev/v1alpha1/namespaces/{team.namespace}/applications/shop"
    patch = {"metadata": {"annotations": {"windlass.dev/sync-requested": "2026-11-22T10:00:00Z mallory"}}}

    def ask(user: str) -> int:
        merge = "application/merge-patch+json"
        return int(
            team.cluster.request("PATCH", path, patch, content_type=merge, headers={"Impersonate-User": user}).code
        )

    team.until(lambda: ask("mallory") == 403, "patch alone is not enough")
    team.account("asker", "edit")
    asker = f"system:serviceaccount:{team.namespace}:asker"
    team.until(lambda: ask(asker) == 200, "with the role edit it is")
    team.until(lambda: team.get("v1/configmaps/a"), "and it is applied")


def test_a_destination_namespace_is_made_with_the_rights_of_the_application_only(team: Team) -> None:
    other = f"{team.namespace}-made"
    team.repository()
    team.application(destination={"namespace": other, "createNamespace": True})
    commit = team.commit({"shop/a.yaml": config_map("a")})
    team.until(lambda: team.ready().get("reason") in ("NotAllowed", "PartlyApplied"), "it may not make one")
    assert team.cluster.request("GET", f"/api/v1/namespaces/{other}").code == 404
    binding = {
        "metadata": {"name": f"wide-{other}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "windlass-applier", "namespace": team.namespace}],
    }
    made = team.cluster.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    assert made.code == 201
    team.application(destination={"namespace": other, "createNamespace": True}, sync={"timeout": "5m"})
    team.until_synced(commit, seconds=40)
    assert team.cluster.request("GET", f"/api/v1/namespaces/{other}/configmaps/a").code == 200
    team.cluster.request("DELETE", f"/api/v1/namespaces/{other}")


def test_a_later_wave_does_not_wait_for_what_is_suspended_on_purpose(team: Team) -> None:
    job = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  suspend: true
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: work, image: registry.example/work:1}]
"""
    late = config_map("late").replace("name: late", 'name: late\n  annotations: {windlass.dev/wave: "1"}')
    team.repository()
    team.application()
    team.commit({"shop/job.yaml": job, "shop/late.yaml": late})
    team.until(lambda: team.get("v1/configmaps/late"), "the second wave is applied")
