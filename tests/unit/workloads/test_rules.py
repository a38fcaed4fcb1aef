"""The rules of the built-in kinds: defaults, what a create and an update store, what is refused and in which words."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated import deployment

from windlass.devstack.apiserver.errors import ApiError
from windlass.devstack.workloads import Strategies
from windlass.devstack.workloads import api as kinds
from windlass.devstack.workloads.quantity import amount, canonical

Object = dict[str, Any]
RULES = Strategies()


def made(resource: str, obj: Object, rules: Strategies = RULES) -> Object:
    """An object as the API server would store it."""
    obj = copy.deepcopy(obj)
    obj.setdefault("metadata", {}).setdefault("name", "one")
    obj["metadata"].setdefault("uid", "0b3a")
    return rules.prepare_for_create(resource, rules.apply_defaults(resource, obj))


def updated(resource: str, old: Object, new: Object, subresource: str = "") -> Object:
    return RULES.prepare_for_update(resource, old, RULES.apply_defaults(resource, new), subresource)


def words(resource: str, obj: Object, old: Object | None = None) -> list[str]:
    return [cause.text for cause in RULES.validate(resource, obj, old)]


def service(**spec: Any) -> Object:
    return {"kind": "Service", "metadata": {"name": "one", "namespace": "n"}, "spec": {"ports": [{"port": 80}], **spec}}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1000m", "1"), ("0.5", "500m"), (2, "2"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("1e3", "1e3"),
        ("100k", "100k"), ("0", "0"), ("512", "512"), ("1000000", "1M"), ("-1Gi", "-1Gi"), ("bad", "bad"),
        ("0.1Gi", "107374182400m"),
    ],
)  # fmt: skip
def test_quantities_are_written_as_the_server_does(text: Any, shown: str) -> None:
    assert canonical(text) == shown


@given(st.integers(0, 10**9), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi"]))
def test_writing_a_quantity_keeps_its_value(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    assert amount(canonical(text)) == amount(text)
    assert canonical(canonical(text)) == canonical(text)


def test_defaulting_leaves_what_it_is_given_and_is_idempotent() -> None:
    wanted = deployment()
    before = copy.deepcopy(wanted)
    once = RULES.apply_defaults(kinds.DEPLOYMENTS, wanted)
    assert wanted == before
    assert RULES.apply_defaults(kinds.DEPLOYMENTS, once) == once


def test_a_deployment_gets_its_defaults() -> None:
    spec = made(kinds.DEPLOYMENTS, deployment(image="nginx"))["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    [container] = spec["template"]["spec"]["containers"]
    assert container["imagePullPolicy"] == "Always"
    assert container["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]


def test_only_changes_of_content_make_a_new_generation() -> None:
    old = made(kinds.DEPLOYMENTS, deployment())
    labelled = {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}, "status": {"replicas": 9}}
    assert updated(kinds.DEPLOYMENTS, old, labelled)["metadata"]["generation"] == 1
    assert updated(kinds.DEPLOYMENTS, old, labelled)["status"] == old["status"]
    scaled = {**old, "spec": {**old["spec"], "replicas": 3}}
    assert updated(kinds.DEPLOYMENTS, old, scaled)["metadata"]["generation"] == 2
    told = updated(kinds.DEPLOYMENTS, old, {**scaled, "status": {"replicas": 3}}, "status")
    assert (told["spec"]["replicas"], told["status"], told["metadata"]["generation"]) == (1, {"replicas": 3}, 1)


def test_refusals_have_the_words_of_the_real_server() -> None:
    wanted = deployment(replicas=-1)
    wanted["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    wanted["spec"]["template"]["spec"]["containers"].append({"name": "main"})
    assert words(kinds.DEPLOYMENTS, made(kinds.DEPLOYMENTS, wanted)) == [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
        'spec.template.spec.containers[1].name: Duplicate value: "main"',
        "spec.template.spec.containers[1].image: Required value",
    ]


def test_a_name_must_be_one() -> None:
    wanted = deployment("Web_1")
    [first, *_] = words(kinds.DEPLOYMENTS, made(kinds.DEPLOYMENTS, wanted))
    assert first.startswith('metadata.name: Invalid value: "Web_1": a lowercase RFC 1123 subdomain must consist of')


@pytest.mark.parametrize(
    ("resource", "obj", "path", "value", "refusal"),
    [
        (
            kinds.DEPLOYMENTS, deployment(), ("spec", "selector"), {"matchLabels": {"app": "web", "x": "y"}},
            'spec.selector: Invalid value: {"matchLabels":{"app":"web","x":"y"}}: field is immutable',
        ),
        (
            kinds.STATEFUL_SETS, {**deployment(), "kind": "StatefulSet"}, ("spec", "serviceName"), "other",
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
            "are forbidden",
        ),
        (
            kinds.CONFIG_MAPS, {"kind": "ConfigMap", "immutable": True, "data": {"a": "1"}}, ("data",), {"a": "2"},
            "data: Forbidden: field is immutable when `immutable` is set",
        ),
        (
            kinds.SERVICES, service(clusterIP="10.96.7.7"), ("spec", "clusterIPs"), ["10.96.7.8"],
            'spec.clusterIPs[0]: Invalid value: ["10.96.7.8"]: may not change once set',
        ),
    ],
)  # fmt: skip
def test_what_may_not_change(resource: str, obj: Object, path: tuple[str, ...], value: Any, refusal: str) -> None:
    old = made(resource, obj)
    new = copy.deepcopy(old)
    holder = new
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    if path[-1] == "clusterIPs":
        new["spec"]["clusterIP"] = value[0]
    assert refusal in words(resource, updated(resource, old, new), old)


def test_an_unchanged_object_is_never_refused() -> None:
    for resource, obj in ((kinds.DEPLOYMENTS, deployment(replicas=-1)), (kinds.SERVICES, service())):
        old = made(resource, obj)
        assert words(resource, updated(resource, old, old), old) == []


def test_services_get_addresses_and_ports_of_their_own() -> None:
    live: list[Object] = []
    rules = Strategies(every=lambda resource: live)
    for number in range(40):
        wanted = service(type="NodePort")
        wanted["metadata"]["name"] = f"s{number}"
        live.append(made(kinds.SERVICES, wanted, rules))
    assert len({one["spec"]["clusterIP"] for one in live}) == 40
    assert len({one["spec"]["ports"][0]["nodePort"] for one in live}) == 40


def test_a_service_written_whole_again_keeps_its_address_and_ports() -> None:
    old = made(kinds.SERVICES, service(type="NodePort"))
    new = updated(kinds.SERVICES, old, {**service(type="NodePort"), "metadata": old["metadata"]})
    assert new["spec"]["clusterIPs"] == old["spec"]["clusterIPs"]
    assert new["spec"]["ports"] == old["spec"]["ports"]


def test_a_job_is_selected_by_its_uid() -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "a:1"}]}}
    job = made(kinds.JOBS, {"kind": "Job", "metadata": {"name": "once"}, "spec": {"template": template}})
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "0b3a"}}
    assert job["spec"]["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "once"
    assert words(kinds.JOBS, job) == []


def test_a_pod_gets_an_account_tolerations_and_a_class() -> None:
    pod = {
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"containers": [{"name": "c", "image": "i:1"}]},
    }
    stored = made(kinds.PODS, pod)
    assert stored["spec"]["serviceAccountName"] == "default"
    assert len(stored["spec"]["tolerations"]) == 2
    assert stored["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    [volume] = stored["spec"]["volumes"]
    assert stored["spec"]["containers"][0]["volumeMounts"][0]["name"] == volume["name"]


def test_a_pod_of_an_account_that_is_not_there_is_refused() -> None:
    rules = Strategies(find=lambda resource, namespace, name: None)
    pod = {
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"serviceAccountName": "x", "containers": []},
    }
    with pytest.raises(ApiError) as refused:
        made(kinds.PODS, pod, rules)
    assert refused.value.code == 403
    assert refused.value.message == (
        'pods "p" is forbidden: error looking up service account n/x: serviceaccount "x" not found'
    )


def test_only_a_pod_on_a_node_has_grace() -> None:
    pod = {"spec": {"nodeName": "devnode", "terminationGracePeriodSeconds": 7}, "status": {"phase": "Running"}}
    assert RULES.deletion_grace(kinds.PODS, pod) == 7
    assert RULES.deletion_grace(kinds.PODS, pod, 0) == 0
    assert RULES.deletion_grace(kinds.PODS, {**pod, "status": {"phase": "Failed"}}) == 0
    assert RULES.deletion_grace(kinds.PODS, {"spec": {}}) == 0
    assert RULES.deletion_grace(kinds.CONFIG_MAPS, {}) == 0


def test_custom_resources_pass_through() -> None:
    obj = {"kind": "Widget", "metadata": {"name": "w"}, "spec": {"list": [], "none": None}}
    resource = "example.dev/v1/widgets"
    assert RULES.prepare_for_create(resource, RULES.apply_defaults(resource, obj)) == obj
