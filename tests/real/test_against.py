"""``windlass render --against`` with the real programs: Helm over the chart of the tests, as a person would type it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from real.programs import find

CHARTS = Path(__file__).parents[1] / "charts"
APP = """\
apiVersion: windlass.dev/v1alpha1
kind: Application
metadata: {name: web, namespace: shop}
spec:
  source: {repository: config, path: shop}
  render:
    helm: {values: {replicas: 7}, valuesFiles: [more.yaml], kubeVersion: v1.30.0}
"""

pytestmark = pytest.mark.real


def windlass(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, with the built programs alone on the PATH."""
    programs = find("helm") or find("kustomize")
    assert programs is not None
    environment = {**os.environ, "PATH": f"{programs.parent}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-m", "windlass", *arguments]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, env=environment, timeout=60)


@pytest.mark.skipif(find("helm") is None, reason="Helm is not built (`make real` does)")
def test_helm_makes_the_same_of_a_chart_with_the_applications_own_settings(tmp_path: Path) -> None:
    shutil.copytree(CHARTS / "shop", tmp_path / "shop")
    (tmp_path / "shop/more.yaml").write_text("labels: {team: web}\n")
    (tmp_path / "app.yaml").write_text(APP)
    done = windlass(tmp_path, "render", "shop", "--app", "app.yaml", "--against", "helm")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("helm v4.")
    assert "makes the same" in done.stdout
    rendered = windlass(tmp_path, "render", "shop", "--app", "app.yaml").stdout
    assert "name: web-shop" in rendered
    assert "replicas: 7" in rendered


@pytest.mark.skipif(find("helm") is None, reason="Helm is not built (`make real` does)")
def test_what_both_refuse_is_told_from_both(tmp_path: Path) -> None:
    shutil.copytree(CHARTS / "shop", tmp_path / "shop")
    (tmp_path / "app.yaml").write_text(APP.replace("replicas: 7", "replicas: many"))
    (tmp_path / "shop/more.yaml").write_text("labels: {team: web}\n")
    done = windlass(tmp_path, "render", "shop", "--app", "app.yaml", "--against", "helm")
    assert done.returncode == 1
    assert "refuses it too" in done.stderr
    assert done.stderr.count("at '/replicas': got string, want integer") == 2


@pytest.mark.skipif(find("kustomize") is None, reason="kustomize is not built (`make real` does)")
def test_kustomize_makes_the_same_of_a_folder(tmp_path: Path) -> None:
    cases = Path(__file__).parents[1] / "kustomize/cases"
    for name in ("patch-several-documents", "replicas", "component-transforms-all"):
        shutil.copytree(cases / name, tmp_path / name)
        done = windlass(tmp_path, "render", name, "--against", "kustomize")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("kustomize v5.8.2 makes the same")


@pytest.mark.skipif(find("kustomize") is None, reason="kustomize is not built (`make real` does)")
def test_what_an_application_lays_over_is_left_out_on_both_sides_and_told(tmp_path: Path) -> None:
    cases = Path(__file__).parents[1] / "kustomize/cases"
    shutil.copytree(cases / "replicas", tmp_path / "shop")
    laid = "kustomize: {namePrefix: p-, images: [{name: web, newTag: v2}]}"
    (tmp_path / "app.yaml").write_text(APP.partition("    helm:")[0] + f"    {laid}\n")
    done = windlass(tmp_path, "render", "shop", "--app", "app.yaml", "--against", "kustomize")
    assert done.returncode == 0
    assert "left out on both sides" in done.stderr
    assert "kustomize.images, kustomize.namePrefix" in done.stderr
