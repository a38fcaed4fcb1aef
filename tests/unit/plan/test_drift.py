"""Drift: which events are suspicious, what exactly differs and who wrote it, and how ownership is moved."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_world import SHOP, entry, fields_of, owned_fields, ref

from windlass.core.model import Drift, DriftCause, DriftResponse, LiveObject, ManagedEntry
from windlass.core.plan.drift import (
    DriftRules,
    Fights,
    admission_changes,
    examine,
    handover_body,
    release_patch,
    removal_patch,
    suspicious,
    takeover_patch,
)
from windlass.core.plan.ownership import ADOPTED, APPLIED, LABEL, RELEASED_MANAGER

WEB = {
    "name": "web",
    "image": "acme/shop:1.4.1",
    "env": [{"name": "MODE", "value": "prod"}],
    "resources": {"limits": {"cpu": "1000m"}},
}
BODY: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop", "labels": {LABEL: SHOP.label}, "annotations": {APPLIED: "d1"}},
    "spec": {"replicas": 3, "template": {"spec": {"containers": [WEB]}}},
}
REF = ref("Deployment", "web")
RULES = DriftRules()


def managed(manager: str, fields: Any, *, operation: str = "Apply", subresource: str = "", time: str = "") -> Any:
    made = {"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsV1": fields}
    if subresource:
        made["subresource"] = subresource
    if time:
        made["time"] = time
    return made


def content(body: dict[str, Any] = BODY, *others: Any, own: Any = None) -> dict[str, Any]:
    """The whole live object right after an apply of ``body``."""
    live = copy.deepcopy(body)
    fields = owned_fields(body) if own is None else own
    live["metadata"] |= {
        "uid": "u",
        "resourceVersion": "7",
        "managedFields": [managed(SHOP.manager, fields, time="2026-11-22T12:00:00Z"), *others],
    }
    live["status"] = {"replicas": 3}
    return live


def container(live: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = live["spec"]["template"]["spec"]["containers"][0]
    return found


def at(*path: str, leaf: Any = None) -> dict[str, Any]:
    node: dict[str, Any] = leaf or {}
    for element in reversed(path):
        node = {element: node}
    return node


POD = ("f:spec", "f:template", "f:spec")
CONTAINER = (*POD, "f:containers", 'k:{"name":"web"}')


def without(fields: dict[str, Any], *path: str) -> dict[str, Any]:
    fields = copy.deepcopy(fields)
    node = fields
    for element in path[:-1]:
        node = node[element]
    del node[path[-1]]
    return fields


def told(drifts: list[Drift]) -> list[str]:
    return [
        f"{each.cause.value} {each.field}: {each.desired!r} -> {each.live!r} by {each.manager} ({each.operation})"
        + (" severe" if each.severe else "")
        for each in drifts
    ]


def examined(live: dict[str, Any], body: dict[str, Any] = BODY, rules: DriftRules = RULES) -> list[Drift]:
    return examine(REF, body, live, manager=SHOP.manager, rules=rules)


def test_what_was_applied_is_no_drift() -> None:
    assert examined(content()) == []


def test_kubectl_scale_is_told_by_its_subresource() -> None:
    live = content(
        BODY,
        managed("kubectl", at("f:spec", "f:replicas"), operation="Update", subresource="scale"),
        own=without(owned_fields(BODY), "f:spec", "f:replicas"),
    )
    live["spec"]["replicas"] = 7
    found = examined(live)
    assert told(found) == ["changed spec.replicas: 3 -> 7 by kubectl (scale)"]
    assert found[0].response is DriftResponse.REVERT
    assert examined(live, rules=DriftRules.of("alert", "report"))[0].response is DriftResponse.ALERT


def test_replicas_that_git_does_not_name_may_be_scaled() -> None:
    body = copy.deepcopy(BODY)
    del body["spec"]["replicas"]
    live = content(
        body, managed("kube-controller-manager", at("f:spec", "f:replicas"), operation="Update", subresource="scale")
    )
    live["spec"]["replicas"] = 7
    assert examined(live, body) == []


def test_set_image_is_told_with_its_manager_and_time() -> None:
    live = content(
        BODY,
        managed("kubectl-set", at(*CONTAINER, "f:image"), operation="Update", time="2026-11-22T12:05:00Z"),
        own=without(owned_fields(BODY), *CONTAINER, "f:image"),
    )
    container(live)["image"] = "acme/shop:evil"
    found = examined(live)
    assert told(found) == [
        "changed spec.template.spec.containers[name=web].image: 'acme/shop:1.4.1' -> 'acme/shop:evil'"
        " by kubectl-set (Update)"
    ]
    assert found[0].since == "2026-11-22T12:05:00Z"


def test_an_env_that_was_taken_away_is_told_though_nobody_owns_it() -> None:
    live = content(own=without(owned_fields(BODY), *CONTAINER, "f:env"))
    del container(live)["env"]
    assert told(examined(live)) == [
        "changed spec.template.spec.containers[name=web].env: [{'name': 'MODE', 'value': 'prod'}] -> None by  ()"
    ]


def test_one_env_of_several_is_told_alone() -> None:
    body = copy.deepcopy(BODY)
    container(body)["env"] = [{"name": "MODE", "value": "prod"}, {"name": "LOG", "value": "info"}]
    live = content(body, own=without(owned_fields(body), *CONTAINER, "f:env", 'k:{"name":"LOG"}'))
    container(live)["env"].pop()
    assert told(examined(live, body)) == [
        "changed spec.template.spec.containers[name=web].env[name=LOG]: {'name': 'LOG', 'value': 'info'} -> None by  ()"
    ]


def test_a_write_under_our_own_manager_is_told() -> None:
    live = content()
    live["spec"]["replicas"] = 9
    assert told(examined(live)) == [f"own-manager spec.replicas: 3 -> 9 by {SHOP.manager} (Apply)"]


def test_what_admission_changed_before_is_reported_and_not_reverted() -> None:
    live = content()
    container(live)["image"] = "mirror.example/acme/shop:1.4.1"
    field = "spec.template.spec.containers[name=web].image"
    (found,) = examine(REF, BODY, live, manager=SHOP.manager, rules=RULES, admitted={field})
    assert (found.cause, found.response) == (DriftCause.ADMISSION, DriftResponse.REPORT)


def test_a_label_taken_off_is_told_as_such() -> None:
    live = content(own=without(owned_fields(BODY), "f:metadata", "f:labels"))
    del live["metadata"]["labels"]
    (found,) = examined(live)
    assert (found.cause, found.live) == (DriftCause.RELABELLED, None)


def test_equal_quantities_zeros_nulls_and_empties_are_no_drift() -> None:
    body = copy.deepcopy(BODY)
    body["spec"]["template"]["spec"] |= {"hostNetwork": False, "nodeSelector": {}, "volumes": [], "dnsConfig": None}
    body["spec"]["paused"] = False
    live = content(body)
    for name in ("hostNetwork", "nodeSelector", "volumes", "dnsConfig"):
        del live["spec"]["template"]["spec"][name]
    del live["spec"]["paused"]
    container(live)["resources"]["limits"]["cpu"] = "1"
    assert examined(live, body) == []


def test_a_false_that_is_a_pointer_and_gone_is_drift() -> None:
    body = copy.deepcopy(BODY)
    body["spec"]["template"]["spec"]["automountServiceAccountToken"] = False
    live = content(body, own=owned_fields(BODY))
    live["spec"]["template"]["spec"]["automountServiceAccountToken"] = True
    found = examined(live, body)
    assert [(each.field, each.severe) for each in found] == [("spec.template.spec.automountServiceAccountToken", True)]


def test_status_foreign_labels_and_annotations_are_no_drift() -> None:
    live = content(
        BODY,
        managed("kubectl-label", at("f:metadata", "f:labels", "f:x"), operation="Update"),
        managed("kube-controller-manager", at("f:status", "f:replicas"), operation="Update", subresource="status"),
    )
    live["metadata"]["labels"]["x"] = "y"
    assert examined(live) == []


ADDED_ENV = at(*CONTAINER, "f:env", 'k:{"name":"DEBUG"}', leaf={".": {}, "f:name": {}, "f:value": {}})
SIDECAR = at(*POD, "f:containers", 'k:{"name":"spy"}', leaf={".": {}, "f:name": {}, "f:image": {}})


def with_addition(kind: str) -> dict[str, Any]:
    fields = {
        "env": ADDED_ENV,
        "sidecar": SIDECAR,
        "hostPID": at(*POD, "f:hostPID"),
        "command": at(*CONTAINER, "f:command"),
    }
    live = content(BODY, managed("kubectl-edit", fields[kind], operation="Update", time="2026-11-22T12:01:00Z"))
    pod = live["spec"]["template"]["spec"]
    match kind:
        case "env":
            container(live)["env"].append({"name": "DEBUG", "value": "1"})
        case "sidecar":
            pod["containers"].append({"name": "spy", "image": "evil", "imagePullPolicy": "Always"})
        case "hostPID":
            pod["hostPID"] = True
        case _:
            container(live)["command"] = ["sh"]
    return live


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (
            "env",
            "added spec.template.spec.containers[name=web].env[name=DEBUG]: None -> {'name': 'DEBUG', 'value': '1'}",
        ),
        ("sidecar", "added spec.template.spec.containers[name=spy]: None -> {'name': 'spy', 'image': 'evil'}"),
        ("hostPID", "added spec.template.spec.hostPID: None -> True"),
        ("command", "added spec.template.spec.containers[name=web].command: None -> ['sh']"),
    ],
)
def test_additions_are_reported_with_their_value_and_security_fields_are_severe(kind: str, line: str) -> None:
    found = examined(with_addition(kind))
    severe = "" if kind == "env" else " severe"
    assert told(found) == [f"{line} by kubectl-edit (Update){severe}"]
    assert found[0].response is DriftResponse.REPORT


@pytest.mark.parametrize("kind", ["env", "sidecar", "hostPID", "command"])
def test_a_removal_patch_takes_just_the_addition_away(kind: str) -> None:
    live = with_addition(kind)
    patched = apply_patch(live, removal_patch(BODY, live, examined(live)))
    assert patched["spec"] == content()["spec"]


def test_a_restart_that_was_asked_for_is_no_addition() -> None:
    note = "f:kubectl.kubernetes.io/restartedAt"
    fields = at("f:spec", "f:template", "f:metadata", "f:annotations", leaf={".": {}, note: {}})
    live = content(BODY, managed("kubectl-rollout", fields, operation="Update"))
    live["spec"]["template"]["metadata"] = {"annotations": {note[2:]: "2026-11-22T12:00:00Z"}}
    assert examined(live) == []


def test_an_injected_certificate_is_none_but_another_client_config_is_severe() -> None:
    hook = ref("ValidatingWebhookConfiguration", "guard")._replace(group="admissionregistration.k8s.io")
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "guard"},
        "webhooks": [{"name": "a.example.com", "clientConfig": {"service": {"name": "guard", "namespace": "x"}}}],
    }
    path = ("f:webhooks", 'k:{"name":"a.example.com"}', "f:clientConfig")
    live = content(body, managed("cert-manager-cainjector", at(*path, "f:caBundle"), operation="Update"))
    live["webhooks"][0]["clientConfig"]["caBundle"] = "Zm9v"
    assert examine(hook, body, live, manager=SHOP.manager, rules=RULES) == []
    live["metadata"]["managedFields"][1] = managed("kubectl-edit", at(*path, "f:url"), operation="Update")
    live["webhooks"][0]["clientConfig"]["url"] = "https://evil.example"
    (found,) = examine(hook, body, live, manager=SHOP.manager, rules=RULES)
    assert found.severe


def test_rules_added_to_a_role_are_severe() -> None:
    role = ref("Role", "web")._replace(group="rbac.authorization.k8s.io")
    body = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "web", "namespace": "shop"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }
    own = {"f:rules": {}}
    live = content(body, managed("kubectl-edit", own, operation="Update"), own={"f:metadata": {}})
    live["rules"][0]["verbs"] = ["*"]
    (found,) = examine(role, body, live, manager=SHOP.manager, rules=RULES)
    assert (found.field, found.manager, found.severe) == ("rules", "kubectl-edit", True)


def test_more_in_an_atomic_value_is_drift_only_where_we_lost_it() -> None:
    """A server's default inside an atomic value looks the same, but leaves the value ours."""
    body = copy.deepcopy(BODY)
    container(body)["env"] = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    env = (*CONTAINER, "f:env", 'k:{"name":"IP"}')
    own = owned_fields(body)
    live = content(body, own=own)
    container(live)["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] = "v1"
    assert examined(live, body) == []
    live["metadata"]["managedFields"][0]["fieldsV1"] = without(own, *env, "f:valueFrom")
    live["metadata"]["managedFields"].append(
        managed("kubectl-edit", at(*env, "f:valueFrom", "f:fieldRef"), operation="Update")
    )
    assert [each.manager for each in examined(live, body)] == ["kubectl-edit"]


def test_values_of_secrets_are_masked_always() -> None:
    secret = ref("Secret", "web")
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "web", "namespace": "shop"},
        "stringData": {"a": "hunter2", "same": "x"},
    }
    live = content(
        {**body, "data": {"a": "b3RoZXI=", "same": "eA==", "b": "c3B5"}},
        managed("kubectl-edit", {"f:data": {"f:a": {}, "f:b": {}}}, operation="Update"),
        own={"f:data": {"f:same": {}}},
    )
    del live["stringData"]
    found = examine(secret, body, live, manager=SHOP.manager, rules=RULES)
    assert [(each.cause.value, each.field, each.desired, each.live) for each in found] == [
        ("changed", "data.a", "***", "***"),
        ("added", "data.b", None, "***"),
    ]
    changed = admission_changes(secret, body, live)
    text = msgspec.json.encode([found, changed]).decode()
    assert not any(word in text for word in ("hunter2", "b3RoZXI", "c3B5", "aHVudGVyMg"))


