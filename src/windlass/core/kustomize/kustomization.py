"""A kustomization file as a struct, and the reading of it with the original's strictness: unknown fields and values of
another type are refused with their place, names of fields are taken in any case, null is nothing.

Used by ``target`` for the file itself, and (leniently: unknown fields pass, numbers become text) by ``plugins`` for the
configuration of generators and transformers. It reads no file.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.fieldspecs import FieldSpec
from windlass.core.kustomize.ids import Gvk
from windlass.core.kustomize.resolve import go_float
from windlass.errors import Where

API_VERSION: Final = "kustomize.config.k8s.io/v1beta1"
COMPONENT_API_VERSION: Final = "kustomize.config.k8s.io/v1alpha1"
FILE_NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")

T = TypeVar("T")
# A list, and a mapping, of its own for each struct.
NO_ITEMS: Any = msgspec.field(default_factory=list)
NO_MEMBERS: Any = msgspec.field(default_factory=dict)


class Base(msgspec.Struct, kw_only=True, rename="camel"):
    """What all structs of this file share: each field has its zero value, as in Go."""


class Spec(Base):
    """A field spec as people write it."""

    group: str = ""
    version: str = ""
    kind: str = ""
    path: str = ""
    create: bool = False

    def made(self) -> FieldSpec:
        """The form that transformers use."""
        return FieldSpec(Gvk(self.group, self.version, self.kind), self.path, self.create)


class Selector(Base):
    """Which objects: each text a regular expression for the whole value, empty for any."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    annotation_selector: str = ""
    label_selector: str = ""


class PatchOptions(Base):
    """What a patch may change besides."""

    allow_name_change: bool = False
    allow_kind_change: bool = False


class Patch(Base):
    """One entry of ``patches`` or ``patchesJson6902``."""

    path: str = ""
    patch: str = ""
    target: Selector | None = None
    options: PatchOptions | None = None


class Image(Base):
    """One entry of ``images``."""

    name: str = ""
    new_name: str = ""
    tag_suffix: str = ""
    new_tag: str = ""
    digest: str = ""


class Replica(Base):
    """One entry of ``replicas``."""

    name: str = ""
    count: int = 0


class Label(Base):
    """One entry of ``labels``."""

    pairs: dict[str, str] = NO_MEMBERS
    include_selectors: bool = False
    include_templates: bool = False
    include_volume_claim_templates: bool = False
    fields: list[Spec] = NO_ITEMS


class GeneratorOptions(Base):
    """What all generators, or one, add to what they make."""

    labels: dict[str, str] = NO_MEMBERS
    annotations: dict[str, str] = NO_MEMBERS
    disable_name_suffix_hash: bool = False
    immutable: bool = False


class ConfigMapArgs(Base):
    """One entry of ``configMapGenerator``."""

    name: str = ""
    namespace: str = ""
    behavior: str = ""
    literals: list[str] = NO_ITEMS
    files: list[str] = NO_ITEMS
    envs: list[str] = NO_ITEMS
    env: str = ""
    options: GeneratorOptions | None = None


class SecretArgs(ConfigMapArgs):
    """One entry of ``secretGenerator``."""

    type: str = ""


class FieldOptions(Base):
    """Which part of a field a replacement means."""

    delimiter: str = ""
    index: int = 0
    encoding: str = ""
    create: bool = False


class ReplacementSource(Base):
    """The object and field that a replacement reads."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    field_path: str = ""
    options: FieldOptions | None = None


class ReplacementTarget(Base):
    """The objects and fields that a replacement writes."""

    select: Selector | None = None
    reject: list[Selector | None] = NO_ITEMS
    field_paths: list[str] = NO_ITEMS
    options: FieldOptions | None = None


class Replacement(Base):
    """One entry of ``replacements``."""

    path: str = ""
    source: ReplacementSource | None = None
    targets: list[ReplacementTarget] | None = None
    source_value: str | None = None


class VarTarget(Base):
    """The object that a var reads."""

    api_version: str = ""
    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""


class VarField(Base):
    """The field that a var reads."""

    field_path: str = ""


class Var(Base):
    """One entry of ``vars``."""

    name: str = ""
    objref: VarTarget = msgspec.field(default_factory=VarTarget, name="objref")
    fieldref: VarField = msgspec.field(default_factory=VarField, name="fieldref")


class LegacySortOptions(Base):
    """Which kinds come first and last."""

    order_first: list[str] = NO_ITEMS
    order_last: list[str] = NO_ITEMS


class SortOptions(Base):
    """The order of the output."""

    order: str = ""
    legacy_sort_options: LegacySortOptions | None = None


class HelmGlobals(Base):
    """What all charts share."""

    chart_home: str = ""
    config_home: str = ""


class HelmChart(Base):
    """One entry of ``helmCharts``."""

    name: str = ""
    version: str = ""
    repo: str = ""
    release_name: str = ""
    namespace: str = ""
    additional_values_files: list[str] = NO_ITEMS
    values_file: str = ""
    values_inline: dict[str, Any] = NO_MEMBERS
    values_merge: str = ""
    include_crds: bool = msgspec.field(default=False, name="includeCRDs")
    skip_hooks: bool = False
    api_versions: list[str] = NO_ITEMS
    kube_version: str = ""
    name_template: str = ""
    skip_tests: bool = False
    debug: bool = False
    devel: bool = False


class HelmChartArgs(Base):
    """One entry of ``helmChartInflationGenerator``, the older form of ``helmCharts``."""

    chart_name: str = ""
    chart_version: str = ""
    chart_repo_url: str = ""
    chart_home: str = ""
    chart_repo_name: str = ""
    helm_bin: str = ""
    helm_home: str = ""
    values: str = ""
    values_local: dict[str, Any] = NO_MEMBERS
    values_merge: str = ""
    release_name: str = ""
    release_namespace: str = ""
    extra_args: list[str] = NO_ITEMS


class ObjectMeta(Base):
    """Names that a kustomization or a plugin has."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = NO_MEMBERS
    annotations: dict[str, str] = NO_MEMBERS


