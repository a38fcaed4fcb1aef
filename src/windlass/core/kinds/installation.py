"""Kind ``Installation``: one per cluster, named ``windlass``; what holds for all of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from windlass.core.kinds.conditions import Condition
from windlass.core.kinds.fields import LabelName
from windlass.core.kinds.kind import Column, Kind, Metadata, read_metadata, read_spec, read_status
from windlass.core.kinds.shape import Keyed, Part, Says, Unordered, mistake

KIND = "Installation"
NAME = "windlass"

EXAMPLE = """\
apiVersion: windlass.dev/v1alpha1
kind: Installation
metadata:
  name: windlass
spec:
  name: prod-eu
"""


class Apply(Part, frozen=True):
    """How objects are applied."""

    as_: Annotated[
        Literal["serviceAccount", "controller"],
        Says(
            "Whose rights an Application without a `serviceAccount` applies with: those of the account "
            "`windlass-applier` of the Application's own namespace, or those of the controller itself."
        ),
    ] = msgspec.field(default="serviceAccount", name="as")


class InstallationSpec(Part, frozen=True):
    """The spec of an Installation."""

    name: Annotated[LabelName, Says("The name of this cluster, in every event and message.", "prod-eu")]
    apply: Annotated[Apply, Says("How objects are applied.")] = msgspec.field(default_factory=Apply)


class InstallationStatus(Part, frozen=True):
    """The status of an Installation."""

    kinds: Annotated[
        list[str],
        Says(
            "The kinds that Applications have applied, as `<group>/<version>/<Kind>` (`v1/<Kind>` for core), recorded "
            "before the first object of a kind is made: the label index over them is the whole inventory."
        ),
        Unordered(),
    ] = msgspec.field(default_factory=list)
    conditions: Annotated[
        list[Condition], Says("`Ready`, and `Reconciling` or `Stalled` while so."), Keyed(("type",))
    ] = msgspec.field(default_factory=list)
    observed_generation: Annotated[int, Says("The generation of the spec that this status is about.")] = 0


class Installation(msgspec.Struct, frozen=True):
    """An Installation as flows see it."""

    metadata: Metadata
    spec: InstallationSpec
    status: InstallationStatus


def decode(content: dict[str, Any]) -> Installation:
    """Reads an object. Raises BadSpec, which names the field and the mend."""
    metadata = read_metadata(content, KIND)
    if metadata.name != NAME:
        raise mistake("metadata.name", f"must be {NAME}: there is one Installation", f"name: {NAME}")
    return Installation(metadata, read_spec(content, InstallationSpec), read_status(content, InstallationStatus))


DEFINITION = Kind(
    kind=KIND,
    plural="installations",
    short="winst",
    namespaced=False,
    text="One per cluster, named `windlass`: what holds for all of it.",
    example=EXAMPLE,
    spec=InstallationSpec,
    status=InstallationStatus,
    columns=(
        Column("Cluster", ".spec.name"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
    rules=((f"self.metadata.name == '{NAME}'", f"there is one Installation: name it {NAME}"),),
)
