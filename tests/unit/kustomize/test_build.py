"""Whole builds over files in memory: what comes out, what is refused, and with which words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from windlass.core.kustomize import Image, KustomizeError, NotSupported, Options, build


class Tree:
    """Files of one commit, in memory."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = {path: text.encode() for path, text in files.items()}

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def names(self, folder: str) -> Sequence[str] | None:
        start = f"{folder}/" if folder else ""
        found = {path[len(start) :].partition("/")[0] for path in self.files if path.startswith(start)}
        return sorted(found) if found or not folder else None


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
      - name: web
        image: shop/web:1.0
        envFrom:
        - configMapRef: {name: settings}
"""

SHOP = {
    "base/kustomization.yaml": "resources: [web.yaml]\nconfigMapGenerator: [{name: settings, literals: [mode=fast]}]\n",
    "base/web.yaml": DEPLOYMENT,
    "apps/shop/kustomization.yaml": """\
namespace: shop
namePrefix: my-
resources: [../../base]
labels: [{pairs: {team: red}, includeSelectors: true}]
images: [{name: shop/web, newTag: "2.0"}]
patches:
- target: {kind: Deployment}
  patch: |
    - {op: add, path: /spec/replicas, value: 3}
""",
}


def test_an_overlay_is_built_as_the_original_prints_it() -> None:
    text = build(Tree(SHOP), "apps/shop").text()
    assert (
        text
        == """\
apiVersion: v1
data:
  mode: fast
kind: ConfigMap
metadata:
  labels:
    team: red
  name: my-settings-t82mkhg8fd
  namespace: shop
---
apiVersion: apps/v1
kind: Deployment
metadata:
  labels:
    team: red
  name: my-web
  namespace: shop
spec:
  replicas: 3
  selector:
    matchLabels:
      team: red
  template:
    metadata:
      labels:
        team: red
    spec:
      containers:
      - envFrom:
        - configMapRef:
            name: my-settings-t82mkhg8fd
        image: shop/web:2.0
        name: web
