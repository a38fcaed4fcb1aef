"""Kind ``Application``: what is applied, from where, to where, and how strictly. The spec; the status is beside it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from windlass.core.kinds.application_status import ApplicationStatus
from windlass.core.kinds.chart_source import ChartSource, check_chart
from windlass.core.kinds.exceptions import Expires, Freeze, Held, Ignore, Suspend, check_until
from windlass.core.kinds.fields import (
    LABEL_NAME,
    SHARE,
    Commit,
    Duration,
    Name,
    seconds,
)
from windlass.core.kinds.kind import Column, Kind, Metadata, read_metadata, read_spec, read_status
from windlass.core.kinds.rendering import Render, check_render
from windlass.core.kinds.shape import Form, Keyed, Least, Part, Rule, Says, mistake, shown

KIND = "Application"

EXAMPLE = """\
apiVersion: windlass.dev/v1alpha1
kind: Application
metadata:
  name: shop
  namespace: shop
spec:
  source:
    repository: config
    path: apps/shop
"""

MORE = """\
## What of the folder is applied

Every `*.yaml`, `*.yml` and `*.json` file in `source.path` and in all folders below it, read from the commit itself.
Files may hold several documents, and Lists. Names that begin with a dot are left out. YAML is read by Kubernetes' own
rules, and a key that is set twice is refused.

`include` and `exclude` are patterns over paths relative to `source.path`:

| pattern | matches |
|---|---|
| `values.yaml` | that name in any folder |
| `./values.yaml` | that name in `source.path` itself |
| `web/*.yaml` | files of the folder `web`, not of those below it |
| `web/**` or `web/` | everything in `web` and below it |
| `**/test/**` | everything in any folder named `test` |
| `web-?.yaml`, `web-[ab].yaml` | one character; one of some |

This is so for a folder of plain manifests. A folder with a `kustomization.yaml` is built by kustomize, a `Chart.yaml`
makes it a Helm chart, `*.jsonnet` files are evaluated: [render/README.md](../render/README.md). Below plain manifests,
a folder with a kustomization is built as a whole; a chart, Jsonnet, a submodule or a symbolic link to manifests is
refused by name, and nothing of the commit is applied. `exclude` leaves such files out.

What is wrong with a manifest is told with file and line: a missing name, a wrong type (`replicas: "three"`) or an
object that is written twice stop the whole commit, and what ran keeps running. A wrong label or annotation, or a
mistake in one of Windlass' own kinds, leaves that one object as it is, and the others are applied. What the cluster
writes (`status`, `metadata.uid` and the like) is left out with a warning.

## Annotations on manifests

| annotation | values | |
|---|---|---|
| `windlass.dev/wave` | an integer | The next wave waits until this one is healthy. |
| `windlass.dev/conflicts` | `take`, `fail` | As `sync.conflicts`, for this object. |
| `windlass.dev/drift` | `revert`, `alert` | As `drift.action`, for this object. |
| `windlass.dev/prune` | `true`, `false` | `false`: this object is never pruned. |
| `windlass.dev/release` | `true`, `false` | `true`: leave this object alone from now on. |
| `windlass.dev/substitute` | `true`, `false` | `false`: no variables are filled in here. |
| `windlass.dev/hook` | `pre-sync`, `post-sync`, `sync-failed` | Not run yet: the object is skipped. |

