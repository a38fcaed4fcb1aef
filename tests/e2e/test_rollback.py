"""ROLLBACK: one commit with the person's own Git pins what ran before, while sync stays automatic."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.team import Team, config_map, deployment, git
from e2e.test_cli import Person
from windlass.core.words.commits import fact_of, intents_of

pytestmark = pytest.mark.usefixtures("team")
OWN = "clusters/shop.yaml"


@pytest.fixture
def person(team: Team, tmp_path: Path) -> Person:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = Bob Builder\n\temail = bob@acme.example\n")
    return Person(team, home)


def application(**spec: Any) -> str:
    content = {
        "apiVersion": "windlass.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "shop"},
        "spec": {"source": {"repository": "config", "path": "shop"}, **spec},
    }
    return "# the shop: ask ada\n" + yaml.safe_dump(content, sort_keys=False)


def shop(team: Team, **spec: Any) -> str:
    """A shop whose own file is in Git, applied by the Application ``root``, Healthy at its first commit."""
    team.repository()
    team.application("root", "clusters")
    files = {OWN: application(**spec), "shop/web.yaml": deployment("web"), "shop/a.yaml": config_map("a", level="1")}
    commit = team.commit(files, "Shop 1")
    team.until_synced(commit)
    return commit


def tip(team: Team) -> str:
    git(team.work, "pull", "-q", "--ff-only", "origin", "main")
    return team.head()


def test_a_rollback_pins_the_last_healthy_commit_and_forward_follows_the_branch_again(
    team: Team, person: Person
) -> None:
    good = shop(team, health={"timeout": "2s"})
    before = (team.work / OWN).read_text()
    bad = team.commit({"shop/web.yaml": deployment("web", "registry.example/crash:1")}, "Shop 2")
    team.until_synced(bad, health="Degraded", seconds=40)
    done = person("rollback", person.shop, "--reason", "crash loop", "--timeout", "30s")
    assert done.code == 0, done
    assert re.search(rf"^rolled back   [0-9a-f]{{7}} pins {good[:7]} \(was {bad[:7]}\)   \({OWN}\)$", done.out, re.M)
    assert re.search(rf"^{person.shop}   Synced {good[:7]}   Healthy after ", done.out, re.M)
    pinned = tip(team)
    message = git(team.work, "log", "-1", "--format=%B").stdout
    assert git(team.work, "log", "-1", "--format=%an <%ae>").stdout == "Bob Builder <bob@acme.example>\n"
    assert "crash loop" in message
    assert (fact_of(message, "Pins"), fact_of(message, "Was"), len(intents_of(message))) == (good, bad, 1)
    changed = git(team.work, "diff", "--stat", "HEAD~1", "--name-only").stdout.split()
    assert changed == [OWN], "nobody else's files are touched"
    text = (team.work / OWN).read_text()
    assert text == before.replace("    path: shop\n", f"    path: shop\n    at: {good}\n")
    # Sync stays automatic: what comes next waits, and is told.
    newer = team.commit({"shop/web.yaml": deployment("web", "registry.example/shop:3")}, "Shop 3")
    again = person("rollback", person.shop, "--reason", "again", "--to", good[:9], "-o", "json")
    assert json.loads(again.out)["result"] == "unchanged", again
    assert team.status()["commit"] == good
    assert team.ready()["reason"] == "Pinned"
    told = person("status", person.shop)
    assert told.code == 0
    assert (
        f"next  pinned at {good[:7]} (source.at): windlass forward {person.shop} follows the branch again" in told.out
    )
    done = person("forward", person.shop, "--timeout", "30s")
    assert done.code == 0, done
    assert f"takes the pin at {good[:7]} out" in done.out
    assert tip(team) not in (pinned, newer)
    assert (team.work / OWN).read_text() == before
    assert team.status()["commit"] == team.head()
    live = team.get("apps/v1/deployments/web")
    assert live is not None
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/shop:3"


@pytest.mark.slow
def test_steps_count_back_from_what_runs_over_what_deployed_something_else(team: Team, person: Person) -> None:
    first = shop(team)
    second = team.commit({"shop/a.yaml": config_map("a", level="2")})
    team.until_synced(second)
    third = team.commit({"shop/a.yaml": config_map("a", level="3")})
    team.until_synced(third)
    back = ("rollback", person.shop, "--reason", "r", "--timeout", "60s", "-o", "json")
    assert json.loads(person(*back, "--steps", "1").out)["pins"] == second
    # From where it went back to, and not to what it went back from.
    assert json.loads(person(*back, "--steps", "1").out)["pins"] == first
    done = person("forward", person.shop, "--timeout", "60s")
    assert done.code == 0, done
    # What runs now is another commit than the third, and deploys the same.
    assert team.status()["commit"] == tip(team) != third
    none = person(*back, "--steps", "3")
    assert (none.code, ", 2 are known, not 3" in none.err) == (1, True), none
    assert json.loads(person(*back, "--steps", "1").out)["pins"] == second


@pytest.mark.slow
def test_back_by_steps_or_to_a_tag_and_what_is_not_there_is_refused(team: Team, person: Person) -> None:
    first = shop(team)
    git(team.work, "tag", "v1.0", first)
    git(team.work, "push", "-q", "origin", "v1.0")
    second = team.commit({"shop/a.yaml": config_map("a", level="2")})
    team.until_synced(second)
    third = team.commit({"shop/a.yaml": config_map("a", level="3")})
    team.until_synced(third)
    assert person("rollback", person.shop, "--reason", "r", "--steps", "1", "--timeout", "20s").code == 0
    team.until_synced(second)
    done = person("rollback", person.shop, "--reason", "r", "--to", "v1.0", "--timeout", "20s")
    assert done.code == 0, done
    team.until_synced(first)
    for words, told in (
        (("--to", "v9"), "'v9' is no commit or tag of repository config"),
        (("--steps", "9"), "are known, not 9"),
        (("--to", "0123456789"), "is no commit or tag"),
    ):
        refused = person("rollback", person.shop, "--reason", "r", *words)
        assert refused.code == 1
        assert told in refused.err
        assert "mend" in refused.err
    assert person("rollback", person.shop).code == 64, "a reason is needed"


def test_an_application_that_is_in_no_file_is_told_so(team: Team, person: Person) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a")}))
    done = person("rollback", person.shop, "--reason", "r", "--to", team.head())
    assert done.code == 1
    assert "is in no file in Git" in done.err


def test_a_protected_branch_refuses_with_the_mend_and_nothing_moves(team: Team, person: Person) -> None:
    first = shop(team)
    second = team.commit({"shop/a.yaml": config_map("a", level="2")})
    team.until_synced(second)
    git(team.bare, "config", "receive.hideRefs", "refs/heads/main")
    done = person("rollback", person.shop, "--reason", "r")
    assert done.code == 1
    found = re.search(r"git --git-dir (\S+) push (\S+) ([0-9a-f]{40}):refs/heads/<name>", " ".join(done.err.split()))
    assert found, done.err
    assert tip(team) == second
    # The mend works: the commit is there, and can be proposed from a branch.
    git(team.bare, "push", "-q", found[1], "main:refs/none", check=False)
    git(Path(found[1]), "push", "-q", found[2], f"{found[3]}:refs/heads/rollback-shop")
    assert first in git(team.bare, "show", f"rollback-shop:{OWN}").stdout


@pytest.mark.slow
def test_who_signs_their_commits_signs_this_one_too(team: Team, person: Person, tmp_path: Path) -> None:
    first = shop(team)
    key, home = tmp_path / "key", Path(person.environment["HOME"])
    try:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    except FileNotFoundError:
        pytest.skip("ssh-keygen is not installed")
    with (home / ".gitconfig").open("a") as config:
        config.write(f"\tsigningkey = {key}\n[gpg]\n\tformat = ssh\n[commit]\n\tgpgsign = true\n")
    done = person("rollback", person.shop, "--reason", "r", "--to", first, "--no-wait")
    assert done.code == 0, done
    tip(team)
    (tmp_path / "allowed").write_text(f"bob@acme.example {(tmp_path / 'key.pub').read_text()}")
    allowed = f"gpg.ssh.allowedSignersFile={tmp_path / 'allowed'}"
    shown = git(team.work, "-c", "gpg.format=ssh", "-c", allowed, "verify-commit", "HEAD")
    assert 'Good "git" signature for bob@acme.example' in shown.stderr
    (home / ".gitconfig").write_text(
        "[user]\n\tname = b\n\temail = b@x\n[commit]\n\tgpgsign = true\n[gpg]\n\tformat = ssh\n"
    )
    wrong = person("forward", person.shop, "--no-wait")
    assert (wrong.code, "could not sign this one" in wrong.err) == (1, True), wrong


def test_without_a_name_nothing_is_committed(team: Team, person: Person) -> None:
    shop(team)
    (Path(person.environment["HOME"]) / ".gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    done = person("rollback", person.shop, "--reason", "r", "--to", team.head())
    assert done.code == 1
    assert "Git does not know who you are" in done.err


# --- by the controller itself ----------------------------------------------------------------------------------------


def writable(team: Team, *paths: str) -> None:
    """The Repository with credentials for the controller's own commits."""
    team.put("v1", "Secret", "config-write", stringData={"username": "windlass", "password": "of-the-tests"})
    author = {"name": "windlass", "email": "windlass@acme.example"}
    team.repository(write={"secret": "config-write", "author": author, "paths": list(paths)})


