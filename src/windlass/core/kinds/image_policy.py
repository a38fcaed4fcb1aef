"""Kind ``ImagePolicy``: which image moves, by which rule, how it is written, and where. The Automator carries it out.

What can't be carried out is refused here, before anything is asked of a registry.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from windlass.core.kinds.conditions import Condition
from windlass.core.kinds.fields import TIME, WORDS, Duration, Name, SecretRef, moment
from windlass.core.kinds.kind import Column, Kind, Metadata, read_metadata, read_spec, read_status
from windlass.core.kinds.shape import Form, Keyed, Part, Rule, Says, mistake, shown
from windlass.core.model.expressions import compile_expression

KIND = "ImagePolicy"

EXAMPLE = """\
apiVersion: windlass.dev/v1alpha1
kind: ImagePolicy
metadata:
  name: shop
  namespace: shop
spec:
  image: registry.example.com/acme/shop
  select:
    semver: ">=1.4 <2"
  update:
    repository: config
    paths: ["apps/shop"]
"""

MORE = """\
## Where an image is found

No marks are needed. In the files below `update.paths` an image is found by structure: `image` of the containers of
whatever has containers; `images` of a `kustomization.yaml`, by `newName` or else `name`; `repository` with `tag` beside
it (and `registry`, `digest`), as charts' values have them; the version beside a chart's name and repository
(`targetRevision` in Applications of Argo CD). An object that holds an image elsewhere is named by `update.fields`.
Where a value is unusual, a comment behind it marks it: `# windlass: shop`, `# windlass: shop:tag`, or Flux'
`# {"$imagepolicy": "shop:shop:tag"}`; then the comment alone decides about that value.

Only the bytes of the value change: quotes, comments and anchors stay. What stands for a value by an alias moves with it
where that is the image too, or where the value is marked; else the edit is refused. What no file names is not written
anywhere.

## What is taken

The best tag by `select` that is not held, has the `platform` and passes `verify`. Nothing goes backwards because a tag
is missing from the registry or held: a lower one is taken only where the present one is not allowed by `select` any
more. `windlass image check` says of each tag why or why not.

## Whose signature counts

`verify.cosign.key` names keys. `verify.cosign.keyless` names a signer and who vouches for him, for signatures that were
made with a certificate of a few minutes and no key that anybody keeps:

```yaml
pin: tag+digest
verify:
  cosign:
    keyless:
      issuer: https://token.actions.githubusercontent.com
      identityPattern: https://github\\.com/acme/shop/\\.github/workflows/release\\.yaml@refs/tags/v.+
      root: {configMap: sigstore-root}
```

The root says which authorities, logs and clocks are trusted: a `trusted_root.json` of Sigstore, under that key. Nothing
is built in and nothing is fetched: keep it in Git, beside the policy. The public one is what `cosign initialize` leaves
in `~/.sigstore/root/tuf-repo-cdn.sigstore.dev/targets`; `cosign trusted-root create` makes one of your own.

A signature is good where a log of the root has it with this certificate, the log or a clock of the root says when, the
certificate is an authority's, was valid then and is in a certificate log, names just the signer and the issuer that are
asked for, and the digest that is written is what was signed. Both forms count: bundles beside the image (cosign 3) and
the older `sha256-….sig` tag. One good signature is enough; what does not hold beside it changes nothing.

## What a person reverts

A tag that a person reverted is not taken again: the commit that took it is in the history, and a place that it moved
says something else. It is then held, in Git, where the policy's own file may be written."""

IMAGE = Form(r"[A-Za-z0-9\[][!-~]*", "the name of an image without a tag", "registry.example.com/acme/shop", 255)
CHART_URL = Form(r"(?:https?|oci)://[!-~]+", "a chart repository or registry", "https://charts.example.com", 2048)
CHART_NAME = Form("[A-Za-z0-9][A-Za-z0-9._-]*", "the name of a chart", "redis", 250)
PATTERN = Form(r"[^\x00-\x1f\x7f]+", "a regular expression as RE2 has them", "^main-(?P<n>[0-9]+)$", 512)
RANGE = Form("[0-9A-Za-z.*xX<>=!~^|, +-]+", "a range of versions such as >=1.4 <2", '">=1.4 <2"', 255)
TAG = Form(r"[A-Za-z0-9_][A-Za-z0-9._-]*", "a tag", "1.4.2", 128)
PLATFORM = Form(
    "[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9.]+)?", "an operating system and a processor, such as linux/amd64", "linux/amd64", 64
)
GLOB = Form(
    r"[^/\x00-\x1f\x7f\\][^\x00-\x1f\x7f\\]*",
    "a pattern for paths of the repository, without a slash in front",
    "apps/shop",
    512,
)
FIELD = Form(r"(?:/[^/\x00-\x1f\x7f]+)+", "a path such as /spec/image", "/spec/image", 512)
SIGNER = Form(r"[!-~]+", "an address or URI, without spaces", "release@acme.example", 1024)
ROOT_KEY = "trusted_root.json"
ROOT_NAME = "sigstore-root"
KIND_NAME = Form("[A-Z][A-Za-z0-9]*", "a kind", "Prometheus", 63)