The same words of Argo CD (`argocd.argoproj.io/sync-wave`, `hook`, `sync-options: Prune=false`) and Helm
(`helm.sh/hook`, `hook-weight`, `resource-policy: keep`) are understood.
Another `windlass.dev/...` annotation is refused, with the nearest known name."""

PATH = Form(
    r"[^/\x00-\x1f\x7f\\][^\x00-\x1f\x7f\\]*",
    "a folder of the repository, without a slash in front",
    "apps/shop",
    1024,
)
GLOB = Form(
    r"[^/\x00-\x1f\x7f\\][^\x00-\x1f\x7f\\]*",
    "a pattern for paths below source.path, such as **/*.yaml",
    '"**/*.yaml"',
    512,
)
CONFIRM = Form(
    "[A-Z][A-Za-z0-9]*/(?:[a-z0-9][-a-z0-9.]*/)?[a-z0-9][-a-z0-9.:]*",
    "Kind/name, or Kind/namespace/name",
    "Namespace/old",
    600,
)


class Source(Part, frozen=True):
    """From where."""

    repository: Annotated[Name, Says("A Repository in the Application's own namespace.")]
    path: Annotated[str, PATH, Says("The folder, with all folders below it. The default is the whole repository.")] = (
        "."
    )
    at: Annotated[
        Commit,
        Says("Pins this commit: what the repository says since is pending, not applied. A rollback writes it."),
    ] = ""
    chart: Annotated[
        ChartSource | None,
        Says("Render this chart in place of what is in the folder; `path` is then where `valuesFiles` are told from."),
    ] = None
    include: Annotated[
        list[Annotated[str, GLOB]],
        Says("Only files that match one of these patterns (see below)."),
    ] = msgspec.field(default_factory=list)
    exclude: Annotated[
        list[Annotated[str, GLOB]],
        Says("Files and folders that match one of these patterns are left out, whatever `include` says."),
    ] = msgspec.field(default_factory=list)

    rules = (
        Rule(
            "!has(self.path) || !('/' + self.path + '/').contains('/../')",
            "path stays in the repository: write it without ..",
        ),
    )

    @property
    def folder(self) -> str:
        """``path`` without ``./`` in front or a slash behind; "" is the whole repository."""
        return "/".join(part for part in self.path.split("/") if part not in ("", "."))


class FurtherSource(Part, frozen=True):
    """A repository whose files the render may read besides those of ``source``."""

    name: Annotated[str, LABEL_NAME, Says("What paths call it: `$name/...`.", "lib")]
    repository: Annotated[Name, Says("A Repository in the Application's own namespace.")]
    at: Annotated[Commit, Says("Pins this commit of it.")] = ""


class Destination(Part, frozen=True):
    """To where."""

    namespace: Annotated[
        str,
        LABEL_NAME,
        Says("The namespace of objects that name none. The default is the Application's own namespace."),
    ] = ""
    create_namespace: Annotated[bool, Says("Make that namespace first, where it is missing. It is never pruned.")] = (
        False
    )


class Dependency(Part, frozen=True):
    """An Application that has to be synced and healthy first."""

    name: Annotated[Name, Says("Its name.", "database")]
    namespace: Annotated[str, LABEL_NAME, Says("Its namespace. The default is the Application's own.")] = ""


class Retry(Part, frozen=True):
    """How failures are tried again: without an end, at growing distances, with jitter."""

    backoff: Annotated[Duration, Says("The first distance; it doubles.", "5s")] = "5s"
    max: Annotated[Duration, Says("The longest distance.", "5m")] = "5m"


class PruneBudget(Part, frozen=True):
    """How much one sync may prune. Refused when both are exceeded."""

    count: Annotated[int, Least(0), Says("This many objects.")] = 20
    share: Annotated[str, SHARE, Says("This share of the Application's objects.")] = "30%"

    @property
    def fraction(self) -> float:
        """``share`` from 0.0 to 1.0."""
        return int(self.share.removesuffix("%")) / 100


class Sync(Part, frozen=True):
    """How the cluster follows Git."""

    mode: Annotated[
        Literal["auto", "manual"], Says("Follow Git by itself, or only when `windlass sync` asks for it.")
    ] = "auto"
    prune: Annotated[bool, Says("Delete what has left Git.")] = True
    adopt: Annotated[
        Literal["free", "none", "all"],
        Says("What existed before: take what belongs to nobody, nothing, or also what belongs to another owner."),
    ] = "free"
    conflicts: Annotated[
        Literal["take", "fail"], Says("A field that another manager owns: take it over, or fail and tell who owns it.")
    ] = "take"
    retry: Annotated[Retry, Says("How failures are tried again.")] = msgspec.field(default_factory=Retry)
    timeout: Annotated[Duration, Says("How long a sync may take before it is told as stalled.", "10m")] = "10m"
    prune_budget: Annotated[PruneBudget, Says("How much one sync may prune; refused when both are exceeded.")] = (
        msgspec.field(default_factory=PruneBudget)
    )
    confirm: Annotated[
        list[Annotated[str, CONFIRM]],
        Says(
            "Confirms in Git that these may be pruned, although the budget is exceeded or their kind is protected "
            "(Namespace, CustomResourceDefinition, PersistentVolumeClaim, Application, Repository), as `Kind/name` or "
            "`Kind/namespace/name`."
        ),
    ] = msgspec.field(default_factory=list)
    allow_empty: Annotated[
        bool, Says("Confirms in Git that the source may render to nothing where there was something.")
    ] = False


class Drift(Part, frozen=True):
    """What happens when somebody changes the live object."""

    action: Annotated[Literal["revert", "alert"], Says("Put the field back, or only tell it.")] = "revert"
    after: Annotated[Duration, Says("How long a difference may stand before it is put back.", "0s")] = "0s"
    additions: Annotated[
        Literal["report", "revert"],
        Says("Fields that somebody added and Git does not name: tell them, or take them away."),
    ] = "report"


class HealthSpec(Part, frozen=True):
    """When health is waited for no longer."""

    timeout: Annotated[Duration, Says("How long an object may make progress before it counts as Degraded.", "5m")] = (
        "5m"
    )


class Rollback(Part, frozen=True):
    """What happens with a commit that does not become Healthy."""

    on_degraded: Annotated[
        Literal["none", "pin"],
        Says(
            "`pin`: a commit with which the Application is Degraded, and not Healthy at the end of `within`, is rolled "
            "back to the last one with which it was: the controller pins it by a commit to the Application's own file. "
            "Needs `write` of that file's Repository, with the file in `write.paths`."
        ),
    ] = "none"
    within: Annotated[Duration, Says("How long after its apply a commit may take to become Healthy.", "15m")] = "15m"


class ApplicationSpec(Part, frozen=True):
    """The spec of an Application."""

    source: Annotated[Source, Says("From where.")]
    sources: Annotated[
        list[FurtherSource],
        Says(
            "Further repositories whose files the render may read: paths in `spec.render` name them by `$name/...`. "
            "What is applied comes from `source`."
        ),
        Keyed(("name",)),
    ] = msgspec.field(default_factory=list)
    render: Annotated[Render, Says("How the source becomes objects, where the folder itself does not say it.")] = (
        msgspec.field(default_factory=Render)
    )
    destination: Annotated[Destination, Says("To where.")] = msgspec.field(default_factory=Destination)
    service_account: Annotated[
        str,
        LABEL_NAME,
        Says(
            "Applies with the rights of this account of the Application's own namespace, never of another one. The "
            "default is `windlass-applier` there, or the controller itself where the Installation says "
            "`apply.as: controller`.",
            "shop-deployer",
        ),
    ] = ""
    depends_on: Annotated[
        list[Dependency],
        Says("Applications that have to be synced and healthy first. They may be in other namespaces."),
    ] = msgspec.field(default_factory=list)
    sync: Annotated[Sync, Says("How the cluster follows Git.")] = msgspec.field(default_factory=Sync)
    drift: Annotated[Drift, Says("What happens when somebody changes the live object.")] = msgspec.field(
        default_factory=Drift
    )
    deletion: Annotated[
        Literal["delete", "orphan"], Says("When the Application leaves Git: delete what it applied, or leave it.")
    ] = "delete"
    suspend: Annotated[Suspend | None, Says("Nothing is applied until then. Needs who, why and until when.")] = None
    freeze: Annotated[
        Freeze | None,
        Says("No new commit is applied until then; what runs is held to what was applied, and may be rolled back."),
    ] = None
    expires: Annotated[
        Expires | None,
        Says(
            "When this Application ends: the controller takes its file out of Git, where it may write it, and what it "
            "applied goes as `deletion` says. `windlass fork --until` writes it."
        ),
    ] = None
    ignore: Annotated[
        list[Ignore],
        Says("Fields that are left to others until a time. Their live values stay as they are when it begins."),
    ] = msgspec.field(default_factory=list)
    health: Annotated[HealthSpec, Says("When health is waited for no longer.")] = msgspec.field(
        default_factory=HealthSpec
    )
    rollback: Annotated[Rollback, Says("What happens with a commit that does not become Healthy.")] = msgspec.field(
        default_factory=Rollback
    )


class Application(msgspec.Struct, frozen=True):
    """An Application as flows see it."""

    metadata: Metadata
    spec: ApplicationSpec
    status: ApplicationStatus

    @property
    def key(self) -> str:
        """``<namespace>.<name>``."""
        return f"{self.metadata.namespace}.{self.metadata.name}"

    @property
    def namespace(self) -> str:
        """The destination namespace."""
        return self.spec.destination.namespace or self.metadata.namespace

    @property
    def exceptions(self) -> list[Held]:
        """All that are written, ended or not."""
        held: list[Held | None] = [self.spec.suspend, self.spec.freeze, *self.spec.ignore]
        return [one for one in held if one is not None]

    @property
    def dependencies(self) -> tuple[tuple[str, str], ...]:
        """(namespace, name) of what has to be ready first."""
        return tuple((one.namespace or self.metadata.namespace, one.name) for one in self.spec.depends_on)


def decode(content: dict[str, Any]) -> Application:
    """Reads an object. Raises BadSpec, which names the field and the mend."""
    metadata = read_metadata(content, KIND)
    spec = read_spec(content, ApplicationSpec)
    _check(spec, metadata)
    return Application(metadata, spec, read_status(content, ApplicationStatus))


def _check(spec: ApplicationSpec, metadata: Metadata) -> None:
    if ".." in spec.source.path.split("/"):
        raise mistake("spec.source.path", f"stays in the repository, not {shown(spec.source.path)}", "path: apps/shop")
    check_render(spec.render)
    if spec.source.chart is not None:
        check_chart(spec.source.chart, spec.render.renderer)
    names = [one.name for one in spec.sources]
    twice = next((index for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise mistake(f"spec.sources[{twice}].name", f"is there already: {names[twice]}", "give each a name of its own")
    check_until(spec.suspend, "spec.suspend")
    check_until(spec.freeze, "spec.freeze")
    check_until(spec.expires, "spec.expires")
    for index, ignored in enumerate(spec.ignore):
        check_until(ignored, f"spec.ignore[{index}]")
    if seconds(spec.sync.retry.backoff) <= 0:
        raise mistake("spec.sync.retry.backoff", "must be more than nothing", "backoff: 5s")
    for index, one in enumerate(spec.depends_on):
        if one.name == metadata.name and (one.namespace or metadata.namespace) == metadata.namespace:
            raise mistake(f"spec.dependsOn[{index}]", "names the Application itself", "take it out")


DEFINITION = Kind(
    kind=KIND,
    plural="applications",
    short="wapp",
    namespaced=True,
    text="What is applied, from where, to where, and how strictly.",
    example=EXAMPLE,
    spec=ApplicationSpec,
    status=ApplicationStatus,
    columns=(
        Column("Sync", ".status.sync"),
        Column("Health", ".status.health"),
        Column("Commit", ".status.commit"),
        Column("Drift", ".status.drift.count", "integer"),
        Column("Path", ".spec.source.path", priority=1),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
    more=MORE,
)
