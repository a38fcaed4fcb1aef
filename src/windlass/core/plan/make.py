"""The plan of one sync of one Application: desired state, live state and ownership in, a line per object out.

The flows and ``windlass plan`` call it before anything is touched. It asks nothing and changes nothing. What is not
known is never taken as absent: an object that was not looked up is refused, not created.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from windlass.core.manifests.fieldpaths import parse_key
from windlass.core.model import Action, Change, Desired, LiveObject, ManagedEntry, ObjectRef, Plan
from windlass.core.plan.compare import Fields, is_absent, resolve
from windlass.core.plan.ignore import elements
from windlass.core.plan.ownership import (
    APPLIED,
    LABEL,
    RELEASE,
    RELEASED_MANAGER,
    Claim,
    OwnerKind,
    Ownership,
    is_ours,
    owner_of,
    owns_label,
    owns_path,
    takeover_managers,
)
from windlass.core.plan.prune import plan_prunes
from windlass.core.plan.settings import Adopt, Conflicts, PlanSettings

Intact = Callable[[Desired, LiveObject], bool]
"""True where our Apply entry on the live object still covers everything that the body names."""

_REPLICAS = ("f:spec", "f:replicas")


def unknown_to_us(desired: Iterable[Desired], owned: Mapping[ObjectRef, LiveObject]) -> list[ObjectRef]:
    """What must be looked up before a plan: wanted, and not in our label index. Sorted, each once."""
    return sorted({each.ref for each in desired if not each.hook and not each.release and each.ref not in owned})


def make_plan(
    claim: Claim,
    *,
    commit: str,
    settings: PlanSettings,
    desired: Sequence[Desired],
    owned: Mapping[ObjectRef, LiveObject],
    found: Mapping[ObjectRef, LiveObject | None],
    intact: Intact,
    dead: Callable[[str], bool] = lambda label: False,
) -> Plan:
    """The plan, its changes in order of wave, tier and reference, with prunes and keeps behind.

    ``owned`` is the label index of this Application, ``found`` what was looked up of ``unknown_to_us`` (None: it is
    not there; a missing key: not known). ``desired`` must be complete: never call it with the rest of a broken render.
    ``dead`` tells of a label that no Application has it any more: what carries it is free.
    """
    blocked = _doubles(desired)
    if blocked:
        return Plan(claim.application, commit, [], blocked=blocked, mend="take one of the two out of Git")
    work = _Planner(claim, settings, owned, found, intact, dead)
    ordered = sorted(desired, key=lambda each: (each.wave, each.tier, each.ref))
    changes = [work.change(each) for each in ordered]
    changes += plan_prunes(claim, settings, (each.ref for each in desired), owned)
    if not any(not each.hook for each in desired) and not settings.allow_empty:
        mine = sum(is_ours(live, claim.label, claim.manager) for live in owned.values())
        if mine:
            changes = [_kept(change) if change.action is Action.PRUNE else change for change in changes]
            return Plan(
                claim.application,
                commit,
                changes,
                blocked=f"Git holds no objects any more, and {mine} {'is' if mine == 1 else 'are'} managed; "
                "that is not taken for a wish unasked",
                mend="spec.sync.allowEmpty: true in the Application, or bring the manifests back",
            )
    return Plan(claim.application, commit, changes)


def _doubles(desired: Sequence[Desired]) -> str:
    """The first object, in order of reference, that stands in Git more than once, with its places; or ""."""
    places: dict[ObjectRef, list[str]] = {}
    for each in desired:
        places.setdefault(each.ref, []).append(f"{each.origin.file}:{each.origin.line}")
    for ref in sorted(ref for ref, at in places.items() if len(at) > 1):
        return f"{ref.full} stands in Git more than once: {' and '.join(sorted(places[ref]))}"
    return ""


def _kept(change: Change) -> Change:
    return msgspec.structs.replace(
        change, action=Action.KEEP, why="Git holds no objects at all, which is not confirmed"
    )


class _Planner:
    """What every object of one plan is weighed against."""

    def __init__(
        self,
        claim: Claim,
        settings: PlanSettings,
        owned: Mapping[ObjectRef, LiveObject],
        found: Mapping[ObjectRef, LiveObject | None],
        intact: Intact,
        dead: Callable[[str], bool],
    ) -> None:
        self._claim = claim
        self._settings = settings
        self._owned = owned
        self._found = found
        self._intact = intact
        self._dead = dead

    def change(self, desired: Desired) -> Change:
        ref = desired.ref
        live = self._owned.get(ref)
        if desired.hook:
            return Change(Action.SKIP, ref, desired, live, why=f"a {desired.hook} hook; hooks are not run yet")
        if desired.release:
            return self._release(desired, live)
        if live is None:
            if ref not in self._found:
                return Change(
                    Action.REFUSE,
                    ref,
                    desired,
                    why="could not be looked up, so it is not known whether it exists and whose it is",
                )
            live = self._found[ref]
        if live is None:
            return Change(Action.CREATE, ref, desired)
        if live.deleting:
            waits = f" (waits for {', '.join(live.finalizers)})" if live.finalizers else ""
            return Change(
                Action.SKIP, ref, desired, live, why=f"is being deleted{waits}; it is created again once it is gone"
            )
        owner = owner_of(live, self._claim.label, self._claim.manager)
        if owner.kind is OwnerKind.OURS:
            return self._configure(desired, live)
        return self._adopt(desired, live, owner)

    def _release(self, desired: Desired, live: LiveObject | None) -> Change:
        why = f'Git says {RELEASE}: "true"'
        if live is not None and not live.deleting and is_ours(live, self._claim.label, self._claim.manager):
            return Change(Action.RELEASE, desired.ref, desired, live, why=why)
        return Change(Action.SKIP, desired.ref, desired, live, why=f"{why}; it is left alone")

    def _configure(self, desired: Desired, live: LiveObject) -> Change:
        entry = live.applied_by(self._claim.manager)
        same = (
            live.annotations.get(APPLIED) == desired.digest
            and entry is not None
            and entry.api_version == desired.api_version
        )
        takeover = takeover_managers(live.managed, adopting=False)
        if same and not takeover and self._intact(desired, live):
            return Change(Action.UNCHANGED, desired.ref, desired, live)
        body = _decode(desired)
        if _names_released(live, body):
            takeover = tuple(sorted({*takeover, RELEASED_MANAGER}))
        return self._apply(Action.CONFIGURE, desired, live, body=body, takeover=takeover)

    def _adopt(self, desired: Desired, live: LiveObject, owner: Ownership) -> Change:
        dead: set[str] = set()
        if owner.kind is OwnerKind.APPLICATION and self._dead(live.labels.get(LABEL, "")):
            # Left behind when its Application was deleted, renamed or moved: nobody is there to release it.
            owner = Ownership(OwnerKind.FREE)
            dead = {entry.manager for entry in live.managed if owns_label(entry)}
        why, mend = self._hands_off(desired.ref, owner)
        if why:
            return Change(Action.REFUSE, desired.ref, desired, live, why=why, mend=mend)
        takeover = tuple(sorted({*takeover_managers(live.managed, adopting=True), *dead}))
        why = "exists and belongs to nobody" if owner.kind is OwnerKind.FREE else f"taken over from {owner}"
        if live.labels.get("windlass.dev/application") == self._claim.label:
            why = "carries our label, but was not applied by us"
        return self._apply(Action.ADOPT, desired, live, body=_decode(desired), takeover=takeover, why=why)

    def _hands_off(self, ref: ObjectRef, owner: Ownership) -> tuple[str, str]:
        """(why, mend) where the object is somebody's who keeps it; both empty where it may be adopted."""
        adopt = self._settings.adopt
        match owner.kind:
            case OwnerKind.APPLICATION:
                return (
                    f"belongs to {owner}",
                    "take it out of one of the two; to move it here, first release it there with the annotation "
                    f'{RELEASE}: "true"',
                )
            case OwnerKind.CONTROLLER:
                return f"is made and kept by {owner}", f"take {ref} out of Git, or rename it"
            case OwnerKind.FREE if adopt is Adopt.NONE:
                return "exists already, and spec.sync.adopt is none", "spec.sync.adopt: free takes it over"
            case OwnerKind.FREE:
                return "", ""
            case _ if adopt is Adopt.ALL:
                return "", ""
            case _:
                return (
                    f"belongs to {owner}",
                    f"spec.sync.adopt: all takes it over; then let {owner.kind.value} forget it, or they will fight",
                )

    def _apply(
        self,
        action: Action,
        desired: Desired,
        live: LiveObject,
        *,
        body: Any,
        takeover: tuple[str, ...],
        why: str = "",
    ) -> Change:
        conflicts = desired.conflicts or self._settings.conflicts.value
        return Change(
            action,
            desired.ref,
            desired,
            live,
            why=why,
            force=conflicts == Conflicts.TAKE.value,
            takeover=takeover,
            handover=_handover(live, body, self._claim.manager, takeover, desired.left),
        )


