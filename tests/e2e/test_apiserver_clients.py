"""Programs that know nothing of this project use both clusters: kubectl of two versions and two Python clients."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.conversation import Conversation
from e2e.test_apiserver_kinds import Kind
from real.cluster import Cluster

pytestmark = pytest.mark.slow

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: "nginx:1", ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
"""


class Kubectl:
    """`kubectl` of one version in one namespace of one cluster."""

    def __init__(self, cluster: Cluster, namespace: str, *, old: bool) -> None:
        self.cluster, self.namespace, self.old = cluster, namespace, old

    def __call__(self, *words: str, text: str | None = None, code: int = 0) -> str:
        """What it prints on both outputs; its exit code must be the one expected."""
        done = self.cluster.kubectl("-n", self.namespace, *words, input=text, check=False, old=self.old)
        said = done.stdout + "\n".join(line for line in done.stderr.splitlines() if "version skew" not in line)
        assert done.returncode == code, f"kubectl {words}: exit code {done.returncode}: {said}"
        return said


@pytest.fixture(params=["current", "older"])
def k(request: pytest.FixtureRequest, cluster: Cluster, namespace: str) -> Kubectl:
    """kubectl of the server's version, and two minor versions older."""
    request.getfixturevalue("kubectl" if request.param == "current" else "kubectl_old")
    return Kubectl(cluster, namespace, old=request.param == "older")


def test_kubectl_apply_and_rollout(k: Kubectl) -> None:
    """apply, rollout, get, scale, set image, rollout undo, delete: the words of a day."""
    said = k("apply", "-f", "-", text=DEPLOYMENT)
    assert said.splitlines() == ["deployment.apps/web created", "service/web created"]
    assert k("apply", "-f", "-", text=DEPLOYMENT).splitlines() == [
        "deployment.apps/web unchanged",
        "service/web unchanged",
    ]
    assert "successfully rolled out" in k("rollout", "status", "deploy/web", "--timeout=30s")
    pods = json.loads(k("get", "pods", "-o", "json", "-l", "app=web"))["items"]
    assert len(pods) == 2
    assert all(pod["status"]["phase"] == "Running" for pod in pods)
    assert re.search(r"web\s+2/2\s+2\s+2\s", k("get", "deploy"))
    assert k("scale", "deploy/web", "--replicas=3").strip() == "deployment.apps/web scaled"
    assert k("set", "image", "deploy/web", "main=nginx:2").strip() == "deployment.apps/web image updated"
    assert "successfully rolled out" in k("rollout", "status", "deploy/web", "--timeout=30s")
    assert "nginx:2" in k("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].spec.containers[0].image}")
    assert len(re.findall(r"^\d+ ", k("rollout", "history", "deploy/web"), re.MULTILINE)) == 2
    assert "rolled back" in k("rollout", "undo", "deploy/web")
    assert "successfully rolled out" in k("rollout", "status", "deploy/web", "--timeout=30s")
    described = k("describe", "deploy/web")
    assert "3 desired | 3 updated | 3 total | 3 available" in described
    assert "ScalingReplicaSet" in described
    slices = json.loads(k("get", "endpointslices", "-l", "kubernetes.io/service-name=web", "-o", "json"))["items"]
    assert sum(len(each["endpoints"] or []) for each in slices) == 3
    assert 'deployment.apps "web" deleted' in k("delete", "deploy/web", "--timeout=30s")
    k("wait", "--for=delete", "pod", "-l", "app=web", "--timeout=30s")


