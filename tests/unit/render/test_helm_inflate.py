"""Charts inside kustomizations: rendered from the repository, fetched from nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from memory import MemoryTree, request

from windlass.adapters.git.trace import TracedSnapshot
from windlass.adapters.render.documents import Documents
from windlass.adapters.render.findings import Findings
from windlass.adapters.render.helm_inflate import inflating
from windlass.adapters.render.kustomizing import TreeFiles
from windlass.adapters.render.work import Work
from windlass.core.kustomize import KustomizeError, NotSupported, Options, build

CHART = Path(__file__).parents[2] / "charts" / "shop"
USES = "helmCharts:\n- name: shop\n  releaseName: web\n  namespace: prod\n"


def built(kustomization: str, more: Mapping[str, str] | None = None) -> tuple[str, Work]:
    files: dict[str, str | bytes] = {
        f"charts/shop/{one.relative_to(CHART)}": one.read_bytes() for one in CHART.rglob("*") if one.is_file()
    }
    tree = TracedSnapshot(MemoryTree(files | {"kustomization.yaml": kustomization, **(more or {})}))
    work = Work(request(), tree, "", Documents(), Findings(), {}, tree)
    return build(TreeFiles(tree), "", Options(inflate=inflating(work))).text(), work


def test_a_chart_of_the_repository_is_a_resource_like_others() -> None:
    text, work = built(USES + "  valuesInline: {replicas: 7}\nnamePrefix: x-\n")
    assert "name: x-web-shop\n" in text
    assert "replicas: 7\n" in text
    assert "CustomResourceDefinition" not in text
    assert "name: x-web-shop-ping\n" in text, "tests are there, as helm template has them"
    assert {"charts/shop/templates/deployment.yaml", "charts/shop/values.yaml"} <= work.tree.trace.read.keys()
    assert work.asked


def test_crds_hooks_and_tests_are_there_as_it_is_said() -> None:
    text, _ = built(USES + "  includeCRDs: true\n  skipHooks: true\n")
    assert "name: orders.shop.example.com\n" in text
    assert "migrate" not in text
    text, _ = built(USES + "  skipTests: true\n")
    assert "migrate" in text
    assert "ping" not in text


def test_a_chart_that_would_be_fetched_is_refused_with_the_mend() -> None:
    with pytest.raises(NotSupported) as caught:
        built("helmCharts:\n- name: nginx\n  repo: https://charts.example.com\n  version: 1.2.3\n  releaseName: web\n")
    assert "helm pull nginx --repo https://charts.example.com --version 1.2.3 --untar" in caught.value.hint


def test_a_release_without_a_name_has_the_one_that_helm_template_gives() -> None:
    text, _ = built("helmCharts:\n- name: shop\n")
    assert "name: release-name-shop\n" in text


def test_a_name_by_a_template_is_refused() -> None:
    with pytest.raises(NotSupported, match="nameTemplate"):
        built("helmCharts:\n- name: shop\n  nameTemplate: '{{ randAlpha 5 }}'\n")


NULLS = {
    "kustomization.yaml": "helmCharts:\n- name: web\n",
    "charts/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n",
    "charts/web/charts/db/Chart.yaml": "apiVersion: v2\nname: db\nversion: 0.1.0\n",
    "charts/web/charts/db/values.yaml": "host: example.com\nport: 5432\n",
    "charts/web/charts/db/templates/a.yaml": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n"
    "data: {values: {{ toJson .Values | quote }}}\n",
}


@pytest.mark.parametrize(
    ("own", "more", "values"),
    [
        ("db: {host: null}\n", "", '{"global":{},"port":5432}'),
        ("db: {host: null}\n", "  valuesInline: {x: 1}\n", '{"global":{},"port":5432}'),
        (
            "db: {port: 1}\n---\ndb: {port: 2}\n",
            "  valuesFile: charts/web/values.yaml\n",
            '{"global":{},"host":"example.com","port":2}',
        ),
        ("db: {host: no}\n", "  valuesInline: {x: 1}\n", '{"global":{},"host":"no","port":5432}'),
    ],
)
def test_a_charts_own_values_are_read_as_kustomize_hands_them_to_helm(own: str, more: str, values: str) -> None:
    made = NULLS | {"charts/web/values.yaml": own}
    text, _ = built(made.pop("kustomization.yaml") + more, made)
    assert f"values: '{values}'\n" in text


@pytest.mark.parametrize(("own", "words"), [(None, "there is no file charts/web/values.yaml"), ("# x\n", "no values")])
def test_a_chart_without_values_of_its_own_is_refused_as_by_kustomize(own: str | None, words: str) -> None:
    made = dict(NULLS) if own is None else NULLS | {"charts/web/values.yaml": own}
    with pytest.raises(KustomizeError, match=words):
        built(made.pop("kustomization.yaml") + "  valuesInline: {x: 1}\n", made)


def test_what_is_wrong_with_the_chart_is_told_at_the_chart() -> None:
    with pytest.raises(KustomizeError) as caught:
        built(USES, {"charts/shop/templates/deployment.yaml": '{{ fail "never" }}'})
    assert caught.value.where.file == "charts/shop/templates/deployment.yaml"
    assert caught.value.where.line == 1
