"""Draws kustomization trees: several layers, all transformers mixed, odd scalars and strings, lists and patches.

Used by `test_drawn.py`, which gives each tree to the real kustomize and to ours. Names come from a small pool, so that
references, patches, merges and clashes meet something.
"""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import strategies as st

Tree = dict[str, bytes]
"""A path to what is in the file; the folder that is built is the root."""

NAMES = ["web", "settings", "store", "a", "web-2"]
NAMESPACES = ["shop", "other", "default"]
WORDS = [
    "a", "yes", "no", "on", "off", "y", "n", "true", "null", "~", "", "1", "01", "0x1F", "1e3", "1.10", "-1", ".5",
    "1_000", "2001-01-01", "1:30", "a: b", "a #b", "- a", "'", '"', "a\nb", "a\nb\n", "\n", "a\n\n", " a", "a ",
    "a\tb", "\ta\nb", "é", "😀", "日本", "{a}", "[a]", "*a", "&a", "!a", "%a", "@a", "`", "|", ">", "$(A)", "a\\b",
    "<<", "=", "?", ":", "-", "---", "x" * 100, "word " * 30, "# a\nb", " a\n b\n", "a\r\nb", "0o17", "+1", ".inf",
    "1.0", "12345678901234567890", "NULL", "True",
]  # fmt: skip
KEYS = ["a", "b-c", "d.e/f", "app", "tier", "team", "k_1", "Z"]
BIG = [0, 1, -1, 7, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
FLOATS = [0.5, 1.0, -2.25, 1e21, 1e-7, 123456.789, 1e20, 3.0e10]

texts = st.sampled_from(WORDS) | st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cc", "Cn")), max_size=12
)
scalars = texts | st.sampled_from(BIG) | st.sampled_from(FLOATS) | st.booleans() | st.none()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)
pairs = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["a", "b", "1", "true", "web", "x-y", ""]), max_size=3)
some_pairs = st.dictionaries(st.sampled_from(KEYS), texts, min_size=1, max_size=2)
names = st.sampled_from(NAMES)
images = st.sampled_from(
    ["web", "web:1", "registry.example:5000/shop/web:1.4.2", "proxy@sha256:" + "a" * 64, "web:1@sha256:" + "b" * 64, ""]
)


class World:
    """The ids that are in a tree already."""

    def __init__(self) -> None:
        self.taken: set[tuple[str, str, str]] = set()

    def take(self, key: tuple[str, str, str]) -> bool:
        """Whether it was free; it no longer is."""
        free = key not in self.taken
        self.taken.add(key)
        return free


def identity(given: dict[str, Any]) -> tuple[str, str, str]:
    """What an object is told apart by."""
    return given["kind"], given["metadata"]["name"], given["metadata"].get("namespace", "")


def optional(
    draw: st.DrawFn, into: dict[str, Any], key: str, strategy: st.SearchStrategy[Any], one_in: int = 2
) -> None:
    """Sets a key now and then."""
    if draw(st.integers(1, one_in)) == 1:
        into[key] = draw(strategy)


@st.composite
def environment(draw: st.DrawFn) -> dict[str, Any]:
    """One item of a container's `env`."""
    found: dict[str, Any] = {"name": draw(st.sampled_from(["A", "B", "C"]))}
    match draw(st.integers(0, 3)):
        case 0:
            found["value"] = draw(texts)
        case 1:
            found["valueFrom"] = {"configMapKeyRef": {"name": draw(names), "key": "a"}}
        case 2:
            found["valueFrom"] = {"secretKeyRef": {"name": draw(names), "key": "a"}}
    return found


@st.composite
def container(draw: st.DrawFn) -> dict[str, Any]:
    """A container."""
    found: dict[str, Any] = {"name": draw(names)}
    optional(draw, found, "image", images, 1)
    optional(draw, found, "env", st.lists(environment(), max_size=3))
    optional(draw, found, "args", st.lists(texts, max_size=3), 4)
    optional(draw, found, "envFrom", st.lists(names.map(lambda name: {"configMapRef": {"name": name}}), max_size=2), 3)
    port = st.fixed_dictionaries(
        {"containerPort": st.sampled_from([80, 443])},
        optional={"protocol": st.sampled_from(["TCP", "UDP"]), "name": st.sampled_from(["http", "dns"])},
    )
    optional(draw, found, "ports", st.lists(port, max_size=3), 3)
    return found


