"""Deployments, ReplicaSets and Pods, run end to end on the API in memory."""

from __future__ import annotations

import time
from typing import Any

import pytest
from simulated import World, deployment

from windlass.devstack.workloads.api import DEPLOYMENTS, PODS, REPLICA_SETS


def condition(obj: Any, kind: str) -> Any:
    return next((one for one in obj["status"].get("conditions", []) if one["type"] == kind), {})


def available(world: World, name: str = "web") -> Any:
    obj = world.get(DEPLOYMENTS, name)
    done = condition(obj, "Progressing").get("reason") == "NewReplicaSetAvailable"
    return obj if done and obj["status"].get("observedGeneration") == obj["metadata"]["generation"] else None


async def test_a_deployment_becomes_available(world: World) -> None:
    began = time.monotonic()
    await world.make(DEPLOYMENTS, deployment(replicas=3))
    live = await world.until(lambda: available(world))
    assert time.monotonic() - began < 20
    assert (
        live["status"]["availableReplicas"] == live["status"]["readyReplicas"] == live["status"]["updatedReplicas"] == 3
    )
    assert live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert live["metadata"]["generation"] == 1
    [replica_set] = world.all(REPLICA_SETS)
    assert replica_set["metadata"]["name"].startswith("web-")
    pod = world.pods(app="web")[0]
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIP"].startswith("10.244.")
    kinds = [one["type"] for one in pod["status"]["conditions"]]
    assert kinds == ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
    assert pod["spec"]["nodeName"] == "devnode"
    await world.until(lambda: len(world.events("web")) >= 1 + 3 + 3 * 4)
    reasons = {reason for reason, _ in world.events("web")}
    assert {"ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Pulled", "Created", "Started"} <= reasons
    assert await world.quiet() == 0


async def test_a_new_image_rolls_out_and_never_falls_below_the_minimum(world: World) -> None:
    await world.make(DEPLOYMENTS, deployment(replicas=4))
    await world.until(lambda: available(world))
    fewest = 4

    def image(obj: Any) -> Any:
        template = obj["spec"]["template"]
        containers = [{**template["spec"]["containers"][0], "image": "example.com/web:2"}]
        return {
            **obj,
            "spec": {**obj["spec"], "template": {**template, "spec": {**template["spec"], "containers": containers}}},
        }

    def done() -> Any:
        nonlocal fewest
        live = world.get(DEPLOYMENTS, "web")
        assert live
        ready = [
            p
            for p in world.pods(app="web")
            if condition(p, "Ready").get("status") == "True" and not p["metadata"].get("deletionTimestamp")
        ]
        fewest = min(fewest, len(ready))
        return available(world) and live["status"].get("replicas") == 4

    await world.edit(DEPLOYMENTS, "web", image)
    await world.until(done)
    assert fewest >= 3
    await world.until(lambda: len(world.pods(app="web")) == 4)
    assert {p["spec"]["containers"][0]["image"] for p in world.pods(app="web")} == {"example.com/web:2"}
    live = world.get(DEPLOYMENTS, "web")
    assert live
    assert live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


async def test_scaling_and_deleting(world: World) -> None:
    await world.make(DEPLOYMENTS, deployment(replicas=2))
    await world.until(lambda: available(world))
    await world.edit(DEPLOYMENTS, "web", lambda obj: {**obj, "spec": {**obj["spec"], "replicas": 5}})
    await world.until(lambda: available(world) and len(world.pods(app="web")) == 5)
    await world.edit(DEPLOYMENTS, "web", lambda obj: {**obj, "spec": {**obj["spec"], "replicas": 1}})
    await world.until(lambda: available(world) and len(world.pods(app="web")) == 1)
    await world.api.delete(DEPLOYMENTS, "default", "web")
    await world.until(lambda: not world.pods(app="web") and not world.all(REPLICA_SETS))


async def test_foreground_deletion_leaves_the_owner_last(world: World) -> None:
    await world.make(DEPLOYMENTS, deployment(replicas=2))
    await world.until(lambda: available(world))
    await world.api.delete(DEPLOYMENTS, "default", "web", propagation="Foreground")
    assert world.get(DEPLOYMENTS, "web")
    await world.until(lambda: not world.get(DEPLOYMENTS, "web"))
    assert not world.all(REPLICA_SETS)
    assert not world.pods(app="web")


