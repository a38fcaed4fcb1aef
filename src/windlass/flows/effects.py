"""Carries a plan's changes out: the one place of the SYNC flow that writes to the cluster.

``sync`` and ``drift`` call it, with a plan in hand. It decides nothing that the plan did not: it takes over field
entries, hands fields over, applies, prunes, releases, and turns every error into an Outcome, so that one failing object
never stops another and nothing that happened is forgotten. Within one stage it works in parallel; the cluster adapter
bounds how much of that is in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from windlass.core.kinds.fields import stamp
from windlass.core.kinds.kind import GROUP
from windlass.core.model import Action, Change, Desired, Drift, LiveObject, ObjectRef, Outcome, Resource, Result
from windlass.core.model.foreign import UNREADABLE
from windlass.core.plan.drift import admission_changes
from windlass.core.plan.ownership import ADOPTED, LEAVING, RELEASED_MANAGER, is_ours
from windlass.core.plan.takeover import handover_body, release_patch, takeover_patch
from windlass.errors import NeedsHuman, TryLater, WindlassError
from windlass.flows.metrics import Metrics
from windlass.ports import (
    ApplyAnswer,
    ApplyRequest,
    Clock,
    Cluster,
    FieldConflict,
    NotAllowed,
    ObjectMissing,
    Tracer,
    WriteConflict,
)

PRECONDITION_TRIES = 3


class Acting(msgspec.Struct, frozen=True):
    """In whose name an Application's changes are made. ``user`` is empty where the controller applies itself."""

    application: str
    label: str
    manager: str
    user: str


class Track(Protocol):
    """Hears of each write: its watch events are our own doing, and must not look like somebody else's."""

    def begin(self, label: str, ref: ObjectRef) -> None: ...

    def settled(self, acting: Acting, desired: Desired, answer: ApplyAnswer, altered: list[Drift]) -> None: ...

    def ended(self, label: str, ref: ObjectRef) -> None: ...