AUTOMATIC: dict[str, Any] = {"health": {"timeout": "2s"}, "rollback": {"onDegraded": "pin", "within": "6s"}}


def test_a_commit_that_stays_degraded_is_rolled_back_by_the_controller(team: Team, person: Person) -> None:
    good = shop(team, **{**AUTOMATIC, "rollback": {"onDegraded": "pin", "within": "12s"}})
    writable(team, "clusters/*.yaml")
    team.commit({"shop/web.yaml": deployment("web", "registry.example/crash:1")}, "Shop 2")
    team.until(lambda: any("rolls back to" in one for one in team.status().get("messages", [])), "it is coming", 30)
    told = person("status", person.shop).out
    when = rf"next  rolls back to {good[:7]} at \S+Z unless Healthy \(rollback.onDegraded\); now: windlass rollback"
    assert re.search(when, told), told
    team.until_synced(good, seconds=40)
    tip(team)
    message = git(team.work, "log", "-1", "--format=%B%an").stdout
    assert f"Pins: {good}" in message
    assert "not Healthy within 12s" in message
    assert message.endswith("windlass\n")
    assert any("pins" in one for one in team.events("RolledBack"))


@pytest.mark.slow
def test_a_commit_that_becomes_healthy_in_time_is_left_alone(team: Team, person: Person) -> None:
    shop(team, **AUTOMATIC)
    writable(team, "clusters/*.yaml")
    team.commit({"shop/web.yaml": deployment("web", "registry.example/crash:1")}, "Shop 2")
    team.until(lambda: team.status().get("health") == "Degraded", "it is Degraded", 30)
    mended = team.commit({"shop/web.yaml": deployment("web", "registry.example/shop:3")}, "Shop 3")
    team.until_synced(mended)
    team.until(lambda: not any("rolls back" in one for one in team.status().get("messages", [])), "nothing is due")
    assert tip(team) == mended


