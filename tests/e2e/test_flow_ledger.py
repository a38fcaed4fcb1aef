"""The record, on both clusters: what happens to an Application is in Git, and no Secret ever is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from e2e.team import NAMESPACE, Installed, Team, apply, config_map, deployment, free_port, git, secret
from e2e.typed import typed
from real.cluster import MERGE
from real.processes import Child
from windlass.core.model import events
from windlass.core.record import layout

INSTALLATION = "/apis/windlass.dev/v1alpha1/installations/windlass"
TOKEN = "planted-token-of-the-ledger"
PLANTED = "planted-0f3a9c-never-in-git"


class Book:
    """The ledger's repository as an auditor reads it."""

    def __init__(self, windlass: Installed) -> None:
        self.windlass = windlass
        self.cluster = windlass.cluster
        self.bare = windlass.git.root / "ledger.git"
        if not self.bare.exists():
            git(windlass.git.root, "init", "-q", "--bare", "-b", "main", str(self.bare))
            git(self.bare, "config", "http.receivepack", "true")
        self.secret("ledger-write", username="windlass", password=TOKEN)
        self.repository(secret="ledger-write")
        self.installation(ledger={"repository": "ledger", "push": "1s"})

    def repository(self, **write: Any) -> None:
        made = {
            "apiVersion": "windlass.dev/v1alpha1",
            "kind": "Repository",
            "metadata": {"name": "ledger", "namespace": NAMESPACE},
            "spec": {"url": f"{self.windlass.git.url}/ledger.git", "interval": "10m", "write": write},
        }
        assert apply(self.cluster, made).code in (200, 201)

    def secret(self, name: str, **data: str) -> None:
        made = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "stringData": data,
        }
        assert apply(self.cluster, made).code in (200, 201)

    def installation(self, **spec: Any) -> None:
        made = {
            "apiVersion": "windlass.dev/v1alpha1",
            "kind": "Installation",
            "metadata": {"name": "windlass"},
            "spec": {"name": self.cluster.name, **spec},
        }
        assert apply(self.cluster, made).code == 200

    def status(self) -> dict[str, Any]:
        return dict(self.cluster.request("GET", INSTALLATION).json.get("status") or {})

    def recorded(self) -> dict[str, Any]:
        found = [one for one in self.status().get("conditions", []) if one["type"] == "Recorded"]
        return found[0] if found else {}

    def tip_is_kept(self) -> bool:
        tip = self.status().get("ledger", {})
        return bool(tip.get("commit")) and self.refs().get(tip["ref"]) == tip["commit"]

    def refs(self) -> dict[str, str]:
        lines = git(self.bare, "for-each-ref", "--format=%(refname) %(objectname)").stdout.splitlines()
        return dict(line.split() for line in lines)

    def events(self, subject: str = "") -> list[events.Event]:
        found: list[events.Event] = []
        for ref in sorted(self.refs()):
            for commit in git(self.bare, "rev-list", "--reverse", ref).stdout.split():
                told = layout.trailers(git(self.bare, "show", "-s", "--format=%B", commit).stdout)
                if told is not None:
                    content = git(self.bare, "show", f"{commit}:{told.file}").stdout
                    found += layout.events_of(content.encode())
        return [one for one in found if not subject or one.subject == subject]

    def raw(self) -> bytes:
        """Every object of the repository, unpacked."""
        command = ["git", "cat-file", "--batch-all-objects", "--batch"]
        return subprocess.run(command, cwd=self.bare, capture_output=True, check=True).stdout


@pytest.fixture
def book(windlass: Installed) -> Iterator[Book]:
    made = Book(windlass)
    windlass.cluster.eventually(lambda: made.recorded().get("status") == "True", "the ledger is written", 20)
    yield made
    made.installation()


def kinds(found: list[events.Event]) -> list[str]:
    return [one.kind for one in found]


def recorded_are(book: Book, subject: str, wanted: list[str]) -> bool:
    return [kind for kind in kinds(book.events(subject)) if kind in wanted] == wanted


