"""`ports.Cluster` against API servers: the embedded one and the real one. The same test, the same words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Protocol

import pytest

from windlass import ports
from windlass.adapters.cluster import LABEL, KubeCluster, connect, from_kubeconfig
from windlass.adapters.host.clock import SystemClock
from windlass.core.model import ObjectRef, Resource

from .scripted import until

APPLICATION = "windlass.shop"
MANAGER = "windlass-windlass.shop"


class Cluster(Protocol):
    """What the fixture `cluster` of `tests/conftest.py` gives."""

    kubeconfig: Path
    name: str


@pytest.fixture
async def kube(cluster: Cluster) -> AsyncIterator[KubeCluster]:
    async with connect(from_kubeconfig([cluster.kubeconfig]), SystemClock()) as connected:
        yield connected


@pytest.fixture
async def maps(kube: KubeCluster) -> Resource:
    return await kube.resource("v1", "ConfigMap")


def content(resource: Resource, ref: ObjectRef, **more: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": ref.name, "labels": {LABEL: APPLICATION}}
    if ref.namespace:
        meta["namespace"] = ref.namespace
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta} | more


def request(resource: Resource, ref: ObjectRef, manager: str = MANAGER, **more: Any) -> ports.ApplyRequest:
    settings = {key: more.pop(key) for key in ("user", "force", "uid", "resource_version", "dry_run") if key in more}
    return ports.ApplyRequest(resource, ref, json.dumps(content(resource, ref, **more)).encode(), manager, **settings)


async def refusal(doing: Awaitable[object]) -> Any:
    """The error of the port that a call raises."""
    with pytest.raises((ports.NeedsHuman, ports.TryLater)) as caught:
        await doing
    return caught.value


async def test_the_kinds_it_serves(kube: KubeCluster) -> None:
    """Discovery as the server does it, and kinds that it does not know."""
    assert (await kube.version()).startswith("v1.")
    assert await kube.resource("apps/v1", "Deployment") == Resource("apps", "v1", "deployments", "Deployment", True)
    assert not (await kube.resource("v1", "Namespace")).namespaced
    unknown = await refusal(kube.resource("example.com/v1", "Gizmo"))
    assert isinstance(unknown, ports.KindUnknown)
    other = await refusal(kube.resource("apps/v1beta1", "Deployment"))
    assert "apps/v1" in other.hint


async def test_apply_read_and_delete(kube: KubeCluster, maps: Resource, namespace: str) -> None:
    """Created, configured, unchanged; a dry-run changes nothing; gone already is no error."""
    ref = ObjectRef("", "ConfigMap", namespace, "x")
    dry = await kube.apply(request(maps, ref, data={"a": "1"}, dry_run=True))
    assert dry.created
    assert await kube.read(maps, ref) is None
    first = await kube.apply(request(maps, ref, data={"a": "1"}))
    assert first.created
    assert first.content["data"] == {"a": "1"}
    entry = first.live.applied_by(MANAGER)
    assert entry is not None
    assert json.loads(entry.fields)["f:data"] == {"f:a": {}}
    again = await kube.apply(request(maps, ref, data={"a": "1"}))
    assert (again.created, again.live.resource_version) == (False, first.live.resource_version)
    second = await kube.apply(request(maps, ref, data={"a": "2"}, uid=first.live.uid))
    assert int(second.live.resource_version) > int(first.live.resource_version)
    looked = await kube.look(maps, ref)
    assert looked == second.live
    whole = await kube.read(maps, ref)
    assert whole is not None
    assert whole["data"] == {"a": "2"}
    wrong = await refusal(kube.delete(maps, ref, uid="another"))
    assert isinstance(wrong, ports.WriteConflict)
    await kube.delete(maps, ref, uid=first.live.uid)
    await kube.delete(maps, ref, uid=first.live.uid)
    assert await kube.look(maps, ref) is None


async def test_preconditions(kube: KubeCluster, maps: Resource, namespace: str) -> None:
    """The uid and resourceVersion that were looked at: another object, an older state, nothing there."""
    ref = ObjectRef("", "ConfigMap", namespace, "x")
    first = await kube.apply(request(maps, ref, data={"a": "1"}))
    await kube.apply(request(maps, ref, data={"a": "2"}))
    for conflict in (
        request(maps, ref, data={"a": "3"}, uid="11111111-1111-1111-1111-111111111111"),
        request(maps, ref, data={"a": "3"}, resource_version=first.live.resource_version),
        request(maps, ref._replace(name="nothing"), data={}, uid=first.live.uid),
    ):
        assert isinstance(await refusal(kube.apply(conflict)), ports.WriteConflict)


async def test_a_field_of_another_manager(kube: KubeCluster, maps: Resource, namespace: str) -> None:
    """Told with the manager and the field; taken over by force; equal values are shared."""
    ref = ObjectRef("", "ConfigMap", namespace, "x")
    await kube.apply(request(maps, ref, data={"a": "1", "b": "1"}))
    conflict = await refusal(kube.apply(request(maps, ref, "windlass-windlass.other", data={"a": "2", "b": "1"})))
    assert isinstance(conflict, ports.FieldConflict)
    assert conflict.managers == {MANAGER: [".data.a"]}
    forced = await kube.apply(request(maps, ref, "windlass-windlass.other", data={"a": "2", "b": "1"}, force=True))
    entry = forced.live.applied_by(MANAGER)
    assert entry is not None
    assert json.loads(entry.fields)["f:data"] == {"f:b": {}}


async def test_wrong_objects_are_for_a_person(kube: KubeCluster, maps: Resource, namespace: str) -> None:
    """An unknown field, a wrong type, an invalid value, an immutable field: each with the field that is meant."""
    ref = ObjectRef("", "ConfigMap", namespace, "x")
    unknown = await refusal(kube.apply(request(maps, ref, dataa={"a": "1"})))
    assert isinstance(unknown, ports.ObjectRejected)
    assert unknown.fields == ("dataa",)
    typed = await refusal(kube.apply(request(maps, ref, data={"a": ["1"]})))
    assert isinstance(typed, ports.ObjectRejected)
    assert typed.fields == ("data.a",)
    deployments = await kube.resource("apps/v1", "Deployment")
    web = ObjectRef("apps", "Deployment", namespace, "web")

    def spec(label: str, replicas: int) -> dict[str, Any]:
        template = {"metadata": {"labels": {"l": label}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        return {"replicas": replicas, "selector": {"matchLabels": {"l": label}}, "template": template}

    invalid = await refusal(kube.apply(request(deployments, web, spec=spec("a", -1))))
    assert isinstance(invalid, ports.ObjectRejected)
    assert invalid.fields == ("spec.replicas",)
    assert not invalid.immutable
    await kube.apply(request(deployments, web, spec=spec("a", 0)))
    immutable = await refusal(kube.apply(request(deployments, web, spec=spec("b", 0))))
    assert isinstance(immutable, ports.ObjectRejected)
    assert immutable.immutable
    assert "spec.selector" in immutable.fields


async def test_a_secrets_value_is_in_no_error(kube: KubeCluster, namespace: str) -> None:
    """Whatever is wrong with it."""
    secrets = await kube.resource("v1", "Secret")
    ref = ObjectRef("", "Secret", namespace, "key")
    for more in (
        {"data": {"a": "!hunter2!"}},
        {"data": {"a": ["hunter2"]}},
        {"dataa": "hunter2"},
        {"type": {"hunter2": 1}},
    ):
        error = await refusal(kube.apply(request(secrets, ref, **more)))
        assert isinstance(error, ports.ObjectRejected)
        assert "hunter2" not in f"{error} {error.hint} {error.fields}"
    fixed = {"immutable": True, "data": {"a": "aHVudGVyMg=="}}
    answer = await kube.apply(request(secrets, ref, **fixed))
    assert (answer.live.spec, answer.live.status) == (None, None)
    error = await refusal(kube.apply(request(secrets, ref, immutable=True, data={"a": "aHVudGVyMw=="})))
    assert isinstance(error, ports.ObjectRejected)
    assert error.immutable
    assert "aHVudGVyM" not in str(error)


async def test_places_that_are_not_there_or_going(kube: KubeCluster, maps: Resource, namespace: str) -> None:
    """A namespace that is missing, and one that is being terminated."""
    missing = await refusal(kube.apply(request(maps, ObjectRef("", "ConfigMap", f"{namespace}-no", "x"), data={})))
    assert isinstance(missing, ports.ObjectMissing)
    namespaces = await kube.resource("v1", "Namespace")
    going = ObjectRef("", "Namespace", "", f"{namespace}-going")
    answer = await kube.apply(request(namespaces, going))
    held = ObjectRef("", "ConfigMap", going.name, "held")
    await kube.create(
        maps, going.name, {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}, manager="test"
    )
    await kube.delete(namespaces, going, uid=answer.live.uid)
    refused = await refusal(kube.apply(request(maps, ObjectRef("", "ConfigMap", going.name, "x"), data={})))
    assert isinstance(refused, ports.NamespaceTerminating)
    await kube.patch(maps, held, {"metadata": {"finalizers": None}}, form="merge", manager="test")


async def test_an_account_without_rights(kube: KubeCluster, maps: Resource, namespace: str) -> None:
    """As the account that an Application names: told with the account and what it would need."""
    account = f"system:serviceaccount:{namespace}:default"
    ref = ObjectRef("", "ConfigMap", namespace, "x")
    refused = await refusal(kube.apply(request(maps, ref, data={}, user=account)))
    assert isinstance(refused, ports.NotAllowed)
    assert account in refused.hint
    assert "patch" in str(refused)


async def test_the_live_index_follows(kube: KubeCluster, maps: Resource, namespace: str) -> None:
    """First list, changes with manager and operation, deletion, and a label that goes; only what has our label."""
    before = ObjectRef("", "ConfigMap", namespace, "before")
    await kube.apply(request(maps, before, data={"a": "1"}))
    await kube.create(maps, namespace, {"metadata": {"name": "foreign"}}, manager="somebody")
    await kube.watch(maps)
    told: list[ports.LiveChange] = []
    kube.live.listen(told.append)
    assert kube.live.synced("", "ConfigMap")
    assert kube.live.get(before) is not None
    assert kube.live.get(before._replace(name="foreign")) is None
    await kube.patch(maps, before, {"data": {"a": "2"}}, form="merge", manager="kubectl-edit")
    await until(lambda: len(told) == 1)
    new = told[0].new
    assert new is not None
    assert {(entry.manager, entry.operation) for entry in new.managed} >= {("kubectl-edit", "Update")}
    patch = [{"op": "remove", "path": f"/metadata/labels/{LABEL.replace('/', '~1')}"}]
    await kube.patch(maps, before, patch, form="json", manager="kubectl-label")
    await until(lambda: len(told) == 2)
    assert told[1].new is None
    assert kube.live.get(before) is None
    assert await kube.look(maps, before) is not None
    answer = await kube.apply(request(maps, before, data={"a": "3"}, force=True))
    kube.live.observed(answer.live)
    assert kube.live.get(before) == answer.live
    await kube.delete(maps, before, uid=answer.live.uid)
    await until(lambda: kube.live.get(before) is None)
    assert all(not change.replayed for change in told)


async def test_what_is_watched_whole(kube: KubeCluster, namespace: str) -> None:
    """A Deployment's spec and status are there as bytes, and as the answer to the apply has them."""
    deployments = await kube.resource("apps/v1", "Deployment")
    await kube.watch(deployments)
    ref = ObjectRef("apps", "Deployment", namespace, "web")
    template = {"metadata": {"labels": {"l": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"l": "a"}}, "template": template}
    answer = await kube.apply(request(deployments, ref, spec=spec))
    assert answer.live.spec is not None
    assert json.loads(answer.live.spec)["replicas"] == 0

    def observed() -> bool:
        held = kube.live.get(ref)
        return held is not None and held.status is not None and b"observedGeneration" in held.status

    await until(observed, 15)


