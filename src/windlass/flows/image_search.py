"""What the Automator asks: which tag a policy takes now, and where its image stands in Git.

``flows/images`` calls it. Registries are asked for as little as decides: the list of tags, then what is left to know
about the best one, and about the next only where that may not be taken. Files are read from the commit that the
Repository is at; one that does not name the image is not parsed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from windlass.adapters.git import Snapshot, on_git_thread, open_snapshot
from windlass.core.documents import DocumentError
from windlass.core.documents.globs import matches_any
from windlass.core.images import (
    Alphabetical,
    Facts,
    Follow,
    Hold,
    Newest,
    Numeric,
    Place,
    Ranking,
    Rule,
    Selection,
    Semver,
    Wanted,
    by_time,
    choose,
    find,
    needs_times,
    parse,
    rank,
)
from windlass.core.images.select import MOST_NEWEST
from windlass.core.kinds.image_policy import ROOT_KEY, ImagePolicy, ImagePolicySpec, Keyless
from windlass.core.trust import (
    Key,
    Root,
    Signed,
    Signers,
    read_keys,
    read_root,
    verify_bundle,
    verify_keyless_bundle,
    verify_keyless_simple,
    verify_simple,
)
from windlass.errors import NeedsHuman, Where
from windlass.ports import Charts, ChartWanted, ImageFacts, Images, ImageWanted, SignedClaim

MOST_CHECKED = 10
"""So many of the best tags are held against platform and signature; then none is taken."""
ENDINGS = (".yaml", ".yml", ".json")
LARGEST = 4 << 20
MOST_FILES = 20_000

_BESIDE = re.compile(r"sha256-[0-9a-f]{64}(?:\..+)?")
"""Tags under which signatures and the like of an image are kept: they are no images."""

Secrets = Mapping[str, bytes]
NONE: Secrets = {}


class Credentials(msgspec.Struct, frozen=True):
    """What a policy's Secrets hold: for the registry, and the keys of signatures; or who signs without a key, and the
    root of trust that shows it."""

    pull: Secrets = {}
    keys: tuple[Key, ...] = ()
    signers: Signers | None = None
    root: Root | None = None


class Found(msgspec.Struct, frozen=True):
    """The places of one policy at a commit, by file; ``unread`` are files that name the image and can't be read."""

    commit: str
    places: dict[str, list[Place]] = {}
    unread: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return sum(len(one) for one in self.places.values())


def rule_of(spec: ImagePolicySpec) -> Rule:
    """The rule, as ``core/images`` has it."""
    select = spec.select
    if select.semver:
        return Semver(select.semver, select.pattern)
    if select.numeric is not None:
        return Numeric(select.numeric.pattern)
    if select.alphabetical is not None:
        return Alphabetical(select.alphabetical.pattern)
    if select.newest is not None:
        return Newest(select.newest.pattern)
    assert select.follow is not None, "checked when the kind was read"
    return Follow(select.follow.tag)


def wanted_of(written: ImagePolicy) -> Wanted:
    """What is looked for in files. Raises BadReference."""
    spec = written.spec
    key = f"{written.metadata.namespace}/{written.metadata.name}"
    if spec.chart is not None:
        return Wanted(key=key, chart=(spec.chart.repository.rstrip("/"), spec.chart.name))
    fields = tuple((one.kind, one.path) for one in spec.update.fields)
    return Wanted(key=key, image=parse(spec.image).image, fields=fields)


def image_of(spec: ImagePolicySpec) -> ImageWanted:
    """Whom to ask. Raises BadReference."""
    return ImageWanted(*parse(spec.image).image, spec.insecure)


async def credentials_of(spec: ImagePolicySpec, read: Callable[[str, str], Awaitable[Secrets]]) -> Credentials:
    """What a policy names. ``read`` gives the keys of a Secret or ConfigMap, by kind and name. Raises BadKey, BadRoot
    and what ``read`` raises."""
    pull = await read("Secret", spec.pull.secret) if spec.pull is not None else NONE
    cosign = spec.verify.cosign if spec.verify is not None else None
    if cosign is None:
        return Credentials(pull)
    if cosign.keyless is not None:
        kind, name = cosign.keyless.named
        root = await asyncio.to_thread(_root_of, await read(kind, name), kind, name)
        return Credentials(pull, signers=_signers(cosign.keyless), root=root)
    assert cosign.key is not None, "checked when the kind was read"
    return Credentials(pull, _keys_of(await read("Secret", cosign.key.secret), cosign.key.secret))


def _keys_of(secret: Secrets, name: str) -> tuple[Key, ...]:
    try:
        return tuple(read_keys(secret.get("cosign.pub", b"")))
    except NeedsHuman as error:
        raise error.at(Where(field=f"Secret {name}, key cosign.pub")) from None


def _root_of(data: Secrets, kind: str, name: str) -> Root:
    try:
        return read_root(data.get(ROOT_KEY, b""))
    except NeedsHuman as error:
        raise error.at(Where(field=f"{kind} {name}, key {ROOT_KEY}")) from None


