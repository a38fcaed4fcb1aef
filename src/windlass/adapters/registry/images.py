"""``ports.Images``: tags, digests, what images say of themselves, and the signatures beside them.

Tags and digests are asked for once for all who want them with the same credentials, conditionally where the registry
can; what hangs on a digest never changes and is kept, a bounded number of it. A registry has a budget of requests that
those who ask share (``budget``). It decides nothing: which tag is taken is ``core/images``' to say, and whether a
signature is good ``core/trust``'s.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from typing_extensions import override

from windlass.adapters.host.http import Http
from windlass.adapters.registry.budget import Budget
from windlass.adapters.registry.client import (
    DOCKER_INDEX,
    INDEX,
    Descriptor,
    Login,
    Manifest,
    Registry,
    RegistryMissing,
    RegistryWrong,
    login_for,
    mark_of,
    remember,
)
from windlass.core.model.foreign import UNREADABLE
from windlass.ports import Clock, ImageFacts, Images, ImageWanted, SignedClaim

LARGEST_CONFIG = 1 << 20
LARGEST_CLAIM = 1 << 18
MOST_CLAIMS = 32
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
CERTIFICATE = "dev.sigstore.cosign/certificate"
ENTRY = "dev.sigstore.cosign/bundle"
BUNDLE = "application/vnd.dev.sigstore.bundle"
_DIGESTS = 256
_LABEL = 1024


class _Platform(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    variant: str = ""

    @property
    def name(self) -> str:
        """``linux/arm64/v8``; "" for what is no image (an attestation)."""
        if self.os in ("", "unknown"):
            return ""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class _Child(msgspec.Struct, rename="camel"):
    digest: str
    size: int = 0
    media_type: str = ""
    platform: _Platform | None = None


class _Config(msgspec.Struct):
    created: str = ""
    os: str = ""
    architecture: str = ""
    variant: str = ""
    config: dict[str, Any] | None = None


@dataclass(slots=True)
class _Known:
    """What is known of one repository, as one account sees it."""

    registry: Registry
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: float = float("-inf")
    tags: list[str] = field(default_factory=list)
    etag: str = ""
    digests: dict[str, tuple[float, str]] = field(default_factory=dict)
    facts: dict[tuple[str, str], ImageFacts] = field(default_factory=dict)


class ImageStore(Images):
    """``http`` is the caller's to close."""

    def __init__(self, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._known: dict[tuple[ImageWanted, str], _Known] = {}
        self._registries: dict[tuple[str, bool, str, Login], Registry] = {}
        self._budgets: dict[str, Budget] = {}
        self.requests = 0

    @override
    async def tags(self, image: ImageWanted, secret: Mapping[str, bytes], *, fresh: float) -> Sequence[str]:
        """Raises the errors of ``client`` and of ``adapters/host/http``."""
        known = self._look_up(image, secret)
        async with known.lock:
            if self._clock.monotonic() - known.asked >= fresh:
                async with self._turn(image):
                    listed = await known.registry.look_at_tags(image.repository, known.etag)
                if listed is not None:
                    known.tags, known.etag = listed
                known.asked = self._clock.monotonic()
            return known.tags

    @override
    async def digest(self, image: ImageWanted, tag: str, secret: Mapping[str, bytes], *, fresh: float) -> str:
        known = self._look_up(image, secret)
        async with known.lock:
            asked, digest = known.digests.get(tag, (float("-inf"), ""))
            if not digest or self._clock.monotonic() - asked >= fresh:
                async with self._turn(image):
                    digest = await known.registry.digest(image.repository, tag)
                remember(known.digests, tag, (self._clock.monotonic(), digest), _DIGESTS)
            return digest

    @override
    async def facts(
        self, image: ImageWanted, reference: str, secret: Mapping[str, bytes], *, platform: str = ""
    ) -> ImageFacts:
        known = self._look_up(image, secret)
        if (kept := known.facts.get((reference, platform))) is not None:
            return kept
        async with self._turn(image):
            manifest = await known.registry.manifest(image.repository, reference)
        kept = known.facts.get((manifest.digest, platform))
        if kept is None:
            kept = await self._read_facts(known, image, manifest, platform)
            remember(known.facts, (manifest.digest, platform), kept, 20_000)
        return kept

    async def _read_facts(self, known: _Known, image: ImageWanted, manifest: Manifest, platform: str) -> ImageFacts:
        digest = manifest.digest
        platforms: tuple[str, ...] = ()
        if manifest.media_type in (INDEX, DOCKER_INDEX):
            children = _children(manifest, image)
            named = [(one.platform.name if one.platform else "", one) for one in children]
            platforms = tuple(sorted({name for name, _ in named if name}))
            chosen = next((one for name, one in named if name and (not platform or is_platform(name, platform))), None)
            if chosen is None:
                return ImageFacts(digest, platforms=platforms)
            async with self._turn(image):
                manifest = await known.registry.manifest(image.repository, chosen.digest)
        config = await self._config(known, image, manifest)
        own = _Platform(config.os, config.architecture, config.variant).name
        labels = (config.config or {}).get("Labels")
        return ImageFacts(
            digest,
            _moment(config.created),
            {str(key): str(value)[:_LABEL] for key, value in labels.items()} if isinstance(labels, dict) else {},
            platforms or ((own,) if own else ()),
        )

    async def _config(self, known: _Known, image: ImageWanted, manifest: Manifest) -> _Config:
        """The configuration of an image. What is no image (a chart, an artifact) has an empty one."""
        try:
            wanted = msgspec.convert(manifest.content.get("config"), Descriptor)
        except msgspec.ValidationError:
            raise RegistryWrong(f"{image.registry}/{image.repository} has a manifest without a configuration") from None
        async with self._turn(image):
            data = await known.registry.blob(image.repository, wanted, LARGEST_CONFIG)
        try:
            return msgspec.json.decode(data, type=_Config)
        except UNREADABLE:
            return _Config()

    @override
    async def signatures(self, image: ImageWanted, digest: str, secret: Mapping[str, bytes]) -> Sequence[SignedClaim]:
        known = self._look_up(image, secret)
        found: list[SignedClaim] = []
        async with self._turn(image):
            try:
                beside = await known.registry.manifest(image.repository, f"{digest.replace(':', '-')}.sig")
            except RegistryMissing:
                beside = None
        if beside is not None:
            found += await self._simple(known, image, beside)
        async with self._turn(image):
            referrers = await known.registry.referrers(image.repository, digest)
        for one in referrers[:MOST_CLAIMS]:
            async with self._turn(image):
                manifest = await known.registry.manifest(image.repository, one.digest)
            found += await self._bundles(known, image, manifest)
        return found[:MOST_CLAIMS]

    async def _simple(self, known: _Known, image: ImageWanted, manifest: Manifest) -> list[SignedClaim]:
        """What cosign keeps beside an image under a tag of its own: payloads as layers, signatures as annotations."""
        found = []
        for layer in _layers(manifest, image)[:MOST_CLAIMS]:
            if layer.media_type != SIMPLE_SIGNING:
                continue
            try:
                signature = base64.b64decode(layer.annotations.get(SIGNATURE, ""), validate=True)
            except ValueError:  # binascii.Error is one; text that is not ASCII is another
                continue
            async with self._turn(image):
                payload = await known.registry.blob(image.repository, layer, LARGEST_CLAIM)
            beside = [layer.annotations.get(name, "").encode() for name in (CERTIFICATE, ENTRY)]
            if all(len(one) <= LARGEST_CLAIM for one in beside):
                found.append(SignedClaim("simple", payload, signature, *beside))
        return found

    async def _bundles(self, known: _Known, image: ImageWanted, manifest: Manifest) -> list[SignedClaim]:
        """What cosign attaches as a referrer: a bundle of Sigstore as the only layer."""
        found = []
        for layer in _layers(manifest, image)[:1]:
            if layer.media_type.startswith(BUNDLE):
                async with self._turn(image):
                    found.append(
                        SignedClaim("bundle", await known.registry.blob(image.repository, layer, LARGEST_CLAIM))
                    )
        return found

    # --- who is asked -------------------------------------------------------------------------------------------------

    def _look_up(self, image: ImageWanted, secret: Mapping[str, bytes]) -> _Known:
        mark = mark_of(secret)
        known = self._known.pop((image, mark), None)
        if known is None:
            # Tokens are of a registry and an account, whatever repository they are for.
            login, ca = login_for(image.registry, secret, image.repository), secret.get("ca.crt", b"")
            place = (image.registry, image.plain, mark, login)
            registry = self._registries.get(place)
            if registry is None:
                registry = Registry(self._http, image.registry, self._clock, login=login, plain=image.plain, ca=ca)
                remember(self._registries, place, registry, 256)
            known = _Known(registry)
        remember(self._known, (image, mark), known, 4096)
        return known

    def _turn(self, image: ImageWanted) -> Any:
        self.requests += 1
        budget = self._budgets.setdefault(image.registry, Budget(self._clock, image.registry))
        return budget.turn(image)


def is_platform(name: str, wanted: str) -> bool:
    """Whether a platform is the wanted one: "linux/arm64" means every variant of it."""
    return name == wanted or name.startswith(wanted + "/")


def _children(manifest: Manifest, image: ImageWanted) -> list[_Child]:
    try:
        return msgspec.convert(manifest.content.get("manifests") or [], list[_Child])
    except msgspec.ValidationError:
        raise RegistryWrong(f"{image.registry}/{image.repository} has an index that can't be read") from None


def _layers(manifest: Manifest, image: ImageWanted) -> list[Descriptor]:
    try:
        return msgspec.convert(manifest.content.get("layers") or [], list[Descriptor])
    except msgspec.ValidationError:
        raise RegistryWrong(f"{image.registry}/{image.repository} has a manifest that can't be read") from None


def _moment(text: str) -> datetime | None:
    """The time of an image's building. The first second of 1970 and of year one mean that nobody said."""
    try:
        when = datetime.fromisoformat(text)
        when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # an offset may lead out of the years that there are
        return None
    return when if when.year > 1980 else None