async def test_survey_and_select(kube: KubeCluster, maps: Resource, namespace: str) -> None:
    """Labelled or not; by selector; page by page."""
    await kube.apply(request(maps, ObjectRef("", "ConfigMap", namespace, "ours"), data={"a": "1"}))
    for name in ("b", "c"):
        await kube.create(maps, namespace, {"metadata": {"name": name, "labels": {"l": name}}}, manager="somebody")
    surveyed = await kube.survey(maps, namespace)
    assert {ref.name for ref in surveyed} >= {"ours", "b", "c"}
    everywhere = await kube.survey(maps)
    assert surveyed.items() <= everywhere.items()
    selected = await kube.select(maps, namespace, labels="l in (b,c)")
    assert [(each["kind"], each["metadata"]["name"]) for each in selected] == [("ConfigMap", "b"), ("ConfigMap", "c")]
    assert [each["metadata"]["name"] for each in await kube.select(maps, namespace, fields="metadata.name=c")] == ["c"]
    assert len(await kube.select(maps, namespace, limit=2)) == 2


async def test_follow(kube: KubeCluster, maps: Resource, namespace: str) -> None:
    """Whole objects: what there is, SYNCED, then each change."""
    ref = ObjectRef("", "ConfigMap", namespace, "x")
    first = await kube.apply(request(maps, ref, data={"a": "1"}))
    told: list[tuple[str, Any]] = []
    async with asyncio.timeout(10), aclosing(kube.follow(maps, namespace, labels=LABEL)) as steps:  # type: ignore[type-var]
        async for kind, whole in steps:
            told.append((kind, whole.get("data")))
            if kind == "SYNCED":
                await kube.apply(request(maps, ref, data={"a": "2"}))
            elif kind == "MODIFIED":
                await kube.delete(maps, ref, uid=first.live.uid)
            elif kind == "DELETED":
                break
    assert told == [("ADDED", {"a": "1"}), ("SYNCED", None), ("MODIFIED", {"a": "2"}), ("DELETED", {"a": "2"})]


