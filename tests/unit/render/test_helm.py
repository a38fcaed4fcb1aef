"""Helm charts by the library: what is rendered, what is told apart, what is refused and how it is told.

Whether the output is that of Helm's own program is held in ``tests/real/test_helm.py``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import bodies, rendered

from windlass.adapters.git.snapshot import folder_snapshot
from windlass.adapters.render.helm import ChartWrong, Settings, render_chart
from windlass.adapters.render.helm_child import ValuesText
from windlass.adapters.render.helm_engine import Engine, HelmMissing, HelmStopped
from windlass.adapters.render.helm_files import ChartFiles, ChartRefused, Ignored, chart_archive, chart_folder
from windlass.adapters.render.helm_output import arranged, split
from windlass.core.kinds.rendering import Helm, Render, ValuesFrom
from windlass.core.model import Rendered
from windlass.errors import TryLater
from windlass.ports import ChartFound, ChartWanted, ClusterFacts, ClusterValues

CHARTS = Path(__file__).parents[2] / "charts"
CHART = "apiVersion: v2\nname: web\nversion: 0.1.0\n"
SETTINGS = Settings("shop", "prod")


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def chart(templates: Mapping[str, str], **more: str) -> dict[str, str | bytes]:
    made: dict[str, str | bytes] = {"Chart.yaml": CHART}
    made |= {f"templates/{name}": text for name, text in templates.items()}
    return made | {name.replace("_", "."): text for name, text in more.items()}


def shown(text: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: shown}}\ndata:\n  it: {text}\n"


def of(files: Mapping[str, str | bytes], **settings: Any) -> Rendered:
    return rendered(files, settings=Render(helm=Helm(**settings)))


def data_of(result: Rendered) -> dict[str, Any]:
    assert result.problems == []
    return bodies(result)[0]["data"]


@pytest.fixture(scope="module")
def small() -> Iterator[Engine]:
    """An engine with little time and memory."""
    made = Engine(seconds=2, memory=320 << 20)
    yield made
    made.close()


def tgz(files: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, data in files.items():
            member = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            content = b"" if isinstance(data, tarfile.TarInfo) else data
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


# --- what is rendered -----------------------------------------------------------------------------------------------


def test_a_chart_is_recognised_and_its_crds_come_first() -> None:
    result = rendered(files_of(CHARTS / "shop"))
    assert result.problems == []
    wanted = [str(one.ref) for one in result.objects if not one.hook]
    assert wanted[:2] == [
        "CustomResourceDefinition/orders.shop.example.com",
        "CustomResourceDefinition/pools.cache.example.com",
    ]
    assert "Deployment/shop-shop" in wanted
    assert "ConfigMap/shop-cache" in wanted
    assert {one.origin.file for one in result.objects} >= {
        "templates/deployment.yaml",
        "charts/cache/templates/cache.yaml",
    }


def test_hooks_and_tests_are_told_apart_and_told() -> None:
    result = rendered(files_of(CHARTS / "shop"))
    assert {str(one.ref): one.hook for one in result.objects if one.hook} == {
        "Job/shop-shop-migrate": "pre-sync",
        "Pod/shop-shop-ping": "test",
    }
    told = [one.what for one in result.warnings]
    assert "1 hook of the chart is not run yet" in told
    assert "1 test of the chart is left out" in told


def test_an_object_with_an_empty_hook_is_left_out_as_helm_does() -> None:
    hook = 'annotations: {"helm.sh/hook": ""}}'
    result = rendered(chart({"a.yaml": shown("x"), "b.yaml": shown("z").replace("shown}", f"hooked, {hook}")}))
    assert (result.problems, result.invalid) == ([], [])
    assert [one.ref.name for one in result.objects] == ["shown"]
    assert [one.what for one in result.warnings] == [
        "Helm knows no hook '': the object is left out, as helm template does"
    ]


def test_lookup_finds_nothing_and_is_told_with_its_template() -> None:
    result = rendered(files_of(CHARTS / "shop"))
    places = [one.file for one in result.warnings if one.what.startswith("lookup finds nothing")]
    assert places == ["templates/config.yaml"]
    config = next(
        one for one in bodies(result) if one["metadata"]["name"] == "shop-shop" and one["kind"] == "ConfigMap"
    )
    assert config["data"]["seed"] == "none"


def test_values_win_in_the_order_chart_files_values() -> None:
    files = chart({"a.yaml": shown('"{{ .Values.a }} {{ .Values.b }} {{ .Values.c }} {{ .Values.d }}"')})
    files |= {
        "values.yaml": "a: chart\nb: chart\nc: chart\nd: chart\n",
        "one.yaml": "b: one\nc: one\nd: one\n",
        "two.yaml": "c: two\nd: two\n",
    }
    result = of(files, values_files=["one.yaml", "two.yaml"], values={"d": "inline"})
    assert data_of(result)["it"] == "chart one two inline"


def test_a_null_takes_a_value_of_the_chart_out() -> None:
    files = chart({"a.yaml": shown("'{{ hasKey .Values.a \"b\" }}'")}) | {"values.yaml": "a: {b: 1, c: 2}\n"}
    assert data_of(of(files, values={"a": {"b": None}}))["it"] == "false"
    assert data_of(of(files))["it"] == "true"


def test_one_render_does_not_change_the_chart_for_the_next() -> None:
    # The library takes a chart that a condition leaves out of the chart that it keeps.
    files = files_of(CHARTS / "shop")
    without = of(files, values={"cache": {"enabled": False}, "fromCache": {"address": "none"}})
    assert without.problems == []
    assert not any("cache" in one.ref.name for one in without.objects)
    assert any("cache" in one.ref.name for one in rendered(files).objects)


def test_release_and_versions_come_from_the_application() -> None:
    files = chart(
        {
            "a.yaml": shown(
                "'{{ .Release.Name }}.{{ .Release.Namespace }} {{ .Capabilities.KubeVersion }} "
                "{{ .Capabilities.APIVersions.Has `a.example.com/v1/A` }}'"
            )
        }
    )
    assert data_of(rendered(files))["it"] == "shop.shop v1.36.0 false"
    result = of(files, release_name="web", kube_version="1.30.2", api_versions=["a.example.com/v1/A"])
    assert data_of(result)["it"] == "web.shop v1.30.2 true"


def test_a_values_file_and_a_template_are_in_the_trace() -> None:
    result = of(chart({"a.yaml": shown("x")}) | {"prod.yaml": "a: 1\n"}, values_files=["prod.yaml"])
    assert {"templates/a.yaml", "prod.yaml", "Chart.yaml", "templates/"} <= result.read.keys()


def test_a_link_inside_the_repository_is_followed() -> None:
    files: dict[str, str | bytes] = {f"app/{name}": text for name, text in chart({}).items()}
    files |= {"shared/a.yaml": shown("shared"), "app/templates/a.yaml": "->../../shared/a.yaml"}
    assert data_of(rendered(files, path="app"))["it"] == "shared"


# --- what is wrong, and how it is told ------------------------------------------------------------------------------


def told(files: Mapping[str, str | bytes], **settings: Any) -> tuple[str, str, int, str]:
    (problem,) = of(files, **settings).problems
    return problem.slug, problem.file, problem.line, problem.what


def test_a_template_that_fails_names_file_and_line() -> None:
    slug, file, line, what = told(chart({"a.yaml": shown("x") + '---\n{{ fail "no such thing" }}\n'}))
    assert (slug, file, line) == ("chart-template", "templates/a.yaml", 7)
    assert "no such thing" in what


def test_a_template_that_cannot_be_read_names_file_and_line() -> None:
    slug, file, line, _ = told(chart({"a.yaml": "ok: 1\n{{ if }}\n"}))
    assert (slug, file, line) == ("chart-template", "templates/a.yaml", 2)


@pytest.mark.parametrize("cut", ["{{ trunc 3 .Values.word }}", "{{ trunc 3 .Values.word }} \\ufffd \ufffd"])
def test_a_template_that_cuts_a_character_in_two_is_refused_as_helm_does(cut: str) -> None:
    values = {"word": "\u00a0\u00a0"}
    slug, _, _, what = told(chart({"a.yaml": shown(cut)}), values=values)
    assert slug == "chart-template"
    assert "templates/a.yaml renders bytes that are no UTF-8" in what


def test_a_replacement_character_that_somebody_wrote_stays() -> None:
    result = of(chart({"a.yaml": shown('"\ufffd {{ .Values.word }} \\\\ufffd"')}), values={"word": "a\ufffdb"})
    assert data_of(result)["it"] == "\ufffd a\ufffdb \\ufffd"


def test_a_template_that_makes_no_yaml_names_its_file() -> None:
    slug, file, _, what = told(chart({"a.yaml": shown("x") + "  bad: [\n"}))
    assert (slug, file) == ("chart-template", "templates/a.yaml")
    assert "this is not YAML" in what


def test_values_that_break_the_schema_are_told_in_helms_words() -> None:
    slug, _, _, what = told(files_of(CHARTS / "shop"), values={"replicas": "many"})
    assert slug == "chart-values"
    assert "at '/replicas': got string, want integer" in what
    assert of(files_of(CHARTS / "shop"), values={"replicas": "many"}, skip_schema_validation=True).problems[0].slug == (
        "wrong-type"
    )


def test_a_dependency_that_is_not_there_says_how_to_get_it() -> None:
    files = chart({}) | {
        "Chart.yaml": CHART + "dependencies: [{name: db, version: 1.x, repository: 'https://a.example'}]\n"
    }
    (problem,) = rendered(files).problems
    assert problem.slug == "chart-dependencies"
    assert problem.what.endswith(": db")
    assert problem.hint.startswith("run helm dependency update")
    assert rendered(files).wants == [("https://a.example", "db", "1.x")]


@pytest.mark.parametrize(("wanted", "cluster", "good"), [
    (">=1.30", "1.36.0", True),
    (">=1.30", "v1.36.1-gke.7", True),
    (">=1.37", "1.36.0", False),
    (">=1.20-0 <1.25-0", "1.36.0", False),
])  # fmt: skip
def test_a_chart_for_another_kubernetes_is_refused(wanted: str, cluster: str, good: bool) -> None:
    files = chart({"a.yaml": shown("x")}) | {"Chart.yaml": f"{CHART}kubeVersion: '{wanted}'\n"}
    problems = of(files, kube_version=cluster).problems
    assert [one.slug for one in problems] == ([] if good else ["chart-kube-version"])


def test_a_library_chart_is_no_application() -> None:
    slug, file, _, what = told(chart({}) | {"Chart.yaml": CHART + "type: library\n"})
    assert (slug, file) == ("chart-wrong", "Chart.yaml")
    assert "type library" in what


def test_a_values_file_that_is_not_there_is_named_with_those_that_are() -> None:
    (problem,) = of(chart({}) | {"values.yaml": "", "prod.yaml": ""}, values_files=["pord.yaml"]).problems
    assert problem.what == "there is no values file pord.yaml"
    assert "prod.yaml" in problem.hint


def test_a_hook_that_helm_does_not_know_is_left_out_as_helm_does() -> None:
    hooked = shown("x").replace("{name: shown}", "{name: shown, annotations: {helm.sh/hook: crd-install}}")
    result = rendered(chart({"a.yaml": hooked, "b.yaml": shown("well")}))
    assert len(result.objects) == 1
    assert any("crd-install" in one.what for one in result.warnings)


# --- charts and values of strangers ---------------------------------------------------------------------------------


def test_files_get_reaches_only_the_chart() -> None:
    files = chart({"a.yaml": shown("'{{ .Files.Get `../secret` }}{{ .Files.Get `/etc/hostname` }}'")})
    made: dict[str, str | bytes] = {f"app/{name}": text for name, text in files.items()}
    assert data_of(rendered(made | {"app/secret": "in", "secret": "out"}, path="app"))["it"] == ""


def test_a_link_out_of_the_repository_is_refused() -> None:
    for target in ("->/etc/passwd", "->../../etc/passwd"):
        (problem,) = rendered(chart({}) | {"templates/a.yaml": target}).problems
        assert problem.slug == "bad-path"


@pytest.mark.parametrize("path", ["../values.yaml", "a/../../b.yaml", "/../x.yaml", "a\\..\\b.yaml"])
def test_a_values_file_outside_is_refused(path: str) -> None:
    (problem,) = of(chart({}), values_files=[path]).problems
    assert "leads out of the repository" in problem.what or problem.slug == "bad-path"


def test_a_values_file_of_a_further_source_is_read_there() -> None:
    (problem,) = of(chart({}), values_files=["$team/values.yaml"]).problems
    assert problem.slug == "source-unknown"


def test_values_cannot_be_a_yaml_bomb() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    slug, _, _, what = told(chart({}) | {"bomb.yaml": bomb}, values_files=["bomb.yaml"])
    assert slug == "chart-values"
    assert "bomb.yaml can't be read" in what


def folder(tmp_path: Path, templates: Mapping[str, str]) -> Any:
    for name, text in {**chart(templates)}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(str(text))
    return chart_folder(folder_snapshot(str(tmp_path)), "")


def test_a_template_without_an_end_is_stopped_and_the_next_render_works(tmp_path: Path, small: Engine) -> None:
    endless = folder(tmp_path, {"a.yaml": "{{ range until 100000000 }}{{ range until 100000000 }}{{ end }}{{ end }}"})
    began = time.monotonic()
    with pytest.raises(HelmStopped, match=r"did not end within 2 s|of memory"):
        render_chart(endless, [], SETTINGS, small)
    assert time.monotonic() - began < 10
    good = folder(tmp_path, {"a.yaml": shown("well")})
    assert "well" in render_chart(good, [], SETTINGS, small)[0].files["web/templates/a.yaml"]


@pytest.mark.parametrize("template", [
    '{{ $x := "aaaaaaaaaaaaaaaa" }}{{ range until 40 }}{{ $x = print $x $x }}{{ end }}{{ $x }}',
    '{{ repeat 2000000000 "x" }}',
    '{{ range until 3000000 }}{{ repeat 100 "y" }}{{ end }}',
])  # fmt: skip
def test_a_template_that_wants_all_memory_ends_only_itself(template: str, tmp_path: Path, small: Engine) -> None:
    with pytest.raises(HelmStopped):
        render_chart(folder(tmp_path, {"a.yaml": template}), [], SETTINGS, small)


def test_a_template_that_includes_itself_is_an_error(tmp_path: Path, small: Engine) -> None:
    looping = folder(tmp_path, {"a.yaml": '{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}'})
    with pytest.raises((ChartWrong, HelmStopped)):
        render_chart(looping, [], SETTINGS, small)


@pytest.mark.parametrize("schema", [
    '{"$ref": "file:///etc/passwd"}',
    '{"properties": {"a": {"$ref": "http://169.254.169.254/latest"}}}',
    '{"$id": "http://10.0.0.1/a", "properties": {"a": {"$ref": "other.json"}}}',
    '{"$schema": "http://10.0.0.1/rules"}',
    '{"allOf": [{"$dynamicRef": "https://a.example/x#y"}]}',
    '{"a": ' + "[" * 5000 + "]" * 5000 + "}",
    '{"a": ' + "9" * 5000 + "}",
])  # fmt: skip
def test_a_schema_never_fetches(schema: str) -> None:
    for place in ("values.schema.json", "charts/sub/values.schema.json"):
        files = chart({}) | {"charts/sub/Chart.yaml": CHART.replace("web", "sub"), place: schema}
        (problem,) = rendered(files).problems
        assert (problem.slug, problem.file) == ("chart-refused", place)
        assert "skipSchemaValidation" in problem.hint


def test_a_schema_in_a_packed_subchart_is_looked_at_too() -> None:
    inner = tgz(
        {"sub/Chart.yaml": CHART.replace("web", "sub").encode(), "sub/values.schema.json": b'{"$ref": "file:///x"}'}
    )
    (problem,) = rendered(chart({}) | {"charts/sub-0.1.0.tgz": inner}).problems
    assert problem.file == "charts/sub-0.1.0.tgz/values.schema.json"
    assert of(chart({}) | {"charts/sub-0.1.0.tgz": inner}, skip_schema_validation=True).problems == []


# --- archives -------------------------------------------------------------------------------------------------------


def link(name: str, target: str) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = tarfile.SYMTYPE, target
    return made


@pytest.mark.parametrize("bad", [
    {"web/../../out": b"x"},
    {"/web/Chart.yaml": b"x"},
    {"web\\..\\..\\out": b"x"},
    {"web/C:/windows": b"x"},
    {"web/templates/a.yaml": link("web/templates/a.yaml", "/etc/passwd")},
])  # fmt: skip
def test_an_archive_that_leads_out_is_refused(bad: Mapping[str, bytes | tarfile.TarInfo]) -> None:
    with pytest.raises(ChartRefused):
        chart_archive(tgz({"web/Chart.yaml": CHART.encode(), **bad}), "web.tgz").load()


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    bomb = tgz({"web/Chart.yaml": CHART.encode(), **{f"web/{n}": b"\0" * (4 << 20) for n in range(30)}})
    assert len(bomb) < 1 << 20
    with pytest.raises(ChartRefused, match="more than 100 MB"):
        chart_archive(bomb, "web.tgz").load()
    with pytest.raises(ChartRefused, match="can't be read"):
        chart_archive(b"\x1f\x8b not really", "web.tgz").load()


def test_an_archive_renders_as_its_folder_does(small: Engine) -> None:
    files = files_of(CHARTS / "shop")
    archive = tgz({f"shop/{name}": data for name, data in files.items() if name != "README.md"})
    from_archive, _ = render_chart(chart_archive(archive, "shop.tgz"), [], SETTINGS, small)
    from_folder, _ = render_chart(chart_folder(folder_snapshot(str(CHARTS)), "shop"), [], SETTINGS, small)
    assert from_archive.files == from_folder.files


# --- pure parts -----------------------------------------------------------------------------------------------------


def test_documents_are_split_at_lines_of_dashes_only() -> None:
    assert split("---\na: 1\n---   \n\n--- \nb: '---'\n") == ["a: 1\n", "b: '---'\n"]


def test_notes_partials_and_empty_files_are_no_manifests() -> None:
    output = arranged({"c/templates/NOTES.txt": "hi", "c/templates/_x.tpl": "a: 1", "c/templates/b.yaml": " \n"})
    assert output.text() == "\n"


def test_manifests_are_ordered_by_kind_and_within_a_kind_as_they_came() -> None:
    texts = {f"c/templates/{n}.yaml": f"kind: {kind}\nmetadata: {{name: n{n}}}" for n, kind in enumerate(
        ["Zebra", "Deployment", "Service", "Ant", "Namespace", "Service"]
    )}  # fmt: skip
    assert [one.kind + one.text[-3:-1] for one in arranged(texts).manifests] == [
        "Namespacen4", "Servicen2", "Servicen5", "Deploymentn1", "Antn3", "Zebran0",
    ]  # fmt: skip


@pytest.mark.parametrize(("rules", "path", "is_folder", "out"), [
    ("*.md", "docs/a.md", False, True),
    ("/a.md", "docs/a.md", False, False),
    ("docs/", "docs", True, True),
    ("docs/", "docs", False, False),
    ("a?c", "a/c", False, False),
    ("a?c", "abc", False, True),
    ("[ab].txt", "b.txt", False, True),
    ("!*.yaml", "a.txt", False, True),
    ("", "templates/.hidden", False, True),
    ("# a.md", "a.md", False, False),
])  # fmt: skip
def test_helmignore_is_read_as_helm_reads_it(rules: str, path: str, is_folder: bool, out: bool) -> None:
    assert Ignored(rules).leaves_out(path, folder=is_folder) is out


def test_two_stars_in_helmignore_are_refused_as_helm_refuses_them() -> None:
    with pytest.raises(ChartRefused, match=r"\*\*"):
        Ignored("a/**/b", ".helmignore")


def test_a_chart_that_fifty_use_is_unpacked_once(small: Engine) -> None:
    read: list[int] = []

    def load() -> dict[str, bytes]:
        read.append(1)
        return {"Chart.yaml": CHART.encode(), "templates/a.yaml": shown("{{ .Release.Name }}").encode()}

    fifty = [
        render_chart(ChartFiles("web", "used by fifty", load), [], Settings(f"r{n}", "prod"), small)[0].files
        for n in range(50)
    ]
    assert len(read) == 1
    assert {text.rpartition(" ")[2].strip() for files in fifty for text in files.values()} == {
        f"r{n}" for n in range(50)
    }


def test_the_child_has_no_network_where_the_kernel_lets_it_leave(small: Engine) -> None:
    render_chart(chart_folder(folder_snapshot(str(CHARTS)), "shop"), [], SETTINGS, small)
    assert small._child is not None
    here, there = (os.readlink(f"/proc/{pid}/ns/net") for pid in ("self", small._child.pid))
    if here == there:
        pytest.skip("no namespace can be made here")
    devices = Path(f"/proc/{small._child.pid}/net/dev").read_text().splitlines()[2:]
    assert [line.partition(":")[0].strip() for line in devices] == ["lo"]
    environment = Path(f"/proc/{small._child.pid}/environ").read_bytes()
    assert b"HOME=" not in environment
    assert b"PATH=" not in environment


def test_values_texts_are_merged_over_documents() -> None:
    files = folder_snapshot(str(CHARTS))
    values = [ValuesText("a", "replicas: 1\n---\nreplicas: 4\n")]
    answer, _ = render_chart(chart_folder(files, "shop"), values, SETTINGS)
    assert "replicas: 4" in answer.files["shop/templates/deployment.yaml"]


# --- values of the cluster ------------------------------------------------------------------------------------------


def from_cluster(files: Mapping[str, str | bytes], objects: dict[str, dict[str, bytes]], *refs: ValuesFrom) -> Rendered:
    return rendered(files, settings=Render(helm=Helm(values_from=list(refs))), values=ClusterValues(objects))


def test_values_of_the_cluster_win_over_files_and_lose_to_inline_ones() -> None:
    files = chart({"a.yaml": shown('"{{ .Values.a }} {{ .Values.b }}"')}) | {"one.yaml": "a: file\nb: file\n"}
    settings = Helm(values_files=["one.yaml"], values_from=[ValuesFrom(config_map="c")], values={"b": "inline"})
    values = ClusterValues({"ConfigMap/c": {"values.yaml": b"a: cluster\nb: cluster\n"}})
    result = rendered(files, settings=Render(helm=settings), values=values)
    assert data_of(result)["it"] == "cluster inline"
    assert not result.private


def test_a_value_of_a_secret_is_told_in_no_message_and_kept_on_no_disk() -> None:
    secret = {"Secret/s": {"values.yaml": b"replicas: hunter2hunter2\npassword: correct-horse\n"}}
    result = from_cluster(files_of(CHARTS / "shop"), secret, ValuesFrom(secret="s"))
    (problem,) = result.problems
    assert problem.slug in ("chart-values", "wrong-type")
    assert "hunter2" not in str(result)
    assert "correct-horse" not in str(result)
    failing = chart({"a.yaml": '{{ fail (printf "no %s" .Values.password) }}'})
    result = from_cluster(failing, secret, ValuesFrom(secret="s"))
    assert result.problems
    assert result.private
    assert "correct-horse" not in str(result)
    for bad in (b"correct-horse", b"a: [correct-horse", b"\xff\xfe"):
        told = from_cluster(chart({}), {"Secret/s": {"values.yaml": bad}}, ValuesFrom(secret="s"))
        assert told.problems[0].slug == "chart-values"
        assert "correct-horse" not in str(told)


def test_a_key_that_is_missing_is_told_with_those_that_are_there() -> None:
    there = {"ConfigMap/c": {"prod.yaml": b"a: 1"}}
    (problem,) = from_cluster(chart({}), there, ValuesFrom(config_map="c")).problems
    assert problem.what == "there is no key values.yaml in ConfigMap c"
    assert problem.hint == "it has: prod.yaml"
    assert from_cluster(chart({}), {}, ValuesFrom(config_map="c", optional=True)).problems == []


# --- what the cluster is like; charts from elsewhere -----------------------------------------------------------------


def test_only_a_chart_that_asks_what_the_cluster_is_like_is_rendered_anew_for_it() -> None:
    asks = rendered(
        chart({"a.yaml": shown('"{{ .Capabilities.KubeVersion.Version }}"')}), facts=ClusterFacts("v1.34.2+k3s1")
    )
    assert data_of(asks)["it"] == "v1.34.2+k3s1"
    assert asks.asked
    assert not rendered(chart({"a.yaml": shown("x")})).asked


def test_values_that_ask_what_the_cluster_is_like_by_tpl_make_a_render_anew_for_it_too() -> None:
    files = chart({"a.yaml": shown('"{{ tpl .Values.it . }}"')})
    asks = of(files, values={"it": "{{ .Capabilities.KubeVersion.Major }}"})
    assert data_of(asks)["it"] == "1"
    assert asks.asked
    assert not of(files, values={"it": "{{ .Release.Name }}"}).asked


def test_an_archive_is_held_against_its_digest_at_each_render(tmp_path: Path) -> None:
    data = tgz({"web/Chart.yaml": CHART.encode(), "web/templates/a.yaml": shown("far").encode()})
    archive = tmp_path / "a.tgz"
    archive.write_bytes(data)
    found = ChartFound("web", "0.1.0", f"sha256:{hashlib.sha256(data).hexdigest()}", str(archive))
    result = rendered({"config.yaml": "not: applied"}, chart=found)
    assert data_of(result)["it"] == "far"
    assert result.objects[0].origin.file == "web-0.1.0.tgz/templates/a.yaml"
    archive.write_bytes(tgz({"web/Chart.yaml": b"changed"}))
    other = ChartFound("web", "0.1.0", "sha256:" + "0" * 64, str(archive))
    with pytest.raises(TryLater, match="is not the one that was fetched"):
        rendered({}, chart=other)
    archive.unlink()
    with pytest.raises(TryLater, match="not on the disk"):
        rendered({}, chart=other)


def test_links_that_lead_round_in_circles_are_counted_and_refused() -> None:
    files = chart({"a.yaml": shown("x")})
    files |= {"templates/one": "->../templates", "templates/two": "->../templates", "templates/three": "->."}
    began = time.monotonic()
    (problem,) = rendered(files).problems
    assert problem.slug == "chart-refused"
    assert "circle" in problem.hint
    assert time.monotonic() - began < 20


# --- dependencies that are not in charts/ ----------------------------------------------------------------------------

WANTS = CHART + "dependencies: [{name: db, version: 1.x, repository: '%s'}]\n"
DB = "apiVersion: v2\nname: db\nversion: 1.4.0\n"


def test_a_dependency_of_the_same_repository_is_read_there() -> None:
    files: dict[str, str | bytes] = {
        "apps/web/Chart.yaml": WANTS % "file://../../libs/db",
        "libs/db/Chart.yaml": DB + "dependencies: [{name: tools, version: 0.1.x, repository: 'file://../tools'}]\n",
        "libs/db/templates/a.yaml": shown('{{ include "tools.word" . }}'),
        "libs/tools/Chart.yaml": "apiVersion: v2\nname: tools\nversion: 0.1.0\ntype: library\n",
        "libs/tools/templates/_a.tpl": '{{ define "tools.word" }}from-a-library{{ end }}',
    }
    result = rendered(files, path="apps/web")
    assert data_of(result)["it"] == "from-a-library"
    assert {"libs/db/templates/a.yaml", "libs/tools/templates/_a.tpl"} <= result.read.keys()
    assert data_of(rendered(files, path="apps/web"))["it"] == "from-a-library"
    files["libs/tools/templates/_a.tpl"] = '{{ define "tools.word" }}from-a-newer-one{{ end }}'
    changed = rendered(files, path="apps/web")
    assert data_of(changed)["it"] == "from-a-newer-one", "a dependency of a dependency changed, and nothing else"


def test_an_object_of_a_dependency_is_told_with_the_file_in_git_whatever_its_alias() -> None:
    inner = "dependencies: [{name: tools, version: 0.1.x, alias: kit}]\n"
    tools = {
        "Chart.yaml": CHART.replace("web", "tools"),
        "templates/b.yaml": shown("{{ .Values.it | required `no it` }}"),
    }
    files: dict[str, str | bytes] = {
        "web/Chart.yaml": CHART
        + "dependencies: [{name: db, version: 1.x, alias: first}, {name: far, version: 0.1.x}]\n",
        "web/charts/database/Chart.yaml": DB + inner,
        "web/charts/database/templates/a.yaml": shown("x").replace("name: shown", "name: a"),
        "web/charts/far-0.1.0.tgz": tgz(
            {"far/Chart.yaml": CHART.replace("web", "far").encode(), "far/templates/c.yaml": shown("far").encode()}
        ),
        **{f"web/charts/database/charts/tools/{path}": text.replace("shown", "b") for path, text in tools.items()},
    }
    result = rendered(files, path="web", settings=Render(helm=Helm(values={"first": {"kit": {"it": "z"}}})))
    assert result.problems == []
    assert {one.ref.name: one.origin.file for one in result.objects} == {
        "a": "web/charts/database/templates/a.yaml",
        "b": "web/charts/database/charts/tools/templates/b.yaml",
        "shown": "web/charts/far-0.1.0.tgz",
    }
    assert {one.origin.commit for one in result.objects} == {f"last-{one.origin.file}" for one in result.objects}
    (problem,) = rendered(files, path="web").problems
    assert (problem.file, problem.line) == ("web/charts/database/charts/tools/templates/b.yaml", 5)
    (problem,) = rendered(chart({"a.yaml": shown("x"), "b.yaml": shown("z")})).problems
    assert problem.what == "ConfigMap/shop/shown is written twice, in templates/a.yaml and templates/b.yaml"


@pytest.mark.parametrize(("target", "words"), [
    ("file://../../../etc", "leads out of the repository"),
    ("file:///etc", "leads out of the repository"),
    ("file://../nothing", "is not in the repository"),
])  # fmt: skip
def test_a_dependency_outside_the_repository_is_refused(target: str, words: str) -> None:
    (problem,) = rendered({"apps/web/Chart.yaml": WANTS % target}, path="apps/web").problems
    assert (problem.slug, problem.file) == ("chart-refused", "apps/web/Chart.yaml")
    assert words in problem.what


def test_charts_that_name_each_other_in_a_circle_are_refused() -> None:
    files: dict[str, str | bytes] = {
        "web/Chart.yaml": WANTS % "file://../db",
        "db/Chart.yaml": DB + "dependencies: [{name: db, version: 1.x, repository: 'file://../db'}]\n",
    }
    (problem,) = rendered(files, path="web").problems
    assert "in a circle" in problem.what


def test_a_dependency_that_was_fetched_is_put_in_its_place_as_the_lock_file_says(tmp_path: Path) -> None:
    data = tgz({"db/Chart.yaml": DB.encode(), "db/templates/a.yaml": shown("far").encode()})
    (tmp_path / "db.tgz").write_bytes(data)
    files = {"Chart.yaml": WANTS % "https://a.example/"}
    lock = "dependencies: [{name: db, version: 1.4.0, repository: 'https://a.example/'}]\n"
    assert rendered(files).wants == [("https://a.example", "db", "1.x")]
    assert rendered({**files, "Chart.lock": lock}).wants == [("https://a.example", "db", "1.4.0")]
    found = ChartFound("db", "1.4.0", f"sha256:{hashlib.sha256(data).hexdigest()}", str(tmp_path / "db.tgz"))
    given = {"wanted": (ChartWanted("https://a.example", "db", "1.4.0"),), "fetched": (found,)}
    result = rendered({**files, "Chart.lock": lock}, **given)
    assert data_of(result)["it"] == "far"
    assert result.wants == []
    assert rendered({"Chart.yaml": WANTS % "@mine"}).wants == [], "an alias is nobody's address"


def test_where_the_extra_is_not_installed_the_refusal_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(HelmMissing) as caught:
        render_chart(chart_folder(folder_snapshot(str(CHARTS)), "shop"), [], SETTINGS, Engine())
    assert "pip install 'windlass[helm]'" in caught.value.hint


def raw_archive() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, text in (("web/Chart.yaml", CHART), ("web/templates/" + "a" * 120 + ".yaml", shown("x"))):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


RAW = raw_archive()


@given(st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=12)), min_size=1, max_size=6))
@settings(max_examples=300, deadline=None)
def test_an_archive_with_any_bytes_in_it_is_read_or_refused(changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(RAW)
    for at, piece in changes:
        data[at : at + len(piece)] = piece
    # The sums are made right again, so that what is wrong is found further in.
    for start in range(0, len(data) - 511, 512):
        block = data[start : start + 512]
        if block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % (sum(block) & 0o777777)
    try:
        files = chart_archive(gzip.compress(bytes(data), 1), "web.tgz").load()
    except ChartRefused:
        return
    assert all(".." not in name.split("/") and not name.startswith("/") for name in files)