def test_without_a_ledger_the_installation_says_so(team: Team) -> None:
    def told() -> bool:
        conditions = (team.cluster.request("GET", INSTALLATION).json.get("status") or {}).get("conditions", [])
        return any(
            one["type"] == "Recorded" and one["status"] == "False" and one["reason"] == "NoLedger" for one in conditions
        )

    team.until(told, "Recorded is False")


def test_what_happens_to_an_application_is_in_git(book: Book, team: Team) -> None:
    team.repository()
    team.application()
    first = team.commit({"shop/web.yaml": deployment("web"), "shop/a.yaml": config_map("a", level="info")}, "Shop")
    team.until_synced(first)
    second = team.commit({"shop/web.yaml": deployment("web", replicas=3)}, "More of it")
    team.until_synced(second)
    team.patch("apps/v1/deployments/web", {"spec": {"replicas": 7}}, manager="somebody")
    subject = f"{team.namespace}/shop"
    team.until(lambda: "drift-closed" in kinds(book.events(subject)), "the drift is recorded", 20)
    found = book.events(subject)
    assert len({one.id for one in found}) == len(found), "nothing is twice"
    planned, applied = (next(one.data for one in found if one.kind == kind) for kind in ("planned", "applied"))
    assert isinstance(planned, events.Planned)
    assert {(one.action, one.object) for one in planned.changes} == {
        ("create", f"Deployment.apps/{team.namespace}/web"),
        ("create", f"ConfigMap/{team.namespace}/a"),
    }
    assert isinstance(applied, events.Applied)
    assert (applied.commit, applied.result, applied.actor) == (first, "applied", "ada")
    assert applied.counts == {"created": 2}
    assert applied.commits[0].subject == "Shop"
    assert applied.commits[0].email == "ada@acme.example"
    later = [one.data for one in found if isinstance(one.data, events.Applied)][-1]
    assert isinstance(later, events.Applied)
    assert (later.commit, later.previous, later.counts) == (second, first, {"configured": 1, "unchanged": 1})
    health = [one.data.health for one in found if isinstance(one.data, events.HealthChanged)]
    assert "Healthy" in health
    (opened,) = [one.data for one in found if isinstance(one.data, events.DriftOpened)]
    assert (opened.field, opened.desired, opened.live, opened.manager) == ("spec.replicas", 3, 7, "somebody")
    (closed,) = [one.data for one in found if isinstance(one.data, events.DriftClosed)]
    assert (closed.field, closed.how) == ("spec.replicas", "put back")
    fetched = [one.data for one in book.events(f"Repository/{team.namespace}/config")]
    assert [one.commit.id for one in fetched if isinstance(one, events.Fetched)] == [first, second]
    team.until(book.tip_is_kept, "the tip is in the status of the Installation")


def test_no_secret_and_no_free_text_gets_into_git(book: Book, team: Team) -> None:
    team.repository()
    team.application()
    files = {
        "shop/keys.yaml": secret("keys", password=PLANTED),
        "shop/a.yaml": config_map("a", note=f"{PLANTED}-note"),
        "shop/web.yaml": deployment("web"),
    }
    team.until_synced(team.commit(files, "Start"))
    team.commit({**files, "shop/keys.yaml": secret("keys", password=f"{PLANTED}-2")}, "Another password")
    team.until_synced(team.head())
    team.patch("v1/secrets/keys", {"data": {"password": "cGxhbnRlZC0wZjNhOWM="}}, manager="thief")
    team.patch("v1/configmaps/a", {"data": {"note": f"{PLANTED}-changed"}}, manager="thief")
    env = [{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "T", "value": PLANTED}}]
    team.patch("apps/v1/deployments/web", env, form="application/json-patch+json", manager="thief")
    broken = config_map("a", note="fine").replace("note: fine", f"note: {{{PLANTED}: 1}}")
    team.commit({"shop/a.yaml": broken}, "Broken")
    subject = f"{team.namespace}/shop"

    def all_told() -> bool:
        found = book.events(subject)
        drifted = {one.data.object.split("/")[0] for one in found if isinstance(one.data, events.DriftOpened)}
        return drifted >= {"Secret", "ConfigMap", "Deployment.apps"} and "refused" in kinds(found)

    team.until(all_told, "the hands on all three and the bad commit are recorded", 30)
    raw = book.raw()
    assert b"thief" in raw
    for hidden in (PLANTED, "cGxhbnRlZC0wZjNhOWM", "planted-0f3a9c", TOKEN):
        assert hidden.encode() not in raw
    assert PLANTED not in json.dumps(book.status())