def test_kubectl_get_forms(k: Kubectl) -> None:
    """get with labels, columns, names, wide, sorted, watched; explain; api-resources; auth can-i; version."""
    k("create", "configmap", "one", "--from-literal=a=1")
    k("label", "configmap", "one", "l=1")
    assert k("get", "cm", "one", "-o", "name").strip() == "configmap/one"
    assert re.search(r"one\s+1\s+\S+\s+1$", k("get", "cm", "-l", "l", "-L", "l").strip())
    assert k("get", "cm", "one", "-o", "custom-columns=N:.metadata.name", "--no-headers").strip() == "one"
    assert "one" in k("get", "cm", "--sort-by=.metadata.name", "-o", "wide")
    assert k("get", "cm", "one", "-o", "jsonpath={.data.a}") == "1"
    assert "not found" in k("get", "cm", "none", code=1)
    assert "the server doesn't have a resource type" in k("get", "nonsense", code=1)
    explained = k("explain", "deployment.spec.strategy.rollingUpdate.maxSurge")
    assert "KIND:       Deployment" in explained
    assert "maxSurge <IntOrString>" in explained
    resources = k("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
    assert {"configmaps", "deployments.apps", "jobs.batch", "ingresses.networking.k8s.io"} <= set(resources)
    assert "apps/v1" in k("api-versions").split()
    assert k("auth", "can-i", "delete", "pods").strip() == "yes"
    assert "Server Version: v1." in k("version")
    assert "one" in k("get", "cm", "one", "--show-managed-fields", "-o", "yaml")


def test_kubectl_validates(k: Kubectl) -> None:
    """A wrong field or value is refused with the server's words, and told with --validate=warn."""
    wrong = DEPLOYMENT.replace("replicas: 2", "replicaz: 2")
    said = k("create", "--validate=strict", "-f", "-", text=wrong, code=1)
    assert 'strict decoding error: unknown field "spec.replicaz"' in said
    said = k("apply", "--validate=warn", "-f", "-", text=wrong)
    assert 'Warning: unknown field "spec.replicaz"' in said
    said = k("apply", "-f", "-", text="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n", code=1)
    assert 'The ConfigMap "Bad_Name" is invalid: metadata.name: Invalid value' in said
    said = k("apply", "-f", "-", text="apiVersion: none.example/v1\nkind: Thing\nmetadata: {name: x}\n", code=1)
    assert 'no matches for kind "Thing" in version "none.example/v1"' in said


def test_kubectl_server_side(k: Kubectl) -> None:
    """apply --server-side: conflicts, force, migration from client-side; diff; edit by patch; replace."""
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: '1', b: '1'}\n"
    k("apply", "-f", "-", text=text)
    assert k("apply", "--server-side", "-f", "-", text=text).strip() == "configmap/one serverside-applied"
    said = k(
        "apply", "--server-side", "--field-manager=other", "-f", "-", text=text.replace("a: '1'", "a: '2'"), code=1
    )
    assert 'Apply failed with 1 conflict: conflict with "kubectl"' in said
    assert ".data.a" in said
    k(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=other",
        "-f",
        "-",
        text=text.replace("a: '1'", "a: '2'"),
    )
    changed = k("diff", "--server-side", "--force-conflicts", "-f", "-", text=text.replace("b: '1'", "b: '3'"), code=1)
    assert '+  b: "3"' in changed
    assert (
        k("patch", "cm", "one", "--type=json", "-p", '[{"op":"remove","path":"/data/b"}]').strip()
        == "configmap/one patched"
    )
    assert k("replace", "-f", "-", text=text).strip() == "configmap/one replaced"
    assert k("annotate", "cm", "one", "note=x").strip() == "configmap/one annotated"
    managers = {
        each["manager"]
        for each in json.loads(k("get", "cm", "one", "-o", "json", "--show-managed-fields"))["metadata"][
            "managedFields"
        ]
    }
    assert {"kubectl-replace", "kubectl-annotate"} <= managers


def test_kubectl_prunes_by_apply(k: Kubectl) -> None:
    """A field left out of a client-side apply goes; apply --prune deletes what is left out."""
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, labels: {set: s}}\ndata: {a: '1'%s}\n"
    k("apply", "-f", "-", text=text % ("one", ", b: '1'") + "---\n" + text % ("two", ""))
    k("apply", "-f", "-", "--prune", "-l", "set=s", "--prune-allowlist=core/v1/ConfigMap", text=text % ("one", ""))
    assert json.loads(k("get", "cm", "one", "-o", "json"))["data"] == {"a": "1"}
    assert "NotFound" in k("get", "cm", "two", code=1)


def test_kubectl_custom_resources(k: Kubectl, cluster: Cluster) -> None:
    """A definition by kubectl: established, explained, validated, shown with its columns, and deleted."""
    kind = Kind(Conversation(cluster, k.namespace, "unused"))
    k("apply", "-f", "-", text=json.dumps(kind.definition()))
    k("wait", "--for=condition=Established", f"crd/{kind.name}", "--timeout=20s")
    widget = kind.widget("one", size=3)
    cluster.eventually(lambda: cluster.request("GET", kind.path.replace("NS", k.namespace)).code == 200, "served")
    k("apply", "-f", "-", text=json.dumps(widget))
    assert re.search(r"NAME\s+SIZE\s+AGE\none\s+3\s", k("get", f"{kind.word}x"))
    assert "size\t<integer> -required-" in k("explain", f"{kind.word}s.spec")
    assert "spec.size" in k("apply", "-f", "-", text=json.dumps(kind.widget("one", size=30)), code=1)
    assert "unknown field" in k("create", "-f", "-", text=json.dumps(kind.widget("two", size=3, sizze=3)), code=1)
    k("scale", f"{kind.word}s.test.example/one", "--replicas=2")
    assert k("get", f"{kind.word}s", "one", "-o", "jsonpath={.spec.replicas}") == "2"
    k("delete", f"crd/{kind.name}", "--timeout=30s")


