"""Drift, taking over and letting go against API servers: what `managedFields` says here is what it really says.

The unit tests of this room make their own `managedFields`; these take them from a server after `kubectl` and plain
requests, so that a wrong belief about the server shows.
"""

from __future__ import annotations

import copy
import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from real.cluster import APPLY, JSON_PATCH, STRATEGIC, Cluster
from windlass.adapters.cluster.decode import Decoder
from windlass.core.model import Desired, Drift, DriftCause, LiveObject, ObjectRef, Origin, Resource
from windlass.core.model.references import split_api_version
from windlass.core.plan.drift import (
    DriftRules,
    admission_changes,
    examine,
    handover_body,
    release_patch,
    removal_patch,
    suspicious,
    takeover_patch,
)
from windlass.core.plan.intact import is_intact
from windlass.core.plan.ownership import ADOPTED, APPLIED, LABEL, RELEASED_MANAGER, Claim, is_ours, takeover_managers

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", True)
RULES = DriftRules()


class World:
    """One Deployment in one namespace, as an Application's flow would treat it."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.claim = Claim.of(namespace, "shop")
        self.name = f"web-{secrets.token_hex(3)}"
        self.path = DEPLOYMENTS.path(namespace, self.name)
        self.ref = ObjectRef("apps", "Deployment", namespace, self.name)
        self.body: dict[str, Any] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": self.name,
                "namespace": namespace,
                "labels": {LABEL: self.claim.label},
                "annotations": {APPLIED: "d1"},
            },
            "spec": {
                "replicas": 2,
                "paused": False,
                "selector": {"matchLabels": {"app": self.name}},
                "template": {
                    "metadata": {"labels": {"app": self.name}},
                    "spec": {
                        "nodeSelector": {},
                        "containers": [
                            {
                                "name": "web",
                                "image": "acme/shop:1.4.1",
                                "ports": [{"containerPort": 80}],
                                "env": [
                                    {"name": "MODE", "value": "prod"},
                                    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                                ],
                                "resources": {"limits": {"cpu": "1000m", "memory": "0.5Gi"}},
                            }
                        ],
                    },
                },
            },
        }

    def apply(self, body: dict[str, Any] | None = None, manager: str = "", *, force: bool = True) -> dict[str, Any]:
        answer = self.cluster.request(
            "PATCH",
            self.path,
            body or self.body,
            content_type=APPLY,
            fieldManager=manager or self.claim.manager,
            force=str(force).lower(),
            fieldValidation="Strict",
        )
        assert answer.code in (200, 201), answer.body
        found: dict[str, Any] = answer.json
        return found

    def patch(self, patch: Any, content_type: str = JSON_PATCH, manager: str = "kubectl-patch") -> int:
        return self.cluster.request("PATCH", self.path, patch, content_type=content_type, fieldManager=manager).code

    def content(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.request("GET", self.path).json
        return found

    def live(self) -> LiveObject:
        return Decoder().live(DEPLOYMENTS, json.dumps(self.content()).encode(), whole=True)

    def drifts(self, body: dict[str, Any] | None = None) -> list[Drift]:
        return examine(self.ref, body or self.body, self.content(), manager=self.claim.manager, rules=RULES)

    def take_away(self, drifts: list[Drift]) -> None:
        """As a flow does: read, patch, and again where a controller wrote in between."""

        def once() -> bool:
            patch = removal_patch(self.body, self.content(), drifts)
            return not patch or self.patch(patch, manager=self.claim.manager) == 200

        self.cluster.eventually(once, "the additions taken away")

    def move(self, patch: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> None:
        """A patch of ownership, made from what is live, again where a controller wrote in between."""
        self.cluster.eventually(
            lambda: self.patch(patch(self.content()), manager=self.claim.manager) == 200, "ownership moved"
        )

    def told(self) -> list[tuple[str, str, str, str]]:
        return [(each.cause.value, each.field, each.manager, each.operation) for each in self.drifts()]


@pytest.fixture
def world(cluster: Cluster, namespace: str, kubectl: Path) -> Iterator[World]:
    made = World(cluster, namespace)
    yield made
    cluster.request("DELETE", made.path)


WEB = "spec.template.spec.containers[name=web]"


def test_an_apply_and_what_controllers_do_next_is_neither_suspicious_nor_drift(world: World) -> None:
    answer = world.apply()
    assert admission_changes(world.ref, world.body, answer) == []
    before = Decoder().live(DEPLOYMENTS, json.dumps(answer).encode(), whole=True)
    world.cluster.eventually(lambda: world.content().get("status", {}).get("observedGeneration") == 1, "a status")
    after = world.live()
    assert suspicious(before, after, manager=world.claim.manager, label=world.claim.label) is None
    assert is_ours(after, world.claim.label, world.claim.manager)
    assert world.drifts() == []


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("scale", "deployment/{name}", "--replicas=4"), ("changed", "spec.replicas", "kubectl", "scale")),
        (
            ("set", "image", "deployment/{name}", "web=acme/shop:9"),
            ("changed", f"{WEB}.image", "kubectl-set", "Update"),
        ),
        (("set", "env", "deployment/{name}", "DEBUG=1"), ("added", f"{WEB}.env[name=DEBUG]", "kubectl-set", "Update")),
        (("set", "env", "deployment/{name}", "MODE-"), ("changed", f"{WEB}.env[name=MODE]", "", "")),
        (("label", "deployment/{name}", f"{LABEL}-"), ("relabelled", f"metadata.labels[{LABEL}]", "", "")),
        (("set", "serviceaccount", "deployment/{name}", "other"), None),
        (("rollout", "restart", "deployment/{name}"), None),
        (("annotate", "deployment/{name}", "a=b"), None),
    ],
    ids=["scale", "image", "add-env", "remove-env", "label", "service-account", "restart", "annotate"],
)
def test_what_kubectl_does_is_told_and_put_back(world: World, command: tuple[str, ...], told: Any) -> None:
    world.apply()
    before = world.live()
    world.cluster.kubectl("-n", world.namespace, *(word.format(name=world.name) for word in command))
    suspicion = suspicious(before, world.live(), manager=world.claim.manager, label=world.claim.label)
    if command[1] == "serviceaccount":
        (found,) = [each for each in world.drifts() if each.field.endswith("serviceAccountName")]
        assert (found.cause, found.severe) == (DriftCause.ADDED, True)
    elif told is None:
        assert world.drifts() == []
    else:
        assert world.told() == [told]
    if told is None and command[0] == "annotate":
        assert suspicion is None
    if told is not None:
        assert suspicion is not None
    world.take_away(world.drifts())
    world.apply()
    assert world.drifts() == []


def test_security_fields_that_are_added_are_severe_and_can_be_taken_away(world: World) -> None:
    world.apply()
    before = world.live()
    sidecar = {"name": "spy", "image": "evil:1", "securityContext": {"privileged": True}}
    pod = {"hostPID": True, "containers": [{"name": "web", "command": ["sh"]}, sidecar]}
    assert world.patch({"spec": {"template": {"spec": pod}}}, STRATEGIC) == 200
    found = suspicious(before, world.live(), manager=world.claim.manager, label=world.claim.label)
    assert found is not None
    assert found.cause is DriftCause.ADDED
    drifts = world.drifts()
    assert [(each.field, each.severe, each.manager) for each in drifts] == [
        ("spec.template.spec.containers[name=spy]", True, "kubectl-patch"),
        (f"{WEB}.command", True, "kubectl-patch"),
        ("spec.template.spec.hostPID", True, "kubectl-patch"),
    ]
    world.take_away(drifts)
    assert world.drifts() == []


def test_a_write_under_our_own_manager_is_seen(world: World) -> None:
    world.apply()
    before = world.live()
    other = copy.deepcopy(world.body)
    other["spec"]["replicas"] = 6
    world.apply(other)
    suspicion = suspicious(before, world.live(), manager=world.claim.manager, label=world.claim.label)
    assert suspicion is not None
    assert suspicion.cause is DriftCause.OWN_MANAGER
    assert [(each.cause.value, each.field, each.live) for each in world.drifts()] == [
        ("own-manager", "spec.replicas", 6)
    ]


def test_what_kubectl_applied_is_taken_over_so_that_git_can_remove_it(world: World) -> None:
    before = copy.deepcopy(world.body)
    del before["metadata"]["labels"], before["metadata"]["annotations"]
    before["spec"]["template"]["spec"]["hostname"] = "old"
    world.cluster.kubectl("apply", "-f", "-", input=json.dumps(before))
    managers = takeover_managers(world.live().managed, adopting=True)
    assert managers == ("kubectl-client-side-apply",)
    world.move(lambda live: takeover_patch(live, managers, world.claim.manager, adopted="2026-11-22T12:00:00Z"))
    assert world.content()["spec"]["template"]["spec"]["hostname"] == "old"
    world.apply()
    content = world.content()
    assert "hostname" not in content["spec"]["template"]["spec"]
    assert content["metadata"]["annotations"].keys() & {
        ADOPTED,
        "kubectl.kubernetes.io/last-applied-configuration",
    } == {ADOPTED}
    assert world.drifts() == []
    world.apply()
    assert ADOPTED in world.content()["metadata"]["annotations"]


def test_a_takeover_of_what_changed_meanwhile_conflicts(world: World) -> None:
    world.apply()
    stale = takeover_patch(world.content(), [], world.claim.manager, adopted="x")
    world.cluster.kubectl("-n", world.namespace, "scale", f"deployment/{world.name}", "--replicas=3")
    assert world.patch(stale) == 409


def test_replicas_that_leave_git_keep_their_value_when_they_are_handed_over(world: World) -> None:
    world.apply()
    world.cluster.kubectl("-n", world.namespace, "scale", f"deployment/{world.name}", "--replicas=5")
    world.apply()  # takes it back: 2, ours alone
    world.body["spec"]["replicas"] = 5
    world.apply()
    world.apply(handover_body(world.content(), ["f:spec/f:replicas"]), RELEASED_MANAGER)
    del world.body["spec"]["replicas"]
    world.apply()
    assert world.content()["spec"]["replicas"] == 5
    assert world.drifts() == []
    world.cluster.kubectl("-n", world.namespace, "scale", f"deployment/{world.name}", "--replicas=3")
    assert world.drifts() == []


def test_a_released_object_keeps_every_value_and_loses_our_marks(world: World) -> None:
    world.apply()
    before = world.content()["spec"]
    world.move(lambda live: release_patch(live, world.claim.manager))
    live = world.live()
    assert not is_ours(live, world.claim.label, world.claim.manager)
    assert LABEL not in live.labels
    assert APPLIED not in live.annotations
    assert world.content()["spec"] == before
    assert live.applied_by(RELEASED_MANAGER) is not None
    assert live.applied_by(world.claim.manager) is None


def test_many_kinds_as_applied_are_intact_and_no_drift(cluster: Cluster, namespace: str) -> None:
    """Also after the controllers were at work, and without a single event that would cost a second look."""
    claim = Claim.of(namespace, "many")
    text = (Path(__file__).parent / "many_kinds.yaml").read_text().replace("NAMESPACE", namespace)
    plurals = {"NetworkPolicy": "networkpolicies", "Ingress": "ingresses"}
    looked: list[tuple[dict[str, Any], Resource, str, LiveObject]] = []
    wrong: list[str] = []
    for body in yaml.safe_load_all(text):
        body["metadata"].setdefault("labels", {})[LABEL] = claim.label
        group, version = split_api_version(body["apiVersion"])
        plural = plurals.get(body["kind"], body["kind"].lower() + "s")
        resource = Resource(group, version, plural, body["kind"], True)
        path = resource.path(namespace, body["metadata"]["name"])
        query = {"fieldManager": claim.manager, "force": "true", "fieldValidation": "Strict"}
        answer = cluster.request("PATCH", path, body, content_type=APPLY, **query)
        assert answer.code == 201, answer.body
        ref = ObjectRef(group, body["kind"], namespace, body["metadata"]["name"])
        wrong += [f"{ref} admission {each.field}" for each in admission_changes(ref, body, answer.json)]
        live = Decoder().live(resource, answer.body, whole=True)
        own = live.applied_by(claim.manager)
        assert own is not None
        desired = Desired(ref, body["apiVersion"], 0, 0, "d", Origin("r", "c", "f"), json.dumps(body).encode())
        wrong += [] if is_intact(desired, own) else [f"{ref} is not intact"]
        looked.append((body, resource, path, live))
    time.sleep(2)  # the controllers' turn: statuses, bindings, defaults, metrics that are missing
    for body, resource, path, before in looked:
        answer = cluster.request("GET", path)
        live = Decoder().live(resource, answer.body, whole=True)
        suspicion = suspicious(before, live, manager=claim.manager, label=claim.label)
        wrong += [f"{live.ref} suspected: {suspicion}"] if suspicion else []
        drifts = examine(live.ref, body, answer.json, manager=claim.manager, rules=RULES)
        wrong += [f"{live.ref} {each.cause.value} {each.field} {each.manager}" for each in drifts]
    assert wrong == []
