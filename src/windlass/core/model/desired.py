"""What Git wants: the objects that a render came to, each with where it stands in Git."""

from __future__ import annotations

import msgspec
from typing_extensions import override

from windlass.core.model.references import ObjectRef


class Origin(msgspec.Struct, frozen=True, gc=False):
    """The place of an object in Git. ``commit`` is the commit that last changed the file, as far as was looked."""

    repository: str
    commit: str
    file: str
    line: int = 0

    @override
    def __str__(self) -> str:
        return f"{self.repository}@{self.commit}:{self.file}"


class Desired(msgspec.Struct, frozen=True):
    """One object as Git wants it.

    ``body`` is the exact JSON that is applied (label, origin and digest annotations included); ``digest`` is over the
    manifest before those were added, keyed for Secrets. ``wave`` and ``tier`` order it: waves wait for health, tiers
    (Namespaces and CRDs first, webhooks last) only for the request. The annotations a person may set on a manifest
    stand beside it, already checked: ``conflicts`` "take"|"fail"|"", ``drift`` "revert"|"alert"|"adopt"|"",
    ``release`` True: leave it alone from now on; ``hook`` its hook phase, "" for ordinary objects. ``left`` are fields
    that Git leaves to others for a time: paths in fieldsV1 elements joined by "/", which the body does not name.
    """

    ref: ObjectRef
    api_version: str
    wave: int
    tier: int
    digest: str
    origin: Origin
    body: bytes
    conflicts: str = ""
    drift: str = ""
    release: bool = False
    hook: str = ""
    left: tuple[str, ...] = ()


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong in the desired state, in the parts a person needs. ``slug``: its docs heading."""

    what: str
    file: str = ""
    line: int = 0
    field: str = ""
    hint: str = ""
    slug: str = "bad-manifest"
    ref: ObjectRef | None = None


class Explained(msgspec.Struct, frozen=True):
    """How an object came to be: where it was written ("" line 0: generated there), and what made or changed it, in
    order, each as the place that says so and what it says."""

    ref: ObjectRef
    file: str
    line: int
    steps: list[tuple[str, str]] = []


class OtherRead(msgspec.Struct, frozen=True):
    """What a render read of a further repository, at which commit: a trace, as in ``Rendered``."""

    commit: str
    read: dict[str, str] = {}


class Rendered(msgspec.Struct, frozen=True):
    """What a render came to: ``objects`` in apply order. With ``problems`` nothing of it may be applied.

    ``invalid`` are objects that are wrong by themselves (a bad annotation): they are left as they are, others go on.
    ``read`` is the trace: per path its blob id or "" for absent, per folder (trailing "/") a digest of its names;
    ``others`` the same of further repositories, by the names that the source gives them. ``private``: a Secret is in
    it, or what came from one: it stays in memory. ``asked``: what the cluster is like went into it. ``scopes`` are the
    answers about custom kinds that were used, as in ``RenderRequest.namespaced``. ``wants`` are charts that are missing
    (repository, name, range): with them the render would come to something. ``images`` are those that containers name,
    each once.
    """

    commit: str
    objects: list[Desired]
    problems: list[Problem] = []
    invalid: list[Problem] = []
    warnings: list[Problem] = []
    read: dict[str, str] = {}
    others: dict[str, OtherRead] = {}
    private: bool = False
    asked: bool = False
    scopes: dict[str, bool] = {}
    wants: list[tuple[str, str, str]] = []
    images: list[str] = []