class Kustomization(Base):
    """The whole file."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta | None = None
    openapi: dict[str, str] = NO_MEMBERS
    name_prefix: str = ""
    name_suffix: str = ""
    namespace: str = ""
    common_labels: dict[str, str] = NO_MEMBERS
    labels: list[Label] = NO_ITEMS
    common_annotations: dict[str, str] = NO_MEMBERS
    patches_strategic_merge: list[str] = NO_ITEMS
    patches_json6902: list[Patch] = NO_ITEMS
    patches: list[Patch] = NO_ITEMS
    images: list[Image] = NO_ITEMS
    image_tags: list[Image] = NO_ITEMS
    replacements: list[Replacement] = NO_ITEMS
    replicas: list[Replica] = NO_ITEMS
    vars: list[Var] = NO_ITEMS
    sort_options: SortOptions | None = None
    resources: list[str] = NO_ITEMS
    components: list[str] = NO_ITEMS
    crds: list[str] = NO_ITEMS
    bases: list[str] = NO_ITEMS
    config_map_generator: list[ConfigMapArgs] = NO_ITEMS
    secret_generator: list[SecretArgs] = NO_ITEMS
    helm_globals: HelmGlobals | None = None
    helm_charts: list[HelmChart] = NO_ITEMS
    helm_chart_inflation_generator: list[HelmChartArgs] = NO_ITEMS
    generator_options: GeneratorOptions | None = None
    configurations: list[str] = NO_ITEMS
    generators: list[str] = NO_ITEMS
    transformers: list[str] = NO_ITEMS
    validators: list[str] = NO_ITEMS
    build_metadata: list[str] = NO_ITEMS


class Mistake(KustomizeError):
    """A value that does not fit its field; ``path`` says where in the file."""

    def __init__(self, what: str, path: tuple[str | int, ...], *, hint: str = "") -> None:
        super().__init__(what, where=Where(field=field_name(path)), hint=hint)
        self.path = path


def field_name(path: tuple[str | int, ...]) -> str:
    """``images[0].newTag``."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


class _Strict(NamedTuple):
    """``names``: unknown fields are refused. ``texts``: numbers and booleans are no texts."""

    names: bool
    texts: bool


def decode(value: Any, into: type[T], *, strict: bool = True, texts: bool | None = None) -> T:
    """``value`` as the struct ``into``; ``texts`` where texts are not read as strictly as names. Raises ``Mistake``
    with the place of what does not fit."""
    mode = _Strict(strict, strict if texts is None else texts)
    found: T = _struct({} if value is None else value, into, (), mode)
    return found


@cache
def _fields(into: Any) -> dict[str, tuple[str, Any]]:
    """Field names, in small letters, with the attribute and its type."""
    hints = get_type_hints(into)
    return {field.encode_name.lower(): (field.name, hints[field.name]) for field in msgspec.structs.fields(into)}


@cache
def _names(into: Any) -> tuple[str, ...]:
    return tuple(field.encode_name for field in msgspec.structs.fields(into))


def _struct(value: Any, into: Any, path: tuple[str | int, ...], strict: _Strict) -> Any:
    if not isinstance(value, Mapping):
        raise _other_type(value, "a mapping", path)
    known = _fields(into)
    given: dict[str, Any] = {}
    for name in sorted(value):
        field = known.get(name.lower())
        if field is None:
            if not strict.names:
                continue
            close = difflib.get_close_matches(name, _names(into), 1)
            mend = f"did you mean {close[0]}?" if close else "take it out; fields are " + ", ".join(_names(into)[:12])
            raise Mistake(f'there is no field "{shown(name, 60)}"', (*path, name), hint=mend)
        attribute, kind = field
        made = _value(value[name], kind, (*path, name), strict)
        if made is not UNSET:
            given[attribute] = made
    return into(**given)