def _signers(keyless: Keyless) -> Signers:
    return Signers(keyless.issuer, keyless.issuer_pattern, keyless.identity, keyless.identity_pattern)


class ImageSearch:
    """``images`` and ``charts`` are asked with the policy's own credentials."""

    def __init__(self, images: Images, charts: Charts) -> None:
        self._images = images
        self._charts = charts

    async def tags(self, spec: ImagePolicySpec, secrets: Secrets, *, fresh: float) -> Sequence[str]:
        """What is offered."""
        if spec.chart is None:
            listed = await self._images.tags(image_of(spec), secrets, fresh=fresh)
            return [tag for tag in listed if not _BESIDE.fullmatch(tag)]
        wanted = ChartWanted(spec.chart.repository, spec.chart.name, "", spec.insecure)
        return [one for one in await self._charts.versions(wanted, secrets, fresh=fresh) if not _BESIDE.fullmatch(one)]

    async def choose(
        self,
        spec: ImagePolicySpec,
        tags: Sequence[str],
        credentials: Credentials,
        now: datetime,
        *,
        current: str,
        fresh: float = 0.0,
    ) -> Selection:
        """The tag to take where ``current`` is now. Raises BadRule, and what registries answer."""
        rule = rule_of(spec)
        holds = [Hold(one.tag, one.reason, one.by, one.end) for one in spec.hold]
        ranking = rank(rule, tags, holds, now, current=current)
        facts: dict[str, Facts] = {}
        if needs_times(rule):
            ranking, facts = await self._timed(spec, ranking, credentials.pull)
        if not needs_check(spec, ranking, current):
            return choose(rule, ranking, facts, current=current)
        for number, tag in enumerate(ranking.order):
            if number >= MOST_CHECKED:
                why = f"not looked at: {MOST_CHECKED} better ones may not be taken"
                facts |= {left: Facts(refused=why) for left in ranking.order[number:]}
                break
            facts[tag] = await self._checked(spec, tag, credentials, fresh)
            if not facts[tag].refused:
                break
        return choose(rule, ranking, facts, current=current)

    async def _timed(
        self, spec: ImagePolicySpec, ranking: Ranking, secrets: Secrets
    ) -> tuple[Ranking, dict[str, Facts]]:
        if len(ranking.order) > MOST_NEWEST:
            raise NeedsHuman(
                f"{len(ranking.order)} tags match, and the time is asked of at most {MOST_NEWEST}",
                where=Where(field="spec.select.newest.pattern"),
                hint="let a pattern choose fewer, or select by semver or numeric",
            )
        image = image_of(spec)
        made = await asyncio.gather(*(self._facts(image, tag, secrets, spec.platform) for tag in ranking.order))
        facts = {tag: Facts(one.digest, one.created) for tag, one in zip(ranking.order, made, strict=True) if one}
        return by_time(ranking, facts), facts

    async def _facts(self, image: ImageWanted, tag: str, secrets: Secrets, platform: str) -> ImageFacts | None:
        """None for a tag that went away meanwhile, or that is no image."""
        try:
            return await self._images.facts(image, tag, secrets, platform=platform)
        except NeedsHuman as error:
            if error.reason in ("RegistryMissing", "RegistryWrong"):
                return None
            raise

    async def _checked(self, spec: ImagePolicySpec, tag: str, credentials: Credentials, fresh: float) -> Facts:
        """The digest of a tag, who signed it, and why it may not be taken. What can't be known is refused: of a chart
        that its archive is there, and is the one that was promised."""
        if spec.chart is not None:
            exact = ChartWanted(spec.chart.repository, spec.chart.name, tag, spec.insecure)
            try:
                await self._charts.resolve(exact, credentials.pull, fresh=math.inf)
            except NeedsHuman as error:
                return Facts(refused=error.what)
            return Facts()
        image = image_of(spec)
        signed = Signed("")
        try:
            digest = await self._images.digest(image, tag, credentials.pull, fresh=fresh)
            if spec.platform and not await self._has(image, digest, credentials.pull, spec.platform):
                return Facts(digest, refused=f"has no image for {spec.platform}")
            if spec.verify is not None:
                signed = await self._signed(image, digest, credentials)
        except NeedsHuman as error:
            if error.reason not in ("RegistryMissing", "RegistryWrong"):
                raise
            return Facts(refused=error.what)
        return Facts(digest, refused=signed.why, signer=signed.by)

    async def _has(self, image: ImageWanted, digest: str, secrets: Secrets, platform: str) -> bool:
        facts = await self._images.facts(image, digest, secrets, platform=platform)
        return any(one == platform or one.startswith(f"{platform}/") for one in facts.platforms)

    async def _signed(self, image: ImageWanted, digest: str, credentials: Credentials) -> Signed:
        """Who signed this digest, or why no signature of it is good."""
        claims = await self._images.signatures(image, digest, credentials.pull)
        if not claims:
            return Signed("has no signature")
        # Certificates and logs cost milliseconds each: not on the loop.
        verdicts = await asyncio.to_thread(_judge, claims, digest, credentials)
        good = next((one for one in verdicts if not one.why), None)
        if good is not None:
            return good
        # Of several that are not good, the one whose signer is known says most.
        told = next((one for one in verdicts if one.by), verdicts[0])
        return Signed(f"its signature is not good: {told.why}")

    async def facts(self, spec: ImagePolicySpec, reference: str, secrets: Secrets) -> ImageFacts | None:
        """What the chosen image says of itself, for the commit's message. None for a chart."""
        if spec.chart is not None:
            return None
        return await self._facts(image_of(spec), reference, secrets, spec.platform)


