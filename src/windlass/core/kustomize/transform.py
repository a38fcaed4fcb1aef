"""The transformers that write one kind of value into fields: namespaces, prefixes and suffixes, labels, annotations,
images, replica counts.

Each function here makes a ``Run``: something that changes a collection. ``target`` makes them from a kustomization,
``plugins`` from the configuration of a built-in transformer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import re2

from windlass.core.kustomize.collection import Collection
from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.fieldspecs import MAPPING, FieldSpec, Making, apply, apply_all, entry, leaf
from windlass.core.kustomize.ids import Gvk, Id
from windlass.core.kustomize.kustomization import Image, Replica
from windlass.core.kustomize.nodes import (
    Node,
    Scalar,
    is_empty,
    is_null,
    kind_of,
    set_scalar,
    string,
    text_of,
    untagged,
)
from windlass.core.kustomize.resolve import INT, STR
from windlass.core.kustomize.resource import HELM_GENERATED, PREFIXES, SUFFIXES, Change, Resource

Run = Callable[[Collection], None]

_LEAF_TEXT: Final = Making(mapping=False, tag=STR)
_LEAF: Final = Making(mapping=False)
_LEAF_NUMBER: Final = Making(mapping=False, tag=INT)
_SUBJECT_MODES: Final = ("defaultOnly", "allServiceAccounts", "none")
_NEVER_RENAMED: Final = (
    Gvk("", "", "CustomResourceDefinition"),
    Gvk("apiregistration.k8s.io", "", "APIService"),
    Gvk("", "", "Namespace"),
)
_METADATA_NAMESPACE: Final = FieldSpec(Gvk(), "metadata/namespace", create=True)
_QUIET = re2.Options()
_QUIET.log_errors = False


def namespaces(
    namespace: str,
    specs: Sequence[FieldSpec],
    change: Change | None = None,
    *,
    unset_only: bool = False,
    subjects: str = "defaultOnly",
) -> Run:
    """Put every namespaced object, and the fields that name a namespace, into one."""
    subjects = subjects or "defaultOnly"
    if subjects not in _SUBJECT_MODES:
        raise KustomizeError(
            f"setRoleBindingSubjects is {shown(subjects, 40)}", hint=f"it is one of {', '.join(_SUBJECT_MODES)}"
        )

    def put(node: Node) -> None:
        if unset_only and not is_empty(node) and text_of(node):
            return
        set_scalar(node, string(namespace))

    def run(collection: Collection) -> None:
        if not namespace:
            return
        present = Counter(resource.id.key for resource in collection)
        for resource in collection:
            if resource.gone or resource.annotations().get(HELM_GENERATED) == "true":
                continue
            before = resource.id.key
            resource.store_previous_id()
            _put_namespace(resource, specs, put, subjects)
            after = resource.id
            resource.touched(change)
            present[before] -= 1
            present[after.key] += 1
            if present[after.key] != 1:
                raise KustomizeError(
                    f"two objects become {after.words()} by the namespace",
                    where=resource.where,
                    hint="give one of them another name",
                )

    return run


def _put_namespace(resource: Resource, specs: Sequence[FieldSpec], put: Callable[[Node], None], subjects: str) -> None:
    api_version, kind = resource.api_version, resource.kind
    if not resource.id.cluster_scoped:
        apply(resource, _METADATA_NAMESPACE, put, _LEAF)
    binding = kind in ("RoleBinding", "ClusterRoleBinding")
    if binding and subjects != "none":
        _put_subjects(resource, put, subjects)
    for spec in specs:
        if spec.path == "metadata/namespace" or (spec.path == "metadata/name" and api_version != "v1"):
            continue
        if binding and spec.path == "subjects/namespace" and spec.gvk.kind in ("RoleBinding", "ClusterRoleBinding"):
            continue
        apply(resource, spec, put, _LEAF_TEXT)


def _put_subjects(resource: Resource, put: Callable[[Node], None], subjects: str) -> None:
    found = resource.tree.get("subjects")
    if is_null(found):
        return
    if found.__class__ is not list:
        raise KustomizeError(f"subjects is {kind_of(found)}", where=resource.where, hint="write a list")
    field, wanted = ("name", "default") if subjects == "defaultOnly" else ("kind", "ServiceAccount")
    for subject in found:
        if is_null(subject):
            continue
        if subject.__class__ is not dict:
            raise KustomizeError(f"a subject is {kind_of(subject)}", where=resource.where, hint="write a mapping")
        value = subject.get(field)
        if is_null(value):
            continue
        if value.__class__ is not Scalar:
            raise KustomizeError(f"the {field} of a subject is {kind_of(value)}", where=resource.where)
        if value.text == wanted:
            if "namespace" not in subject:
                subject["namespace"] = untagged("")
            put(subject["namespace"])


def renames(text: str, specs: Sequence[FieldSpec], change: Change | None = None, *, prefix: bool) -> Run:
    """Put text before, or after, every name."""

    def write(node: Node) -> None:
        if node.__class__ is not Scalar:
            raise KustomizeError(f"a name is {kind_of(node)}")
        set_scalar(node, untagged(text + node.text if prefix else node.text + text))

    def run(collection: Collection) -> None:
        for resource in collection:
            first = resource.original_id.gvk
            if any(first.selected_by(each) for each in _NEVER_RENAMED):
                continue
            for spec in specs:
                if not first.selected_by(spec.gvk):
                    continue
                if spec.path == "metadata/name" and text:
                    resource.append_csv(PREFIXES if prefix else SUFFIXES, text)
                    resource.store_previous_id()
                apply(resource, spec, write, _LEAF_TEXT)
                resource.touched(change)

    return run


def entries(values: Mapping[str, str], specs: Sequence[FieldSpec], change: Change | None = None) -> Run:
    """Put labels, or annotations, into the mappings that the specs name. In one object, they share their leaves."""

    def run(collection: Collection) -> None:
        for resource in collection:
            for name in sorted(values):
                apply_all(resource, specs, entry(name, string(values[name])), MAPPING)
            if values:
                resource.touched(change)

    return run


@lru_cache(1024)
def _image_pattern(name: str) -> Any:
    """What an image of this name looks like, with or without tag and digest. A name may be a pattern."""
    pattern = "^" + name + r"(:[a-zA-Z0-9_.{}-]*)?(@[a-zA-Z0-9]+([.+_-][a-zA-Z0-9]+)*:[a-zA-Z0-9_.{}-]*)?$"
    try:
        return re2.compile(pattern, _QUIET)
    except re2.error:
        return None


def split_image(text: str) -> tuple[str, str, str]:
    """Name, tag and digest of an image."""
    slash = max(text.find("/"), 0)
    at, colon = text.find("@", slash), text.find(":", slash)
    if at >= 0 and (colon < 0 or at < colon):
        return text[:at], "", text[at + 1 :]
    if at >= 0:
        return text[:colon], text[colon + 1 : at], text[at + 1 :]
    if colon >= 0:
        return text[:colon], text[colon + 1 :], ""
    return text, "", ""


def new_image(text: str, image: Image) -> str:
    """An image with the name, tag and digest that ``image`` says."""
    name, tag, digest = split_image(text)
    name = image.new_name or name
    if image.new_tag or image.digest:
        tag, digest = image.new_tag, image.digest
    elif image.tag_suffix:
        tag, digest = tag + image.tag_suffix, ""
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def images(image: Image, specs: Sequence[FieldSpec], change: Change | None = None) -> Run:
    """Change one image everywhere: in all ``containers`` and ``initContainers``, and in the fields of the specs."""
    pattern = _image_pattern(image.name)

    def run(collection: Collection) -> None:
        for resource in collection:
            if resource.kind == "CustomResourceDefinition":
                continue
            met: list[Node] = []

            def put(node: Node, met: list[Node] = met) -> None:
                if node.__class__ is not Scalar:
                    raise KustomizeError(f"an image is {kind_of(node)}")
                if pattern is not None and pattern.search(node.text) is not None:
                    set_scalar(node, untagged(new_image(node.text, image)))
                    met.append(node)

            _in_containers(resource.tree, put, resource)
            apply_all(resource, specs, put)
            if met:
                resource.touched(change)

    return run


def _in_containers(node: Node, put: Callable[[Node], None], resource: Resource) -> None:
    if node.__class__ is dict:
        for name, value in list(node.items()):
            if value.__class__ is Scalar:
                continue
            _in_containers(value, put, resource)
            if name in ("containers", "initContainers") and value.__class__ is list:
                for container in value:
                    _in_container(container, put, resource)
    elif node.__class__ is list:
        for item in node:
            if item.__class__ is not Scalar:
                _in_containers(item, put, resource)


def _in_container(container: Node, put: Callable[[Node], None], resource: Resource) -> None:
    if is_null(container):
        return
    if container.__class__ is not dict:
        raise KustomizeError(f"a container is {kind_of(container)}", where=resource.where, hint="write a mapping")
    image = container.get("image")
    if image is not None:
        put(image)


def replicas(replica: Replica, specs: Sequence[FieldSpec], change: Change | None = None) -> Run:
    """Set the replica count of the workloads of one name. Raises ``KustomizeError`` where there are none."""

    def run(collection: Collection) -> None:
        found = False
        for spec in specs:

            def wanted(identity: Id, spec: FieldSpec = spec) -> bool:
                return identity.name == replica.name and identity.gvk.selected_by(spec.gvk)

            for resource in collection.by_any_id(replica.name, wanted):
                found = True
                apply(resource, spec, leaf(Scalar(INT, str(replica.count))), _LEAF_NUMBER)
                resource.touched(change)
        if not found:
            kinds = ", ".join(dict.fromkeys(spec.gvk.kind for spec in specs))
            raise KustomizeError(
                f"no workload is called {shown(replica.name, 60)} ({kinds})",
                hint="the name is that of the object's own file, or the present one",
            )

    return run


def label_everything(resource: Resource, name: str, value: str) -> None:
    """One label in the metadata of an object."""
    apply(resource, FieldSpec(Gvk(), "metadata/labels", create=True), entry(name, string(value)), MAPPING)
