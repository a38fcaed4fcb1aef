"""BREAK-GLASS: Git is away, and a person who may pins an Application in the cluster; Git is told when it is back."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.team import Team, config_map, git
from e2e.test_cli import Person
from e2e.test_flow_alerts import Receiver, alert, receiver
from e2e.test_flow_ledger import Book, book
from e2e.test_rollback import OWN, application, person, tip
from faults.githost import FaultyGit
from real.cluster import MERGE, Cluster
from windlass.core.kinds.glass import Glass
from windlass.core.words.commits import fact_of

__all__ = ["book", "person", "receiver"]
PATH = "windlass.dev/v1alpha1/applications/shop"
WORD = "windlass.dev/break-glass"


@pytest.fixture
def front(team: Team) -> Iterator[FaultyGit]:
    """The Git server as the controller reaches it: what is pushed past it is not seen while it is away."""
    with FaultyGit(team.windlass.git.url) as made:
        yield made


def begin(team: Team, front: FaultyGit, *paths: str, **spec: Any) -> tuple[str, str]:
    """A shop whose own file is in Git, at its second commit; Git is away since. The first and the second commit."""
    team.put("v1", "Secret", "config-write", stringData={"username": "windlass", "password": "of-the-tests"})
    author = {"name": "windlass", "email": "windlass@acme.example"}
    write = {"write": {"secret": "config-write", "author": author, "paths": list(paths)}} if paths else {}
    team.repository(url=f"{front.url}/{team.namespace}.git", interval="1s", **write)
    team.application("root", "clusters")
    first = team.commit({OWN: application(**spec), "shop/a.yaml": config_map("a", level="1")}, "Shop 1")
    team.until_synced(first, seconds=60)
    second = team.commit({"shop/a.yaml": config_map("a", level="2")}, "Shop 2")
    team.until_synced(second, seconds=60)
    front.fault = "away"
    return first, second


def level(team: Team) -> str:
    return str((team.get("v1/configmaps/a") or {"data": {}})["data"].get("level"))


def broken(team: Team) -> dict[str, Any]:
    return dict(team.status().get("breakGlass") or {})


def word(team: Team) -> str:
    return str(((team.get(PATH) or {})["metadata"].get("annotations") or {}).get(WORD, ""))


def shatter(person: Person, commit: str, *more: str) -> Any:
    return person("sync", person.shop, "--break-glass", "--commit", commit, "--reason", "shop is down", *more)


def test_a_pin_in_the_cluster_outlives_the_controller_and_becomes_a_commit_when_git_is_back(
    team: Team, person: Person, front: FaultyGit
) -> None:
    first, second = begin(team, front, "clusters/*.yaml")
    before = (team.work / OWN).read_text()
    done = shatter(person, first[:9], "--wait", "--timeout", "60s")
    assert done.code == 0, done
    assert re.search(rf"^break-glass   {person.shop} is pinned at {first[:7]} until \S+Z by \S+", done.out, re.M)
    assert "not in Git yet: the controller commits it when Git is back" in done.out
    assert re.search(rf"^{person.shop}   Synced {first[:7]}   Healthy after ", done.out, re.M)
    assert level(team) == "1"
    assert team.ready()["reason"] == "BreakGlass"
    assert any("pinned in the cluster" in one for one in team.events("BreakGlass"))
    told = person("status", person.shop).out
    assert re.search(rf'break-glass: {first[:7]} until \S+Z by \S+: "shop is down"; not in Git yet', told), told
    assert "break-glass until" in person("status", "-n", team.namespace).out
    live = team.get(PATH) or {}
    assert "at" not in live["spec"]["source"], "nobody but Git writes the spec"
    version = (team.get("v1/configmaps/a") or {})["metadata"]["resourceVersion"]
    team.windlass.kill()
    team.windlass.start()
    team.until(lambda: broken(team).get("result") == "holds" and team.ready(), "it is known again", 60)
    root = team.ready("root")
    assert root, "the parent is there too"
    assert (team.get("v1/configmaps/a") or {})["metadata"]["resourceVersion"] == version, "nothing moved in between"
    assert (level(team), bool(word(team))) == ("1", True)

    front.fault = ""
    team.until(lambda: (team.get(PATH) or {})["spec"]["source"].get("at") == first, "Git says it", 90)
    team.until(lambda: not word(team), "the cluster's own word is gone", 60)
    assert tip(team) != second
    assert (team.work / OWN).read_text() == before.replace("    path: shop\n", f"    path: shop\n    at: {first}\n")
    message = git(team.work, "log", "-1", "--format=%B%an").stdout
    assert message.endswith("windlass\n")
    assert fact_of(message.removesuffix("windlass\n"), "Pins") == first
    assert fact_of(message.removesuffix("windlass\n"), "Reason") == "shop is down"
    assert fact_of(message.removesuffix("windlass\n"), "Break-Glass")
    assert f"Windlass: break-glass {person.shop}" in message
    team.until(lambda: team.ready().get("reason") == "Pinned", "it is pinned as by any rollback", 60)
    assert (broken(team)["result"], broken(team)["message"]) == ("ended", "Git says the same")
    assert level(team) == "1"
    assert len(git(team.work, "log", "--format=%H", f"{second}..").stdout.split()) == 1, "one commit, not two"
    done = person("forward", person.shop, "--timeout", "60s")
    assert done.code == 0, done
    assert level(team) == "2"


@pytest.mark.slow
def test_a_pin_ends_by_itself_is_recorded_as_severe_and_people_are_told(
    team: Team, person: Person, front: FaultyGit, book: Book, receiver: Receiver
) -> None:
    first, second = begin(team, front, "clusters/*.yaml", sync={"mode": "auto"})
    team.put("v1", "Secret", "on-call", stringData={"token": "a long random text"})
    channel = {"webhook": {"url": receiver.url, "secret": "on-call"}}
    team.put("windlass.dev/v1alpha1", "Channel", "on-call", spec=channel)
    alert(team, events={"kinds": ["break-glass"]})
    assert shatter(person, first, "--until", "8s").code == 0
    team.until_synced(first, seconds=60)
    team.until_synced(second, seconds=60)
    assert level(team) == "2"
    assert (broken(team)["result"], broken(team)["message"]) == ("ended", "expired")
    team.until(lambda: not word(team), "nothing of it is left on the object", 60)
    team.until(lambda: any("expired" in one for one in team.events("BreakGlassEnded")), "it is told", 60)
    mine = f"{team.namespace}/shop"

    def recorded() -> list[tuple[str, bool]]:
        return [(one.data.what, one.severe) for one in book.events(mine) if one.kind == "break-glass"]  # type: ignore[attr-defined]

    team.until(lambda: recorded() == [("pinned", True), ("expired", False)], "both are in the ledger", 60)
    (made,) = [one for one in book.events(mine) if one.kind == "break-glass" and one.severe]
    assert made.actor, "it names the person"
    team.until(lambda: receiver.states("break-glass") == ["firing", "resolved"], "people are told", 60)
    assert receiver.told[0]["line"].startswith(f"break-glass {first[:7]} pinned in the cluster until ")
    front.fault = ""
    newer = team.commit({"shop/a.yaml": config_map("a", level="3")}, "Shop 3")
    team.until_synced(newer, seconds=90)
    assert tip(team) == newer, "what has ended is not committed"
    ledger = f"{team.windlass.git.url}/ledger.git"
    done = person("log", mine, "--kind", "break-glass", "--ledger", ledger, "--cluster", team.cluster.name)
    assert re.search(rf"break-glass\s+{first[:7]} pinned in the cluster until .*shop is down", done.out), done
    assert f"the pin at {first[:7]} has ended: expired" in done.out


def test_where_the_controller_may_not_write_it_says_who_must_and_a_rollback_takes_over(
    team: Team, person: Person, front: FaultyGit
) -> None:
    first, _ = begin(team, front)
    assert shatter(person, first).code == 0
    team.until(lambda: "somebody must commit it" in broken(team).get("message", ""), "it is told", 60)
    team.until(lambda: team.events("BreakGlassUnrecorded"), "loudly", 60)
    front.fault = ""
    done = person("rollback", person.shop, "--to", first, "--reason", "as in the cluster", "--timeout", "60s")
    assert done.code == 0, done
    team.until(lambda: not word(team), "the cluster's own word is gone", 60)
    assert broken(team)["message"] == "Git says the same"
    assert level(team) == "1"


def test_a_pin_is_let_go_of_before_its_time_without_git_also_where_sync_is_manual(
    team: Team, person: Person, front: FaultyGit
) -> None:
    team.repository(url=f"{front.url}/{team.namespace}.git", interval="1s")
    team.application(sync={"mode": "manual"})
    first = team.commit({"shop/a.yaml": config_map("a", level="1")})
    team.until(lambda: team.ready().get("reason") == "Manual", "it waits", 60)
    assert person("sync", person.shop, "--wait", "--timeout", "60s").code == 0
    second = team.commit({"shop/a.yaml": config_map("a", level="2")})
    team.until(lambda: (team.status().get("pending") or {}).get("commit") == second, "the next one waits", 60)
    assert person("sync", person.shop, "--wait", "--timeout", "60s").code == 0
    front.fault = "away"
    done = shatter(person, first, "--wait", "--timeout", "60s", "-o", "json")
    assert done.code == 0, done
    assert json.loads(done.out)["breakGlass"]["commit"] == first
    assert level(team) == "1"
    done = person("forward", person.shop, "--break-glass")
    assert done.code == 0, done
    assert not word(team)
    assert broken(team)["message"] == "let go"
    again = person("forward", person.shop, "--break-glass")
    assert again.code == 1
    assert "is not pinned in the cluster" in again.err


@pytest.mark.slow
def test_what_can_be_no_pin_is_refused_with_the_mend_and_nothing_moves(
    team: Team, person: Person, front: FaultyGit
) -> None:
    first, second = begin(team, front)
    git(team.work, "checkout", "-q", "-b", "side")
    git(team.work, "commit", "-q", "--allow-empty", "-m", "aside")
    aside = team.head()
    assert shatter(person, "", "").code == 64
    assert person("sync", person.shop, "--break-glass", "--commit", first).code == 64, "a reason is needed"
    assert person("sync", person.shop, "--commit", first).code == 64, "and the word"
    for commit, until, told in (
        (aside, "1h", "is no commit that the controller has"),
        ("f" * 40, "1h", "is no commit that the controller has"),
        ("main", "1h", "is no commit id"),
        (first, "25h", "more than 24 hours away"),
        (first, "2020-01-01", "is past already"),
    ):
        done = shatter(person, commit, "--until", until)
        assert done.code in (1, 3), done
        assert told in done.out + done.err
        assert "mend" in done.out + done.err
    spoiled = {"by": "x", "commit": "?", "until": "never"}
    for text in ("yes", json.dumps(spoiled), "{" * 4000, Glass("x", first, "2999-01-01", "r", "", "").value()):
        patch = {"metadata": {"annotations": {WORD: text}}}
        path = f"/apis/windlass.dev/v1alpha1/namespaces/{team.namespace}/applications/shop"
        answer = team.cluster.request("PATCH", path, patch, content_type=MERGE)
        assert answer.code in (200, 403, 422), answer.body
        team.until(lambda: not word(team), "what is no pin is taken away", 60)
    assert (team.status()["commit"], level(team)) == (second, "2")
    team.until(lambda: not broken(team) or broken(team)["result"] == "refused", "and never held", 60)


@pytest.mark.slow
def test_without_a_copy_of_the_repository_it_says_why_it_cannot(team: Team, person: Person, front: FaultyGit) -> None:
    first, second = begin(team, front)
    team.windlass.stop()
    shutil.rmtree(team.windlass.folder / "data" / "git")
    team.windlass.start()
    team.until(lambda: team.ready("root").get("status") == "False", "Git is asked for", 60)
    done = shatter(person, first)
    assert done.code == 3, done
    assert "has no copy of Repository config on its disk" in done.out
    assert level(team) == "2"
    front.fault = ""
    team.until_synced(second, seconds=90)


@pytest.mark.real
@pytest.mark.parametrize("cluster", ["real"], indirect=True)
def test_who_may_write_applications_may_not_break_the_glass_nor_in_anothers_name(
    cluster: Cluster, team: Team, person: Person, front: FaultyGit
) -> None:
    first, second = begin(team, front)
    team.account("tenant", role="edit")
    base = f"/api/v1/namespaces/{team.namespace}/serviceaccounts/tenant/token"
    token = cluster.request("POST", base, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"})
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token.json["status"]["token"]}
    file = team.work.parent / "tenant.kubeconfig"
    file.write_text(yaml.safe_dump(config))
    person.environment["KUBECONFIG"] = str(file)
    done = shatter(person, first)
    assert done.code == 3, done
    assert "needs the verb break-glass" in done.err
    assert not word(team)
    team.put(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "break-glass",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "windlass-break-glass"},
        subjects=[{"kind": "ServiceAccount", "name": "tenant", "namespace": team.namespace}],
    )
    tenant = {"Authorization": f"Bearer {token.json['status']['token']}"}
    for by, code in (("kubernetes-admin", 403), (f"system:serviceaccount:{team.namespace}:tenant", 200)):
        value = Glass(by, first, "2020-01-01T00:00:00Z", "forged", "", "").value()
        path = f"/apis/windlass.dev/v1alpha1/namespaces/{team.namespace}/applications/shop"
        patch = {"metadata": {"annotations": {WORD: value}}}
        answer = cluster.request("PATCH", path, patch, content_type=MERGE, headers=tenant)
        assert answer.code == code, answer.body
    team.until(lambda: not word(team), "one that is past is taken away", 60)
    done = shatter(person, first, "--wait", "--timeout", "60s")
    assert done.code == 0, done
    assert f"by system:serviceaccount:{team.namespace}:tenant" in done.out
    assert level(team) == "1"
    person.environment["KUBECONFIG"] = str(cluster.kubeconfig)
    assert person("forward", person.shop, "--break-glass").code == 0
    team.until_synced(second, seconds=60)
