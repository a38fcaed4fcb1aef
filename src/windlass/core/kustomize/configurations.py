"""Which fields each transformer writes to: the defaults, what files under ``configurations`` add, and what the OpenAPI
definitions under ``crds`` add.

Used by ``target``, which collects them on the way up from the bases. Values are never changed in place: most
kustomizations use the defaults as they are, and then all share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from windlass.core.kustomize.default_specs import FIELDS, REFERENCES
from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.fieldspecs import FieldSpec
from windlass.core.kustomize.ids import Gvk
from windlass.core.kustomize.kustomization import NO_ITEMS, Base, Spec, decode, field_name
from windlass.errors import Where

Specs = tuple[FieldSpec, ...]

_FIRST_KINDS: Final = (
    "Namespace ResourceQuota StorageClass CustomResourceDefinition ServiceAccount PodSecurityPolicy Role ClusterRole "
    "RoleBinding ClusterRoleBinding ConfigMap Secret Endpoints Service LimitRange PriorityClass PersistentVolume "
    "PersistentVolumeClaim Deployment StatefulSet CronJob PodDisruptionBudget"
)
_FIRST: Final = _FIRST_KINDS.split()
_LAST: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
KIND_ORDER: Final[Mapping[str, int]] = {
    **{kind: place - len(_FIRST) for place, kind in enumerate(_FIRST)},
    **{kind: place + 1 for place, kind in enumerate(_LAST)},
}
"""Where a kind stands in the original's order; kinds that are not named are in the middle, at 0."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """``fields`` by the name that files have for them; ``references``: whose names are written where."""

    fields: Mapping[str, Specs]
    references: Mapping[Gvk, Specs]

    def merged(self, other: Configuration) -> Configuration:
        """Both. Raises ``KustomizeError`` where one makes missing fields and the other does not."""
        if other is EMPTY or (other is DEFAULT and self is DEFAULT):
            return self
        if self is EMPTY and other is DEFAULT:
            return other
        fields = {name: _sorted(merge(self.fields.get(name, ()), other.fields.get(name, ()), name)) for name in FIELDS}
        references = dict(self.references)
        for gvk, specs in other.references.items():
            references[gvk] = merge(references[gvk], specs, "nameReference") if gvk in references else specs
        order = sorted(references, key=_gvk_order)
        return Configuration(fields, {gvk: references[gvk] for gvk in order})


def merge(specs: Specs, more: Iterable[FieldSpec], name: str = "fields") -> Specs:
    """``specs`` with those of ``more`` that are not there. One for a kind counts as one for all kinds that comes later:
    so a file of ``configurations`` that names kinds takes the place of a default without a kind."""
    out = list(specs)
    for spec in more:
        known = next((each for each in out if each.path == spec.path and each.gvk.selected_by(spec.gvk)), None)
        if known is None:
            out.append(spec)
        elif known.create != spec.create:
            raise KustomizeError(
                f"the field {shown(spec.path)} is said once with create: true and once without",
                where=Where(field=name),
                hint="say the same of one field everywhere",
            )
    return tuple(out)


def _gvk_order(gvk: Gvk) -> tuple[int, str]:
    return KIND_ORDER.get(gvk.kind, 0), f"{gvk.group or '~G'}_{gvk.version or '~V'}_{gvk.kind or '~K'}"


def _sorted(specs: Specs) -> Specs:
    return tuple(sorted(specs, key=lambda spec: _gvk_order(spec.gvk)))


EMPTY: Final = Configuration({}, {})
DEFAULT: Final = Configuration(
    {name: _sorted(specs) for name, specs in FIELDS.items()},
    {gvk: _sorted(REFERENCES[gvk]) for gvk in sorted(REFERENCES, key=_gvk_order)},
)


class _Reference(Base):
    group: str = ""
    version: str = ""
    kind: str = ""
    field_specs: list[Spec] = NO_ITEMS


class _File(Base):
    """A file of ``configurations``."""

    name_prefix: list[Spec] = NO_ITEMS
    name_suffix: list[Spec] = NO_ITEMS
    namespace: list[Spec] = NO_ITEMS
    common_labels: list[Spec] = NO_ITEMS
    labels: list[Spec] = NO_ITEMS
    template_labels: list[Spec] = NO_ITEMS
    volume_claim_template_labels: list[Spec] = NO_ITEMS
    common_annotations: list[Spec] = NO_ITEMS
    name_reference: list[_Reference] = NO_ITEMS
    var_reference: list[Spec] = NO_ITEMS
    images: list[Spec] = NO_ITEMS
    replicas: list[Spec] = NO_ITEMS


