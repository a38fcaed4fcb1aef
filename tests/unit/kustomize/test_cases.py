"""Each case of `tests/kustomize/cases`, byte for byte: what the real kustomize printed of it, or that it refused it."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import ours

from real import kustomize
from windlass.core.kustomize import KustomizeError


@pytest.mark.parametrize("case", list(kustomize.cases()), ids=lambda case: case.name)
def test_a_case_is_built_as_kustomize_builds_it(case: Path) -> None:
    made = ours(case)
    if (case / kustomize.REFUSED).exists():
        assert isinstance(made, KustomizeError), "kustomize refuses it: " + (case / kustomize.REFUSED).read_text()
        assert made.what
        assert made.hint or made.where.file or made.where.field, "a refusal names a place or a mend"
    else:
        assert made == (case / kustomize.EXPECTED).read_text()


def test_there_is_a_case_for_each_field_of_a_kustomization() -> None:
    files = [case / "kustomization.yaml" for case in kustomize.cases()]
    texts = "\n".join(file.read_text() for file in files if file.exists())
    for field in FIELDS:
        assert f"\n{field}:" in f"\n{texts}", field


FIELDS = [
    "bases",
    "buildMetadata",
    "commonAnnotations",
    "commonLabels",
    "components",
    "configMapGenerator",
    "configurations",
    "crds",
    "generatorOptions",
    "generators",
    "helmChartInflationGenerator",
    "helmCharts",
    "images",
    "labels",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "openapi",
    "patches",
    "patchesJson6902",
    "patchesStrategicMerge",
    "replacements",
    "replicas",
    "resources",
    "secretGenerator",
    "sortOptions",
    "transformers",
    "validators",
    "vars",
]
