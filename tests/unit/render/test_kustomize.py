"""Kustomizations as a source: how they are found, what the Application lays over them, what they read, where their
objects come from. What they build is held in ``tests/unit/kustomize``."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from memory import MemoryTree, bodies, rendered

from windlass.adapters.git.trace import Trace
from windlass.adapters.render.trace import touches
from windlass.core.kinds.rendering import Render

BASE = "resources:\n- web.yaml\n"
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "acme/shop:1.0"}
"""
TREE = {
    "base/kustomization.yaml": BASE,
    "base/web.yaml": WEB,
    "prod/kustomization.yaml": (
        "resources:\n- ../base\nnamePrefix: prod-\nimages:\n- {name: acme/shop, newName: mirror/shop}\n"
    ),
    "components/three/kustomization.yaml": (
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nreplicas:\n- {name: web, count: 3}\n"
    ),
    "unrelated.yaml": "x: 1",
}


def names(files: dict[str, Any], **more: Any) -> list[str]:
    result = rendered(files, **more)
    assert result.problems == []
    return [one.ref.name for one in result.objects]


def said(**fields: Any) -> Render:
    return msgspec.convert({"kustomize": fields}, Render)


def test_a_folder_with_a_kustomization_is_built() -> None:
    assert names(TREE, path="base") == ["web"]
    assert names(TREE, path="prod") == ["prod-web"]
    for name in ("kustomization.yml", "Kustomization"):
        assert names({f"x/{name}": BASE, "x/web.yaml": WEB}, path="x") == ["web"]


def test_what_the_application_says_is_laid_over() -> None:
    settings = said(
        images=[{"name": "acme/shop", "newTag": "2.0"}], namePrefix="eu-", components=["../components/three"]
    )
    (body,) = bodies(rendered(TREE, path="prod", settings=settings))
    assert body["metadata"]["name"] == "eu-web"
    assert body["spec"]["template"]["spec"]["containers"][0]["image"] == "acme/shop:2.0"
    assert body["spec"]["replicas"] == 3


def test_files_may_lie_anywhere_in_the_repository_where_that_is_said() -> None:
    files = {"a/kustomization.yaml": "configMapGenerator:\n- name: x\n  files: [../shared.txt]\n", "shared.txt": "y"}
    (problem,) = rendered(files, path="a").problems
    assert problem.slug == "kustomize"
    assert len(names(files, path="a", settings=said(loadRestrictor="none"))) == 1
    out = {"a/kustomization.yaml": "resources: [../../x.yaml]\n"}
    (problem,) = rendered(out, path="a", settings=said(loadRestrictor="none")).problems
    assert "leaves the repository" in problem.what


def test_what_was_read_and_looked_for_is_in_the_trace_and_nothing_else() -> None:
    result = rendered(TREE, path="prod")
    assert {"prod/kustomization.yaml", "base/kustomization.yaml", "base/web.yaml"} <= result.read.keys()
    assert not [path for path in result.read if path.startswith("components") or path == "unrelated.yaml"]
    trace = Trace(result.read)
    assert trace.holds(MemoryTree(TREE | {"unrelated.yaml": "x: 2", "components/four/a.yaml": "x"}))
    assert not trace.holds(MemoryTree(TREE | {"base/web.yaml": WEB.replace("1.0", "1.1")}))
    assert not trace.holds(MemoryTree(TREE | {"base/kustomization.yml": BASE})), "two kustomizations are refused"


def test_an_object_has_its_place_and_what_is_generated_the_kustomization() -> None:
    files = TREE | {
        "base/kustomization.yaml": f"{BASE}configMapGenerator:\n- name: settings\n  literals: [a=1]\n",
        "base/web.yaml": f"# a comment\n\n{WEB}",
    }
    result = rendered(files, path="prod")
    places = {one.ref.kind: (one.origin.file, one.origin.line) for one in result.objects}
    assert places["Deployment"] == ("base/web.yaml", 3)
    assert places["ConfigMap"][0] == "base/kustomization.yaml"


def test_a_mistake_in_a_manifest_has_the_line_of_its_field_where_nothing_changed_the_object() -> None:
    wrong = TREE | {
        "base/web.yaml": "---\nkind: List\napiVersion: v1\nitems: []\n---\n"
        + WEB.replace("replicas: 1", "replicas: one")
    }
    (problem,) = rendered(wrong, path="base").problems
    assert (problem.what, problem.file, problem.line) == (
        'replicas must be an integer, not "one"',
        "base/web.yaml",
        11,
    )
    (problem,) = rendered(wrong, path="prod").problems
    assert (problem.file, problem.line) == ("base/web.yaml", 6)


