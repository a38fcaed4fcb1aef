"""The transformers that the fields of one kustomization ask for, in the order in which the original runs them.

Called by ``target``. The order is not that of the fields in the file: patches see names without prefix and labels
without the common ones, and replacements see everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from windlass.core.kustomize import configurations, patches, transform
from windlass.core.kustomize.configurations import Specs
from windlass.core.kustomize.fieldspecs import FieldSpec
from windlass.core.kustomize.ids import Gvk
from windlass.core.kustomize.kustomization import Kustomization, Label
from windlass.core.kustomize.loading import Place
from windlass.core.kustomize.replacements import replacement_run
from windlass.core.kustomize.resource import Change
from windlass.core.kustomize.schemas import Known
from windlass.core.kustomize.transform import Run


class Step(NamedTuple):
    """``field`` of the kustomization, the original's name of the transformer, and how it is made ready."""

    field: str
    kind: str
    make: Callable[[], Run]


class Scene(NamedTuple):
    """Where a step is made: the folder, the file of the kustomization, schemas, and the fields to write to."""

    place: Place
    file: str
    known: Known
    fields: Mapping[str, Specs]


def steps(said: Kustomization, scene: Scene) -> Iterator[Step]:
    """All steps of a kustomization."""
    yield from _patches(said, scene)
    yield from _names(said, scene)
    yield from _words(said, scene)
    yield from _values(said, scene)


def _patches(said: Kustomization, scene: Scene) -> Iterator[Step]:
    place, file, known, _ = scene
    if said.patches_strategic_merge:
        name = "patchesStrategicMerge"
        change = Change(file, name)
        make = partial(patches.strategic_run, place, said.patches_strategic_merge, "", known, file, change)
        yield Step(name, "PatchStrategicMergeTransformer", make)
    for number, patch in enumerate(said.patches):
        name = f"patches[{number}]"
        yield Step(name, "PatchTransformer", partial(patches.patch_run, place, patch, known, file, Change(file, name)))


def _names(said: Kustomization, scene: Scene) -> Iterator[Step]:
    file, fields = scene.file, scene.fields
    if said.namespace:
        name = "namespace"
        yield Step(
            name,
            "NamespaceTransformer",
            partial(transform.namespaces, said.namespace, fields[name], Change(file, name)),
        )
    if said.name_prefix:
        name = "namePrefix"
        make = partial(transform.renames, said.name_prefix, fields[name], Change(file, name), prefix=True)
        yield Step(name, "PrefixTransformer", make)
    if said.name_suffix:
        name = "nameSuffix"
        make = partial(transform.renames, said.name_suffix, fields[name], Change(file, name), prefix=False)
        yield Step(name, "SuffixTransformer", make)


def _words(said: Kustomization, scene: Scene) -> Iterator[Step]:
    file, fields = scene.file, scene.fields
    for number, label in enumerate(said.labels):
        name = f"labels[{number}]"
        yield Step(name, "LabelTransformer", partial(_labels, label, fields, Change(file, name)))
    if said.labels or said.common_labels:
        name = "commonLabels"
        make = partial(transform.entries, said.common_labels, fields[name], Change(file, name))
        yield Step(name, "LabelTransformer", make)
    if said.common_annotations:
        name = "commonAnnotations"
        make = partial(transform.entries, said.common_annotations, fields[name], Change(file, name))
        yield Step(name, "AnnotationsTransformer", make)


def _values(said: Kustomization, scene: Scene) -> Iterator[Step]:
    place, file, _, fields = scene
    for number, patch in enumerate(said.patches_json6902):
        name = f"patchesJson6902[{number}]"
        make = partial(patches.json_run, place, patch.path, patch.patch, patch.target, file, Change(file, name))
        yield Step(name, "PatchJson6902Transformer", make)
    for number, replica in enumerate(said.replicas):
        name = f"replicas[{number}]"
        make = partial(transform.replicas, replica, fields["replicas"], Change(file, name))
        yield Step(name, "ReplicaCountTransformer", make)
    for number, image in enumerate(said.images):
        name = f"images[{number}]"
        make = partial(transform.images, image, fields["images"], Change(file, name))
        yield Step(name, "ImageTagTransformer", make)
    if said.replacements:
        name = "replacements"
        make = partial(replacement_run, place, said.replacements, file, Change(file, name))
        yield Step(name, "ReplacementTransformer", make)


def _labels(label: Label, fields: Mapping[str, Specs], change: Change) -> Run:
    return transform.entries(label.pairs, _label_fields(label, fields), change)


def _label_fields(label: Label, fields: Mapping[str, Specs]) -> Specs:
    specs = configurations.merge(tuple(spec.made() for spec in label.fields), fields["labels"])
    if label.include_selectors:
        return configurations.merge(specs, fields["commonLabels"])
    if label.include_templates:
        specs = configurations.merge(specs, fields["templateLabels"])
    if label.include_volume_claim_templates:
        specs = configurations.merge(specs, fields["volumeClaimTemplateLabels"])
    return configurations.merge(specs, [FieldSpec(Gvk(), "metadata/labels", create=True)])