def test_custom_kinds_tell_list_items_apart_as_their_owners_do() -> None:
    body = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "shop"},
        "spec": {"parts": [{"name": "a", "size": 1}, {"name": "b", "size": 2}]},
    }
    live = content(body, own=without(owned_fields(body), "f:spec", "f:parts", 'k:{"name":"b"}', "f:size"))
    live["spec"]["parts"][1]["size"] = 5
    found = examine(ref("Widget", "w"), body, live, manager=SHOP.manager, rules=RULES)
    assert [(each.field, each.desired, each.live) for each in found] == [("spec.parts[name=b].size", 2, 5)]


def test_the_answer_to_an_apply_is_compared_with_what_was_sent() -> None:
    answered = content()
    container(answered)["image"] = "mirror.example/acme/shop:1.4.1"
    container(answered)["imagePullPolicy"] = "IfNotPresent"
    (found,) = admission_changes(REF, BODY, answered)
    assert (found.cause, found.live) == (DriftCause.ADMISSION, "mirror.example/acme/shop:1.4.1")
    assert admission_changes(REF, BODY, content()) == []


# --- suspicion -------------------------------------------------------------------------------------------------------

OWN = entry(SHOP.manager, owned_fields(BODY), version="apps/v1")


def seen(*others: ManagedEntry, own: ManagedEntry | None = OWN, version: str = "2", **changes: Any) -> LiveObject:
    made = LiveObject(
        REF,
        "apps/v1",
        "u",
        version,
        1,
        "2026-11-22T12:00:00Z",
        False,
        {LABEL: SHOP.label},
        {APPLIED: "d1"},
        None,
        ((own,) if own else ()) + others,
    )
    return msgspec.structs.replace(made, **changes)


