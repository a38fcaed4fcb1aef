"""What of an Application is live, read with the person's own rights: by label where they may list, else by namespace.

``plan``, ``diff`` and ``status`` call it. Values of Secrets are never asked for: of those, metadata is enough. What may
not be read is told as such, and never taken for absent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping

import msgspec

from windlass import ports
from windlass.adapters.cluster.decode import Decoder, watched_whole
from windlass.adapters.cluster.source import Scope, pages
from windlass.cli.reaching import Reach
from windlass.core.kinds import installation
from windlass.core.kinds.deploy import DIGEST_SECRET
from windlass.core.manifests.resources import builtin
from windlass.core.model import LiveObject, ObjectRef, Resource
from windlass.core.plan.ownership import LABEL, Claim, is_ours
from windlass.errors import NeedsHuman
from windlass.flows.informers import INSTALLATIONS
from windlass.flows.secrets import SECRETS, decoded


class Living(msgspec.Struct, frozen=True):
    """``objects`` are those that carry the label and that our own entry owns; ``unseen`` kinds that the person may not
    list, with the reason."""

    objects: dict[ObjectRef, LiveObject]
    unseen: dict[str, str]


class Kinds(msgspec.Struct, frozen=True):
    """``complete``: there is none beside them."""

    resources: list[Resource]
    complete: bool


async def kinds_in_use(to: Reach, *, only: Collection[str] = (), otherwise: Collection[str] = ()) -> Kinds:
    """The kinds that the Installation recorded, those that the cluster still serves; ``only`` some of them (``Kind`` or
    ``Kind.group``). Where the Installation may not be read, the built-in ones of ``otherwise`` are all that is known.
    """
    ref = ObjectRef(INSTALLATIONS.group, "Installation", "", installation.NAME)
    complete = True
    try:
        content = await to.cluster.read(INSTALLATIONS, ref)
    except ports.NotAllowed:
        words, complete, only = [f"{one.api_version}/{one.kind}" for one in builtin()], False, only or otherwise
    else:
        words = [str(word) for word in ((content or {}).get("status") or {}).get("kinds") or []]
    every = complete and not only
    asked = [pair for word in words if (pair := _pair(word)) and (every or _short(*pair) in only)]
    found = await asyncio.gather(*(to.cluster.resource(*pair) for pair in asked), return_exceptions=True)
    served: dict[tuple[str, str], Resource] = {}
    for one in found:
        if isinstance(one, Resource):
            served.setdefault((one.group, one.kind), one)
        elif not isinstance(one, ports.KindUnknown):
            raise one
    return Kinds(list(served.values()), complete)


async def living(
    to: Reach, claim: Claim, resources: Iterable[Resource], namespaces: Collection[str], *, whole: bool
) -> Living:
    """The live objects of an Application. ``whole``: with spec and status, of the kinds whose health needs them.
    ``namespaces`` are looked through where the person may not list a kind everywhere."""
    wanted = list(resources)
    lists = await asyncio.gather(*(_labelled(to, claim, one, namespaces, whole=whole) for one in wanted))
    objects: dict[ObjectRef, LiveObject] = {}
    unseen: dict[str, str] = {}
    for resource, (found, why) in zip(wanted, lists, strict=True):
        objects.update({one.ref: one for one in found if is_ours(one, claim.label, claim.manager)})
        if why:
            unseen[resource.kind] = why
    return Living(objects, unseen)


async def looked_up(
    to: Reach, refs: Iterable[ObjectRef], served: Mapping[tuple[str, str], Resource]
) -> dict[ObjectRef, LiveObject | None]:
    """Each of these by itself, labelled or not; None where it is not there, or its kind is not served. What may not be
    read is left out: then it is not known."""
    by_kind = {(one.group, one.kind): one for one in served.values()}

    async def look(ref: ObjectRef) -> tuple[ObjectRef, LiveObject | None] | None:
        resource = by_kind.get((ref.group, ref.kind))
        if resource is None:
            return ref, None
        try:
            return ref, await to.cluster.look(resource, ref)
        except ports.NotAllowed:
            return None

    return dict(one for one in await asyncio.gather(*(look(ref) for ref in refs)) if one is not None)


async def digest_key(to: Reach) -> bytes | None:
    """The cluster's key for digests of Secrets; None where the person may not read it: then values of Secrets are not
    compared."""
    try:
        content = await to.cluster.read(SECRETS, ObjectRef("", "Secret", to.system, DIGEST_SECRET))
    except ports.NotAllowed:
        return None
    if content is None:
        return None
    try:
        return decoded(content.get("data") or {}, DIGEST_SECRET).get("key")
    except NeedsHuman:
        return None


async def _labelled(
    to: Reach, claim: Claim, resource: Resource, namespaces: Collection[str], *, whole: bool
) -> tuple[list[LiveObject], str]:
    decoder = Decoder()
    whole = whole and watched_whole(resource)

    async def listed(namespace: str) -> list[LiveObject]:
        scope = Scope(resource, namespace, f"{LABEL}={claim.label}", metadata_only=not whole)
        found: list[LiveObject] = []
        async for page in pages(to.cluster.client, scope):
            found += [decoder.live(resource, raw, whole=whole) for raw in page.objects]
        return found

    try:
        return await listed(""), ""
    except ports.ObjectMissing:
        return [], ""  # its CRD went away in this moment
    except ports.NotAllowed as error:
        if not resource.namespaced:
            return [], _brief(error)
    try:
        parts = await asyncio.gather(*(listed(one) for one in sorted(set(namespaces))))
    except ports.NotAllowed as error:
        return [], _brief(error)
    return [one for part in parts for one in part], ""


def _brief(error: ports.NotAllowed) -> str:
    """Without the server's own words, which say the same at length."""
    return error.what.partition(": ")[0]


def _pair(word: str) -> tuple[str, str] | None:
    api_version, slash, kind = word.rpartition("/")
    return (api_version, kind) if slash else None


def _short(api_version: str, kind: str) -> str:
    group = api_version.rpartition("/")[0]
    return f"{kind}.{group}" if group else kind
