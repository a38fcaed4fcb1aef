"""What is ours and no longer wanted: pruned, or kept with the word that keeps it.

``make_plan`` calls it. It never lists an object that is not ours by ``is_ours``, and it never weighs a live object
against a desired state that is unknown: the caller has one, or does not plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from windlass.core.model import Action, Change, LiveObject, ObjectRef
from windlass.core.plan.ownership import ADOPTED, PRUNE, Claim, is_ours
from windlass.core.plan.settings import PlanSettings

# Deleting one of these deletes what is not in it: the objects in a Namespace, the objects of a CRD, the data of a
# claim, everything that an Application manages. By kind alone: Argo CD's Application is one of these too.
CONFIRMED_KINDS = frozenset(
    {
        "Namespace",
        "CustomResourceDefinition",
        "PersistentVolumeClaim",
        "Application",
        "ApplicationSet",
        "Repository",
    }
)
CONFIRM_FIELD = "spec.sync.confirm"


def plan_prunes(
    claim: Claim,
    settings: PlanSettings,
    wanted: Iterable[ObjectRef],
    owned: Mapping[ObjectRef, LiveObject],
) -> list[Change]:
    """A PRUNE, KEEP or SKIP for each object that is ours and not among ``wanted``, sorted by reference."""
    keep_out = set(wanted)
    ours = {ref: live for ref, live in owned.items() if is_ours(live, claim.label, claim.manager)}
    changes = [_weigh(ref, ours[ref], settings) for ref in sorted(ours) if ref not in keep_out]
    return _within_budget(changes, settings, managed=len(ours))


def is_confirmed(ref: ObjectRef, confirmed: frozenset[str]) -> bool:
    """True where Git names the object, by ``Kind/name`` or ``Kind/namespace/name``."""
    return str(ref) in confirmed or ref.full in confirmed


def _weigh(ref: ObjectRef, live: LiveObject, settings: PlanSettings) -> Change:
    if live.deleting:
        waits = f", waits for {', '.join(live.finalizers)}" if live.finalizers else ""
        return Change(Action.SKIP, ref, live=live, why=f"is already being deleted{waits}")
    why, mend = _reason_to_keep(ref, live, settings)
    if why:
        return Change(Action.KEEP, ref, live=live, why=why, mend=mend)
    return Change(Action.PRUNE, ref, live=live, why="no longer in Git")


def _reason_to_keep(ref: ObjectRef, live: LiveObject, settings: PlanSettings) -> tuple[str, str]:
    """(why, mend); both empty where nothing speaks for keeping."""
    annotations = live.annotations
    if not settings.prune:
        return "spec.sync.prune is false", "set spec.sync.prune: true in the Application, or delete it by hand"
    for key, says in (
        (PRUNE, lambda value: value == "false"),
        ("argocd.argoproj.io/sync-options", lambda value: bool({"Prune=false", "Delete=false"} & _options(value))),
        ("helm.sh/resource-policy", lambda value: value.strip() == "keep"),
        ("kustomize.toolkit.fluxcd.io/prune", lambda value: value == "disabled"),
    ):
        value = annotations.get(key, "")
        if value and says(value):
            return f"its annotation {key}: {value} keeps it", "delete it by hand when nobody needs it"
    confirmed = is_confirmed(ref, settings.confirmed)
    if ADOPTED in annotations and annotations.get(PRUNE) != "true" and not confirmed:
        return (
            "it existed before Windlass took it over",
            f'to prune it, bring its manifest back with the annotation {PRUNE}: "true", sync, and take it out again; '
            f"or name {ref.full} in {CONFIRM_FIELD}",
        )
    asks = ref.kind in CONFIRMED_KINDS or "Prune=confirm" in _options(
        annotations.get("argocd.argoproj.io/sync-options", "")
    )
    if asks and not confirmed:
        return (
            f"deleting a {ref.kind} asks for confirmation in Git",
            f"{CONFIRM_FIELD}: [{ref.full}] in the Application",
        )
    return "", ""


def _options(value: str) -> set[str]:
    return {option.strip() for option in value.split(",")}


def _within_budget(changes: Sequence[Change], settings: PlanSettings, *, managed: int) -> list[Change]:
    """The changes, or with each unconfirmed PRUNE kept, when there are more of them than count and share allow."""
    counted = [
        change
        for change in changes
        if change.action is Action.PRUNE and not is_confirmed(change.ref, settings.confirmed)
    ]
    most = settings.budget_share * managed
    if len(counted) <= settings.budget_count or len(counted) <= most:
        return list(changes)
    refused = {change.ref for change in counted}
    why = (
        f"{len(counted)} of {managed} objects would be pruned, more than spec.sync.pruneBudget allows "
        f"({settings.budget_count} and {settings.budget_share:.0%})"
    )
    mend = f"raise spec.sync.pruneBudget, or name what may go in {CONFIRM_FIELD}"
    return [
        Change(Action.KEEP, change.ref, live=change.live, why=why, mend=mend) if change.ref in refused else change
        for change in changes
    ]