def _judge(claims: Sequence[SignedClaim], digest: str, credentials: Credentials) -> list[Signed]:
    """Each signature's verdict, up to the first good one."""
    found: list[Signed] = []
    for claim in claims:
        found.append(_verdict(claim, digest, credentials))
        if not found[-1].why:
            break
    return found


def _verdict(claim: SignedClaim, digest: str, credentials: Credentials) -> Signed:
    root, signers, keys = credentials.root, credentials.signers, list(credentials.keys)
    if root is not None and signers is not None:
        if claim.form == "simple":
            given = claim.payload, claim.signature, claim.certificate, claim.entry
            return verify_keyless_simple(*given, digest, root, signers)
        return verify_keyless_bundle(claim.payload, digest, root, signers)
    if claim.form == "simple":
        return Signed(verify_simple(claim.payload, claim.signature, digest, keys))
    return Signed(verify_bundle(claim.payload, digest, keys))


def needs_check(spec: ImagePolicySpec, ranking: Ranking, current: str) -> bool:
    """Whether a tag's digest, platform or signature has to be known before it is taken; of a chart whether it is there,
    where it is another than there is now."""
    if spec.chart is not None:
        return ranking.order[:1] != [current]
    return spec.pin != "tag" or bool(spec.platform) or spec.verify is not None


async def search(folder: str, commit: str, paths: Sequence[str], wanted: Wanted) -> Found:
    """Where the image stands at a commit, in the files that ``update.paths`` names."""
    files = await on_git_thread(_read, folder, commit, tuple(paths), wanted)
    return await asyncio.to_thread(_find, commit, files, wanted)


def _read(folder: str, commit: str, paths: tuple[str, ...], wanted: Wanted) -> dict[str, bytes]:
    """The files that may hold a place: of the right name, and with the image's or the policy's name in them."""
    rooted = tuple("/" + one.lstrip("/") for one in paths)
    sign = (wanted.chart[1] or wanted.image[1].rpartition("/")[2]).encode()
    mark = wanted.key.rpartition("/")[2].encode()
    snapshot = open_snapshot(folder, commit)
    found: dict[str, bytes] = {}
    for number, path in enumerate(_walk(snapshot, sorted({_trunk(one) for one in paths}))):
        if number >= MOST_FILES:
            raise NeedsHuman(
                f"more than {MOST_FILES} files would be looked through",
                where=Where(field="spec.update.paths"),
                hint="name fewer folders",
            )
        if matches_any(rooted, path):
            with contextlib.suppress(KeyError, NeedsHuman):  # links that lead out, what LFS holds
                data = snapshot[path]
                if len(data) <= LARGEST and (sign in data or mark in data):
                    found[path] = data
    return found


def _trunk(pattern: str) -> str:
    """The folder that everything a pattern matches is in: "apps" of "apps/*/staging"."""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    fixed = list(itertools.takewhile(lambda part: not set(part) & set("*?["), parts))
    return "/".join(fixed)


def _walk(snapshot: Snapshot, trunks: Sequence[str]) -> Iterator[str]:
    """The files with the right ending in some folders and below, each once."""
    for trunk in trunks:
        if any(trunk != other and (not other or trunk.startswith(other + "/")) for other in trunks):
            continue
        if trunk and snapshot.entries(trunk) is None:
            yield trunk
        waiting = [trunk]
        while waiting:
            folder = waiting.pop()
            for entry in snapshot.entries(folder) or ():
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.kind == "folder":
                    waiting.append(path)
                elif entry.kind == "file" and (entry.name.endswith(ENDINGS) or entry.name == "Kustomization"):
                    yield path


def _find(commit: str, files: Mapping[str, bytes], wanted: Wanted) -> Found:
    places: dict[str, list[Place]] = {}
    unread: list[str] = []
    for path, data in sorted(files.items()):
        try:
            found = find(path, data, [wanted])
        except DocumentError:
            # Templates of charts are no YAML. A manifest that is broken is told by the sync of its Application.
            unread.append(path)
            continue
        if found:
            places[path] = found
    return Found(commit, places, tuple(unread))
