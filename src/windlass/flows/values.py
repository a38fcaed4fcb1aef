"""Values of the cluster that go into renders: read in the Application's own name, watched for change, never kept.

``desires`` reads them for each render it makes; ``app`` puts it together; ``windlass plan`` reads them with a person's
own rights. A ConfigMap or Secret that an Application names is watched by its name, its metadata alone (as a kubelet
does for its Pods): a change wakes the Applications that name it, and at rest nothing is asked. Here no value is kept;
what a render was made with is told by a ``Stamp``.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

from windlass.core.kinds.chart_source import Keyring
from windlass.core.kinds.rendering import Named, Render
from windlass.core.model import ObjectRef
from windlass.errors import NeedsHuman, Where
from windlass.flows.fleet import Key, Stamp
from windlass.flows.secrets import RESOURCES, contents
from windlass.flows.supervise import Supervisor
from windlass.ports import ChartUnverified, Cluster, ClusterValues, NotAllowed

KEYRING = "spec.source.chart.verify.keyring"
PATIENCE = 2.0
"""Seconds that a render waits for the watch of a value to be there; the value is read all the same after that."""


class ValuesMissing(NeedsHuman):
    """A ConfigMap or Secret that the Application names for its render is not there. It is seen as it comes."""

    slug: ClassVar[str] = "values-missing"
    reason: ClassVar[str] = "ValuesMissing"


async def read_values(cluster: Cluster, namespace: str, settings: Render, user: str = "") -> ClusterValues:
    """What ``settings`` names, read as ``user``. Raises ValuesMissing, NotAllowed, ClusterUnavailable."""
    return ClusterValues(
        {
            named.key: content
            for named in settings.named
            if (content := await read_named(cluster, namespace, named, user, "spec.render")) is not None
        }
    )


async def read_named(cluster: Cluster, namespace: str, named: Named, user: str, field: str) -> dict[str, bytes] | None:
    """One object, None where it is missing and may be. Raises as ``read_values`` does, in the name of ``field``."""
    ref = ObjectRef("", named.kind, namespace, named.name)
    try:
        content = await cluster.read(RESOURCES[named.kind], ref, user=user)
    except NotAllowed as error:
        who = user.rpartition(":")[2] or "this account"
        error.hint = f"let {who} get the {named.kind} {named.name} in namespace {namespace} (a Role, a RoleBinding)"
        raise error.at(Where(field=field)) from None
    if content is not None:
        return contents(named.kind, content, named.name)
    if named.optional:
        return None
    hint = "make it there, or say optional: true where it is named" if field == "spec.render" else "make it there"
    raise ValuesMissing(
        f"there is no {named.kind} {named.name} in namespace {namespace}", where=Where(field=field), hint=hint
    )


async def read_keyring(cluster: Cluster, namespace: str, keyring: Keyring, user: str = "") -> list[bytes]:
    """The files of a keyring, read as ``user``. Raises ChartUnverified where they can't be had, ClusterUnavailable."""
    try:
        content = await read_named(cluster, namespace, keyring.named, user, KEYRING)
    except NeedsHuman as error:
        raise ChartUnverified(f"the keyring can't be read: {error.what}", where=error.where, hint=error.hint) from None
    return keyring_in(keyring, content)


def keyring_in(keyring: Keyring, content: Mapping[str, bytes] | None) -> list[bytes]:
    """The files of a keyring in what was read. Raises ChartUnverified where there is none."""
    held = dict(content or {})
    named = keyring.named
    files = [held[name] for name in sorted(held) if not keyring.key or name == keyring.key]
    if not files:
        what = f"has no key {keyring.key}" if keyring.key else "has no key in it"
        raise ChartUnverified(
            f"{named.kind} {named.name} {what}: there is no keyring",
            where=Where(field=KEYRING),
            hint="gpg --export --armor <key> writes what belongs into it",
        )
    return files


def digests(values: ClusterValues, key: bytes) -> dict[str, str]:
    """A keyed digest of each object's values: equal where they are equal, and nobody can guess them."""
    found: dict[str, str] = {}
    for name, held in sorted(values.objects.items()):
        made = hmac.new(key, digestmod=hashlib.sha256)
        for word, data in sorted(held.items()):
            for part in (word.encode(), data):
                made.update(len(part).to_bytes(8, "big") + part)
        found[name] = f"hmac-sha256:{made.hexdigest()[:16]}"
    return found


@dataclass(slots=True)
class _Watched:
    """One object: who names it, and the number of its last change, which no other change of anything has."""

    number: int
    users: set[Key] = field(default_factory=set)
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Values:
    """``wake`` hears of each Application whose values changed."""

    def __init__(self, cluster: Cluster, supervisor: Supervisor, wake: Callable[[Key], None]) -> None:
        self._cluster = cluster
        self._supervisor = supervisor
        self._wake = wake
        self._watched: dict[ObjectRef, _Watched] = {}
        self._named: dict[Key, set[ObjectRef]] = {}
        self._numbers = count(1)

    def stamp(self, application: Key, settings: Render) -> Stamp:
        """Which state of its values an Application's render is of, as far as is known. Equal stamps, equal values."""
        refs = _refs(application, settings)
        return tuple((str(ref), self._watched[ref].number if ref in self._watched else 0) for ref in refs)

    async def read(self, application: Key, settings: Render, user: str) -> tuple[ClusterValues, Stamp]:
        """The values now. Who changes them from now on wakes the Application."""
        refs = _refs(application, settings)
        self._follow(application, refs)
        if not refs:
            return ClusterValues(), ()
        waits = [self._watched[ref].synced.wait() for ref in refs]
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*waits)
        except TimeoutError:
            # The watch goes on trying; when it comes to be, that counts as a change.
            pass
        stamp = self.stamp(application, settings)
        return await read_values(self._cluster, application.namespace, settings, user), stamp

    def forget(self, application: Key) -> None:
        """The Application is gone: what only it named is watched no more."""
        self._follow(application, ())

    def _follow(self, application: Key, refs: Iterable[ObjectRef]) -> None:
        wanted = set(refs)
        for ref in self._named.pop(application, set()) - wanted:
            watched = self._watched[ref]
            watched.users.discard(application)
            if not watched.users:
                if watched.task is not None:
                    watched.task.cancel()
                del self._watched[ref]
        for ref in wanted:
            if ref not in self._watched:
                watched = self._watched[ref] = _Watched(next(self._numbers))
                watched.task = self._supervisor.spawn(self._watch(ref, watched), f"values {ref.full}")
            self._watched[ref].users.add(application)
        if wanted:
            self._named[application] = wanted

    async def _watch(self, ref: ObjectRef, watched: _Watched) -> None:
        steps = self._cluster.follow(RESOURCES[ref.kind], ref.namespace, name=ref.name, metadata=True)
        async for kind, _ in steps:
            if kind == "SYNCED":
                watched.synced.set()
            elif watched.synced.is_set():
                watched.number = next(self._numbers)
                for application in watched.users:
                    self._wake(application)


def _refs(application: Key, settings: Render) -> list[ObjectRef]:
    return [ObjectRef("", named.kind, application.namespace, named.name) for named in settings.named]