class Effects:
    """Whether this process may write at all (it leads) is asked by the cluster adapter as each request is sent."""

    def __init__(self, cluster: Cluster, clock: Clock, track: Track, metrics: Metrics, tracer: Tracer) -> None:
        self._cluster = cluster
        self._clock = clock
        self._track = track
        self._metrics = metrics
        self._tracer = tracer

    async def carry_out(self, acting: Acting, changes: Sequence[Change]) -> list[Outcome]:
        """One stage: all changes at once, an Outcome each, in the order of the changes. Raises nothing of its own."""
        return list(await asyncio.gather(*(self.one(acting, change) for change in changes)))

    async def one(self, acting: Acting, change: Change, *, at_once: bool = False) -> Outcome:
        """``at_once``: the caller has seen who owns the fields, and they are to be taken without asking first."""
        began = self._clock.monotonic()
        self._track.begin(acting.label, change.ref)
        try:
            with self._tracer.span(change.action.value, object=change.ref.full, application=acting.application):
                result, message = await self._act(acting, change, at_once)
        except WindlassError as error:
            outcome = failed(change, error)
        else:
            outcome = outcome_of(change, result, message)
        finally:
            self._track.ended(acting.label, change.ref)
        self._metrics.outcomes.labels(outcome.result.value).inc()
        return msgspec.structs.replace(outcome, seconds=self._clock.monotonic() - began)

    async def permitted(self, acting: Acting, changes: Sequence[Change]) -> list[Outcome]:
        """Of objects in namespaces that are not the Application's own: those that its account may not apply, each with
        the words that it would be told of an object that is not there. Only who may write an object hears whose it is.
        """
        outcomes = await asyncio.gather(*(self._permitted(acting, change) for change in changes))
        return [one for one in outcomes if one is not None]

    async def _permitted(self, acting: Acting, change: Change) -> Outcome | None:
        desired = change.desired
        if desired is None or not acting.user:
            return None
        try:
            resource = await self._cluster.resource(desired.api_version, desired.ref.kind)
            request = ApplyRequest(
                resource=resource,
                ref=desired.ref,
                body=desired.body,
                manager=acting.manager,
                user=acting.user,
                dry_run=True,
            )
            await self._cluster.apply(request)
        except NotAllowed as error:
            return failed(change, error)
        except WindlassError:
            return None  # it may: what is wrong with it besides is told as planned
        return None

    async def _act(self, acting: Acting, change: Change, at_once: bool) -> tuple[Result, str]:
        match change.action:
            case Action.CREATE | Action.ADOPT | Action.CONFIGURE:
                return await self._configure(acting, change, at_once)
            case Action.PRUNE:
                return await self._prune(acting, change)
            case Action.RELEASE:
                return await self._release(acting, change)
            case Action.UNCHANGED:
                return Result.UNCHANGED, ""
            case Action.KEEP:
                return Result.KEPT, change.why
            case Action.SKIP:
                return Result.SKIPPED, change.why
            case Action.REFUSE:
                return Result.REFUSED, change.why

    async def _configure(self, acting: Acting, change: Change, at_once: bool) -> tuple[Result, str]:
        desired = change.desired
        assert desired is not None, "a plan that configures carries what it configures"
        resource = await self._cluster.resource(desired.api_version, desired.ref.kind)
        for attempt in range(PRECONDITION_TRIES):
            live = change.live if attempt == 0 else await self._cluster.look(resource, desired.ref)
            if attempt and live is not None and made_anew(acting, change, live):
                raise WriteConflict(f"{desired.ref} was made anew by others", hint="it is looked at again")
            try:
                if live is not None:
                    await self._prepare(acting, resource, change, live)
                answer = await self._apply(acting, resource, change, live, at_once)
            except (WriteConflict, ObjectMissing) as error:
                # Made anew or changed by others between our look and our write: look again, a bounded number of times.
                # A missing namespace shows as ObjectMissing too, and looking again does not make it come.
                if attempt + 1 == PRECONDITION_TRIES or (isinstance(error, ObjectMissing) and live is None):
                    raise
                continue
            altered = admission_changes(desired.ref, msgspec.json.decode(desired.body), answer.content)
            self._track.settled(acting, desired, answer, altered)
            if change.action is Action.CREATE and not answer.created:
                if not made_by_others(answer.live, acting.manager):
                    # Ours: the answer to the first try was lost, and it was asked again.
                    return Result.CREATED, change.why
                # Somebody made it between our look and our write: it existed before us, and is marked so.
                await self._mark_adopted(acting, resource, change)
                return Result.ADOPTED, "it was made by somebody else a moment before"
            return self._result(change, answer), change.why
        raise AssertionError("the loop above returns or raises")

    async def _prepare(self, acting: Acting, resource: Resource, change: Change, live: LiveObject) -> None:
        """What has to happen before the apply: entries move to ours, fields are handed over, marks are set."""
        if change.action is Action.ADOPT or change.takeover:
            await self._take_over(acting, resource, change)
        if change.handover:
            await self._hand_over(acting, resource, change)
        if LEAVING in live.annotations and change.ref.group == GROUP:
            # The Application is back in Git: it no longer leaves.
            gone = {"metadata": {"annotations": {LEAVING: None}}}
            await self._cluster.patch(
                resource, change.ref, gone, form="merge", manager=acting.manager, user=acting.user
            )

    async def _apply(
        self, acting: Acting, resource: Resource, change: Change, live: LiveObject | None, at_once: bool
    ) -> ApplyAnswer:
        desired = change.desired
        assert desired is not None
        request = ApplyRequest(
            resource=resource,
            ref=desired.ref,
            body=desired.body,
            manager=acting.manager,
            user=acting.user,
            force=at_once,
            uid=live.uid if live is not None else "",
        )
        try:
            return await self._cluster.apply(request)
        except FieldConflict as conflict:
            # Never forced before the conflict was seen: a field of another Application is not ours to take.
            others = sorted(one for one in conflict.managers if one.startswith("windlass-") and one != RELEASED_MANAGER)
            if others:
                fields = "; ".join(field for manager in others for field in conflict.managers[manager])
                raise NeedsHuman(
                    f"{desired.ref} is claimed by {', '.join(others)} as well: {fields}",
                    hint="let only one Application have this object in Git",
                ) from conflict
            if not change.force:
                conflict.hint = "take the fields out of Git, or say sync.conflicts: take"
                raise
        return await self._cluster.apply(msgspec.structs.replace(request, force=True))

    def _result(self, change: Change, answer: ApplyAnswer) -> Result:
        if answer.created:
            return Result.CREATED
        if change.action is Action.ADOPT:
            return Result.ADOPTED
        before = change.live
        if before is not None and before.resource_version == answer.live.resource_version:
            return Result.UNCHANGED
        return Result.CONFIGURED

    async def _take_over(self, acting: Acting, resource: Resource, change: Change) -> None:
        content = await self._content(resource, change.ref, acting.user)
        if content is None:
            return
        adopted = stamp(self._clock.now()) if change.action is Action.ADOPT else ""
        patch = takeover_patch(content, change.takeover, acting.manager, adopted=adopted)
        if patch:
            await self._cluster.patch(
                resource, change.ref, patch, form="json", manager=acting.manager, user=acting.user
            )

    async def _content(self, resource: Resource, ref: ObjectRef, user: str) -> dict[str, Any] | None:
        if resource.kind == "Secret" and not resource.group:
            live = await self._cluster.look(resource, ref)
            return metadata_content(live) if live is not None else None
        return await self._cluster.read(resource, ref, user=user)

    async def _mark_adopted(self, acting: Acting, resource: Resource, change: Change) -> None:
        marks = {"metadata": {"annotations": {ADOPTED: stamp(self._clock.now())}}}
        await self._cluster.patch(resource, change.ref, marks, form="merge", manager=acting.manager, user=acting.user)

    async def _hand_over(self, acting: Acting, resource: Resource, change: Change) -> None:
        content = await self._content(resource, change.ref, acting.user)
        if content is None:
            return
        body = handover_body(content, change.handover)
        await self._cluster.apply(
            ApplyRequest(
                resource=resource,
                ref=change.ref,
                body=msgspec.json.encode(body),
                manager=RELEASED_MANAGER,
                user=acting.user,
                force=True,
                uid=content["metadata"]["uid"],
            )
        )

    async def _prune(self, acting: Acting, change: Change) -> tuple[Result, str]:
        live = change.live
        assert live is not None, "a plan prunes only what is live"
        resource = await self._cluster.resource(live.api_version, change.ref.kind)
        if change.ref.group == GROUP and change.ref.kind == "Application":
            # What it manages goes first, as its own `deletion` says; its object goes last, by its own hand.
            if LEAVING not in live.annotations:
                word = {"metadata": {"annotations": {LEAVING: stamp(self._clock.now())}, "uid": live.uid}}
                await self._cluster.patch(
                    resource, change.ref, word, form="merge", manager=acting.manager, user=acting.user
                )
            return Result.PRUNED, "leaves: what it manages goes first"
        for _ in range(PRECONDITION_TRIES):
            # The index may be old: what somebody took for himself meanwhile, or marked to stay, is decided on again.
            try:
                await self._cluster.delete(
                    resource, change.ref, uid=live.uid, resource_version=live.resource_version, user=acting.user
                )
            except WriteConflict:
                now = await self._cluster.look(resource, change.ref)
                if now is None or (now.deleting and now.uid == live.uid):
                    break
                if (now.uid, now.labels, now.annotations) != (live.uid, live.labels, live.annotations):
                    raise
                if not is_ours(now, acting.label, acting.manager):
                    raise
                live = now
            else:
                break
        else:
            raise WriteConflict(f"{change.ref} changes all the time", hint="it is tried again")
        return Result.PRUNED, change.why

    async def _release(self, acting: Acting, change: Change) -> tuple[Result, str]:
        live = change.live
        if live is None:
            return Result.SKIPPED, change.why
        resource = await self._cluster.resource(live.api_version, change.ref.kind)
        content = await self._content(resource, change.ref, acting.user)
        if content is None:
            return Result.SKIPPED, change.why
        patch = release_patch(content, acting.manager)
        if patch:
            await self._cluster.patch(
                resource, change.ref, patch, form="json", manager=acting.manager, user=acting.user
            )
        return Result.RELEASED, change.why


