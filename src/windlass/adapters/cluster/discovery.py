"""Which kinds the cluster serves, by its own discovery: the aggregated form, or the plain one of older servers.

`kube.py` and `watch.py` ask it. A group that can't be asked right now (its APIService is down, 403) is *unknown*: what
was known of it stays, and nothing of it counts as gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from windlass import ports
from windlass.adapters.cluster.answers import Asked
from windlass.adapters.cluster.client import Call, Client
from windlass.adapters.host.wire import Reply
from windlass.core.model import Resource
from windlass.core.model.foreign import UNREADABLE
from windlass.core.model.references import split_api_version

SELDOM = 3.0  # seconds between two looks at most

_AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    "application/json"
)


class _Kind(msgspec.Struct):
    kind: str = ""


class _Found(msgspec.Struct):
    resource: str
    scope: str = ""
    responseKind: _Kind | None = None  # noqa: N815 - the API's word
    verbs: list[str] | None = None


class _Version(msgspec.Struct):
    version: str
    freshness: str = "Current"
    resources: list[_Found] | None = None


class _Name(msgspec.Struct):
    name: str = ""


class _Group(msgspec.Struct):
    metadata: _Name
    versions: list[_Version] | None = None


class _PlainVersion(msgspec.Struct):
    version: str


class _PlainGroup(msgspec.Struct):
    name: str
    versions: list[_PlainVersion]
    preferredVersion: _PlainVersion | None = None  # noqa: N815


class _Root(msgspec.Struct):
    """Both forms of `/api` and `/apis`: `items` (aggregated), `versions` (plain /api), `groups` (plain /apis)."""

    kind: str = ""
    items: list[_Group] | None = None
    versions: list[str] | None = None
    groups: list[_PlainGroup] | None = None


class _PlainResource(msgspec.Struct):
    name: str
    kind: str
    namespaced: bool
    verbs: list[str] | None = None


class _PlainList(msgspec.Struct):
    resources: list[_PlainResource] | None = None


@dataclass
class _Table:
    """What one look found. `kinds`: (group, kind) to its resources, the preferred version first."""

    kinds: dict[tuple[str, str], list[Resource]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    served: tuple[str, ...] | None = None  # made when it is asked for

    def add(self, resource: Resource) -> None:
        listed = self.kinds.setdefault((resource.group, resource.kind), [])
        if all(known.version != resource.version for known in listed):
            listed.append(resource)


class Discovery:
    """The kinds of one cluster. Asks when something is looked for that it does not know, at most every few seconds."""

    def __init__(self, client: Client, monotonic: Callable[[], float]) -> None:
        self._client = client
        self._monotonic = monotonic
        self._table = _Table()
        self._looked = float("-inf")
        self._stale = True
        self._lock = asyncio.Lock()
        self._remembered: dict[str, tuple[str, _Root]] = {}  # path to ETag and answer

    def changed(self) -> None:
        """A CRD or an APIService came, changed or went: the next question looks again."""
        self._stale = True

    def known(self, group: str, kind: str) -> Resource | None:
        """The kind in its preferred version, as far as was looked."""
        listed = self._table.kinds.get((group, kind))
        return listed[0] if listed else None

    def surely_gone(self, group: str, kind: str) -> bool:
        """Whether the last look was whole for this group and did not find the kind."""
        return self._looked > float("-inf") and group not in self._table.unknown and self.known(group, kind) is None

    async def look_again(self, group: str, kind: str) -> Resource | None:
        """Looks, unless that was done within moments, and returns what `known` does then."""
        self._stale = True
        await self._refresh()
        return self.known(group, kind)

    async def served(self) -> tuple[str, ...]:
        """Every ``<group>/<version>`` and ``<group>/<version>/<Kind>``, sorted. Raises what stands in the way."""
        if self._stale:
            await self._refresh()
        table = self._table
        if table.served is None:
            kinds = {(one.api_version, one.kind) for listed in table.kinds.values() for one in listed}
            table.served = tuple(sorted({version for version, _ in kinds} | {"/".join(pair) for pair in kinds}))
        return table.served

    async def resource(self, api_version: str, kind: str) -> Resource:
        """The kind in exactly this version. Raises KindUnknown, or what stands in the way of asking."""
        if self._stale:
            await self._refresh()
        if (found := self._find(api_version, kind)) is None:
            await self._refresh()
            found = self._find(api_version, kind)
        if found is not None:
            return found
        raise self._unknown(api_version, kind)

    def _find(self, api_version: str, kind: str) -> Resource | None:
        group, version = split_api_version(api_version)
        for resource in self._table.kinds.get((group, kind), ()):
            if resource.version == version:
                return resource
        return None

    def _unknown(self, api_version: str, kind: str) -> ports.KindUnknown:
        group, _ = split_api_version(api_version)
        after = max(0.0, self._looked + SELDOM - self._monotonic())
        if group in self._table.unknown:
            error = ports.KindUnknown(
                f"can't tell whether the cluster serves {kind} of {api_version}: its group does not answer discovery",
                after=after,
                hint="look at the APIService of the group: `kubectl get apiservices`",
            )
            error.partial = True
            return error
        other = self.known(group, kind)
        hint = (
            f"the cluster serves it as {other.api_version}: write that"
            if other
            else "install its CustomResourceDefinition, or mend apiVersion and kind"
        )
        return ports.KindUnknown(f"the cluster serves no {kind} of {api_version}", after=after, hint=hint)

    async def _refresh(self) -> None:
        async with self._lock:
            if self._monotonic() - self._looked < SELDOM:
                return  # somebody else just looked; `_stale` stays, for the next question
            self._stale = False
            try:
                table = await self._look()
            except BaseException:
                self._stale = True
                raise
            for key, listed in self._table.kinds.items():
                if key[0] in table.unknown and key not in table.kinds:
                    table.kinds[key] = listed  # unknown is not absent
            self._table = table
            self._looked = self._monotonic()

    async def _look(self) -> _Table:
        table = _Table()
        core, groups = await asyncio.gather(self._root("/api"), self._root("/apis"))
        for root in (core, groups):
            for group in root.items or ():
                _take_group(table, group)
        plain = [("", version) for version in core.versions or ()]
        for listed in groups.groups or ():
            first = listed.preferredVersion.version if listed.preferredVersion else ""
            versions = sorted((each.version for each in listed.versions), key=lambda version: version != first)
            plain += [(listed.name, version) for version in versions]
        await self._take_plain(table, plain)
        return table

    async def _take_plain(self, table: _Table, versions: Iterable[tuple[str, str]]) -> None:
        """One request per group and version, together; taken in the order of preference."""

        async def ask(group: str, version: str) -> _PlainList | None:
            path = f"/apis/{group}/{version}" if group else f"/api/{version}"
            try:
                answer = await self._client.send(Call("get", path, Asked("ask which kinds it serves", path)))
                return msgspec.json.decode(answer.body, type=_PlainList)
            except (ports.ClusterUnavailable, ports.NotAllowed, ports.ObjectMissing, *UNREADABLE):
                return None  # this group is unknown; the others are not its fault

        asked = list(versions)
        answers = await asyncio.gather(*(ask(group, version) for group, version in asked))
        for (group, version), listed in zip(asked, answers, strict=True):
            if listed is None:
                table.unknown.add(group)
                continue
            for found in listed.resources or ():
                if "/" not in found.name and "list" in (found.verbs or ()):
                    table.add(Resource(group, version, found.name, found.kind, found.namespaced))

    async def _root(self, path: str) -> _Root:
        etag, before = self._remembered.get(path, ("", _Root()))
        call = Call("get", path, Asked("ask which kinds it serves", path), accept=_AGGREGATED, etag=etag)
        answer: Reply = await self._client.send(call)
        if answer.code == 304:
            return before
        try:
            root = msgspec.json.decode(answer.body, type=_Root)
        except UNREADABLE as error:
            raise ports.ClusterUnavailable(f"the answer of {path} is no discovery: is this an API server?") from error
        if etag := answer.headers.get("ETag", ""):
            self._remembered[path] = (etag, root)
        return root


def _take_group(table: _Table, group: _Group) -> None:
    name = group.metadata.name
    for version in group.versions or ():
        if version.freshness != "Current":
            table.unknown.add(name)
        for found in version.resources or ():
            kind = found.responseKind.kind if found.responseKind else ""
            if kind and "list" in (found.verbs or ()):
                table.add(Resource(name, version.version, found.resource, kind, found.scope == "Namespaced"))
