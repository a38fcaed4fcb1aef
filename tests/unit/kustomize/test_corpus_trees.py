"""The corpus of repositories as people have them, beside the real kustomize: every kustomization in it, and
online-boutique with each of its components, one by one and all together.

The corpus lies beside this repository (`../shared/corpus`) where it is there at all; else these are skipped.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from folders import ours

from real import kustomize
from windlass.core.kustomize import FILE_NAMES

CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpus"
SHOP = "online-boutique/kustomize"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(kustomize.program() is None, reason="kustomize is not built (`make real` does)"),
    pytest.mark.skipif(not CORPUS.is_dir(), reason="there is no corpus beside the repository"),
]


def folders() -> list[str]:
    """Every folder of the corpus that holds a kustomization."""
    found = {str(file.parent.relative_to(CORPUS)) for name in FILE_NAMES for file in CORPUS.rglob(name)}
    return sorted(found)


def components() -> list[str]:
    """The components of online-boutique."""
    return sorted(one.name for one in (CORPUS / SHOP / "components").glob("*"))


def same(root: Path, folder: str) -> str:
    """Builds a folder with both; what both print."""
    theirs, mine = kustomize.build(root / folder), ours(root, folder)
    if theirs.text is None:
        assert not isinstance(mine, str), theirs.error
        return ""
    assert mine == theirs.text
    return theirs.text


@pytest.mark.parametrize("folder", folders())
def test_a_folder_of_the_corpus_is_built_as_kustomize_builds_it(folder: str) -> None:
    same(CORPUS, folder)


@pytest.mark.parametrize("chosen", [*([one] for one in components()), components(), components()[::-1]], ids="+".join)
def test_online_boutique_with_components_is_built_as_kustomize_builds_it(chosen: list[str], tmp_path: Path) -> None:
    shutil.copytree(CORPUS / SHOP, tmp_path / "shop")
    named = {"resources": ["../base"], "components": [f"../components/{one}" for one in chosen]}
    (tmp_path / "shop" / "own").mkdir()
    (tmp_path / "shop" / "own" / "kustomization.yaml").write_text(yaml.safe_dump(named))
    text = same(tmp_path, "shop/own")
    if len(chosen) == 1:
        assert text.count("kind: Deployment") >= 11
