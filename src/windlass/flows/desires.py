"""What Git wants of one Application now: rendered when its inputs changed, and otherwise known.

``sync`` calls it. A render is kept until a commit touches what it read (``readers`` knows), and what
was applied last stays what is wanted while a newer commit can't be read or may not be applied yet.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from windlass.adapters.git.store import Store, on_git_thread
from windlass.core.kinds.application import Application
from windlass.core.model import Desired, ObjectRef, Outside, Rendered
from windlass.core.plan.ignore import left_to_others
from windlass.errors import NeedsHuman, Where, WindlassError
from windlass.flows.charts import ChartFlow
from windlass.flows.fleet import ApplicationState, Fleet, Key, RenderInputs, SourceState, Stamp
from windlass.flows.inventory import Inventory
from windlass.flows.signed import check_pinned
from windlass.flows.values import Values, digests
from windlass.flows.waiting import RepositoryMissing, SourceNotReady
from windlass.ports import ClusterFacts, OtherSource, Renderer, RenderRequest, Tracer


class Desires:
    """What is wanted, per Application."""

    def __init__(
        self,
        fleet: Fleet,
        renderer: Renderer,
        inventory: Inventory,
        values: Values,
        charts: ChartFlow,
        digest_key: bytes,
        tracer: Tracer,
        wake: Callable[[Key], None],
    ) -> None:
        self._fleet = fleet
        self._values = values
        self._charts = charts
        self._renderer = renderer
        self._inventory = inventory
        self._digest_key = digest_key
        self._tracer = tracer
        self._wake = wake

    async def render(self, state: ApplicationState, source: SourceState, written: Application, commit: str) -> Rendered:
        """The render at this commit; none is made when the last one's inputs are untouched (``Fleet.settle``)."""
        async with state.rendering:
            known = self._fleet.brought_on(state)
            chart = await self._charts.found(state, written)
            facts = await self._inventory.facts() if known is not None and known.asked else ClusterFacts()
            stamp = self._values.stamp(state.key, written.spec.render)
            inputs = self._inputs(source, written, stamp)._replace(chart=chart, facts=facts)
            if known is not None and known.commit == commit and state.rendered_for == inputs:
                others = self._others(state, written)
                if all(known.others[name].commit == other.commit for name, other in others.items()):
                    self._settle(state, written)
                    return known
            if written.spec.source.at:
                await check_pinned(source, commit)
            for one in written.spec.sources:
                other = self._fleet.sources.get(Key(state.key.namespace, one.repository))
                if one.at and other is not None:
                    await check_pinned(other, one.at)
            self._fleet.unsettle(state)
            rendered, inputs = await self._render_at(state, source, written, commit)
            if not rendered.problems:
                state.rendered, state.rendered_for = rendered, inputs
                self._settle(state, written)
            return rendered

    def _settle(self, state: ApplicationState, written: Application) -> None:
        if not self._fleet.settle(state, written):
            self._wake(state.key)  # a commit came while this one was rendered

    async def named(self, state: ApplicationState) -> frozenset[ObjectRef]:
        """What an Application wants by the newest commit, whatever stands between that and its apply. Of a commit that
        can't be read what can be; with no commit at all what it wanted last."""
        source, written = self._fleet.source_of(state), state.written
        commit = written.spec.source.at or (source.commit if source is not None else "") if written is not None else ""
        if source is None or written is None or not commit or not source.folder:
            return frozenset(state.desired)
        try:
            objects = (await self.render(state, source, written, commit)).objects
        except NeedsHuman:
            return frozenset(state.desired)
        if state.named[0] is not objects:
            state.named = (objects, frozenset(one.ref for one in objects if not one.hook and not one.release))
        return state.named[1]

    async def _render_at(
        self, state: ApplicationState, source: SourceState, written: Application, commit: str
    ) -> tuple[Rendered, RenderInputs]:
        """The first render tells which custom kinds there are, the cluster which of them have no namespace."""
        rendered, inputs = await self._render_once(state, source, written, commit)
        found = await self._inventory.scopes(rendered.objects)
        self._fleet.namespaced.update(found)
        cluster_wide = {name for name, namespaced in found.items() if not namespaced}
        if any(one.ref.namespace and f"{one.ref.group}/{one.ref.kind}" in cluster_wide for one in rendered.objects):
            return await self._render_once(state, source, written, commit)
        return rendered, inputs

    async def _render_once(
        self, state: ApplicationState, source: SourceState, written: Application, commit: str
    ) -> tuple[Rendered, RenderInputs]:
        settings = written.spec.render
        others = self._others(state, written)
        values, stamp = await self._values.read(state.key, settings, self._fleet.user_of(state, written))
        chart = await self._charts.found(state, written)
        facts = await self._inventory.facts()
        inputs = self._inputs(source, written, stamp)._replace(chart=chart)
        request = RenderRequest(
            folder=source.folder,
            commit=commit,
            repository=source.key.name,
            path=inputs.path,
            application=state.name,
            label=state.claim.label,
            namespace=inputs.namespace,
            include=inputs.include,
            exclude=inputs.exclude,
            digest_key=self._digest_key,
            namespaced={**self._inventory.known_scopes(), **self._fleet.namespaced},
            settings=settings,
            others=others,
            values=values,
            chart=chart,
            facts=facts,
        )
        charts = {chart.name: f"{chart.version} {chart.digest}"} if chart is not None else {}
        with self._tracer.span("render", application=state.name, commit=commit):
            rendered = await self._renderer.render(request)
            dependencies = await self._charts.dependencies(state, written, rendered.wants)
            charts |= {one.name: f"{one.version} {one.digest}" for one in dependencies.values()}
            if dependencies:
                wanted, fetched = tuple(dependencies), tuple(dependencies.values())
                request = msgspec.structs.replace(request, wanted=wanted, fetched=fetched)
                rendered = await self._renderer.render(request)
        if not rendered.problems:
            state.outside = Outside(
                charts,
                digests(values, self._digest_key),
                {name: other.commit for name, other in others.items()},
                rendered.images,
            )
        return rendered, inputs._replace(facts=facts if rendered.asked else ClusterFacts())

    async def differs(self, state: ApplicationState, rendered: Rendered) -> bool:
        """Whether anything between the commit that the status tells of and this render touched what the render read.
        True where that can't be told."""
        source, before = self._fleet.source_of(state), state.applied_commit
        if source is None or before in ("", rendered.commit):
            return False
        changed = await self._changed(source.folder, before, rendered.commit)
        return changed is None or not self._renderer.touches(changed).isdisjoint(rendered.read)

    async def _changed(self, folder: str, old: str, new: str) -> list[str] | None:
        try:
            return await on_git_thread(lambda: Store(folder).changed_paths(old, new))
        except WindlassError:
            return None  # its history is gone

    def _others(self, state: ApplicationState, written: Application) -> dict[str, OtherSource]:
        """The further repositories, each at its newest commit or where it is pinned. Raises where one is not there."""
        found: dict[str, OtherSource] = {}
        for index, one in enumerate(written.spec.sources):
            other = self._fleet.sources.get(Key(state.key.namespace, one.repository))
            if other is None:
                missing = RepositoryMissing(one.repository, state.key.namespace)
                missing.where = Where(field=f"spec.sources[{index}].repository")
                raise missing
            commit = one.at or other.commit
            if not commit or not other.folder:
                raise SourceNotReady(other.error)
            found[one.name] = OtherSource(one.repository, other.folder, commit)
        return found

    def _inputs(self, source: SourceState, written: Application, stamp: Stamp) -> RenderInputs:
        spec = written.spec.source
        return RenderInputs(
            source.key,
            spec.folder,
            tuple(spec.include),
            tuple(spec.exclude),
            written.namespace,
            written.spec.render,
            tuple((one.name, Key(source.key.namespace, one.repository)) for one in written.spec.sources),
            stamp,
        )

    async def keep_basis(
        self, state: ApplicationState, source: SourceState, written: Application, now: datetime
    ) -> None:
        """After a restart, while the newest commit can't be applied: what was applied last is still what is wanted."""
        if state.desired or not state.applied_commit or state.desired_commit:
            return
        try:
            rendered, _ = await self._render_at(state, source, written, state.applied_commit)
        except WindlassError:
            # It can't be read either (its history is gone): nothing is known to be wanted, so nothing is compared.
            return
        if not rendered.problems:
            state.desired = wanted(left_to_others(rendered, written.spec.ignore, written.namespace, now))
            state.desired_commit = state.applied_commit
            served, _ = await self._inventory.resources(rendered.objects)
            _ = await self._inventory.watch(served.values())


def wanted(rendered: Rendered) -> dict[ObjectRef, Desired]:
    """What the cluster should have: all objects but hooks and what Git says to leave alone."""
    return {each.ref: each for each in rendered.objects if not each.hook and not each.release}