class Pattern(Part, frozen=True):
    """Which tags count, and which part of them compares."""

    pattern: Annotated[
        str,
        PATTERN,
        Says("Only tags that match count. A named group, `(?P<n>...)`, is what compares; without one the whole tag."),
    ] = ""


class Follow(Part, frozen=True):
    """One tag, whatever it points to."""

    tag: Annotated[str, TAG, Says("The tag. Its digest is what moves: use it with `pin: digest` or `tag+digest`.")]


class Select(Part, frozen=True):
    """The rule: exactly one of these."""

    semver: Annotated[
        str, RANGE, Says("The highest version in this range. Pre-releases only where the range names one.")
    ] = ""
    pattern: Annotated[
        str,
        PATTERN,
        Says(
            "With `semver`: takes the version out of a tag, by its named group; tags that do not match don't count.",
            "^release-(?P<version>.+)$",
        ),
    ] = ""
    numeric: Annotated[Pattern | None, Says("The highest number.")] = None
    alphabetical: Annotated[Pattern | None, Says("The last one in the order of characters.")] = None
    newest: Annotated[Pattern | None, Says("The one that was built last, as the image itself says.")] = None
    follow: Annotated[Follow | None, Says("One tag, whatever it points to.")] = None

    rules = (
        Rule(
            "[has(self.semver), has(self.numeric), has(self.alphabetical), has(self.newest), has(self.follow)]"
            ".filter(one, one).size() == 1",
            "select by one rule: semver, numeric, alphabetical, newest or follow",
        ),
        Rule(
            "!has(self.pattern) || has(self.semver)",
            "pattern goes with semver: the other rules have a pattern of their own",
        ),
    )


class KeySecret(Part, frozen=True):
    """A public key in a Secret."""

    secret: Annotated[Name, Says("A Secret in the same namespace; key `cosign.pub`: one or more public keys, PEM.")]


class RootRef(Part, frozen=True):
    """A root of trust: a ConfigMap or a Secret in the same namespace, with the key `trusted_root.json`."""

    config_map: Annotated[Name, Says("Name of a ConfigMap.", "sigstore-root")] = ""
    secret: Annotated[Name, Says("Name of a Secret.", "sigstore-root")] = ""

    rules = (
        Rule(
            "has(self.configMap) != has(self.secret)",
            "name one object: configMap: ..., or secret: ...",
        ),
    )


class Keyless(Part, frozen=True):
    """Signatures by certificates that name a person or a workflow: of the issuer and the identity, one form each."""

    issuer: Annotated[
        str, SIGNER, Says("Who vouches for the signer: the OIDC issuer.", "https://token.actions.githubusercontent.com")
    ] = ""
    issuer_pattern: Annotated[
        str, PATTERN, Says("In place of `issuer`: an expression of RE2 that the whole issuer matches.", "https://.+")
    ] = ""
    identity: Annotated[
        str, SIGNER, Says("The signer: an address, or the URI of a workflow.", "release@acme.example")
    ] = ""
    identity_pattern: Annotated[
        str,
        PATTERN,
        Says(
            "In place of `identity`: an expression of RE2 that the whole identity matches.",
            r"https://github\.com/acme/shop/\.github/workflows/release\.yaml@refs/tags/v.+",
        ),
    ] = ""
    root: Annotated[
        RootRef | None,
        Says("Whom to trust: the authorities and logs of Sigstore. Without it: ConfigMap `sigstore-root`."),
    ] = None

    rules = (
        Rule("has(self.issuer) != has(self.issuerPattern)", "name one issuer: issuer, or issuerPattern"),
        Rule("has(self.identity) != has(self.identityPattern)", "name one signer: identity, or identityPattern"),
    )

    @property
    def named(self) -> tuple[str, str]:
        """Kind and name of the object that holds the root."""
        if self.root is None:
            return "ConfigMap", ROOT_NAME
        return ("Secret", self.root.secret) if self.root.secret else ("ConfigMap", self.root.config_map)


