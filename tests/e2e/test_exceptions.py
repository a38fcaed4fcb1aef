"""Exceptions as commits: who, why, until when; and all of them end by themselves."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from e2e.team import Team, config_map, git
from e2e.test_cli import Person
from e2e.test_rollback import OWN, person, shop, tip, writable
from real.cluster import MERGE

__all__ = ["person"]
API = "windlass.dev/v1alpha1"


def spec_in_git(team: Team) -> dict[str, Any]:
    tip(team)
    spec: dict[str, Any] = yaml.safe_load((team.work / OWN).read_text())["spec"]
    return spec


def commit(team: Team, files: dict[str, str | None]) -> str:
    """A commit on what others pushed meanwhile."""
    tip(team)
    return team.commit(files)


def live(team: Team, path: str, *fields: str | int) -> Any:
    value: Any = team.get(path)
    for field in fields:
        value = value[field]
    return value


def test_suspended_until_resumed_nothing_is_applied(team: Team, person: Person) -> None:
    first = shop(team)
    done = person("suspend", person.shop, "--until", "2h", "--reason", "incident 4711")
    assert done.code == 0, done
    assert re.search(
        rf"^suspend   [0-9a-f]{{7}} Suspend {person.shop} until \S+   \({OWN}\)   ends in (2h|1h|119m|120m)", done.out
    )
    written = spec_in_git(team)["suspend"]
    assert (written["reason"], written["by"]) == ("incident 4711", "bob@acme.example")
    second = commit(team, {"shop/a.yaml": config_map("a", level="2")})
    team.until(lambda: team.ready().get("reason") == "Suspended", "it is told as suspended")
    assert team.status()["commit"] == first
    assert "suspended by bob@acme.example" in person("status", person.shop).out
    assert person("resume", person.shop).code == 0
    assert "suspend" not in spec_in_git(team)
    team.until(lambda: live(team, "v1/configmaps/a", "data", "level") == "2", "it goes on")
    assert second != tip(team)


def test_going_back_while_suspended_is_committed_and_says_at_once_what_it_waits_for(team: Team, person: Person) -> None:
    first = shop(team)
    second = commit(team, {"shop/a.yaml": config_map("a", level="2")})
    team.until_synced(second)
    assert person("suspend", person.shop, "--until", "2h", "--reason", "incident 4711").code == 0
    told = f"{person.shop} is suspended by bob@acme.example until "
    # The person's patience is an hour: what waited for it would not end within this test.
    done = person("rollback", person.shop, "--reason", "r", "--to", first, "--timeout", "1h")
    assert (done.code, told in done.out) == (2, True), done
    assert '"incident 4711"\n  the pin is committed, and takes effect when that ends\n' in done.out
    assert done.out.endswith(f"next  windlass resume {person.shop}   ends it now\n")
    assert yaml.safe_load((tip(team) and team.work / OWN).read_text())["spec"]["source"]["at"] == first
    done = person("forward", person.shop, "--timeout", "1h", "-o", "json")
    assert (done.code, json.loads(done.out)["reached"]) == (2, False), done
    assert json.loads(done.out)["waits"].startswith(told)
    assert person("rollback", person.shop, "--reason", "r", "--to", first, "--no-wait").code == 0
    assert person("resume", person.shop, "--no-wait").code == 0
    team.until(lambda: live(team, "v1/configmaps/a", "data", "level") == "1", "resumed, the pin takes effect", 60)


def test_an_exception_ends_by_itself_is_told_and_taken_out_by_the_controller(team: Team, person: Person) -> None:
    shop(team)
    writable(team, "clusters/*.yaml")
    before = (team.work / OWN).read_text()
    done = person("suspend", person.shop, "--until", "4s", "--reason", "a moment")
    assert done.code == 0, done
    tip(team)
    commit(team, {"shop/a.yaml": config_map("a", level="2")})
    team.until(lambda: team.ready().get("reason") == "Suspended", "it is suspended")
    team.until(lambda: live(team, "v1/configmaps/a", "data", "level") == "2", "after its end the commit is applied")
    team.until(lambda: any("suspend ended at" in one for one in team.events("ExceptionEnded")), "its end is told")
    team.until(lambda: tip(team) and (team.work / OWN).read_text() == before, "the words are taken out of Git")
    assert git(team.work, "log", "-1", "--format=%an <%ae> %s").stdout == (
        f"windlass <windlass@acme.example> Take out of {person.shop} what has ended: suspend\n"
    )


@pytest.mark.slow
def test_outside_its_paths_the_controller_leaves_the_words_of_what_has_ended(team: Team, person: Person) -> None:
    shop(team)
    writable(team, "apps/*.yaml")
    assert person("freeze", person.shop, "--until", "2s", "--reason", "a moment").code == 0
    at = tip(team)
    team.until(lambda: any("freeze ended at" in one for one in team.events("ExceptionEnded")), "its end is told")
    team.until(lambda: team.windlass.decisions("commit refused", about=person.shop), "the commit is refused")
    assert tip(team) == at
    commit(team, {"shop/a.yaml": config_map("a", level="2")})
    team.until(lambda: live(team, "v1/configmaps/a", "data", "level") == "2", "it holds no longer all the same")


def test_frozen_what_runs_is_held_and_rolled_back_and_new_commits_wait(team: Team, person: Person) -> None:
    first = shop(team)
    second = commit(team, {"shop/a.yaml": config_map("a", level="2")})
    team.until_synced(second)
    assert person("freeze", person.shop, "--until", "1h", "--reason", "black friday").code == 0
    commit(team, {"shop/a.yaml": config_map("a", level="3")})
    team.until(lambda: team.ready().get("reason") == "Frozen", "the commit waits")
    team.patch("v1/configmaps/a", {"data": {"level": "9"}})
    team.until(lambda: live(team, "v1/configmaps/a", "data", "level") == "2", "drift is put back")
    done = person("rollback", person.shop, "--reason", "r", "--to", first, "--timeout", "20s")
    assert done.code == 0, done
    assert live(team, "v1/configmaps/a", "data", "level") == "1"
    assert person("forward", person.shop, "--no-wait").code == 0
    team.until(lambda: team.ready().get("reason") == "Frozen", "without the pin the freeze holds again", 60)
    assert live(team, "v1/configmaps/a", "data", "level") == "1"
    assert person("resume", person.shop).code == 0
    team.until(lambda: live(team, "v1/configmaps/a", "data", "level") == "3", "it goes on")


@pytest.mark.slow
def test_going_forward_into_a_freeze_ends_and_says_what_it_waits_for(team: Team, person: Person) -> None:
    first = shop(team)
    second = commit(team, {"shop/a.yaml": config_map("a", level="2")})
    team.until_synced(second, seconds=60)
    assert person("rollback", person.shop, "--reason", "r", "--to", first, "--timeout", "60s").code == 0
    assert person("freeze", person.shop, "--until", "1h", "--reason", "black friday").code == 0
    done = person("forward", person.shop, "--timeout", "1h")
    assert (done.code, "frozen by bob@acme.example until" in done.out) == (2, True), done
    assert f"next  windlass resume {person.shop}   ends it now" in done.out
    assert team.ready()["reason"] == "Frozen"


def test_an_ignored_field_is_handed_over_and_comes_back_when_the_time_is_over(team: Team, person: Person) -> None:
    shop(team)
    web, image = "apps/v1/deployments/web", ("spec", "template", "spec", "containers", 0, "image")
    spec = live(team, web, "spec")
    fields = ["/spec/replicas", "/spec/template/spec/containers/0/image"]
    done = person("ignore", person.shop, "Deployment/web", *fields, "--until", "1h", "--reason", "load test")
    assert done.code == 0, done
    team.until(
        lambda: any(one["manager"] == "windlass-released" for one in live(team, web, "metadata", "managedFields")),
        "the fields are handed over",
    )
    assert live(team, web, "spec", "replicas") == 2, "their values stay"
    assert live(team, web, *image) == "registry.example/shop:1.0"
    assert live(team, web, "spec") == spec, "nothing is rolled out for it"
    team.patch(web, {"spec": {"replicas": 5}}, manager="load-test")
    team.patch(
        web,
        {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "registry.example/shop:9"}]}}}},
        form="application/strategic-merge-patch+json",
        manager="load-test",
    )
    team.patch("v1/configmaps/a", {"data": {"level": "9"}}, manager="load-test")
    team.until(lambda: live(team, "v1/configmaps/a", "data", "level") == "1", "other drift is put back")
    assert (live(team, web, "spec", "replicas"), live(team, web, *image)) == (5, "registry.example/shop:9")
    assert person("diff", person.shop).code == 0, "it is no difference"
    assert team.status()["drift"]["count"] == 0
    assert "/spec/replicas" in person("status", person.shop).out
    # Named again, the same fields have another end: all that comes before it has as long as it needs.
    done = person("ignore", person.shop, "Deployment/web", *fields, "--until", "3s", "--reason", "done", "--no-wait")
    assert done.code == 0, done
    team.until(lambda: live(team, web, "spec", "replicas") == 2, "when it ends it is as Git says", 60)
    team.until(lambda: live(team, web, *image) == "registry.example/shop:1.0", "all of it", 60)
    team.until(
        lambda: any("ignore Deployment/web /spec/replicas" in one for one in team.events("ExceptionEnded")),
        "it is told",
        60,
    )


@pytest.mark.slow
def test_an_ignored_field_can_be_taken_back_before_its_time(team: Team, person: Person) -> None:
    shop(team)
    words = ("ignore", person.shop, "ConfigMap/a", "/data/level")
    assert person(*words, "--until", "1h", "--reason", "r").code == 0
    team.patch("v1/configmaps/a", {"data": {"level": "7"}}, manager="load-test")
    again = person(*words, "--until", "2h", "--reason", "longer", "-o", "json")
    assert json.loads(again.out)["reached"] is True
    assert [one["reason"] for one in spec_in_git(team)["ignore"]] == ["longer"], "the same fields stand once"
    assert live(team, "v1/configmaps/a", "data", "level") == "7"
    assert person(*words, "--remove").code == 0
    assert "ignore" not in spec_in_git(team)
    team.until(lambda: live(team, "v1/configmaps/a", "data", "level") == "1", "it is as Git says again")


def test_ignoring_what_the_application_does_not_have_is_told_with_what_looks_like_it(
    team: Team, person: Person
) -> None:
    shop(team)
    ends = ("--until", "1h", "--reason", "r", "--no-wait")
    done = person("ignore", person.shop, "Deployment/wbe", "/spec/replicas", *ends)
    assert done.code == 0, done
    assert done.err == (
        f"warning: {person.shop} has no Deployment/wbe: this does nothing until it has one\n"
        f"  did you mean Deployment/web? Then take this back: "
        f"windlass ignore {person.shop} Deployment/wbe /spec/replicas --remove\n"
    )
    assert [one["name"] for one in spec_in_git(team)["ignore"]] == ["wbe"], "what is not there yet may be meant"
    assert person("ignore", person.shop, "Deployment/wbe", "/spec/replicas", "--remove", "--no-wait").code == 0
    done = person("ignore", person.shop, "deployment/web", "/spec/replicas", *ends)
    assert (done.code, done.err) == (0, ""), done
    assert [one["kind"] for one in spec_in_git(team)["ignore"]] == ["Deployment"], "as the kind is written"
    at = team.head()
    done = person("ignore", person.shop, "deploy/web", "/spec/replicas", *ends)
    assert (done.code, "did you mean Deployment/web?" in done.err) == (1, True), done
    assert tip(team) == at


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("suspend", "{}", "--reason", "r"), 64, "--until"),
        (("freeze", "{}", "--until", "1h"), 64, "--reason"),
        (("freeze", "{}", "--until", "2020-01-01", "--reason", "r"), 1, "past already"),
        (("suspend", "{}", "--until", "soon", "--reason", "r"), 64, "duration"),
        (("ignore", "{}", "ConfigMap/a", "data", "--until", "1h", "--reason", "r"), 64, "JSON pointer"),
        (("ignore", "{}", "a", "/data", "--until", "1h", "--reason", "r"), 64, "KIND/NAME"),
    ],
)
def test_what_can_be_no_exception_is_refused(
    team: Team, person: Person, words: tuple[str, ...], code: int, told: str
) -> None:
    team.repository()
    team.application()
    done = person(*(word.format(person.shop) for word in words))
    assert (done.code, told in done.err) == (code, True), done


@pytest.mark.slow
def test_a_frozen_cluster_takes_nothing_new_but_what_is_windlass_own(team: Team, person: Person) -> None:
    shop(team)
    path = f"/apis/{API}/installations/windlass"
    freeze = {"until": "2099-01-01", "reason": "holidays", "by": "ada"}
    try:
        assert team.cluster.request("PATCH", path, {"spec": {"freeze": freeze}}, content_type=MERGE).code == 200
        commit(team, {"shop/a.yaml": config_map("a", level="2")})
        team.until(lambda: team.ready().get("reason") == "Frozen", "the commit waits")
        assert "the whole cluster is frozen by ada" in person("status", person.shop).out
        assert person("suspend", person.shop, "--until", "1h", "--reason", "r").code == 0, "its own kinds still change"
        team.until(lambda: team.ready().get("reason") == "Suspended", "they do")
        assert live(team, "v1/configmaps/a", "data", "level") == "1"
        assert person("resume", person.shop).code == 0
    finally:
        team.cluster.request("PATCH", path, {"spec": {"freeze": None}}, content_type=MERGE)
    team.until(lambda: live(team, "v1/configmaps/a", "data", "level") == "2", "thawed, it goes on")


def test_the_whole_cluster_is_frozen_and_thawed_by_a_command_that_edits_the_installations_file(
    team: Team, person: Person
) -> None:
    path = f"/apis/{API}/installations/windlass"
    spec = dict(team.cluster.request("GET", path).json["spec"])
    content = {"apiVersion": API, "kind": "Installation", "metadata": {"name": "windlass"}, "spec": spec}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    account = {"kind": "ServiceAccount", "name": "windlass-applier", "namespace": team.namespace}
    binding = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{team.namespace}"
    made = {"metadata": {"name": team.namespace}, "roleRef": role, "subjects": [account]}
    assert team.cluster.request("POST", binding.rpartition("/")[0], made).code == 201
    try:
        shop(team)
        team.until_synced(commit(team, {"clusters/windlass.yaml": yaml.safe_dump(content)}), "root", seconds=60)
        done = person("freeze", "--until", "2h", "--reason", "holidays", "--timeout", "60s")
        assert done.code == 0, done
        assert re.search(
            r"^freeze   [0-9a-f]{7} Freeze windlass until \S+Z   \(clusters/windlass.yaml\)", done.out, re.M
        )
        assert "the cluster   is so" in done.out
        tip(team)
        written = yaml.safe_load((team.work / "clusters/windlass.yaml").read_text())["spec"]["freeze"]
        assert (written["reason"], written["by"]) == ("holidays", "bob@acme.example")
        commit(team, {"shop/a.yaml": config_map("a", level="2")})
        team.until(lambda: team.ready().get("reason") == "Frozen", "the commit waits", 60)
        assert live(team, "v1/configmaps/a", "data", "level") == "1"
        done = person("resume", "--timeout", "60s")
        assert done.code == 0, done
        team.until(lambda: live(team, "v1/configmaps/a", "data", "level") == "2", "thawed, it goes on", 60)
    finally:
        names = ("origin", "applied", "adopted")
        ours = {
            "labels": {"windlass.dev/application": None},
            "annotations": {f"windlass.dev/{name}": None for name in names},
            "managedFields": [{}],  # nobody owns it: the next test may
        }
        team.cluster.request("DELETE", f"/apis/{API}/namespaces/{team.namespace}/applications/root")
        team.cluster.request("PATCH", path, {"metadata": ours, "spec": {"freeze": None}}, content_type=MERGE)
        team.cluster.request("DELETE", binding)
