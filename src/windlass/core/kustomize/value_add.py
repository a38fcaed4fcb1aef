"""The built-in ``ValueAddTransformer``: one value, such as a project's name, put into fields or into paths in them."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.core.kustomize.collection import Collection
from windlass.core.kustomize.errors import KustomizeError
from windlass.core.kustomize.fieldspecs import FieldSpec, Making, apply
from windlass.core.kustomize.ids import Gvk
from windlass.core.kustomize.kustomization import Base, Selector
from windlass.core.kustomize.nodes import Node, Scalar, key, kind_of, set_scalar, string, untagged
from windlass.core.kustomize.resource import Resource
from windlass.core.kustomize.transform import Run


class ValueTarget(Base):
    """Where the value goes: the objects, the field, and the place in a path that the field holds."""

    selector: Selector | None = None
    field_path: str = ""
    file_path_position: int = 0


def value_add(value: str, targets: Sequence[ValueTarget]) -> Run:
    """Put ``value`` into the fields of the targets, which are made where they are missing."""
    if not targets:
        raise KustomizeError("there are no targets", hint="write targets with a fieldPath")
    for target in targets:
        if not target.field_path:
            raise KustomizeError("a target has no fieldPath", hint="write fieldPath: spec/field")
        if target.file_path_position < 0:
            raise KustomizeError("filePathPosition is negative", hint="count from 1")

    def run(collection: Collection) -> None:
        for target in targets:
            chosen = collection.items if target.selector is None else collection.select(target.selector)
            for resource in list(chosen):
                _add(resource, target, value)

    return run


def _add(resource: Resource, target: ValueTarget, value: str) -> None:
    if target.field_path == "metadata/namespace":
        if not resource.id.cluster_scoped:
            spec = FieldSpec(Gvk(), target.field_path, create=True)
            apply(resource, spec, lambda node: set_scalar(node, string(value)), Making(mapping=False))
        return
    node: Node = resource.tree
    parts = _split(target.field_path)
    for place, part in enumerate(parts):
        if node.__class__ is not dict:
            raise KustomizeError(f"{target.field_path} goes through {kind_of(node)}", where=resource.where)
        last = place == len(parts) - 1
        if part not in node:
            node[key(part)] = untagged("") if last else {}
        node = node[part]
    if node.__class__ is not Scalar:
        raise KustomizeError(f"{target.field_path} is {kind_of(node)}", where=resource.where)
    position = target.file_path_position
    set_scalar(node, untagged(_inserted(node.text, position - 1, value) if position > 0 else value))


def _split(path: str) -> list[str]:
    """A path at its slashes; a backslash before one keeps it. Empty parts count for nothing."""
    out: list[str] = []
    for part in path.split("/"):
        if out and out[-1].endswith("\\"):
            out[-1] = out[-1][:-1] + "/" + part
        else:
            out.append(part)
    return [part.strip() for part in out if part.strip()]


def _inserted(path: str, place: int, value: str) -> str:
    """``value`` as one more part of a path."""
    absolute = path.startswith("/")
    parts = [part for part in path.split("/") if part]
    parts.insert(min(place, len(parts)), value)
    return ("/" if absolute else "") + "/".join(parts)