class Cosign(Part, frozen=True):
    """Signatures that cosign makes: by keys, or without one."""

    key: Annotated[KeySecret | None, Says("The keys, one of which has to have signed the image.")] = None
    keyless: Annotated[
        Keyless | None, Says("In place of `key`: who has to have signed the image, by a certificate.")
    ] = None

    rules = (Rule("has(self.key) != has(self.keyless)", "key or keyless: name one of the two"),)


class Verify(Part, frozen=True):
    """What has to be shown before an image is taken. Whatever can't be shown is not taken."""

    cosign: Annotated[Cosign, Says("A signature by cosign, on the digest that is then written.")]


class ChartOf(Part, frozen=True):
    """A Helm chart."""

    repository: Annotated[str, CHART_URL, Says("Where it is offered: `https://` or `oci://`.")]
    name: Annotated[str, CHART_NAME, Says("Its name.")]


class FieldOf(Part, frozen=True):
    """A field of a kind that holds an image."""

    kind: Annotated[str, KIND_NAME, Says("The kind.")]
    field: Annotated[str, FIELD, Says("The field's path.")]

    @property
    def path(self) -> tuple[str | int, ...]:
        """``/spec/images/0`` to its steps; a number is an item of a list."""
        steps = self.field[1:].split("/")
        return tuple(int(step) if step.isdecimal() else step for step in steps)


class Update(Part, frozen=True):
    """Where the choice is written."""

    repository: Annotated[Name, Says("A Repository in the same namespace, with `spec.write`.", "config")]
    paths: Annotated[
        list[Annotated[str, GLOB]],
        Says("Folders and files in which images are looked for, as patterns from the root on."),
    ]
    fields: Annotated[list[FieldOf], Says("Fields of other kinds that hold an image."), Keyed(("kind", "field"))] = (
        msgspec.field(default_factory=list)
    )
    branch: Annotated[
        str,
        Form(
            r"[A-Za-z0-9_][A-Za-z0-9_./-]*",
            "the name of a branch",
            "images/shop",
            200,
        ),
        Says(
            "Commits go to this branch instead, made from the one that the Repository follows; it is for people to "
            "merge. Policies that name the same branch share it."
        ),
    ] = ""


class Held(Part, frozen=True):
    """A tag that is not taken."""

    tag: Annotated[str, TAG, Says("The tag.")]
    reason: Annotated[str, WORDS, Says("Why.", "rolled back")] = ""
    by: Annotated[str, WORDS, Says("Who said so.", "ada@acme.example")] = ""
    until: Annotated[str, TIME, Says("Until when. Without it: until somebody takes the line out.")] = ""

    @property
    def end(self) -> datetime | None:
        """``until`` as a time."""
        return moment(self.until) if self.until else None


class ImagePolicySpec(Part, frozen=True):
    """The spec of an ImagePolicy."""

    select: Annotated[Select, Says("Which of the tags is taken.")]
    update: Annotated[Update, Says("Where it is written.")]
    image: Annotated[str, IMAGE, Says("The image, without a tag.")] = ""
    chart: Annotated[ChartOf | None, Says("In place of `image`: a Helm chart, of which the version moves.")] = None
    pin: Annotated[
        Literal["tag", "digest", "tag+digest"], Says("What is written: the tag, the digest that it points to, or both.")
    ] = "tag"
    interval: Annotated[Duration, Says("How often the registry is asked. A push hook makes it at once.", "1m")] = "1m"
    pull: Annotated[
        SecretRef | None,
        Says(
            "Credentials for the registry: `username` and `password`, `bearerToken` or `.dockerconfigjson`; `ca.crt`."
        ),
    ] = None
    hook: Annotated[
        SecretRef | None,
        Says("The Secret whose key `token` a registry's push hooks have to show. Without it none is accepted."),
    ] = None
    insecure: Annotated[bool, Says("Ask the registry over HTTP: for one on this machine itself.")] = False
    verify: Annotated[Verify | None, Says("What has to be shown before an image is taken.")] = None
    platform: Annotated[str, PLATFORM, Says("Only images for this platform are taken.")] = ""
    hold: Annotated[list[Held], Says("Tags that are not taken."), Keyed(("tag",))] = msgspec.field(default_factory=list)

    rules = (
        Rule("has(self.image) != has(self.chart)", "an image or a chart: name one of the two"),
        Rule(
            "!has(self.chart) || has(self.select.semver)",
            "charts have versions: select them by semver",
        ),
        Rule(
            "!has(self.chart) || (!has(self.verify) && !has(self.platform) && (!has(self.pin) || self.pin == 'tag'))",
            "verify, platform and pin are for images: leave them out",
        ),
        Rule(
            "!has(self.verify) || (has(self.pin) && self.pin != 'tag')",
            "verify needs pin: digest or tag+digest: a tag can be moved after it was looked at",
        ),
    )


