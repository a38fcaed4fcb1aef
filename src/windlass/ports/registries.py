"""The outside that charts and images come from. See ``windlass.ports``, which has these names too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple, Protocol

import msgspec

from windlass.errors import NeedsHuman


class ChartWanted(msgspec.Struct, frozen=True):
    """A chart as an Application names it: a repository (``https://``, ``http://`` or ``oci://``), a name, a range of
    versions ("" is the newest). ``plain`` asks an OCI registry over HTTP."""

    repository: str
    name: str
    version: str = ""
    plain: bool = False


class ChartFound(msgspec.Struct, frozen=True):
    """One version, fetched and verified: ``digest`` ("sha256:...") is that of the file ``archive``; ``signer`` the
    fingerprint of the key that vouches for it, "" where nobody was asked to."""

    name: str
    version: str
    digest: str
    archive: str
    signer: str = ""


class ChartUnverified(NeedsHuman):
    """Nobody of the keyring vouches for a chart: it has no provenance, or one that is wrong."""

    slug: ClassVar[str] = "chart-unverified"
    reason: ClassVar[str] = "ChartUnverified"


class Charts(Protocol):
    """Chart repositories and registries. Raises NeedsHuman (no such chart, refused, another digest than promised,
    ChartUnverified) and TryLater (not reached, asked to wait)."""

    async def resolve(
        self,
        wanted: ChartWanted,
        secret: Mapping[str, bytes],
        *,
        fresh: float,
        keyring: Sequence[bytes] | None = None,
    ) -> ChartFound:
        """The newest version that is wanted, on disk. What the repository offers is asked for again when the answer is
        older than ``fresh`` seconds, once for all who ask with the same credentials. With ``keyring`` (files with
        OpenPGP keys) its provenance has to hold, now, or ChartUnverified is raised and nothing gets on disk."""
        ...

    async def versions(self, wanted: ChartWanted, secret: Mapping[str, bytes], *, fresh: float) -> Sequence[str]:
        """All versions of the chart that are offered, whatever ``wanted.version`` says."""
        ...

    async def holds(self, found: ChartFound) -> bool:
        """Whether the archive of a chart that was found is still on disk."""
        ...


class ImageWanted(NamedTuple):
    """A repository of a registry, as ``core.images.Reference`` writes it out. ``plain`` asks over HTTP."""

    registry: str
    repository: str
    plain: bool = False


class ImageFacts(msgspec.Struct, frozen=True):
    """One image. ``digest`` is what its tag points to (an index where it is for several platforms); ``created`` and
    ``labels`` are of the platform that was asked for; ``platforms`` are all it has, such as "linux/arm64/v8"."""

    digest: str
    created: datetime | None = None
    labels: dict[str, str] = {}
    platforms: tuple[str, ...] = ()


class SignedClaim(msgspec.Struct, frozen=True):
    """One signature found beside an image, not verified. ``form`` is "simple" (the payload and its signature) or
    "bundle" (the payload is a bundle of Sigstore, which holds its signature). Beside a simple one there may be a
    ``certificate`` (PEM) and an ``entry`` of a transparency log (JSON, as cosign keeps it)."""

    form: str
    payload: bytes
    signature: bytes = b""
    certificate: bytes = b""
    entry: bytes = b""


class Images(Protocol):
    """Registries of images. Raises NeedsHuman (no such image, refused, an answer that is none) and TryLater (not
    reached, asked to wait). ``fresh`` is how old, in seconds, an answer may be that others asked for."""

    async def tags(self, image: ImageWanted, secret: Mapping[str, bytes], *, fresh: float) -> Sequence[str]:
        """Every tag. Asked once for all who want it with the same credentials."""
        ...

    async def digest(self, image: ImageWanted, tag: str, secret: Mapping[str, bytes], *, fresh: float) -> str:
        """What a tag points to."""
        ...

    async def facts(
        self, image: ImageWanted, reference: str, secret: Mapping[str, bytes], *, platform: str = ""
    ) -> ImageFacts:
        """What an image says of itself, by tag or digest."""
        ...

    async def signatures(self, image: ImageWanted, digest: str, secret: Mapping[str, bytes]) -> Sequence[SignedClaim]:
        """The signatures beside an image, a bounded number of them."""
        ...
