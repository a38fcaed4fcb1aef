"""FORK: the same Application once more, beside it, with an end."""

from __future__ import annotations

import json

import pytest
import yaml

from e2e.team import Team, git
from e2e.test_cli import Person
from e2e.test_rollback import person, shop, tip, writable

__all__ = ["person"]


def test_a_fork_runs_beside_the_first_and_its_end_takes_it_out_of_git_and_the_cluster(
    team: Team, person: Person
) -> None:
    shop(team)
    writable(team, "clusters/*.yaml")
    done = person(
        "fork", person.shop, "shop-x", "--into", team.namespace, "--set", "source.include=[a.yaml]", "--set",
        "sync.adopt=none", "--reason", "try it", "--until", "8s", "--no-wait", "-o", "json",
    )  # fmt: skip
    assert done.code == 0, done
    assert json.loads(done.out)["file"] == "clusters/shop-x.yaml"
    tip(team)
    made = yaml.safe_load((team.work / "clusters/shop-x.yaml").read_text())
    assert made["metadata"] == {"name": "shop-x"}
    assert made["spec"]["source"] == {"repository": "config", "path": "shop", "include": ["a.yaml"]}
    assert made["spec"]["expires"]["by"] == "bob@acme.example"
    team.until(lambda: team.status("shop-x"), "the fork is there")
    team.until(lambda: not (tip(team) and (team.work / "clusters/shop-x.yaml").exists()), "its file is taken out", 30)
    team.until(lambda: team.get("windlass.dev/v1alpha1/applications/shop-x") is None, "and it is gone", 30)
    assert team.get("v1/configmaps/a") is not None, "what is the first one's stays"
    assert git(team.work, "log", "-1", "--format=%an").stdout == "windlass\n"


@pytest.mark.slow
def test_a_fork_into_a_namespace_of_its_own_needs_rights_there_and_says_so(team: Team, person: Person) -> None:
    shop(team)
    done = person("fork", person.shop, f"{team.namespace}-y", "--reason", "r", "--timeout", "8s")
    assert done.code == 2, done
    assert "may not" in done.out or "forbidden" in done.out.lower() or "not allowed" in done.out.lower()
    again = person("fork", person.shop, f"{team.namespace}-y", "--reason", "other", "--no-wait")
    assert (again.code, "there is another file of this name" in again.err) == (1, True)
    wrong = person("fork", person.shop, "z", "--reason", "r", "--set", "sync.mode=never")
    assert (wrong.code, "must be auto or manual" in wrong.err) == (1, True)