class ImagePolicyStatus(Part, frozen=True):
    """The status of an ImagePolicy."""

    tag: Annotated[str, Says("The tag that is chosen.")] = ""
    digest: Annotated[str, Says("What it points to, where that was asked for.")] = ""
    commit: Annotated[str, Says("The last commit that wrote it.")] = ""
    places: Annotated[int, Says("In how many places of how many files the image was found: the places.")] = 0
    message: Annotated[str, Says("Why this tag.")] = ""
    conditions: Annotated[
        list[Condition], Says("`Ready`, and `Reconciling` or `Stalled` while so."), Keyed(("type",))
    ] = msgspec.field(default_factory=list)
    observed_generation: Annotated[int, Says("The generation of the spec that this status is about.")] = 0


class ImagePolicy(msgspec.Struct, frozen=True):
    """An ImagePolicy as flows see it."""

    metadata: Metadata
    spec: ImagePolicySpec
    status: ImagePolicyStatus


def decode(content: dict[str, Any]) -> ImagePolicy:
    """Reads an object. Raises BadSpec, which names the field and the mend."""
    metadata = read_metadata(content, KIND)
    spec = read_spec(content, ImagePolicySpec)
    _check(spec)
    return ImagePolicy(metadata, spec, read_status(content, ImagePolicyStatus))


def _check(spec: ImagePolicySpec) -> None:
    if bool(spec.image) == (spec.chart is not None):
        raise mistake("spec.image", "or spec.chart: one of the two is named", f"image: {IMAGE.example}")
    words = ("semver", "numeric", "alphabetical", "newest", "follow")
    named = [word for word in words if getattr(spec.select, word)]
    if len(named) != 1:
        raise mistake("spec.select", f"is by one rule, not {' and '.join(named) or 'none'}", "semver: 1.x")
    if spec.select.pattern and not spec.select.semver:
        raise mistake("spec.select.pattern", "goes with semver", "numeric: {pattern: ...}")
    if spec.chart is not None and not spec.select.semver:
        raise mistake("spec.select", "of a chart is by semver", "semver: 1.x")
    if spec.chart is not None and (spec.verify is not None or spec.platform or spec.pin != "tag"):
        raise mistake("spec.chart", "has no platform, signature or digest here", "leave verify, platform and pin out")
    if spec.verify is not None and spec.pin == "tag":
        raise mistake("spec.pin", "of what is verified is the digest: a tag can be moved afterwards", "pin: tag+digest")
    if spec.verify is not None:
        _check_cosign(spec.verify.cosign, "spec.verify.cosign")
    if "@" in spec.image or ":" in spec.image.rpartition("/")[2]:
        raise mistake("spec.image", f"names a tag or digest: {shown(spec.image)}", f"image: {IMAGE.example}")
    if not spec.update.paths:
        raise mistake("spec.update.paths", "names no folder", 'paths: ["apps/shop"]')


def _check_cosign(cosign: Cosign, path: str) -> None:
    if (cosign.key is None) == (cosign.keyless is None):
        raise mistake(path, "is by keys or keyless: one of the two is named", "key: {secret: cosign-pub}")
    if (keyless := cosign.keyless) is None:
        return
    path = f"{path}.keyless"
    for name, exact, pattern in (
        ("issuer", keyless.issuer, keyless.issuer_pattern),
        ("identity", keyless.identity, keyless.identity_pattern),
    ):
        if bool(exact) == bool(pattern):
            raise mistake(f"{path}.{name}", f"or {name}Pattern: one of the two is named", f"{name}: ...")
        if pattern and compile_expression(pattern) is None:
            raise mistake(f"{path}.{name}Pattern", f"is no expression of RE2: {shown(pattern)}", "https://.+")
    if keyless.root is not None and bool(keyless.root.config_map) == bool(keyless.root.secret):
        raise mistake(f"{path}.root", "has to name one object", "configMap: sigstore-root, or secret: sigstore-root")


DEFINITION = Kind(
    kind=KIND,
    plural="imagepolicies",
    short="wimg",
    namespaced=True,
    text="Which image moves, by which rule, and where that is written.",
    example=EXAMPLE,
    spec=ImagePolicySpec,
    status=ImagePolicyStatus,
    columns=(
        Column("Image", ".spec.image"),
        Column("Tag", ".status.tag"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
    more=MORE,
)
