"""Charts from repositories and registries: which version an Application's range means now, and who hears of a new one.

``desires`` asks ``found`` for each render; ``look`` is called for an Application at the interval of its chart, by
workers of its own, and wakes it where the answer is another one. Many Applications of one repository share one question
to it: the port holds what was answered. No sync waits for a repository. One that does not answer changes nothing: the
chart that was found last stays, and the Application's messages say so. One that nobody vouches for any more is not
rendered again: a keyring is read at each look. Credentials are read with the Application's own account, kept for
minutes, never told.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import structlog

from windlass.core.kinds.application import Application
from windlass.core.kinds.chart_source import ChartSource
from windlass.core.kinds.fields import seconds
from windlass.core.model import ObjectRef
from windlass.errors import NeedsHuman, TryLater, Where, WindlassError
from windlass.flows.fleet import ApplicationState, Fleet, Key
from windlass.flows.queue import WorkQueue
from windlass.flows.secrets import SECRETS, Credential, decoded
from windlass.flows.values import read_keyring
from windlass.flows.waiting import SourceNotReady
from windlass.ports import ChartFound, Charts, ChartUnverified, ChartWanted, Clock, Cluster

log = structlog.get_logger("windlass")
KEEP = 600.0
JITTER = 0.1


class _Kept(NamedTuple):
    """A credential, until when it is believed, and who read it."""

    until: float
    name: str
    user: str
    credential: Credential


class ChartPending(SourceNotReady):
    """The chart is being looked for, away from the worker of this sync; it wakes the Application when it is there."""

    slug: ClassVar[str] = "chart-pending"
    reason: ClassVar[str] = "ChartPending"

    def __init__(self, name: str) -> None:
        TryLater.__init__(self, f"the chart {name} is being looked for")
        self.unasked = True


class ChartFlow:
    """``wake`` hears of each Application whose chart is another one now, ``told`` of each whose messages changed.
    ``fetch``: charts that a chart of a folder wants are fetched as well."""

    def __init__(
        self,
        fleet: Fleet,
        cluster: Cluster,
        charts: Charts,
        clock: Clock,
        *,
        wake: Callable[[Key], None],
        told: Callable[[ApplicationState], None],
        fetch: bool = False,
    ) -> None:
        self._fleet = fleet
        self._cluster = cluster
        self._charts = charts
        self._clock = clock
        self._wake = wake
        self._told = told
        self._fetch = fetch
        self._kept: dict[Key, _Kept] = {}
        self.queue: WorkQueue[Key] = WorkQueue(base=5.0, cap=300.0)

    async def found(self, state: ApplicationState, written: Application) -> ChartFound | None:
        """The chart to render; None where the Application names none. It waits for nobody: what is not known yet is
        looked for by ``look``, and ChartPending or the last error is raised meanwhile."""
        chart = written.spec.source.chart
        if chart is None:
            state.chart = state.chart_error = None
            return None
        known = state.chart if state.chart_for == chart else None
        if known is not None and await self._charts.holds(known):
            return known
        if state.chart_error is not None and state.chart_error_for == chart:
            raise state.chart_error.with_traceback(None)
        self.queue.add(state.key)
        raise ChartPending(chart.name)

    async def look(self, key: Key) -> None:
        """Is there another version now? Raises nothing of the two families."""
        state = self._fleet.applications.get(key)
        written = state.written if state is not None else None
        chart = written.spec.source.chart if written is not None else None
        if state is None or written is None or chart is None:
            return
        before, error_before = state.chart, state.chart_error
        try:
            await self._ask(state, written, chart)
        except WindlassError as error:
            self._note(state, chart, error)
        unknown = state.chart_for != chart or isinstance(state.waiting, ChartPending)
        if state.chart_error is None and state.chart != before and state.chart is not None:
            log.info("chart", application=state.name, chart=state.chart.name, version=state.chart.version)
        if state.chart != before or unknown or (error_before is not None and state.chart_error is None):
            self._wake(key)
        if (error_before is None) != (state.chart_error is None):
            self._told(state)

    async def dependencies(
        self, state: ApplicationState, written: Application, wants: Sequence[tuple[str, str, str]]
    ) -> dict[ChartWanted, ChartFound]:
        """The charts that a chart wants and does not hold: fetched without credentials, where that is allowed at all.
        Where somebody has to vouch for the chart, they have to vouch for these too, as with
        ``helm dependency build --verify``."""
        if not self._fetch or not wants:
            return {}
        keyring = await self._keyring(state, written)
        found: dict[ChartWanted, ChartFound] = {}
        for repository, name, version in wants:
            wanted = ChartWanted(repository, name, version)
            try:
                found[wanted] = await self._charts.resolve(wanted, {}, fresh=KEEP, keyring=keyring)
            except WindlassError as error:
                raise error.at(Where(field=f"the dependency {name}")) from None
        return found

    def forget(self, key: Key) -> None:
        """The Application is gone."""
        self._kept.pop(key, None)
        self.queue.drop(key)

    async def _ask(self, state: ApplicationState, written: Application, chart: ChartSource) -> None:
        wanted = ChartWanted(chart.repository, chart.name, chart.version, chart.plain_http)
        interval = seconds(chart.interval)
        secret = await self._secret(state, written, chart) if chart.secret else Credential()
        keyring = await self._keyring(state, written)
        found = await self._charts.resolve(wanted, secret, fresh=interval, keyring=keyring)
        state.chart, state.chart_for, state.chart_error = found, chart, None
        self.queue.forget(state.key)
        self.queue.add_after(state.key, interval * (1.0 + JITTER * random.random()))  # noqa: S311 - spreads load

    async def _keyring(self, state: ApplicationState, written: Application) -> list[bytes] | None:
        """The keys of which one has to vouch; None where nobody has to."""
        chart = written.spec.source.chart
        if chart is None or chart.verify is None:
            return None
        user = self._fleet.user_of(state, written)
        return await read_keyring(self._cluster, state.key.namespace, chart.verify.keyring, user)

    def _note(self, state: ApplicationState, chart: ChartSource, error: WindlassError) -> None:
        news = state.chart_error is None or state.chart_error.what != error.what
        state.chart_error, state.chart_error_for = error.at(Where(field="spec.source.chart")), chart
        if isinstance(error, ChartUnverified):
            state.chart = state.chart_for = None
        # A rotated credential works at the next question.
        self._kept.pop(state.key, None)
        if news:
            log.warning("chart", application=state.name, error=str(error))
        after = error.after if isinstance(error, TryLater) else 0.0
        self.queue.retry(state.key, cap=max(30.0, seconds(chart.interval)), at_least=after)

    async def _secret(self, state: ApplicationState, written: Application, chart: ChartSource) -> Credential:
        """Read in the Application's own name: who may not read a Secret can't send it anywhere either."""
        user, now = self._fleet.user_of(state, written), self._clock.monotonic()
        kept = self._kept.get(state.key)
        if kept is not None and now < kept.until and (kept.name, kept.user) == (chart.secret, user):
            return kept.credential
        namespace = state.key.namespace
        content = await self._cluster.read(SECRETS, ObjectRef("", "Secret", namespace, chart.secret), user=user)
        if content is None:
            raise NeedsHuman(
                f"Secret {chart.secret} is not in namespace {namespace}",
                where=Where(field="spec.source.chart.secret"),
                hint="make it there, with username and password, or with .dockerconfigjson",
            )
        credential = decoded(content.get("data") or {}, chart.secret)
        self._kept[state.key] = _Kept(now + KEEP, chart.secret, user, credential)
        return credential
