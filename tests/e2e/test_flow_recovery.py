"""What must come right again by itself, on both clusters: renames, other branches, namespaces that were deleted."""

from __future__ import annotations

from pathlib import Path

from e2e.team import Team, config_map, deployment, git
from real.cluster import Cluster

SHOP = "/apis/windlass.dev/v1alpha1/namespaces/{}/applications/shop"


def wide(team: Team) -> None:
    """The team's account may do everything, everywhere."""
    binding = {
        "metadata": {"name": f"wide-{team.namespace}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "windlass-applier", "namespace": team.namespace}],
    }
    made = team.cluster.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    assert made.code == 201


def test_what_an_application_left_behind_goes_to_the_one_that_takes_its_place(team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="info", old="1")}))
    assert team.cluster.request("DELETE", SHOP.format(team.namespace)).code == 200
    commit = team.commit({"shop/a.yaml": config_map("a", level="debug")})
    team.application("store")
    team.until_synced(commit, "store")
    found = team.get("v1/configmaps/a")
    assert found is not None
    assert found["metadata"]["labels"]["windlass.dev/application"] == f"{team.namespace}.store"
    assert found["data"] == {"level": "debug"}, "the old one's fields are Git's to remove"
    managers = {one["manager"] for one in found["metadata"]["managedFields"]}
    assert managers == {f"windlass-{team.namespace}.store"}