def test_a_failed_apply_and_a_request_are_recorded_once(book: Book, team: Team) -> None:
    team.repository()
    team.application()
    bad = deployment("web").replace("replicas: 2", "replicas: -2")
    team.commit({"shop/web.yaml": bad, "shop/a.yaml": config_map("a", level="info")}, "Bad")
    subject = f"{team.namespace}/shop"

    def failed() -> list[events.Applied]:
        found = [one.data for one in book.events(subject)]
        return [one for one in found if isinstance(one, events.Applied) and one.result == "partly applied"]

    (told,) = team.until(failed, "the failure is recorded")
    assert {one.object: one.result for one in told.outcomes} == {
        f"Deployment.apps/{team.namespace}/web": "refused",
        f"ConfigMap/{team.namespace}/a": "created",
    }
    for number in range(2):
        annotation = {"windlass.dev/sync-requested": f"2026-11-28T12:00:0{number}Z ada"}
        team.patch("windlass.dev/v1alpha1/applications/shop", {"metadata": {"annotations": annotation}})
        told_so_far = ["requested"] * (number + 1)
        team.until(partial(recorded_are, book, subject, told_so_far), "the request is recorded")
    assert all(one.actor == "ada" for one in book.events(subject) if one.kind == "requested")
    later = failed()
    assert len(later) <= 2, "tried again with the same result is no news"
    team.until_synced(team.commit({"shop/web.yaml": deployment("web")}, "Mended"))


def test_a_restart_tells_nothing_twice_and_a_kill_leaves_a_plan_with_an_outcome(book: Book, team: Team) -> None:
    team.repository()
    team.application(drift={"action": "alert"})
    team.until_synced(team.commit({"shop/web.yaml": deployment("web")}))
    team.patch("apps/v1/deployments/web", {"spec": {"replicas": 7}}, manager="somebody")
    subject = f"{team.namespace}/shop"
    team.until(lambda: "drift" in kinds(book.events(subject)), "the drift is recorded")
    team.windlass.stop()
    team.windlass.start()
    team.commit({"shop/b.yaml": config_map("b", level="info")}, "Another")
    team.until_synced(team.head())
    team.until(
        lambda: (
            team.head() in [one.data.commit for one in book.events(subject) if isinstance(one.data, events.Applied)]
        ),
        "the next one",
    )
    after = kinds(book.events(subject))
    assert after.count("drift") == 1
    assert after.count("drift-closed") == 0, "a commit that says nothing new of it is no reason to put it back"
    ask = {"metadata": {"annotations": {"windlass.dev/sync-requested": "2026-11-22T10:00:00Z ada"}}}
    team.patch("windlass.dev/v1alpha1/applications/shop", ask)
    team.until(lambda: kinds(book.events(subject)).count("drift-closed") == 1, "a person's sync puts it back")
    team.windlass.kill()
    team.windlass.start()
    team.until(lambda: book.recorded().get("status") == "True", "it goes on")
    assert len({one.id for one in book.events()}) == len(book.events())


def test_while_the_repository_is_away_it_says_so_and_goes_on_later(book: Book, team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="info")}))
    book.bare.rename(book.bare.with_suffix(".away"))
    try:
        team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="debug")}))
        team.until(lambda: book.recorded().get("status") == "False", "Recorded is False")
        assert "events wait on disk" in book.recorded()["message"]
    finally:
        book.bare.with_suffix(".away").rename(book.bare)
    team.until(lambda: book.recorded().get("status") == "True", "it goes on by itself", 30)
    applied = [one for one in book.events(f"{team.namespace}/shop") if one.kind == "applied"]
    assert len(applied) == 2


