"""Bad manifests of every sort: each refused with a clear word, its line and the mend; no secret shows; others go on."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory import bodies, rendered

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels:
    app: web
spec:
  {spec}
  selector:
    matchLabels: {{app: web}}
  template:
    metadata:
      labels: {{app: web}}
    spec:
      containers:
        - name: web
          image: nginx
          {container}
"""


def deployment(spec: str = "replicas: 1", container: str = "args: []") -> str:
    return DEPLOYMENT.format(spec=spec, container=container)


def config(metadata: str = "name: a", rest: str = "") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  {metadata}\n{rest}"


# (name, text, what, line, hint, slug): nothing of such a render is applied
PROBLEMS = [
    (
        "a word",
        deployment('replicas: "three"'),
        'replicas must be an integer, not "three"',
        8,
        "replicas: 3",
        "wrong-type",
    ),
    ("digits", deployment('replicas: "3"'), 'replicas must be an integer, not "3"', 8, "replicas: 3", "wrong-type"),
    ("a half", deployment("replicas: 1.5"), "replicas must be an integer, not 1.5", 8, "replicas: 2", "wrong-type"),
    ("a yes", deployment("replicas: yes"), "replicas must be an integer, not true", 8, "replicas: 1", "wrong-type"),
    (
        "32 bits",
        deployment("replicas: 4294967297"),
        "replicas must be an integer of 32 bits, not 4294967297",
        8,
        "replicas: 1",
        "wrong-type",
    ),
    (
        "no bits enough",
        deployment("replicas: 123456789012345678901234567890"),
        "replicas must be an integer of 32 bits, not 1.2345678901234568e+29",
        8,
        "replicas: 1",
        "wrong-type",
    ),
    (
        "a word that means true",
        deployment(container="env: [{name: DEBUG, value: yes}]"),
        "value must be a string, not true",
        18,
        'value: "yes"',
        "wrong-type",
    ),
    (
        "a version",
        deployment(container="env: [{name: VERSION, value: 1.10}]"),
        "value must be a string, not 1.1",
        18,
        'value: "1.10"',
        "wrong-type",
    ),
    ("paused", deployment('paused: "yes"'), 'paused must be true or false, not "yes"', 8, "paused: true", "wrong-type"),
    ("arg", deployment(container="args: [1]"), "args[0] must be a string, not 1", 18, '- "1"', "wrong-type"),
    ("args", deployment(container="args: --x"), 'args must be a list, not "--x"', 18, "args: [...]", "wrong-type"),
    (
        "env",
        deployment(container="env: [{name: PORT, value: 8080}]"),
        "value must be a string, not 8080",
        18,
        'value: "8080"',
        "wrong-type",
    ),
    (
        "quantity",
        deployment(container="resources: {limits: {memory: 512MB}}"),
        'memory must be a quantity such as 500m, 2 or 128Mi, not "512MB"',
        18,
        "memory: 512M",
        "wrong-type",
    ),
    (
        "null item",
        deployment(container="env: [null]"),
        "env[0] must be an object, not nothing",
        18,
        "fields below it",
        "wrong-type",
    ),
    (
        "no object",
        "replicas: 3\nimage: nginx\n",
        "this is not a Kubernetes object",
        1,
        'source.exclude: ["a.yaml"]',
        "bad-manifest",
    ),
    ("text", "just words\n", "this is not a Kubernetes object", 1, "source.exclude", "bad-manifest"),
    ("no kind", "apiVersion: v1\nmetadata: {name: a}\n", "kind is missing", 1, "kind: Deployment", "bad-manifest"),
    (
        "no version",
        "kind: Deployment\nmetadata: {name: a}\n",
        "apiVersion is missing",
        1,
        "apiVersion: apps/v1",
        "bad-manifest",
    ),
    (
        "odd version",
        "apiVersion: 1\nkind: ConfigMap\nmetadata: {name: a}\n",
        "apiVersion must be <group>/<version>",
        1,
        "apiVersion: v1",
        "bad-manifest",
    ),
    (
        "no metadata",
        "apiVersion: v1\nkind: ConfigMap\n",
        "metadata is missing",
        1,
        "name: my-configmap",
        "bad-manifest",
    ),
    ("no name", config("labels: {}"), "metadata.name is missing", 3, "name: my-configmap", "bad-manifest"),
    (
        "generated",
        config("generateName: a-"),
        "metadata.generateName would make a new object",
        4,
        "name: a ",
        "bad-manifest",
    ),
    ("number", config("name: 12"), "metadata.name must be a string, not 12", 4, 'name: "12"', "wrong-type"),
    ("capitals", config("name: My_App"), "metadata.name must be lower-case letters", 4, "name: my-app", "bad-manifest"),
    ("slash", config("name: ../a"), "metadata.name must be lower-case letters", 4, "name: ", "bad-manifest"),
    (
        "namespace",
        config("{name: a, namespace: A.b}"),
        "metadata.namespace must be lower-case",
        4,
        "namespace: a-b",
        "bad-manifest",
    ),
    (
        "namespace number",
        config("{name: a, namespace: 1}"),
        "metadata.namespace must be a string, not 1",
        4,
        '"1"',
        "wrong-type",
    ),
    ("data", config(rest="data:\n  port: 80\n"), "port must be a string, not 80", 6, 'port: "80"', "wrong-type"),
    (
        "list",
        "apiVersion: v1\nkind: List\nitems: {}\n",
        "items of a List must be a list",
        1,
        "items: [...]",
        "bad-manifest",
    ),
    (
        "sops",
        config(rest="data: {a: ENC}\nsops: {mac: x}\n"),
        "encrypted with SOPS",
        6,
        "decrypt: {secret: sops-age}",
        "not-decrypted",
    ),
    (
        "kustomize",
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nmetadata: {name: a}\n",
        "a Kustomization is read by kustomize",
        2,
        "source.exclude",
        "not-plain",
    ),
    (
        "duplicate key",
        config(rest="data:\n  a: x\n  a: y\n"),
        'the key "a" is set twice, in lines 6 and 7',
        7,
        "take out",
        "duplicate-key",
    ),
    ("tag", config(rest="data: !!python/object:os.system {}\n"), "the tag", 5, "quotes", "bad-document"),
    ("tab", config(rest="data:\n\ta: x\n"), "this is not YAML", 6, "not tabs", "bad-document"),
    (
        "lfs",
        "version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
        "Git LFS pointer",
        0,
        "take it out of LFS",
        "bad-path",
    ),
    (
        "twice",
        f"{config()}---\n{config()}",
        "ConfigMap/shop/a is written twice, in a.yaml:1 and a.yaml:6",
        6,
        "take one",
        "duplicate-object",
    ),
    ("utf-16", config().encode("utf-16"), "the file is UTF-16", 1, "UTF-8", "bad-document"),
    ("depth", "a: " + "[" * 3000, "", 1, "", "document-too-large"),
]


