"""Where from: the commit and line behind a live field, and the first commit that was not Healthy."""

from __future__ import annotations

import json

import pytest

from e2e.team import Team, config_map, deployment
from e2e.test_cli import Done, Person
from e2e.test_rollback import person, shop

__all__ = ["person"]


def test_blame_leads_from_a_live_field_to_the_commit_and_line(team: Team, person: Person) -> None:
    first = shop(team)
    second = team.commit({"shop/a.yaml": config_map("a", level="1", other="x")}, "One key more")
    team.until_synced(second)
    done = person("blame", person.shop, "ConfigMap/a", "data.other", "-o", "json")
    assert done.code == 0, done
    (line,) = json.loads(done.out)["lines"]
    assert (line["commit"], line["file"], line["certain"]) == (second, "shop/a.yaml", True)
    web = person("blame", person.shop, "Deployment/web", "spec.template.spec.containers[name=web].image")
    assert web.code == 0, web
    assert f'{first[:7]} "Shop 1" (ada, ' in web.out
    assert "image: registry.example/shop:1.0" in web.out
    whole = person("blame", person.shop, "deployment/web")
    assert whole.code == 0, whole
    assert whole.out.splitlines()[0] == "Deployment/web"
    assert "shop/web.yaml:1" in whole.out
    assert "live it is" not in whole.out


@pytest.mark.slow
def test_blame_tells_who_made_a_live_value_what_it_is(team: Team, person: Person) -> None:
    shop(team, drift={"action": "alert"})
    team.patch("apps/v1/deployments/web", {"spec": {"replicas": 5}}, manager="ops-tool")
    done = person("blame", person.shop, "Deployment/web", "/spec/replicas")
    assert done.code == 2, done
    assert "live it is 5, by ops-tool" in done.out
    assert "Git says 2" in done.out
    none = person("blame", person.shop, "Deployment/nope", "/spec/replicas")
    assert (none.code, "is not of" in none.err) == (1, True)


@pytest.mark.slow
def test_an_image_is_followed_through_an_overlay(team: Team, person: Person) -> None:
    team.repository()
    team.application("shop", "prod")
    overlay = "resources: [../base]\nimages:\n- name: registry.example/shop\n  newTag: '7.0'\n"
    commit = team.commit(
        {"base/web.yaml": deployment("web"), "base/kustomization.yaml": "resources: [web.yaml]\n",
         "prod/kustomization.yaml": overlay}
    )  # fmt: skip
    team.until_synced(commit)
    done = person("blame", person.shop, "Deployment/web", "spec.template.spec.containers[name=web].image")
    assert done.code == 0, done
    assert "prod/kustomization.yaml:4" in done.out
    assert "as far as can be told: images of the kustomization" in done.out
    (team.work / "stage").symlink_to("base")
    commit = team.commit({"prod/kustomization.yaml": overlay.replace("../base", "../stage")}, "A base by a link")
    team.until_synced(commit)
    done = person("blame", person.shop, "Deployment/web", "spec.template.spec.containers[name=web].image")
    assert done.code == 0, done
    assert "prod/kustomization.yaml:4" in done.out


def _differs(done: Done) -> Done | None:
    return done if done.code == 2 else None


def test_bisect_tells_the_first_bad_commit_and_the_last_good_one(team: Team, person: Person) -> None:
    good = shop(team, health={"timeout": "2s"})
    assert person("bisect", person.shop).code == 0
    bad = team.commit({"shop/web.yaml": deployment("web", "registry.example/crash:1")}, "Shop 2")
    team.until_synced(bad, health="Degraded", seconds=40)
    later = team.commit({"shop/a.yaml": config_map("a", level="2")}, "Shop 3")
    team.until_synced(later, health="Degraded", seconds=40)
    # A container that crashes again and again is ready for moments: then its commit is Healthy for a moment too.
    done = team.until(lambda: _differs(person("bisect", person.shop, "-o", "json")), "the bad commit is told")
    data = json.loads(done.out)
    assert (data["good"]["commit"], data["bad"]["commit"], data["newest"]["commit"]) == (good, bad, later)
    assert "no ledger" in data["source"]
    told = person("bisect", person.shop).out
    assert f"next  git diff {good[:7]} {bad[:7]}" in told