def read(value: Any) -> Configuration:
    """The configuration that a file's value says."""
    found = decode(value, _File, texts=False)
    fields = {
        "namePrefix": found.name_prefix,
        "nameSuffix": found.name_suffix,
        "namespace": found.namespace,
        "commonLabels": found.common_labels,
        "labels": found.labels,
        "templateLabels": found.template_labels,
        "volumeClaimTemplateLabels": found.volume_claim_template_labels,
        "commonAnnotations": found.common_annotations,
        "varReference": found.var_reference,
        "images": found.images,
        "replicas": found.replicas,
    }
    references: dict[Gvk, Specs] = {}
    for reference in found.name_reference:
        gvk = Gvk(reference.group, reference.version, reference.kind)
        made = tuple(spec.made() for spec in reference.field_specs)
        references[gvk] = merge(references[gvk], made) if gvk in references else made
    return Configuration(
        {name: _sorted(tuple(spec.made() for spec in specs)) for name, specs in fields.items()}, references
    )


def from_definitions(value: Any) -> Configuration:
    """What the ``x-kubernetes-...`` marks in OpenAPI definitions say: which fields hold names, labels, annotations."""
    if not isinstance(value, Mapping):
        raise KustomizeError("a mapping of OpenAPI definitions is expected", hint="crds names OpenAPI, not CRDs")
    collected = _Collected({}, {})
    for name, definition in value.items():
        if definition is not None and not isinstance(definition, Mapping):
            raise KustomizeError(
                f"{shown(str(name), 60)} is no OpenAPI definition",
                hint="crds names files of OpenAPI definitions, not of CustomResourceDefinitions",
            )
        properties = _properties(definition)
        if {"kind", "apiVersion", "metadata"} <= properties.keys():
            _collect(collected, Gvk("", "", str(name).rpartition(".")[2]), value, str(name), ())
    return Configuration(
        {name: tuple(specs) for name, specs in collected.fields.items()},
        {gvk: tuple(specs) for gvk, specs in collected.references.items()},
    )


@dataclass(frozen=True, slots=True)
class _Collected:
    fields: dict[str, list[FieldSpec]]
    references: dict[Gvk, list[FieldSpec]]


def _properties(definition: Any) -> Mapping[str, Any]:
    schema = definition.get("Schema") if isinstance(definition, Mapping) else None
    if schema is None and isinstance(definition, Mapping):
        schema = next((value for name, value in definition.items() if str(name).lower() == "schema"), None)
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return properties if isinstance(properties, Mapping) else {}


_MARKS: Final = {
    "x-kubernetes-annotation": "commonAnnotations",
    "x-kubernetes-label-selector": "commonLabels",
    "x-kubernetes-identity": "namePrefix",
}


def _collect(out: _Collected, gvk: Gvk, definitions: Mapping[str, Any], name: str, path: tuple[str, ...]) -> None:
    if len(path) > 50:
        raise KustomizeError(
            "the definitions refer to each other in a circle", where=Where(field=field_name((name, *path[:6])))
        )
    for field, schema in _properties(definitions.get(name)).items():
        if not isinstance(schema, Mapping):
            continue
        here = (*path, field)
        for mark, transformer in _MARKS.items():
            if isinstance(schema.get(mark), str):
                out.fields.setdefault(transformer, []).append(FieldSpec(gvk, "/".join(here)))
        version, kind = schema.get("x-kubernetes-object-ref-api-version"), schema.get("x-kubernetes-object-ref-kind")
        if isinstance(version, str) and isinstance(kind, str):
            name_key = schema.get("x-kubernetes-object-ref-name-key", "name")
            spec = FieldSpec(gvk, "/".join((*here, name_key if isinstance(name_key, str) else "name")))
            out.references.setdefault(Gvk("", version, kind), []).append(spec)
        if isinstance(schema.get("$ref"), str):
            _collect(out, gvk, definitions, schema["$ref"], here)
