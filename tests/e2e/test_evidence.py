"""What the record knows beyond what happened: who signed, what came from outside Git, and exceptions of the cluster."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from e2e.team import Team, config_map, deployment, git
from e2e.test_cli import Person
from e2e.test_flow_ledger import Book, book, kinds
from e2e.test_rollback import OWN, application, person
from real.cluster import MERGE
from windlass.core.model import events

__all__ = ["book", "person"]


def test_a_freeze_of_the_cluster_is_recorded_and_so_is_its_end(book: Book, team: Team) -> None:
    until = datetime.fromtimestamp(time.time() + 4, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    freeze = {"until": until, "reason": f"of {team.namespace}", "by": "ada@acme.example"}
    book.installation(ledger={"repository": "ledger", "push": "1s"}, freeze=freeze)

    def told() -> list[str]:
        of_us = [one for one in book.events() if one.kind.startswith("exception") and not one.subject]
        return [one.kind for one in of_us if getattr(one.data, "until", "") == until]

    team.until(lambda: told() == ["exception", "exception-ended"], "begin and end are in the ledger", 60)

    def events_of_it() -> list[str]:
        answer = book.cluster.request("GET", "/api/v1/namespaces/default/events")
        return [one["message"] for one in answer.json["items"] if one["involvedObject"]["kind"] == "Installation"]

    team.until(lambda: any(f"freeze ended at {until}" in one for one in events_of_it()), "an Event tells it", 60)


def test_the_ledger_tells_who_pinned_and_why(book: Book, team: Team, person: Person) -> None:
    first = shop(team)
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="2")}, "Shop 2"))
    subject = f"{team.namespace}/shop"
    assert person("rollback", subject, "--reason", "wrong level", "--to", first, "--timeout", "60s").code == 0
    assert person("forward", subject, "--reason", "mended", "--timeout", "60s").code == 0
    team.until(lambda: "rolled-forward" in kinds(book.events(subject)), "both are recorded")
    git(team.work, "pull", "-q", "--ff-only", "origin", "main")
    ids = git(team.work, "log", "-2", "--format=%H").stdout.split()
    told = [one.data for one in book.events(subject) if one.kind in ("rolled-back", "rolled-forward")]
    assert [
        (one.commit, one.actor, one.reason) for one in told if isinstance(one, events.RolledBack | events.RolledForward)
    ] == [(ids[1], "Bob Builder", "wrong level"), (ids[0], "Bob Builder", "mended")]


def test_what_no_named_key_signed_is_not_followed_and_the_signer_is_in_the_ledger(
    book: Book, team: Team, tmp_path: Path
) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada@acme.example", "-f", str(tmp_path / "ada")],
        check=True,
    )
    public = (tmp_path / "ada.pub").read_text().strip()
    team.repository(verify={"signers": [{"ssh": public}]})
    team.application()
    git(team.work, "config", "gpg.format", "ssh")
    git(team.work, "config", "user.signingkey", str(tmp_path / "ada"))
    git(team.work, "config", "commit.gpgsign", "true")
    first = team.commit({"shop/a.yaml": config_map("a", level="1")}, "Start\n\nApproved-by: Bob <bob@acme.example>")
    team.until_synced(first)
    git(team.work, "config", "commit.gpgsign", "false")
    second = team.commit({"shop/a.yaml": config_map("a", level="2")}, "Sneaked in")

    def repository() -> dict[str, Any]:
        return dict((team.get("windlass.dev/v1alpha1/repositories/config") or {}).get("status") or {})

    def held() -> bool:
        return any(one["reason"] == "NotSigned" for one in repository().get("conditions", []))

    team.until(held, "what is not signed is held", 60)
    assert repository()["commit"] == first
    assert repository()["signature"].startswith("ada@acme.example SHA256:")
    assert team.status()["commit"] == first
    found = team.get("v1/configmaps/a")
    assert found is not None
    assert found["data"] == {"level": "1"}
    subject = f"Repository/{team.namespace}/config"
    team.until(lambda: "held" in kinds(book.events(subject)), "it is in the ledger", 60)
    (told,) = [one.data for one in book.events(subject) if isinstance(one.data, events.Held)]
    assert (told.commit, told.held) == (first, second)
    git(team.work, "config", "commit.gpgsign", "true")
    third = team.commit({"shop/a.yaml": config_map("a", level="3")}, "Meant so")
    team.until_synced(third, seconds=60)

    def applied() -> list[events.Applied]:
        found = [one.data for one in book.events(f"{team.namespace}/shop")]
        return [one for one in found if isinstance(one, events.Applied)]

    team.until(lambda: [one.commit for one in applied()] == [first, third], "both deployments are in the ledger", 60)
    (evidence,) = applied()[0].commits
    assert evidence.signer == repository()["signature"]
    assert evidence.approvals == ("Bob <bob@acme.example>",)
    assert [one.signer for one in applied()[1].commits] == [evidence.signer, ""], "the one that was sneaked in has none"


def test_tags_are_shown_as_releases_and_a_moved_one_where_it_is_now(book: Book, team: Team, person: Person) -> None:
    team.repository()
    team.application()
    first = team.commit({"shop/a.yaml": config_map("a", level="1")}, "Shop 1")
    team.until_synced(first, seconds=60)
    git(team.work, "tag", "v1", first)
    second = team.commit({"shop/a.yaml": config_map("a", level="2")}, "Shop 2")
    team.until_synced(second, seconds=60)
    git(team.work, "tag", "-a", "-m", "Release 2", "v2", second)
    git(team.work, "push", "-q", "origin", "--tags")
    applied = [first, second]

    def recorded() -> list[str]:
        found = [one.data for one in book.events(f"{team.namespace}/shop") if isinstance(one.data, events.Applied)]
        return [one.commit for one in found if one.result == "applied"]

    team.until(lambda: recorded() == applied, "both deployments are in the ledger", 60)
    assert f"{second[:7]} v2" in person("status", person.shop).out
    told = person("log", person.shop, "--kind", "applied")
    assert told.code == 0, told
    assert f"{second[:7]} v2" in told.out.splitlines()[0]
    assert f"{first[:7]} v1" in told.out.splitlines()[1]
    changed = person("log", person.shop, "--changes", "v1..v2")
    assert changed.code == 2, changed
    assert "level" in changed.out
    unknown = person("log", person.shop, "--changes", "v1..v9")
    assert "'v9' is not a commit id, nor a tag of the repository" in unknown.err
    git(team.work, "tag", "-f", "v1", second)
    git(team.work, "push", "-q", "-f", "origin", "v1")
    git(team.work, "push", "-q", "origin", ":refs/tags/v2")
    for cache in Path(person.environment["HOME"]).rglob("*.tags.json"):
        cache.unlink()
    assert f"{second[:7]} v1 " in person("status", person.shop).out


FROM = {"substitute": {"from": [{"configMap": "vars"}]}}
APP = "windlass.dev/v1alpha1/applications/shop"


def shop(team: Team) -> str:
    """A shop whose level comes from the cluster, Healthy at its first commit."""
    team.put("v1", "ConfigMap", "vars", data={"LEVEL": "info"})
    team.repository()
    team.application("root", "clusters")
    files = {
        OWN: application(render=FROM),
        "shop/web.yaml": deployment("web"),
        "shop/a.yaml": config_map("a", level="${LEVEL}", number="1"),
    }
    commit = team.commit(files, "Shop 1")
    team.until_synced(commit, seconds=60)
    return commit


def noted(team: Team, commit: str) -> dict[str, Any]:
    found = [one for one in team.status().get("history", []) if one["commit"] == commit]
    return dict(found[0].get("outside") or {}) if found else {}


def test_a_rollback_tells_what_came_from_outside_git_and_is_not_as_it_was(team: Team, person: Person) -> None:
    first = shop(team)
    team.until(lambda: noted(team, first), "what it got from outside Git is noted", 60)
    assert noted(team, first)["images"] == ["registry.example/shop:1.0"]
    second = team.commit({"shop/a.yaml": config_map("a", level="${LEVEL}", number="2")}, "Shop 2")
    team.until_synced(second, seconds=60)
    same = person("rollback", person.shop, "--to", first, "--reason", "r", "--timeout", "60s", "-o", "json")
    assert same.code == 0, same
    assert json.loads(same.out)["outside"] == [], "nothing differs, and nothing is told"
    assert "registry.example/shop:1.0: named by tag" in same.err
    assert person("forward", person.shop, "--timeout", "60s").code == 0
    ahead = team.status()["commit"]
    assert ahead not in (first, second), "the commit that took the pin out"
    team.patch("v1/configmaps/vars", {"data": {"LEVEL": "debug"}})
    team.until(lambda: (team.get("v1/configmaps/a") or {})["data"]["level"] == "debug", "the value is applied", 60)
    digest = noted(team, first)["values"]["ConfigMap/vars"]
    team.until(lambda: noted(team, ahead)["values"]["ConfigMap/vars"] != digest, "and noted", 60)
    assert "debug" not in str(team.status()["history"]), "by a digest alone"
    done = person("rollback", person.shop, "--to", first, "--reason", "r", "--timeout", "60s")
    assert done.code == 0, done
    lines = done.out.splitlines()
    assert lines[0] == f"not as it was with {first[:7]}, because it does not come from Git:"
    assert lines[1] == "  ConfigMap/vars of the cluster holds something else now"
    assert lines[3].startswith("rolled back"), "told before it is done"


def test_what_the_status_does_not_know_any_more_is_looked_up_in_the_ledger(
    book: Book, team: Team, person: Person
) -> None:
    first = shop(team)
    subject = f"{team.namespace}/shop"

    def recorded() -> list[events.Applied]:
        found = [one.data for one in book.events(subject) if isinstance(one.data, events.Applied)]
        return [one for one in found if one.result == "applied"]

    team.until(recorded, "it is in the ledger", 60)
    told = recorded()[0].outside
    assert told is not None
    assert told.images == ["registry.example/shop:1.0"]
    assert list(told.values) == ["ConfigMap/vars"]
    assert told.values["ConfigMap/vars"].startswith("hmac-sha256:")
    second = team.commit({"shop/a.yaml": config_map("a", level="${LEVEL}", number="2")}, "Shop 2")
    team.until_synced(second, seconds=60)
    team.patch("v1/configmaps/vars", {"data": {"LEVEL": "debug"}})
    team.until(
        lambda: noted(team, second).get("values", {}) not in ({}, told.values), "what it gets now is in the status", 60
    )
    # As in the status of a version that did not note it.
    history = team.status()["history"]
    shorter = [{key: value for key, value in one.items() if key != "outside"} for one in history]
    team.cluster.request(
        "PATCH",
        f"/apis/windlass.dev/v1alpha1/namespaces/{team.namespace}/applications/shop/status",
        {"status": {"history": shorter}},
        content_type=MERGE,
    )
    done = person("rollback", person.shop, "--to", first, "--reason", "r", "--no-wait")
    assert done.code == 0, done
    assert "ConfigMap/vars of the cluster holds something else now" in done.out, done
