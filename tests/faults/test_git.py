"""Faults 5: a Git server that is away, slow, wrong or rewritten.

The last good state is kept and told, nothing is pruned, other repositories go on, and when it is well again nobody has
to do anything. Hooks cost what they are worth.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.team import HOOK, Team, config_map, git
from faults import oracle
from faults.githost import FaultyGit
from faults.ground import Ground

pytestmark = pytest.mark.parametrize("cluster", ["devcluster"], indirect=True)
MAPS = {f"shop/{name}.yaml": config_map(name, level="info") for name in "abc"}


@pytest.fixture
def front(ground: Ground) -> Iterator[FaultyGit]:
    with FaultyGit(ground.git.url) as front:
        yield front


def start(team: Team, front: FaultyGit | None = None) -> None:
    url = f"{front.url if front else team.windlass.git.url}/{team.namespace}.git"
    team.repository(url=url, interval="1s")
    team.application()
    team.until_synced(team.commit(MAPS))


def ready(team: Team) -> dict[str, Any]:
    found = team.get("windlass.dev/v1alpha1/repositories/config") or {}
    return next((one for one in found.get("status", {}).get("conditions", []) if one["type"] == "Ready"), {})


def neighbour(ground: Ground, tmp_path: Path) -> Team:
    """Another team, whose repository is well."""
    namespace = f"t-{secrets.token_hex(4)}"
    assert ground.cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}).code == 201
    (tmp_path / "neighbour").mkdir()
    team = Team(ground, namespace, tmp_path / "neighbour")
    start(team)
    return team


@pytest.mark.parametrize(
    "fault", [pytest.param(one, marks=[] if one in ("away", "half") else pytest.mark.slow) for one in FaultyGit.FAULTS]
)
def test_a_server_that_fails_costs_its_own_repository_only_and_for_as_long_as_it_fails(
    ground: Ground, team: Team, front: FaultyGit, tmp_path: Path, fault: str
) -> None:
    start(team, front)
    before = oracle.live(team)
    front.fault = fault
    commit = team.commit({"shop/a.yaml": config_map("a", level="debug"), "shop/c.yaml": None})
    team.until(lambda: ready(team).get("status") == "False", "it is told", 30)
    if fault in ("away", "half"):
        other = neighbour(ground, tmp_path)
        other.until_synced(other.commit({"shop/a.yaml": config_map("a", level="debug")}), seconds=10)
        ground.cluster.request("DELETE", f"/api/v1/namespaces/{other.namespace}")
    oracle.unharmed(team, before, others=[f"ConfigMap/{name}" for name in "abc"])
    assert team.status()["sync"] == "Synced", "what is known of Git is applied"
    front.fault = ""
    team.until_synced(commit, seconds=40)
    oracle.equals_git(team)


@pytest.mark.slow
def test_a_server_that_fails_is_not_asked_in_a_hot_loop(ground: Ground, team: Team, front: FaultyGit) -> None:
    start(team, front)
    front.fault = "error"
    team.until(lambda: ready(team).get("status") == "False", "it is told")
    before = front.asked
    time.sleep(5)
    assert front.asked - before <= 8


def test_a_restart_while_the_server_is_away_keeps_what_runs_and_reverts_drift(
    ground: Ground, team: Team, front: FaultyGit
) -> None:
    start(team, front)
    before = oracle.live(team)
    front.fault = "away"
    ground.restart()
    team.patch("v1/configmaps/a", {"data": {"level": "hand"}})
    team.until(lambda: (team.get("v1/configmaps/a") or {}).get("data") == {"level": "info"}, "the mirror says what", 30)
    oracle.unharmed(team, before, wanted=[f"ConfigMap/{name}" for name in "abc"])


def test_with_the_mirror_lost_and_the_server_away_nothing_is_known_and_nothing_is_done(
    ground: Ground, team: Team, front: FaultyGit
) -> None:
    start(team, front)
    before = oracle.live(team)
    front.fault = "away"
    begun = len(ground.proxy.seen)
    ground.restart("--data", str(ground.folder / f"data-{team.namespace}"))
    time.sleep(2)
    oracle.unharmed(team, before, others=[f"ConfigMap/{name}" for name in "abc"])
    assert oracle.effects(ground.proxy.seen[begun:], team.namespace) == {}
    front.fault = ""
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="debug")}), seconds=40)


@pytest.mark.parametrize("how", ["rewritten", "emptied", "deleted", "replaced"])
def test_a_branch_that_was_taken_away_takes_nothing_with_it(ground: Ground, team: Team, how: str) -> None:
    start(team)
    before = oracle.live(team)
    head = team.head()
    match how:
        case "rewritten":
            git(team.work, "commit", "-q", "--amend", "--allow-empty", "-m", "Another past")
            git(team.work, "push", "-q", "--force", "origin", "HEAD:main")
        case "emptied":
            git(team.work, "rm", "-q", "-r", ".")
            git(team.work, "commit", "-q", "-m", "Empty it")
            git(team.work, "push", "-q", "origin", "HEAD:main")
        case "deleted":
            git(team.bare, "update-ref", "-d", "refs/heads/main")
        case "replaced":
            git(team.work, "checkout", "-q", "--orphan", "other")
            git(team.work, "rm", "-q", "-r", "-f", ".")
            (team.work / "README").write_text("another project\n")
            git(team.work, "add", "-A")
            git(team.work, "commit", "-q", "-m", "Begin anew")
            git(team.work, "push", "-q", "--force", "origin", "HEAD:main")
    team.hook()
    # What was emptied is a good commit of a repository, and no good one for the Application.
    team.until(lambda: (team.ready() if how == "emptied" else ready(team)).get("status") == "False", "it is told", 30)
    oracle.unharmed(team, before, others=[f"ConfigMap/{name}" for name in "abc"])
    git(team.work, "checkout", "-q", "-f", "-B", "main", head)
    git(team.work, "push", "-q", "--force", "origin", "HEAD:main")
    if how == "emptied":
        team.repository(interval="1s", history={"rewritten": "accept"})
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="debug")}), seconds=30)


# --- kills around git ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_a_fetch_leaves_a_mirror_that_works(ground: Ground, team: Team, when: str) -> None:
    start(team)
    ground.stop_at_git(when, 1)
    commit = team.commit({"shop/a.yaml": config_map("a", level="debug")}, told=False)
    ground.cluster.eventually(ground.dead, "it is killed")
    ground.forget_git()
    ground.restart()
    team.until_synced(commit)
    oracle.equals_git(team)


def test_a_kill_in_the_middle_of_a_pack_leaves_a_mirror_that_works(
    ground: Ground, team: Team, front: FaultyGit
) -> None:
    start(team, front)
    front.fault = "half"
    commit = team.commit({"shop/a.yaml": config_map("a", level="debug", big=secrets.token_hex(20_000))})
    time.sleep(0.3)
    ground.kill()
    front.fault = ""
    ground.restart()
    team.until_synced(commit, seconds=30)


# --- hooks -----------------------------------------------------------------------------------------------------------


def post(ground: Ground, path: str, body: bytes, **headers: str) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{ground.port}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_hooks_that_come_by_the_thousand_cost_a_few_looks(ground: Ground, team: Team, front: FaultyGit) -> None:
    team.repository(url=f"{front.url}/{team.namespace}.git")
    team.application()
    team.until_synced(team.commit(MAPS))
    body = json.dumps({"ref": "refs/heads/main"}).encode()
    signature = "sha256=" + hmac.new(HOOK, body, hashlib.sha256).hexdigest()
    path = f"/hooks/git/{team.namespace}/config"
    before, requests = front.asked, len(ground.proxy.seen)
    begun = time.monotonic()
    for _ in range(400):
        assert post(ground, path, body, **{"X-Hub-Signature-256": signature}) == 202
    replayed = time.monotonic() - begun
    time.sleep(0.5)
    # A look is a request or two where nothing has moved, and three by the program.
    looks = front.asked - before
    assert 1 <= looks <= 3 * (replayed / 0.2 + 3), "at most a look each 0.2 s, however many come"
    before, forged = front.asked, time.monotonic()
    for number in range(400):
        wrong = "sha256=" + hmac.new(b"guess", body, hashlib.sha256).hexdigest()
        name = path if number % 2 else f"/hooks/git/{team.namespace}/no-such"
        assert post(ground, name, body, **{"X-Hub-Signature-256": wrong}) == 403
    seconds = time.monotonic() - forged
    assert front.asked - before <= 3
    asked = [one for one in ground.proxy.seen[requests:] if one.path.endswith("/secrets/hook")]
    assert len(asked) <= seconds + replayed + 3, "forged ones do not make the controller ask the cluster each time"
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="debug")}), seconds=10)


def test_a_malformed_hook_is_refused(ground: Ground, team: Team) -> None:
    start(team)
    malformed: tuple[tuple[bytes, dict[str, str]], ...] = (
        (b"\xff\x00" * 40, {}),
        (b"{" * 100_000, {"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        (b"x" * (1 << 20), {"X-Hub-Signature-256": "sha256=\u00e9"}),
        (b"{}", {"X-Gitlab-Token": "\u00e9" * 1000}),
        (b"{}", {"X-Hub-Signature-256": ""}),
    )
    for body, headers in malformed:
        told = post(ground, f"/hooks/git/{team.namespace}/config", body, **headers)
        assert told in (403, 413), f"{body[:9]!r} {headers}"
        assert post(ground, "/hooks/git/%2e%2e/%00", body, **headers) in (400, 403, 404), f"{body[:9]!r} {headers}"