def test_a_folder_of_plain_manifests_may_hold_kustomizations() -> None:
    files = {f"apps/{path}": text for path, text in TREE.items() if path.startswith("base/")}
    files |= {"apps/other.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n"}
    files |= {"apps/base/deeper/not-named.yaml": "nonsense: true\n"}
    assert names(files, path="apps") == ["other", "web"]
    assert names(files, path="apps", exclude=("base",)) == ["other"]


@pytest.mark.parametrize(
    ("marks", "kinds"),
    [
        ("Chart.yaml and kustomization.yaml", "helm or kustomize"),
        ("main.jsonnet and kustomization.yaml", "jsonnet or kustomize"),
        ("Chart.yaml, main.jsonnet and kustomization.yaml", "helm, jsonnet or kustomize"),
    ],
)
def test_two_readings_are_refused_until_one_is_chosen(marks: str, kinds: str) -> None:
    files = dict.fromkeys(marks.replace(" and ", ", ").split(", "), "")
    files |= {"kustomization.yaml": BASE, "web.yaml": WEB}
    (problem,) = rendered(files).problems
    assert (problem.what, problem.slug) == (f"{marks} stand side by side: is it {kinds}?", "two-readings")
    assert "spec.render.kustomize: {}" in problem.hint
    assert names(files, settings=said()) == ["web"]


def test_patterns_choose_among_plain_manifests_only() -> None:
    (problem,) = rendered(TREE, path="base", exclude=("web.yaml",)).problems
    assert problem.what == "source.exclude chooses among plain manifests, and base is rendered by kustomize"
    assert names(TREE, path="base", exclude=("kustomization.yaml",)) == ["web"]


@pytest.mark.parametrize(
    ("text", "slug", "what"),
    [
        ("resources: [https://example.com/x]\n", "kustomize-refused", "is fetched from elsewhere"),
        ("resources: [../../../etc]\n", "kustomize", "leaves the repository"),
        ("resources: [/etc/passwd]\n", "kustomize", "absolute"),
        ("resources: [.]\n", "kustomize", "circle"),
        ("resources: [link]\n", "kustomize", "leads out"),
        ("resources: [gone.yaml]\n", "kustomize", "gone.yaml"),
        ("resources: [\n", "kustomize", ""),
        ("nonsense: 1\n", "kustomize", "nonsense"),
        ("generators: [exec.yaml]\n", "kustomize-refused", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_file(text: str, slug: str, what: str) -> None:
    note = "config.kubernetes.io/function: |\n      exec: {path: ./run.sh}\n"
    executable = f"apiVersion: v1\nkind: Made\nmetadata:\n  name: x\n  annotations:\n    {note}"
    files = {"x/kustomization.yaml": text, "x/link": "->../../etc", "x/exec.yaml": executable}
    (problem,) = rendered(files, path="x").problems
    assert problem.slug == slug, problem
    assert what in problem.what
    assert problem.file.startswith("x")


def test_a_commit_to_a_base_touches_those_that_build_on_it_and_one_to_an_overlay_that_one() -> None:
    files = dict(TREE)
    for number in range(60):
        base = "../../base" if number < 50 else "../../prod"
        files[f"apps/{number}/kustomization.yaml"] = f"resources: [{base}]\nnameSuffix: -n{number}\n"
    del files["prod/kustomization.yaml"]
    files |= {"prod/kustomization.yaml": "resources: [web.yaml]\n", "prod/web.yaml": WEB}
    results = {number: rendered(files, path=f"apps/{number}") for number in range(60)}
    assert not any(one.problems for one in results.values())
    reads = {number: one.read for number, one in results.items()}

    def touched(*paths: str) -> list[int]:
        names = touches(paths)
        return [number for number, read in reads.items() if not names.isdisjoint(read)]

    assert touched("base/web.yaml") == list(range(50))
    assert touched("prod/kustomization.yaml") == list(range(50, 60))
    assert touched("apps/7/kustomization.yaml") == [7]
    assert touched("unrelated.yaml", "apps/new/kustomization.yaml", "components/three/kustomization.yaml") == []
    assert touched("base/kustomization.yml") == list(range(50)), "it was looked for"
