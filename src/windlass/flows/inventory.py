"""Which kinds are in use and what of them is live: what the SYNC flow must know before it may plan.

The kinds in use are recorded on the Installation before the first object of a kind is made, so that after any crash and
any loss of local state the label index over those kinds is the whole inventory. ``sync`` calls this; it plans nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from windlass.core.kinds.installation import NAME
from windlass.core.kinds.kind import GROUP, VERSION
from windlass.core.manifests.resources import by_kind
from windlass.core.model import Desired, LiveObject, ObjectRef, Resource
from windlass.errors import TryLater, WindlassError
from windlass.ports import ApplyRequest, Cluster, ClusterFacts, KindUnknown

INSTALLATIONS = Resource(GROUP, VERSION, "installations", "Installation", False)
APPLICATIONS = Resource(GROUP, VERSION, "applications", "Application", True)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", False)
MANAGER = "windlass"
SHARED_FOR = 60.0
"""Seconds for which a survey serves other Applications at most."""
FEW = 4

Blind: TypeAlias = Mapping[tuple[str, str], WindlassError]
"""(group, kind) to why nothing is known of its objects now."""


class Inventory:
    """What was recorded once is never given up: a kind once used may have objects left."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._recorded: set[str] = set()
        self._known: set[str] = set()
        self._watched: set[Resource] = set()
        self._recording = asyncio.Lock()
        self._surveys: dict[tuple[Resource, str], tuple[float, asyncio.Future[Mapping[ObjectRef, LiveObject]]]] = {}
        self.namespaces: set[str] = set()

    def restore(self, kinds: Iterable[str]) -> None:
        """What the Installation's status says. What it lost (it was made anew) is recorded again at the next need."""
        self._known |= self._recorded
        self._known.update(kinds)
        self._recorded = set(kinds)

    async def watch_recorded(self, unknown: Callable[[str, WindlassError], None]) -> list[str]:
        """Watches every kind that was recorded. Returns those that are not served (now), each told."""
        left: list[str] = []
        for word in sorted(self._recorded):
            api_version, _, kind = word.rpartition("/")
            try:
                blind = await self.watch([await self._cluster.resource(api_version, kind)])
            except WindlassError as error:
                blind = {("", ""): error}
            for why in blind.values():
                left.append(word)
                unknown(word, why)
        return left

    async def all_seen(self) -> None:
        """Raises while a kind that was recorded is served and its objects are not known: then a count of what is left
        would be wrong."""
        for word in sorted(self._known | self._recorded):
            api_version, _, kind = word.rpartition("/")
            try:
                resource = await self._cluster.resource(api_version, kind)
            except KindUnknown as error:
                if error.partial:
                    raise
                continue  # its definition is gone, and its objects with it
            for why in (await self.watch([resource])).values():
                raise why

    async def facts(self) -> ClusterFacts:
        """What charts may ask about the cluster."""
        return await self._cluster.facts()

    async def resources(
        self, objects: Iterable[Desired]
    ) -> tuple[dict[tuple[str, str], Resource], dict[tuple[str, str], WindlassError]]:
        """How the cluster serves the kinds of these objects, and which it does not serve (now), with why."""
        served: dict[tuple[str, str], Resource] = {}
        unknown: dict[tuple[str, str], WindlassError] = {}
        for each in {(one.api_version, one.ref.kind) for one in objects}:
            try:
                served[each] = await self._cluster.resource(*each)
            except KindUnknown as error:
                unknown[each] = error
        return served, unknown

    async def scopes(self, objects: Iterable[Desired]) -> dict[str, bool]:
        """Of the kinds that are not built in and that the cluster serves: "<group>/<kind>" to whether it is
        namespaced.
        """
        custom = [one for one in objects if (one.api_version, one.ref.kind) not in by_kind()]
        served, _ = await self.resources(custom)
        return {f"{resource.group}/{resource.kind}": resource.namespaced for resource in served.values()}

    def known_scopes(self) -> dict[str, bool]:
        """The same of the kinds that are watched: after a start a render need not be made twice to ask for them."""
        return {
            f"{resource.group}/{resource.kind}": resource.namespaced
            for resource in self._watched
            if (resource.api_version, resource.kind) not in by_kind()
        }

    async def record_and_watch(self, served: Mapping[tuple[str, str], Resource]) -> Blind:
        """Before the first object of a kind is made: written down, then watched. Returns the kinds that can't be."""
        new = {word for resource in served.values() if (word := kind_word(resource)) not in self._recorded}
        if new:
            await self._record(new)
        return await self.watch(served.values())

    async def watch(self, resources: Iterable[Resource]) -> Blind:
        """Has these kinds watched. Returns those whose objects are not known now, each with why: one kind that can't
        be listed (its conversion webhook is down, a right is missing) stops no other."""
        wanted = list(dict.fromkeys(resources))
        errors = await asyncio.gather(*(self._watch(resource) for resource in wanted))
        return {
            (resource.group, resource.kind): error
            for resource, error in zip(wanted, errors, strict=True)
            if error is not None
        }

    async def _watch(self, resource: Resource) -> WindlassError | None:
        if resource not in self._watched:
            try:
                await self._cluster.watch(resource)
            except WindlassError as error:
                return error
            self._watched.add(resource)
        if self._cluster.live.synced(resource.group, resource.kind):
            return None
        silent = TryLater(f"{resource.kind} objects are not listed yet, or nothing was heard of them for too long")
        return self._cluster.live.trouble(resource.group, resource.kind) or silent

    async def _record(self, new: set[str]) -> None:
        async with self._recording:
            missing = new - self._recorded
            if not missing:
                return
            kinds = sorted(self._known | self._recorded | missing)
            await self._cluster.patch(
                INSTALLATIONS,
                ObjectRef(GROUP, "Installation", "", NAME),
                {"status": {"kinds": kinds}},
                form="merge",
                manager=MANAGER,
                subresource="status",
            )
            self._recorded.update(kinds)

    async def look_up(
        self, refs: Sequence[ObjectRef], served: Mapping[tuple[str, str], Resource], *, since: float | None
    ) -> tuple[dict[ObjectRef, LiveObject | None], Blind]:
        """What is there of these, labelled or not. One request a kind where there are many, one an object where few.

        ``since`` lets a list serve that another Application asked for after this time (of the loop): those that start
        together share one, and what was made before any of them wanted anything is in it. None: look now. A kind that
        is not served has no objects. What could not be looked up is left out, and its kind returned with why: it is
        not absent.
        """
        by_kind = {(resource.group, resource.kind): resource for resource in served.values()}
        wanted: dict[Resource, list[ObjectRef]] = {}
        found: dict[ObjectRef, LiveObject | None] = {}
        for ref in refs:
            resource = by_kind.get((ref.group, ref.kind))
            if resource is None:
                found[ref] = None
            else:
                wanted.setdefault(resource, []).append(ref)
        answers = await asyncio.gather(*(self._look(resource, some, since) for resource, some in wanted.items()))
        blind: dict[tuple[str, str], WindlassError] = {}
        for resource, answer in zip(wanted, answers, strict=True):
            if isinstance(answer, WindlassError):
                blind[(resource.group, resource.kind)] = answer
            else:
                found.update(answer)
        return found, blind

    async def _look(
        self, resource: Resource, refs: list[ObjectRef], since: float | None
    ) -> dict[ObjectRef, LiveObject | None] | WindlassError:
        try:
            if since is None and len(refs) <= FEW:
                looks = await asyncio.gather(*(self._cluster.look(resource, ref) for ref in refs))
                return dict(zip(refs, looks, strict=True))
            survey = await self._survey(resource, since)
        except WindlassError as error:
            return error
        return {ref: survey.get(ref) for ref in refs}

    async def _survey(self, resource: Resource, since: float | None) -> Mapping[ObjectRef, LiveObject]:
        key = (resource, "")
        now = asyncio.get_running_loop().time()
        kept = self._surveys.get(key)
        if since is not None and kept is not None and kept[0] >= since and now - kept[0] < SHARED_FOR:
            return await asyncio.shield(kept[1])
        if kept is not None and not kept[1].done():
            # It began too early, and the adapter would share its request with us.
            await asyncio.wait([kept[1]])
            return await self._survey(resource, since)
        future: asyncio.Future[Mapping[ObjectRef, LiveObject]] = asyncio.get_running_loop().create_future()
        self._surveys[key] = (now, future)
        try:
            survey = await self._cluster.survey(resource)
        except BaseException as error:
            del self._surveys[key]
            # Whoever shares this list hears of the same failure; nobody else has to. That one worker was cancelled
            # must not look to the others as if they were.
            cancelled = TryLater(f"the list of {resource.kind} was given up")
            future.set_exception(error if isinstance(error, Exception) else cancelled)
            future.exception()
            raise
        future.set_result(survey)
        # It may be of the whole cluster: kept no longer than it can serve anybody.
        asyncio.get_running_loop().call_later(SHARED_FOR, self._forget, key, future)
        return survey

    def _forget(self, key: tuple[Resource, str], future: asyncio.Future[Mapping[ObjectRef, LiveObject]]) -> None:
        kept = self._surveys.get(key)
        if kept is not None and kept[1] is future:
            del self._surveys[key]

    async def ensure_namespace(self, name: str, user: str) -> None:
        """Makes the destination namespace where it is missing, with the Application's own rights. It carries no label
        of ours: it is never pruned."""
        if name in self.namespaces:
            return
        ref = ObjectRef("", "Namespace", "", name)
        if await self._cluster.look(NAMESPACES, ref) is None:
            content: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            body = msgspec.json.encode(content)
            await self._cluster.apply(ApplyRequest(resource=NAMESPACES, ref=ref, body=body, manager=MANAGER, user=user))
        self.namespaces.add(name)

    async def remove_application(self, key: tuple[str, str], uid: str) -> None:
        """The last step of an Application that left Git: its own object goes."""
        namespace, name = key
        await self._cluster.delete(APPLICATIONS, ObjectRef(GROUP, "Application", namespace, name), uid=uid)


def kind_word(resource: Resource) -> str:
    """``apps/v1/Deployment``, ``v1/Secret``."""
    return f"{resource.api_version}/{resource.kind}"
