"""Faults 1: the controller is killed at every one of its outside effects, and the next start finishes the work.

For each scenario it is first run undisturbed, which says what has to be done. Then, for every N, the controller is
ended (SIGKILL) in front of its Nth write to the API server, or behind it (carried out, its answer lost); the same for
each `git` that it starts. After each kill nothing is orphaned, nothing of others was touched and nothing is gone that
Git has; after the next start live equals Git, and over both lives each object was changed exactly as often as without
the kill: nothing is applied twice, nothing is lost.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from e2e.team import Team, config_map, deployment, secret
from faults import oracle
from faults.ground import Ground
from faults.proxy import After, Kill, Request, Verdict

Files = Mapping[str, str | None]


def account(name: str) -> str:
    return f"apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}}}\n"


def late(text: str) -> str:
    return text.replace("metadata:\n", "metadata:\n  annotations: {windlass.dev/wave: '1'}\n", 1)


def by_hand(team: Team) -> None:
    """Somebody changes one object, takes a field out of another, and deletes a third."""
    team.patch("v1/configmaps/a", {"data": {"level": "hand"}})
    team.patch("v1/configmaps/b", {"data": {"level": None}})
    path = f"/api/v1/namespaces/{team.namespace}/configmaps/c"
    assert team.cluster.request("DELETE", path).code == 200


def others_have(team: Team) -> None:
    """Objects of `kubectl apply`, of a Helm release and of Argo CD, each with a field that Git does not have."""
    path = f"/api/v1/namespaces/{team.namespace}/configmaps"
    helm = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": team.namespace}
    argo = {"argocd.argoproj.io/tracking-id": f"shop:/ConfigMap:{team.namespace}/c"}
    for name, manager, labels, notes in (
        ("a", "kubectl-client-side-apply", {}, {}),
        ("b", "helm", {"app.kubernetes.io/managed-by": "Helm"}, helm),
        ("c", "argocd-controller", {}, argo),
    ):
        metadata = {"name": name, "namespace": team.namespace, "labels": labels, "annotations": notes}
        content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"old": "1"}}
        assert team.cluster.request("POST", path, content, fieldManager=manager).code == 201


@dataclass
class Scenario:
    """What there is (`before` in Git, `prepare` by others), and what sets it off (`after` in Git, `act` by hand)."""

    after: Files = field(default_factory=dict)
    before: Files = field(default_factory=dict)
    prepare: Callable[[Team], None] = lambda team: None
    act: Callable[[Team], None] = lambda team: None
    spec: Mapping[str, Any] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    moves: bool = False


MAPS = {f"shop/{name}.yaml": config_map(name, level="info") for name in "abc"}
SCENARIOS = {
    "the first sync": Scenario(
        after={
            "shop/a.yaml": config_map("a", level="info"),
            "shop/s.yaml": secret("s", key="value"),
            "shop/d.yaml": account("d"),
            "shop/b.yaml": late(config_map("b")),
        }
    ),
    "a change": Scenario(
        before={
            "shop/a.yaml": config_map("a", level="info", old="1"),
            "shop/s.yaml": secret("s", key="value"),
            "shop/web.yaml": deployment("web", replicas=3),
        },
        after={
            "shop/a.yaml": config_map("a", level="debug"),
            "shop/s.yaml": secret("s", key="other"),
            "shop/web.yaml": deployment("web", replicas=None),
            "shop/b.yaml": late(config_map("b")),
        },
        kept=("ConfigMap/a", "Secret/s", "Deployment/web"),
    ),
    "a prune": Scenario(
        before={**MAPS, "shop/d.yaml": account("d")},
        after={"shop/b.yaml": None, "shop/c.yaml": None, "shop/d.yaml": None},
        kept=("ConfigMap/a",),
    ),
    "a take-over": Scenario(
        prepare=others_have,
        after=MAPS,
        spec={"sync": {"adopt": "all"}},
        kept=tuple(f"ConfigMap/{name}" for name in "abc"),
    ),
    "drift": Scenario(before=MAPS, act=by_hand, kept=("ConfigMap/a", "ConfigMap/b")),
    "a move to another Application": Scenario(
        before={**MAPS, "store/d.yaml": config_map("d")},
        after={"shop/a.yaml": None, "store/a.yaml": config_map("a", level="info")},
        kept=tuple(f"ConfigMap/{name}" for name in "abcd"),
        moves=True,
    ),
}


class Nth:
    """Ends the controller at its Nth write; `when` says on which side of it."""

    def __init__(self, number: int, when: str) -> None:
        self.number, self.when = number, when
        self.count = 0
        self.at = ""

    def __call__(self, request: Request) -> Verdict:
        if not request.writes:
            return None
        self.count += 1
        if self.count != self.number:
            return None
        self.at = str(request)
        return Kill() if self.when == "before" else After(Kill())


class Run:
    """One scenario in a namespace of its own."""

    def __init__(self, ground: Ground, scenario: Scenario, folder: Path) -> None:
        self.ground, self.scenario = ground, scenario
        namespace = f"t-{secrets.token_hex(4)}"
        made = ground.cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        assert made.code == 201
        folder.mkdir()
        self.team = Team(ground, namespace, folder)
        scenario.prepare(self.team)
        self.team.put("v1", "ConfigMap", "precious", data={"keep": "me"})
        if scenario.before:
            self.team.repository()
            self._applications()
            self._synced(self.team.commit(scenario.before))
        self.before = oracle.live(self.team)
        ground.proxy.settle()
        self.begun = len(ground.proxy.seen)

    def _applications(self) -> None:
        self.team.application(**self.scenario.spec)
        if self.scenario.moves:
            self.team.application("store", "store")

    def set_off(self) -> None:
        scenario = self.scenario
        if not scenario.before:
            self.team.repository()
            self._applications()
        scenario.act(self.team)
        if scenario.after:
            self.team.commit(scenario.after)

    def _synced(self, commit: str) -> None:
        self.team.until_synced(commit)
        if self.scenario.moves:
            self.team.until_synced(commit, "store")

    def finished(self) -> bool:
        names = ["shop", "store"] if self.scenario.moves else ["shop"]
        for name in names:
            status = self.team.status(name)
            if (status.get("commit"), status.get("sync"), status.get("health")) != (
                self.team.head(),
                "Synced",
                "Healthy",
            ):
                return False
        if self.scenario.act is by_hand:
            maps = [self.team.get(f"v1/configmaps/{name}") for name in "abc"]
            return all(one is not None and one.get("data") == {"level": "info"} for one in maps)
        return True

    def finish(self) -> None:
        self.team.until(self.finished, "the next start finishes", 30)
        self.ground.proxy.settle()
        oracle.equals_git(self.team)
        if self.scenario.moves:
            oracle.equals_git(self.team, "store", "store")

    def check(self) -> None:
        oracle.unharmed(self.team, self.before, others=["ConfigMap/precious"], wanted=self.scenario.kept)

    def effects(self) -> Mapping[str, int]:
        return oracle.effects(self.ground.proxy.seen[self.begun :], self.team.namespace)

    def away(self) -> None:
        self.ground.cluster.request("DELETE", f"/api/v1/namespaces/{self.team.namespace}")


def undisturbed(ground: Ground, scenario: Scenario, folder: Path) -> tuple[Mapping[str, int], int]:
    """What has to be done, and how many writes that makes with all that is told about it."""
    run = Run(ground, scenario, folder)
    run.set_off()
    run.finish()
    run.check()
    counted = run.effects()
    writes = len([one for one in ground.proxy.writes(run.begun) if one.code])
    run.away()
    return counted, writes


def killed(ground: Ground, scenario: Scenario, folder: Path, rule: Nth, expected: Mapping[str, int]) -> bool:
    """One kill, and what must hold around it. False where the scenario ended before it came to that."""
    run = Run(ground, scenario, folder)
    ground.proxy.rule = rule
    run.set_off()
    ground.cluster.eventually(lambda: ground.dead() or run.finished(), "it is killed, or done", 30)
    ground.proxy.rule = None
    if rule.at:  # the others of its stage may be done before it dies
        ground.cluster.eventually(ground.dead, "it is killed")
        ground.proxy.settle()
        run.check()
        ground.restart()
    run.finish()
    run.check()
    assert run.effects() == expected, f"killed {rule.when} {rule.number}: {rule.at}"
    run.away()
    return bool(rule.at)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_at_any_write_leaves_nothing_half_and_nothing_twice(
    ground: Ground, tmp_path: Path, name: str, when: str
) -> None:
    scenario = SCENARIOS[name]
    expected, writes = undisturbed(ground, scenario, tmp_path / "0")
    assert expected, "there is something to do"
    # Each point costs the real control plane several seconds of churn: there a sample of them is tried.
    step = 1 if ground.cluster.name == "devcluster" else 5
    for number in range(step, writes + 3, step):
        if not killed(ground, scenario, tmp_path / str(number), Nth(number, when), expected):
            # How many writes tell of it (statuses, Events) differs by what is folded into one.
            assert number > sum(expected.values()), f"it was to be killed at {number} of {writes} writes"
            return


def test_a_kill_in_the_middle_of_a_take_over_leaves_nothing_half_and_nothing_twice(
    ground: Ground, tmp_path: Path
) -> None:
    scenario = SCENARIOS["a take-over"]
    expected, _ = undisturbed(ground, scenario, tmp_path / "0")
    for number, when in ((3, "before"), (4, "after")):
        assert killed(ground, scenario, tmp_path / str(number), Nth(number, when), expected)
