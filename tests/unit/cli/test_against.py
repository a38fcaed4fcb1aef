"""``render --against``: what the person's own program makes of the same folder, told apart object by object.

The program here is a stand-in on the PATH, so that these run anywhere; the real kustomize is asked where it is built.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import Done, Repo

Run = Callable[..., Done]

WEB = """\
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - {name: web, image: "acme/shop:1.4.1"}
"""
LIMITS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web-limits}\ndata: {cpu: '2'}\n"
SHOP = "apps/shop"


@pytest.fixture
def folder(repo: Repo) -> Repo:
    repo.commit("Shop", **{f"{SHOP}/web.yaml": WEB, f"{SHOP}/limits.yaml": LIMITS})
    return repo


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a program on the PATH, where there is nothing else of that kind then."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "cat", "sed", "git"):
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return put


Put = Callable[[str, str], None]
VERSION = 'if [ "$1" = version ]; then echo v9.9.9; exit; fi\n'


def test_the_same_objects_are_told_and_counted(folder: Repo, run: Run, stand_in: Put) -> None:
    stand_in("kustomize", VERSION + 'cat "$2"/*.yaml')
    done = run("render", SHOP, "--against", "kustomize")
    assert (done.code, done.out) == (0, "kustomize v9.9.9 makes the same 2 objects of it\n")


def test_differences_are_told_field_by_field_and_end_in_2(folder: Repo, run: Run, stand_in: Put) -> None:
    stand_in("kustomize", VERSION + "sed -e 's/replicas: 2/replicas: 5/' -e 's/web-limits/limits/' \"$2\"/*.yaml")
    done = run("render", SHOP, "--against", "kustomize")
    assert done.code == 2
    assert done.out.splitlines() == [
        "+ ConfigMap/limits       only kustomize v9.9.9 has it",
        f"- ConfigMap/web-limits   kustomize v9.9.9 has none   {SHOP}/limits.yaml:1",
        f"~ Deployment/web         {SHOP}/web.yaml:2",
        "    spec.replicas   2 -> 5",
        "3 objects of 3 differ from what kustomize v9.9.9 makes (left: windlass, right: kustomize v9.9.9)",
    ]
    data = json.loads(run("render", SHOP, "--against", "kustomize", "-o", "json").out)
    assert data["same"] == 0
    assert [(one["name"], one["only"]) for one in data["differences"]] == [
        ("limits", "kustomize v9.9.9"),
        ("web-limits", "windlass"),
        ("web", ""),
    ]
    assert data["differences"][2]["fields"] == [{"field": "spec.replicas", "windlass": 2, "theirs": 5}]


def test_what_an_api_server_reads_alike_is_still_told(folder: Repo, run: Run, stand_in: Put) -> None:
    stand_in("kustomize", VERSION + 'sed -e "s/replicas: 2/replicas: 2\\n  paused: false/" "$2"/*.yaml')
    done = run("render", SHOP, "--against", "kustomize")
    assert done.code == 2
    assert "paused" in done.out or "written otherwise, the same to an API server" in done.out


def test_a_refusal_of_the_program_alone_is_a_difference(folder: Repo, run: Run, stand_in: Put) -> None:
    stand_in("kustomize", VERSION + "echo 'Error: it is \033[31mwrong' >&2; exit 1")
    done = run("render", SHOP, "--against", "kustomize")
    assert done.code == 2
    assert "kustomize v9.9.9 refuses it, and windlass does not\n   Error: it is wrong\n" in done.err


def test_kubectl_stands_in_for_kustomize(folder: Repo, run: Run, stand_in: Put) -> None:
    stand_in("kubectl", 'if [ "$1" = version ]; then echo \'{"kustomizeVersion": "v8.8.8"}\'; else cat "$2"/*.yaml; fi')
    done = run("render", SHOP, "--against", "kustomize")
    assert (done.code, done.out) == (0, "kustomize v8.8.8 of kubectl makes the same 2 objects of it\n")


def test_a_program_that_is_missing_is_told_with_the_mend(folder: Repo, run: Run, stand_in: Put) -> None:
    done = run("render", SHOP, "--against", "kustomize")
    assert done.code == 1
    assert "the program kustomize is not installed" in done.err
    assert "kubectl" in done.err


def test_a_commit_or_a_single_file_is_wrong_usage(folder: Repo, run: Run, stand_in: Put) -> None:
    assert run("render", SHOP, "--against", "kustomize", "--commit", "HEAD").code == 64
    assert run("render", f"{SHOP}/web.yaml", "--against", "kustomize").code == 64