def _decode(desired: Desired) -> Any:
    return msgspec.json.decode(desired.body)


def _names_replicas(body: Any) -> bool:
    spec = body.get("spec") if isinstance(body, dict) else None
    return isinstance(spec, dict) and spec.get("replicas") is not None


def _handover(
    live: LiveObject, body: Any, manager: str, takeover: tuple[str, ...], left: tuple[str, ...]
) -> tuple[str, ...]:
    """The fields that would leave the cluster with our entry, which would reset them to their defaults, and are not
    meant to: ``spec.replicas``, and what Git leaves to others for a time.

    Any other field that leaves Git is meant to go.
    """
    paths = [elements(path) for path in left]
    if not _names_replicas(body) and list(_REPLICAS) not in paths:
        paths.append(list(_REPLICAS))
    return tuple("/".join(path) for path in paths if _would_go(live, path, manager, takeover))


def _would_go(live: LiveObject, path: Sequence[str], manager: str, takeover: tuple[str, ...]) -> bool:
    """Whether the field goes with our entry. Where somebody else owns it too (an autoscaler) it stays by itself."""
    leaving: list[ManagedEntry] = []
    staying: list[ManagedEntry] = []
    for entry in live.managed:
        if owns_path(entry, *path):
            mine = entry.manager == manager and entry.operation == "Apply"
            moved = not entry.subresource and (mine or entry.manager in takeover)
            (leaving if moved else staying).append(entry)
    return bool(leaving) and not staying


def _names_released(live: LiveObject, body: Any) -> bool:
    """True where the body names again what was let go of: without taking it back the apply would conflict."""
    released = live.applied_by(RELEASED_MANAGER)
    return released is not None and any(_named(body, path) for path in _leaves(msgspec.json.decode(released.fields)))


def _leaves(fields: Fields, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths that an entry owns, without the keys by which list items are told apart."""
    for element, below in fields.items():
        keyed = bool(above) and above[-1].startswith("k:") and element.removeprefix("f:") in parse_key(above[-1])
        if element != "." and not keyed:
            yield from _leaves(below, (*above, element)) if below else ((*above, element),)


def _named(body: Any, path: Sequence[str]) -> bool:
    for element in path:
        body = resolve(body, element)
    return not is_absent(body)