def made_anew(acting: Acting, change: Change, live: LiveObject) -> bool:
    """Whether another object than the planned one has the name now, and not by our hand: nobody decided on it yet."""
    same = change.live is not None and change.live.uid == live.uid
    return not same and not is_ours(live, acting.label, acting.manager)


def made_by_others(live: LiveObject, manager: str) -> bool:
    """Whether somebody besides us wrote what an object holds. Controllers that note something on it (a revision in an
    annotation) or write its status did not make it."""
    for entry in live.managed:
        if entry.manager != manager and not entry.subresource:
            try:
                owned = msgspec.json.decode(entry.fields, type=dict[str, msgspec.Raw])
            except UNREADABLE:
                return True
            if set(owned) - {"f:metadata"}:
                return True
    return False


def outcome_of(change: Change, result: Result, message: str) -> Outcome:
    """An Outcome with the place in Git that it belongs to."""
    origin = change.desired.origin if change.desired is not None else None
    return Outcome(
        ref=change.ref,
        result=result,
        message=message,
        mend=change.mend,
        file=origin.file if origin else "",
        line=origin.line if origin else 0,
    )


def failed(change: Change, error: WindlassError) -> Outcome:
    """An error as an Outcome: what only a person can mend is refused, what may work by itself has failed."""
    later = isinstance(error, TryLater)
    outcome = outcome_of(change, Result.FAILED if later else Result.REFUSED, error.what)
    after = error.after if isinstance(error, TryLater) else 0.0
    return msgspec.structs.replace(outcome, mend=error.hint, retry=later, after=after)


def metadata_content(live: LiveObject) -> dict[str, Any]:
    """An object as the API server would write it, but for what it holds: enough to move field entries of a Secret."""
    entries = [
        {
            "manager": entry.manager,
            "operation": entry.operation,
            "apiVersion": entry.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": msgspec.json.decode(entry.fields),
            **({"time": entry.time} if entry.time else {}),
            **({"subresource": entry.subresource} if entry.subresource else {}),
        }
        for entry in live.managed
    ]
    metadata: dict[str, Any] = {
        "name": live.ref.name,
        "uid": live.uid,
        "resourceVersion": live.resource_version,
        "labels": dict(live.labels),
        "annotations": dict(live.annotations),
        "managedFields": entries,
    }
    if live.ref.namespace:
        metadata["namespace"] = live.ref.namespace
    return {"apiVersion": live.api_version, "kind": live.ref.kind, "metadata": metadata}