@st.composite
def pod(draw: st.DrawFn) -> dict[str, Any]:
    """A pod's spec."""
    found: dict[str, Any] = {"containers": draw(st.lists(container(), max_size=3, unique_by=lambda one: one["name"]))}
    optional(draw, found, "initContainers", st.lists(container(), max_size=1), 4)
    optional(draw, found, "serviceAccountName", names, 3)
    volume = st.one_of(
        st.builds(lambda v, name: {"name": v, "configMap": {"name": name}}, st.sampled_from(["v", "w"]), names),
        st.builds(lambda v, name: {"name": v, "secret": {"secretName": name}}, st.sampled_from(["v", "w"]), names),
        st.just({"name": "v", "emptyDir": {}}),
    )
    optional(draw, found, "volumes", st.lists(volume, max_size=2), 3)
    optional(draw, found, "nodeSelector", pairs, 4)
    optional(draw, found, "tolerations", st.lists(st.fixed_dictionaries({"key": names}), max_size=2), 5)
    return found


WORKLOADS = [("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"), ("batch/v1", "Job")]


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """An object without its metadata."""
    match draw(st.integers(0, 9)):
        case 0 | 1 | 2:
            version, kind = draw(st.sampled_from(WORKLOADS))
            spec: dict[str, Any] = {"template": {"metadata": {"labels": draw(pairs)}, "spec": draw(pod())}}
            optional(draw, spec, "selector", st.fixed_dictionaries({"matchLabels": pairs}))
            optional(draw, spec, "replicas", st.integers(0, 3))
            return {"apiVersion": version, "kind": kind, "spec": spec}
        case 3:
            spec = {}
            optional(draw, spec, "selector", pairs)
            port = st.fixed_dictionaries({"port": st.sampled_from([80, 443])}, optional={"name": names})
            optional(draw, spec, "ports", st.lists(port, max_size=2))
            return {"apiVersion": "v1", "kind": "Service", "spec": spec}
        case 4 | 5:
            data = draw(st.dictionaries(st.sampled_from(KEYS), texts, max_size=4))
            return {"apiVersion": "v1", "kind": "ConfigMap", "data": data}
        case 6:
            return {"apiVersion": "v1", "kind": "Secret", "stringData": draw(st.dictionaries(names, texts, max_size=2))}
        case 7:
            subject = st.builds(
                lambda kind, name, more: {"kind": kind, "name": name, **more},
                st.sampled_from(["ServiceAccount", "User"]),
                names | st.just("default"),
                st.sampled_from([{}, {"namespace": "shop"}, {"namespace": "other"}]),
            )
            role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": draw(names)}
            return {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": draw(st.sampled_from(["RoleBinding", "ClusterRoleBinding"])),
                "subjects": draw(st.lists(subject, max_size=3)),
                "roleRef": role,
            }
        case 8:
            kind = draw(st.sampled_from(["ServiceAccount", "Namespace"]))
            return {"apiVersion": "v1", "kind": kind}
        case _:
            return {"apiVersion": "shop.example/v1", "kind": "Basket", "spec": draw(values)}


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    """An object."""
    found = draw(bodies())
    metadata: dict[str, Any] = {"name": draw(names)}
    optional(draw, metadata, "namespace", st.sampled_from(NAMESPACES), 4)
    optional(draw, metadata, "labels", pairs, 3)
    optional(draw, metadata, "annotations", st.dictionaries(st.sampled_from(KEYS), texts, max_size=2), 4)
    return {"apiVersion": found.pop("apiVersion"), "kind": found.pop("kind"), "metadata": metadata, **found}


