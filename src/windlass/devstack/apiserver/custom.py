"""What custom resources ask of their objects, and where the shape of any kind comes from: the `CustomRules` of the
`Writer`.

Structural work is in ``structural.py``, CEL rules in ``rulesets.py``; this module puts them in the order of the real
server.
"""

from __future__ import annotations

from typing import Any

from windlass.core.manifests.schemas import DEDUCED, Schema, Schemas, schema_from_crd
from windlass.devstack.apiserver import rules, rulesets, structural
from windlass.devstack.apiserver.errors import Cause, Fault
from windlass.devstack.apiserver.registry import Resource

Object = dict[str, Any]
_BLOCKING = (
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
    "FieldValueNotSupported",
)
_UNCHECKED = (
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing "
    "errors to complete validation"
)


class Customs:
    """See the module's head. Shapes are made once per version of a CRD."""

    def __init__(self) -> None:
        self._shapes: dict[int, tuple[Object, Schema]] = {}
        self._builtin: dict[str, Schema] = {}

    def schema(self, resource: Resource) -> Schema:
        """The shape of a resource's objects, for merging and ownership."""
        if resource.custom is None:
            found = self._builtin.get(resource.id)
            if found is None:
                found = Schemas.builtin().kind(resource.api_version, resource.kind) or DEDUCED
                self._builtin[resource.id] = found
            return found
        source = resource.custom.schema
        kept = self._shapes.get(id(source))
        if kept is None or kept[0] is not source:
            kept = self._shapes[id(source)] = (source, schema_from_crd(source))
        return kept[1]

    def prune(self, resource: Resource, obj: Object) -> tuple[Object, list[str]]:
        """The object without unknown fields, and their paths."""
        assert resource.custom is not None
        made, unknown = structural.prune(obj, resource.custom.schema, root=True)
        return made, unknown

    def defaults(self, resource: Resource, obj: Object, *, applied: bool = False) -> Object:
        """The object pruned and with its defaults. Nulls that an apply left stay, for validation to refuse."""
        assert resource.custom is not None
        made, _ = structural.prune(obj, resource.custom.schema, root=True)
        filled: Object = structural.default(made, resource.custom.schema, root=True, drop=not applied)
        return filled

    def prepare(self, resource: Resource, old: Object | None, new: Object, subresource: str) -> Object:
        """The object with its generation, and with the part of it that this subresource may not write as it was."""
        status = "status" in resource.subresources
        if old is None:
            made = rules.without_status(new) if status else dict(new)
            return {**made, "metadata": {**made["metadata"], "generation": 1}}
        if subresource == "status":
            return rules.status_only(old, new, keep_metadata=True)
        made = rules.keep_status(old, new) if status else new
        generation = old["metadata"].get("generation", 1)
        changed = rules.content_differs(old, made) or (not status and old.get("status") != made.get("status"))
        return {**made, "metadata": {**made["metadata"], "generation": generation + (1 if changed else 0)}}

    def validate(self, resource: Resource, obj: Object, old: Object | None, subresource: str) -> list[Cause]:
        """What is wrong with the object by its schema and its rules. Rules are asked only where the schema is
        content.
        """
        assert resource.custom is not None
        schema = resource.custom.schema
        faults = structural.validate(obj, schema, root=True)
        if subresource == "status":  # the real server checks the status by itself, and words its paths from there
            faults = [
                Fault(
                    f.reason,
                    f.message.replace(f"{f.field} in body", f"{f.field.removeprefix('status.')} in body"),
                    f.field,
                )
                for f in faults
            ]
        faults += scale_faults(resource, obj, status_only=subresource == "status")
        causes: list[Cause] = list(faults)
        if not any(fault.reason in _BLOCKING for fault in faults):
            causes += rulesets.check(schema, obj, old)
        elif rulesets.has_rules(schema):
            causes.append(Fault("FieldValueInvalid", _UNCHECKED, "<nil>"))
        return causes


def scale_faults(resource: Resource, obj: Object, *, status_only: bool) -> list[Fault]:
    """Values at the paths of the scale subresource that are no numbers."""
    scale = resource.custom.scale if resource.custom is not None else None
    names = ("statusReplicasPath",) if status_only else ("specReplicasPath", "statusReplicasPath")
    found = []
    for path in (scale[name] for name in names) if scale else ():
        value: Any = obj
        parts = path.strip(".").split(".")
        for place, part in enumerate(parts):
            value = value.get(part)
            wanted: tuple[type, ...] = (dict,) if place < len(parts) - 1 else (int, float)
            if value is None or (isinstance(value, wanted) and not isinstance(value, bool)):
                if value is None:
                    break
                continue
            kinds = {
                str: "string",
                bool: "bool",
                int: "int64",
                float: "float64",
                list: "[]interface {}",
                dict: "map[string]interface {}",
            }
            need = "map[string]interface{}" if place < len(parts) - 1 else "int64"
            words = f"{path} accessor error: {value} is of the type {kinds[type(value)]}, expected {need}"
            found.append(Fault("FieldValueInvalid", f"Invalid value: 0: {words}", path))
            break
    return found