BEFORE = seen(version="1")


def cause(new: LiveObject | None, old: LiveObject | None = BEFORE, expected: str = "") -> DriftCause | None:
    found = suspicious(old, new, manager=SHOP.manager, label=SHOP.label, expected=expected)
    return found.cause if found else None


SHRUNK = entry(SHOP.manager, without(owned_fields(BODY), "f:spec", "f:replicas"), version="apps/v1")
SCALED = entry("kubectl", at("f:spec", "f:replicas"), operation="Update", subresource="scale", time="")


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (None, DriftCause.DELETED),
        (seen(own=SHRUNK), DriftCause.CHANGED),
        (seen(own=None), DriftCause.CHANGED),
        (seen(SCALED), None),
        (seen(entry("kubectl-edit", ADDED_ENV, operation="Update")), DriftCause.ADDED),
        (seen(labels={}), DriftCause.RELABELLED),
        (seen(annotations={}), DriftCause.CHANGED),
        (seen(deleting=True), DriftCause.DELETED),
        (seen(uid="another"), DriftCause.DELETED),
        (seen(own=msgspec.structs.replace(OWN, time="2026-11-22T12:09:00Z")), DriftCause.OWN_MANAGER),
        (seen(generation=2), DriftCause.OWN_MANAGER),
        (seen(entry("x", at("f:status", "f:replicas"), operation="Update", subresource="status")), None),
        (
            seen(
                entry("x", at("f:metadata", "f:labels", "f:a"), operation="Update"),
                labels={LABEL: SHOP.label, "a": "b"},
            ),
            None,
        ),
        (seen(entry("x", at("f:metadata", "f:finalizers"), operation="Update"), finalizers=("x",)), None),
        (BEFORE, None),
    ],
)
def test_which_events_are_suspicious(new: LiveObject | None, expected: DriftCause | None) -> None:
    assert cause(new) is expected