@st.composite
def written(draw: st.DrawFn, documents: list[Any]) -> bytes:
    """Values as YAML, in one of the ways in which people's tools write it."""
    text: str = yaml.safe_dump_all(
        documents,
        sort_keys=draw(st.booleans()),
        allow_unicode=draw(st.booleans()),
        default_flow_style=draw(st.sampled_from([False, False, None, True])),
        default_style=draw(st.sampled_from([None, None, None, '"', "'"])),
        width=draw(st.sampled_from([80, 40, 1000])),
        explicit_start=draw(st.booleans()),
    )
    return text.encode()


@st.composite
def generator(draw: st.DrawFn, kind: str, world: World) -> dict[str, Any]:
    """One item of a configMapGenerator or secretGenerator."""
    found: dict[str, Any] = {"name": draw(names)}
    literals = st.dictionaries(st.sampled_from(["a", "b", "c.d"]), texts, max_size=3)
    optional(draw, found, "literals", literals.map(lambda given: [f"{key}={value}" for key, value in given.items()]), 1)
    optional(draw, found, "files", st.sampled_from([["file.txt"], ["k=file.txt"], ["file.bin"]]), 3)
    optional(draw, found, "envs", st.just(["vars.env"]), 4)
    optional(draw, found, "namespace", st.sampled_from(NAMESPACES), 8)
    options: dict[str, Any] = {}
    optional(draw, options, "disableNameSuffixHash", st.booleans(), 3)
    optional(draw, options, "labels", some_pairs, 4)
    optional(draw, options, "annotations", some_pairs, 4)
    optional(draw, options, "immutable", st.booleans(), 5)
    if options:
        found["options"] = options
    key = (kind, found["name"], found.get("namespace", ""))
    if not world.take(key):
        found["behavior"] = draw(st.sampled_from(["merge", "replace"]))
    elif draw(st.integers(0, 9)) == 0:
        found["behavior"] = draw(st.sampled_from(["create", "create", "merge"]))
    return found


selectors = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["Deployment", "ConfigMap", "Service", "Basket", "Deployment|StatefulSet", ".*"]),
        "name": st.sampled_from(["web", "web.*", "settings", ".*"]),
        "namespace": st.sampled_from(["shop", "default", ""]),
        "labelSelector": st.sampled_from(["app=a", "app", "!app", "tier in (a, b)", "app!=a"]),
        "annotationSelector": st.sampled_from(["a", "!a"]),
        "version": st.sampled_from(["v1"]),
        "group": st.sampled_from(["apps", ""]),
    },
)
SAFE = [
    {"op": "add", "path": "/metadata/labels", "value": {"new": "1"}},
    {"op": "add", "path": "/metadata/annotations", "value": {"d.e/f": "yes", "b": "1"}},
    {"op": "add", "path": "/data", "value": {"k": "v", "l": "on"}},
    {"op": "add", "path": "/spec", "value": {"z": 1, "a": [1.5, None, "on"]}},
    {"op": "copy", "from": "/metadata", "path": "/copied"},
    {"op": "add", "path": "/metadata/annotations", "value": {}},
]
UNSAFE = [
    {"op": "add", "path": "/metadata/labels/d.e~1f", "value": "x"},
    {"op": "remove", "path": "/spec/replicas"},
    {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "new:1"},
    {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "last"}},
    {"op": "test", "path": "/spec/replicas", "value": 1},
    {"op": "copy", "from": "/metadata/name", "path": "/metadata/labels/named"},
    {"op": "move", "from": "/metadata/labels", "path": "/metadata/annotations"},
    {"op": "replace", "path": "/metadata/name", "value": "renamed"},
    {"op": "add", "path": "/metadata/namespace", "value": "moved"},
]
operations = st.lists(st.sampled_from(SAFE), min_size=1, max_size=3) | st.lists(
    st.sampled_from(SAFE * 2 + UNSAFE), min_size=1, max_size=3
)


