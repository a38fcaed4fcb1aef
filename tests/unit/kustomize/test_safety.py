"""Kustomizations made to hurt: each is refused with a word, within time and memory."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from test_build import Tree

from windlass.core.kustomize import KustomizeError, build
from windlass.core.kustomize.loading import Parsing

_X = "apiVersion: v1\nkind: X\nmetadata: {name: x}\nspec: {a: text, m: {q: [1, 2, 3]}}\n"


def _bases() -> dict[str, str]:
    files = {"l0/kustomization.yaml": "resources: [x.yaml]", "l0/x.yaml": _X}
    for level in range(1, 25):
        files[f"l{level}/kustomization.yaml"] = "resources: [a, b]"
        for letter in "ab":
            text = f"namePrefix: {letter}\nresources: [../../l{level - 1}]"
            files[f"l{level}/{letter}/kustomization.yaml"] = text
    return {**files, "kustomization.yaml": "resources: [l24]"}


def _object(kustomization: str, **files: str) -> dict[str, str]:
    return {"kustomization.yaml": "resources: [x.yaml]\n" + kustomization, "x.yaml": _X, **files}


_INTO_ITSELF = (
    "- {source: {kind: X, fieldPath: spec.a}, "
    "targets: [{select: {kind: X}, fieldPaths: [spec.a], options: {delimiter: ':', index: 9999999}}]}\n"
)


def _deeper(number: int) -> str:
    target = f"{{select: {{kind: X}}, fieldPaths: [spec.c{number}], options: {{create: true}}}}"
    return f"- {{source: {{kind: X, fieldPath: spec}}, targets: [{target}]}}\n"


_VAR = "vars: [{name: A, objref: {apiVersion: v1, kind: X, name: x}, fieldref: {fieldPath: spec.a}}]\n"
_READ = f"metadata: {{name: x, annotations: {{q: '{'$(A)' * 50_000}'}}}}\nspec: {{a: {'t' * 50_000}}}\n"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (_bases(), "bases and components"),
        (
            _object(
                "patches: [{target: {kind: X}, path: p.yaml}]",
                **{"p.yaml": "".join(f"- {{op: copy, from: /spec, path: /spec/c{n}}}\n" for n in range(60))},
            ),
            "grows beyond",
        ),
        (_object("replacements:\n" + _INTO_ITSELF * 60), "grows beyond"),
        (_object("replacements:\n" + "".join(_deeper(n) for n in range(60))), "grows beyond"),
        (_object(_VAR, **{"x.yaml": "apiVersion: v1\nkind: X\n" + _READ}), "grows beyond"),
        (_object("", **{"x.yaml": _X + "deep: " + "[" * 3000 + "]" * 3000}), "levels deep"),
        (
            _object("patches: [{target: {name: '(a{1000}){1000}'}, patch: '- {op: add, path: /a, value: 1}'}]"),
            "regular",
        ),
    ],
    ids=["bases", "copies", "texts", "maps", "vars", "depth", "pattern"],
)
def test_what_would_multiply_is_refused_soon(files: Mapping[str, str], words: str) -> None:
    start = time.process_time()
    with pytest.raises(KustomizeError, match=words):
        build(Tree(files), "")
    assert time.process_time() - start < 10


def test_what_was_parsed_is_kept_within_a_limit_and_never_shared_with_what_is_built() -> None:
    parsing = Parsing(limit=3 * len(_X))
    files = {"kustomization.yaml": "resources: [x.yaml]\nnamePrefix: p-", "x.yaml": _X}
    first = build(Tree(files), "", parsing=parsing).text()
    assert build(Tree(files), "", parsing=parsing).text() == first
    for number in range(20):
        build(Tree({**files, "x.yaml": _X.replace("text", f"text{number}")}), "", parsing=parsing)
    assert parsing.size <= parsing.limit


def test_a_path_never_leaves_the_repository() -> None:
    for path in ("../x.yaml", "a/../../x.yaml", "/etc/passwd", "../../../../etc/passwd"):
        with pytest.raises(KustomizeError):
            build(Tree({"base/kustomization.yaml": f"resources: [{path}]", "x.yaml": _X}), "base")
        with pytest.raises(KustomizeError):
            build(Tree({"base/kustomization.yaml": f"configMapGenerator: [{{name: a, files: [{path}]}}]"}), "base")


def test_values_of_secrets_are_in_no_message() -> None:
    files = {
        "kustomization.yaml": "secretGenerator: [{name: a, literals: [password=hunter2, password=hunter3, =hunter4]}]"
    }
    with pytest.raises(KustomizeError) as caught:
        build(Tree(files), "")
    assert "hunter" not in f"{caught.value}{caught.value.hint}"
