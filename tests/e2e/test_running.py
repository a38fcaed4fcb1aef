"""The controller over time, on both clusters: rollouts watched to their end, reasons, kill and restart, real shops."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from e2e.team import Installed, Team, config_map, deployment
from real.cluster import Cluster

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


def test_a_rollout_is_watched_to_its_end(team: Team) -> None:
    team.repository()
    team.application()
    team.until_synced(team.commit({"shop/web.yaml": deployment("web")}))
    commit = team.commit({"shop/web.yaml": deployment("web", image="registry.example/slow:2")})
    team.until(lambda: team.status().get("health") == "Progressing", "it is on its way")
    team.until_synced(commit, seconds=60)
    found = team.get("apps/v1/deployments/web")
    assert found is not None
    assert found["status"]["updatedReplicas"] == found["status"]["readyReplicas"] == 2


@pytest.mark.parametrize(
    ("image", "words"),
    [("registry.example/shop:does-not-exist", "Image"), ("registry.example/crash:1", "CrashLoopBackOff")],
)
def test_what_can_not_run_is_told_with_its_reason(team: Team, image: str, words: str) -> None:
    team.repository()
    team.application()
    team.commit({"shop/web.yaml": deployment("web", image=image)})
    lines = team.until(
        lambda: [line for line in team.status().get("messages", []) if words in line], "the reason is told", seconds=40
    )
    assert any("Pod/web-" in line for line in lines) or words in lines[0]


@pytest.mark.slow
def test_an_image_that_can_not_be_pulled_is_degraded_long_before_a_progress_deadline(team: Team) -> None:
    team.repository()
    team.application()
    team.commit({"shop/web.yaml": deployment("web", image="registry.example/shop:does-not-exist")})
    team.until(lambda: team.status().get("health") == "Degraded", "it is Degraded", seconds=70)
    assert team.ready()["reason"] == "Unhealthy"
    assert "Image" in team.ready()["message"]


def test_an_application_that_is_never_healthy_slows_no_other(team: Team) -> None:
    team.repository()
    team.application("sick", "sick")
    team.application("well", "well")
    commit = team.commit(
        {"sick/web.yaml": deployment("sick", image="registry.example/unready:1"), "well/a.yaml": config_map("a")}
    )
    team.until_synced(commit, "well")
    team.until_synced(team.commit({"well/a.yaml": config_map("a", x="2")}), "well", seconds=10)


class TestRestart:
    """With a controller of its own, which may be killed."""

    @pytest.fixture
    def own(self, cluster: Cluster, windlass: Installed, tmp_path: Path) -> Installed:
        """Stops the shared controller's claim by using the same one: only one leads."""
        return windlass

    @pytest.fixture
    def crew(self, own: Installed, namespace: str, tmp_path: Path) -> Team:
        return Team(own, namespace, tmp_path)

    @pytest.mark.slow  # the lease of the one that was killed has to run out
    def test_killed_and_started_again_it_finishes_and_touches_nothing_that_was_right(
        self, own: Installed, crew: Team
    ) -> None:
        crew.repository()
        crew.application()
        crew.until_synced(crew.commit({"shop/web.yaml": deployment("web"), "shop/a.yaml": config_map("a", x="1")}))
        before = crew.get("apps/v1/deployments/web")
        own.kill(free=False)
        crew.patch("v1/configmaps/a", {"data": {"x": "changed while nobody looked"}})
        from e2e.team import git

        (crew.work / "shop" / "b.yaml").write_text(config_map("b"))
        git(crew.work, "add", "-A")
        git(crew.work, "commit", "-q", "-m", "While it was dead")
        git(crew.work, "push", "-q", "origin", "HEAD:main")
        shutil.rmtree(own.folder / "data", ignore_errors=True)
        own.start()
        crew.until_synced(crew.head(), seconds=40)
        assert crew.get("v1/configmaps/b") is not None
        crew.until(lambda: (crew.get("v1/configmaps/a") or {}).get("data") == {"x": "1"}, "what drifted is put back")
        after = crew.get("apps/v1/deployments/web")
        assert before is not None
        assert after is not None
        assert before["metadata"]["generation"] == after["metadata"]["generation"]
        ours = [one for one in after["metadata"]["managedFields"] if one["manager"].startswith("windlass-")]
        was = [one for one in before["metadata"]["managedFields"] if one["manager"].startswith("windlass-")]
        assert ours == was, "what was right was not applied again"


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus of real configuration is not beside the repository")
def test_online_boutique_becomes_healthy(team: Team) -> None:
    folder = CORPUS / "online-boutique" / "kubernetes-manifests"
    files: dict[str, str | None] = {
        f"kubernetes-manifests/{path.name}": path.read_text() for path in sorted(folder.glob("*.yaml"))
    }
    team.repository()
    team.application("boutique", "kubernetes-manifests")
    team.until_synced(team.commit(files), "boutique", seconds=90)
    items = team.cluster.request("GET", f"/apis/apps/v1/namespaces/{team.namespace}/deployments").json["items"]
    assert len(items) >= 11
    assert all(one["status"].get("availableReplicas", 0) >= 1 for one in items)