@st.composite
def merge_patch(draw: st.DrawFn, known: list[dict[str, Any]]) -> dict[str, Any]:
    """A strategic merge patch, mostly of an object that is there."""
    target = draw(st.sampled_from(known)) if known and draw(st.integers(0, 19)) else draw(objects())
    found: dict[str, Any] = {"apiVersion": target["apiVersion"], "kind": target["kind"]}
    found["metadata"] = {key: target["metadata"][key] for key in ("name", "namespace") if key in target["metadata"]}
    if draw(st.integers(0, 15)) == 0:
        return {**found, "$patch": draw(st.sampled_from(["delete", "replace", "merge"]))}
    optional(draw, found["metadata"], "labels", pairs | st.none(), 3)
    optional(
        draw, found["metadata"], "annotations", st.dictionaries(st.sampled_from(KEYS), texts | st.none(), max_size=2), 3
    )
    other = draw(bodies())
    for key in ("spec", "data", "subjects", "stringData"):
        if key in target and draw(st.integers(0, 3)):
            same = target["kind"] == other["kind"]
            if same and key in other:
                found[key] = other[key]
            elif target["kind"] in dict(map(reversed, WORKLOADS)):  # type: ignore[arg-type]
                containers = draw(st.lists(container(), max_size=2))
                if containers and draw(st.integers(0, 5)) == 0:
                    containers[0]["$patch"] = "delete"
                found[key] = {"template": {"spec": {"containers": containers}}}
                optional(draw, found[key]["template"]["spec"], "nodeSelector", pairs | st.none(), 3)
                optional(draw, found[key], "replicas", st.sampled_from([None, 5]), 3)
            elif target["kind"] in ("Basket", "ConfigMap"):
                found[key] = draw(
                    st.dictionaries(st.sampled_from(KEYS), values if key == "spec" else texts, max_size=3)
                )
    return found


@st.composite
def patch(draw: st.DrawFn, known: list[dict[str, Any]]) -> dict[str, Any]:
    """One item of `patches`."""
    if draw(st.booleans()):
        many = [draw(merge_patch(known)) for _ in range(draw(st.sampled_from([1, 1, 1, 2])))]
        found: dict[str, Any] = {"patch": draw(written(many)).decode()}
        optional(draw, found, "target", selectors, 6 if len(many) == 1 else 20)
    else:
        given = draw(operations)
        text = json.dumps(given) if draw(st.booleans()) else yaml.safe_dump(given, default_flow_style=False)
        found = {"patch": text, "target": draw(selectors)}
    options: dict[str, bool] = {}
    optional(draw, options, "allowNameChange", st.booleans(), 6)
    optional(draw, options, "allowKindChange", st.booleans(), 6)
    if options:
        found["options"] = options
    return found


FIELDS = [
    "metadata.name", "metadata.namespace", "metadata.labels.app", "metadata.annotations.new", "data.a",
    "spec.replicas", "spec.template.spec.containers.0.image", "spec.template.spec.containers.*.image", "spec.a",
    "spec.template.spec.nodeSelector", "spec.template.spec.containers.[name=web].env.[name=A].value",
    "spec.template.spec.containers.[name=web].image",
]  # fmt: skip


@st.composite
def replacement(draw: st.DrawFn, known: list[dict[str, Any]]) -> dict[str, Any]:
    """One item of `replacements`."""
    options = st.fixed_dictionaries(
        {},
        optional={"delimiter": st.sampled_from([":", "/", "-"]), "index": st.integers(-1, 2), "create": st.just(True)},
    )
    target = draw(st.sampled_from(known))
    source: dict[str, Any] = {"kind": target["kind"], "name": target["metadata"]["name"]}
    optional(
        draw, source, "fieldPath", st.sampled_from(["metadata.name", "metadata.labels", "spec.a", "data.a", "kind"]), 3
    )
    optional(draw, source, "options", st.fixed_dictionaries({"delimiter": st.just("-"), "index": st.just(0)}), 5)
    targets = []
    for _ in range(draw(st.integers(1, 2))):
        aim: dict[str, Any] = {
            "select": draw(selectors),
            "fieldPaths": draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=2)),
        }
        optional(draw, aim, "options", options, 1)
        optional(draw, aim, "reject", st.lists(selectors, max_size=1), 5)
        targets.append(aim)
    return {"source": source, "targets": targets}


