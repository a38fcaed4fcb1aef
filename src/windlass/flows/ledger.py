"""Keeps the ledger where the Installation says: opens the queue, aims it at the Repository, and says how it goes.

``LedgerKeeper.look`` is called whenever the Installation, the ledger's Repository or the state of its pushes is
another. The queue is opened as soon as a ledger is named, whether its Repository can be reached or not: what happens is
kept from then on. Where no ledger is named, where its Repository is missing or may not be written, and where pushes
fail, the condition ``Recorded`` of the Installation is False and says why; never silence.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

import structlog

from windlass.core.kinds import conditions
from windlass.core.kinds.conditions import Condition
from windlass.core.kinds.fields import seconds, stamp
from windlass.core.kinds.installation import Installation, LedgerStatus
from windlass.core.kinds.installation import Ledger as LedgerSpec
from windlass.core.kinds.reasons import Reason
from windlass.core.record.private import Private
from windlass.errors import NeedsHuman, WindlassError
from windlass.flows.fleet import Fleet, Key
from windlass.flows.queue import WorkQueue
from windlass.flows.record import Recorder
from windlass.flows.secrets import SecretReader
from windlass.flows.waiting import RepositoryMissing
from windlass.ports import Clock, Ledger, LedgerPlace

log = structlog.get_logger("windlass")
AGAIN = 60.0
"""Seconds after which Secrets of a ledger that can't be pushed are read again: somebody may have mended them."""


class NotWritable(NeedsHuman):
    """The ledger's Repository is there, and says nothing of writing."""

    slug: ClassVar[str] = "not-writable"
    reason: ClassVar[str] = Reason.NOT_WRITABLE.value


class LedgerKeeper:
    """``open_ledger`` makes the queue of a cluster's ledger and keeps it running; ``key`` is the cluster's own
    for digests."""

    def __init__(
        self,
        fleet: Fleet,
        secrets: SecretReader,
        recorder: Recorder,
        clock: Clock,
        open_ledger: Callable[[str], Ledger],
        key: bytes,
        report: Callable[[], None],
    ) -> None:
        self._fleet = fleet
        self._secrets = secrets
        self._recorder = recorder
        self._clock = clock
        self._open = open_ledger
        self._key = key
        self._report = report
        self._cluster = ""
        self._ledger: Ledger | None = None
        self._recalled = False
        self._error: WindlassError | None = None
        self._pushed: tuple[tuple[str, str], datetime] | None = None
        self.queue: WorkQueue[str] = WorkQueue(base=1.0, cap=60.0)

    def wake(self) -> None:
        """Something about the ledger may be another."""
        self.queue.add("ledger")

    def changed(self) -> None:
        """The ledger's tip or trouble is another."""
        self._report()
        if self._wrong() is not None:
            self.queue.add_after("ledger", AGAIN)

    async def look(self, item: str) -> None:
        """A worker's step. Raises nothing of the two families."""
        installation, spec = self._fleet.installation, self._spec()
        if installation is None:
            return  # what is known of the ledger stays in force
        if spec is None:
            self._recorder.attach(None, installation.spec.name, Private(self._key))
            if self._ledger is not None:
                self._ledger.aim(None, AGAIN)
            self._error = None
        else:
            try:
                self._attach(installation, spec)
                self._error = None
                await self._aim(spec, installation)
            except WindlassError as error:
                self._error = error
                if self._ledger is not None:
                    self._ledger.aim(None, seconds(spec.push))
            if self._wrong() is not None:
                self.queue.add_after(item, AGAIN)
        self.queue.forget(item)
        self._report()

    def condition(self) -> tuple[bool, str, str]:
        """Whether what happens is recorded, with reason and message."""
        spec = self._spec()
        if spec is None:
            return False, Reason.NO_LEDGER.value, "no ledger is named: nothing of what happens is recorded in Git"
        error = self._wrong()
        if error is not None:
            hint = f"; {error.hint}" if error.hint else ""
            # While the disk takes none, a kill loses what waits.
            where = "in memory" if self._ledger is not None and self._ledger.held else "on disk"
            return False, error.reason, f"events wait {where}: {error}{hint}"
        return True, Reason.LEDGER_WRITTEN.value, f"events go to Repository {spec.repository}"

    @property
    def waiting(self) -> int:
        """Bytes of events that are on disk and not known to be pushed."""
        return self._ledger.size if self._ledger is not None else 0

    def status(self, old: LedgerStatus) -> LedgerStatus:
        """The tip of the last push, as the Installation keeps it outside of Git."""
        tip = self._ledger.tip if self._ledger is not None else ("", "")
        if not tip[1] or tip == (old.ref, old.commit):
            return old
        if self._pushed is None or self._pushed[0] != tip:
            self._pushed = (tip, self._clock.now())
        return LedgerStatus(*tip, stamp(self._pushed[1]))

    def conditions(self, old: list[Condition], now: datetime, generation: int) -> list[Condition]:
        """The Installation's conditions with ``Recorded`` set."""
        well, reason, message = self.condition()
        status: conditions.Status = "True" if well else "False"
        return conditions.set_condition(old, "Recorded", status, reason, message, now=now, generation=generation)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _spec(self) -> LedgerSpec | None:
        return self._fleet.installation.spec.ledger if self._fleet.installation is not None else None

    def _wrong(self) -> WindlassError | None:
        return self._error or (self._ledger.trouble if self._ledger is not None else None)

    def _attach(self, installation: Installation, spec: LedgerSpec) -> None:
        if self._ledger is None or self._cluster != installation.spec.name:
            self._ledger = self._open(installation.spec.name)
            self._cluster, self._recalled = installation.spec.name, False
        self._recorder.attach(self._ledger, self._cluster, Private(self._key, spec.values))

    async def _aim(self, spec: LedgerSpec, installation: Installation) -> None:
        assert self._ledger is not None
        source = self._fleet.sources.get(Key(self._fleet.system, spec.repository))
        if source is None or source.written is None:
            raise (source.invalid if source is not None else None) or RepositoryMissing(
                spec.repository, self._fleet.system
            )
        write = source.written.spec.write
        if write is None:
            raise NotWritable(
                f"Repository {source.key} has no spec.write", hint="say with which Secret it is pushed to: spec.write"
            )
        fresh = self._ledger.trouble is not None
        secret = await self._secrets.read(self._fleet.system, write.secret, fresh=fresh) if write.secret else {}
        signing = b""
        if write.signing_key is not None:
            found = await self._secrets.read(self._fleet.system, write.signing_key.secret, fresh=fresh)
            signing = found.get("identity", b"")
            if not signing:
                raise NeedsHuman(
                    f"Secret {self._fleet.system}/{write.signing_key.secret} has no key identity",
                    hint="put an SSH private key without passphrase there",
                )
        place = LedgerPlace(
            repository=str(source.key),
            url=source.written.spec.url,
            secret=dict(secret),
            name=write.author.name,
            email=write.author.email,
            signing=signing,
        )
        last = installation.status.ledger
        self._ledger.aim(place, seconds(spec.push), (last.ref, last.commit))
        if not self._recalled:
            self._recalled = True
            await self._ledger.recall()
