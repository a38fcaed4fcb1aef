"""ALERTS: an event is told -> which Alerts are about it -> notices -> Channels, at least once, repeats folded.

``AlertFlow.hear`` is called with each event as it is recorded and only puts it into a line; everything else happens in
workers. Nothing is lost by a restart: what waits to be sent and what is open are on disk. A receiver that is away keeps
its own notices waiting and nobody else's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
import structlog

from windlass.core.alerts import AlertRule, Desk, Notice, Open, Quiet, Reader, is_quiet
from windlass.core.kinds import alerts, conditions
from windlass.core.kinds.alerts import Alert, AlertStatus, Channel
from windlass.core.kinds.fields import seconds
from windlass.core.kinds.kind import GROUP, VERSION, read_status
from windlass.core.kinds.reasons import Reason
from windlass.core.model import ObjectRef, Resource
from windlass.core.model.events import Event, stamp
from windlass.errors import NeedsHuman, TryLater, Where, WindlassError
from windlass.flows.fleet import Fleet, Key
from windlass.flows.queue import WorkQueue
from windlass.flows.report import difference
from windlass.flows.secrets import SecretReader
from windlass.flows.supervise import Supervisor
from windlass.ports import Clock, Cluster, Destination, Notifier, ObjectMissing

log = structlog.get_logger("windlass")
ALERTS = Resource(GROUP, VERSION, "alerts", alerts.ALERT, True)
CHANNELS = Resource(GROUP, VERSION, "channels", alerts.CHANNEL, True)
MANAGER = "windlass-status"
STANDING = timedelta(days=1)
"""For how long what is open stands at a receiver that forgets; it is sent again at half of it."""
MOST = 10_000
"""Events that wait to be looked at; of more the newest are dropped, and that is logged."""
BOUND = 180.0
LONGEST = 1024


class Outbox(Protocol):
    """Where notices wait (``adapters/notify``). Blocking; raises DiskFull, FileNotWritable."""

    def add(self, channel: str, notice: Notice, stamp: str) -> int: ...

    def first(self, channel: str) -> Any: ...

    def done(self, waiting: Any) -> None: ...

    def channels(self) -> Any: ...

    def forget(self, channel: str) -> None: ...

    def load(self) -> dict[str, dict[str, Open]]: ...

    def save(self, open_: dict[str, dict[str, Open]]) -> None: ...


@dataclass(slots=True)
class _Told:
    """An Alert or a Channel, and what is wrong with it."""

    key: Key
    kind: str
    generation: int = 0
    error: WindlassError | None = None
    status: AlertStatus | None = None


@dataclass(slots=True)
class _Alert(_Told):
    written: Alert | None = None
    reader: Reader | None = None
    desk: Desk | None = None


@dataclass(slots=True)
class _Channel(_Told):
    written: Channel | None = None


class AlertFlow:
    """``system`` of the fleet is the namespace whose Alerts are about everything."""

    def __init__(
        self, fleet: Fleet, cluster: Cluster, secrets: SecretReader, notifier: Notifier, outbox: Outbox, clock: Clock
    ) -> None:
        self._fleet = fleet
        self._cluster = cluster
        self._secrets = secrets
        self._notifier = notifier
        self._outbox = outbox
        self._clock = clock
        self._alerts: dict[Key, _Alert] = {}
        self._channels: dict[Key, _Channel] = {}
        self._open: dict[str, dict[str, Open]] = {}
        self._line: deque[Event] = deque()
        self._news = asyncio.Event()
        self._known = asyncio.Event()
        self.dropped = 0
        self.sent = 0
        self.queue: WorkQueue[Key] = WorkQueue(base=1.0, cap=600.0)
        self.due: WorkQueue[Key] = WorkQueue()

    def start(self, supervisor: Supervisor) -> None:
        """Watches the kinds and serves the lines."""
        self._open = self._outbox.load()
        supervisor.keep(self._follow_channels, "channels")
        supervisor.keep(self._follow_alerts, "alerts")
        supervisor.keep(self._listen, "notices")
        supervisor.workers(self.queue, self.send, "notice", count=4, bound=BOUND)
        supervisor.workers(self.due, self._look_again, "alert", count=1, bound=BOUND)

    def close(self) -> None:
        """Ends the timers."""
        self.queue.close()
        self.due.close()

    # --- what people wrote ------------------------------------------------------------------------------------------

    async def _follow_alerts(self) -> None:
        async for step, content in self._cluster.follow(ALERTS):
            if step != "SYNCED":
                await self._take_alert(step, content)
                continue
            for gone in set(self._open) - {str(key) for key in self._alerts}:
                del self._open[gone]
            self._known.set()

    async def _follow_channels(self) -> None:
        async for step, content in self._cluster.follow(CHANNELS):
            if step == "SYNCED":
                for channel in await asyncio.to_thread(self._outbox.channels):
                    self.queue.add(Key(*channel.split("/", 1)))
            else:
                await self._take_channel(step, content)

    async def _take_alert(self, step: str, content: dict[str, Any]) -> None:
        key, generation = _identity(content)
        if step == "DELETED":
            self._alerts.pop(key, None)
            self._open.pop(str(key), None)
            self.due.drop(key)
            return
        state = self._alerts.setdefault(key, _Alert(key, alerts.ALERT))
        if state.status is None:
            state.status = read_status(content, AlertStatus)
        if generation == state.generation:
            return
        state.generation = generation
        try:
            state.written = written = alerts.decode_alert(content)
            state.reader = Reader(self._rule(key, written))
            repeat = timedelta(seconds=seconds(written.spec.repeat)) if written.spec.repeat else None
            state.desk = Desk(self._open.setdefault(str(key), {}), repeat)
            state.error = None
        except NeedsHuman as error:
            state.reader = None
            state.error = error.at(Where(field=f"Alert {key}"))
            log.warning("bad spec", alert=str(key), error=str(error))
        await self._report(state)
        self.due.add(key)

    def _rule(self, key: Key, written: Alert) -> AlertRule:
        spec = written.spec.events
        namespace = "" if key.namespace == self._fleet.system else key.namespace
        return AlertRule(namespace, tuple(spec.kinds), tuple(spec.applications), spec.severity == "severe", spec.when)

    async def _take_channel(self, step: str, content: dict[str, Any]) -> None:
        key, generation = _identity(content)
        if step == "DELETED":
            self._channels.pop(key, None)
            self.queue.drop(key)
            await asyncio.to_thread(self._outbox.forget, str(key))
            return
        state = self._channels.setdefault(key, _Channel(key, alerts.CHANNEL))
        if state.status is None:
            state.status = read_status(content, AlertStatus)
        if generation == state.generation:
            return
        state.generation = generation
        try:
            state.written, state.error = alerts.decode_channel(content), None
        except NeedsHuman as error:
            state.error = error.at(Where(field=f"Channel {key}"))
            log.warning("bad spec", channel=str(key), error=str(error))
        await self._report(state)
        self.queue.add(key)

    # --- events to notices ------------------------------------------------------------------------------------------

    def listens(self) -> bool:
        """Whether there is an Alert, or may be one."""
        return bool(self._alerts) or not self._known.is_set()

    def hear(self, event: Event) -> None:
        """Takes an event into the line. Called on the loop, where it happens."""
        if not self.listens():
            return
        if len(self._line) >= MOST:
            self.dropped += 1
            if self.dropped == 1:
                log.warning("events come faster than notices are made of them: some are not told")
            return
        self._line.append(event)
        self._news.set()

    async def _listen(self) -> None:
        await self._known.wait()
        while True:
            await self._news.wait()
            self._news.clear()
            made: list[tuple[Key, Notice]] = []
            changed = False
            while self._line and len(made) < 200:
                event = self._line.popleft()
                for state in list(self._alerts.values()):
                    changed = self._ask(state, event, made) or changed
                await asyncio.sleep(0)
            if self._line:
                self._news.set()
            await self._keep(made, changed=changed)

    def _ask(self, state: _Alert, event: Event, made: list[tuple[Key, Notice]]) -> bool:
        """Whether an Alert is about this event; its notice goes to the others."""
        written, reader, desk = state.written, state.reader, state.desk
        if written is None or reader is None or desk is None:
            return False
        trouble = reader.trouble
        if not reader.matches(event):
            if reader.trouble != trouble:
                self.due.add(state.key)
            return False
        now = self._clock.now()
        quiet = is_quiet(quiet_hours(written), now)
        notice = desk.take(event, now, quiet=quiet is not None)
        if notice is not None:
            made.append((self._channel_of(state.key, written), noted(notice, written)))
        self.due.add(state.key)
        return True

    async def _look_again(self, key: Key) -> None:
        """What is told by the time alone: the end of quiet hours, what is open for too long. Sets its next time."""
        state = self._alerts.get(key)
        if state is None:
            return
        await self._report(state)
        written, desk = state.written, state.desk
        if written is None or desk is None:
            return
        now = self._clock.now()
        quiet = is_quiet(quiet_hours(written), now)
        if quiet is not None:
            self.due.add_after(key, (quiet - now).total_seconds() + 1.0)
            return
        channel = self._channel_of(key, written)
        made = [(channel, noted(notice, written)) for notice in desk.after_quiet(now)]
        made += [(channel, noted(notice, written)) for notice in self._standing(channel, desk, now)]
        await self._keep(made, changed=bool(made))
        times = [one for one in (desk.next_due(now), self._stands_until(channel, desk)) if one is not None]
        if times:
            self.due.add_after(key, max(1.0, (min(times) - now).total_seconds()))

    def _standing(self, channel: Key, desk: Desk, now: datetime) -> list[Notice]:
        """What an Alertmanager would take for ended soon: told again as it was, which is no repeat for people."""
        if not self._forgets(channel):
            return []
        again = []
        for one in desk.open.values():
            if one.told and one.last is not None and now - datetime.fromisoformat(one.told) >= STANDING / 2:
                one.told = stamp(now)
                again.append(one.last)
        return again

    def _stands_until(self, channel: Key, desk: Desk) -> datetime | None:
        if not self._forgets(channel):
            return None
        times = [datetime.fromisoformat(one.told) + STANDING / 2 for one in desk.open.values() if one.told]
        return min(times, default=None)

    def _forgets(self, channel: Key) -> bool:
        state = self._channels.get(channel)
        return state is not None and state.written is not None and state.written.spec.alertmanager is not None

    async def _keep(self, made: list[tuple[Key, Notice]], *, changed: bool) -> None:
        """On disk first, then sent."""
        for channel, notice in made:
            try:
                gone = await asyncio.to_thread(self._outbox.add, str(channel), notice, stamp(self._clock.now()))
            except WindlassError as error:
                log.warning("notice not kept", channel=str(channel), error=error.what)
                continue
            if gone:
                log.warning("notices dropped", channel=str(channel), count=gone)
            self.queue.add(channel)
        if changed:
            try:
                await asyncio.to_thread(self._outbox.save, self._open)
            except WindlassError as error:
                log.warning("what is open is not kept", error=error.what)

    def _channel_of(self, key: Key, written: Alert) -> Key:
        """Always in the Alert's own namespace."""
        return Key(key.namespace, written.spec.channel)

    # --- notices to people ------------------------------------------------------------------------------------------

    async def send(self, key: Key) -> None:
        """A worker's step: all that waits for one Channel, oldest first. Raises nothing of the two families."""
        state = self._channels.get(key)
        if state is None or state.written is None:
            return
        try:
            to = await self._destination(state, state.written)
            while (waiting := await asyncio.to_thread(self._outbox.first, str(key))) is not None:
                await self._notifier.send(to, waiting.notice, self._clock.now() + STANDING)
                await asyncio.to_thread(self._outbox.done, waiting)
                self.sent += 1
        except WindlassError as error:
            if state.error is None or state.error.what != error.what:
                log.warning("notice not sent", channel=str(key), error=str(error))
            state.error = error
            # Also what a person must mend is tried again: the receiver's mend shows nowhere else.
            after = error.after if isinstance(error, TryLater) else 0.0
            self.queue.retry(key, at_least=after)
        else:
            state.error = None
            self.queue.forget(key)
        await self._report(state)

    async def _destination(self, state: _Channel, written: Channel) -> Destination:
        spec, namespace = written.spec, state.key.namespace
        fresh = state.error is not None
        if spec.webhook is not None:
            secret = await self._secrets.read(namespace, spec.webhook.secret, fresh=fresh)
            return Destination("webhook", spec.webhook.url, dict(secret))
        assert spec.alertmanager is not None, "checked when the kind was read"
        name = spec.alertmanager.secret
        own = await self._secrets.read(namespace, name, fresh=fresh) if name else {}
        return Destination("alertmanager", spec.alertmanager.url, dict(own))

    # --- what is told -------------------------------------------------------------------------------------------------

    async def _report(self, state: _Alert | _Channel) -> None:
        """The status, written where it says something else than before."""
        old = state.status or AlertStatus()
        new = self._status(state, old)
        if conditions.same(old, new):
            return
        state.status = new
        before = msgspec.to_builtins(old) if old != AlertStatus() else {}
        patch = {"status": difference(before, msgspec.to_builtins(new))}
        resource = ALERTS if state.kind == alerts.ALERT else CHANNELS
        ref = ObjectRef(GROUP, state.kind, *state.key)
        try:
            await self._cluster.patch(resource, ref, patch, form="merge", manager=MANAGER, subresource="status")
        except ObjectMissing:
            return  # it went away meanwhile
        except WindlassError as error:
            state.status = old
            log.warning("status not written", object=f"{state.kind} {state.key}", error=error.what)

    def _status(self, state: _Alert | _Channel, old: AlertStatus) -> AlertStatus:
        now, generation, error = self._clock.now(), state.generation, state.error
        trouble = state.reader.trouble if isinstance(state, _Alert) and state.reader is not None else ""
        if error is not None:
            set_ = conditions.reconciling if isinstance(error, TryLater) else conditions.stalled
            text = f"{error}; mend: {error.hint}" if error.hint else str(error)
            made = set_(old.conditions, error.reason, text[:LONGEST], now=now, generation=generation)
        elif trouble:
            text = f"spec.events.when failed on an event: {trouble}"[:LONGEST]
            made = conditions.stalled(old.conditions, Reason.BAD_ALERT.value, text, now=now, generation=generation)
        else:
            text = "tells" if isinstance(state, _Alert) else "takes notices"
            made = conditions.ready(old.conditions, Reason.TELLING.value, text, now=now, generation=generation)
        return AlertStatus(made, generation)


def quiet_hours(written: Alert) -> list[Quiet]:
    """The quiet hours of an Alert."""
    return [Quiet(one.from_, one.to, tuple(one.days), one.time_zone) for one in written.spec.quiet_hours]


def noted(notice: Notice, written: Alert) -> Notice:
    """With the Alert's own sentence, where it has one."""
    note = written.spec.note
    return msgspec.structs.replace(notice, line=f"{notice.line}   {note}") if note else notice


def _identity(content: dict[str, Any]) -> tuple[Key, int]:
    metadata = content["metadata"]
    return Key(metadata["namespace"], metadata["name"]), metadata.get("generation", 0)
