"""Kind ``Repository``: a Git source. Says where to read, how to authenticate, and what to follow.

URLs that carry credentials, options for ``git``, or transports that run programs are refused here, before anything is
asked of the outside. Whether ``file:`` may be read is the flow's decision: only the devstack allows it.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any, Literal

import msgspec
from typing_extensions import override

from windlass.core.kinds.conditions import Condition
from windlass.core.kinds.fields import COMMIT, WORDS, Commit, Duration, Name, SecretRef
from windlass.core.kinds.kind import Column, Kind, Metadata, read_metadata, read_spec, read_status
from windlass.core.kinds.shape import Form, Keyed, Part, Rule, Says, mistake, shown

KIND = "Repository"

EXAMPLE = """\
apiVersion: windlass.dev/v1alpha1
kind: Repository
metadata:
  name: config
  namespace: shop
spec:
  url: https://git.example.com/acme/config.git
  ref:
    branch: main
  interval: 30s
  read:
    secret: config-read
"""

URL = Form(
    r"(?:https://|ssh://|file:///|http://(?:127\.0\.0\.1|\[::1\]|localhost)[:/])[!-~]+",
    "a URL that begins with https:// or ssh:// (http:// only on this machine itself)",
    "https://git.example.com/acme/config.git",
    2048,
)
REF = Form(
    r"[A-Za-z0-9_][A-Za-z0-9_./+@=-]*",
    "the name of a branch or tag: letters, digits and . _ / + @ = -, beginning with a letter or digit",
    "main",
    255,
)
RANGE = Form("[0-9A-Za-z.*xX<>=~^|, +-]+", "a version range such as >=1.4 <2", '">=1.4 <2"', 255)


EMAIL = Form(r"[^\s<>@\x00-\x1f\x7f]+@[^\s<>@\x00-\x1f\x7f]+", "an address", "windlass@acme.example", 254)
PATHS = Form(
    r"[^/\x00-\x1f\x7f\\][^\x00-\x1f\x7f\\]*",
    "a pattern for paths of the repository, without a slash in front",
    "apps/*/staging",
    512,
)


SSH = Form(
    r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp256|ecdsa-sha2-nistp384|ecdsa-sha2-nistp521) [A-Za-z0-9+/=]+"
    r"(?: [^\x00-\x1f\x7f]+)?",
    "an SSH public key as in a .pub file: ssh-ed25519, ssh-rsa or ecdsa-sha2-nistp* (keys on a security key, sk-*, "
    "are not known)",
    "ssh-ed25519 AAAA... ada@acme.example",
    4096,
)
OPENPGP = Form(
    r"\s*-----BEGIN PGP PUBLIC KEY BLOCK-----[\x09\x0a\x0d\x20-\x7e]+-----END PGP PUBLIC KEY BLOCK-----\s*",
    "a public key as gpg --export --armor prints it",
    "-----BEGIN PGP PUBLIC KEY BLOCK----- ...",
    65536,
)


class Ref(Part, frozen=True):
    """What is followed: exactly one of these."""

    branch: Annotated[str, REF, Says("A branch. The default is the branch that the server's HEAD names.", "main")] = ""
    tag: Annotated[str, REF, Says("A tag.", "v1.4.2")] = ""
    semver: Annotated[
        str,
        RANGE,
        Says("The newest tag whose name is a version in this range. Prereleases only where the range names one."),
    ] = ""
    commit: Annotated[Commit, Says("One commit; nothing is followed.")] = ""

    rules = (
        Rule(
            "[has(self.branch), has(self.tag), has(self.semver), has(self.commit)].filter(one, one).size() <= 1",
            "ref follows one thing: leave one of branch, tag, semver and commit",
        ),
    )

    @override
    def __str__(self) -> str:
        named = ((word, getattr(self, word)) for word in ("branch", "tag", "semver", "commit"))
        return next((f"{word} {value}" for word, value in named if value), "the default branch")


class WriteAuthor(Part, frozen=True):
    """Who the controller's own commits are by."""

    name: Annotated[str, WORDS, Says("The name in its commits.")] = "windlass"
    email: Annotated[str, EMAIL, Says("The address in its commits.", "windlass@acme.example")] = "windlass@localhost"