@pytest.mark.parametrize(
    ("text", "what", "line", "hint", "slug"), [one[1:] for one in PROBLEMS], ids=[one[0] for one in PROBLEMS]
)
def test_it_is_refused_with_its_line_and_the_mend(
    text: str | bytes, what: str, line: int, hint: str, slug: str
) -> None:
    result = rendered({"a.yaml": text, "b.yaml": config("name: other")})
    assert result.objects == []
    assert len(result.problems) == 1, result.problems
    problem = result.problems[0]
    assert what in problem.what
    assert (problem.file, problem.line, problem.slug) == ("a.yaml", line, slug)
    assert hint in problem.hint


# (name, metadata of a ConfigMap, what, line, hint): only that object is left out
INVALID = [
    ("number", "{name: a, annotations: {x: 80}}", "the annotation x must be a string, not 80", 4, 'x: "80"'),
    ("bool", "{name: a, annotations: {x/y: true}}", "the annotation x/y must be a string, not true", 4, 'x/y: "true"'),
    ("list", "{name: a, labels: []}", "metadata.labels must be an object, not a list", 4, "labels: {"),
    ("label", "{name: a, labels: {version: 1.2}}", "the label version must be a string, not 1.2", 4, 'version: "1.2"'),
    ("value", "{name: a, labels: {a: 'x y'}}", "the value of the label a must be at most 63", 4, "a: x-y"),
    ("key", "{name: a, labels: {'a b': x}}", 'the label "a b" is no name', 4, "app.example.com/name"),
    (
        "wave",
        "{name: a, annotations: {windlass.dev/wave: first}}",
        'windlass.dev/wave must be an integer, not "first"',
        4,
        '"1"',
    ),
    ("argo", "{name: a, annotations: {argocd.argoproj.io/sync-wave: 1.5x}}", "sync-wave must be an integer", 4, '"1"'),
    ("drift", "{name: a, annotations: {windlass.dev/drift: adopt}}", "must be revert or alert", 4, '"revert"'),
    ("conflicts", "{name: a, annotations: {windlass.dev/conflicts: x}}", "must be take or fail", 4, '"take"'),
    ("prune", "{name: a, annotations: {windlass.dev/prune: 'no'}}", "must be true or false", 4, '"true"'),
    ("hook", "{name: a, annotations: {windlass.dev/hook: PreSync}}", "must be pre-sync or post-sync", 4, '"pre-sync"'),
    (
        "argo hook",
        "{name: a, annotations: {argocd.argoproj.io/hook: Before}}",
        "must be PreSync or Sync",
        4,
        '"PreSync"',
    ),
    ("helm hook", "{name: a, annotations: {helm.sh/hook: before}}", "must be pre-install or", 4, '"pre-install"'),
    ("helm weight", "{name: a, annotations: {helm.sh/hook: test, helm.sh/hook-weight: x}}", "an integer", 4, '"1"'),
    (
        "typing error",
        "{name: a, annotations: {windlass.dev/wav: '1'}}",
        "windlass.dev/wav is not known",
        4,
        "did you mean windlass.dev/wave?",
    ),
]


