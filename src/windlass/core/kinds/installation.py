"""Kind ``Installation``: one per cluster, named ``windlass``; what holds for all of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from windlass.core.kinds.conditions import Condition
from windlass.core.kinds.exceptions import Freeze, check_until
from windlass.core.kinds.fields import Duration, LabelName, Name, SecretRef
from windlass.core.kinds.kind import Column, Kind, Metadata, read_metadata, read_spec, read_status
from windlass.core.kinds.shape import Form, Keyed, Part, Says, Unordered, mistake

KIND = "Installation"
NAME = "windlass"

EXAMPLE = """\
apiVersion: windlass.dev/v1alpha1
kind: Installation
metadata:
  name: windlass
spec:
  name: prod-eu
  ledger:
    repository: ledger
    push: 30s
"""

POINTER = Form(
    "(?:/(?:[^/~\\x00-\\x1f\\x7f]|~[01])+)+", "a JSON pointer such as /spec/replicas", '"/spec/replicas"', 253
)


class Apply(Part, frozen=True):
    """How objects are applied."""

    as_: Annotated[
        Literal["serviceAccount", "controller"],
        Says(
            "Whose rights an Application without a `serviceAccount` applies with: those of the account "
            "`windlass-applier` of the Application's own namespace, or those of the controller itself."
        ),
    ] = msgspec.field(default="serviceAccount", name="as")


class Ledger(Part, frozen=True):
    """Where the record of what happens goes."""

    repository: Annotated[
        Name,
        Says(
            "A Repository in the controller's own namespace, with `write`. One of its own is advised. Events go to its "
            "ref `refs/windlass/ledger/<name>/<year>`.",
            "ledger",
        ),
    ]
    push: Annotated[
        Duration, Says("How long an event waits at most before it is pushed. A severe one goes at once.", "30s")
    ] = "30s"
    alerts: Annotated[
        SecretRef | None,
        Says(
            "A Secret in the controller's namespace whose key `token` Alertmanager sends as bearer token to "
            "`/hooks/alertmanager`: its alerts are recorded. Without it none are taken."
        ),
    ] = None
    values: Annotated[
        list[Annotated[str, POINTER]],
        Says(
            "Fields whose text may stand in the ledger, as JSON pointers; `*` stands for any one part. Other text is "
            "recorded as a keyed digest, for Git forgets nothing. Values of Secrets never are recorded.",
            '["/data/CACHE_SIZE", "/spec/template/spec/containers/*/args/*"]',
        ),
    ] = msgspec.field(default_factory=list)


class InstallationSpec(Part, frozen=True):
    """The spec of an Installation."""

    name: Annotated[LabelName, Says("The name of this cluster, in every event and message.", "prod-eu")]
    apply: Annotated[Apply, Says("How objects are applied.")] = msgspec.field(default_factory=Apply)
    ledger: Annotated[
        Ledger | None, Says("Where the record of what happens goes. Without it the condition `Recorded` is False.")
    ] = None
    freeze: Annotated[
        Freeze | None,
        Says(
            "No Application applies a new commit until then; what runs is held to what was applied, and may be rolled "
            "back. Commits that change nothing but Windlass' own kinds pass, or nobody could end it."
        ),
    ] = None


class LedgerStatus(Part, frozen=True):
    """Where the ledger is: the tip that is kept outside of Git, by which `windlass ledger verify` checks."""

    ref: Annotated[str, Says("The ref that was pushed last.")] = ""
    commit: Annotated[str, Says("Its tip after that push.")] = ""
    pushed_at: Annotated[str, Says("When that was.")] = ""


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
    ledger: Annotated[LedgerStatus, Says("The last push of the ledger.")] = msgspec.field(default_factory=LedgerStatus)
    conditions: Annotated[
        list[Condition], Says("`Ready` and `Recorded`, and `Reconciling` or `Stalled` while so."), Keyed(("type",))
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
    spec = read_spec(content, InstallationSpec)
    check_until(spec.freeze, "spec.freeze")
    return Installation(metadata, spec, read_status(content, InstallationStatus))


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
        Column("Recorded", '.status.conditions[?(@.type=="Recorded")].status'),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
    rules=((f"self.metadata.name == '{NAME}'", f"there is one Installation: name it {NAME}"),),
)
