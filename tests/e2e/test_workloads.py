"""Workloads make progress without containers, on the devcluster as on a real control plane."""

from __future__ import annotations

import json
from typing import Any

import pytest

from real.cluster import MERGE, Cluster


class Namespace:
    """Objects of one namespace: made, looked at, waited for."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name

    def path(self, group: str, resource: str) -> str:
        root = "/api/v1" if group == "v1" else f"/apis/{group}"
        return f"{root}/namespaces/{self.name}/{resource}"

    def make(self, group: str, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.cluster.request("POST", self.path(group, resource), body)
        assert answer.code == 201, answer.body
        made: dict[str, Any] = answer.json
        return made

    def get(self, group: str, resource: str, name: str) -> dict[str, Any]:
        answer = self.cluster.request("GET", f"{self.path(group, resource)}/{name}")
        assert answer.code == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    def patch(self, group: str, resource: str, name: str, body: Any) -> None:
        answer = self.cluster.request("PATCH", f"{self.path(group, resource)}/{name}", body, content_type=MERGE)
        assert answer.code == 200, answer.body

    def list(self, group: str, resource: str, selector: str = "") -> list[dict[str, Any]]:
        query = {"labelSelector": selector} if selector else {}
        found: list[dict[str, Any]] = self.cluster.request("GET", self.path(group, resource), **query).json["items"]
        return found

    def events(self, kind: str, name: str) -> list[dict[str, Any]]:
        about = f"involvedObject.kind={kind},involvedObject.name={name}"
        answer = self.cluster.request("GET", self.path("v1", "events"), fieldSelector=about)
        found: list[dict[str, Any]] = answer.json["items"]
        return found


@pytest.fixture
def ns(cluster: Cluster, namespace: str) -> Namespace:
    """The test's namespace."""
    return Namespace(cluster, namespace)


def pod_spec(image: str = "nginx:1", **more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "main", "image": image}], **more}


def workload(name: str, image: str = "nginx:1", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec(image)}
    return {
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }


def conditions(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        each["type"]: (each["status"], each.get("reason", ""))
        for each in found.get("status", {}).get("conditions") or []
    }