async def test_a_kind_that_comes_and_goes(kube: KubeCluster, namespace: str) -> None:
    """A CRD makes a kind, its objects are watched whole, and with it they go from the index."""
    group = f"{namespace}.example.com"
    crds = await kube.resource("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "gizmos", "singular": "gizmo", "kind": "Gizmo", "listKind": "GizmoList"}
    definition = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    ref = ObjectRef("apiextensions.k8s.io", "CustomResourceDefinition", "", f"gizmos.{group}")
    made = await kube.apply(request(crds, ref, spec=definition))
    gizmo: Resource | None = None
    async with asyncio.timeout(20):
        while gizmo is None:
            try:
                gizmo = await kube.resource(f"{group}/v1", "Gizmo")
            except ports.KindUnknown as error:
                await asyncio.sleep(error.after + 0.1)
    one = ObjectRef(group, "Gizmo", namespace, "one")
    await kube.watch(gizmo)
    await kube.apply(request(gizmo, one, status={"conditions": []}))
    await until(lambda: kube.live.get(one) is not None)
    held = kube.live.get(one)
    assert held is not None
    assert held.status == b'{"conditions":[]}'
    await kube.delete(crds, ref, uid=made.live.uid)
    await until(lambda: kube.live.get(one) is None, 20)
    await until(lambda: isinstance(kube.live.trouble(group, "Gizmo"), ports.KindUnknown | ports.ObjectMissing), 60)