def _value(value: Any, kind: Any, path: tuple[str | int, ...], strict: _Strict) -> Any:
    """A value of type ``kind``; UNSET for null, which leaves a field as it is."""
    if value is None:
        return UNSET
    origin = get_origin(kind)
    if origin is UnionType:
        kind = next(each for each in get_args(kind) if each not in (NoneType, UnsetType))
        origin = get_origin(kind)
    if kind is str:
        return _text(value, path, strict)
    if kind is bool or kind is int:
        if type(value) is not kind:
            raise _other_type(value, "true or false" if kind is bool else "a whole number", path)
        return value
    if origin is list:
        if not isinstance(value, list):
            raise _other_type(value, "a list", path)
        (item,) = get_args(kind)
        made = [_value(each, item, (*path, place), strict) for place, each in enumerate(value)]
        return [_zero(item) if each is UNSET else each for each in made]
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _other_type(value, "a mapping", path)
        item = get_args(kind)[1]
        if item is Any:
            return dict(value)
        return {name: "" if each is None else _value(each, item, (*path, name), strict) for name, each in value.items()}
    return _struct(value, kind, path, strict)


def _text(value: Any, path: tuple[str | int, ...], strict: _Strict) -> str:
    if isinstance(value, str):
        return value
    if not strict.texts and isinstance(value, bool):
        return "true" if value else "false"
    if not strict.texts and isinstance(value, int | float):
        return go_float(value, "g") if isinstance(value, float) else str(value)
    raise _other_type(value, "text", path)


def _zero(kind: Any) -> Any:
    if get_origin(kind) is UnionType:
        return None
    return kind()


def _other_type(value: Any, wanted: str, path: tuple[str | int, ...]) -> Mistake:
    if isinstance(value, bool):
        what = f"{'true' if value else 'false'}, which is no text"
    elif isinstance(value, int | float):
        what = f"the number {shown(str(value), 40)}"
    else:
        what = "a mapping" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else "text"
    quote = wanted == "text" and isinstance(value, bool | int | float)
    hint = "put it in quotes" if quote else f"write {wanted}"
    return Mistake(f"{wanted} is expected here, and there is {what}", path, hint=hint)


def _is_empty(kustomization: Kustomization, given: Mapping[str, Any]) -> bool:
    """Whether nothing but the type is said. ``given`` is what the file has: an empty list is something."""
    ignored = {"apiversion", "kind", "bases", "imagetags", "helmchartinflationgenerator"}
    for name, value in given.items():
        if name.lower() not in ignored and value is not None and value != "":
            return False
    return not (kustomization.resources or kustomization.images or kustomization.helm_charts)


def read(value: Any) -> Kustomization:
    """The struct of a file's value, with older fields brought into their newer ones. Raises ``KustomizeError``."""
    given = {} if value is None else value
    found = decode(given, Kustomization)
    found.kind = found.kind or "Kustomization"
    component = found.kind == "Component"
    required = COMPONENT_API_VERSION if component else API_VERSION
    version = found.api_version or required
    found.resources = [*found.resources, *found.bases]
    found.images = [*found.images, *found.image_tags]
    for args in (*found.config_map_generator, *found.secret_generator):
        if args.env:
            args.envs = [*args.envs, args.env]
    _modern_helm(found)
    if _is_empty(found, given):
        raise KustomizeError(
            "the file says nothing",
            hint="name at least one file under resources, or write `resources: []`",
        )
    if found.kind not in ("Kustomization", "Component"):
        raise KustomizeError(
            f'the kind is "{shown(found.kind, 60)}"',
            where=Where(field="kind"),
            hint="it is Kustomization or Component",
        )
    if version != required:
        raise KustomizeError(
            f'the apiVersion of a {found.kind} is not "{shown(version, 60)}"',
            where=Where(field="apiVersion"),
            hint=f"write {required}",
        )
    return found


def _modern_helm(found: Kustomization) -> None:
    """The older way to name charts, as ``helmCharts`` and ``helmGlobals``."""
    home = ""
    config = ""
    for args in found.helm_chart_inflation_generator:
        found.helm_charts.append(
            HelmChart(
                name=args.chart_name,
                version=args.chart_version,
                repo=args.chart_repo_url,
                release_name=args.release_name,
                values_file=args.values,
                values_inline=args.values_local,
                values_merge=args.values_merge,
            )
        )
        home = args.chart_home or home
        config = args.helm_home or config
    if found.helm_globals is None and (home or config):
        found.helm_globals = HelmGlobals(chart_home=home, config_home=config)