def test_our_own_write_is_never_suspicious() -> None:
    assert cause(seen(own=SHRUNK), expected="2") is None


def test_what_was_not_known_before_is_left_to_the_plan() -> None:
    assert cause(seen(), old=None) is None


def test_an_autoscaler_at_work_on_replicas_outside_git_is_no_news() -> None:
    old = seen(own=SHRUNK, version="1")
    assert cause(seen(SCALED, own=SHRUNK, generation=2), old=old) is None


def test_a_claim_that_is_bound_is_no_news_and_another_hand_on_it_is() -> None:
    old = msgspec.structs.replace(BEFORE, ref=ref("PersistentVolumeClaim", "data"))
    bound = at("f:spec", "f:volumeName")
    for manager, expected in (("kube-controller-manager", None), ("kubectl-edit", DriftCause.ADDED)):
        new = seen(entry(manager, bound, operation="Update"), ref=old.ref, generation=2)
        assert cause(new, old=old) is expected


def test_a_config_map_has_no_generation_and_is_suspected_when_nothing_else_changed() -> None:
    plain = msgspec.structs.replace(BEFORE, generation=0)
    assert cause(msgspec.structs.replace(plain, resource_version="2"), old=plain) is DriftCause.OWN_MANAGER
    labelled = msgspec.structs.replace(plain, resource_version="2", labels={LABEL: SHOP.label, "a": "b"})
    assert cause(labelled, old=plain) is None


