"""What a CustomResourceDefinition must be like, and what is filled in where it says nothing.

`Kinds` stands before the built-in kinds' strategies and takes the definitions out of their hands. Not checked: the
cost of CEL rules, defaults against their schema, and the rarer rules of structural schemas.
"""

from __future__ import annotations

import json
import re
from typing import Any

from windlass.devstack.apiserver import jsonpath, rules, rulesets, structural
from windlass.devstack.apiserver.crds import ID
from windlass.devstack.apiserver.errors import Fault
from windlass.devstack.apiserver.writing import Strategies

Object = dict[str, Any]
_TYPES = ("object", "array", "string", "integer", "number", "boolean")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


class Kinds:
    """Strategies that know CustomResourceDefinitions, and ask others for everything else."""

    def __init__(self, others: Strategies) -> None:
        self._others = others

    def apply_defaults(self, resource: str, obj: Object) -> Object:
        return _defaults(obj) if resource == ID else self._others.apply_defaults(resource, obj)

    def prepare_for_create(self, resource: str, obj: Object) -> Object:
        if resource != ID:
            return self._others.prepare_for_create(resource, obj)
        stored = [each["name"] for each in _versions(obj) if each.get("storage")]
        status = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}
        return {**obj, "metadata": {**obj["metadata"], "generation": 1}, "status": status}

    def prepare_for_update(self, resource: str, old: Object, new: Object, subresource: str = "") -> Object:
        if resource != ID:
            return self._others.prepare_for_update(resource, old, new, subresource)
        if subresource == "status":
            return rules.status_only(old, new)
        made = rules.keep_status(old, new)
        generation = old["metadata"].get("generation", 1) + (1 if rules.content_differs(old, made) else 0)
        return {**made, "metadata": {**made["metadata"], "generation": generation}}

    def validate(self, resource: str, obj: Object, old: Object | None, subresource: str = "") -> list[Any]:
        found = self._others.validate(resource, obj, old, subresource)
        return [*found, *check(obj, old)] if resource == ID else found

    def deletion_grace(self, resource: str, obj: Object, requested: int | None = None) -> int:
        return self._others.deletion_grace(resource, obj, requested)


def _versions(crd: Object) -> list[Object]:
    return [each for each in (crd.get("spec") or {}).get("versions") or [] if isinstance(each, dict)]


def _defaults(crd: Object) -> Object:
    spec = dict(crd.get("spec") or {})
    names = dict(spec.get("names") or {})
    kind = names.get("kind") or ""
    if kind and not names.get("singular"):
        names["singular"] = kind.lower()
    if kind and not names.get("listKind"):
        names["listKind"] = f"{kind}List"
    spec["names"] = names
    if not spec.get("conversion"):
        spec["conversion"] = {"strategy": "None"}
    if spec.get("preserveUnknownFields") is False:
        del spec["preserveUnknownFields"]
    return {**crd, "spec": spec}


def check(crd: Object, old: Object | None) -> list[Fault]:
    """What is wrong with a definition."""
    faults: list[Fault] = []
    spec = crd.get("spec") or {}
    names, group = spec.get("names") or {}, spec.get("group") or ""
    for field, value in (
        ("spec.group", group),
        ("spec.names.plural", names.get("plural")),
        ("spec.names.kind", names.get("kind")),
    ):
        if not value:
            faults.append(Fault("FieldValueRequired", "Required value", field))
    wanted = f"{names.get('plural', '')}.{group}"
    name = crd["metadata"].get("name")
    if name != wanted:
        words = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        faults.append(Fault("FieldValueInvalid", words, "metadata.name"))
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        words = f'Unsupported value: "{spec.get("scope", "")}": supported values: "Cluster", "Namespaced"'
        faults.append(Fault("FieldValueNotSupported", words, "spec.scope"))
    strategy = (spec.get("conversion") or {}).get("strategy")
    if strategy not in (None, "None"):
        words = f'Unsupported value: "{strategy}": supported values in this cluster: "None"'
        faults.append(Fault("FieldValueNotSupported", words, "spec.conversion.strategy"))
    plural = names.get("plural") or ""
    if plural and not _LABEL.fullmatch(plural):
        rule = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'"
        words = f'Invalid value: "{plural}": {rule}'
        faults.append(Fault("FieldValueInvalid", words, "spec.names.plural"))
    _check_versions(_versions(crd), faults)
    if old is not None:
        _check_immutable(spec, old["spec"], faults)
    return faults


