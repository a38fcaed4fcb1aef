"""From documents to what is applied: names, namespaces, marks, order, digests, trace."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from memory import COMMIT, MemoryTree, bodies, config_map, rendered

from windlass.adapters.git.trace import Trace
from windlass.adapters.render.trace import touches
from windlass.core.model import Rendered


def dump(*objects: dict[str, Any]) -> str:
    return "---\n".join(yaml.safe_dump(one) for one in objects)


def summary(result: Rendered) -> list[tuple[Any, ...]]:
    return [(one.ref, one.digest, one.wave, one.tier) for one in result.objects]


def test_an_object_carries_label_origin_and_digest_and_nothing_else_is_touched() -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"a": "b"}},
        "spec": {"template": {"metadata": {"labels": {"app": "web"}}}},
    }
    result = rendered({"apps/web.yaml": dump(config_map("x"), deployment)}, path="apps")
    one = next(one for one in result.objects if one.ref.kind == "Deployment")
    body = msgspec.json.decode(one.body)
    assert body["metadata"] == {
        "name": "web",
        "namespace": "shop",
        "labels": {"a": "b", "windlass.dev/application": "team.shop"},
        "annotations": {
            "windlass.dev/applied": one.digest,
            "windlass.dev/origin": "config@last-apps/web.yaml:apps/web.yaml",
        },
    }
    assert body["spec"] == deployment["spec"]
    assert one.body == msgspec.json.encode(body, order="sorted")
    assert (one.origin.file, one.origin.line, one.origin.commit) == ("apps/web.yaml", 8, "last-apps/web.yaml")
    assert (result.commit, len(one.digest)) == (COMMIT, 20)


def test_the_digest_is_of_the_manifest_alone() -> None:
    first = rendered({"a.yaml": dump(config_map("x"))})
    moved = rendered({"b/c.yaml": dump(config_map("v"), config_map("x"))}, label="other.app")
    assert first.objects[0].digest == moved.objects[1].digest
    assert first.objects[0].body != moved.objects[1].body


def test_without_a_label_the_manifest_is_shown_as_it_is() -> None:
    (body,) = bodies(rendered({"a.yaml": dump(config_map("x"))}, label="", namespace=""))
    assert body == config_map("x")


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        ("v1", "ConfigMap", "shop"),
        ("v1", "Namespace", ""),
        ("rbac.authorization.k8s.io/v1", "ClusterRole", ""),
        ("autoscaling/v2beta2", "HorizontalPodAutoscaler", "shop"),
        ("windlass.dev/v1alpha1", "Installation", ""),
        ("example.com/v1", "Widget", ""),
        ("example.com/v1", "Gadget", "shop"),
        ("example.org/v1", "Known", ""),
        ("example.org/v1", "Unknown", "shop"),
    ],
)
def test_the_namespace_is_filled_in_where_the_kind_has_one(api_version: str, kind: str, expected: str) -> None:
    crds = [
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{word.lower()}s.example.com"},
            "spec": {"group": "example.com", "names": {"kind": word}, "scope": scope},
        }
        for word, scope in (("Widget", "Cluster"), ("Gadget", "Namespaced"))
    ]
    spec = {"name": "prod"} if kind == "Installation" else {}
    name = "windlass" if kind == "Installation" else "x"
    one = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}
    result = rendered({"a.yaml": dump(*crds, one)}, namespaced={"example.org/Known": False})
    assert (result.problems, result.invalid) == ([], [])
    (found,) = [each for each in result.objects if each.ref.kind == kind]
    assert found.ref.namespace == expected
    assert msgspec.json.decode(found.body)["metadata"].get("namespace", "") == expected


def test_a_namespace_of_its_own_stays_and_one_that_makes_no_sense_goes_with_a_warning() -> None:
    one = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "namespace": "w"}}
    result = rendered({"a.yaml": dump(config_map("x", namespace="there"), one)})
    assert [each.ref.namespace for each in result.objects] == ["", "there"]
    assert "belongs to no namespace" in result.warnings[0].what


def test_what_the_cluster_writes_is_left_out_with_a_warning() -> None:
    one = config_map("x", resourceVersion="1", uid="u", creationTimestamp=None, managedFields=[{"manager": "x"}])
    result = rendered({"a.yaml": dump({**one, "status": {"x": 1}})})
    assert bodies(result)[0].keys() == {"apiVersion", "kind", "metadata", "data"}
    assert bodies(result)[0]["metadata"].keys() == {"name", "namespace", "labels", "annotations"}
    assert [one.what for one in result.warnings] == [
        "ConfigMap/x: metadata.managedFields and resourceVersion and uid are written by the cluster and left out",
        "ConfigMap/x: status is written by the cluster and is left out",
    ]
    quiet = rendered({"a.yaml": dump({**config_map("x", creationTimestamp=None), "status": {}})})
    assert quiet.warnings == []


def test_nulls_are_left_out_but_those_of_custom_kinds_stay() -> None:
    custom = {
        "apiVersion": "example.com/v1",
        "kind": "Release",
        "metadata": {"name": "x", "labels": None},
        "values": {"a": None},
    }
    config = {**config_map("x"), "data": {"a": None, "b": "1"}}
    result = rendered({"a.yaml": dump(custom, config)})
    by_kind = {body["kind"]: body for body in bodies(result)}
    assert by_kind["Release"]["values"] == {"a": None}
    assert by_kind["ConfigMap"]["data"] == {"b": "1"}
    assert "a has no value" in result.warnings[0].what


def test_lists_are_taken_apart() -> None:
    plain = {"apiVersion": "v1", "kind": "List", "items": [config_map("a"), config_map("b")]}
    typed = {"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"metadata": {"name": "c"}}, config_map("d")]}
    nested = {"apiVersion": "v1", "kind": "List", "items": [plain | {"items": [config_map("e")]}]}
    own = {"apiVersion": "example.com/v1", "kind": "AllowList", "metadata": {"name": "f"}, "spec": {}}
    result = rendered(
        {"a.yaml": dump(plain, typed), "b.json": msgspec.json.encode(nested).decode(), "c.yaml": dump(own)}
    )
    assert result.problems == []
    assert sorted(one.ref.name for one in result.objects) == ["a", "b", "c", "d", "e", "f"]


def test_a_mistake_inside_a_list_has_its_line() -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n"
        "  metadata:\n    name: a\n  data:\n    x: 1\n"
    )
    (problem,) = rendered({"a.yaml": text}).problems
    assert (problem.line, problem.field) == (9, "data.x")


def test_waves_and_hooks_of_three_tools() -> None:
    def noted(name: str, **annotations: str) -> dict[str, Any]:
        return config_map(name, annotations={key.replace("_", "/"): value for key, value in annotations.items()})

    objects = [
        config_map("a", annotations={"argocd.argoproj.io/sync-wave": "5", "windlass.dev/wave": "-2"}),
        config_map("b", annotations={"argocd.argoproj.io/sync-wave": "3"}),
        config_map("c", annotations={"argocd.argoproj.io/hook": "PreSync", "windlass.dev/conflicts": "fail"}),
        config_map("d", annotations={"helm.sh/hook": "post-install,post-upgrade", "helm.sh/hook-weight": "-5"}),
        config_map("e", annotations={"windlass.dev/release": "true", "windlass.dev/drift": "alert"}),
        config_map("f", annotations={"windlass.dev/hook": "sync-failed"}),
    ]
    result = rendered({"a.yaml": dump(*objects)})
    assert result.invalid == []
    told = {one.ref.name: (one.wave, one.hook, one.conflicts, one.drift, one.release) for one in result.objects}
    assert told == {
        "a": (-2, "", "", "", False),
        "b": (3, "", "", "", False),
        "c": (0, "pre-sync", "fail", "", False),
        "d": (-5, "post-sync", "", "", False),
        "e": (0, "", "", "alert", True),
        "f": (0, "sync-failed", "", "", False),
    }
    assert [one.ref.name for one in result.objects] == ["d", "a", "c", "e", "f", "b"]


def test_namespaces_and_definitions_come_first() -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "z"}}
    result = rendered({"a.yaml": dump(config_map("a"), namespace)})
    assert [one.ref.kind for one in result.objects] == ["Namespace", "ConfigMap"]


def test_marks_copied_from_a_cluster_are_replaced() -> None:
    one = config_map("a", labels={"windlass.dev/application": "x.y"}, annotations={"windlass.dev/applied": "old"})
    (body,) = bodies(rendered({"a.yaml": dump(one)}))
    assert body["metadata"]["labels"]["windlass.dev/application"] == "team.shop"
    assert body["metadata"]["annotations"]["windlass.dev/applied"] != "old"
    forged = {"windlass.dev/adopted": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    result = rendered({"a.yaml": dump(config_map("a", annotations=forged))})
    assert set(bodies(result)[0]["metadata"]["annotations"]) == {"windlass.dev/applied", "windlass.dev/origin"}
    assert "came from a cluster and are left out" in result.warnings[0].what


OBJECTS = st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1, max_size=8).map(
    lambda names: [config_map(name, annotations={"windlass.dev/wave": str(ord(name) % 3)}) for name in names]
)


@given(OBJECTS, st.data())
def test_how_objects_are_split_into_files_does_not_matter(objects: list[dict[str, Any]], data: st.DataObject) -> None:
    whole = rendered({"all.yaml": dump(*objects)})
    files: dict[str, list[dict[str, Any]]] = {}
    for one in objects:
        files.setdefault(data.draw(st.sampled_from(["a.yaml", "b/c.yaml", "z.yml", "list.yaml"])), []).append(one)
    split = {
        path: dump({"apiVersion": "v1", "kind": "List", "items": inside}) if path == "list.yaml" else dump(*inside)
        for path, inside in files.items()
    }
    assert summary(rendered(split)) == summary(whole)


FILES = {
    "apps/shop/a.yaml": dump(config_map("a")),
    "apps/shop/sub/b.yaml": dump(config_map("b")),
    "apps/shop/readme.md": "x",
    "apps/blog/c.yaml": dump(config_map("c")),
    "top.md": "x",
}


@pytest.mark.parametrize(
    ("path", "text", "touched"),
    [
        ("apps/shop/a.yaml", dump(config_map("x")), True),
        ("apps/shop/a.yaml", None, True),
        ("apps/shop/sub/b.yaml", dump(config_map("x")), True),
        ("apps/shop/new.yaml", dump(config_map("x")), True),
        ("apps/shop/new/deep/new.yaml", dump(config_map("x")), True),
        ("apps/blog/c.yaml", dump(config_map("x")), False),
        ("apps/blog/new.yaml", dump(config_map("x")), False),
        ("top.md", None, False),
        ("apps/shop", "a file now", True),
    ],
)
def test_a_trace_holds_until_something_that_was_read_changes(path: str, text: str | None, touched: bool) -> None:
    read = rendered(FILES, path="apps/shop").read
    after = {name: old for name, old in FILES.items() if name != path and not name.startswith(f"{path}/")}
    if text is not None:
        after[path] = text
    changed = [name for name in FILES | after if FILES.get(name) != after.get(name)]
    assert touches(changed).isdisjoint(read) is not touched
    assert Trace(read).holds(MemoryTree(after)) is not touched


@given(
    st.dictionaries(st.sampled_from(["s/a.yaml", "s/b/c.yaml", "s/d.yaml", "t/a.yaml", "u.md"]), st.sampled_from("uvx"))
)
def test_where_a_trace_holds_the_render_is_the_same(after: dict[str, str]) -> None:
    before = {"s/a.yaml": dump(config_map("x")), "s/b/c.yaml": dump(config_map("v")), "t/a.yaml": "{"}
    now = {path: dump(config_map(name)) for path, name in after.items()}
    first, second = rendered(before, path="s"), rendered(now, path="s")
    changed = [name for name in before | now if before.get(name) != now.get(name)]
    if touches(changed).isdisjoint(first.read):
        assert Trace(first.read).holds(MemoryTree(now))
        assert summary(first) == summary(second)
    if Trace(first.read).holds(MemoryTree(now)):
        assert summary(first) == summary(second)


def test_a_missing_folder_is_in_the_trace() -> None:
    read = rendered({"a.yaml": "{"}, path="not/there").read
    assert not touches(["not/there/a.yaml"]).isdisjoint(read)
    assert not Trace(read).holds(MemoryTree({"not/there/a.yaml": "x"}))
    assert Trace(read).holds(MemoryTree({"b.yaml": "x"}))