class Write(Part, frozen=True):
    """What the controller's own commits are made with. People's commits are made with their own Git."""

    secret: Annotated[
        Name,
        Says(
            "Credentials for writing, apart from those for reading, with the same keys. Files are written where there "
            "is a `ref.branch`; the ledger that an Installation names needs none."
        ),
    ]
    author: Annotated[WriteAuthor, Says("Who its commits are by.")] = msgspec.field(default_factory=WriteAuthor)
    signing_key: Annotated[
        SecretRef | None,
        Says("Signs its commits: key `identity`, an OpenSSH private key without passphrase."),
    ] = None
    paths: Annotated[
        list[Annotated[str, PATHS]],
        Says("The paths that it may change, as patterns from the root on. Without any it changes no file."),
    ] = msgspec.field(default_factory=list)


class History(Part, frozen=True):
    """What to do when history changes under us."""

    rewritten: Annotated[
        Literal["hold", "accept"],
        Says("A branch that moved backwards or sideways is not followed (`hold`) or followed (`accept`)."),
    ] = "hold"


class Signer(Part, frozen=True):
    """One key that may sign: exactly one of these."""

    ssh: Annotated[
        str, SSH, Says("An SSH public key. Its comment is whose it is, in status and ledger.", SSH.example)
    ] = ""
    openpgp: Annotated[str, OPENPGP, Says("An OpenPGP public key, armored. It is checked by the program `gpgv`.")] = ""

    rules = (Rule("has(self.ssh) != has(self.openpgp)", "a signer is one key: name ssh or openpgp"),)


class Verify(Part, frozen=True):
    """Which commits are followed: those that one of these keys signed."""

    signers: Annotated[list[Signer], Says("The keys that may sign. The controller's own, where it writes, is one.")]
    mode: Annotated[
        Literal["head", "all"],
        Says(
            "What has to be signed: the newest commit (`head`), which vouches for those before it, or each that came "
            "since the last one that was accepted (`all`)."
        ),
    ] = "head"

    rules = (Rule("self.signers.size() > 0", "name at least one key: signers: [{ssh: ssh-ed25519 AAAA...}]"),)


class RepositorySpec(Part, frozen=True):
    """The spec of a Repository."""

    url: Annotated[str, URL, Says("Where to read: `https://` or `ssh://`. Credentials do not belong in it.")]
    ref: Annotated[Ref, Says("What is followed; the server's default branch where nothing is named.")] = msgspec.field(
        default_factory=Ref
    )
    interval: Annotated[Duration, Says("How often the repository is asked. A push hook makes it at once.", "30s")] = (
        "30s"
    )
    read: Annotated[
        SecretRef | None,
        Says(
            "Credentials for reading. Keys: `username` and `password`, or `bearerToken`, with `ca.crt` for a private "
            "CA; `identity` and `known_hosts` for SSH."
        ),
    ] = None
    write: Annotated[
        Write | None,
        Says("What the controller may write, and as whom. Without it nothing is ever pushed."),
    ] = None
    hook: Annotated[
        SecretRef | None,
        Says("The Secret whose key `token` signs push hooks (HMAC-SHA256). Without it no push hook is accepted."),
    ] = None
    verify: Annotated[
        Verify | None,
        Says("Whose signature a commit has to have. One that lacks it is not followed; what runs keeps running."),
    ] = None
    history: Annotated[History, Says("What to do when history changes under us.")] = msgspec.field(
        default_factory=History
    )

    rules = (
        Rule(
            "!self.url.matches('^[a-z]+://[^/]*:[^/]*@') && !self.url.matches('^https?://[^/]*@')",
            "credentials do not belong in the url: put them into a Secret and name it in read.secret",
        ),
    )