@pytest.mark.slow
def test_without_rights_to_write_a_due_rollback_is_told_and_not_made(team: Team, person: Person) -> None:
    shop(team, **AUTOMATIC)
    bad = team.commit({"shop/web.yaml": deployment("web", "registry.example/crash:1")}, "Shop 2")
    team.until(lambda: team.events("RollbackStopped"), "it is told", 60)
    assert "has no credentials for writing" in team.events("RollbackStopped")[0]
    # The Event and the status are written one after the other.
    team.until(lambda: "is not rolled back" in person("status", person.shop).out, "the status tells it too", 60)
    assert tip(team) == bad


# --- the content itself ----------------------------------------------------------------------------------------------


def test_a_revert_puts_the_content_back_tells_whom_else_it_touches_and_forward_undoes_it(
    team: Team, person: Person
) -> None:
    team.repository()
    team.application()
    source = {"repository": "config", "path": "shop", "include": ["b.yaml"]}
    team.put("windlass.dev/v1alpha1", "Application", "other", spec={"source": source, "sync": {"mode": "manual"}})
    team.put("windlass.dev/v1alpha1", "Application", "far", spec={"source": {"repository": "config", "path": "far"}})
    first = team.commit(
        {"shop/web.yaml": deployment("web"), "shop/b.yaml": config_map("b", level="1"), "far/f.yaml": config_map("f")}
    )
    team.until_synced(first)
    second = team.commit({"shop/b.yaml": config_map("b", level="2"), "shop/c.yaml": config_map("c"), "README": "x\n"})
    team.until_synced(second)
    words = ("rollback", person.shop, "--revert", "--reason", "wrong level", "--to", first)
    refused = person(*words)
    assert (refused.code, tip(team)) == (3, second), refused
    assert "--yes" in refused.err
    assert "~ shop/b.yaml" in refused.out
    assert "- shop/c.yaml" in refused.out
    assert f"touches too: {team.namespace}/other" in refused.out
    assert "far" not in refused.out.replace("so far", "")
    done = person(*words, "--yes", "--timeout", "20s", "-o", "json")
    assert done.code == 0, done
    data = json.loads(done.out)
    assert data["files"] == ["shop/b.yaml", "shop/c.yaml"]
    assert tip(team) == data["commit"] == team.status()["commit"]
    assert (team.work / "README").exists(), "what it does not read stays"
    live = team.get("v1/configmaps/b")
    assert live is not None
    assert live["data"]["level"] == "1"
    assert team.get("v1/configmaps/c") is None
    back = person("forward", person.shop, "--yes", "--timeout", "20s")
    assert back.code == 0, back
    tip(team)
    assert yaml.safe_load((team.work / "shop/b.yaml").read_text())["data"]["level"] == "2"
    assert (team.work / "shop/c.yaml").exists()
    # What is undone is not undone once more.
    twice = person("forward", person.shop, "--yes")
    assert (twice.code, "no revert of it on its branch stands" in twice.err) == (1, True), twice
    # A file that somebody changed since is never overwritten.
    assert person(*words, "--yes", "--timeout", "20s").code == 0
    tip(team)
    team.commit({"shop/b.yaml": config_map("b", level="9")})
    late = person("forward", person.shop, "--yes")
    assert (late.code, "has changed since" in late.err) == (1, True), late


