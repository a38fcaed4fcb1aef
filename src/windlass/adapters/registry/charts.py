"""``ports.Charts``: which version of a chart a range means now, and its archive on disk, verified.

A repository is asked once for all who want charts of it with the same credentials: its index, or a registry's tags, is
kept for as long as the caller says, and then asked for conditionally. Archives lie under their SHA-256 in the data
folder, apart by source and credentials (whoever knows a digest does not get the file for that), and may be lost at any
time; whoever reads one holds it against its digest again. Nothing is unpacked here. Where a keyring is given, the
chart's provenance has to hold before its archive gets on disk, and each time that it is asked for: ``provenance``.
Credentials go to the repository's own host, and to another one only where that is the registry's own token realm.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import msgspec
from typing_extensions import override

from windlass.adapters.host.files import explain, write_atomic
from windlass.adapters.host.http import IDENTITY, Ask, Http, Reach, RemoteUnavailable
from windlass.adapters.registry.client import (
    Descriptor,
    Login,
    Manifest,
    Registry,
    RegistryDenied,
    RegistryWrong,
    login_for,
    mark_of,
    remember,
)
from windlass.adapters.registry.offers import LARGEST, IndexWrong, Offer, choose, shorten
from windlass.adapters.registry.provenance import LARGEST as LARGEST_PROOF
from windlass.adapters.registry.provenance import Claim, Verdict, proven
from windlass.core.charts.ranges import read_range, version
from windlass.errors import NeedsHuman
from windlass.ports import ChartFound, Charts, ChartUnverified, ChartWanted, Clock

LARGEST_ARCHIVE = 32 * 1024 * 1024
KEPT = 1 << 30
"""Bytes of archives that stay in the folder."""

CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
CHART_PROOF = "application/vnd.cncf.helm.chart.provenance.v1.prov"
CHART_CONFIG = "application/vnd.cncf.helm.config.v1+json"
_SIGN = "sign it with helm package --sign, and publish the .prov beside the archive"
_REMEMBERED = 128
_FORGET = 3600.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,249}")
_HEX = re.compile(r"[0-9a-f]{64}")


class ChartMissing(NeedsHuman):
    """The repository offers no such chart, or no version of it in the range."""

    slug: ClassVar[str] = "chart-missing"
    reason: ClassVar[str] = "ChartMissing"


class ChartDigest(NeedsHuman):
    """An archive is not the one that its repository promised."""

    slug: ClassVar[str] = "chart-digest"
    reason: ClassVar[str] = "ChartDigest"


@dataclass(slots=True)
class _Repository:
    """What is known of a chart repository over HTTP. ``offers`` are JSON lists by chart, read when asked for."""

    url: str
    login: Login
    ca: bytes
    folder: Path
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: float = float("-inf")
    etag: str = ""
    modified: str = ""
    offers: dict[str, bytes] = field(default_factory=dict)
    reach: Reach = Reach.PUBLIC
    fetched: dict[str, str] = field(default_factory=dict)  # URL of an archive without a promised digest: its digest


@dataclass(slots=True)
class _Tags:
    """The tags of one repository of a registry."""

    registry: Registry
    folder: Path
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: float = float("-inf")
    tags: list[str] = field(default_factory=list)
    manifests: dict[str, tuple[float, _Layers]] = field(default_factory=dict)


class _Layers(NamedTuple):
    """What the manifest of a chart names: its archive, and its provenance where it has one."""

    archive: Descriptor
    proof: Descriptor | None


class _Proof(NamedTuple):
    """Who may vouch, and where the provenance is had from."""

    keyring: Sequence[bytes]
    file: str
    fetch: Callable[[], Awaitable[bytes]]


class ChartStore(Charts):
    """``folder`` holds the archives; it is made. ``http`` is the caller's to close."""

    def __init__(self, folder: Path, http: Http, clock: Clock) -> None:
        self._folder = folder
        self._http = http
        self._clock = clock
        # One index at a time: each may take hundreds of megabytes while it is read.
        self._reading = asyncio.Semaphore(1)
        self._repositories: dict[tuple[str, str], _Repository] = {}
        self._tags: dict[tuple[str, str, str], _Tags] = {}
        self._verdicts: dict[bytes, tuple[float, Verdict]] = {}

    @override
    async def resolve(
        self,
        wanted: ChartWanted,
        secret: Mapping[str, bytes],
        *,
        fresh: float,
        keyring: Sequence[bytes] | None = None,
    ) -> ChartFound:
        """Raises ChartMissing, ChartDigest, IndexWrong, ChartUnverified, the errors of ``client`` and of
        ``adapters/host/http``."""
        if not _NAME.fullmatch(wanted.name):
            raise ChartMissing(f"{wanted.name[:80]!r} is no name of a chart", hint="letters, digits and . _ -")
        if wanted.version and read_range(wanted.version) is None:
            raise ChartMissing(f"{wanted.version!r} is no range of versions", hint='version: ">=1.4 <2", ~1.4, 1.x')
        if wanted.repository.startswith("oci://"):
            return await self._from_registry(wanted, secret, fresh, keyring)
        return await self._from_repository(wanted, secret, fresh, keyring)

    @override
    async def versions(self, wanted: ChartWanted, secret: Mapping[str, bytes], *, fresh: float) -> Sequence[str]:
        """Raises ChartMissing, IndexWrong, the errors of ``client`` and of ``adapters/host/http``."""
        if wanted.repository.startswith("oci://"):
            name, tags = self._look_up_tags(wanted, secret)
            async with tags.lock:
                return await _listed(tags, name, fresh, self._clock)
        known = self._look_up(wanted, secret)
        async with known.lock:
            if self._clock.monotonic() - known.asked >= fresh:
                await self._ask_index(known)
        return [one.version for one in _offers(known, wanted)]

    @override
    async def holds(self, found: ChartFound) -> bool:
        return await asyncio.to_thread(os.path.isfile, found.archive)

    # --- chart repositories -----------------------------------------------------------------------------------------

    async def _from_repository(
        self, wanted: ChartWanted, secret: Mapping[str, bytes], fresh: float, keyring: Sequence[bytes] | None
    ) -> ChartFound:
        known = self._look_up(wanted, secret)
        url = known.url
        async with known.lock:
            if self._clock.monotonic() - known.asked >= fresh:
                await self._ask_index(known)
        offer = _chosen(known, wanted)
        promised = offer.digest if _HEX.fullmatch(offer.digest) else ""
        if offer.digest and not promised:
            raise IndexWrong(f"the index of {url} names a digest that is none, for {wanted.name} {offer.version}")
        errors: list[NeedsHuman | RemoteUnavailable] = []
        for one in offer.urls:
            source = archive_url(url, one)
            digest = promised or known.fetched.get(source, "")
            proof = None
            if keyring is not None:
                # Where ``helm`` looks for it, and by the name that ``helm`` gives the archive.
                file = unquote(urlsplit(source).path).rpartition("/")[2]
                proof = _Proof(keyring, file, partial(self._proof, known, f"{source}.prov"))
            try:
                if digest and await _here(known.folder, digest):
                    return await self._vouched(_found(wanted, offer.version, known.folder, digest), proof)
                data = await self._archive(known, source)
                return await self._kept(wanted, offer.version, data, promised, known, source, proof)
            except (NeedsHuman, RemoteUnavailable) as error:
                errors.append(error)
        raise errors[0]

    def _look_up(self, wanted: ChartWanted, secret: Mapping[str, bytes]) -> _Repository:
        url = wanted.repository.rstrip("/") + "/"
        key = (url, mark_of(secret))
        known = self._repositories.pop(key, None)
        if known is None:
            login = login_for(urlsplit(url).netloc, secret)
            known = _Repository(url, login, secret.get("ca.crt", b""), self._own_folder(*key))
        remember(self._repositories, key, known, _REMEMBERED)
        return known

    async def _ask_index(self, known: _Repository) -> None:
        headers = {
            name: value
            for name, value in (("If-None-Match", known.etag), ("If-Modified-Since", known.modified))
            if value
        }
        ask = Ask(
            known.url + "index.yaml", headers=headers, authorization=_basic(known.login), most=LARGEST, ca=known.ca
        )
        answer = await self._http.ask(ask)
        if answer.status in (401, 403):
            raise RegistryDenied(
                f"{known.url} does not let us read its index",
                hint="source.chart.secret names a Secret with username and password",
            )
        if answer.status == 404:
            raise ChartMissing(f"there is no chart repository at {known.url}", hint="it has a file index.yaml")
        if answer.status not in (200, 304):
            raise RemoteUnavailable(f"{known.url}index.yaml is answered with {answer.status}")
        if answer.status == 200:
            async with self._reading:
                known.offers = await shorten(answer.body, known.url)
            known.etag, known.modified = answer.headers.get("ETag", ""), _firm(answer.headers)
            known.reach = answer.reach
        known.asked = self._clock.monotonic()

    async def _archive(self, known: _Repository, source: str) -> bytes:
        return await self._fetched(known, source, LARGEST_ARCHIVE, "the index names what is not there")

    async def _proof(self, known: _Repository, source: str) -> bytes:
        try:
            return await self._fetched(known, source, LARGEST_PROOF, "")
        except ChartMissing:
            raise ChartUnverified(f"there is no provenance at {source}", hint=_SIGN) from None

    async def _fetched(self, known: _Repository, source: str, most: int, hint: str) -> bytes:
        own = urlsplit(source)[:2] == urlsplit(known.url)[:2]
        authorization = _basic(known.login) if own else ""
        # Where an index leads is the word of whoever wrote it: no nearer than the index itself.
        within = None if own else known.reach
        ask = Ask(source, headers=IDENTITY, authorization=authorization, most=most, within=within, ca=known.ca)
        answer = await self._http.ask(ask)
        if answer.status >= 500:
            raise RemoteUnavailable(f"{source} is answered with {answer.status}")
        if answer.status != 200:
            raise ChartMissing(f"{source} is answered with {answer.status}", hint=hint)
        return answer.body

    # --- registries -------------------------------------------------------------------------------------------------

    async def _from_registry(
        self, wanted: ChartWanted, secret: Mapping[str, bytes], fresh: float, keyring: Sequence[bytes] | None
    ) -> ChartFound:
        name, known = self._look_up_tags(wanted, secret)
        async with known.lock:
            text = await self._tag(known, name, wanted, fresh)
            layers = await self._layers(known, name, text, fresh)
        found = _found(wanted, text.replace("_", "+"), known.folder, layers.archive.digest.removeprefix("sha256:"))
        if keyring is not None:
            file = f"{wanted.name}-{found.version}.tgz"
            found = await self._vouched(found, _Proof(keyring, file, partial(_pulled, known, name, layers.proof)))
        if not await self.holds(found):
            data = await known.registry.blob(name, layers.archive, LARGEST_ARCHIVE)
            await self._keep(known.folder, found.digest.removeprefix("sha256:"), data)
        return found

    def _look_up_tags(self, wanted: ChartWanted, secret: Mapping[str, bytes]) -> tuple[str, _Tags]:
        host, _, path = wanted.repository.removeprefix("oci://").strip("/").partition("/")
        name = f"{path}/{wanted.name}" if path else wanted.name
        key = (host, name, mark_of(secret))
        known = self._tags.pop(key, None)
        if known is None:
            login, ca = login_for(host, secret, name), secret.get("ca.crt", b"")
            registry = Registry(self._http, host, self._clock, login=login, plain=wanted.plain, ca=ca)
            known = _Tags(registry, self._own_folder(*key))
        remember(self._tags, key, known, _REMEMBERED)
        return name, known

    async def _tag(self, known: _Tags, name: str, wanted: ChartWanted, fresh: float) -> str:
        """The tag of the version that is wanted. One that is written out in full needs no list."""
        if re.fullmatch(r"v?[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]+)?", wanted.version) and version(
            wanted.version
        ):
            return wanted.version.replace("+", "_")
        versions = await _listed(known, name, fresh, self._clock)
        chosen = choose([Offer(one, "", [one]) for one in versions if version(one)], wanted.version)
        if chosen is None:
            raise _no_version(wanted, versions)
        return chosen.version.replace("+", "_")

    async def _layers(self, known: _Tags, name: str, tag: str, fresh: float) -> _Layers:
        now = self._clock.monotonic()
        asked, layers = known.manifests.get(tag, (float("-inf"), None))
        if layers is None or now - asked >= fresh:
            layers = _chart_layers(await known.registry.manifest(name, tag), f"{known.registry.host}/{name}:{tag}")
            recent = {other: one for other, one in known.manifests.items() if now - one[0] < _FORGET}
            known.manifests = recent | {tag: (now, layers)}
        return layers

    # --- who vouches for it -----------------------------------------------------------------------------------------

    async def _vouched(self, found: ChartFound, proof: _Proof | None) -> ChartFound:
        """The chart with the key that vouches for it. Its provenance is kept beside the archive, and asked for again
        where what is kept does not hold: it may have been signed anew."""
        if proof is None:
            return found
        claim = Claim(found.name, found.version, proof.file, found.digest.removeprefix("sha256:"))
        path = Path(found.archive).with_suffix(".prov")
        kept = await asyncio.to_thread(_read, path)
        if kept is not None:
            try:
                return msgspec.structs.replace(found, signer=await self._signer(kept, proof.keyring, claim))
            except ChartUnverified:
                pass
        fetched = await proof.fetch()
        signer = await self._signer(fetched, proof.keyring, claim)
        await asyncio.to_thread(self._write, path, fetched)
        return msgspec.structs.replace(found, signer=signer)

    async def _signer(self, proof: bytes, keyring: Sequence[bytes], claim: Claim) -> str:
        key = hashlib.sha256(msgspec.msgpack.encode([proof, list(keyring), claim])).digest()
        now = self._clock.now()
        until, verdict = self._verdicts.pop(key, (0.0, Verdict()))
        if until <= now.timestamp():
            verdict = await proven(proof, keyring, claim, now)
            until = min(now.timestamp() + _FORGET, verdict.until or float("inf"))
        remember(self._verdicts, key, (until, verdict), _REMEMBERED)
        return verdict.signer

    # --- archives on disk -------------------------------------------------------------------------------------------

    async def _kept(
        self,
        wanted: ChartWanted,
        text: str,
        data: bytes,
        promised: str,
        known: _Repository,
        source: str,
        proof: _Proof | None,
    ) -> ChartFound:
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        if promised and digest != promised:
            raise ChartDigest(
                f"{wanted.name} {text} from {known.url} is not the archive that its index promises",
                hint=f"it promises {promised[:12]}..., and the archive has {digest[:12]}...: ask who runs it",
            )
        found = await self._vouched(_found(wanted, text, known.folder, digest), proof)
        await self._keep(known.folder, digest, data)
        known.fetched[source] = digest
        return found

    def _own_folder(self, *key: str) -> Path:
        return self._folder / hashlib.sha256("\0".join(key).encode()).hexdigest()[:24]

    async def _keep(self, folder: Path, digest: str, data: bytes) -> None:
        await asyncio.to_thread(self._write, _file(folder, digest), data)

    def _write(self, path: Path, data: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = sorted(self._folder.glob("*/*.tgz"), key=lambda one: one.stat().st_mtime)
            size = sum(one.stat().st_size for one in kept) + len(data)
            while kept and size > KEPT:
                oldest = kept.pop(0)
                size -= oldest.stat().st_size
                oldest.unlink(missing_ok=True)
                oldest.with_suffix(".prov").unlink(missing_ok=True)
        except OSError as error:
            raise explain(error, path.parent) from error
        write_atomic(path, data)


def archive_url(base: str, offered: str) -> str:
    """Where an archive is that an index names. Raises IndexWrong where it names no address."""
    try:
        joined = urljoin(base, offered)
        urlsplit(joined)
    except ValueError:
        raise IndexWrong(
            f"the index of {base} names an address that can't be read: {offered[:80]!r}",
            hint="helm repo index makes it anew",
        ) from None
    return joined


def _file(folder: Path, digest: str) -> Path:
    return folder / f"{digest}.tgz"


async def _here(folder: Path, digest: str) -> bool:
    return await asyncio.to_thread(os.path.isfile, _file(folder, digest))


def _found(wanted: ChartWanted, text: str, folder: Path, digest: str) -> ChartFound:
    return ChartFound(wanted.name, text, f"sha256:{digest}", str(_file(folder, digest)))


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _offers(known: _Repository, wanted: ChartWanted) -> list[Offer]:
    offers = msgspec.json.decode(known.offers.get(wanted.name, b"[]"), type=list[Offer])
    if not offers:
        near = difflib.get_close_matches(wanted.name, known.offers, 1)
        hint = f"did you mean {near[0]}?" if near else ""
        raise ChartMissing(f"{known.url} offers no chart {wanted.name}", hint=hint)
    return offers


def _chosen(known: _Repository, wanted: ChartWanted) -> Offer:
    offers = _offers(known, wanted)
    chosen = choose(offers, wanted.version)
    if chosen is None:
        raise _no_version(wanted, [one.version for one in offers])
    return chosen


async def _listed(known: _Tags, name: str, fresh: float, clock: Clock) -> list[str]:
    """The versions that a registry's tags are: a tag has "_" where a version has "+"."""
    if clock.monotonic() - known.asked >= fresh:
        known.tags = await known.registry.tags(name)
        known.asked = clock.monotonic()
    return [tag.replace("_", "+") for tag in known.tags]


async def _pulled(known: _Tags, name: str, proof: Descriptor | None) -> bytes:
    if proof is None:
        raise ChartUnverified(f"{known.registry.host}/{name} has no provenance in this version", hint=_SIGN)
    return await known.registry.blob(name, proof, LARGEST_PROOF)


def _chart_layers(manifest: Manifest, what: str) -> _Layers:
    """What a chart's manifest names. Raises RegistryWrong where it is something else, an image for example."""
    try:
        layers = msgspec.convert(manifest.content.get("layers") or [], list[Descriptor])
    except msgspec.ValidationError:
        layers = []
    config = manifest.content.get("config")
    kind = config.get("mediaType") if isinstance(config, dict) else None
    proof = next((one for one in layers if one.media_type == CHART_PROOF), None)
    for layer in layers:
        if kind == CHART_CONFIG and layer.media_type == CHART_LAYER and layer.digest.startswith("sha256:"):
            return _Layers(layer, proof)
    raise RegistryWrong(f"{what} is no Helm chart", hint="push it with helm push")


def _no_version(wanted: ChartWanted, offered: list[str]) -> ChartMissing:
    ordered = sorted(((one, text) for text in offered if (one := version(text)) is not None), reverse=True)
    there = ", ".join(text for _, text in ordered[:5])
    return ChartMissing(
        f"no version of {wanted.name} is in {wanted.version or 'any range'}",
        hint=f"the newest are: {there}" if there else "it has no versions",
    )


def _firm(headers: Mapping[str, str]) -> str:
    """The Last-Modified of an answer, or "" where a second change could bear the same one: HTTP's dates are whole
    seconds, so what changed in the second it was sent may change once more in it, and would be "not modified" for ever
    (RFC 9110, 8.8.2.2)."""
    modified = headers.get("Last-Modified", "")
    try:
        firm = parsedate_to_datetime(modified) < parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError, OverflowError):
        return ""
    return modified if firm else ""


def _basic(login: Login) -> str:
    return f"Bearer {login.token}" if login.token else login.basic
