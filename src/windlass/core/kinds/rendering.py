"""``spec.render`` of an Application: what differs from what the folder itself says. Every field is optional.

A folder says by its files what it is (``docs/render/README.md``). ``plain``, and the other renderers by their names,
decide where two readings are possible; their fields are that renderer's settings.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from windlass.core.kinds.fields import NAME, Name
from windlass.core.kinds.shape import Form, Part, Rule, Says, mistake, shown

OBJECT_NAME = Form("(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)?", NAME.words, "cluster-vars", 253)
IMAGE = Form(r"[^\s\x00-\x1f\x7f]*", "part of the name of an image, without blanks", "acme/shop", 512)
PREFIX = Form("(?:[a-z0-9][-a-z0-9.]*)?", "lower-case letters, digits, - and .", "prod-", 63)
COMPONENT = Form(
    r"[^/\x00-\x1f\x7f\\][^\x00-\x1f\x7f\\]*", "a folder, relative to source.path", "../components/x", 1024
)
VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
PLACE = Form(
    r"[^\x00-\x1f\x7f\\]+", "a path: relative to source.path, /from/the/root, or $source/path", "/vendor", 1024
)

RENDERERS = ("helm", "jsonnet", "kustomize", "plain")
"""The fields of ``Render`` that name a renderer, of which one can be meant."""
RELEASE = Form(
    "(?:[a-z0-9](?:[-a-z0-9.]{0,51}[a-z0-9])?)?", "lower-case letters, digits, - and ., at most 53", "shop", 53
)
KUBE_VERSION = Form(r"(?:v?[0-9]+\.[0-9]+(?:\.[0-9]+)?(?:[-+][0-9A-Za-z.+-]+)?)?", "a version", "v1.36.0", 64)
API_VERSION = Form(
    r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*(?:/[A-Z][A-Za-z0-9]*)?",
    "<group>/<version>, or <group>/<version>/<Kind>",
    "monitoring.coreos.com/v1",
    317,
)


KEY = Form(r"[-._A-Za-z0-9]+", "a key of a ConfigMap: letters, digits, - _ and .", "values.yaml", 253)


class ValueRef(Part, frozen=True):
    """A ConfigMap or a Secret in the Application's own namespace, read with the Application's account."""

    config_map: Annotated[str, OBJECT_NAME, Says("Name of a ConfigMap.", "cluster-vars")] = ""
    secret: Annotated[str, OBJECT_NAME, Says("Name of a Secret.", "cluster-secrets")] = ""
    optional: Annotated[bool, Says("It may be missing.")] = False

    rules = (
        Rule(
            "(has(self.configMap) ? 1 : 0) + (has(self.secret) ? 1 : 0) == 1",
            "name one object: configMap: ..., or secret: ...",
        ),
    )

    @property
    def named(self) -> Named:
        """What has to be read."""
        kind, name = ("ConfigMap", self.config_map) if self.config_map else ("Secret", self.secret)
        return Named(kind, name, self.optional)


class Substitute(Part, frozen=True):
    """Variables in what was rendered: `${NAME}` and `${NAME:=default}`."""

    values: Annotated[
        dict[str, Any],
        Says(
            "Variables and their values: text, numbers, true and false. They win over those of `from`.", "{REGION: eu}"
        ),
    ] = msgspec.field(default_factory=dict)
    from_: Annotated[
        list[ValueRef], Says("ConfigMaps and Secrets whose keys are variables; of two equal keys the later one counts.")
    ] = msgspec.field(default_factory=list, name="from")


class Decrypt(Part, frozen=True):
    """How files that are encrypted with SOPS are opened."""

    secret: Annotated[
        Name,
        Says("A Secret of the Application's namespace; each of its keys that ends in `.agekey` holds age identities."),
    ]


class Plain(Part, frozen=True):
    """The manifests as they are."""


class Named(NamedTuple):
    """An object of the cluster whose values go into a render. ``kind``: ConfigMap or Secret."""

    kind: str
    name: str
    optional: bool = False

    @property
    def key(self) -> str:
        """As ``ports.ClusterValues`` has it."""
        return f"{self.kind}/{self.name}"


class Jsonnet(Part, frozen=True):
    """How Jsonnet is evaluated."""

    top_level: Annotated[
        dict[str, Any],
        Says("Top-level arguments. Text is handed over as text, any other value as it is.", "{env: prod, replicas: 3}"),
    ] = msgspec.field(default_factory=dict)
    external: Annotated[dict[str, Any], Says("External variables (`std.extVar`), alike.", "{env: prod}")] = (
        msgspec.field(default_factory=dict)
    )
    libs: Annotated[
        list[Annotated[str, PLACE]],
        Says(
            "Folders in which imports are looked for, the last one first: relative to `source.path`, from the root of "
            "the repository with a slash in front, or `$name/...` in a repository of `spec.sources`.",
            '["/vendor"]',
        ),
    ] = msgspec.field(default_factory=list)


class ValuesFrom(ValueRef, frozen=True):
    """Values of a chart in a ConfigMap or a Secret, as YAML under one key."""

    key: Annotated[str, KEY, Says("The key that holds the YAML.")] = "values.yaml"


class Helm(Part, frozen=True):
    """A Helm chart, as ``helm template`` renders it."""

    release_name: Annotated[
        str, RELEASE, Says("The name of the release in the templates. The default is the Application's name.", "shop")
    ] = ""
    values: Annotated[
        dict[str, Any],
        Says("Values, over those of the chart, of `valuesFiles` and of `valuesFrom`.", "{replicas: 3}"),
    ] = msgspec.field(default_factory=dict)
    values_files: Annotated[
        list[Annotated[str, PLACE]],
        Says(
            "Files with values, the last one wins: relative to `source.path`, from the root of the repository with a "
            "slash in front, or `$source/path` of a further source.",
            "[values-prod.yaml, /environments/eu.yaml]",
        ),
    ] = msgspec.field(default_factory=list)
    values_from: Annotated[
        list[ValuesFrom],
        Says("ConfigMaps and Secrets with values, over those of `valuesFiles`; the last one wins."),
    ] = msgspec.field(default_factory=list)
    kube_version: Annotated[
        str,
        KUBE_VERSION,
        Says("The version of Kubernetes that templates see. The default is the cluster's.", "v1.36.0"),
    ] = ""
    api_versions: Annotated[
        list[Annotated[str, API_VERSION]],
        Says(
            "API versions that templates see besides those that Helm knows. The default is what the cluster serves.",
            "[monitoring.coreos.com/v1]",
        ),
    ] = msgspec.field(default_factory=list)
    skip_crds: Annotated[bool, Says("Leave out the CRDs in the chart's folder `crds`.")] = False
    skip_schema_validation: Annotated[bool, Says("Do not hold the values against the chart's schemas.")] = False


class KustomizeImage(Part, frozen=True):
    """An entry as in ``images`` of a kustomization."""

    name: Annotated[str, IMAGE, Says("The image as the manifests name it.", "acme/shop")]
    new_name: Annotated[str, IMAGE, Says("Another name for it.", "registry.example.com/acme/shop")] = ""
    new_tag: Annotated[str, IMAGE, Says("Its tag.", "1.4.2")] = ""
    digest: Annotated[str, IMAGE, Says("Its digest, in place of a tag.", "sha256:...")] = ""


class Kustomize(Part, frozen=True):
    """What is laid over the kustomization of the folder."""

    images: Annotated[
        list[KustomizeImage], Says("They take the place of the kustomization's entries of the same name.")
    ] = msgspec.field(default_factory=list)
    name_prefix: Annotated[str, PREFIX, Says("In place of the kustomization's own.", "prod-")] = ""
    components: Annotated[
        list[Annotated[str, COMPONENT]],
        Says(
            "Further components, after the kustomization's own: paths relative to `source.path`.", "[../components/x]"
        ),
    ] = msgspec.field(default_factory=list)
    load_restrictor: Annotated[
        Literal["rootOnly", "none"],
        Says(
            "Where files that a kustomization reads may lie: in or below its own folder, as `kustomize build` has it, "
            "or anywhere in the repository, as Flux has it."
        ),
    ] = "rootOnly"


class Render(Part, frozen=True):
    """How the source becomes objects. A renderer that is named here is taken, whatever else is in the folder."""

    helm: Annotated[Helm | None, Says("Take the folder as a Helm chart.", "{}")] = None
    jsonnet: Annotated[Jsonnet | None, Says("Evaluate the `*.jsonnet` files of the folder.", "{}")] = None

    kustomize: Annotated[Kustomize | None, Says("Build the kustomization of the folder.", "{}")] = None
    plain: Annotated[
        Plain | None, Says("Take the manifests as they are, and leave files of kustomize and Jsonnet out.", "{}")
    ] = None

    substitute: Annotated[
        Substitute | None, Says("Fill in variables in what was rendered. Only where this is here.", "{}")
    ] = None

    decrypt: Annotated[
        Decrypt | None, Says("Open files that are encrypted with SOPS and age.", "{secret: sops-age}")
    ] = None

    rules = (
        Rule(
            " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in RENDERERS) + " <= 1",
            f"one renderer can be meant: name one of {', '.join(RENDERERS)}",
        ),
    )

    @property
    def named(self) -> tuple[Named, ...]:
        """What of the cluster goes into the render, each once; one that is needed somewhere is not optional."""
        refs = [one.named for one in (self.substitute.from_ if self.substitute else ())]
        refs += [Named("Secret", self.decrypt.secret)] if self.decrypt else []
        refs += [one.named for one in (self.helm.values_from if self.helm else ())]
        needed = {(one.kind, one.name) for one in refs if not one.optional}
        return tuple(
            Named(kind, name, (kind, name) not in needed) for kind, name in dict.fromkeys(one[:2] for one in refs)
        )

    @property
    def renderer(self) -> str:
        """The renderer that is named, "" where the folder decides."""
        return next((name for name in RENDERERS if getattr(self, name) is not None), "")


def check_render(render: Render) -> None:
    """Raises BadSpec for what the fields alone can't tell."""
    named = [name for name in RENDERERS if getattr(render, name) is not None]
    if len(named) > 1:
        raise mistake("spec.render", f"names {' and '.join(named)}: one renderer can be meant", f"{named[0]}: {{}}")
    for index, one in enumerate(render.helm.values_from if render.helm else ()):
        check_ref(one, f"spec.render.helm.valuesFrom[{index}]")
    if render.substitute is not None:
        _check_substitute(render.substitute)


def _check_substitute(substitute: Substitute) -> None:
    path = "spec.render.substitute"
    for name, value in substitute.values.items():
        if VARIABLE.fullmatch(name) is None:
            what = f"is no name of a variable: letters, digits and _, not {shown(name)}"
            raise mistake(f"{path}.values", what, "REGION: eu")
        if not isinstance(value, str | int | float | bool):
            raise mistake(f"{path}.values.{name}", f"must be text, a number, true or false, not {shown(value)}", "eu")
    for index, one in enumerate(substitute.from_):
        check_ref(one, f"{path}.from[{index}]")


def check_ref(ref: ValueRef, path: str) -> None:
    """Raises BadSpec where not just one object is named."""
    if bool(ref.config_map) == bool(ref.secret):
        raise mistake(path, "has to name one object", "configMap: cluster-vars, or secret: cluster-secrets")