image_rules = st.builds(
    lambda name, more: {"name": name, **more},
    st.sampled_from(["web", "registry.example:5000/shop/web", "proxy", "w.b"]),
    st.fixed_dictionaries(
        {},
        optional={
            "newName": st.sampled_from(["other", "mirror.example/web"]),
            "newTag": st.sampled_from(["2", "v3", "1.10"]),
            "digest": st.just("sha256:" + "c" * 64),
            "tagSuffix": st.just("-x"),
        },
    ),
)
label_rules = st.builds(
    lambda given, more: {"pairs": given, **more},
    pairs,
    st.fixed_dictionaries({}, optional={"includeSelectors": st.booleans(), "includeTemplates": st.booleans()}),
)


BUILT_IN = st.one_of(
    st.builds(
        lambda kind, key, word, specs: {"kind": kind, key: word, "fieldSpecs": specs},
        st.just("PrefixTransformer"),
        st.just("prefix"),
        st.sampled_from(["t-", ""]),
        st.just([{"path": "metadata/name"}]),
    ),
    st.builds(
        lambda labels, specs: {"kind": "LabelTransformer", "labels": labels, "fieldSpecs": specs},
        some_pairs,
        st.sampled_from(
            [
                [{"path": "metadata/labels", "create": True}],
                [{"path": "spec/selector", "create": True, "kind": "Service"}, {"path": "metadata/labels"}],
                [{"path": "spec/template/metadata/labels", "group": "apps"}],
            ]
        ),
    ),
    st.builds(lambda marks: {"kind": "AnnotationsTransformer", "annotations": marks, "fieldSpecs": MARKED}, some_pairs),
    st.builds(
        lambda unset, subjects: {
            "kind": "NamespaceTransformer",
            "metadata": {"name": "t", "namespace": "moved"},
            "unsetOnly": unset,
            "setRoleBindingSubjects": subjects,
            "fieldSpecs": [{"path": "metadata/namespace", "create": True}],
        },
        st.booleans(),
        st.sampled_from(["defaultOnly", "allServiceAccounts", "none"]),
    ),
    st.builds(lambda rule: {"kind": "ImageTagTransformer", "imageTag": rule}, image_rules),
    st.builds(
        lambda rule, given: {"kind": "PatchTransformer", "target": rule, "patch": json.dumps(given)},
        selectors,
        operations,
    ),
)
MARKED = [{"path": "metadata/annotations", "create": True}]
CONFIGURED = st.fixed_dictionaries(
    {},
    optional={
        "nameReference": st.just(
            [{"kind": "ConfigMap", "version": "v1", "fieldSpecs": [{"path": "spec/a", "kind": "Basket"}]}]
        ),
        "namePrefix": st.just([{"path": "spec/b-c", "kind": "Basket"}]),
        "commonLabels": st.just([{"path": "spec/app", "kind": "Basket", "create": True}]),
        "images": st.just([{"path": "spec/a", "kind": "Basket"}]),
        "replicas": st.just([{"path": "spec/k_1", "kind": "Basket", "create": True}]),
        "varReference": st.just([{"path": "spec/a", "kind": "Basket"}, {"path": "data", "kind": "ConfigMap"}]),
    },
)


@st.composite
def variable(draw: st.DrawFn, known: list[dict[str, Any]]) -> dict[str, Any]:
    """One item of `vars`; the words hold `$(A)`."""
    target = draw(st.sampled_from(known))
    found: dict[str, Any] = {
        "name": draw(st.sampled_from(["A", "B"])),
        "objref": {"apiVersion": target["apiVersion"], "kind": target["kind"], "name": target["metadata"]["name"]},
    }
    if "namespace" in target["metadata"]:
        found["objref"]["namespace"] = target["metadata"]["namespace"]
    optional(
        draw, found, "fieldref", st.sampled_from([{"fieldpath": "metadata.name"}, {"fieldpath": "spec.replicas"}]), 3
    )
    return found


