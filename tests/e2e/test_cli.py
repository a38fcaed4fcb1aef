"""The command line on both clusters: what a person reads, with the exit codes that scripts stand on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from e2e.team import Team, config_map, deployment, git, secret
from e2e.typed import typed


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Person:
    """Somebody with a kubeconfig, a home of their own, and the `windlass` program."""

    def __init__(self, team: Team, home: Path) -> None:
        self.team = team
        self.command = [sys.executable, "-m", "windlass"]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "XDG_", "WINDLASS_"))}
        self.environment = kept | {"HOME": str(home), "KUBECONFIG": str(team.cluster.kubeconfig)}

    def __call__(self, *arguments: str, folder: Path | None = None) -> Done:
        done = typed(arguments, self.environment, folder or self.environment["HOME"])
        assert "bug in windlass" not in done.stderr, done.stderr
        assert "\x1b" not in done.stdout + done.stderr, "no escapes where there is no terminal"
        return Done(done.returncode, done.stdout, done.stderr)

    @property
    def shop(self) -> str:
        return f"{self.team.namespace}/shop"


@pytest.fixture
def person(team: Team, tmp_path: Path) -> Person:
    home = tmp_path / "home"
    home.mkdir()
    return Person(team, home)


def test_status_of_what_is_well_is_short_and_its_exit_code_is_0(team: Team, person: Person) -> None:
    team.repository()
    team.application()
    commit = team.commit({"shop/web.yaml": deployment("web"), "shop/a.yaml": config_map("a")})
    team.until_synced(commit)
    done = person("status", person.shop)
    assert done == (0, f"{person.shop}   Synced {commit[:7]}   Healthy\n  2 objects   Healthy\n", "")
    table = person("status", "-n", team.namespace)
    assert table == (0, f"shop   Synced    {commit[:7]}   Healthy\n", "")
    data = json.loads(person("status", "shop", "-n", team.namespace, "-o", "json").out)
    assert (data["sync"], data["health"], data["commit"]) == ("Synced", "Healthy", commit)
    assert [(one["kind"], one["health"]) for one in data["objects"]] == [
        ("ConfigMap", "Healthy"),
        ("Deployment", "Healthy"),
    ]


def test_status_of_a_crash_loop_tells_the_pod_its_event_and_what_to_do(team: Team, person: Person) -> None:
    team.repository()
    team.application(health={"timeout": "3s"})
    team.commit({"shop/web.yaml": deployment("web", "registry.example/crash:1"), "shop/a.yaml": config_map("a")})
    team.until(lambda: "CrashLoopBackOff" in person("status", person.shop).out, "the crash loop is told", 40)
    done = person("status", person.shop)
    assert done.code == 2
    assert re.search(r"^  Deployment/web +(Progressing|Degraded)   0 of 2", done.out, re.MULTILINE)
    assert re.search(r"^    Pod/web-\S+   CrashLoopBackOff, \d+ restarts?, exit code 1$", done.out, re.MULTILINE)
    assert re.search(r"^ +event  Back-off restarting failed container", done.out, re.MULTILINE)
    assert re.search(r"^next  ", done.out, re.MULTILINE)
    assert "ConfigMap" not in done.out, "what is well is counted"
    if team.cluster.name == "devcluster":
        assert re.search(r"^ +log    \S", done.out, re.MULTILINE)


def test_a_broken_commit_is_pending_with_its_place_and_mend(team: Team, person: Person) -> None:
    team.repository()
    team.application()
    good = team.commit({"shop/web.yaml": deployment("web")})
    team.until_synced(good)
    bad = team.commit({"shop/web.yaml": deployment("web").replace("replicas: 2", "replicas: three")})
    team.until(lambda: team.status().get("pending"), "the broken commit is told")
    done = person("status", person.shop)
    assert done.code == 2
    assert f'  pending {bad[:7]}: replicas must be an integer, not "three" (shop/web.yaml:' in done.out
    assert f"next  mend: replicas: 3; {good[:7]} keeps running until then" in done.out
    plan = person("plan", person.shop)
    assert (plan.code, plan.out) == (1, "")
    assert f"commit {bad[:7]} of repository config" in plan.err
    assert f"then nothing of it would be applied; {good[:7]} keeps running" in plan.err
    waited = person("sync", person.shop, "--wait", "--timeout", "20s")
    assert waited.code == 1
    assert f"pending {bad[:7]} is not applied; {good[:7]} runs" in waited.out


def test_diff_tells_who_changed_what_and_never_a_secret(team: Team, person: Person) -> None:
    team.repository()
    team.application(drift={"action": "alert"})
    commit = team.commit({"shop/web.yaml": deployment("web"), "shop/key.yaml": secret("key", password="hunter2")})
    team.until_synced(commit)
    assert person("diff", person.shop) == (0, f"{person.shop} is as {commit[:7]} says\n", "")
    team.patch("apps/v1/deployments/web", {"spec": {"replicas": 5}}, manager="ops-tool")
    team.patch("v1/secrets/key", {"stringData": {"password": "hunter3"}}, manager="ops-tool")
    done = person("diff", person.shop)
    assert done.code == 2
    assert f"Deployment/{team.namespace}/web   shop/web.yaml:1\n  spec.replicas" in done.out
    assert re.search(r"spec\.replicas   2 -> 5 +ops-tool, \d+s ago +alert only \(drift\.action\)", done.out)
    assert re.search(r"data\[password\]   changed \(values of Secrets are not shown\) +ops-tool", done.out)
    assert done.out.endswith(f"2 differences from {commit[:7]}\n")
    assert "hunter" not in done.out + person("diff", person.shop, "-o", "yaml").out
    items = json.loads(person("diff", person.shop, "-o", "json").out)["differences"]
    assert {(one["kind"], one["field"], one["manager"], one["response"]) for one in items} == {
        ("Deployment", "spec.replicas", "ops-tool", "alert"),
        ("Secret", "data[password]", "ops-tool", "alert"),
    }


def test_diff_says_that_the_branch_was_moved_away_from_what_runs(team: Team, person: Person) -> None:
    team.repository()
    team.application()
    commit = team.commit({"shop/a.yaml": config_map("a")})
    team.until_synced(commit)
    git(team.work, "checkout", "-q", "--orphan", "anew")
    git(team.work, "commit", "-q", "-m", "All anew")
    git(team.work, "push", "-q", "-f", "origin", "anew:main")
    done = person("diff", person.shop)
    assert done.code == 1, done
    assert f"the branch no longer contains {commit[:7]}: it was moved to {team.head()[:7]}" in done.err
    assert "push the branch back" in done.err


def test_diff_waits_only_for_a_commit_that_changes_something_of_the_application(team: Team, person: Person) -> None:
    team.repository()
    team.application()
    commit = team.commit({"shop/a.yaml": config_map("a")})
    team.until_synced(commit)
    other = team.commit({"elsewhere/b.yaml": config_map("b"), "shop/README.md": "what this is\n"})
    assert person("diff", person.shop) == (0, f"{person.shop} is as {commit[:7]} says\n", "")
    assert json.loads(person("diff", person.shop, "-o", "json").out)["pending"] == ""
    assert other != commit
    team.windlass.stop()
    try:
        newer = team.commit({"shop/a.yaml": config_map("a", new="1")}, told=False)
        unseen = person("diff", person.shop)
        assert unseen.code == 2
        assert f"pending {newer[:7]} is not applied yet   windlass plan {person.shop}\n" in unseen.out
    finally:
        team.windlass.start()


def test_plan_against_the_cluster_from_git_and_from_the_work_tree(team: Team, person: Person) -> None:
    team.repository()
    team.application(sync={"mode": "manual"})
    first = {"shop/web.yaml": deployment("web"), "shop/a.yaml": config_map("a"), "shop/key.yaml": secret("key", a="1")}
    commit = team.commit(first)
    team.until(lambda: team.ready().get("reason") == "Manual", "it waits for a request")
    before = person("plan", person.shop)
    assert (before.code, before.out.splitlines()[-1]) == (2, "3 created")
    assert f"next  windlass plan {person.shop} shows what it would change" in person("status", person.shop).out
    assert person("sync", person.shop, "--wait").code == 0
    team.until_synced(commit)
    assert person("plan", person.shop) == (0, "3 unchanged\n", "")
    (team.work / "shop/a.yaml").unlink()
    (team.work / "shop/web.yaml").write_text(deployment("web", replicas=3))
    (team.work / "shop/key.yaml").write_text(secret("key", a="2"))
    (team.work / "shop/b.yaml").write_text(config_map("b"))
    done = person("plan", person.shop, "--path", "shop", folder=team.work)
    assert done == (
        2,
        "+ ConfigMap/b\n"
        "~ Secret/key\n"
        "    data   changed (values of Secrets are not shown)\n"
        "~ Deployment/web\n"
        "    spec.replicas   2 -> 3\n"
        "- ConfigMap/a      prune, 1 of at most 20\n"
        "1 created, 2 configured, 1 pruned\n",
        "",
    )
    assert team.get("v1/configmaps/b") is None, "a plan changes nothing"


def test_sync_waits_and_says_what_was_done_and_by_whom_it_was_asked(team: Team, person: Person) -> None:
    team.repository()
    team.application(sync={"mode": "manual"})
    commit = team.commit({"shop/a.yaml": config_map("a")})
    done = person("sync", person.shop, "--wait", "--timeout", "30s")
    assert done.code == 0, done
    assert done.out.startswith(f"asked for a sync of {person.shop}   at no commit yet")
    assert f"+ ConfigMap/{team.namespace}/a   created   (shop/a.yaml:1)\n" in done.out
    assert re.search(
        rf"^{person.shop}   Synced {commit[:7]}   Healthy after [\d.]+ m?s   1 created$", done.out, re.MULTILINE
    )
    found = team.get("windlass.dev/v1alpha1/applications/shop")
    assert found is not None
    value = found["metadata"]["annotations"]["windlass.dev/sync-requested"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+", value)
    assert found["status"]["lastSyncRequest"] == value
    managers = {one["manager"] for one in found["metadata"]["managedFields"]}
    assert "windlass-cli" in managers
    again = person("sync", person.shop, "--wait")
    assert (again.code, "nothing to do" in again.out) == (0, True)


def test_an_application_that_is_not_there_is_answered_with_those_that_are(team: Team, person: Person) -> None:
    team.application("shop", "shop")
    done = person("status", "shp", "-n", team.namespace)
    assert done.code == 1
    assert f"error: there is no Application {team.namespace}/shp" in done.err
    assert "did you mean" in done.err
    assert "/shop" in done.err


def test_who_may_not_patch_is_refused_and_who_may_not_see_is_told(team: Team, person: Person, tmp_path: Path) -> None:
    team.repository()
    team.application()
    commit = team.commit({"shop/a.yaml": config_map("a"), "shop/key.yaml": secret("key", a="1")})
    team.until_synced(commit)
    person.environment["KUBECONFIG"] = str(kubeconfig_of(team, "viewer", tmp_path))
    refused = person("sync", person.shop)
    assert refused.code == 3
    assert "error: not allowed to patch Application" in refused.err
    status = person("status", person.shop)
    assert status.code == 0
    assert "1 Secret not shown: not allowed to list secrets" in status.out
    plan = person("plan", person.shop)
    assert plan.code == 0
    assert "note: 1 object may not be read, and not shown: Secret/key" in plan.err
    assert "pruned" not in plan.out


def kubeconfig_of(team: Team, name: str, folder: Path) -> Path:
    """A kubeconfig for an account that may only look, and at no Secret."""
    rules = [
        {"apiGroups": ["windlass.dev"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["configmaps", "pods", "events"], "verbs": ["get", "list", "watch"]},
    ]
    group = "rbac.authorization.k8s.io"
    team.put(f"{group}/v1", "Role", name, rules=rules)
    team.put("v1", "ServiceAccount", name)
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": team.namespace}]
    team.put(
        f"{group}/v1", "RoleBinding", name, roleRef={"apiGroup": group, "kind": "Role", "name": name}, subjects=subjects
    )
    token = team.cluster.request(
        "POST",
        f"/api/v1/namespaces/{team.namespace}/serviceaccounts/{name}/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}},
    ).json["status"]["token"]
    import yaml

    config: dict[str, Any] = yaml.safe_load(team.cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    path = folder / f"{name}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path


def test_watching_tells_each_change_on_a_line_with_its_time(team: Team, person: Person) -> None:
    team.repository()
    team.application()
    first = team.commit({"shop/web.yaml": deployment("web")})
    team.until_synced(first)
    child = subprocess.Popen(
        [*person.command, "status", person.shop, "--watch"],
        env=person.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert re.fullmatch(rf"\d\d:\d\d:\d\d  {person.shop}   Synced {first[:7]}   Healthy\n", line)
        time.sleep(1.0)
        second = team.commit({"shop/web.yaml": deployment("web", "registry.example/shop:2.0")})
        seen = ""
        while f"Synced {second[:7]}   Healthy" not in seen:
            line = child.stdout.readline()
            assert line, f"it ended: {seen}"
            seen += line
    finally:
        child.terminate()
        _, err = child.communicate(timeout=15)
    assert child.returncode == 130
    assert err.strip() == ""