def _check_versions(versions: list[Object], faults: list[Fault]) -> None:
    if not versions:
        faults.append(
            Fault(
                "FieldValueRequired",
                "Required value: must have exactly one version marked as storage version",
                "spec.versions",
            )
        )
        return
    if sum(1 for each in versions if each.get("storage")) != 1:
        words = f"Invalid value: {_as_go(versions)}: must have exactly one version marked as storage version"
        faults.append(Fault("FieldValueInvalid", words, "spec.versions"))
        if not any(each.get("storage") for each in versions):
            words = "Invalid value: null: must have at least one stored version"
            faults.append(Fault("FieldValueInvalid", words, "status.storedVersions"))
    for index, version in enumerate(versions):
        place = f"spec.versions[{index}]"
        # With one version the real server words its schema as that of all.
        root = "spec.validation.openAPIV3Schema" if len(versions) == 1 else f"{place}.schema.openAPIV3Schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if not isinstance(schema, dict):
            faults.append(
                Fault("FieldValueRequired", "Required value: schemas are required", f"{place}.schema.openAPIV3Schema")
            )
            continue
        _check_schema(schema, root, faults, root=True)
        for number, column in enumerate(version.get("additionalPrinterColumns") or []):
            _check_path(column.get("jsonPath") or "", f"{place}.additionalPrinterColumns[{number}].jsonPath", faults)


def _as_go(versions: list[Object]) -> str:
    """Versions as the real server prints its own form of them."""
    beside = ("Schema", "Subresources", "AdditionalPrinterColumns", "SelectableFields")
    shown = [
        {
            "Name": each.get("name", ""),
            "Served": bool(each.get("served")),
            "Storage": bool(each.get("storage")),
            "Deprecated": bool(each.get("deprecated")),
            "DeprecationWarning": each.get("deprecationWarning"),
            **dict.fromkeys(beside),
        }
        for each in versions
    ]
    return json.dumps(shown, separators=(",", ":"))


def _rule_as_go(rule: Object) -> str:
    names = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
    empty = {"reason": None, "optionalOldSelf": None}
    shown = {name[0].upper() + name[1:]: rule.get(name, empty.get(name, "")) for name in names}
    return json.dumps(shown, separators=(",", ":"))


def _check_path(path: str, field: str, faults: list[Fault]) -> None:
    try:
        jsonpath.compile_path(path)
    except ValueError as error:
        faults.append(Fault("FieldValueInvalid", f'Invalid value: "{path}": {error}', field))


def _check_schema(schema: Object, place: str, faults: list[Fault], *, root: bool = False) -> None:
    kind = schema.get("type")
    if root and kind != "object":
        words = f'Invalid value: "{kind or ""}": must be object at the root'
        faults.append(
            Fault(
                "FieldValueInvalid" if kind else "FieldValueRequired",
                words if kind else "Required value: must not be empty at the root",
                f"{place}.type",
            )
        )
    elif kind is not None and kind not in _TYPES:
        known = ", ".join(f'"{each}"' for each in sorted(_TYPES))
        faults.append(
            Fault("FieldValueNotSupported", f'Unsupported value: "{kind}": supported values: {known}', f"{place}.type")
        )
    elif not kind and not (
        schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        faults.append(
            Fault(
                "FieldValueRequired", "Required value: must not be empty for specified object fields", f"{place}.type"
            )
        )
    pattern = schema.get("pattern")
    if pattern:
        try:
            structural.compiled(pattern)
        except ValueError as error:
            faults.append(
                Fault(
                    "FieldValueInvalid",
                    f'Invalid value: "{pattern}": must be a valid regular expression, but isn\'t: {error}',
                    f"{place}.pattern",
                )
            )
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or []):
        why = rulesets.compile_error(rule, schema)
        if why:
            words = f"Invalid value: {_rule_as_go(rule)}: compilation failed: {why}"
            faults.append(Fault("FieldValueInvalid", words, f"{place}.x-kubernetes-validations[{index}].rule"))
    if kind == "array" and not isinstance(schema.get("items"), dict):
        faults.append(Fault("FieldValueRequired", "Required value: must be specified", f"{place}.items"))
    elif isinstance(schema.get("items"), dict):
        _check_schema(schema["items"], f"{place}.items", faults)
    if schema.get("properties") and isinstance(schema.get("additionalProperties"), dict):
        words = "Forbidden: additionalProperties and properties are mutual exclusive"
        faults.append(Fault("FieldValueForbidden", words, f"{place}.additionalProperties"))
    if isinstance(schema.get("additionalProperties"), dict):
        _check_schema(schema["additionalProperties"], f"{place}.additionalProperties", faults)
    for name, child in (schema.get("properties") or {}).items():
        if root and name in ("apiVersion", "kind", "metadata"):
            continue
        _check_schema(child, f"{place}.properties[{name}]", faults)


def _check_immutable(spec: Object, before: Object, faults: list[Fault]) -> None:
    for path in (("group",), ("scope",), ("names", "plural"), ("names", "kind")):
        now, then = spec, before
        for key in path:
            now, then = (now or {}).get(key), (then or {}).get(key)  # type: ignore[assignment]
        if now != then:
            words = f'Invalid value: "{now}": field is immutable'
            faults.append(Fault("FieldValueInvalid", words, "spec." + ".".join(path)))
