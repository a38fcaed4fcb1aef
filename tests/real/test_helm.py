"""What is rendered of a chart is, byte for byte, what Helm's own program makes of it; and both refuse the same."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from real.programs import find
from windlass.adapters.git.snapshot import folder_snapshot
from windlass.adapters.git.trace import TracedSnapshot
from windlass.adapters.render.documents import Documents
from windlass.adapters.render.findings import Findings
from windlass.adapters.render.helm import ChartWrong, Settings, render_chart
from windlass.adapters.render.helm_child import ValuesText
from windlass.adapters.render.helm_engine import HelmStopped
from windlass.adapters.render.helm_files import chart_folder
from windlass.adapters.render.helm_inflate import inflating
from windlass.adapters.render.helm_output import arranged
from windlass.adapters.render.helm_program import HelmProgram
from windlass.adapters.render.kustomizing import TreeFiles
from windlass.adapters.render.work import Work
from windlass.core.kustomize import KustomizeError, Options, build
from windlass.ports import RenderRequest

CHARTS = Path(__file__).parents[1] / "charts"

pytestmark = [pytest.mark.real, pytest.mark.skipif(find("helm") is None, reason="Helm is not built: make real")]

VALUES: list[dict[str, Any]] = [
    {},
    {"replicas": 5, "labels": {"team": "web", "odd": "yes"}},
    {"order": {"big": 12345678901234567890, "round": 1000000, "part": 1.50, "yes": True, "none": None}},
    {"cache": {"enabled": False}},
    {"cache": {"enabled": False}, "fromCache": {"address": "elsewhere:1"}},
    {"cache": {"size": "1Gi"}, "global": {"region": "us"}},
    {"labels": None, "image": None},
    {"replicas": "many"},
    {"greeting": '{{ fail "no" }}'},
    {"greeting": "{{ .Values.global.region | upper }}"},
]


def helm_program(folder: Path, values: Path, *more: str) -> subprocess.CompletedProcess[str]:
    argv = [
        str(find("helm")),
        "template",
        "shop",
        str(folder),
        "-n",
        "prod",
        "--include-crds",
        "-f",
        str(values),
        *more,
    ]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def ours(folder: Path, values: str, settings: Settings) -> str:
    chart = chart_folder(folder_snapshot(str(folder)), "")
    answer, _ = render_chart(chart, [ValuesText("values", values)], settings)
    return arranged(answer.files, answer.crds).text()


@pytest.mark.parametrize("values", VALUES)
def test_a_chart_comes_out_as_helm_makes_it(values: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values))
    theirs = helm_program(CHARTS / "shop", file, "--kube-version", "1.36.0")
    if theirs.returncode == 0:
        assert ours(CHARTS / "shop", file.read_text(), Settings("shop", "prod")) == theirs.stdout
    else:
        with pytest.raises(ChartWrong) as caught:
            ours(CHARTS / "shop", file.read_text(), Settings("shop", "prod"))
        assert " ".join(caught.value.what.split()) in " ".join(theirs.stderr.split())


def test_versions_of_the_cluster_come_out_as_helm_makes_it(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("{}")
    api = "shop.example.com/v1/Order"
    theirs = helm_program(CHARTS / "shop", file, "--kube-version", "1.30.1-eks.2", "--api-versions", api)
    assert ours(CHARTS / "shop", "{}", Settings("shop", "prod", "1.30.1-eks.2", (api,))) == theirs.stdout
    assert '"true"' in theirs.stdout


@pytest.mark.parametrize("name", ["demo", "web-1"])
def test_the_chart_that_helm_itself_makes_for_a_beginner(name: str, tmp_path: Path) -> None:
    subprocess.run([str(find("helm")), "create", name], cwd=tmp_path, check=True, capture_output=True)
    file = tmp_path / "values.yaml"
    file.write_text("ingress: {enabled: true}\nautoscaling: {enabled: true}\nreplicaCount: 3\n")
    theirs = helm_program(tmp_path / name, file, "--kube-version", "1.36.0")
    assert theirs.stdout
    assert ours(tmp_path / name, file.read_text(), Settings("shop", "prod")) == theirs.stdout


def test_what_helmignore_leaves_out_is_left_out(tmp_path: Path) -> None:
    chart = tmp_path / "c"
    texts = {
        "Chart.yaml": "apiVersion: v2\nname: c\nversion: 0.1.0\n",
        "templates/a.yaml": "files: {{ range $p, $_ := .Files.Glob \"**\" }}{{ $p }} {{ end }}\n",
        ".helmignore": "*.md\n/only-here.txt\nsecret/\n[ab].bin\nx?z\n# note\n",
        "read.md": "", "docs/deep.md": "", "only-here.txt": "", "docs/only-here.txt": "", "secret/s": "",
        "docs/secret/s": "", "a.bin": "", "c.bin": "", "xyz": "", "xyyz": "",
    }  # fmt: skip
    for name, text in texts.items():
        (chart / name).parent.mkdir(parents=True, exist_ok=True)
        (chart / name).write_text(text)
    file = tmp_path / "values.yaml"
    file.write_text("{}")
    theirs = helm_program(chart, file, "--kube-version", "1.36.0")
    assert "xyyz" in theirs.stdout
    assert ours(chart, "{}", Settings("shop", "prod")) == theirs.stdout


def in_kustomization(folder: Path, text: str, own: str | None = None) -> tuple[str | None, str | None]:
    """What the real kustomize and ours make of a kustomization that has the chart `shop`, with values of its `own`
    beside those that it has ("" for no file of values at all); None where it is refused."""
    shutil.copytree(CHARTS / "shop", folder / "charts" / "shop")
    values = folder / "charts" / "shop" / "values.yaml"
    if own:
        values.write_text(values.read_text().replace("labels: {}\n", own))
    elif own is not None:
        values.unlink()
    shutil.copytree(CHARTS / "shop", folder / "own" / "shop")
    (folder / "one.yaml").write_text("replicas: 4\ncache: {size: 1Gi}\nlabels: {a: one}\n")
    (folder / "two.yaml").write_text("replicas: 6\nlabels: {b: two}\n")
    (folder / "kustomization.yaml").write_text(text)
    argv = [str(find("kustomize")), "build", "--enable-helm", "--helm-command", str(find("helm")), str(folder)]
    theirs = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    tree = TracedSnapshot(folder_snapshot(str(folder)))
    request = RenderRequest(str(folder), "", "", "", "", "", "")
    work = Work(request, tree, "", Documents(), Findings(), {}, tree)
    try:
        made: str | None = build(TreeFiles(tree), "", Options(inflate=inflating(work))).text()
    except KustomizeError:
        made = None
    return theirs.stdout if theirs.returncode == 0 else None, made


CHART = "helmCharts:\n- name: shop\n  releaseName: web\n  namespace: prod\n  kubeVersion: v1.36.0\n"
GENERATOR = """\
generators:
- |-
  apiVersion: builtin
  kind: HelmChartInflationGenerator
  metadata: {name: it}
  name: shop
  releaseName: web
  kubeVersion: v1.36.0