class RepositoryStatus(Part, frozen=True):
    """The status of a Repository."""

    commit: Annotated[str, Says("The commit that the ref stood at when it was asked last.")] = ""
    fetched_at: Annotated[str, Says("When `commit` was first seen. Asking again without news writes nothing.")] = ""
    signature: Annotated[str, Says("Who signed `commit`, where `spec.verify` asks for it.")] = ""
    conditions: Annotated[
        list[Condition], Says("`Ready`, and `Reconciling` or `Stalled` while so."), Keyed(("type",))
    ] = msgspec.field(default_factory=list)
    observed_generation: Annotated[int, Says("The generation of the spec that this status is about.")] = 0


class Repository(msgspec.Struct, frozen=True):
    """A Repository as flows see it."""

    metadata: Metadata
    spec: RepositorySpec
    status: RepositoryStatus


def decode(content: dict[str, Any]) -> Repository:
    """Reads an object. Raises BadSpec, which names the field and the mend."""
    metadata = read_metadata(content, KIND)
    spec = read_spec(content, RepositorySpec)
    _check(spec)
    return Repository(metadata, spec, read_status(content, RepositoryStatus))


def _check(spec: RepositorySpec) -> None:
    named = [word for word in ("branch", "tag", "semver", "commit") if getattr(spec.ref, word)]
    if len(named) > 1:
        raise mistake("spec.ref", f"follows one thing, not {' and '.join(named)}", f"leave {named[0]} alone")
    for word in ("branch", "tag"):
        name = getattr(spec.ref, word)
        if ".." in name or "//" in name or name.endswith(("/", ".", ".lock")) or "@{" in name:
            raise mistake(f"spec.ref.{word}", f"is not a name that Git allows: {shown(name)}", f"{word}: main")
    if spec.ref.commit and re.fullmatch(COMMIT.pattern, spec.ref.commit) is None:
        raise mistake("spec.ref.commit", f"must be {COMMIT.words}", f"commit: {COMMIT.example}")
    for place, one in enumerate(spec.verify.signers if spec.verify is not None else []):
        field = f"spec.verify.signers[{place}]"
        if bool(one.ssh) == bool(one.openpgp):
            raise mistake(field, "is one key, under ssh or openpgp", f"- ssh: {SSH.example}")
        if one.ssh and not _is_key(one.ssh):
            raise mistake(f"{field}.ssh", "is not a whole public key", f"ssh: {SSH.example}")
    if spec.verify is not None and not spec.verify.signers:
        raise mistake("spec.verify.signers", "names no key", f"signers: [{{ssh: {SSH.example}}}]")
    authority = spec.url.partition("://")[2].partition("/")[0]
    user, at, _ = authority.rpartition("@")
    if at and (spec.url.startswith("http") or ":" in user):
        raise mistake(
            "spec.url",
            "holds credentials",
            "put them into a Secret (keys username and password) and name it in spec.read.secret",
        )
    if authority.startswith("-"):
        raise mistake("spec.url", f"has no host: {shown(spec.url)}", f"url: {URL.example}")


def _is_key(ssh: str) -> bool:
    """Whether the text holds what it says: the key begins with the name of its own kind."""
    kind, _, rest = ssh.partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except (binascii.Error, ValueError):
        return False
    return blob[4 : 4 + len(kind)] == kind.encode() and int.from_bytes(blob[:4], "big") == len(kind)


DEFINITION = Kind(
    kind=KIND,
    plural="repositories",
    short="wrepo",
    namespaced=True,
    text="A Git source: where to read, how to authenticate, and what to follow.",
    example=EXAMPLE,
    spec=RepositorySpec,
    status=RepositoryStatus,
    columns=(
        Column("URL", ".spec.url"),
        Column("Commit", ".status.commit"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
)
