"""The plan: what is created, adopted, configured, left alone, pruned and kept, each with its reason."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_world import OTHER, SHOP, desired, entry, live, ref

from windlass.core.model import Action, Desired, LiveObject, ObjectRef, Owner, Plan
from windlass.core.plan.intact import is_intact
from windlass.core.plan.make import make_plan, unknown_to_us
from windlass.core.plan.ownership import ADOPTED, LABEL, PRUNE, RELEASED_MANAGER, is_ours
from windlass.core.plan.settings import Adopt, Conflicts, PlanSettings


def intact(wanted: Desired, found: LiveObject) -> bool:
    own = found.applied_by(SHOP.manager)
    return own is not None and is_intact(wanted, own)


def plan(
    wanted: list[Desired],
    owned: list[LiveObject] | None = None,
    found: list[LiveObject] | None = None,
    known: bool = True,
    **settings: Any,
) -> Plan:
    index = {each.ref: each for each in owned or []}
    looked: dict[ObjectRef, LiveObject | None] = dict.fromkeys(unknown_to_us(wanted, index)) if known else {}
    looked |= {each.ref: each for each in found or []}
    return make_plan(
        SHOP,
        commit="3f2c1ab",
        settings=PlanSettings(**settings),
        desired=wanted,
        owned=index,
        found=looked,
        intact=intact,
    )


def actions(made: Plan) -> dict[str, Action]:
    return {str(change.ref): change.action for change in made.changes}


def only(made: Plan) -> Any:
    assert len(made.changes) == 1
    return made.changes[0]


def test_what_is_not_there_is_created_without_force() -> None:
    change = only(plan([desired()]))
    assert (change.action, change.force) == (Action.CREATE, False)


def test_what_was_not_looked_up_is_refused_and_never_created() -> None:
    change = only(plan([desired()], known=False))
    assert change.action is Action.REFUSE
    assert "not known" in change.why


def test_equal_digest_and_an_intact_entry_is_unchanged() -> None:
    wanted = desired()
    assert only(plan([wanted], [live(wanted)])).action is Action.UNCHANGED


def test_another_digest_configures_and_takes_fields_unless_told_otherwise() -> None:
    before, after = desired(), desired(digest="d2")
    assert only(plan([after], [live(before)])).force is True
    assert only(plan([after], [live(before)], conflicts=Conflicts.FAIL)).force is False
    assert only(plan([desired(digest="d2", conflicts="fail")], [live(before)])).force is False


def test_equal_digest_but_a_field_taken_from_our_entry_configures() -> None:
    wanted = desired(content={"data": {"a": "1", "b": "2"}})
    shrunk = live(desired(content={"data": {"a": "1"}}))
    assert only(plan([wanted], [shrunk])).action is Action.CONFIGURE


def test_a_kubectl_apply_on_our_object_is_taken_over_though_the_digest_is_equal() -> None:
    wanted = desired()
    found = live(wanted, others=(entry("kubectl-client-side-apply", {"f:data": {"f:b": {}}}, operation="Update"),))
    change = only(plan([wanted], [found]))
    assert (change.action, change.takeover) == (Action.CONFIGURE, ("kubectl-client-side-apply",))


def test_kubectl_edit_on_our_object_is_drift_and_not_taken_over() -> None:
    wanted = desired()
    found = live(wanted, others=(entry("kubectl-edit", {"f:data": {"f:b": {}}}, operation="Update"),))
    assert only(plan([wanted], [found])).action is Action.UNCHANGED


def test_a_free_object_is_adopted_and_its_makers_entries_are_taken_over() -> None:
    wanted = desired()
    found = live(
        wanted,
        claim=None,
        others=(
            entry("kubectl-create", {"f:data": {"f:a": {}}}, operation="Update"),
            entry("kubectl-edit", {"f:data": {"f:b": {}}}, operation="Update"),
            entry("kubectl", {"f:data": {"f:c": {}}}, operation="Apply"),
        ),
    )
    change = only(plan([wanted], found=[found]))
    assert (change.action, change.takeover) == (Action.ADOPT, ("kubectl", "kubectl-create"))
    assert "nobody" in change.why


def test_adopt_none_refuses_what_exists() -> None:
    change = only(plan([desired()], found=[live(desired(), claim=None)], adopt=Adopt.NONE))
    assert change.action is Action.REFUSE
    assert "spec.sync.adopt: free" in change.mend


HELM = {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": {"meta.helm.sh/release-name": "shop"}}
ARGO: dict[str, Any] = {"annotations": {"argocd.argoproj.io/tracking-id": "shop:/ConfigMap:shop/web"}}
FLUX: dict[str, Any] = {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}


@pytest.mark.parametrize(
    ("marks", "words"),
    [(HELM, "Helm release shop"), (ARGO, "Argo CD (shop)"), (FLUX, "Flux (shop)")],
)
def test_what_another_tool_has_is_refused_and_taken_with_adopt_all(marks: dict[str, Any], words: str) -> None:
    found = live(desired(), claim=None, **marks)
    refused = only(plan([desired()], found=[found]))
    assert (refused.action, refused.why) == (Action.REFUSE, f"belongs to {words}")
    assert only(plan([desired()], found=[found], adopt=Adopt.ALL)).action is Action.ADOPT


def test_another_applications_object_is_never_taken() -> None:
    found = live(desired(), claim=OTHER)
    change = only(plan([desired()], found=[found], adopt=Adopt.ALL))
    assert (change.action, change.why) == (Action.REFUSE, "belongs to Application apps/other")
    assert "windlass.dev/release" in change.mend


def test_what_an_application_that_is_no_more_left_behind_is_free_and_its_entry_becomes_ours() -> None:
    found = live(desired(), claim=OTHER)
    made = make_plan(
        SHOP,
        commit="c",
        settings=PlanSettings(),
        desired=[desired()],
        owned={},
        found={found.ref: found},
        intact=lambda desired, live: True,
        dead=lambda label: label == OTHER.label,
    )
    change = only(made)
    assert (change.action, change.takeover) == (Action.ADOPT, (OTHER.manager,))


def test_a_controllers_object_is_never_taken_even_under_our_own_label() -> None:
    found = live(desired(), controller=Owner("apps/v1", "ReplicaSet", "web-7d9c", "u"))
    assert only(plan([desired()], [found], adopt=Adopt.ALL)).action is Action.REFUSE


def test_another_applications_label_without_its_entry_was_copied_and_counts_for_nothing() -> None:
    found = live(desired(), claim=None, labels={LABEL: OTHER.label})
    assert only(plan([desired()], found=[found])).action is Action.ADOPT


def test_what_is_being_deleted_waits() -> None:
    found = live(desired(), deleting=True, finalizers=("example.com/hold",))
    change = only(plan([desired()], [found]))
    assert change.action is Action.SKIP
    assert "example.com/hold" in change.why


def test_what_left_git_is_pruned() -> None:
    gone, stays = desired(name="old"), desired(name="web")
    made = plan([stays], [live(gone), live(stays)])
    assert actions(made) == {"ConfigMap/web": Action.UNCHANGED, "ConfigMap/old": Action.PRUNE}


def test_copied_labels_are_not_listed_at_all() -> None:
    copied = live(desired(name="slice"), claim=None, labels={LABEL: SHOP.label})
    assert plan([desired()], [live(desired()), copied]).changes[1:] == []


KEEPERS: list[dict[str, str]] = [
    {"windlass.dev/prune": "false"},
    {"argocd.argoproj.io/sync-options": "Validate=false, Prune=false"},
    {"helm.sh/resource-policy": "keep"},
    {"kustomize.toolkit.fluxcd.io/prune": "disabled"},
    {ADOPTED: "2026-11-22T12:00:00Z"},
]


@pytest.mark.parametrize("annotations", KEEPERS)
def test_annotations_keep_an_object(annotations: dict[str, str]) -> None:
    made = plan([desired()], [live(desired()), live(desired(name="old"), annotations=annotations)])
    assert actions(made)["ConfigMap/old"] is Action.KEEP
    assert made.changes[-1].mend


def test_an_adopted_object_is_pruned_after_a_word_in_git() -> None:
    old = live(desired(name="old"), annotations={ADOPTED: "x", PRUNE: "true"})
    assert actions(plan([desired()], [live(desired()), old]))["ConfigMap/old"] is Action.PRUNE


@pytest.mark.parametrize("name", ["Namespace/shop", "PersistentVolumeClaim/data"])
def test_protected_kinds_ask_for_confirmation(name: str) -> None:
    kind, _, called = name.partition("/")
    owned = [live(desired()), live(desired(kind, called))]
    made = plan([desired()], owned)
    assert actions(made)[name] is Action.KEEP
    assert "spec.sync.confirm" in made.changes[-1].mend
    assert actions(plan([desired()], owned, confirmed=frozenset({name})))[name] is Action.PRUNE


def test_confirmation_may_name_the_namespace_too() -> None:
    owned = [live(desired()), live(desired("PersistentVolumeClaim", "data"))]
    confirmed = frozenset({"PersistentVolumeClaim/shop/data"})
    assert actions(plan([desired()], owned, confirmed=confirmed))["PersistentVolumeClaim/data"] is Action.PRUNE


def test_prune_false_keeps_everything() -> None:
    made = plan([desired()], [live(desired()), live(desired(name="old"))], prune=False)
    assert actions(made)["ConfigMap/old"] is Action.KEEP


def many(count: int) -> list[Desired]:
    return [desired(name=f"c{number}") for number in range(count)]


@pytest.mark.parametrize(
    ("gone", "of", "pruned"),
    [(20, 30, True), (21, 30, False), (21, 100, True), (31, 100, False)],
)
def test_the_budget_refuses_when_count_and_share_are_exceeded(gone: int, of: int, pruned: bool) -> None:
    everything = many(of)
    made = plan(everything[gone:], [live(each) for each in everything])
    assert made.counted().get(Action.PRUNE, 0) == (gone if pruned else 0)
    assert made.counted().get(Action.KEEP, 0) == (0 if pruned else gone)


def test_the_budget_does_not_count_what_git_confirmed() -> None:
    everything = many(30)
    confirmed = frozenset(f"ConfigMap/c{number}" for number in range(21))
    assert plan(everything[21:], [live(each) for each in everything], confirmed=confirmed).counted()[Action.PRUNE] == 21


def test_nothing_where_something_was_is_blocked_until_confirmed() -> None:
    owned = [live(desired())]
    made = plan([], owned)
    assert "no objects" in made.blocked
    assert made.counted() == {Action.KEEP: 1}
    assert plan([], owned, allow_empty=True).counted() == {Action.PRUNE: 1}
    assert plan([], []).blocked == ""


def test_release_lets_go_of_what_is_ours_and_leaves_the_rest_alone() -> None:
    assert only(plan([desired(release=True)], [live(desired())])).action is Action.RELEASE
    assert only(plan([desired(release=True)], [])).action is Action.SKIP
    assert unknown_to_us([desired(release=True)], {}) == []


def test_hooks_are_skipped_with_words() -> None:
    change = only(plan([desired(hook="pre-sync")]))
    assert (change.action, change.why) == (Action.SKIP, "a pre-sync hook; hooks are not run yet")


def test_an_object_twice_in_git_blocks_with_both_places() -> None:
    made = plan([desired(file="a.yaml", line=3), desired(file="b.yaml", line=7)])
    assert made.blocked == "ConfigMap/shop/web stands in Git more than once: a.yaml:3 and b.yaml:7"
    assert made.changes == []


DEPLOYED = {"spec": {"replicas": 5, "paused": False}}
FREED = {"spec": {"paused": False}}


def test_replicas_that_leave_git_are_handed_over() -> None:
    found = live(desired("Deployment", content=DEPLOYED))
    change = only(plan([desired("Deployment", content=FREED, digest="d2")], [found]))
    assert change.handover == ("f:spec/f:replicas",)


def test_replicas_that_an_autoscaler_owns_too_stay_by_themselves() -> None:
    scaled = entry("kube-controller-manager", {"f:spec": {"f:replicas": {}}}, operation="Update", subresource="scale")
    found = live(desired("Deployment", content=DEPLOYED), others=(scaled,))
    assert only(plan([desired("Deployment", content=FREED, digest="d2")], [found])).handover == ()


def test_adopted_replicas_that_git_does_not_name_are_handed_over_as_well() -> None:
    made_by = entry("kubectl-client-side-apply", {"f:spec": {"f:replicas": {}}}, operation="Update", version="apps/v1")
    found = live(ref("Deployment", "web"), claim=None, others=(made_by,))
    change = only(plan([desired("Deployment", content=FREED)], found=[found]))
    assert (change.takeover, change.handover) == (("kubectl-client-side-apply",), ("f:spec/f:replicas",))


def test_replicas_named_again_are_taken_back_from_where_they_were_handed_to() -> None:
    released = entry(RELEASED_MANAGER, {"f:spec": {"f:replicas": {}}})
    found = live(desired("Deployment", content=FREED), others=(released,))
    change = only(plan([desired("Deployment", content=DEPLOYED, digest="d2")], [found]))
    assert (change.takeover, change.handover) == ((RELEASED_MANAGER,), ())


# --- properties ------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
KINDS = st.sampled_from(["ConfigMap", "Secret", "Deployment", "Namespace"])
WANTED = st.lists(
    st.builds(
        lambda kind, name, digest, wave, tier: desired(kind, name, digest=digest, wave=wave, tier=tier),
        KINDS,
        NAMES,
        st.sampled_from(["d1", "d2"]),
        st.integers(-2, 2),
        st.integers(0, 4),
    ),
    unique_by=lambda each: each.ref,
    max_size=12,
)
MARKS = st.sampled_from([{}, HELM, ARGO, FLUX, {"controller": Owner("v1", "X", "x", "u")}, {"deleting": True}])
LIVE = st.lists(
    st.builds(
        lambda kind, name, claim, marks: live(desired(kind, name), claim=claim, **marks),
        KINDS,
        NAMES,
        st.sampled_from([SHOP, OTHER, None]),
        MARKS,
    ),
    unique_by=lambda each: each.ref,
    max_size=12,
)


@given(WANTED)
def test_planning_what_is_live_changes_nothing(wanted: list[Desired]) -> None:
    made = plan(wanted, [live(each) for each in wanted])
    assert made.counted().keys() <= {Action.UNCHANGED}


def applied(made: Plan, before: dict[ObjectRef, LiveObject]) -> dict[ObjectRef, LiveObject]:
    """The cluster after the plan, as an API server would have it."""
    after = dict(before)
    for change in made.changes:
        if change.action in (Action.CREATE, Action.CONFIGURE, Action.ADOPT):
            assert change.desired is not None
            after[change.ref] = live(change.desired)
        elif change.action is Action.PRUNE:
            del after[change.ref]
    return after


@given(WANTED, LIVE, st.sampled_from(list(Adopt)))
def test_after_an_apply_the_same_plan_writes_nothing(
    wanted: list[Desired], there: list[LiveObject], adopt: Adopt
) -> None:
    before = {each.ref: each for each in there}

    def made(cluster: dict[ObjectRef, LiveObject]) -> Plan:
        owned = [each for each in cluster.values() if each.labels.get(LABEL) == SHOP.label]
        found = [cluster[each] for each in unknown_to_us(wanted, {one.ref: one for one in owned}) if each in cluster]
        return plan(wanted, owned, found, adopt=adopt, allow_empty=True)

    again = made(applied(made(before), before))
    writes = {Action.CREATE, Action.CONFIGURE, Action.ADOPT, Action.PRUNE, Action.RELEASE}
    assert not writes & again.counted().keys()


@given(WANTED, LIVE, st.randoms(use_true_random=False))
def test_the_order_of_inputs_does_not_matter(
    wanted: list[Desired], there: list[LiveObject], shuffle: random.Random
) -> None:
    owned = [each for each in there if each.labels.get(LABEL) == SHOP.label]
    first = plan(wanted, owned, there)
    mixed_wanted, mixed_owned = shuffle.sample(wanted, len(wanted)), shuffle.sample(owned, len(owned))
    assert plan(mixed_wanted, mixed_owned, there) == first


@given(WANTED, LIVE, st.booleans(), st.integers(0, 30), st.floats(0, 1))
def test_a_plan_never_prunes_what_is_not_ours(
    wanted: list[Desired], there: list[LiveObject], allow_empty: bool, count: int, share: float
) -> None:
    settings = {"allow_empty": allow_empty, "budget_count": count, "budget_share": share}
    made = plan(wanted, there, there, confirmed=frozenset(each.ref.full for each in there), **settings)
    for change in made.changes:
        if change.action is Action.PRUNE:
            assert change.live is not None
            assert is_ours(change.live, SHOP.label, SHOP.manager)
            assert change.ref not in {each.ref for each in wanted}


def test_a_plan_is_data_that_can_be_encoded() -> None:
    made = plan([desired()], [live(desired(name="old"))])
    assert msgspec.json.decode(msgspec.json.encode(made))["commit"] == "3f2c1ab"