def test_kubectl_jobs_and_waits(k: Kubectl) -> None:
    """A Job completes, a Pod that crashes says so, events tell of it."""
    k("create", "job", "done", "--image=ok")
    k("wait", "--for=condition=Complete", "job/done", "--timeout=30s")
    k("run", "bad", "--image=crash")
    said = k(
        "wait",
        "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff",
        "pod/bad",
        "--timeout=30s",
    )
    assert said.strip() == "pod/bad condition met"
    assert re.search(r"bad\s+0/1\s+CrashLoopBackOff\s+\d+ ", k("get", "pods"))
    assert "Back-off restarting failed container" in k("events", "--for=pod/bad")
    assert "Last State:" in k("describe", "pod/bad")
    k("delete", "pod/bad", "--timeout=30s")


@pytest.fixture
def official(cluster: Cluster) -> Iterator[Any]:
    """The official Python client."""
    kubernetes = pytest.importorskip("kubernetes", reason="group `clients` not installed (`make .stamps/clients` does)")
    client = kubernetes.config.new_client_from_config(str(cluster.kubeconfig))
    yield client
    client.close()


def test_official_client(cluster: Cluster, namespace: str, official: Any) -> None:
    """The official Python client: typed objects, a watch, a dynamic client with server-side apply."""
    del cluster
    import kubernetes

    core = kubernetes.client.CoreV1Api(official)
    body = kubernetes.client.V1ConfigMap(metadata=kubernetes.client.V1ObjectMeta(name="one"), data={"a": "1"})
    version = core.list_namespaced_config_map(namespace).metadata.resource_version
    made = core.create_namespaced_config_map(namespace, body)
    assert made.data == {"a": "1"}
    with pytest.raises(kubernetes.client.ApiException) as refused:
        core.create_namespaced_config_map(namespace, body)
    assert refused.value.status == 409
    assert json.loads(refused.value.body)["reason"] == "AlreadyExists"
    seen = []
    watch = kubernetes.watch.Watch()
    for event in watch.stream(
        core.list_namespaced_config_map,
        namespace,
        resource_version=version,
        field_selector="metadata.name=one",
        timeout_seconds=10,
    ):
        seen.append(event["type"])
        if event["type"] == "ADDED":
            core.patch_namespaced_config_map("one", namespace, {"data": {"a": "2"}})
        if event["type"] == "MODIFIED":
            core.delete_namespaced_config_map("one", namespace)
        if event["type"] == "DELETED":
            watch.stop()
    assert seen == ["ADDED", "MODIFIED", "DELETED"]
    dynamic = kubernetes.dynamic.DynamicClient(official)
    maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    applied = maps.server_side_apply(
        body={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two"}, "data": {"b": "1"}},
        namespace=namespace,
        field_manager="official",
    )
    assert applied.metadata.managedFields[0].manager == "official"
    assert {each.metadata.name for each in core.list_namespaced_config_map(namespace).items} >= {"two"}
    apps = kubernetes.client.AppsV1Api(official)
    assert apps.list_namespaced_deployment(namespace).items == []


def test_lightkube_client(cluster: Cluster, namespace: str) -> None:
    """lightkube: create, apply, patch, list, watch, delete."""
    pytest.importorskip("lightkube", reason="group `clients` not installed (`make .stamps/clients` does)")
    from lightkube import Client, KubeConfig
    from lightkube.core.exceptions import ApiError
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.core_v1 import ConfigMap

    client = Client(KubeConfig.from_file(str(cluster.kubeconfig)), namespace=namespace, field_manager="light")
    name = f"l-{secrets.token_hex(3)}"
    made = client.create(ConfigMap(metadata=ObjectMeta(name=name), data={"a": "1"}))
    seen: list[tuple[str, Any]] = []

    def follow() -> None:
        version = made.metadata.resourceVersion
        for kind, found in client.watch(ConfigMap, fields={"metadata.name": name}, resource_version=version):
            seen.append((kind, found.data))
            if kind == "DELETED":
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    client.apply(ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name=name), data={"b": "2"}))
    client.patch(ConfigMap, name, {"data": {"c": "3"}})
    with pytest.raises(ApiError) as conflict:
        client.apply(
            ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name=name), data={"c": "9"}),
            field_manager="other",
        )
    assert conflict.value.status.code == 409
    assert [each.metadata.name for each in client.list(ConfigMap, fields={"metadata.name": name})] == [name]
    client.delete(ConfigMap, name)
    thread.join(10)
    assert [kind for kind, _ in seen] == ["MODIFIED", "MODIFIED", "DELETED"]
    assert seen[1][1] == {"a": "1", "b": "2", "c": "3"}