# --- moving ownership ------------------------------------------------------------------------------------------------


def apply_patch(live: dict[str, Any], patch: list[dict[str, Any]]) -> dict[str, Any]:
    """RFC 6902 add, remove, replace on a copy; enough for the patches made here."""
    done = copy.deepcopy(live)
    for step in patch:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        node: Any = done
        for part in parts[:-1]:
            node = node[int(part)] if isinstance(node, list) else node[part]
        if step["op"] == "remove":
            del node[int(parts[-1]) if isinstance(node, list) else parts[-1]]
        else:
            node[parts[-1]] = step["value"]
    return done


def entries(live: dict[str, Any]) -> dict[str, Any]:
    return {f"{each['manager']}/{each['operation']}": each["fieldsV1"] for each in live["metadata"]["managedFields"]}


LAST = "kubectl.kubernetes.io/last-applied-configuration"


def made_by_kubectl() -> dict[str, Any]:
    live = content()
    live["metadata"]["annotations"] = {LAST: "{}"}
    live["metadata"]["managedFields"] = [
        managed(
            "kubectl-client-side-apply", at("f:spec", "f:replicas"), operation="Update", time="2026-11-01T00:00:00Z"
        ),
        managed("kubectl-edit", at("f:spec", "f:paused"), operation="Update"),
        managed("kubectl-client-side-apply", at("f:status"), operation="Update", subresource="status"),
    ]
    return live