async def test_an_image_that_cannot_be_pulled_is_told(world: World) -> None:
    await world.make(DEPLOYMENTS, deployment(image="example.com/web:does-not-exist"))
    pod = await world.until(lambda: next(iter(world.pods(app="web")), None))
    waiting = await world.until(
        lambda: (
            (world.get(PODS, pod["metadata"]["name"])["status"].get("containerStatuses") or [{}])[0]
            .get("state", {})
            .get("waiting", {})
            .get("reason")
            == "ImagePullBackOff"
        )  # type: ignore[index]
    )
    assert waiting
    live = world.get(DEPLOYMENTS, "web")
    assert live
    assert condition(live, "Available")["reason"] == "MinimumReplicasUnavailable"
    await world.until(lambda: any(message.startswith("Failed to pull image") for _, message in world.events("web")))
    words = 'Back-off pulling image "example.com/web:does-not-exist"'
    await world.until(lambda: any(message == words for _, message in world.events("web")))


async def test_a_crashing_container_backs_off(world: World) -> None:
    await world.make(DEPLOYMENTS, deployment(image="example.com/crash:1"))

    def looping() -> Any:
        for pod in world.pods(app="web"):
            [status] = pod["status"].get("containerStatuses") or [{}]
            if status.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff":
                return status
        return None

    status = await world.until(looping)
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert status["state"]["waiting"]["message"].startswith("back-off 10s restarting failed container=main pod=web-")


async def test_a_missing_config_map_holds_a_pod_until_it_comes(world: World) -> None:
    wanted = deployment()
    wanted["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    await world.make(DEPLOYMENTS, wanted)

    def held() -> Any:
        for pod in world.pods(app="web"):
            [status] = pod["status"].get("containerStatuses") or [{}]
            if status.get("state", {}).get("waiting", {}).get("reason") == "CreateContainerConfigError":
                return status["state"]["waiting"]["message"]
        return None

    assert await world.until(held) == 'configmap "settings" not found'
    await world.make("v1/configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}})
    await world.until(lambda: available(world))


async def test_a_refused_pod_shows_as_replica_failure(world: World) -> None:
    wanted = deployment()
    wanted["spec"]["template"]["spec"]["serviceAccountName"] = "builder"
    await world.make(DEPLOYMENTS, wanted)
    live = await world.until(lambda: next((d for d in world.all(DEPLOYMENTS) if condition(d, "ReplicaFailure")), None))
    assert 'serviceaccount "builder" not found' in condition(live, "ReplicaFailure")["message"]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder"}}
    await world.make("v1/serviceaccounts", account)
    await world.until(lambda: available(world))


async def test_a_service_follows_its_pods(world: World) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "labels": {"team": "a"}},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    await world.make("v1/services", service)
    await world.make(DEPLOYMENTS, deployment(replicas=2))

    def ready() -> Any:
        slices = world.all("discovery.k8s.io/v1/endpointslices")
        return slices and [e for e in slices[0].get("endpoints") or [] if e["conditions"]["ready"]][1:] and slices[0]

    found = await world.until(ready)
    assert found["metadata"]["labels"]["team"] == "a"
    assert found["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    endpoints = world.get("v1/endpoints", "web")
    assert endpoints
    assert len(endpoints["subsets"][0]["addresses"]) == 2


async def test_a_namespace_that_is_deleted_takes_everything_along(world: World) -> None:
    await world.make("v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    wanted = deployment()
    wanted["metadata"]["namespace"] = "shop"
    await world.make(DEPLOYMENTS, wanted)
    await world.make(
        "example.dev/v1/widgets",
        {"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "shop"}},
    )
    await world.until(lambda: any(p["status"]["phase"] == "Running" for p in world.pods(app="web")))
    assert world.get("v1/configmaps", "kube-root-ca.crt", "shop")
    await world.api.delete("v1/namespaces", None, "shop")
    await world.until(lambda: not world.get("v1/namespaces", "shop", ""))
    assert [k for shelf in world.api.shelves.values() for k in shelf if k[0] == "shop"] == []


@pytest.mark.slow
async def test_a_thousand_deployments(world: World) -> None:
    began = time.monotonic()
    for number in range(1000):
        await world.make(DEPLOYMENTS, deployment(f"web-{number}"))
    made = time.monotonic()
    await world.until(lambda: all(d["status"].get("availableReplicas") for d in world.all(DEPLOYMENTS)), 60)
    print("made", made - began, "available", time.monotonic() - began, "writes", len(world.api.writes))