"""
    )


def test_each_object_tells_its_file_its_line_and_what_changed_it() -> None:
    config, web = build(Tree(SHOP), "apps/shop").objects
    assert (web.file, web.line) == ("base/web.yaml", 1)
    assert [(change.file, change.field) for change in web.changes] == [
        ("apps/shop/kustomization.yaml", "patches[0]"),
        ("apps/shop/kustomization.yaml", "namespace"),
        ("apps/shop/kustomization.yaml", "namePrefix"),
        ("apps/shop/kustomization.yaml", "labels[0]"),
        ("apps/shop/kustomization.yaml", "images[0]"),
    ]
    assert [change.field for change in config.changes][:1] == ["configMapGenerator[0]"]
    assert config.file == ""


def test_what_an_application_says_lies_over_its_kustomization() -> None:
    options = Options(images=[Image(name="shop/web", new_tag="3.1")], name_prefix="our-")
    web = build(Tree(SHOP), "apps/shop", options).objects[1].content
    assert web["metadata"]["name"] == "our-web"
    assert web["spec"]["template"]["spec"]["containers"][0]["image"] == "shop/web:3.1"


@pytest.mark.parametrize(
    ("files", "words", "place"),
    [
        ({"kustomization.yaml": "namePrefixx: a\n"}, "there is no field", "kustomization.yaml:1, namePrefixx"),
        (
            {"kustomization.yaml": "resources: []\nimages:\n- name: a\n  newTag: 1.0\n"},
            "text is expected",
            "kustomization.yaml:4, images[0].newTag",
        ),
        ({"kustomization.yaml": "resources: [nowhere]\n"}, "no file", "kustomization.yaml:1, resources[0]"),
        ({"kustomization.yaml": "resources: [../other]\n"}, "leaves the repository", "kustomization.yaml"),
        ({"a/x": "", "b": ""}, "has no kustomization.yaml", ""),
    ],
)
def test_what_is_wrong_is_told_with_file_line_and_field(files: Mapping[str, str], words: str, place: str) -> None:
    with pytest.raises(KustomizeError, match=words) as caught:
        build(Tree(files), "")
    assert place in str(caught.value.where)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "resources: ['https://example.com/base.yaml']",
        "resources: ['github.com/org/repo//base?ref=v1']",
        "resources: ['git@example.com:org/repo.git']",
        "components: ['ssh://git@example.com/org/repo']",
        "helmCharts: [{name: shop}]",
        "transformers: ['{apiVersion: example.com/v1, kind: Change, metadata: {name: a}}']",
    ],
)
def test_what_would_be_fetched_or_run_is_refused_by_name(text: str) -> None:
    with pytest.raises(NotSupported) as caught:
        build(Tree({"kustomization.yaml": text}), "")
    assert caught.value.hint
    assert caught.value.where.file == "kustomization.yaml"


def test_bases_in_a_circle_are_told() -> None:
    files = {"a/kustomization.yaml": "resources: [../b]", "b/kustomization.yaml": "resources: [../a]"}
    with pytest.raises(KustomizeError, match="circle"):
        build(Tree(files), "a")


def test_a_field_spec_for_kinds_takes_the_place_of_the_default_for_all_kinds() -> None:
    files = {
        "kustomization.yaml": "namePrefix: p-\nresources: [a.yaml]\nconfigurations: [names.yaml]\n",
        "names.yaml": "namePrefix: [{path: metadata/name, kind: Secret}]\n",
        "a.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: a}}\n---\n"
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n",
    }
    built = build(Tree(files), "").objects
    assert [(one.content["kind"], one.content["metadata"]["name"]) for one in built] == [
        ("ConfigMap", "a"),
        ("Secret", "p-a"),
    ]


def patched(spec: str, *patches: str) -> object:
    """The spec of one object after patches for it."""
    files = {
        "kustomization.yaml": "resources: [a.yaml]\npatches:\n"
        + "".join(f"- {{path: p{number}.yaml, target: {{kind: Thing}}}}\n" for number in range(len(patches))),
        "a.yaml": f"{{apiVersion: x.example/v1, kind: Thing, metadata: {{name: a}}, spec: {spec}}}\n",
        **{f"p{number}.yaml": text for number, text in enumerate(patches)},
    }
    (found,) = build(Tree(files), "").objects
    return found.content["spec"]


SPEC = "{{apiVersion: x.example/v1, kind: Thing, metadata: {{name: a}}, spec: {}}}\n"


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("plain", "plain"),
        ("<<", "<<"),
        ("#x", "#x"),
        (" x", " x"),
        ("", ""),
        ("12:30", "12:30"),
        ("x\\n\\ty", "x\n\ty"),
    ],
)
def test_a_number_over_a_text_of_a_json_patch_is_text_where_the_text_was_in_quotes(text: str, then: str) -> None:
    operation = f'- {{op: add, path: /spec/a, value: "{text}"}}\n'
    assert patched("{a: x}", operation) == {"a": then}
    number = patched("{a: x}", operation, SPEC.format("{a: 0.1}"))
    assert number == {"a": 0.1 if text in ("plain", "<<") else "0.1"}


def test_a_patch_puts_words_of_yaml_1_1_in_quotes_that_it_does_not_name() -> None:
    number = SPEC.format("{a: 1}")
    assert patched("{a: yes, m: {n: yes}}", number) == {"a": 1, "m": {"n": "yes"}}
    assert patched("{a: yes, m: {n: yes}}", SPEC.format("{b: 1}"), SPEC.format("{a: 1, m: {n: 2}}")) == {
        "a": "1",
        "b": 1,
        "m": {"n": "2"},
    }


@pytest.mark.parametrize(
    "operation",
    [
        '{op: copy, from: "", path: /spec/a}',
        '{op: move, from: "", path: /spec/a}',
        '{op: copy, from: /spec, path: ""}',
        '{op: add, path: "", value: {}}',
        '{op: remove, path: ""}',
        "{op: add, path: spec, value: 1}",
    ],
)
def test_a_json_patch_copies_and_adds_no_whole_object(operation: str) -> None:
    with pytest.raises(KustomizeError, match="operation 1 of the JSON patch"):
        patched("{}", f"- {operation}\n")


def test_a_path_of_a_json_patch_begins_at_its_first_slash() -> None:
    assert patched("{}", "- {op: add, path: any/spec/a, value: x}\n") == {"a": "x"}


def test_a_text_of_a_json_patch_that_the_original_could_not_read_again_is_refused() -> None:
    with pytest.raises(KustomizeError, match="begins with a tab"):
        patched("{}", '- {op: add, path: /spec/a, value: "\\tx\\ny"}\n', "- {op: remove, path: /spec/a}\n")


def test_the_names_of_a_generated_cloud_account_are_filled_in_as_they_are() -> None:
    plugin = "{{apiVersion: builtin, kind: IAMPolicyGenerator, metadata: {{name: t}}, cloud: gke, {}}}"
    said = "serviceAccount: {name: sa, projectId: p}, kubernetesService: {name: 'run # it'}"
    (found,) = build(Tree({"kustomization.yaml": "generators: [g.yaml]\n", "g.yaml": plugin.format(said)}), "").objects
    assert found.content["metadata"]["name"] == "run"