def test_a_deployment_rolls_out(ns: Namespace) -> None:
    """Deployment, ReplicaSet, Pods; a new image is a new ReplicaSet, and the status says when all is done."""
    ns.make("apps/v1", "deployments", workload("web", replicas=3))

    def done(generation: int) -> bool:
        status = ns.get("apps/v1", "deployments", "web")["status"]
        wanted = {
            "observedGeneration": generation,
            "replicas": 3,
            "updatedReplicas": 3,
            "readyReplicas": 3,
            "availableReplicas": 3,
        }
        return all(status.get(key) == value for key, value in wanted.items())

    ns.cluster.eventually(lambda: done(1), "rolled out")
    found = conditions(ns.get("apps/v1", "deployments", "web"))
    assert found == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    first = ns.list("apps/v1", "replicasets")
    assert [each["spec"]["replicas"] for each in first] == [3]
    assert first[0]["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    assert first[0]["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    pods = ns.list("v1", "pods", "app=web")
    assert {pod["metadata"]["ownerReferences"][0]["name"] for pod in pods} == {first[0]["metadata"]["name"]}
    assert all(pod["spec"]["nodeName"] and pod["status"]["podIP"] for pod in pods)
    ns.patch("apps/v1", "deployments", "web", {"spec": {"template": {"spec": pod_spec("nginx:2")}}})
    ns.cluster.eventually(lambda: done(2), "the new image rolled out")
    sizes = sorted(
        (each["spec"]["replicas"], each["spec"]["template"]["spec"]["containers"][0]["image"])
        for each in ns.list("apps/v1", "replicasets")
    )
    assert sizes == [(0, "nginx:1"), (3, "nginx:2")]
    told = {each["reason"] for each in ns.events("Deployment", "web")}
    assert "ScalingReplicaSet" in told


def test_a_rollout_that_fails_keeps_what_runs(ns: Namespace) -> None:
    """With an image that can't be pulled the old Pods stay, and the Deployment says so after its deadline."""
    ns.make("apps/v1", "deployments", workload("web", replicas=2, progressDeadlineSeconds=2))
    ns.cluster.eventually(lambda: ns.get("apps/v1", "deployments", "web")["status"].get("readyReplicas") == 2, "ready")
    ns.patch("apps/v1", "deployments", "web", {"spec": {"template": {"spec": pod_spec("a.example/pullfail:2")}}})
    late = ("False", "ProgressDeadlineExceeded")
    ns.cluster.eventually(
        lambda: conditions(ns.get("apps/v1", "deployments", "web")).get("Progressing") == late, "told"
    )
    status = ns.get("apps/v1", "deployments", "web")["status"]
    assert (status["readyReplicas"], status["updatedReplicas"], status["unavailableReplicas"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("image", "reason", "event"),
    [
        ("a.example/pullfail:1", "ImagePullBackOff", 'Back-off pulling image "a.example/pullfail:1"'),
        ("busybox:crash", "CrashLoopBackOff", "Back-off restarting failed container main in pod "),
        ("oom:1", "CrashLoopBackOff", "Back-off restarting failed container main in pod "),
    ],
    ids=["pull", "crash", "memory"],
)
def test_a_pod_that_fails_says_why(ns: Namespace, image: str, reason: str, event: str) -> None:
    """The waiting reason and message, the last state, and the Event of a kubelet."""
    ns.make("v1", "pods", {"metadata": {"name": "bad"}, "spec": pod_spec(image)})

    def state() -> dict[str, Any]:
        found = ns.get("v1", "pods", "bad")["status"].get("containerStatuses") or [{}]
        status: dict[str, Any] = found[0]
        return status

    ns.cluster.eventually(lambda: state().get("state", {}).get("waiting", {}).get("reason") == reason, reason)
    status = state()
    assert not status["ready"]
    if reason == "CrashLoopBackOff":
        assert status["restartCount"] >= 1
        ended = status["lastState"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == ((137, "OOMKilled") if "oom" in image else (1, "Error"))
        assert "back-off 10s restarting failed container=main pod=bad_" in status["state"]["waiting"]["message"]
    else:
        assert status["state"]["waiting"]["message"].startswith(f'Back-off pulling image "{image}"')
        assert ns.get("v1", "pods", "bad")["status"]["phase"] == "Pending"
    assert conditions(ns.get("v1", "pods", "bad"))["Ready"] == ("False", "ContainersNotReady")
    ns.cluster.eventually(
        lambda: [each for each in ns.events("Pod", "bad") if each["message"].startswith(event)], event
    )


def test_never_ready_and_slow(ns: Namespace) -> None:
    """One runs and is never ready, one is ready after 5 seconds."""
    ns.make("v1", "pods", {"metadata": {"name": "never"}, "spec": pod_spec("x/neverready")})
    ns.make("v1", "pods", {"metadata": {"name": "slow"}, "spec": pod_spec("slow:1")})

    def ready(name: str) -> str:
        return conditions(ns.get("v1", "pods", name)).get("Ready", ("", ""))[0]

    ns.cluster.eventually(lambda: ready("slow") == "False", "running, not ready")
    ns.cluster.eventually(lambda: ready("slow") == "True", "ready after a while")
    assert ready("never") == "False"
    assert ns.get("v1", "pods", "never")["status"]["phase"] == "Running"


def test_init_containers(ns: Namespace) -> None:
    """A failing init container holds the others back; sidecars run beside them."""
    bad = pod_spec(initContainers=[{"name": "first", "image": "crash"}])
    ns.make("v1", "pods", {"metadata": {"name": "bad"}, "spec": bad})
    good = pod_spec(
        initContainers=[{"name": "first", "image": "ok"}, {"name": "side", "image": "ok", "restartPolicy": "Always"}]
    )
    ns.make("v1", "pods", {"metadata": {"name": "good"}, "spec": good})
    ns.cluster.eventually(lambda: ns.get("v1", "pods", "good")["status"]["phase"] == "Running", "the good one runs")

    def first() -> dict[str, Any]:
        statuses = ns.get("v1", "pods", "bad")["status"].get("initContainerStatuses") or [{}]
        found: dict[str, Any] = statuses[0].get("state", {}).get("waiting", {})
        return found

    ns.cluster.eventually(lambda: first().get("reason") == "CrashLoopBackOff", "the bad one's init container crashes")
    bad_status = ns.get("v1", "pods", "bad")["status"]
    assert bad_status["phase"] == "Pending"
    assert bad_status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    assert conditions(ns.get("v1", "pods", "bad"))["Initialized"] == ("False", "ContainersNotInitialized")
    sides = ns.get("v1", "pods", "good")["status"]["initContainerStatuses"]
    assert sides[0]["state"]["terminated"]["reason"] == "Completed"
    assert sides[1]["state"]["running"]


def test_a_stateful_set_goes_in_order(ns: Namespace) -> None:
    """Pods named by number, each after the one before is ready; a new image goes backwards."""
    ns.make("apps/v1", "statefulsets", workload("db", replicas=3, serviceName="db"))

    def done() -> bool:
        status = ns.get("apps/v1", "statefulsets", "db")["status"]
        return (
            status.get("readyReplicas") == 3
            and status.get("updatedReplicas") == 3
            and status["currentRevision"] == status["updateRevision"]
        )

    ns.cluster.eventually(done, "all ready")
    pods = sorted(ns.list("v1", "pods", "app=db"), key=lambda pod: int(pod["metadata"]["resourceVersion"]))
    assert sorted(pod["metadata"]["name"] for pod in pods) == ["db-0", "db-1", "db-2"]
    before = ns.get("apps/v1", "statefulsets", "db")["status"]["currentRevision"]
    ns.patch("apps/v1", "statefulsets", "db", {"spec": {"template": {"spec": pod_spec("nginx:2")}}})

    def moved() -> bool:
        status = ns.get("apps/v1", "statefulsets", "db")["status"]
        return done() and status["currentRevision"] != before and status["observedGeneration"] == 2

    ns.cluster.eventually(moved, "the new image on all", seconds=30)
    images = {pod["spec"]["containers"][0]["image"] for pod in ns.list("v1", "pods", "app=db")}
    assert images == {"nginx:2"}
    assert len(ns.list("apps/v1", "controllerrevisions")) == 2


def test_a_daemon_set_is_on_every_node(ns: Namespace) -> None:
    """One Pod for each node."""
    nodes = len(ns.cluster.request("GET", "/api/v1/nodes").json["items"])
    assert nodes >= 1
    ns.make("apps/v1", "daemonsets", workload("agent"))

    def done() -> bool:
        status = ns.get("apps/v1", "daemonsets", "agent").get("status", {})
        return (
            status.get("desiredNumberScheduled")
            == status.get("numberReady")
            == status.get("updatedNumberScheduled")
            == nodes
        )

    ns.cluster.eventually(done, "on every node")


def test_jobs(ns: Namespace) -> None:
    """A Job completes with its Pods; one whose Pods fail is Failed after its back-off limit."""

    def job(image: str, **spec: Any) -> dict[str, Any]:
        return {"spec": {"template": {"spec": pod_spec(image, restartPolicy="Never")}, **spec}}

    ns.make("batch/v1", "jobs", {"metadata": {"name": "good"}, **job("ok", completions=2, parallelism=1)})
    ns.make("batch/v1", "jobs", {"metadata": {"name": "bad"}, **job("crash", backoffLimit=0)})
    ns.cluster.eventually(
        lambda: conditions(ns.get("batch/v1", "jobs", "good")).get("Complete", ("",))[0] == "True", "complete"
    )
    ns.cluster.eventually(
        lambda: conditions(ns.get("batch/v1", "jobs", "bad")).get("Failed", ("",))[0] == "True", "failed"
    )
    good = ns.get("batch/v1", "jobs", "good")["status"]
    assert good["succeeded"] == 2
    assert good["completionTime"]
    assert conditions(ns.get("batch/v1", "jobs", "bad"))["Failed"] == ("True", "BackoffLimitExceeded")
    phases = {
        pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]: pod["status"]["phase"]
        for pod in ns.list("v1", "pods")
    }
    assert phases == {"good": "Succeeded", "bad": "Failed"}


def test_a_service_has_the_ready_pods(ns: Namespace) -> None:
    """EndpointSlices follow the Service's selector, name ports, and carry the Service's labels and owner."""
    ns.make("apps/v1", "deployments", workload("web", replicas=2))
    service = {
        "metadata": {"name": "web", "labels": {"a": "b"}},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }
    ns.make("v1", "services", service)

    def ready() -> int:
        slices = ns.list("discovery.k8s.io/v1", "endpointslices", "kubernetes.io/service-name=web")
        return sum(bool(each["conditions"]["ready"]) for one in slices for each in one.get("endpoints") or [])

    ns.cluster.eventually(lambda: ready() == 2, "two endpoints")
    found = ns.list("discovery.k8s.io/v1", "endpointslices", "kubernetes.io/service-name=web")[0]
    assert found["metadata"]["labels"]["a"] == "b"
    assert found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    assert found["metadata"]["ownerReferences"][0]["kind"] == "Service"
    assert [(each["name"], each["port"], each["protocol"]) for each in found["ports"]] == [("http", 8080, "TCP")]
    ns.patch("apps/v1", "deployments", "web", {"spec": {"replicas": 1}})
    ns.cluster.eventually(lambda: ready() == 1, "one endpoint")


def test_a_claim_is_bound(ns: Namespace) -> None:
    """A PersistentVolumeClaim is bound to a volume that fits."""
    name = f"volume-{ns.name}"
    volume = {
        "metadata": {"name": name, "labels": {"for": ns.name}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/x"},
            "storageClassName": "manual",
        },
    }
    assert ns.cluster.request("POST", "/api/v1/persistentvolumes", volume).code == 201
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "manual",
        "selector": {"matchLabels": {"for": ns.name}},
    }
    ns.make("v1", "persistentvolumeclaims", {"metadata": {"name": "data"}, "spec": claim})
    ns.cluster.eventually(lambda: ns.get("v1", "persistentvolumeclaims", "data")["status"]["phase"] == "Bound", "bound")
    assert ns.get("v1", "persistentvolumeclaims", "data")["spec"]["volumeName"] == name
    ns.cluster.request("DELETE", f"/api/v1/persistentvolumes/{name}")


def test_deleting_a_deployment_takes_all_of_it(ns: Namespace) -> None:
    """ReplicaSets and Pods go with their Deployment; with Orphan they stay."""
    for name in ("goes", "stays"):
        ns.make("apps/v1", "deployments", workload(name))
        ns.cluster.eventually(lambda name=name: len(ns.list("v1", "pods", f"app={name}")) == 1, "its Pod")
    ns.cluster.request("DELETE", f"{ns.path('apps/v1', 'deployments')}/goes")
    ns.cluster.eventually(
        lambda: not ns.list("v1", "pods", "app=goes") and not ns.list("apps/v1", "replicasets", "app=goes"), "all gone"
    )
    ns.cluster.request("DELETE", f"{ns.path('apps/v1', 'deployments')}/stays", {"propagationPolicy": "Orphan"})
    gone = f"{ns.path('apps/v1', 'deployments')}/stays"
    ns.cluster.eventually(lambda: ns.cluster.request("GET", gone).code == 404, "the Deployment gone")
    left = ns.list("apps/v1", "replicasets", "app=stays")
    assert len(left) == 1
    assert "ownerReferences" not in left[0]["metadata"]
    assert len(ns.list("v1", "pods", "app=stays")) == 1


def test_an_autoscaler_keeps_its_minimum(ns: Namespace) -> None:
    """A HorizontalPodAutoscaler takes replicas up to its minimum, as a manager of its own."""
    ns.make("apps/v1", "deployments", workload("web", replicas=1))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 5}}
    ns.make("autoscaling/v2", "horizontalpodautoscalers", scaler)
    ns.cluster.eventually(
        lambda: ns.get("apps/v1", "deployments", "web")["spec"]["replicas"] == 3, "its minimum", seconds=40
    )
    entries = ns.get("apps/v1", "deployments", "web")["metadata"]["managedFields"]
    assert any(each.get("subresource") == "scale" and "f:replicas" in json.dumps(each["fieldsV1"]) for each in entries)
