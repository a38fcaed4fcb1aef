"""The built-in generators and transformers where they are configured as objects, under ``generators``, ``transformers``
and ``validators``: ``apiVersion: builtin`` and a kind.

Anything else there is a program or a container that the original would run; it is refused by name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.core.documents import DocumentError
from windlass.core.kustomize import generators, patches, reading, transform
from windlass.core.kustomize.collection import Collection
from windlass.core.kustomize.errors import KustomizeError, NotSupported, shown
from windlass.core.kustomize.fieldspecs import FieldSpec
from windlass.core.kustomize.helm import Inflate, inflated
from windlass.core.kustomize.kustomization import (
    NO_ITEMS,
    NO_MEMBERS,
    Base,
    ConfigMapArgs,
    HelmChart,
    HelmGlobals,
    Image,
    ObjectMeta,
    Patch,
    PatchOptions,
    Replacement,
    Replica,
    SecretArgs,
    Selector,
    Spec,
    decode,
)
from windlass.core.kustomize.loading import Place
from windlass.core.kustomize.nodes import json_value
from windlass.core.kustomize.origins import Origin
from windlass.core.kustomize.replacements import replacement_run
from windlass.core.kustomize.resource import ORIGIN, Change, Resource
from windlass.core.kustomize.schemas import Known
from windlass.core.kustomize.transform import Run
from windlass.core.kustomize.value_add import ValueTarget, value_add


@dataclass(frozen=True, slots=True)
class Context:
    """Where a plugin is configured, and what it may use."""

    place: Place
    file: str
    known: Known
    inflate: Inflate | None


class _Labels(Base):
    labels: dict[str, str] = NO_MEMBERS
    annotations: dict[str, str] = NO_MEMBERS
    field_specs: list[Spec] = NO_ITEMS


class _Namespace(Base):
    metadata: ObjectMeta | None = None
    field_specs: list[Spec] = NO_ITEMS
    unset_only: bool = False
    set_role_binding_subjects: str = ""


class _Rename(Base):
    prefix: str = ""
    suffix: str = ""
    field_specs: list[Spec] | None = None


class _Image(Base):
    image_tag: Image | None = None
    field_specs: list[Spec] = NO_ITEMS


class _Replica(Base):
    replica: Replica | None = None
    field_specs: list[Spec] = NO_ITEMS


class _Patch(Base):
    path: str = ""
    patch: str = ""
    target: Selector | None = None
    options: PatchOptions | None = None


class _JsonPatch(Base):
    path: str = ""
    json_op: str = ""
    target: Selector | None = None


class _MergePatches(Base):
    paths: list[str] = NO_ITEMS
    patches: str = ""


class _Replacements(Base):
    replacements: list[Replacement] = NO_ITEMS


class _ValueAdd(Base):
    value: str = ""
    targets: list[ValueTarget] = NO_ITEMS
    target_file_path: str = ""


class _Named(Base):
    metadata: ObjectMeta | None = None


class _Account(Base):
    name: str = ""
    namespace: str = ""


class _CloudAccount(Base):
    name: str = ""
    project_id: str = ""


class _Iam(Base):
    cloud: str = ""
    kubernetes_service: _Account | None = None
    service_account: _CloudAccount | None = None


def _specs(given: list[Spec]) -> tuple[FieldSpec, ...]:
    return tuple(spec.made() for spec in given)


def _labels(context: Context, value: Any, change: Change) -> Run:
    said = decode(value, _Labels, strict=False)
    return transform.entries(said.labels, _specs(said.field_specs), change)


def _annotations(context: Context, value: Any, change: Change) -> Run:
    said = decode(value, _Labels, strict=False)
    return transform.entries(said.annotations, _specs(said.field_specs), change)


def _namespace(context: Context, value: Any, change: Change) -> Run:
    said = decode(value, _Namespace, strict=False)
    return transform.namespaces(
        said.metadata.namespace if said.metadata is not None else "",
        _specs(said.field_specs),
        change,
        unset_only=said.unset_only,
        subjects=said.set_role_binding_subjects,
    )


def _rename(context: Context, value: Any, change: Change, *, prefix: bool) -> Run:
    said = decode(value, _Rename, strict=False)
    if said.field_specs is None:
        raise KustomizeError("there are no fieldSpecs", hint="write fieldSpecs: [{path: metadata/name}]")
    return transform.renames(said.prefix if prefix else said.suffix, _specs(said.field_specs), change, prefix=prefix)


def _prefix(context: Context, value: Any, change: Change) -> Run:
    return _rename(context, value, change, prefix=True)


def _suffix(context: Context, value: Any, change: Change) -> Run:
    return _rename(context, value, change, prefix=False)


def _both(context: Context, value: Any, change: Change) -> Run:
    before, after = _prefix(context, value, change), _suffix(context, value, change)

    def run(collection: Collection) -> None:
        before(collection)
        after(collection)

    return run


def _image(context: Context, value: Any, change: Change) -> Run:
    said = decode(value, _Image, strict=False)
    return transform.images(said.image_tag or Image(), _specs(said.field_specs), change)


def _replica(context: Context, value: Any, change: Change) -> Run:
    said = decode(value, _Replica, strict=False)
    return transform.replicas(said.replica or Replica(), _specs(said.field_specs), change)


def _patch(context: Context, value: Any, change: Change) -> Run:
    said = decode(value, _Patch, strict=False)
    patch = Patch(path=said.path, patch=said.patch, target=said.target, options=said.options)
    return patches.patch_run(context.place, patch, context.known, context.file, change)


def _json_patch(context: Context, value: Any, change: Change) -> Run:
    said = decode(value, _JsonPatch, strict=False)
    return patches.json_run(context.place, said.path, said.json_op, said.target, context.file, change)


def _merge_patches(context: Context, value: Any, change: Change) -> Run:
    said = decode(value, _MergePatches, strict=False)
    return patches.strategic_run(context.place, said.paths, said.patches, context.known, context.file, change)


def _replacements(context: Context, value: Any, change: Change) -> Run:
    said = decode(value, _Replacements, strict=False)
    return replacement_run(context.place, said.replacements, context.file, change)


def _value_add(context: Context, value: Any, change: Change) -> Run:
    said = decode(value, _ValueAdd, strict=False)
    targets = list(said.targets)
    if said.target_file_path:
        file, data = context.place.load(said.target_file_path)
        try:
            more = decode(reading.settings(data, file), _ValueAdd, strict=False)
        except DocumentError as error:
            raise KustomizeError(error.what, where=error.where, hint=error.hint) from None
        targets += more.targets
    text = said.value.strip() or posixpath.basename(context.place.folder)
    return value_add(text, targets)


def _hash(context: Context, value: Any, change: Change) -> Run:
    return generators.add_hashes


TRANSFORMERS: Mapping[str, Callable[[Context, Any, Change], Run]] = {
    "AnnotationsTransformer": _annotations,
    "HashTransformer": _hash,
    "ImageTagTransformer": _image,
    "LabelTransformer": _labels,
    "NamespaceTransformer": _namespace,
    "PatchJson6902Transformer": _json_patch,
    "PatchStrategicMergeTransformer": _merge_patches,
    "PatchTransformer": _patch,
    "PrefixSuffixTransformer": _both,
    "PrefixTransformer": _prefix,
    "SuffixTransformer": _suffix,
    "ReplacementTransformer": _replacements,
    "ReplicaCountTransformer": _replica,
    "ValueAddTransformer": _value_add,
}


def _config_map(context: Context, value: Any) -> list[Resource]:
    args = decode(value, ConfigMapArgs, strict=False)
    return [generators.config_map(context.place, _named(args, value))]


def _secret(context: Context, value: Any) -> list[Resource]:
    args = decode(value, SecretArgs, strict=False)
    _named(args, value)
    return [generators.secret(context.place, args)]


def _named(args: ConfigMapArgs, value: Any) -> ConfigMapArgs:
    """The name and namespace of the plugin itself, where it says no others."""
    meta = decode(value, _Named, strict=False).metadata or ObjectMeta()
    args.name = args.name or meta.name
    args.namespace = args.namespace or meta.namespace
    return args


def _chart(context: Context, value: Any) -> list[Resource]:
    shared = decode(value, HelmGlobals, strict=False)
    return inflated(context.place, decode(value, HelmChart, strict=False), shared, context.inflate)


def _iam(context: Context, value: Any) -> list[Resource]:
    """A service account that stands for one of Google's cloud."""
    said = decode(value, _Iam, strict=False)
    if said.cloud != "gke":
        raise KustomizeError(f"the cloud {shown(said.cloud, 40) or '(none)'} is not known", hint="it is gke")
    account = said.service_account or _CloudAccount()
    if not account.name:
        raise KustomizeError("the account of the cloud has no name", hint="serviceAccount: {name: ..., projectId: ...}")
    service = said.kubernetes_service or _Account()
    # The original fills this text in, whatever the names hold, and reads it.
    mail = f"{account.name}@{account.project_id}.iam.gserviceaccount.com"
    text = (
        "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  annotations:\n"
        f"    iam.gke.io/gcp-service-account: {mail}\n  name: {service.name}\n"
    )
    if service.namespace:
        text += f"  namespace: {service.namespace}\n"
    found = reading.objects(text.encode(), "the account that is generated")
    if not found or not isinstance(found[0].node, dict):
        raise KustomizeError("the names of the accounts make no object", hint="write plain names")
    return [Resource(found[0].node)]


