"""What the workloads ask of an in-process API, held against the one in memory and the real `LocalApi`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from memory_api import MemoryApi

from windlass.devstack.apiserver.local import LocalApi
from windlass.devstack.apiserver.machine import Machine
from windlass.devstack.apiserver.store import Store
from windlass.devstack.workloads import Strategies
from windlass.devstack.workloads.api import CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, PODS, Api, ApiError

Object = dict[str, Any]


def _local() -> Api:
    holder: list[LocalApi] = []
    strategies = Strategies(
        lambda resource, namespace, name: holder[0].find(resource, namespace, name),
        lambda resource: holder[0].every(resource),
    )
    machine = Machine(Store(), strategies, ec.generate_private_key(ec.SECP256R1()), {}, "127.0.0.1:1")
    holder.append(LocalApi(machine))
    return holder[0]


@pytest.fixture(params=[MemoryApi, _local], ids=["memory", "local"])
async def api(request: pytest.FixtureRequest) -> Api:
    make: Callable[[], Api] = request.param
    made = make()
    await made.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}, manager="t"
    )
    return made


def config_map(name: str = "one", **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default", **metadata}}


async def test_what_is_created_is_found(api: Api) -> None:
    made = await api.create(CONFIG_MAPS, config_map(labels={"a": "b"}), manager="t")
    assert made["metadata"]["uid"]
    assert made["metadata"]["resourceVersion"]
    assert await api.get(CONFIG_MAPS, "default", "one") == made
    assert [one["metadata"]["name"] for one in await api.list(CONFIG_MAPS, "default", {"a": "b"})] == ["one"]
    assert await api.list(CONFIG_MAPS, "default", {"a": "c"}) == []
    assert await api.get(CONFIG_MAPS, "default", "two") is None
    assert CONFIG_MAPS in api.resources()


async def test_names_are_generated(api: Api) -> None:
    wanted = config_map(generateName="gen-")
    del wanted["metadata"]["name"]
    made = await api.create(CONFIG_MAPS, wanted, manager="t")
    assert made["metadata"]["name"].startswith("gen-")
    assert len(made["metadata"]["name"]) == len("gen-") + 5


async def test_refusals_carry_their_code(api: Api) -> None:
    made = await api.create(CONFIG_MAPS, config_map(), manager="t")
    with pytest.raises(ApiError) as exists:
        await api.create(CONFIG_MAPS, config_map(), manager="t")
    changed = await api.update(CONFIG_MAPS, {**made, "data": {"a": "1"}}, manager="t")
    with pytest.raises(ApiError) as stale:
        await api.update(CONFIG_MAPS, {**made, "data": {"a": "2"}}, manager="t")
    with pytest.raises(ApiError) as missing:
        await api.update(CONFIG_MAPS, config_map("two"), manager="t")
    with pytest.raises(ApiError) as gone:
        await api.delete(CONFIG_MAPS, "default", "two")
    with pytest.raises(ApiError) as other:
        await api.delete(CONFIG_MAPS, "default", "one", uid="somebody else's")
    assert [one.value.code for one in (exists, stale, missing, gone, other)] == [409, 409, 404, 404, 409]
    assert changed["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]


async def test_an_equal_update_writes_nothing(api: Api) -> None:
    made = await api.create(CONFIG_MAPS, config_map(), manager="t")
    same = await api.update(CONFIG_MAPS, dict(made), manager="t")
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_status_and_scale_are_apart(api: Api) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    wanted = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "default"},
        "spec": spec,
    }
    made = await api.create(DEPLOYMENTS, wanted, manager="t")
    told = {**made, "spec": {**made["spec"], "replicas": 7}, "status": {"replicas": 3}}
    shown = await api.update(DEPLOYMENTS, told, manager="t", subresource="status")
    assert (shown["spec"]["replicas"], shown["status"]["replicas"], shown["metadata"]["generation"]) == (1, 3, 1)
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d", "namespace": "default"}}
    await api.update(DEPLOYMENTS, {**scale, "spec": {"replicas": 4}}, manager="t", subresource="scale")
    live = await api.get(DEPLOYMENTS, "default", "d")
    assert live
    assert (live["spec"]["replicas"], live["status"]["replicas"], live["metadata"]["generation"]) == (4, 3, 2)


async def test_finalizers_hold_a_deleted_object(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map(finalizers=["example.com/hold"]), manager="t")
    await api.delete(CONFIG_MAPS, "default", "one")
    held = await api.get(CONFIG_MAPS, "default", "one")
    assert held
    assert held["metadata"]["deletionTimestamp"]
    metadata = {key: value for key, value in held["metadata"].items() if key != "finalizers"}
    await api.update(CONFIG_MAPS, {**held, "metadata": metadata}, manager="t")
    assert await api.get(CONFIG_MAPS, "default", "one") is None


async def test_foreground_deletion_leaves_a_finalizer(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map(), manager="t")
    await api.delete(CONFIG_MAPS, "default", "one", propagation="Foreground")
    held = await api.get(CONFIG_MAPS, "default", "one")
    assert held
    assert held["metadata"]["finalizers"] == ["foregroundDeletion"]


async def test_a_bound_pod_goes_with_grace_and_an_ended_one_at_once(api: Api) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    made = await api.create(PODS, pod, manager="t")
    bound = await api.update(
        PODS, {**made, "spec": {**made["spec"], "nodeName": "devnode"}}, manager="t", subresource="binding"
    )
    assert bound["spec"]["nodeName"] == "devnode"
    await api.delete(PODS, "default", "p")
    going = await api.get(PODS, "default", "p")
    assert going
    assert going["metadata"]["deletionTimestamp"]
    ended = {**going, "status": {**going["status"], "phase": "Failed"}}
    await api.update(PODS, ended, manager="kubelet", subresource="status")
    await api.delete(PODS, "default", "p")
    assert await api.get(PODS, "default", "p") is None


async def test_a_namespace_goes_when_it_is_finalized(api: Api) -> None:
    await api.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}, manager="t")
    await api.delete(NAMESPACES, None, "n")
    going = await api.get(NAMESPACES, None, "n")
    assert going
    assert going["status"]["phase"] == "Terminating"
    inside = {**config_map(), "metadata": {"name": "one", "namespace": "n"}}
    with pytest.raises(ApiError) as refused:
        await api.create(CONFIG_MAPS, inside, manager="t")
    assert refused.value.code == 403
    await api.update(NAMESPACES, {**going, "spec": {"finalizers": []}}, manager="t", subresource="finalize")
    assert await api.get(NAMESPACES, None, "n") is None


async def test_a_subscription_begins_with_what_is_there(api: Api) -> None:
    made = await api.create(CONFIG_MAPS, config_map(), manager="t")
    seen: list[tuple[str, str, str, bool]] = []

    async def follow() -> None:
        async for change in api.subscribe([CONFIG_MAPS]):
            name = change.object["metadata"]["name"]
            seen.append((change.type, change.resource, name, change.old is not None))
            if change.type == "DELETED":
                return

    task = asyncio.ensure_future(follow())
    while not seen:
        await asyncio.sleep(0)
    await api.update(CONFIG_MAPS, {**made, "data": {"a": "1"}}, manager="t")
    await api.delete(CONFIG_MAPS, "default", "one")
    await asyncio.wait_for(task, 60)
    assert seen == [
        ("ADDED", CONFIG_MAPS, "one", False),
        ("MODIFIED", CONFIG_MAPS, "one", True),
        ("DELETED", CONFIG_MAPS, "one", True),
    ]