def windlass(team: Team, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a person types, with a cache of their own."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "TZ": "UTC"}
    return typed([*arguments, "--kubeconfig", str(team.cluster.kubeconfig)], environment, Path.cwd())


def test_a_person_reads_the_log_and_proves_it(book: Book, team: Team, tmp_path: Path) -> None:
    team.repository()
    team.application()
    first = team.commit({"shop/web.yaml": deployment("web"), "shop/a.yaml": config_map("a", level="info")}, "Shop")
    team.until_synced(first)
    second = team.commit({"shop/a.yaml": config_map("a", level="debug"), "other": "x"}, "More words")
    team.until_synced(second)
    name = f"{team.namespace}/shop"

    def both() -> bool:
        found = [one.data for one in book.events(name)]
        return second in [one.commit for one in found if isinstance(one, events.Applied)]

    team.until(both, "both deployments are pushed")
    told = windlass(team, tmp_path, "log", name)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert any(f'applied      {second[:7]}   "More words" (ada)   1 configured, 1 unchanged' in line for line in lines)
    assert any(f'applied      {first[:7]}   "Shop" (ada)   2 created' in line for line in lines)
    assert [line for line in lines if " planned " in line] == []
    ran = windlass(team, tmp_path, "log", name, "--at", "1m", "-o", "json")
    assert ran.returncode == 0, ran.stderr
    now = json.loads(windlass(team, tmp_path, "log", name, "--at", "2099-01-01", "-o", "json").stdout)
    assert [one["data"]["commit"] for one in now] == [second]
    people = json.loads(windlass(team, tmp_path, "log", name, "--commits", "-o", "json").stdout)
    assert [(one["id"], one["author"]) for one in people] == [(second, "ada"), (first, "ada")]
    changed = windlass(team, tmp_path, "log", name, "--changes", f"{first[:7]}..{second[:7]}")
    assert changed.returncode == 2, changed.stderr
    assert "More words" in changed.stdout
    assert "data.level   info -> debug" in changed.stdout
    numbers = json.loads(windlass(team, tmp_path, "metrics", name, "-o", "json").stdout)
    assert numbers["applications"][name]["deployments"] == 2
    assert numbers["all"]["leadTime"] >= 0
    rows = windlass(team, tmp_path, "export", "audit", "--since", "1h", "-n", team.namespace).stdout.splitlines()
    assert rows[0].startswith("time,what,application,outcome,commit")
    assert any(second in row and "ada@acme.example" in row for row in rows)
    proof = windlass(team, tmp_path, "ledger", "verify", "-o", "json")
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert all(one["whole"] for one in json.loads(proof.stdout))


def test_a_ledger_that_was_moved_back_is_found_by_what_the_cluster_remembers_and_comes_back(
    book: Book, team: Team, tmp_path: Path
) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="info")}))
    subject = f"{team.namespace}/shop"
    team.until(lambda: "applied" in kinds(book.events(subject)), "it is pushed")
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="debug")}))
    team.until(lambda: kinds(book.events(subject)).count("applied") == 2, "and the next one in a later push")
    team.until(book.tip_is_kept, "the tip is in the status of the Installation")
    team.windlass.stop()  # or it would bring it back before anybody looks
    ref, tip = book.status()["ledger"]["ref"], book.status()["ledger"]["commit"]
    git(book.bare, "update-ref", ref, f"{tip}~1")
    proof = windlass(team, tmp_path, "ledger", "verify")
    assert proof.returncode == 2
    assert "its tip by what the Installation remembers, is not in the history any more" in proof.stdout
    team.windlass.start()
    team.commit({"shop/a.yaml": config_map("a", level="warning")})
    team.until(lambda: tip in git(book.bare, "rev-list", ref).stdout.split(), "the next push brings it back", 30)
    assert windlass(team, tmp_path, "ledger", "verify").returncode == 0