def test_taking_over_unites_whole_manifests_into_our_entry_and_leaves_the_rest() -> None:
    live = made_by_kubectl()
    patch = takeover_patch(live, ["kubectl-client-side-apply"], SHOP.manager)
    assert patch[0] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
    done = apply_patch(live, patch)
    assert entries(done)[f"{SHOP.manager}/Apply"] == {
        "f:metadata": {"f:annotations": {f"f:{LAST}": {}}},
        "f:spec": {"f:replicas": {}},
    }
    assert [each["manager"] for each in done["metadata"]["managedFields"]] == [
        SHOP.manager,
        "kubectl-edit",
        "kubectl-client-side-apply",
    ]
    assert takeover_patch(done, ["kubectl-client-side-apply"], SHOP.manager) == []
    assert done["spec"] == live["spec"]


def test_an_adopted_object_is_marked_so_that_it_is_not_pruned_later() -> None:
    live = made_by_kubectl()
    done = apply_patch(live, takeover_patch(live, [], SHOP.manager, adopted="2026-11-22T12:00:00Z"))
    assert done["metadata"]["annotations"][ADOPTED] == "2026-11-22T12:00:00Z"
    assert takeover_patch(done, [], SHOP.manager, adopted="2026-11-23T12:00:00Z") == []
    del live["metadata"]["annotations"]
    assert ADOPTED in apply_patch(live, takeover_patch(live, [], SHOP.manager, adopted="x"))["metadata"]["annotations"]


def test_releasing_moves_our_entry_and_takes_our_marks_off_and_no_value() -> None:
    live = content()
    done = apply_patch(live, release_patch(live, SHOP.manager))
    assert list(entries(done)) == [f"{RELEASED_MANAGER}/Apply"]
    assert "f:metadata" not in entries(done)[f"{RELEASED_MANAGER}/Apply"]
    assert done["spec"] == live["spec"]
    assert done["metadata"]["labels"] == {}
    assert done["metadata"]["annotations"] == {}
    assert release_patch(done, SHOP.manager) == []


def test_handing_over_names_the_live_value_and_nothing_else() -> None:
    live = content()
    live["spec"]["replicas"] = 5
    assert handover_body(live, ["f:spec/f:replicas"]) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 5},
    }
    with pytest.raises(ValueError, match="list"):
        handover_body(live, ['f:metadata/f:finalizers/v:"a"'])


def test_handing_over_a_field_of_a_list_item_names_the_item_by_its_keys() -> None:
    live = content()
    paths = [f'f:spec/f:template/f:spec/f:containers/k:{{"name":"web"}}/f:{name}' for name in ("image", "command")]
    containers = live["spec"]["template"]["spec"]["containers"]
    handed = handover_body(live, paths)["spec"]["template"]["spec"]["containers"]
    assert handed == [{"name": "web", "image": next(one["image"] for one in containers if one["name"] == "web")}]


# --- fights ----------------------------------------------------------------------------------------------------------


def test_the_third_time_within_five_minutes_is_given_up_until_it_is_quiet() -> None:
    fights = Fights()
    corner = (REF, "spec.replicas", "kube-controller-manager")
    assert [fights.record(*corner, now) for now in (0.0, 100.0, 200.0)] == [False, False, True]
    assert fights.given_up(*corner, 299.0)
    assert not fights.given_up(*corner, 300.0)
    assert fights.record(*corner, 520.0) is False


def test_slow_or_different_corners_are_no_fight() -> None:
    fights = Fights()
    assert not any(fights.record(REF, "spec.replicas", "kubectl", now) for now in (0.0, 299.0, 599.0, 900.0))
    assert not any(fights.record(REF, field, "kubectl", 1000.0) for field in ("a", "b", "c"))


# --- properties ------------------------------------------------------------------------------------------------------

SCALARS = st.one_of(st.booleans(), st.integers(-5, 5), st.sampled_from(["", "a", "1", "100m", "x/y"]))
VALUES = st.recursive(
    SCALARS,
    lambda below: st.one_of(
        st.dictionaries(st.sampled_from(["a", "b", "name", "x.y"]), below, max_size=3), st.lists(below, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["spec", "data", "rules"]), VALUES, max_size=3))
def test_what_is_live_as_applied_is_never_drift(parts: dict[str, Any]) -> None:
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, **parts}
    live = json.loads(json.dumps(body))
    live["metadata"]["managedFields"] = [managed(SHOP.manager, fields_of(parts))]
    assert examine(ref("Widget", "w"), body, live, manager=SHOP.manager, rules=RULES) == []
    assert admission_changes(ref("Widget", "w"), body, live) == []