GENERATORS: Mapping[str, Callable[[Context, Any], list[Resource]]] = {
    "ConfigMapGenerator": _config_map,
    "HelmChartInflationGenerator": _chart,
    "IAMPolicyGenerator": _iam,
    "SecretGenerator": _secret,
}


def _builtin(resource: Resource) -> Any:
    """The configuration of a built-in plugin. Refuses all others."""
    if resource.gvk.group or resource.gvk.version != "builtin":
        raise NotSupported(
            f"the plugin {resource.api_version} {shown(resource.kind, 60)} is a program that kustomize would run",
            where=resource.where,
            hint="run it before you commit and commit what it makes; apiVersion: builtin is for kustomize's own",
        )
    try:
        return json_value(resource.tree)
    except KustomizeError as error:
        raise error.at(resource.where) from None


def transformer(context: Context, resource: Resource) -> Run:
    """The transformer that an object configures."""
    value = _builtin(resource)
    make = TRANSFORMERS.get(resource.kind)
    if make is None:
        raise KustomizeError(
            f"{shown(resource.kind, 60)} is no built-in transformer",
            where=resource.where,
            hint="the kinds are " + ", ".join(sorted(TRANSFORMERS)),
        )
    try:
        return make(context, value, Change(resource.file, resource.kind))
    except KustomizeError as error:
        raise error.at(resource.where) from None


def generator(context: Context, resource: Resource) -> Callable[[], list[Resource]]:
    """The generator that an object configures."""
    value = _builtin(resource)
    make = GENERATORS.get(resource.kind)
    if make is None:
        raise KustomizeError(
            f"{shown(resource.kind, 60)} is no built-in generator",
            where=resource.where,
            hint="the kinds are " + ", ".join(sorted(GENERATORS)),
        )

    def generate() -> list[Resource]:
        try:
            return make(context, value)
        except KustomizeError as error:
            raise error.at(resource.where) from None

    return generate


def origin_of(resource: Resource) -> Origin | None:
    """What a plugin says of what it makes or changes, where origins are annotated."""
    text = resource.annotations().get(ORIGIN)
    if text is None:
        return None
    value = reading.settings(text.encode(), resource.file)
    path = value.get("path", "") if isinstance(value, dict) else ""
    return Origin(
        configured_in=str(path),
        api_version=resource.api_version,
        kind=resource.kind,
        name=resource.name,
        namespace=resource.namespace,
    )
