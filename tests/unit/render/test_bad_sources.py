"""Sources made to hurt, for every renderer alike: each is refused with a clear word in bounded time, or comes to
objects; nothing is read outside, nothing is run, nothing is fetched."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import MemoryTree, rendered, request

from windlass.adapters.render import steps
from windlass.adapters.render.documents import Documents
from windlass.adapters.render.steps import render

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 9)}], {new}: 1}}\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
BAD = {
    "aliases": CONFIG + BOMB,
    "merges": CONFIG + MERGES,
    "levels": "{a: " * 3000 + "1" + "}" * 3000,
    "lists": "[" * 3000 + "]" * 3000,
    "twice": CONFIG + "data: {a: '1'}\ndata: {b: '2'}\n",
    "tag": CONFIG + "data: !!python/object/apply:os.system ['touch /tmp/x']\n",
    "nothing": "\0\0\0",
    "bytes": b"\xff\xfe\x00",
    "nan": CONFIG + "x: .nan\n",
    "huge number": CONFIG + f"x: {'9' * 5000}\n",
    "long": CONFIG + "x: " + "y" * 3_000_000 + "\n",
    "surrogate": json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "\ud800"}}),
    "open": "a: [1, 2\nb: {",
    "many": "---\na: 1\n" * 20_000,
}
WAYS = {
    "plain": lambda bad: {"x/a.yaml": bad},
    "resource": lambda bad: {"x/kustomization.yaml": "resources: [a.yaml]\n", "x/a.yaml": bad},
    "kustomization": lambda bad: {"x/kustomization.yaml": bad},
    "patch": lambda bad: {
        "x/kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml}]\n",
        "x/a.yaml": CONFIG,
        "x/p.yaml": bad,
    },
}


READ_BY_KUSTOMIZE = {("patch", "twice"), ("resource", "tag"), ("patch", "tag")}
"""What the original takes, we take: the last of two equal keys, a tag that means nothing."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_bounded_time_wherever_they_stand(way: str, name: str) -> None:
    began = time.process_time()
    result = rendered(WAYS[way](BAD[name]), path="x")
    assert time.process_time() - began < 8
    if name not in ("long", "huge number", "merges") and (way, name) not in READ_BY_KUSTOMIZE:
        assert result.problems, "it is told"
    assert all(len(one.what) < 1000 and len(one.hint) < 1000 for one in result.problems)
    assert all(one.what.isprintable() for one in result.problems)


LINKS = {
    "out": "->../../../../etc/passwd",
    "absolute": "->/etc/passwd",
    "chain": "->one",
    "circle": "->link.yaml",
    "git": "->../.git/config",
}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("way", ["resources: [link.yaml]", "configMapGenerator: [{name: a, files: [link.yaml]}]", "patches: [{path: link.yaml}]", "components: [link.yaml]", "openapi: {path: link.yaml}"])  # fmt: skip  # noqa: E501
def test_links_of_kustomizations_lead_nowhere_outside(name: str, way: str) -> None:
    files = {"x/kustomization.yaml": f"{way}\n", "x/link.yaml": LINKS[name], "x/one": "->two", "x/two": "->/etc/passwd"}
    result = rendered(files, path="x")
    assert result.problems
    assert "root:" not in str(result.problems)