def test_kubernetes_own_warnings_are_recorded_and_folded(book: Book, team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/web.yaml": deployment("web")}))
    subject = f"{team.namespace}/shop"
    for name, kind, about in (
        ("one", "Deployment", "web"),
        ("two", "Pod", "web-7d9c8b6f5d-x2x9q"),
        ("three", "Pod", "b-0"),
    ):
        content = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": team.namespace},
            "involvedObject": {
                "apiVersion": "apps/v1" if kind == "Deployment" else "v1",
                "kind": kind,
                "namespace": team.namespace,
                "name": about,
            },
            "type": "Warning",
            "reason": "Unhealthy" if name == "one" else "BackOff",
            "message": f"Readiness probe failed: {PLANTED}"
            if name == "one"
            else "Back-off restarting failed container",
            "count": 1,
            "source": {"component": "tests"},
            "firstTimestamp": "2026-11-28T12:00:00Z",
            "lastTimestamp": "2026-11-28T12:00:00Z",
        }
        answer = team.cluster.request("POST", f"/api/v1/namespaces/{team.namespace}/events", content)
        assert answer.code == 201, answer.body
    for count in range(2, 8):
        team.patch("v1/events/two", {"count": count}, form=MERGE)

    def told() -> list[events.Warned]:
        return [one.data for one in book.events(subject) if isinstance(one.data, events.Warned)]

    team.until(lambda: 5 in [one.count for one in told()], "the warnings are recorded")
    mine = [one for one in told() if one.about in ("", "Pod/web-7d9c8b6f5d-x2x9q")]
    assert {one.object for one in mine} == {f"Deployment.apps/{team.namespace}/web"}
    assert [one.message for one in mine if not one.about] == ["Readiness probe failed"]
    assert {one.count for one in mine if one.about} <= {1, 2, 5}


def test_deployments_are_counted_for_prometheus(book: Book, team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="info")}))
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="debug")}))
    labels = f'{{name="shop",namespace="{team.namespace}"}}'
    team.until(lambda: team.windlass.metrics().get(f"windlass_deployments_total{labels}") == 2.0, "two deployments")
    found = team.windlass.metrics()
    assert found[f"windlass_lead_seconds_count{labels}"] == 2.0
    assert found[f"windlass_lead_seconds_sum{labels}"] < 120
    assert found["windlass_ledger_recorded"] == 1.0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("prometheus-alertmanager") is None, reason="prometheus-alertmanager is not installed")
def test_alerts_of_a_real_alertmanager_are_recorded(book: Book, team: Team, tmp_path: Path) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/web.yaml": deployment("web")}))
    book.secret("alarms", token="token-of-alertmanager")
    book.installation(ledger={"repository": "ledger", "push": "1s", "alerts": {"secret": "alarms"}})
    port = free_port()
    url = f"http://127.0.0.1:{team.windlass.port}/hooks/alertmanager"
    config = {
        "route": {"receiver": "windlass", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s"},
        "receivers": [
            {
                "name": "windlass",
                "webhook_configs": [
                    {"url": url, "http_config": {"authorization": {"credentials": "token-of-alertmanager"}}}
                ],
            }
        ],
    }
    (tmp_path / "alertmanager.yml").write_text(json.dumps(config))
    command = [
        "prometheus-alertmanager",
        f"--config.file={tmp_path}/alertmanager.yml",
        f"--storage.path={tmp_path}/data",
    ]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    child = Child("alertmanager", command, tmp_path / "alertmanager.log")
    subject = f"{team.namespace}/shop"
    try:
        labels = {"alertname": "ShopDown", "namespace": team.namespace, "deployment": "web"}
        annotations = {"summary": "shop is down", "description": PLANTED}

        def fire(**more: str) -> bool:
            body = json.dumps([{"labels": labels, "annotations": annotations, **more}]).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/api/v2/alerts", data=body, headers={"Content-Type": "application/json"}
            )
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        team.until(fire, "alertmanager takes the alert")

        def told() -> list[str]:
            return [one.data.status for one in book.events(subject) if isinstance(one.data, events.Alerted)]

        team.until(lambda: told() == ["firing"], "the alert is recorded", 30)
        time.sleep(3)  # it repeats every second
        assert fire(endsAt=datetime.now(UTC).isoformat())
        team.until(lambda: "resolved" in told(), "its end is recorded", 30)
        assert told() == ["firing", "resolved"], "repeats are told once"
        assert PLANTED.encode() not in book.raw()
    finally:
        child.ask_to_end()
        child.wait(10)