@pytest.mark.parametrize(
    ("metadata", "what", "line", "hint"), [one[1:] for one in INVALID], ids=[one[0] for one in INVALID]
)
def test_a_poison_object_is_left_out_and_the_others_go_on(metadata: str, what: str, line: int, hint: str) -> None:
    result = rendered({"a.yaml": config(metadata), "b.yaml": config("name: other")})
    assert result.problems == []
    assert [one.ref.name for one in result.objects] == ["other"]
    (invalid,) = result.invalid
    assert what in invalid.what
    assert hint in invalid.hint
    assert (invalid.file, invalid.line) == ("a.yaml", line)
    assert invalid.ref is not None
    assert (invalid.ref.kind, invalid.ref.name) == ("ConfigMap", "a")


def test_a_wrong_application_in_git_stops_itself_alone() -> None:
    text = """\
apiVersion: windlass.dev/v1alpha1
kind: Application
metadata: {name: shop, namespace: team}
spec:
  source: {repository: config}
  sync:
    retry:
      backoff: 5 minutes
"""
    result = rendered({"a.yaml": text, "b.yaml": config("name: other")})
    assert [one.ref.name for one in result.objects] == ["other"]
    (invalid,) = result.invalid
    assert invalid.what == 'spec.sync.retry.backoff must be a duration such as 30s, 5m or 2h, not "5 minutes"'
    assert (invalid.file, invalid.line, invalid.field, invalid.slug) == (
        "a.yaml",
        8,
        "spec.sync.retry.backoff",
        "bad-spec",
    )


def test_the_error_of_the_looks() -> None:
    text = f"# the shop\n\n{deployment('revisionHistoryLimit: 3')}"
    text = text.replace(
        "  selector:",
        '  # scaled by hand once\n  minReadySeconds: 1\n  paused: false\n  replicas: "three"\n  selector:',
    )
    result = rendered({"apps/shop/web.yaml": text}, path="apps/shop")
    (problem,) = result.problems
    lines = [
        f"error: {problem.what}",
        f"   at  {problem.file}:{problem.line}",
        f"  mend {problem.hint}",
        f"#{problem.slug}",
    ]
    assert lines == [
        'error: replicas must be an integer, not "three"',
        "   at  apps/shop/web.yaml:14",
        "  mend replicas: 3",
        "#wrong-type",
    ]
    assert problem.field == "spec.replicas"


def test_the_field_names_the_container() -> None:
    (problem,) = rendered({"a.yaml": deployment(container="image: 1")}).problems[:1] or [None]
    assert problem is not None
    text = deployment(container="stdin: 5")
    (problem,) = rendered({"a.yaml": text}).problems
    assert problem.field == "spec.template.spec.containers[name=web].stdin"


@pytest.mark.parametrize("word", ["data", "stringData"])
def test_no_value_of_a_secret_is_told(word: str) -> None:
    text = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a, labels: {pin: 5544}}\n"
        f"{word}:\n  pin: 5544\n  key: hunter2!\n"
    )
    for changed in (
        text,
        text.replace(", labels: {pin: 5544}", ""),
        text.replace("pin: 5544}", "pin: x}").replace("pin: 5544", "pin: MTI="),
    ):
        result = rendered({"a.yaml": changed})
        told = repr([*result.problems, *result.invalid, *result.warnings])
        assert "5544" not in told
        assert "hunter2" not in told


