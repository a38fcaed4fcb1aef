"""Which of several controllers leads: an election on a `coordination.k8s.io/v1` Lease. Implements `ports.Leadership`.

`app.py` runs it beside the flows and hands `held` to the client as its fence. It trusts no wall clock: another's lease
is old when it was not seen to change for its whole duration, its own when two thirds have gone since its last renewal.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from windlass import ports
from windlass.adapters.cluster.answers import Asked, bounded
from windlass.adapters.cluster.client import Call, Client
from windlass.core.model import Resource
from windlass.core.model.foreign import UNREADABLE
from windlass.errors import WindlassError

LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True)
KIND = "leases.coordination.k8s.io"
STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Terms:
    """How long a lease lasts, when it is renewed, how often others look; seconds."""

    duration: float = 15.0
    renew: float = 5.0
    retry: float = 2.0

    @property
    def safe(self) -> float:
        """How long after the beginning of a renewal this process may still write."""
        return self.duration * 2 / 3


class _Meta(msgspec.Struct, omit_defaults=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""  # noqa: N815 - the API's word
    labels: dict[str, str] | None = None  # others' words on the Lease go back as they came
    annotations: dict[str, str] | None = None
    ownerReferences: list[dict[str, Any]] | None = None  # noqa: N815


class _Spec(msgspec.Struct, omit_defaults=True):
    holderIdentity: str | None = None  # noqa: N815
    leaseDurationSeconds: int | None = None  # noqa: N815
    acquireTime: str | None = None  # noqa: N815
    renewTime: str | None = None  # noqa: N815
    leaseTransitions: int | None = None  # noqa: N815


class _Lease(msgspec.Struct, omit_defaults=True):
    metadata: _Meta
    spec: _Spec | None = None
    apiVersion: str = ""  # noqa: N815
    kind: str = ""


class LeaseLeadership:
    """Campaigns for one Lease under `identity`, which no other process may have. `on_change` hears True and False."""

    def __init__(
        self,
        client: Client,
        clock: ports.Clock,
        namespace: str,
        identity: str,
        *,
        name: str = "windlass-controller",
        terms: Terms | None = None,
    ) -> None:
        self.identity = identity
        self.on_change: Callable[[bool], None] | None = None
        self._client = client
        self._clock = clock
        self._name = name
        self._path = LEASES.path(namespace)
        self._target = f"Lease/{namespace}/{name}"
        self._terms = terms or Terms()
        self._until = float("-inf")  # the end of what is surely ours, by the monotonic clock
        self._doubt = False
        self._term = 0
        self._seen: tuple[str, float] = ("", 0.0)  # another's lease: its resourceVersion, and since when it is that
        self._lease: _Lease | None = None
        self._wake: list[asyncio.Future[None]] = []
        self._leading = False
        self.error: WindlassError | None = None

    # --- ports.Leadership ---

    def held(self) -> bool:
        return self._clock.monotonic() < self._until

    @property
    def doubt(self) -> bool:
        return self._doubt

    @property
    def term(self) -> int:
        return self._term

    # --- for app.py ---

    @property
    def holder(self) -> str:
        """Who held the lease when it was looked at last."""
        return (self._lease.spec.holderIdentity or "") if self._lease and self._lease.spec else ""

    @property
    def transitions(self) -> int:
        """How often the lease changed hands, as it says itself."""
        return (self._lease.spec.leaseTransitions or 0) if self._lease and self._lease.spec else 0

    async def acquired(self) -> None:
        """Returns when this process leads."""
        while not self.held():
            await self._changed()

    async def lost(self) -> None:
        """Returns when this process no longer may write: another leads, or nobody can tell."""
        while (left := self._until - self._clock.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._changed()
            except TimeoutError:
                continue  # the clock decides, not the timer

    async def run(self) -> None:
        """Campaigns until it is cancelled, then gives the lease back, so that the next one need not wait."""
        try:
            while True:
                await self._turn()
                self._tell()
                pause = self._terms.renew if self._mine() and not self._doubt else self._terms.retry
                await asyncio.sleep(pause * random.uniform(0.8, 1.0))  # noqa: S311 - spreads load, guards nothing
        finally:
            await self._release()

    async def _turn(self) -> None:
        """Renews, or looks whether it can be had. Failures are remembered in `error` and `doubt`."""
        begun = self._clock.monotonic()
        try:
            # Never longer than the lease lasts: a hung renewal must leave time for another.
            async with asyncio.timeout(self._terms.renew):
                if self._mine() and await self._write(self._renewed(), begun):
                    return
                await self._campaign()
        except ports.WriteConflict:
            self._lease = None  # somebody else wrote it: looked at again before anything else
            self._doubt = self._until > begun
        except (WindlassError, TimeoutError) as error:
            late = ports.ClusterUnavailable(f"no answer about {self._target} within {self._terms.renew:g} s")
            self.error = error if isinstance(error, WindlassError) else late
            self._doubt = self._until > begun

    async def _campaign(self) -> None:
        begun = self._clock.monotonic()
        lease = await self._read()
        if lease is None:
            await self._create(begun)
            return
        self._lease = lease
        spec = lease.spec or _Spec()
        holder = spec.holderIdentity or ""
        if holder and holder != self.identity:
            self._until = float("-inf")
            self._doubt = False
            self.error = None
            version, since = self._seen
            if lease.metadata.resourceVersion != version:
                self._seen = (lease.metadata.resourceVersion, begun)
                return
            if begun - since < (spec.leaseDurationSeconds or self._terms.duration):
                return
        await self._write(self._taken(spec), begun)

    def _mine(self) -> bool:
        return self._lease is not None and self.holder == self.identity

    def _renewed(self) -> _Spec:
        spec = self._lease.spec if self._lease else None
        stamp = self._stamp()
        acquired = (spec.acquireTime if spec else None) or stamp
        return _Spec(self.identity, self._seconds(), acquired, stamp, self.transitions)

    def _taken(self, spec: _Spec) -> _Spec:
        stamp = self._stamp()
        changed = (spec.holderIdentity or "") != self.identity
        return _Spec(self.identity, self._seconds(), stamp, stamp, (spec.leaseTransitions or 0) + int(changed))

    async def _write(self, spec: _Spec, begun: float) -> bool:
        """Writes over exactly what was read. Raises WriteConflict where somebody was faster."""
        assert self._lease is not None
        lease = _Lease(self._lease.metadata, spec, "coordination.k8s.io/v1", "Lease")
        try:
            self._lease = await self._send("update", "PUT", f"{self._path}/{self._name}", lease)
        except ports.ObjectMissing:
            self._lease = None  # deleted by somebody: made anew at the next turn
            return False
        self._won(begun)
        return True

    async def _create(self, begun: float) -> None:
        stamp = self._stamp()
        lease = _Lease(_Meta(self._name), _Spec(self.identity, self._seconds(), stamp, stamp, 0))
        lease.apiVersion, lease.kind = "coordination.k8s.io/v1", "Lease"
        self._lease = await self._send("create", "POST", self._path, lease)
        self._won(begun)

    def _won(self, begun: float) -> None:
        if begun >= self._until:
            # It ran out in between, if only just: what was decided before is decided again.
            self._now(False)
            self._term += 1
        self._until = begun + self._terms.safe
        self._doubt = False
        self.error = None

    async def _read(self) -> _Lease | None:
        call = Call(
            "get",
            f"{self._path}/{self._name}",
            Asked("read", self._target),
            kind=KIND,
            timeout=self._terms.renew,
            urgent=True,
        )
        try:
            answer = await self._client.send(call)
        except ports.ObjectMissing:
            return None
        return _decode(answer.body)

    async def _send(self, verb: str, method: str, path: str, lease: _Lease) -> _Lease:
        call = Call(
            verb,
            path,
            Asked(verb, self._target),
            kind=KIND,
            method=method,
            query={"fieldManager": "windlass-controller"},
            body=msgspec.json.encode(lease),
            timeout=self._terms.renew,
            fenced=False,
            urgent=True,
        )
        return _decode((await self._client.send(call)).body)

    async def _release(self) -> None:
        """At the stop: nobody has to wait for the lease to run out. Best effort, within two seconds."""
        mine = self._mine() and self.held()
        self._until = float("-inf")
        self._tell()
        if not mine:
            return
        spec = self._renewed()
        spec.holderIdentity, spec.leaseDurationSeconds = "", 1
        try:
            async with asyncio.timeout(2.0):
                assert self._lease is not None
                lease = _Lease(self._lease.metadata, spec, "coordination.k8s.io/v1", "Lease")
                self._lease = await self._send("update", "PUT", f"{self._path}/{self._name}", lease)
        except (WindlassError, TimeoutError) as error:
            # It runs out by itself; kept for whoever asks why the next one waited.
            self.error = error if isinstance(error, WindlassError) else None

    def _tell(self) -> None:
        self._now(self.held())
        for waiting in self._wake:
            if not waiting.done():
                waiting.set_result(None)
        self._wake.clear()

    def _now(self, held: bool) -> None:
        if held != self._leading:
            self._leading = held
            if self.on_change is not None:
                self.on_change(held)

    async def _changed(self) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wake.append(waiting)
        try:
            await waiting
        finally:
            if waiting in self._wake:
                self._wake.remove(waiting)

    def _seconds(self) -> int:
        return max(1, round(self._terms.duration))

    def _stamp(self) -> str:
        return self._clock.now().astimezone(UTC).strftime(STAMP)


def _decode(body: bytes) -> _Lease:
    try:
        return msgspec.json.decode(body, type=_Lease)
    except UNREADABLE as error:
        raise ports.ClusterUnavailable("the answer about the Lease is no Lease") from error


def identity(host: str, started: datetime, process: int) -> str:
    """A name that no other process has: the Pod or machine, its process, and when it started."""
    return bounded(f"{host}_{process}_{int(started.timestamp() * 1000):x}", 200)