@st.composite
def kustomization(draw: st.DrawFn, known: list[dict[str, Any]], world: World) -> dict[str, Any]:
    """What a kustomization says besides its resources."""
    found: dict[str, Any] = {}
    optional(draw, found, "namePrefix", st.sampled_from(["p-", "q-", ""]), 4)
    optional(draw, found, "nameSuffix", st.sampled_from(["-s", "-t"]), 5)
    optional(draw, found, "namespace", st.sampled_from(NAMESPACES), 4)
    optional(draw, found, "labels", st.lists(label_rules, min_size=1, max_size=2), 4)
    optional(draw, found, "commonLabels", pairs, 6)
    optional(draw, found, "commonAnnotations", some_pairs, 6)
    optional(draw, found, "images", st.lists(image_rules, min_size=1, max_size=2), 4)
    optional(
        draw,
        found,
        "replicas",
        st.lists(st.fixed_dictionaries({"name": names, "count": st.integers(0, 9)}), max_size=1),
        12,
    )
    optional(draw, found, "patches", st.lists(patch(known), min_size=1, max_size=2), 3)
    optional(draw, found, "configMapGenerator", st.lists(generator("ConfigMap", world), min_size=1, max_size=2), 4)
    optional(draw, found, "secretGenerator", st.lists(generator("Secret", world), min_size=1, max_size=1), 6)
    plugin = BUILT_IN.map(lambda one: json.dumps({"apiVersion": "builtin", "metadata": {"name": "t"}, **one}))
    optional(draw, found, "transformers", st.lists(plugin, min_size=1, max_size=2), 8)
    if draw(st.integers(0, 9)) == 0:
        found["configurations"] = ["configuration.yaml"]
    if known and draw(st.integers(0, 9)) == 0:
        strategic = draw(written([draw(merge_patch(known))])).decode()
        found["patchesStrategicMerge"] = [strategic]
    if known:
        optional(draw, found, "vars", st.lists(variable(known), min_size=1, max_size=1), 10)
        optional(draw, found, "replacements", st.lists(replacement(known), min_size=1, max_size=1), 6)
    options = st.fixed_dictionaries({}, optional={"disableNameSuffixHash": st.booleans(), "labels": some_pairs})
    optional(draw, found, "generatorOptions", options, 8)
    optional(draw, found, "sortOptions", st.sampled_from([{"order": "legacy"}, {"order": "fifo"}]), 8)
    optional(
        draw,
        found,
        "buildMetadata",
        st.lists(st.sampled_from(["managedByLabel", "originAnnotations", "transformerAnnotations"]), max_size=2),
        10,
    )
    return found


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A tree of one to three layers, with a component now and then."""
    tree: Tree = {}
    known: list[dict[str, Any]] = []
    world = World()
    folders = draw(st.sampled_from([[""], [""], ["", "base/"], ["", "base/", "base/inner/"], ["", "one/", "two/"]]))
    for folder in reversed(folders):
        own = draw(st.lists(objects(), min_size=1 if folder or len(folders) == 1 else 0, max_size=3))
        own = [one for one in own if world.take(identity(one)) or draw(st.integers(0, 30)) == 0]
        resources: list[str] = []
        if own:
            tree[f"{folder}all.yaml"] = draw(written(own))
            resources.append("all.yaml")
        below = [
            one
            for one in folders
            if one != folder and one.startswith(folder) and one.removeprefix(folder).count("/") == 1
        ]
        resources += [one.removeprefix(folder).rstrip("/") for one in below]
        known = known + own
        content = {**draw(kustomization(known, world)), "resources": resources}
        content[draw(st.sampled_from(["resources", "resources", "resources", "bases"]))] = content.pop("resources")
        if not folder and draw(st.integers(0, 5)) == 0:
            component = {
                "apiVersion": "kustomize.config.k8s.io/v1alpha1",
                "kind": "Component",
                **draw(kustomization(known, world)),
            }
            tree["extra/kustomization.yaml"] = draw(written([component]))
            content["components"] = ["extra"]
        tree[f"{folder}kustomization.yaml"] = draw(written([content]))
    for folder in {*folders, "extra/"}:
        tree[f"{folder}configuration.yaml"] = json.dumps(draw(CONFIGURED)).encode()
        tree[f"{folder}file.txt"] = draw(texts).encode()
        tree[f"{folder}file.bin"] = b"\x00\xff\xfe"
        tree[f"{folder}vars.env"] = b"# c\nA=1\nB = two words \n\nC=\n"
    return tree
