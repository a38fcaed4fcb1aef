"""What goes into a render besides the Application's own files: values of the cluster, further repositories. A change of
either is a new render; at rest nothing is asked."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from e2e.team import Team, config_map, deployment, git
from e2e.typed import typed

FROM = {
    "substitute": {"values": {"REGION": "eu"}, "from": [{"configMap": "vars"}, {"secret": "keys", "optional": True}]}
}


def plan(team: Team) -> subprocess.CompletedProcess[str]:
    """What a person sees that would change, who reads values with their own rights."""
    command = ["plan", "shop", "-n", team.namespace, "--kubeconfig", str(team.cluster.kubeconfig)]
    return typed(command, os.environ, Path.cwd())


def data(team: Team, name: str = "settings") -> dict[str, str]:
    return (team.get(f"v1/configmaps/{name}") or {}).get("data") or {}


def test_values_of_the_cluster_are_filled_in_and_a_change_is_applied(team: Team) -> None:
    team.put("v1", "ConfigMap", "vars", data={"LEVEL": "info", "REGION": "us"})
    team.repository()
    team.application(render=FROM)
    commit = team.commit(
        {"shop/a.yaml": config_map("settings", level="${LEVEL}", where="${REGION}", key="${KEY:=none}")}
    )
    team.until_synced(commit)
    assert data(team) == {"level": "info", "where": "eu", "key": "none"}

    team.patch("v1/configmaps/vars", {"data": {"LEVEL": "debug"}})
    team.until(lambda: data(team)["level"] == "debug", "the new value is applied")
    team.put("v1", "Secret", "keys", stringData={"KEY": "from-a-secret"})
    team.until(lambda: data(team)["key"] == "from-a-secret", "the Secret that came is taken")
    team.until_synced(commit)
    planned = plan(team)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "from-a-secret" not in planned.stdout

    def asked(numbers: dict[str, float], kind: str) -> float:
        return sum(value for name, value in numbers.items() if "api_requests_total" in name and f'kind="{kind}' in name)

    def at_rest() -> bool:
        """Nothing is asked and rendered for three seconds; the controller has other tests' Applications to end, too."""
        before = team.windlass.metrics()
        time.sleep(3)
        after = team.windlass.metrics()
        same = [asked(after, kind) == asked(before, kind) for kind in ("configmaps", "secrets")]
        return all(same) and after["windlass_renders_total"] == before["windlass_renders_total"]

    team.until(at_rest, "no value is asked for again and again", 60)
    assert "from-a-secret" not in team.windlass.log.read_text()


def test_a_value_that_is_missing_is_told_and_awaited(team: Team) -> None:
    team.repository()
    team.application(render=FROM)
    commit = team.commit({"shop/a.yaml": config_map("settings", level="${LEVEL}")})
    team.until(lambda: team.ready().get("reason") == "ValuesMissing", "the missing ConfigMap is told")
    assert f"there is no ConfigMap vars in namespace {team.namespace}" in team.ready()["message"]
    team.put("v1", "ConfigMap", "vars", data={"LEVEL": "info"})
    team.until_synced(commit)
    assert data(team) == {"level": "info"}


def test_values_are_read_with_the_rights_of_the_application_and_no_others(team: Team) -> None:
    team.put("v1", "Secret", "keys", stringData={"LEVEL": "hidden"})
    team.account("reader", "view")
    team.repository()
    team.application(serviceAccount="reader", render={"substitute": {"from": [{"secret": "keys"}]}})
    team.commit({"shop/a.yaml": config_map("settings", level="${LEVEL}")})
    team.until(lambda: team.ready().get("reason") == "NotAllowed", "the missing right is told")
    assert f'{team.namespace}:reader" cannot get resource "secrets"' in team.ready()["message"]
    assert "hidden" not in str(team.status())


def test_a_library_in_another_repository_is_followed_as_far_as_it_is_read(team: Team, tmp_path: Path) -> None:
    bare, work = team.windlass.git.root / f"{team.namespace}-lib.git", tmp_path / "lib"
    work.mkdir()
    git(team.windlass.git.root, "init", "-q", "--bare", "-b", "main", str(bare))
    git(bare, "config", "http.receivepack", "true")
    git(work, "init", "-q", "-b", "main")

    def push(**files: str) -> None:
        for name, text in files.items():
            (work / f"{name}.libsonnet").write_text(text)
        git(work, "add", "-A")
        git(work, "commit", "-q", "-m", "Change the library")
        git(work, "push", "-q", f"{team.windlass.git.url}/{bare.name}", "HEAD:main")

    make = "{map(name):: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: name}, data: {level: '%s'}}}"
    push(make=make % "info", other="{}")
    team.repository()
    team.repository("lib", url=f"{team.windlass.git.url}/{bare.name}", interval="1s")
    team.application(sources=[{"name": "lib", "repository": "lib"}], render={"jsonnet": {"libs": ["$lib"]}})
    commit = team.commit({"shop/main.jsonnet": "(import 'make.libsonnet').map('settings')"})
    team.until_synced(commit)
    assert data(team) == {"level": "info"}

    push(make=make % "debug")
    team.until(lambda: data(team)["level"] == "debug", "the library's new commit is rendered")
    team.until_synced(commit)
    renders = team.windlass.metrics()["windlass_renders_total"]
    push(other="{a: 1}")
    told = f"{team.namespace}/lib"
    team.until(lambda: len(team.windlass.decisions("fetched", repository=told)) == 3, "the last commit is seen")
    time.sleep(0.5)
    assert team.windlass.metrics()["windlass_renders_total"] == renders, "nothing that was read has changed"