OUT = [
    "../../../etc/passwd",
    "/etc/passwd",
    "..%2f..%2fetc/passwd",
    "a\\..\\..\\b",
    "x\x00y",
    ".git/config",
    "./../../x",
    "--upload-pack=x",
    "http://169.254.169.254/latest",
    "git::ssh://evil/x",
    "github.com/acme/x?ref=main",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("path", OUT)
@pytest.mark.parametrize("field", ["resources", "components", "crds", "configurations", "transformers", "generators"])
def test_paths_that_lead_out_or_elsewhere_are_refused(path: str, field: str) -> None:
    result = rendered({"x/kustomization.yaml": yaml.safe_dump({field: [path]})}, path="x")
    assert len(result.problems) == 1
    assert result.problems[0].slug in ("kustomize", "kustomize-refused", "bad-path")


def test_overlays_that_double_at_every_level_are_bounded() -> None:
    files = {"0/kustomization.yaml": "resources: [a.yaml]\n", "0/a.yaml": CONFIG}
    for level in range(1, 8):
        for side in "ab":
            files[f"{level}{side}/kustomization.yaml"] = f"namePrefix: {side}-\nresources: [../{level - 1}]\n"
        files[f"{level}/kustomization.yaml"] = f"resources: [../{level}a, ../{level}b]\n"
    assert len(rendered(files, path="7").objects) == 128


def test_more_objects_or_bytes_than_may_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"{name}.yaml": CONFIG.replace("name: a", f"name: {name}") + "data: {x: 'yyyyyyyy'}\n" for name in "abcde"}
    monkeypatch.setattr(steps, "MOST_OBJECTS", 4)
    (problem,) = rendered(files).problems
    assert problem.what == "it renders to more than 4 objects"
    monkeypatch.setattr(steps, "MOST_OBJECTS", 5)
    monkeypatch.setattr(steps, "MOST_OUTPUT", 600)
    (problem,) = rendered(files).problems
    assert (problem.what, problem.hint) == (
        "it renders to 0 MB, more than 0",
        "split it into several Applications",
    )


NAMES = st.sampled_from(["a.yaml", "p.yaml", "../b", ".", "", "x.txt", "gone", "main.jsonnet", "=", "a=b", "a=x.txt"])
FIELDS = st.sampled_from(
    [
        "resources",
        "bases",
        "components",
        "namePrefix",
        "nameSuffix",
        "namespace",
        "labels",
        "commonLabels",
        "images",
        "commonAnnotations",
        "replicas",
        "patches",
        "patchesStrategicMerge",
        "patchesJson6902",
        "configMapGenerator",
        "vars",
        "secretGenerator",
        "generatorOptions",
        "kind",
        "replacements",
        "crds",
        "openapi",
        "sortOptions",
        "buildMetadata",
        "transformers",
        "generators",
        "validators",
        "helmCharts",
        "apiVersion",
        "configurations",
        "nonsense",
    ]
)
KEYS = st.sampled_from(
    [
        "name",
        "path",
        "patch",
        "target",
        "kind",
        "options",
        "literals",
        "files",
        "envs",
        "behavior",
        "newName",
        "newTag",
        "digest",
        "count",
        "pairs",
        "source",
        "targets",
        "select",
        "fieldPaths",
        "fieldPath",
        "order",
        "fields",
        "type",
        "op",
    ]
)
SLUGS = {
    "kustomize",
    "kustomize-refused",
    "bad-manifest",
    "wrong-type",
    "bad-label",
    "duplicate-object",
    "bad-path",
    "bad-document",
    "too-much",
    "duplicate-key",
    "bad-annotation",
    "bad-spec",
    "chart-wrong",
    "helm-missing",
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats(allow_nan=False) | st.text(max_size=8) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=250, deadline=None)
@given(st.dictionaries(FIELDS, VALUES, max_size=4), st.text(max_size=40))
def test_whatever_a_kustomization_says_is_built_or_refused_with_a_word(said: dict[str, Any], patch: str) -> None:
    files = {
        "x/kustomization.yaml": json.dumps({"resources": ["a.yaml"], **said}),
        "x/a.yaml": CONFIG,
        "x/p.yaml": patch,
        "x/x.txt": patch,
        "b/kustomization.yaml": "resources: [c.yaml]\n",
        "b/c.yaml": CONFIG.replace("name: a", "name: c"),
    }
    result = render(request(path="x"), MemoryTree(files), Documents(), lambda paths: {})
    for one in (*result.problems, *result.invalid):
        assert one.what
        assert one.slug in SLUGS


@settings(max_examples=150, deadline=None)
@given(st.text("abk:-[]{}&*!|>#'\"%@,\n\t .0", max_size=120) | st.binary(max_size=60))
def test_any_text_in_any_file_is_a_word_or_an_object(data: str | bytes) -> None:
    for way in ("plain", "resource", "kustomization", "patch"):
        result = rendered(WAYS[way](data), path="x")
        assert all(one.what for one in result.problems)