def test_another_branch_may_have_another_history(team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", at="main")}))
    git(team.work, "checkout", "-q", "--orphan", "release")
    (team.work / "shop/a.yaml").write_text(config_map("a", at="release"))
    git(team.work, "add", "-A")
    git(team.work, "commit", "-q", "-m", "Begin anew")
    git(team.work, "push", "-q", "origin", "HEAD:release")
    team.repository(ref={"branch": "release"})
    team.until_synced(team.head())


def test_a_repository_that_moved_while_nobody_looked_is_followed(team: Team, tmp_path: Path) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", at="main")}))
    git(team.work, "checkout", "-q", "--orphan", "release")
    (team.work / "shop/a.yaml").write_text(config_map("a", at="release"))
    git(team.work, "add", "-A")
    git(team.work, "commit", "-q", "-m", "Begin anew")
    git(team.work, "push", "-q", "origin", "HEAD:release")
    team.windlass.stop()
    team.repository(ref={"branch": "release"})
    team.windlass.start()
    team.until_synced(team.head())


def test_a_destination_namespace_that_was_deleted_is_made_again_with_all_in_it(team: Team) -> None:
    other = f"{team.namespace}-gone"
    wide(team)
    team.repository()
    team.application(destination={"namespace": other, "createNamespace": True})
    team.until_synced(team.commit({"shop/a.yaml": config_map("a")}))
    path = f"/api/v1/namespaces/{other}"
    before = team.cluster.request("GET", path).json["metadata"]["uid"]
    assert team.cluster.request("DELETE", path).code == 200

    def back() -> bool:
        answer = team.cluster.request("GET", path)
        if answer.code != 200 or answer.json["metadata"]["uid"] == before:
            return False
        return bool(team.cluster.request("GET", f"{path}/configmaps/a").code == 200)

    team.until(back, "the namespace and the object are there again", 40)
    team.cluster.request("DELETE", path)


def test_the_health_of_another_teams_object_is_not_told(team: Team, cluster: Cluster, tmp_path: Path) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a")}))
    other = f"{team.namespace}-other"
    assert cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": other}}).code == 201
    (tmp_path / "other").mkdir()
    thief = Team(team.windlass, other, tmp_path / "other")
    thief.repository()
    thief.application()
    stolen = config_map("a").replace("name: a", f"name: a\n  namespace: {team.namespace}")
    thief.commit({"shop/a.yaml": stolen})
    thief.until(lambda: thief.ready().get("reason") == "PartlyApplied", "it is refused")
    assert thief.status().get("health", "Unknown") == "Unknown"
    cluster.request("DELETE", f"/api/v1/namespaces/{other}")


def test_who_waits_for_a_dependency_goes_on_when_its_sync_ends_after_its_health(team: Team) -> None:
    team.repository()
    team.application()
    team.application("later", "later", dependsOn=[{"name": "shop"}])
    many = {f"shop/{number}.yaml": config_map(f"m{number}") for number in range(40)}
    first = team.commit({"shop/a.yaml": config_map("a", level="1"), "later/b.yaml": config_map("b", at="1"), **many})
    team.until_synced(first, "later")
    for turn in range(3):
        # Both change at once; the health of the first stays as it is, and its prunes end its sync late.
        gone = {f"shop/{number}.yaml": None for number in range(turn * 8, turn * 8 + 8)}
        files = {"shop/a.yaml": config_map("a", level=f"t{turn}"), "later/b.yaml": config_map("b", at=f"t{turn}")}
        commit = team.commit({**files, **gone})
        team.until_synced(commit, "later", seconds=10)


def test_an_object_that_moves_to_another_application_is_handed_on_and_not_deleted(team: Team) -> None:
    team.repository()
    team.application()
    team.application("store", "store")
    first = team.commit(
        {"shop/a.yaml": config_map("a"), "shop/b.yaml": config_map("b"), "store/c.yaml": config_map("c")}
    )
    team.until_synced(first)
    team.until_synced(first, "store")
    uid = team.get("v1/configmaps/a")["metadata"]["uid"]  # type: ignore[index]
    team.commit({"store/a.yaml": config_map("a")})
    team.until(lambda: team.ready("store").get("reason") == "PartlyApplied", "it still belongs to the other")
    commit = team.commit({"shop/a.yaml": None})
    team.until_synced(commit)
    team.until(lambda: team.ready("store").get("status") == "True", "the other has it", 30)
    found = team.get("v1/configmaps/a")
    assert found is not None
    assert found["metadata"]["uid"] == uid
    assert found["metadata"]["labels"]["windlass.dev/application"] == f"{team.namespace}.store"


def test_two_applications_may_swap_objects(team: Team) -> None:
    team.repository()
    team.application()
    team.application("store", "store")
    keep = {"shop/c.yaml": config_map("c"), "store/d.yaml": config_map("d")}
    first = team.commit({"shop/a.yaml": config_map("a"), "store/b.yaml": config_map("b"), **keep})
    team.until_synced(first)
    team.until_synced(first, "store")
    team.commit(
        {"shop/a.yaml": None, "store/b.yaml": None, "shop/b.yaml": config_map("b"), "store/a.yaml": config_map("a")}
    )

    def owner(name: str) -> str:
        found = team.get(f"v1/configmaps/{name}")
        return str(found["metadata"].get("labels", {}).get("windlass.dev/application")) if found else ""

    swapped = (f"{team.namespace}.store", f"{team.namespace}.shop")
    team.until(lambda: (owner("a"), owner("b")) == swapped, "each has the other's", 40)
    for name in ("shop", "store"):
        team.until(lambda name=name: team.ready(name).get("status") == "True", f"{name} is well", 40)


def test_a_commit_after_one_that_timed_out_has_its_own_time_and_goes_on_as_soon_as_it_can(team: Team) -> None:
    team.repository()
    team.application(sync={"timeout": "2s", "retry": {"backoff": "5m", "max": "10m"}})
    late = config_map("late").replace("metadata:", "metadata:\n  annotations: {windlass.dev/wave: '1'}")
    team.commit(
        {"shop/a.yaml": deployment("web", minReadySeconds=3600, progressDeadlineSeconds=7200), "shop/b.yaml": late}
    )
    team.until(lambda: team.ready().get("reason") == "TimedOut", "it timed out", 30)
    commit = team.commit({"shop/a.yaml": deployment("web", progressDeadlineSeconds=7200)})
    team.until_synced(commit, seconds=20)
    assert team.get("v1/configmaps/late") is not None


def test_what_was_being_deleted_and_is_made_again_is_no_longer_told_as_skipped(team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a"), "shop/b.yaml": config_map("b")}))
    team.patch("v1/configmaps/b", {"metadata": {"finalizers": ["example.com/stuck"]}})
    gone = team.commit({"shop/b.yaml": None})
    team.until(lambda: team.status().get("commit") == gone, "the removal is applied")
    back = team.commit({"shop/b.yaml": config_map("b", new="1")})
    team.until(lambda: "is being deleted" in str(team.status().get("outcomes")), "that it is being deleted is told")
    team.patch("v1/configmaps/b", {"metadata": {"finalizers": None}})
    team.until_synced(back)
    team.until(lambda: "is being deleted" not in str(team.status()), "nothing is told as being deleted")
    found = team.get("v1/configmaps/b")
    assert found is not None
    assert found["data"] == {"new": "1"}