def test_all_mistakes_are_told_at_once() -> None:
    result = rendered({"a.yaml": deployment('replicas: "two"', "stdin: 1"), "b.yaml": "x: 1\n", "c.yaml": "a: [\n"})
    assert [(one.file, one.line) for one in result.problems][:3] == [("a.yaml", 8), ("a.yaml", 18), ("b.yaml", 1)]
    assert result.problems[3].file == "c.yaml"


def test_many_mistakes_are_counted() -> None:
    text = "---\n".join(config(f"name: a{number}", f"data: {{x: {number}}}\n") for number in range(150))
    result = rendered({"a.yaml": text})
    assert len(result.problems) == 101
    assert result.problems[-1].what == "50 more problems"


def test_an_alias_bomb_is_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 12)]
    (problem,) = rendered({"a.yaml": "\n".join(lines)}).problems
    assert problem.slug == "document-too-large"


def test_right_types_in_every_form_are_taken() -> None:
    text = deployment(
        "replicas: 2",
        "ports: [{containerPort: 80}]\n          livenessProbe: {httpGet: {port: http}}\n"
        "          readinessProbe: {httpGet: {port: 80}}\n"
        "          resources: {limits: {cpu: 1, memory: 1.5Gi}, requests: {cpu: 0.5, memory: 1e3}}",
    )
    result = rendered({"a.yaml": text})
    assert (result.problems, result.invalid, result.warnings) == ([], [], [])
    assert len(result.objects) == 1


def test_unknown_fields_are_left_to_the_server() -> None:
    result = rendered({"a.yaml": deployment("replica: 2")})
    assert result.problems == []
    assert bodies(result)[0]["spec"]["replica"] == 2


def test_a_secret_is_applied_in_one_form() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: eA==, b: eQ==}\nstringData: {b: z}\n"
    result = rendered({"a.yaml": text}, digest_key=b"k")
    (body,) = bodies(result)
    assert body["data"] == {"a": "eA==", "b": base64.b64encode(b"z").decode()}
    assert "stringData" not in body
    assert result.objects[0].digest != rendered({"a.yaml": text}, digest_key=b"other").objects[0].digest


def test_what_is_not_base64_is_told() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  password: hunter2!\n"
    (problem,) = rendered({"a.yaml": text}).problems
    assert (problem.what, problem.line) == ("data.password of a Secret must be base64", 5)
    assert "stringData" in problem.hint


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from(
    [
        *("ConfigMap", "Secret", "Deployment", "Service", "List", "ConfigMapList", "Namespace", "Application"),
        *("Widget", "Kustomization", "CustomResourceDefinition", "RoleBinding"),
    ]
)
VERSIONS = st.sampled_from(
    [
        *("v1", "apps/v1", "windlass.dev/v1alpha1", "example.com/v1", "apiextensions.k8s.io/v1"),
        *("rbac.authorization.k8s.io/v1", "kustomize.config.k8s.io/v1"),
    ]
)
METADATA = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b"]) | ODD},
    optional={
        "namespace": st.just("there") | ODD,
        "labels": st.dictionaries(st.sampled_from(["a", "b/c", " "]), ODD, max_size=2) | ODD,
        "annotations": st.dictionaries(st.sampled_from(["windlass.dev/wave", "helm.sh/hook", "x"]), ODD) | ODD,
        "uid": ODD,
    },
)
MANIFESTS = st.fixed_dictionaries(
    {},
    optional={
        "apiVersion": VERSIONS | ODD,
        "kind": KINDS | ODD,
        "metadata": METADATA | ODD,
        "spec": ODD,
        "data": ODD,
        "stringData": ODD,
        "items": ODD,
        "status": ODD,
        "sops": ODD,
    },
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(MANIFESTS, min_size=1, max_size=3), ODD)
def test_whatever_is_in_a_file_it_is_applied_or_told(manifests: list[dict[str, Any]], kustomization: Any) -> None:
    files = {f"{number}.json": json.dumps(one) for number, one in enumerate(manifests)}
    files["below/kustomization.yaml"] = json.dumps({"resources": kustomization})
    result = rendered(files)
    for problem in (*result.problems, *result.invalid):
        assert problem.what
        assert problem.hint
    for one in result.objects:
        body = msgspec.json.decode(one.body)
        assert body["metadata"]["name"] == one.ref.name
        assert (body["apiVersion"], body["kind"]) == (one.api_version, one.ref.kind)
