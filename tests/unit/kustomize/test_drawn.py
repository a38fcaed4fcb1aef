"""Trees drawn by hypothesis, built by the real kustomize and by ours: the same bytes, or both refuse."""

from __future__ import annotations

import pytest
from drawn import Tree, trees
from hypothesis import HealthCheck, Phase, given, note, settings
from judging import judge_files
from mutated import mutants
from scribbled import scribbles

from real import kustomize

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(kustomize.program() is None, reason="kustomize is not built (`make real` does)"),
]


searching = settings(
    max_examples=300,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def compare(tree: Tree) -> None:
    """Builds a tree with both."""
    for name, data in tree.items():
        note(f"--- {name}\n{data.decode(errors='replace')}")
    word, told = judge_files(tree)
    assert word != "different", told


@searching
@given(trees())
def test_a_drawn_tree_is_built_as_kustomize_builds_it(tree: Tree) -> None:
    compare(tree)


@searching
@given(scribbles())
def test_yaml_by_hand_is_read_and_printed_as_kustomize_does(text: bytes) -> None:
    compare({"kustomization.yaml": b"resources: [it.yaml]\n", "it.yaml": text})


@searching
@given(mutants())
def test_a_case_with_mistakes_is_taken_as_kustomize_takes_it(tree: Tree) -> None:
    compare(tree)