"""


@pytest.mark.skipif(find("kustomize") is None, reason="kustomize is not built: make real")
@pytest.mark.parametrize(
    "text",
    [
        CHART + "namePrefix: x-\n",
        CHART + "  includeCRDs: true\nnamePrefix: x-\n",
        CHART + "  skipTests: true\n",
        CHART + "  skipHooks: true\n",
        CHART + "  valuesInline: {replicas: 3}\n",
        CHART + "  valuesFile: one.yaml\n",
        CHART + "  valuesFile: one.yaml\n  additionalValuesFiles: [two.yaml]\n",
        *(
            CHART
            + f"  valuesFile: one.yaml\n  valuesMerge: {how}\n  valuesInline: {{replicas: 3, labels: {{c: in}}}}\n"
            for how in ("merge", "override", "replace", "nonsense")
        ),
        CHART + "  apiVersions: [shop.example.com/v1/Order]\n",
        CHART + "  version: 0.1.0\n",
        CHART + "  releaseName: twice\n",
        CHART + "  unknown: field\n",
        CHART + "namespace: over\nlabels:\n- pairs: {l: m}\n  includeSelectors: true\n",
        CHART + "patches:\n- target: {kind: Deployment}\n  patch: '[{op: replace, path: /spec/replicas, value: 9}]'\n",
        CHART + "helmGlobals: {chartHome: own}\n",
        CHART + "helmGlobals: {chartHome: nothing}\n",
        CHART.replace("  releaseName: web\n", ""),
        CHART.replace("name: shop", "name: nothing"),
        CHART.replace("  namespace: prod\n", ""),
        CHART + "  valuesFile: nothing.yaml\n",
        CHART + "  valuesInline: {replicas: many}\n",
        CHART + CHART.partition("\n")[2].replace("releaseName: web", "releaseName: again"),
        GENERATOR,
        GENERATOR + "  valuesInline: {replicas: 3}\n  includeCRDs: true\n",
    ],
)
def test_a_chart_in_a_kustomization_comes_out_as_kustomize_makes_it(text: str, tmp_path: Path) -> None:
    theirs, mine = in_kustomization(tmp_path, text)
    assert mine == theirs


@pytest.mark.skipif(find("kustomize") is None, reason="kustomize is not built: make real")
@pytest.mark.parametrize("more", ["", "  valuesInline: {port: 1}\n", "  additionalValuesFiles: [two.yaml]\n"])
@pytest.mark.parametrize(
    "own",
    [
        "labels: {gone: null, y: yes, n: 017, d: 2020-01-01, s: 1:30}\n",
        "labels: null\n",
        "labels: {}\n---\nport: 3\n",
        "labels: {}\nglobal: {region: null}\n",
        "",
    ],
)
def test_a_chart_in_a_kustomization_reads_its_own_values_as_kustomize_hands_them_to_helm(
    own: str, more: str, tmp_path: Path
) -> None:
    theirs, mine = in_kustomization(tmp_path, CHART + more, own)
    assert mine == theirs


@pytest.mark.parametrize("values", [{}, {"replicas": 3, "order": {"n": 1000000}}, {"cache": {"enabled": False}}])
def test_the_persons_own_helm_gives_the_same_answer_as_the_library(values: dict[str, Any]) -> None:
    chart = chart_folder(folder_snapshot(str(CHARTS / "shop")), "")
    texts, settings = [ValuesText("values", json.dumps(values))], Settings("shop", "prod")
    program = HelmProgram(str(find("helm")))
    if values.get("cache"):
        with pytest.raises(ChartWrong, match="nil pointer"):
            render_chart(chart, texts, settings, program)
        return
    theirs, _ = render_chart(chart, texts, settings, program)
    ours, _ = render_chart(chart, texts, settings)
    # What is printed has lost some empty lines, which mean nothing.
    one, other = (arranged(answer.files, answer.crds).text() for answer in (theirs, ours))
    assert list(yaml.safe_load_all(one)) == list(yaml.safe_load_all(other))
    assert [line for line in one.splitlines() if line] == [line for line in other.splitlines() if line]


@pytest.mark.parametrize(("change", "slug"), [
    ({"Chart.yaml": "dependencies: [{name: db, version: 1.x, repository: 'https://a'}]\n"}, "chart-dependencies"),
    ({"Chart.yaml": "kubeVersion: '>=1.99'\n"}, "chart-kube-version"),
    ({"values.schema.json": '{"properties": {"a": {"type": "integer"}}}'}, "chart-values"),
    ({"templates/a.yaml": "{{ fail \"no\" }}"}, "chart-template"),
    ({"Chart.yaml": "type: library\n"}, "chart-wrong"),
    ({"Chart.yaml": "apiVersion: v3\n"}, "chart-wrong"),
])  # fmt: skip
def test_the_persons_own_helm_refuses_with_the_same_words(change: dict[str, str], slug: str, tmp_path: Path) -> None:
    base = {"Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n", "values.yaml": "a: text\n"}
    for name, text in {**base, **change}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(base[name] + text if name == "Chart.yaml" and name in change else text)
    chart = chart_folder(folder_snapshot(str(tmp_path)), "")
    told = []
    for by in (HelmProgram(str(find("helm"))), None):
        with pytest.raises(ChartWrong) as caught:
            render_chart(chart, [], Settings("web", "prod"), by)
        told.append((caught.value.slug, caught.value.where.file))
    assert [one[0] for one in told] == [slug, slug]
    assert told[0] == told[1]


def test_the_persons_own_helm_is_stopped_where_a_template_does_not_end(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 0.1.0\n")
    (tmp_path / "templates" / "a.yaml").write_text('{{ range until 3000000 }}{{ repeat 100 "y" }}{{ end }}')
    chart = chart_folder(folder_snapshot(str(tmp_path)), "")
    with pytest.raises(HelmStopped):
        render_chart(chart, [], Settings("web", "prod"), HelmProgram(str(find("helm")), seconds=3, memory=400 << 20))