BASE = "clusters/base/shop.yaml"


def test_an_application_that_an_overlay_makes_of_a_shared_base_is_not_pinned_with_its_siblings(
    team: Team, person: Person
) -> None:
    """Pinned in the base, one for the live shop, the shop of every other stage would go back too."""
    team.repository()
    team.application("root", "clusters/live")
    team.application("other", "clusters/stage")
    files = {BASE: application(), "shop/a.yaml": config_map("a", level="1")}
    files["clusters/base/kustomization.yaml"] = "resources: [shop.yaml]\n"
    files["clusters/live/kustomization.yaml"] = "resources: [../base]\n"
    # Of a folder of its own: of two that make one object, the first to come has it.
    files["clusters/stage/kustomization.yaml"] = (
        "resources: [../base]\nnamePrefix: stage-\n"
        "patches:\n- target: {kind: Application}\n"
        '  patch: \'[{"op": "replace", "path": "/spec/source/path", "value": "stage"}]\'\n'
    )
    files["stage/s.yaml"] = config_map("s", level="1")
    first = team.commit(files, "Shop 1")
    team.until_synced(first)
    team.until_synced(first, "stage-shop")
    newer = team.commit({"shop/b.yaml": config_map("b", level="2")}, "Shop 2")
    team.until_synced(newer)
    for words in (
        ("rollback", person.shop),
        ("suspend", person.shop, "--until", "2h"),
        ("fork", person.shop, "shop-x"),
    ):
        done = person(*words, "--reason", "only here")
        assert done.code == 1, done
        sibling = f"{person.shop.rpartition('/')[0]}/stage-shop"
        assert f"{person.shop} and {sibling} come of the same text" in done.err, done
        assert f"write it where only {person.shop} is made" in done.err
    assert tip(team) == newer
