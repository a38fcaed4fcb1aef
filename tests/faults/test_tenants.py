"""What a tenant can't learn and can't leave behind: others' objects, and mirrors of repositories that are gone."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path

from e2e.team import Team, config_map
from faults.ground import Ground


def inside(name: str, namespace: str) -> str:
    return config_map(name, at="theirs").replace(f"name: {name}", f"name: {name}\n  namespace: {namespace}")


def test_a_tenant_is_told_the_same_of_an_object_that_is_there_and_of_one_that_is_not(
    ground: Ground, team: Team, tmp_path: Path
) -> None:
    other = f"t-{secrets.token_hex(4)}"
    assert ground.cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": other}}).code == 201
    (tmp_path / "other").mkdir()
    owner = Team(ground, other, tmp_path / "other")
    owner.repository()
    owner.application()
    owner.until_synced(owner.commit({"shop/owned.yaml": config_map("owned", level="info")}))
    owner.put("v1", "ConfigMap", "free", data={"mine": "1"})
    helm = {"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}}
    owner.put("v1", "ConfigMap", "helm", data={"mine": "1"})
    owner.patch("v1/configmaps/helm", helm)
    names = ("owned", "free", "helm", "absent")
    team.repository()
    team.application()
    team.commit({f"shop/{name}.yaml": inside(name, other) for name in names})
    team.until(lambda: len(team.status().get("outcomes", [])) == 4, "all four are told")

    def words() -> dict[str, tuple[str, str, str]]:
        told = {one["object"].rpartition("/")[2]: one for one in team.status()["outcomes"]}
        return {
            name: (one["result"], one["message"].replace(name, "NAME"), one.get("mend", ""))
            for name, one in told.items()
        }

    found = words()
    assert {found[name] for name in names} == {found["absent"]}, json.dumps(found, indent=1)
    assert found["absent"][0] == "refused"
    told = [line for line in ground.log.read_text().splitlines() if f"{team.namespace}/shop" in line]
    assert not [line for line in told if re.search(f"belongs to|{other}/shop|exists", line)]
    ground.cluster.request("DELETE", f"/api/v1/namespaces/{other}")


def mirrors(ground: Ground) -> set[str]:
    return {path.name for path in (ground.folder / "data" / "git").iterdir()}


def test_the_mirror_of_a_repository_that_is_gone_is_removed(ground: Ground, team: Team) -> None:
    before = mirrors(ground) if (ground.folder / "data" / "git").exists() else set()
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="info")}))
    mine = mirrors(ground) - before
    assert len(mine) == 1
    path = f"/apis/windlass.dev/v1alpha1/namespaces/{team.namespace}/repositories/config"
    assert ground.cluster.request("DELETE", path).code == 200
    team.until(lambda: not mine & mirrors(ground), "the mirror is removed")
    assert team.get("v1/configmaps/a") is not None, "what runs keeps running"


def test_the_mirror_of_a_repository_that_went_while_nobody_looked_is_removed(ground: Ground, team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="info")}))
    old = mirrors(ground)
    ground.kill()
    path = f"/apis/windlass.dev/v1alpha1/namespaces/{team.namespace}/repositories/config"
    assert ground.cluster.request("DELETE", path).code == 200
    ground.restart()
    team.until(lambda: len(mirrors(ground)) < len(old), "the mirror is removed")