KUSTOMIZED = {
    "base/kustomization.yaml": (
        "resources: [web.yaml]\nconfigMapGenerator:\n- name: settings\n  literals: [level=info]\n"
    ),
    "base/web.yaml": deployment("web").replace(
        "value: info", "valueFrom: {configMapKeyRef: {name: settings, key: level}}"
    ),
    "prod/kustomization.yaml": "resources: [../base]\nnamePrefix: prod-\n",
    "components/three/kustomization.yaml": (
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nreplicas: [{name: web, count: 3}]\n"
    ),
}


def generated(team: Team) -> dict[str, dict[str, str]]:
    answer = team.cluster.request("GET", f"/api/v1/namespaces/{team.namespace}/configmaps")
    return {
        one["metadata"]["name"]: one["data"]
        for one in answer.json["items"]
        if one["metadata"]["name"].startswith("prod-settings-")
    }


def test_an_overlay_is_built_and_what_its_base_changes_is_applied(team: Team) -> None:
    team.repository()
    team.application(path="prod", render={"kustomize": {"components": ["../components/three"]}})
    team.until_synced(team.commit(KUSTOMIZED))
    web = team.get("apps/v1/deployments/prod-web")
    assert web is not None
    assert web["spec"]["replicas"] == 3
    ((first, data),) = generated(team).items()
    env = web["spec"]["template"]["spec"]["containers"][0]["env"]
    assert (data, env[0]["valueFrom"]["configMapKeyRef"]["name"]) == ({"level": "info"}, first)
    origin = web["metadata"]["annotations"]["windlass.dev/origin"]
    assert origin.endswith(":base/web.yaml")

    changed = KUSTOMIZED["base/kustomization.yaml"].replace("info", "debug")
    team.until_synced(team.commit({"base/kustomization.yaml": changed}))
    ((second, data),) = generated(team).items()
    assert (second != first, data) == (True, {"level": "debug"})

    renders = team.windlass.metrics()["windlass_renders_total"]
    commit = team.commit({"elsewhere/a.yaml": "x: 1"})
    team.until(lambda: team.windlass.decisions("fetched", commit=commit), "the commit is seen")
    time.sleep(0.3)
    assert team.windlass.metrics()["windlass_renders_total"] == renders

    wrong = team.commit({"base/kustomization.yaml": changed.replace("web.yaml", "gone.yaml")})
    team.until(lambda: team.status().get("pending", {}).get("commit") == wrong, "the wrong commit is pending")
    team.until(lambda: "gone.yaml" in team.ready().get("message", ""), "the mistake is told")
    assert list(generated(team)) == [second], "what ran keeps running"


def test_a_restart_renders_nothing_that_is_known(team: Team) -> None:
    team.repository()
    team.application(path="prod")
    team.application("plain", "plain")
    commit = team.commit(KUSTOMIZED | {"plain/a.yaml": config_map("settings", level="info")})
    team.until_synced(commit)
    team.until_synced(commit, "plain")
    team.windlass.stop()
    team.windlass.start()
    team.until(lambda: team.windlass.metrics().get("windlass_render_cache_hits_total", 0) >= 2, "both are found")
    time.sleep(0.5)
    numbers = team.windlass.metrics()
    known = [one for one in (team.windlass.folder / "data" / "renders").rglob("*") if one.is_file()]
    assert len(known) >= 2
    assert numbers["windlass_renders_total"] <= numbers["windlass_render_cache_hits_total"], "others may hold Secrets"
    team.until_synced(commit)


def test_a_commit_that_mends_what_a_changed_path_leads_to_is_taken_at_once(team: Team) -> None:
    """What a render that failed had read is not known: it looks at any commit, and does not wait for its retry."""
    slowly = {"retry": {"backoff": "1h", "max": "1h"}}
    team.repository()
    team.application(sync=slowly)
    team.until_synced(team.commit({"shop/a.yaml": config_map("settings", at="shop"), "moved/a.yaml": "{"}))
    team.application(path="moved", sync=slowly)
    team.until(lambda: team.ready().get("reason") == "BadManifest", "what is wrong is told")
    team.until_synced(team.commit({"moved/a.yaml": config_map("settings", at="moved")}))
    assert data(team) == {"at": "moved"}
